"""`dw status`, `dw jobs` and `dw partition` with `--on aws`, as processes, against a deployed warehouse."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from athena_endpoint import emulator_with_athena
from botocore.exceptions import ClientError
from deployed import Deployed
from running import command

from datawarehouse.definition.partition import partition_of, start_ms
from datawarehouse.functions.run_log import logged_run
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import DeployedTable, find_deployment
from datawarehouse.operate.jobs import latest_hours, outcome_of, read_attempts
from datawarehouse.operate.status import status_of
from datawarehouse.runtime.declaration import load
from datawarehouse.testing import simulate


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """began: when the deployment did. The hour may turn at any moment after it."""
    with emulator_with_athena() as aws:
        began = datetime.now(UTC)
        made = Deployed(aws, tmp_path_factory.mktemp("status"))
        made.began = began
        yield made


def hour_of(instant):
    return partition_of(int(instant.timestamp() * 1000))


def measured(deployed, namespace, name, dimension, value, *, ago=timedelta(minutes=10), resource=None):
    """Put a value of a metric into CloudWatch, as the services themselves do on AWS."""
    dimensions = [{"Name": dimension, "Value": resource or deployed.at["tables"]["clicks"][_MEMBER[dimension]]}]
    data = {"MetricName": name, "Dimensions": dimensions, "Value": value, "Timestamp": deployed.began - ago}
    deployed.aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])


_MEMBER = {"StreamName": "stream", "DeliveryStreamName": "delivery"}


def status(deployed):
    return json.loads(deployed.dw("status", "--output", "json")[0])


def is_since_deployment(deployed, found, last_run):
    """Whether a status says the five minutes of a call that was made from the deployment until then."""
    earliest = deployed.began - timedelta(minutes=5)
    return earliest < datetime.fromisoformat(last_run) <= datetime.fromisoformat(found["at"])


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
    called = deployed.began, datetime.fromisoformat(before["at"])  # the registrar was, in between
    assert tables["clicks"]["registered_until"] in {hour_of(at + timedelta(hours=12)) for at in called}
    assert is_since_deployment(deployed, before, tables["clicks"]["registrar"]["last_run"])
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
    assert timedelta(minutes=20) <= deployed.began - lag_at <= timedelta(minutes=25)
    assert clicks["newest_hour"] == "2026/10/02/01"
    counts = now["jobs"][0]
    assert (counts["runs_24h"], counts["failed_24h"]) == (2, 1)
    assert is_since_deployment(deployed, now, counts["last_run"])
    out, err = deployed.dw("status")
    assert out.startswith("shop on AWS, database shop_test in us-east-1, at ")
    assert "lag_s: DataFreshness of the delivery" in err and "counted since" in err
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


@pytest.fixture
def here(deployed, monkeypatch):
    """(the deployment, makes clients for it) in this process."""
    for name, value in deployed.aws.environment().items():
        monkeypatch.setenv(name, value)
    deployment = find_deployment(str(deployed.folder / "outputs.json"), deployed.folder / "dw.toml")
    return deployment, lambda: Clients(deployment.region)


def test_the_number_of_calls_does_not_grow_with_the_data(deployed, here):
    deployment, new_clients = here

    def calls():
        clients, made = new_clients(), []
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


def test_a_table_in_iceberg_has_other_metrics(deployed, here):
    deployment, new_clients = here
    table = DeployedTable("rows", "streaming input table", "rows-stream", "rows-delivery", converter="rows-converter")
    measured(deployed, "AWS/Kinesis", "IncomingRecords", "StreamName", 9, resource="rows-stream")
    for name, value in (("SuccessfulRowCount", 6), ("DataFreshness", 40)):
        resource = "rows-delivery"
        measured(deployed, "AWS/Firehose", f"DeliveryToIceberg.{name}", "DeliveryStreamName", value, resource=resource)
    measured(deployed, "DataWarehouse", "RejectedRecords", "Function", 2, resource="rows-converter")
    found = status_of(replace(deployment, tables={"rows": table}), new_clients(), datetime.now(UTC))
    [rows] = found["tables"]
    assert (rows["received"], rows["stored"], rows["rejected"], rows["lag_s"]) == (9, 6, 2, 40.0)
    assert rows["registrar"] is rows["newest_hour"] is rows["registered_until"] is None


def test_addresses_of_an_earlier_release(deployed, tmp_path):
    older = {name: value for name, value in deployed.at.items() if name != "alarm_topic"}
    (deployed.folder / "older.json").write_text(json.dumps(older))
    out, err = deployed.dw("status", "--outputs", "older.json")
    assert out.startswith("shop on AWS") and "the addresses have no alarm_topic" in err


# -- jobs


def hours(here, now, *names, limit=20):
    """(job, partition, outcome, rows, error) of the latest hours at an instant, and the remarks."""
    deployment, new_clients = here
    found, remarks = latest_hours(deployment, new_clients(), names, limit, now)
    return [tuple(one[name] for name in ("job", "partition", "outcome", "rows", "error")) for one in found], remarks


def logged(deployed, capsys, job, *runs):
    """Write what runs of a job log into its log: (hours of 2026/05/05 that they are for, how they end, minutes ago)."""
    function = deployed.at["tables"][job]["function"]
    told = deployed.aws.client("lambda").get_function_configuration(FunctionName=function)["LoggingConfig"]
    logs, group = deployed.aws.client("logs"), told["LogGroup"]
    for hour, end, ago in runs:
        time_ms = start_ms(f"2026/05/05/{hour:02}") + 3_600_000
        run = logged_run(job, f"2026/05/05/{hour:02}", time_ms)
        capsys.readouterr()
        with suppress(ValueError), run as rows:
            rows |= end if isinstance(end, dict) else {}
            if end == "fails":
                raise ValueError("no such thing")
        lines = capsys.readouterr().out.splitlines()[: 1 if end == "never" else 2]
        at = int((deployed.began - timedelta(minutes=ago)).timestamp() * 1000)
        stream = f"stream-{job}-{hour}-{ago}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": at + 4000 * number, "message": line} for number, line in enumerate(lines)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_a_run_that_succeeded_and_one_that_failed(deployed, here):
    deployed.dw("run", "counts", "--at", "2026-10-31T10:00:00Z", code=1)
    deployed.dw("run", "counts", "--at", "2026-10-30T23:00:00Z")
    found, remarks = hours(here, datetime(2026, 10, 31, 12, tzinfo=UTC), "counts")
    failed = ("counts", "2026/10/31/09", "failed", None, "ValueError: no counts of 2026/10/31/09")
    assert failed in found and ("counts", "2026/10/30/22", "succeeded", 2, None) in found and not remarks
    for job in ("counts", "plain"):
        deployed.dw("run", job)
    out, _ = deployed.dw("jobs", "counts", "--output", "json", "--limit", "5")
    runs = json.loads(out)
    assert {
        "job",
        "scheduled",
        "partition",
        "attempt",
        "cause",
        "outcome",
        "rows",
        "started",
        "seconds",
        "error",
    } == set(runs[0])
    out, _ = deployed.dw("jobs")
    columns = "job scheduled partition started attempt cause outcome rows seconds error".split()
    assert out.split()[: len(columns)] == columns
    assert {line.split()[0] for line in out.splitlines()[2:]} == {"counts", "plain"}


def test_an_hour_whose_partition_points_elsewhere(deployed, here):
    deployed.dw("run", "counts", "--at", "2026-09-30T23:00:00Z")
    glue, now = deployed.aws.client("glue"), datetime(2026, 10, 1, tzinfo=UTC)
    assert hours(here, now, "counts")[0] == [("counts", "2026/09/30/22", "succeeded", 2, None)]
    glue.delete_partition(DatabaseName="shop_test", TableName="counts", PartitionValues=["2026/09/30/22"])
    [(_, _, outcome, _, error)], _ = hours(here, now, "counts")
    assert outcome == "invisible" and "its partition does not point there" in error


def test_hours_that_nothing_has_written(deployed, here):
    later = deployed.began + timedelta(hours=6)
    found, _ = hours(here, later, "counts")
    expected = [hour_of(deployed.began + timedelta(hours=hour)) for hour in range(5, 0, -1)]
    assert [one[1:3] for one in found[:5]] == [(expected[0], "due"), *((hour, "missing") for hour in expected[1:])]
    assert found[-1][1] >= hour_of(deployed.began - timedelta(hours=1))  # before it was deployed nothing is missing


def test_what_the_log_says_of_attempts(deployed, here, capsys):
    logged(
        deployed, capsys, "counts",
        (5, "fails", 9), (5, {"2026/05/05/05": 7}, 8), (6, {"2026/05/05/01": 4}, 7),
        (7, {"2026/05/05/07": 4}, 6), (7, "fails", 5),
    )  # fmt: skip
    found, _ = hours(here, datetime(2026, 5, 5, 9, tzinfo=UTC), "counts")
    at = {one[1][-2:]: one[2:] for one in found}
    assert at["05"][0] == "invisible" and at["06"] == ("succeeded", 4, None)
    assert at["07"] == ("failed", 4, "ValueError: no such thing")


def test_an_attempt_that_never_ended(deployed, here, capsys):
    logged(deployed, capsys, "plain", (3, "never", 20), (4, "never", 1))
    _, new_clients = here
    function = deployed.at["tables"]["plain"]["function"]
    configured = {**new_clients()("lambda").get_function_configuration(FunctionName=function)}
    attempts = read_attempts(new_clients(), configured, deployed.began - timedelta(days=1), [])
    for hour, outcome in (("03", "failed"), ("04", "running")):
        log = attempts[f"2026/05/05/{hour}"]
        assert outcome_of(f"2026/05/05/{hour}", False, log, timedelta(minutes=15), deployed.began) == outcome


def test_a_log_that_cannot_be_read_is_said(deployed, here):
    deployment, _ = here
    deployed.dw("run", "counts", "--at", "2026-10-30T23:00:00Z")

    class Refused(Clients):
        def __call__(self, service):
            client = super().__call__(service)
            if service == "logs":
                client.meta.events.register("before-call", self._refuse)
            return client

        def _refuse(self, **_):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "FilterLogEvents")

    found, [remark] = latest_hours(
        deployment, Refused(deployment.region), ["counts"], 5, datetime(2026, 10, 31, tzinfo=UTC)
    )
    assert "could not be read" in remark and found[0]["outcome"] == "succeeded"


def test_wrong_use_of_jobs(deployed):
    assert "valid is 1 to 500" in deployed.dw("jobs", "--limit", "0", code=2)[1]
    assert "'facts' is a table" in deployed.dw("jobs", "facts", code=2)[1]


# -- partitions


def bought(deployed):
    out, _ = deployed.dw("query", "select country, year, n from bought order by 1, 2, 3", "--output", "json")
    return [tuple(row.values()) for row in json.loads(out)]


def test_a_partition_is_registered_and_pointed_elsewhere(deployed):
    s3, bucket = deployed.aws.client("s3"), deployed.at["data_bucket"]
    for folder, n in (("bought/es/2026/", 1), ("bought/fr/2026/", 2), ("elsewhere/", 3)):
        s3.put_object(Bucket=bucket, Key=f"{folder}rows.json", Body=f'{{"n": {n}}}'.encode())
    _, err = deployed.dw("partition", "bought", "es", "2026")
    assert err == f"es/2026 of table bought is s3://{bucket}/bought/es/2026/\n"
    deployed.dw("partition", "bought", "fr", "2026")
    assert bought(deployed) == [("es", 2026, 1), ("fr", 2026, 2)]
    _, err = deployed.dw("partition", "bought", "es", "2026", "--location", f"s3://{bucket}/elsewhere")
    assert err.endswith(f"is s3://{bucket}/elsewhere/, before: s3://{bucket}/bought/es/2026/\n")
    assert bought(deployed) == [("es", 2026, 3), ("fr", 2026, 2)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bought", "it", "2026"), "there is no folder s3://"),
        (("bought", "fr"), "it has the partition keys (country, year), and ['fr'] was given"),
        (("bought", "fr", "now"), "its key year is int, and Athena could not read the table with 'now'"),
        (("bought", "..", "2026"), "does not make a folder below the table's"),
        (("bought", "fr", "2026", "--location", "/srv/files"), "is not a folder of S3"),
        (("bought", "fr", "2026", "--location", "s3://bucket"), "is not a folder of S3"),
        (("bought", "fr", "2026", "--location", "s3://no-such-bucket/x/"), "there is no bucket 'no-such-bucket'"),
        (("facts", "x"), "it has the partition keys (), and ['x'] was given"),
        (("counts", "2026/11/01/00"), "it is a batch input table, whose partitions the warehouse makes"),
        (("nothing", "x"), "no table 'nothing'"),
    ],
)
def test_a_partition_that_cannot_be(deployed, arguments, says):
    glue = deployed.aws.client("glue")
    before = glue.get_partitions(DatabaseName="shop_test", TableName="bought")["Partitions"]
    assert says in deployed.dw("partition", *arguments, code=2)[1]
    assert glue.get_partitions(DatabaseName="shop_test", TableName="bought")["Partitions"] == before
