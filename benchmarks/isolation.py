"""Do people who ask for far too much slow down production's queries and intake, and does what they ask end in time?

Method: 50,000 events of 138 B a second arrive over 4 connections, 500 to a request, and 10 production queries a second
are asked when they are due, whether or not those before were answered; a query counts from when it was due. In every
other block four ad-hoc clients ask one statement after the other as well (joins that explode, sorts, strings of
gigabytes), in the workgroup `adhoc`, of which four may run at once, under 256 MiB and 5 s; the memory of all queries
together is 1 GiB. Pairs of interleaved blocks; which block is first changes from pair to pair.

- the p50 and p95 of production's queries, and the p99 of a request of events: at most 1.5 x without, and 5 ms
- the memory of the tree (PSS): at most that without the ad-hoc clients, query_memory_total_bytes, and for each of the
  four processes what an idle one has and 64 MiB
- the longest ad-hoc query, from when it no longer waits until its end: at most its limit and 1 s

If the machine cannot take 50,000 a second beside its own client, the highest rate of a few that it can is used, and
said; BENCH_RATE sets one. BENCH_STRICT=yes makes it an error if a bar does not hold.

isolation.py [client URL SECONDS AD_HOC_CLIENTS]
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import uvloop
from bombs import BOMBS, DW, MIB, descendants
from measuring import lines_request, load, report, small_events, spread, write_requests

PAIRS = int(os.environ.get("BENCH_ROUNDS", "10"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
RATE = int(os.environ.get("BENCH_RATE", "0"))
IS_STRICT = os.environ.get("BENCH_STRICT") == "yes"
RATES = (50_000, 40_000, 30_000, 20_000, 10_000)
STEADY = 0.98
EVENTS_EACH, CONNECTIONS = 500, 4
QUERIES_PER_S, AD_HOC_CLIENTS = 10, 4
TIME_MAX_S, MEMORY, TOTAL, ROOM = 5, 256 * MIB, 1024 * MIB, 64 * MIB
TIMES, MORE_MS, LATE_MAX_S = 1.5, 5.0, 1.0

PRODUCTION = "select n % 100 as k, count(*) as c, sum(n) as s from clicks group by n % 100 order by s desc limit 10"
AD_HOC = [
    BOMBS[name]
    for name in (
        "order of a cross join", "replace", "three at once", "order by long texts", "distinct", "lpad of rows",
        "a join without a key", "top of many", "doubling", "group by", "array_sort", "regexp_replace", "row_number",
        "split", "array_agg of a cross join", "a pattern",
    )
]  # fmt: skip
DECLARATION = f"""
from datawarehouse import Warehouse

warehouse = (
    Warehouse("bench")
    .with_streaming_input_table("clicks", {{"id": "string", "n": "int"}})
    .with_streaming_input_table("t", {{"id": "string", "session_id": "string", "event_time": "timestamp"}})
    .with_workgroup("adhoc", concurrency_max={AD_HOC_CLIENTS})
)
"""
LIMITS = {
    "DW_QUERY_TIME_MAX_S": str(TIME_MAX_S),
    "DW_QUERY_MEMORY_BYTES_MAX": str(MEMORY),
    "DW_QUERY_MEMORY_TOTAL_BYTES": str(TOTAL),
}


# -- the clients that ask, a process of its own


async def asked(url: str, sql: str, workgroup: str) -> tuple[int, bytes]:
    """The status and the body of an answer, over a connection of its own."""
    address = urlsplit(url)
    body = json.dumps({"sql": sql, "workgroup": workgroup, "format": "json"}).encode()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(
            b"POST /v1/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        size, first = 0, b""
        while piece := await reader.read(65536):
            first, size = first or piece, size + len(piece)
        return int(head.split()[1]), first
    finally:
        writer.close()


async def client(url: str, seconds: float, ad_hoc: int) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.2
    answered_ms: list[float] = []
    outcomes: Counter[str] = Counter()
    turn = count()

    async def production(number: int) -> None:
        due = start + number / QUERIES_PER_S
        await asyncio.sleep(due - loop.time())
        status, body = await asked(url, PRODUCTION, "production")
        assert status == 200, body
        answered_ms.append((loop.time() - due) * 1000)

    async def person() -> None:
        while True:
            try:
                status, body = await asked(url, AD_HOC[next(turn) % len(AD_HOC)], "adhoc")
            except (OSError, asyncio.IncompleteReadError):  # it had begun to answer, and was ended
                status, body = 0, b""
            outcome = {200: "answered or cut off", 0: "answered or cut off"}.get(status)
            outcomes[outcome or json.loads(body)["error"]["message"].rpartition("(")[2].partition(")")[0]] += 1

    people = [asyncio.ensure_future(person()) for _ in range(ad_hoc)]
    await asyncio.gather(*(production(number) for number in range(int(seconds * QUERIES_PER_S))))
    for each in people:
        if each.done():
            each.result()
        each.cancel()
    print(json.dumps({"ms": sorted(answered_ms), "outcomes": outcomes}))


# -- the measurement


class Server:
    """A running `dw up` with 100,000 rows to ask for."""

    def __init__(self, folder: Path) -> None:
        (folder / "warehouse.py").write_text(DECLARATION)
        command = [DW, "up", "--port", "0", "--output", "json"]
        with Path(folder, "errors.log").open("wb") as errors:
            environment = {**os.environ, **LIMITS}
            self.process = subprocess.Popen(command, cwd=folder, stdout=-1, stderr=errors, env=environment)
        assert self.process.stdout
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.folder = folder

    def dw(self, *arguments: str) -> str:
        command = [DW, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def rows(self, sql: str) -> list[dict]:
        return json.loads(self.dw("query", sql, "--output", "json"))

    def wait_for_quiet(self) -> None:
        """Return when no ad-hoc query runs or waits any more: whoever asked them has gone."""
        while any(query["ended_at"] is None for query in self.queries()):
            time.sleep(0.1)

    def queries(self) -> list[dict]:
        with urlopen(f"{self.url}/v1/queries") as answer:
            return json.load(answer)["queries"]


@contextmanager
def warehouse() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        server = Server(Path(name))
        try:
            lines = b"".join(b'{"id": "%d", "n": %d}\n' % (n, n) for n in range(100_000))
            (Path(name) / "clicks.ndjson").write_bytes(lines)
            server.dw("send", "clicks", "clicks.ndjson")
            server.dw("flush")
            yield server
        finally:
            server.process.terminate()
            server.process.wait()


class Memory(threading.Thread):
    """Keeps the most memory that a tree of processes had (PSS)."""

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.peak = max(self.peak, sum(memory_of(pid) for pid in {self.root} | descendants(self.root)))


def memory_of(pid: int, kind: str = "Pss") -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split(f"\n{kind}:")[1].split()[0]) * 1024
    return 0  # it has ended


def idle_bytes(server: Server) -> int:
    """The memory that a process for queries shares with no other, once it has answered production's."""
    names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in descendants(server.process.pid)}
    return max(memory_of(pid, "Private_Dirty") for pid, name in names.items() if name == "dw up: query")


def block(server: Server, requests: Path, rate: int, ad_hoc: int) -> dict:
    command = [sys.executable, __file__, "client", server.url, str(SECONDS), str(ad_hoc)]
    memory = Memory(server.process.pid)
    memory.start()
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
            taken = load(server.url, requests, CONNECTIONS, SECONDS, rate)
            told = asking.communicate()[0]
        assert asking.returncode == 0 and not taken["failed"], taken
    finally:
        memory.over.set()
        memory.join()
    server.wait_for_quiet()
    found = json.loads(told)
    ms = found["ms"]
    return {
        "intake p99": taken["p99_ms"],
        "query p50": statistics.median(ms),
        "query p95": ms[int(len(ms) * 0.95)],
        "events_s": taken["events_s"],
        "memory": memory.peak,
        "outcomes": Counter(found["outcomes"]),
    }


def steady_rate(server: Server, requests: Path) -> int:
    """The highest rate that is taken beside production's queries."""
    for rate in RATES:
        if block(server, requests, rate, 0)["events_s"] >= STEADY * rate:
            return rate
    raise SystemExit(f"Not even {RATES[-1]} events a second are taken here.")


def held(pairs: list[tuple[dict, dict]], what: str) -> tuple[list[tuple[str, str]], bool]:
    """The rows of one measure, and whether its bar holds."""
    without, beside = [a[what] for a, _ in pairs], [b[what] for _, b in pairs]
    over = [b - (TIMES * a + MORE_MS) for a, b in zip(without, beside, strict=True)]
    holds = statistics.median(over) <= 0
    return [
        (f"{what}, ms, without ad-hoc clients", spread(without, "{:.1f}")),
        ("  beside them", spread(beside, "{:.1f}")),
        (
            f"  beside - ({TIMES} x without + {MORE_MS:g} ms): bar 0, {'holds' if holds else 'does not hold'}",
            spread(over, "{:.1f}"),
        ),
        ("  pairs within the bar", f"{sum(each <= 0 for each in over)} of {len(over)}"),
    ], holds


def main() -> None:
    pairs = []
    with warehouse() as server:
        events = list(small_events(20_000))
        lines = [lines_request("t", events[at : at + EVENTS_EACH]) for at in range(0, len(events), EVENTS_EACH)]
        requests = write_requests(server.folder / "requests", lines, EVENTS_EACH)
        rate = RATE or steady_rate(server, requests)
        idle = idle_bytes(server)
        for number in range(PAIRS + 1):
            ways = (0, AD_HOC_CLIENTS) if number % 2 else (AD_HOC_CLIENTS, 0)
            found = {way: block(server, requests, rate, way) for way in ways}
            if number:  # the first pair warms up
                pairs.append((found[0], found[AD_HOC_CLIENTS]))
        ended = server.rows(
            "select count(*) as n, max(date_diff('millisecond', started, ended)) as ms from query_history "
            "where workgroup = 'adhoc' and started is not null and ended is not null"
        )[0]
    bars, rows = [], []
    for what in ("query p50", "query p95", "intake p99"):
        more, holds = held(pairs, what)
        rows += more
        bars.append(holds)
    memory_max = max(a["memory"] for a, _ in pairs) + TOTAL + AD_HOC_CLIENTS * (idle + ROOM)
    peak = max(b["memory"] for _, b in pairs)
    outcomes = sum((b["outcomes"] for _, b in pairs), Counter())
    late_s = ended["ms"] / 1000 - TIME_MAX_S
    bars += [peak <= memory_max, late_s <= LATE_MAX_S]
    report(
        f"Intake of {rate:,} events/s and {QUERIES_PER_S} production queries/s beside {AD_HOC_CLIENTS} ad-hoc clients",
        [
            ("events/s, without and beside", f"{_least(pairs, 0):,.0f} and {_least(pairs, 1):,.0f} (the least)"),
            *rows,
            ("memory of the tree, MB, without them", f"{max(a['memory'] for a, _ in pairs) / 1e6:,.0f}"),
            (f"  beside them (bar {memory_max / 1e6:,.0f})", f"{peak / 1e6:,.0f}"),
            (f"ad-hoc queries under {TIME_MAX_S} s: the longest of {ended['n']}, s", f"{ended['ms'] / 1000:.2f}"),
            *((f"  ended: {what}", str(times)) for what, times in sorted(outcomes.items())),
            ("all bars", "hold" if all(bars) else "do not hold"),
        ],
    )
    if IS_STRICT and not all(bars):
        raise SystemExit(1)


def _least(pairs: list[tuple[dict, dict]], which: int) -> float:
    return min(pair[which]["events_s"] for pair in pairs)


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        uvloop.run(client(sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
    else:
        main()
