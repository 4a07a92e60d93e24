"""How many files does a query on event time read, and how long does it take to find them, over a year of hours?

Method: a table with a file for each of 8,760 hours of arrival, in which one event in a thousand is up to three days
late and the others up to a minute. 1,000 ranges of event time, from a minute to 30 days long and anywhere in the year,
are asked for by comparison, BETWEEN, `date_trunc` and `date`. The rows of each answer are compared with those that a
full scan finds. The minimum is the number of files that have a row in the range. Times are CPU time: `find` is to plan
the statement and to list its files, as each query does; `decide` is what the workgroup `adhoc` does before that.
`python benchmarks/event_times.py 1000 200` takes another number of hours and ranges.
"""

import os
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from measuring import report, spread

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted
from datawarehouse.clock import WallClock
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.workgroups import chosen, with_defaults
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.query.engine import Engine
from datawarehouse.query.event_times import files_by_event_time
from datawarehouse.query.limits import QueryLimits
from datawarehouse.query.readable import readables
from datawarehouse.runtime.embedded import open_warehouse
from datawarehouse.runtime.reader import read_json
from datawarehouse.tidy.files import stored_file

HOURS, RANGES, ROWS_AN_HOUR, LATE_MS = 8_760, 1_000, 2_000, 72 * HOUR_MS
DECLARED = Warehouse("bench").with_streaming_input_table("t", {"id": "bigint", "at": "timestamp"}, event_time="at")


def fill(folder: Path, hours: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row, in the order of its `id`: its event time, and the number of its file."""
    open_warehouse(DECLARED, folder).close()
    [table] = DECLARED.tables()
    chance, lake, schema = np.random.default_rng(20_261_130), Lake(folder), arrow_schema(table.columns)
    first_ms = WallClock().now_ms() // HOUR_MS * HOUR_MS - hours * HOUR_MS
    events, files = [], []
    for hour in range(hours):
        at = first_ms + hour * HOUR_MS + np.sort(chance.integers(0, HOUR_MS, ROWS_AN_HOUR))
        delay = chance.integers(0, 60_000, ROWS_AN_HOUR)
        late = chance.random(ROWS_AN_HOUR) < 0.001
        delay[late] = chance.integers(0, LATE_MS, late.sum())
        events.append(at - delay)
        ids = np.arange(hour * ROWS_AN_HOUR, (hour + 1) * ROWS_AN_HOUR)
        rows = pa.table([pa.array(ids), pa.array(at - delay).cast(schema.field("at").type)], schema=schema)
        partition, span = partition_of(first_ms + hour * HOUR_MS), (int(ids[0]), int(ids[-1]))
        footer = Footer("t", ROWS, partition, [span], ROWS_AN_HOUR, ROWS_AN_HOUR, 1)
        files.append(lake.write(f"{ids[0]:016d}-bench", schema, [rows], footer, merged=True, event_time="at"))
    catalog = Catalog(catalog_path(folder), writable=True)
    reached = Converted(0, hours * ROWS_AN_HOUR, first_ms + hours * HOUR_MS)
    catalog.commit_batch("t", [stored_file(file) for file in files], [], reached, WallClock().now_ms())
    catalog.close()
    return np.concatenate(events), np.repeat(np.arange(hours), ROWS_AN_HOUR)


def text(milliseconds: int, form: str = "%Y-%m-%d %H:%M:%S.{:03d}") -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime(form).format(milliseconds % 1000)


def condition(chance: random.Random, low: int, high: int) -> tuple[str, int, int]:
    """A condition on about these instants, and the exact ones: the first, and the one after the last."""
    day_ms = 24 * HOUR_MS
    match chance.choice(("compared", "between", "date_trunc", "date")):
        case "compared":
            return f"at >= timestamp '{text(low)}' and at < timestamp '{text(high)}'", low, high
        case "between":
            return f"at between timestamp '{text(low)}' and timestamp '{text(high - 1)}'", low, high
        case "date_trunc":
            low, last = low // HOUR_MS * HOUR_MS, high // HOUR_MS * HOUR_MS
            hours = f"timestamp '{text(low)}' and timestamp '{text(last)}'"
            return f"date_trunc('hour', at) between {hours}", low, last + HOUR_MS
    low, last = low // day_ms * day_ms, high // day_ms * day_ms
    days = f"date '{text(low, '%Y-%m-%d')}' and date '{text(last, '%Y-%m-%d')}'"
    return f"date(at) between {days}", low, last + day_ms


def main() -> None:
    hours, ranges = (int(value) for value in (sys.argv[1:] or (HOURS, RANGES)))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name) / "data"
        events, file_of = fill(folder, hours)
        catalog = Catalog(catalog_path(folder), writable=False)
        limits = QueryLimits(60, 2**30, 1, 10**8)
        engine, guarded = (
            Engine("bench", catalog, folder, limits, read_json, WallClock(), chosen(with_defaults(()), name))
            for name in ("production", "adhoc")
        )
        tables = readables(catalog)
        schemas = {name: table.schema for name, table in tables.items()}
        chance = random.Random(20_261_130)
        least, most = int(events.min()), int(events.max())
        order = np.argsort(events)
        found, decided, shares, read_files, minimum = [], [], [], 0, 0
        for number in range(ranges):
            low = chance.randint(least, most)
            length = int(60_000 * 43_200 ** chance.random())
            where, first, after = condition(chance, low, low + length)
            sql = f"select id from t where {where}"
            began = time.process_time()
            planned = engine._plans.of(sql, schemas, (), WallClock().now_ms())
            files = files_by_event_time(catalog, tables["t"].stored, ROWS, planned.scans[0])
            found.append((time.process_time() - began) * 1000)
            began = time.process_time()
            guarded.decide(sql)
            decided.append((time.process_time() - began) * 1000)
            ids = order[slice(*np.searchsorted(events, (first, after), sorter=order))]
            needed = len(np.unique(file_of[ids]))
            answer = engine.query(sql).arrow()["id"].to_numpy()
            assert np.array_equal(np.sort(answer), np.sort(ids)), (number, sql)
            read_files, minimum = read_files + len(files or ()), minimum + needed
            shares.append(len(files or ()) / max(1, needed))
        engine.close()
        guarded.close()
        counts = catalog.store.rows("select max(length(counts)), sum(length(counts)) from event_times")[0]
    report(
        f"Queries on event time over {hours:,} hours: {ranges:,} ranges, each with the rows of a full scan",
        [
            ("find: plan and list the files, CPU ms", spread(found, "{:.2f}")),
            ("decide by the rules of adhoc, CPU ms", spread(decided, "{:.2f}")),
            ("files read by a query / minimum", spread(shares, "{:.3f}")),
            ("files read in all / minimum", f"{read_files:,} / {minimum:,} = {read_files / minimum:.3f}"),
            ("counts in the catalog, bytes a file (most)", f"{counts[1] / hours:.0f} ({counts[0]})"),
        ],
    )


if __name__ == "__main__":
    main()
