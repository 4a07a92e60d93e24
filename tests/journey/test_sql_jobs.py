"""Batch input tables that a statement fills: the rows that a function would give, whatever their number and types."""

from datetime import UTC, datetime, timedelta

import pytest
from running import running

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import DeclarationError
from datawarehouse.testing import simulate
from datawarehouse.testing.simulated import JobFailed

COLUMNS = {"id": "string", "n": "int"}
AT = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)
BY_ID = "select id, sum(n) as total from clicks where inserted_at = :partition group by id"


def by_function(job):
    for id, total in job.query("select id, sum(n) from clicks where inserted_at = ? group by id", [job.partition]):
        yield {"id": id, "total": total}


def declared():
    columns = {"id": "string", "total": "bigint"}
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", COLUMNS)
        .with_batch_input_table(
            "totals", columns, schedule_expression="rate(1 hour)", reads=["clicks"], run_when_complete=True, sql=BY_ID,
            partition_keys={"hour": "string"},
        )
        .with_batch_input_table(
            "same", columns, by_function, "rate(1 hour)", {"hour": "string"}, reads=["clicks"], run_when_complete=True
        )
    )  # fmt: skip


def test_a_statement_gives_the_rows_that_a_function_gives_hour_by_hour(tmp_path):
    with simulate(declared(), tmp_path / "data", start=datetime(2026, 11, 23, 0, 10, tzinfo=UTC)) as warehouse:
        for hour in range(50):
            warehouse.put("clicks", [{"id": f"u{n % 7}", "n": n * hour} for n in range(hour % 5 * 20)])
            warehouse.advance(timedelta(hours=1))
        warehouse.run("totals", AT)  # again: its hour is replaced
        ask = "select hour, id, total from {} order by hour, id"
        rows = list(warehouse.query(ask.format("totals")))
        assert rows == list(warehouse.query(ask.format("same")))
        assert len(rows) == 40 * 7
        assert len(warehouse.runs("totals")) == 51


def through_a_view(job):
    for id, total in job.query("select id, total from by_hour where inserted_at = ?", [job.partition]):
        yield {"id": id, "total": total}


def test_jobs_read_views_when_the_tables_below_are_complete(tmp_path):
    columns, hourly = {"id": "string", "total": "bigint"}, {"reads": ["clicks"], "run_when_complete": True}
    given = declared()
    given.with_view("by_hour", "select inserted_at, id, sum(n) as total from positive group by 1, 2")
    given.with_view("positive", "select * from clicks where n > 0")
    given.with_batch_input_table(
        "seen", columns, schedule_expression="rate(1 hour)", partition_keys={"hour": "string"}, **hourly,
        sql="select id, total from by_hour where inserted_at = :partition",
    )  # fmt: skip
    given.with_batch_input_table("asked", columns, through_a_view, "rate(1 hour)", {"hour": "string"}, **hourly)
    with simulate(given, tmp_path / "data", start=datetime(2026, 11, 23, 0, 10, tzinfo=UTC)) as warehouse:
        for hour in range(6):
            warehouse.put("clicks", [{"id": f"u{n % 3}", "n": n * hour - 5} for n in range(hour * 4)])
            warehouse.advance(timedelta(hours=1))
        ask = "select hour, id, total from {} order by hour, id"
        rows = list(warehouse.query(ask.format("seen")))
        positive = "select inserted_at, id, sum(n) from clicks where n > 0 group by 1, 2 order by 1, 2"
        assert rows == list(warehouse.query(positive)) == list(warehouse.query(ask.format("asked")))
        assert len(rows) > 9 and [len(warehouse.runs(name)) for name in ("seen", "asked")] == [6, 6]


def test_in_reads_a_view_is_named_by_its_tables():
    with pytest.raises(DeclarationError, match=r"reads has 'seen', which is a view\. Name the tables that it reads"):
        declared().with_view("seen", "select id from clicks").with_batch_input_table(
            "more", {"id": "string"}, schedule_expression="rate(1 hour)", reads=["seen"], sql="select id from seen"
        )


def test_what_fails_leaves_the_hour_as_it_was(tmp_path):
    wrong = Warehouse("shop").with_streaming_input_table("clicks", COLUMNS)
    wrong.with_batch_input_table(
        "quotient", {"q": "int"}, schedule_expression="rate(1 hour)", sql="select 10 / n as q from clicks"
    )
    with simulate(wrong, tmp_path / "data") as warehouse:
        warehouse.put("clicks", [{"n": 5}])
        warehouse.advance(timedelta(minutes=1))
        warehouse.run("quotient")
        warehouse.put("clicks", [{"n": 0}])
        warehouse.advance(timedelta(minutes=1))
        with pytest.raises(JobFailed, match="zero"):
            warehouse.run("quotient")
        warehouse.fail_job("quotient")
        with pytest.raises(JobFailed, match="asked for"):
            warehouse.run("quotient")
        assert list(warehouse.query("select q from quotient")) == [(2,)]


def test_a_statement_that_does_not_fit_opens_nothing(tmp_path):
    wrong = Warehouse("shop").with_streaming_input_table("clicks", COLUMNS)
    wrong.with_batch_input_table(
        "daily", {"n": "bigint"}, schedule_expression="rate(1 hour)", sql="select m as n from clicks"
    )
    with pytest.raises(DeclarationError, match="Table 'daily': its sql cannot run: COLUMN_NOT_FOUND"):
        open_warehouse(wrong, tmp_path / "data")
    with open_warehouse(Warehouse("shop").with_streaming_input_table("clicks", COLUMNS), tmp_path / "data") as opened:
        opened.put("clicks", [{"n": 1}])


def test_every_type_is_stored_as_the_statement_says(tmp_path):
    columns = {
        "a": "array<bigint>", "b": "boolean", "c": "decimal(12,3)", "d": "date", "e": "double", "f": "float",
        "i": "smallint", "m": "map<string,int>", "r": "struct<n:int,s:string>", "s": "string", "t": "timestamp",
        "v": "binary", "x": "string",
    }  # fmt: skip
    sql = """
        select array[1, null] as a, true as b, decimal '1.25' as c, date '2026-01-02' as d, 1e300 as e,
               cast(1.5 as real) as f, cast(7 as smallint) as i, map(array['k'], array[1]) as m,
               cast(row(1, 'x') as row(n integer, s varchar)) as r, 'ü' as s, :time as t, to_utf8('ü') as v, null as x
    """
    given = Warehouse("shop").with_batch_input_table("types", columns, schedule_expression="rate(1 hour)", sql=sql)
    with open_warehouse(given, tmp_path / "data") as opened:
        assert opened.run("types", AT).outcome == "succeeded"
        [row] = opened.query("select * from types").dicts()
        assert row == {
            "a": [1, None], "b": True, "c": row["c"], "d": AT.date().replace(month=1, day=2), "e": 1e300, "f": 1.5,
            "i": 7, "m": {"k": 1}, "r": {"n": 1, "s": "x"}, "s": "ü", "t": AT.replace(tzinfo=None), "v": "ü".encode(),
            "x": None,
        }  # fmt: skip
        assert str(row["c"]) == "1.250"


def test_more_rows_than_a_query_may_give(tmp_path):
    """A statement's rows go to no client, so `query_result_rows_max` is not theirs."""
    sql = "select x * 1000 + y as n from unnest(sequence(1, 1000)) a(x), unnest(sequence(1, 1000)) b(y)"
    given = Warehouse("shop").with_batch_input_table(
        "many", {"n": "bigint"}, schedule_expression="rate(1 hour)", sql=sql
    )
    with open_warehouse(given, tmp_path / "data", settings={"query_result_rows_max": 1000}) as opened:
        ended = opened.run("many", AT)
        assert (ended.outcome, ended.rows) == ("succeeded", 1_000_000)
        assert list(opened.query("select count(*), sum(n) from many")) == [(1_000_000, 500_500_000_000 + 500_500_000)]


def test_a_running_warehouse_runs_it(tmp_path):
    declaration = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_batch_input_table(
        "counts", {"id": "string", "c": "bigint"}, schedule_expression="rate(365 days)",
        sql="select id, count(*) as c from clicks where inserted_at = :open_partition group by id",
    )
)
"""
    with running(tmp_path, declaration=declaration) as server:
        server.events("clicks", b'{"id": "a"}\n{"id": "a"}\n{"id": "b"}\n')
        server.flush()
        server.dw("run", "counts")
        assert server.query("select id, c from counts order by id") == [{"id": "a", "c": 2}, {"id": "b", "c": 1}]
