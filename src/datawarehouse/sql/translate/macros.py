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

from datawarehouse.sql.translate.addresses import ADDRESSES
from datawarehouse.sql.translate.formats import MYSQL
from datawarehouse.sql.translate.hashes import HASHES
from datawarehouse.sql.translate.sketches import SKETCH_MACROS

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
                x, '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}( ([01]?[0-9]|2[0-3]):[0-9]{1,2}(:[0-9]{1,2}([.][0-9]+)?)?)?')
             THEN 'Cannot cast to timestamp: ' || x
             WHEN NOT regexp_matches(x, '[.][0-9]{4}') THEN x
             ELSE coalesce(CAST(date_trunc('milliseconds', TRY_CAST(x AS TIMESTAMP) + to_microseconds(500)) AS VARCHAR),
                           'Cannot cast to timestamp: ' || x) END""",
    r"""trino_rounded_time(x, unit) AS
        (x + to_microseconds(unit // 2 - ((epoch_us(x) + unit // 2) % unit + unit) % unit))""",
    # As many digits as the type has, the rest is rounded: DuckDB reads six.
    r"""trino_long_timestamp(x, n) AS
        CASE WHEN NOT regexp_full_match(
                x, '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}( ([01]?[0-9]|2[0-3]):[0-9]{1,2}(:[0-9]{1,2}([.][0-9]+)?)?)?')
             THEN 'Cannot cast to timestamp: ' || x
             ELSE coalesce(CAST(trino_rounded_time(
                      TRY_CAST(regexp_replace(x, '([.][0-9]{6})[0-9]+$', '\1') AS TIMESTAMP)
                          + to_microseconds(if(regexp_matches(x, '[.][0-9]{6}[5-9]') AND n = 6, 1, 0)),
                      CAST(power(10, 6 - n) AS BIGINT)) AS VARCHAR), 'Cannot cast to timestamp: ' || x) END""",
    # Trino is a second early where there is a fraction before 1970.
    r"""trino_time_of(x) AS
        (CAST(x AS TIME) - to_seconds(if(epoch_us(x) < 0 AND epoch_us(x) % 1000000 <> 0, 1, 0)))""",
    r"""trino_time(x, n) AS
        CASE WHEN x IS NULL THEN NULL
             WHEN NOT regexp_full_match(x, '[0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}([.][0-9]+)?)?\s*')
                  OR CAST(string_split(x, ':')[1] AS INTEGER) > 23 OR CAST(string_split(x, ':')[2] AS INTEGER) > 59
                  OR coalesce(TRY_CAST(substr(string_split(x, ':')[3], 1, 2) AS INTEGER), 0) > 59
             THEN 'Cannot cast to time: ' || x
             ELSE CAST(TIME '00:00:00' + to_microseconds((CAST(string_split(x, ':')[1] AS BIGINT) * 3600000000
                  + CAST(string_split(x, ':')[2] AS BIGINT) * 60000000
                  + CAST(round(CAST(coalesce(rtrim(string_split(x, ':')[3]), '0') AS DECIMAL(30, 12)), n) * 1000000
                      AS BIGINT))
                  % 86400000000) AS VARCHAR) END""",
    r"""trino_time_text(x, n) AS
        substr(rpad(CAST(x AS VARCHAR) || if(length(CAST(x AS VARCHAR)) = 8, '.', ''), 15, '0'), 1,
            if(n = 0, 8, 9 + n))""",
    # The first one, if the clock showed the local time twice; DuckDB gives the last.
    r"""trino_instant(x, zone) AS
        if(((x AT TIME ZONE zone) - to_hours(1)) AT TIME ZONE zone = x, (x AT TIME ZONE zone) - to_hours(1),
            x AT TIME ZONE zone)""",
    r"""trino_shown_instant(x, zone) AS
        if(trino_instant(x, zone) AT TIME ZONE zone = x, trino_instant(x, zone),
            CAST('The clock skipped this time: ' || CAST(x AS VARCHAR) || ' ' || zone AS TIMESTAMPTZ))""",
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
    # A number in the form in which CAST reads a decimal: without blanks around it.
    r"""trino_decimal_text(x) AS
        if(regexp_matches(x, '^\s|\s$'), 'Cannot cast to a decimal: ' || x, trino_number_text(x))""",
    # low is less than high.
    r"""trino_bucket(x, low, high, n) AS
        CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1 ELSE CAST(trunc(n * (x - low) / (high - low) + 1) AS BIGINT)
            END""",
    r"""trino_offset(n, least) AS
        if(n < least, CAST('The offset of a window function must be at least ' || CAST(least AS VARCHAR) AS BIGINT),
            n)""",
    r"""trino_finite(x) AS CASE WHEN isfinite(x) THEN x END""",
    # DuckDB's is that of a sample, Trino's that of all values.
    r"""trino_skewness(x, n) AS CASE WHEN n >= 3 THEN x * (n - 2) / sqrt(CAST(n AS DOUBLE) * (n - 1)) END""",
    # Wilson's score interval; Trino documentation, "Mathematical functions and operators".
    r"""trino_wilson(k, n, z, side) AS
        CASE WHEN k IS NULL OR n IS NULL OR z IS NULL THEN NULL WHEN k < 0 OR n <= 0 OR k > n OR z < 0
             THEN CAST('Wilson intervals take 0 to n successes of n trials, n above 0, and a z of 0 or more' AS DOUBLE)
             ELSE list_extract(list_transform([k / CAST(n AS DOUBLE)], lambda "wi#":
                ("wi#" + z * z / (2 * n) + side * z * sqrt(("wi#" * (1 - "wi#") + z * z / (4e0 * n)) / n))
                / (1 + z * z / n)), 1) END""",
    # JSON in the form that CAST reads.
    # DuckDB reads a comma before the end of an array or object, and NaN and infinity, which are no JSON.
    r"""trino_strict_json(x) AS
        CASE WHEN regexp_matches(x, '(?i),\s*[\]}]|nan|inf')
                  AND regexp_matches(regexp_replace(x, '"(?:[^"\\]|\\.)*"', '""', 'g'), '(?i),\s*[\]}]|nan|inf')
             THEN 'no JSON' ELSE x END""",
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
    r"""trino_json_decimal(j) AS
        if(regexp_matches(j ->> '$', '^\s|\s$'), 'Cannot cast to a decimal: ' || (j ->> '$'), trino_json_number(j))""",
    r"""trino_json_integer(j) AS
        CASE WHEN json_type(j) = 'DOUBLE' AND coalesce(abs(TRY_CAST(j ->> '$' AS DOUBLE)) < 1e19, FALSE)
             THEN CAST(CAST(round(CAST(j ->> '$' AS DOUBLE)) AS HUGEINT) AS VARCHAR)
             WHEN json_type(j) = 'BOOLEAN' THEN if(j ->> '$' = 'true', '1', '0')
             ELSE trino_integer_text(trino_json_text(j)) END""",
    r"""trino_json_truth(j) AS
        CASE WHEN json_type(j) = 'UBIGINT' AND CAST(j ->> '$' AS HUGEINT) > 9223372036854775807
                  OR json_type(j) = 'DOUBLE' AND (regexp_full_match(j ->> '$', '-?[0-9]+')
                      OR NOT coalesce(isfinite(TRY_CAST(j ->> '$' AS DOUBLE)), FALSE))
             THEN 'Cannot cast to boolean: ' || (j ->> '$')
             WHEN json_type(j) IN ('BIGINT', 'UBIGINT', 'DOUBLE')
             THEN if(CAST(j ->> '$' AS DOUBLE) = 0, 'false', 'true')
             WHEN lower(trino_json_text(j)) IN ('t', 'true', '1', 'f', 'false', '0') THEN trino_json_text(j)
             ELSE 'Cannot cast to boolean: ' || trino_json_text(j) END""",
    # DuckDB reads a JSON number as a double or as 64 bits; what has more digits would become another decimal.
    r"""trino_json_exact(j) AS
        if(len(list_filter(regexp_extract_all(regexp_replace(CAST(j AS VARCHAR), '"(?:[^"\\]|\\.)*"', '', 'g'),
               '[0-9]+[.][0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]{20,}'), lambda "je#": length("je#") > 16
               AND CAST(CAST("je#" AS DOUBLE) AS VARCHAR) <> rtrim("je#", '0'))) > 0,
           CAST(CAST('Not supported in JSON that is cast to decimals: a number with more than 15 digits' AS INTEGER)
                AS JSON), j)""",
    # A member of a JSON object; its name may have other capitals if there is none that is written so.
    r"""trino_json_member(j, path, name) AS
        coalesce(json_extract(j, path), json_extract(j, '$."' || replace(list_extract(list_filter(json_keys(j),
            lambda "jm#": lower("jm#") = name), 1), '"', '\"') || '"'))""",
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
    # A path of json_extract that is not known before: names and positions.
    r"""trino_json_path(p) AS
        CASE WHEN regexp_full_match(p, '[$]([.][A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\])*')
             THEN regexp_replace(p, '[.]([A-Za-z0-9_]+)', '."\1"', 'g')
             WHEN p IS NOT NULL THEN CAST(CAST('Not supported in the place of a JSON path here, which has names and '
                || 'positions: ' || p AS INTEGER) AS VARCHAR) END""",
    # A replacement of regexp_replace that is not known before: $1 is a group.
    r"""trino_replacement(r) AS
        CASE WHEN regexp_full_match(r, '(?s)(\\.|[$][0-9]|[^\\$])*') AND NOT regexp_matches(r, '[$][0-9][0-9]')
             THEN coalesce(array_to_string(list_transform(
                regexp_extract_all(r, '(?s)\\.|[$][0-9]|[^\\$]+'), lambda "re#":
                CASE left("re#", 1) WHEN '$' THEN '\' || substr("re#", 2)
                WHEN '\' THEN if("re#" = '\\', '\\', substr("re#", 2)) ELSE "re#" END), ''), '')
             WHEN r IS NOT NULL THEN CAST(CAST('Not supported as a replacement here, a group is $ and one digit: ' || r
                AS INTEGER) AS VARCHAR) END""",
    # How many groups a pattern has: its parentheses without those of (?:...) and of classes, and those that are quoted.
    r"""trino_group_count(p) AS
        list_extract(list_transform([regexp_replace(regexp_replace(p, '(?s)\\Q.*?(?:\\E|$)|\\.', '', 'g'),
            '\[\^?\]?[^\]]*\]', '', 'g')], lambda "gc#":
            length("gc#") - length(replace("gc#", '(', '')) - len(regexp_extract_all("gc#",
                '\(\?(?:[^P<]|P[^<]|<[=!])'))), 1)""",
    # Texts joined by a separator that is not known before; NULLs are left out.
    r"""trino_joined(a, d) AS
        CASE WHEN d IS NOT NULL AND list_count(a) = 0 THEN '' WHEN d IS NOT NULL THEN list_reduce(
            list_filter(a, lambda "m#": "m#" IS NOT NULL), lambda "n#", "o#": "n#" || d || "o#") END""",
    r"""trino_regexp_position(s, p, i, n) AS
        CASE WHEN s IS NULL OR p IS NULL OR i IS NULL OR n IS NULL THEN NULL WHEN regexp_full_match('', p)
             THEN CAST('A pattern that matches the empty text has no position here' AS INTEGER) WHEN i < 1 OR n < 1
                 THEN CAST('The start and the occurrence of regexp_position are 1 or more' AS INTEGER)
             WHEN i > length(s) THEN -1
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
        unhex(if(x IS NULL OR (regexp_full_match(x, '[A-Z2-7]*') AND length(x) % 8 IN (0, 2, 4, 5, 7)),
            array_to_string(list_transform(range(0, length(x) * 5 // 8),
            lambda "m#": printf('%02X', CAST(CAST(substr(array_to_string(list_transform(string_split(x, ''),
                lambda "n#": right(CAST(CAST(strpos('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', "n#") - 1 AS BIT) AS VARCHAR),
                    5)), ''),
                "m#" * 8 + 1, 8) AS BIT) AS INTEGER))), ''),
            CAST(CAST('from_base32 takes letters in capitals, 2 to 7 and = for whole bytes' AS INTEGER)
                AS VARCHAR)))""",
    r"""trino_from_hex(x) AS
        CASE WHEN regexp_full_match(x, '([0-9A-Fa-f]{2})*') THEN unhex(x) WHEN x IS NOT NULL
             THEN CAST(CAST('from_hex takes an even number of digits from 0 to F' AS INTEGER) AS BLOB) END""",
    # As java.util.Base64 reads it: the = at the end may be missing. two: the signs after the digits.
    r"""trino_from_base64(x, two) AS
        CASE WHEN regexp_full_match(x, if(two = '+/', '[A-Za-z0-9+/]*={0,2}', '[A-Za-z0-9_-]*={0,2}'))
                  AND length(rtrim(x, '=')) % 4 <> 1 AND (length(x) % 4 = 0 OR NOT contains(x, '='))
             THEN from_base64(rpad(translate(rtrim(x, '='), '-_', '+/'),
                CAST((length(rtrim(x, '=')) + 3) // 4 * 4 AS INTEGER), '='))
             WHEN x IS NOT NULL THEN CAST(CAST('Not a text in base 64: ' || x AS INTEGER) AS BLOB) END""",
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
                CASE WHEN x < 0 THEN 2
                     WHEN abs(CAST(x AS DOUBLE)) / pow(1000, "n#") >= 100 THEN 0
                     WHEN abs(CAST(x AS DOUBLE)) / pow(1000, "n#") >= 10 THEN 1 ELSE 2 END) AS DECIMAL(38, 2)) AS
                         VARCHAR),
                '0+$', ''), '[.]$', '') || ['', 'K', 'M', 'B', 'T', 'Q']["n#" + 1]), 1) END""",
    # Each letter of `x` as a letter of ASCII that stands for it among those of `every`; these functions count bytes.
    r"""trino_letters(x, every) AS
        CASE WHEN length(every) = strlen(every) THEN x
             WHEN len(list_distinct(string_split(every, ''))) <= 94
             THEN translate(x, array_to_string(list_sort(list_distinct(string_split(every, ''))), ''),
                substr('"""
    + "".join(map(chr, range(33, 127))).replace("'", "''")
    + r"""', 1,
                    len(list_distinct(string_split(every, '')))))
             WHEN every IS NOT NULL
             THEN CAST(CAST('More than 94 different letters are not supported here' AS INTEGER) AS VARCHAR) END""",
    r"""trino_levenshtein(x, y) AS
        CASE WHEN length(x) * (length(y) - 1) > 1000000
             THEN CAST('The texts of levenshtein_distance are too long' AS BIGINT)
             WHEN x = '' OR y = '' THEN length(x || y)
             ELSE levenshtein(trino_letters(x, x || y), trino_letters(y, x || y)) END""",
    # Trino documentation, "String functions and operators": soundex; the letters H and W part nothing.
    r"""trino_soundex(x) AS
        list_extract(list_transform([regexp_replace(upper(x), '[^\pL]', '', 'g')], lambda "so#":
            CASE WHEN NOT regexp_full_match("so#", '[A-Z]*')
                 THEN CAST(CAST('soundex takes the letters A to Z' AS INTEGER) AS VARCHAR)
                 WHEN "so#" = '' THEN ''
                 ELSE rpad(left(left("so#", 1) || replace(substr("""
    + "regexp_replace(" * 6
    + r"""translate(
                    left("so#", 1) || regexp_replace(substr("so#", 2), '[HW]', '', 'g'),
                    'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '01230120022455012623010202')"""
    + "".join(f", '{code}+', '{code}', 'g')" for code in range(1, 7))
    + r""", 2), '0', ''), 4), 4, '0') END), 1)""",
    r"""trino_data_size(x) AS
        CASE WHEN x IS NOT NULL THEN CAST(CASE WHEN regexp_full_match(
                x, '([0-9]+[.]?[0-9]{0,12}|[.][0-9]{1,12})(B|kB|MB|GB|TB|PB|EB|ZB|YB)')
            THEN CAST('0' || regexp_extract(x, '^[0-9]*') AS HUGEINT) * CAST(pow(2, 10 * list_position(
                    ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'],
                    regexp_extract(x, '[a-zA-Z]+')) - 10) AS HUGEINT)
                + CAST('0' || regexp_extract(x, '[.]([0-9]*)', 1) AS HUGEINT) * CAST(pow(2, 10 * list_position(
                    ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'],
                    regexp_extract(x, '[a-zA-Z]+')) - 10) AS HUGEINT)
                    // CAST(pow(10, length(regexp_extract(x, '[.]([0-9]*)', 1))) AS HUGEINT)
            ELSE CAST('Not a size of data such as 2.3MB: ' || x AS HUGEINT) END AS DECIMAL(38, 0)) END""",
    # Position 0 and positions outside give ''.
    r"""trino_substr(s, i) AS
        CASE WHEN i > 0 OR (i < 0 AND i >= -length(s)) THEN substr(s, least(i, 4294967295)) WHEN i IS NOT NULL
             THEN substr(s, 1, 0) END""",
    r"""trino_split(s, d) AS
        CASE WHEN d = '' THEN [CAST(CAST('The delimiter may not be empty' AS INTEGER) AS VARCHAR)]
             WHEN d IS NOT NULL THEN string_split(s, d) END""",
    r"""trino_array_index(a, i) AS
        CASE WHEN a IS NULL OR i IS NULL THEN NULL WHEN i BETWEEN 1 AND len(a) THEN i
             ELSE CAST('Array subscript is out of bounds: ' || CAST(i AS VARCHAR) AS BIGINT) END""",
    # With a NULL element the greatest element is unknown, and so is whether a value is contained.
    r"""trino_whole(a) AS CASE WHEN list_count(a) = len(a) THEN a END""",
    # NaN is the greatest of an array that has nothing else.
    r"""trino_list_max(a) AS
        CASE WHEN isnan(list_max(a)) THEN coalesce(list_max(list_filter(a, lambda "m#": NOT isnan("m#"))), list_max(a))
             ELSE list_max(a) END""",
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
    # Of constants the engine computes each branch: the end is near where there are too many entries.
    r"""trino_series(a, b, step) AS
        CASE WHEN a + step = a OR (b > a AND a + step < a) OR (b < a AND a + step > a)
             THEN [CAST(CAST('The step of sequence must lead from its start to its end' AS INTEGER) AS TIMESTAMP)]
             WHEN trino_is_long(a, b, step)
             THEN [CAST(CAST('sequence gives at most 10000 entries' AS INTEGER) AS TIMESTAMP)]
             WHEN a + step > CAST(a AS TIMESTAMP) + to_days(27) OR a + step < CAST(a AS TIMESTAMP) - to_days(27)
             THEN list_filter(list_transform(range(0, len(generate_series(CAST(a AS TIMESTAMP),
                    CAST(if(trino_is_long(a, b, step), a, b) AS TIMESTAMP), step)) + 1),
                    lambda "se#": CAST(a AS TIMESTAMP) + step * "se#"), lambda "sf#":
                    if(b >= a, "sf#" <= b, "sf#" >= b))
             ELSE generate_series(CAST(a AS TIMESTAMP), CAST(if(trino_is_long(a, b, step), a, b) AS TIMESTAMP), step)
                 END""",
    r"""trino_is_long(a, b, step) AS ((b >= a AND a + step * 10000 <= b) OR (b < a AND a + step * 10000 >= b))""",
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
                        ' (\d\d)(Z|[+-].*)?$', ' \1:00\2'), '([.]\d{6})\d+| $', '\1')
                 ELSE 'Not an ISO 8601 timestamp: ' || x END AS TIMESTAMPTZ))""",
    r"""trino_iso_utc(x) AS
        CASE WHEN regexp_matches(x, 'T.*[+-][0-9:]+$') AND NOT regexp_matches(x, '[+-]00(:?00)?$')
             THEN CAST('Not in UTC, write ... AT TIME ZONE ''UTC'': ' || x AS TIMESTAMPTZ)
             ELSE trino_iso_instant(x) END""",
    # The scalars of a JSON value with the ways to them, in order: the same for equal values. A round opens one level.
    r"""trino_json_leaves(x) AS
        CASE WHEN x IS NOT NULL THEN list_sort(list_transform(list_reduce(
            range(least(40, length(CAST(x AS VARCHAR)) - length(translate(CAST(x AS VARCHAR), '[{', '')))),
            lambda "ja#", "jb#": flatten(list_transform("ja#", lambda "jc#": CASE json_type("jc#"[2])
                WHEN 'OBJECT' THEN if(json_keys("jc#"[2]) = [], ["jc#"], list_transform(list_zip(
                    if(len(list_distinct(json_keys("jc#"[2]))) = len(json_keys("jc#"[2])), json_keys("jc#"[2]),
                        [CAST(CAST('JSON with the same key twice is not supported here' AS INTEGER) AS VARCHAR)]),
                    json_extract("jc#"[2], '$.*')),
                    lambda "jd#": row("jc#"[1] || '.' || CAST(to_json("jd#"[1]) AS VARCHAR), "jd#"[2])))
                WHEN 'ARRAY' THEN if(json_array_length("jc#"[2]) = 0, ["jc#"], list_transform(list_zip(
                    range(CAST(json_array_length("jc#"[2]) AS BIGINT)), json_extract("jc#"[2], '$[*]')),
                    lambda "je#": row("jc#"[1] || '[' || CAST("je#"[1] AS VARCHAR) || ']', "je#"[2])))
                ELSE ["jc#"] END)), [row('', x)]),
            lambda "jf#": "jf#"[1] || '=' || if(CAST("jf#"[2] AS VARCHAR) IN ('[]', '{}') OR json_type("jf#"[2]) NOT IN
                ('OBJECT', 'ARRAY'), CAST("jf#"[2] AS VARCHAR),
                CAST(CAST('JSON with more than 40 levels is not supported here' AS INTEGER) AS VARCHAR)))) END""",
    # Paths of SQL/JSON, see `json_paths`: lists of JSON values, NULL where the path fails.
    r"""trino_path_joined(l) AS
        list_extract(list_transform([l], lambda "pa#":
            CASE WHEN list_count("pa#") = len("pa#") THEN flatten("pa#") END), 1)""",
    r"""trino_path_apart(s) AS
        flatten(list_transform(s, lambda "pb#":
            if(json_type("pb#") = 'ARRAY', json_extract("pb#", '$[*]'), ["pb#"])))""",
    r"""trino_path_slice(e, i, j) AS
        CASE WHEN len(e) = 0 THEN e WHEN i IS NULL OR j IS NULL THEN NULL
             WHEN i <= j AND j >= 0 AND i < len(e) THEN list_slice(e, greatest(i, 0) + 1, least(j, len(e) - 1) + 1)
             ELSE CAST([] AS JSON[]) END""",
    r"""trino_path_strict_slice(e, i, j) AS
        CASE WHEN i >= 0 AND i <= j AND j < len(e) THEN list_slice(e, i + 1, j + 1) END""",
    r"""trino_path_number(s) AS
        list_extract(list_transform([s], lambda "pc#": CASE WHEN len("pc#") = 1 THEN CASE json_type("pc#"[1])
            WHEN 'BIGINT' THEN CAST("pc#"[1] ->> '$' AS HUGEINT)
            WHEN 'UBIGINT' THEN CASE WHEN CAST("pc#"[1] ->> '$' AS HUGEINT) <= 9223372036854775807
                THEN CAST("pc#"[1] ->> '$' AS HUGEINT) END
            WHEN 'DOUBLE' THEN CAST('Arithmetic in a JSON path takes whole numbers here' AS HUGEINT) END END), 1)""",
    # Two integers make an integer, and others a bigint; what does not fit fails.
    r"""trino_path_whole(v, a, b) AS
        CASE WHEN v BETWEEN if(a BETWEEN -2147483648 AND 2147483647 AND b BETWEEN -2147483648 AND 2147483647,
                               -2147483648, -9223372036854775808)
                        AND if(a BETWEEN -2147483648 AND 2147483647 AND b BETWEEN -2147483648 AND 2147483647,
                               2147483647, 9223372036854775807)
             THEN [CAST(CAST(v AS VARCHAR) AS JSON)] END""",
    r"""trino_path_position(s) AS
        list_extract(list_transform([s], lambda "pd#": CASE WHEN len("pd#") = 1 THEN CASE json_type("pd#"[1])
            WHEN 'BIGINT' THEN CAST("pd#"[1] ->> '$' AS BIGINT)
            WHEN 'UBIGINT' THEN TRY_CAST("pd#"[1] ->> '$' AS BIGINT)
            WHEN 'DOUBLE' THEN CAST('A position in a JSON path is a whole number here' AS BIGINT) END END), 1)""",
    # -1, 0, 1 for less, equal, greater; 10 two nulls, 11 one null, 12 other types, 13 an array or an object.
    r"""trino_json_order(a, b) AS
        CASE WHEN json_type(a) = 'NULL' AND json_type(b) = 'NULL' THEN 10
             WHEN json_type(a) = 'NULL' OR json_type(b) = 'NULL' THEN 11
             WHEN json_type(a) IN ('OBJECT', 'ARRAY') OR json_type(b) IN ('OBJECT', 'ARRAY') THEN 13
             WHEN json_type(a) IN ('VARCHAR', 'BOOLEAN') OR json_type(b) IN ('VARCHAR', 'BOOLEAN')
             THEN CASE WHEN json_type(a) <> json_type(b) THEN 12 WHEN a ->> '$' < b ->> '$' THEN -1
                       WHEN a ->> '$' = b ->> '$' THEN 0 ELSE 1 END
             WHEN json_type(a) <> 'DOUBLE' AND json_type(b) <> 'DOUBLE'
             THEN sign(CAST(a ->> '$' AS HUGEINT) - CAST(b ->> '$' AS HUGEINT))
             WHEN CAST(a ->> '$' AS DOUBLE) < CAST(b ->> '$' AS DOUBLE) THEN -1
             WHEN CAST(a ->> '$' AS DOUBLE) = CAST(b ->> '$' AS DOUBLE) THEN 0 ELSE 1 END""",
    r"""trino_path_orders(l, r) AS
        list_extract(list_transform([row(l, r)], lambda "pe#": flatten(list_transform("pe#"[1], lambda "pf#":
            list_transform("pe#"[2], lambda "pg#": trino_json_order("pf#", "pg#"))))), 1)""",
    r"""trino_path_lax(c) AS
        list_extract(list_transform([c], lambda "ph#": CASE WHEN "ph#" IS NULL OR list_contains("ph#", 3) THEN NULL
            WHEN list_contains("ph#", 4) THEN TRUE
            ELSE CASE list_extract(list_filter("ph#", lambda "pi#": "pi#" <> 0), 1) WHEN 1 THEN TRUE WHEN 2 THEN NULL
                 ELSE FALSE END END), 1)""",
    r"""trino_path_strict(c) AS
        list_extract(list_transform([c], lambda "pj#": CASE WHEN "pj#" IS NULL OR list_has_any("pj#", [2, 3]) THEN NULL
            ELSE list_has_any("pj#", [1, 4]) END), 1)""",
)

# Hexadecimal digits, cut into what the first byte says to be one character of UTF-8, as far as its bytes go.
_UTF8 = "|".join(
    (
        "[CD].(?:[89AB].)?",
        "E.(?:[89AB].){0,2}",
        "F[0-7](?:[89AB].){0,3}",
        "F[89AB](?:[89AB].){0,4}",
        "F[CD](?:[89AB].){0,5}",
        "..",
    )
)
# What is a character (RFC 3629).
_CHARACTER = "|".join(
    (
        "[0-7].",
        "(?:C[2-9A-F]|D.)[89AB].",
        "(?:E0[AB].|E[1-9A-CEF][89AB].|ED[89].)[89AB].",
        "(?:F0[9AB].|F[1-3][89AB].|F48.)(?:[89AB].){2}",
    )
)
_FROM_UTF8 = f"""trino_from_utf8_with(value, other) AS coalesce(try(decode(value)),
    decode(unhex(array_to_string(list_transform(regexp_extract_all(hex(value), '{_UTF8}'),
    lambda cut: if(regexp_full_match(cut, '{_CHARACTER}'), cut, other)), ''))))"""

_FROM_UTF8_PLAIN = "trino_from_utf8(value) AS trino_from_utf8_with(value, 'EFBFBD')"


SETTING = "SET GLOBAL TimeZone = 'UTC'"
"""For an in-memory database, before its configuration is locked; then for all of its connections."""

_STATEMENTS = {
    macro.partition("(")[0]: f"CREATE MACRO IF NOT EXISTS {macro}"
    for macro in (*_MACROS, _FROM_UTF8, _FROM_UTF8_PLAIN, *HASHES, *SKETCH_MACROS, *ADDRESSES)
}
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
