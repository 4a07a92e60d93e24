"""More clients than the server can serve: is what was acknowledged there, once, and is the server well again at once?

Method: connections in a closed loop send 500 records of 320 B at a time, each with a number of its own, half of them as
a Kinesis client and half as plain events; who is refused waits a moment and goes on with new records. With the
defaults, and with limits so small that many are refused, the number of connections among them. 1 and 64 shards.
Meanwhile the memory of each process is sampled each second, and one connection that was there first asks for /health.
Memory is bounded if it stays where it is: for each process, while there is one, the medians of the four quarters of the
time are shown, and the most in each half (that which converts takes more for a moment whenever it merges files). The
owner's must not grow from the second quarter on.

Afterwards all numbers are counted by a query, for each request: what was acknowledged has to be there once, what was
refused not at all, and of a request without an answer all or nothing. It is an error if the memory exceeds a bar, if a
put is not answered within 10 s of the end, or if a number is wrong.

overload.py [client URL CONNECTIONS SECONDS]
"""

import asyncio
import http.client
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter
from itertools import pairwise
from urllib.parse import urlsplit

import uvloop
from measuring import DW, memory_of_tree, report, spread, tree_memory, warehouse

SECONDS = float(os.environ.get("BENCH_SECONDS", 60))
SHARE = float(os.environ.get("BENCH_SHARE", 1))
"""Of the connections, and of the limit of them."""

EACH = 500
CHECKED_AT_ONCE = 10_000
PAD = "x" * 300
MEMORY_MAX, OWNER_MAX, OWNER_GROWTH_MAX = 1_500_000_000, 250_000_000, 1.2
RECOVERY_S = 10
TINY = ("--journal-bytes-max", "8MiB", "--queue-bytes-max", "1MiB", "--connections-max", str(int(900 * SHARE)))
RUNS = [
    (f"{int(connections * SHARE)} connections, {name}, {shards} shard{'s' * (shards > 1)}", connections, limits, shards)
    for connections, name, limits in ((400, "defaults", ()), (1000, "tiny limits", TINY))
    for shards in (1, 64)
]


# -- the client, a process of its own


def request_of(number: int) -> bytes:
    """The request with this number, and with EACH records that have numbers of their own."""
    events = [f'{{"n":{n},"pad":"{PAD}"}}'.encode() for n in range(number * EACH, (number + 1) * EACH)]
    if number % 2:
        body, path, more = b"\n".join(events), "/v1/tables/t/events", ""
    else:
        keys = random.sample(range(10**8), EACH)
        records = [{"Data": b64encode(e).decode(), "PartitionKey": str(k)} for e, k in zip(events, keys, strict=True)]
        body, path = json.dumps({"StreamName": "t", "Records": records}).encode(), "/"
        more = (
            "X-Amz-Target: Kinesis_20131202.PutRecords\r\nContent-Type: application/x-amz-json-1.1\r\n"
            "Authorization: any\r\n"
        )
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def outcome_of(status: int, body: bytes) -> str:
    """What became of a request: "taken", or why not. A request is taken whole or not at all here."""
    answer = json.loads(body)
    if status != 200:
        return answer["error"]["code"] if "error" in answer else answer["__type"]
    failed = answer["FailedRecordCount"] if "Records" in answer else EACH - answer["accepted"]
    if failed == 0:
        return "taken"
    assert failed == EACH, answer
    return answer["Records"][0]["ErrorCode"]


async def client(url: str, connections: int, seconds: float) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(connections + 100, limit[1]), limit[1]))
    address = urlsplit(url)
    end = time.monotonic() + seconds
    outcomes: dict[int, str] = {}
    times: list[float] = []

    async def connection() -> None:
        writer = None
        while time.monotonic() < end:
            number = len(outcomes)
            outcomes[number] = "no answer"
            before = time.monotonic()
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(address.hostname, address.port)
                writer.write(request_of(number))
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                outcomes[number] = outcome_of(int(head.split()[1]), body)
                times.append(time.monotonic() - before)
            except (OSError, asyncio.IncompleteReadError):
                head = b"connection: close"
            if b"connection: close" in head.lower() and writer:
                writer.close()
                writer = None
            if outcomes[number] != "taken":
                await asyncio.sleep(random.uniform(0, 0.5))
        if writer:
            writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))
    times.sort()
    print(
        json.dumps(
            {
                "outcomes": list(outcomes.values()),
                "p50_s": times[len(times) // 2],
                "p99_s": times[len(times) * 99 // 100],
            }
        )
    )


# -- the measurement


class Health(threading.Thread):
    """Asks for /health on one connection, each 0.2 s, and keeps how long the answers took."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self.seconds: list[float] = []
        self.stopping = threading.Event()
        self.ask()

    def ask(self) -> None:
        before = time.monotonic()
        self.connection.request("GET", "/health")
        assert self.connection.getresponse().read()
        self.seconds.append(time.monotonic() - before)

    def run(self) -> None:
        while not self.stopping.wait(0.2):
            self.ask()


def post(url: str, path: str, body: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def until_taken(url: str) -> float:
    """How long it takes from now until an event is taken, in seconds."""
    began = time.monotonic()
    while post(url, "/v1/tables/t/events", '{"n":-1}')[0] != 200:
        time.sleep(0.1)
    return time.monotonic() - began


def check(url: str, outcomes: list[str]) -> Counter:
    """Compare what is stored with what became of each request; raises AssertionError."""
    stored = {}
    for first in range(0, len(outcomes), CHECKED_AT_ONCE):  # so that each query has enough memory
        wanted = f"n >= {first * EACH} and n < {(first + CHECKED_AT_ONCE) * EACH}"
        sql = f"select n / {EACH} as request, count(*) as c, count(distinct n) as d from t where {wanted} group by 1"
        status, answer = post(url, "/v1/query", json.dumps({"sql": sql, "format": "json"}))
        assert status == 200, answer
        stored |= {row["request"]: (row["c"], row["d"]) for row in json.loads(answer)}
    status, answer = post(
        url, "/v1/query", json.dumps({"sql": f"select count(*) as c from t where n >= {len(outcomes) * EACH}"})
    )
    assert (status, json.loads(answer)["c"]) == (200, 0), answer
    for number, outcome in enumerate(outcomes):
        found = stored.pop(number, (0, 0))
        valid = {"taken": [(EACH, EACH)], "no answer": [(0, 0), (EACH, EACH)]}.get(outcome, [(0, 0)])
        assert found in valid, f"of request {number} ({outcome}) {found} records are stored"
    assert not stored, f"{len(stored)} requests that nobody sent are stored"
    return Counter(outcomes)


def run(connections: int, limits: tuple[str, ...], shards: int) -> dict:
    with warehouse({"n": "bigint", "pad": "string"}, *limits, shards=shards) as (process, url, folder):
        health = Health(url)
        health.start()
        idle = tree_memory(process.pid)
        command = [sys.executable, __file__, "client", url, str(int(connections * SHARE)), str(SECONDS)]
        memory = []
        with tempfile.TemporaryFile("w+") as printed:
            with subprocess.Popen(command, stdout=printed) as load:
                while load.poll() is None:
                    memory.append(memory_of_tree(process.pid))
                    time.sleep(1)
            assert load.returncode == 0
            recovered_s = until_taken(url)
            health.stopping.set()
            health.join()
            printed.seek(0)
            found = json.load(printed)
        began = time.monotonic()
        subprocess.run([DW, "flush"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        converted_s = time.monotonic() - began
        counted = check(url, found["outcomes"])
        assert process.poll() is None
    assert counted["taken"], counted
    assert not limits or len(counted) > 1, "nobody was refused"
    trees = [sum(sample.values()) for sample in memory]
    assert max(trees) < MEMORY_MAX, max(trees)
    assert recovered_s < RECOVERY_S, recovered_s
    quarters = quarters_of(memory)
    assert max(sample["itself"] for sample in memory) < OWNER_MAX
    if owner := quarters.get("itself"):  # a run of a few seconds has no quarters
        assert owner[3] < OWNER_GROWTH_MAX * owner[1], owner
    half = len(trees) // 2
    return {
        **found,
        "counted": counted,
        "recovered_s": recovered_s,
        "converted_s": converted_s,
        "idle": idle,
        "first_half": max(trees[: half + 1]),
        "second_half": max(trees[half:]),
        "owner": max(sample["itself"] for sample in memory),
        "quarters": quarters,
        "health": health.seconds,
    }


def quarters_of(samples: list[Counter[str]]) -> dict[str, list[float]]:
    """The medians of the four quarters of the time, and the most in each half, for each process while it was there."""
    ends = [len(samples) * quarter // 4 for quarter in range(5)]
    found = {}
    for name in sorted({name for sample in samples for name in sample}):
        quarters = [[sample[name] for sample in samples[a:b] if sample[name]] or [0] for a, b in pairwise(ends)]
        most = [max(each) for each in quarters]
        if all(most):  # others were there for a moment
            medians = [statistics.median(each) for each in quarters]
            found[name] = [*medians, max(most[:2]), max(most[2:])]
    return found


def main() -> None:
    for name, connections, limits, shards in RUNS:
        found = run(connections, limits, shards)
        refused = {outcome: count for outcome, count in found["counted"].items() if outcome != "taken"}
        report(
            f"Overload for {SECONDS:g} s: {name}",
            [
                ("acknowledged, and each stored once: records", f"{found['counted']['taken'] * EACH:,}"),
                *((f"requests refused, none stored: {what}", f"{count:,}") for what, count in sorted(refused.items())),
                ("an answer took, p50 and p99, s", f"{found['p50_s']:.2f}, {found['p99_s']:.2f}"),
                ("/health meanwhile, s", spread(found["health"], "{:.3f}")),
                (f"an event is taken again after, s (bar {RECOVERY_S})", f"{found['recovered_s']:.2f}"),
                ("and all is converted after, s", f"{found['converted_s']:.1f}"),
                ("memory of the tree before, MB", f"{found['idle'] / 1e6:,.0f}"),
                (f"  most in the first half, MB (bar {MEMORY_MAX / 1e6:,.0f})", f"{found['first_half'] / 1e6:,.0f}"),
                ("  most in the second half, MB", f"{found['second_half'] / 1e6:,.0f}"),
                (f"  most of the owner, MB (bar {OWNER_MAX / 1e6:,.0f})", f"{found['owner'] / 1e6:,.0f}"),
                *(
                    (
                        f"  {'the owner' if name == 'itself' else name}: quarters, most of halves, MB",
                        "{:,.0f}, {:,.0f}, {:,.0f}, {:,.0f}; {:,.0f}, {:,.0f}".format(*(each / 1e6 for each in shown)),
                    )
                    for name, shown in found["quarters"].items()
                ),
            ],
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        uvloop.run(client(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    else:
        main()
