"""A job that runs out of memory, hangs, forks, fills its disk or raises fails alone, is tried again, leaves nothing."""

import os
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running import started, until

from datawarehouse import open_warehouse
from datawarehouse.jobs.supervise import _by_parent
from patience import patient

MODULE = """
import os, subprocess, time
from pathlib import Path
from datawarehouse import Warehouse

HOME = Path(__file__).parent

def started():
    with (HOME / "pids").open("a") as file:
        file.write(f"{os.getpid()}\\n")

def memory(job):
    started()
    yield {"at": f"{job.time:%H:%M}"}
    held = []
    while not (HOME / "well").exists():
        held.append(bytearray(16 << 20))

def hang(job):
    started()
    yield {"at": f"{job.time:%H:%M}"}
    while not (HOME / "well").exists():
        time.sleep(600)

def fork(job):
    yield {"at": f"{job.time:%H:%M}"}
    if not (HOME / "well").exists():
        for _ in range(6):
            os.fork()
        started()
        subprocess.run(["sleep", "600"])

def disk(job):
    started()
    yield {"at": f"{job.time:%H:%M}"}
    number = 0
    while not (HOME / "well").exists():
        Path(f"{number}").write_bytes(bytes(1 << 16))
        number += 1
        time.sleep(0.001)

def raises(job):
    started()
    yield {"at": f"{job.time:%H:%M}"}
    if not (HOME / "well").exists():
        raise RuntimeError("no luck")

def good(job):
    started()
    [(count,)] = job.query("select count(*) from clicks")
    yield {"at": f"{job.time:%H:%M}"}

warehouse = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})
for job in (memory, hang, fork, disk, raises):
    warehouse.with_batch_input_table(
        job.__name__, {"at": "string"}, job, "cron(20 * * * ? *)", partition_keys={"hour": "string"}
    )
warehouse.with_batch_input_table("good", {"at": "string"}, good, "cron(* * * * ? *)", partition_keys={"hour": "string"})
"""
# A run is behind everybody else's work: on a busy machine the good one, which asks something, takes many seconds.
TIME_MAX_S = round(patient(24))
LIMITS = {"job_time_max_s": TIME_MAX_S, "job_memory_bytes_max": "400MiB", "job_scratch_bytes_max": "8MiB"}
REASONS = {
    "memory": "MemoryError: the run needed more memory than 419430400 bytes (job_memory_bytes_max)",
    "hang": f"The run took longer than {TIME_MAX_S} s (job_time_max_s) and was ended.",
    "fork": f"The run took longer than {TIME_MAX_S} s (job_time_max_s) and was ended.",
    "disk": "The run wrote more than 8388608 bytes (job_scratch_bytes_max) to its scratch folder and was ended.",
    "raises": "RuntimeError: no luck",
}
DUE = datetime(2026, 11, 23, 7, 20)


class Clock:
    """A clock that the test moves."""

    now = DUE - timedelta(seconds=30)

    def now_ms(self):
        return round(self.now.replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where the scratch folders of the runs are."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def declared(tmp_path, monkeypatch):
    (tmp_path / "declared_harm.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "declared_harm", raising=False)
    from declared_harm import warehouse

    return warehouse


def left_running(folder):
    """Which of the processes that noted their number still run."""
    pids = (folder / "pids").read_text().split()
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-p", ",".join(pids)], capture_output=True, text=True).stdout
    return [pid for pid, state in map(str.split, listed.splitlines()) if not state.startswith("Z")]


def runs(warehouse, job):
    """(attempt, cause, scheduled, started, outcome, rows, first line of the error) of each run, the oldest first."""
    found = warehouse.query(
        'select attempt, cause, scheduled, started, outcome, "rows", error from job_runs where job = ? and cause != ?'
        " order by started, attempt",
        [job, "asked for"],
    )
    return [(*row, error and error.splitlines()[0]) for *row, error in found]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this system has no limit of memory; Linux has")
def test_five_bad_jobs_harm_nobody(declared, tmp_path, scratch):
    clock = Clock()
    settings = {**LIMITS, "convert_interval_ms": 10}
    with open_warehouse(declared, tmp_path / "data", settings, clock) as warehouse:
        (tmp_path / "well").touch()
        for job in REASONS:
            assert warehouse.run(job, DUE.replace(tzinfo=UTC)).outcome == "succeeded"
        (tmp_path / "well").unlink()

        def run_at(instant):
            clock.now = instant
            warehouse.schedule.start_due()
            warehouse.schedule.wait_idle()

        # While the bad ones run, their neighbour does, and events are taken, converted and counted.
        clock.now = DUE
        warehouse.schedule.start_due()
        for number in range(1, 11):
            warehouse.put("clicks", [{"id": str(number)}])
            warehouse.flush()
            assert list(warehouse.query("select count(*) from clicks")) == [(number,)]
        good = until(
            lambda: [run for run in warehouse.catalog.runs.latest("good") if run.outcome != "running"], "good ran", 60
        )
        assert [(run.scheduled_ms, run.outcome) for run in good] == [(clock.now_ms(), "succeeded")]
        assert warehouse.catalog.runs.latest("hang", 1)[0].outcome == "running"
        warehouse.schedule.wait_idle()

        first, second = DUE + timedelta(minutes=1), DUE + timedelta(minutes=3)
        for instant in (first - timedelta(milliseconds=1), first, second - timedelta(milliseconds=1), second):
            run_at(instant)
        run_at(DUE + timedelta(minutes=59))
        for job, reason in REASONS.items():
            assert runs(warehouse, job) == [
                (1, "schedule", DUE, DUE, "failed", None, reason),
                (2, "retry", DUE, first, "failed", None, reason),
                (3, "retry", DUE, second, "failed", None, reason),
            ]
            assert list(warehouse.query(f"select at, hour from {job}")) == [("07:20", "2026/11/23/06")]
            assert len(list((tmp_path / "data" / job).rglob("*.parquet*"))) == 1, "nothing half done is left"
        minutes = [DUE + timedelta(minutes=minute) for minute in (0, 1, 2, 3, 59)]
        assert [(run[2], run[4]) for run in runs(warehouse, "good")] == [(at, "succeeded") for at in minutes]
        assert left_running(tmp_path) == []
        assert list(scratch.iterdir()) == []


BEHAVED = """
import os, subprocess, sys, tempfile, time
from pathlib import Path
from datawarehouse import Warehouse

HOME = Path(__file__).parent

def note(pid):
    with (HOME / "pids").open("a") as file:
        file.write(f"{pid}\\n")

def behave(job):
    scope = {"job": job, **globals()}
    exec((HOME / "how").read_text(), scope)
    return scope["result"]

warehouse = Warehouse("shop").with_batch_input_table(
    "behaved", {"n": "int"}, behave, "cron(0 0 1 1 ? 2090)", partition_keys={"hour": "string"}
)
"""


@pytest.fixture
def behave(tmp_path, monkeypatch, scratch):
    """Run a job as a text says."""
    (tmp_path / "declared_behaved.py").write_text(BEHAVED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "declared_behaved", raising=False)
    from declared_behaved import warehouse as declared

    settings = {"job_scratch_bytes_max": "8MiB", "job_time_max_s": 30}
    with open_warehouse(declared, tmp_path / "data", settings) as warehouse:

        def run(how):
            (tmp_path / "how").write_text(how)
            ended = warehouse.run("behaved", DUE.replace(tzinfo=UTC))
            assert list(scratch.iterdir()) == []
            return ended, list(warehouse.query("select n from behaved order by n"))

        yield run


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_processes_are_found_also_where_the_kernel_lists_no_children():
    """CONFIG_PROC_CHILDREN of Linux, which most kernels have."""
    with started(["sh", "-c", "echo $$; sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as shell:
        pid, sleeper = int(shell.stdout.readline()), int(shell.stdout.readline())
        try:
            found = _by_parent()
            assert pid in found[os.getpid()]
            assert found[pid] == [sleeper]
        finally:
            os.kill(sleeper, signal.SIGKILL)


SLEEPERS = "for _ in range(3): note(subprocess.Popen(['sleep', '600']).pid)\n"


@pytest.mark.parametrize(
    ("end", "outcome", "error"),
    [
        ("result = [{'n': 1}]", "succeeded", None),
        ("raise KeyError('gone')", "failed", "KeyError: 'gone'"),
        (
            "os._exit(7)",
            "failed",
            "The run's process died: The job process ended (status 7). Its work was not done and can be repeated.",
        ),
        (
            "os.kill(os.getpid(), 9)",
            "failed",
            "The run's process died: The job process ended (status -9). Its work was not done and can be repeated.",
        ),
    ],
)
def test_what_a_run_started_ends_with_it_however_it_ends(behave, tmp_path, end, outcome, error):
    ended, _ = behave(SLEEPERS + end)
    assert (ended.outcome, ended.error and ended.error.splitlines()[0]) == (outcome, error)
    assert len((tmp_path / "pids").read_text().split()) == 3
    assert left_running(tmp_path) == []


@pytest.mark.parametrize(
    "child",
    ["", "if child == 0: sys.exit(0)\n", "if child == 0: raise RuntimeError('of the child')\n"],
    ids=["returns", "exits", "raises"],
)
def test_a_process_that_a_job_forked_and_that_comes_back_changes_nothing(behave, child):
    waits = "if child: os.waitpid(child, 0)\n"  # so that the child is first in whatever it does
    ended, rows = behave(f"child = os.fork()\n{child}{waits}result = [{{'n': 1 if child else 2}}]")
    assert (ended.outcome, ended.rows, ended.error, rows) == ("succeeded", 1, None, [(1,)])


def test_a_file_that_grows_too_large(behave):
    behave("result = [{'n': 1}]")
    ended, rows = behave("open('one', 'wb').write(bytes(9 << 20)); result = [{'n': 2}]")
    assert ended.outcome == "failed"
    assert ended.error.splitlines()[0] == (
        "OSError: the run wrote a file of more than 8388608 bytes (job_scratch_bytes_max)"
    )
    assert rows == [(1,)]


def test_output_that_grows_too_large_leaves_the_previous_one(behave):
    behave("result = [{'n': 1}]")
    # The limit stands for a disk that is full just when the rows are published.
    lower = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.getrlimit(1)[1]))\n"
    ended, rows = behave(lower + "result = ({'n': n} for n in range(1000))")
    assert ended.outcome == "failed"
    assert "File too large" in ended.error or "(job_scratch_bytes_max)" in ended.error, ended.error
    assert rows == [(1,)]


def test_files_in_folders_count_as_well(behave):
    deep = "os.makedirs('a/b'); [open(f'a/b/{n}', 'wb').write(bytes(1 << 20)) for n in range(9)]\n"
    ended, _ = behave(deep + "time.sleep(600)")
    assert ended.error == (
        "The run wrote more than 8388608 bytes (job_scratch_bytes_max) to its scratch folder and was ended."
    )
    ended, _ = behave("[open(f'{n}', 'wb').write(bytes(1 << 20)) for n in range(7)]\ntime.sleep(1)\nresult = []")
    assert ended.outcome == "succeeded"


def test_a_long_message_is_kept_in_part(behave):
    ended, _ = behave("raise RuntimeError('begin ' + 'x' * 10_000_000 + ' end')")
    assert ended.error.startswith("RuntimeError: begin xxx")
    assert " end" in ended.error
    assert len(ended.error) < 50_000


def test_a_run_reads_no_input_and_stands_behind_its_owner(behave):
    ended, rows = behave("result = [{'n': len(sys.stdin.read())}, {'n': os.nice(0)}]")
    assert ended.outcome == "succeeded", ended.error
    assert rows == [(0,), (os.nice(0) + 10,)]
