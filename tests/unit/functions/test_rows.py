"""Both hosts of a job store the same rows: those the embedded context keeps, and those that Lambda writes as JSON."""

import json
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datawarehouse.convert.rows import RowConverter
from datawarehouse.definition.tables import checked_columns
from datawarehouse.errors import BadRequest
from datawarehouse.functions.rows import RowWriter
from datawarehouse.jobs.context import EmbeddedJobContext


class Color(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


COLUMNS = {
    "s": "string",
    "i": "int",
    "n": "bigint",
    "f": "float",
    "d": "double",
    "b": "boolean",
    "t": "timestamp",
    "day": "date",
    "dec": "decimal(12,3)",
    "c": "varchar(4)",
    "bin": "binary",
    "a": "array<double>",
    "m": "map<string,int>",
    "mi": "map<int,timestamp>",
    "md": "map<date,decimal(5,1)>",
    "mf": "map<double,boolean>",
    "st": "struct<x:int,y:string,z:array<struct<k:date>>>",
}
CHECKED = checked_columns("t", COLUMNS)
# Made once, as both hosts make them once for many rows.
CONTEXT = EmbeddedJobContext("t", CHECKED, 0, lambda sql, parameters: ())
CONVERTER = RowConverter(CHECKED)
WRITER = RowWriter("t", CHECKED)


def embedded(row):
    """The Arrow rows of the embedded host, or its error."""
    CONTEXT.written.clear()
    try:
        CONTEXT.write([row])
    except (BadRequest, ValueError, RecursionError) as error:
        return error
    [[batch]] = CONTEXT.written.values()
    return batch.to_pylist()


def in_lambda(row):
    """The line that Lambda writes, read back by the same rules; or its error."""
    try:
        line = WRITER.line(0, row)
    except BadRequest as error:
        return error
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    rows = CONVERTER.convert([line])
    assert not rows.rejects, (line, rows.rejects[0][1].message)
    return rows.batches[0].to_pylist()


def same(row):
    here, there = embedded(row), in_lambda(row)
    if isinstance(here, Exception):
        assert isinstance(there, BadRequest), f"embedded: {here!r}; in Lambda: {there!r}"
        if isinstance(here, BadRequest) and "cannot be written" not in str(here):
            assert str(there) == str(here)
    else:
        assert repr(there) == repr(here)  # repr tells -0.0 from 0.0


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("s", ["", 'é\n"\\/\u2028\x00\x7f', 1, 1.0, 1e16, 1e15, 1e-5, 1.25e-5, -1e-5, 1e-4, 1e-6, 1e22, -0.0, True]),
        ("s", [b"\x00\xff", bytearray(b"a"), memoryview(b"a"), Decimal("1.50"), Decimal("1E+5"), uuid.UUID(int=5)]),
        ("s", [{"A": [1, None, {"B": 1.5}]}, {1: 2}, {1.5: 2}, {date(2026, 1, 2): 1}, {Color.RED: 1}, {b"k": 1}]),
        ("s", [date(26, 1, 2), datetime(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 120), Color.RED, Size.LARGE]),
        ("s", [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-2)))]),
        (
            "s",
            [
                datetime(1890, 1, 2, tzinfo=timezone(timedelta(seconds=offset)))
                for offset in (-1172, -30, 29, 30, 31, 90)
            ],
        ),
        ("s", [[1, (2, {3})], [], {}, {"a": 1, "A": 2}, "\ud800", object(), 1j, {None: 1}, {True: 1}, {(1,): 1}]),
        ("s", [float("nan"), float("inf"), [float("nan")], {float("nan"): 1}, 10**400, range(3), iter([])]),
        ("i", [1, 2**31, 2**31 - 1, 1.0, 1.5, True, "7", Decimal("7"), Decimal("7.5"), Size.LARGE, float("nan"), [1]]),
        ("n", [2**63 - 1, 2**63, -(2**63), 1e18, 1e19, 10**30]),
        ("f", [1, 0.1, 1e39, 3.4028234663852886e38, float("-inf"), "1.5", Decimal("0.1"), True]),
        ("d", [1, 0.1, 5e-324, 1.7976931348623157e308, 10**400, "1e5", "x"]),
        ("b", [True, False, "TRUE", "no", 1]),
        (
            "t",
            [
                datetime(2026, 1, 2, 3, 4, 5),
                datetime(2026, 1, 2, 3, 4, 5, 678_000),
                datetime(1, 1, 1),
                date(2026, 1, 2),
            ],
        ),
        (
            "t",
            [
                datetime(2026, 1, 2, 3, 4, 5, 678_001),
                datetime(2026, 1, 2, tzinfo=UTC),
                datetime(9999, 12, 31, 23, 59, 59),
                0,
                1518033528.5,
            ],
        ),
        ("t", [datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2026-01-02 3:4:5", 1518033528123, "later"]),
        ("day", [date(2026, 1, 2), date(1, 1, 1), datetime(2026, 1, 2), "2026-1-2", 1]),
        (
            "dec",
            [Decimal("1.5"), Decimal("-0.0005"), Decimal("123456789.125"), Decimal("1E+3"), Decimal("NaN"), 1.5, 7],
        ),
        ("dec", [Decimal("1234567890"), "0.125", 0.1, 1e-9, True]),
        ("c", ["abcd", "abcde", 12345, "üüüü"]),
        ("bin", [None, b"a", "a"]),
        ("a", [[1, 2.5, None], (1,), {1.5}, frozenset([2]), 7, ["x"], [], {"a": 1}]),
        ("m", [{"A": 1}, {"a": 1, "A": 2}, {1: 2}, {"k": None}, {}, [], {"k": "x"}]),
        ("mi", [{1: datetime(2026, 1, 2)}, {"01": 1}, {" 1": 1}, {1: 1518033528, "1": 2}]),
        ("md", [{date(2026, 1, 2): Decimal("1.5")}, {"2026-1-2": 1, "2026-01-02": 2}]),
        ("mf", [{1.5: True, -0.0: False, 1e16: None, 1e-5: True}]),
        ("st", [{"X": 1, "y": {"Q": 1.50}, "z": [{"k": date(2026, 1, 2)}, None, {}]}, {}, [1, 2], (), 5, {"x": "x"}]),
        ("st", [{"z": {"k": "2026-1-2"}}, {"unknown": 1}, {"z": [{"k": 5}]}]),
    ],
)
def test_a_value_becomes_the_same_on_both_hosts(column, values):
    for value in values:
        same({column: value})


def test_a_class_derived_from_a_plain_one_is_refused_on_both_hosts():
    for kind, value in ((str, "a"), (int, 1), (float, 1.5), (bytes, b"a"), (Decimal, "1")):
        derived = type("Derived", (kind,), {})
        same({"s": derived(value)})
        assert isinstance(in_lambda({"s": derived(value)}), BadRequest)
    for derived in (type("Derived", (dict,), {})(a=1), type("Derived", (list,), {})([1])):
        same({"s": derived})


def test_a_value_inside_itself_is_refused_on_both_hosts():
    endless = []
    endless.append(endless)
    assert isinstance(embedded({"s": endless}), Exception)
    assert isinstance(in_lambda({"s": endless}), BadRequest)


def test_a_row_that_is_none_is_refused_with_the_same_words():
    for row in ([], None, {"nope": 1}, {1: 2}, "s", {"i": "x", "d": "y"}):
        same(row)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.datetimes().map(lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000)),
    st.datetimes(timezones=st.timezones()),
    st.uuids(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3) | st.integers() | st.floats() | st.dates(), inner, max_size=3),
        st.fixed_dictionaries({}, optional={"x": inner, "Y": inner, "z": inner}),
    ),
    max_leaves=6,
)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(COLUMNS)), VALUES)
def test_any_value_becomes_the_same_on_both_hosts(column, value):
    same({column: value})


@settings(max_examples=300, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.datetimes())
def test_numbers_and_instants_keep_every_digit(number, floating, instant):
    instant = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    row = {"n": number, "d": floating, "t": instant, "s": floating, "dec": Decimal(number % 10**9).scaleb(-3)}
    same(row)
    line = json.loads(WRITER.line(0, row), parse_float=str, parse_int=str)
    assert (int(line["n"]), float(line["d"]), line["dec"]) == (number, floating, f"{row['dec']:f}")
    assert line["t"] == instant.isoformat(" ", "milliseconds")


def test_what_is_written_reads_as_athena_reads_it():
    row = {
        "s": "x", "i": 1, "f": 1.5, "b": False, "t": datetime(2026, 1, 2, 3, 4, 5, 60_000), "day": date(2026, 1, 2),
        "dec": Decimal("1.5"), "m": {"k": None}, "mi": {1: None}, "st": {"y": "", "z": [None, {}]}, "d": None,
    }  # fmt: skip
    assert WRITER.line(0, row).decode() == (
        '{"s":"x","i":1,"f":1.5,"b":false,"t":"2026-01-02 03:04:05.060","day":"2026-01-02","dec":1.500,'
        '"m":{"k":null},"mi":{"1":null},"st":{"y":"","z":[null,{}]}}\n'
    )
