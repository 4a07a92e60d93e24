"""What does HTTP/2 cost the owner, beside HTTP/1.1, for the same PutRecords?

Method: requests of 500 x 138 B over 8 connections, one at a time on each, by HTTP/1.1 and by HTTP/2 in turn to the same
owner, and requests of one record, where the protocol is most of the work. The client sends prebuilt frames, so that it
costs as little as that of HTTP/1.1, and checks the status of each answer. Medians of 8 rounds of 2 s each, and of the
ratios within a round. The owner's CPU is that of its process, without its children (Linux).
"""

import asyncio
import json
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from hpack import Encoder
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame, WindowUpdateFrame
from measuring import (
    HERE,
    SMALL,
    cpu_seconds,
    put_records_request,
    report,
    small_events,
    spread,
    warehouse,
    write_requests,
)

ROUNDS, SECONDS = int(os.environ.get("BENCH_ROUNDS", 8)), float(os.environ.get("BENCH_SECONDS", 2))
CONNECTIONS = 8
FRAME = 16_384
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BEGIN = PREFACE + SettingsFrame(0).serialize() + WindowUpdateFrame(0, 2**30).serialize()


def as_frames(request: bytes) -> tuple[bytes, list[bytes]]:
    """The block of headers and the parts of the body of a request of HTTP/1.1."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    headers = [(name.lower(), value) for name, value in lines if name != "Host"]
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")]
    return Encoder().encode([*pseudo, *headers]), [body[at : at + FRAME] for at in range(0, len(body), FRAME)]


def of_stream(stream: int, block: bytes, parts: list[bytes]) -> bytes:
    frames = [HeadersFrame(stream, block, flags=["END_HEADERS"]), *(DataFrame(stream, part) for part in parts)]
    frames[-1].flags.add("END_STREAM")
    return b"".join(frame.serialize() for frame in frames)


async def answered(reader: asyncio.StreamReader, stream: int) -> bool:
    """Whether the answer of a stream, which is read to its end, is 200 (the first entry of HPACK's table for it: 8)."""
    is_ok = False
    while True:
        head = await reader.readexactly(9)
        payload = await reader.readexactly(int.from_bytes(head[:3]))
        if int.from_bytes(head[5:]) != stream:
            continue
        if head[3] == HeadersFrame.type:
            is_ok = 0x88 in payload[:3]  # a change of the table's size may come before it
        if head[3] == DataFrame.type and head[4] & 1:
            return is_ok


async def send(url: str, file: str, seconds: float) -> None:
    requests, events_each = pickle.loads(Path(file).read_bytes())
    blocks = [as_frames(request) for request in requests]
    address = urlsplit(url)
    state = {"events": 0, "failed": 0}
    end = time.monotonic() + seconds

    async def connection(number: int) -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(BEGIN)
        stream, place = 1, number * 7
        while time.monotonic() < end:
            writer.write(of_stream(stream, *blocks[place % len(blocks)]))
            await writer.drain()
            state["events" if await answered(reader, stream) else "failed"] += events_each
            stream, place = stream + 2, place + 1
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*map(connection, range(CONNECTIONS)))
    print(json.dumps({**state, "events_s": state["events"] / (time.monotonic() - began)}))


async def measured(process, command: list[str]) -> dict:
    cpu = cpu_seconds(process.pid)
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    found = json.loads((await running.communicate())[0])
    assert not found["failed"], found
    return {**found, "cpu_us": (cpu_seconds(process.pid) - cpu) / found["events"] * 1e6}


async def rounds(files: dict[str, Path]) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    with warehouse(SMALL) as (process, url, _):
        for number in range(1 + ROUNDS):
            for size, file in files.items():
                ways = {
                    "HTTP/1.1": [str(HERE / "load.py"), url, str(file), str(CONNECTIONS), str(SECONDS), "0"],
                    "HTTP/2": [__file__, url, str(file), str(SECONDS)],
                }
                for way in sorted(ways, reverse=number % 2 == 0):
                    found.setdefault(f"{way}, {size}", []).append(await measured(process, [sys.executable, *ways[way]]))
    return {name: each[1:] for name, each in found.items()}  # the first round is to warm up


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        events = list(small_events(20_000))
        files = {}
        for size in (500, 1):
            groups = [events[at : at + size] for at in range(0, min(len(events), 100 * size), size)]
            files[f"{size} records"] = write_requests(
                Path(name) / str(size), [put_records_request("t", group) for group in groups], size
            )
        found = asyncio.run(rounds(files))
    rows = []
    for size in files:
        for way in ("HTTP/1.1", "HTTP/2"):
            each = found[f"{way}, {size}"]
            rows.append((f"{way}, requests of {size}: records/s", spread([one["events_s"] for one in each])))
            rows.append(("  owner's CPU, microseconds a record", spread([one["cpu_us"] for one in each], "{:.2f}")))
        pairs = list(zip(found[f"HTTP/2, {size}"], found[f"HTTP/1.1, {size}"], strict=True))
        rows.append(
            ("  HTTP/2 / HTTP/1.1, owner's CPU", spread([a["cpu_us"] / b["cpu_us"] for a, b in pairs], "{:.2f}"))
        )
    report("PutRecords of 138 B over HTTP/1.1 and HTTP/2", rows)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        uvloop.run(send(sys.argv[1], sys.argv[2], float(sys.argv[3])))
    else:
        main()
