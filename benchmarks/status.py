"""How long does the event loop stand still while /metrics is asked for, with 100,000 live files in the catalog?

Method: an owner whose catalog has 100,000 live files in 8,760 hours, and an event loop in which a coroutine does
nothing but note the longest time between two of its turns. One after the other, 21 times: nothing else (what the
machine itself does to the loop), a scrape as `dw up` answers it, and a scrape whose status is computed on the loop (the
baseline). Beside that, the time of a status.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from measuring import SMALL, report, spread

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import File, HourEntry
from datawarehouse.clock import WallClock
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.runtime.embedded import OpenWarehouse
from datawarehouse.server.metrics import exposition
from datawarehouse.settings import resolve

FILES, HOURS, ROUNDS = 100_000, 8_760, 21
WATCHED_S = 0.3


def fill(opened: OpenWarehouse) -> None:
    """Give the catalog files that are not there: a status reads no file."""
    hours = [partition_of(opened.clock.now_ms() - number * HOUR_MS) for number in range(HOURS, 0, -1)]
    files = []
    for number in range(FILES):
        hour = hours[number % HOURS]
        name = f"t/{hour}/{number:016d}-00000000.parquet"
        files.append(File("t", "rows", hour, name, 1, [(number, number + 1)], 1, 1, 1000))
    reached = opened.catalog.converted("t")
    opened.catalog.commit_batch("t", files, [HourEntry(hour, 12, 12, 12, 0) for hour in hours], reached, 0)
    opened.catalog.mark_merged(opened.catalog.fresh_files("t"))


async def longest_stall(meanwhile) -> float:
    """The longest time between two turns of a coroutine while `meanwhile()` is awaited, in ms."""
    longest, last, end = 0.0, time.perf_counter(), time.perf_counter() + WATCHED_S
    task = asyncio.ensure_future(meanwhile())
    while not task.done() or last < end:
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await task
    return longest * 1000


async def measured(opened: OpenWarehouse) -> dict[str, list[float]]:
    loop = asyncio.get_running_loop()

    async def nothing() -> None:
        await asyncio.sleep(0)

    async def scrape() -> None:
        exposition(await loop.run_in_executor(None, opened.status), 0)

    async def scrape_on_the_loop() -> None:
        exposition(opened.status(), 0)

    found: dict[str, list[float]] = {"nothing": [], "scrape": [], "on the loop": [], "status": []}
    for _ in range(ROUNDS):
        found["nothing"].append(await longest_stall(nothing))
        found["scrape"].append(await longest_stall(scrape))
        found["on the loop"].append(await longest_stall(scrape_on_the_loop))
        before = time.thread_time()
        opened.status()
        found["status"].append((time.thread_time() - before) * 1000)
    return found


def main() -> None:
    declared = Warehouse("bench").with_streaming_input_table("t", SMALL)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        opened = OpenWarehouse(declared, Path(name) / "data", resolve({}), WallClock())
        with opened:
            fill(opened)
            found = uvloop.run(measured(opened))
    rows = [
        ("longest stall of the event loop while nothing is asked, ms", spread(found["nothing"], "{:.1f}")),
        ("... during a scrape", spread(found["scrape"], "{:.1f}")),
        ("... if the status were computed on the loop", spread(found["on the loop"], "{:.1f}")),
        ("CPU time of a status, ms", spread(found["status"], "{:.1f}")),
    ]
    report(f"GET /metrics with {FILES:,} live files", rows)
    assert statistics.median(found["scrape"]) < statistics.median(found["on the loop"])


if __name__ == "__main__":
    main()
