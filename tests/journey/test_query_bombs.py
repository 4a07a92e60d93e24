"""Queries that ask for more memory or time than they may have: each is ended with its reason, and harms nobody else."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from running import DECLARATION, DW, running, until

from patience import patient

MIB = 1024 * 1024
MEMORY = ("--query-memory-bytes-max", "256MiB")
LIMITS = (*MEMORY, "--query-time-max-s", "5")
LONG_S = 60
"""For those that must end by their memory: on a busy machine they need many seconds until they have it."""
DECLARED = f"{DECLARATION}\nwarehouse = warehouse.with_workgroup('long', query_time_max_s={LONG_S})\n"
TOO_LARGE = {
    "one long text": "select length(array_join(flatten(repeat(flatten(repeat(repeat('x', 10000), 10000)), 10)), ''))",
    "a format": "select format('%1000000000d', 1)",
    "padding": "select rpad('x', 2147483647, 'y')",
    "a list to sort": "select array_sort(flatten(transform(sequence(1, 5000), s -> sequence(1, 10000))))",
    "lists of a window": "select array_agg(id) over () from clicks",
    "texts in a list": "select transform(flatten(transform(sequence(1, 1000), s -> sequence(1, 10000))), x -> "
    "cast(x as varchar))",
    "a map": "select map_agg(id, n) from (select a.id || b.id as id, a.n from clicks a, clicks b)",
}
TOO_LONG = {
    "a cross join": "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1",
    "many long rows": "select lpad(id, 1000000, 'x') from clicks a",
}
NEITHER = (
    "select count(distinct id || lpad(cast(k as varchar), 1000, 'x')) from clicks, (values 1, 2, 3, 4, 5) as v (k)"
)
LINUX = Path("/proc/self/status").exists()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    with running(folder, *LIMITS, "--query-processes", "1", declaration=DECLARED) as server:
        events = "".join(json.dumps({"id": str(n), "n": n}) + "\n" for n in range(20_000)).encode()
        server.request("POST", "/v1/tables/clicks/events", events, {"Content-Type": "application/x-ndjson"})
        server.dw("flush")
        yield server


def ask(server, sql, **more):
    status, _, body = server.request("POST", "/v1/query", json.dumps({"sql": sql, **more}))
    return status, body


def memory(pid, name="VmHWM"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


@pytest.mark.skipif(not LINUX, reason="the memory of a process is limited on Linux only")
@pytest.mark.parametrize("sql", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_query_that_needs_too_much_memory_is_ended_with_its_reason(server, sql):
    assert ask(server, "select count(*) from clicks where n >= 0")[0] == 200
    [child] = [pid for pid, command in server.children().items() if command.endswith(" query")]
    idle, peak, over = memory(child, "VmRSS"), [0], threading.Event()

    def watch():
        while not over.wait(0.005):
            try:
                peak[0] = max(peak[0], memory(child))
            except (OSError, AssertionError):
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        status, body = ask(server, sql)
    finally:
        over.set()
        watching.join()
    assert (status, json.loads(body)["error"]["code"]) == (422, "QueryLimitExceeded")
    assert peak[0] < idle + (256 + 256) * MIB
    assert ask(server, "select count(*) from clicks where n >= 0") == (200, b'{"_col0":20000}\n')


@pytest.mark.parametrize("sql", TOO_LONG.values(), ids=TOO_LONG)
def test_a_query_that_takes_too_long_is_ended_with_its_reason(server, sql):
    try:
        status, body = ask(server, sql)
    except OSError:  # it had begun to answer: the connection is closed
        assert "lpad" in sql
    else:
        assert (status, json.loads(body)["error"]["code"]) == (422, "QueryLimitExceeded")
        assert "query_time_max_s" in body.decode() or "lpad" in sql
    assert ask(server, "select count(*) from clicks where n >= 0") == (200, b'{"_col0":20000}\n')


def test_a_query_that_needs_nearly_all_of_its_memory_is_answered(server):
    """100,000 texts of 1,000 characters."""
    assert ask(server, NEITHER) == (200, b'{"_col0":100000}\n')


@pytest.mark.skipif(not LINUX, reason="the memory of a process is limited on Linux only")
def test_a_result_that_is_too_large_to_be_written_is_named_as_the_limit(server):
    """The numbers fit; their text, and what is needed to make it, does not."""
    found = set()
    for times in (10, 30, 60, 100, 150, 200, 400, 800, 1300):
        sql = f"select flatten(transform(sequence(1, {times}), x -> sequence(1, 10000))) as s"
        status, body = ask(server, sql, workgroup="long")
        found.add(status)
        assert status == 200 or (status == 422 and b"query_memory_bytes_max" in body), (times, body[:200])
    assert found == {200, 422}


def command(server, sql, limits=LIMITS, **more):
    return subprocess.Popen([DW, "query", sql, *limits], cwd=server.folder, text=True, stdout=-1, stderr=-1, **more)


@pytest.mark.parametrize(
    ("sql", "limit"),
    [(TOO_LARGE["padding"], ""), (TOO_LARGE["a list to sort"], "memory"), (TOO_LONG["a cross join"], "time")],
    ids=["padding", "a list to sort", "a cross join"],
)
def test_the_command_is_limited_as_well(server, sql, limit):
    limits = (*MEMORY, "--query-time-max-s", str(LONG_S)) if limit == "memory" else LIMITS
    process = command(server, sql, limits)
    out, error = process.communicate(timeout=patient(90))
    assert (process.returncode, out) == (4, "")
    assert error.startswith("dw query: The query ")
    assert error.count("\n") == 1
    assert f"query_{limit}" in error


def test_ctrl_c_ends_the_command_at_once(server):
    """A function of DuckDB's that is in the middle of its work does not hear of an interrupt."""
    process = command(
        server,
        "select cardinality(array_sort(flatten(transform(sequence(1, 2000), s -> sequence(1, 10000)))))",
        start_new_session=True,
    )
    until(lambda: len(members(process.pid)) == 2, "its process has begun")
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    assert process.wait(patient(10)) == 130
    assert time.monotonic() - began < patient(1)
    assert members(process.pid) == []
    assert "Traceback" not in process.communicate()[1]


def test_a_result_is_printed_whatever_a_query_may_take(server):
    """To print takes more memory than to compute: each cell is a text."""
    sql = "select x, y, x + y from unnest(sequence(1, 1000)) a(x), unnest(sequence(1, 500)) b(y)"
    small = (*LIMITS, "--query-memory-bytes-max", "64MiB")
    done = subprocess.run([DW, "query", sql, *small], cwd=server.folder, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (0, 500_002)


@pytest.mark.parametrize("form", ["table", "csv", "ndjson", "json", "parquet"])
def test_a_closed_standard_output_takes_no_result(server, form):
    call = f"exec {DW} query 'select 1' --output {form} >&-"
    done = subprocess.run(["sh", "-c", call], cwd=server.folder, text=True, stderr=-1, check=False)
    assert (done.returncode, done.stderr[:8]) == (0, "1 row in")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_kills_the_command_ends_its_query(server, number):
    """A program that starts `dw query` knows of one process."""
    with command(server, TOO_LONG["a cross join"], start_new_session=True) as process:
        until(lambda: len(members(process.pid)) == 2, "its process has begun")
        process.send_signal(number)
        process.wait(patient(10))
    until(lambda: members(process.pid) == [], "the query has ended", 3)


def members(session):
    listed = subprocess.run(["ps", "-o", "pid=", "--sid", str(session)], capture_output=True, text=True, check=False)
    return listed.stdout.split()


def test_an_endless_recursion_ends_after_ten_steps(server):
    endless = "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t"
    status, body = ask(server, endless)
    assert (status, json.loads(body)["error"]["code"]) == (422, "QueryFailed")
    assert "Recursion depth limit exceeded (10)" in json.loads(body)["error"]["message"]


def test_statements_that_are_only_large_are_errors_of_the_users(server):
    for sql, code in (
        ("select " + "1" * 5_000, "QueryFailed"),
        ("select " + "(" * 3_000 + "1" + ")" * 3_000, "QueryRefused"),
        ("select interval '" + "1" * 5_000 + "' day", "QueryRefused"),
    ):
        status, body = ask(server, sql, workgroup="long")
        assert (status in (400, 422), json.loads(body)["error"]["code"]) == (True, code)
    assert ask(server, "show tables '" + "*" * 3_000 + "b'") == (200, b"")
    assert ask(server, "select count(*) from clicks where inserted_at like '" + "%2" * 300 + "'")[0] == 200
