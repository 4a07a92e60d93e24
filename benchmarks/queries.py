"""How long do small questions take, and what does the engine add to DuckDB?

Method of `year`: a table of 8,760 hourly partitions with two files each. (1) `count(*)` of one hour in an open process,
files read counted; the baseline is DuckDB over a glob of all files with the same predicate on the path. (2) `count(*)`
and `max` of everything; the baseline is DuckDB over the list of all files. (3) `dw query` from the shell, a whole
process each time. (4) open, put, flush, query, close on an empty folder, in a process that did it once before, and as
a whole process. Medians.

Method of `overhead`: ten queries over five million rows in 48 hourly partitions of two compacted files, by
`open_warehouse(...).query` and, by turns with it, by DuckDB alone: equal SQL by hand over `read_parquet` of the same
files, one warm connection, as many threads, the result fetched into an Arrow table in the same way. Both must give the
same answer. For each query both medians and the median of the pairs' ratios; over the ten the median ratio, and the
median difference of the queries over one hour, where DuckDB has least to do, each also in CPU time. The engine keeps
plans of statements that come again, so what it takes to plan each of the ten for the first time stands apart.
`BENCH_ROUNDS` are the pairs, `BENCH_EVENTS` the rows.

Compaction is off, so that it does not run beside what is measured. `BENCH_QUERIES=overhead` or `year` asks one part.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from itertools import combinations
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from measuring import DW, report, spread

from datawarehouse import Warehouse, open_warehouse, settings
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import File
from datawarehouse.definition.partition import partition_of
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.query.readable import readables
from datawarehouse.sql.plan import plan
from datawarehouse.tidy.files import stored_file

PARTS = os.environ.get("BENCH_QUERIES", "year overhead").split()
ROUNDS, EVENTS = int(os.environ.get("BENCH_ROUNDS", 15)), int(os.environ.get("BENCH_EVENTS", 5_000_000))
HOURS, FILES_EACH, ROWS_EACH = 8_760, 2, 100
HOUR = "2026/06/15/12"
QUIET = {"compact_bytes_per_minute": 0}


COLUMNS = {
    "id": "string", "user_id": "bigint", "event_time": "timestamp", "event_type": "string", "campaign": "string",
    "position": "int", "price": "double", "is_bot": "boolean", "url": "string",
}  # fmt: skip
DAY, ONE_HOUR = "2026/06/15", "inserted_at = '2026/06/15/12'"
WHOLE_DAY = f"inserted_at >= '{DAY}/00' and inserted_at <= '{DAY}/23'"
QUESTIONS = {
    "count, one hour": (
        f"select count(*) from events where {ONE_HOUR} and is_bot",
        "select count(*) from read_parquet($hour) where is_bot",
    ),
    "group by, one hour": (
        f"select event_type, count(*), avg(price) from events where {ONE_HOUR} group by 1 order by 1",
        "select event_type, count(*), avg(price) from read_parquet($hour) group by 1 order by 1",
    ),
    "rows of one user, one hour": (
        f"select id, event_time, price from events where {ONE_HOUR} and user_id = 4711 order by id",
        "select id, event_time, price from read_parquet($hour) where user_id = 4711 order by id",
    ),
    "group by": (
        "select event_type, count(*), sum(price) from events group by 1 order by 1",
        "select event_type, count(*), sum(price) from read_parquet($all) group by 1 order by 1",
    ),
    "text filter, one day": (
        f"select count(*) from events where {WHOLE_DAY} and url like '%running%page=7%'",
        "select count(*) from read_parquet($day) where url like '%running%page=7%'",
    ),
    "distinct": (
        "select count(distinct user_id) from events",
        "select count(distinct user_id) from read_parquet($all)",
    ),
    "top ten": (
        "select id, price, event_time from events order by price desc, id limit 10",
        "select id, price, event_time from read_parquet($all) order by price desc, id limit 10",
    ),
    "join, group by": (
        "select c.owner, sum(e.price) as total from events as e join campaigns as c on e.campaign = c.campaign"
        " where e.event_type = 'purchase' group by c.owner order by c.owner",
        "select c.owner, sum(e.price) as total from read_parquet($all) as e join read_parquet($campaigns) as c"
        " on e.campaign = c.campaign where e.event_type = 'purchase' group by c.owner order by c.owner",
    ),
    "window, one day": (
        "select campaign, id, price from (select campaign, id, price, row_number() over (partition by campaign"
        f" order by price desc, id) as n from events where {WHOLE_DAY} and event_type = 'purchase') where n <= 3"
        " order by campaign, price, id",
        "select campaign, id, price from (select campaign, id, price, row_number() over (partition by campaign"
        " order by price desc, id) as n from read_parquet($day) where event_type = 'purchase') where n <= 3"
        " order by campaign, price, id",
    ),
    "times and a quantile": (
        "select date_trunc('hour', event_time) as hour, approx_percentile(price, 0.95), "
        "max(date_diff('minute', event_time, timestamp '2026-07-01 00:00:00')) from events group by 1 order by 1",
        "select date_trunc('hour', event_time) as hour, approx_quantile(price, 0.95), "
        "max(date_sub('minute', event_time, timestamp '2026-07-01 00:00:00')) from read_parquet($all)"
        " group by 1 order by 1",
    ),
}
"""Ten questions: Athena SQL for the engine, and the same for DuckDB."""


def declared() -> Warehouse:
    return Warehouse("bench").with_streaming_input_table("t", {"id": "string", "n": "int"})


def declared_events() -> Warehouse:
    campaigns = {"campaign": "string", "owner": "string"}
    return (
        Warehouse("bench")
        .with_streaming_input_table("events", COLUMNS)
        .with_streaming_input_table("campaigns", campaigns)
    )


def data_file(target: Path, path: str, footer: Footer, digest: str) -> File:
    found = target.stat()
    return File(
        footer.table, ROWS, footer.partition, path, 1, footer.spans, footer.records, footer.rows, found.st_size,
        digest=digest, inode=found.st_ino, modified_ns=found.st_mtime_ns,
    )  # fmt: skip


def commit(folder: Path, files: list[File]) -> None:
    catalog = Catalog(catalog_path(folder), writable=True, new=True)
    with catalog.store.transaction():
        catalog._add_files(files, 0, fresh=False)
    catalog.close()


def fill(folder: Path) -> None:
    """A year of files, published and committed as conversion does."""
    open_warehouse(declared(), folder).close()
    lake = Lake(folder)
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    rows = pa.table({"id": [f"{n:032x}" for n in range(ROWS_EACH)], "n": pa.array(range(ROWS_EACH), pa.int32())})
    files, record, digest = [], 0, ""
    for hour in range(HOURS):
        partition = partition_of(start + hour * 3_600_000)
        for _ in range(FILES_EACH):
            footer = Footer("t", ROWS, partition, [(record, record + ROWS_EACH - 1)], ROWS_EACH, ROWS_EACH, 1)
            target = folder / "t" / partition / f"{record:016d}-bench.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            if files:
                shutil.copy(folder / files[0].path, target)  # the footer is not read by queries
            else:
                digest = lake.write(f"{record:016d}-bench", rows.schema, [rows], footer, merged=True).digest
            files.append(data_file(target, str(target.relative_to(folder)), footer, digest))
            record += ROWS_EACH
    commit(folder, files)


def fill_events(folder: Path) -> dict[str, list[str]]:
    """Two days of files as compaction leaves them; the paths of all, of a day, of an hour, and of the campaigns."""
    open_warehouse(declared_events(), folder).close()
    lake, chance = Lake(folder), np.random.default_rng(1)
    start = int(datetime(2026, 6, 14, tzinfo=UTC).timestamp() * 1000)
    count = EVENTS // 96
    files, paths = [], {"all": [], "day": [], "hour": [], "campaigns": []}
    for number in range(96):
        arrived = start + number // 2 * 3_600_000
        partition, first = partition_of(arrived), number * count
        rows = events(chance, count, first, arrived)
        footer = Footer("events", ROWS, partition, [(first, first + count - 1)], count, count, 1)
        stored = lake.write(f"{first:016d}-bench", rows.schema, [rows], footer, merged=True)
        files.append(stored_file(stored))
        wanted = ["all", *["day"] * partition.startswith(DAY), *["hour"] * (partition in ONE_HOUR)]
        for name in wanted:
            paths[name].append(str(folder / stored.path))
    names = [f"campaign-{n:03d}" for n in range(300)]
    rows = pa.table({"campaign": names, "owner": [f"owner-{n % 20:02d}" for n in range(300)]})
    footer = Footer("campaigns", ROWS, f"{DAY}/00", [(0, 299)], 300, 300, 1)
    stored = lake.write("0-bench", rows.schema, [rows], footer, merged=True)
    paths["campaigns"].append(str(folder / stored.path))
    commit(folder, [*files, stored_file(stored)])
    return paths


def events(chance: np.random.Generator, count: int, first: int, arrived: int) -> pa.Table:
    def text(form: str, kinds: int) -> pa.Array:
        return pa.array([form.format(n) for n in range(kinds)]).take(pa.array(chance.integers(0, kinds, count)))

    kinds = pa.array(["impression", "click", "view", "purchase"])
    times = pa.array(np.sort(arrived + chance.integers(0, 3_600_000, count)), pa.int64())
    return pa.table({
        "id": [f"{n * 0x9E3779B97F4A7C15 & (1 << 64) - 1:016x}" for n in range(first, first + count)],
        "user_id": chance.integers(0, 200_000, count),
        "event_time": times.cast(pa.timestamp("ms")),
        "event_type": kinds.take(pa.array(chance.integers(0, 4, count))),
        "campaign": text("campaign-{:03d}", 300),
        "position": chance.integers(0, 50, count).astype(np.int32),
        "price": np.round(chance.random(count) * 100, 2),
        "is_bot": chance.random(count) < 0.05,
        "url": text("https://shop.example.com/running+shoes/{:05d}?page=7", 20_000),
    })  # fmt: skip


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


def year(folder: Path, empty: Path) -> None:
    fill(folder)
    sql = f"select count(*) from t where inserted_at = '{HOUR}'"
    before = time.perf_counter()
    with open_warehouse(declared(), folder, QUIET) as opened:
        open_ms = (time.perf_counter() - before) * 1000
        result = opened.query(sql)
        assert list(result) == [(ROWS_EACH * FILES_EACH,)]
        hour = timed(lambda: opened.query(sql), 50)
        filtered = timed(lambda: opened.query(f"{sql} and n >= 0"), 50)
        day = timed(lambda: opened.query("select count(*) from t where inserted_at like '2026/06/15/%'"), 20)
        everything = timed(lambda: opened.query("select count(*) from t"), 9)
        greatest = timed(lambda: opened.query("select max(n) from t"), 3)
        files = opened.query(f"{sql} and n >= 0").statistics.files
        connection = duckdb.connect()
        glob = timed(
            lambda: connection.execute(
                f"select count(*) from read_parquet('{folder}/t/**/*.parquet') where filename like '%/{HOUR}/%'"
            ).fetchall(),
            3,
        )
        paths = [str(path) for path in folder.glob("t/**/*.parquet")]

        def by_duckdb(what: str) -> list[float]:
            text = f"select {what} from read_parquet($paths)"
            return timed(lambda: connection.execute(text, {"paths": paths}).fetchall(), 3)

        listed = {what: by_duckdb(what) for what in ("count(*)", "max(n)")}
    shell = timed(
        lambda: subprocess.run([DW, "query", sql, "--data", str(folder)], check=True, capture_output=True), 15
    )
    once(empty)
    warm = timed(lambda: once(empty), 30)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import queries; "
        "from pathlib import Path; "
        f"queries.once(Path({str(empty)!r}))"
    )
    cold = timed(lambda: subprocess.run([sys.executable, "-c", code], check=True), 9)
    report(
        f"{HOURS:,} hourly partitions of {FILES_EACH} files",
        [
            ("count(*) of one hour in an open process, ms (bar 40)", spread(hour, "{:.1f}")),
            ("count(*) of one hour with a condition on a column, ms", spread(filtered, "{:.1f}")),
            ("  files read (bar 2)", str(files)),
            ("count(*) of one day, ms", spread(day, "{:.1f}")),
            ("count(*) of everything, ms (bar 100)", spread(everything, "{:.0f}")),
            ("  baseline: by DuckDB over the list of files, ms", spread(listed["count(*)"], "{:.0f}")),
            ("max of a column of everything, ms", spread(greatest, "{:.0f}")),
            ("  baseline: by DuckDB over the list of files, ms", spread(listed["max(n)"], "{:.0f}")),
            ("baseline: the hour by DuckDB over a glob, ms", spread(glob, "{:.0f}")),
            ("opening the folder, ms", f"{open_ms:.0f}"),
            ("dw query from the shell, ms (bar 800)", spread(shell, "{:.0f}")),
            ("open, put, flush, query, close on an empty folder, ms (bar 200)", spread(warm, "{:.0f}")),
            ("  the same as a whole Python process, ms", spread(cold, "{:.0f}")),
        ],
    )


def overhead(folder: Path) -> None:
    paths = fill_events(folder)
    rows, cpu = [], []
    ratios, differences = ([], []), ([], [])  # by the clock, in CPU time
    with open_warehouse(declared_events(), folder, QUIET) as opened:
        connection = duckdb.connect(config={"threads": settings.resolve({}).number("query_threads")})
        for name, (sql, by_hand) in QUESTIONS.items():
            used = {key: paths[key] for key in paths if f"${key}" in by_hand}

            def alone(by_hand: str = by_hand, used: dict[str, list[str]] = used) -> pa.Table:
                cursor = connection.cursor()
                return cursor.sql(by_hand, params=used).to_arrow_reader(10_000).read_all()

            def ours(sql: str = sql) -> pa.Table:
                return opened.query(sql).arrow()

            assert same(ours(), alone()), name
            pairs = [(used_ms(ours), used_ms(alone)) for _ in range(ROUNDS)]
            mine, theirs = ([pair[side][0] for pair in pairs] for side in (0, 1))
            cpu.append(tuple(statistics.median(pair[side][1] for pair in pairs) for side in (1, 0)))
            for clock in (0, 1):
                ratios[clock].append(statistics.median(a[clock] / b[clock] for a, b in pairs))
                if "one hour" in name:
                    differences[clock].append(statistics.median(a[clock] - b[clock] for a, b in pairs))
            rows.append(
                (name, f"{statistics.median(mine):.1f} / {statistics.median(theirs):.1f} = {ratios[0][-1]:.2f}")
            )
    slope, constant = fitted(cpu)
    catalog = Catalog(catalog_path(folder), writable=False)
    schemas = {name: table.schema for name, table in readables(catalog).items()}
    planning = [statistics.median(timed(partial(plan, sql, schemas, "bench"), 15)) for sql, _ in QUESTIONS.values()]
    rows += [
        ("median ratio of the ten", f"{statistics.median(ratios[0]):.2f}"),
        ("  in CPU time", f"{statistics.median(ratios[1]):.2f}"),
        ("median difference of those over one hour, ms", f"{statistics.median(differences[0]):.1f}"),
        ("  in CPU time", f"{statistics.median(differences[1]):.1f}"),
        ("planning a statement for the first time, ms", spread(planning, "{:.1f}")),
        ("fit over the ten in CPU time (aim 1.05 x DuckDB + 3 ms)", f"{slope:.2f} x DuckDB + {constant:.1f} ms"),
    ]
    report(f"{EVENTS:,} rows in 96 files: the engine / DuckDB alone, ms", rows)


def used_ms(call) -> tuple[float, float]:
    """How long a call takes by the clock, and in CPU time of all threads, which sways less on a busy machine."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def same(mine: pa.Table, theirs: pa.Table) -> bool:
    """Whether two answers are equal; sums and averages of doubles depend on the order of threads in the last digits."""
    return len(mine) == len(theirs) and all(
        a == b or (isinstance(a, float) and abs(a - b) <= 0.01 * abs(b))
        for one, other in zip(mine.itercolumns(), theirs.itercolumns(), strict=True)
        for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True)
    )


def fitted(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Slope and constant of the line through the points (Theil and Sen): medians of all slopes, of what is left."""
    slope = statistics.median((d - b) / (c - a) for (a, b), (c, d) in combinations(points, 2))
    return slope, statistics.median(b - slope * a for a, b in points)


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        if "year" in PARTS:
            year(Path(name) / "year", Path(name) / "empty")
        if "overhead" in PARTS:
            overhead(Path(name) / "events")


if __name__ == "__main__":
    main()
