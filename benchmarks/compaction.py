"""What is a compacted day worth: 5,000 files become few, and then an aggregate takes as long as over one ideal file?

Method: a day of 24 hours, its rows in 5,000 files of uneven size, written in the format of fresh files and committed as
conversion commits them. The day is compacted in this process while a thread asks one aggregate after the other; each
answer must be the same, since a query sees one moment. Then the aggregate is timed over three warehouses in turn,
round after round: the day as it was, the compacted day, and the baseline: the same rows in one file, written in one go
in the format of merged files. Medians; a ratio is that of its round. Once with 5 million rows, once with a tenth of
them, where what a query costs however few rows it reads weighs more.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from measuring import report, spread

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted, HourEntry
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.runtime.embedded import OpenWarehouse
from datawarehouse.tidy.chores import Compacted
from datawarehouse.tidy.files import stored_file

ROUNDS = int(os.environ.get("BENCH_ROUNDS", 15))
FILES, HOURS = 5_000, 24
START_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
COLUMNS = {
    "id": "string", "event_time": "timestamp", "event_type": "string", "campaign": "string", "n": "int",
    "price": "double",
}  # fmt: skip
AGGREGATE = """
    select event_type, count(*), sum(n), count(distinct campaign), max(price), min(event_time)
    from t group by event_type order by event_type
"""


def declared() -> Warehouse:
    return Warehouse("bench").with_streaming_input_table("t", COLUMNS)


def hour_of_rows(hour: int, count: int) -> pa.Table:
    chance = np.random.default_rng(hour)
    halves = chance.integers(0, 2**63, (2, count)).tolist()
    arrays = [
        pa.array([f"{a:016x}{b:016x}" for a, b in zip(*halves, strict=True)]),
        pa.array(START_MS + hour * HOUR_MS + np.sort(chance.integers(0, HOUR_MS, count)), pa.timestamp("ms")),
        pa.array(["impression", "click", "view", "purchase"]).take(pa.array(chance.integers(0, 4, count))),
        pa.array([f"campaign-{number:03d}" for number in range(300)]).take(pa.array(chance.integers(0, 300, count))),
        pa.array(chance.integers(0, 1000, count), pa.int32()),
        pa.array(np.round(chance.random(count) * 100, 2)),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(declared().get_table("t").columns))


def hours(rows: int) -> Iterator[tuple[int, pa.Table]]:
    return ((hour, hour_of_rows(hour, rows // HOURS)) for hour in range(HOURS))


def fill_scattered(folder: Path, rows: int) -> None:
    """The day in FILES files, each between a fifth and nine fifths of the mean."""
    open_warehouse(declared(), folder).close()
    catalog, lake = Catalog(catalog_path(folder), writable=True, new=True), Lake(folder)
    record = 0
    for hour, table in hours(rows):
        partition, files, start = partition_of(START_MS + hour * HOUR_MS), [], 0
        weights = np.random.default_rng(hour).uniform(0.2, 1.8, FILES * (hour + 1) // HOURS - FILES * hour // HOURS)
        for end in np.round(np.cumsum(weights) / weights.sum() * table.num_rows).astype(int).tolist():
            count = end - start
            footer = Footer("t", ROWS, partition, [(record, record + count - 1)], count, count, 1)
            name = f"{record:016d}-bench"
            files.append(stored_file(lake.write(name, table.schema, [table.slice(start, count)], footer, merged=False)))
            record, start = record + count, end
        entry = HourEntry(partition, table.num_rows, table.num_rows, table.num_rows, 0)
        catalog.commit_batch("t", files, [entry], Converted(0, 0, 0), START_MS)
        catalog.mark_merged(catalog.fresh_files("t"))
    catalog.close()


def fill_ideal(folder: Path, rows: int) -> int:
    """The day in one file; its bytes."""
    open_warehouse(declared(), folder).close()
    partition = partition_of(START_MS)
    table = pa.concat_tables([table for _, table in hours(rows)])
    count = table.num_rows
    footer = Footer("t", ROWS, partition, [(0, count - 1)], count, count, 1)
    file = stored_file(Lake(folder).write("ideal", table.schema, [table.combine_chunks()], footer, merged=True))
    catalog = Catalog(catalog_path(folder), writable=True, new=True)
    catalog.commit_batch("t", [file], [HourEntry(partition, count, count, count, 0)], Converted(0, 0, 0), START_MS)
    catalog.mark_merged(catalog.fresh_files("t"))
    catalog.close()
    return file.bytes


def compact(opened: OpenWarehouse) -> tuple[Compacted, float, int]:
    """Compact while queries run: (what was done, seconds, how many queries were answered meanwhile)."""
    expected, answers, done = list(opened.query(AGGREGATE)), 0, threading.Event()

    def ask() -> None:
        nonlocal answers
        while not done.is_set():
            assert list(opened.query(AGGREGATE)) == expected, "a query saw a mixture of two moments"
            answers += 1

    faults: list[BaseException] = []

    def watch() -> None:
        try:
            ask()
        except BaseException as fault:
            faults.append(fault)

    asking = threading.Thread(target=watch)
    asking.start()
    before = time.perf_counter()
    compacted = opened.compact("t")
    seconds = time.perf_counter() - before
    done.set()
    asking.join()
    if faults:
        raise faults[0]
    return compacted, seconds, answers


def seconds_of(opened: OpenWarehouse) -> float:
    before = time.perf_counter()
    opened.query(AGGREGATE)
    return time.perf_counter() - before


def measure(home: Path, rows: int) -> None:
    scattered, compacted, ideal = home / "scattered", home / "compacted", home / "ideal"
    fill_scattered(scattered, rows)
    shutil.copytree(scattered, compacted)
    ideal_bytes = fill_ideal(ideal, rows)
    with (
        open_warehouse(declared(), scattered) as as_it_was,
        open_warehouse(declared(), compacted) as opened,
        open_warehouse(declared(), ideal) as baseline,
    ):
        was = opened.catalog.totals("t")
        done, took, answers = compact(opened)
        became = opened.catalog.totals("t")
        assert (was.files, was.rows) == (FILES, became.rows)
        all_three = (as_it_was, opened, baseline)
        assert len({str(list(each.query(AGGREGATE))) for each in all_three}) == 1, "the same rows"
        times = list(zip(*([seconds_of(each) for each in all_three] for _ in range(ROUNDS)), strict=True))
    milliseconds = [[second * 1000 for second in each] for each in times]
    to_ideal = [[a / b for a, b in zip(each, milliseconds[2], strict=True)] for each in milliseconds]
    report(
        f"A day of {rows // HOURS * HOURS:,} rows in {FILES:,} files, compacted",
        [
            ("files before, after", f"{was.files:,}, {became.files:,}"),
            ("MB before, after, and of the ideal file", f"{_mb(was.bytes)}, {_mb(became.bytes)}, {_mb(ideal_bytes)}"),
            ("seconds, with queries all the while", f"{took:.1f}"),
            ("  MB/s read", f"{done.bytes / took / 1e6:.1f}"),
            ("  queries answered meanwhile, all alike", str(answers)),
            ("an aggregate over the 5,000 files, ms", spread(milliseconds[0], "{:.0f}")),
            ("  over the compacted day, ms", spread(milliseconds[1], "{:.1f}")),
            ("  baseline: over the ideal file, ms", spread(milliseconds[2], "{:.1f}")),
            ("5,000 files / ideal", spread(to_ideal[0], "{:.1f}")),
            ("compacted / ideal (bar 1.3)", spread(to_ideal[1], "{:.2f}")),
        ],
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"


def main() -> None:
    for rows in (5_000_000, 500_000):
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
            measure(Path(name), rows)


if __name__ == "__main__":
    main()
