"""Whatever the columns: conversion stores good events with the values that they were given, and rejects the others."""

import itertools
import json
import random
import struct
from datetime import date, datetime
from decimal import Decimal

import pytest

from datawarehouse import Warehouse
from datawarehouse.convert.rows import RowConverter
from datawarehouse.definition import types
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import Array, Map, Primitive, Struct, parse_type
from datawarehouse.generator.events import GOOD, generate
from datawarehouse.generator.faults import wrong_values

START_MS = 1_763_881_200_000
SCALARS = (
    "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "char(1)", "char(4)", "varchar(7)",
    "varchar(300)", "varchar(65535)", "timestamp", "date", "binary", "decimal", "decimal(1,0)", "decimal(1,1)",
    "decimal(9,4)", "decimal(38,0)", "decimal(38,19)", "decimal(38,38)",
)  # fmt: skip
NAMES = (
    "id", "session_id", "user_id", "uuid", "event_time", "ts", "created_at", "time_ms", "day", "date", "url", "country",
    "device", "status", "count", "price", "score", "latitude", "query", "tags", "unit_prices", "x", "note", "position",
    "campaign", "width", "is_bot", "page_size", "impression_id", "os_version", "amount", "lifetime", "a", "n1",
)  # fmt: skip


class Schemas:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def kind(self, depth=0):
        pick = self.random.random()
        if depth == 3 or pick < 0.7:
            return self.random.choice(SCALARS)
        if pick < 0.8:
            return f"array<{self.kind(depth + 1)}>"
        if pick < 0.88:
            return f"map<{self.random.choice(SCALARS)},{self.kind(depth + 1)}>"
        return f"struct<{','.join(f'{name}:{self.kind(depth + 1)}' for name in self.names(4))}>"

    def names(self, most):
        return self.random.sample(NAMES, self.random.randint(1, most))

    def table(self, name):
        columns = {column: self.kind() for column in self.names(8)}
        return Warehouse("any").with_streaming_input_table(name, columns).get_table(name)


def stored(kind, value):
    """What a column holds after a value that a producer wrote for it: written anew, not as conversion does it."""
    if value is None:
        return None
    match kind:
        case Primitive("float"):
            return struct.unpack("f", struct.pack("f", value))[0]
        case Primitive("double"):
            return float(value)
        case Primitive("timestamp"):
            return datetime.fromisoformat(value.removesuffix("Z"))
        case Primitive("date"):
            return date.fromisoformat(value)
        case types.Decimal():
            return Decimal(value)
        case Array(element):
            return [stored(element, item) for item in value]
        case Map(key, item):
            return {stored_key(key, name): stored(item, member) for name, member in value.items()}
        case Struct(fields):
            return {name: stored(part, value.get(name)) for name, part in fields}
        case Primitive("string") | types.Text():
            assert isinstance(value, str)
    return value


def stored_key(kind, text):
    if kind == Primitive("boolean"):
        return text == "true"
    if isinstance(kind, Primitive) and kind.name in (*types.INTEGER_BITS, "float", "double"):
        return float(text)
    return stored(kind, text)


def check(table, events, note):
    """Convert a table's events; each is stored as it was sent, or rejected if it is malformed."""
    found = RowConverter(table.columns).convert([event.data for event in events])
    malformed = {place for place, event in enumerate(events) if event.kind != GOOD}
    rejected = {place: reason.message for place, reason in found.rejects}
    wrong = [(events[place].data, rejected.get(place)) for place in malformed ^ rejected.keys()]
    assert not wrong, f"{note}: {wrong[0]}"
    rows = [row for batch in found.batches for row in batch.to_pylist(maps_as_pydicts="strict")]
    for event in events:
        if event.kind == GOOD:
            sent = json.loads(event.data, parse_float=Decimal)
            row = {column.name: stored(column.type, sent.pop(column.name, None)) for column in table.columns}
            assert not sent, f"{note}: members that no column has: {sent}"
            assert row in rows, f"{note}: {row} of {event.data} was not stored"
            rows.remove(row)
    assert not rows, f"{note}: nobody sent {rows}"


@pytest.mark.parametrize("seed", range(60))
def test_any_schema(seed, caplog):
    schemas = Schemas(seed)
    tables = [schemas.table(name) for name in ("impressions", "clicks")[: 1 + seed % 2]]
    made = generate(tables, seed=seed, start_ms=START_MS, rate=20, malformed=0.3, late=0.2, duplicates=0.1)
    events = [event for _, event in itertools.islice(made, 200)]
    for table in tables:
        check(table, [event for event in events if event.table == table.name], f"seed {seed}: {table.columns}")
    assert not caplog.records  # conversion logs what it did not foresee


def one_column(kind):
    return Warehouse("any").with_streaming_input_table("t", {"c": kind}).get_table("t")


@pytest.mark.parametrize("kind", [*SCALARS, "array<string>", "map<string,int>", "struct<a:binary>"])
def test_a_table_of_one_column(kind):
    made = generate([one_column(kind)], seed=1, start_ms=START_MS, rate=1, malformed=0.5)
    events = [event for _, event in itertools.islice(made, 200)]
    assert {event.kind for event in events} == {"good", "malformed"}
    check(one_column(kind), events, kind)


def test_a_type_of_sixty_levels_gives_short_events():
    table = one_column("array<" * 60 + "map<string,int>" + ">" * 60)
    made = generate([table], seed=1, start_ms=START_MS, rate=1)
    events = [event for _, event in itertools.islice(made, 100)]
    assert max(len(event.data) for event in events) < 10_000
    check(table, events, "deep")


@pytest.mark.parametrize(
    "kind", [*SCALARS, "array<int>", "array<array<date>>", "map<string,string>", "struct<a:string>"]
)
def test_a_wrong_value_is_rejected(kind):
    values = wrong_values(parse_type(kind))
    assert bool(values) == (kind not in ("string", "varchar(65535)"))
    converter = RowConverter([Column("c", parse_type(kind))])
    for value in values:
        found = converter.convert([b'{"c":%s}' % value.encode()])
        assert [place for place, _ in found.rejects] == [0], value
        assert found.row_count == 0


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("tinyint", -128, 127),
        ("smallint", -32768, 32767),
        ("int", -(2**31), 2**31 - 1),
        ("bigint", -(2**63), 2**63 - 1),
    ],
)
def test_whole_numbers_are_usually_small_and_sometimes_of_the_whole_range(kind, low, high):
    made = generate([one_column(kind)], seed=1, start_ms=START_MS, rate=1)
    values = [json.loads(event.data).get("c") for _, event in itertools.islice(made, 4000)]
    numbers = [value for value in values if value is not None]
    assert 0.01 < 1 - len(numbers) / len(values) < 0.05  # NULLs
    assert low <= min(numbers) < 0.8 * low and 0.8 * high < max(numbers) <= high
    assert sum(0 <= number <= 1000 for number in numbers) > 0.9 * len(numbers)
