"""How long until events are taken again, with a gigabyte waiting for conversion?

Method: an owner takes events without converting until its journal holds 1 GB, and is killed. Then `dw up` is started
until it says it is ready; medians of 7 starts (each is killed at once, so that the journal stays). Twice: with requests
of 500 records, and with requests of one record, which make the journal's blocks small.
"""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from measuring import DW, SMALL, report, small_events, spread

from datawarehouse import Warehouse
from datawarehouse.clock import WallClock
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.folder import journal_root
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.runtime.embedded import open_warehouse

JOURNAL_BYTES = 1_000_000_000
STARTS = 7


def fill(folder: Path, records_each: int) -> int:
    """A data folder whose journal holds JOURNAL_BYTES; the number of records."""
    declared = Warehouse("bench").with_streaming_input_table("t", SMALL)
    open_warehouse(declared, folder / "data").close()
    journal = Journal(journal_root(folder / "data"), "t", WallClock(), LOCAL_DISK)
    events = list(small_events(1000))
    entries = [entry_of(events[at : at + records_each]) for at in range(0, 1000, records_each)]
    while journal.synced < JOURNAL_BYTES:
        for entry in entries:
            journal.enqueue(entry)
        journal.flush()
    journal.close()
    return journal.next_record


def starts(folder: Path) -> list[float]:
    (folder / "warehouse.py").write_text(
        "from datawarehouse import Warehouse\n"
        f"warehouse = Warehouse('bench').with_streaming_input_table('t', {SMALL!r})\n"
    )
    found = []
    for _ in range(STARTS):
        before = time.perf_counter()
        process = subprocess.Popen(
            [DW, "up", "--port", "0", "--output", "json", "--convert-interval-ms", "60000"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout.readline()
        found.append(time.perf_counter() - before)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return found


def main() -> None:
    rows = []
    for records_each in (500, 1):
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
            records = fill(Path(name), records_each)
            found = starts(Path(name))
            rows.append(
                (f"{records:,} records in requests of {records_each}: ready after, s (bar 3)", spread(found, "{:.2f}"))
            )
    report("Start with 1 GB of unconverted journal", rows)


if __name__ == "__main__":
    main()
