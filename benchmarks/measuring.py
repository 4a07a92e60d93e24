"""What every benchmark shares: events, a warehouse to measure, a load, memory of a process tree, and how to report."""

import base64
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DW = str(Path(sys.executable).parent / "dw")
HERE = Path(__file__).parent

SMALL = {"id": "string", "session_id": "string", "event_time": "timestamp"}
LARGE = {
    "id": "string", "session_id": "string", "user_id": "bigint", "event_time": "timestamp", "event_type": "string",
    "campaign": "string", "position": "int", "price": "double", "score": "double", "is_bot": "boolean", "url": "string",
    "device": "struct<os:string,version:string,width:int>", "tags": "array<string>", "referrer": "string",
    "experiment": "string",
}  # fmt: skip


def small_events(count: int, seed: int = 1) -> Iterator[bytes]:
    """Three strings, one of them a time: 138 bytes each."""
    chance = random.Random(seed)
    for _ in range(count):
        at = f"2026-03-01T07:{chance.randrange(60):02d}:{chance.randrange(60):02d}.{chance.randrange(1000):03d}Z"
        yield (
            f'{{"id": "ev-{chance.getrandbits(128):032x}", "session_id": "{chance.getrandbits(128):032x}", '
            f'"event_time": "{at}"}}'
        ).encode()


def large_events(count: int, seed: int = 1) -> Iterator[bytes]:
    """Fifteen columns, nested, missing and extra ones among them: about 470 bytes each."""
    chance = random.Random(seed)
    for _ in range(count):
        at = f"2026-03-01T07:{chance.randrange(60):02d}:{chance.randrange(60):02d}.{chance.randrange(1000):03d}Z"
        event = {
            "id": f"{chance.getrandbits(128):032x}",
            "session_id": f"{chance.getrandbits(64):016x}",
            "user_id": chance.randrange(10**7),
            "event_time": at,
            "event_type": chance.choice(("impression", "click", "view", "purchase")),
            "campaign": f"campaign-{chance.randrange(300):03d}",
            "position": chance.randrange(50),
            "price": round(chance.random() * 100, 2),
            "score": chance.random(),
            "is_bot": chance.random() < 0.05,
            "url": "https://shop.example.com/search?q="
            f"{chance.choice(('shoes', 'running+shoes', 'tent'))}&page={chance.randrange(9)}",
            "device": {
                "os": chance.choice(("ios", "android", "windows")),
                "version": f"{chance.randrange(20)}.{chance.randrange(9)}",
                "width": chance.randrange(320, 2560),
            },
            "tags": [chance.choice(("sale", "new", "top", "eco")) for _ in range(chance.randrange(4))],
            "debug_info": f"x{chance.getrandbits(96):024x}",
        }
        if chance.random() < 0.7:
            event["referrer"] = f"https://www.example.org/{chance.getrandbits(32):08x}"
        if chance.random() < 0.5:
            event["experiment"] = f"exp-{chance.randrange(8)}"
        yield json.dumps(event, separators=(",", ":")).encode()


def put_records_request(stream: str, events: list[bytes], path: str = "/") -> bytes:
    """A whole HTTP request, as an SDK sends it; the partition keys are random."""
    records = [
        {"Data": base64.b64encode(event).decode(), "PartitionKey": f"{random.randrange(10**8):08d}"} for event in events
    ]
    body = json.dumps({"StreamName": stream, "Records": records}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: Kinesis_20131202.PutRecords\r\n"
        "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20261123T070000Z\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/kinesis/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature=00\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def lines_request(table: str, events: list[bytes]) -> bytes:
    body = b"\n".join(events)
    head = f"POST /v1/tables/{table}/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def warehouse(
    columns: dict[str, str], *arguments: str, pinned_to: str = "", folder: Path | None = None, shards: int = 1
):
    """A running `dw up` with one table `t`: (process, url, folder)."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as temporary:
        folder = folder or Path(temporary)
        (folder / "warehouse.py").write_text(
            f"from datawarehouse import Warehouse\n"
            f"warehouse = Warehouse('bench').with_streaming_input_table('t', {columns!r}, {shards})\n"
        )
        command = [DW, "up", "--port", "0", "--output", "json", *arguments]
        process = subprocess.Popen(pinned(command, pinned_to), cwd=folder, stdout=subprocess.PIPE)
        try:
            yield process, json.loads(process.stdout.readline())["url"], folder
        finally:
            process.terminate()
            process.wait()


def pinned(command: list[str], cores: str) -> list[str]:
    """A command that runs on these cores only (Linux)."""
    return ["taskset", "-c", cores, *command] if cores else command


def load(url: str, requests: Path, connections: int, seconds: float, rate: float = 0, cores: str = "") -> dict:
    """Send prebuilt requests as fast as they are answered, or at `rate` events a second; what was measured."""
    command = [sys.executable, str(HERE / "load.py"), url, str(requests), str(connections), str(seconds), str(rate)]
    done = subprocess.run(pinned(command, cores), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def write_requests(path: Path, requests: list[bytes], events_each: int) -> Path:
    import pickle

    path.write_bytes(pickle.dumps((requests, events_each)))
    return path


def tree_memory(pid: int) -> int:
    """Bytes of memory of a process and its descendants; on Linux what several share counts once (PSS)."""
    return sum(memory_of_tree(pid).values())


def memory_of_tree(pid: int) -> Counter[str]:
    """The same for each name of a process, and for itself, by the name "itself"."""
    command = ["ps", "-A", "-o", "pid=,ppid=,rss=,comm="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [(*map(int, line.split()[:3]), line.split(maxsplit=3)[3]) for line in listed.splitlines()]
    tree: set[int] = set()
    found = {pid}
    while found:
        tree |= found
        found = {each for each, parent, _, _ in rows if parent in found} - tree
    total: Counter[str] = Counter()
    for each, _, kilobytes, name in rows:
        if each in tree:
            total["itself" if each == pid else name.strip().removeprefix("dw up: ")] += (
                _own_memory(each, kilobytes) * 1024
            )
    return total


def _own_memory(pid: int, resident: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()[0])
    except OSError:  # macOS, or it has ended
        return resident


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, of all its threads and without its children (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next(
            (line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line), model
        )
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores of {model}, {system}, Python {platform.python_version()}"


def spread(numbers: list[float], form: str = "{:,.0f}") -> str:
    """median (least to greatest)"""
    shown = [form.format(each) for each in (statistics.median(numbers), min(numbers), max(numbers))]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def report(name: str, rows: list[tuple[str, str]]) -> None:
    print(f"\n{name}\n  {machine()}, {time.strftime('%Y-%m-%d')}")
    for what, value in rows:
        print(f"  {what:62} {value}", flush=True)
