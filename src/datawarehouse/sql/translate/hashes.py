"""Macros for hashes that DuckDB does not have: HMAC, SHA-512, xxHash64, CRC-32.

Whole numbers of 64 bits are kept in a type of 128, because DuckDB's additions and shifts fail where C's begin anew.

Sources: RFC 2104 (HMAC); FIPS 180-4 (SHA-512); the specification of xxHash, "XXH64 algorithm", with the seed 0;
ISO 3309 (CRC-32).
"""

from __future__ import annotations

from math import isqrt

_BITS_64 = 2**64 - 1


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _cube_root(number: int) -> int:
    """The whole part."""
    low, high = 0, 1 << (number.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


def _wide(number: int) -> str:
    return f"CAST({number} AS HUGEINT)"


def _rotated(word: str, bits: int) -> str:
    """To the right."""
    return f"(({word} >> {bits}) | ((({word}) << {64 - bits}) & {_wide(_BITS_64)}))"


def _xor(*words: str) -> str:
    first, *rest = words
    return f"xor({first}, {_xor(*rest)})" if rest else first


def _sha512() -> str:
    """The data is `"si#"`, and `"se#"` it with its padding in hexadecimal digits.

    A round keeps 24 words: the eight of the hash, and the sixteen of the message that come next.
    """
    state = [f'"sc#"[{at}]' for at in range(1, 25)]
    a, b, c, d, e, f, g, h, *words = state
    mask = _wide(_BITS_64)
    constants = [_cube_root(prime << 192) & _BITS_64 for prime in _primes(80)]
    first = _added(
        h,
        _xor(_rotated(e, 14), _rotated(e, 18), _rotated(e, 41)),
        _xor(g, f"({e} & xor({f}, {g}))"),
        f'([{", ".join(map(_wide, constants))}])["sd#"]',
        words[0],
    )
    second = _added(_xor(_rotated(a, 28), _rotated(a, 34), _rotated(a, 39)), f"(({a} & {b}) | ({c} & ({a} | {b})))")
    low = _xor(_rotated(words[1], 1), _rotated(words[1], 8), f"({words[1]} >> 7)")
    high = _xor(_rotated(words[14], 19), _rotated(words[14], 61), f"({words[14]} >> 6)")
    following = [
        f"({first} + {second}) & {mask}",
        *(a, b, c),
        f"({d} + {first}) & {mask}",
        *(e, f, g),
        *words[1:],
        f"{_added(low, words[9], high, words[0])} & {mask}",
    ]
    begin = [_wide(isqrt(prime << 128) & _BITS_64) for prime in _primes(8)]
    word = """CAST(CAST('0x' || substr("se#", "sb#" * 256 + "sf#" * 16 + 1, 16) AS UBIGINT) AS HUGEINT)"""
    block = f'list_transform(range(16), lambda "sf#": {word})'
    rounds = f'list_reduce(range(1, 81), lambda "sc#", "sd#": [{", ".join(following)}], "sa#" || {block})'
    summed = f'list_transform(list_zip("sa#", {rounds}[1:8]), lambda "sg#": ("sg#"[1] + "sg#"[2]) & {mask})'
    blocks = 'range((octet_length("si#") + 144) // 128)'
    hashed = f'list_reduce({blocks}, lambda "sa#", "sb#": {summed}, [{", ".join(begin)}])'
    padding = """repeat('00', (239 - octet_length("si#") % 128) % 128)"""
    message = f"""hex("si#") || '80' || {padding} || printf('%032x', octet_length("si#") * 8)"""
    digits = """lambda "sh#": printf('%016x', CAST("sh#" AS UBIGINT))"""
    shown = f"unhex(array_to_string(list_transform({hashed}, {digits}), ''))"
    return "trino_sha512(data) AS " + _bound("data", '"si#"', _bound(message, '"se#"', shown))


def _added(*words: str) -> str:
    return f"({' + '.join(words)})"


_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def _unsigned(number: int) -> str:
    return f"CAST({number & _BITS_64} AS UHUGEINT)"


def _times(word: str, factor: int) -> str:
    return f"(({word}) * {_unsigned(factor)} & {_unsigned(_BITS_64)})"


def _left(name: str, bits: int) -> str:
    return f"((({name}) << {bits}) & {_unsigned(_BITS_64)} | (({name}) >> {64 - bits}))"


def _bound(word: str, name: str, body: str) -> str:
    """`body` with `name` for the value of an expression that it needs more than once."""
    return f"list_extract(list_transform([{word}], lambda {name}: {body}), 1)"


def _xxhash64() -> str:
    """The data is `"xs#"`, and `"xr#"` it in hexadecimal digits, its last byte first, so that a word is read as it
    stands."""
    mask = _unsigned(_BITS_64)

    def word(at: str, size: int) -> str:
        digits = f'substr("xr#", 2 * CAST(octet_length("xs#") - ({at}) - {size} AS BIGINT) + 1, {2 * size})'
        return f"CAST(CAST('0x' || {digits} AS UBIGINT) AS UHUGEINT)"

    def round_of(sum: str, name: str) -> str:
        return _times(_bound(f"({sum}) & {mask}", name, _left(name, 31)), _P1)

    products = [_times(word(f'"xb#" * 32 + {8 * lane}', 8), _P2) for lane in range(4)]
    lanes = [round_of(f'"xa#"[{lane}] + {product}', '"xc#"') for lane, product in enumerate(products, 1)]
    begin = [_unsigned(_P1 + _P2), _unsigned(_P2), _unsigned(0), _unsigned(-_P1)]
    lane_texts, begin_texts = ", ".join(lanes), ", ".join(begin)
    stripes = f'list_reduce(range(octet_length("xs#") // 32), lambda "xa#", "xb#": [{lane_texts}], [{begin_texts}])'
    joined = " + ".join(_left(f'"xd#"[{lane}]', bits) for lane, bits in enumerate((1, 7, 12, 18), 1))
    merged = f"(({joined}) & {mask})"
    for lane in range(1, 5):
        one = round_of(_times(f'"xd#"[{lane}]', _P2), '"xe#"')
        merged = f"(({_times(f'xor({merged}, {one})', _P1)} + {_unsigned(_P4)}) & {mask})"
    long = _bound(stripes, '"xd#"', merged)
    start = f'if(octet_length("xs#") >= 32, {long}, {_unsigned(_P5)}) + CAST(octet_length("xs#") AS UHUGEINT)'
    eights = round_of(_times(word('octet_length("xs#") // 32 * 32 + "xg#" * 8', 8), _P2), '"xh#"')
    fours = _times(word('octet_length("xs#") // 8 * 8', 4), _P1)
    ones = _times(word('octet_length("xs#") // 4 * 4 + "xm#"', 1), _P5)
    by_eight = _times(_bound(f'xor("xf#", {eights})', '"xi#"', _left('"xi#"', 27)), _P1)
    by_four = _times(_bound(f'xor("xj#", {fours})', '"xk#"', _left('"xk#"', 23)), _P2)
    by_one = _times(_bound(f'xor("xl#", {ones})', '"xn#"', _left('"xn#"', 11)), _P1)
    hashed = (
        f'list_reduce(range(octet_length("xs#") % 32 // 8), lambda "xf#", "xg#": ({by_eight} + {_unsigned(_P4)}) & '
        f"{mask}, ({start}) & {mask})"
    )
    by_four = f'if(octet_length("xs#") % 8 >= 4, ({by_four} + {_unsigned(_P3)}) & {mask}, "xj#")'
    hashed = _bound(hashed, '"xj#"', by_four)
    hashed = f'list_reduce(range(octet_length("xs#") % 4), lambda "xl#", "xm#": {by_one}, {hashed})'
    for name, bits, factor in (('"xo#"', 33, _P2), ('"xp#"', 29, _P3)):
        hashed = _times(_bound(hashed, name, f"xor({name}, {name} >> {bits})"), factor)
    hashed = _bound(hashed, '"xq#"', 'xor("xq#", "xq#" >> 32)')
    turned = """array_to_string(list_reverse(regexp_extract_all(hex("xs#"), '..')), '')"""
    shown = f"unhex(printf('%016x', CAST({hashed} AS UBIGINT)))"
    return "trino_xxhash64(data) AS " + _bound("data", '"xs#"', _bound(turned, '"xr#"', shown))


def _hmac(name: str, block: int) -> str:
    hashed = "trino_sha512({})" if name == "sha512" else f"unhex({name}({{}}))"
    key = 'CAST(unhex("hm#") AS BIT)'
    inner, outer = (f"CAST(xor({key}, CAST(unhex(repeat('{pad}', {block})) AS BIT)) AS BLOB)" for pad in ("36", "5C"))
    return f"""trino_hmac_{name}(data, key) AS list_extract(list_transform(
        [rpad(hex(if(octet_length(key) > {block}, {hashed.format("key")}, key)), {2 * block}, '0')], lambda "hm#":
            {hashed.format(outer + " || " + hashed.format(inner + " || data"))}), 1)"""


def _crc32() -> str:
    """The checksum of zlib, byte by byte, with its table of 256 remainders."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table.append(value)
    return f"""trino_crc32(data) AS xor(list_reduce(
        list_transform(regexp_extract_all(hex(data), '..'), lambda "cr#": CAST('0x' || "cr#" AS BIGINT)),
        lambda "cs#", "ct#": xor("cs#" >> 8, {table}[CAST(xor("cs#" & 255, "ct#") AS BIGINT) + 1]),
        CAST(4294967295 AS BIGINT)), CAST(4294967295 AS BIGINT))"""


HASHES = (
    *(_hmac(name, 128 if name == "sha512" else 64) for name in ("md5", "sha1", "sha256", "sha512")),
    _sha512(),
    _xxhash64(),
    _crc32(),
)
