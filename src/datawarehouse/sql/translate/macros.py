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

from datawarehouse.sql.translate.formats import MYSQL

_MACROS = (
    # Text in the form that CAST reads, or a text that CAST refuses. Trino documentation, "Conversion functions".
    r"""trino_integer_text(x) AS
        CASE WHEN regexp_full_match(x, '[+-]?[0-9]+') THEN x ELSE 'Cannot cast to an integer: ' || x END""",
    r"""trino_number_text(x) AS
        CASE WHEN regexp_full_match(x, '\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*')
                  OR x IN ('NaN', 'Infinity', '-Infinity', '+Infinity')
             THEN x WHEN x IN ('-NaN', '+NaN') THEN 'NaN' ELSE 'Cannot cast to a number: ' || x END""",
    r"""trino_date_text(x) AS
        CASE WHEN regexp_full_match(x, '\s*[+]?[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\s*') THEN ltrim(x, '+ ')
             ELSE 'Cannot cast to date: ' || x END""",
    # More than three digits after the second are rounded.
    r"""trino_timestamp_text(x) AS
        CASE WHEN NOT regexp_full_match(
                x, '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}( [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}([.][0-9]+)?)?)?')
             THEN 'Cannot cast to timestamp: ' || x
             WHEN NOT regexp_matches(x, '[.][0-9]{4}') THEN x
             ELSE coalesce(CAST(date_trunc('milliseconds', TRY_CAST(x AS TIMESTAMP) + to_microseconds(500)) AS VARCHAR),
                           'Cannot cast to timestamp: ' || x) END""",
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
    # CAST to varchar: d.dddE±d whatever the size, the digits of a double are the fewest that mean it, a real has seven.
    r"""trino_double_cast(x) AS
        CASE WHEN isnan(x) THEN 'NaN'
             WHEN isinf(x) THEN if(x > 0, 'Infinity', '-Infinity')
             WHEN x = 0 THEN if(starts_with(CAST(x AS VARCHAR), '-'), '-0E0', '0E0')
             ELSE if(x < 0, '-', '') || trino_java_digits(regexp_extract(
                CAST(x AS VARCHAR), '^-?([0-9]+)[.]?([0-9]*)(?:e([+-][0-9]+))?$', ['i', 'f', 'e'])) END""",
    r"""trino_real_cast(x) AS
        CASE WHEN x = 0 OR NOT isfinite(x) THEN trino_double_cast(x)
             ELSE regexp_replace(printf('%.6e', CAST(x AS DOUBLE)), '^(-?\d[.]\d+?)0*e[+]?(-?)0*(\d+)$', '\1E\2\3')
                 END""",
    # JSON in the form that CAST reads.
    r"""trino_json_text(j) AS
        CASE WHEN json_type(j) IN ('OBJECT', 'ARRAY')
             THEN CAST(CAST('Cannot cast JSON objects and arrays to a scalar' AS INTEGER) AS VARCHAR)
             WHEN json_type(j) = 'DOUBLE'
             THEN coalesce(trino_double_cast(TRY_CAST(j ->> '$' AS DOUBLE)),
                           if(starts_with(j ->> '$', '-'), '-Infinity', 'Infinity'))
             ELSE j ->> '$' END""",
    r"""trino_json_number(j) AS
        CASE WHEN json_type(j) = 'BOOLEAN' THEN if(j ->> '$' = 'true', '1', '0')
             ELSE trino_number_text(trino_json_text(j)) END""",
    r"""trino_json_integer(j) AS
        CASE WHEN json_type(j) = 'DOUBLE' THEN CAST(CAST(round(CAST(j ->> '$' AS DOUBLE)) AS HUGEINT) AS VARCHAR)
             WHEN json_type(j) = 'BOOLEAN' THEN if(j ->> '$' = 'true', '1', '0')
             ELSE trino_integer_text(trino_json_text(j)) END""",
    # The fewest digits that mean a real; DuckDB's text has more where it needs no exponent.
    r"""trino_real_digits(x) AS
        CAST(CASE WHEN CAST(printf('%.6e', CAST(x AS DOUBLE)) AS FLOAT) = x
                  THEN CAST(printf('%.6e', CAST(x AS DOUBLE)) AS DOUBLE)
                  WHEN CAST(printf('%.7e', CAST(x AS DOUBLE)) AS FLOAT) = x
                  THEN CAST(printf('%.7e', CAST(x AS DOUBLE)) AS DOUBLE)
                  ELSE CAST(printf('%.8e', CAST(x AS DOUBLE)) AS DOUBLE) END AS VARCHAR)""",
    # A decimal without digits before the point.
    r"""trino_fraction_text(x) AS regexp_replace(CAST(x AS VARCHAR), '^(-?)[.]', '\10.')""",
    # Half away from zero, as Trino divides decimals.
    r"""trino_rounded_quotient(n, d) AS
        if((n < 0) = (d < 0), 1, -1)
        * (abs(n) // abs(d) + if(abs(n) % abs(d) >= abs(d) - abs(n) % abs(d), 1, 0))""",
    # Texts joined by a separator that is not known before; NULLs are left out.
    r"""trino_joined(a, d) AS
        CASE WHEN d IS NOT NULL AND list_count(a) = 0 THEN '' WHEN d IS NOT NULL THEN list_reduce(
            list_filter(a, lambda "m#": "m#" IS NOT NULL), lambda "n#", "o#": "n#" || d || "o#") END""",
    r"""trino_regexp_position(s, p, i, n) AS
        CASE WHEN regexp_full_match('', p)
             THEN CAST('A pattern that matches the empty text has no position here' AS INTEGER) WHEN i < 1 OR n < 1
                 THEN CAST('The start and the occurrence of regexp_position are 1 or more' AS INTEGER)
             WHEN s IS NULL OR p IS NULL OR i IS NULL OR n IS NULL THEN NULL WHEN i > length(s) THEN -1
             WHEN len(regexp_extract_all(substr(s, i), p)) < n THEN -1
             ELSE CAST(i + length(regexp_extract(substr(s, i), '(?s)^((?:.*?(?:' || p || ')){' || CAST(n - 1 AS VARCHAR)
                || '}.*?)(?:' || p || ')', 1)) AS INTEGER) END""",
    # A format that is not known before; an unknown conversion is its letter (Trino documentation,
    # "MySQL date functions").
    r"""trino_date_format(v, f) AS
        if(f IS NULL OR v IS NULL, NULL, array_to_string(list_transform(regexp_extract_all(f, '(?s)%.|[^%]+'), lambda
            "m#":
            CASE "m#" """
    + "\n            ".join(f"WHEN '%{letter}' THEN strftime(v, '{code}')" for letter, code in MYSQL.items())
    + r"""
            ELSE if(regexp_full_match("m#", '%[DUuVwX]'),
                CAST(CAST('Not supported in a date format here: ' || "m#" AS INTEGER) AS VARCHAR), ltrim("m#", '%'))
                    END), ''))""",
    r"""trino_from_base32(x) AS
        unhex(if(regexp_full_match(x, '[A-Z2-7]*'), array_to_string(list_transform(range(0, length(x) * 5 // 8),
            lambda "m#": printf('%02X', CAST(CAST(substr(array_to_string(list_transform(string_split(x, ''),
                lambda "n#": right(CAST(CAST(strpos('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', "n#") - 1 AS BIT) AS VARCHAR),
                    5)), ''),
                "m#" * 8 + 1, 8) AS BIT) AS INTEGER))), ''),
            CAST(CAST('from_base32 takes letters, 2 to 7 and =' AS INTEGER) AS VARCHAR)))""",
    r"""trino_day_to_second_text(ms) AS
        if(ms < 0, '-', '') || printf('%d %02d:%02d:%02d.%03d', abs(ms) // 86400000, abs(ms) // 3600000 % 24,
            abs(ms) // 60000 % 60, abs(ms) // 1000 % 60, abs(ms) % 1000)""",
    r"""trino_year_to_month_text(m) AS if(m < 0, '-', '') || printf('%d-%d', abs(m) // 12, abs(m) % 12)""",
    r"""trino_duration(x) AS
        to_milliseconds(CAST(round(CAST(if(regexp_full_match(x, '\s*[0-9]+([.][0-9]+)?\s*(ns|us|ms|s|m|h|d)\s*'),
            regexp_extract(x, '[0-9.]+'), 'Not a duration such as 3.81 d or 10 ms: ' || x) AS DECIMAL(28, 10))
            * CASE trim(regexp_extract(x, '[a-z]+')) WHEN 'ns' THEN 0.000001 WHEN 'us' THEN 0.001 WHEN 'ms' THEN 1
              WHEN 's' THEN 1000 WHEN 'm' THEN 60000 WHEN 'h' THEN 3600000 ELSE 86400000 END) AS BIGINT))""",
    # Three digits and a unit; a half is rounded up. Trino documentation, "Conversion functions": format_number.
    r"""trino_format_number(x) AS
        CASE WHEN x IS NULL THEN NULL ELSE list_extract(list_transform(
            [len(list_filter([1e3, 1e6, 1e9, 1e12, 1e15], lambda "m#": abs(CAST(x AS DOUBLE)) >= "m#"))], lambda "n#":
            if(x < 0, '-', '') || regexp_replace(regexp_replace(CAST(CAST(round(abs(CAST(x AS DOUBLE)) / pow(1000,
                "n#"),
                CASE WHEN "n#" = 5 AND abs(CAST(x AS DOUBLE)) >= 1e18 THEN 2
                     WHEN abs(CAST(x AS DOUBLE)) / pow(1000, "n#") >= 100 THEN 0
                     WHEN abs(CAST(x AS DOUBLE)) / pow(1000, "n#") >= 10 THEN 1 ELSE 2 END) AS DECIMAL(38, 2)) AS
                         VARCHAR),
                '0+$', ''), '[.]$', '') || ['', 'K', 'M', 'B', 'T', 'Q']["n#" + 1]), 1) END""",
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
    # Trino documentation, "Array functions and operators": at most 10,000 entries, in the direction of the step.
    r"""trino_sequence_step(a, b, step, steps) AS
        CASE WHEN step = 0 OR (b > a AND step < 0) OR (b < a AND step > 0)
             THEN CAST('The step of sequence must lead from its start to its end' AS BIGINT)
             WHEN steps >= 10000 THEN CAST('sequence gives at most 10000 entries' AS BIGINT) ELSE step END""",
    r"""trino_whole_days(step) AS
        CASE WHEN datepart('hour', step) <> 0 OR datepart('minute', step) <> 0 OR datepart('microsecond', step) <> 0
             THEN CAST(CAST('The step of a sequence of dates must be whole days' AS INTEGER) AS INTERVAL) ELSE step
                 END""",
    r"""trino_series(a, b, step) AS
        CASE WHEN a + step = a OR (b > a AND a + step < a) OR (b < a AND a + step > a)
             THEN [CAST(CAST('The step of sequence must lead from its start to its end' AS INTEGER) AS TIMESTAMP)]
             WHEN (b >= a AND a + step * 10000 <= b) OR (b < a AND a + step * 10000 >= b)
             THEN [CAST(CAST('sequence gives at most 10000 entries' AS INTEGER) AS TIMESTAMP)]
             ELSE generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP), step) END""",
    r"""trino_slice(a, i, n) AS
        if(-i > len(a), [], list_slice(a, if(i < 0, len(a) + i + 1, i), if(i < 0, len(a) + i, i - 1) + n))""",
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
