"""docs/reference/sql.md against the code."""

import math
import re
from pathlib import Path

import pytest

from datawarehouse.errors import QueryError
from datawarehouse.sql import grammar
from datawarehouse.sql.plan import plan
from datawarehouse.sql.translate import calls

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "sql.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["scalar", "aggregate", "window"])
def test_the_page_lists_every_function(kind):
    [block] = re.findall(rf"<!-- {kind} -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert re.findall(r"`(\w+)`", block) == calls.names()[kind]


def test_the_page_says_how_long_a_statement_may_be():
    assert f"{grammar.QUERY_BYTES_MAX:,} bytes" in PAGE


ROWS = re.findall(r"^\| (`.*`.*?) \| (one day and the hour before|one day|one|six hours|two|all)\b", PAGE, re.MULTILINE)
NOW_MS = 1_795_564_799_000
"""2026-11-24T23:59:59Z"""
DAYS = [f"2026/11/{day}/{hour:02d}" for day in (22, 23, 24) for hour in range(24)]


def test_the_table_of_conditions_is_read():
    assert len(ROWS) == 9


@pytest.mark.parametrize(("conditions", "read"), ROWS, ids=[row[0] for row in ROWS])
def test_the_examples_of_pruning_are_right(tables, conditions, read):
    count = {"one": 1, "one day": 24, "one day and the hour before": 25, "six hours": 6, "two": 2, "all": len(DAYS)}[
        read
    ]
    for text in re.findall(r"`([^`]*)`", conditions):
        condition = re.sub(r"(?<![a-z]\.)inserted_at", "a.inserted_at", text).replace("user_id", "a.id")
        if "..." in condition or condition.startswith(("=", "or")):
            continue
        sql = f"select 1 from events a, events b where {condition}"
        scan = plan(sql, tables, "db", now_ms=NOW_MS).scans[0]
        assert sum(scan.predicate.matches({"inserted_at": hour}) for hour in DAYS) == count, text


@pytest.mark.parametrize(
    "sql",
    [
        "select timestamp '2026-01-01 00:00:00.1234567'",
        "select array[now(), now() at time zone 'Asia/Tokyo']",
        "select cast(now() at time zone 'Asia/Tokyo' as timestamp)",
        "select json_object(lower('a') : 1, 'b' : 2)",
        "select json '1' < json '1'",
    ],
)
def test_what_the_page_calls_refused_is(tables, sql):
    with pytest.raises(QueryError):
        plan(sql, tables, "db")


def test_what_the_page_says_of_values(answer):
    [row] = answer(
        "select json_extract_scalar('{\"a\": 1.10}', '$.a'), json_extract_scalar('{\"a\": 1e2}', '$.a'), "
        'nan() in (nan()), max(x), json_format(json_parse(\'{"b": 1, "a": 2}\')) from (values 1.5, nan()) t(x)'
    ).rows
    assert row[:3] == ("1.1", "100.0", True)
    assert math.isnan(row[3])
    assert row[4] == '{"b":1,"a":2}'
