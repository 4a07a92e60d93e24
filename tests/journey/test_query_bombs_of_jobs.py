"""Queries of jobs that ask for too much: each ends with its reason, as those of anybody else, and harms nobody else."""

import json
import threading
import time
from pathlib import Path

import pytest
from bombs import BENIGN, BOMBS
from running import running

from patience import patient

MIB = 1024 * 1024
TIME_MAX_S = round(patient(3))
LIMITS = ("--query-memory-bytes-max", "256MiB", "--query-time-max-s", str(TIME_MAX_S))
DECLARATION = """
import json, os, time
from pathlib import Path
from datawarehouse import Warehouse
from datawarehouse.errors import DataWarehouseError

HOME = Path(__file__).parent

def say(*what):
    with (HOME / "said").open("a") as file:
        file.write(json.dumps(what) + "\\n")

def taken():
    values = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(values[name].split()[0]) * 1024 for name in ("VmRSS", "VmData")]

def bomb(job):
    job.query("select count(*) from clicks where n >= 0")
    say("pid", os.getpid())
    for sql in json.loads((HOME / "todo").read_text()):
        say("began", [time.time(), *taken()])
        try:
            say("answered", [list(row) for row in job.query(sql)])
        except DataWarehouseError as error:
            say(type(error).__name__, str(error))
    yield {"n": 1}

warehouse = Warehouse("analytics_dw").with_streaming_input_table("clicks", {"id": "string", "n": "int"})
warehouse = warehouse.with_batch_input_table(
    "bomb", {"n": "int"}, bomb, "cron(0 0 1 1 ? 2090)", partition_keys={"h": "string"}
)
"""
GROUPS = 8
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the memory of a process is limited on Linux only"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("bombs_of_jobs"), *LIMITS, declaration=DECLARATION) as server:
        events = "".join(json.dumps({"id": str(n), "n": n}) + "\n" for n in range(20_000)).encode()
        server.request("POST", "/v1/tables/clicks/events", events, {"Content-Type": "application/x-ndjson"})
        server.dw("flush")
        yield server


def memory(pid, name):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(name)


def said(server):
    path = server.folder / "said"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_of(server, statements):
    """What a run said that asks these, when it ended, why it failed, and how much more memory its process ever had than
    before the first of them."""
    (server.folder / "todo").write_text(json.dumps(statements))
    (server.folder / "said").unlink(missing_ok=True)
    more, over = [0], threading.Event()

    def watch():
        while not over.wait(0.005):
            try:
                [pid] = [value for what, value in said(server) if what == "pid"]
                (_, idle, _), *_ = [value for what, value in said(server) if what == "began"]
                more[0] = max(more[0], memory(pid, "VmRSS") - idle)
            except (OSError, ValueError):
                continue

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        ended = json.loads(server.dw("run", "bomb", "--output", "json", check=False).stdout)
    finally:
        over.set()
        watching.join()
    return said(server), time.time(), (ended["error"] or "").partition("\n")[0], more[0]


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_query_of_a_job_is_limited_as_any_other(server, group):
    """A query that can be interrupted fails, and the job can go on; another one ends the run."""
    left = list(BOMBS.values())[group::GROUPS]
    assert left
    while left:
        lines, ended, reason, more = run_of(server, left)
        assert more < (256 + 256) * MIB
        at = {"began": [], "ended": []}
        for what, value in lines[1:]:
            at["began" if what == "began" else "ended"].append(value[0] if what == "began" else (what, value))
        assert at["began"], reason
        for statement, (error, message) in zip(left, at["ended"], strict=False):
            assert error in ("QueryLimitExceeded", "QueryFailed"), (statement, message)
            limits = (
                "query_time_max_s",
                "query_memory_bytes_max",
                "Recursion depth limit exceeded (10)",
                "repetition size",
            )
            assert any(limit in message for limit in limits), (statement, message)
        moments = [*at["began"], ended]
        for statement, began, then in zip(left, moments, moments[1:], strict=False):
            assert then - began < TIME_MAX_S + patient(8), statement
        assert not reason or "(query_time_max_s)" in reason or "(query_memory_bytes_max)" in reason, reason
        assert bool(reason) == (len(at["ended"]) < len(at["began"])), "a run goes on after a query that failed"
        left = left[len(at["began"]) :]
    assert server.request("GET", "/health")[0] == 200


def test_a_query_of_a_job_may_take_nearly_all_of_its_memory(server):
    lines, _, reason, more = run_of(server, [BENIGN])
    assert (lines[-1], reason) == (["answered", [[100_000]]], "")
    assert more > 100 * MIB, "else it shows nothing"


def test_what_queries_of_a_job_leave_does_not_raise_the_limit_of_the_next(server):
    """The limit is what the process has, and so much more: what is free and still counts could be filled as well."""
    statements = [BENIGN, "select count(*) from clicks where n > 1", BENIGN, BOMBS["repeated text"], BENIGN, "select 1"]
    lines, *_ = run_of(server, statements)
    data = [value[-1] for what, value in lines if what == "began"]
    assert len(data) > 2, "else it shows nothing"
    assert max(data) < data[0] + 64 * MIB, data
