"""Do queries that ask for far too much stay within their limits, whoever asks, and does intake go on beside them?

40 statements that make gigabytes or compute without end are asked of a warehouse with 100,000 events under
query_memory_bytes_max = 256 MiB and query_time_max_s = 5: over HTTP, with `dw query`, and in a job. For each of the
three ways:

- peak      the most resident memory of any one process, less that of a process of the same kind that is idle
- ended     seconds until the query was ended or answered
- reason    how it ended: a limit, an error of the statement, or an answer within the limits

After each statement the owner must answer another one. A harmless query that needs 200 MiB must succeed. Ctrl-C, a
second after `dw query` was started, must end it within a second.

Then blocks of intake (20,000 events a second) without and with a bomb after the other over HTTP follow each other in
turn: the p99 of a request, and the bar, twice the p99 without and 20 ms.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from measuring import DW, lines_request, load, report, small_events, spread, write_requests

PAIRS = int(os.environ.get("BENCH_ROUNDS", "6"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "8"))
WAYS = tuple(os.environ.get("BENCH_WAYS", "http command job").split())
EVENTS_EACH, RATE, CONNECTIONS = 100, 20_000, 4
MIB = 1024 * 1024
PEAK_MAX, ENDED_MAX_S = (256 + 256) * MIB, 6.0

BOMBS = {
    "array_join of repeat": "select length(array_join(flatten(repeat(flatten(repeat(repeat('x', 10000), "
    "10000)), 10)), ''))",
    "format": "select format('%1000000000d', 1)",
    "repeat": "select flatten(repeat(flatten(repeat(repeat('x', 10000), 10000)), 10))",
    "rpad": "select rpad('x', 2147483647, 'y')",
    "lpad of rows": "select lpad(id, 1000000, 'x') from clicks",
    "sum of lengths": "select sum(length(lpad(id, 1000000, 'x'))) from clicks",
    "replace": "select length(replace(rpad('x', 1000000, 'x'), 'x', rpad('y', 10000, 'y')))",
    "regexp_replace": "select length(regexp_replace(rpad('x', 100000000, 'x'), 'x', 'yyyyyyyyyy'))",
    "split": "select cardinality(split(rpad(',', 300000000, ','), ','))",
    "regexp_extract_all": "select cardinality(regexp_extract_all(array_join(flatten(repeat(repeat('a', 10000), "
    "3000)), ''), 'a'))",
    "doubling": "with a as (select rpad('x', 1000000, 'x') as t), b as (select t||t||t||t||t||t||t||t as t from a), "
    "c as (select t||t||t||t||t||t||t||t as t from b), d as (select t||t||t||t||t||t||t||t as t from c) "
    "select length(t||t||t||t||t||t||t||t) from d",
    "listagg": "select length(array_join(array_agg(a.id), ',')) from clicks a, clicks b",
    "array_sort": "select array_sort(flatten(transform(sequence(1, 5000), s -> sequence(1, 10000))))",
    "sequence": "select cardinality(flatten(transform(sequence(1, 10), t -> flatten(transform(sequence(1, "
    "10000), s -> sequence(1, 10000))))))",
    "transform": "select transform(flatten(transform(sequence(1, 1000), s -> sequence(1, 10000))), x -> cast(x "
    "as varchar))",
    "filter": "select cardinality(filter(flatten(transform(sequence(1, 2), t -> flatten(transform(sequence(1, "
    "10000), s -> sequence(1, 10000))))), x -> x % 2 = 0))",
    "flatten": "select cardinality(flatten(transform(flatten(transform(sequence(1, 10), s -> sequence(1, "
    "10000))), x -> sequence(1, 10000))))",
    "array_distinct": "select cardinality(array_distinct(flatten(transform(sequence(1, 10000), s -> sequence(1, "
    "10000)))))",
    "array_agg of a cross join": "select cardinality(array_agg(a.id)) from clicks a, clicks b",
    "map_agg": "select map_agg(id, n) from (select a.id || b.id as id, a.n from clicks a, clicks b)",
    "unnest": "select count(distinct x * y) from unnest(flatten(transform(sequence(1, 10), s -> sequence(1, "
    "10000)))) a(x), unnest(flatten(transform(sequence(1, 10), s -> sequence(1, 10000)))) b(y)",
    "a nested list for each row": "select max(cardinality(flatten(transform(sequence(1, 10000 - n), s -> "
    "sequence(1, 10000))))) from clicks",
    "order of a cross join": "select a.id, b.id from clicks a, clicks b order by a.id || b.id, b.n",
    "order by long texts": "select id from clicks order by lpad(id, 100000, 'x')",
    "top of many": "select a.id || b.id as t from clicks a, clicks b order by t limit 10000000",
    "distinct": "select count(*) from (select distinct a.id || b.id from clicks a, clicks b)",
    "group by": "select a.id || b.id as t, count(*) from clicks a, clicks b group by 1 having count(*) > 1",
    "row_number": "select max(r) from (select row_number() over (order by a.id || b.id) as r from clicks a, clicks b)",
    "array_agg of a window": "select array_agg(id order by id) over () from clicks",
    "array_agg of a running window": "select cardinality(array_agg(id) over (order by id)) from clicks",
    "count distinct of a window": "select max(c) from (select approx_distinct(a.id || b.id) over (order by a.n) as c "
    "from clicks a, clicks b)",
    "three at once": "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1",
    "a join without a key": "select count(*) from clicks a join clicks b on a.id like '%' || b.id || '%x%'",
    "a correlated query": "select sum((select count(*) from clicks b where b.n < a.n and b.id <> a.id)) from clicks a, "
    "clicks c",
    "recursion": "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t",
    "recursion that doubles": "with recursive t(s) as (select 'xxxxxxxxxx' union all select s || s from t) "
    "select max(length(s)) from t",
    "a pattern": "select count(*) from clicks a, clicks b where a.id || b.id like '%1%2%3%4%5%6%7%8%9%0%1%2%3%4%5%x'",
    "a listing": "show tables '" + "*" * 3_000 + "b'",
    "json_parse": "select json_parse('[' || array_join(flatten(repeat(repeat('[1,2,3]', 10000), 5000)), ',') || ']')",
    "json of rows": "select cardinality(cast(json_parse('[' || array_join(array_agg(a.id), ',') || ']') "
    "as array(json))) from clicks a, clicks b",
}
HARMLESS = "select count(distinct id || lpad('', 2000, 'x')) from clicks"  # 200 MB of text, held at once
DECLARATION = """
from pathlib import Path
from datawarehouse import Warehouse

ASKED = Path(__file__).with_name("asked.sql")

def ask(job):
    if job.query(ASKED.read_text()) == "never":
        yield {"n": 1}

warehouse = (
    Warehouse("bench")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_streaming_input_table("t", {"id": "string", "session_id": "string", "event_time": "timestamp"})
    .with_batch_input_table("ask", {"n": "int"}, ask, "rate(365 days)")
)
"""
LIMITS = {
    "DW_QUERY_TIME_MAX_S": "5",
    "DW_QUERY_MEMORY_BYTES_MAX": "256MiB",
    "DW_JOB_TIME_MAX_S": "5",
    "DW_JOB_MEMORY_BYTES_MAX": "512MiB",
}


class Server:
    """A running `dw up`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "warehouse.py").write_text(DECLARATION)
        command = [DW, "up", "--port", "0", "--output", "json"]
        environment = {**os.environ, **LIMITS}
        with Path(folder, "errors.log").open("wb") as errors:
            self.process = subprocess.Popen(command, cwd=folder, stdout=-1, stderr=errors, env=environment)
        assert self.process.stdout
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.token = json.loads(Path(folder, "data", "_lock").read_text())["token"]

    def post(self, path: str, body: dict | bytes, timeout: float = 60) -> tuple[int, bytes]:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        try:
            data = body if isinstance(body, bytes) else json.dumps(body)
            connection.request("POST", path, data, {"Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


@contextmanager
def warehouse() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        server = Server(Path(folder))
        try:
            lines = b"".join(b'{"id": "%d", "n": %d}\n' % (n, n) for n in range(100_000))
            assert server.post("/v1/tables/clicks/events", lines)[0] == 200
            assert server.post("/v1/admin/flush", b"")[0] == 200
            yield server
        finally:
            server.stop()


# --- the three ways -------------------------------------------------------------------------------------------------


def over_http(server: Server, sql: str) -> str:
    try:
        status, body = server.post("/v1/query", {"sql": sql})
    except (OSError, http.client.HTTPException) as error:  # it had begun to answer, and was ended
        return f"ended while it answered ({type(error).__name__})"
    return "answered" if status == 200 else f"{status} {json.loads(body)['error']['message']}"


def with_command(server: Server, sql: str) -> str:
    done = subprocess.run(
        [DW, "query", sql, "--output", "ndjson"],
        cwd=server.folder,
        env={**os.environ, **LIMITS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return "answered" if done.returncode == 0 else f"{done.returncode} {done.stderr.strip()}"


def in_a_job(server: Server, sql: str) -> str:
    (server.folder / "asked.sql").write_text(sql)
    ended = json.loads(server.post("/v1/admin/run", {"job": "ask"})[1])
    return "answered" if ended["outcome"] == "succeeded" else str(ended["error"]).splitlines()[0]


ASK: dict[str, Callable[[Server, str], str]] = {"http": over_http, "command": with_command, "job": in_a_job}


class Watch(threading.Thread):
    """Keeps the most resident memory that any one process of a tree had, apart from its root and some others."""

    def __init__(self, root: int, without: frozenset[int] = frozenset()) -> None:
        super().__init__()
        self.root, self.without = root, without | {root}
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.01):
            for pid in descendants(self.root) - self.without:
                self.peak = max(self.peak, resident(pid))


def descendants(root: int) -> set[int]:
    found, left = set(), [root]
    while left:
        pid = left.pop()
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                children = [int(each) for each in file.read_text().split()]
            except OSError:
                continue
            found.update(children)
            left += children
    return found


def resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def watched(server: Server, way: str, sql: str) -> tuple[int, float, str]:
    """(peak, seconds, how it ended) of one statement."""
    root = os.getpid() if way == "command" else server.process.pid
    without = frozenset({server.process.pid} | descendants(server.process.pid)) if way != "http" else frozenset()
    if way == "http":  # the peak of an earlier statement is not this one's
        for pid in descendants(server.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
    watch = Watch(root, without)
    watch.start()
    began = time.monotonic()
    try:
        ended = ASK[way](server, sql)
    finally:
        took = time.monotonic() - began
        watch.over.set()
        watch.join()
    return watch.peak, took, ended


def bombs(server: Server, way: str) -> None:
    idle, _, answer = watched(server, way, "select count(*) from clicks where n >= 0")
    assert answer == "answered", answer
    rows, over, late, unnamed = [], [], [], []
    most, longest = (0, ""), (0.0, "")
    for name, sql in BOMBS.items():
        peak, took, ended = watched(server, way, sql)
        rows.append((f"{name}: {(peak - idle) // MIB} MiB, {took:.1f} s", ended[:110]))
        most, longest = max(most, ((peak - idle) // MIB, name)), max(longest, (round(took, 1), name))
        over += [name] if peak - idle > PEAK_MAX else []
        late += [name] if took > ENDED_MAX_S else []
        unnamed += [name] if not named(ended) else []
        assert over_http(server, "select count(*) from clicks where n >= 0") == "answered", name
    peak, took, ended = watched(server, way, HARMLESS)
    report(
        f"Bombs, {way} (an idle process has {idle // MIB} MiB)",
        [
            *rows,
            ("  the most memory, MiB", f"{most[0]} ({most[1]})"),
            ("  the longest, s", f"{longest[0]} ({longest[1]})"),
            (f"  over 512 MiB, of {len(BOMBS)}", ", ".join(over) or "none"),
            ("  ended after more than 6 s", ", ".join(late) or "none"),
            ("  ended without a reason", ", ".join(unnamed) or "none"),
            (f"harmless: {(peak - idle) // MIB} MiB, {took:.1f} s", ended),
        ],
    )


def interrupted(server: Server) -> None:
    took = {}
    for name, sql in BOMBS.items():
        process = subprocess.Popen(
            [DW, "query", sql, "--output", "ndjson"],
            cwd=server.folder,
            env={**os.environ, **LIMITS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            began = time.monotonic()
            if process.wait(60) == 130:
                took[name] = time.monotonic() - began
    slowest = max(took, key=lambda name: took[name])
    report(
        f"Ctrl-C, {len(took)} statements that had not ended after a second",
        [
            ("seconds until it ended", spread([*took.values()], "{:.2f}")),
            ("  the slowest", slowest),
            ("  bar: at most 1 s", "holds" if took[slowest] <= 1 else "does not hold"),
        ],
    )


def named(ended: str) -> bool:
    """Whether the reason is a limit, an error of the statement, or none because there is an answer."""
    return ended.startswith(("answered", "ended while it answered")) or any(
        each in ended for each in ("_max", "Recursion", "recursion", "wants to be", "Invalid", "invalid")
    )


# --- beside intake --------------------------------------------------------------------------------------------------


def beside(server: Server) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        events = list(small_events(10_000))
        lines = [lines_request("t", events[at : at + EVENTS_EACH]) for at in range(0, len(events), EVENTS_EACH)]
        requests = write_requests(Path(name) / "requests", lines, EVENTS_EACH)
        pairs = []
        turn = iter([*BOMBS.values()] * PAIRS)
        for number in range(PAIRS + 1):
            idle = load(server.url, requests, CONNECTIONS, SECONDS, RATE)
            stopping = threading.Event()

            def ask(stopping: threading.Event = stopping) -> None:
                while not stopping.is_set():
                    over_http(server, next(turn))

            asking = threading.Thread(target=ask)
            asking.start()
            busy = load(server.url, requests, CONNECTIONS, SECONDS, RATE)
            stopping.set()
            asking.join()
            assert not idle["failed"] + busy["failed"]
            if number:  # the first pair warms up
                pairs.append((idle["p99_ms"], busy["p99_ms"]))
    over = [b - (2 * i + 20) for i, b in pairs]
    report(
        "Intake of 20,000 events a second beside bombs",
        [
            ("p99 of a request without them, ms", spread([i for i, _ in pairs], "{:.1f}")),
            ("p99 of a request beside them, ms", spread([b for _, b in pairs], "{:.1f}")),
            ("  beside - (2 x without + 20 ms): bar 0", spread(over, "{:.1f}")),
            ("  pairs within the bar", f"{sum(each <= 0 for each in over)} of {len(over)}"),
            ("  the median holds", "yes" if statistics.median(over) <= 0 else "no"),
        ],
    )


def main() -> None:
    with warehouse() as server:
        for way in WAYS:
            bombs(server, way)
        interrupted(server)
        if PAIRS:
            beside(server)


if __name__ == "__main__":
    main()
