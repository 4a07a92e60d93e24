"""The fast path: converts many records at once, if they need none of the special rules.

It must never give another result than the exact rules (`definition/coercion.py`): any record that is not plain is
handed back to them.

  1. Each record is decoded by msgspec against a type made from the columns, strictly: a string column takes a
     JSON string only, an integer column a whole number in range. Any failure hands the record back.
  2. Members that the type does not have make decoding fail as well. Their names are learned: a column's name in another
     case becomes another spelling of the column, and any other name becomes a member to skip. So keys match in any
     case, and a skipped member is known to be no column.
  3. The decoded rows become Arrow arrays column by column; a record with a value that needs the exact rules is handed
     back.
  4. msgspec keeps the last of two equal keys. They are found by counting (see `keys`): keys are counted over the whole
     group and, if that count is wrong, record by record. A record whose own count is wrong, or whose keys cannot be
     counted, is handed back.
  5. msgspec does not check the values that it skips, so invalid UTF-8 is searched for in the bytes of the whole group.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Optional

import msgspec
import pyarrow as pa
from msgspec.structs import astuple

from datawarehouse.convert.columns import MISSING, StructBuilder, builder_for
from datawarehouse.convert.keys import KeyCount
from datawarehouse.definition import types
from datawarehouse.definition.coercion import FLOAT_MAX
from datawarehouse.definition.documents import BYTE_ORDER_MARK, not_utf8
from datawarehouse.definition.rejects import PARSE_ERROR, Reason
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import INTEGER_BITS, Array, ColumnType, Map, Primitive, Struct, Text
from datawarehouse.definition.unknown_keys import brackets
from datawarehouse.journal.aggregate import MAGIC

_LEARNED_MAX = 256  # names learned for one object; records with more names are converted by the exact rules
_UNLEARNABLE = re.compile(r'["\\\x00-\x1f]|[\ud800-\udfff]')  # msgspec refuses such names


_MEMBER = re.compile(r"at `\$\.([^.\[`]+)")
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")

Finding = Reason | str | None
"""What is known of a record that is not plain: why it is malformed, or which column to check first."""


class FastPath:
    """Decodes groups of records for one set of columns; remembers the keys that it has learned."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._shape = _Shape([(column.json_key, column.type) for column in columns])
        self._decoder = self._shape.decoder()
        self._skips = False

    def convert(
        self, records: Sequence[bytes], joined: bytes
    ) -> tuple[pa.RecordBatch, dict[int, Finding], Mapping[str, int]]:
        """The rows of the plain records, in order; the places of the other records with what was found in them; and
        how often the plain records had keys that no column has (see `definition/unknown_keys.py`).

        joined: the records' bytes one after the other, as the journal has them.
        """
        structs, others = self._decode(records)
        places = _without(range(len(records)), others)
        if others:
            joined = b"".join([records[place] for place in places])
        keys = KeyCount.of(joined)
        uncountable = self._uncountable(records, places, joined, keys)
        if uncountable:
            structs = [struct for struct, place in zip(structs, places, strict=True) if place not in uncountable]
            places = _without(places, uncountable)
            others.update((place, None) for place in uncountable)
            keys = KeyCount.of(b"".join([records[place] for place in places]))
        rows = list(map(astuple, structs))
        built = self._shape.builder.build(rows)
        for name, column in zip(self._shape.names, built, strict=True):
            others.update((places[row], name) for row in column.bad)
        if keys.count != sum(column.seen for column in built):
            for row, place in enumerate(places):
                if KeyCount.of(records[place]).count != self._shape.seen(rows[row]):
                    others.setdefault(place, None)
        unknown = dict(self._shape.unknown()) if self._skips else {}
        batch = pa.RecordBatch.from_arrays([column.array for column in built], self._names)
        if len(places) + len(others) > len(records):  # some were decoded and still have to be handed back
            batch = batch.filter(pa.array([place not in others for place in places]))
            if unknown:
                handed_back = [row for row, place in zip(rows, places, strict=True) if place in others]
                for key in (key for each in handed_back for key in self._shape.unknown_in(each)):
                    unknown[key] -= 1
        return batch, others, unknown

    def _decode(self, records: Sequence[bytes]) -> tuple[list[Any], dict[int, Finding]]:
        structs: list[Any] = []
        others: dict[int, Finding] = {}
        remaining = iter(records)
        while True:
            try:
                # After a failure the list has the records decoded before it, and the iterator continues after it.
                structs.extend(map(self._decoder.decode, remaining))
                return structs, others
            except msgspec.ValidationError as error:
                place = len(structs) + len(others)
                message = str(error)
                if "unknown field" in message and self._shape.learn(records[place]):
                    self._decoder = self._shape.decoder()
                    self._skips = self._shape.skips
                    return self._decode(records)  # all records again, so that all rows have the same width
                member = _MEMBER.search(message)
                others[place] = member[1].lower() if member else None
            except msgspec.DecodeError as error:
                place = len(structs) + len(others)
                others[place] = _malformed(str(error), records[place])
            except UnicodeDecodeError:
                place = len(structs) + len(others)
                reject = not_utf8(records[place])
                others[place] = reject.reason if reject else None
            except RecursionError:
                others[len(structs) + len(others)] = None

    @staticmethod
    def _uncountable(records: Sequence[bytes], places: Sequence[int], joined: bytes, keys: KeyCount) -> set[int]:
        """The places whose keys cannot be counted, or whose bytes are not UTF-8."""
        found: set[int] = set()
        if not joined.isascii() and not _is_utf8(joined):
            found.update(place for place in places if not _is_utf8(records[place]))
        if keys.backslash:
            found.update(place for place in places if KeyCount.of(records[place]).backslash)
        return found


def _malformed(message: str, record: bytes) -> Reason | None:
    """The reason for an error message of msgspec; None if `documents` may still find several documents, a byte order
    mark before the first, no document at all, an aggregate, or a better message."""
    fault = message.removeprefix("JSON is malformed: ")
    trailing = _TRAILING.fullmatch(fault)
    if trailing and record[int(trailing[1]) - 1] in b"]}:,":
        return Reason(PARSE_ERROR, "the end of the record, or another object", fault)
    if trailing or record.startswith((BYTE_ORDER_MARK, MAGIC)) or b"\\u" in record or not record.strip():
        return None
    return Reason(PARSE_ERROR, "JSON", fault)


def _without(places: Sequence[int], left_out: Collection[int]) -> Sequence[int]:
    return [place for place in places if place not in left_out] if left_out else places


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Shape:
    """An object as it is in the records: the members that are fields, their other spellings, and the members to
    skip."""

    def __init__(self, fields: Sequence[tuple[str, ColumnType]]) -> None:
        self.names = [name for name, _ in fields]
        self.types = [kind for _, kind in fields]
        self.inner = [_shape_in(kind) for kind in self.types]
        self.spellings = [[name] for name in self.names]
        self.skipped: list[str] = []
        builders = [
            builder_for(kind, inner.builder if inner else None)
            for kind, inner in zip(self.types, self.inner, strict=True)
        ]
        self.builder: StructBuilder = StructBuilder(self.names, builders)

    def decoder(self) -> msgspec.json.Decoder[Any]:
        return msgspec.json.Decoder(self.struct())

    def struct(self) -> type[msgspec.Struct]:
        """The type for the decoder; also tells the builder where each member will be."""
        fields: list[tuple[str, Any, Any]] = []
        names: dict[str, str] = {}

        def add(member: str, wire: Any) -> int:
            attribute = f"m{len(fields)}"
            fields.append((attribute, wire, MISSING))
            names[attribute] = member
            return len(fields) - 1

        wires = [_or_null(kind, inner) for kind, inner in zip(self.types, self.inner, strict=True)]
        self.builder.spellings = [
            [add(member, wire) for member in spelled] for spelled, wire in zip(self.spellings, wires, strict=True)
        ]
        self.builder.skipped = [add(member, msgspec.Raw) for member in self.skipped]
        alike: dict[str, list[int]] = {}
        for member, place in zip(self.skipped, self.builder.skipped, strict=True):
            alike.setdefault(member.lower(), []).append(place)
        self.builder.alike = [places for places in alike.values() if len(places) > 1]
        return msgspec.defstruct("Members", fields, rename=names, forbid_unknown_fields=True, gc=False)

    def learn(self, record: bytes) -> bool:
        """Learn the names in a record that are not known yet; False if there is none."""
        try:
            return _learn(Struct(()), self, msgspec.json.decode(record))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False

    def learn_members(self, members: dict[str, Any]) -> bool:
        learned = False
        for name, value in members.items():
            field = name.lower()
            index = self.names.index(field) if field in self.names else None
            if name not in self.skipped and not any(name in spelled for spelled in self.spellings):
                learned_before = len(self.skipped) + sum(map(len, self.spellings)) - len(self.names)
                if learned_before >= _LEARNED_MAX or _UNLEARNABLE.search(name):
                    continue
                (self.skipped if index is None else self.spellings[index]).append(name)
                learned = True
            if index is not None:
                learned = _learn(self.types[index], self.inner[index], value) or learned
        return learned

    def seen(self, row: Sequence[Any]) -> int:
        """How many members of JSON objects a decoded row had."""
        count = 0
        for kind, inner, places in zip(self.types, self.inner, self.builder.spellings, strict=True):
            for place in places:
                if row[place] is not MISSING:
                    count += 1 + _seen(kind, inner, row[place])
        return count + sum(_skipped_members(row[place]) for place in self.builder.skipped)

    @property
    def skips(self) -> bool:
        """Whether there are members that are no field, at any depth."""
        return bool(self.skipped) or any(inner and inner.skips for inner in self.inner)

    def unknown(self, path: str = "") -> Iterator[tuple[str, int]]:
        """The members that are no field, at any depth, and how often they were there in the rows built last."""
        for name, count in zip(self.skipped, self.builder.skipped_seen, strict=True):
            if count:
                yield path + name, count
        for name, kind, inner in zip(self.names, self.types, self.inner, strict=True):
            if inner:
                yield from inner.unknown(f"{path}{name}{brackets(kind)}.")

    def unknown_in(self, row: Sequence[Any], path: str = "") -> Iterator[str]:
        """The names of the members of a decoded row that are no field, at any depth."""
        for name, place in zip(self.skipped, self.builder.skipped, strict=True):
            if row[place] is not MISSING:
                yield path + name
        for name, kind, inner, places in zip(self.names, self.types, self.inner, self.builder.spellings, strict=True):
            if inner:
                # Of several spellings the builder has taken the first.
                value = next((row[place] for place in places if row[place] is not MISSING), None)
                for struct in _structs_in(kind, value):
                    yield from inner.unknown_in(astuple(struct), f"{path}{name}{brackets(kind)}.")


def _skipped_members(value: Any) -> int:
    """How many keys a skipped member adds to the count: its own and those inside it."""
    if value is MISSING:
        return 0
    raw = bytes(value)
    return 1 + (KeyCount.of(raw).count if raw[:1] in b"{[" else 0)


def _shape_in(kind: ColumnType) -> _Shape | None:
    """The shape of the struct that a type is or contains: a type is a chain that ends in at most one struct."""
    match kind:
        case Struct(fields):
            return _Shape(fields)
        case Array(element):
            return _shape_in(element)
        case Map(_, value):
            return _shape_in(value)
        case _:
            return None


def _or_null(kind: ColumnType, shape: _Shape | None) -> Any:
    wire = _wire_type(kind, shape)
    return wire if wire is msgspec.Raw else Optional[wire]  # noqa: UP045 - `None | None` is no type


def _wire_type(kind: ColumnType, shape: _Shape | None) -> Any:
    """The Python type that msgspec checks values of this column type against."""
    match kind:
        case Primitive(name) if name in INTEGER_BITS:
            half = 2 ** (INTEGER_BITS[name] - 1)
            return Annotated[int, msgspec.Meta(ge=-half, le=half - 1)]
        case Primitive("float"):
            return Annotated[float, msgspec.Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)]
        case Primitive("double"):
            return float
        case Primitive("boolean"):
            return bool
        case Primitive("timestamp"):
            return str | int
        case Primitive("string" | "date") | Text():
            return str
        case types.Decimal():
            return msgspec.Raw
        case Array(element):
            return list[_or_null(element, shape)]  # type: ignore[misc]
        case Map(_, value):
            return dict[str, _or_null(value, shape)]  # type: ignore[misc]
        case Struct() if shape:
            return shape.struct()
        case _:  # binary: only null
            return None


def _learn(kind: ColumnType, shape: _Shape | None, value: Any) -> bool:
    if shape is None:
        return False
    match kind, value:
        case Struct(), dict():
            return shape.learn_members(value)
        case Array(element), list():
            return sum(_learn(element, shape, item) for item in value) > 0
        case Map(_, item_type), dict():
            return sum(_learn(item_type, shape, item) for item in value.values()) > 0
        case _:
            return False


def _structs_in(kind: ColumnType, value: Any) -> Iterator[msgspec.Struct]:
    """The structs that a decoded value is or contains."""
    match kind, value:
        case Struct(), msgspec.Struct():
            yield value
        case Array(element), list():
            for item in value:
                yield from _structs_in(element, item)
        case Map(_, inner), dict():
            for item in value.values():
                yield from _structs_in(inner, item)


def _seen(kind: ColumnType, shape: _Shape | None, value: Any) -> int:
    match kind, value:
        case Struct(), msgspec.Struct() if shape:
            return shape.seen(astuple(value))
        case Array(element), list():
            return (
                sum(_seen(element, shape, item) for item in value) if shape or isinstance(element, Array | Map) else 0
            )
        case Map(_, item_type), dict():
            return len(value) + sum(_seen(item_type, shape, item) for item in value.values())
        case _:
            return 0
