"""The client of the benchmarks: prebuilt requests over keep-alive connections, answers checked, time of each kept.

load.py URL FILE CONNECTIONS SECONDS RATE
"""

import asyncio
import json
import pickle
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvloop


async def main(url: str, file: str, connections: int, seconds: float, rate: float) -> None:
    requests, events_each = pickle.loads(Path(file).read_bytes())
    address = urlsplit(url)
    state = {"events": 0, "failed": 0, "next": 0}
    times: list[float] = []
    start = time.monotonic()
    end = start + seconds

    async def connection(number: int) -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        place = number * 7
        while (now := time.monotonic()) < end:
            if rate:  # the next request of all connections together is due at its own time
                due = start + state["next"] * events_each / rate
                state["next"] += 1
                if due > now:
                    await asyncio.sleep(due - now)
            request = requests[place % len(requests)]
            place += 1
            before = time.perf_counter()
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            times.append(time.perf_counter() - before)
            if head.startswith(b"HTTP/1.1 200") and b'"ErrorCode"' not in body:
                state["events"] += events_each
            else:
                state["failed"] += events_each

    await asyncio.gather(*map(connection, range(connections)))
    took = time.monotonic() - start
    times.sort()
    print(
        json.dumps(
            {
                "events": state["events"],
                "failed": state["failed"],
                "events_s": state["events"] / took,
                "p50_ms": times[len(times) // 2] * 1000,
                "p99_ms": times[int(len(times) * 0.99)] * 1000,
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])))
