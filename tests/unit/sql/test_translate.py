"""Athena SQL and the value that Trino's documentation gives for it, computed by a real DuckDB.

The titles name the page of the Trino documentation ("Functions and operators", "SQL statement syntax") or of the Amazon
Athena user guide that says so.
"""

# ruff: noqa: E501 - a statement stands on one line with what is expected of it

import datetime
import math
import re
from decimal import Decimal

import duckdb
import pytest

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.translate import calls

D = Decimal
NAN = math.nan


def day(text):
    return datetime.date.fromisoformat(text)


def at(text):
    return datetime.datetime.fromisoformat(text)


def utc(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


VALUES = {
    "literals": {
        "1": 1,
        "2147483648": 2147483648,
        "-9223372036854775808": -(2**63),
        "1.5": 1.5,
        "1e3": 1000.0,
        ".5": 0.5,
        "1.5 + 1": 2.5,
        "'it''s'": "it's",
        "true": True,
        "null": None,
        "X'4849'": b"HI",
        "decimal '1.50'": D("1.50"),
        "decimal '12345678901234567890.5'": D("12345678901234567890.5"),
        "date '2026-11-23'": day("2026-11-23"),
        "timestamp '2026-11-23 01:02:03.456'": at("2026-11-23 01:02:03.456"),
        "timestamp '2026-11-23 01:02'": at("2026-11-23 01:02:00"),
        "timestamp '2026-11-23'": at("2026-11-23"),
        "timestamp '2026-11-23 01:02:03 UTC'": utc("2026-11-23 01:02:03"),
        "json '{\"a\": 1}'": '{"a":1}',
        "array[1, 2, null]": [1, 2, None],
        "(1, 'a')[2]": "a",
    },
    "mathematical operators": {
        "7 / 2": 3,
        "-7 / 2": -3,
        "7 / -2": -3,
        "7 / 2e0": 3.5,
        "7 / 2.0": 3.5,
        "5e0 / 0": math.inf,
        "-5e0 / 0": -math.inf,
        "-7 % 3": -1,
        "7 % -3": 1,
        "mod(-7, 3)": -1,
        "mod(7.5, 2)": 1.5,
        "2 + 3 * 4": 14,
        "(2 + 3) * 4": 20,
        "- -3": 3,
        "1 - (-1)": 2,
        "2147483647 + cast(1 as bigint)": 2147483648,
    },
    "decimal functions and operators": {
        "decimal '1.00' + decimal '2.005'": D("3.005"),
        "decimal '1.5' * decimal '1.5'": D("2.25"),
        "decimal '1.00' / decimal '3.00'": D("0.33"),
        "decimal '2.00' / decimal '3.00'": D("0.67"),
        "decimal '-2.00' / decimal '3.00'": D("-0.67"),
        "decimal '2.01' / decimal '2.00'": D("1.01"),
        "decimal '7' / 2": D("4"),
        "decimal '7.5' % decimal '2'": D("1.5"),
        "decimal '1.5' + 1": D("2.5"),
        "decimal '1.5' + 1e0": 2.5,
        "round(decimal '2.345', 2)": D("2.350"),
        "round(decimal '2.5')": D("3"),
        "ceil(decimal '2.1')": D("3"),
        "floor(decimal '-2.1')": D("-3"),
        "truncate(decimal '2.99')": D("2"),
        "abs(decimal '-2.50')": D("2.50"),
    },
    "mathematical functions": {
        "abs(-3)": 3,
        "round(2.5)": 3.0,
        "round(-2.5)": -3.0,
        "round(5)": 5,
        "round(1234.567, 2)": 1234.57,
        "round(1250, -2)": 1300,
        "truncate(-1.987)": -1.0,
        "truncate(12.345, 2)": 12.34,
        "ceil(1.2)": 2.0,
        "ceiling(-1.2)": -1.0,
        "floor(-1.2)": -2.0,
        "ceil(3)": 3,
        "sign(-4)": -1,
        "sign(2.5)": 1.0,
        "sqrt(9)": 3.0,
        "cbrt(8)": 2.0,
        "power(2, 10)": 1024.0,
        "pow(2, 0.5)": math.sqrt(2),
        "exp(0)": 1.0,
        "ln(1)": 0.0,
        "log(2, 8)": 3.0,
        "log2(8)": 3.0,
        "log10(1000)": pytest.approx(3.0),
        "pi()": math.pi,
        "e()": math.e,
        "degrees(pi())": 180.0,
        "radians(180)": math.pi,
        "atan2(1, 1)": math.pi / 4,
        "array[sin(0), cos(0), tan(0), asin(0), acos(1), atan(0)]": [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        "array[sinh(0), cosh(0), tanh(0)]": [0.0, 1.0, 0.0],
        "rand() < 1 and rand(5) between 0 and 4 and random(2, 4) between 2 and 3": True,
        "greatest(1, 3, 2)": 3,
        "greatest(1, null, 2)": None,
        "least('b', 'a')": "a",
        "least(1, cast(null as integer))": None,
        "is_nan(nan())": True,
        "is_infinite(infinity())": True,
        "is_finite(1.5)": True,
        "width_bucket(5, array[1, 3, 7])": 2,
        "width_bucket(3.5, 0, 10, 5)": 2,
        "width_bucket(-1, 0, 10, 5)": 0,
        "width_bucket(10, 0, 10, 5)": 6,
        "width_bucket(9, 10, 0, 5)": 1,
        "from_base('-ff', 16)": -255,
        "from_base('0110', 2)": 6,
        "to_base(255, 16)": "ff",
        "to_base(-5, 2)": "-101",
        "random() < 1": True,
        "random(10) between 0 and 9": True,
    },
    "bitwise functions": {
        "bitwise_and(19, 25)": 17,
        "bitwise_or(19, 25)": 27,
        "bitwise_xor(19, 25)": 10,
        "bitwise_not(-12)": 11,
        "bitwise_left_shift(1, 40)": 1 << 40,
        "bitwise_right_shift_arithmetic(-8, 1)": -4,
    },
    "comparison and logical operators": {
        "1 = 1.0": True,
        "'a' < 'b'": True,
        "'B' < 'a'": True,
        "'a' = 'A'": False,
        "null = null": None,
        "null is null": True,
        "1 is not null": True,
        "1 is distinct from null": True,
        "null is not distinct from null": True,
        "2 between 1 and 3": True,
        "2 not between 1 and 3": False,
        "1 in (1, 2)": True,
        "3 in (1, null)": None,
        "3 not in (1, 2)": True,
        "true and null": None,
        "false and null": False,
        "true or null": True,
        "not false": True,
        "1 <> 2": True,
        "1 != 2": True,
        "date '2026-01-01' < timestamp '2026-01-01 00:00:01'": True,
        "'abc' like 'a%'": True,
        "'abc' like 'A%'": False,
        "'a%c' like 'a\\%c'": False,
        "'a%c' like 'a!%c' escape '!'": True,
        "'abc' not like 'b%'": True,
        "(1, 2) = (1, 2)": True,
        "array[1, 2] = array[1, 2]": True,
        "5 = any (values 1, 5)": True,
        "5 in (values 1, 5)": True,
        "5 not in (select 1)": True,
        "-cast(null as integer)": None,
        "5 > all (values 1, 4)": True,
        "5 <> all (values 1, 5)": False,
    },
    "conditional expressions": {
        "case 2 when 1 then 'one' when 2 then 'two' end": "two",
        "case when false then 1 end": None,
        "case when true then 1 else 2.5 end": 1.0,
        "if(1 > 2, 'a', 'b')": "b",
        "if(1 > 2, 'a')": None,
        "coalesce(null, null, 3)": 3,
        "nullif(1, 1)": None,
        "nullif(1, 2)": 1,
        "try(1 / 0)": None,
        "try(cast('x' as integer))": None,
        "coalesce(try(1 / 0), -1)": -1,
        "try(sum(1) / count(*))": 1,
        "try(sum(1) / (count(*) - 1))": None,
        "try(max(3)) + 1": 4,
        "try(1 / (select 0))": None,
        "try(if(1 in (select 1), 1 / 0, 2))": None,
    },
    "conversion functions": {
        "cast('42' as integer)": 42,
        "cast('-7' as bigint)": -7,
        "try_cast('1.5' as integer)": None,
        "try_cast(' 1' as integer)": None,
        "try_cast('1_000' as integer)": None,
        "try_cast('1e3' as integer)": None,
        "try_cast('300' as tinyint)": None,
        "cast('1e3' as double)": 1000.0,
        "cast(' 1.5 ' as double)": 1.5,
        "try_cast('1_0' as double)": None,
        "try_cast('x' as double)": None,
        "cast('NaN' as double)": pytest.approx(NAN, nan_ok=True),
        "cast('1.005' as decimal(10,2))": D("1.01"),
        "cast(1.005 as decimal(10,2))": D("1.01"),
        "cast(-0.125 as decimal(3,2))": D("-0.13"),
        "cast(2.5 as integer)": 3,
        "cast(3.5 as integer)": 4,
        "cast(-2.5 as bigint)": -3,
        "cast(decimal '2.5' as integer)": 3,
        "cast(1 as decimal(5,2))": D("1.00"),
        "cast(true as integer)": 1,
        "cast(0 as boolean)": False,
        "cast('t' as boolean)": True,
        "cast('FALSE' as boolean)": False,
        "try_cast('yes' as boolean)": None,
        "cast(1 as varchar)": "1",
        "cast(true as varchar)": "true",
        "cast(1.0 as varchar)": "1.0",
        "cast(1e10 as varchar)": "1.0E10",
        "cast(1.2345e20 as varchar)": "1.2345E20",
        "cast(12345678.9 as varchar)": "1.23456789E7",
        "cast(1e7 as varchar)": "1.0E7",
        "cast(9999999.5 as varchar)": "9999999.5",
        "cast(0.001 as varchar)": "0.001",
        "cast(0.00012 as varchar)": "1.2E-4",
        "cast(-1e-7 as varchar)": "-1.0E-7",
        "cast(0e0 as varchar)": "0.0",
        "cast(infinity() as varchar)": "Infinity",
        "cast(nan() as varchar)": "NaN",
        "cast(cast(1.1 as real) as varchar)": "1.1",
        "cast(decimal '1.50' as varchar)": "1.50",
        "cast(date '2026-11-23' as varchar)": "2026-11-23",
        "cast(timestamp '2026-11-23 01:02:03' as varchar)": "2026-11-23 01:02:03.000",
        "cast(timestamp '2026-11-23 01:02:03.04 UTC' as varchar)": "2026-11-23 01:02:03.040 UTC",
        "cast('abcdef' as varchar(3))": "abc",
        "cast(12 as varchar(3))": "12",
        "cast('2026-11-23' as date)": day("2026-11-23"),
        "cast('2026-1-5' as date)": day("2026-01-05"),
        "try_cast('2026/11/23' as date)": None,
        "try_cast('2026-11-23 01:02:03' as date)": None,
        "try_cast('2026-02-30' as date)": None,
        "cast(timestamp '2026-11-23 23:59:59' as date)": day("2026-11-23"),
        "cast('2026-11-23 01:02:03.456' as timestamp)": at("2026-11-23 01:02:03.456"),
        "cast(concat('2026-11-23 01:02:03', '.4567') as timestamp)": at("2026-11-23 01:02:03.457"),
        "try_cast('2026-11-23T01:02:03' as timestamp)": None,
        "cast(date '2026-11-23' as timestamp)": at("2026-11-23"),
        "cast(timestamp '2026-11-23 01:02:03' as timestamp with time zone)": utc("2026-11-23 01:02:03"),
        "cast(null as integer)": None,
        "cast(array['1', '2'] as array(integer))": [1, 2],
        "cast(array[2.5] as array(bigint))": [3],
        "try_cast(array['1', 'x'] as array(integer))": None,
        "cast(map(array['a'], array['1']) as map(varchar, bigint))": [("a", 1)],
        "cast(row(1, 2.5) as row(a bigint, b integer)).b": 3,
        "typeof(1)": "integer",
        "typeof(1.5)": "double",
        "typeof(cast(1 as real))": "real",
        "typeof(array[1])": "array(integer)",
        "typeof(now())": "timestamp(3) with time zone",
        "typeof(date '2026-01-01' + interval '1' day)": "date",
        "typeof(sum(1))": "bigint",
        "format('%s is %d of %.2f, %,d%%', 'x', 5, 2.5, 1234567)": "x is 5 of 2.50, 1,234,567%",
        "format('%05d|%-4s|%4s', 42, 'ab', 'ab')": "00042|ab  |  ab",
        "format('%.2f %.0f', 1.005, 0.5)": "1.01 1",
        "format('%8.2f|%-8.2f|%05d', -1.5, 1.5, -42)": "   -1.50|1.50    |-0042",
        "format('%s', 1e10)": "1.0E10",
        "format('%s', cast(null as varchar))": "null",
    },
    "string functions": {
        "lower('ÄB')": "äb",
        "upper('äb')": "ÄB",
        "length('äb')": 2,
        "'a' || 'b' || 'c'": "abc",
        "'a' || null": None,
        "concat('a', 'b', 'c')": "abc",
        "concat('a', null)": None,
        "concat_ws(',', 'a', null, 'b')": "a,b",
        "concat_ws(',', array['a', null, 'b'])": "a,b",
        "substr('hello', 2)": "ello",
        "substr('hello', 2, 3)": "ell",
        "substr('hello', 0)": "",
        "substr('hello', 0, 2)": "",
        "substr('hello', -3)": "llo",
        "substr('hello', -3, 2)": "ll",
        "substr('hello', -9)": "",
        "substr('hello', 9)": "",
        "substr('hello', 2, 0)": "",
        "substr(cast(null as varchar), 1)": None,
        "substring('hello', 2, 2)": "el",
        "substring('hello' from 2 for 2)": "el",
        "trim('  a ')": "a",
        "trim(chr(9) || 'a' || chr(10))": "a",
        "ltrim('  a ')": "a ",
        "rtrim('  a ')": "  a",
        "trim(both 'x' from 'xax')": "a",
        "trim(leading 'x' from 'xax')": "ax",
        "trim(trailing 'x' from 'xax')": "xa",
        "lpad('abc', 5, 'xy')": "xyabc",
        "lpad('abc', 2, 'x')": "ab",
        "rpad('abc', 5, 'xy')": "abcxy",
        "replace('abcabc', 'b')": "acac",
        "replace('abcabc', 'b', 'x')": "axcaxc",
        "reverse('abc')": "cba",
        "length(substr(reverse('e' || chr(769)), 1, 1))": 1,
        "codepoint(substr(reverse('e' || chr(769)), 1, 1))": 769,
        "upper('Straße')": "STRAßE",
        "length('👨‍👩‍👧')": 5,
        "strpos('abc', 'c')": 3,
        "strpos('abc', 'z')": 0,
        "position('b' in 'abc')": 2,
        "starts_with('abc', 'ab')": True,
        "split('a,b,c', ',')": ["a", "b", "c"],
        "split('a,b,c', ',', 2)": ["a", "b,c"],
        "split('a', ',', 2)": ["a"],
        "split('', ',')": [""],
        "split_part('a,b', ',', 2)": "b",
        "split_part('a,b', ',', 3)": None,
        "split_to_map('a=1,b=2', ',', '=')": [("a", "1"), ("b", "2")],
        "chr(97)": "a",
        "codepoint('a')": 97,
        "levenshtein_distance('kitten', 'sitting')": 3,
        "hamming_distance('abc', 'abd')": 1,
        "translate('abcd', 'ab', 'xy')": "xycd",
        "normalize('e' || chr(769))": "é",
        "length(uuid())": 36,
    },
    "binary functions": {
        "to_hex(md5(to_utf8('a')))": "0CC175B9C0F1B6A831C399E269772661",
        "to_hex(sha1(to_utf8('a')))": "86F7E437FAA5A7FCE15D1DDCB9EAEAEA377667B8",
        "lower(to_hex(sha256(to_utf8('a'))))": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "from_utf8(to_utf8('é'))": "é",
        "to_base64(to_utf8('a'))": "YQ==",
        "from_utf8(from_base64('YQ=='))": "a",
        "from_utf8(from_hex('61FF62E2826364F09F98'))": "a\ufffdb\ufffdcd\ufffd",
        "from_hex('4849')": b"HI",
        "length(to_utf8('é'))": 2,
    },
    "regular expression functions": {
        "regexp_like('1a 2b', '\\d+b')": True,
        "regexp_like('abc', '^b')": False,
        "regexp_like('ABC', '(?i)b')": True,
        "regexp_extract('1a 2b 14m', '\\d+')": "1",
        "regexp_extract('1a 2b 14m', '(\\d+)([a-z]+)', 2)": "a",
        "regexp_extract('abc', 'z')": None,
        "regexp_extract('a', '(a)(b)?', 2)": None,
        "regexp_extract_all('1a 2b 14m', '\\d+')": ["1", "2", "14"],
        "regexp_extract_all('1a 2b', '(\\d+)([a-z]+)', 2)": ["a", "b"],
        "regexp_replace('1a 2b 14m', '\\d+[ab] ')": "14m",
        "regexp_replace('1a 2b', '(\\d+)([ab])', '3c$2')": "3ca 3cb",
        "regexp_replace('abc', 'b', '\\$')": "a$c",
        "regexp_split('1a 2b', '\\s*[a-z]+\\s*')": ["1", "2", ""],
        "regexp_count('1a 2b 14m', '\\s*[a-z]+\\s*')": 3,
    },
    "url functions": {
        "url_extract_protocol('https://u@example.com:8080/a/b%20c?q=1&r=x%20y#f')": "https",
        "url_extract_host('https://u@example.com:8080/a?q=1')": "example.com",
        "url_extract_port('https://example.com:8080/a')": 8080,
        "url_extract_port('https://example.com/a')": None,
        "url_extract_path('https://example.com/a/b%20c?q=1')": "/a/b c",
        "url_extract_path('https://example.com')": "",
        "url_extract_query('https://example.com/a?q=1&r=2#f')": "q=1&r=2",
        "url_extract_fragment('https://example.com/a#f')": "f",
        "url_extract_host('not a url')": None,
        "url_extract_parameter('https://example.com/a?q=1&r=x%20y#f', 'r')": "x y",
        "url_extract_parameter('https://example.com/a?q=1', 'z')": None,
        "url_encode('a b&c/é*~')": "a+b%26c%2F%C3%A9*%7E",
        "url_decode('a+b%26c')": "a b&c",
    },
    "date and time functions": {
        "date_trunc('hour', timestamp '2026-11-23 07:08:09')": at("2026-11-23 07:00:00"),
        "date_trunc('week', timestamp '2001-08-22 03:04:05.321')": at("2001-08-20"),
        "date_trunc('quarter', timestamp '2001-08-22 03:04:05.321')": at("2001-07-01"),
        "date_trunc('month', date '2026-11-23')": day("2026-11-01"),
        "date_add('day', -1, timestamp '2020-03-01 00:00:00 UTC')": utc("2020-02-29"),
        "date_add('second', 86, timestamp '2020-03-01 00:00:00')": at("2020-03-01 00:01:26"),
        "date_add('month', 1, date '2026-01-31')": day("2026-02-28"),
        "date_add('week', 2, date '2026-01-01')": day("2026-01-15"),
        "date_add('quarter', -1, date '2026-01-01')": day("2025-10-01"),
        "date_diff('day', timestamp '2020-03-01 12:00:00', timestamp '2020-03-02 11:00:00')": 0,
        "date_diff('second', timestamp '2020-03-01 00:00:00', timestamp '2020-03-02 00:00:00')": 86400,
        "date_diff('month', date '2026-01-31', date '2026-02-28')": 1,
        "date_diff('day', date '2026-03-02', date '2026-03-01')": -1,
        "date_diff('year', date '2024-06-01', date '2026-05-31')": 1,
        "date '2012-08-08' + interval '2' day": day("2012-08-10"),
        "date '2012-08-08' - interval '1' month": day("2012-07-08"),
        "timestamp '2012-08-08 01:00' + interval '29' hour": at("2012-08-09 06:00:00"),
        "timestamp '2012-10-31 01:00' + interval '1' month": at("2012-11-30 01:00:00"),
        "interval '1' day + timestamp '2012-08-08 01:00'": at("2012-08-09 01:00:00"),
        "interval '1' day * 3 = interval '72' hour": True,
        "extract(day from date '2026-03-02' - date '2026-03-01')": 1,
        "day(timestamp '2026-03-03 12:00:00' - timestamp '2026-03-01 00:00:00')": 2,
        "hour(timestamp '2026-03-03 12:00:00' - timestamp '2026-03-01 00:00:00')": 12,
        "to_milliseconds(interval '1' minute)": 60000,
        "extract(year from date '2026-11-23')": 2026,
        "extract(dow from date '2026-11-22')": 7,
        "day_of_week(date '2026-11-23')": 1,
        "dow(date '2026-11-22')": 7,
        "day_of_year(date '2026-12-31')": 365,
        "doy(date '2026-12-31')": 365,
        "yow(date '2027-01-01')": 2026,
        "year(date '2026-11-23') * 10000 + month(date '2026-11-23') * 100 + day_of_month(date '2026-11-23')": 20261123,
        "year(interval '14' month * 1) * 100 + month(interval '14' month)": 102,
        "minute(timestamp '2026-11-23 07:08:09.123')": 8,
        "minute(interval '90' minute)": 30,
        "week(date '2026-01-01')": 1,
        "week_of_year(date '2027-01-01')": 53,
        "year_of_week(date '2027-01-01')": 2026,
        "quarter(date '2026-11-23')": 4,
        "millisecond(timestamp '2026-11-23 07:08:09.123')": 123,
        "second(timestamp '2026-11-23 07:08:09.123')": 9,
        "last_day_of_month(timestamp '2028-02-10 01:00:00')": day("2028-02-29"),
        "date('2026-11-23')": day("2026-11-23"),
        "from_unixtime(1.5)": utc("1970-01-01 00:00:01.5"),
        "from_unixtime(1700000000123 / 1000)": utc("2023-11-14 22:13:20"),
        "to_unixtime(timestamp '1970-01-01 00:00:01.5')": 1.5,
        "from_iso8601_timestamp('2020-05-11T11:15:05.055Z')": utc("2020-05-11 11:15:05.055"),
        "from_iso8601_timestamp('2020-05-11T11:15:05')": utc("2020-05-11 11:15:05"),
        "from_iso8601_timestamp('2020-05-11')": utc("2020-05-11"),
        "from_iso8601_timestamp('2020-05-11T11')": utc("2020-05-11 11:00:00"),
        "from_iso8601_timestamp('2020-05-11T11:15:05+02:00') at time zone 'UTC'": utc("2020-05-11 09:15:05"),
        "from_iso8601_date('2020-05-11')": day("2020-05-11"),
        "to_iso8601(timestamp '2020-05-11 01:02:03')": "2020-05-11T01:02:03.000",
        "to_iso8601(timestamp '2020-05-11 01:02:03 UTC')": "2020-05-11T01:02:03.000Z",
        "to_iso8601(date '2020-05-11')": "2020-05-11",
        "date_parse('2026/11/23/07', '%Y/%m/%d/%H')": at("2026-11-23 07:00:00"),
        "date_parse('5 Mar 2024 03:04 PM', '%e %b %Y %h:%i %p')": at("2024-03-05 15:04:00"),
        "date_parse('2024-01-05 03:04:05.123456', '%Y-%m-%d %T.%f')": at("2024-01-05 03:04:05.123"),
        "date_format(timestamp '2024-03-05 04:05:06.789', '%Y %y %m %c %d %e %H %k %h %l %i %s %f %p')": (
            "2024 24 03 3 05 5 04 4 04 4 05 06 789000 AM"
        ),
        "date_format(timestamp '2024-03-05 14:05:06', '%a %W %b %M %j %v %x %T %r %%')": (
            "Tue Tuesday Mar March 065 10 2024 14:05:06 02:05:06 PM %"
        ),
        "date_format(date '2024-03-05', '%Y/%m/%d/%H')": "2024/03/05/00",
        "format_datetime(timestamp '2024-03-05 04:05:06.789', 'yyyy-MM-dd''T''HH:mm:ss.SSS')": "2024-03-05T04:05:06.789",
        "format_datetime(timestamp '2024-03-05 14:05:06', 'EEE d MMM yy, h a')": "Tue 5 Mar 24, 2 PM",
        "parse_datetime('2024-03-05 14:05', 'yyyy-MM-dd HH:mm')": utc("2024-03-05 14:05:00"),
        "now() = current_timestamp": True,
        "cast(now() as date) = current_date": True,
        "cast(localtimestamp as timestamp with time zone) = now()": True,
        "current_timezone()": "UTC",
        "date_format(timestamp '2026-07-01 12:00:00 UTC' at time zone 'America/New_York', '%H:%i')": "08:00",
        "hour(timestamp '2026-07-01 12:00:00' at time zone 'Asia/Kolkata')": 17,
        "cast(timestamp '2026-07-01 22:00:00' at time zone 'Asia/Tokyo' as date)": day("2026-07-02"),
        "at_timezone(with_timezone(timestamp '2026-07-01 12:00:00', 'Europe/Berlin'), 'UTC')": utc(
            "2026-07-01 10:00:00"
        ),
        "date_format(from_unixtime(0, 'Asia/Tokyo'), '%H')": "09",
    },
    "array functions": {
        "array[1, 2][1]": 1,
        "element_at(array[1, 2], 2)": 2,
        "element_at(array[1, 2], -1)": 2,
        "element_at(array[1, 2], 3)": None,
        "cardinality(array[1, 2])": 2,
        "contains(array[1, 2], 2)": True,
        "contains(array[1, null], 2)": None,
        "contains(array[1, 2], 3)": False,
        "array_distinct(array[3, 1, 3, null, null])": [3, 1, None],
        "array_intersect(array[1, 2, 2], array[2, 3])": [2],
        "array_except(array[1, 2, null], array[2])": [1, None],
        "array_union(array[1, 2], array[2, 3])": [1, 2, 3],
        "arrays_overlap(array[1, 2], array[2])": True,
        "arrays_overlap(array[1, null], array[2])": None,
        "arrays_overlap(array[1], array[2])": False,
        "array_join(array[1, null, 3], ',')": "1,3",
        "array_join(array[1, null, 3], ',', '-')": "1,-,3",
        "array_join(array[1.5, 1e10], ',')": "1.5,1.0E10",
        "array_max(array[1, 3, 2])": 3,
        "array_max(array[1, null])": None,
        "array_min(array['b', 'a'])": "a",
        "array_position(array[1, 2], 2)": 2,
        "array_position(array[1, 2], 3)": 0,
        "array_remove(array[1, 2, null, 2], 2)": [1, None],
        "array_sort(array[3, null, 1])": [1, 3, None],
        "flatten(array[array[1], array[2, 3]])": [1, 2, 3],
        "repeat('a', 3)": ["a", "a", "a"],
        "reverse(array[1, 2])": [2, 1],
        "sequence(1, 5, 2)": [1, 3, 5],
        "sequence(3, 1)": [3, 2, 1],
        "sequence(date '2026-01-30', date '2026-02-01')": [day("2026-01-30"), day("2026-01-31"), day("2026-02-01")],
        "sequence(date '2026-01-01', date '2026-03-01', interval '1' month)": [
            day("2026-01-01"),
            day("2026-02-01"),
            day("2026-03-01"),
        ],
        "sequence(timestamp '2026-01-01 00:00', timestamp '2026-01-01 02:00', interval '1' hour)": [
            at("2026-01-01 00:00:00"),
            at("2026-01-01 01:00:00"),
            at("2026-01-01 02:00:00"),
        ],
        "slice(array[1, 2, 3, 4], 2, 2)": [2, 3],
        "slice(array[1, 2, 3, 4], -2, 2)": [3, 4],
        "slice(array[1, 2], 5, 2)": [],
        "trim_array(array[1, 2, 3], 1)": [1, 2],
        "array[1] || array[2]": [1, 2],
        "array[1] || 2": [1, 2],
        "concat(array[1], array[2], array[3])": [1, 2, 3],
        "zip(array[1, 2], array['a'])[2][2]": None,
        "filter(array[5, -6, null, 7], x -> x > 0)": [5, 7],
        "transform(array[5, null, 6], x -> coalesce(x, 0) + 1)": [6, 1, 7],
        "transform(array[array[1, 2]], x -> transform(x, y -> y * cardinality(x)))": [[2, 4]],
        "reduce(array[5, 20, 50], 0, (s, x) -> s + x, s -> s)": 75,
        "reduce(array[5, 20], 0.0, (s, x) -> s + x, s -> s / 2)": 12.5,
        "reduce(array['a', 'b'], '', (s, x) -> s || x, s -> upper(s))": "AB",
        "any_match(array[1, 2], x -> x > 1)": True,
        "any_match(array[1, null], x -> x > 1)": None,
        "any_match(array[], x -> true)": False,
        "all_match(array[1, 2], x -> x > 1)": False,
        "all_match(array[], x -> false)": True,
        "none_match(array[1, 2], x -> x > 2)": True,
        "zip_with(array[1, 2], array[10, 20], (x, y) -> x * y)": [10, 40],
        "cardinality(filter(split('a,b,,c', ','), x -> length(x) > 0))": 3,
    },
    "map functions": {
        "map(array['a', 'b'], array[1, 2])['b']": 2,
        "element_at(map(array['a'], array[1]), 'z')": None,
        "cardinality(map(array['a'], array[1]))": 1,
        "map_keys(map(array['a', 'b'], array[1, 2]))": ["a", "b"],
        "map_values(map(array['a', 'b'], array[1, 2]))": [1, 2],
        "map_entries(map(array['a'], array[1]))[1][2]": 1,
        "map_from_entries(array[(1, 'x')])[1]": "x",
        "map_concat(map(array['a'], array[1]), map(array['a', 'b'], array[2, 3]))": [("a", 2), ("b", 3)],
        "map_filter(map(array[10, 20], array['a', null]), (k, v) -> v is not null)": [(10, "a")],
        "transform_values(map(array['a'], array[1]), (k, v) -> v + 1)": [("a", 2)],
        "transform_keys(map(array['a'], array[1]), (k, v) -> k || cast(v as varchar))": [("a1", 1)],
        "map()": [],
    },
    "json functions": {
        'json_extract_scalar(\'{"a": {"b": [1, "x"]}}\', \'$.a.b[1]\')': "x",
        "json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a')": None,
        "json_extract_scalar('{\"a\": null}', '$.a')": None,
        "json_extract_scalar('{\"a\": true}', '$.a')": "true",
        "json_extract_scalar('{\"a b\": 1}', '$[\"a b\"]')": "1",
        "json_extract_scalar('no json', '$.a')": None,
        "json_extract_scalar(cast(null as varchar), '$.a')": None,
        "json_extract('{\"a\": {\"b\": 1}}', '$.a')": '{"b":1}',
        "json_extract('{\"a\": 1}', '$.b')": None,
        "json_format(json_parse('{ \"a\" : 1 }'))": '{"a":1}',
        "json_array_length('[1, 2]')": 2,
        "json_array_length('{\"a\": 1}')": None,
        "json_array_contains('[1, 2]', 2)": True,
        "json_array_contains('[\"a\"]', 'b')": False,
        "json_array_get('[\"a\", [3, 9]]', 1)": "[3,9]",
        "json_array_get('[1, 2]', -1)": "2",
        'json_size(\'{"x": {"a": 1, "b": 2}}\', \'$.x\')': 2,
        "json_size('{\"x\": 3}', '$.x')": 0,
        "is_json_scalar('[1]')": False,
        "json_value('{\"a\": 1}', 'strict $.a')": "1",
        "json_exists('{\"a\": 1}', 'strict $.b')": False,
        "json_query('{\"a\": [1]}', 'strict $.a')": "[1]",
        "cast(json_extract('{\"a\": \"x\"}', '$.a') as varchar)": "x",
        "cast(json_extract('{\"a\": 7}', '$.a') as bigint)": 7,
        "cast(json '\"7\"' as bigint)": 7,
        "cast(json '2.5' as bigint)": 3,
        "cast(json 'true' as bigint)": 1,
        "cast(json '1.5' as double)": 1.5,
        "cast(json 'null' as varchar)": None,
        "cast(json '[1, 2]' as array(bigint))": [1, 2],
        "cast(json '{\"a\": 1}' as map(varchar, bigint))": [("a", 1)],
        'cast(json \'{"a": 1, "b": "x"}\' as row(a bigint, b varchar)).b': "x",
        "cast(json_extract('{\"a\": [{\"b\": 1}]}', '$.a') as array(row(b bigint)))[1].b": 1,
        "json_format(cast('a\"b' as json))": '"a\\"b"',
        "json_format(cast(array[1, null] as json))": "[1,null]",
        "json_format(cast(map(array['a'], array[1.5]) as json))": '{"a":1.5}',
        "json_format(cast(cast(row(1, 'x') as row(a integer, b varchar)) as json))": '{"a":1,"b":"x"}',
        "json_format(cast(timestamp '2026-01-01 00:00:00' as json))": '"2026-01-01 00:00:00.000"',
        "json_format(json_extract('{\"a\": 1}', '$'))": '{"a":1}',
    },
}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [pytest.param(sql, value, id=f"{topic}: {sql}") for topic, cases in VALUES.items() for sql, value in cases.items()],
)
def test_value(answer, sql, expected):
    [(value,)] = answer(f"select {sql}").rows
    assert value == expected
    assert type(value) is type(expected) or not isinstance(expected, bool | int | float | str | Decimal)


# Statements over the table of conftest.py, with all of their rows.
QUERIES = {
    "aggregates": {
        "select count(*), count(price), count(distinct inserted_at) from events": [(3, 2, 2)],
        "select sum(id), sum(price), avg(id), avg(price) from events": [(6, 4.0, 2.0, 2.0)],
        "select sum(amount), avg(amount), max(amount) from events": [(D("10.05"), D("5.03"), D("10.00"))],
        "select sum(id) from events where id > 9": [(None,)],
        "select count_if(flag), count_if(price > 9) from events": [(1, 0)],
        "select count_if(flag) from events where id > 9": [(0,)],
        "select min(name), max(name), min(id, 2), max(id, 2) from events": [("Cid", "bob", [1, 2], [3, 2])],
        "select max_by(name, id), min_by(name, id), max_by(price, id) from events": [("Cid", "ann", None)],
        "select max_by(name, id, 2), min_by(price, id, 3) from events": [(["Cid", "bob"], [1.5, 2.5, None])],
        "select arbitrary(inserted_at), any_value(name) from events where id = 1": [("2026/11/23/07", "ann")],
        "select bool_and(flag), bool_or(flag), every(id > 0) from events": [(False, True, True)],
        "select array_agg(name order by id desc), array_agg(distinct inserted_at) from events where id > 1": [
            (["Cid", "bob"], ["2026/11/24/00"])
        ],
        "select array_agg(price order by id), array_agg(id) filter (where id > 9) from events": [
            ([1.5, 2.5, None], None)
        ],
        "select map_agg(name, id) from events where id < 3": [([("ann", 1), ("bob", 2)],)],
        "select map_agg(inserted_at, id) from events": [([("2026/11/23/07", 1), ("2026/11/24/00", 2)],)],
        "select map_agg(x, y) from (values (cast(null as varchar), 1)) as t(x, y)": [(None,)],
        "select multimap_agg(inserted_at, id) from events": [([("2026/11/23/07", [1]), ("2026/11/24/00", [2, 3])],)],
        "select histogram(inserted_at) from events": [([("2026/11/23/07", 1), ("2026/11/24/00", 2)],)],
        "select approx_distinct(inserted_at), approx_distinct(id, 0.05) from events": [(2, 3)],
        "select approx_percentile(id, 0.5), approx_percentile(price, array[0.0, 1.0]) from events": [(2, [1.5, 2.5])],
        "select listagg(name, '; ') within group (order by id desc) from events": [("Cid; bob; ann",)],
        "select stddev(price), stddev_pop(price), variance(price), var_pop(price) from events": [
            (math.sqrt(0.5), 0.5, 0.5, 0.25)
        ],
        "select stddev(price), corr(price, price) from events where id = 1": [(None, pytest.approx(NAN, nan_ok=True))],
        "select covar_pop(id, price), regr_slope(price, id), regr_intercept(price, id) from events": [(0.25, 1.0, 0.5)],
        "select stddev_samp(price), var_samp(price), covar_samp(id, price) from events": [(math.sqrt(0.5), 0.5, 0.5)],
        "select kurtosis(x) from (values 1, 2, 3, 4, 5, 6, 7, 8) as t(x)": [(pytest.approx(-1.2),)],
        "select geometric_mean(id) from events": [(pytest.approx(6 ** (1 / 3)),)],
        "select bitwise_or_agg(id), bitwise_and_agg(id) from events": [(3, 0)],
        "select sum(id) filter (where flag), count(*) filter (where price is null) from events": [(1, 1)],
        "select sum(distinct x) from (values 1, 1, 2) as t(x)": [(3,)],
    },
    "group by": {
        "select inserted_at, count(*) from events group by inserted_at order by 1": [
            ("2026/11/23/07", 1),
            ("2026/11/24/00", 2),
        ],
        "select lower(name), count(*) from events group by 1 order by lower(name)": [
            ("ann", 1),
            ("bob", 1),
            ("cid", 1),
        ],
        "select substr(inserted_at, 1, 10) as day, sum(id) from events group by substr(inserted_at, 1, 10) order by day": [
            ("2026/11/23", 1),
            ("2026/11/24", 5),
        ],
        # `name` in GROUP BY and HAVING is the column, not the output of that name.
        "select 'x' as name, count(*) from events group by name having max(name) > 'a' order by 2": [
            ("x", 1),
            ("x", 1),
        ],
        "select inserted_at from events group by inserted_at having count(*) > 1": [("2026/11/24/00",)],
        "select flag, grouping(flag), count(*) from events group by rollup(flag) order by 2, 1": [
            (False, 0, 1),
            (True, 0, 1),
            (None, 0, 1),
            (None, 1, 3),
        ],
        "select flag, id > 1, count(*) from events group by grouping sets ((flag, id > 1), ()) order by 3, 1": [
            (False, True, 1),
            (True, False, 1),
            (None, True, 1),
            (None, None, 3),
        ],
        "select flag, id, count(*) from events where id = 1 group by cube(flag, id) order by 1, 2": [
            (True, 1, 1),
            (True, None, 1),
            (None, 1, 1),
            (None, None, 1),
        ],
    },
    "order by and limit": {
        "select price from events order by price": [(1.5,), (2.5,), (None,)],
        "select price from events order by price desc": [(2.5,), (1.5,), (None,)],
        "select price from events order by price desc nulls first": [(None,), (2.5,), (1.5,)],
        "select name from events order by name": [("Cid",), ("ann",), ("bob",)],
        "select -id as id from events order by id": [(-3,), (-2,), (-1,)],
        "select id as x from events order by x * -1": [(3,), (2,), (1,)],
        "select id from events order by price, name": [(1,), (2,), (3,)],
        "select id from events order by 1 desc limit 1": [(3,)],
        "select id from events order by 1 offset 1 limit 1": [(2,)],
        "select id from events order by 1 fetch first 2 rows only": [(1,), (2,)],
        "select id from events order by 1 limit all": [(1,), (2,), (3,)],
        "select distinct inserted_at from events order by inserted_at": [("2026/11/23/07",), ("2026/11/24/00",)],
    },
    "window functions": {
        "select id, row_number() over (partition by inserted_at order by id desc) from events order by 1": [
            (1, 1),
            (2, 2),
            (3, 1),
        ],
        "select id, sum(id) over (order by id), sum(id) over () from events order by 1": [
            (1, 1, 6),
            (2, 3, 6),
            (3, 6, 6),
        ],
        "select lag(price, 1, 0) over (order by id), lead(id) over (order by id) from events order by id": [
            (0.0, 2),
            (1.5, 3),
            (2.5, None),
        ],
        "select last_value(price) ignore nulls over (order by id), first_value(price ignore nulls) over (order by id desc) "
        "from events order by id": [(1.5, 2.5), (2.5, 2.5), (2.5, None)],
        "select rank() over w, dense_rank() over w, ntile(2) over w from events window w as (order by inserted_at) "
        "order by id": [(1, 1, 1), (2, 2, 1), (2, 2, 2)],
        "select avg(id) over (order by id rows between 1 preceding and current row) from events order by id": [
            (1.0,),
            (1.5,),
            (2.5,),
        ],
        "select count(*) over (order by day range between interval '1' month preceding and current row) from events "
        "where id < 3 order by id": [(1,), (1,)],
        "select nth_value(id, 2) over (order by id rows between unbounded preceding and unbounded following) from events "
        "limit 1": [(2,)],
        "select percent_rank() over (order by id), cume_dist() over (order by id) from events order by id limit 1": [
            (0.0, pytest.approx(1 / 3))
        ],
        "select sum(count(*)) over (order by inserted_at) from events group by inserted_at order by 1": [(1,), (3,)],
        "select max_by(name, id) over (partition by inserted_at) from events order by id": [
            ("ann",),
            ("Cid",),
            ("Cid",),
        ],
    },
    "joins": {
        "select e.name, u.name from events e join users u on e.id = u.id order by e.id": [
            ("ann", "Ann A."),
            ("bob", "Bob B."),
        ],
        "select e.id, u.id from events e left join users u on e.id = u.id order by 1": [(1, 1), (2, 2), (3, None)],
        "select e.id, u.id from events e right join users u on e.id = u.id order by 2": [(1, 1), (2, 2), (None, 4)],
        "select id from events full join users using (id) order by id": [(1,), (2,), (3,), (4,)],
        "select count(*) from events cross join users": [(9,)],
        "select count(*) from events, users where events.id = users.id": [(2,)],
        "select a.id from events a join events b on a.id = b.id + 1 order by 1": [(2,), (3,)],
        "select * from users u join (select id as n from events) e on u.id = e.n where u.id = 1": [
            (1, "Ann A.", "eu", 2025, 1)
        ],
        "select * from (select name, id from users) a join (values (2, 'x')) as b(id, t) using (id)": [
            (2, "Bob B.", "x")
        ],
        "select count(*) from (events e join users u on e.id = u.id) join users v on v.id = u.id": [(2,)],
        "select t.id from db.events as t where exists (select 1 from users u where u.id = t.id and u.year = 2026)": [
            (2,)
        ],
        "select id from events where id in (select id from users) order by 1": [(1,), (2,)],
        "select id from events where id not in (select id from users)": [(3,)],
        "select id, (select max(year) from users u where u.id <= events.id) from events order by 1": [
            (1, 2025),
            (2, 2026),
            (3, 2026),
        ],
        # The inner query has a table of the same alias as the outer one.
        "select id from events t where exists (select 1 from users t where t.id = 1 and price > 2)": [(2,)],
        "select l.x from events e cross join lateral (select e.id * 10 as x) l order by 1": [(10,), (20,), (30,)],
    },
    "unnest": {
        "select id, tag from events cross join unnest(tags) as t(tag) order by 1, 2": [(1, "x"), (1, "y"), (2, "z")],
        "select id, tag, n from events cross join unnest(tags) with ordinality as t(tag, n) order by 1, 3": [
            (1, "x", 1),
            (1, "y", 2),
            (2, "z", 1),
        ],
        "select id, tag from events left join unnest(tags) as t(tag) on true order by 1, 2": [
            (1, "x"),
            (1, "y"),
            (2, "z"),
            (3, None),
        ],
        "select k, v from events, unnest(props) as t(k, v) order by 1, id": [("k", 1), ("k", 3), ("l", 2)],
        "select a, b from events cross join unnest(parts) as t(a, b) order by 1": [(1, "p"), (2, "q")],
        "select t.a from events cross join unnest(parts) t order by 1": [(1,), (2,)],
        "select * from unnest(array[1, 2, 3], array['a', 'b']) with ordinality as t(x, y, n) order by n": [
            (1, "a", 1),
            (2, "b", 2),
            (3, None, 3),
        ],
        "select n from unnest(sequence(1, 3)) as t(n) order by 1": [(1,), (2,), (3,)],
        "select x, y from (select array[array[1], array[2, 3]] as a) cross join unnest(a) as t(x) cross join unnest(x) "
        "as s(y) order by 2": [([1], 1), ([2, 3], 2), ([2, 3], 3)],
    },
    "with, values and set operations": {
        "with a as (select id from events), b as (select id + 1 as id from a) select sum(id) from b": [(9,)],
        "with a(x, y) as (select id, name from events) select y from a where x = 1": [("ann",)],
        "with events as (select 7 as id) select id from events": [(7,)],
        "with events as (select * from events where id = 1) select id from events": [(1,)],
        "with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) select sum(n) from t": [(15,)],
        "select 1 union all select 1": [(1,), (1,)],
        "select 1 union select 1": [(1,)],
        "select 1 union all select 2.5 order by 1": [(1.0,), (2.5,)],
        "select 1 union select 2 intersect select 2 order by 1": [(1,), (2,)],
        "select id from events except select id from users": [(3,)],
        "select id from events intersect select id from users order by id desc limit 1": [(2,)],
        "select null union all select 'a' order by 1": [("a",), (None,)],
        "values (1, 'a'), (2, null)": [(1, "a"), (2, None)],
        "table users": [(1, "Ann A.", "eu", 2025), (2, "Bob B.", "us", 2026), (4, "Dan", "eu", 2026)],
        "select x from (values 1, 2.5) as t(x) order by 1": [(1.0,), (2.5,)],
        "(select 1 limit 1) union all (select 2)": [(1,), (2,)],
        "select * from (select 1 as a, 2 as a)": [(1, 2)],
    },
    "columns": {
        "select geo.city, events.geo.lat, events.props['k'], tags[1] from events where id = 1": [("Ulm", 48.1, 1, "x")],
        "select parts[2].b, transform(parts, p -> p.a) from events where id = 1": [("q", [1, 2])],
        'select "ID", Name from EVENTS where Id = 1': [(1, "ann")],
        "select awsdatacatalog.db.events.id from awsdatacatalog.db.events where id = 1": [(1,)],
        'select "$path", "$file_size" from events where "$path" like \'%1.parquet\'': [("/data/1.parquet", 100)],
        "select count(*) from events tablesample bernoulli (100)": [(3,)],
        "select small + 1, typeof(small + 1), cast(small as tinyint) from events where id = 1": [(8, "integer", 7)],
        "select r.* from (select cast(row(1, 'x') as row(a bigint, b varchar)) as r)": [(1, "x")],
    },
}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [pytest.param(sql, rows, id=f"{topic}: {sql}") for topic, cases in QUERIES.items() for sql, rows in cases.items()],
)
def test_query(answer, sql, expected):
    assert answer(sql).rows == expected


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select id, id + 1, name as n, count(*) over () from events", ("id", "_col1", "n", "_col3")),
        ("select * from users", ("id", "name", "region", "year")),
        ("select u.*, 1 from users u", ("id", "name", "region", "year", "_col4")),
        ("select 5 as x, s.* from (select id + 1 from events) s", ("x", "_col1")),
        ("select * from events e join users u using (id) limit 0", ("id", "name", "price", "amount", "small", "flag", "at", "day", "tags", "props", "geo", "parts", "payload", "inserted_at", "name", "region", "year")),
        ("select geo.city, Name from events", ("city", "Name")),
        ("select 1 as a, 2 as a", ("a", "a")),
        ("values (1, 2)", ("_col0", "_col1")),
        ("select id as x from events union all select id from users", ("x",)),
        ('select *, "$path" from users', ("id", "name", "region", "year", "$path")),
        ("with t(a, b) as (values (1, 2)) select * from t", ("a", "b")),
    ],
)  # fmt: skip
def test_column_names_are_those_of_athena(answer, sql, names):
    """A column without a name is _col and its position; a star shows no hidden column."""
    assert answer(sql).plan.column_names == names


@pytest.mark.parametrize(
    ("sql", "type", "duckdb_type"),
    [
        ("sum(id)", "bigint", "BIGINT"),
        ("avg(id)", "double", "DOUBLE"),
        ("avg(amount)", "decimal(12,2)", "DECIMAL(12,2)"),
        ("sum(amount)", "decimal(38,2)", "DECIMAL(38,2)"),
        ("count(*)", "bigint", "BIGINT"),
        ("max(cardinality(props))", "bigint", "BIGINT"),
        ("max(small)", "smallint", "SMALLINT"),
        ("max(small * small)", "smallint", "SMALLINT"),
        ("max(1.5)", "double", "DOUBLE"),
        ("histogram(name)", "map(varchar, bigint)", "MAP(VARCHAR, BIGINT)"),
        ("max(day + interval '1' day)", "date", "DATE"),
        ("max(at - at)", "interval day to second", "INTERVAL"),
        ("array_agg(geo)", "array(row(lat double, city varchar))", "STRUCT(lat DOUBLE, city VARCHAR)[]"),
    ],
)
def test_types_are_those_of_athena_and_duckdb_has_them_too(answer, sql, type, duckdb_type):
    found = answer(f"select {sql} from events")
    assert found.plan.column_types == (type,)
    assert found.types == [duckdb_type]


def test_every_function_has_a_value_here():
    cases = " ".join(
        [*(sql for topic in VALUES.values() for sql in topic), *(sql for topic in QUERIES.values() for sql in topic)]
    )
    called = set(re.findall(r"\b(\w+)\(", cases))
    assert [name for names in calls.names().values() for name in names if name not in called] == []


FAILURES = {
    "1 / 0": (duckdb.Error, "Division by zero"),
    "1 % 0": (duckdb.Error, "Division by zero"),
    "2147483647 + 1": (duckdb.Error, "Overflow"),
    "cast(300 as tinyint)": (duckdb.Error, "out of range"),
    "cast('x' as integer)": (duckdb.Error, "Cannot cast to an integer: x"),
    "cast('1.5' as bigint)": (duckdb.Error, "Cannot cast to an integer: 1.5"),
    "cast(concat('2026-11-23', 'T00:00:00') as timestamp)": (duckdb.Error, "Cannot cast to timestamp"),
    "cast(nan() as bigint)": (duckdb.Error, ""),
    "cast(json '{}' as varchar)": (duckdb.Error, "Cannot cast JSON objects"),
    "cast(12345 as varchar(3))": (duckdb.Error, "does not fit varchar(3)"),
    "array[1, 2][3]": (duckdb.Error, "Array subscript is out of bounds: 3"),
    "array[1, 2][0]": (duckdb.Error, "Array subscript is out of bounds: 0"),
    "array[1, 2][-1]": (duckdb.Error, "Array subscript is out of bounds: -1"),
    "element_at(array[1], 0)": (duckdb.Error, "start at 1"),
    "map(array['a'], array[1])['b']": (duckdb.Error, "Key not present in map"),
    "map(array['a', 'a'], array[1, 2])": (duckdb.Error, "unique"),
    "split('a', '')": (duckdb.Error, "delimiter may not be empty"),
    "split_part('a', ',', 0)": (duckdb.Error, "greater than zero"),
    "json_parse('x')": (duckdb.Error, "Malformed JSON"),
    "from_iso8601_timestamp('2020-05-11T11:15:05+02:00')": (duckdb.Error, "AT TIME ZONE 'UTC'"),
    "from_iso8601_timestamp('2020-05-11 11:15:05')": (duckdb.Error, "Not an ISO 8601 timestamp"),
    "date_parse('2024', '%Y-%m')": (duckdb.Error, "parse"),
    "from_base('12', 2)": (duckdb.Error, "Not a digit of this base: 2"),
    "levenshtein_distance('ä', 'a')": (duckdb.Error, "takes only ASCII here"),
    "date '2026-01-01' + interval '1' hour": (duckdb.Error, "Cannot add hours"),
    "(select x from (values 1, 2) as t(x))": (duckdb.Error, "More than one row"),
    "'a' = 1": (QueryFailed, "Cannot apply operator: varchar = integer"),
    "'a' || 1": (QueryFailed, "concat must be of one type; got varchar, integer"),
    "1 + 'a'": (QueryFailed, "Cannot apply operator: integer + varchar"),
    "date '2026-01-01' = '2026-01-01'": (QueryFailed, "Cannot apply operator: date = varchar"),
    "date '2026-01-01' + 1": (QueryFailed, "Cannot apply operator: date + integer"),
    "1 like 'a'": (QueryFailed, "LIKE takes varchar"),
    "lower(1)": (QueryFailed, "Unexpected parameters (integer) for function lower. Expected: lower(varchar)"),
    "md5('a')": (QueryFailed, "Expected: md5(varbinary)"),
    "case when 1 then 2 end": (QueryFailed, "condition must be a boolean"),
    "cast(1 as date)": (QueryFailed, "Cannot cast integer to date"),
    "array[1, 'a']": (QueryFailed, "ARRAY elements must be of one type"),
    "coalesce(1, 'a')": (QueryFailed, "Unexpected parameters (integer, varchar)"),
    "date '2026-02-30'": (QueryFailed, "Value cannot be cast to date"),
    "timestamp '2026-02-01T00:00:00'": (QueryFailed, "with a blank, not a T"),
    "date_trunc('fortnight', now())": (QueryFailed, "'fortnight' is not a valid unit"),
    "date_add('hour', 1, date '2026-01-01')": (QueryFailed, "does not take (integer, date)"),
    "99999999999999999999": (QueryFailed, "does not fit a bigint"),
    "row_number()": (QueryFailed, "needs OVER"),
    "filter(array[1], 5)": (QueryFailed, "Unexpected parameters"),
    "transform(array[1], (x, y) -> x)": (QueryFailed, "the lambda takes 1 parameters; it has 2"),
    "(select 1, 2)": (QueryFailed, "2 columns; it must have one"),
    "now() at time zone 'Asia/Tokyo'": (QueryRefused, "zone than UTC"),
    "timestamp '2026-01-01 00:00:00 Asia/Tokyo'": (QueryRefused, "in the zone 'Asia/Tokyo'"),
    "timestamp '2026-01-01 00:00:00.123456'": (QueryRefused, "more than milliseconds"),
    "now() at time zone 'Asia/Tokyo' < now()": (QueryFailed, "Cannot apply operator"),
    "cast(now() at time zone 'Asia/Tokyo' as timestamp)": (QueryFailed, "Athena and Trino give different values here"),
    "date_trunc('hour', now() at time zone 'Asia/Tokyo')": (QueryFailed, "does not take"),
    "with_timezone(timestamp '2026-01-01 00:00:00', 'Asia/Tokyo')": (QueryRefused, "AT TIME ZONE 'UTC'"),
    "json '1' = json '1'": (QueryRefused, "JSON values are not compared"),
    "json_extract('{}', '$.*')": (QueryRefused, "JSON path"),
    "json_value('{}', 'lax $.a')": (QueryRefused, "takes 'strict"),
    "date_format(now(), '%U')": (QueryRefused, "has %U"),
    "format_datetime(now(), 'qq')": (QueryRefused, "has 'qq'"),
    "format('%x', 1)": (QueryRefused, "not supported"),
    "regexp_replace('a', 'a', '$x')": (QueryRefused, "a group is $ and one digit"),
    "replace('abc', lower(''), 'x')": (duckdb.Error, "replace of '' is not supported"),
    "format('%08.2f', 1.5)": (QueryRefused, "not supported"),
    "replace('abc', '', 'x')": (QueryRefused, "between all characters"),
    "cast('a' as char(3))": (QueryRefused, "No cast to char"),
    "cast('a' as string)": (QueryRefused, "No cast to text"),
    "cast(now() as time)": (QueryRefused, "No cast to time"),
    "'a' 'b'": (QueryRefused, "CONCAT is not supported"),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "error"), FAILURES.items(), ids=FAILURES)
def test_failure(answer, sql, error):
    """What Athena does not compute is an error here too, and what cannot be translated faithfully is refused."""
    kind, message = error
    with pytest.raises(kind) as raised:
        answer(f"select {sql}")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("value", "type"),
    [
        (5, "integer"),
        (2**40, "bigint"),
        (1.5, "double"),
        ("it's", "varchar"),
        (True, "boolean"),
        (None, "unknown"),
        (b"\x00\xff", "varbinary"),
        (D("1.50"), "decimal(3,2)"),
        (D("1E+2"), "decimal(3,0)"),
        (day("2026-11-23"), "date"),
        (at("2026-11-23 01:02:03"), "timestamp(3)"),
        (utc("2026-11-23 01:02:03"), "timestamp(3) with time zone"),
    ],
)
def test_parameter(answer, value, type):
    found = answer("select ?", value)
    assert found.rows == [(value,)]
    assert found.plan.column_types == (type,)


def test_parameters_count_in_the_order_of_the_text(answer):
    assert answer("select ?, name from events where id > ? order by 2 limit ?", "x", 1, 1).rows == [("x", "Cid")]
    assert answer("select date_format(timestamp '2026-01-02 00:00:00', ?)", "%d").rows == [("02",)]
    assert answer("select json_extract_scalar('{\"a\": 1}', ?), ?", "$.a", 2).plan.parameters == {"p2": 2}


def test_every_type_of_a_column_is_a_type_of_duckdb(connection):
    for type in (
        *types.INTEGERS,
        *types.FLOATS,
        types.VARCHAR,
        types.JSON,
        types.array(types.map_of(types.DATE, types.INSTANT)),
    ):
        connection.execute(f"SELECT CAST(NULL AS {types.duckdb(type)})").fetchall()


COUNT_TO = "with recursive t(n) as (select 1 union all select n + 1 from t where n < {}) select {} from t"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (COUNT_TO.format(11, "count(*), max(n)"), [(11, 11)]),  # ten steps, of which the last gives one row
        (COUNT_TO.format(12, "count(*), max(n)"), None),
        (COUNT_TO.format(12, "count(*)").replace(" from t)", " from t where n = 2)"), None),
        ("with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t a, t b", None),
        # The rows of a step keep their duplicates: UNION alone ends nothing, and is applied at the end.
        ("with recursive t(n) as (select 1 union select n from t) select n from t", None),
        (
            COUNT_TO.format(3, "n").replace("select 1 union all", "values 1, 1, 2 union") + " order by 1",
            [(1,), (2,), (3,)],
        ),
        (COUNT_TO.format(3, "count(*)").replace("select 1", "values 1, 1"), [(6,)]),
        # A step may look at the steps before in any way, and call its columns as it likes.
        (
            "with recursive t(step, n) as (select 0, cast(1 as bigint) union all select s.step + 1, c from (select * from t) s"
            " cross join (select count(*) + 5 as c from t) where s.step < 2) select step, n from t order by 1",
            [(0, 1), (1, 6), (2, 6)],
        ),
        (
            "with recursive a(n) as (select 1 union all select n + 1 from a where n < 11), b(n) as (select max(n) from a"
            " union all select n + 1 from b where n < 21) select min(n), max(n) from b",
            [(11, 21)],
        ),
        (
            "with recursive t(n) as (select 1 union all select u.n + 1 from t u join t v on u.n = v.n where u.n < 4),"
            " t_steps as (select 7 as n) select t.n from t cross join t_steps order by 1 desc limit 1",
            [(4,)],
        ),
        ("with recursive t(n) as (select id from events where id > 9 union all select n from t) select n from t", []),
        ("select try((with recursive t(n) as (select 1 union all select n + 1 from t) select max(n) from t))", None),
    ],
)
def test_a_recursion_takes_ten_steps(answer, sql, expected):
    if expected is None:
        with pytest.raises((duckdb.Error, QueryRefused), match=r"Recursion depth limit exceeded \(10\)|try"):
            answer(sql)
    else:
        assert answer(sql).rows == expected
