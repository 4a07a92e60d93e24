"""The functions' handlers in this process, against the emulator's Glue, S3 and Kinesis and the small Athena."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from emulator import ACCOUNT
from functions_stack import HOUR, TICK, answer, given_partitions, hours

from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.tables import StreamingInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.functions import generate_events, register_partitions
from datawarehouse.generator.events import generate

# -- the registrar


@pytest.fixture
def register(stack, monkeypatch):
    """Calls the registrar, for a table whose data begins 100 hours before TICK if it is not said when."""
    monkeypatch.setenv("DW_TABLES", "clicks")

    def register(time, since=""):
        [first] = hours(-100, -100)
        return register_partitions.handler({"time": time, "from": first if since == "" else since}, None)

    return register


def instant(hours_from_tick):
    return (datetime.fromisoformat(TICK) + timedelta(hours=hours_from_tick)).isoformat()


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


def test_expired_hours_leave_the_catalog_and_are_not_registered_again(stack, register, monkeypatch, calls):
    stack.table("clicks", form="parquet")
    given_partitions(stack, [*hours(-100, 0), "2026/11/1", "before"])
    assert register(TICK) == {"clicks": 12} and len(stack.partitions("clicks")) == 101 + 12 + 2
    assert ("glue", "DeletePartition") not in calls
    monkeypatch.setenv("DW_RETENTION_DAYS", "2")
    # The hour that ended two days and 20 minutes ago has expired, the next one has not. What is no hour stays.
    assert register(TICK) == {"clicks": 0}
    assert set(stack.partitions("clicks")) == {*hours(-48, 12), "2026/11/1", "before"}
    assert register(TICK) == {"clicks": 0}
    assert register(instant(1)) == {"clicks": 1}
    assert set(stack.partitions("clicks")) == {*hours(-47, 13), "2026/11/1", "before"}


def test_a_retention_that_comes_late_is_made_up_for_run_by_run(stack, register, monkeypatch):
    stack.table("clicks", form="parquet")
    register(TICK)
    monkeypatch.setenv("DW_RETENTION_DAYS", "1")
    monkeypatch.setattr("datawarehouse.functions.tables.EXPIRED_A_RUN_MAX", 50)
    left = [len(register(TICK) and stack.partitions("clicks")) for _ in range(3)]
    assert left == [63, 37, 37] and sorted(stack.partitions("clicks")) == hours(-24, 12)


def test_a_table_older_than_its_retention_gets_only_the_hours_that_are_kept(stack, register, monkeypatch):
    stack.table("clicks", form="parquet")
    monkeypatch.setenv("DW_RETENTION_DAYS", "1")
    assert register(TICK) == {"clicks": 24 + 1 + 12}
    assert sorted(stack.partitions("clicks")) == hours(-24, 12)


def test_an_event_without_a_time_is_refused(stack, register):
    with pytest.raises(BadRequest, match="valid is an instant with its zone"):
        register("yesterday")


def test_the_other_functions_call_what_their_roles_are_to_allow_and_nothing_else(stack, register, stream, calls):
    stack.table("clicks", form="parquet")
    register((datetime.now(UTC)).isoformat(), None)
    looks = {("glue", name) for name in ("GetTable", "GetPartitions", "BatchCreatePartition", "BatchGetPartition")}
    assert calls == looks
    calls.clear()
    generate_events.handler({"time": TICK}, None)
    assert calls == {("kinesis", "PutRecords")}


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
        DataWarehouseError, match=r"2 of 2 events were not accepted .* in 2 attempts, .* InternalFailure: no"
    ):
        generate_events.send(Full(), stream.name, [{"PartitionKey": "a", "Data": b"1"}] * 2)


# -- as Lambda runs them

SOURCE = Path(generate_events.__file__).parents[1]
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
