"""`dw backfill` runs a job for the instants of a time that passed; begun again, it goes on where it was cut off."""

import json
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from running import DW, running, started, until
from running import command as run_here

from patience import patient

MODULE = """
import time
from pathlib import Path
from datawarehouse import Warehouse

HOME = Path(__file__).parent

def hourly(job):
    with (HOME / "ran").open("a") as file:
        file.write(f"{job.time:%d %H:%M} {job.partition}\\n")
    while (HOME / "blocked").exists() and job.time.hour == 3:
        time.sleep(0.05)
    if (HOME / "broken").exists() and job.time.hour == 2:
        raise RuntimeError("no luck")
    yield {"at": f"{job.time:%H:%M}"}

key = {"hour": "string"}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_batch_input_table("hourly", {"at": "string"}, hourly, "rate(1 hour)", partition_keys=key)
    .with_batch_input_table("twenty", {"at": "string"}, hourly, "cron(20 * 1 11 ? 2025)", partition_keys=key)
)
"""
OVER = MODULE.replace("rate(1 hour)", "cron(0 1-23 1 11 ? 2026)")
"""For an owner that runs: an hour that turns during a test begins no run."""
FIRST_FOUR = ["01 01:00 2026/11/01/00", "01 02:00 2026/11/01/01", "01 03:00 2026/11/01/02", "01 04:00 2026/11/01/03"]
TIMES = ("--from", "2026-11-01", "--to", "2026-11-01T04:01")


@pytest.fixture
def project(tmp_path):
    (tmp_path / "warehouse.py").write_text(MODULE)
    (tmp_path / "dw.toml").write_text("job_time_max_s = 20\n")
    return tmp_path


@pytest.fixture
def dw(project):
    return partial(run_here, project)


@pytest.fixture
def ran(project):
    """The runs since the last look."""
    seen = 0

    def look():
        nonlocal seen
        path = project / "ran"
        lines = path.read_text().splitlines() if path.exists() else []
        new, seen = lines[seen:], len(lines)
        return new

    return look


def runs_begun(project):
    path = project / "ran"
    return len(path.read_text().splitlines()) if path.exists() else 0


def backfilled(done):
    return [(run["scheduled"][:16], run["outcome"]) for run in json.loads(done.stdout)]


def test_hours_are_run_in_order_and_once(project, dw, ran):
    done = dw("backfill", "hourly", *TIMES, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert backfilled(done) == [(f"2026-11-01T0{hour}:00", "succeeded") for hour in (1, 2, 3, 4)]
    assert ran() == FIRST_FOUR
    found = json.loads(dw("query", "select at, hour from hourly order by hour", "--output", "json").stdout)
    assert found == [{"at": f"0{hour + 1}:00", "hour": f"2026/11/01/0{hour}"} for hour in range(4)]
    again = dw("backfill", "hourly", *TIMES)
    assert (again.returncode, ran()) == (0, [])
    assert "4 runs of these succeeded before and are left out (--again repeats them)" in again.stderr
    anew = dw("backfill", "hourly", "--from", "2026-11-01T02:00", "--to", "2026-11-01T04:00", "--again")
    assert (anew.returncode, ran()) == (0, FIRST_FOUR[2:])
    assert ("2 runs succeeded" in anew.stderr, anew.stdout) == (True, "")


def test_a_cron_expression_is_run_at_its_own_instants(project, dw, ran):
    done = dw("backfill", "twenty", "--from", "2025-11-01T00:20", "--to", "2025-11-01T02:20")
    assert done.returncode == 0, done.stderr
    assert ran() == ["01 00:20 2025/10/31/23", "01 01:20 2025/11/01/00"]


def test_what_failed_is_shown_and_repeated_alone(project, dw, ran):
    (project / "broken").touch()
    done = dw("backfill", "hourly", *TIMES)
    assert done.returncode == 1
    assert ran() == FIRST_FOUR, "the hours after a failed one are run"
    assert "RuntimeError: no luck" in done.stdout
    assert done.stdout.count("2026-11-01T0") == 1, "the failed run alone is shown"
    assert "3 of 4 runs succeeded; begin again to repeat the others" in done.stderr
    (project / "broken").unlink()
    assert dw("backfill", "hourly", *TIMES).returncode == 0
    assert ran() == FIRST_FOUR[1:2]


@pytest.mark.parametrize("owned", [False, True], ids=["alone", "beside an owner"])
def test_after_kill_9_it_goes_on_where_it_was(project, dw, ran, owned):
    """Without an owner the command owns the folder itself; with one, the owner finishes the run it was asked for."""
    (project / "blocked").touch()

    def killed_in_the_third():
        with started([DW, "backfill", "hourly", *TIMES], cwd=project, stderr=subprocess.DEVNULL):
            until(lambda: runs_begun(project) == 3, "third run")
        (project / "blocked").unlink()

    if owned:
        with running(project, declaration=OVER) as warehouse:
            killed_in_the_third()
            until(lambda: not warehouse.query("select 1 as n from job_runs where outcome = 'running'"), "it ended")
            assert ran() == FIRST_FOUR[:3]
            assert dw("backfill", "hourly", *TIMES).returncode == 0
        assert ran() == FIRST_FOUR[3:]
    else:
        killed_in_the_third()
        assert ran() == FIRST_FOUR[:3]
        done = dw("backfill", "hourly", *TIMES)
        assert done.returncode == 0, done.stderr
        assert ran() == FIRST_FOUR[2:]
    runs = json.loads(dw("jobs", "hourly", "--output", "json").stdout)
    outcomes = [run["outcome"] for run in reversed(runs)]
    assert outcomes == ["succeeded"] * 4 if owned else ["succeeded", "succeeded", "interrupted", *["succeeded"] * 2]
    found = json.loads(
        dw("query", "select count(*) as c, count(distinct hour) as h from hourly", "--output", "json").stdout
    )
    assert found == [{"c": 4, "h": 4}]


def test_without_an_owner_the_limits_of_the_project_hold(project, dw):
    (project / "dw.toml").write_text("job_time_max_s = 3\n")
    (project / "blocked").touch()
    done = dw("backfill", "hourly", "--from", "2026-11-01T02:00", "--to", "2026-11-01T03:00")
    assert done.returncode == 1
    assert "The run took longer than 3 s (job_time_max_s) and was ended." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nothing", *TIMES], 2, "There is no batch input table 'nothing'; there are hourly, twenty."),
        (["clicks", *TIMES], 2, "There is no batch input table 'clicks'; there are hourly, twenty."),
        (["hourly", "--from", "soon"], 2, "'soon' is not an instant; write it as 2026-11-23T08:00:00Z."),
        (["hourly"], 2, "--from"),
        (
            ["hourly", "--from", "2026-11-02", "--to", "2026-11-01"],
            2,
            "Runs from 2026-11-02T00:00 to 2026-11-01T00:00 were requested; give a period in the past",
        ),
        (["hourly", "--from", "2026-11-01", "--to", "2999-01-01"], 2, "give a period in the past"),
    ],
)
def test_wrong_arguments(dw, arguments, code, says):
    done = dw("backfill", *arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert not done.stdout


def test_the_default_end_is_now(project, dw, ran):
    before = datetime.now(UTC)
    done = dw("backfill", "hourly", "--from", f"{before - timedelta(hours=2):%Y-%m-%dT%H:00}", "--output", "json")
    assert done.returncode == 0, done.stderr
    ended = [datetime.fromisoformat(run["scheduled"]) for run in json.loads(done.stdout)]
    hour = before.replace(minute=0, second=0, microsecond=0)
    assert ended[:2] == [hour - timedelta(hours=1), hour]
    assert ended[-1] <= datetime.now(UTC)


def test_an_owner_that_is_killed_ends_the_backfill_with_an_error(project, dw):
    (project / "blocked").touch()
    command = [DW, "backfill", "hourly", *TIMES]
    with (
        running(project, declaration=OVER, environment={"TMPDIR": str(project)}) as warehouse,
        started(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process,
    ):
        until(lambda: runs_begun(project) == 3, "third run")
        os.kill(warehouse.process.pid, signal.SIGKILL)
        warehouse.process.wait()
        warehouse.process.stdout.close()
        _, errors = process.communicate(timeout=patient(30))
    assert process.returncode == 4
    assert "does not answer" in errors
