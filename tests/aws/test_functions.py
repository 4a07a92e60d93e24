"""The functions' handlers in this process, against the emulator's Glue, S3 and Kinesis and the small Athena."""

import io
import itertools
import json
import sys
import time
import types
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
from athena_endpoint import emulator_with_athena
from botocore.exceptions import ClientError
from emulator import ACCOUNT

from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.storage import STORAGE
from datawarehouse.definition.tables import StreamingInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest, DataWarehouseError, QueryFailed, QueryLimitExceeded, QueryRefused
from datawarehouse.functions import generate_events, register_partitions, run_job
from datawarehouse.functions.publish import Publisher
from datawarehouse.generator.events import generate

SOURCE = Path(generate_events.__file__).parents[1]
TICK = "2026-11-23T07:20:00Z"
HOUR = "2026/11/23/06"
COLUMNS = {"event_type": "string", "count": "int", "at": "timestamp", "price": "decimal(10,2)", "tags": "array<string>"}
_NUMBERS = itertools.count()
ROW = {"event_type": "it's", "count": 3, "at": datetime(2026, 11, 23, 6, 0, 0, 250_000), "price": Decimal("1.50")}


@pytest.fixture(scope="module")
def aws():
    with emulator_with_athena() as started:
        yield started


class Stack:
    """A database, a bucket of data and one of results, and the tables that Pulumi would make in them."""

    def __init__(self, aws, name):
        self.glue, self.s3, self.name = aws.client("glue"), aws.client("s3"), name
        self.data, self.results = f"{name}-data".replace("_", "-"), f"{name}-results".replace("_", "-")
        self.glue.create_database(DatabaseInput={"Name": name})
        for bucket in (self.data, self.results):
            self.s3.create_bucket(Bucket=bucket)

    def table(self, name, columns=COLUMNS, form="JSON", key="inserted_at", parameters=(), location=None):
        storage = STORAGE[form]
        self.glue.create_table(
            DatabaseName=self.name,
            TableInput={
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {**storage.table_parameters, **dict(parameters)},
                "PartitionKeys": [{"Name": key, "Type": "string"}] if key else [],
                "StorageDescriptor": {
                    "Columns": [{"Name": column, "Type": kind} for column, kind in columns.items()],
                    "Location": location or f"s3://{self.data}/{name}/",
                    "InputFormat": storage.input_format,
                    "OutputFormat": storage.output_format,
                    "SerdeInfo": {
                        "SerializationLibrary": storage.serde,
                        "Parameters": dict(storage.serde_parameters),
                    },
                },
            },
        )

    def parquet_table(self, name, columns=COLUMNS, key="inserted_at", run_key="run"):
        self.table(name, columns, "parquet", key)
        staging = f"s3://{self.results}/staging/{name}/"
        projection = {
            "projection.enabled": "true",
            f"projection.{run_key}.type": "injected",
            "storage.location.template": f"{staging}${{{run_key}}}/",
        }
        self.table(f"{name}_staging", columns, "JSON", run_key, projection, staging)

    def partitions(self, table):
        found = self.glue.get_partitions(DatabaseName=self.name, TableName=table)["Partitions"]
        return {partition["Values"][0]: partition["StorageDescriptor"] for partition in found}

    def objects(self, bucket, prefix=""):
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return {each["Key"]: self.s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found}


@pytest.fixture
def stack(aws, monkeypatch):
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    made = Stack(aws, f"stack_{next(_NUMBERS)}")
    monkeypatch.setenv("DW_DATABASE", made.name)
    return made


class Lambda:
    def __init__(self, remaining_ms=300_000):
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self):
        return self.remaining_ms


@pytest.fixture
def run(stack, monkeypatch):
    """Runs a function as the job of a table."""

    def run(table, job, time=TICK, remaining_ms=300_000):
        module = types.ModuleType("a_users_module")
        module.job = job
        monkeypatch.setitem(sys.modules, "a_users_module", module)
        monkeypatch.setenv("DW_TABLE", table)
        monkeypatch.setenv("DW_JOB", "a_users_module:job")
        monkeypatch.setenv("DW_WORKGROUP", "batch")
        monkeypatch.setenv("DW_RESULTS", f"s3://{stack.results}")
        return run_job.handler({"time": time}, Lambda(remaining_ms))

    return run


def answer(run, table, sql, params=None):
    """The rows that a job of `table` gets for a statement."""
    found = []

    def job(context):
        found.extend(context.query(sql, params))
        return []

    run(table, job)
    return found


# -- the registrar


@pytest.fixture
def register(stack, monkeypatch):
    """Calls the registrar, for a table whose data begins 100 hours before TICK if it is not said when."""
    monkeypatch.setenv("DW_TABLES", "clicks")

    def register(time, since=""):
        [first] = hours(-100, -100)
        return register_partitions.handler({"time": time, "from": first if since == "" else since}, None)

    return register


def hours(first, last):
    """The hours from one to the other, both included, by their distance from the hour of TICK."""
    tick = datetime.fromisoformat(TICK)
    return [partition_of(int((tick + timedelta(hours=n)).timestamp() * 1000)) for n in range(first, last + 1)]


def instant(hours_from_tick):
    return (datetime.fromisoformat(TICK) + timedelta(hours=hours_from_tick)).isoformat()


def given_partitions(stack, values, location=None):
    storage = stack.glue.get_table(DatabaseName=stack.name, Name="clicks")["Table"]["StorageDescriptor"]
    storage["Location"] = location or storage["Location"]
    for start in range(0, len(values), 100):
        stack.glue.batch_create_partition(
            DatabaseName=stack.name,
            TableName="clicks",
            PartitionInputList=[
                {"Values": [value], "StorageDescriptor": storage} for value in values[start : start + 100]
            ],
        )


def test_a_new_table_gets_the_hours_from_its_making_on(stack, register):
    stack.table("clicks", form="parquet")
    created = stack.glue.get_table(DatabaseName=stack.name, Name="clicks")["Table"]["CreateTime"]
    now = created.astimezone(UTC)
    assert register((now + timedelta(hours=3)).isoformat(), None) == {"clicks": 3 + 12 + 1}
    found = stack.partitions("clicks")
    first = int(created.timestamp() * 1000)
    assert sorted(found) == [partition_of(first + n * HOUR_MS) for n in range(16)]
    [*_, last] = sorted(found)
    table = stack.glue.get_table(DatabaseName=stack.name, Name="clicks")["Table"]["StorageDescriptor"]
    assert found[last] == {**table, "Location": f"s3://{stack.data}/clicks/{last}/"}


def test_a_second_call_registers_nothing(stack, register):
    stack.table("clicks", form="parquet")
    given_partitions(stack, hours(-100, 0))
    assert register(TICK) == {"clicks": 12}
    assert register(TICK) == {"clicks": 0}
    assert register(instant(1)) == {"clicks": 1}


def test_holes_heal(stack, register):
    stack.table("clicks", form="parquet")
    given_partitions(stack, [*hours(-100, -90), *hours(-40, -30), *hours(-20, -1), "2026/11/21"])
    assert register(TICK) == {"clicks": 49 + 9 + 13}
    assert sorted(set(stack.partitions("clicks")) - {"2026/11/21"}) == hours(-100, 12)


def test_hours_registered_ahead_get_a_column_that_is_added(stack, register):
    stack.table("clicks", {"id": "string"}, "parquet")
    register(TICK)
    found = stack.glue.get_table(DatabaseName=stack.name, Name="clicks")["Table"]
    found["StorageDescriptor"]["Columns"].append({"Name": "price", "Type": "double"})
    kept = ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    stack.glue.update_table(DatabaseName=stack.name, TableInput={key: found[key] for key in kept})
    assert register(TICK) == {"clicks": 0}
    columns = {hour: [each["Name"] for each in one["Columns"]] for hour, one in stack.partitions("clicks").items()}
    assert {hour for hour, names in columns.items() if names == ["id", "price"]} == set(hours(-1, 12))
    assert {hour for hour, names in columns.items() if names == ["id"]} == set(hours(-100, -2))
    places = {one["Location"] for one in stack.partitions("clicks").values()}
    assert places == {f"s3://{stack.data}/clicks/{hour}/" for hour in hours(-100, 12)}


def test_an_outage_of_days_is_made_up_for(stack, register):
    stack.table("clicks", form="parquet")
    start = datetime.now(UTC)
    registered = register(start.isoformat(), None)["clicks"]
    assert registered in (13, 14)  # an hour may have begun in between
    assert register((start + timedelta(hours=400)).isoformat(), None) == {"clicks": 400}
    first = int(start.timestamp() * 1000)
    assert sorted(stack.partitions("clicks"))[-413:] == [partition_of(first + n * HOUR_MS) for n in range(413)]


def test_a_table_that_fails_keeps_no_other_from_its_hours(stack, register, monkeypatch):
    stack.table("clicks", form="parquet")
    monkeypatch.setenv("DW_TABLES", "nowhere,clicks")
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        register(TICK, hours(0, 0)[0])
    assert sorted(stack.partitions("clicks")) == hours(0, 12)


def test_at_deployment_the_clock_says_which_hours(stack, monkeypatch):
    stack.table("clicks", form="parquet")
    monkeypatch.setenv("DW_TABLES", "clicks")
    monkeypatch.setenv("DW_HOURS_AHEAD", "2")
    before = datetime.now(UTC)
    registered = register_partitions.handler({"source": "deployment"}, None)
    assert registered["clicks"] in (3, 4)  # an hour may have begun in between
    assert partition_of(int(before.timestamp() * 1000)) in stack.partitions("clicks")


def test_an_event_without_a_time_is_refused(stack, register):
    with pytest.raises(BadRequest, match="valid is an instant with its zone"):
        register("yesterday")


# -- jobs


def test_a_json_table_without_partitions_has_one_object_an_hour(stack, run):
    stack.table("facts", key=None)
    assert run("facts", lambda job: [ROW, {"count": None}]) == {HOUR: 2}
    key = f"facts/{HOUR}/rows.json"
    assert stack.objects(stack.data) == {
        key: b'{"event_type":"it\'s","count":3,"at":"2026-11-23 06:00:00.250","price":1.50}\n{}\n'
    }
    assert run("facts", lambda job: {"count": 4}) == {HOUR: 1}
    assert stack.objects(stack.data) == {key: b'{"count":4}\n'}
    assert answer(run, "facts", "select count, event_type from facts") == [(4, None)]


def test_a_partitioned_json_table_is_repointed_by_a_rerun(stack, run):
    stack.table("facts")

    def job(job):
        job.write([{"count": 1}], job.open_partition)
        yield {"count": 2}

    assert run("facts", job) == {"2026/11/23/07": 1, HOUR: 1}
    first = {value: found["Location"] for value, found in stack.partitions("facts").items()}
    assert first.keys() == {"2026/11/23/07", HOUR}
    assert all(place.startswith(f"s3://{stack.data}/facts/{value}/") for value, place in first.items())
    run("facts", job)
    second = {value: found["Location"] for value, found in stack.partitions("facts").items()}
    assert not set(first.values()) & set(second.values())
    sql = "select inserted_at, count from facts where inserted_at >= ? order by 1"
    assert answer(run, "facts", sql, [HOUR]) == [(HOUR, 2), ("2026/11/23/07", 1)]
    # The job that asked was a run without rows itself.
    assert answer(run, "facts", sql, [HOUR]) == [("2026/11/23/07", 1)]


def test_a_partitioned_parquet_table_is_repointed_by_a_rerun(stack, run):
    stack.parquet_table("aggregates")
    stack.table("other", {"n": "int"}, key=None)
    assert run("aggregates", lambda job: [ROW, {"count": 2, "tags": ["a", None]}]) == {HOUR: 2}
    first = stack.partitions("aggregates")[HOUR]["Location"]
    [written] = stack.objects(stack.data)
    assert f"s3://{stack.data}/{written}".startswith(first) and first.startswith(
        f"s3://{stack.data}/aggregates/{HOUR}/"
    )
    sql = "select event_type, count, at, price, json_format(cast(tags as json)), inserted_at from aggregates order by 2"
    assert answer(run, "other", sql) == [
        (None, 2, None, None, '["a",null]', HOUR),
        ("it's", 3, datetime(2026, 11, 23, 6, 0, 0, 250_000), Decimal("1.50"), None, HOUR),
    ]
    run("aggregates", lambda job: [{"count": 7}])
    second = stack.partitions("aggregates")[HOUR]
    assert second["Location"] != first and second["SerdeInfo"]["SerializationLibrary"] == STORAGE["parquet"].serde
    assert answer(run, "other", "select count from aggregates") == [(7,)]
    assert len(stack.objects(stack.data, "aggregates/")) == 2  # a query may still read the first


def test_objects_of_runs_that_are_long_gone_are_deleted(stack, run, monkeypatch):
    stack.parquet_table("aggregates")
    run("aggregates", lambda job: [{"count": 1}])
    [old] = stack.objects(stack.data)
    monkeypatch.setattr("datawarehouse.functions.publish._STALE", timedelta(hours=-1))
    run("aggregates", lambda job: [{"count": 2}])
    [new] = stack.objects(stack.data)
    assert new != old


def test_a_run_without_rows_leaves_an_hour_without_rows(stack, run):
    stack.parquet_table("aggregates")
    stack.table("facts")
    stack.table("other", {"n": "int"}, key=None)
    for table in ("aggregates", "facts"):
        assert run(table, lambda job: [{"count": 1}]) == {HOUR: 1}
        assert answer(run, "other", f"select count from {table}") == [(1,)]
        assert run(table, lambda job: None) == {HOUR: 0}
        assert answer(run, "other", f"select count from {table}") == []
        assert HOUR in stack.partitions(table)
    assert len(stack.objects(stack.results, "staging/")) == 1


def test_a_parquet_table_without_partitions_has_the_objects_of_the_last_run_alone(stack, run):
    stack.parquet_table("aggregates", key=None)
    stack.table("other", {"n": "int"}, key=None)
    run("aggregates", lambda job: [{"count": 1}])
    run("aggregates", lambda job: [{"count": 10}], "2026-11-23T08:20:00Z")
    run("aggregates", lambda job: [{"count": 2}])
    assert answer(run, "other", "select count from aggregates order by 1") == [(2,), (10,)]
    keys = list(stack.objects(stack.data, "aggregates/"))
    assert len(keys) == 2
    assert all(key.endswith("-0.parquet") for key in keys)
    run("aggregates", lambda job: [])
    assert answer(run, "other", "select count from aggregates") == [(10,)]


def test_of_runs_that_overlap_the_latest_remains_in_a_table_without_partitions(stack, run, monkeypatch):
    """Two runs for an hour copy their files before either looks what is there: none must delete the other's."""
    stack.parquet_table("aggregates", key=None)
    stack.table("other", {"n": "int"}, key=None)
    early, late = Publisher._written, []

    def overtaken(publisher, partition, rows):
        target = early(publisher, partition, rows)
        if not late:
            late.append("begun")
            run("aggregates", lambda job: [{"count": 2}])
        return target

    monkeypatch.setattr(Publisher, "_written", overtaken)
    run("aggregates", lambda job: [{"count": 1}])
    assert answer(run, "other", "select count from aggregates") == [(2,)]


def test_the_staging_table_says_by_which_column_a_run_is_found(stack, run):
    stack.parquet_table("t", {"run": "string", "n": "int"}, run_key="_run")
    stack.table("other", {"n": "int"}, key=None)
    run("t", lambda job: [{"run": "a", "n": 1}])
    assert answer(run, "other", "select run, n from t") == [("a", 1)]


@pytest.fixture
def calls(stack):
    """The operations that clients of this process have sent since, as (service, operation)."""
    made = set()

    def note(event_name, **_):
        made.add(tuple(event_name.split(".")[1:]))

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("before-call", note)
    yield made
    boto3.setup_default_session()


POINTED = {("glue", "CreatePartition"), ("glue", "BatchUpdatePartition")} | {
    ("s3", name) for name in ("PutObject", "ListObjectsV2", "DeleteObjects")
}
QUERY = {("athena", name) for name in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults")}


@pytest.mark.parametrize(
    ("form", "key", "wanted"),
    [
        ("JSON", None, {("s3", "PutObject")}),
        ("JSON", "inserted_at", POINTED),
        ("parquet", "inserted_at", POINTED),
        ("parquet", None, {("s3", name) for name in ("PutObject", "ListObjectsV2", "CopyObject", "DeleteObjects")}),
    ],
)
def test_a_job_calls_what_its_role_is_to_allow_and_nothing_else(stack, run, calls, monkeypatch, form, key, wanted):
    monkeypatch.setattr("datawarehouse.functions.publish._STALE", timedelta(hours=-1))
    if form == "JSON":
        stack.table("t", key=key)
    else:
        stack.parquet_table("t", key=key)
    for _ in range(2):
        run("t", lambda job: [{"count": job.query("select 1")[0][0]}])
    assert calls == wanted | QUERY | {("glue", "GetTable")}


def test_the_other_functions_call_what_their_roles_are_to_allow_and_nothing_else(stack, register, stream, calls):
    stack.table("clicks", form="parquet")
    register((datetime.now(UTC)).isoformat(), None)
    looks = {("glue", name) for name in ("GetTable", "GetPartitions", "BatchCreatePartition", "BatchGetPartition")}
    assert calls == looks
    calls.clear()
    generate_events.handler({"time": TICK}, None)
    assert calls == {("kinesis", "PutRecords")}


@pytest.mark.parametrize("kind", ["JSON", "parquet"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, {"count": "many"}], "Row 2 for table 't' does not fit: .*Column 'count': expected a whole number"),
        ([ROW, {"counts": 1}], "Row 2 for table 't' has 'counts', which is no column; there are at, count"),
        ([ROW, ["count", 1]], "Row 2 for table 't' is .'count', 1.; a row maps column names to values"),
        ([{"count": 1}, {"event_type": object()}], "Row 2 for table 't' cannot be written: column 'event_type'"),
    ],
)
def test_a_row_that_does_not_fit_leaves_everything_as_it_was(stack, run, kind, rows, message):
    if kind == "JSON":
        stack.table("t")
    else:
        stack.parquet_table("t")
    run("t", lambda job: [{"count": 1}])
    before = stack.objects(stack.data), stack.objects(stack.results), stack.partitions("t")
    with pytest.raises(BadRequest, match=message):
        run("t", lambda job: iter(rows))
    assert (stack.objects(stack.data), stack.objects(stack.results), stack.partitions("t")) == before


def test_what_the_job_raises_is_raised(stack, run):
    stack.table("facts")

    def job(job):
        job.write([{"count": 1}])
        raise ZeroDivisionError("of the user's")

    with pytest.raises(ZeroDivisionError, match="of the user's"):
        run("facts", job)
    assert stack.objects(stack.data) == {}


def test_the_context_has_the_same_hours_as_the_embedded_one(stack, run):
    stack.table("facts")
    seen = []
    run("facts", lambda job: seen.append((job.time, job.partition, job.open_partition)))
    assert seen == [(datetime(2026, 11, 23, 7, 20, tzinfo=UTC), HOUR, "2026/11/23/07")]


# -- queries


def test_values_come_as_the_embedded_host_gives_them(stack, run):
    stack.table("facts")
    sql = """
        select 1, bigint '9007199254740993', 1.5e0, 1e300, -0.25e-7, nan(), -infinity(), cast(1.5 as real),
            decimal '12.30', 'x', '', cast(null as varchar), true, false, timestamp '2026-11-23 06:00:00.250',
            date '2026-11-23', X'00ff', json_format(json_parse('{"a":1}')), null
    """
    [row] = answer(run, "facts", sql)
    assert repr(row[5]) == "nan"
    assert row[:5] + row[6:] == (
        1, 9007199254740993, 1.5, 1e300, -0.25e-7, float("-inf"), 1.5, Decimal("12.30"), "x", "", None, True, False,
        datetime(2026, 11, 23, 6, 0, 0, 250_000), date(2026, 11, 23), b"\x00\xff", '{"a":1}', None,
    )  # fmt: skip
    kinds = [type(value) for value in row]
    assert kinds[:2] == [int, int] and kinds[8] is Decimal and kinds[12] is bool


@pytest.mark.parametrize(
    "value",
    [
        "it's", "'", "''", "abc", "x + 1", "now()", "?", "", "ü\n", 0, -3, 2**62, 1.5, 1e300, -1e-7, True, False, None,
        Decimal("12.30"), Decimal("-0.05"), date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, 678_000), b"\x00\xff",
    ],
    ids=repr,
)  # fmt: skip
def test_a_parameter_arrives_as_it_was_given(stack, run, value):
    stack.table("facts")
    [(found, marked)] = answer(run, "facts", "select ?, 'what?'", [value])
    assert (found, type(found), marked) == (value, type(value), "what?")


def test_a_parameter_that_is_no_value_is_refused(stack, run):
    stack.table("facts")
    with pytest.raises(BadRequest, match="valid are str, int"):
        answer(run, "facts", "select ?", [object()])
    with pytest.raises(BadRequest, match="1024"):
        answer(run, "facts", "select ?", ["x" * 1023])


def test_an_instant_with_a_zone_is_a_parameter_in_utc(stack, run):
    stack.table("facts")
    given = datetime.fromisoformat("2026-11-23T09:00:00+02:00")
    assert answer(run, "facts", "select ?", [given]) == [(datetime(2026, 11, 23, 7),)]


def test_results_of_several_pages_are_whole(stack, run):
    stack.table("facts")
    rows = answer(run, "facts", "select x from unnest(sequence(1, 2500)) as t(x) order by x")
    assert rows == [(n,) for n in range(1, 2501)]
    assert [key for key in stack.objects(stack.results) if not key.startswith("batch/facts/")] == []


def test_a_listing_has_no_row_of_names(stack, run):
    stack.table("facts")
    assert answer(run, "facts", "show tables") == [("facts",)]


@pytest.mark.parametrize("value", ["array[1]", "map(array['a'], array[1])", "cast(row(1, 2) as row(a int, b int))"])
def test_a_nested_result_is_refused_with_advice(stack, run, value):
    stack.table("facts")
    with pytest.raises(QueryRefused, match=r"json_format\(CAST\(x AS JSON\)\)"):
        answer(run, "facts", f"select {value} as x")


def test_a_query_that_fails_is_raised(stack, run):
    stack.table("facts")
    with pytest.raises(QueryFailed, match=r"failed: .*nowhere"):
        answer(run, "facts", "select * from nowhere")
    with pytest.raises(ClientError, match="InvalidRequestException"):
        answer(run, "facts", "selec 1")


def test_a_query_is_stopped_before_the_function_is_out_of_time(aws, stack, run):
    stack.table("facts")
    sql = """
        select count(*) from unnest(sequence(1, 1000000)) as a(x), unnest(sequence(1, 1000000)) as b(y)
        where (x * y) % 7 = 3
    """
    with pytest.raises(QueryLimitExceeded, match="was stopped") as raised:
        run("facts", lambda job: job.query(sql) and [], remaining_ms=1000)
    id = str(raised.value).split()[2]
    execution = aws.client("athena").get_query_execution(QueryExecutionId=id)["QueryExecution"]
    assert execution["Status"]["State"] == "CANCELLED"


# -- the event generator

EVENTS = {
    "tables": [{"name": "clicks", "columns": [["id", "string"], ["event_time", "timestamp"], ["price", "double"]]}],
    "rate": 700,
    "malformed": 0.1,
}


@pytest.fixture
def stream(aws, stack, tmp_path, monkeypatch):
    name = stack.name
    kinesis = aws.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    (tmp_path / "events.json").write_text(json.dumps(EVENTS))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("DW_STREAM", name)
    return Stream(kinesis, name)


class Stream:
    def __init__(self, kinesis, name):
        self.kinesis, self.name = kinesis, name

    def records(self):
        """(partition key, data) of all records, in order."""
        iterator = self.kinesis.get_shard_iterator(
            StreamName=self.name, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found = []
        while True:
            answer = self.kinesis.get_records(ShardIterator=iterator)
            found += [(record["PartitionKey"], record["Data"]) for record in answer["Records"]]
            if not answer["Records"]:
                return found
            iterator = answer["NextShardIterator"]


def expected_events():
    """The events of the minute that ends at TICK."""
    declared = Warehouse("any").with_streaming_input_table("clicks", columns=dict(EVENTS["tables"][0]["columns"]))
    tables = [table for table in declared.tables() if isinstance(table, StreamingInputTable)]
    minute = int(datetime.fromisoformat(TICK).timestamp()) // 60
    made = generate(tables, seed=minute, start_ms=(minute - 1) * 60_000, rate=700 / 60, malformed=0.1)
    return [(event.partition_key, event.data) for _, event in (next(made) for _ in range(700))]


def test_a_minute_of_events_is_sent_each_time_the_same(stream):
    for times in (1, 2):
        assert generate_events.handler({"time": TICK}, None) == {"events": 700, "sent_again": 0}
        assert stream.records() == expected_events() * times
    generate_events.handler({"time": "2026-11-23T07:21:00Z"}, None)
    assert stream.records()[1400:] != expected_events()


def test_entries_that_were_not_taken_are_sent_again_alone(stream):
    class Throttling:
        """A client that leaves out every third entry at first, as a shard does at its limit."""

        calls = 0

        def put_records(self, StreamName, Records):
            self.calls += 1
            if self.calls > 1:
                return stream.kinesis.put_records(StreamName=StreamName, Records=Records)
            taken = [entry for place, entry in enumerate(Records) if place % 3]
            stream.kinesis.put_records(StreamName=StreamName, Records=taken)
            throttled = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
            results = [{"SequenceNumber": "1"} if place % 3 else throttled for place in range(len(Records))]
            return {"FailedRecordCount": len(Records) - len(taken), "Records": results}

    entries = [{"PartitionKey": f"{n}", "Data": f"{n}".encode()} for n in range(10)]
    assert generate_events.send(Throttling(), stream.name, entries) == 4
    assert sorted(data for _, data in stream.records()) == sorted(entry["Data"] for entry in entries)


def test_events_that_are_never_taken_are_an_error(stream, monkeypatch):
    monkeypatch.setattr(generate_events, "_WAITS_S", (0.0, 0.0))

    class Full:
        def put_records(self, StreamName, Records):
            failed = [{"ErrorCode": "InternalFailure", "ErrorMessage": "no"}] * len(Records)
            return {"FailedRecordCount": len(Records), "Records": failed}

    with pytest.raises(
        DataWarehouseError, match=r"2 of 2 events were not taken .* in 2 attempts, .* InternalFailure: no"
    ):
        generate_events.send(Full(), stream.name, [{"PartitionKey": "a", "Data": b"1"}] * 2)


# -- as Lambda runs them

JOB = """
from datetime import datetime
from decimal import Decimal

def hourly(job):
    [(clicks,)] = job.query("select count(*) from clicks where inserted_at = ?", [job.partition])
    yield {"event_type": "clicks", "count": clicks, "at": datetime(2026, 11, 23, 6), "price": Decimal("1.50")}
"""


def package(**files):
    """A zip with what the functions need of this package, and further files at its root."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in (
            "__init__.py",
            "errors.py",
            *(f"{part}/*.py" for part in ("definition", "functions", "generator")),
        ):
            for found in SOURCE.glob(path):
                archive.write(found, f"datawarehouse/{found.relative_to(SOURCE)}")
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def invoked(aws, stack, name, handler, event, variables, **files):
    """What a function of the emulator's Lambda answers."""
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName=f"{stack.name}-{name}",
        Runtime="python3.13",
        Architectures=["arm64"],
        Role=f"arn:aws:iam::{ACCOUNT}:role/any",
        Handler=f"datawarehouse.functions.{handler}.handler",
        Code={"ZipFile": package(**files)},
        Timeout=60,
        Environment={"Variables": {"DW_DATABASE": stack.name, **variables}},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=f"{stack.name}-{name}", WaiterConfig={"Delay": 0.05})
    found = functions.invoke(FunctionName=f"{stack.name}-{name}", Payload=json.dumps(event).encode())
    payload = json.loads(found["Payload"].read())
    assert "FunctionError" not in found, payload
    return payload


def test_the_functions_need_nothing_but_what_is_in_their_package_and_in_lambda(aws, stack, run):
    stack.table("clicks", {"id": "string"}, "JSON")
    stack.parquet_table("aggregates")
    stack.table("other", {"n": "int"}, key=None)
    aws.client("kinesis").create_stream(StreamName=stack.name, ShardCount=1)
    variables = {"DW_TABLES": "clicks", "DW_HOURS_AHEAD": "0"}
    assert invoked(aws, stack, "registrar", "register_partitions", {"source": "deployment"}, variables)["clicks"] >= 1
    stack.s3.put_object(Bucket=stack.data, Key=f"clicks/{HOUR}/any", Body=b'{"id":"a"}{"id":"b"}')
    given_partitions(stack, [HOUR], f"s3://{stack.data}/clicks/{HOUR}/")
    variables = {
        "DW_TABLE": "aggregates",
        "DW_JOB": "warehouse:hourly",
        "DW_WORKGROUP": "batch",
        "DW_RESULTS": f"s3://{stack.results}",
    }
    assert invoked(aws, stack, "job", "run_job", {"time": TICK}, variables, **{"warehouse.py": JOB}) == {HOUR: 1}
    rows = answer(run, "other", "select event_type, count, at, price, inserted_at from aggregates")
    assert rows == [("clicks", 2, datetime(2026, 11, 23, 6), Decimal("1.50"), HOUR)]
    variables, events = {"DW_STREAM": stack.name}, {"events.json": json.dumps(EVENTS)}
    sent = invoked(aws, stack, "generator", "generate_events", {"time": TICK}, variables, **events)
    assert sent == {"events": 700, "sent_again": 0}
    assert Stream(aws.client("kinesis"), stack.name).records() == expected_events()


# -- what the small Athena stands in for


def statement(aws, stack, sql, *parameters):
    """(state, reason, rows with the row of names) of a statement."""
    athena = aws.client("athena")
    given = {"ExecutionParameters": list(parameters)} if parameters else {}
    id = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": stack.name},
        ResultConfiguration={"OutputLocation": f"s3://{stack.results}/any/"},
        **given,
    )["QueryExecutionId"]
    deadline = time.monotonic() + 60
    while True:
        status = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if status["State"] != "SUCCEEDED":
        with pytest.raises(ClientError, match="Final query state: FAILED"):
            athena.get_query_results(QueryExecutionId=id)
        return status["State"], status["StateChangeReason"], None
    rows = athena.get_query_results(QueryExecutionId=id)["ResultSet"]["Rows"]
    return "SUCCEEDED", None, [[datum.get("VarCharValue") for datum in row["Data"]] for row in rows]


def test_a_query_reads_the_objects_of_the_registered_partitions_that_it_names(aws, stack):
    stack.table("clicks", {"id": "string"})
    for hour in ("2026/11/23/05", HOUR, "2026/11/23/07"):
        stack.s3.put_object(Bucket=stack.data, Key=f"clicks/{hour}/any", Body=f'{{"id":"{hour}"}}'.encode())
        if hour != "2026/11/23/07":
            given_partitions(stack, [hour], f"s3://{stack.data}/clicks/{hour}/")
    assert statement(aws, stack, "select id, inserted_at from clicks order by 1")[2][1:] == [
        ["2026/11/23/05", "2026/11/23/05"],
        [HOUR, HOUR],
    ]
    stack.s3.put_object(Bucket=stack.data, Key="clicks/2026/11/23/05/broken", Body=b"not json")
    assert statement(aws, stack, "select id from clicks where inserted_at = ?", f"'{HOUR}'")[2] == [["id"], [HOUR]]
    state, reason, _ = statement(aws, stack, "select id from clicks")
    assert (state, reason.split(":")[0]) == ("FAILED", "HIVE_BAD_DATA")


def test_error_documents_of_firehose_are_rows(aws, stack):
    columns = {"attemptsmade": "int", "lasterrorcode": "string", "errorcode": "string", "rawdata": "string"}
    stack.table("clicks", columns)
    given_partitions(stack, [HOUR], f"s3://{stack.data}/clicks/{HOUR}/")
    older = {"attemptsMade": 1, "lastErrorCode": "DataFormatConversion.ParseError", "rawData": "IA==", "sub": {"a": 1}}
    newer = {"attemptsMade": 1, "ErrorCode": "DataFormatConversion.MalformedData", "rawData": "NDI="}
    body = json.dumps(older) + json.dumps(newer) + "\n" + json.dumps(older)
    stack.s3.put_object(Bucket=stack.data, Key=f"clicks/{HOUR}/any", Body=body.encode())
    sql = (
        "select coalesce(lasterrorcode, errorcode) as code, count(*) as n, min(rawdata) as data from clicks group by 1"
    )
    assert sorted(statement(aws, stack, sql)[2][1:]) == [
        ["DataFormatConversion.MalformedData", "1", "NDI="],
        ["DataFormatConversion.ParseError", "2", "IA=="],
    ]


@pytest.mark.parametrize("where", ["", "where run like 'a%'", "where run in ('a', 'b')"])
def test_a_run_is_found_by_its_name_alone(aws, stack, where):
    stack.parquet_table("t", {"n": "int"})
    state, reason, _ = statement(aws, stack, f"select n from t_staging {where}")
    assert (state, reason.split(":")[0]) == ("FAILED", "CONSTRAINT_VIOLATION")


def test_rows_are_unloaded_into_an_empty_folder_alone(aws, stack):
    sql = f"UNLOAD (SELECT 1 AS n) TO 's3://{stack.data}/there/' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    assert statement(aws, stack, sql)[0] == "SUCCEEDED"
    state, reason, _ = statement(aws, stack, sql)
    assert (state, reason.split(":")[0]) == ("FAILED", "HIVE_PATH_ALREADY_EXISTS")
    [[key, body]] = stack.objects(stack.data).items()
    assert key.startswith("there/") and pq.read_table(io.BytesIO(body)).to_pylist() == [{"n": 1}]


def test_a_partition_without_a_serde_breaks_a_query(aws, stack):
    stack.table("clicks", {"id": "string"})
    stack.glue.create_partition(
        DatabaseName=stack.name,
        TableName="clicks",
        PartitionInput={"Values": [HOUR], "StorageDescriptor": {"Location": f"s3://{stack.data}/clicks/{HOUR}/"}},
    )
    assert statement(aws, stack, "select * from clicks")[:1] == ("FAILED",)


def test_values_have_athenas_text(aws, stack):
    sql = """
        select 1e10, 1e-7, 1.5e0, 1234567.0e0, array['a', null], map(array['b', 'a'], array[1, 2]),
            cast(row(1, 'x') as row(id int, name varchar)), X'00ff', true, timestamp '2026-11-23 06:00:00', null
    """
    [_, row] = statement(aws, stack, sql)[2]
    assert row == [
        "1.0E10", "1.0E-7", "1.5", "1234567.0", "[a, null]", "{a=2, b=1}",
        "{id=1, name=x}", "00 ff", "true", "2026-11-23 06:00:00.000", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "found"),
    [("'it''s'", "it's"), ("1 + 1", "2"), ("abc", "abc"), ("it's", "it's"), ("x + 1", "x + 1"), ("NULL", None)],
)
def test_a_parameter_is_an_expression_or_else_text(aws, stack, given, found):
    assert statement(aws, stack, "select ?", given)[2][1] == [found]


def test_parameters_are_counted(aws, stack):
    with pytest.raises(ClientError, match="Incorrect number of parameters"):
        statement(aws, stack, "select ?, ?", "1")
    assert statement(aws, stack, "select '?'", "1")[2][1] == ["?"]
