"""Macros for UUIDs and IP addresses. An address is the hexadecimal digits of its 16 bytes; one of IPv4 is mapped into
IPv6, as Trino has it.

Sources: RFC 4291 (the text of an address), RFC 5952 (its shortest form), Trino documentation, "Data types" and "IP
Address Functions"; RFC 4122 (UUID).
"""

from __future__ import annotations

_MAPPED = "00000000000000000000FFFF"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}([.]{_BYTE}){{3}}"
_GROUP = rf"([0-9a-fA-F]{{1,4}}|{_IPV4})"
_GROUPS = rf"({_GROUP}(:{_GROUP})*)?"
_NO_ADDRESS = "CAST(CAST('Cannot cast value to IPADDRESS: ' || x AS INTEGER) AS VARCHAR)"


def _shortest() -> str:
    """The longest run of at least two groups that are zero becomes `::`, the first of runs of the same length."""
    cases = " ".join(
        f"WHEN regexp_matches(\"ib#\", '(^|:){zeros}($|:)') THEN regexp_replace(\"ib#\", '(^|:){zeros}($|:)', '::')"
        for zeros in (":".join("0" * count) for count in range(8, 1, -1))
    )
    groups = 'list_transform(range(8), lambda "ia#": '
    groups += "coalesce(nullif(ltrim(lower(substr(x, \"ia#\" * 4 + 1, 4)), '0'), ''), '0'))"
    shortest = f'lambda "ib#": CASE {cases} ELSE "ib#" END'
    return f"list_extract(list_transform([array_to_string({groups}, ':')], {shortest}), 1)"


ADDRESSES = (
    r"""trino_uuid(x) AS
        CASE WHEN regexp_full_match(x, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}') THEN lower(x)
             WHEN x IS NOT NULL
             THEN CAST(CAST('Cannot cast value to UUID: ' || x AS INTEGER) AS VARCHAR) END""",
    r"""trino_uuid_of_bytes(x) AS
        CASE WHEN octet_length(x) = 16
             THEN regexp_replace(lower(hex(x)), '(.{8})(.{4})(.{4})(.{4})(.{12})', '\1-\2-\3-\4-\5')
             WHEN x IS NOT NULL
             THEN CAST(CAST('Cannot cast value to UUID: it has 16 bytes' AS INTEGER) AS VARCHAR) END""",
    r"""trino_ip_digits(x) AS
        array_to_string(list_transform(list_filter(string_split(x, ':'), lambda "ic#": "ic#" <> ''), lambda "id#":
            if(contains("id#", '.'), array_to_string(list_transform(string_split("id#", '.'), lambda "ie#":
                printf('%02X', CAST("ie#" AS INTEGER))), ''), lpad(upper("id#"), 4, '0'))), '')""",
    rf"""trino_ip(x) AS
        CASE WHEN regexp_full_match(x, '{_IPV4}') THEN '{_MAPPED}' || trino_ip_digits(x)
             WHEN regexp_full_match(x, '{_GROUPS}::{_GROUPS}') AND length(trino_ip_digits(x)) <= 28
             THEN list_extract(list_transform([trino_ip_digits(split_part(x, '::', 1))], lambda "if#":
                rpad("if#", CAST(32 - length(trino_ip_digits(split_part(x, '::', 2))) AS INTEGER), '0')
                || trino_ip_digits(split_part(x, '::', 2))), 1)
             WHEN regexp_full_match(x, '{_GROUPS}') AND length(trino_ip_digits(x)) = 32 THEN trino_ip_digits(x)
             WHEN x IS NOT NULL THEN {_NO_ADDRESS} END""",
    rf"""trino_ip_of_bytes(x) AS
        CASE octet_length(x) WHEN 4 THEN '{_MAPPED}' || hex(x) WHEN 16 THEN hex(x) ELSE if(x IS NULL, NULL,
            CAST(CAST('Cannot cast value to IPADDRESS: it has 4 or 16 bytes' AS INTEGER) AS VARCHAR)) END""",
    rf"""trino_ip_text(x) AS
        CASE WHEN starts_with(x, '{_MAPPED}') THEN array_to_string(list_transform(range(4), lambda "ig#":
                CAST(CAST('0x' || substr(x, 25 + "ig#" * 2, 2) AS INTEGER) AS VARCHAR)), '.')
             WHEN x IS NOT NULL THEN {_shortest()} END""",
    # The length of a prefix of IPv4 counts after the 96 bits that are the same for all.
    rf"""trino_network_contains(n, x) AS
        CASE WHEN n IS NOT NULL AND x IS NOT NULL THEN list_extract(list_transform([row(
                trino_ip(split_part(n, '/', 1)),
                if(regexp_full_match(n, '[^/]+/[0-9]{{1,3}}'), CAST(split_part(n, '/', 2) AS INTEGER),
                   CAST('Invalid CIDR: ' || n AS INTEGER)))], lambda "ih#":
            CASE WHEN "ih#"[2] > if(starts_with("ih#"[1], '{_MAPPED}'), 32, 128)
                 THEN CAST('Prefix length of the CIDR is out of range: ' || n AS BOOLEAN)
                 ELSE list_extract(list_transform([row(CAST(CAST(unhex("ih#"[1]) AS BIT) AS VARCHAR),
                    "ih#"[2] + if(starts_with("ih#"[1], '{_MAPPED}'), 96, 0))], lambda "ii#":
                    if(contains(substr("ii#"[1], "ii#"[2] + 1), '1'), CAST('Invalid CIDR: ' || n AS BOOLEAN),
                       starts_with(CAST(CAST(unhex(x) AS BIT) AS VARCHAR), left("ii#"[1], "ii#"[2])))),
                    1) END), 1) END""",
)
