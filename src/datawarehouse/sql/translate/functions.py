"""The functions that a statement may call: for each its Trino signature and, after two blanks, its DuckDB expression.

Signatures are Trino's. `fn(A):B` is a lambda, `A...` one argument or more. A capital letter is a type variable:
I an integer type, F real or double, N any number, D a date or a timestamp, M a timestamp, P one without a zone, Z one
with a zone, H a time of day, Y an interval, others any type. Of several lines for a name the first that fits without a
coercion is taken, else the first that fits with one. For D and M a time in a zone is its local time.

In the expression `$1` is the first argument, `$*` all of them with commas, `{A}` DuckDB's name for the type A; for
aggregates and windows `$d` is DISTINCT, `$o` ORDER BY, `$i` IGNORE NULLS, and `$w` FILTER and OVER. An expression that
begins with `!` is NULL if an argument is. A line that begins with a blank continues the line before it.

Functions that need more than an expression (units, formats, paths, several lambda parameters) are in `calls.SPECIALS`.
Source: Trino documentation, "Functions and operators"; Amazon Athena user guide, "Functions in Amazon Athena".
"""

from __future__ import annotations

# Character.isWhitespace of Java, which Trino's trim removes; DuckDB's trim removes blanks only.
_SPACES = (*range(9, 14), *range(28, 33), 0x1680, *range(0x2000, 0x2007), *range(0x2008, 0x200B), 0x2028, 0x2029)
_SPACE = f"concat({', '.join(f'chr({code})' for code in (*_SPACES, 0x205F, 0x3000))})"
# A part of a URL, '' if the URL does not have it, NULL if java.net.URI would refuse the text.
_URI = r"""CASE WHEN regexp_full_match($1, '[^\s"<>\\^`{|}]*') THEN coalesce(regexp_extract($1, '%s', 1), '') END"""
# mailto:a@b.c and the like: java.net.URI gives such a URL no parts but its fragment.
_OPAQUE = "regexp_matches($1, '^[^:/?#]+:[^/#]')"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_AUTHORITY = r"^(?:[^:/?#]+:)?(?://(?:[^/?#@]*@)?%s)"

SCALARS = rf"""
# Comparison and conditions
if(boolean, T) -> T                                 CASE WHEN $1 THEN $2 END
if(boolean, T, T) -> T                              CASE WHEN $1 THEN $2 ELSE $3 END
coalesce(T, T...) -> T                              coalesce($*)
greatest(F...) -> F                                 trino_list_max(trino_whole([$*]))
greatest(T...) -> T                                 list_max(trino_whole([$*]))
least(T...) -> T                                    list_min(trino_whole([$*]))

# Mathematics
abs(N) -> N                                         abs($1)
cbrt(double) -> double                              if(pow(round(cbrt($1)), 3) = $1, round(cbrt($1)), cbrt($1))
ceil(I) -> I                                        $1
ceil(F) -> F                                        ceil($1)
ceiling(I) -> I                                     $1
ceiling(F) -> F                                     ceil($1)
floor(I) -> I                                       $1
floor(F) -> F                                       floor($1)
round(I) -> I                                       $1
round(F) -> F                                       round($1)
round(I, integer) -> I
    CAST(round($1, if($1 IS NOT NULL AND $2 < -18, CAST('numerical overflow in round' AS INTEGER), $2)) AS {{I}})
round(F, integer) -> F                              round($1, $2)
truncate(F) -> F                                    trunc($1)
degrees(double) -> double                           degrees($1)
radians(double) -> double                           radians($1)
e() -> double                                       exp(1e0)
pi() -> double                                      pi()
exp(double) -> double                               exp($1)
ln(double) -> double                                ln($1)
log(double, double) -> double                       (ln($2) / ln($1))
log2(double) -> double                              (ln($1) / ln(2))
log10(double) -> double                             log10($1)
pow(double, double) -> double
    if(abs($1) = 1 AND NOT isfinite($2), CAST('nan' AS DOUBLE), pow($1, $2))
power(double, double) -> double
    if(abs($1) = 1 AND NOT isfinite($2), CAST('nan' AS DOUBLE), pow($1, $2))
sqrt(double) -> double                              sqrt($1)
format_number(I) -> varchar                         trino_format_number($1)
format_number(F) -> varchar
    !trino_format_number(if(isnan($1), 0, greatest(-9223372036854775808e0, least(9223372036854775807e0, trunc($1)))))
format_number(N) -> varchar                         trino_format_number(trunc($1))
sign(I) -> I                                        CAST(sign($1) AS {{I}})
sign(F) -> F                                        if(isnan($1), $1, CAST(sign($1) AS {{F}}))
sign(N) -> decimal(1,0)                             CAST(sign($1) AS DECIMAL(1, 0))
sin(double) -> double                               sin($1)
cos(double) -> double                               cos($1)
tan(double) -> double                               tan($1)
asin(double) -> double                              asin($1)
acos(double) -> double                              acos($1)
atan(double) -> double                              atan($1)
atan2(double, double) -> double                     atan2($1, $2)
sinh(double) -> double                              sinh($1)
cosh(double) -> double                              cosh($1)
tanh(double) -> double                              tanh($1)
is_nan(F) -> boolean                                isnan($1)
is_nan(double) -> boolean                           isnan($1)
is_finite(double) -> boolean                        isfinite($1)
is_infinite(double) -> boolean                      isinf($1)
nan() -> double                                     CAST('nan' AS DOUBLE)
infinity() -> double                                CAST('inf' AS DOUBLE)
rand() -> double                                    random()
rand(I) -> I
    !CAST(floor(random() * if($1 > 0, $1, CAST('bound must be positive' AS BIGINT))) AS {{I}})
random() -> double                                  random()
random(I) -> I
    !CAST(floor(random() * if($1 > 0, $1, CAST('bound must be positive' AS BIGINT))) AS {{I}})
random(I, I) -> I
    !CAST($1 + floor(random() * if($1 < $2, CAST($2 AS HUGEINT) - $1, CAST('start value must be less than stop value' AS
    HUGEINT))) AS {{I}})
to_base(bigint, bigint) -> varchar
    if($1 = -9223372036854775808, '-' || lower(to_base(-9223372036854775808 // -$2, CAST($2 AS INTEGER)) ||
    to_base(-(-9223372036854775808 % $2), CAST($2 AS INTEGER))),
    if($1 < 0, '-', '') || lower(to_base(abs($1), CAST($2 AS INTEGER))))
from_base(varchar, bigint) -> bigint
    CASE WHEN $2 NOT BETWEEN 2 AND 36 THEN CAST('The base of from_base is from 2 to 36' AS BIGINT) WHEN $1 IS NOT NULL
    AND $2 IS NOT NULL THEN CAST(list_reduce(list_transform(string_split(lower(ltrim($1, '-')), ''), lambda "e#":
    if(strpos('{_DIGITS}', "e#") BETWEEN 1 AND $2, CAST(strpos('{_DIGITS}', "e#") - 1 AS HUGEINT),
    CAST('Not a digit of this base: ' || "e#" AS HUGEINT))), lambda "f#", "g#": "f#" * $2 + "g#")
    * if(starts_with($1, '-'), -1, 1) AS BIGINT) END
width_bucket(double, array(double)) -> bigint
    !if(len($2) = 0 OR isnan($1) OR NOT list_bool_and(list_transform($2, lambda "e#": coalesce(isfinite("e#"), FALSE)))
    OR $2 <> list_sort($2),
    CAST('width_bucket takes a number, and bins that are finite, sorted and not empty' AS BIGINT),
    len(list_filter($2, lambda "e#": "e#" <= $1)))
width_bucket(double, double, double, bigint) -> bigint
    !CASE WHEN $2 = $3 OR $4 < 1 OR isnan($1) OR NOT isfinite($2) OR NOT isfinite($3) THEN
    CAST('width_bucket takes a number, two finite bounds that differ and at least one bucket' AS BIGINT)
    WHEN $2 < $3 THEN trino_bucket($1, $2, $3, $4) ELSE $4 - trino_bucket($1, $3, $2, $4) + 1 END
bitwise_and(bigint, bigint) -> bigint               ($1 & $2)
bitwise_or(bigint, bigint) -> bigint                ($1 | $2)
bitwise_xor(bigint, bigint) -> bigint               xor($1, $2)
bitwise_not(bigint) -> bigint                       (~$1)
bitwise_left_shift(I, bigint) -> I
    if($2 >= bit_length(CAST($1 AS BIT)), 0, CAST(CAST($1 AS BIT) << if($2 < 0,
    CAST('A shift to the left by a negative number is not supported here' AS INTEGER), CAST($2 AS INTEGER)) AS {{I}}))
bitwise_right_shift(I, bigint) -> I
    if($2 >= bit_length(CAST($1 AS BIT)), 0, CAST(CAST($1 AS BIT) >> CAST($2 AS INTEGER) AS {{I}}))
bitwise_right_shift_arithmetic(I, bigint) -> I      CAST($1 >> least($2, bit_length(CAST($1 AS BIT)) - 1) AS {{I}})
bit_count(bigint, bigint) -> bigint
    !if($2 BETWEEN 2 AND 64 AND $1 BETWEEN -(CAST(1 AS HUGEINT) << CAST($2 - 1 AS INTEGER)) AND (CAST(1 AS HUGEINT) <<
    CAST($2 - 1 AS INTEGER)) - 1, bit_count($1) - if($1 < 0, 64 - $2, 0), CAST('bit_count takes from 2 to 64 bits,
    and a number
    that they hold' AS BIGINT))
wilson_interval_lower(bigint, bigint, double) -> double  trino_wilson($1, $2, $3, -1)
wilson_interval_upper(bigint, bigint, double) -> double  trino_wilson($1, $2, $3, 1)
cosine_similarity(map(varchar, double), map(varchar, double)) -> double
    !if(list_count(map_values($1)) < cardinality($1) OR list_count(map_values($2)) < cardinality($2), NULL,
    coalesce(list_sum(list_transform(map_keys($1), lambda "e#": $1["e#"] * coalesce(map_extract_value($2, "e#"), 0))),
    0e0) / (sqrt(coalesce(list_sum(list_transform(map_values($1), lambda "e#": "e#" * "e#")), 0e0)) *
    sqrt(coalesce(list_sum(list_transform(map_values($2), lambda "e#": "e#" * "e#")), 0e0))))

# Text
lower(varchar) -> varchar                           lower($1)
upper(varchar) -> varchar
    CASE WHEN contains($1, 'ß') THEN array_to_string(list_transform(string_split($1, ''),
    lambda "e#": if("e#" = 'ß', 'ß', upper("e#"))), '') ELSE upper($1) END
length(varchar) -> bigint                           length($1)
length(varbinary) -> bigint                         octet_length($1)
trim(varchar) -> varchar                            trim($1, {_SPACE})
trim(varchar, varchar) -> varchar                   trim($1, $2)
ltrim(varchar) -> varchar                           ltrim($1, {_SPACE})
ltrim(varchar, varchar) -> varchar                  ltrim($1, $2)
rtrim(varchar) -> varchar                           rtrim($1, {_SPACE})
rtrim(varchar, varchar) -> varchar                  rtrim($1, $2)
lpad(varchar, bigint, varchar) -> varchar
    !lpad($1, if($2 < 0 OR $3 = '', CAST('The size of lpad is 0 or more, and its padding not empty' AS INTEGER),
    CAST($2 AS
    INTEGER)), $3)
rpad(varchar, bigint, varchar) -> varchar
    !rpad($1, if($2 < 0 OR $3 = '', CAST('The size of rpad is 0 or more, and its padding not empty' AS INTEGER),
    CAST($2 AS
    INTEGER)), $3)
reverse(varchar) -> varchar                         array_to_string(list_reverse(string_split($1, '')), '')
strpos(varchar, varchar) -> bigint                  strpos($1, $2)
strpos(varchar, varchar, bigint) -> bigint
    CASE WHEN $3 = 0 THEN CAST('The instance of strpos is not 0' AS BIGINT) WHEN $2 = '' THEN 1 WHEN $1 IS NOT NULL
    AND $2 IS
    NOT NULL AND $3 IS NOT NULL THEN coalesce(list_extract(list_filter(range(1, length($1) + 1), lambda "e#":
    starts_with(substr($1, "e#"), $2)), $3), 0) END
luhn_check(varchar) -> boolean
    !if(regexp_full_match($1, '[0-9]*'), $1 <> '' AND list_sum(list_transform(list_reverse(string_split($1, '')),
    lambda "e#", "f#":
    if("f#" % 2 = 1, CAST('0' || "e#" AS INTEGER), CAST('0' || "e#" AS INTEGER) * 2 - if("e#" > '4', 9, 0)))) % 10 = 0,
    CAST('luhn_check takes digits' AS BOOLEAN))
starts_with(varchar, varchar) -> boolean            starts_with($1, $2)
substr(varchar, bigint) -> varchar                  trino_substr($1, $2)
substr(varchar, bigint, bigint) -> varchar
    substr(trino_substr($1, $2), 1, if($3 < 0, 0, if($3 > 4294967295, 4294967295, $3)))
substring(varchar, bigint) -> varchar               trino_substr($1, $2)
substring(varchar, bigint, bigint) -> varchar
    substr(trino_substr($1, $2), 1, if($3 < 0, 0, if($3 > 4294967295, 4294967295, $3)))
reverse(varbinary) -> varbinary
    unhex(array_to_string(list_reverse(regexp_extract_all(hex($1), '..')), ''))
substr(varbinary, bigint) -> varbinary
    unhex(if($2 > 0, substr(hex($1), 2 * $2 - 1), if($2 < 0 AND -$2 <= octet_length($1), substr(hex($1), 2 * $2),
    substr(hex($1),
    1, 0 * $2))))
substr(varbinary, bigint, bigint) -> varbinary
    !unhex(substr(if($2 > 0, substr(hex($1), 2 * $2 - 1), if($2 < 0 AND -$2 <= octet_length($1),
    substr(hex($1), 2 * $2), substr(hex($1), 1, 0 * $2))), 1, 2 * greatest($3, 0)))
lpad(varbinary, bigint, varbinary) -> varbinary
    !unhex(lpad(hex($1), if($2 < 0 OR octet_length($3) = 0, CAST('The size of lpad is 0 or more, and its padding not
    empty' AS
    INTEGER), CAST(2 * $2 AS INTEGER)), hex($3)))
rpad(varbinary, bigint, varbinary) -> varbinary
    !unhex(rpad(hex($1), if($2 < 0 OR octet_length($3) = 0, CAST('The size of rpad is 0 or more, and its padding not
    empty' AS
    INTEGER), CAST(2 * $2 AS INTEGER)), hex($3)))
split_part(varchar, varchar, bigint) -> varchar
    list_extract(if($2 = '', string_split($1, ''), trino_split($1, $2)), if($3 <= 0, CAST('The index must be greater
    than zero' AS BIGINT), $3))
chr(bigint) -> varchar                              chr(CAST($1 AS INTEGER))
codepoint(varchar) -> integer
    if(length($1) = 1, unicode($1), if($1 IS NULL, NULL, CAST('codepoint takes a single character' AS INTEGER)))
concat_ws(varchar, array(varchar)) -> varchar       trino_joined($2, $1)
concat_ws(varchar, varchar...) -> varchar           concat_ws($*)
levenshtein_distance(varchar, varchar) -> bigint     trino_levenshtein($1, $2)
hamming_distance(varchar, varchar) -> bigint
    CASE WHEN length($1) <> length($2) THEN CAST('hamming_distance takes texts of the same length' AS BIGINT)
    WHEN $1 = '' THEN 0 ELSE hamming(trino_letters($1, $1 || $2), trino_letters($2, $1 || $2)) END
soundex(varchar) -> varchar                         trino_soundex($1)
parse_data_size(varchar) -> decimal(38,0)           trino_data_size($1)
parse_presto_data_size(varchar) -> decimal(38,0)    trino_data_size($1)
translate(varchar, varchar, varchar) -> varchar     translate($1, $2, $3)
uuid() -> uuid                                      CAST(uuid() AS VARCHAR)

# Regular expressions
regexp_like(varchar, varchar) -> boolean            regexp_matches($1, $2)
regexp_count(varchar, varchar) -> bigint            len(regexp_extract_all($1, $2))
regexp_extract(varchar, varchar) -> varchar         list_extract(regexp_extract_all($1, $2), 1)
regexp_extract(varchar, varchar, bigint) -> varchar
    list_extract(regexp_extract_all($1, $2, if($3 < 0 OR $3 > trino_group_count($2),
    CAST('The group of regexp_extract is 0 or more, and one of the pattern' AS INTEGER), CAST($3 AS INTEGER))), 1)
regexp_extract_all(varchar, varchar) -> array(varchar)  regexp_extract_all($1, $2)
regexp_extract_all(varchar, varchar, bigint) -> array(varchar)
    regexp_extract_all($1, $2, if($3 < 0 OR $3 > trino_group_count($2),
    CAST('The group of regexp_extract_all is 0 or more, and one of the pattern' AS INTEGER), CAST($3 AS INTEGER)))
regexp_position(varchar, varchar) -> integer        trino_regexp_position($1, $2, 1, 1)
regexp_position(varchar, varchar, bigint) -> integer  trino_regexp_position($1, $2, $3, 1)
regexp_position(varchar, varchar, bigint, bigint) -> integer  trino_regexp_position($1, $2, $3, $4)
regexp_split(varchar, varchar) -> array(varchar)
    !CASE WHEN $2 = '' THEN [''] || string_split($1, '') || [''] WHEN regexp_full_match('', $2) THEN
    [CAST(CAST('A pattern that matches the empty text does not split here; write + for *' AS INTEGER) AS VARCHAR)]
    ELSE string_split_regex($1, $2) END

# URLs
url_encode(varchar) -> varchar
    replace(replace(replace(url_encode($1), '%20', '+'), '%2A', '*'), '~', '%7E')
url_decode(varchar) -> varchar
    url_decode(replace(if(regexp_matches($1, '%([^0-9a-fA-F]|.[^0-9a-fA-F]|.?$)'),
    CAST(CAST('Not a text of a URL, % is followed by two hexadecimal digits' AS INTEGER) AS VARCHAR), $1), '+', ' '))
url_extract_protocol(varchar) -> varchar            {_URI % "^([A-Za-z][A-Za-z0-9+.-]*):"}
url_extract_host(varchar) -> varchar                {_URI % (_AUTHORITY % "([^/?#:]*)")}
url_extract_port(varchar) -> bigint                 TRY_CAST({_URI % (_AUTHORITY % "[^/?#:]*:([0-9]+)")} AS BIGINT)
url_extract_path(varchar) -> varchar
    if({_OPAQUE}, {_URI % "^()"}, url_decode({_URI % "^(?:[^:/?#]+:)?(?://[^/?#]*)?([^?#]*)"}))
url_extract_query(varchar) -> varchar
    if({_OPAQUE}, {_URI % "^()"}, url_decode({_URI % "^[^?#]*[?]([^#]*)"}))
url_extract_fragment(varchar) -> varchar            url_decode({_URI % "#(.*)$"})

# Dates and times
year(D) -> bigint                                   year($1)
year(interval year to month) -> bigint              datepart('year', $1)
quarter(D) -> bigint                                quarter($1)
month(D) -> bigint                                  month($1)
month(interval year to month) -> bigint             datepart('month', $1)
week(D) -> bigint                                   week($1)
week_of_year(D) -> bigint                           week($1)
year_of_week(D) -> bigint                           isoyear($1)
yow(D) -> bigint                                    isoyear($1)
day(D) -> bigint                                    day($1)
day(interval day to second) -> bigint               (epoch_ms($1) // 86400000)
day_of_month(D) -> bigint                           day($1)
day_of_week(D) -> bigint                            isodow($1)
dow(D) -> bigint                                    isodow($1)
day_of_year(D) -> bigint                            dayofyear($1)
doy(D) -> bigint                                    dayofyear($1)
hour(D) -> bigint                                   hour($1)
hour(H) -> bigint                                   hour($1)
hour(interval day to second) -> bigint              (epoch_ms($1) // 3600000 % 24)
minute(D) -> bigint                                 minute($1)
minute(H) -> bigint                                 minute($1)
minute(interval day to second) -> bigint            (epoch_ms($1) // 60000 % 60)
second(D) -> bigint                                 second($1)
second(H) -> bigint                                 second($1)
second(interval day to second) -> bigint            (epoch_ms($1) // 1000 % 60)
millisecond(D) -> bigint                            (millisecond($1) % 1000)
millisecond(H) -> bigint                            (millisecond($1) % 1000)
millisecond(interval day to second) -> bigint       (epoch_ms($1) % 1000)
to_milliseconds(interval day to second) -> bigint   epoch_ms($1)
parse_duration(varchar) -> interval day to second   trino_duration($1)
last_day_of_month(D) -> date                        last_day(CAST($1 AS DATE))
current_timezone() -> varchar                       'UTC'
to_unixtime(timestamp(3)) -> double                 epoch($1)
to_unixtime(P) -> double                            epoch($1)
to_unixtime(Z) -> double                            epoch($1)
from_iso8601_date(varchar) -> date                  CAST(trino_date_text($1) AS DATE)

# JSON
json_parse(varchar) -> json                         json(trino_strict_json($1))
json_format(json) -> varchar                        CAST($1 AS VARCHAR)
json_array_length(json) -> bigint
    CASE WHEN json_type($1) = 'ARRAY' THEN CAST(json_array_length($1) AS BIGINT) END
json_array_length(varchar) -> bigint
    CASE WHEN json_type(CASE WHEN json_valid(trino_strict_json($1)) THEN $1 END) = 'ARRAY' THEN
    CAST(json_array_length($1) AS BIGINT) END
is_json_scalar(json) -> boolean                     (json_type($1) NOT IN ('OBJECT', 'ARRAY'))
is_json_scalar(varchar) -> boolean                  (json_type(trino_strict_json($1)) NOT IN ('OBJECT', 'ARRAY'))

# Arrays
cardinality(array(E)) -> bigint                     len($1)
cardinality(map(K, V)) -> bigint                    CAST(cardinality($1) AS BIGINT)
contains(array(E), E) -> boolean                    trino_contains($1, $2)
contains(varchar, ipaddress) -> boolean             trino_network_contains($1, $2)
element_at(array(E), bigint) -> E
    list_extract($1, if($2 = 0, CAST('SQL array indices start at 1' AS BIGINT), $2))
element_at(map(K, V), K) -> V                       map_extract_value($1, $2)
array_distinct(array(E)) -> array(E)                trino_distinct($1)
array_intersect(array(E), array(E)) -> array(E)
    CASE WHEN len($1) < len($2) THEN list_filter(trino_distinct($2), lambda "e#": list_position($1, "e#") IS NOT NULL)
    WHEN $2 IS NOT NULL THEN list_filter(trino_distinct($1), lambda "e#": list_position($2, "e#") IS NOT NULL) END
array_except(array(E), array(E)) -> array(E)
    CASE WHEN len($2) = 0 THEN $1
    WHEN $2 IS NOT NULL THEN list_filter(trino_distinct($1), lambda "e#": list_position($2, "e#") IS NULL) END
array_union(array(E), array(E)) -> array(E)         trino_distinct($1 || $2)
arrays_overlap(array(E), array(E)) -> boolean
    CASE WHEN list_has_any($1, $2) THEN TRUE WHEN len($1) = 0 OR len($2) = 0 THEN FALSE WHEN list_count($1) <
    len($1) OR list_count($2) < len($2) THEN NULL WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN FALSE END
array_max(array(F)) -> F                            trino_list_max(trino_whole($1))
array_max(array(E)) -> E                            list_max(trino_whole($1))
array_min(array(E)) -> E                            list_min(trino_whole($1))
array_position(array(E), E) -> bigint
    CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN coalesce(CAST(list_position($1, $2) AS BIGINT), 0) END
array_remove(array(E), E) -> array(E)
    CASE WHEN $2 IS NOT NULL THEN list_filter($1, lambda "e#": "e#" IS DISTINCT FROM $2) END
array_sort(array(E)) -> array(E)                    list_sort($1, 'ASC', 'NULLS LAST')
any_match(array(E), fn(E):boolean) -> boolean
    (NOT trino_all(list_transform(list_transform($1, $2), lambda "e#": NOT "e#")))
all_match(array(E), fn(E):boolean) -> boolean       trino_all(list_transform($1, $2))
none_match(array(E), fn(E):boolean) -> boolean
    trino_all(list_transform(list_transform($1, $2), lambda "e#": NOT "e#"))
filter(array(E), fn(E):boolean) -> array(E)         list_filter($1, $2)
transform(array(E), fn(E):U) -> array(U)            list_transform($1, $2)
flatten(array(array(E))) -> array(E)                flatten($1)
repeat(E, bigint) -> array(E)
    list_transform(range(if($2 NOT BETWEEN 0 AND 10000, CAST('repeat gives 0 to at most 10000 entries' AS BIGINT), $2)),
    lambda "e#": $1)
reverse(array(E)) -> array(E)                       list_reverse($1)
sequence(bigint, bigint) -> array(bigint)
    generate_series($1, $2, trino_sequence_step($1, $2, if($1 <= $2, 1, -1), abs(CAST($1 AS HUGEINT) - $2)))
sequence(bigint, bigint, bigint) -> array(bigint)
    generate_series($1, $2, trino_sequence_step($1, $2, $3, abs((CAST($1 AS HUGEINT) - $2) // nullif($3, 0))))
sequence(date, date) -> array(date)
    list_transform(trino_series($1, $2, if($1 <= $2, to_days(1), to_days(-1))), lambda "e#": CAST("e#" AS DATE))
sequence(date, date, Y) -> array(date)
    list_transform(trino_series($1, $2, trino_whole_days($3)), lambda "e#": CAST("e#" AS DATE))
sequence(timestamp(3), timestamp(3)) -> array(timestamp(3))
    trino_series($1, $2, if($1 <= $2, to_days(1), to_days(-1)))
sequence(timestamp(3), timestamp(3), Y) -> array(timestamp(3))  trino_series($1, $2, $3)
slice(array(E), bigint, bigint) -> array(E)
    trino_slice($1, if($2 = 0, CAST('SQL array indices start at 1' AS BIGINT), $2), if($3 < 0, CAST('The length of
    slice must not be negative' AS BIGINT), $3))
trim_array(array(E), bigint) -> array(E)
    !list_slice($1, 1, len($1) - if($2 BETWEEN 0 AND len($1), $2, CAST('trim_array takes a number from 0 to the length
    of the
    array' AS BIGINT)))
zip(array(A), array(B)) -> array(row(A, B))         !list_zip($1, $2)
zip(array(A), array(B), array(C)) -> array(row(A, B, C))  !list_zip($1, $2, $3)
zip(array(A), array(B), array(C), array(E)) -> array(row(A, B, C, E))  !list_zip($1, $2, $3, $4)
zip(array(A), array(B), array(C), array(E), array(G)) -> array(row(A, B, C, E, G))  !list_zip($1, $2, $3, $4, $5)
shuffle(array(E)) -> array(E)
    list_transform(list_sort(list_transform($1, lambda "e#": row(random(), "e#"))), lambda "f#": "f#"[2])

array_histogram(array(K)) -> map(K, bigint)
    map_from_entries(list_transform(trino_distinct(list_filter($1, lambda "e#": "e#" IS NOT NULL)), lambda "e#":
    {{'key': "e#",
    'value': len(list_filter($1, lambda "f#": "f#" = "e#"))}}))
combinations(array(E), bigint) -> array(array(E))
    !CASE WHEN $2 NOT BETWEEN 0 AND 5 THEN [[CAST(CAST('combinations takes a size from 0 to 5' AS BIGINT) AS {{E}})]]
    ELSE
    list_transform(list_reduce(range(if($2 BETWEEN 0 AND 5, $2, 0)), lambda "e#", "f#": flatten(list_transform("e#",
    lambda "g#": list_transform(range(coalesce("g#"[1], len($1) + 1) - 1), lambda "h#": ["h#" + 1] || "g#"))),
    [CAST([] AS BIGINT[])]),
    lambda "g#": list_transform("g#", lambda "h#": $1["h#"])) END
ngrams(array(E), bigint) -> array(array(E))
    !list_transform(range(1, greatest(len($1) - if($2 > 0, $2, CAST('ngrams takes a size above 0' AS BIGINT)), 0) +
    2), lambda
    "e#": list_slice($1, "e#", "e#" + $2 - 1))
contains_sequence(array(E), array(E)) -> boolean
    if($1 IS NULL OR $2 IS NULL, NULL, len($2) = 0 OR list_bool_or(list_transform(range(1, len($1) - len($2) + 2),
    lambda "e#":
    list_slice($1, "e#", "e#" + len($2) - 1) IS NOT DISTINCT FROM $2)) IS TRUE)

# Maps
map() -> map(unknown, unknown)                      MAP {{}}
map(array(K), array(V)) -> map(K, V)                map($1, $2)
map_keys(map(K, V)) -> array(K)                     map_keys($1)
map_values(map(K, V)) -> array(V)                   map_values($1)
map_entries(map(K, V)) -> array(row(K, V))
    list_transform(map_entries($1), lambda "e#": row("e#".key, "e#".value))
map_from_entries(array(row(K, V))) -> map(K, V)     map_from_entries($1)
map_concat(map(K, V)...) -> map(K, V)               if(list_count([$*]) = len([$*]), map_concat($*), NULL)
multimap_from_entries(array(row(K, V))) -> map(K, array(V))
    map_from_entries(list_transform(trino_distinct(list_transform($1, lambda "e#": "e#"[1])), lambda "f#": {{'key':
    "f#",
    'value': list_transform(list_filter($1, lambda "g#": "g#"[1] = "f#"), lambda "h#": "h#"[2])}}))
split_to_multimap(varchar, varchar, varchar) -> map(varchar, array(varchar))
    map_from_entries(list_transform(trino_distinct(list_transform(list_filter(trino_split($1, if($2 = $3,
    CAST(CAST('The two delimiters must not be the same' AS INTEGER) AS VARCHAR), $2)), lambda "h#": $1 <> ''),
    lambda "e#": if(len(string_split("e#", $3)) = 2, split_part("e#", $3, 1), CAST(CAST('Each entry of
    split_to_multimap must
    have the delimiter once' AS INTEGER) AS VARCHAR)))), lambda "f#": {{'key': "f#", 'value':
    list_transform(list_filter(trino_split($1, $2), lambda "g#": split_part("g#", $3, 1) =
    "f#"), lambda "h#": split_part("h#", $3, 2))}}))
split_to_map(varchar, varchar, varchar) -> map(varchar, varchar)
    !map_from_entries(list_transform(list_filter(trino_split($1, if($2 = $3, CAST(CAST('The two delimiters must not be
    the same' AS INTEGER) AS VARCHAR), $2)), lambda "h#": $1 <> ''), lambda "e#": row(string_split("e#", $3)[1],
    string_split("e#", $3)[if(len(string_split("e#", $3)) = 2, 2, CAST('Each entry of split_to_map must have the
    delimiter once' AS INTEGER))])))
"""

AGGREGATES = r"""
count() -> bigint                                   count(*)$w
count(T) -> bigint                                  count($d$1$o)$w
count_if(boolean) -> bigint                         count(CASE WHEN $1 THEN 1 END)$w
sum(I) -> bigint                                    CAST(sum($d$1$o)$w AS BIGINT)
sum(real) -> real                                   CAST(sum($d$1$o)$w AS FLOAT)
sum(double) -> double                               sum($d$1$o)$w
avg(I) -> double                                    avg($d$1$o)$w
avg(real) -> real                                   CAST(avg($d$1$o)$w AS FLOAT)
avg(double) -> double                               avg($d$1$o)$w
min(T) -> T                                         min($d$1)$w
max(T) -> T                                         max($d$1)$w
min(T, bigint) -> array(T)                          min($1, $2)$w
max(T, bigint) -> array(T)                          max($1, $2)$w
min_by(T, U) -> T                                   arg_min_null($1, $2)$w
max_by(T, U) -> T                                   arg_max_null($1, $2)$w
min_by(T, U, bigint) -> array(T)
    list_transform(arg_min(row($1), $2, $3)$w, lambda "e#": struct_extract("e#", 1))
max_by(T, U, bigint) -> array(T)
    list_transform(arg_max(row($1), $2, $3)$w, lambda "e#": struct_extract("e#", 1))
arbitrary(T) -> T                                   any_value($1)$w
any_value(T) -> T                                   any_value($1)$w
bool_and(boolean) -> boolean                        bool_and($d$1)$w
every(boolean) -> boolean                           bool_and($d$1)$w
bool_or(boolean) -> boolean                         bool_or($d$1)$w
array_agg(T) -> array(T)                            list($d$1$o)$w
map_agg(K, V) -> map(K, V)                          trino_map(list({'k': $1, 'v': $2})$w)
map_union(map(K, V)) -> map(K, V)
    list_extract(list_transform([nullif(flatten(list(map_entries($1))$w), [])], lambda "h#":
    map_from_entries(list_filter("h#", lambda "e#", "f#": list_position(list_transform("h#", lambda "g#": "g#".key),
    "e#".key) = "f#"))), 1)
multimap_agg(K, V) -> map(K, array(V))
    map_from_entries(nullif(list_transform(trino_distinct(list_filter(list($1)$w, lambda "h#": "h#" IS NOT NULL)),
    lambda "e#": {'k': "e#", 'v':
    list_transform(list_filter(list({'k': $1, 'v': $2}$o)$w, lambda "f#": "f#".k = "e#"), lambda "g#": "g#".v)}), []))
histogram(K) -> map(K, bigint)
    map_from_entries(list_transform(map_entries(histogram($1)$w), lambda "e#": {'k': "e#".key, 'v': CAST("e#".value
    AS BIGINT)}))
approx_distinct(T) -> bigint                        approx_count_distinct($1)$w
approx_distinct(T, double) -> bigint                approx_count_distinct($1)$w
approx_percentile(bigint, double) -> bigint         CAST(approx_quantile($1, CAST($2 AS FLOAT))$w AS BIGINT)
approx_percentile(F, double) -> F                   CAST(approx_quantile($1, CAST($2 AS FLOAT))$w AS {F})
approx_percentile(bigint, array(double)) -> array(bigint)
    CAST(approx_quantile($1, CAST($2 AS FLOAT[]))$w AS BIGINT[])
approx_percentile(F, array(double)) -> array(F)     CAST(approx_quantile($1, CAST($2 AS FLOAT[]))$w AS {F}[])
stddev(double) -> double                            stddev_samp($d$1)$w
stddev_samp(double) -> double                       stddev_samp($d$1)$w
stddev_pop(double) -> double                        stddev_pop($d$1)$w
variance(double) -> double                          var_samp($d$1)$w
var_samp(double) -> double                          var_samp($d$1)$w
var_pop(double) -> double                           var_pop($d$1)$w
corr(real, real) -> real                            CAST(trino_finite(corr($d$1, $2)$w) AS FLOAT)
corr(double, double) -> double                      trino_finite(corr($d$1, $2)$w)
covar_pop(real, real) -> real                       CAST(covar_pop($d$1, $2)$w AS FLOAT)
covar_pop(double, double) -> double                 covar_pop($d$1, $2)$w
covar_samp(real, real) -> real                      CAST(covar_samp($d$1, $2)$w AS FLOAT)
covar_samp(double, double) -> double                covar_samp($d$1, $2)$w
regr_slope(real, real) -> real                      CAST(trino_finite(regr_slope($d$1, $2)$w) AS FLOAT)
regr_slope(double, double) -> double                trino_finite(regr_slope($d$1, $2)$w)
regr_intercept(real, real) -> real                  CAST(trino_finite(regr_intercept($d$1, $2)$w) AS FLOAT)
regr_intercept(double, double) -> double            trino_finite(regr_intercept($d$1, $2)$w)
kurtosis(double) -> double                          kurtosis($1)$w
skewness(double) -> double                          trino_skewness(skewness($1)$w, count($1)$w)
geometric_mean(double) -> double                    exp(avg(ln($1))$w)
geometric_mean(real) -> real                        CAST(exp(avg(ln($1))$w) AS FLOAT)
bitwise_and_agg(bigint) -> bigint                   bit_and($1)$w
bitwise_or_agg(bigint) -> bigint                    bit_or($1)$w
"""

WINDOWS = r"""
row_number() -> bigint                              row_number()$w
rank() -> bigint                                    rank()$w
dense_rank() -> bigint                              dense_rank()$w
percent_rank() -> double                            percent_rank()$w
cume_dist() -> double                               cume_dist()$w
ntile(bigint) -> bigint                             ntile($1)$w
lag(T) -> T                                         lag($1$i)$w
lag(T, bigint) -> T                                 lag($1, trino_offset($2, 0)$i)$w
lag(T, bigint, T) -> T                              lag($1, trino_offset($2, 0), $3$i)$w
lead(T) -> T                                        lead($1$i)$w
lead(T, bigint) -> T                                lead($1, trino_offset($2, 0)$i)$w
lead(T, bigint, T) -> T                             lead($1, trino_offset($2, 0), $3$i)$w
first_value(T) -> T                                 first_value($1$i)$w
last_value(T) -> T                                  last_value($1$i)$w
nth_value(T, bigint) -> T                           nth_value($1, trino_offset($2, 1)$i)$w
"""
