"""A query on event time reads only some of the files, and loses no row: made statements give the rows of a full scan.

Each statement is answered twice by the same engine: over tables that declare their event time, and over tables with
the same files that do not, of which nothing is left out by it. The files hold late, early, missing and extreme event
times; some say nothing of them, as files of a table that declared it later. A failure prints its seed and statement.
"""

import random
import re
from collections import Counter
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.errors import QueryFailed
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.query.engine import Engine
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.reader import read_json
from datawarehouse.testing.clock import START, TestClock
from datawarehouse.tidy.files import stored_file

COLUMNS = {"id": "int", "at": "timestamp", "day": "date"}
HOURS, FILES_AN_HOUR, ROWS_A_FILE = 14, 2, 6
NOW = START.replace(tzinfo=None)
FIRST = NOW - timedelta(hours=HOURS)


def declared():
    found = Warehouse("shop")
    for name in ("t", "u"):
        found.with_streaming_input_table(name, COLUMNS, event_time="at")
        found.with_streaming_input_table(f"plain_{name}", COLUMNS)
    return found


def moment(chance, hour):
    """An event time in a file that arrived in this hour."""
    arrival = FIRST + timedelta(hours=hour)
    match chance.choice(["soon"] * 6 + ["edge", "edge", "late", "ahead", "none", "strange"]):
        case "soon":
            return arrival + timedelta(milliseconds=chance.randrange(HOUR_MS))
        case "edge":
            return arrival + timedelta(milliseconds=chance.choice((-1, 0, 1, HOUR_MS - 1)))
        case "late":
            return arrival - timedelta(minutes=chance.randrange(10 * 60))
        case "ahead":
            return arrival + timedelta(hours=chance.randrange(1, 4))
        case "none":
            return None
    return chance.choice((datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999_000), datetime(9999, 12, 31, 23)))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("event_times") / "data"
    open_warehouse(declared(), folder).close()
    chance, lake, schema = random.Random(12), Lake(folder), arrow_schema(declared().get_table("t").columns)
    files, ids = {name: [] for name in ("t", "u", "plain_t", "plain_u")}, iter(range(10**6))
    for name in ("t", "u"):
        for hour in range(HOURS):
            for number in range(FILES_AN_HOUR):
                rows = [
                    {"id": next(ids), "at": (at := moment(chance, hour)), "day": at and at.date()}
                    for _ in range(ROWS_A_FILE)
                ]
                counted = "at" if chance.random() < 0.9 else None
                for table, column in ((name, counted), (f"plain_{name}", None)):
                    span = (rows[0]["id"], rows[-1]["id"])
                    partition = partition_of(int((START - timedelta(hours=HOURS - hour)).timestamp() * 1000))
                    footer = Footer(table, ROWS, partition, [span], len(rows), len(rows), 1)
                    written = [pa.Table.from_pylist(rows, schema)]
                    files[table].append(
                        lake.write(f"{hour}-{number}", schema, written, footer, merged=number == 1, event_time=column)
                    )
    catalog = Catalog(catalog_path(folder), writable=True, synced=False)
    for table, each in files.items():
        catalog.commit_batch(table, [stored_file(file) for file in each], [], Converted(0, 0, 0), 0)
    engine = Engine("shop", catalog, folder, QueryLimits(60, 2**30, 1, 10**6), read_json, TestClock(START))
    yield engine
    engine.close()
    catalog.close()


class Statements:
    def __init__(self, chance):
        self.chance = chance
        self.pick = lambda *choices: chance.choice(choices)

    def time(self):
        at = FIRST + timedelta(hours=self.chance.randrange(-3, HOURS + 3))
        at += timedelta(milliseconds=self.pick(0, 0, 0, 1, -1, self.chance.randrange(HOUR_MS)))
        text = at.isoformat(" ", "milliseconds")
        back = self.chance.randrange(HOURS)
        return self.pick(
            f"timestamp '{text}'",
            f"timestamp '{text}'",
            f"timestamp '{text} UTC'",
            f"cast('{text}' as timestamp)",
            f"date '{at.date()}'",
            f"now() - interval '{back}' hour",
            f"date_trunc('day', timestamp '{text}')",
            f"date_add('hour', -{back}, localtimestamp)",
            "timestamp '9999-12-31 23:30:00'",
            "cast(null as timestamp)",
        )

    def leaf(self, alias):
        at = f"{alias}.at"
        sign = self.pick("=", "<", "<=", ">", ">=", "<>")
        unit = self.pick("minute", "hour", "hour", "day", "week", "month", "quarter", "year")
        hour = partition_of(int((START - timedelta(hours=self.chance.randrange(HOURS))).timestamp() * 1000))
        day = (FIRST + timedelta(days=self.chance.randrange(-1, 3))).date()
        low, high = sorted(self.chance.randrange(HOURS) for _ in range(2))
        times = [f"timestamp '{(FIRST + timedelta(hours=each)).isoformat(' ')}'" for each in (low, high)]
        return self.pick(
            f"{at} {sign} {self.time()}",
            f"{at} {sign} {self.time()}",
            f"{self.time()} {sign} {at}",
            f"{at} between {times[0]} and {times[1]}",
            f"{at} not between {times[0]} and {times[1]}",
            f"({at} >= {times[0]} and {at} < {times[1]})",
            f"{at} in ({', '.join(times)})",
            f"{at} not in ({', '.join(times)})",
            f"date_trunc('{unit}', {at}) {sign} {self.time()}",
            f"date_trunc('{unit}', {at}) in ({times[0]}, date_trunc('{unit}', {times[1]}))",
            f"date({at}) {sign} date '{day}'",
            f"cast({at} as date) {sign} date '{day}'",
            f"date({at}) between date '{day}' and date '{day + timedelta(days=1)}'",
            f"{at} is not distinct from {self.time()}",
            f"{at} is distinct from {self.time()}",
            f"{at} is null",
            f"{at} is not null",
            f"coalesce({at}, {self.time()}) {sign} {self.time()}",
            f"{at} + interval '1' hour {sign} {self.time()}",
            f"{alias}.inserted_at {sign} '{hour}'",
            f"{alias}.inserted_at >= '{hour}'",
            f"hour({at}) = {self.chance.randrange(24)}",
            f"{alias}.id % 3 = 0",
        )

    def condition(self, *aliases, depth=2):
        if not depth or self.chance.random() < 0.3:
            return self.leaf(self.pick(*aliases))
        parts = [self.condition(*aliases, depth=depth - 1) for _ in range(2)]
        return self.pick(
            f"({parts[0]} and {parts[1]})",
            f"({parts[0]} and {parts[1]})",
            f"({parts[0]} or {parts[1]})",
            f"not ({parts[0]})",
        )

    def relation(self, name):
        """A table, or a query that gives its columns."""
        where, listed = f"where {self.condition('r')}", f"select id, at, day, inserted_at from {name}"
        return self.pick(
            name,
            name,
            f"(select * from {name} r {where})",
            f"({listed} r {where} order by id limit 20)",
            f"(select at, max(id) as id, min(day) as day, min(inserted_at) as inserted_at from {name} group by at)",
            f"({listed} union all {listed})",
            f"(select id, cast(day as timestamp) as at, day, inserted_at from {name})",
            f"({listed} except {listed} r {where})",
        )

    def statement(self):
        a, b = self.relation("T"), self.relation("U")
        join = self.pick("join", "left join", "right join", "full join")
        on = self.pick(
            "a.at = b.at", "a.id = b.id", "date(a.at) = b.day", "a.at = b.at and a.inserted_at = b.inserted_at"
        )
        more = self.pick("", f" and {self.condition('a', 'b', depth=1)}")
        one, both = self.condition("a"), self.condition("a", "b")
        merged = re.sub(r"\b[ab]\.at\b", "at", both)
        return self.pick(
            f"select a.id, a.at from {a} a where {one}",
            f"select a.id, a.at from {a} a where {one}",
            f"select count(*), min(a.at), max(a.id) from {a} a where {one}",
            f"select date(at) as d, count(*) from {a} a where {one} group by date(at) having count(*) > 1",
            f"select a.id, b.id from {a} a {join} {b} b on {on}{more} where {both}",
            f"select a.id, b.id from {a} a {join} {b} b on {on}{more} where {both}",
            f"select a.id, b.id from {a} a {join} {b} b on {on}{more}",
            f"select id, at from {a} a where {one} union select id, at from {b} b where {self.condition('b')}",
            f"with a as (select * from {a} c) select a.id, b.id from a join a as b using (at) where {merged}",
            f"select a.id from {a} a where a.at in (select b.at from {b} b where {self.condition('b')}) and {one}",
            f"select a.id from {a} a where not exists (select 1 from {b} b where b.at = a.at and {both})",
            f"select * from (select id, at, row_number() over (partition by at order by id) as n from {a}) a "
            f"where a.at > {self.time()} and a.n = 1",
            f"select * from (select id, at, lag(id) over (order by id) as n from {a}) a where a.at > {self.time()}",
        )


def answered(engine, sql):
    """The rows as a multiset, and how many files were read; or the error."""
    try:
        result = engine.query(sql)
    except QueryFailed as error:
        return str(error), 0
    return Counter(result), result.statistics.files


STATEMENTS_A_SEED = 15


@pytest.mark.seeds(fixed=16, random=4)
def test_no_row_is_lost(engine, seed):
    made, fewer = Statements(random.Random(seed)), 0
    for number in range(STATEMENTS_A_SEED):
        sql = made.statement()
        names = [sql.replace(" T ", f" {t} ").replace("from T)", f"from {t})") for t in ("t", "plain_t")]
        names = [
            text.replace(" U ", f" {u} ").replace("from U)", f"from {u})")
            for text, u in zip(names, ("u", "plain_u"), strict=True)
        ]
        (pruned, files), (whole, all_files) = (answered(engine, text) for text in names)
        message = f"seed {seed}, statement {number}: {names[0]}"
        assert pruned == whole, message
        assert files <= all_files, message
        fewer += files < all_files
    assert fewer, f"seed {seed}: no statement reads fewer files"


def named(path):
    """A file as both tables have it."""
    return path.partition("t/")[2]


@pytest.fixture(scope="module")
def expected(engine):
    """The files of which nothing is known; and for each file the first and the last instant of each hour."""
    rows = engine._catalog.store.rows("select path from files join event_times on file = id where counts is null")
    unknown = {named(path) for (path,) in rows if path.startswith("t/")}
    assert unknown
    hours = engine.query(
        'select "$path", min(at), max(at) from plain_t where at is not null group by "$path", date_trunc(\'hour\', at)'
    )
    return unknown, [(named(path.split("/data/")[1]), least, most) for path, least, most in hours]


@pytest.mark.seeds(fixed=4, random=1)
def test_a_range_reads_the_files_with_an_hour_that_reaches_into_it(engine, expected, seed):
    chance, (unknown, hours) = random.Random(seed), expected
    for _ in range(25):
        low = FIRST + timedelta(milliseconds=chance.randrange(-HOUR_MS, HOURS * HOUR_MS))
        high = low + timedelta(seconds=int(10 ** (6 * chance.random())))
        where = f"at >= timestamp '{low.isoformat(' ', 'milliseconds')}' and at < timestamp '{high}'"
        result = engine.query(f"select id from t where {where}")
        assert sorted(result) == sorted(engine.query(f"select id from plain_t where {where}")), (seed, where)
        needed = {path for path, least, most in hours if least < high and most >= low}
        assert result.statistics.files == len(needed | unknown), (seed, where)
