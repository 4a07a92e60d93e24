"""run_when_complete: one run for each hour, as soon as what it reads can no longer change for it, and not before."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from running import running, until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import TestClock

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)


def counts(job):
    for table in ("clicks", "views"):
        [(count,)] = job.query(f"select count(*) from {table} where inserted_at = ?", [job.partition])
        yield {"of": table, "count": count}


def report(job):
    [(total,)] = job.query("select sum(count) from counts where hour = ?", [job.partition])
    yield {"total": total}


def twenty(job):
    yield {"total": job.time.hour}


KEY = {"hour": "string"}
DECLARED = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_streaming_input_table("views", {"id": "string"})
    .with_table("facts", {"id": "string"})
    .with_batch_input_table(
        "counts", {"of": "string", "count": "int"}, counts, "rate(1 hour)", KEY,
        reads=["clicks", "views"], run_when_complete=True,
    )
    .with_batch_input_table(
        "report", {"total": "int"}, report, "rate(1 hour)", KEY, reads=["counts"], run_when_complete=True
    )
    .with_batch_input_table("twenty", {"total": "int"}, twenty, "cron(20 * * * ? *)", KEY)
    .with_batch_input_table(
        "after_twenty", {"total": "int"}, twenty, "rate(1 hour)", KEY, reads=["twenty"], run_when_complete=True
    )
)  # fmt: skip


@pytest.fixture
def opened(tmp_path):
    return lambda start=NINE: simulate(DECLARED, tmp_path / "data", start=start)


def hours(warehouse, job):
    """(scheduled hour, attempt, cause, outcome) of each run, the oldest first."""
    return [
        (datetime.fromtimestamp(run.scheduled_ms / 1000, UTC).hour, run.attempt, run.cause, run.outcome)
        for run in warehouse.runs(job)
    ]


def of(warehouse, table):
    return list(warehouse.query(f"select total, hour from {table} order by hour"))


def test_once_for_each_hour_and_at_its_end(opened):
    with opened() as warehouse:
        warehouse.put("clicks", [{"id": "a"}, {"id": "b"}])
        warehouse.advance("59m")
        warehouse.put("views", {"id": "v"})
        assert warehouse.runs("counts") == []
        assert warehouse.complete_until("counts") == NINE
        warehouse.advance("59s")
        assert warehouse.runs("counts") == []
        warehouse.advance("1s")
        assert hours(warehouse, "counts") == hours(warehouse, "report") == [(10, 1, "complete", "succeeded")]
        rows = [
            {"of": "clicks", "count": 2, "hour": "2026/01/05/09"},
            {"of": "views", "count": 1, "hour": "2026/01/05/09"},
        ]
        warehouse.assert_table("counts", rows)
        warehouse.advance("59m")
        assert len(warehouse.runs("counts")) == len(warehouse.runs("report")) == 1
        warehouse.advance("1m")
        assert [hour for hour, *_ in hours(warehouse, "counts")] == [10, 11]
        assert of(warehouse, "report") == [(3, "2026/01/05/09"), (0, "2026/01/05/10")]
        assert warehouse.complete_until("clicks") == warehouse.complete_until("report") == NINE + timedelta(hours=2)
        assert warehouse.complete_until("facts") is None


def test_what_arrived_in_the_hour_and_is_not_converted_is_waited_for(opened):
    with opened() as warehouse:
        warehouse.advance("30m")
        warehouse.put("views", {"id": "v"})
        warehouse.clock.set_ms(warehouse.clock.now_ms() + 3_600_000)
        warehouse.put("clicks", {"id": "of the next hour"})
        warehouse.schedule.run_due()
        assert warehouse.runs("counts") == []
        assert (warehouse.complete_until("clicks"), warehouse.complete_until("views")) == (
            NINE + timedelta(hours=1),
            NINE,
        )
        warehouse.flush()
        assert warehouse.schedule.run_due()
        assert hours(warehouse, "counts") == [(10, 1, "complete", "succeeded")]
        assert of(warehouse, "report") == [(1, "2026/01/05/09")]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_goes_back_brings_nothing_into_an_hour_that_was_complete(opened, restarted):
    warehouse = opened()
    warehouse.put("clicks", {"id": "a"})
    warehouse.advance("1h")
    back = NINE + timedelta(minutes=30)
    if restarted:
        warehouse.close()
        warehouse = opened(back)
    with warehouse:
        warehouse.clock.set_ms(round(back.timestamp() * 1000))
        for table in ("clicks", "views"):
            warehouse.put(table, {"id": "late"})
        assert list(warehouse.query("select id, inserted_at from clicks order by 2")) == [
            ("a", "2026/01/05/09"),
            ("late", "2026/01/05/10"),
        ]
        assert list(warehouse.query("select id, inserted_at from views")) == [("late", "2026/01/05/10")]
        warehouse.advance("90m")
        assert [hour for hour, *_ in hours(warehouse, "counts")] == [10, 11]
        assert of(warehouse, "report") == [(1, "2026/01/05/09"), (2, "2026/01/05/10")]


def test_hours_that_were_missed_are_all_run_in_order(opened):
    with opened() as warehouse:
        warehouse.put("clicks", {"id": "a"})
    with opened(NINE + timedelta(hours=4, minutes=30)) as warehouse:
        warehouse.advance(0)
        assert [hour for hour, *_ in hours(warehouse, "counts")] == [10, 11, 12, 13]
        assert [hour for hour, *_ in hours(warehouse, "report")] == [10, 11, 12, 13]
        assert of(warehouse, "report") == [(1 if hour == 9 else 0, f"2026/01/05/{hour:02d}") for hour in range(9, 13)]


def test_an_hour_that_failed_holds_up_what_reads_it_until_it_is_repaired(opened):
    with opened() as warehouse:
        warehouse.fail_job("counts", times=3)
        warehouse.advance("3h")
        assert hours(warehouse, "counts") == [
            (10, 1, "complete", "failed"),
            (10, 2, "retry", "failed"),
            (10, 3, "retry", "failed"),
            (11, 1, "complete", "succeeded"),
            (12, 1, "complete", "succeeded"),
        ]
        assert warehouse.runs("report") == []
        assert warehouse.complete_until("counts") == NINE
        assert warehouse.run("counts", NINE + timedelta(hours=1)).outcome == "succeeded"
        warehouse.advance(0)
        assert [hour for hour, *_ in hours(warehouse, "report")] == [10, 11, 12]
        assert of(warehouse, "report") == [(0, f"2026/01/05/{hour:02d}") for hour in (9, 10, 11)]


def test_a_retry_that_succeeds_lets_the_others_go_on(opened):
    with opened() as warehouse:
        warehouse.fail_job("counts", times=2)
        warehouse.advance("62m59s")
        assert warehouse.runs("report") == []
        warehouse.advance("1s")
        assert hours(warehouse, "report") == [(10, 1, "complete", "succeeded")]


def test_a_table_on_a_cron_expression_is_complete_once_it_will_not_run_for_the_hour_again(opened):
    with opened() as warehouse:
        warehouse.advance("79m")
        assert warehouse.complete_until("twenty") == NINE
        assert warehouse.runs("after_twenty") == []
        warehouse.advance("1m")  # 10:20, the run that writes the hour 09
        assert warehouse.complete_until("twenty") == NINE + timedelta(hours=1)
        assert hours(warehouse, "after_twenty") == [(10, 1, "complete", "succeeded")]


MODULE = """
import os, time
from pathlib import Path
from datawarehouse import Warehouse

HOME = Path(__file__).parent

def hourly(job):
    with (HOME / "ran").open("a") as file:
        file.write(f"{job.time:%Y-%m-%dT%H:%M} {os.getpid()}\\n")
    while (HOME / "blocked").exists():
        time.sleep(0.05)
    yield {"at": f"{job.time:%Y-%m-%dT%H:%M}"}

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_batch_input_table("hourly", {"at": "string"}, hourly, "rate(1 hour)", {"hour": "string"},
                            reads=["clicks"], run_when_complete=True)
)
"""


def alive(pid):
    state = subprocess.run(["ps", "-ww", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


def test_a_run_whose_owner_was_killed_ends_and_is_repeated_with_the_same_instant(tmp_path, monkeypatch):
    (tmp_path / "warehouse.py").write_text(MODULE)
    (tmp_path / "declared_hourly_runs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "declared_hourly_runs", raising=False)
    from declared_hourly_runs import warehouse as declared

    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    with open_warehouse(declared, tmp_path / "data", clock=TestClock(first - timedelta(minutes=30))):
        pass  # the warehouse knows its job since then; the hour that ended at `first` is due
    (tmp_path / "blocked").touch()
    noted = tmp_path / "ran"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    own_scratch = {"TMPDIR": str(scratch)}
    with running(tmp_path, declaration=None, environment=own_scratch) as killed:
        until(lambda: noted.exists() and noted.read_text().endswith("\n"), "the job began")
        killed.stop(signal.SIGKILL)
    [(instant, pid)] = [line.split() for line in noted.read_text().splitlines()]
    assert instant == f"{first:%Y-%m-%dT%H:%M}"
    until(lambda: not alive(pid), "the run ended with its owner")
    assert len(list(scratch.glob("dw-job-*"))) == 1
    (tmp_path / "blocked").unlink()
    with running(tmp_path, declaration=None, environment=own_scratch) as warehouse:
        due = (first, first + timedelta(hours=1))
        until(lambda: len(noted.read_text().splitlines()) >= 3, "the run is repeated, and the next hour is run")
        until(lambda: not warehouse.query("select 1 as n from job_runs where outcome = 'running'"), "the runs ended")
        assert [line.split()[0] for line in noted.read_text().splitlines()][:3] == [
            f"{at:%Y-%m-%dT%H:%M}" for at in (first, *due)
        ]
        at = f"{first:%Y-%m-%dT%H:%M}"
        assert warehouse.query("select at from hourly where at = ?", at) == [{"at": at}]
        runs = json.loads(warehouse.dw("jobs", "--output", "json").stdout)
        assert [(run["attempt"], run["cause"], run["outcome"]) for run in reversed(runs)][:2] == [
            (1, "complete", "interrupted"),
            (1, "retry", "succeeded"),
        ]
        assert list(scratch.glob("dw-job-*")) == [], "the next owner removed what was left"
