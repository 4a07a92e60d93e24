"""NaN compares with nothing, as in Trino; the condition that is written is still pushed into the scan."""

import math

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datawarehouse.sql.plan import plan


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("nan() = nan()", False),
        ("nan() <> nan()", True),
        ("nan() > infinity()", False),
        ("nan() >= nan()", False),
        ("1 < nan()", False),
        ("1.5 <= 0e0 / 0e0", False),
        ("not (0e0 / 0e0 > 1)", True),
        ("cast(nan() as real) > real '1.5'", False),
        ("1.5 between 1 and nan()", False),
        ("nan() between 1 and 2", False),
        ("cast(null as double) > nan()", None),
        ("nan() > cast(null as double)", None),
        ("nan() = cast(null as double)", None),
        ("nan() <> cast(null as double)", None),
        ("cast(null as double) <> nan()", None),
        ("cast(null as double) <= nan()", None),
        ("cast(null as double) between 1 and nan()", None),
        ("nan() is distinct from nan()", False),
        ("case nan() when nan() then 1 else 2 end", 2),
        ("array[nan()] = array[nan()]", False),
        ("row(nan(), 1) <> row(nan(), 1)", True),
        ("greatest(5, 4, nan(), 3)", 5.0),
        ("greatest(1.5, null, nan())", None),
        ("greatest(2, 3)", 3),
        ("array_max(array[real '2', cast(nan() as real)])", 2.0),
        ("array_max(array[1.5, null])", None),
    ],
)
def test_nan_compares_with_nothing(answer, expression, expected):
    [[found]] = answer(f"select {expression}").rows
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("expression", ["greatest(nan(), nan())", "array_max(array[nan()])", "nullif(nan(), nan())"])
def test_nan_stays_where_there_is_nothing_else(answer, expression):
    [[found]] = answer(f"select {expression}").rows
    assert math.isnan(found)


def test_a_ratio_of_nothing_passes_no_condition(answer):
    rows = answer("select id from events where (price - price) / (price - price) > 0.5 or price > 2").rows
    assert rows == [(2,)]


def test_the_comparison_is_still_made_in_the_scan_of_a_file(tables, tmp_path):
    file = tmp_path / "events.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "price": [1.0, 600.0, None]}), file)
    found = plan("select id from events where price > 500", tables, "db")
    [scan] = found.scans
    text = found.render({scan.id: f"(SELECT * FROM '{file}')"})
    assert duckdb.sql(text).fetchall() == [(2,)]
    assert "price > 500" in duckdb.sql(f"EXPLAIN {text}").fetchall()[0][1].partition("Filters")[2]


def test_a_side_that_is_costly_or_long_is_written_once(tables):
    for side in ("(select max(price) from events)", "sum(price) over ()", " + ".join(["price"] * 200)):
        assert "isnan" not in plan(f"select {side} > 2 from events", tables, "db").sql
