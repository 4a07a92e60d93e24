"""What is written column by column is, byte for byte, what a writer of single values gives.

Random tables of all types, nested ones among them, with values at the edges of their types, cut into slices as batches
are. The writer here makes a Python value of each field first; a failure prints the seed that replays it.

Where it is no measure, since it fails or prints an address of memory, `tests/unit/query/test_texts.py` has the text:
dates outside of the years 1 to 9999, and maps whose keys are not strings, whole numbers or times.
"""

import base64
import math
import struct
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

import msgspec
import pyarrow as pa
import pytest

from datawarehouse.cli.output import print_head, print_table
from datawarehouse.query import formats, texts
from datawarehouse.query.formats import encoded
from datawarehouse.query.layout import Layout
from datawarehouse.query.names import distinct

# -- the writer of single values


def jsonable(value):
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else msgspec.Raw(str(value).encode())
        case float():
            return value if math.isfinite(value) else str(value).replace("inf", "Infinity").replace("nan", "NaN")
        case datetime():
            digits = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
            return value.replace(tzinfo=None).isoformat(timespec=digits) + "Z"
        case time():
            return value.isoformat("milliseconds" if value.microsecond % 1000 == 0 else "microseconds")
        case date():
            return value.isoformat()
        case Decimal():
            return msgspec.Raw(format(value, "f").encode())
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {str(jsonable(key)): jsonable(item) for key, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case _:
            return str(value)


def cell(value):
    plain = jsonable(value)
    if isinstance(plain, str):
        return plain
    return bytes(plain).decode() if isinstance(plain, msgspec.Raw) else msgspec.json.encode(plain).decode()


def csv_row(row):
    return ",".join("" if value is None else '"' + cell(value).replace('"', '""') + '"' for value in row) + "\n"


def written(table, form):
    rows = list(zip(*[column.to_pylist(maps_as_pydicts="strict") for column in table.columns], strict=True))
    if form == "csv":
        return (csv_row(table.schema.names) + "".join(map(csv_row, rows))).encode()
    names = distinct(table.schema.names)
    lines = [msgspec.json.encode(dict(zip(names, map(jsonable, row), strict=True))) for row in rows]
    return b"".join(line + b"\n" for line in lines) if form == "ndjson" else b"[" + b",\n".join(lines) + b"]\n"


# -- random tables

CHARACTERS = [
    *map(chr, range(0x20)), *'",\\/\'{}[]:. -0aZ', "\x7f", "\x85", "\xa0", "ä", "\u2028", "\u2029", "\ufeff", "\uffff",
    "\ud7ff", "\U0001f600", "\U0010ffff",
]  # fmt: skip
DOUBLES = [
    0.0, -0.0, 1.0, -1.5, 0.1, 1e-4, 1e-5, 9.999e-6, 1e-6, 1e-7, 123456789.0, 1e10, 1e15, 9007199254740993.0, 1e16,
    -1e16, 1.5e16, 1e17, 1e21, 1e22, 1e23, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, math.nan, math.inf,
    -math.inf,
]  # fmt: skip
DAYS = [date(1, 1, 1), date(999, 12, 31), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]


def text(chance):
    kind = chance.random()
    if kind < 0.1:
        return chance.choice(
            ("1", "-1", "1.5", "--1.", ".-5", "1.-5", "1.2.3", "-", ".", "²", "１", "NULL", "", "x" * 81)
        )
    letters = "abc xyz" if kind < 0.5 else CHARACTERS
    return "".join(chance.choices(letters, k=chance.choice((0, 1, 2, 5, 30))))


def double(chance):
    if chance.random() < 0.5:
        return chance.choice(DOUBLES)
    return chance.choice((struct.unpack("d", chance.randbytes(8))[0], round(chance.uniform(-1000, 1000), 2)))


def real(chance):
    return (
        struct.unpack("f", chance.randbytes(4))[0] if chance.random() < 0.5 else chance.choice((0.1, -0.0, 1e10, 16.5))
    )


def whole(bits):
    edge = 2 ** (bits - 1)
    return lambda chance: chance.choice((-edge, edge - 1, 0, -1, chance.randrange(-edge, edge)))


def instant(unit, zone=None):
    def drawn(chance):
        at = datetime.combine(chance.choice(DAYS), time(chance.randrange(24), 59, chance.randrange(60)))
        micros = chance.choice((0, 0, 1, 999, 1000, 999_000, 999_999, 120_000))
        micros = {"s": 0, "ms": micros - micros % 1000}.get(unit, micros)
        return at.replace(microsecond=micros, tzinfo=zone)

    return drawn


def decimal(precision, scale):
    def drawn(chance):
        digits = chance.choice((0, 1, chance.randrange(precision + 1), precision))
        number = chance.choice((0, 1, 10**digits - 1, chance.randrange(10**digits)))
        return Decimal((chance.randrange(2), tuple(map(int, str(number))), -scale))

    return drawn


def interval(chance):
    return pa.MonthDayNano([chance.randrange(-20, 20), chance.randrange(-40, 40), chance.randrange(10**12)])


LEAVES = [
    (pa.string(), text), (pa.string(), text), (pa.large_string(), text),
    (pa.float64(), double), (pa.float64(), double), (pa.float32(), real),
    (pa.bool_(), lambda chance: chance.random() < 0.5),
    (pa.int8(), whole(8)), (pa.int16(), whole(16)), (pa.int32(), whole(32)), (pa.int64(), whole(64)),
    (pa.uint64(), lambda chance: chance.choice((0, 2**63, 2**64 - 1))),
    *((pa.decimal128(p, s), decimal(p, s)) for p, s in ((1, 0), (9, 2), (12, 6), (18, 7), (38, 18), (38, 38), (38, 0))),
    *((pa.timestamp(unit), instant(unit)) for unit in ("s", "ms", "us")),
    *((pa.timestamp(unit, "Etc/UTC"), instant(unit, UTC)) for unit in ("ms", "us")),
    (pa.date32(), lambda chance: chance.choice(DAYS)),
    (pa.binary(), lambda chance: chance.randbytes(chance.choice((0, 1, 2, 3, 40)))),
    (pa.month_day_nano_interval(), interval),
    (pa.time64("us"), lambda chance: time(chance.randrange(24), 0, 0, chance.choice((0, 1, 1000)))),
    (pa.duration("us"), lambda chance: timedelta(seconds=chance.randrange(-(10**6), 10**6), microseconds=1)),
    (pa.null(), lambda _: None),
    (pa.dictionary(pa.int32(), pa.string()), text),
]  # fmt: skip
KEYS = [
    (pa.string(), text), (pa.int64(), whole(64)), (pa.date32(), lambda chance: chance.choice(DAYS)),
    (pa.timestamp("us"), instant("us")), (pa.binary(), lambda chance: chance.randbytes(3)),
]  # fmt: skip


def drawn_type(chance, depth=0):
    """A type of Arrow, and what draws a value of it."""
    kind = chance.random()
    if depth > 2 or kind < 0.6:
        return chance.choice(LEAVES[:-1] if depth else LEAVES)
    nulls = chance.choice((0, 0.3))
    if kind < 0.75:
        inner, draw = drawn_type(chance, depth + 1)
        return pa.list_(inner), lambda c: [maybe(c, draw, nulls) for _ in range(c.choice((0, 1, 2, 5)))]
    if kind < 0.85:
        (key, draw_key), (item, draw_item) = chance.choice(KEYS), drawn_type(chance, depth + 1)
        return pa.map_(key, item), lambda c: list({draw_key(c): maybe(c, draw_item, nulls) for _ in range(3)}.items())
    fields = {name: drawn_type(chance, depth + 1) for name in {text(chance) for _ in range(3)}}
    row = pa.struct([(name, kind) for name, (kind, _) in fields.items()])
    return row, lambda c: {name: maybe(c, draw, nulls) for name, (_, draw) in fields.items()}


def maybe(chance, draw, nulls):
    return None if chance.random() < nulls else draw(chance)


def drawn_table(chance):
    columns, names = [], []
    count = chance.choice((0, 1, 2, 7, 60))
    for _ in range(chance.choice((1, 2, 3, 8))):
        kind, draw = drawn_type(chance)
        nulls = chance.choice((0, 0, 0.3, 1))
        columns.append(pa.array([maybe(chance, draw, nulls) for _ in range(count)], kind))
        names.append(chance.choice(("a", "a", "a_1", "n", text(chance))))
    first = chance.randrange(count + 1)
    whole_table = pa.RecordBatch.from_arrays(columns, names)
    return whole_table.slice(first, chance.randrange(count - first + 1)) if chance.random() < 0.5 else whole_table


@pytest.mark.seeds(fixed=40, random=20)
@pytest.mark.parametrize("form", ["ndjson", "csv", "json"])
def test_columns_are_written_as_single_values_are(seed, form, monkeypatch):
    chance = Random(seed)
    monkeypatch.setattr(formats, "_PART_BYTES_MAX", chance.choice((1, 100, 10_000)))
    for _ in range(5):
        table = drawn_table(chance)
        cut = chance.randrange(table.num_rows + 1)
        batches = [table.slice(0, cut), table.slice(cut)]
        assert b"".join(encoded(table.schema, batches, form)) == written(table, form), table.schema


@pytest.mark.seeds(fixed=20, random=20)
def test_the_cells_of_a_column_are_those_of_its_values(seed):
    chance = Random(seed)
    for _ in range(20):
        for column in drawn_table(chance).columns:
            expected = [None if value is None else cell(value) for value in column.to_pylist(maps_as_pydicts="strict")]
            assert texts.cells(column).to_pylist() == expected, column.type


@pytest.mark.seeds(fixed=20, random=20)
def test_a_table_for_people_is_laid_out_as_rows_are(seed, capsys):
    chance = Random(seed)
    for _ in range(10):
        batch = drawn_table(chance)
        cut = chance.randrange(batch.num_rows + 1)
        table = pa.Table.from_batches([batch.slice(0, cut), batch.slice(cut)])
        values = zip(*[column.to_pylist(maps_as_pydicts="strict") for column in table.columns], strict=True)
        print_table(table.column_names, [[None if value is None else cell(value) for value in row] for row in values])
        expected = capsys.readouterr().out
        layout = Layout(table.column_names, table)
        print_head(table.column_names, layout.widths, layout.right)
        sys.stdout.writelines(layout.lines())
        assert capsys.readouterr().out == expected, table.schema
