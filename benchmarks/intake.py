"""How many records does the owner take durably, with 1, 4 and 64 shards, and how does that compare with an emulator?

Method: requests of 500 x 138 B over 8 keep-alive connections, by PutRecords with random partition keys and by lines of
JSON (`POST /v1/tables/t/events`); each server is pinned to one core and the client to the other, and each answer is
checked. Two servers for each number of shards run all the time: one whose children, which convert, are on its core as
well (PutRecords only), and one of which the owner alone is pinned, so that its children go where the kernel puts them,
which is now the owner's core and now the client's. A round is one measurement of 5 s of each,
with conversion on, and begins when all that came before is converted; and 2 s of kinesalite, which is in memory and not
durable, with each number of shards. Medians of 12 interleaved rounds, and of the ratios within a round; the
order changes from round to round. The owner's CPU is that of its process, of all threads and without its children; it
depends least on what else the machine does. Linux; kinesalite needs npm and is skipped without it, saying so.
"""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from measuring import (
    SMALL,
    cpu_seconds,
    lines_request,
    load,
    pinned,
    put_records_request,
    report,
    small_events,
    spread,
    tree_memory,
    warehouse,
    write_requests,
)

from datawarehouse.runtime.client import client_of

ROUNDS, SECONDS = int(os.environ.get("BENCH_ROUNDS", 12)), float(os.environ.get("BENCH_SECONDS", 5))
PEER_SECONDS = min(2, SECONDS)
SHARDS = (1, 4, 64)
ON_ONE_CORE = "PutRecords, all on one core"
BARS = {ON_ONE_CORE: 0.70, "PutRecords": 0.70, "events": 0.95}  # the rate with many shards, of that with one
KINESALITE = "kinesalite@3.3.3"
PORT = 14567


def install_kinesalite(folder: Path) -> Path | None:
    if not shutil.which("npm"):
        print("kinesalite is skipped: there is no npm")
        return None
    subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), KINESALITE], check=True)
    return folder / "node_modules" / ".bin" / "kinesalite"


@contextmanager
def kinesalite(program: Path, shards: int):
    port = PORT + shards
    command = [str(program), "--port", str(port), "--shardLimit", "100"]
    process = subprocess.Popen(pinned(command, "0"), stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        import boto3

        client = boto3.client(
            "kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a"
        )
        for _ in range(100):
            try:
                client.create_stream(StreamName="t", ShardCount=shards)
                break
            except Exception:
                time.sleep(0.1)
        while client.describe_stream_summary(StreamName="t")["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def ours(shards: int, pin_children: bool = False):
    """A running owner: (its process, its URL, its data folder)."""
    with warehouse(SMALL, pinned_to="0" if pin_children else "", shards=shards) as (process, url, folder):
        if not pin_children:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {0})
        yield process, url, folder / "data"


def measured(requests: Path, process: subprocess.Popen, url: str, folder: Path) -> dict:
    with closing(client_of(folder)) as client:
        client.call("POST", "/v1/admin/flush", b"")
    before, cpu_before = converted(folder), cpu_seconds(process.pid)
    found = load(url, requests, 8, SECONDS, cores="1")
    found["cpu_us"] = (cpu_seconds(process.pid) - cpu_before) / found["events"] * 1e6
    found["converted_s"] = (converted(folder) - before) / SECONDS
    found["memory"] = tree_memory(process.pid)
    assert not found["failed"], found
    return found


def converted(folder: Path) -> int:
    """Records converted, as the catalog has them."""
    with sqlite3.connect(f"file:{folder}/_catalog.sqlite?mode=ro", uri=True) as catalog:
        return catalog.execute("select next_record from streams").fetchone()[0]


def rounds(requests: dict[str, Path], program: Path | None) -> dict[str, list[dict]]:
    """What was measured in each round, by what it was measured of. The first round is to warm up, and left out."""
    found: dict[str, list[dict]] = {}
    with ExitStack() as stack:
        trees = {shards: stack.enter_context(ours(shards, pin_children=True)) for shards in SHARDS}
        owners = {shards: stack.enter_context(ours(shards)) for shards in SHARDS}
        peers = {shards: stack.enter_context(kinesalite(program, shards)) for shards in SHARDS if program}
        chance = random.Random(1)
        for _ in range(1 + ROUNDS):
            for shards in chance.sample(SHARDS, len(SHARDS)):
                found.setdefault(f"{ON_ONE_CORE} {shards}", []).append(measured(requests["PutRecords"], *trees[shards]))
            for way, file in requests.items():
                # In another order in each round: what a server still merges slows those that are measured next.
                for shards in chance.sample(SHARDS, len(SHARDS)):
                    found.setdefault(f"{way} {shards}", []).append(measured(file, *owners[shards]))
            for shards, url in peers.items():
                peer = load(url, requests["PutRecords"], 8, PEER_SECONDS, cores="1")
                found.setdefault(f"peer {shards}", []).append(peer)
    return {name: each[1:] for name, each in found.items()}


def ratio(found: dict[str, list[dict]], ours: str, theirs: str, measure: str, form: str = "{:.2f}") -> str:
    pairs = zip(found[ours], found[theirs], strict=True)
    return spread([each[measure] / other[measure] for each, other in pairs], form)


def named(shards: int) -> str:
    return f"{shards} shard" if shards == 1 else f"{shards} shards"


def rows_of(found: dict[str, list[dict]], name: str, what: str, bar: str = "") -> list[tuple[str, str]]:
    measured = found[name]
    return [
        (f"{what}: records/s{bar}", spread([each["events_s"] for each in measured])),
        ("  owner's CPU, microseconds a record", spread([each["cpu_us"] for each in measured], "{:.2f}")),
        ("  converted meanwhile, records/s", spread([each["converted_s"] for each in measured])),
        (
            "  p50 and p99 of a request, ms",
            spread([e["p50_ms"] for e in measured], "{:.1f}")
            + ", "
            + spread([e["p99_ms"] for e in measured], "{:.1f}"),
        ),
        ("  memory of the tree at the end, MB", spread([each["memory"] / 1e6 for each in measured])),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        events = list(small_events(40_000))
        groups = [events[at : at + 500] for at in range(0, len(events), 500)]
        requests = {
            "PutRecords": write_requests(folder / "put", [put_records_request("t", group) for group in groups], 500),
            "events": write_requests(folder / "events", [lines_request("t", group) for group in groups], 500),
        }
        program = install_kinesalite(folder / "npm")
        found = rounds(requests, program)
    rows = []
    for way in BARS:
        for shards in SHARDS:
            bar = " (bar 300,000)" if (way, shards) == (ON_ONE_CORE, 1) else ""
            rows += rows_of(found, f"{way} {shards}", f"{way}, {named(shards)}", bar)
            if shards > 1:
                one, many = f"{way} 1", f"{way} {shards}"
                rows.append(
                    (f"  {shards} shards / 1, records/s (bar {BARS[way]:.2f})", ratio(found, many, one, "events_s"))
                )
                rows.append((f"  {shards} shards / 1, owner's CPU a record", ratio(found, many, one, "cpu_us")))
    for shards in SHARDS if program else ():
        peer = f"peer {shards}"
        rows += [
            (f"{KINESALITE}, {named(shards)}: records/s", spread([each["events_s"] for each in found[peer]])),
            ("  PutRecords / kinesalite (bar 15)", ratio(found, f"PutRecords {shards}", peer, "events_s", "{:.1f}")),
        ]
    report("Durable records, requests of 500 x 138 B", rows)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
