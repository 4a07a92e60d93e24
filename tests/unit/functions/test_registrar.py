"""What the registrar asks Glue for, and what it makes of answers that the emulator of tests/aws never gives."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import ANY, Stubber

from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.functions import register_partitions
from datawarehouse.functions.clients import ClientError
from datawarehouse.functions.tables import point_to, read_table, register

CREATED = datetime(2026, 1, 1, 5, 30, tzinfo=UTC)
STORAGE = {"Columns": [{"Name": "id", "Type": "string"}], "Location": "s3://data/clicks", "SerdeInfo": {"Name": "any"}}
TABLE = {
    "Table": {
        "Name": "clicks",
        "CreateTime": CREATED,
        "StorageDescriptor": STORAGE,
        "PartitionKeys": [{"Name": "inserted_at", "Type": "string"}],
    }
}
EVENT = {"time": "2026-01-01T06:00:00Z"}
NEAR = ("2026/01/01/05", "2026/01/01/06", "2026/01/01/07")
"""The hours that a run at that time looks at: the last, the present, and the one ahead."""


@pytest.fixture
def glue(monkeypatch):
    """Glue's client with given answers, which the handler gets as well."""
    client = boto3.client("glue", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
    monkeypatch.setattr(register_partitions, "client", lambda service: client)
    monkeypatch.setenv("DW_DATABASE", "warehouse_test")
    monkeypatch.setenv("DW_TABLES", "clicks")
    monkeypatch.setenv("DW_HOURS_AHEAD", "1")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def listing(glue, *pages):
    """Expect the pages of one listing."""
    for number, values in enumerate(pages):
        wanted = {
            "DatabaseName": "warehouse_test",
            "TableName": "clicks",
            "ExcludeColumnSchema": True,
        }
        answer = {"Partitions": [{"Values": [value]} for value in values]}
        if number:
            wanted["NextToken"] = str(number)
        if number + 1 < len(pages):
            answer["NextToken"] = str(number + 1)
        glue.add_response("get_partitions", answer, wanted)


def present(glue, *values, columns=STORAGE["Columns"], left_out=(), below="s3://data/clicks"):
    """Expect a look at the columns of hours; `values` are there and have these, `left_out` are asked for as well."""
    wanted = {
        "DatabaseName": "warehouse_test",
        "TableName": "clicks",
        "PartitionsToGet": [{"Values": [value]} for value in (*values, *left_out)],
    }
    found = inputs(*values, below=below)
    for each in found:
        each["StorageDescriptor"]["Columns"] = columns
    answer = {"Partitions": found}
    if left_out:
        answer["UnprocessedKeys"] = [{"Values": [value]} for value in left_out]
    glue.add_response("batch_get_partition", answer, wanted)


def inputs(*values, below="s3://data/clicks"):
    return [{"Values": [value], "StorageDescriptor": {**STORAGE, "Location": f"{below}/{value}/"}} for value in values]


def update(glue, *values, below="s3://data/clicks"):
    """Expect hours to be given the table's columns, where they are."""
    entries = [{"PartitionValueList": one["Values"], "PartitionInput": one} for one in inputs(*values, below=below)]
    wanted = {"DatabaseName": "warehouse_test", "TableName": "clicks", "Entries": entries}
    glue.add_response("batch_update_partition", {"Errors": []}, wanted)


def creation(glue, *values, errors=()):
    wanted = {"DatabaseName": "warehouse_test", "TableName": "clicks", "PartitionInputList": inputs(*values)}
    glue.add_response("batch_create_partition", {"Errors": list(errors)}, wanted)


def error(value, code):
    return {"PartitionValues": [value], "ErrorDetail": {"ErrorCode": code, "ErrorMessage": "as it happens"}}


def test_all_pages_are_read_and_what_is_missing_since_the_tables_making_is_registered(glue):
    glue.add_response("get_table", TABLE)
    listing(glue, ["2026/01/01/03"], [], ["by hand", "2026/01/01/06"])
    creation(glue, "2026/01/01/05", "2026/01/01/07")
    present(glue, *NEAR)
    assert register_partitions.handler(EVENT, None) == {"clicks": 2}


def test_what_failed_long_ago_is_made_up_for(glue):
    glue.add_response("get_table", TABLE)
    days = [f"2026/01/{day:02d}/{hour:02d}" for day in range(1, 10) for hour in range(24)]
    lacking = [*days[30:33], *days[-14:]]
    listing(glue, [hour for hour in days[5:] if hour not in lacking])
    creation(glue, *lacking)
    present(glue, "2026/01/09/21", "2026/01/09/22", "2026/01/09/23")
    assert register_partitions.handler({"time": "2026-01-09T22:00:00Z"}, None) == {"clicks": 17}


def test_an_event_says_from_which_hour_on_where_data_is_older_than_the_table(glue):
    glue.add_response("get_table", TABLE)
    listing(glue, ["2026/01/01/05", "2026/01/01/06", "2026/01/01/07"])
    creation(glue, "2026/01/01/02", "2026/01/01/03", "2026/01/01/04")
    present(glue, *NEAR)
    assert register_partitions.handler({**EVENT, "from": "2026/01/01/02"}, None) == {"clicks": 3}
    glue.add_response("get_table", TABLE)
    with pytest.raises(BadRequest, match=r"'yesterday'; valid is the UTC hour as YYYY/MM/DD/HH"):
        register_partitions.handler({**EVENT, "from": "yesterday"}, None)


def test_a_partition_that_somebody_else_registered_meanwhile_is_no_error(glue):
    glue.add_response("get_table", TABLE)
    listing(glue, ["2026/01/01/05"])
    creation(glue, "2026/01/01/06", "2026/01/01/07", errors=[error("2026/01/01/06", "AlreadyExistsException")])
    present(glue, *NEAR)
    register_partitions.handler(EVENT, None)


@pytest.mark.parametrize("before", [("old", "string"), ("id", "bigint")])
def test_hours_that_were_registered_before_a_column_changed_get_it_where_they_are(glue, before):
    glue.add_response("get_table", TABLE)
    listing(glue, ["2026/01/01/05", *NEAR])
    elsewhere = "s3://data/clicks/a_run"
    present(glue, *NEAR, columns=[dict(zip(("Name", "Type"), before, strict=True))], below=elsewhere)
    update(glue, *NEAR, below=elsewhere)
    assert register_partitions.handler(EVENT, None) == {"clicks": 0}


def test_all_hours_of_a_week_ahead_get_a_new_column(glue, monkeypatch):
    monkeypatch.setenv("DW_HOURS_AHEAD", "168")
    hours = [f"2026/01/{day:02d}/{hour:02d}" for day in range(1, 9) for hour in range(24)][5:175]
    glue.add_response("get_table", TABLE)
    listing(glue, hours)
    present(glue, *hours, columns=[{"Name": "old", "Type": "string"}])
    update(glue, *hours[:100])
    update(glue, *hours[100:])
    assert register_partitions.handler(EVENT, None) == {"clicks": 0}


def test_hours_that_glue_leaves_out_are_looked_at_again_as_long_as_some_come(glue):
    """It leaves out what it has no time for, and what is not there."""
    for there in (1, 0):
        old = [{"Name": "old", "Type": "string"}]
        glue.add_response("get_table", TABLE)
        listing(glue, ["2026/01/01/05", *NEAR])
        present(glue, NEAR[0], columns=old, left_out=NEAR[1:])
        if there:
            present(glue, NEAR[1], columns=old, left_out=NEAR[2:])
        present(glue, columns=old, left_out=NEAR[1 + there :])
        update(glue, *NEAR[: 1 + there])
        assert register_partitions.handler(EVENT, None) == {"clicks": 0}


def test_an_entry_that_fails_is_told_when_all_calls_were_made(glue):
    glue.add_response("get_table", TABLE)
    table = read_table(glue.client, "warehouse_test", "clicks")
    days = [f"2026/01/{day:02d}/{hour:02d}" for day in range(1, 11) for hour in range(24)]
    creation(
        glue, *days[:100], errors=[error(days[3], "InternalServiceException"), error(days[4], "AlreadyExistsException")]
    )
    glue.add_client_error("batch_create_partition", "OperationTimeoutException", "took too long")
    creation(glue, *days[200:])
    with pytest.raises(DataWarehouseError) as raised:
        register(glue.client, table, days)
    text = str(raised.value)
    assert f"{days[3]}: InternalServiceException as it happens" in text
    assert f"{days[100]} to {days[199]}: " in text and "took too long" in text
    assert days[4] not in text


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException"])
def test_a_role_that_is_not_known_yet_is_waited_for_at_deployment_alone(glue, monkeypatch, code):
    monkeypatch.setattr(register_partitions, "_RETRY_S", 0.0)
    glue.add_client_error("get_table", code)
    with pytest.raises(ClientError, match=code):
        register_partitions.handler(EVENT, None)
    for operation in ("get_table", "get_table", "get_partitions", "batch_create_partition"):
        if operation != "get_table":
            glue.add_response("get_table", TABLE)
        if operation == "batch_create_partition":
            glue.add_response("get_partitions", {"Partitions": [{"Values": ["2026/01/01/05"]}]})
        glue.add_client_error(operation, code)
    monkeypatch.setattr(time, "time_ns", lambda: int(CREATED.timestamp() * 10**9))
    glue.add_response("get_table", TABLE)
    listing(glue, ["2026/01/01/05"])
    creation(glue, "2026/01/01/06")
    present(glue, "2026/01/01/04", "2026/01/01/05", "2026/01/01/06")
    assert register_partitions.handler({"source": "deployment"}, None) == {"clicks": 1}
    monkeypatch.setattr(register_partitions, "_NEW_ROLE_S", 0.0)
    glue.add_client_error("get_table", code)
    with pytest.raises(ClientError, match=code):
        register_partitions.handler({"source": "deployment"}, None)


def test_a_new_role_is_waited_for_two_minutes(glue, monkeypatch):
    clock = SimpleNamespace(now=1000.0, ahead=[1119.0, 1121.0], time_ns=time.time_ns)

    def sleep(seconds):
        assert seconds >= 1
        clock.now = clock.ahead.pop(0)

    clock.monotonic, clock.sleep = lambda: clock.now, sleep
    monkeypatch.setattr(register_partitions, "time", clock)
    for _ in range(3):
        glue.add_client_error("get_table", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        register_partitions.handler({"source": "deployment"}, None)


def test_a_table_that_cannot_be_filled_keeps_no_other_from_its_hours(glue, monkeypatch):
    monkeypatch.setenv("DW_TABLES", "visits,clicks")
    keys = [{"Name": name, "Type": "string"} for name in ("day", "hour")]
    glue.add_response("get_table", {"Table": {**TABLE["Table"], "PartitionKeys": keys}})
    glue.add_response("get_table", TABLE)
    listing(glue, ["2026/01/01/05"])
    creation(glue, *NEAR[1:])
    present(glue, *NEAR)
    with pytest.raises(DataWarehouseError, match=r"Table 'visits' has the partition keys day, hour"):
        register_partitions.handler(EVENT, None)


def test_a_partition_that_cannot_be_moved_is_an_error(glue):
    glue.add_response("get_table", TABLE)
    table = read_table(glue.client, "warehouse_test", "clicks")
    glue.add_client_error("create_partition", "AlreadyExistsException")
    failed = [{"PartitionValueList": ["2026/01/01/05"], "ErrorDetail": {"ErrorCode": "EntityNotFoundException"}}]
    moved = {
        "DatabaseName": "warehouse_test",
        "TableName": "clicks",
        "Entries": [{"PartitionValueList": ["2026/01/01/05"], "PartitionInput": ANY}],
    }
    glue.add_response("batch_update_partition", {"Errors": failed}, moved)
    with pytest.raises(DataWarehouseError, match=r"could not be updated: .*EntityNotFoundException"):
        point_to(glue.client, table, "2026/01/01/05", "s3://data/x/")


def test_a_table_with_two_partition_keys_is_refused(glue):
    keys = [{"Name": name, "Type": "string"} for name in ("day", "hour")]
    glue.add_response("get_table", {"Table": {**TABLE["Table"], "PartitionKeys": keys}})
    with pytest.raises(DataWarehouseError, match=r"the partition keys day, hour; .* one key, the hour"):
        read_table(glue.client, "warehouse_test", "clicks")
