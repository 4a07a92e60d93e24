"""How long does it take to prove that everything is there, and what does a copied folder cost its first query?

1. `dw audit` from the shell, a whole process, at each level, over 8,760 hours of two files of rows; the baseline reads
   the same footers with pyarrow alone. Bar: silent, and under 20 s at level files.
2. The same at level data over the folder of the example after its 72 hours (tests/journey/test_hours.py).
3. A folder of 720 files that was copied (`cp -r`): the sum of a column of all of them in a new engine, in turn in the
   original, in the copy, and in a copy whose owner has read the files and noted what the file system says of them.
   `BENCH_ROUNDS` are the turns. What is measured is CPU time, of all threads, and the time on the clock.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measuring import DW, report, spread

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted, HourEntry
from datawarehouse.definition.partition import partition_of
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate
from datawarehouse.tidy.audit import LEVELS
from datawarehouse.tidy.files import stored_file

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "journey"), str(ROOT / "tests"), str(ROOT / "examples" / "acme_ads")]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", 9))
HOURS, FILES_EACH = 8_760, 2
START = datetime(2026, 1, 1, tzinfo=UTC)
SQL = "select sum(n) from t where n >= 0"


def declared() -> Warehouse:
    return Warehouse("bench").with_streaming_input_table("t", {"id": "string", "n": "int"})


def fill(folder: Path, hours: int, files_each: int, rows_each: int) -> None:
    """Hours of files, published and committed as conversion does."""
    with simulate(declared(), folder, start=START):
        lake = Lake(folder)
        rows = pa.table({"id": [f"{n:032x}" for n in range(rows_each)], "n": pa.array(range(rows_each), pa.int32())})
        catalog = Catalog(catalog_path(folder), writable=True, synced=False)
        record = 0
        for hour in range(hours):
            partition = partition_of(int(START.timestamp() * 1000) + hour * 3_600_000)
            files = []
            for _ in range(files_each):
                footer = Footer("t", ROWS, partition, [(record, record + rows_each - 1)], rows_each, rows_each, 1)
                files.append(
                    stored_file(lake.write(f"{record:016d}-{0:08x}", rows.schema, [rows], footer, merged=True))
                )
                record += rows_each
            stored = rows_each * files_each
            catalog.commit_batch("t", files, [HourEntry(partition, stored, stored, stored, 0)], Converted(0, 0, 0), 0)
            catalog.mark_merged(files)
        catalog.close()


def audited(folder: Path, level: str) -> tuple[float, float]:
    """(seconds, of them CPU time) of a silent audit in a process of its own."""
    before, used = time.perf_counter(), children_s()
    command = [DW, "audit", "--data", str(folder), "--level", level]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.endswith("\nno known data errors\n") and "note:" not in done.stdout, done.stdout
    return time.perf_counter() - before, children_s() - used


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def footers_alone(folder: Path) -> float:
    before = time.perf_counter()
    for path in folder.glob("t/**/*.parquet"):
        pq.read_metadata(path)
    return time.perf_counter() - before


def year(folder: Path) -> None:
    fill(folder, HOURS, FILES_EACH, 100)
    measured = {level: [audited(folder, level) for _ in range(3)] for level in LEVELS}
    rows = []
    for level, pairs in measured.items():
        bar = ", bar 20" if level == "files" else ""
        rows.append((f"level {level}, s{bar}", spread([pair[0] for pair in pairs], "{:.1f}")))
        rows.append(("  of it CPU time", spread([pair[1] for pair in pairs], "{:.1f}")))
    rows.append(
        ("baseline: all footers by pyarrow alone, s", spread([footers_alone(folder) for _ in range(3)], "{:.1f}"))
    )
    report(f"dw audit, {HOURS:,} hours of {FILES_EACH} files", rows)


def example(folder: Path) -> None:
    from test_hours import HOURS as OF_THE_EXAMPLE
    from test_hours import counted, go_on

    counted(folder)
    with go_on(folder, OF_THE_EXAMPLE):
        pass
    data = next(path.parent for path in folder.rglob("FORMAT"))
    files = list(data.rglob("*.parquet"))
    pairs = [audited(data, "data") for _ in range(3)]
    report(
        f"dw audit, the example after {OF_THE_EXAMPLE} hours",
        [
            ("level data, s", spread([pair[0] for pair in pairs], "{:.1f}")),
            ("  of it CPU time", spread([pair[1] for pair in pairs], "{:.1f}")),
            ("data files, MB", f"{len(files)}, {sum(path.stat().st_size for path in files) / 1e6:.1f}"),
        ],
    )


def asked(folder: Path) -> tuple[float, float]:
    """(ms, of them CPU time) of the first query of a new engine."""
    with Reader(folder, resolve({})) as reader:
        reader.engine.query("select 1")  # the engine is loaded
        before, used = time.perf_counter(), time.process_time()
        assert reader.engine.query(SQL).dicts()
        return (time.perf_counter() - before) * 1000, (time.process_time() - used) * 1000


def copied(folder: Path) -> None:
    original, copy, read = folder / "original", folder / "copy", folder / "read"
    fill(original, 720, 1, 20_000)
    for target in (copy, read):
        shutil.copytree(original, target, copy_function=shutil.copyfile)
    with simulate(declared(), read, start=START, settings={"compact_bytes_per_minute": 0}) as opened:
        before, used = time.perf_counter(), time.process_time()
        opened.tidying.round()
        took = time.perf_counter() - before, time.process_time() - used
    asked(original)
    turns = [(asked(original), asked(copy), asked(read)) for _ in range(ROUNDS)]
    size = sum(path.stat().st_size for path in copy.glob("t/**/*.parquet"))
    names = ("the original", "the copy", "the copy that its owner has read")
    rows = [("the owner reads the files once, s", f"{took[0]:.2f}, {took[1]:.2f} of it CPU time")]
    for place, name in enumerate(names):
        rows.append((f"first query in {name}, ms", spread([turn[place][0] for turn in turns])))
        rows.append(("  of it CPU time", spread([turn[place][1] for turn in turns])))
        if place:
            more = [turn[place][1] - turn[0][1] for turn in turns]
            rows.append(("  more CPU time than in the original", spread(more, "{:.1f}")))
    report(f"A copied folder: 720 files, {size / 1e6:.0f} MB, the sum of a column", rows)


def main() -> None:
    for measure in (year, example, copied):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()
