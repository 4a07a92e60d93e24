"""Jobs in SQL on AWS: the function that runs them against the emulator and the small Athena, and what is deployed."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from functions_stack import HOUR, TICK, Lambda, answer, given_partitions
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.definition.sql_job import STATEMENT
from datawarehouse.definition.tables import checked_columns
from datawarehouse.errors import DeclarationError, QueryFailed
from datawarehouse.functions import late, run_sql
from datawarehouse.sql.insertion import insertion
from datawarehouse.testing import simulate

START = datetime(2026, 11, 23, tzinfo=UTC)
CLICKS = {"id": "string", "n": "int"}
TOTALS = {"id": "string", "total": "bigint", "at": "timestamp"}
BY_ID = "select id, sum(n) as total, :time as at from clicks where inserted_at = :partition group by id"


@pytest.fixture
def run_statement(stack, monkeypatch, tmp_path):
    """Runs a statement as the job of a table."""

    def run(table, columns, sql, time=TICK):
        (tmp_path / STATEMENT).write_text(insertion(checked_columns(table, columns), sql))
        monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
        monkeypatch.setenv("DW_TABLE", table)
        monkeypatch.setenv("DW_WORKGROUP", "batch")
        monkeypatch.setenv("DW_RESULTS", f"s3://{stack.results}")
        return run_sql.handler({"time": time}, Lambda(300_000))

    return run


def events(hour):
    return [{"id": f"u{n % 7}", "n": n * hour} for n in range(hour % 5 * 20)]


def test_the_same_statement_gives_the_same_rows_on_both_hosts(stack, run_statement, run, tmp_path, monkeypatch):
    """Also in hours that are run twice, and in those of which a half is delivered after the run."""
    hours = int(os.environ.get("DW_TEST_HOURS", "15"))
    stack.table("clicks", CLICKS, "JSON")
    stack.table("totals", TOTALS, "parquet")
    stack.table("other", {"n": "int"}, key=None)
    declared = Warehouse("shop").with_streaming_input_table("clicks", CLICKS)
    declared.with_batch_input_table(
        "totals", TOTALS, schedule_expression="rate(1 hour)", partition_keys={"inserted_at": "string"}, sql=BY_ID,
        reads=["clicks"], run_when_complete=True,
    )  # fmt: skip
    with simulate(declared, tmp_path / "data", start=START + timedelta(minutes=10)) as warehouse:
        for hour in range(hours):
            warehouse.put("clicks", events(hour))
            warehouse.advance(timedelta(hours=1))
        expected = list(warehouse.query("select id, total, at, inserted_at from totals order by inserted_at, id"))
    assert len(expected) == hours // 5 * 4 * 7

    def deliver(key, lines):
        if lines:
            stack.s3.put_object(Bucket=stack.data, Key=key, Body="".join(lines).encode())

    monkeypatch.setenv("DW_WATCHED", "clicks")
    monkeypatch.setenv("DW_LOOK_BACK_HOURS", "48")
    monkeypatch.setenv("DW_RERUN", "yes")
    monkeypatch.setattr(late, "_CLOCKS", timedelta(seconds=1))
    again = []
    for hour in range(hours + 1):
        at = START + timedelta(hours=hour)
        folder = f"clicks/{at:%Y/%m/%d/%H}/"
        lines = [json.dumps(event) + "\n" for event in events(hour) if hour < hours]
        is_late = hour % 7 == 3
        deliver(f"{folder}events", lines[::2] if is_late else lines)
        given_partitions(stack, [f"{at:%Y/%m/%d/%H}"], f"s3://{stack.data}/{folder}")
        time = f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        for _ in range(1 + (hour % 10 == 0)):  # again now and then: the hour is replaced
            done = run_statement("totals", TOTALS, BY_ID, time)
            again += done.pop("again", [])
            assert done == {"partition": f"{at:%Y/%m/%d/%H}"}
        if is_late:
            deliver(f"{folder}late", lines[1::2])
    assert {f"{START + timedelta(hours=hour):%Y/%m/%d/%H}" for hour in range(3, hours, 7) if hour % 5} <= set(again)
    sql = "select id, total, at, inserted_at from totals order by inserted_at, id"
    assert answer(run, "other", sql) == expected


def test_pointers_that_are_lost_are_found_again(stack, run_statement, run):
    stack.table("totals", TOTALS, "parquet")
    stack.table("other", {"n": "int"}, key=None)
    for total in (1, 2):
        run_statement("totals", TOTALS, f"select 'a' as id, {total} as total, :time as at")
    stack.glue.delete_partition(DatabaseName=stack.name, TableName="totals", PartitionValues=[HOUR])
    assert run_sql.handler({"point_again_from": "2026/11/01/00"}, Lambda()) == {HOUR: 0}
    assert answer(run, "other", "select total from totals") == [(2,)]


def test_millions_of_rows_pass_and_none_through_the_function(stack, run_statement, run, calls):
    stack.table("many", {"n": "bigint"}, "parquet")
    stack.table("other", {"n": "int"}, key=None)
    sql = "select x * 1000 + y as n from unnest(sequence(1, 5000)) a(x), unnest(sequence(1, 1000)) b(y)"
    run_statement("many", {"n": "bigint"}, sql)
    assert not {call for call in calls if call[1] in ("GetObject", "GetQueryResults", "CopyObject")}
    assert answer(run, "other", "select count(*), min(n), max(n) from many") == [(5_000_000, 1001, 5_001_000)]


def test_a_statement_that_fails_leaves_the_hour_as_it_was(stack, run_statement, run):
    stack.table("totals", {"q": "int"}, "parquet")
    stack.table("other", {"n": "int"}, key=None)
    run_statement("totals", {"q": "int"}, "select 4 as q")
    with pytest.raises(QueryFailed):
        run_statement("totals", {"q": "int"}, "select 4 / x as q from unnest(array[1, 0]) t(x)")
    assert answer(run, "other", "select q, inserted_at from totals") == [(4, HOUR)]


def test_a_table_without_partitions_has_the_rows_of_each_hours_last_run(stack, run_statement, run):
    stack.table("totals", {"q": "int"}, "parquet", key=None)
    stack.table("other", {"n": "int"}, key=None)
    run_statement("totals", {"q": "int"}, "select 1 as q")
    run_statement("totals", {"q": "int"}, "select 2 as q")
    run_statement("totals", {"q": "int"}, "select 10 as q", "2026-11-23T08:20:00Z")
    assert answer(run, "other", "select q from totals order by 1") == [(2,), (10,)]


# -- what is deployed


def declared(**arguments):
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", CLICKS)
        .with_batch_input_table("totals", TOTALS, schedule_expression="rate(1 hour)", **{"sql": BY_ID, **arguments})
    )


def test_the_statement_is_part_of_the_function_and_no_staging_table_is_made():
    def program():
        ServerlessDataWarehouse("shop", {"warehouse": declared()})

    graph = deploy(program)
    [function] = [node for node in graph.all("Function") if "totals" in node.name]
    assert function.inputs["handler"] == "datawarehouse.functions.run_sql.handler"
    assert "DW_JOB" not in function.inputs["environment"]["variables"]
    tables = {node.inputs["name"] for node in graph.all("CatalogTable")}
    assert tables == {"clicks", "clicks_error_docs", "clicks_quarantine", "totals"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sql": "select id from clicks"}, "does not give the column 'total'"),
        ({"data_format": "JSON"}, "on AWS a statement fills tables of Parquet"),
    ],
)
def test_a_statement_that_cannot_run_is_refused_before_anything_is_created(arguments, message):
    def program():
        with pytest.raises(DeclarationError, match=message):
            ServerlessDataWarehouse("shop", {"warehouse": declared(**arguments)})

    assert not deploy(program).all("Function")
