"""Statements that a DuckDB database needs before it can run a translated statement.

Each macro takes DuckDB half a millisecond to make, and a statement uses few of them or none: a database gets those that
`macros_in` finds in its statements.

A macro is here because it uses an argument more than once and is used often; other expressions are in `functions`. The
parameters of lambdas in macros have names such as `"m#"`, which no other name can be, because a macro's arguments are
inserted as text.

To raise an error a macro casts a text that says what is wrong, see `typed.failing`.
"""

from __future__ import annotations

import re

_MACROS = (
    # Text in the form that CAST reads, or a text that CAST refuses. Trino documentation, "Conversion functions".
    r"""trino_integer_text(x) AS
        CASE WHEN regexp_full_match(x, '[+-]?[0-9]+') THEN x ELSE 'Cannot cast to an integer: ' || x END""",
    r"""trino_number_text(x) AS
        CASE WHEN regexp_full_match(x, '\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*')
                  OR x IN ('NaN', 'Infinity', '-Infinity', '+Infinity')
             THEN x ELSE 'Cannot cast to a number: ' || x END""",
    r"""trino_date_text(x) AS
        CASE WHEN regexp_full_match(x, '\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\s*') THEN x
             ELSE 'Cannot cast to date: ' || x END""",
    # More than three digits after the second are rounded.
    r"""trino_timestamp_text(x) AS
        CASE WHEN NOT regexp_full_match(
                x, '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}( [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}([.][0-9]+)?)?)?')
             THEN 'Cannot cast to timestamp: ' || x
             WHEN NOT regexp_matches(x, '[.][0-9]{4}') THEN x
             ELSE coalesce(CAST(date_trunc('milliseconds', TRY_CAST(x AS TIMESTAMP) + to_microseconds(500)) AS VARCHAR),
                           'Cannot cast to timestamp: ' || x) END""",
    # JSON in the form that CAST reads.
    r"""trino_json_text(j) AS
        CASE WHEN json_type(j) IN ('OBJECT', 'ARRAY')
             THEN CAST(CAST('Cannot cast JSON objects and arrays to a scalar' AS INTEGER) AS VARCHAR)
             ELSE j ->> '$' END""",
    r"""trino_json_number(j) AS
        CASE WHEN json_type(j) = 'BOOLEAN' THEN if(j ->> '$' = 'true', '1', '0')
             ELSE trino_number_text(trino_json_text(j)) END""",
    r"""trino_json_integer(j) AS
        CASE WHEN json_type(j) = 'DOUBLE' THEN CAST(CAST(round(CAST(j ->> '$' AS DOUBLE)) AS HUGEINT) AS VARCHAR)
             WHEN json_type(j) = 'BOOLEAN' THEN if(j ->> '$' = 'true', '1', '0')
             ELSE trino_integer_text(trino_json_text(j)) END""",
    # Java's Double.toString: from 0.001 up to 10^7 plain, everything else d.dddE±d; `d` is made of i.f and exponent e.
    r"""trino_java_digits(d) AS
        substr(ltrim(d.i || d.f, '0'), 1, 1) || '.'
        || coalesce(nullif(rtrim(substr(ltrim(d.i || d.f, '0'), 2), '0'), ''), '0') || 'E'
        || CAST(length(d.i) - 1 - length(d.i || d.f) + length(ltrim(d.i || d.f, '0'))
                + CAST(coalesce(nullif(d.e, ''), '0') AS INTEGER) AS VARCHAR)""",
    r"""trino_double_as_text(x) AS
        CASE WHEN isnan(x) THEN 'NaN'
             WHEN isinf(x) THEN if(x > 0, 'Infinity', '-Infinity')
             WHEN x = 0 OR (abs(x) >= 0.001 AND abs(x) < 1e7) THEN CAST(x AS VARCHAR)
             ELSE if(x < 0, '-', '') || trino_java_digits(regexp_extract(
                CAST(x AS VARCHAR), '^-?([0-9]+)[.]?([0-9]*)(?:e([+-][0-9]+))?$', ['i', 'f', 'e'])) END""",
    # Half away from zero, as Trino divides decimals.
    r"""trino_rounded_quotient(n, d) AS
        if((n < 0) = (d < 0), 1, -1) * ((abs(n) * 2 + abs(d)) // (abs(d) * 2))""",
    # Position 0 and positions outside give ''.
    r"""trino_substr(s, i) AS
        CASE WHEN i > 0 OR (i < 0 AND -i <= length(s)) THEN substr(s, i) ELSE substr(s, 1, i * 0) END""",
    r"""trino_split(s, d) AS
        CASE WHEN d = '' THEN [CAST(CAST('The delimiter may not be empty' AS INTEGER) AS VARCHAR)]
             WHEN d IS NOT NULL THEN string_split(s, d) END""",
    r"""trino_array_index(a, i) AS
        CASE WHEN a IS NULL OR i IS NULL THEN NULL WHEN i BETWEEN 1 AND len(a) THEN i
             ELSE CAST('Array subscript is out of bounds: ' || CAST(i AS VARCHAR) AS BIGINT) END""",
    # With a NULL element the greatest element is unknown, and so is whether a value is contained.
    r"""trino_whole(a) AS CASE WHEN list_count(a) = len(a) THEN a END""",
    r"""trino_contains(a, x) AS
        CASE WHEN list_contains(a, x) THEN TRUE WHEN x IS NULL OR len(a) > list_count(a) THEN NULL
             WHEN a IS NOT NULL THEN FALSE END""",
    r"""trino_all(a) AS
        CASE WHEN list_contains(a, FALSE) THEN FALSE WHEN len(a) > list_count(a) THEN NULL
             WHEN a IS NOT NULL THEN TRUE END""",
    r"""trino_distinct(a) AS list_filter(a, lambda "m#", "n#": list_position(a, "m#") = "n#")""",
    r"""trino_slice(a, i, n) AS
        list_slice(a, if(i < 0, len(a) + i + 1, i), if(i < 0, len(a) + i, i - 1) + n)""",
    # Entries without a key are left out; of two entries with the same key the first one stays; no entry gives NULL.
    r"""trino_map(entries) AS
        map_from_entries(nullif(list_filter(entries, lambda "m#", "n#":
            list_position(list_transform(entries, lambda "o#": "o#".k), "m#".k) = "n#" AND "m#".k IS NOT NULL), []))""",
    # ISO 8601: an instant is the same in any zone, but it is shown in UTC, so a text with another zone is refused.
    r"""trino_iso_instant(x) AS
        date_trunc('milliseconds', CAST(
            CASE WHEN regexp_full_match(
                        x, '\d{4}-\d\d-\d\d(T(\d\d(:\d\d(:\d\d([.,]\d{1,9})?)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?')
                 THEN regexp_replace(regexp_replace(replace(replace(x, ',', '.'), 'T', ' '),
                        ' (\d\d)(Z|[+-].*)?$', ' \1:00\2'), '([.]\d{6})\d+', '\1')
                 ELSE 'Not an ISO 8601 timestamp: ' || x END AS TIMESTAMPTZ))""",
    r"""trino_iso_utc(x) AS
        CASE WHEN regexp_matches(x, 'T.*[+-][0-9:]+$') AND NOT regexp_matches(x, '[+-]00(:?00)?$')
             THEN CAST('Not in UTC, write ... AT TIME ZONE ''UTC'': ' || x AS TIMESTAMPTZ)
             ELSE trino_iso_instant(x) END""",
)

# Hexadecimal digits, cut into characters of UTF-8, the longest beginnings of one, and other bytes (RFC 3629).
_UTF8 = "|".join(
    (
        "[0-7].",
        "(?:C[2-9A-F]|D.)[89AB].",
        "(?:E0[AB].|E[1-9A-CEF][89AB].|ED[89].)(?:[89AB].)?",
        "(?:F0[9AB].|F[1-3][89AB].|F48.)(?:[89AB].){0,2}",
        "..",
    )
)
_FROM_UTF8 = f"""trino_from_utf8(value) AS coalesce(try(decode(value)), decode(unhex(array_to_string(list_transform(
    regexp_extract_all(hex(value), '{_UTF8}'),
    lambda cut: CASE WHEN (cut >= '80' AND length(cut) = 2) OR (cut >= 'E' AND length(cut) < 6)
        OR (cut >= 'F' AND length(cut) < 8) THEN 'EFBFBD' ELSE cut END), ''))))"""

SETTING = "SET GLOBAL TimeZone = 'UTC'"
"""For an in-memory database, before its configuration is locked; then for all of its connections."""

_STATEMENTS = {macro.partition("(")[0]: f"CREATE MACRO IF NOT EXISTS {macro}" for macro in (*_MACROS, _FROM_UTF8)}
_NAME = re.compile(r"\btrino_[a-z0-9_]+")
_NAMES_IN = {name: frozenset(_NAME.findall(statement)) for name, statement in _STATEMENTS.items()}


def macros_in(sql: str) -> tuple[str, ...]:
    """What makes the macros that a translated statement names, and those that these use, in the order of their use."""
    wanted: set[str] = set()
    waiting = _NAME.findall(sql)
    while waiting:
        name = waiting.pop()
        if name in _STATEMENTS and name not in wanted:
            wanted.add(name)
            waiting.extend(_NAMES_IN[name])
    return tuple(statement for name, statement in _STATEMENTS.items() if name in wanted)
