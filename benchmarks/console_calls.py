"""Do the calls of the console slow intake down, and how long does a year of hours take?

Method: a data folder with a year of hours (8,760, each with a file of rows and one of rejects). Events of 138 B arrive
over 4 connections, 500 to a request, as fast as they are taken; in every other block a page asks for the overview each
second and follows the live tail as well, as the console does. Pairs of interleaved blocks; which block is first changes
from pair to pair, and each begins when the events before it are converted.

- the p99 of a request of events: at most 1.5 x without, and 5 ms
- the year of hours, by GET /v1/tables/t/hours, one call after the other, nothing beside: p95 under 100 ms

BENCH_STRICT=yes makes it an error if a bar does not hold.
"""

import http.client
import json
import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from measuring import SMALL, lines_request, load, report, small_events, spread, warehouse, write_requests

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import File, HourEntry
from datawarehouse.clock import WallClock
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.runtime.embedded import OpenWarehouse
from datawarehouse.settings import resolve

PAIRS = int(os.environ.get("BENCH_ROUNDS", "10"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
IS_STRICT = os.environ.get("BENCH_STRICT") == "yes"
HOURS, CALLS = 8_760, 200
EVENTS_EACH, CONNECTIONS = 500, 4
TIMES, MORE_MS, HOURS_P95_MS = 1.5, 5.0, 100.0


def fill(folder: Path) -> None:
    """A year of hours."""
    declared = Warehouse("bench").with_streaming_input_table("t", SMALL)
    opened = OpenWarehouse(declared, folder, resolve({}, {}), WallClock())
    try:
        now_ms = opened.clock.now_ms()
        hours = [partition_of(now_ms - number * HOUR_MS) for number in range(HOURS, 0, -1)]
        files = [
            made(folder, File("t", kind, hour, f"{home}t/{hour}/{number:016d}.parquet", version, [], 1, 1, 1000))
            for number, hour in enumerate(hours)
            for kind, home, version in (("rows", "", 1), ("rejects", "errors/", 0))
        ]
        entries = [HourEntry(hour, 12_345, 12_300, 12_300, 45) for hour in hours]
        opened.catalog.commit_batch("t", files, entries, opened.catalog.converted("t"), 0)
        opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
    finally:
        opened.close()


def made(folder: Path, file: File) -> File:
    """A file whose content nobody reads here; it looks as the catalog says."""
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(file.bytes))
    found = path.stat()
    return replace(file, digest="nobody compares it", inode=found.st_ino, modified_ns=found.st_mtime_ns)


class Page:
    """What an open page asks, until it is closed; how long each answer took, in ms."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.took_ms: dict[str, list[float]] = defaultdict(list)
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._overview, self._tail)]

    def __enter__(self) -> "Page":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _overview(self) -> None:
        connection = connected(self.url)
        while not self._closed.wait(1):
            self.took_ms["overview"].append(asked(connection, "/v1/overview")[1])

    def _tail(self) -> None:
        connection, after = connected(self.url), ""
        while not self._closed.is_set():
            answer, took = asked(connection, f"/v1/tables/t/tail?wait_s=1{after}")
            after = f"&after={answer['cursor']}"
            self.took_ms["tail"].append(took)


def connected(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)


def asked(connection: http.client.HTTPConnection, path: str) -> tuple[dict, float]:
    """The answer, and the milliseconds until it was there."""
    began = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    took = (time.perf_counter() - began) * 1000
    assert response.status == 200, body
    return json.loads(body), took


def caught_up(connection: http.client.HTTPConnection) -> None:
    """Return when nothing waits for conversion: a journal that is full would refuse events."""
    while asked(connection, "/v1/overview")[0]["tables"][0]["pending"]:
        time.sleep(0.5)


def main() -> None:
    pairs = []
    overview: list[float] = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as temporary:
        folder = Path(temporary)
        fill(folder / "data")
        with warehouse(SMALL, "--audit-days", "0", folder=folder) as (_, url, _):
            connection = connected(url)
            path = "/v1/tables/t/hours?from=2000/01/01/00&to=2100/01/01/00"
            assert len(asked(connection, path)[0]["hour"]) >= HOURS
            hours = sorted(asked(connection, path)[1] for _ in range(CALLS))
            events = list(small_events(20_000))
            lines = [lines_request("t", events[at : at + EVENTS_EACH]) for at in range(0, len(events), EVENTS_EACH)]
            requests = write_requests(folder / "requests", lines, EVENTS_EACH)
            for number in range(PAIRS + 1):
                found = {}
                for has_page in (False, True) if number % 2 else (True, False):
                    caught_up(connection)
                    if has_page:
                        with Page(url) as page:
                            found[True] = load(url, requests, CONNECTIONS, SECONDS)
                        overview += page.took_ms["overview"]
                    else:
                        found[False] = load(url, requests, CONNECTIONS, SECONDS)
                if number:  # the first pair warms up
                    pairs.append((found[False], found[True]))
    without, beside = [a["p99_ms"] for a, _ in pairs], [b["p99_ms"] for _, b in pairs]
    over = [b - (TIMES * a + MORE_MS) for a, b in zip(without, beside, strict=True)]
    p95 = hours[int(len(hours) * 0.95)]
    holds = statistics.median(over) <= 0 and p95 < HOURS_P95_MS
    report(
        "Calls of the console beside full intake, and a year of hours",
        [
            ("events/s, without the page", spread([a["events_s"] for a, _ in pairs])),
            ("  beside it", spread([b["events_s"] for _, b in pairs])),
            ("intake p99, ms, without the page", spread(without, "{:.1f}")),
            ("  beside it", spread(beside, "{:.1f}")),
            (f"  beside - ({TIMES} x without + {MORE_MS:g} ms): bar 0", spread(over, "{:.1f}")),
            ("  pairs within the bar", f"{sum(each <= 0 for each in over)} of {len(over)}"),
            ("failed events", str(sum(each["failed"] for pair in pairs for each in pair))),
            ("overview beside full intake, ms", spread(overview, "{:.1f}")),
            (f"{HOURS:,} hours, ms: p50", f"{statistics.median(hours):.1f}"),
            (f"  p95 (bar {HOURS_P95_MS:g})", f"{p95:.1f}"),
            ("all bars", "hold" if holds else "do not hold"),
        ],
    )
    if IS_STRICT and not holds:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
