"""Kinesis sequence numbers, shards and their hash ranges, derived from a record's place in its stream.

Layout of a sequence number (version 2, as kinesalite found it on AWS): 47 hex digits, written in decimal:

    2 | second the shard was created (9) | low digit of the shard (1) | counter (16) | 00 | second of the write (9)
      | shard (8) | 2

The counter is the record's number in the stream, so that numbers increase within a shard, with gaps where records
went to other shards.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial

# Python's own takes a third of the time of OpenSSL's for a text as short as a key. Some distributions leave it out, and
# some have an OpenSSL that refuses MD5 unless it is told that nothing secret depends on it.
try:
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:
    md5 = partial(hashlib.md5, usedforsecurity=False)

HASH_KEYS = 2**128
COUNTER_STEP = 1 << 80  # from one record to the next: 20 hex digits stand behind the counter

# Versions 1 and 2 begin with the digit 2 of 47; version 0, which is older, has the digit 1 and 31 more, or fewer.
_VERSION_0, _VERSION_0_END = 1 << 124, 1 << 129
_VERSION_2, _VERSION_2_END = 1 << 185, 3 << 184
_SECONDS_END = 16_025_175_000  # AWS takes no later time in a sequence number


def sequence_number(created_ms: int, shard: int, record: int, arrival_ms: int) -> int:
    """The sequence number of a record; its decimal text is what clients see."""
    return (
        (2 << 184)
        | (created_ms // 1000 << 148)
        | ((shard & 15) << 144)
        | (record << 80)
        | (arrival_ms // 1000 << 36)
        | (shard << 4)
        | 2
    )


def is_sequence_number(number: int, now_ms: int) -> bool:
    """Whether Kinesis can have given a number until now, in any of its three versions (kinesalite, parseSequence)."""
    if number < _VERSION_0_END:
        digits = f"{number + _VERSION_0 if number < _VERSION_0 else number:x}"
        return int(digits[1:10], 16) < _SECONDS_END
    if not _VERSION_2 < number < _VERSION_2_END:
        return False
    digits = f"{number:x}"
    if digits[-1] == "1":
        return int(digits[13:22], 16) * 1000 <= now_ms
    is_counter = int(digits[11], 16) < 8
    return (
        digits[-1] == "2"
        and is_counter
        and int(digits[1:10], 16) < _SECONDS_END
        and int(digits[29:38], 16) * 1000 <= now_ms
    )


def above_shard_0(shard: int) -> int:
    """How much greater a sequence number of a shard is than that of the same record and times in shard 0."""
    return sequence_number(0, shard, 0, 0) - sequence_number(0, 0, 0, 0)


def shard_id(shard: int) -> str:
    return f"shardId-{shard:012d}"


def hash_range(shard: int, shard_count: int) -> tuple[int, int]:
    """The first and the last hash key of a shard, both inclusive."""
    width = HASH_KEYS // shard_count
    return shard * width, HASH_KEYS - 1 if shard == shard_count - 1 else (shard + 1) * width - 1


def digests_of(partition_keys: Iterable[str]) -> list[bytes]:
    """MD5 of the UTF-8 bytes of each key (Kinesis API reference, PutRecord)."""
    return [md5(key.encode()).digest() for key in partition_keys]


def hash_key(partition_key: str) -> int:
    """The digest of a key as a big-endian number."""
    return int.from_bytes(digests_of([partition_key])[0])


def shard_of(hashed: int, shard_count: int) -> int:
    """The shard whose range holds a hash key."""
    return min(hashed // (HASH_KEYS // shard_count), shard_count - 1)


def shards_of(digests: Sequence[bytes], shard_count: int) -> array[int]:
    """`shard_of` the number that each digest is, looked up instead of calculated."""
    borders, of_first_byte = _digest_table(shard_count)
    if not of_first_byte:
        return array("H", [bisect_right(borders, digest) for digest in digests])
    little_endian = bytearray(2 * len(digests))
    little_endian[::2] = b"".join(digests)[::16].translate(of_first_byte)
    return array("H", bytes(little_endian))


@lru_cache
def _digest_table(shard_count: int) -> tuple[list[bytes], bytes]:
    """The first hash key of each shard but shard 0, as bytes, which sort as the numbers do.

    And the shard for each first byte of a digest, if the first byte alone decides: for 1, 2, 4 ... 256 shards.
    """
    borders = [hash_range(shard, shard_count)[0].to_bytes(16) for shard in range(1, shard_count)]
    if any(any(border[1:]) for border in borders):
        return borders, b""
    return borders, bytes(bisect_right(borders, bytes([first]) + bytes(15)) for first in range(256))
