"""What a workgroup may read in a day: never overspent, and used to the last query that fits."""

import json
import os
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
from running import running, until

from datawarehouse.catalog.history import History
from datawarehouse.folder import history_path

DECLARED = """
import time

from datawarehouse import Warehouse
from datawarehouse.clock import WallClock

DAY_MS = 86_400_000
AHEAD_MS = DAY_MS // 2 - time.time_ns() // 10**6 % DAY_MS
WallClock.now_ms = lambda self: time.time_ns() // 10**6 + AHEAD_MS  # it is noon: no day ends during a test

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_workgroup("daily", scan_bytes_per_day_max=10 * 1024**2, concurrency_max=2)
)
"""
READ = "select max(n) as most from clicks where id > ''"
BUDGET = 10 * 1024**2
TRIES, AT_ONCE = 1000, 40


def ask(started, sql, workgroup="daily"):
    body = json.dumps({"sql": sql, "format": "json", "workgroup": workgroup})
    status, headers, answer = started.request("POST", "/v1/query", body)
    return status, headers, json.loads(answer)


def read_by(started, where="outcome = 'succeeded'"):
    """(how many queries of the workgroup, how many bytes they read), of those that are over."""
    until(
        lambda: not started.query("select id from query_history where outcome = 'running' and workgroup = 'daily'"), ""
    )
    [row] = started.query(
        f"select count(*) as c, coalesce(sum(bytes), 0) as b from query_history where workgroup = 'daily' and {where}"
    )
    return row["c"], row["b"]


@pytest.fixture
def shop(tmp_path):
    with running(tmp_path, "--query-waiting-max", str(TRIES), declaration=DECLARED) as started:
        events = b"".join(b'{"id": "%060d%060d", "n": %d}\n' % (n * 7919, n * 104729, n) for n in range(2000))
        started.events("clicks", events)
        started.flush()
        yield started


def counted(started):
    """How many bytes are counted for the workgroup."""
    with closing(sqlite3.connect(history_path(started.folder / "data"))) as db:
        return sum(bytes for (bytes,) in db.execute("select bytes from spent where workgroup = 'daily'"))


def spent(started, *, all_but):
    """Leave so many bytes of the owner's day, as if queries had read the others."""
    day = json.loads(started.request("GET", "/v1/overview")[2])["now"][:10]
    path = history_path(started.folder / "data")
    history = History(path)
    assert history.spend(day, "daily", BUDGET - all_but, BUDGET) is None
    history.close()


def test_many_at_the_edge_overspend_by_nothing_and_leave_less_than_one_estimate(shop):
    assert ask(shop, READ)[0] == 200
    _, estimate = read_by(shop)
    left = 7 * estimate + estimate // 2
    spent(shop, all_but=left + estimate)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: ask(shop, READ), range(TRIES)))
    passed = [answer for status, _, answer in answers if status == 200]
    refused = [(status, headers, answer) for status, headers, answer in answers if status != 200]
    count, total = read_by(shop)
    assert (len(passed), count, total) == (7, 8, 8 * estimate)
    assert 0 <= left - 7 * estimate < estimate
    assert {(status, answer["error"]["code"]) for status, _, answer in refused} == {(429, "Throttled")}
    _, headers, answer = refused[0]
    assert f"{left - 7 * estimate:,} are left" in answer["error"]["message"]
    assert 0 < int(headers["Retry-After"]) <= 24 * 3600
    assert ask(shop, READ, workgroup="")[0] == 200
    assert ask(shop, "select 1 as one")[0] == 200


def test_what_is_counted_is_what_was_read_while_files_come_in(tmp_path):
    """An estimate that files have overtaken is made again; nothing is read that was not reserved."""
    over = threading.Event()
    ample = DECLARED.replace("10 * 1024**2", "10**15")
    with (
        running(tmp_path, "--convert-interval-ms", "10", declaration=ample) as started,
        ThreadPoolExecutor(1) as pool,
    ):

        def send():
            while not over.is_set():
                started.events("clicks", b'{"id": "more", "n": 1}')

        sending = pool.submit(send)
        try:
            statuses = [ask(started, READ)[0] for _ in range(100)]
        finally:
            over.set()
        sending.result()
        assert set(statuses) == {200}
        count, total = read_by(started)
        assert (count, counted(started)) == (100, total)


def test_a_query_that_waited_gives_all_back_and_one_that_ran_nothing(shop):
    assert ask(shop, READ)[0] == 200
    _, estimate = read_by(shop)
    long = (
        "select count(*) from clicks c, unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y) "
        "where c.id > '' and x * y = c.n"
    )
    ids = []
    for _ in range(3):  # two run, one waits
        body = json.dumps({"sql": long, "workgroup": "daily"})
        ids.append(json.loads(shop.request("POST", "/v1/queries", body)[2])["id"])
        if len(ids) < 3:
            until(lambda: state(shop, ids[-1]) == "running" and counted(shop) == (len(ids) + 1) * estimate, "it runs")
    ended = shop.request("DELETE", f"/v1/queries/{ids[2]}")
    assert json.loads(ended[2])["state"] == "ended"
    until(lambda: counted(shop) == 3 * estimate, "the one that waited was given back")
    assert json.loads(shop.request("DELETE", f"/v1/queries/{ids[1]}")[2])["state"] == "ended"
    assert ask(shop, "selec", workgroup="daily")[0] == 400
    assert counted(shop) == 3 * estimate, "what the other read until then is not known"
    kill(shop)
    assert counted(shop) == 3 * estimate


def test_a_query_that_fails_costs_what_it_may_have_read(shop):
    assert ask(shop, READ)[0] == 200
    _, estimate = read_by(shop)
    assert counted(shop) == estimate
    unbound = "select id from clicks where id > '' group by n"  # what only the engine finds, before it reads
    status, _, answer = ask(shop, unbound)
    assert (status, answer["error"]["code"]) == (422, "QueryFailed")
    until(lambda: counted(shop) == estimate, "all of it was given back")
    assert read_by(shop, "outcome = 'failed'") == (1, 0)
    status, _, answer = ask(shop, "select cast(id || 'x' as int) as x from clicks where id > ''")
    assert (status, answer["error"]["code"]) == (422, "QueryFailed")
    _, of_failed = read_by(shop, "outcome = 'failed'")
    assert estimate < counted(shop) == estimate + of_failed


def kill(started):
    """Kill the owner and what computes for it, which would go on for a while."""
    children = started.children()
    started.process.kill()
    for process in children:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    started.process.wait()


def state(shop, id):
    return json.loads(shop.request("GET", f"/v1/queries/{id}")[2])["state"]
