"""Both hosts of a job store the same rows: those the embedded context keeps, and those that Lambda writes as JSON."""

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from both_hosts import WRITER, Color, Size, embedded, in_lambda, same
from datawarehouse.errors import BadRequest


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


def test_what_is_written_reads_as_athena_reads_it():
    row = {
        "s": "x", "i": 1, "f": 1.5, "b": False, "t": datetime(2026, 1, 2, 3, 4, 5, 60_000), "day": date(2026, 1, 2),
        "dec": Decimal("1.5"), "m": {"k": None}, "mi": {1: None}, "st": {"y": "", "z": [None, {}]}, "d": None,
    }  # fmt: skip
    assert WRITER.line(0, row).decode() == (
        '{"s":"x","i":1,"f":1.5,"b":false,"t":"2026-01-02 03:04:05.060","day":"2026-01-02","dec":1.500,'
        '"m":{"k":null},"mi":{"1":null},"st":{"y":"","z":[null,{}]}}\n'
    )
