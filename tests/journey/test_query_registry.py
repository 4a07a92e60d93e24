"""Queries that can be looked at, fetched in pages and ended: over HTTP and by `dw queries`."""

import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from running import running, until

from datawarehouse.folder import history_path, queries_root

DECLARED = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_workgroup("slow", concurrency_max=1)
    .with_workgroup("few", result_rows_max=3)
)
"""
ENDLESS = (
    "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
    "unnest(sequence(1, 10000)) c(z) where x * y * z = -1"
)
MANY = "select x, y from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 5)) b(y)"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([{"id": f"e{n}", "n": n} for n in range(5)]).encode())
        started.flush()
        yield started


@pytest.fixture(autouse=True)
def nothing_runs(shop):
    yield
    try:
        until(lambda: not [each for each in listed(shop) if each["ended_at"] is None], "nothing runs any more")
    finally:
        for each in listed(shop):
            if each["ended_at"] is None:  # of a test that failed: the next one begins with nothing
                call(shop, "DELETE", f"/v1/queries/{each['id']}")


def call(shop, method, path, **body):
    status, _, answer = shop.request(method, path, json.dumps(body).encode() if body else None)
    return status, json.loads(answer)


def submitted(shop, sql, **rules):
    status, query = call(shop, "POST", "/v1/queries", sql=sql, **rules)
    assert status == 202
    return query["id"]


def state(shop, id, wait_s=20):
    return call(shop, "GET", f"/v1/queries/{id}?wait_s={wait_s}")[1]


def page(shop, id, number):
    status, _, page = shop.request("GET", f"/v1/queries/{id}/pages/{number}")
    assert status == 200
    return page


def results(shop):
    """The files in which results are kept."""
    return list(queries_root(shop.folder / "data").glob("*.result"))


def listed(shop):
    return call(shop, "GET", "/v1/queries")[1]["queries"]


def computing(shop):
    """How long each process that computes has used the processor, in ticks of the system's clock."""
    used = {}
    for process, command in shop.children().items():
        if command == "dw up: query":
            used[process] = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11])
    return used


def working(shop):
    """The processes that compute and give way to others, as those of ad-hoc queries do."""
    found = []
    for process, ticks in computing(shop).items():
        with suppress(ProcessLookupError):
            if ticks > 5 and os.getpriority(os.PRIO_PROCESS, process) == 10:
                found.append(process)
    return found


def test_a_submitted_query_is_fetched_in_pages(shop):
    id = submitted(shop, MANY)
    told = state(shop, id)
    assert (told["state"], told["who"], told["workgroup"], told["error"]) == ("succeeded", "owner", "production", None)
    assert told["progress"]["rows"] == 50_000
    pages = [page(shop, id, n) for n in range(told["result"]["pages"])]
    assert len(pages) > 1
    assert sum(map(len, pages)) == told["result"]["bytes"]
    rows = [json.loads(line) for page in pages for line in page.splitlines()]
    assert sorted((row["x"], row["y"]) for row in rows) == [(x, y) for x in range(1, 10_001) for y in range(1, 6)]
    status, answer = call(shop, "GET", f"/v1/queries/{id}/pages/{len(pages)}")
    assert (status, f"pages 0 to {len(pages) - 1}" in answer["error"]["message"]) == (400, True)


def test_what_a_query_reads_stands_in_its_state(shop):
    told = state(shop, submitted(shop, "select max(n) as most from clicks where id > 'a'", format="csv"))
    assert told["progress"]["files"] == 1
    assert told["progress"]["bytes"] > 0
    assert [page(shop, told["id"], n) for n in range(told["result"]["pages"])] == [b'"most"\n', b'"4"\n']


def test_the_state_tells_how_much_is_done_while_a_query_runs(tmp_path):
    wide = b"".join(b'{"id": "%0600d", "n": %d}\n' % (7 ** (n + 100) % 10**600, n) for n in range(5000))
    with running(tmp_path, declaration=DECLARED) as started:
        assert started.events("clicks", wide)[0] == 200
        started.flush()
        long = "select count(*) from clicks a, clicks b where regexp_replace(a.id || b.id, '[0-7]+', 'y') = a.id"
        id = submitted(started, long)
        told = until(lambda: (found := progress(started, id))["share"] is not None and found, "the share is known")
        assert 0 <= told["share"] < 1
        assert (told["files"], told["bytes"] > 10**6) == (2, True)
        assert "share" in (table := started.dw("queries").stdout) and "% " in table
        call(started, "DELETE", f"/v1/queries/{id}")
        short = submitted(started, "select count(*) from clicks where n < 5")
        assert state(started, short)["progress"]["share"] == 1.0


def progress(shop, id):
    return state(shop, id, 0)["progress"]


def test_a_removed_query_is_gone_with_its_result(shop):
    id = submitted(shop, MANY)
    state(shop, id)
    [file] = [file for file in results(shop) if file.stem == id]
    assert file.stat().st_mode & 0o777 == 0o600
    assert call(shop, "DELETE", f"/v1/queries/{id}")[0] == 200
    assert not file.exists()
    for method, path in (("GET", ""), ("GET", "/pages/0"), ("DELETE", "")):
        status, answer = call(shop, method, f"/v1/queries/{id}{path}")
        assert (status, answer["error"]["code"]) == (404, "UnknownQuery")


def test_ending_a_query_ends_the_work_of_the_engine(shop):
    id = submitted(shop, ENDLESS, workgroup="slow")
    waiting = submitted(shop, ENDLESS, workgroup="slow")
    until(lambda: state(shop, id, 0)["state"] == "running" and working(shop), "the engine works")
    assert state(shop, waiting, 0)["state"] == "waiting"
    [worker] = working(shop)
    assert call(shop, "DELETE", f"/v1/queries/{waiting}")[1]["state"] == "ended"
    assert call(shop, "DELETE", f"/v1/queries/{id}")[1]["state"] == "ended"
    until(lambda: worker not in shop.children(), "the process has ended")
    told = state(shop, id)
    assert told["error"] == {"code": "QueryEnded", "message": "The query was ended: owner asked for that."}
    status, answer = call(shop, "GET", f"/v1/queries/{id}/pages/0")
    assert (status, answer["error"]["code"]) == (409, "QueryEnded")
    assert state(shop, submitted(shop, "select 1", workgroup="slow"))["state"] == "succeeded"


def test_a_query_whose_reader_went_away_ends(shop):
    address = shop.url.removeprefix("http://").split(":")
    body = json.dumps({"sql": ENDLESS, "workgroup": "slow"}).encode()
    with socket.create_connection((address[0], int(address[1]))) as reader:
        reader.sendall(b"POST /v1/query HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        until(lambda: [each["state"] for each in listed(shop) if each["ended_at"] is None] == ["running"], "it runs")
        [id] = [each["id"] for each in listed(shop) if each["ended_at"] is None]
        status, answer = call(shop, "GET", f"/v1/queries/{id}/pages/0")
        assert (status, "was not submitted" in answer["error"]["message"]) == (400, True)
    until(lambda: not [each for each in listed(shop) if each["ended_at"] is None], "it ended")


def test_the_command_lists_and_ends_queries(shop):
    id = submitted(shop, ENDLESS, workgroup="slow")
    until(lambda: state(shop, id, 0)["state"] == "running", "it runs")
    [line] = [line for line in shop.dw("queries").stdout.splitlines() if line.startswith(id)]
    assert "slow" in line and "running" in line and "select count(*)" in line
    assert "ended" in shop.dw("queries", "kill", id).stderr
    told = json.loads(shop.dw("queries", "--output", "json").stdout)
    assert [each["state"] for each in told if each["id"] == id] == ["ended"]
    unknown = shop.dw("queries", "kill", "00", check=False)
    assert (unknown.returncode, "There is no query '00'" in unknown.stderr) == (2, True)
    assert shop.dw("queries", "kill", check=False).returncode == 2
    assert shop.dw("queries", "ls", id, check=False).returncode == 2


def test_a_failure_is_told_where_the_query_is_asked_for(shop):
    id = submitted(shop, "select id from clicks", workgroup="few")
    told = state(shop, id)
    assert (told["state"], told["error"]["code"], told["result"]) == ("failed", "QueryLimitExceeded", None)
    assert call(shop, "GET", f"/v1/queries/{id}/pages/0")[0] == 422
    assert id not in {file.stem for file in results(shop)}


def history(shop, id):
    """What the table of queries says of one, once it says how it ended."""
    asked = {}

    def has_ended():
        for row in shop.query("select * from query_history where id = ?", id):
            asked.update(row)
        return asked.get("ended")

    until(has_ended, "the end is in the history")
    return asked


def test_the_history_has_every_query_and_its_outcome(shop):
    read = submitted(shop, "select max(n) as most from clicks where id > 'a'", workgroup="slow", full_scan=True)
    row = history(shop, read)
    assert (row["who"], row["workgroup"], row["outcome"], row["full_scan"]) == ("owner", "slow", "succeeded", True)
    assert row["sql"] == "select max(n) as most from clicks where id > 'a'"
    assert (row["partitions"], row["files"], row["rows"], row["error"]) == (1, 1, 1, None)
    assert row["bytes"] == state(shop, read)["progress"]["bytes"] > 0
    assert row["asked"] <= row["started"] <= row["ended"]
    _, headers, _ = shop.request("POST", "/v1/query", json.dumps({"sql": "select id from clicks"}))
    assert history(shop, headers["X-DW-Query"])["rows"] == 5
    failed = history(shop, submitted(shop, "select id from clicks", workgroup="few"))
    assert (failed["outcome"], "more than 3 rows" in failed["error"]) == ("failed", True)
    wrong = history(shop, submitted(shop, "selec"))
    assert (wrong["outcome"], wrong["sql"], wrong["files"]) == ("failed", "selec", 0)
    endless = submitted(shop, ENDLESS, workgroup="slow")
    until(
        lambda: (
            shop.query("select outcome, ended from query_history where id = ?", endless)
            == [{"outcome": "running", "ended": None}]
        ),
        "it is in the history",
    )
    call(shop, "DELETE", f"/v1/queries/{endless}")
    assert history(shop, endless)["outcome"] == "ended"
    command = shop.dw("query", "--output", "json", "select count(*) as c from query_history where outcome = 'ended'")
    assert json.loads(command.stdout)[0]["c"] >= 1


def test_the_history_outlives_its_owner(tmp_path):
    with running(tmp_path, declaration=DECLARED) as started:
        cut = submitted(started, ENDLESS)
        until(lambda: started.query("select * from query_history where id = ?", cut), "it is in the history")
        computing = list(started.children())
        started.process.kill()
        for process in computing:  # which would go on for a while
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        started.process.wait()
    with running(tmp_path, declaration=DECLARED) as started:
        assert history_outcomes(started)[cut] == "interrupted"
    path = history_path(tmp_path / "data")
    path.write_bytes(b"this is no database " * 1000)
    for beside in path.parent.glob("history.sqlite-*"):
        beside.unlink()
    with running(tmp_path, declaration=DECLARED) as started:
        until(lambda: list(history_outcomes(started).values())[:-1] == [], "it begins anew")
    assert path.with_name("history.sqlite.aside").read_bytes().startswith(b"this is no database")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="says how much memory a process has")
def test_statements_that_fail_are_not_kept_in_memory(shop):
    """Of a thousand the state can still be asked; their bodies and what was made of them are of no use."""

    def megabytes():
        status = Path(f"/proc/{shop.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) // 1024

    body = json.dumps({"sql": f"-- {'x' * 4_000_000}"}).encode()
    shop.request("POST", "/v1/query", body)
    before = megabytes()
    for _ in range(15):
        assert shop.request("POST", "/v1/query", body)[0] == 400
    assert megabytes() < before + 60  # with what they would keep it is 120


def test_a_dry_run_is_no_query_of_the_history(shop):
    assert call(shop, "POST", "/v1/query", sql="select 'tried' as x from clicks", dry_run=True)[0] == 200
    asked = submitted(shop, "select 'asked' as x from clicks")
    history(shop, asked)
    texts = [
        row["sql"] for row in shop.query("select sql from query_history where sql like 'select ''%' order by asked")
    ]
    assert texts == ["select 'asked' as x from clicks"]


def history_outcomes(started):
    return {row["id"]: row["outcome"] for row in started.query("select id, outcome from query_history order by asked")}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/queries", {"sql": "select 1", "workgroup": "nobody"}, 400),
        ("POST", "/v1/queries", {"sql": 5}, 400),
        ("PUT", "/v1/queries", {}, 405),
        ("PUT", "/v1/queries/{id}", {}, 405),
        ("GET", "/v1/queries/{id}/pages/x", {}, 404),
        ("GET", "/v1/queries/../x", {}, 404),
        ("GET", "/v1/queries/{id}?wait_s=61", {}, 400),
        ("GET", "/v1/queries/{id}?wait_s=-1", {}, 400),
        ("GET", "/v1/queries/{id}?wait_s=%D9%A3", {}, 400),
    ],
)
def test_a_wrong_call_is_answered_with_what_is_valid(shop, method, path, body, status):
    id = submitted(shop, "select 1")
    state(shop, id)
    found, answer = call(shop, method, path.format(id=id), **body)
    assert (found, bool(answer["error"]["message"])) == (status, True)


def test_results_expire_and_the_oldest_make_room(tmp_path):
    limits = ("--query-results-bytes-max", "1MiB", "--query-results-keep-s", "3")
    with running(tmp_path, *limits, declaration=DECLARED) as started:
        ids = [submitted(started, MANY) for _ in range(3)]  # of some 900 kB each
        for id in ids:
            state(started, id)
        states = {each["id"]: each["state"] for each in listed(started)}
        assert "succeeded" in states.values()
        assert sum(file.stat().st_size for file in results(started)) <= 1024**2
        too_much = state(started, submitted(started, MANY.replace("1, 5)", "1, 10)")))
        assert (too_much["state"], "query_results_bytes_max" in too_much["error"]["message"]) == ("failed", True)
        until(lambda: not listed(started), "all have expired")
        assert not results(started)
        submitted(started, "select 1")
    assert not results(started)
