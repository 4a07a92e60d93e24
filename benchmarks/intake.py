"""How many records does the owner take durably, over the Kinesis API, and how does that compare with an emulator?

Method: PutRecords of 500 x 138 B over 8 keep-alive connections, the server pinned to one core and the client to the
other; each answer is checked. A round is 60 s of ours with conversion on (after 5 s of warm-up), then 10 s of
kinesalite, which is in memory and not durable. Twice: with the children on the owner's core as well, and with the owner
alone pinned (its children go where the kernel puts them). Medians of 3 interleaved rounds. Linux; kinesalite needs npm
and is skipped without it, saying so.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from measuring import (
    SMALL,
    load,
    put_records_request,
    report,
    small_events,
    spread,
    tree_memory,
    warehouse,
    write_requests,
)

ROUNDS, SECONDS, PEER_SECONDS = int(os.environ.get("BENCH_ROUNDS", 3)), float(os.environ.get("BENCH_SECONDS", 60)), 10
KINESALITE = "kinesalite@3.3.3"
PORT = 14567


def install_kinesalite(folder: Path) -> Path | None:
    if not shutil.which("npm"):
        print("kinesalite is skipped: there is no npm")
        return None
    subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), KINESALITE], check=True)
    return folder / "node_modules" / ".bin" / "kinesalite"


@contextmanager
def kinesalite(program: Path):
    process = subprocess.Popen(["taskset", "-c", "0", str(program), "--port", str(PORT), "--shardLimit", "10"])
    url = f"http://127.0.0.1:{PORT}"
    try:
        import boto3

        client = boto3.client(
            "kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a"
        )
        for _ in range(100):
            try:
                client.create_stream(StreamName="t", ShardCount=4)
                break
            except Exception:
                time.sleep(0.1)
        while client.describe_stream(StreamName="t")["StreamDescription"]["StreamStatus"] != "ACTIVE":
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def ours(requests: Path, pin_children: bool) -> dict:
    with warehouse(SMALL, pinned_to="0" if pin_children else "") as (process, url, folder):
        if not pin_children:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {0})
        load(url, requests, 8, 5, cores="1")
        before = converted(folder)
        measured = load(url, requests, 8, SECONDS, cores="1")
        measured["converted_s"] = (converted(folder) - before) / SECONDS
        measured["memory"] = tree_memory(process.pid)
        assert not measured["failed"], measured
        return measured


def converted(folder: Path) -> int:
    """Records converted, as the catalog has them."""
    import sqlite3

    with sqlite3.connect(f"file:{folder}/data/_catalog.sqlite?mode=ro", uri=True) as catalog:
        return catalog.execute("select next_record from streams").fetchone()[0]


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        events = list(small_events(40_000))
        groups = [put_records_request("t", events[at : at + 500]) for at in range(0, len(events), 500)]
        requests = write_requests(folder / "requests", groups, 500)
        program = install_kinesalite(folder / "npm")
        found: dict[str, list[dict]] = {"tree": [], "owner": [], "peer": []}
        for _ in range(ROUNDS):
            found["tree"].append(ours(requests, pin_children=True))
            found["owner"].append(ours(requests, pin_children=False))
            if program:
                with kinesalite(program) as url:
                    found["peer"].append(load(url, requests, 8, PEER_SECONDS, cores="1"))
    rows = []
    for kind, what in (("tree", "owner and children on one core"), ("owner", "owner on one core")):
        rows += [
            (f"{what}: durable records/s (bar 300,000)", spread([each["events_s"] for each in found[kind]])),
            (f"{what}: converted meanwhile, records/s", spread([each["converted_s"] for each in found[kind]])),
            (
                f"{what}: p50 and p99 of a request, ms",
                spread([e["p50_ms"] for e in found[kind]], "{:.1f}")
                + ", "
                + spread([each["p99_ms"] for each in found[kind]], "{:.1f}"),
            ),
            (f"{what}: memory of the tree at the end, MB", spread([each["memory"] / 1e6 for each in found[kind]])),
        ]
    if found["peer"]:
        rows.append((f"{KINESALITE}: records/s, in memory", spread([each["events_s"] for each in found["peer"]])))
        for kind in ("tree", "owner"):
            ratios = [a["events_s"] / b["events_s"] for a, b in zip(found[kind], found["peer"], strict=True)]
            rows.append((f"{kind} / kinesalite (bar 15)", spread(ratios, "{:.1f}")))
    report("Durable PutRecords of 500 x 138 B", rows)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
