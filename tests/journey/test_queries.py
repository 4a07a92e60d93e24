"""Queries of a running warehouse: formats, limits, what is refused, and that they never disturb intake."""

import io
import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import running, until

from patience import patient


@pytest.fixture(scope="module")
def filled(warehouse):
    events = [{"id": f"e{n}", "n": n, "at": "2026-03-01T07:08:09.123Z"} for n in range(3)] + [{"id": 'quo"te,\n'}]
    warehouse.events("clicks", json.dumps(events).encode())
    warehouse.flush()
    return warehouse


def ask(warehouse, sql, form, *parameters):
    body = json.dumps({"sql": sql, "parameters": list(parameters), "format": form})
    return warehouse.request("POST", "/v1/query", body)


SQL = "select id, n, at from clicks where id like 'e%' or id like 'quo%' order by id"
ROWS = [
    {"id": "e0", "n": 0, "at": "2026-03-01T07:08:09.123Z"},
    {"id": "e1", "n": 1, "at": "2026-03-01T07:08:09.123Z"},
    {"id": "e2", "n": 2, "at": "2026-03-01T07:08:09.123Z"},
    {"id": 'quo"te,\n', "n": None, "at": None},
]
CSV = (
    '"id","n","at"\n"e0","0","2026-03-01T07:08:09.123Z"\n"e1","1","2026-03-01T07:08:09.123Z"\n'
    '"e2","2","2026-03-01T07:08:09.123Z"\n"quo""te,\n",,\n'
)


def test_json(filled):
    status, headers, body = ask(filled, SQL, "json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == ROWS
    assert json.loads(ask(filled, "select id from clicks where id = 'none'", "json")[2]) == []


def test_ndjson_is_the_default(filled):
    status, headers, body = filled.request("POST", "/v1/query", json.dumps({"sql": SQL}))
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson")
    assert [json.loads(line) for line in body.splitlines()] == ROWS


def test_csv(filled):
    status, headers, body = ask(filled, SQL, "csv")
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert body.decode() == CSV


def test_arrow(filled):
    status, headers, body = ask(filled, SQL, "arrow")
    assert status == 200
    table = pa.ipc.open_stream(io.BytesIO(body)).read_all()
    assert table.column("n").to_pylist() == [0, 1, 2, None]
    assert table.column("at").to_pylist()[0] == datetime(2026, 3, 1, 7, 8, 9, 123_000)
    assert int(headers["X-DW-Files"]) >= 1
    assert int(headers["X-DW-Bytes"]) > 0


def test_parameters(filled):
    assert filled.query("select n from clicks where id = ? and n >= ?", "e1", 1) == [{"n": 1}]


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        (b"select 1", 400, "BadRequest", 'Send {"sql": "select ...", "parameters": [...], "format": '),
        (b'{"sql": 1}', 400, "BadRequest", "Expected `str`, got `int`"),
        (b'{"sql": "select 1", "forma": "csv"}', 400, "BadRequest", "unknown field `forma`"),
        (b'{"sql": "select 1", "format": "xml"}', 400, "BadRequest", "valid are json, ndjson, csv, arrow"),
        (b'{"sql": "selec 1"}', 400, None, ""),
        (b'{"sql": "drop schema clicks"}', 400, "QueryRefused", "drop schema"),
        (b'{"sql": "drop table clicks"}', 403, "AccessDenied", "your own scratch alone"),
        (b'{"sql": "select * from read_csv(\'/etc/passwd\')"}', 400, "QueryRefused", "READ_CSV"),
        (b'{"sql": "select n from clicks where n = ?"}', 400, "BadRequest", ""),
        (b'{"sql": "select nothing from clicks"}', 422, "QueryFailed", "'nothing' cannot be resolved"),
        (b'{"sql": "select cast(id as int) from clicks"}', 422, "QueryFailed", ""),
        (b'{"sql": "select 1/0"}', 422, "QueryFailed", ""),
    ],
)
def test_errors_have_a_status_and_say_what_is_valid(filled, body, status, code, says):
    found, _, answer = filled.request("POST", "/v1/query", body)
    error = json.loads(answer)["error"]
    assert found == status
    assert code in (None, error["code"])
    assert says in error["message"]


def test_the_command_prints_what_programs_read(filled):
    done = filled.dw("query", "select id, n, at from clicks where n < 2 or id like 'quo%' order by id")
    assert done.stdout.splitlines() == [
        "id            n  at",
        "---------  ----  ------------------------",
        "e0            0  2026-03-01T07:08:09.123Z",
        "e1            1  2026-03-01T07:08:09.123Z",
        'quo"te,\\n  NULL  NULL',
    ]
    assert re.fullmatch(r"\n?3 rows in [0-9.]+ s; read 1 file, [0-9]+ B\n", done.stderr)
    assert json.loads(filled.dw("query", SQL, "--output", "json").stdout) == ROWS
    lines = filled.dw("query", SQL, "--output", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert filled.dw("query", SQL, "--output", "csv").stdout == CSV
    assert (
        filled.dw("query", "select n from clicks where id = ?", "--param", "e2", "--output", "csv").stdout
        == '"n"\n"2"\n'
    )


def test_the_command_writes_parquet(filled):
    import subprocess

    from running import DW

    done = subprocess.run([DW, "query", SQL, "--output", "parquet"], cwd=filled.folder, capture_output=True, check=True)
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 4


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("query", "drop schema clicks"), 10, "drop schema"),
        (("query", "drop table clicks"), 3, "your own scratch alone"),
        (("query", "select * from clicjs"), 1, "clicks"),
        (("query", "selec"), 2, ""),
        (("query", "select 1", "--data", "nowhere"), 4, "is not a data folder"),
        (("query", "select 1", "--query-threads", "0"), 2, "valid is 1 to 256 threads"),
        (("up", "--host", "0.0.0.0"), 2, "is not a loopback address"),
        (("up", "--port", "0"), 4, "is in use by process"),
        (("up", "--warehouse", "other.py"), 2, "There is no declaration other.py"),
        (("up", "--warehouse", "warehouse.py:wh"), 2, "no Warehouse named 'wh'; it has warehouse"),
        (("send", "clicks", "nothing.json"), 2, "There is no file nothing.json"),
        (("send", "nothing", "warehouse.py"), 2, "no input stream 'nothing'"),
        (("init",), 2, "warehouse.py exists already"),
        (("partition", "clicks", "x"), 2, "it is a streaming input table"),
        (("quarantine", "ls", "click"), 2, "There is no streaming input table 'click'; there are 'clicks'"),
        (("query", "select median(n) from clicks"), 10, "Did you mean approx_percentile(x, 0.5)?"),
        (("query", "select approx_percentile(decimal '1.5', 0.5)"), 1, "; F is real or double."),
    ],
)
def test_exit_codes(filled, arguments, code, says):
    done = filled.dw(*arguments, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert says in done.stderr
    assert done.stdout == ""


def test_queries_work_when_nothing_runs(tmp_path):
    with running(tmp_path) as first:
        first.events("clicks", b'{"id":"kept","n":1}')
    assert first.dw("query", "select id from clicks", "--output", "csv").stdout == '"id"\n"kept"\n'
    status = json.loads(first.dw("status", "--output", "json").stdout)
    assert status["running"] is False
    assert status["tables"][0]["stored"] == 1
    first.dw("flush")  # becomes the owner for a moment


def test_a_query_that_takes_too_long_ends_alone(tmp_path):
    many = "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1"
    limit_s = max(1, round(patient(1)))
    with running(tmp_path, "--query-time-max-s", str(limit_s), "--query-processes", "2") as limited:
        limited.events("clicks", b"\n".join(json.dumps({"id": "x", "n": n}).encode() for n in range(3000)))
        limited.flush()
        with ThreadPoolExecutor(4) as pool:
            slow = pool.submit(ask, limited, many, "json")
            quick = [pool.submit(limited.query, "select count(*) as c from clicks") for _ in range(10)]
            assert all(each.result() == [{"c": 3000}] for each in quick)
            status, _, answer = slow.result()
        assert (status, json.loads(answer)["error"]["code"]) == (422, "QueryLimitExceeded")
        assert f"longer than {limit_s} s (query_time_max_s)" in json.loads(answer)["error"]["message"]


def test_a_result_that_is_too_large_never_looks_complete(tmp_path):
    import http.client

    with running(tmp_path, "--query-result-rows-max", "25000") as limited:
        limited.events("clicks", b"\n".join(json.dumps({"id": "x", "n": n}).encode() for n in range(30_000)))
        limited.flush()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            ask(limited, "select * from clicks", "ndjson")
        assert limited.query("select count(*) as c from clicks") == [{"c": 30_000}]


def test_too_many_queries_wait_and_more_are_refused(tmp_path):
    many = "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1"
    limits = ("--query-processes", "1", "--query-threads", "1", "--query-waiting-max", "1", "--query-time-max-s", "3")
    with running(tmp_path, *limits) as busy:
        busy.events("clicks", b"\n".join(json.dumps({"id": "x", "n": n}).encode() for n in range(3000)))
        busy.flush()
        with ThreadPoolExecutor(8) as pool:
            answers = [each.result() for each in [pool.submit(ask, busy, many, "json") for _ in range(5)]]
        statuses = sorted(status for status, _, _ in answers)
        assert statuses == [422, 422, 429, 429, 429]
        refused = next(headers for status, headers, _ in answers if status == 429)
        assert refused["Retry-After"] == "1"


def test_a_query_child_that_is_killed_is_replaced(filled):
    assert filled.query("select 1 as one") == [{"one": 1}]
    queries = [pid for pid, command in filled.children().items() if "query" in command]
    assert queries
    for pid in queries:
        os.kill(pid, signal.SIGKILL)
    assert filled.query("select count(*) as c from clicks where id like 'e%'") == [{"c": 3}]


def test_a_client_that_goes_away_frees_its_query(tmp_path):
    import socket
    from urllib.parse import urlsplit

    many = "select count(*) from clicks a, clicks b, clicks c, clicks d where a.n * b.n * c.n * d.n = -1"
    with running(tmp_path, "--query-processes", "1") as busy:
        busy.events("clicks", b"\n".join(json.dumps({"id": "x", "n": n}).encode() for n in range(3000)))
        busy.flush()
        address = urlsplit(busy.url)
        body = json.dumps({"sql": many}).encode()
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(
                b"POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            until(lambda: any("query" in command for command in busy.children().values()), "the query runs")
        started = time.monotonic()
        assert busy.query("select count(*) as c from clicks") == [{"c": 3000}]
        assert time.monotonic() - started < patient(10), "long before the other would have ended by itself"
