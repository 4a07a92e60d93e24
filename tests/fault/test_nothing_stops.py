"""SQLite, or a file, says no once: what was under way is done again, nothing waits for ever, and closing ends."""

import os
import sqlite3
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from running import running, until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.clock import WallClock
from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.errors import DataWarehouseError, QueryLimitExceeded
from datawarehouse.jobs.due import MISSED_COUNTED_MAX, latest_due
from datawarehouse.jobs.execute import execute_here
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.opening import Means
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import TestClock

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
KEY = {"hour": "string"}


def first(job):
    yield {"hour_of": job.partition}


def second(job):
    yield {"hour_of": job.partition}


DECLARED = (
    Warehouse("shop")
    .with_batch_input_table("first", {"hour_of": "string"}, first, "rate(1 minute)", KEY)
    .with_batch_input_table("second", {"hour_of": "string"}, second, "rate(1 minute)", KEY)
)


def failing_once(owner, name, concerned=lambda *arguments: True):
    """Let the next call of a method, of those that are concerned, raise what SQLite raises on a full disk."""
    method = getattr(owner, name)

    def fails(*arguments, **options):
        if not concerned(*arguments):
            return method(*arguments, **options)
        setattr(owner, name, method)
        raise sqlite3.OperationalError("database or disk is full")

    setattr(owner, name, fails)


@pytest.fixture
def clock():
    return TestClock(NINE)


@pytest.fixture
def opened(tmp_path, clock):
    """A warehouse whose jobs run in this process, each in the thread of its job."""

    def run_here(order, function):
        return execute_here(order, warehouse.query, lambda: function)

    means = Means(execute_job=run_here)
    with OpenWarehouse(DECLARED, tmp_path / "data", resolve({}), clock, means) as warehouse:
        warehouse.start(LocalExecutor)
        yield warehouse


def pass_a_minute(warehouse, clock):
    clock.set_ms(clock.now_ms() + 60_000)
    warehouse.schedule.start_due()
    warehouse.schedule.wait_idle()


def outcomes(warehouse, job):
    return [run.outcome for run in reversed(warehouse.catalog.runs.latest(job))]


def ended_within(seconds, call):
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def test_a_job_goes_on_after_the_look_for_its_next_run_failed(opened, clock):
    pass_a_minute(opened, clock)
    found = opened.catalog.runs.schedule_reached
    calls = []

    def fails_in_its_thread(job):
        calls.append(job)
        if job == "first" and threading.current_thread().name == "job-first":
            opened.catalog.runs.schedule_reached = found
            raise sqlite3.OperationalError("disk I/O error")
        return found(job)

    opened.catalog.runs.schedule_reached = fails_in_its_thread
    pass_a_minute(opened, clock)
    assert calls, "the fault was met"
    pass_a_minute(opened, clock)
    [latest] = opened.catalog.runs.latest("first", 1)
    assert (latest.scheduled_ms, latest.outcome) == (clock.now_ms(), "succeeded")
    assert ended_within(20, opened.close)


def test_a_fault_of_one_job_keeps_no_other_from_being_looked_at(opened, clock):
    found = opened.catalog.runs.schedule_reached

    def fails(job):
        if job == "first":
            raise sqlite3.OperationalError("disk I/O error")
        return found(job)

    opened.catalog.runs.schedule_reached = fails
    pass_a_minute(opened, clock)
    assert (outcomes(opened, "first"), outcomes(opened, "second")) == ([], ["succeeded"])
    opened.catalog.runs.schedule_reached = found
    pass_a_minute(opened, clock)
    assert outcomes(opened, "first") == ["succeeded"]


@pytest.mark.parametrize("also_fails", [False, True], ids=["commit", "commit and its record"])
def test_a_run_whose_commit_failed_is_tried_again(opened, clock, also_fails):
    failing_once(opened.catalog, "commit_run", lambda run, table, *rest: table == "first")
    if also_fails:
        failing_once(opened.catalog.runs, "fail")
    pass_a_minute(opened, clock)
    pass_a_minute(opened, clock)
    found = opened.catalog.runs.latest("first")[::-1]
    assert [(run.outcome, run.cause, run.attempt) for run in found[:1]] == [("failed", "schedule", 1)]
    assert "database or disk is full" in found[0].error
    pass_a_minute(opened, clock)
    again = [run for run in opened.catalog.runs.latest("first") if run.scheduled_ms == found[0].scheduled_ms]
    assert [run.outcome for run in again] == ["succeeded", "failed"], "the same instant, not only the next"
    assert all(run.outcome == "succeeded" for run in opened.catalog.runs.latest("second"))
    files = {str(path.relative_to(opened.folder)) for path in (opened.folder / "first").rglob("*.parquet")}
    assert files <= opened.catalog.paths(), "nothing is left of what was not committed"


def test_a_run_that_somebody_asked_for_is_not_repeated_when_its_failure_is_recorded_late(opened, clock):
    failing_once(opened.catalog, "commit_run", lambda run, table, *rest: table == "first")
    failing_once(opened.catalog.runs, "fail")
    with pytest.raises(DataWarehouseError, match="the catalog could not be written"):
        opened.run("first", datetime(2025, 12, 6, 8, tzinfo=UTC))
    for _ in range(3):
        pass_a_minute(opened, clock)
    [run] = [run for run in opened.catalog.runs.latest("first") if run.partition.startswith("2025")]
    assert (run.outcome, run.cause) == ("failed", "asked for")


def test_a_run_that_could_not_begin_is_tried_again(opened, clock):
    failing_once(opened.catalog, "tables")
    pass_a_minute(opened, clock)
    began = clock.now_ms()
    pass_a_minute(opened, clock)
    pass_a_minute(opened, clock)
    runs = [run for job in ("first", "second") for run in opened.catalog.runs.latest(job) if run.scheduled_ms == began]
    assert sorted(run.outcome for run in runs) == ["failed", "succeeded", "succeeded"]


def test_a_job_whose_thread_cannot_start_keeps_nothing_waiting(opened, clock, monkeypatch):
    start = threading.Thread.start

    def refused(thread):
        if thread.name == "job-first":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    pass_a_minute(opened, clock)
    assert (outcomes(opened, "first"), outcomes(opened, "second")) == ([], ["succeeded"])
    monkeypatch.undo()
    pass_a_minute(opened, clock)
    assert outcomes(opened, "first") == ["succeeded"]
    assert ended_within(20, opened.close)


def test_a_commit_that_was_made_and_reported_as_failed_keeps_its_rows(opened, clock):
    commit = opened.catalog.commit_run

    def late(run, table, *rest):
        commit(run, table, *rest)
        if table == "first":
            opened.catalog.commit_run = commit
            raise sqlite3.OperationalError("disk I/O error")

    opened.catalog.commit_run = late
    pass_a_minute(opened, clock)
    assert outcomes(opened, "first") == ["succeeded"]
    assert list(opened.query("select hour_of from first")) == [("2026/01/05/08",)]


def test_a_transaction_that_sqlite_has_undone_reports_why(opened):
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), opened.catalog.store.transaction():
        opened.catalog.store.execute("rollback")
        raise sqlite3.OperationalError("disk I/O error")


def test_reading_a_journal_while_it_is_trimmed_finds_what_is_left(tmp_path):
    """The file that the first look named is gone when it is read."""
    journal = Journal(tmp_path, "t", TestClock(NINE), LOCAL_DISK, segment_bytes=1)
    ends = []
    for number in range(3):
        journal.append(entry_of([b"%d" % number]))
        ends.append(journal.synced)
    looked = journal.spans

    def trimmed_after_looking(after, bytes_max):
        spans = looked(after, bytes_max)
        journal.spans = looked
        journal.trim(ends[1])
        return spans

    journal.spans = trimmed_after_looking
    assert journal.arrival_after(0) == round(NINE.timestamp() * 1000)
    journal.close()


def hourly(job):
    yield {"hour_of": job.partition}


@pytest.mark.parametrize(("before", "first_hour"), [("cron(20 * * * ? *)", 8), ("rate(1 hour)", 9)])
def test_a_job_that_becomes_run_when_complete_runs_at_the_turn_of_each_hour(tmp_path, before, first_hour):
    def declared(**options):
        return (
            Warehouse("shop")
            .with_streaming_input_table("clicks", {"id": "string"})
            .with_batch_input_table("counts", {"hour_of": "string"}, hourly, **options)
        )

    half_past = NINE + timedelta(minutes=17, seconds=33)
    with simulate(declared(schedule_expression=before, partition_keys=KEY), tmp_path, start=half_past) as warehouse:
        warehouse.advance("2h")
        end = warehouse.now
    complete = declared(
        schedule_expression="rate(1 hour)", partition_keys=KEY, reads=["clicks"], run_when_complete=True
    )
    with simulate(complete, tmp_path, start=end) as warehouse:
        warehouse.advance("3h")
        ran = [run for run in warehouse.runs("counts") if run.cause == "complete"]
        assert {run.scheduled_ms % 3_600_000 for run in ran} == {0}
        hours = sorted(run.partition for run in warehouse.runs("counts"))
        assert hours == [f"2026/01/05/{hour:02d}" for hour in range(first_hour, 14)], "each hour once"


def test_a_failed_run_that_somebody_asked_for_stops_no_job_that_reads_its_table(tmp_path):
    declared = (
        Warehouse("shop")
        .with_batch_input_table("a", {"hour_of": "string"}, first, "rate(1 hour)", KEY)
        .with_batch_input_table(
            "b", {"hour_of": "string"}, second, "rate(1 hour)", KEY, reads=["a"], run_when_complete=True
        )
    )
    with simulate(declared, tmp_path, start=NINE) as warehouse:
        warehouse.advance("2h")
        until = warehouse.complete_until("a")
        warehouse.fail_job("a")
        with pytest.raises(Exception, match="failed"):
            warehouse.run("a", datetime(2019, 1, 1, tzinfo=UTC))
        assert warehouse.complete_until("a") == until
        warehouse.advance("2h")
        assert [run.outcome for run in warehouse.runs("b")].count("succeeded") == 4


def test_missed_instants_of_a_year_are_found_without_walking_through_them():
    year = timedelta(days=365)
    for expression in ("cron(* * * * ? *)", "rate(1 minute)"):
        schedule = parse_schedule(expression)
        calls = []

        def counted(code, calls=calls):
            def trace(frame, event, argument):
                if event == "call" and frame.f_code.co_name == "next_after":
                    calls.append(1)

            return trace

        sys.setprofile(counted(schedule))
        try:
            latest, missed = latest_due(
                schedule, round(NINE.timestamp() * 1000), round((NINE + year).timestamp() * 1000)
            )
        finally:
            sys.setprofile(None)
        assert latest == milliseconds_of(NINE + year)
        assert missed >= MISSED_COUNTED_MAX
        assert len(calls) < 3 * MISSED_COUNTED_MAX


CLICKS = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})


class Waiting:
    """An executor whose orders wait until the test lets them go on."""

    def __init__(self, going_on):
        self.local = LocalExecutor()
        self.going_on = going_on
        self.is_waiting = threading.Event()

    def run(self, order):
        self.is_waiting.set()
        self.going_on.wait(60)
        return self.local.run(order)

    def stop(self):
        """Nothing to stop."""

    def kill(self):
        self.going_on.set()


def test_a_thread_waits_while_another_one_converts_the_only_table(tmp_path):
    settings = resolve({"convert_processes": 2, "convert_interval_ms": 10_000, "batch_bytes_max": 1 << 20})
    warehouse = OpenWarehouse(CLICKS, tmp_path / "data", settings, WallClock())
    going_on, executors = threading.Event(), []
    looks = []
    convert = warehouse.converter.convert

    def counted(*arguments):
        looks.append(threading.current_thread().name)
        return convert(*arguments)

    warehouse.converter.convert = counted
    warehouse.put("clicks", [{"id": "x" * 1000} for _ in range(3000)])
    warehouse.start(lambda: executors.append(Waiting(going_on)) or executors[-1], only_convert=True)
    with warehouse:
        until(lambda: any(executor.is_waiting.is_set() for executor in executors), "one of them converts")
        until(lambda: len(set(looks)) == 2, "the other one has looked")
        for number in range(20):  # what takes a while, and wakes nobody
            warehouse.put("clicks", [{"id": f"{number}"}])
        assert len(looks) < 10
        going_on.set()
        warehouse.flush()
        assert list(warehouse.query("select count(*) from clicks")) == [(3020,)]


SLOW_STATUS = """
import os, pathlib, time
from datawarehouse.runtime import status
status_of = status.status_of
def slow(*arguments):
    while os.environ.get("SLOW") and not pathlib.Path(os.environ["SLOW"]).exists():
        time.sleep(0.01)
    return status_of(*arguments)
status.status_of = slow
"""


def test_events_are_taken_while_the_status_takes_long(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SLOW_STATUS)
    gate = tmp_path / "go on"
    environment = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}", "SLOW": str(gate)}
    with running(tmp_path, environment=environment) as warehouse:
        answers = []
        asking = threading.Thread(target=lambda: answers.append(warehouse.request("GET", "/metrics")))
        asking.start()
        for _ in range(20):
            assert warehouse.events("clicks", b'{"id": "1"}') == (200, {"accepted": 1})
        assert answers == []
        gate.touch()
        asking.join(30)
        assert answers[0][0] == 200


def test_a_query_beside_an_owner_ends_before_the_owner_deletes_its_files(tmp_path):
    with open_warehouse(CLICKS, tmp_path / "data", {"query_time_max_s": 1}):
        settings = resolve({"data": str(tmp_path / "data"), "query_time_max_s": 3600})
        with Reader(tmp_path / "data", settings) as reader, pytest.raises(QueryLimitExceeded, match="than 1 s"):
            reader.engine.query(
                "select count(*) from unnest(sequence(1, 10000)) as a (x) cross join "
                "unnest(sequence(1, 10000)) as b (y) cross join unnest(sequence(1, 100)) as c (z) where x * y % 7 = 3"
            )
