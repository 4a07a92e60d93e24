"""Summaries never change an answer: what the catalog and the footers of files say is what the rows say.

Random files of two schema versions, written as conversion (without statistics) and as a merge (with them) does, with
values at the edges of their types. Each statement is answered twice: over the table, where summaries may stand for
rows, and over `(select * from t)`, where they never do.

Hypothesis draws seeds; a failure prints the one that replays it, and the statement.
"""

import random
from collections import Counter
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.sql.plan import TableSchema, plan
from datawarehouse.tidy.files import stored_file

OLD = {
    "tiny": "tinyint", "n": "int", "big": "bigint", "flag": "boolean", "dec": "decimal(9,2)", "f": "float",
    "x": "double", "s": "string", "short": "varchar(80)", "b": "binary", "d": "date", "at": "timestamp",
    "nothing": "string", "list": "array<int>",
}  # fmt: skip
NEW = {**OLD, "tiny": "bigint", "n": "bigint", "dec": "decimal(20,4)", "f": "double", "short": "string", "late": "int"}
LONG = "z" * 70
VALUES = {
    "tiny": (-128, 0, 127), "n": (-(2**31), 0, 5, 2**31 - 1), "big": (-(2**63), 0, 2**63 - 1), "flag": (True, False),
    "dec": (Decimal("-9999999.99"), Decimal("-0.01"), Decimal("0.00"), Decimal("9999999.99")),
    "f": (-1.5, -0.0, 0.0, float("nan"), float("inf")), "x": (-1.5, -0.0, 0.0, float("nan"), float("-inf"), 1e300),
    "s": ("", "a", "ä", "\uffff", "\U0001f600", LONG + "a", LONG + "b", "\U0010ffff" * 1_200),
    "short": ("", LONG, LONG + "a"),
    "b": (b"", b"\0", b"\x7f", b"\x80", b"\xff" * 70, b"\xff" * 71),
    "d": (date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)),
    "at": (datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999_000), datetime(9999, 12, 31)),
    "nothing": (None,), "list": ([], [1, 2]), "late": (-1, 7),
}  # fmt: skip
HOURS = [f"2026/03/{day:02d}/{hour:02d}" for day in (1, 2) for hour in (0, 7)]

EXTREMES = [f"select min({c}), max({c}), count(*) from {{t}}" for c in NEW if c != "list"]
SUMMARIES = [
    *[text for text in EXTREMES if "(f)" not in text and "(x)" not in text],
    "select count(*) from {t}",
    "select count(1), count('x') as c from {t}",
    "select count(*) from {t} where false",
    "select min(n), max(s), min(dec), max(at), max(late), min(nothing), count(*) as rows from {t}",
    "select max(inserted_at), min(inserted_at), count(distinct inserted_at) from {t}",
    "select count(*), max(n) from {t} where inserted_at = '2026/03/01/07'",
    "select count(*), max(n) from {t} where inserted_at = 'never'",
    "select count(*), min(s) from {t} where inserted_at like '2026/03/01/%' or inserted_at > '2026/03/02/00'",
    "select count(*), min(d) from {t} where not inserted_at between '2026/03/01/01' and '2026/03/02/00'",
    "select count(*), max(d) from {t} where inserted_at in ('2026/03/01/00', '2026/03/02/07', 'x')",
    "select count(*), min(b) from {t} where substr(inserted_at, 12, 2) = '07' and length(inserted_at) = 13",
    "select count(*), min(b) from {t} where inserted_at < date_format(now(), '%Y/%m/%d/%H')",
    "select count(*), min(n) from {t} where inserted_at is null or lower(inserted_at) like '%!_%' escape '!'",
    "select inserted_at, count(*), max(n) from {t} group by inserted_at order by 1",
    "select inserted_at, max(late) from {t} group by inserted_at",
    "select substr(inserted_at, 1, 10) as day, count(*) as n, min(s) from {t} group by 1 order by n desc, day",
    "select inserted_at, count(*) from {t} group by rollup (inserted_at) order by inserted_at",
    "select inserted_at from {t} group by inserted_at having count(*) > 3 and max(n) > 0 order by count(*), 1",
    "select distinct inserted_at from {t}",
    "select distinct substr(inserted_at, 1, 7), 1 from {t}",
    "select max(n) - min(n) + count(*), coalesce(max(s), 'none'), cast(count(*) as double) / 2 from {t}",
    "select case when count(*) > 3 then min(d) else max(d) end as d, try(1 / count(*)) from {t}",
    "select max(T.n) from {t}",
    "with c as (select inserted_at as hour, count(*) as c from {t} group by 1) select sum(c), max(hour) from c",
    "select hour, c from (select inserted_at as hour, count(*) as c from {t} group by 1) where hour > '2026/03/01/00'",
    "select count(*) from {t} union all select max(n) from {t}",
    "select (select max(big) from {t}) as a, (select count(*) from {t} where inserted_at = '2026/03/01/00') as b",
    "select a.c, b.c from (select count(*) as c from {t}) as a cross join (select max(s) as c from {t}) as b",
    "select (select count(*) from {t}), hour from (values '2026/03/01/00') as h (hour)",
    'with "memory$0" as (select 7 as n), memory as (select 1 as x) select max(n), count(*) from {t}',
]
"""Statements for which summaries do."""
OF_ROWS = [
    *[text for text in EXTREMES if "(f)" in text or "(x)" in text],
    "select count(n), count(nothing) from {t}",
    "select count(distinct n) from {t}",
    "select count(*) from {t} where n > 0",
    "select count(*) from {t} where inserted_at = '2026/03/01/00' or n > 0",
    "select count(*) filter (where inserted_at = '2026/03/01/00') from {t}",
    "select count(*) filter (where n > 0), max(n) from {t}",
    "select count(*), sum(n) from {t}",
    "select max(n + 1) from {t}",
    "select max(s, 2) from {t}",
    "select max_by(s, big) from {t} where big is null",
    "select n, count(*) from {t} group by n",
    "select count(*) over () from {t}",
    "select distinct n from {t}",
    "select inserted_at from {t}",
    "select inserted_at, n from {t}",
    "select count(*) from {t} group by list",
    "select max(list) from {t}",
    "select min(inserted_at) from {t} having max(x) > 0",
    "select max(n) as m from {t} order by max(f)",
    "select count(*) from {t} join (select 1 as one) as b on true",
    "select count(*) from {t} where inserted_at = (select max(inserted_at) from {t} where n > 0)",
    "select count(*) from {t} where exists (select 1)",
    "select count(*) from t tablesample bernoulli (100)",
    "select count(*) from {t} where rand() >= 0",
    "select count(distinct rand() >= 0) from {t}",
    "select reduce(array[1], count(*), (a, b) -> a + b, a -> a) from {t}",
]
"""Statements that need the rows."""


def declared(columns):
    return Warehouse("dw").with_streaming_input_table("t", columns)


class Filled:
    """A data folder with a table `t` of random files."""

    def __init__(self, chance, folder, *, fresh):
        self.chance, self.folder, self.lake = chance, folder, Lake(folder)
        self.fresh = fresh
        self.numbers = 0
        for version, columns in enumerate((OLD, NEW), 1):
            warehouse = declared(columns)
            open_warehouse(warehouse, folder).close()
            schema = arrow_schema(warehouse.tables()[0].columns)
            files = [self.write(schema, version) for _ in range(chance.randrange(7))]
            self.commit(files)

    def write(self, schema, version):
        tables = [
            pa.Table.from_pylist(self.rows(schema, self.chance.choice((0, 1, 3, 20))), schema)
            for _ in range(self.chance.choice((1, 1, 2, 3)))
        ]
        self.numbers += 1
        rows = sum(map(len, tables))
        footer = Footer("t", ROWS, self.chance.choice(HOURS), [(self.numbers, self.numbers)], rows, rows, version)
        merged = self.chance.random() >= self.fresh
        return stored_file(self.lake.write(f"{self.numbers}-file", schema, tables, footer, merged=merged))

    def rows(self, schema, count):
        nulls = {name: self.chance.choice((0, 0.3, 1)) for name in schema.names}
        return [
            {name: None if self.chance.random() < nulls[name] else self.chance.choice(VALUES[name]) for name in nulls}
            for _ in range(count)
        ]

    def commit(self, files):
        catalog = Catalog(catalog_path(self.folder), writable=True, new=True)
        catalog.commit_batch("t", files, [], Converted(0, 0, 0), 0)
        catalog.close()


def shown(result):
    """Column names, their types, and the rows as a multiset, with NaN equal to itself and -0.0 not to 0.0."""
    return result.columns, result.arrow().schema.types, Counter(map(repr, result))


@settings(max_examples=6, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_summaries_equal_rows(tmp_path_factory, seed):
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("data")
    Filled(chance, folder, fresh=chance.choice((0, 0, 0.3, 1)))
    with Reader(folder, resolve({})) as reader:
        for sql in SUMMARIES + OF_ROWS:
            by_summaries, by_rows = (
                reader.engine.query(sql.format(t=source)) for source in ("t", "(select * from t) t")
            )
            assert shown(by_summaries) == shown(by_rows), (seed, sql)


@pytest.mark.parametrize(("sql", "do"), [(sql, True) for sql in SUMMARIES] + [(sql, False) for sql in OF_ROWS])
def test_where_summaries_do(sql, do):
    [table] = declared(NEW).tables()
    schemas = {"t": TableSchema("t", table.columns, table.partition_keys)}
    scans = plan(sql.format(t="t"), schemas, "dw").scans
    assert scans
    assert all((scan.extremes is not None) is do for scan in scans)
