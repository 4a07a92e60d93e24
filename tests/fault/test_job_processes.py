"""What a job starts ends with it, wherever it hides; its limits cannot be raised; what it answers is not believed."""

import os
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime

import pytest
from running import until

from datawarehouse import open_warehouse
from patience import patient

LINUX = sys.platform == "linux"
DECLARED = """
import os, resource, signal, subprocess, sys, time
from pathlib import Path
from datawarehouse import Warehouse

HOME = Path(__file__).parent

def note():
    with (HOME / "pids").open("a") as file:
        file.write(f"{os.getpid()}\\n")

def hidden(act=lambda: time.sleep(600)):
    \"\"\"Start a process that belongs to nobody: another session, its parent dead.\"\"\"
    before = count()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note()
            act()
        os._exit(0)
    os.wait()
    while count() == before:
        time.sleep(0.01)

def sleeper(**more):
    return subprocess.Popen(["sh", "-c", f"echo $$ >> {HOME}/pids; exec sleep 600"], **more)

def count():
    return len((HOME / "pids").read_text().split())

def behave(job):
    scope = {"job": job, **globals()}
    exec((HOME / "how").read_text(), scope)
    return scope["result"]

warehouse = Warehouse("shop").with_batch_input_table(
    "behaved", {"n": "int"}, behave, "cron(0 0 1 1 ? 2090)", partition_keys={"hour": "string"}
).with_batch_input_table("other", {"n": "int"}, behave, "cron(0 0 1 1 ? 2090)", partition_keys={"hour": "string"})
"""
AT = datetime(2026, 11, 23, 7, 20, tzinfo=UTC)
LIMIT = 400 * 1024 * 1024
SETTINGS = {"job_time_max_s": round(patient(24)), "job_memory_bytes_max": LIMIT, "query_time_max_s": 1}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a declaration, and for the scratch folders of runs."""
    (tmp_path / "declared_processes.py").write_text(DECLARED)
    (tmp_path / "pids").touch()
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    for pid in left(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def opened(home, monkeypatch):
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.delitem(sys.modules, "declared_processes", raising=False)
    from declared_processes import warehouse

    with open_warehouse(warehouse, home / "data", SETTINGS) as opened:
        yield opened


@pytest.fixture
def behave(opened, home):
    """Run a job as a text says; what it gives is (outcome, first line of the error, rows of its table)."""

    def run(how):
        (home / "how").write_text(how)
        ended = opened.run("behaved", AT)
        rows = list(opened.query("select n from behaved order by n"))
        return ended.outcome, (ended.error or "").partition("\n")[0], rows

    return run


def left(folder):
    """Which of the processes that noted their number still run."""
    found = []
    for pid in (folder / "pids").read_text().split():
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
        if state and not state.startswith("Z"):
            found.append(int(pid))
    return found


only_linux = pytest.mark.skipif(not LINUX, reason="only Linux lets a process inherit orphans, and limits its memory")


@only_linux
@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("result = [{'n': 1}]", "succeeded"),
        ("raise KeyError('gone')", "failed"),
        ("os._exit(7)", "failed"),
        ("os.kill(os.getpid(), 9)", "failed"),
        ("hidden(lambda: os.kill(os.getpid(), signal.SIGSTOP)); result = [{'n': 1}]", "succeeded"),
        # A process that hands itself on faster than anybody can list it.
        ("hidden(lambda: [os.fork() and os._exit(0) for _ in iter(int, 1)]); result = [{'n': 1}]", "succeeded"),
        ("sleeper(start_new_session=True); result = [{'n': 1}]", "succeeded"),
    ],
)
def test_what_a_run_started_ends_with_it_wherever_it_hides(behave, home, end, outcome):
    started = "signal.signal(signal.SIGTERM, signal.SIG_IGN); hidden(); hidden(lambda: sleeper().wait())\n"
    assert behave(started + end)[0] == outcome
    assert len((home / "pids").read_text().split()) >= 2
    assert left(home) == []


@only_linux
def test_a_process_may_have_any_name(behave, home):
    name = "ctypes.CDLL(None).prctl(15, b'\\xc3\\rVmSwap:', 0, 0, 0)"
    named = f"import ctypes; hidden(lambda: ({name}, time.sleep(600)))\n"
    looked = "time.sleep(1); result = [{'n': 1}]"  # its memory is looked at meanwhile
    assert behave(named + looked) == ("succeeded", "", [(1,)])
    assert left(home) == []


def test_what_a_run_started_can_be_told_to_end(behave):
    """What a process ignores, those that it starts ignore as well."""
    how = """
def told(number):
    started = subprocess.Popen(["sleep", "600"])
    started.send_signal(number)
    return -started.wait(10)

result = [{"n": told(number)} for number in (signal.SIGINT, signal.SIGTERM)]
"""
    assert behave(how) == ("succeeded", "", [(signal.SIGINT,), (signal.SIGTERM,)])


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (r"raise OSError('caf\udce9')", r"OSError: caf\udce9"),  # as Python reads a file's name that is not UTF-8
        (
            "class Silent(Exception):\n    def __str__(self): raise KeyError('x')\nraise Silent",
            "Silent: (its text cannot be made: KeyError)",
        ),
    ],
    ids=["not UTF-8", "no text"],
)
def test_an_error_that_cannot_be_written_is_told_all_the_same(behave, how, error):
    assert behave(how) == ("failed", error, [])


@only_linux
def test_what_a_run_started_ends_when_its_time_is_over(behave, home):
    outcome, error, _ = behave("hidden(); os.kill(os.getppid(), signal.SIGSTOP); time.sleep(600)")
    assert (outcome, error) == (
        "failed",
        f"The run took longer than {SETTINGS['job_time_max_s']} s (job_time_max_s) and was ended.",
    )
    assert left(home) == []


OWNER = """
import os, sys, threading, time
from pathlib import Path
from declared_processes import warehouse
from datawarehouse import open_warehouse

def fork():
    while len(Path("pids").read_text().split()) < 4:
        time.sleep(0.01)
    if os.fork():
        Path("forked").touch()
    else:
        time.sleep(600)

with open_warehouse(warehouse, "data") as opened:
    threading.Thread(target=fork, daemon=True).start()
    opened.run("behaved")
"""


@only_linux
@pytest.mark.parametrize("victim", ["the owner", "the run's own process"])
def test_what_a_run_started_ends_also_if_somebody_is_killed(home, victim):
    """Also if somebody else, here a process that the owner forked, has the pipe to the run."""
    (home / "how").write_text("note(); hidden(); hidden(lambda: sleeper().wait()); time.sleep(600)")
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=home, start_new_session=True)
    try:
        until((home / "forked").exists, "everything runs", 60)
        os.kill(owner.pid if victim == "the owner" else left(home)[0], signal.SIGKILL)
        until(lambda: left(home) == [], "everything has ended", 20)
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.wait()


@only_linux
def test_who_kills_the_supervisor_ends_the_run(behave, home):
    outcome, error, _ = behave("note(); os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)")
    assert (outcome, error) == (
        "failed",
        "The run's process died: The job process ended without an answer. Its work was not done and can be repeated.",
    )
    until(lambda: left(home) == [], "the process has ended", 10)


@only_linux
def test_the_limits_of_a_run_are_hard(behave):
    told = "result = [{'n': value >> 20} for limit in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE)"
    assert behave(f"{told} for value in resource.getrlimit(limit)]")[2] == [(400,), (400,), (512,), (512,)]


@only_linux
def test_the_memory_of_a_run_is_that_of_all_its_processes(behave, home):
    hold = "def hold():\n    note(); held = bytearray(180 << 20); time.sleep(600)\n"
    outcome, error, _ = behave(f"{hold}for _ in range(3): hidden(hold)\ntime.sleep(600)")
    assert (outcome, error) == (
        "failed",
        f"The processes of the run took more than {LIMIT} bytes of memory together (job_memory_bytes_max), "
        "and were ended.",
    )
    assert left(home) == []


@only_linux
def test_memory_that_its_processes_share_counts_once(behave):
    shared = "held = bytearray(180 << 20)\nfor _ in range(4): hidden()\ntime.sleep(1)\nresult = [{'n': 1}]"
    assert behave(shared) == ("succeeded", "", [(1,)])
