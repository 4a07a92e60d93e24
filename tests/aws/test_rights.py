"""Each function has the rights for the calls that it makes, and no others: both ways, on the archives as deployed.

The functions run in a bare interpreter against the emulator, and their calls are compared with their roles' policies.
What a service does on behalf of a role is passed in with its source.
"""

import io
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apply import Emulator, apply
from athena_endpoint import emulator_with_athena
from declared import daily_sessions, everything, slow_count
from emulator import REGION
from graph import Graph
from lambda_zip import run
from policies import Implied, Query, athena_implies, audit, lambda_implies, role_documents, role_of
from recorder import deploy

from datawarehouse.aws import EventGenerator, ServerlessDataWarehouse
from datawarehouse.functions.objects import COMPLETE

TICK = {"time": "2026-11-23T08:20:00Z"}
DATABASE = "analytics_dw_dev"
HOUR = "2026/11/23/07"
STORES = {"Bucket", "CatalogDatabase", "CatalogTable", "Stream"}
"""What functions work with; their own resources need not be there when they run outside of them."""


@pytest.fixture(scope="module")
def graph():
    def program():
        warehouse = everything().with_batch_input_table(
            "totals", {"session_id": "string", "events": "bigint"}, daily_sessions, "rate(1 day)"
        )
        warehouse.with_batch_input_table(
            "marks",
            {"session_id": "string", "events": "bigint"},
            daily_sessions,
            "rate(1 day)",
            partition_keys={"hour": "string"},
            data_format="JSON",
            reads=["facts"],
        )
        for name, keys in (("by_hour", {"hour": "string"}), ("at_all", None)):
            warehouse.with_batch_input_table(
                name,
                {"thing": "string"},
                schedule_expression="rate(1 day)",
                partition_keys=keys,
                reads=["facts"],
                sql="select thing from facts",
            )
        warehouse.with_table("shapes", {"thing": "string"}, data_format="JSON").with_view("shaped", "table shapes")
        warehouse.with_batch_input_table(
            "by_shape",
            {"thing": "string"},
            schedule_expression="rate(1 day)",
            partition_keys={"hour": "string"},
            reads=["shapes"],
            sql="select thing from shaped",
        )
        warehouse.with_streaming_input_table("views", {"id": "string"}, retention_days=7)
        taps = {"id": "string", "at": "timestamp"}
        warehouse.with_streaming_input_table("taps", taps, compaction="hourly", dedupe_key="id", event_time="at")
        warehouse.with_batch_input_table(
            "tapped",
            {"id": "string"},
            schedule_expression="rate(1 hour)",
            partition_keys={"hour": "string"},
            reads=["taps"],
            sql="select id from taps where inserted_at = :partition",
            rerun_when_late=True,
        )
        warehouse.with_workgroup("adhoc", require_partition_filter=True, partitions_max=744)
        warehouse.with_batch_input_table("slow", {"count": "bigint"}, slow_count, "rate(1 day)", data_format="JSON")
        deployed = ServerlessDataWarehouse("analytics_dw", {"warehouse": warehouse})
        stream = deployed.get_input_stream("clicks")
        EventGenerator(
            "clicks-events",
            {"table": warehouse.get_table("clicks"), "stream_name": stream.name, "stream_arn": stream.arn},
        )

    return deploy(program)


@pytest.fixture(scope="module")
def aws(graph):
    with emulator_with_athena() as started:
        stores = Graph({urn: node for urn, node in graph.nodes.items() if node.kind in STORES})
        apply(stores, Emulator(started.url, region=REGION))
        yield started


def audit_of(graph, function, calls, implied=()):
    """The rights of a function's role compared with calls, and with what Lambda and other services do."""
    node = graph.one("Function", function)
    documents = role_documents(graph, role_of(graph, node))
    return audit(documents, calls, [*lambda_implies(graph, node), *implied])


@pytest.fixture
def audited(graph, aws):
    """Runs a function for several events; the audit of all calls that it made."""

    def runs(function, *events, implied=(), fails=False, left_ms=None):
        node = graph.one("Function", function)
        calls = []
        for event in events:
            done = run(node, event, extras=_extras(aws), record_calls=True, left_ms=left_ms)
            assert bool(done.error) == fails, done.errors
            calls += done.calls
        return calls, audit_of(graph, function, calls, implied)

    return runs


def _extras(aws):
    return {key: value for key, value in aws.environment().items() if key.startswith("AWS_")}


def _bucket(graph, which):
    return graph.one("Bucket", f"analytics-dw-{which}").outputs["bucket"]


def _queries(graph, tables, reads, writes):
    data, results = _bucket(graph, "data"), _bucket(graph, "query-results")
    places = {"data": data, "results": results}

    def urls(folders):
        return tuple(f"s3://{places[where]}/{folder}" for where, folder in folders)

    return athena_implies(
        Query("analytics_dw-dev-batch", tuple((DATABASE, table) for table in tables), urls(reads), urls(writes))
    )


def test_the_registrar(graph, aws, audited):
    function, event = "analytics_dw-clicks-partitions-cron-function", {"source": "deployment"}
    calls, _ = audited(function, event)
    again, _ = audited(function, event)
    for table in ("clicks", "clicks_error_docs"):
        _add_column(aws.client("glue"), table)
    updating, _ = audited(function, event)
    found = audit_of(graph, function, [*calls, *again, *updating])
    assert (found.missing, found.unused) == ([], [])


def test_the_registrar_of_a_table_whose_hours_expire(graph, aws, audited):
    glue = aws.client("glue")
    tables = ("views", "views_error_docs")
    for table in tables:
        storage = glue.get_table(DatabaseName=DATABASE, Name=table)["Table"]["StorageDescriptor"]
        old = {"Values": ["2020/01/01/00"], "StorageDescriptor": storage}
        glue.create_partition(DatabaseName=DATABASE, TableName=table, PartitionInput=old)
    function, event = "analytics_dw-views-partitions-cron-function", {"source": "deployment"}
    calls, _ = audited(function, event)
    for table in tables:
        _add_column(glue, table)
    updating, _ = audited(function, event)
    found = audit_of(graph, function, [*calls, *updating])
    assert (found.missing, found.unused) == ([], [])


def test_the_registrar_of_a_table_whose_hours_are_compacted(graph, aws, audited):
    function, event = "analytics_dw-taps-partitions-cron-function", {"source": "deployment"}
    calls, _ = audited(function, event)
    for table in ("taps", "taps_error_docs"):
        _add_column(aws.client("glue"), table)
    updating, _ = audited(function, event)
    found = audit_of(graph, function, [*calls, *updating])
    assert (found.missing, found.unused) == ([], [])


def test_the_compaction_of_an_hour_and_of_what_came_late(graph, aws, audited):
    data = _bucket(graph, "data")
    s3, glue = aws.client("s3"), aws.client("glue")
    storage = glue.get_table(DatabaseName=DATABASE, Name="taps")["Table"]["StorageDescriptor"]
    hour = {"Values": [HOUR], "StorageDescriptor": {**storage, "Location": f"{storage['Location']}{HOUR}/"}}
    with suppress(glue.exceptions.AlreadyExistsException):
        glue.create_partition(DatabaseName=DATABASE, TableName="taps", PartitionInput=hour)

    def deliver(name):
        out = io.BytesIO()
        pq.write_table(pa.table({"id": ["a", name]}), out)
        s3.put_object(Bucket=data, Key=f"taps/{HOUR}/{name}", Body=out.getvalue())

    implied = _queries(
        graph,
        ["taps"],
        [("data", "taps/")],
        [("results", "batch/taps/"), ("data", f"taps/compacted/{HOUR}/run/")],
    )
    function = "analytics_dw-taps-compaction-cron-function"
    deliver("first")
    calls, _ = audited(function, {"time": "2026-11-23T08:30:00Z"})
    jobs = {name: f"analytics_dw-{name}-job-cron-function" for name in ("tapped", "taps_lateness")}
    counted = {name: audited(job, {"time": "2026-11-23T08:30:00Z"})[0] for name, job in jobs.items()}
    deliver("late")
    late, _ = audited(function, {"time": "2026-11-23T09:30:00Z"})
    for name, job in jobs.items():
        again, _ = audited(job, {"time": "2026-11-23T09:30:00Z"})
        _check_the_job_that_ran_again(graph, name, [*counted[name], *again])
    deleting = Implied("s3:DeleteObject", (f"arn:aws:s3:::{data}/taps/{HOUR}/first",), "the grace has passed")
    found = audit_of(graph, function, [*calls, *late], [*implied, *_may_ask(STOPPED), deleting])
    assert (found.missing, found.unused) == ([], [])
    assert [given["CopySource"]["Key"] for _, operation, given in late if operation == "CopyObject"] == [
        f"taps/{HOUR}/late"
    ]


def _check_the_job_that_ran_again(graph, job, calls):
    """It looked for late hours, published one, and has no right that this did not need."""
    assert ("cloudwatch", "PutMetricData") in [call[:2] for call in calls]
    implied = _queries(
        graph,
        ["taps", "taps_error_docs", "taps_quarantine", job],
        [("data", "taps/"), ("data", "errors/taps/format-conversion-failed/"), ("data", f"{job}/")],
        [("results", f"batch/{job}/"), ("data", f"{job}/{HOUR}/run/")],
    )
    implied += [*_may_ask(STOPPED), _deleting(graph, job)]
    found = audit_of(graph, f"analytics_dw-{job}-job-cron-function", calls, implied)
    assert (found.missing, found.unused) == ([], [])


def _add_column(glue, table):
    found = glue.get_table(DatabaseName=DATABASE, Name=table)["Table"]
    found["StorageDescriptor"]["Columns"].append({"Name": "added", "Type": "string"})
    kept = ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    glue.update_table(DatabaseName=DATABASE, TableInput={key: found[key] for key in kept})


def test_the_event_generator(audited):
    _, found = audited("clicks-events-cron-function", TICK)
    assert (found.missing, found.unused) == ([], [])


def test_a_job_whose_query_runs_when_its_time_ends(audited):
    calls, found = audited("analytics_dw-slow-job-cron-function", TICK, fails=True, left_ms=1000)
    assert ("athena", "StopQueryExecution") in [(service, operation) for service, operation, _ in calls]
    assert not [(action, arn) for action, arn in found.missing if "what is read by" not in arn]


def test_a_job_that_writes_json(graph, audited):
    function = "analytics_dw-aggregates-job-cron-function"
    read = ["clicks", "impressions"]
    tables = [*read, *(f"{table}{end}" for table in read for end in ("_error_docs", "_quarantine")), "aggregates"]
    folders = [f"{table}/" for table in read] + [f"errors/{table}/format-conversion-failed/" for table in read]
    implied = _queries(
        graph,
        tables,
        [("data", folder) for folder in [*folders, "aggregates/"]],
        [("results", "batch/aggregates/")],
    )
    calls, found = audited(function, TICK, implied=[*implied, *_may_ask(STOPPED)])
    assert (found.missing, found.unused) == ([], [])
    keys = [parameters["Key"] for _, operation, parameters in calls if operation == "PutObject"]
    assert keys == [f"aggregates/{HOUR}/rows.json"]


def test_a_job_that_writes_partitions_of_parquet(graph, aws, audited):
    table = "sessions"
    run_folder = ("data", f"{table}/{HOUR}/run/")
    implied = _queries(
        graph,
        [table, f"{table}_staging"],
        [("data", "any/"), ("results", f"staging/{table}/")],
        [("results", f"batch/{table}/"), run_folder],
    )
    storage = aws.client("glue").get_table(DatabaseName=DATABASE, Name=table)["Table"]["StorageDescriptor"]
    expired = {"Values": ["2020/01/01/00"], "StorageDescriptor": storage}
    aws.client("glue").create_partition(DatabaseName=DATABASE, TableName=table, PartitionInput=expired)
    calls, found = audited(
        f"analytics_dw-{table}-job-cron-function",
        {"time": "2026-11-23T08:30:00Z"},
        {"time": "2026-11-23T08:30:00Z"},
        implied=[
            *implied,
            _deleting(graph, table),
            *_may_ask(RESULTS),
        ],
    )
    assert (found.missing, found.unused) == ([], [])
    pointed = [operation for service, operation, _ in calls if service == "glue" and "Partition" in operation]
    # Each run asks where the hour's partition and that of the hour before point to.
    assert pointed == [
        *("GetPartition", "CreatePartition", "GetPartition", "GetPartitions", "DeletePartition"),
        *("GetPartition", "CreatePartition", "BatchUpdatePartition", "GetPartition", "GetPartitions"),
    ]


def _deleting(graph, table):
    return Implied(
        "s3:DeleteObject", (f"arn:aws:s3:::{_bucket(graph, 'data')}/{table}/{HOUR}/old",), "runs an hour ago"
    )


STOPPED = ("StopQueryExecution",)
RESULTS = ("GetQueryResults", *STOPPED)
ALL_OF_A_QUERY = ("StartQueryExecution", "GetQueryExecution", *RESULTS)


def _may_ask(actions):
    """A job that asks nothing may all the same: these are the calls of `job.query`."""
    arn = "arn:aws:athena:eu-west-1:123456789012:workgroup/analytics_dw-dev-batch"
    return [Implied(f"athena:{action}", (arn,), "job.query") for action in actions]


def test_a_job_that_writes_parquet_without_partitions(graph, audited):
    table = "totals"
    implied = _queries(
        graph,
        [table, f"{table}_staging"],
        [("data", "any/"), ("results", f"staging/{table}/")],
        [("results", f"batch/{table}/"), ("results", f"unload/{table}/")],
    )
    calls, found = audited(
        f"analytics_dw-{table}-job-cron-function",
        TICK,
        TICK,
        implied=[*implied, *_may_ask(RESULTS)],
    )
    assert (found.missing, found.unused) == ([], [])
    operations = [operation for service, operation, _ in calls if service == "s3"]
    assert operations.count("CopyObject") == 2 and operations.count("DeleteObjects") == 1


def test_a_job_that_writes_partitions_of_json(graph, audited):
    implied = _queries(
        graph, ["facts", "marks"], [("data", "facts/"), ("data", "marks/")], [("results", "batch/marks/")]
    )
    calls, found = audited(
        "analytics_dw-marks-job-cron-function",
        TICK,
        TICK,
        implied=[*implied, *_may_ask(ALL_OF_A_QUERY), _deleting(graph, "marks")],
    )
    assert (found.missing, found.unused) == ([], [])
    pointed = [operation for service, operation, _ in calls if service == "glue" and "Partition" in operation]
    # Each run asks where the hour's partition and that of the hour before point to.
    assert pointed == [
        *("GetPartition", "CreatePartition", "GetPartition"),
        *("GetPartition", "CreatePartition", "BatchUpdatePartition", "GetPartition"),
    ]


@pytest.mark.parametrize(("table", "read"), [("by_hour", ["facts"]), ("by_shape", ["shapes", "shaped"])])
def test_a_statement_that_writes_partitions(graph, audited, table, read):
    implied = _queries(
        graph,
        [*read, table],
        [("data", f"{read[0]}/"), ("data", f"{table}/")],
        [("results", f"batch/{table}/"), ("data", f"{table}/{HOUR}/run/")],
    )
    function = f"analytics_dw-{table}-job-cron-function"
    calls, found = audited(function, TICK, TICK, implied=[*implied, *_may_ask(STOPPED), _deleting(graph, table)])
    assert (found.missing, found.unused) == ([], [])
    assert not [operation for _, operation, _ in calls if operation in ("GetObject", "GetQueryResults")]
    assert all(given["Key"].endswith(COMPLETE) for _, operation, given in calls if operation == "PutObject")


def test_a_statement_that_writes_without_partitions(graph, audited):
    table = "at_all"
    implied = _queries(
        graph,
        ["facts", table],
        [("data", "facts/"), ("data", f"{table}/")],
        [("results", f"batch/{table}/"), ("results", f"unload/{table}/")],
    )
    _, found = audited(f"analytics_dw-{table}-job-cron-function", TICK, TICK, implied=[*implied, *_may_ask(STOPPED)])
    assert (found.missing, found.unused) == ([], [])


def test_the_gateway(graph, aws, audited):
    data = _bucket(graph, "data")
    glue = aws.client("glue")
    storage = glue.get_table(DatabaseName=DATABASE, Name="clicks")["Table"]["StorageDescriptor"]
    hour = {"Values": [HOUR], "StorageDescriptor": {**storage, "Location": f"{storage['Location']}{HOUR}/"}}
    with suppress(glue.exceptions.AlreadyExistsException):
        glue.create_partition(DatabaseName=DATABASE, TableName="clicks", PartitionInput=hour)
    reads = ("clicks", "facts")
    tables = tuple((DATABASE, table) for table in reads)
    folders = tuple(f"s3://{data}/{table}/" for table in reads)
    results = f"s3://{_bucket(graph, 'query-results')}/adhoc/"
    implied = athena_implies(Query("analytics_dw-dev-adhoc", tables, folders, (results,)))
    asked = {"workgroup": "adhoc", "parameters": [], "full_scan": False, "token": "t" * 32}
    permitted = f"select count(*) from clicks, facts where arrived_at = '{HOUR}'"
    refused = "select count(*) from clicks"
    calls, found = audited(
        "analytics_dw-gateway-function", {**asked, "sql": refused}, {**asked, "sql": permitted}, implied=implied
    )
    assert (found.missing, found.unused) == ([], [])
    assert [given["QueryString"] for _, operation, given in calls if operation == "StartQueryExecution"] == [permitted]


def test_a_right_that_is_missing_or_not_needed_is_found(graph, audited):
    """The audit itself: each single right of the registrar's policy is needed, and one more would be told."""
    function = graph.one("Function", "analytics_dw-impressions-partitions-cron-function")
    calls, _ = audited(function.name, {"source": "deployment"})
    [document] = role_documents(graph, role_of(graph, function))
    by_lambda = lambda_implies(graph, function)
    unused_here = {"glue:BatchUpdatePartition", "glue:DeletePartition"}  # no column was added, no hour has expired
    for action in ("glue:GetTable", "glue:GetPartitions", "glue:BatchCreatePartition", "glue:BatchGetPartition"):
        found = audit([document.replace(f'"{action}"', '"glue:DeleteTable"')], calls, by_lambda)
        assert {name for name, _ in found.missing} == {action}
        assert {name for name, _ in found.unused} == {"glue:DeleteTable", *unused_here}
    narrowed = document.replace("impressions_error_docs", "other")
    assert audit([narrowed], calls, by_lambda).missing


def test_no_two_functions_share_a_role(graph):
    roles = [node.inputs["role"] for node in graph.all("Function")]
    assert len(set(roles)) == len(roles) == 17
