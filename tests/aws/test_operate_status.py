"""`dw status`, `dw jobs` and `dw partition` with `--on aws`, as processes, against a deployed warehouse."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from athena_endpoint import emulator_with_athena
from deployed import Deployed
from running import command

from datawarehouse.definition.partition import partition_of
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import find_deployment
from datawarehouse.operate.status import status_of
from datawarehouse.runtime.declaration import load
from datawarehouse.testing import simulate

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with emulator_with_athena() as aws:
        yield Deployed(aws, tmp_path_factory.mktemp("status"))


def hour_of(instant):
    return partition_of(int(instant.timestamp() * 1000))


def measured(deployed, namespace, name, dimension, value, *, ago=timedelta(minutes=10), resource=None):
    """Put a value of a metric into CloudWatch, as the services themselves do on AWS."""
    dimensions = [{"Name": dimension, "Value": resource or deployed.at["tables"]["clicks"][_MEMBER[dimension]]}]
    data = {"MetricName": name, "Dimensions": dimensions, "Value": value, "Timestamp": NOW - ago}
    deployed.aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])


_MEMBER = {"StreamName": "stream", "DeliveryStreamName": "delivery"}


def status(deployed):
    return json.loads(deployed.dw("status", "--output", "json")[0])


@pytest.fixture(scope="module")
def before(deployed):
    """The status of a warehouse to which nothing has happened."""
    return status(deployed)


def test_a_new_warehouse(deployed, before):
    assert before["warehouse"] == "shop" and before["alerts"] == []
    tables = {table["table"]: table for table in before["tables"]}
    assert tables["facts"] == {"table": "facts", "kind": "table"}
    counted = {name: tables["clicks"][name] for name in ("received", "stored", "rejected", "lag_s", "newest_hour")}
    assert counted == {"received": 0, "stored": 0, "rejected": 0, "lag_s": None, "newest_hour": None}
    assert tables["clicks"]["registered_until"] == hour_of(NOW + timedelta(hours=12))
    assert tables["clicks"]["registrar"]["last_run"][:10] == f"{NOW:%Y-%m-%d}"  # at the deployment
    assert [(job["job"], job["last_run"], job["runs_24h"]) for job in before["jobs"]] == [
        ("counts", None, 0),
        ("plain", None, 0),
    ]
    figures = {name for table in before["tables"] for name in table} | set(before["jobs"][0]) | set(before)
    assert set(before["rests_on"]) <= figures


def test_what_happened_is_counted(deployed, before):
    for ago in (timedelta(minutes=10), timedelta(days=1, hours=3), timedelta(days=12)):
        measured(deployed, "AWS/Kinesis", "IncomingRecords", "StreamName", 40, ago=ago)
    measured(deployed, "AWS/Kinesis", "IncomingRecords", "StreamName", 7, resource="of-somebody-else")
    measured(deployed, "AWS/Firehose", "SucceedConversion.Records", "DeliveryStreamName", 110)
    measured(deployed, "AWS/Firehose", "FailedConversion.Records", "DeliveryStreamName", 3)
    for ago, seconds in ((70, 900), (20, 35)):
        ago = timedelta(minutes=ago)
        measured(deployed, "AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", seconds, ago=ago)
        measured(deployed, "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", 1500, ago=ago)
    s3, bucket = deployed.aws.client("s3"), deployed.at["data_bucket"]
    for hour in ("2026/02/28/23", "2026/10/01/07", "compacted/2026/10/02/01"):
        s3.put_object(Bucket=bucket, Key=f"clicks/{hour}/x", Body=b"x")
    deployed.dw("run", "counts")
    deployed.dw("run", "counts", "--at", "2026-10-31T09:00:00Z", code=1)
    now = status(deployed)
    clicks = next(table for table in now["tables"] if table["table"] == "clicks")
    assert (clicks["received"], clicks["stored"], clicks["rejected"], clicks["lag_s"]) == (120, 110, 3, 36.5)
    lag_at = datetime.fromisoformat(clicks["lag_at"])
    assert timedelta(minutes=20) <= NOW - lag_at <= timedelta(minutes=25)
    assert clicks["newest_hour"] == "2026/10/02/01"
    counts = now["jobs"][0]
    assert (counts["runs_24h"], counts["failed_24h"]) == (2, 1) and counts["last_run"][:10] == f"{NOW:%Y-%m-%d}"
    out, err = deployed.dw("status")
    assert out.startswith("shop on AWS, database shop_test in us-east-1, at ")
    assert "lag_s: DeliveryToS3.DataFreshness" in err and "counted since" in err
    row = next(line for line in out.splitlines() if line.startswith("clicks "))
    assert row.split()[1:6] == ["120", "110", "3", "36.5", "2026/10/02/01"]


def test_alarms_that_are_on_are_named(deployed):
    cloudwatch = deployed.aws.client("cloudwatch")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="shop-clicks-input-late")
    [alarm] = [each for page in pages for each in page["MetricAlarms"]]
    cloudwatch.put_metric_alarm(
        AlarmName="shop-clicks-input-late-of-another-stack", MetricName="x", Namespace="y", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        AlarmActions=["arn:aws:sns:us-east-1:000000000000:shop-alarms-of-another-stack"],
    )  # fmt: skip
    for name in (alarm["AlarmName"], "shop-clicks-input-late-of-another-stack"):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="one of one is above")
    [on] = status(deployed)["alerts"]
    assert on["alert"] == alarm["AlarmName"]
    assert on["cause"] == f"{alarm['AlarmDescription']} (one of one is above)"
    assert f"alert {alarm['AlarmName']} since {on['began']}: " in deployed.dw("status")[0]
    cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="over")
    assert status(deployed)["alerts"] == []


def test_names_are_those_of_the_embedded_host(deployed, before, tmp_path):
    with simulate(load(str(deployed.folder / "program" / "warehouse.py")), tmp_path / "data"):
        pass
    here = json.loads(command(tmp_path, "status", "--output", "json").stdout)
    assert {"warehouse", "tables", "alerts"} <= set(here) & set(before)
    of_stream = {"table", "kind", "received", "stored", "rejected"}
    assert all(of_stream <= set(next(each for each in one["tables"] if "received" in each)) for one in (here, before))


def test_the_number_of_calls_does_not_grow_with_the_data(deployed, monkeypatch):
    for name, value in deployed.aws.environment().items():
        monkeypatch.setenv(name, value)
    deployment = find_deployment(str(deployed.folder / "outputs.json"), deployed.folder / "dw.toml")

    def calls():
        clients, made = Clients(deployment.region), []
        for service in ("cloudwatch", "glue", "s3"):
            clients(service).meta.events.register("before-call", lambda model, **_: made.append(model.name))
        status_of(deployment, clients, datetime.now(UTC))
        return sorted(made)

    s3, bucket = deployed.aws.client("s3"), deployed.at["data_bucket"]
    s3.put_object(Bucket=bucket, Key="clicks/2025/01/01/00/x", Body=b"x")
    before = calls()
    for day in range(1, 29):
        for hour in range(3):
            s3.put_object(Bucket=bucket, Key=f"clicks/2025/02/{day:02}/{hour:02}/x", Body=b"x")
    assert calls() == before and len(before) <= 3 + 1 + 10


def test_addresses_of_an_earlier_release(deployed, tmp_path):
    older = {name: value for name, value in deployed.at.items() if name != "alarm_topic"}
    (deployed.folder / "older.json").write_text(json.dumps(older))
    out, err = deployed.dw("status", "--outputs", "older.json")
    assert out.startswith("shop on AWS") and "the addresses have no alarm_topic" in err
