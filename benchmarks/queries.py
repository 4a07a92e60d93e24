"""How long do small questions take: an hour out of a year, from Python, from the shell, and from nothing?

Method: a table of 8,760 hourly partitions with two files each. (1) `count(*)` of one hour in an open process, files
read counted; the baseline is DuckDB over a glob of all files with the same predicate on the path. (2) `dw query` from
the shell, a whole process each time. (3) open, put, flush, query, close on an empty folder, in a process that did it
once before, and as a whole process. Medians.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from measuring import DW, report, spread

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.catalog import Catalog, File
from datawarehouse.definition.partition import partition_of
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer

HOURS, FILES_EACH, ROWS_EACH = 8_760, 2, 100
HOUR = "2026/06/15/12"


def declared() -> Warehouse:
    return Warehouse("bench").with_streaming_input_table("t", {"id": "string", "n": "int"})


def fill(folder: Path) -> None:
    """A year of files, published and committed as conversion does."""
    open_warehouse(declared(), folder).close()
    catalog, lake = Catalog(catalog_path(folder), writable=True), Lake(folder)
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    rows = pa.table({"id": [f"{n:032x}" for n in range(ROWS_EACH)], "n": pa.array(range(ROWS_EACH), pa.int32())})
    files, record = [], 0
    for hour in range(HOURS):
        partition = partition_of(start + hour * 3_600_000)
        for _ in range(FILES_EACH):
            footer = Footer("t", ROWS, partition, [(record, record + ROWS_EACH - 1)], ROWS_EACH, ROWS_EACH, 1)
            target = folder / "t" / partition / f"{record:016d}-bench.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            if files:
                shutil.copy(folder / files[0].path, target)  # the footer is not read by queries
                size = files[0].bytes
            else:
                size = lake.write(f"{record:016d}-bench", rows.schema, [rows], footer, merged=True).bytes
            path = str(target.relative_to(folder))
            files.append(File("t", ROWS, partition, path, 1, footer.spans, ROWS_EACH, ROWS_EACH, size))
            record += ROWS_EACH
    with catalog.store.transaction():
        catalog._add_files(files, start, fresh=False)
    catalog.close()


def timed(call, times: int) -> list[float]:
    found = []
    for _ in range(times):
        before = time.perf_counter()
        call()
        found.append((time.perf_counter() - before) * 1000)
    return found


def once(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with open_warehouse(declared(), folder) as opened:
        opened.put("t", [{"id": str(n), "n": n} for n in range(100)])
        opened.flush()
        assert list(opened.query("select count(*) from t")) == [(100,)]


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        year, empty = Path(name) / "year", Path(name) / "empty"
        fill(year)
        sql = f"select count(*) from t where inserted_at = '{HOUR}'"
        before = time.perf_counter()
        with open_warehouse(declared(), year) as opened:
            open_ms = (time.perf_counter() - before) * 1000
            result = opened.query(sql)
            assert list(result) == [(ROWS_EACH * FILES_EACH,)]
            hour = timed(lambda: opened.query(sql), 50)
            day = timed(lambda: opened.query("select count(*) from t where inserted_at like '2026/06/15/%'"), 20)
            everything = timed(lambda: opened.query("select count(*) from t"), 3)
            files = result.statistics.files
            connection = duckdb.connect()
            glob = timed(
                lambda: connection.execute(
                    f"select count(*) from read_parquet('{year}/t/**/*.parquet') where filename like '%/{HOUR}/%'"
                ).fetchall(),
                3,
            )
        shell = timed(
            lambda: subprocess.run([DW, "query", sql, "--data", str(year)], check=True, capture_output=True), 15
        )
        once(empty)
        warm = timed(lambda: once(empty), 30)
        code = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import queries; "
            "from pathlib import Path; "
            f"queries.once(Path({str(empty)!r}))"
        )
        cold = timed(lambda: subprocess.run([sys.executable, "-c", code], check=True), 9)
        assert timedelta
    report(
        f"{HOURS:,} hourly partitions of {FILES_EACH} files",
        [
            ("count(*) of one hour in an open process, ms (bar 40)", spread(hour, "{:.1f}")),
            ("  files read (bar 2)", str(files)),
            ("count(*) of one day, ms", spread(day, "{:.1f}")),
            ("count(*) of everything, ms", spread(everything, "{:.0f}")),
            ("baseline: the hour by DuckDB over a glob, ms", spread(glob, "{:.0f}")),
            ("opening the folder, ms", f"{open_ms:.0f}"),
            ("dw query from the shell, ms (bar 800)", spread(shell, "{:.0f}")),
            ("open, put, flush, query, close on an empty folder, ms (bar 200)", spread(warm, "{:.0f}")),
            ("  the same as a whole Python process, ms", spread(cold, "{:.0f}")),
        ],
    )


if __name__ == "__main__":
    main()
