"""A warehouse with a year behind it: what the console shows, for its tests, its benchmark and its pictures.

1. A year of hours of one table and ten days of another, each hour with a file.
2. A day and a half on top, simulated: events, some of them malformed, and the runs of a job, some of which fail.
3. What comes then is up to who starts `dw up` on it.
"""

import json
import random
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.catalog import Catalog, File, HourEntry
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.runtime.declaration import load
from datawarehouse.testing import simulate
from datawarehouse.tidy.files import stored_file

HOURS, SIMULATED, AN_HOUR, STEP = 8_760, 36, 120, 10
QUIET = {"compact_bytes_per_minute": 0, "audit_days": 0}

DECLARATION = '''
from datawarehouse import Warehouse

COLUMNS = {
    "id": "string", "session_id": "string", "event_time": "timestamp", "country": "string", "campaign": "string",
    "position": "int", "price": "decimal(9,4)", "device": "struct<os:string,width:int>",
}


def hourly_revenue(job):
    """Fails for hours that end in 2 or 7, as jobs do."""
    [(clicks, revenue)] = job.query("select count(*), sum(price) from clicks where inserted_at = ?", [job.partition])
    if job.partition[-1] in "27":
        raise ValueError(f"the exchange rates of {job.partition} are not there yet")
    yield {"hour": job.partition, "clicks": clicks, "revenue": revenue}


warehouse = (
    Warehouse("acme_shop")
    .with_streaming_input_table("impressions", COLUMNS, event_time="event_time")
    .with_streaming_input_table("clicks", COLUMNS, event_time="event_time")
    .with_batch_input_table(
        "revenue", columns={"hour": "string", "clicks": "bigint", "revenue": "double"}, job=hourly_revenue,
        schedule_expression="rate(1 hour)", reads=["clicks"], run_when_complete=True,
    )
)
'''

COUNTRIES = ("DE", "FR", "IT", "ES", "PL", "NL")


def event(chance: random.Random, at: datetime, *, bad_share: float = 0.0) -> str:
    """One event as JSON; some have a mistake that a producer makes."""
    made = {
        "id": f"{chance.getrandbits(64):016x}",
        "session_id": f"s{chance.randrange(5000)}",
        "event_time": (at - timedelta(seconds=chance.expovariate(1 / 40))).isoformat(timespec="milliseconds"),
        "country": chance.choices(COUNTRIES, (40, 20, 15, 12, 8, 5))[0],
        "campaign": f"campaign-{chance.randrange(40):02d}",
        "position": chance.randrange(1, 30),
        "price": f"{chance.uniform(0.01, 3):.4f}",
        "device": {"os": chance.choice(("ios", "android", "windows", "macos")), "width": chance.choice((390, 1280))},
    }
    made["event_time"] = made["event_time"].replace("+00:00", "Z")
    if chance.random() < bad_share:
        made |= chance.choice(({"position": "third"}, {"event_time": "soon"}, {"price": "12,50"}, {"position": 2**40}))
    return json.dumps(made)


def busy(at_ms: int, chance: random.Random) -> int:
    """How many events an hour has: more in the day than at night, and fewer on weekends."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    day = 1 + 0.8 * (1 - abs(at.hour - 14) / 12) - 0.3 * (at.weekday() > 4)
    return int(AN_HOUR * day * chance.uniform(0.7, 1.3))


def build(folder: Path, hours: int = HOURS, simulated: int = SIMULATED) -> None:
    """The project `folder`, with its declaration and its data."""
    (folder / "warehouse.py").write_text(DECLARATION)
    warehouse = load(f"{folder / 'warehouse.py'}:warehouse")
    data = folder / "data"
    now_ms = time.time_ns() // 1_000_000
    began_ms = now_ms - now_ms % HOUR_MS - simulated * HOUR_MS
    start = datetime.fromtimestamp(began_ms / 1000, UTC)
    simulate(warehouse, data, start=start, settings=QUIET).close()
    with TemporaryDirectory() as aside:
        known = rows_of(warehouse, Path(aside) / "data")
    for table, rows in known.items():
        past(data, table, rows, began_ms, hours if table == "impressions" else min(hours, 240))
    with simulate(warehouse, data, start=start, settings=QUIET) as opened:
        chance = random.Random(7)
        for hour in range(simulated):
            for table, share in (("impressions", 1.0), ("clicks", 0.3)):
                count = int(busy(began_ms + hour * HOUR_MS, chance) * share)
                bad_share = 0.25 if table == "clicks" and hour == simulated - 5 else 0.01
                opened.put(table, [event(chance, opened.now, bad_share=bad_share).encode() for _ in range(count)])
            opened.advance(timedelta(hours=1))


def rows_of(warehouse: Warehouse, folder: Path) -> dict[str, pa.Table]:
    """Rows for each table, as conversion makes them."""
    chance = random.Random(1)
    with open_warehouse(warehouse, folder) as opened:
        for table in ("impressions", "clicks"):
            opened.put(table, [event(chance, datetime.now(UTC)).encode() for _ in range(5 * AN_HOUR)])
        opened.flush()
        return {
            table: opened.query(f"select * from {table}").arrow().drop_columns(["inserted_at"])
            for table in ("impressions", "clicks")
        }


def past(data: Path, table: str, known: pa.Table, until_ms: int, hours: int) -> None:
    """So many hours before an instant, a file each: copies of a few, whose footers no query and no route reads."""
    chance = random.Random(table)
    lake, entries, files, record = Lake(data), [], [], 0
    made: dict[int, tuple[Path, File]] = {}
    for back in range(hours, 0, -1):
        arrived = until_ms - back * HOUR_MS
        partition, count = partition_of(arrived), busy(arrived, chance) // STEP * STEP
        spans = [(record, record + count - 1)]
        if count not in made:
            footer = Footer(table, ROWS, partition, spans, count, count, 1)
            stored = lake.write(f"{record:016d}-past", known.schema, [known.slice(0, count)], footer, merged=True)
            made[count] = data / stored.path, stored_file(stored)
            files.append(made[count][1])
        else:
            original, file = made[count]
            path = f"{table}/{partition}/{record:016d}-past.parquet"
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            copy = Path(shutil.copyfile(original, data / path)).stat()
            files.append(
                replace(
                    file, path=path, partition=partition, spans=spans, inode=copy.st_ino, modified_ns=copy.st_mtime_ns
                )
            )
        entries.append(HourEntry(partition, count, count, count, 0))
        record += count
    catalog = Catalog(catalog_path(data), writable=True)
    catalog.commit_batch(table, files, entries, catalog.converted(table), 0)
    catalog.mark_merged(catalog.fresh_files(table))
    catalog.close()


def traffic(chance: random.Random, count: int) -> dict[str, bytes]:
    """What arrives now: a body of events for each table."""
    now = datetime.now(UTC)
    return {
        table: "\n".join(event(chance, now, bad_share=0.02) for _ in range(max(1, int(count * share)))).encode()
        for table, share in (("impressions", 1.0), ("clicks", 0.3))
    }
