"""How long does it take to decide whether a query may run, over a year of hours?

Method: a table with a file for each of 8,760 hours. Each statement is planned and decided 200 times by the rules of
the workgroup `adhoc`, one after the other in each round; medians and spread of CPU time. In it: planning, the range of
hours, pruning, the sizes of the files from the catalog, and for a refused statement the one that would pass, which is
planned and decided too.
"""

import os
import tempfile
import time
from pathlib import Path

from measuring import report, spread

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import WallClock
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.workgroups import with_defaults
from datawarehouse.folder import catalog_path
from datawarehouse.query.engine import Engine
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.embedded import open_warehouse
from datawarehouse.runtime.reader import read_json

HOURS, ROUNDS = 8_760, 200
DAY = "inserted_at >= date_format(now() - interval '1' day, '%Y/%m/%d/%H')"
STATEMENTS = {
    "one day": f"select count(*) from t where {DAY}",
    "a month": "select id, count(*) from t where inserted_at >= date_format(now() - interval '30' day, '%Y/%m/%d/%H') "
    "group by id",
    "a day of a join": "select count(*) from t a join t b on a.id = b.id and a.inserted_at = b.inserted_at "
    f"where a.{DAY}",
    "refused: a year": "select count(*) from t where id = '1' or id = '2'",
}


def fill(folder: Path) -> None:
    declared = Warehouse("bench").with_streaming_input_table("t", {"id": "string", "n": "int"})
    open_warehouse(declared, folder).close()
    catalog = Catalog(catalog_path(folder), writable=True)
    now_ms = WallClock().now_ms()
    catalog.store.execute("begin")
    for back in range(HOURS):
        hour = partition_of(now_ms - back * HOUR_MS)
        catalog.store.execute(
            "insert into files (table_name, kind, partition, path, schema_version, spans, records, row_count, bytes, "
            "fresh, created_ms) values ('t', 'rows', ?, ?, 1, '[]', 1, 1, 10000000, 0, 0)",
            (hour, f"t/{hour}/{back}.parquet"),
        )
    catalog.store.execute("commit")
    catalog.close()


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name) / "data"
        fill(folder)
        limits = QueryLimits(60, 2**30, 1, 10**6)
        engine = Engine(
            "bench",
            Catalog(catalog_path(folder), writable=False),
            folder,
            limits,
            read_json,
            WallClock(),
            with_defaults(())["adhoc"],
        )
        found: dict[str, list[float]] = {each: [] for each in STATEMENTS}
        for _ in range(ROUNDS):
            for each, sql in STATEMENTS.items():
                before = time.process_time()
                engine.decide(sql)
                found[each].append((time.process_time() - before) * 1000)
        engine.close()
    report(
        "Deciding on a statement over 8,760 hours, CPU ms",
        [(each, spread(times, "{:.2f}")) for each, times in found.items()],
    )


if __name__ == "__main__":
    main()
