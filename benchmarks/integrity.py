"""What does it cost to see damage: when a file is written, when it is queried, and when a folder is opened?

Method. `write`: a file of 20,000 rows as conversion publishes it, and one of 500,000 as a merge does, each with its
page checksums and its digest and, by turns, without them; CPU time, because it is what a busy machine lacks. `query`:
the sum of a column over 720 files of 30 days, with the look at each file and, by turns, without it; and the same in a
copied folder, whose files are compared with their digests the first time. `open`: opening a folder of 8,760 and of
43,800 hours of two files; the files are only in the catalog, because an opening looks at none. Medians, and the medians
of the pairs' ratios.
"""

import resource
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from measuring import report, spread
from queries import COLUMNS, commit, events

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.records import File
from datawarehouse.definition.partition import partition_of, start_ms
from datawarehouse.parquet import files as writing
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.query.verify import Verifier
from datawarehouse.tidy.files import stored_file

ROUNDS = 15
START = start_ms("2026/06/01/00")
QUIET = {"compact_bytes_per_minute": 0}


def declared() -> Warehouse:
    return Warehouse("bench").with_streaming_input_table("events", COLUMNS)


def cpu_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def paired(one, other, rounds: int, clock) -> tuple[list[float], list[float]]:
    """Times of two calls that take turns, each in front every second time."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            before = clock()
            (one, other)[which]()
            found[which].append(clock() - before)
    return found


def ratio(found: tuple[list[float], list[float]]) -> str:
    with_it, without = map(statistics.median, found)
    pairs = spread([a / b for a, b in zip(*found, strict=True)], "{:.3f}")
    return f"{with_it:8.1f}   without {without:8.1f}   ratio {pairs}"


def write(folder: Path) -> list[tuple[str, str]]:
    folder.mkdir()
    found_all = []
    lake, chance, digest_of, parquet_writer = (
        Lake(folder),
        np.random.default_rng(1),
        writing.digest_of,
        pq.ParquetWriter,
    )
    for count, merged in ((20_000, False), (500_000, True)):
        rows = events(chance, count, 0, START)
        footer = Footer("events", ROWS, partition_of(START), [(0, count - 1)], count, count, 1)

        def publish(checked: bool, rows=rows, footer=footer, merged=merged) -> None:
            writing.digest_of = digest_of if checked else lambda path: ""
            pq.ParquetWriter = parquet_writer if checked else plain
            lake.write("x", rows.schema, [rows], footer, merged=merged)

        def plain(*arguments, write_page_checksum, **options):
            return parquet_writer(*arguments, **options)

        try:
            found = paired(partial(publish, True), partial(publish, False), ROUNDS * 3, cpu_ms)
        finally:
            writing.digest_of, pq.ParquetWriter = digest_of, parquet_writer
        found_all.append((f"write {count:,} rows, {'merged' if merged else 'fresh'}, CPU ms", ratio(found)))
    return found_all


def fill(folder: Path) -> None:
    open_warehouse(declared(), folder).close()
    lake, chance, files = Lake(folder), np.random.default_rng(1), []
    for hour in range(720):
        rows = events(chance, 5_000, hour * 5_000, START + hour * 3_600_000)
        span = (hour * 5_000, hour * 5_000 + 4_999)
        footer = Footer("events", ROWS, partition_of(START + hour * 3_600_000), [span], 5_000, 5_000, 1)
        files.append(stored_file(lake.write(f"{span[0]:016d}-bench", rows.schema, [rows], footer, merged=True)))
    commit(folder, files)


def query(folder: Path) -> list[tuple[str, str]]:
    fill(folder)
    sql = "select sum(price) from events"
    check = Verifier.check
    with open_warehouse(declared(), folder, QUIET) as opened:
        opened.query(sql)

        def ask(checked: bool) -> None:
            Verifier.check = check if checked else lambda *_: None
            opened.query(sql)

        try:
            found = paired(partial(ask, True), partial(ask, False), ROUNDS * 3, cpu_ms)
        finally:
            Verifier.check = check
        with_it = ratio(found)
    copied = folder.with_name("copied")
    shutil.copytree(folder, copied)
    size = sum(path.stat().st_size for path in copied.glob("events/**/*.parquet"))
    with open_warehouse(declared(), copied, QUIET) as opened:
        times = []
        for _ in range(2):
            before = time.perf_counter()
            opened.query(sql)
            times.append((time.perf_counter() - before) * 1000)
    return [
        ("query of 720 files, CPU ms", with_it),
        (f"the same in a copied folder of {size / 1e6:.0f} MB, ms", f"{times[0]:.0f}, then {times[1]:.0f}"),
    ]


def opening(folder: Path, hours: int) -> tuple[str, str]:
    open_warehouse(declared(), folder).close()
    files = []
    for number in range(hours * 2):
        partition = partition_of(START - (hours - number // 2) * 3_600_000)
        path = f"events/{partition}/{number:016d}-{number:08x}.parquet"
        files.append(File("events", ROWS, partition, path, 1, [(number, number)], 1, 1, 1_000, digest="0" * 32))
    commit(folder, files)
    open_warehouse(declared(), folder).close()  # the log of commits has a gap now, and is followed by a copy
    found = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        opened = open_warehouse(declared(), folder, QUIET)
        found.append((time.perf_counter() - before) * 1000)
        opened.close()
    return f"open {hours:,} hours of two files, ms", spread(found)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        rows = [*write(home / "write"), *query(home / "query")]
        rows += [opening(home / f"open-{hours}", hours) for hours in (8_760, 43_800)]
    report("What seeing damage costs", rows)
