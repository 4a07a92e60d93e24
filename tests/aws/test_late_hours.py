"""Hours that get rows after a job ran for them: found, published, and run again if the declaration says so.

When a run began is in the mark of its folder; tests move that instant instead of waiting.
"""

import io
import json
from datetime import UTC, datetime, timedelta

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from functions_stack import HOUR, Lambda, answer, hours
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.partition import start_of
from datawarehouse.errors import QueryFailed
from datawarehouse.functions import compact
from datawarehouse.functions.clients import ClientError
from datawarehouse.functions.late import PastRun, mark_of
from datawarehouse.functions.objects import COMPLETE
from datawarehouse.functions.tables import read_table, register
from datawarehouse.testing import simulate

CLICKS = {"id": "string"}
COUNTS = {"clicks": "int", "at": "timestamp"}
PAST, NEWEST = hours(-5, -5)[0], HOUR


def count(job):
    [(clicks,)] = job.query("select count(*) from clicks where inserted_at = ?", [job.partition])
    return [{"clicks": clicks, "at": job.time}]


class Counted:
    """A table of clicks, and one of their counts by the hour."""

    def __init__(self, stack, run, monkeypatch, aws):
        self.stack, self.run, self.aws = stack, run, aws
        stack.table("clicks", CLICKS, "parquet")
        stack.parquet_table("counts", COUNTS)
        stack.table("other", {"n": "int"}, key=None)
        for name, value in {"DW_WATCHED": "clicks", "DW_LOOK_BACK_HOURS": "48", "DW_RERUN": "yes"}.items():
            monkeypatch.setenv(name, value)

    def deliver(self, name, rows=1, hour=PAST):
        register(self.stack.glue, read_table(self.stack.glue, self.stack.name, "clicks"), [hour])
        out = io.BytesIO()
        pq.write_table(pa.table({"id": [f"{name}-{n}" for n in range(rows)]}), out)
        self.stack.s3.put_object(Bucket=self.stack.data, Key=f"clicks/{hour}/{name}", Body=out.getvalue())

    def job(self, hour=NEWEST, job=count, **options):
        return self.run(
            "counts", job, f"{start_of(hour) + timedelta(hours=1, minutes=20):%Y-%m-%dT%H:%M:%SZ}", **options
        )

    def counts(self):
        rows = answer_of(self, "select inserted_at, clicks, at from counts order by 1")
        return {hour: (clicks, at) for hour, clicks, at in rows}

    def began(self, minutes_ago, hour=PAST):
        """Let the last run for an hour have begun then."""
        key = max(key for key in self.stack.keys(self.stack.data, f"counts/{hour}/") if key.endswith(COMPLETE))
        time = milliseconds_of(start_of(hour) + timedelta(hours=1, minutes=20))
        mark = mark_of(PastRun(time, datetime.now(UTC) - timedelta(minutes=minutes_ago)))
        self.stack.s3.put_object(Bucket=self.stack.data, Key=key, Body=mark)

    def published(self):
        found = self.aws.client("cloudwatch").get_metric_statistics(
            Namespace="DataWarehouse", MetricName="LateHours", Statistics=["Sum"], Period=3600,
            Dimensions=[{"Name": "Database", "Value": self.stack.name}, {"Name": "Table", "Value": "counts"}],
            StartTime=datetime.now(UTC) - timedelta(hours=1), EndTime=datetime.now(UTC) + timedelta(hours=2),
        )  # fmt: skip
        return sum(point["Sum"] for point in found["Datapoints"])


@pytest.fixture
def counted(stack, run, monkeypatch, aws):
    return Counted(stack, run, monkeypatch, aws)


def answer_of(counted, sql):
    """The rows of a statement, by a job that watches nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DW_WATCHED")
        return answer(counted.run, "other", sql)


def at(hour):
    return start_of(hour).replace(tzinfo=None) + timedelta(hours=1, minutes=20)


def test_a_job_runs_again_for_the_instant_that_it_ran_for_when_rows_came_late(counted):
    counted.deliver("first")
    counted.deliver("newest", hour=NEWEST)
    assert counted.job(PAST) == {PAST: 1}
    counted.began(minutes_ago=-10)
    assert counted.job() == {NEWEST: 1}  # nothing came since
    counted.deliver("late", rows=3)
    counted.began(minutes_ago=10)
    assert counted.job() == {PAST: 1, NEWEST: 1}
    assert counted.counts() == {PAST: (4, at(PAST)), NEWEST: (1, at(NEWEST))}
    assert counted.published() == 1
    counted.began(minutes_ago=-10)
    assert counted.job() == {NEWEST: 1} and counted.published() == 1


def test_without_a_rerun_the_hours_are_published_until_somebody_runs_them(counted, monkeypatch):
    monkeypatch.delenv("DW_RERUN")
    counted.deliver("first")
    counted.job(PAST)
    counted.began(minutes_ago=10)
    for times in (1, 2):
        assert counted.job() == {NEWEST: 1} and counted.published() == times
    counted.job(PAST)
    counted.began(minutes_ago=-10)
    assert counted.job() == {NEWEST: 1} and counted.published() == 2


def test_hours_for_which_the_job_never_ran_or_that_are_too_old_are_not_late(counted, monkeypatch):
    [old] = hours(-60, -60)
    for hour in (PAST, old):
        counted.deliver("first", hour=hour)
    counted.job(old)
    counted.began(minutes_ago=10, hour=old)
    assert counted.job() == {NEWEST: 1}
    monkeypatch.setenv("DW_LOOK_BACK_HOURS", "100")
    monkeypatch.setenv("DW_RETENTION_DAYS", "2")
    assert counted.job() == {NEWEST: 1}
    monkeypatch.delenv("DW_RETENTION_DAYS")
    assert counted.job() == {old: 1, NEWEST: 1}


def test_three_hours_are_run_again_at_once_the_oldest_first_and_the_others_by_the_next_run(counted):
    places = hours(-6, -2)
    for hour in places:
        counted.deliver("first", hour=hour)
        counted.job(hour)
        counted.began(minutes_ago=-10, hour=hour)
    for hour in places:
        counted.began(minutes_ago=10, hour=hour)
    assert sorted(counted.job()) == [*places[:3], NEWEST]
    for hour in places[:3]:
        counted.began(minutes_ago=-10, hour=hour)
    assert sorted(counted.job()) == [*places[3:], NEWEST]
    assert counted.published() == 5 + 2


def test_a_rerun_is_not_begun_without_the_time_for_it(counted):
    counted.deliver("first")
    counted.job(PAST)
    counted.began(minutes_ago=10)
    assert counted.job(remaining_ms=19_000) == {NEWEST: 1} and counted.published() == 1


def test_a_rerun_that_fails_keeps_no_other_hour_from_its_turn(counted):
    first, second = hours(-6, -5)
    for hour in (first, second):
        counted.deliver("first", hour=hour)
        counted.job(hour)
    for hour in (first, second):
        counted.began(minutes_ago=10, hour=hour)

    def failing(job):
        if job.partition == first:
            job.query("select 1 / 0")
        return [{"clicks": 100, "at": job.time}]

    with pytest.raises(QueryFailed):
        counted.job(job=failing)
    assert {hour: clicks for hour, (clicks, _) in counted.counts().items()} == {first: 1, second: 100, NEWEST: 100}


def test_hours_are_run_again_although_their_metric_is_refused(counted):
    counted.deliver("first")
    counted.job(PAST)
    counted.deliver("late")
    counted.began(minutes_ago=10)

    def refuse(**_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutMetricData")

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("before-call.cloudwatch.PutMetricData", refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        counted.job()
    boto3.setup_default_session()
    assert counted.counts()[PAST] == (2, at(PAST))


def test_runs_of_an_older_release_have_an_empty_mark_and_began_when_they_were_named(counted):
    counted.deliver("first")
    counted.job(PAST)
    [key] = [key for key in counted.stack.keys(counted.stack.data, "counts/") if key.endswith(COMPLETE)]
    home, name = key.rsplit("/", 2)[0], "20200101T000000.000000Z-00000000"
    counted.stack.s3.delete_object(Bucket=counted.stack.data, Key=key)
    counted.stack.s3.put_object(Bucket=counted.stack.data, Key=f"{home}/{name}/{COMPLETE}", Body=b"")
    assert counted.job() == {PAST: 1, NEWEST: 1}
    assert counted.counts()[PAST] == (1, at(PAST))


def test_of_a_compacted_hour_only_what_came_late_and_can_be_seen_counts(counted, monkeypatch):
    for name, value in {"DW_SETTLED_MINUTES": "20", "DW_RESULTS": f"s3://{counted.stack.results}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DW_WORKGROUP", "batch")

    def compacted():
        monkeypatch.setenv("DW_TABLE", "clicks")
        return compact.handler({"time": "2026-11-23T07:25:00Z"}, Lambda(600_000))

    for name in ("first", "second"):
        counted.deliver(name)
    counted.job(PAST)
    counted.began(minutes_ago=10)
    assert compacted()["compacted"] == 1
    assert counted.job() == {NEWEST: 1}  # files that were written since, with the rows that were there before
    counted.deliver("late")
    assert counted.job() == {NEWEST: 1}  # nobody sees it yet
    assert compacted()["late_objects"] == 1
    assert counted.job() == {PAST: 1, NEWEST: 1} and counted.counts()[PAST] == (3, at(PAST))
    folder = counted.stack.partitions("clicks")[PAST]["Location"].removeprefix(f"s3://{counted.stack.data}/")
    counted.began(minutes_ago=-10)
    assert counted.job() == {NEWEST: 1}
    # A copy that was made, and the run that made it was killed.
    source = {"Bucket": counted.stack.data, "Key": f"clicks/{PAST}/late"}
    counted.stack.s3.copy_object(Bucket=counted.stack.data, Key=f"{folder}later", CopySource=source)
    mark = f"{folder}{COMPLETE}"
    body = counted.stack.s3.get_object(Bucket=counted.stack.data, Key=mark)["Body"].read()
    never_late = json.dumps({**json.loads(body), "late": None}).encode()
    counted.stack.s3.put_object(Bucket=counted.stack.data, Key=mark, Body=never_late)
    counted.began(minutes_ago=10)
    assert counted.job() == {PAST: 1, NEWEST: 1} and counted.counts()[PAST] == (4, at(PAST))


# -- what is deployed


def declared(**arguments):
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", CLICKS)
        .with_table("facts", CLICKS)
        .with_batch_input_table(
            "counts",
            COUNTS,
            **{
                "schedule_expression": "rate(1 hour)",
                "sql": "select cast(count(*) as int) as clicks, :time as at from clicks where inserted_at = :partition",
                "reads": ["clicks", "facts"],
                "partition_keys": {"inserted_at": "string"},
                **arguments,
            },
        )
    )


def deployed(warehouse, **arguments):
    graph = deploy(lambda: ServerlessDataWarehouse("shop", {"warehouse": warehouse, **arguments}) and None)
    [function] = [node for node in graph.all("Function") if "counts" in node.name]
    variables = function.inputs["environment"]["variables"]
    return graph, {name: variables.get(f"DW_{name}") for name in ("WATCHED", "LOOK_BACK_HOURS", "RERUN")}


@pytest.mark.parametrize(("retention", "hours"), [(24, "48"), (96, "120"), (8760, "168")])
def test_the_job_looks_back_as_far_as_records_can_come_late_for_a_week_at_most(retention, hours):
    _, found = deployed(declared(rerun_when_late=True), stream_retention_hours=retention)
    assert found == {"WATCHED": "clicks", "LOOK_BACK_HOURS": hours, "RERUN": "yes"}


def test_of_a_job_that_runs_again_nobody_is_told_that_it_may_run_too_early(caplog):
    for arguments, told in (({}, True), ({"rerun_when_late": True}, False)):
        caplog.clear()
        deployed(declared(**arguments))
        assert ("can come before the hour's last events" in caplog.text) == told


def test_late_hours_are_watched_also_without_reruns():
    graph, found = deployed(declared())
    assert found == {"WATCHED": "clicks", "LOOK_BACK_HOURS": "48", "RERUN": None}
    alarm = graph.one("MetricAlarm", "shop-counts-job-late-hours").inputs
    database = graph.one("CatalogDatabase", "shop-database").inputs["name"]
    assert (alarm["namespace"], alarm["metricName"], alarm["threshold"]) == ("DataWarehouse", "LateHours", 0)
    assert alarm["dimensions"] == {"Database": database, "Table": "counts"} and alarm["period"] == 3600


@pytest.mark.parametrize(
    "arguments", [{"reads": []}, {"reads": ["facts"]}, {"partition_keys": None}, {"schedule_expression": "rate(1 day)"}]
)
def test_nothing_is_watched_where_it_is_not_known_which_hours_a_run_is_about(arguments):
    if arguments == {"reads": ["facts"]}:
        arguments["sql"] = "select cast(count(*) as int) as clicks, :time as at from facts"
    graph, found = deployed(declared(**arguments))
    assert set(found.values()) == {None}
    assert not [node for node in graph.all("MetricAlarm") if node.name.endswith("late-hours")]
    policies = [node.inputs["policy"] for node in graph.all("RolePolicy")]
    assert not any("cloudwatch:PutMetricData" in policy for policy in policies)


def test_the_embedded_host_takes_the_same_declaration(tmp_path):
    with simulate(declared(rerun_when_late=True), tmp_path / "data", start=start_of(HOUR)) as warehouse:
        warehouse.put("clicks", [{"id": "a"}])
        warehouse.advance(timedelta(hours=2))
        assert list(warehouse.query(f"select clicks from counts where inserted_at = '{HOUR}'")) == [(1,)]
