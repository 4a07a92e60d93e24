"""The example's whole graph in an emulator of AWS: events in, right values out, with nothing but what was deployed.

Athena is `athena_endpoint`, since the emulator's own does not bind the partition column of folders that are not
`key=value` (`Referenced column "inserted_at" not found`). Schedules are not waited for: each tick is sent by the test.
The emulator delivers each record at once, as an object of its own, so buffering is not seen here.
"""

import base64
import json
import shutil
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from apply import ACTION_OF, Emulator
from athena_endpoint import emulator_with_athena
from emulator import REGION
from engine import Engine
from lambda_zip import run

from datawarehouse.aws.deployer import deployer_policies
from patience import patient

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_ads"
IMPRESSIONS = [
    {
        "id": f"i{number}",
        "session_id": "s1",
        "event_time": f"2026-11-23T07:00:0{number}.250Z",
        "campaign": "tents",
        "position": number,
        "query": "two-person tent, 'light'",
        "device": {"os": "android", "width": 412},
    }
    for number in range(1, 5)
]
CLICK = {"id": "c1", "impression_id": "i2", "session_id": "s1", "event_time": "2026-11-23 07:00:09", "price": "0.5200"}
MALFORMED = b'{"id": "c2", "event_time": "soon"}'
DELIVERY_S = 30
CALL_S = 20


@pytest.fixture(scope="module")
def aws():
    with emulator_with_athena() as started:
        yield started


@pytest.fixture(scope="module")
def provider(aws):
    return Emulator(aws.url, region=REGION)


@pytest.fixture(scope="module")
def deployed(provider):
    done = Engine(provider, project="acme-ads", stack="test").run(EXAMPLE, config={"acme-ads:dev": "false"})
    assert done.code == 0, done.messages
    return done


def again(aws, folder):
    return Engine(Emulator(aws.url, region=REGION), project="acme-ads", stack="test").run(
        folder, preview=True, config={"acme-ads:dev": "false"}
    )


def test_the_declaration_fits_what_it_has_deployed(aws, deployed):
    done = again(aws, EXAMPLE)
    assert done.code == 0 and not done.errors, done.messages


def test_whoever_deploys_may_make_each_call_of_the_deployment(provider, deployed):
    [policy] = deployer_policies(["analytics_dw"])
    allowed = {action for one in policy["Statement"] for action in one["Action"]}
    made = {f"{service}:{ACTION_OF.get((service, operation), operation)}" for service, operation in provider.calls}
    assert len(made) > 25 and made - allowed == set()


def test_a_column_of_another_type_does_not_fit(aws, deployed, tmp_path):
    folder = shutil.copytree(EXAMPLE, tmp_path / "changed")
    declared = (folder / "warehouse.py").read_text()
    (folder / "warehouse.py").write_text(declared.replace('"event_time": "timestamp"', '"event_time": "string"'))
    done = again(aws, folder)
    assert done.code == 1 and not done.graph.custom
    for table in ("impressions", "clicks"):
        assert f"Table {table!r}: column 'event_time' was timestamp and is now string" in done.messages


@pytest.fixture(scope="module")
def arrived(aws, deployed):
    """How many objects of each folder there are in each hour, once all events of this test are delivered.

    The hour may turn while they arrive, so there can be two.
    """
    kinesis, s3 = aws.client("kinesis"), aws.client("s3")
    sent = {
        deployed.outputs["impression_input_stream"]: [json.dumps(event).encode() for event in IMPRESSIONS],
        deployed.outputs["click_input_stream"]: [json.dumps(CLICK).encode(), MALFORMED],
    }
    for stream, events in sent.items():
        answer = kinesis.put_records(
            StreamName=stream, Records=[{"Data": event, "PartitionKey": "s1"} for event in events]
        )
        assert answer["FailedRecordCount"] == 0
    bucket = deployed.graph.one("Bucket", "analytics-dw-data").outputs["bucket"]
    deadline = time.monotonic() + patient(DELIVERY_S)
    while True:
        keys = [each["Key"].split("/") for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        found = Counter((key[0], "/".join(key[-5:-1])) for key in keys if key[0] in ("impressions", "clicks", "errors"))
        if found.total() == len(IMPRESSIONS) + 2:
            return found
        assert time.monotonic() < deadline, f"delivered are {found}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def hours(arrived):
    """The hours that events arrived in, as a list of SQL."""
    return ", ".join(f"'{hour}'" for hour in sorted({hour for _, hour in arrived}))


def query(aws, deployed, sql):
    """The rows of a statement as text, by the workgroup of people."""
    athena = aws.client("athena")
    id = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": deployed.outputs["database_name"]},
        WorkGroup="analytics_dw-test-adhoc",
        ResultConfiguration={"OutputLocation": f"s3://{deployed.outputs['athena_results_bucket']}/adhoc/"},
    )["QueryExecutionId"]
    deadline = time.monotonic() + patient(CALL_S)
    while True:
        status = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert status["State"] == "SUCCEEDED", status
    rows = athena.get_query_results(QueryExecutionId=id)["ResultSet"]["Rows"]
    return [tuple(datum.get("VarCharValue") for datum in row["Data"]) for row in rows[1:]]


def invoke(aws, deployed, function, event):
    """What a deployed function answers, called in the emulator."""
    name = deployed.graph.one("Function", function).outputs["name"]
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said
    return said


def tick_after(hour):
    """The tick of the hourly job that counts this hour."""
    start = datetime.strptime(hour, "%Y/%m/%d/%H").replace(tzinfo=UTC)
    return (start + timedelta(hours=1, minutes=20)).strftime("%Y-%m-%dT%H:%M:%SZ")


def registered(aws, deployed, table):
    """The hours of a table that are registered, in order."""
    database = deployed.outputs["database_name"]
    pages = aws.client("glue").get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
    return sorted(partition["Values"][0] for page in pages for partition in page["Partitions"])


def from_to(first, last):
    """All hours from one to another."""
    start, end = (datetime.strptime(hour, "%Y/%m/%d/%H") for hour in (first, last))
    return [f"{start + timedelta(hours=n):%Y/%m/%d/%H}" for n in range((end - start) // timedelta(hours=1) + 1)]


def test_the_deployment_has_registered_the_hours_from_then_on(aws, deployed):
    for table in ("impressions", "clicks", "impressions_error_docs", "clicks_error_docs"):
        found = registered(aws, deployed, table)
        assert found == from_to(found[0], found[-1]) and len(found) >= 13
        assert f"{datetime.now(UTC):%Y/%m/%d/%H}" in found


def test_the_values_that_were_sent_come_back(aws, deployed, hours):
    found = query(
        aws,
        deployed,
        f"""select id, session_id, cast(event_time as varchar), campaign, position, query, device.os, device.width
            from impressions where inserted_at in ({hours}) order by id""",
    )
    assert found == [
        (f"i{number}", "s1", f"2026-11-23 07:00:0{number}.250", "tents", str(number), "two-person tent, 'light'",
         "android", "412")
        for number in range(1, 5)
    ]  # fmt: skip
    clicks = query(aws, deployed, f"select id, impression_id, price from clicks where inserted_at in ({hours})")
    assert [(id, impression, Decimal(price)) for id, impression, price in clicks] == [("c1", "i2", Decimal("0.52"))]
    assert query(aws, deployed, "select count(*) from clicks where inserted_at < '2026/01/01/00'") == [("0",)]


def test_the_malformed_event_is_in_the_quarantine(aws, deployed, hours):
    # Documentation and real documents name two members differently: the view reads both, and the emulator has one.
    [(code, message, data, arrived)] = query(
        aws,
        deployed,
        f"""select error_code, error_message, to_base64(raw_data), inserted_at
            from clicks_quarantine where inserted_at in ({hours})""",
    )
    assert code == "DataFormatConversion.MalformedData" and message.startswith("Data does not match the schema")
    assert base64.b64decode(data) == MALFORMED and f"'{arrived}'" in hours
    assert query(aws, deployed, "select count(*) from impressions_quarantine") == [("0",)]


def test_the_facts_are_there(aws, deployed):
    assert query(aws, deployed, "select advertiser from facts where campaign = 'boots'") == [("Uphill",)]


def test_each_hour_is_counted_and_counted_again_the_same(aws, deployed, arrived):
    for hour in sorted({hour for _, hour in arrived}) * 2:
        written = invoke(aws, deployed, "analytics_dw-aggregates-job-cron-function", {"time": tick_after(hour)})
        assert written == {hour: 2}
        rows = query(aws, deployed, f"select event_type, count from aggregates where time = '{hour}' order by 1")
        assert rows == [(table, str(arrived[table, hour])) for table in ("clicks", "impressions")]


def test_the_registrar_goes_on_where_it_was(aws, deployed):
    before = registered(aws, deployed, "clicks")
    later = datetime.strptime(before[-1], "%Y/%m/%d/%H").replace(tzinfo=UTC) + timedelta(hours=18)
    function, tick = "analytics_dw-clicks-partitions-cron-function", {"time": f"{later:%Y-%m-%dT%H:20:00Z}"}
    assert invoke(aws, deployed, function, tick) == {"clicks": 30, "clicks_error_docs": 30}
    assert registered(aws, deployed, "clicks") == from_to(before[0], f"{later + timedelta(hours=12):%Y/%m/%d/%H}")
    assert invoke(aws, deployed, function, tick) == {"clicks": 0, "clicks_error_docs": 0}


def test_the_rule_calls_the_function_that_was_deployed(aws, deployed):
    """The rules' ticks are the emulator's; here it is shown that rule, target and permission fit together."""
    events = aws.client("events")
    for rule in deployed.graph.all("EventRule"):
        [target] = events.list_targets_by_rule(Rule=rule.outputs["name"])["Targets"]
        function = deployed.graph.one("Function", rule.name.removesuffix("-rule") + "-function")
        assert target["Arn"] == function.outputs["arn"]
        policy = json.loads(aws.client("lambda").get_policy(FunctionName=function.outputs["name"])["Policy"])
        [statement] = policy["Statement"]
        assert statement["Condition"]["ArnLike"]["AWS:SourceArn"] == rule.outputs["arn"]


def test_a_bare_interpreter_runs_the_same_archives(aws, deployed, arrived):
    """With Python's standard library and boto3 alone, as on Lambda; of 3.13 where there is one."""
    job = deployed.graph.one("Function", "analytics_dw-aggregates-job-cron-function")
    (_, hour), _ = arrived.most_common(1)[0]
    done = run(job, {"time": tick_after(hour)}, extras=aws.environment())
    assert done.error is None, done.errors
    assert done.result == {hour: 2}
