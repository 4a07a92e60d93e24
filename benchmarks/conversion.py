"""How fast are events converted, exactly, on one core?

Method: 300,000 events of about 470 bytes, in a journal. Each round runs, in this process, pinned to one core: a batch
conversion with all that belongs to it (journal read and checked, rows, rejects, Parquet written and synced), at 0, 5
and 50 % bad records of ten kinds; and the baseline, DuckDB's unchecked `COPY (FROM read_json(columns=...))` of the same
clean events to Parquet with one thread. Medians of 9 interleaved rounds, and of the ratios within a round.
"""

import gc
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa
from measuring import LARGE, SMALL, large_events, report, small_events, spread

from datawarehouse.clock import WallClock
from datawarehouse.convert.batch import BatchConverter
from datawarehouse.convert.orders import BatchOrder
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.journal.journal import Journal, entry_of

EVENTS, ROUNDS = 300_000, int(os.environ.get("BENCH_ROUNDS", 9))
SHARES = {"clean": 0.0, "5 % bad": 0.05, "50 % bad": 0.5}
FAULTS = (
    lambda e: e[: len(e) // 2],
    lambda e: b"not json",
    lambda e: e + b"}",
    lambda e: e.replace(b'"user_id":', b'"user_id":"x', 1).replace(b',"event_time"', b'","event_time"', 1),
    lambda e: e.replace(b'"position":', b'"position":1.5,"p":', 1),
    lambda e: e.replace(b'"is_bot":', b'"is_bot":"maybe","p":', 1),
    lambda e: e.replace(b'Z"', b'+02:00"', 1),
    lambda e: e.replace(b'"device":{', b'"device":5,"d":{', 1),
    lambda e: e.replace(b'"id":"', b'"id":"\xff', 1),
    lambda e: e.replace(b'"price":', b'"price":"12,50","p":', 1),
)
DUCKDB_TYPES = {
    "string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP", "array<string>": "VARCHAR[]",
    "struct<os:string,version:string,width:int>": "STRUCT(os VARCHAR, version VARCHAR, width INTEGER)",
}  # fmt: skip


def spoiled(events: list[bytes], share: float) -> list[bytes]:
    chance = random.Random(3)
    return [chance.choice(FAULTS)(event) if chance.random() < share else event for event in events]


def write_journal(folder: Path, name: str, events: list[bytes]) -> None:
    journal = Journal(folder, name, WallClock(), LOCAL_DISK)
    for start in range(0, len(events), 500):
        journal.append(entry_of(events[start : start + 500]))
    journal.close()


def prepare(folder: Path) -> None:
    """Write what is converted. In a process of its own: its heap would be in the way of what is measured."""
    clean, small = list(large_events(EVENTS)), list(small_events(EVENTS))
    for name, share in SHARES.items():
        write_journal(folder, name, spoiled(clean, share))
    write_journal(folder, "small", small)
    (folder / "clean.ndjson").write_bytes(b"\n".join(clean) + b"\n")
    (folder / "small.ndjson").write_bytes(b"\n".join(small) + b"\n")


def convert(converter: BatchConverter, journal: Journal, columns: dict[str, str], lake: Path) -> tuple[float, int]:
    """Seconds, and how many records were rejected, for all of a journal in batches of 32 MiB."""
    position = record = rejected = 0
    started = time.perf_counter()
    while record < journal.next_record:
        order = BatchOrder(
            table="t", columns=list(columns.items()), schema_version=1, spans=journal.spans(position, 32 << 20),
            first_record=record, arrival_ms=0, bytes_max=32 << 20, stream_created_ms=0, lake=str(lake), name="bench",
        )  # fmt: skip
        result = converter.run(order)
        position, record = result.position, result.next_record
        rejected += sum(hour.rejected for hour in result.hours)
        gc.collect()
    seconds = time.perf_counter() - started
    shutil.rmtree(lake)
    lake.mkdir()
    return seconds, rejected


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        lake = folder / "lake"
        lake.mkdir()
        subprocess.run([sys.executable, __file__, "prepare", name], check=True)
        journals = {kind: Journal(folder, kind, WallClock(), LOCAL_DISK) for kind in SHARES}
        small_journal = Journal(folder, "small", WallClock(), LOCAL_DISK)
        connection = duckdb.connect()
        connection.execute("set threads = 1")
        gc.collect()
        gc.freeze()
        gc.disable()  # as the conversion process does

        def copy(file: str, columns: dict[str, str]) -> float:
            types = ", ".join(f"{column}: '{DUCKDB_TYPES[kind]}'" for column, kind in columns.items())
            started = time.perf_counter()
            connection.execute(
                f"copy (from read_json('{folder / file}', columns = {{{types}}}, format = 'newline_delimited'))"
                f" to '{folder / 'out.parquet'}' (format parquet, compression snappy)"
            )
            return time.perf_counter() - started

        size = (folder / "clean.ndjson").stat().st_size / EVENTS
        converter = BatchConverter()
        times: dict[str, list[float]] = {}
        rejected: dict[str, int] = {}
        for _ in range(ROUNDS):
            times.setdefault("duckdb", []).append(copy("clean.ndjson", LARGE))
            for kind, journal in journals.items():
                seconds, rejected[kind] = convert(converter, journal, LARGE, lake)
                times.setdefault(kind, []).append(seconds)
            times.setdefault("duckdb, small", []).append(copy("small.ndjson", SMALL))
            times.setdefault("small", []).append(convert(converter, small_journal, SMALL, lake)[0])

    def ratio(ours: str, theirs: str) -> str:
        ratios = [b / a for a, b in zip(times[ours], times[theirs], strict=True)]
        return spread(ratios, "{:.2f}")

    rows = [(f"{size:.0f} B: DuckDB's unchecked COPY, rows/s", spread([EVENTS / t for t in times["duckdb"]]))]
    for kind in journals:
        rows.append(
            (f"{size:.0f} B, {kind}: rows/s ({rejected[kind]:,} rejected)", spread([EVENTS / t for t in times[kind]]))
        )
    rows += [
        ("clean / DuckDB unchecked (bar 0.3, aim 0.4)", ratio("clean", "duckdb")),
        ("5 % bad / clean (bar 0.7)", ratio("5 % bad", "clean")),
        ("50 % bad / clean (bar 0.5)", ratio("50 % bad", "clean")),
        ("138 B: rows/s", spread([EVENTS / t for t in times["small"]])),
        ("138 B / DuckDB unchecked", ratio("small", "duckdb, small")),
    ]
    report("Conversion on one core", rows)
    gc.unfreeze()


if __name__ == "__main__":
    prepare(Path(sys.argv[2])) if sys.argv[1:2] == ["prepare"] else main()
