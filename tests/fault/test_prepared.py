"""The process that forks child processes: what a child has, and what happens when it dies, hangs or cannot fork."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from running import DECLARATION, DW, IN_CHILDREN, Running, running, started, until

from datawarehouse.errors import WorkerDied
from datawarehouse.query.limits import QueryLimits
from datawarehouse.query.messages import End, Failure, QueryOrder
from datawarehouse.runtime.prepared import PreparedProcess
from datawarehouse.runtime.workers import QuerySetup, Worker
from datawarehouse.tidy.orders import MergeOrder
from leftovers import lives
from patience import patient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this system has no prepared process")

NOTHING = MergeOrder([], [("id", "string")], 1, "nowhere", "none")
"""An order that fails at once, as the process that got it says."""

# A declaration that opens a file which any child started later would have, and leaves a thread behind.
UNTIDY = (
    DECLARATION
    + """
import os, threading
opened = open("opened", "w")
os.set_inheritable(opened.fileno(), True)
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
)


def of(warehouse, kind):
    """The pid of the one child of a kind."""
    [pid] = [pid for pid, command in warehouse.children().items() if command.endswith(f" {kind}")]
    return pid


def descriptors(pid):
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found[path.name] = str(path.readlink())
    return found


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def busy(warehouse):
    """Have a child of each kind at work."""
    warehouse.events("clicks", b'{"id": "one"}')
    warehouse.flush()
    assert warehouse.query("select count(*) as c from clicks where id = 'one'")[0]["c"] >= 1


@pytest.fixture
def prepared():
    process = PreparedProcess([sys.executable, "-m", "datawarehouse.runtime.workers", "prepared"])
    yield process
    process.close()


def gone(*pids):
    return not any(Path(f"/proc/{pid}/stat").exists() and lives(Path(f"/proc/{pid}")) for pid in pids)


def test_a_child_has_its_pipes_and_nothing_else_of_the_owner(tmp_path):
    with running(tmp_path, declaration=UNTIDY, fresh=True) as warehouse:
        busy(warehouse)
        errors = str(tmp_path / "errors.log")
        prepared, converts, queries = (of(warehouse, kind) for kind in ("prepared", "convert", "query"))
        assert str(tmp_path / "opened") in descriptors(warehouse.process.pid).values()
        found = {number: kind.split(":")[0] for number, kind in descriptors(converts).items()}
        assert [found.pop(number) for number in "012"] == ["pipe", errors, errors]
        assert list(found.values()) == ["pipe"], "a copy of its standard output, for answers"
        of_queries = set(descriptors(queries).values())
        assert not {each for each in of_queries if "socket" in each or "opened" in each or "_lock" in each}
        assert [descriptors(prepared)[number] for number in "012"] == ["/dev/null", errors, errors]
        files = [each for each in descriptors(prepared).values() if each.startswith("/")]
        assert set(files) == {"/dev/null", errors}
        for pid in (prepared, converts):
            assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1, "no thread"


def test_it_is_started_anew_when_it_was_killed_and_its_children_go_on_meanwhile(tmp_path):
    with running(tmp_path) as warehouse:
        busy(warehouse)
        killed, converts, queries = (of(warehouse, kind) for kind in ("prepared", "convert", "query"))
        os.kill(killed, signal.SIGKILL)
        until(lambda: gone(killed), "it has ended")
        busy(warehouse)
        assert not gone(converts) and not gone(queries), "nothing had to be started"
        os.kill(queries, signal.SIGKILL)
        os.kill(converts, signal.SIGKILL)
        busy(warehouse)
        assert parent(of(warehouse, "query")) == parent(of(warehouse, "convert")) == of(warehouse, "prepared")
        children = list(warehouse.children())
        assert warehouse.stop() == 0
        assert gone(*children)
    assert (tmp_path / "errors.log").read_text().count("Traceback") == 0


@pytest.mark.parametrize("fresh", [True, False], ids=["its own program", "forked"])
def test_all_end_with_an_owner_that_is_killed(tmp_path, fresh):
    with running(tmp_path, fresh=fresh) as warehouse:
        busy(warehouse)
        children = list(warehouse.children())
        assert len(children) == 3
        warehouse.process.kill()
        warehouse.process.wait()
        warehouse.process.stdout.close()
        until(lambda: gone(*children), "they have ended")


def test_ctrl_c_in_the_terminal_ends_no_child_before_its_work_is_done(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    with (tmp_path / "errors.log").open("wb") as errors:
        command = [DW, "up", "--port", "0", "--output", "json"]
        with started(command, cwd=tmp_path, stdout=-1, stderr=errors, start_new_session=True) as process:
            warehouse = Running(process, tmp_path, json.loads(process.stdout.readline())["url"])
            busy(warehouse)
            children = list(warehouse.children())
            warehouse.events("clicks", b'{"id": "two"}')
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(patient(30)) == 0
            assert gone(*children)
    log = (tmp_path / "errors.log").read_text()
    said = [line for line in log.splitlines() if " audit: " not in line]
    assert len(said) == 1 and "for a clean stop" in said[0], "what was converted last is merged"
    files = warehouse.dw("query", "select count(*) as c from clicks", "--output", "json")
    assert json.loads(files.stdout) == [{"c": 2}]


def test_where_an_import_starts_a_thread_children_are_started_one_by_one(tmp_path):
    (tmp_path / "site").mkdir()
    change = (
        "import threading\ndef change():\n    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    (tmp_path / "site" / "sitecustomize.py").write_text(change + IN_CHILDREN)
    with running(tmp_path, environment={"PYTHONPATH": str(tmp_path / "site")}) as warehouse:
        busy(warehouse)
        assert {parent(of(warehouse, kind)) for kind in ("query", "convert")} == {warehouse.process.pid}
        said = (tmp_path / "errors.log").read_text()
        assert said.count("child processes are started one by one: an imported library has started a thread") == 1


# -- as the owner sees it


def unread(worker):
    """The bytes in the pipe to a child that it has not read."""
    return int.from_bytes(fcntl.ioctl(worker._process.stdin.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)


def test_an_owner_hears_how_a_child_ended(prepared):
    worker = Worker("convert", start_child=prepared.child)
    with pytest.raises(Exception, match="index out of range"):
        worker.run(NOTHING)
    first = worker.pid
    os.kill(first, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(worker.run, NOTHING)
        until(lambda: unread(worker) > 0, "the order is in the pipe, and its sender waits for the answer")
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerDied, match=r"The convert process ended \(status -9\)"):
            asked.result()
    with pytest.raises(Exception, match="index out of range"):
        worker.run(NOTHING)
    assert worker.pid != first
    worker.stop()
    ended = prepared.child("nonsense")
    assert ended.wait(patient(30)) == 1
    ended.stdin.close()
    ended.stdout.close()


def test_killing_a_child_that_ended_does_nothing(prepared):
    child = prepared.child("convert")
    pid = child.pid
    child.stdin.close()
    assert child.wait(patient(30)) == 0
    until(lambda: not Path(f"/proc/{pid}").exists(), "nothing is left of it")
    child.kill()
    assert child.wait(0) == 0
    child.stdout.close()


KILLED_TOO_EARLY = """
import os, signal, socket
from datawarehouse.runtime import prepared
socket.send_fds = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
def become(kind):
    os.write(1, b"began")
    signal.pause()
prepared.serve(lambda: None, become)
"""


def test_a_child_of_which_the_owner_does_not_hear_ends_by_itself():
    """It is forked, and the prepared process is killed before it can say so."""
    process = PreparedProcess([sys.executable, "-c", KILLED_TOO_EARLY])
    try:
        child = process.child("query")
        with child.stdin, child.stdout:
            assert child.stdout.read() == b""
        assert child.wait(patient(20)) is None
    finally:
        process.close()


def test_a_prepared_process_that_hangs_keeps_nobody_waiting(prepared):
    first = prepared.child("convert")
    hung = parent(first.pid)
    os.kill(hung, signal.SIGSTOP)
    worker = Worker("convert", start_child=prepared.child, time_max_s=1)
    with pytest.raises(WorkerDied, match="took longer than 1 s"):
        worker.run(NOTHING)
    until(lambda: gone(hung), "it was ended")
    worker.time_max_s = None
    with pytest.raises(Exception, match="index out of range"):
        worker.run(NOTHING)
    assert parent(worker.pid) != hung
    worker.stop()
    first.stdin.close()
    assert first.wait(patient(30)) is None, "whoever knew its exit code has died"
    first.stdout.close()


def test_many_children_at_the_same_time(prepared):
    children = [prepared.child("convert") for _ in range(20)]
    pids = [child.pid for child in children]
    assert len(set(pids)) == 20
    waiting = [threading.Thread(target=child.wait) for child in children for _ in range(3)]
    for thread in waiting:
        thread.start()
    for child in children:
        child.kill()
    for thread in waiting:
        thread.join(patient(20))
        assert not thread.is_alive()
    assert [child.wait(0) for child in children] == [-signal.SIGKILL] * 20
    for child in children:
        child.stdin.close()
        child.stdout.close()


@pytest.mark.parametrize("forked", [True, False], ids=["forked", "its own program"])
def test_a_query_has_the_memory_of_its_limit_and_no_more(tmp_path, prepared, forked):
    """What a process has at its start does not count, whether it was forked or not."""
    from datawarehouse import Warehouse, open_warehouse

    with open_warehouse(Warehouse("shop").with_streaming_input_table("t", {"id": "string"}), tmp_path):
        limits = QueryLimits(20, 64 * 1024 * 1024, 1, 1_000_000)
        setup = QuerySetup(str(tmp_path), "shop", limits)
        worker = Worker("query", setup, start_child=prepared.child) if forked else Worker("query", setup)

        def asked(sql):
            worker.begin(QueryOrder(sql, [], "json"))
            while not isinstance(answer := worker.next_answer(), End | Failure):
                pass
            return answer

        assert isinstance(asked("select 1"), End)
        had = int(
            next(x for x in Path(f"/proc/{worker.pid}/status").read_text().splitlines() if "VmData" in x).split()[1]
        )
        limit = Path(f"/proc/{worker.pid}/limits").read_text().split("Max data size")[1].split()[0]
        assert abs(int(limit) - 1024 * had) < 192 * 1024 * 1024
        try:
            refused = asked(
                "select cardinality(array_sort(flatten(transform(sequence(1, 10000), s -> sequence(1, 10000)))))"
            )
        except WorkerDied:
            pass
        else:
            assert refused.error == "QueryLimitExceeded", refused
        worker.kill()
        worker.stop()


def test_it_keeps_no_descriptor_above_a_limit_that_was_lowered():
    code = (
        "import os, resource, sys; from datawarehouse.runtime.prepared import PreparedProcess\n"
        "from datawarehouse.runtime.workers import _command\n"
        "os.dup2(0, 500); resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1000))\n"
        "p = PreparedProcess(_command('prepared')); c = p.child('convert'); print(c.pid, flush=True); sys.stdin.read()"
    )
    with started([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        pid = int(owner.stdout.readline())
        assert "500" in descriptors(owner.pid)
        assert "500" not in descriptors(parent(pid)) and "500" not in descriptors(pid)


def test_an_owner_that_was_started_with_sigchld_ignored(tmp_path):
    """A signal that is ignored stays so in a program that replaces another one (execve(2))."""
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    code = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        f"os.execv({str(DW)!r}, ['dw', 'up', '--port', '0', '--output', 'json'])"
    )
    with (
        (tmp_path / "errors.log").open("wb") as errors,
        started([sys.executable, "-c", code], cwd=tmp_path, stdout=-1, stderr=errors) as process,
    ):
        warehouse = Running(process, tmp_path, json.loads(process.stdout.readline())["url"])
        busy(warehouse)
        os.kill(of(warehouse, "query"), signal.SIGKILL)
        busy(warehouse)
        assert parent(of(warehouse, "query")) == of(warehouse, "prepared")
        assert warehouse.stop() == 0
    assert "Traceback" not in (tmp_path / "errors.log").read_text()


def test_it_ends_by_itself_when_the_owner_is_gone(prepared):
    child = prepared.child("convert")
    process = parent(child.pid)
    code = (
        "import os, sys; from datawarehouse.runtime.prepared import PreparedProcess\n"
        "from datawarehouse.runtime.workers import _command\n"
        "p = PreparedProcess(_command('prepared')); c = p.child('convert'); print(c.pid, flush=True); sys.stdin.read()"
    )
    with started([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        pid = int(owner.stdout.readline())
        its = parent(pid)
        assert its != process
        owner.kill()
        until(lambda: gone(pid, its), "both have ended")
    child.kill()
    child.wait(patient(20))
    child.stdin.close()
    child.stdout.close()
