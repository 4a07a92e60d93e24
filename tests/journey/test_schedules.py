"""Jobs run when they are due, by the warehouse's clock; a run that fails is tried again with the same instant."""

import sys
from datetime import UTC, datetime

import pytest
from running import until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.testing import simulate

MODULE = """
from pathlib import Path
from datawarehouse import Warehouse

def note(job):
    home = Path(__file__).parent
    with (home / "ran").open("a") as file:
        file.write(f"{job.time:%H:%M} {job.partition} {job.open_partition}\\n")
    if (home / "broken").exists():
        raise RuntimeError("broken")
    yield {"at": f"{job.time:%H:%M}"}

warehouse = (
    Warehouse("shop")
    .with_batch_input_table("hourly", {"at": "string"}, note, "cron(20 * * * ? *)", partition_keys={"hour": "string"})
)
"""


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = datetime(2026, 11, 23, 7, 10, tzinfo=UTC)

    def now_ms(self):
        return round(self.now.timestamp() * 1000)

    def at(self, hour, minute, second=0, day=23):
        self.now = datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def declared(tmp_path, monkeypatch):
    (tmp_path / "declared_hourly.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "declared_hourly", raising=False)
    from declared_hourly import warehouse

    return warehouse


@pytest.fixture
def opened(declared, tmp_path, clock):
    return lambda: open_warehouse(declared, tmp_path / "data", {}, clock)


@pytest.fixture
def ran(tmp_path):
    """What has run since the last look."""
    seen = 0

    def look(warehouse):
        nonlocal seen
        warehouse.schedule.start_due()
        warehouse.schedule.wait_idle()
        path = tmp_path / "ran"
        lines = path.read_text().splitlines() if path.exists() else []
        new, seen = lines[seen:], len(lines)
        return new

    return look


def test_a_job_runs_once_at_each_instant(opened, clock, ran):
    with opened() as warehouse:
        assert ran(warehouse) == []
        clock.at(7, 19, 59)
        assert ran(warehouse) == []
        clock.at(7, 20)
        assert ran(warehouse) == ["07:20 2026/11/23/06 2026/11/23/07"]
        clock.at(7, 59)
        assert ran(warehouse) == []
        clock.at(8, 20, 1)
        assert ran(warehouse) == ["08:20 2026/11/23/07 2026/11/23/08"]
        assert list(warehouse.query("select at, hour from hourly order by 1")) == [
            ("07:20", "2026/11/23/06"),
            ("08:20", "2026/11/23/07"),
        ]


def test_the_latest_missed_instant_is_run_after_downtime(opened, clock, ran):
    with opened() as warehouse:
        clock.at(7, 20)
        ran(warehouse)
    clock.at(3, 0, day=24)
    with opened() as warehouse:
        assert ran(warehouse) == ["02:20 2026/11/24/01 2026/11/24/02"]
        assert ran(warehouse) == []


def test_a_failed_run_is_tried_again_after_one_and_two_minutes(opened, clock, ran, tmp_path):
    again = "07:20 2026/11/23/06 2026/11/23/07"
    (tmp_path / "broken").touch()
    with opened() as warehouse:
        clock.at(7, 20)
        assert ran(warehouse) == [again]
        clock.at(7, 20, 59)
        assert ran(warehouse) == []
        clock.at(7, 21)
        assert ran(warehouse) == [again]
        clock.at(7, 22, 59)
        assert ran(warehouse) == []
        clock.at(7, 23)
        assert ran(warehouse) == [again]
        clock.at(8, 19)
        assert ran(warehouse) == [], "two retries are the last"
        assert [(run.attempt, run.cause, run.outcome) for run in warehouse.catalog.runs.latest()] == [
            (3, "retry", "failed"),
            (2, "retry", "failed"),
            (1, "schedule", "failed"),
        ]
        (tmp_path / "broken").unlink()
        clock.at(8, 20)
        assert ran(warehouse) == ["08:20 2026/11/23/07 2026/11/23/08"]


def test_a_clock_that_goes_back_repeats_nothing(opened, clock, ran):
    with opened() as warehouse:
        clock.at(8, 20)
        assert ran(warehouse) == ["08:20 2026/11/23/07 2026/11/23/08"]
        clock.at(7, 0)
        assert ran(warehouse) == []
        clock.at(8, 20)
        assert ran(warehouse) == []


def minute(job):
    yield {"at": f"{job.time:%H:%M}"}


@pytest.mark.parametrize(
    ("missed_runs", "made_up"),
    [("latest", ["11:20"]), ("all", ["09:20", "10:20", "11:20"]), ("skip", [])],
)
def test_what_becomes_of_instants_that_passed_while_nothing_was_open(tmp_path, missed_runs, made_up):
    declared = Warehouse("shop").with_batch_input_table(
        "hourly", {"at": "string"}, minute, "cron(20 * * * ? *)", {"hour": "string"}, missed_runs=missed_runs
    )

    def scheduled(warehouse):
        return [f"{datetime.fromtimestamp(run.scheduled_ms / 1000, UTC):%H:%M}" for run in warehouse.runs()]

    with simulate(declared, tmp_path / "data", start=datetime(2026, 1, 5, 8, tzinfo=UTC)) as warehouse:
        warehouse.advance("21m")
        assert scheduled(warehouse) == ["08:20"]
    with simulate(declared, tmp_path / "data", start=datetime(2026, 1, 5, 12, tzinfo=UTC)) as warehouse:
        warehouse.advance("19m")
        assert scheduled(warehouse) == ["08:20", *made_up]
        warehouse.advance("1m")
        assert scheduled(warehouse) == ["08:20", *made_up, "12:20"]
        assert {run.outcome for run in warehouse.runs()} == {"succeeded"}


WAITING = """
import time
from pathlib import Path
from datawarehouse import Warehouse

def waits(job):
    (Path(__file__).parent / "begun").touch()
    while (Path(__file__).parent / "blocked").exists():
        time.sleep(0.05)

warehouse = Warehouse("shop").with_batch_input_table(
    "hourly", {"at": "string"}, waits, "cron(20 * * * ? *)", {"hour": "string"}, missed_runs="all"
)
"""


def test_a_run_that_a_closing_warehouse_cut_off_is_repeated_at_the_next_start_alone(tmp_path, monkeypatch, clock):
    (tmp_path / "declared_waiting.py").write_text(WAITING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "declared_waiting", raising=False)
    from declared_waiting import warehouse as declared

    (tmp_path / "blocked").touch()
    with open_warehouse(declared, tmp_path / "data", {}, clock) as warehouse:
        clock.at(12, 0)  # five instants are due, one after the other
        warehouse.schedule.start_due()
        until((tmp_path / "begun").exists, "the first run began")
        warehouse.begin_closing()
        warehouse.schedule.wait_idle()
        warehouse.schedule.start_due()
        warehouse.schedule.wait_idle()
        assert [(run.outcome, run.error) for run in warehouse.catalog.runs.latest()] == [
            ("interrupted", "The run was ended because the warehouse was closed.")
        ]
    (tmp_path / "blocked").unlink()
    with open_warehouse(declared, tmp_path / "data", {}, clock) as warehouse:
        warehouse.schedule.start_due()
        warehouse.schedule.wait_idle()
        runs = [
            (datetime.fromtimestamp(run.scheduled_ms / 1000, UTC).hour, run.attempt, run.cause, run.outcome)
            for run in reversed(warehouse.catalog.runs.latest())
        ]
    first = [(7, 1, "schedule", "interrupted"), (7, 1, "retry", "succeeded")]
    assert runs == first + [(hour, 1, "schedule", "succeeded") for hour in (8, 9, 10, 11)]
