"""HTTP to queryable Parquet, client and server sharing all cores: what rate holds, and how fresh is it?

Method: a client sends at a steady rate for 60 s after 5 s of warm-up; a probe puts a record every half second and
watches the catalog, where a record is visible exactly when its number is converted. The rate holds if all of it was
taken and what waits for conversion does not grow. At the end a query counts every record. Memory is the resident
memory of the whole process tree, sampled every second. Rounds of the two kinds alternate.
"""

import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from measuring import (
    HERE,
    LARGE,
    SMALL,
    large_events,
    lines_request,
    put_records_request,
    report,
    small_events,
    spread,
    tree_memory,
    warehouse,
    write_requests,
)

ROUNDS, SECONDS = int(os.environ.get("BENCH_ROUNDS", 3)), float(os.environ.get("BENCH_SECONDS", 62))
KINDS = {
    "138 B by PutRecords": (SMALL, 165_000, 150_000),
    "470 B by NDJSON": (LARGE, 66_000, 60_000),
}


class Probe(threading.Thread):
    """Puts a record now and then, and measures from its answer until a query would see it."""

    def __init__(self, url: str, catalog: Path) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.catalog = catalog
        self.seconds: list[float] = []
        self.sent = 0
        self.stopping = False

    def run(self) -> None:
        import base64
        import http.client
        import json

        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port)
        database = sqlite3.connect(f"file:{self.catalog}?mode=ro", uri=True)
        body = json.dumps(
            {"StreamName": "t", "Data": base64.b64encode(b'{"id":"probe"}').decode(), "PartitionKey": "p"}
        )
        headers = {
            "X-Amz-Target": "Kinesis_20131202.PutRecord",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "any",
        }
        while not self.stopping:
            connection.request("POST", "/", body, headers)
            number = int(re.search(r'"SequenceNumber":"(\d+)"', connection.getresponse().read().decode())[1])
            self.sent += 1
            record = number >> 80 & 0xFFFFFFFFFFFFFFFF
            answered = time.monotonic()
            while database.execute("select next_record from streams").fetchone()[0] <= record:
                time.sleep(0.01)
            self.seconds.append(time.monotonic() - answered)
            time.sleep(0.5)


def run(kind: str, requests: Path) -> dict:
    columns, rate, _ = KINDS[kind]
    with warehouse(columns) as (process, url, folder):
        catalog = folder / "data" / "_catalog.sqlite"
        subprocess.run([sys.executable, str(HERE / "load.py"), url, str(requests), "8", "5", str(rate)], check=True,
                       capture_output=True)  # fmt: skip
        probe = Probe(url, catalog)
        probe.start()
        command = [sys.executable, str(HERE / "load.py"), url, str(requests), "8", str(SECONDS), str(rate)]
        client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        memory = []
        while client.poll() is None:
            memory.append(tree_memory(process.pid))
            time.sleep(1)
        import json

        measured = json.loads(client.stdout.read())
        with sqlite3.connect(f"file:{catalog}?mode=ro", uri=True) as database:
            converted_at_end = database.execute("select next_record from streams").fetchone()[0]
        probe.stopping = True
        probe.join()
        [counted] = _query(url, "select count(*) as c from t")
        quarter = len(memory) // 4
        return {
            **measured,
            "visible_p95_s": statistics.quantiles(probe.seconds, n=20)[-1],
            "waiting_at_end": max(0, counted["c"] - converted_at_end),
            "counted": counted["c"],
            "memory_max": max(memory),
            "memory_growth": statistics.median(memory[-quarter:]) / statistics.median(memory[quarter : 2 * quarter]),
        }


def _query(url: str, sql: str) -> list[dict]:
    import http.client
    import json

    address = urlsplit(url)
    time.sleep(2)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=300)
    connection.request("POST", "/v1/query", json.dumps({"sql": sql, "format": "json"}))
    return json.loads(connection.getresponse().read())


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        small, large = list(small_events(40_000)), list(large_events(40_000))
        requests = {
            "138 B by PutRecords": write_requests(
                Path(name) / "small",
                [put_records_request("t", small[at : at + 500]) for at in range(0, 40_000, 500)],
                500,
            ),
            "470 B by NDJSON": write_requests(
                Path(name) / "large", [lines_request("t", large[at : at + 500]) for at in range(0, 40_000, 500)], 500
            ),
        }
        found: dict[str, list[dict]] = {kind: [] for kind in KINDS}
        for _ in range(ROUNDS):
            for kind in KINDS:
                found[kind].append(run(kind, requests[kind]))
    for kind, (_, rate, bar) in KINDS.items():
        rounds = found[kind]
        assert not any(each["failed"] for each in rounds), rounds
        report(
            f"End to end, {kind}, offered {rate:,}/s",
            [
                (f"taken, events/s (bar {bar:,})", spread([each["events_s"] for each in rounds])),
                ("waiting for conversion when the client stopped", spread([each["waiting_at_end"] for each in rounds])),
                ("put to visible, p95, s (bar 2)", spread([each["visible_p95_s"] for each in rounds], "{:.2f}")),
                ("p50 of a request, ms", spread([each["p50_ms"] for each in rounds], "{:.1f}")),
                ("events counted by a query at the end", spread([each["counted"] for each in rounds])),
                ("memory of the tree, most, MB (bar 1,500)", spread([each["memory_max"] / 1e6 for each in rounds])),
                ("memory, last quarter / second quarter", spread([each["memory_growth"] for each in rounds], "{:.2f}")),
            ],
        )


if __name__ == "__main__":
    main()
