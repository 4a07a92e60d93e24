"""Compaction on AWS: the function against the emulator's Glue and S3 and the small Athena, and what is deployed."""

import io
import os
import signal
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from functions_stack import HOUR, TICK, Lambda, answer, hours
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.definition.partition import start_of
from datawarehouse.errors import DeclarationError, QueryFailed
from datawarehouse.functions import compact, register_partitions
from datawarehouse.functions.tables import point_to, read_table, register
from datawarehouse.testing import simulate
from patience import patient

CLICKS = {"id": "string", "n": "int"}
AT_ONCE = timedelta(seconds=-60)
"""As a grace that has passed already: clocks of this machine and of the emulator are the same."""


@pytest.fixture
def clicks(aws, stack, monkeypatch, run):
    stack.table("other", {"n": "int"}, key=None)
    for name, value in {
        "DW_WORKGROUP": "batch",
        "DW_RESULTS": f"s3://{stack.results}",
        "DW_SETTLED_MINUTES": "20",
        "DW_LOOK_BACK_HOURS": "48",
    }.items():
        monkeypatch.setenv(name, value)
    return Clicks(aws, stack, monkeypatch, run, "clicks")


class Clicks:
    """A table, what Firehose delivers into it, and what queries see of it."""

    def __init__(self, aws, stack, monkeypatch, run, table):
        self.aws, self.stack, self.monkeypatch, self.run, self.table = aws, stack, monkeypatch, run, table
        self.expected = []
        stack.table(table, CLICKS, "parquet")

    def of_table(self, table):
        """The same with another table."""
        return Clicks(self.aws, self.stack, pytest.MonkeyPatch(), self.run, table)

    def deliver(self, name, rows, hour=HOUR):
        """An object as Firehose writes it: (id, n) of each row."""
        out = io.BytesIO()
        ids, numbers = zip(*rows, strict=True)
        pq.write_table(pa.table({"id": pa.array(ids, pa.string()), "n": pa.array(numbers, pa.int32())}), out)
        key = f"{self.table}/{hour}/{name}.parquet"
        self.stack.s3.put_object(Bucket=self.stack.data, Key=key, Body=out.getvalue())
        self.expected += [(id, n, hour) for id, n in rows]

    def fill(self, hour=HOUR, objects=3):
        table = read_table(self.stack.glue, self.stack.name, self.table)
        register(self.stack.glue, table, [hour])
        for number in range(objects):
            self.deliver(f"clicks-1-{number}", [(f"u{n}", n + number) for n in range(5)], hour)

    def compact(self, time=TICK, left_ms=600_000, **event):
        self.monkeypatch.setenv("DW_TABLE", self.table)
        return compact.handler({"time": time, **event}, Lambda(left_ms))

    def all_rows(self):
        return sorted(self.expected, key=lambda row: (row[2], row[0], row[1]))

    def rows(self):
        return answer(self.run, "other", f"select id, n, inserted_at from {self.table} order by inserted_at, id, n")

    def seen_rows(self):
        """As `rows`, by clients that no hook of a test sees."""
        athena = self.aws.client("athena")
        id = athena.start_query_execution(
            QueryString=f"select id, n, inserted_at from {self.table} order by inserted_at, id, n",
            QueryExecutionContext={"Database": self.stack.name},
            ResultConfiguration={"OutputLocation": f"s3://{self.stack.results}/by-test/"},
        )["QueryExecutionId"]
        deadline = time.monotonic() + patient(20)
        while athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]["State"] != "SUCCEEDED":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        rows = athena.get_query_results(QueryExecutionId=id)["ResultSet"]["Rows"][1:]
        texts = [[datum["VarCharValue"] for datum in row["Data"]] for row in rows]
        return [(id, int(n), hour) for id, n, hour in texts]

    def folder(self, hour=HOUR):
        """Where the hour's partition points to, below the table."""
        location = self.stack.partitions(self.table)[hour]["Location"]
        return location.removeprefix(f"s3://{self.stack.data}/{self.table}/")

    def seen(self, hour=HOUR):
        """The names of the objects that queries of the hour read."""
        folder = f"{self.table}/{self.folder(hour)}"
        return [key.removeprefix(folder) for key in self.stack.objects(self.stack.data, folder)]

    def raw(self, hour=HOUR):
        return [key.rpartition("/")[2] for key in self.stack.keys(self.stack.data, f"{self.table}/{hour}/")]

    def is_tidy(self):
        """Whether there is nothing but one folder with one file and its mark for each hour."""
        keys = self.stack.keys(self.stack.data, f"{self.table}/")
        folders = {key.rpartition("/")[0] for key in keys}
        pointed = {f"{self.table}/{self.folder(hour)}".rstrip("/") for _, _, hour in self.expected}
        return folders == pointed and len(keys) == 2 * len(folders)

    def let_grace_pass(self):
        self.monkeypatch.setattr(compact, "GRACE", AT_ONCE)


def test_an_hour_becomes_few_files_with_equal_rows(clicks, calls):
    clicks.fill()
    before = clicks.rows()
    calls.clear()
    assert clicks.compact() == {"compacted": 1, "late_objects": 0, "left": 0}
    assert not {call for call in calls if call[1] in ("GetObject", "GetQueryResults", "CopyObject", "DeleteObjects")}
    assert clicks.folder().startswith(f"compacted/{HOUR}/") and len(clicks.seen()) == 1
    assert clicks.rows() == before == clicks.all_rows()
    assert clicks.compact() == {"compacted": 0, "late_objects": 0, "left": 0}
    assert len(clicks.raw()) == 3  # queries may still read them
    clicks.let_grace_pass()
    clicks.compact()
    assert clicks.raw() == [] and clicks.rows() == before
    assert clicks.compact() == {"compacted": 0, "late_objects": 0, "left": 0}


def test_an_hour_is_left_alone_until_it_can_no_longer_change(clicks):
    clicks.fill()
    assert clicks.compact("2026-11-23T07:19:59Z") == {"compacted": 0, "late_objects": 0, "left": 0}
    assert clicks.compact("2026-11-23T07:20:00Z")["compacted"] == 1


def test_an_object_that_comes_late_is_added_by_the_next_run(aws, clicks):
    clicks.fill()
    clicks.compact()
    folder = clicks.folder()
    clicks.deliver("late", [("late", 1)])
    assert ("late", 1, HOUR) not in clicks.rows()
    assert clicks.compact("2026-11-23T08:20:00Z") == {"compacted": 1, "late_objects": 1, "left": 0}
    assert clicks.rows() == clicks.all_rows()
    assert clicks.folder() > folder and len(clicks.seen()) == 1
    assert clicks.compact("2026-11-23T09:20:00Z") == {"compacted": 0, "late_objects": 0, "left": 0}
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace="DataWarehouse", MetricName="LateObjects", Statistics=["Sum"], Period=60,
        Dimensions=[{"Name": "Database", "Value": clicks.stack.name}, {"Name": "Table", "Value": "clicks"}],
        StartTime=datetime.now(UTC) - timedelta(hours=1), EndTime=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    assert [point["Sum"] for point in found["Datapoints"]] == [1.0]


def test_a_late_object_is_added_also_after_the_first_ones_are_deleted(clicks):
    clicks.fill()
    clicks.compact()
    with clicks.monkeypatch.context() as patch:
        patch.setattr(compact, "GRACE", AT_ONCE)
        clicks.compact()
    for name in ("late", "later"):
        clicks.deliver(name, [(name, 1)])
        assert clicks.compact()["late_objects"] == 1
    assert clicks.rows() == clicks.all_rows()
    # What the hour was made of before stays for the queries that may read it.
    folders = {key.split("/")[6] for key in clicks.stack.keys(clicks.stack.data, f"clicks/compacted/{HOUR}/")}
    assert len(folders) == 3 and len(clicks.raw()) == 2
    clicks.let_grace_pass()
    clicks.compact()
    left = clicks.stack.keys(clicks.stack.data, "clicks/")
    assert sorted(key.rpartition("/")[2] == "_complete" for key in left) == [False, True]
    assert clicks.rows() == clicks.all_rows()


def test_rows_are_sorted_and_of_those_with_one_key_one_stays(clicks):
    clicks.fill(objects=0)
    clicks.deliver("a", [("b", 2), ("a", 1), (None, 9)])
    clicks.deliver("b", [("b", 2), ("c", 3), (None, 8)])
    clicks.monkeypatch.setenv("DW_SORT_BY", "n")
    clicks.monkeypatch.setenv("DW_DEDUPE_KEY", "id")
    assert clicks.compact()["compacted"] == 1
    [data] = clicks.stack.objects(clicks.stack.data, f"clicks/{clicks.folder()}").values()
    found = pq.read_table(io.BytesIO(data))
    assert found.column_names == ["id", "n"] and found["n"].to_pylist() == [1, 2, 3, 8, 9]
    clicks.deliver("late", [("a", 1), ("d", 4)])
    assert clicks.compact()["late_objects"] == 1
    assert [row[:2] for row in clicks.rows()] == [("a", 1), ("b", 2), ("c", 3), ("d", 4), (None, 8), (None, 9)]


def test_an_hour_of_one_object_is_rewritten_only_if_rows_are_sorted_or_deduplicated(clicks):
    clicks.fill(objects=1)
    assert clicks.compact() == {"compacted": 0, "late_objects": 0, "left": 0} and clicks.folder() == f"{HOUR}/"
    clicks.monkeypatch.setenv("DW_SORT_BY", "n,id")
    assert clicks.compact()["compacted"] == 1


def test_what_comes_while_an_hour_is_compacted_is_in_it_once(clicks, at_call):
    """The list of objects and the query see different objects: the folder is given up."""
    clicks.fill()
    for number, moment in enumerate((("athena", "StartQueryExecution"), ("athena", "GetQueryExecution"))):
        at_call(moment, lambda number=number: clicks.deliver(f"just-now-{number}", [("new", number)]))
        assert clicks.compact() == {"compacted": 0, "late_objects": 0, "left": 0}
        assert not clicks.stack.keys(clicks.stack.data, "clicks/compacted/") and clicks.folder() == f"{HOUR}/"
        assert clicks.rows() == clicks.all_rows()
    assert clicks.compact()["compacted"] == 1
    assert clicks.rows() == clicks.all_rows()


def test_an_hour_that_cannot_be_read_keeps_no_other_from_its_turn(clicks):
    first, second = hours(-3, -2)
    clicks.fill(first)
    clicks.fill(second)
    clicks.stack.s3.put_object(Bucket=clicks.stack.data, Key=f"clicks/{second}/broken.parquet", Body=b"PAR1")
    with pytest.raises(QueryFailed):
        clicks.compact()
    assert clicks.folder(first).startswith("compacted/") and clicks.folder(second) == f"{second}/"


def test_late_objects_are_added_although_their_metric_is_refused(clicks, at_call):
    clicks.fill()
    clicks.compact()
    clicks.deliver("late", [("late", 1)])

    def refuse():
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutMetricData")

    at_call(("cloudwatch", "PutMetricData"), refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        clicks.compact()
    assert clicks.rows() == clicks.all_rows()


def test_no_hour_is_begun_without_the_time_for_it_and_the_next_run_goes_on(clicks):
    places = hours(-6, -2)
    for hour in places:
        clicks.fill(hour, objects=2)
    assert clicks.compact(left_ms=299_000) == {"compacted": 0, "late_objects": 0, "left": 5}
    assert clicks.compact() == {"compacted": 5, "late_objects": 0, "left": 0}


def test_hours_from_before_are_compacted_when_one_asks(clicks):
    [old] = hours(-500, -500)
    clicks.fill(old)
    assert clicks.compact()["compacted"] == 0
    assert clicks.compact(**{"from": hours(-450, -450)[0]})["compacted"] == 0
    assert clicks.compact(**{"from": hours(-600, -600)[0]})["compacted"] == 0  # a call is about 100 hours
    assert clicks.compact(**{"from": hours(-599, -599)[0]})["compacted"] == 1
    clicks.monkeypatch.setenv("DW_RETENTION_DAYS", "1")
    clicks.deliver("late", [("late", 1)], old)
    assert clicks.compact(**{"from": old})["late_objects"] == 0  # the hour has expired


def test_what_is_not_of_this_function_stays(clicks):
    clicks.fill()
    elsewhere = f"s3://{clicks.stack.data}/elsewhere/"
    point_to(clicks.stack.glue, read_table(clicks.stack.glue, clicks.stack.name, "clicks"), HOUR, elsewhere)
    clicks.stack.s3.put_object(Bucket=clicks.stack.data, Key=f"clicks/{HOUR}/_hidden", Body=b"x")
    clicks.stack.s3.put_object(Bucket=clicks.stack.data, Key=f"clicks/{HOUR[:10]}/stray", Body=b"x")
    assert clicks.compact() == {"compacted": 0, "late_objects": 0, "left": 0}
    assert clicks.stack.partitions("clicks")[HOUR]["Location"] == elsewhere and len(clicks.raw()) == 4
    [unregistered] = hours(-4, -4)
    clicks.deliver("a", [("a", 1)], unregistered)
    clicks.deliver("b", [("b", 1)], unregistered)
    assert clicks.compact()["compacted"] == 0


# -- whatever happens meanwhile


@pytest.fixture
def at_call(clicks):
    """Calls a function once, before a client of the function under test sends an operation."""

    def arrange(operation, action):
        boto3.setup_default_session()
        waiting = [action]

        def before(event_name, **_):
            if tuple(event_name.split(".")[1:]) == operation and waiting:
                waiting.pop()()

        boto3.DEFAULT_SESSION.events.register("before-call", before)

    yield arrange
    boto3.setup_default_session()


def everything_at_once(clicks):
    """An hour that is to be compacted, and one that was, that got a late object, and whose first ones can be
    deleted; returns the rows that queries see before the next run."""
    clicks.fill(OLD, objects=2)
    clicks.compact((start_of(OLD) + timedelta(hours=1, minutes=20)).isoformat())
    clicks.fill(HOUR, objects=2)
    seen = clicks.all_rows()
    clicks.deliver("late", [("late", 7)], OLD)
    return seen


[OLD] = hours(-30, -30)


def moments_of(clicks, wanted):
    """So many of the moments before and after the calls of a run, by their numbers, evenly."""
    everything_at_once(clicks)
    calls = []
    with each_call(lambda: calls.append(1)):
        clicks.compact()
    return [1 + number * (len(calls) - 1) // (wanted - 1) for number in range(wanted)]


@contextmanager
def each_call(action):
    """Does something before and after each call of the function under test.

    The calls that ask whether Athena is ready, one after the other, count once: there are as many as Athena needs time.
    """
    boto3.setup_default_session()
    calls = [""]

    def each(event_name, **_):
        moment, _, call = event_name.partition(".")
        if moment == "before-call":
            calls.append(call)
        if not (call.endswith(".GetQueryExecution") and calls[-2] == call):
            action()

    for event in ("before-call", "after-call"):
        boto3.DEFAULT_SESSION.events.register(event, each)
    try:
        yield
    finally:
        boto3.setup_default_session()


def test_rows_are_equal_at_every_moment_of_a_run(clicks):
    before, after = everything_at_once(clicks), clicks.all_rows()
    clicks.let_grace_pass()
    moments = []
    with each_call(lambda: moments.append(clicks.seen_rows())):
        clicks.compact()
    added = moments.index(after)
    assert added > 5 and moments == [before] * added + [after] * (len(moments) - added)
    assert clicks.seen_rows() == after


def test_another_run_at_any_moment_of_a_run_changes_no_row(clicks):
    wanted = int(os.environ.get("DW_TEST_MOMENTS", "4"))
    for moment in moments_of(clicks, wanted):
        each = clicks.of_table(f"clicks_{moment}")
        everything_at_once(each)
        passed = []

        def other(each=each, passed=passed, moment=moment):
            passed.append(1)
            if len(passed) == moment:
                each.compact()

        with each_call(other):
            each.compact()
        assert each.seen_rows() == each.all_rows(), f"the other run came at moment {moment}"
        each.let_grace_pass()
        each.compact()
        each.compact()
        assert each.is_tidy() and each.seen_rows() == each.all_rows(), f"the other run came at moment {moment}"
        each.monkeypatch.undo()


def test_a_run_that_is_killed_at_any_moment_changes_no_row_and_the_next_one_goes_on(clicks):
    wanted = int(os.environ.get("DW_TEST_KILLS", "6"))
    for moment in moments_of(clicks, wanted):
        each = clicks.of_table(f"clicks_{moment}")
        before = everything_at_once(each)
        assert killed(each.compact, moment)
        assert each.seen_rows() in (before, each.all_rows()), f"killed at moment {moment}"
        each.compact()
        assert each.seen_rows() == each.all_rows(), f"killed at moment {moment}"
        each.let_grace_pass()
        each.compact()
        assert each.is_tidy() and each.seen_rows() == each.all_rows(), f"killed at moment {moment}"
        each.monkeypatch.undo()


def killed(run, moment):
    """Whether a process that does a run was killed at a moment; it ends by itself if it has no such moment."""
    process = os.fork()
    if not process:
        passed = []

        def die():
            passed.append(1)
            if len(passed) == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with each_call(die):
                run()
        finally:
            os._exit(0)
    deadline = time.monotonic() + patient(60)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            pytest.fail(f"the run did not end in time at moment {moment}")
        time.sleep(0.005)


# -- the registrar


def test_the_registrar_leaves_compacted_hours_where_they_are_and_finds_them_when_the_catalog_lost_them(
    clicks, monkeypatch
):
    clicks.fill()
    clicks.compact()
    clicks.let_grace_pass()
    clicks.compact()
    place = clicks.folder()
    monkeypatch.setenv("DW_TABLES", "clicks")
    monkeypatch.setenv("DW_COMPACTED", "clicks")
    register_partitions.handler({"time": TICK, "from": HOUR}, None)
    assert clicks.folder() == place
    clicks.stack.glue.delete_partition(DatabaseName=clicks.stack.name, TableName="clicks", PartitionValues=[HOUR])
    assert clicks.rows() == []
    register_partitions.handler({"time": TICK, "from": HOUR}, None)
    assert clicks.folder() == place and clicks.folder(hours(0, 0)[0]) == f"{hours(0, 0)[0]}/"
    assert clicks.rows() == clicks.all_rows()


# -- what is deployed


def declared(**arguments):
    return Warehouse("shop").with_streaming_input_table("clicks", CLICKS, compaction="hourly", **arguments)


def deployed(warehouse=None, **arguments):
    return deploy(lambda: ServerlessDataWarehouse("shop", {"warehouse": warehouse or declared(), **arguments}) and None)


def test_the_function_runs_when_the_hour_is_delivered_and_looks_back_as_far_as_records_can_come_late():
    graph = deployed(declared(file_flush_interval_seconds=300), stream_retention_hours=48)
    [function] = [node for node in graph.all("Function") if "compaction" in node.name]
    variables = function.inputs["environment"]["variables"]
    assert function.inputs["handler"] == "datawarehouse.functions.compact.handler"
    assert (variables["DW_SETTLED_MINUTES"], variables["DW_LOOK_BACK_HOURS"]) == ("15", "72")
    assert not {"DW_SORT_BY", "DW_DEDUPE_KEY", "DW_RETENTION_DAYS"} & variables.keys()
    rule = graph.one("EventRule", "shop-clicks-compaction-cron-rule")
    assert rule.inputs["scheduleExpression"] == "cron(15 * * * ? *)"
    [registrar] = [node for node in graph.all("Function") if "partitions" in node.name]
    assert registrar.inputs["environment"]["variables"]["DW_COMPACTED"] == "clicks"


def test_the_rules_of_the_declaration_reach_the_function():
    graph = deployed(declared(sort_by=["n", "id"], dedupe_key="id", retention_days=9))
    [function] = [node for node in graph.all("Function") if "compaction" in node.name]
    variables = function.inputs["environment"]["variables"]
    assert [variables[f"DW_{name}"] for name in ("SORT_BY", "DEDUPE_KEY", "RETENTION_DAYS")] == ["n,id", "id", "9"]


def test_late_objects_and_a_function_that_does_not_run_raise_alarms():
    graph = deployed()
    alarm = graph.one("MetricAlarm", "shop-clicks-compaction-late-objects").inputs
    database = graph.one("CatalogDatabase", "shop-database").inputs["name"]
    assert (alarm["namespace"], alarm["metricName"], alarm["threshold"]) == ("DataWarehouse", "LateObjects", 0)
    assert alarm["dimensions"] == {"Database": database, "Table": "clicks"}
    assert graph.one("MetricAlarm", "shop-clicks-compaction-cron-idle").inputs["evaluationPeriods"] == 3


def test_a_table_that_is_not_compacted_gets_nothing_of_it():
    graph = deployed(Warehouse("shop").with_streaming_input_table("clicks", CLICKS, dedupe_key="id"))
    assert not [node for node in graph if "compaction" in node.name]
    [registrar] = [node for node in graph.all("Function") if "partitions" in node.name]
    assert "DW_COMPACTED" not in registrar.inputs["environment"]["variables"]


def test_compaction_of_projected_hours_is_refused_before_anything_is_created():
    def program():
        with pytest.raises(DeclarationError, match="Table 'clicks': compaction is 'hourly', but with partition_proj"):
            ServerlessDataWarehouse("shop", {"warehouse": declared(), "partition_projection_start": "2026/11/01/00"})

    assert not deploy(program).custom


def test_the_embedded_host_takes_the_same_declaration(tmp_path):
    with simulate(declared(sort_by=["n"]), tmp_path / "data", start=start_of(HOUR)) as warehouse:
        warehouse.put("clicks", [{"id": "b", "n": 2}, {"id": "a", "n": 1}])
        warehouse.advance(timedelta(hours=3))
        assert list(warehouse.query("select id from clicks order by n")) == [("a",), ("b",)]
