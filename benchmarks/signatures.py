"""What does it cost the owner to check the signature of each request?

Method: requests of 500 x 138 B, and of one record, over 8 keep-alive connections to two servers in turn: one without
keys, which looks at no signature, and one with a key, which checks each (AWS Signature Version 4, signed by botocore
when the benchmark begins). A server and the client have a core each, and answers are checked. Medians of 12 interleaved
rounds of 3 s, and of the ratios within a round; the order changes from round to round. The owner's CPU is that of its
process, without its children (Linux).
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from measuring import (
    DW,
    SMALL,
    cpu_seconds,
    load,
    put_records_request,
    report,
    small_events,
    spread,
    warehouse,
    write_requests,
)

ROUNDS, SECONDS = int(os.environ.get("BENCH_ROUNDS", 12)), float(os.environ.get("BENCH_SECONDS", 3))
CONNECTIONS = 8
SIZES = (500, 1)
BAR = 0.85


def signed(request: bytes, key: dict) -> bytes:
    """A prebuilt request, with another Authorization."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    asked = AWSRequest("POST", "http://localhost/", {n: headers[n] for n in ("X-Amz-Target", "Content-Type")}, body)
    SigV4Auth(Credentials(key["id"], key["secret"]), "kinesis", "us-east-1").add_auth(asked)
    headers |= dict(asked.headers.items())
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode() + body


def make_key(folder: Path) -> dict:
    folder.mkdir()
    (folder / "warehouse.py").write_text(
        f"from datawarehouse import Warehouse\n"
        f"warehouse = Warehouse('bench').with_streaming_input_table('t', {SMALL!r}, 1)\n"
    )
    command = [DW, "keys", "create", "load", "--may", "put:t", "--output", "json"]
    return json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout)


def measured(process, url: str, file: Path) -> dict:
    cpu = cpu_seconds(process.pid)
    found = load(url, file, CONNECTIONS, SECONDS, cores="1")
    assert not found["failed"], found
    return {**found, "cpu_us": (cpu_seconds(process.pid) - cpu) / found["events"] * 1e6}


def main() -> None:
    found: dict[tuple[str, int], list[dict]] = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        key = make_key(Path(name) / "keys")
        events, files = list(small_events(20_000)), {}
        for size in SIZES:
            groups = [events[at : at + size] for at in range(0, min(len(events), 100 * size), size)]
            plain = [put_records_request("t", group) for group in groups]
            files["without keys", size] = write_requests(Path(name) / f"plain-{size}", plain, size)
            checked = [signed(request, key) for request in plain]
            files["checked", size] = write_requests(Path(name) / f"signed-{size}", checked, size)
        with (
            warehouse(SMALL, pinned_to="0") as without,
            warehouse(SMALL, pinned_to="0", folder=Path(name) / "keys") as checking,
        ):
            servers = {"without keys": without, "checked": checking}
            for number in range(1 + ROUNDS):
                for size in SIZES:
                    for way in sorted(servers, reverse=number % 2 == 0):
                        process, url, _ = servers[way]
                        found.setdefault((way, size), []).append(measured(process, url, files[way, size]))
    rows = []
    for size in SIZES:
        ways = {way: found[way, size][1:] for way in ("without keys", "checked")}  # the first round is to warm up
        for way, each in ways.items():
            rows.append((f"{way}, requests of {size}: records/s", spread([one["events_s"] for one in each])))
            rows.append(("  owner's CPU, microseconds a record", spread([one["cpu_us"] for one in each], "{:.2f}")))
        pairs = list(zip(ways["checked"], ways["without keys"], strict=True))
        bar = f" (bar {BAR})" if size == SIZES[0] else ""
        rows.append(
            (
                f"  checked / without, records/s{bar}",
                spread([a["events_s"] / b["events_s"] for a, b in pairs], "{:.2f}"),
            )
        )
        rows.append(
            ("  without / checked, owner's CPU", spread([b["cpu_us"] / a["cpu_us"] for a, b in pairs], "{:.2f}"))
        )
    report("PutRecords of 138 B with signatures checked", rows)


if __name__ == "__main__":
    main()
