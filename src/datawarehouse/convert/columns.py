"""Python values of one column, many rows at once -> an Arrow array.

A builder takes the values that the fast path decoded (see `fast`) and gives a `Built`:

- the array, as long as the values; in rows that are in `bad` it has arbitrary values, and the caller removes these
  rows;
- `bad`, the rows whose value must go through the exact rules one by one;
- `seen`, how many members of JSON objects the values had below this level (for the count of duplicate keys).

A value that was not in the record is MISSING, which Arrow stores as NULL, as it does None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import is_not
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec.structs import astuple

from datawarehouse.convert.times import dates_days, timestamps_ms
from datawarehouse.definition import types
from datawarehouse.definition.coercion import Rule, rule_for
from datawarehouse.definition.documents import Number
from datawarehouse.definition.instants import date_days, epoch_ms, timestamp_ms
from datawarehouse.definition.rejects import Reject
from datawarehouse.definition.types import Array, ColumnType, Map, Primitive, Struct, Text
from datawarehouse.parquet.schema import arrow_type

MISSING = float("nan")
"""Stands for a member that a record does not have. JSON has no NaN, so no value of a record equals it."""


@dataclass(slots=True)
class Built:
    array: pa.Array
    bad: Sequence[int] = ()
    seen: int = 0


Values = Sequence[Any]
Builder = Callable[[Values], Built]


def builder_for(kind: ColumnType, structs: Builder | None = None) -> Builder:
    """The builder of a type; `structs` builds the one struct that the type is or contains."""
    match kind:
        case Text(_, length):
            return _sized_text(length)
        case Primitive("timestamp"):
            return _timestamps
        case Primitive("date"):
            return _dates
        case types.Decimal():
            return _one_by_one(kind)
        case Array(element) if _is_plain(element):
            return _plain(arrow_type(kind))
        case Array(element):
            return _arrays(builder_for(element, structs))
        case Map(key, value):
            return _maps(kind, key, builder_for(value, structs))
        case Struct() if structs:
            return structs
        case _:
            return _plain(arrow_type(kind))


def _is_plain(kind: ColumnType) -> bool:
    return isinstance(kind, Primitive) and kind.name not in ("timestamp", "date", "binary")


def _plain(arrow: pa.DataType) -> Builder:
    def plain(values: Values) -> Built:
        return Built(pa.array(values, arrow, from_pandas=True))

    return plain


def _sized_text(length: int) -> Builder:
    def sized_text(values: Values) -> Built:
        import pyarrow.compute as pc

        texts = pa.array(values, pa.string(), from_pandas=True)
        longest = pc.max(pc.utf8_length(texts)).as_py()
        if longest is None or longest <= length:
            return Built(texts)
        too_long = pc.greater(pc.utf8_length(texts), length)
        return Built(texts, bad=pc.indices_nonzero(too_long).to_pylist())

    return sized_text


def _timestamps(values: Values) -> Built:
    try:
        texts = pa.array(values, pa.string(), from_pandas=True)
    except pa.ArrowTypeError:  # some or all values are numbers
        return _instants(values, lambda value: timestamp_ms(value) if isinstance(value, str) else epoch_ms(str(value)))
    return _instants_of_texts(texts, *timestamps_ms(texts), timestamp_ms, pa.timestamp("ms"))


def _dates(values: Values) -> Built:
    texts = pa.array(values, pa.string(), from_pandas=True)
    return _instants_of_texts(texts, *dates_days(texts), date_days, pa.date32())


def _instants(values: Values, read: Callable[[Any], int | None]) -> Built:
    instants = [None if value is None or value is MISSING else read(value) for value in values]
    bad = [
        row
        for row, (value, instant) in enumerate(zip(values, instants, strict=True))
        if instant is None and value is not None and value is not MISSING
    ]
    return Built(pa.array(instants, pa.timestamp("ms")), bad=bad)


def _instants_of_texts(
    texts: pa.Array, numbers: Any, read: Any, read_one: Callable[[str], int | None], arrow: pa.DataType
) -> Built:
    """Many texts read at once; those that could not be read in this way are read one by one."""
    bad: list[int] = []
    if read.all():
        mask = None
    else:
        null = texts.is_null().to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(~(read | null)).tolist():
            number = read_one(texts[row].as_py())
            if number is None:
                bad.append(row)
            else:
                numbers[row] = number
        mask = null
    if pa.types.is_date32(arrow):
        numbers = numbers.astype(np.int32)
    return Built(pa.array(numbers, mask=mask).cast(arrow), bad=bad)


def _one_by_one(kind: ColumnType) -> Builder:
    """Values given as raw JSON, each converted by the exact rule."""
    rule, arrow = rule_for(kind), arrow_type(kind)

    def one_by_one(values: Values) -> Built:
        results, bad = [], []
        for row, value in enumerate(values):
            try:
                results.append(rule(_literal(value)))
            except Reject:
                results.append(None)
                bad.append(row)
        return Built(pa.array(results, arrow), bad=bad)

    return one_by_one


def _literal(value: Any) -> Any:
    if not isinstance(value, msgspec.Raw):
        return None if value is MISSING else value
    raw = bytes(value).strip()
    if raw[:1] in b"-0123456789":
        return Number(raw.decode())
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Reject("", "", "") from None


def _arrays(element: Builder) -> Builder:
    def arrays(values: Values) -> Built:
        lists = [value if value.__class__ is list else () for value in values]
        sizes = np.fromiter(map(len, lists), np.int32, len(lists))
        ends = np.cumsum(sizes, dtype=np.int32)
        child = element(list(chain.from_iterable(lists)))
        array = pa.ListArray.from_arrays(
            pa.array(np.concatenate(([0], ends)), pa.int32()), child.array, mask=_mask(values, list)
        )
        return Built(array, bad=_rows_of(child.bad, ends), seen=child.seen)

    return arrays


def _maps(kind: Map, key: ColumnType, item: Builder) -> Builder:
    key_rule = None if key == Primitive("string") else rule_for(key)
    arrow = arrow_type(kind)

    def maps(values: Values) -> Built:
        bad: list[int] = []
        seen = 0
        keys: list[Any] = []
        items: list[Any] = []
        left_out: list[Any] = []  # of bad rows: only for what is counted in them
        ends = np.empty(len(values), np.int32)
        for row, value in enumerate(values):
            if value.__class__ is dict:
                seen += len(value)
                row_keys = _keys(value, key_rule)
                if row_keys is None:
                    bad.append(row)
                    left_out += value.values()
                else:
                    keys += row_keys
                    items += value.values()
            ends[row] = len(keys)
        child = item(items + left_out)
        bad += _rows_of([place for place in child.bad if place < len(items)], ends)
        is_null = np.fromiter((value.__class__ is not dict for value in values), np.bool_, len(values))
        offsets = pa.array(np.concatenate(([0], ends)), pa.int32())
        if is_null.any():
            offsets = pa.array(offsets.to_numpy(), pa.int32(), mask=np.append(is_null, False))
        array = pa.MapArray.from_arrays(offsets, pa.array(keys, arrow.key_type), child.array.slice(0, len(items)))
        return Built(array, bad=bad, seen=seen + child.seen)

    return maps


def _keys(members: dict[str, Any], rule: Rule | None) -> list[Any] | None:
    """The keys of a map in lower case; None if one does not fit its type or two are equal."""
    keys: list[Any] = [name.lower() for name in members]
    if rule:
        try:
            keys = [rule(name) for name in keys]
        except Reject:
            return None
    return keys if len(set(keys)) == len(keys) else None


@dataclass(slots=True)
class StructBuilder:
    """Structs, as msgspec decoded them. The fast path adds the other spellings of names that it has learned.

    `spellings[i]` are the places, in a decoded struct, of the members that mean field i; `skipped` are the places of
    members that are no field; `alike` are groups of these whose names differ only in case. `skipped_seen` says how
    often each skipped member was there in the values of the last call.
    """

    names: list[str]
    fields: list[Builder]
    spellings: list[list[int]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    alike: list[list[int]] = field(default_factory=list)
    skipped_seen: list[int] = field(default_factory=list)

    def __call__(self, values: Values) -> Built:
        absent = (MISSING,) * self._width()
        try:
            rows = list(map(astuple, values))
            mask = None
        except TypeError:  # some are NULL or missing
            rows = [absent if value is None or value is MISSING else astuple(value) for value in values]
            mask = pa.array([row is absent for row in rows])
        built = self.build(rows)
        array = pa.StructArray.from_arrays([column.array for column in built], self.names, mask=mask)
        bad = sorted({row for column in built for row in column.bad})
        return Built(array, bad=bad, seen=sum(column.seen for column in built))

    def _width(self) -> int:
        return sum(map(len, self.spellings)) + len(self.skipped)

    def build(self, rows: Sequence[tuple[Any, ...]]) -> list[Built]:
        """One column for each field; `seen` counts the members of these rows themselves as well.

        A skipped member counts as one, whatever is inside it.
        """
        columns = list(zip(*rows, strict=True)) or [()] * self._width()
        built = []
        for index, builder in enumerate(self.fields):
            places = self.spellings[index]
            if len(places) == 1:
                column = builder(columns[places[0]])
                column.seen += _present(columns[places[0]]) if column.array.null_count else len(rows)
            else:
                column = _merged(builder, [columns[place] for place in places])
            built.append(column)
        self.skipped_seen = [_present(columns[place]) for place in self.skipped]
        built[0].seen += sum(self.skipped_seen)
        for places in self.alike:
            counts = (
                sum(map(is_not, values, repeat(MISSING)))
                for values in zip(*map(columns.__getitem__, places), strict=True)
            )
            twice = [row for row, count in enumerate(counts) if count > 1]
            built[0].bad = [*built[0].bad, *twice]
        return built


def _present(values: Values) -> int:
    """How many members were present, nulls included."""
    return sum(map(is_not, values, repeat(MISSING)))


def _merged(builder: Builder, spellings: Sequence[Values]) -> Built:
    """One column from all spellings of its name; a row that has two of them is bad."""
    values: list[Any] = []
    twice: list[int] = []
    seen = 0
    for row, candidates in enumerate(zip(*spellings, strict=True)):
        present = [value for value in candidates if value is not MISSING]
        values.append(present[0] if present else MISSING)
        seen += len(present)
        if len(present) > 1:
            twice.append(row)
    column = builder(values)
    return Built(column.array, bad=[*column.bad, *twice], seen=column.seen + seen)


def _mask(values: Values, kind: type) -> pa.Array | None:
    null = np.fromiter((value.__class__ is not kind for value in values), np.bool_, len(values))
    return pa.array(null) if null.any() else None


def _rows_of(elements: Sequence[int], ends: Any) -> list[int]:
    """The rows that hold these elements of a flattened column."""
    return np.unique(np.searchsorted(ends, np.asarray(elements), side="right")).tolist() if len(elements) else []
