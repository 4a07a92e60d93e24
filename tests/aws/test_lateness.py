"""How late events come, on AWS: the job that `event_time` adds, `dw lateness --on aws`, and `dw query --on aws` of a
statement that bounds only event time."""

import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from athena_endpoint import emulator_with_athena
from declared import compacted, everything, in_iceberg
from deletion import updated
from deployed import Deployed
from functions_stack import HOUR, TICK, Lambda, answer
from recorder import deploy
from running import command

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.aws.lateness import lateness_of
from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.lateness import LATENESS_COLUMNS
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_of
from datawarehouse.definition.sql_job import STATEMENT
from datawarehouse.errors import DeclarationError, QueryFailed, ScanRefused
from datawarehouse.functions import late, run_sql
from datawarehouse.functions.tables import read_table, register
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import DeployedTable, Deployment
from datawarehouse.operate.lateness import check_event_time
from datawarehouse.sql.insertion import check_sql_job, insertion
from datawarehouse.sql.views import schemas_of_warehouse

CLICKS = {"id": "string", "at": "timestamp"}
NOW_MS = milliseconds_of(datetime.fromisoformat(TICK))
YEAR_9999 = 253_402_300_799_000  # in ms


def parquet(times):
    """An object of the table: events with these event times, in milliseconds."""
    out = io.BytesIO()
    rows = {"id": [f"{n}" for n in range(len(times))], "at": pa.array(times, pa.timestamp("ms"))}
    pq.write_table(pa.table(rows), out)
    return out.getvalue()


def hours_late(arrived, *late):
    """The instants in the middle of the hours so many hours before that of arrival; None for none."""
    start = milliseconds_of(start_of(arrived))
    return [None if hours is None else start - hours * HOUR_MS + 1_800_000 for hours in late]


# -- the statement that counts


@pytest.fixture
def measure(stack, monkeypatch, tmp_path):
    """Runs the job of the lateness of a table, after some objects were delivered."""

    def run(name="clicks", time=TICK, event_time="at", **objects):
        for partition_and_key, times in objects.items():
            hour, key = partition_and_key.rsplit("/", 1)
            register(stack.glue, read_table(stack.glue, stack.name, name), [hour])
            stack.s3.put_object(Bucket=stack.data, Key=f"{name}/{hour}/{key}", Body=parquet(times))
        [declared] = Warehouse("shop").with_streaming_input_table(name, CLICKS, event_time=event_time).tables()
        table = lateness_of(declared)
        (tmp_path / STATEMENT).write_text(insertion(table.columns, table.job.sql))
        monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
        for variable, value in {"TABLE": table.name, "WORKGROUP": "batch", "RESULTS": f"s3://{stack.results}"}.items():
            monkeypatch.setenv(f"DW_{variable}", value)
        return run_sql.handler({"time": time}, Lambda())

    stack.table("other", {"n": "int"}, key=None)
    for name in ("clicks", "taps"):
        stack.table(name, CLICKS, "parquet")
        lateness = lateness_of(Warehouse("shop").with_streaming_input_table(name, CLICKS, event_time="at").tables()[0])
        stack.table(lateness.name, {column.name: str(column.type) for column in lateness.columns}, "parquet")
    return run


def counts(run, name="clicks", where="true"):
    sql = f"select inserted_at, event_time, lateness_hours, events from {name}_lateness where {where} order by 1, 3"
    return answer(run, "other", sql)


def test_what_an_hour_is_counted_as(measure, run):
    times = hours_late(HOUR, 0, 0, 0, 1, 70, -2, None, None, 9_000)
    times += [*hours_late(HOUR, 0)[:1], 0, YEAR_9999]
    measure(**{f"{HOUR}/first": times[:4], f"{HOUR}/second": times[4:], "2026/11/23/05/other": times})
    expected = {0: 4, 1: 1, 70: 1, -2: 1, None: 2, 8760: 2, -8760: 1}
    assert {hours: events for _, _, hours, events in counts(run)} == expected
    assert {(hour, column) for hour, column, _, _ in counts(run)} == {(HOUR, "at")}


def test_the_edges_of_hours(measure, run):
    start = milliseconds_of(start_of(HOUR))
    measure(**{f"{HOUR}/o": [start - 1, start, start + HOUR_MS - 1, start + HOUR_MS, start - HOUR_MS - 1]})
    assert {hours: events for _, _, hours, events in counts(run)} == {1: 1, 0: 2, -1: 1, 2: 1}


def test_an_hour_without_events_and_one_that_is_measured_again_count_nothing_twice(measure, run):
    measure()
    assert counts(run) == []
    measure(**{f"{HOUR}/o": hours_late(HOUR, 0, 3)})
    measure()
    assert counts(run) == [(HOUR, "at", 0, 1), (HOUR, "at", 3, 1)]


def test_events_that_are_delivered_after_an_hour_was_measured_are_counted(measure, run, monkeypatch):
    for variable, value in {"DW_WATCHED": "clicks", "DW_LOOK_BACK_HOURS": "48", "DW_RERUN": "yes"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(late, "_CLOCKS", timedelta(seconds=1))
    measure(**{f"{HOUR}/o": hours_late(HOUR, 0)})
    done = measure(time="2026-11-23T08:20:00Z", **{f"{HOUR}/late": hours_late(HOUR, 5)})
    assert done == {"partition": "2026/11/23/07", "again": [HOUR]}
    assert counts(run) == [(HOUR, "at", 0, 1), (HOUR, "at", 5, 1)]


def test_each_table_is_measured_by_itself(measure, run):
    measure(**{f"{HOUR}/o": hours_late(HOUR, 1)})
    measure("taps", **{f"{HOUR}/o": hours_late(HOUR, 2, 2)})
    assert counts(run) == [(HOUR, "at", 1, 1)]
    assert counts(run, "taps") == [(HOUR, "at", 2, 2)]


# -- where the hour is a column, as in Iceberg


@pytest.fixture
def in_columns(stack):
    """A deployment of a table whose hour of arrival Glue has as a column, with its lateness."""
    stack.table("events", {"id": "string", "at": "timestamp", "arrived_at": "string"}, key=None)
    stack.table("events_lateness", LATENESS_COLUMNS, "parquet")
    tables = {"events": DeployedTable("events", "streaming input table", event_time="at", hours="arrived_at")}
    return Deployment("shop", "us-east-1", stack.name, stack.data, stack.results, {"adhoc": "adhoc"}, tables)


SINCE = "select count(*) from events where at >= timestamp '2026-11-23 07:00:00'"


def test_of_a_table_in_iceberg_the_hour_is_one_of_the_columns(in_columns):
    def check(sql):
        return check_event_time(in_columns, Clients("us-east-1"), sql, (), NOW_MS)

    with pytest.raises(ScanRefused) as refused:
        check(SINCE)
    rewritten = str(refused.value).splitlines()[-1]
    assert rewritten == SINCE.replace("where", "where arrived_at >= '2026/11/23/06' and")
    assert check(rewritten)
    assert check("select * from events") and check("select 1") and check("show partitions events")
    assert check("with events as (select now() as at) select at from events where at > timestamp '2026-11-23 07:00:00'")
    assert check("select nothing from events") is False
    assert check("unload (select * from events) to 's3://b/' with (format = 'parquet')") is False
    assert check("unload (select * from others) to 's3://b/' with (format = 'parquet')")


def test_what_counts_is_the_last_week_of_the_column_that_is_declared_now(stack, in_columns):
    def measured(partition, column, late):
        table = read_table(stack.glue, stack.name, "events_lateness")
        register(stack.glue, table, [partition])
        rows = [{"event_time": column, "lateness_hours": hours, "events": 10} for hours in late]
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), out)
        stack.s3.put_object(Bucket=stack.data, Key=f"events_lateness/{partition}/{column}", Body=out.getvalue())

    def refused():
        with pytest.raises(ScanRefused) as error:
            check_event_time(in_columns, Clients("us-east-1"), SINCE, (), NOW_MS)
        return str(error.value)

    measured("2026/11/23/06", "sent_at", [-5])
    measured("2026/11/16/06", "at", [-5])
    assert "How late its events arrive is not known" in refused()
    measured("2026/11/16/07", "at", [None])
    assert "How late its events arrive is not known" in refused()
    measured("2026/11/23/06", "at", [0, -3, None])
    assert "it would miss 0 % of the events" in refused()
    assert refused().endswith(SINCE.replace("where", "where arrived_at >= '2026/11/23/04' and"))


def test_a_measure_that_cannot_be_read_is_said_to_be_that(stack, in_columns):
    stack.glue.delete_table(DatabaseName=stack.name, Name="events_lateness")
    with pytest.raises(QueryFailed, match="How late the events of events come could not be read: "):
        check_event_time(in_columns, Clients("us-east-1"), SINCE, (), NOW_MS)


# -- what is deployed


def timed(**arguments):
    declared = Warehouse("shop").with_streaming_input_table("clicks", CLICKS, **{"event_time": "at", **arguments})
    return declared.with_streaming_input_table("views", CLICKS)


def deployed_graph(declared, **arguments):
    return deploy(lambda: ServerlessDataWarehouse("dw", {"warehouse": declared, **arguments}) and None)


@pytest.mark.parametrize(
    "declared",
    [
        timed(),
        timed(partition_key_name="events", file_flush_interval_seconds=60, retention_days=30),
        in_iceberg(event_time="event_time"),
        Warehouse("shop").with_streaming_input_table("order", {"time": "timestamp"}, event_time="time"),
    ],
    ids=["as it is", "with other names", "in Iceberg", "with words of SQL"],
)
def test_the_job_is_one_that_its_table_takes(declared):
    [table] = [table for table in declared.tables() if getattr(table, "event_time", None)]
    measured = lateness_of(table)
    check_sql_job(measured, measured.job, schemas_of_warehouse(declared), declared.name)
    graph = deployed_graph(declared)
    [function] = [node for node in graph.all("Function") if node.name == f"dw-{measured.name}-job-cron-function"]
    assert function.inputs["handler"] == "datawarehouse.functions.run_sql.handler"
    variables = function.inputs["environment"]["variables"]
    assert variables["DW_TABLE"] == measured.name
    assert ("DW_RERUN" in variables) is (table.table_format == "hive")
    rule = graph.one("EventRule", f"dw-{measured.name}-job-cron-rule")
    minute = table.file_flush_interval_seconds // 60 + 5
    assert rule.inputs["scheduleExpression"] == f"cron({minute} * * * ? *)"
    assert {node.name for node in graph.all("MetricAlarm") if "lateness" in node.name} == {
        f"dw-{measured.name}-job-cron-errors", f"dw-{measured.name}-job-cron-dead-letters"
    }  # fmt: skip


def test_what_is_measured_expires_with_the_table():
    graph = deployed_graph(timed(retention_days=30))
    rules = [rule for node in graph.all("BucketLifecycleConfiguration") for rule in node.inputs["rules"]]
    days = {rule["filter"].get("prefix"): rule["expiration"]["days"] for rule in rules if rule.get("expiration")}
    assert days["clicks_lateness/"] == days["clicks/"] == 30


def test_without_event_time_nothing_is_added_and_taking_it_out_deletes_only_what_it_added():
    before, after = deployed_graph(timed()), deployed_graph(timed(event_time=None))
    assert [node.name for node in after if "lateness" in node.name] == []
    outcome = updated(before, after)
    assert (outcome.refused, outcome.not_replaced) == ([], [])
    assert outcome.deleted and {node.name.split("_lateness")[0] for node in outcome.deleted} == {"dw-clicks"}


def test_a_table_of_the_name_is_refused():
    declared = timed().with_table("clicks_lateness", {"n": "int"})
    with pytest.raises(DeclarationError, match="'clicks_lateness' is already used on AWS, for a table that belongs to"):
        deployed_graph(declared)


def test_the_other_tables_are_as_they_would_be_without():
    with_it = {node.urn: node.inputs for node in deployed_graph(compacted()).custom if "_lateness" not in node.name}
    without = {node.urn: node.inputs for node in deployed_graph(everything()).custom}
    shared = {urn for urn in without if "Dashboard" not in urn and "Lifecycle" not in urn}
    assert shared and {urn: with_it[urn] for urn in shared} == {urn: without[urn] for urn in shared}


# -- dw, against a deployed warehouse whose hours are projected

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
ARRIVED = [partition_of(milliseconds_of(NOW - timedelta(hours=hours))) for hours in range(12, 2, -1)]
LATE = [0] * 996 + [1, 1, 2, 6]
FIRST = partition_of(milliseconds_of(NOW - timedelta(days=9)))
DECLARATION = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", columns={"id": "string", "at": "timestamp"}, event_time="at")
    .with_streaming_input_table("taps", columns={"id": "string", "at": "timestamp"}, event_time="at")
    .with_streaming_input_table("views", columns={"id": "string", "at": "timestamp"})
)
"""
PROGRAM = f"""
import pulumi
from warehouse import warehouse

from datawarehouse.aws import ServerlessDataWarehouse

arguments = {{"warehouse": warehouse, "partition_projection_start": "{FIRST}"}}
pulumi.export("warehouse", ServerlessDataWarehouse("shop", arguments).addresses)
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with emulator_with_athena() as aws:
        made = Deployed(aws, tmp_path_factory.mktemp("lateness"), DECLARATION, PROGRAM)
        for hour in ARRIVED:
            key = f"clicks/{hour}/events"
            aws.client("s3").put_object(
                Bucket=made.at["data_bucket"], Key=key, Body=parquet(hours_late(hour, *LATE, None))
            )
        # A run writes the hour before it.
        begin, end = start_of(ARRIVED[0]) + timedelta(hours=1), start_of(ARRIVED[-1]) + timedelta(hours=2)
        made.dw("backfill", "clicks_lateness", "--from", begin.isoformat(), "--to", end.isoformat())
        yield made


@pytest.fixture
def dw(deployed, monkeypatch):
    """(stdout, stderr) of `dw VERB ... --on aws`."""
    for variable, value in deployed.aws.environment().items():
        monkeypatch.setenv(variable, value)

    def run(*arguments, code=0):
        done = command(deployed.folder, *arguments, "--on", "aws")
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr

    return run


def written(hour):
    return f"timestamp '{start_of(hour):%Y-%m-%d %H:%M:%S}'"


def happened(first, hours):
    """A condition on event time: so many hours from one on."""
    after = start_of(first) + timedelta(hours=hours)
    return f"at >= {written(first)} and at < timestamp '{after:%Y-%m-%d %H:%M:%S}'"


def counted(dw, sql):
    [row] = json.loads(dw("query", sql, "--output", "json")[0])
    return row["n"]


def test_dw_lateness(dw):
    found = json.loads(dw("lateness", "clicks", "--limit", "2", "--output", "json")[0])
    quantiles = {"p50": 0, "p99": 0, "p99.9": 2, "maximum": 6}
    hour = {"events": 1000, "without": 1, "unknown": 0, **quantiles}
    assert found == {
        "table": "clicks", "unit": "hours", "events": 1000 * len(ARRIVED), "without": len(ARRIVED), "unknown": 0,
        **quantiles, "hours": [{"arrived": arrived, **hour} for arrived in ARRIVED[-2:]],
    }  # fmt: skip
    out, err = dw("lateness", "taps")
    assert out.splitlines()[2].split() == ["all", "0", "hours", "0", "0", *["NULL"] * 4]
    assert "No hour with events is measured. The job taps_lateness measures each hour when it is over" in err
    _, err = dw("lateness", "views", code=2)
    assert "Table 'views' is deployed without event_time" in err and "'clicks', 'taps'" in err
    _, err = dw("lateness", "click", code=2)
    assert "has no table 'click'" in err


def test_a_query_that_bounds_only_event_time_is_refused_with_one_that_may_run(dw):
    condition = happened(ARRIVED[2], 2)
    sql = f"select count(*) as n from clicks where {condition}"
    out, err = dw("query", sql, code=11)
    assert out == ""
    assert err.startswith("dw query: On AWS the rows of clicks are found by the hour of their arrival, inserted_at")
    rewritten = err.rstrip().splitlines()[-1]
    assert "it would miss 0.1 % of the events" in err
    # From an hour before, since Firehose names objects by their oldest record, to the two hours of p99.9 later.
    expected = f"where inserted_at >= '{ARRIVED[1]}' and inserted_at <= '{ARRIVED[5]}' and {condition}"
    assert rewritten == f"select count(*) as n from clicks {expected}"
    there_are = Counter(partition_of(time) for hour in ARRIVED for time in hours_late(hour, *LATE))
    assert there_are[ARRIVED[2]] + there_are[ARRIVED[3]] == 2000
    assert counted(dw, rewritten) == 2000 * (1 - 0.001)


def test_before_anything_is_measured_the_share_is_said_not_to_be_known(dw):
    sql = f"select count(*) as n from taps where {happened(ARRIVED[2], 2)}"
    _, err = dw("query", sql, code=11)
    assert "How late its events arrive is not known" in err and "dw backfill taps_lateness --on aws --from TIME" in err
    rewritten = err.rstrip().splitlines()[-1]
    assert f"inserted_at >= '{ARRIVED[1]}' and at >=" in rewritten and "inserted_at <=" not in rewritten
    assert counted(dw, rewritten) == 0


def test_what_bounds_arrival_or_no_event_time_is_asked_as_ever(dw):
    assert counted(dw, f"select count(*) as n from clicks where inserted_at = '{ARRIVED[0]}'") == 1001
    assert counted(dw, "select count(*) as n from clicks") == 1001 * len(ARRIVED)
    assert counted(dw, f"select count(*) as n from views where {happened(ARRIVED[2], 2)}") == 0
    # One of them for events without event time.
    assert counted(dw, f"select count(*) as n from clicks_lateness where inserted_at = '{ARRIVED[0]}'") == 5


def test_parameters_and_names_with_their_database(deployed, dw):
    database = deployed.at["database"]
    sql = f'select count(*) as n from "{database}"."clicks" where at >= cast(? as timestamp)'
    _, err = dw("query", sql, "--param", f"{start_of(ARRIVED[-3]):%Y-%m-%d %H:%M:%S}", code=11)
    assert err.rstrip().splitlines()[-1] == sql.replace("where", f"where inserted_at >= '{ARRIVED[-4]}' and")


def test_a_statement_that_cannot_be_read_here_is_left_to_athena(dw):
    """Athena reads all that it names, so that its answer is complete."""
    _, err = dw("query", "select nothing from clicks where at > now()", code=1)
    assert err.startswith("dw query: Athena query ")
    _, err = dw("query", "selectt 1 from clicks", code=2)
    assert err.startswith("dw query: Athena refused the statement: ")
