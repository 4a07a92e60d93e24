"""How a JSON value becomes a column's value: docs/reference/conversion.md, row by row, for each column type.

Each case goes two ways, through the fast path among plain neighbours and through the exact rules alone, and must come
out the same.
"""

import json
import time
from datetime import date, datetime
from decimal import Decimal

import pytest

from datawarehouse.convert.rows import RowConverter
from datawarehouse.definition.rejects import MALFORMED_DATA, PARSE_ERROR, Reason
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type

INTEGERS = {
    "tinyint": (-128, 127),
    "smallint": (-32768, 32767),
    "int": (-2147483648, 2147483647),
    "bigint": (-9223372036854775808, 9223372036854775807),
}
FLOATS = ("float", "double")
NUMBERS = (*INTEGERS, *FLOATS, "decimal(9,2)")
TEXTS = ("string", "varchar(40)", "char(40)")
SCALARS = (*NUMBERS, *TEXTS, "boolean", "timestamp", "date")
NESTED = ("array<int>", "map<string,int>", "struct<x:int,y:string>")
ALL_TYPES = (*SCALARS, "binary", *NESTED)

EXPECTED = {
    **{name: f"a whole number from {low} to {high}" for name, (low, high) in INTEGERS.items()},
    **{name: f"a number in the range of {name}" for name in FLOATS},
    "decimal(9,2)": "a number of at most 7 digits before and 2 after the point, decimal(9,2)",
    "boolean": "true or false",
    "timestamp": (
        "a timestamp in milliseconds: 'yyyy-MM-dd HH:mm:ss[.fff]', 'yyyy-MM-ddTHH:mm:ss[.fff][Z]' in UTC, "
        "or seconds or milliseconds since 1970"
    ),
    "date": "a date, 'yyyy-MM-dd'",
    "binary": "null, the only value of a binary column that JSON can express; declare it as string",
    "map<string,int>": "an object",
    "struct<x:int,y:string>": "an object",
}


def stored(kind: str, record: str | bytes) -> list:
    """The values of column c that a record becomes. Raises AssertionError if it is rejected."""
    rows = _both_ways(kind, record)
    assert not isinstance(rows, Reason), rows.message
    return rows


def rejected(kind: str, record: str | bytes) -> Reason:
    """Why a record is rejected."""
    reason = _both_ways(kind, record)
    assert isinstance(reason, Reason), f"stored as {reason}"
    return reason


def _both_ways(kind: str, record: str | bytes) -> list | Reason:
    data = record if isinstance(record, bytes) else record.encode()
    columns = [Column("c", parse_type(kind)), Column("neighbour", parse_type("string"))]
    alone = _outcome(RowConverter(columns), [data], 0)
    before, after = b'{"neighbour":"before"}', b'{"neighbour":"after"}'
    converter = RowConverter(columns)
    for _ in range(2):  # the second time with what was learned in the first
        among = converter.convert([before, data, after])
        names = [row["neighbour"] for batch in among.batches for row in batch.to_pylist()]
        assert {"before", "after"} <= set(names), "the neighbours are stored"
        outcome = _outcome(converter, [before, data, after], 1)
        assert repr(outcome) == repr(alone)
    return alone


def _outcome(converter: RowConverter, records: list[bytes], place: int) -> list | Reason:
    rows = converter.convert(records)
    try:
        exact = converter.exact(records[place])
    except Exception as reject:
        exact = reject.reason
    if rows.rejects:
        [(at, reason)] = rows.rejects
        assert at == place
        assert isinstance(exact, Reason), f"the fast path rejects ({reason.message}), the exact rules give {exact}"
        assert exact.code == reason.code
        return exact
    assert not isinstance(exact, Reason), f"the fast path stores, the exact rules reject: {exact.message}"
    found = [
        row["c"]
        for batch in rows.batches
        for row in batch.to_pylist(maps_as_pydicts="strict")
        if row["neighbour"] not in ("before", "after")
    ]
    assert len(found) == len(exact)
    return found


def of(value: str) -> str:
    return '{"c":' + value + "}"


def bad_value(kind: str, value: str, received: str, column: str = "c", expected: str | None = None) -> None:
    reason = rejected(kind, of(value))
    assert reason == Reason(MALFORMED_DATA, expected or EXPECTED[kind], received, column)
    assert reason.message.startswith("Data does not match the schema. Column ")


# -- the record


@pytest.mark.parametrize("record", ['{"c":1', '{"c":', '{"c":"x', "{", '{"c":1}}', '{"c":1},', "garbage", '{"c":nul}'])
def test_what_is_not_json_is_a_parse_error(record):
    reason = rejected("int", record)
    assert reason.code == PARSE_ERROR
    assert reason.message.startswith("Encountered malformed JSON.")


@pytest.mark.parametrize(("record", "received"), [("", "an empty record"), (" \r\n\t ", "a record of blanks")])
def test_an_empty_record_is_malformed_data(record, received):
    assert rejected("int", record) == Reason(MALFORMED_DATA, "a JSON object", received)


@pytest.mark.parametrize(
    ("record", "received"),
    [
        ("42", "the number 42"),
        ('"x"', 'the string "x"'),
        ("true", "the boolean true"),
        ("null", "null"),
        ('[{"c":1}]', "an array"),
        ("[]", "an array"),
    ],
)
def test_only_an_object_may_stand_at_the_top(record, received):
    assert rejected("int", record) == Reason(MALFORMED_DATA, "an object at the top level", received)


@pytest.mark.parametrize("between", ["", "\n", " ", "\r\n", "\n\n \t"])
def test_several_documents_in_a_record_are_several_rows(between):
    assert stored("int", between.join(['{"c":1}', '{"c":2}', '{"c":3}']) + between) == [1, 2, 3]


def test_a_document_may_span_lines():
    assert stored("int", '{\n  "c": 1\n}\n{\n  "c": 2\n}') == [1, 2]


def test_a_record_with_a_bad_document_is_rejected_whole():
    assert rejected("int", '{"c":1}\n{"c":"x"}\n{"c":3}').received == 'the string "x"'
    assert rejected("int", '{"c":1}\n{"c":').code == PARSE_ERROR


@pytest.mark.parametrize("ending", ["\n", "\r\n", " ", "\n\n"])
def test_a_trailing_newline_is_fine(ending):
    assert stored("int", '{"c":1}' + ending) == [1]


@pytest.mark.parametrize("kind", ALL_TYPES)
def test_a_missing_column_is_null(kind):
    assert stored(kind, "{}") == [None]
    assert stored(kind, '{"other":1}') == [None]


@pytest.mark.parametrize("kind", ALL_TYPES)
def test_null_is_null_in_any_column(kind):
    assert stored(kind, of("null")) == [None]


@pytest.mark.parametrize("extra", ["1", '"x"', "null", '{"c":5,"d":[{"c":6}]}', "[[1],{}]", '"\\":\\"c\\":7"'])
def test_an_extra_key_is_dropped(extra):
    assert stored("int", '{"x":' + extra + ',"c":1}') == [1]
    assert stored("int", '{"c":1,"x":' + extra + "}") == [1]


@pytest.mark.parametrize("key", ["C", "c", "\\u0063", "\\u0043"])
def test_keys_match_in_any_case(key):
    assert stored("int", '{"' + key + '":1}') == [1]


@pytest.mark.parametrize(
    "record",
    [
        '{"c":1,"c":2}',
        '{"c":1,"C":2}',
        '{"C":1,"c":2}',
        '{"c":null,"c":2}',
        '{"c":1,"c":null}',
        '{"c":1,"\\u0063":2}',
        '{"c" :1,"c":2}',
        '{"x":"\\":","c":1,"c":2}',
        '{"c":1,"x":":","c":2}',
        '{"c":1,"x":{"y":1},"c":2}',
    ],
)
def test_a_key_that_comes_twice_is_rejected(record):
    assert rejected("int", record) == Reason(MALFORMED_DATA, "each key once, in whatever case", "the key 'c' twice")


def test_a_key_that_comes_twice_inside_a_value_is_rejected():
    for kind, column in (("struct<x:int,y:string>", "c"), ("map<string,int>", "c"), ("string", "c")):
        reason = rejected(kind, of('{"x":1,"X":2}'))
        assert reason == Reason(MALFORMED_DATA, "each key once, in whatever case", "the key 'x' twice", column)


def test_what_is_dropped_is_not_looked_into():
    assert stored("int", '{"x":{"a":1,"a":2},"c":1}') == [1]


# -- numbers


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers(kind):
    low, high = INTEGERS[kind]
    for number in (0, 7, -7, low, high):
        assert stored(kind, of(str(number))) == [number]
        assert stored(kind, of(f'"{number}"')) == [number]
    assert stored(kind, of("-0")) == [0]


@pytest.mark.parametrize("kind", INTEGERS)
def test_an_integer_beyond_its_width_is_rejected(kind):
    low, high = INTEGERS[kind]
    for number in (low - 1, high + 1, 10**30, -(10**30)):
        bad_value(kind, str(number), f"the number {number}")
        bad_value(kind, f'"{number}"', f'the string "{number}"')


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("number", ["7.0", "70e-1", "0.7e1", "7.000"])
def test_a_whole_number_written_with_a_point_is_an_integer(kind, number):
    assert stored(kind, of(number)) == [7]


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("number", ["1.5", "-0.1", "1e-1", "7.0000000000000000001", "1e400", "1e-400"])
def test_a_fraction_in_an_integer_is_rejected(kind, number):
    bad_value(kind, number, f"the number {number}")


NOT_NUMBERS = (
    "oops",
    "",
    " 10",
    "10 ",
    "0x1F",
    "1_000",
    "+5",
    "007",
    "1,5",
    "٣",
    "NaN",
    "Infinity",
    "1e",
    "--1",
    "true",
)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_a_string_that_is_not_a_number_is_rejected(kind, text):
    bad_value(kind, json.dumps(text, ensure_ascii=False), f"the string {json.dumps(text, ensure_ascii=False)}")


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("text", ["2.25", "7.0", "1e2"])
def test_a_string_in_an_integer_has_digits_only(kind, text):
    bad_value(kind, f'"{text}"', f'the string "{text}"')


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize(
    ("value", "received"),
    [("true", "the boolean true"), ("[1]", "an array"), ('{"x":1}', "an object"), ("[]", "an array")],
)
def test_what_is_no_number_is_rejected(kind, value, received):
    bad_value(kind, value, received)


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize(
    ("text", "number"),
    [("2.25", 2.25), ("1", 1.0), ("-1e2", -100.0), ("0.5", 0.5), ("1e-400", 0.0), ("16777216", 2.0**24)],
)
def test_floating_numbers(kind, text, number):
    assert stored(kind, of(text)) == [number]
    assert stored(kind, of(f'"{text}"')) == [number]


def test_a_double_is_the_nearest_and_a_float_the_nearest_to_that():
    assert stored("double", of("0.1")) == [0.1]
    assert stored("float", of("0.1")) == [0.10000000149011612]
    assert stored("double", of("123456789012345678901234567890")) == [1.2345678901234568e29]


@pytest.mark.parametrize(
    ("kind", "largest", "beyond"),
    [
        # (2 - 2^-23) * 2^127 of IEEE 754, and the double that follows it
        ("float", "3.4028234663852886e38", "3.402823466385289e38"),
        ("double", "1.7976931348623157e308", "1.7976931348623159e308"),
    ],
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_the_largest_number_of_a_type_is_in_its_range(kind, largest, beyond, sign):
    for quote in ("", '"'):
        assert stored(kind, of(f"{quote}{sign}{largest}{quote}")) == [float(sign + largest)]
    bad_value(kind, sign + beyond, f"the number {sign}{beyond}")


@pytest.mark.parametrize(
    ("kind", "number"), [("double", "1e400"), ("double", "-1e309"), ("float", "1e39"), ("float", "3.5e38")]
)
def test_a_number_beyond_the_range_is_rejected(kind, number):
    bad_value(kind, number, f"the number {number}")
    bad_value(kind, f'"{number}"', f'the string "{number}"')


def test_no_number_is_written_nan():
    assert rejected("double", of("NaN")).code == PARSE_ERROR
    assert rejected("double", of("-Infinity")).code == PARSE_ERROR


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.25", "1.25"),
        ("-1234567.89", "-1234567.89"),
        ("7", "7.00"),
        ("1.500", "1.50"),
        ("0.01", "0.01"),
        ("-9999999.99", "-9999999.99"),
        ("1e3", "1000.00"),
        ("0", "0.00"),
        ("0e99", "0.00"),
        ("12e-1", "1.20"),
    ],
)
def test_decimals(text, number):
    for value in (text, f'"{text}"'):
        [found] = stored("decimal(9,2)", of(value))
        assert str(found) == number


def test_a_decimal_of_the_largest_precision():
    digits = "1" * 38
    assert stored("decimal(38,0)", of(digits)) == [Decimal(digits)]
    assert stored("decimal(38,38)", of("0." + digits)) == [Decimal("0." + digits)]


@pytest.mark.parametrize("number", ["12345678", "1e7", "-10000000.00", "1.255", "0.001", "1e-9"])
def test_a_decimal_that_does_not_fit_is_rejected_never_rounded(number):
    bad_value("decimal(9,2)", number, f"the number {number}")


# -- strings


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"a"', "a"),
        ('""', ""),
        ('"äöü 😀"', "äöü 😀"),
        ('"\\u00e4\\ud83d\\ude00"', "ä😀"),
        ('"a\\u0000b"', "a\0b"),
        ('"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
        ("1", "1"),
        ("-1.50", "-1.50"),
        ("1E400", "1E400"),
        ("12345678901234567890123456789", "12345678901234567890123456789"),
        ("true", "true"),
        ("false", "false"),
        ("[]", "[]"),
        ("{}", "{}"),
        ('[1, "A", null, {"B": 2.0}]', '[1,"A",null,{"b":2.0}]'),
        ('{"A": {"Bc": [1, "X\\u00e4", true]}}', '{"a":{"bc":[1,"Xä",true]}}'),
    ],
)
def test_strings_take_any_value_as_text(kind, value, text):
    assert stored(kind, of(value)) == [text]


@pytest.mark.parametrize("kind", ["varchar(3)", "char(3)"])
def test_a_text_longer_than_its_column_is_rejected_never_cut(kind):
    assert stored(kind, of('"abc"')) == ["abc"]
    assert stored(kind, of('"ä😀ß"')) == ["ä😀ß"]
    for value, received in (('"abcd"', "4 characters"), ("12345", "5 characters")):
        bad_value(kind, value, received, expected=f"at most 3 characters, {kind}")


@pytest.mark.parametrize(
    "record", [of('"\\ud800"'), of('"\\ud800x"'), of('"\\udc00\\ud800"'), '{"x":"\\ud800","c":"a"}']
)
def test_a_lone_surrogate_is_malformed(record):
    assert rejected("string", record).code == PARSE_ERROR


@pytest.mark.parametrize(
    "record", [b'{"c":"\xff"}', b'{"c":"\xc3"}', b'{"x":"\xff","c":"a"}', b'{"\xff":1}', b"\xff\xfe{}"]
)
def test_invalid_utf8_is_malformed(record):
    assert rejected("string", record).code == PARSE_ERROR


@pytest.mark.parametrize(
    "record", [b'{"c":"a\x00b"}', b'{"c":"a\x01b"}', b'{"c":"a\nb"}', b'{"x":"\x1f","c":"a"}', b"\0"]
)
def test_raw_control_characters_are_malformed(record):
    assert rejected("string", record).code == PARSE_ERROR


def test_a_byte_order_mark_is_skipped():
    assert stored("string", b'\xef\xbb\xbf{"c":"a"}') == ["a"]


# -- booleans, times


@pytest.mark.parametrize(
    ("value", "found"),
    [("true", True), ("false", False), ('"true"', True), ('"FALSE"', False), ('"True"', True)],
)
def test_booleans(value, found):
    assert stored("boolean", of(value)) == [found]


@pytest.mark.parametrize(
    ("value", "received"),
    [
        ('"yes"', 'the string "yes"'),
        ('""', 'the string ""'),
        ('" true"', 'the string " true"'),
        ("1", "the number 1"),
        ("0", "the number 0"),
        ("[true]", "an array"),
        ("{}", "an object"),
    ],
)
def test_what_is_no_boolean_is_rejected(value, received):
    bad_value("boolean", value, received)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ('"2026-03-01 07:08:09"', datetime(2026, 3, 1, 7, 8, 9)),
        ('"2026-03-01 07:08:09.1"', datetime(2026, 3, 1, 7, 8, 9, 100_000)),
        ('"2026-03-01 07:08:09.123"', datetime(2026, 3, 1, 7, 8, 9, 123_000)),
        ('"2026-03-01 07:08:09.123000000"', datetime(2026, 3, 1, 7, 8, 9, 123_000)),
        ('"2026-3-1 7:8:9"', datetime(2026, 3, 1, 7, 8, 9)),
        ('"2026-03-01T07:08:09"', datetime(2026, 3, 1, 7, 8, 9)),
        ('"2026-03-01T07:08:09Z"', datetime(2026, 3, 1, 7, 8, 9)),
        ('"2026-03-01T07:08:09.12"', datetime(2026, 3, 1, 7, 8, 9, 120_000)),
        ('"2026-03-01T07:08:09.123Z"', datetime(2026, 3, 1, 7, 8, 9, 123_000)),
        ('"2026-03-01T07:08:09.123000000Z"', datetime(2026, 3, 1, 7, 8, 9, 123_000)),
        ('"0001-01-01 00:00:00"', datetime(1, 1, 1)),
        ('"9999-12-31T23:59:59.999Z"', datetime(9999, 12, 31, 23, 59, 59, 999_000)),
        ('"2024-02-29T00:00:00Z"', datetime(2024, 2, 29)),
        ("1518033528", datetime(2018, 2, 7, 19, 58, 48)),
        ('"1518033528"', datetime(2018, 2, 7, 19, 58, 48)),
        ("1518033528123", datetime(2018, 2, 7, 19, 58, 48, 123_000)),
        ('"1518033528123"', datetime(2018, 2, 7, 19, 58, 48, 123_000)),
        ("1518033528.123", datetime(2018, 2, 7, 19, 58, 48, 123_000)),
        ("1.518033528e9", datetime(2018, 2, 7, 19, 58, 48)),
        ("0", datetime(1970, 1, 1)),
        ("-1", datetime(1969, 12, 31, 23, 59, 59)),
        ("1000000000000", datetime(2001, 9, 9, 1, 46, 40)),
        ("-1000000000000", datetime(1938, 4, 24, 22, 13, 20)),
    ],
)
def test_timestamps(value, instant):
    assert stored("timestamp", of(value)) == [instant]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T07:08:09+00:00",
        "2026-03-01T07:08:09+02:00",
        "2026-03-01 07:08:09Z",
        "2026-03-01T7:08:09Z",
        "2026-3-01T07:08:09Z",
        "2026-03-01T07:08:09z",
        "2026-03-01t07:08:09Z",
        "2026-03-01",
        "2026-03-01T07:08Z",
        "2026-02-30 00:00:00",
        "2025-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "2026-03-01T07:08:09.Z",
        "2026-03-01T07:08:09.1234567890Z",
        "2026-03-01T07:08:09.1234Z",
        "2026-03-01 07:08:09.123456",
        "2026/03/01 07:08:09",
        " 2026-03-01 07:08:09",
        "٢٠٢٦-03-01T07:08:09Z",
        "yesterday",
        "",
    ],
)
def test_a_string_that_is_no_timestamp_is_rejected(text):
    bad_value("timestamp", json.dumps(text, ensure_ascii=False), f"the string {json.dumps(text, ensure_ascii=False)}")


@pytest.mark.parametrize(
    ("value", "received"),
    [
        ("999999999999", "the number 999999999999"),
        ("-999999999999", "the number -999999999999"),
        ("1e30", "the number 1e30"),
        ("1518033528.1234", "the number 1518033528.1234"),
        ("1518033528123.5", "the number 1518033528123.5"),
        ("true", "the boolean true"),
        ("[]", "an array"),
        ("{}", "an object"),
    ],
)
def test_what_is_no_instant_is_rejected(value, received):
    bad_value("timestamp", value, received)


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-03-01", date(2026, 3, 1)), ("2026-3-1", date(2026, 3, 1)), ("1969-12-31", date(1969, 12, 31))],
)
def test_dates(text, day):
    assert stored("date", of(f'"{text}"')) == [day]


@pytest.mark.parametrize(
    ("value", "received"),
    [
        ('"2026-02-30"', 'the string "2026-02-30"'),
        ('"2026-03-01T00:00:00Z"', 'the string "2026-03-01T00:00:00Z"'),
        ('"26-03-01"', 'the string "26-03-01"'),
        ("20260301", "the number 20260301"),
        ("true", "the boolean true"),
        ("[]", "an array"),
    ],
)
def test_what_is_no_date_is_rejected(value, received):
    bad_value("date", value, received)


@pytest.mark.parametrize(
    ("value", "received"), [('"YQ=="', 'the string "YQ=="'), ("1", "the number 1"), ("[]", "an array")]
)
def test_binary_takes_null_only(value, received):
    bad_value("binary", value, received)


# -- nested values


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("array<int>", "[1,2]", [1, 2]),
        ("array<int>", "[]", []),
        ("array<int>", "[1,null]", [1, None]),
        ("array<int>", '["1"]', [1]),
        ("array<int>", "1", [1]),
        ("array<int>", '"1"', [1]),
        ("array<string>", '"a"', ["a"]),
        ("array<string>", '{"A":1}', ['{"a":1}']),
        ("array<struct<x:int>>", '{"x":1}', [{"x": 1}]),
        ("array<array<int>>", "[[1],2,null]", [[1], [2], None]),
        ("array<timestamp>", '["2026-03-01 00:00:00",0]', [datetime(2026, 3, 1), datetime(1970, 1, 1)]),
        ("array<date>", '["2026-03-01",null]', [date(2026, 3, 1), None]),
        ("array<decimal(3,1)>", '[1.5,"2"]', [Decimal("1.5"), Decimal("2.0")]),
        ("array<map<string,string>>", '[{"A":1},{}]', [{"a": "1"}, {}]),
        ("array<varchar(2)>", '["ab",1]', ["ab", "1"]),
        ("map<string,int>", '{"A":1,"b":"2","c":null}', {"a": 1, "b": 2, "c": None}),
        ("map<string,int>", "{}", {}),
        ("map<string,string>", '{"A":{"B":1},"c":[1]}', {"a": '{"b":1}', "c": "[1]"}),
        ("map<string,array<int>>", '{"a":1,"b":[2]}', {"a": [1], "b": [2]}),
        ("map<int,string>", '{"1":"a","-2":"b"}', {1: "a", -2: "b"}),
        ("map<string,struct<x:int>>", '{"K":{"X":1}}', {"k": {"x": 1}}),
        ("struct<x:int,y:string>", '{"x":1,"y":"a"}', {"x": 1, "y": "a"}),
        ("struct<x:int,y:string>", '{"X":"1","Y":2}', {"x": 1, "y": "2"}),
        ("struct<x:int,y:string>", '{"x":1,"z":{"x":2}}', {"x": 1, "y": None}),
        ("struct<x:int,y:string>", "{}", {"x": None, "y": None}),
        ("struct<x:int,y:string>", '{"x":null}', {"x": None, "y": None}),
        ("struct<x:int,y:string>", '[1,"a"]', {"x": 1, "y": "a"}),
        ("struct<x:int,y:string>", '[1,"a","extra"]', {"x": 1, "y": "a"}),
        ("struct<x:int,y:string>", "[1]", {"x": 1, "y": None}),
        ("struct<x:int,y:string>", "[]", {"x": None, "y": None}),
        ("struct<x:struct<y:array<int>>>", '{"X":{"Y":[1]}}', {"x": {"y": [1]}}),
        ("struct<t:timestamp,d:decimal(3,1)>", '{"t":0,"d":"1.5"}', {"t": datetime(1970, 1, 1), "d": Decimal("1.5")}),
    ],
)
def test_nested_values(kind, value, found):
    assert stored(kind, of(value)) == [found]


@pytest.mark.parametrize(
    ("kind", "value", "expected", "received", "column"),
    [
        ("map<string,int>", "[1]", "an object", "an array", "c"),
        ("map<string,int>", "1", "an object", "the number 1", "c"),
        ("map<string,int>", '"x"', "an object", 'the string "x"', "c"),
        ("map<string,int>", '{"a":"x"}', EXPECTED["int"], 'the string "x"', "c['a']"),
        ("map<int,string>", '{"x":"a"}', EXPECTED["int"], 'the string "x"', "c['x']"),
        ("struct<x:int,y:string>", "42", "an object", "the number 42", "c"),
        ("struct<x:int,y:string>", '"x"', "an object", 'the string "x"', "c"),
        ("struct<x:int,y:string>", '{"x":"abc"}', EXPECTED["int"], 'the string "abc"', "c.x"),
        ("struct<x:int,y:string>", '["abc"]', EXPECTED["int"], 'the string "abc"', "c.x"),
        ("struct<x:struct<y:int>>", '{"x":{"y":1.5}}', EXPECTED["int"], "the number 1.5", "c.x.y"),
        ("array<int>", '[1,"x"]', EXPECTED["int"], 'the string "x"', "c[]"),
        ("array<int>", '{"x":1}', EXPECTED["int"], "an object", "c[]"),
        ("array<struct<x:int>>", '[{"x":true}]', EXPECTED["int"], "the boolean true", "c[].x"),
        ("array<array<int>>", '[["x"]]', EXPECTED["int"], 'the string "x"', "c[][]"),
        ("map<string,struct<x:int>>", '{"k":{"x":1.5}}', EXPECTED["int"], "the number 1.5", "c['k'].x"),
        ("array<timestamp>", '["never"]', EXPECTED["timestamp"], 'the string "never"', "c[]"),
        ("struct<d:date>", '{"d":"2026-02-30"}', EXPECTED["date"], 'the string "2026-02-30"', "c.d"),
    ],
)
def test_a_mismatch_at_any_depth_rejects_the_record(kind, value, expected, received, column):
    bad_value(kind, value, received, column, expected)


def test_map_keys_that_are_equal_in_lower_case_are_rejected():
    reason = rejected("map<string,int>", of('{"A":1,"a":2}'))
    assert reason == Reason(MALFORMED_DATA, "each key once, in whatever case", "the key 'a' twice", "c")


# -- size and depth


def test_a_large_record_is_stored():
    text = "x" * 10_000_000
    assert stored("string", of(f'"{text}"')) == [text]


@pytest.mark.parametrize("depth", [10, 500])
def test_deep_values_are_dropped_where_no_column_is(depth):
    assert stored("int", '{"x":' + "[" * depth + "]" * depth + ',"c":1}') == [1]


@pytest.mark.parametrize("opening", ["[", '{"x":'])
def test_a_value_that_is_too_deep_is_rejected_and_harms_nobody(opening):
    closing = "]" if opening == "[" else "}"
    depth = 100_000
    reason = rejected("int", '{"x":' + opening * depth + "1" + closing * depth + ',"c":1}')
    assert reason == Reason(PARSE_ERROR, "values nested at most about 1,000 levels", "a deeper value")


def test_a_key_that_is_twice_among_very_many_is_found_at_once():
    names = [f"k{number}" for number in range(40_000)] + ["last", "LAST"]
    record = ("{" + ",".join(f'"{name}":0' for name in names) + "}").encode()
    began = time.process_time()
    [(_, reason)] = RowConverter([Column("id", parse_type("string"))]).convert([record]).rejects
    assert reason.received == "the key 'last' twice"
    assert time.process_time() - began < 3
