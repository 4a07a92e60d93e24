"""Does a job that misbehaves keep events waiting?

A running warehouse takes requests of 10 events over 4 connections, 100 requests a second. Blocks without a job and
blocks in which a bad job runs, and again as soon as it ended, follow each other in turn; each pair gives two p99 of the
time that a request takes. Per kind of job: the median of the pairs' ratios, and the bar: twice the idle p99 and 5 ms.

    memory   takes memory until it gets no more (job_memory_bytes_max = 1 GiB)
    hang     waits until it is ended (job_time_max_s = 3)
    fork     becomes 32 processes that compute until they are ended
    disk     writes files of 16 MiB until it is ended (job_scratch_bytes_max = 512 MiB)
    raises   raises at once
"""

import http.client
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from measuring import DW, lines_request, load, report, small_events, spread, write_requests

PAIRS = int(os.environ.get("BENCH_ROUNDS", "10"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
EVENTS_EACH, REQUESTS_S, CONNECTIONS = 10, 100, 4
KINDS = tuple(os.environ.get("BENCH_JOBS", "memory hang fork disk raises").split())
DECLARATION = """
import os, time
from pathlib import Path
from datawarehouse import Warehouse

def memory(job):
    held = []
    while True:
        held.append(bytearray(16 << 20))

def hang(job):
    time.sleep(600)

def fork(job):
    for _ in range(5):
        os.fork()
    while True:
        pass

def disk(job):
    number = 0
    while True:
        Path(str(number)).write_bytes(bytes(16 << 20))
        number += 1

def raises(job):
    raise RuntimeError("no luck")

warehouse = Warehouse("bench").with_streaming_input_table(
    "t", {"id": "string", "session_id": "string", "event_time": "timestamp"}
)
for job in (memory, hang, fork, disk, raises):
    warehouse.with_batch_input_table(job.__name__, {"n": "int"}, job, "rate(365 days)")
"""
LIMITS = {"DW_JOB_TIME_MAX_S": "3", "DW_JOB_MEMORY_BYTES_MAX": "1GiB"}


@contextmanager
def warehouse() -> Iterator[tuple[str, str]]:
    """A running `dw up` with the bad jobs: (url, token)."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        Path(folder, "warehouse.py").write_text(DECLARATION)
        with Path(folder, "errors.log").open("wb") as errors:
            process = subprocess.Popen(
                [DW, "up", "--port", "0", "--output", "json"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **LIMITS},
            )
        try:
            url = json.loads(process.stdout.readline())["url"]
            yield url, json.loads(Path(folder, "data", "_lock").read_text())["token"]
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


class Again(threading.Thread):
    """Has a job run again and again until it is told to stop; keeps how the runs ended."""

    def __init__(self, url: str, token: str, job: str) -> None:
        super().__init__()
        self.address = urlsplit(url)
        self.token = token
        self.job = job
        self.stopping = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port)
        while not self.stopping.is_set():
            body = json.dumps({"job": self.job})
            connection.request("POST", "/v1/admin/run", body, {"Authorization": f"Bearer {self.token}"})
            ended = json.loads(connection.getresponse().read())
            assert ended["outcome"] == "failed", ended
            self.errors.append(ended["error"].splitlines()[0])
        connection.close()


def measured(url: str, requests: Path) -> dict:
    found = load(url, requests, CONNECTIONS, SECONDS, REQUESTS_S * EVENTS_EACH)
    assert not found["failed"], found
    return found


def pair(url: str, token: str, job: str, requests: Path) -> tuple[dict, dict, list[str]]:
    """A block without a job, a block with one: what was measured, and why the runs failed."""
    idle = measured(url, requests)
    runs = Again(url, token, job)
    runs.start()
    busy = measured(url, requests)
    runs.stopping.set()
    runs.join()
    time.sleep(0.5)  # what the kernel still has to clean up is not the next block's
    return idle, busy, runs.errors


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name, warehouse() as (url, token):
        events = list(small_events(5_000))
        lines = [lines_request("t", events[at : at + EVENTS_EACH]) for at in range(0, len(events), EVENTS_EACH)]
        requests = write_requests(Path(name) / "requests", lines, EVENTS_EACH)
        measured(url, requests)  # to warm up
        for job in KINDS:
            pairs = [pair(url, token, job, requests) for _ in range(PAIRS)]
            idle = [first["p99_ms"] for first, _, _ in pairs]
            busy = [second["p99_ms"] for _, second, _ in pairs]
            over = [b - (2 * i + 5) for i, b in zip(idle, busy, strict=True)]
            verdict = "holds" if statistics.median(over) <= 0 else "does not hold"
            report(
                f"Intake beside a bad job: {job} ({sum(len(errors) for *_, errors in pairs)} runs)",
                [
                    ("p99 of a request without it, ms", spread(idle, "{:.1f}")),
                    ("p99 of a request beside it, ms", spread(busy, "{:.1f}")),
                    ("  beside / without", spread([b / i for i, b in zip(idle, busy, strict=True)], "{:.2f}")),
                    (f"  beside - (2 x without + 5 ms): bar 0, {verdict}", spread(over, "{:.1f}")),
                    ("  pairs within the bar", f"{sum(each <= 0 for each in over)} of {len(over)}"),
                ],
            )
            print(f"  {' | '.join(sorted({error for *_, errors in pairs for error in errors}))}")


if __name__ == "__main__":
    main()
