"""An answer in the form of Trino's client protocol: columns with the signatures of their types, and rows as JSON lists.

Source: Trino documentation, "Trino client REST API"; the forms of values are those that its Java client reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from datawarehouse.definition.instants import instant_of
from datawarehouse.query.result import cell
from datawarehouse.query.texts import (
    Part,
    by_value,
    daytimes,
    decimals,
    escaped,
    floats,
    inside,
    joined,
    known,
    lists,
    moments,
    octets,
    quoted,
    where_valid,
)
from datawarehouse.sql import types
from datawarehouse.sql.types import Type

_DAY_MS = 86_400_000
_VARCHAR_LENGTH = 2_147_483_647  # of a varchar without a length
_TEXT = pa.large_string()
_TINY = 1e-43  # below this a real has but one digit, of which Java writes two


def columns(names: Sequence[str], kinds: Sequence[Type]) -> bytes:
    """The columns of an answer, as JSON."""
    found = [
        {"name": name, "type": _written(kind), "typeSignature": _signature(kind)}
        for name, kind in zip(names, kinds, strict=True)
    ]
    return msgspec.json.encode(found)


def pages(kinds: Sequence[Type], parts: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """A JSON list of rows for each batch."""
    for part in parts:
        texts = _row_texts(part.columns, kinds, part.num_rows)
        yield b"[" + octets(texts).removesuffix(b",") + b"]"


def _row_texts(arrays: Sequence[pa.Array], kinds: Sequence[Type], length: int) -> pa.Array:
    return joined([*_list_parts(arrays, kinds), ","], length, "null")


def _list_parts(arrays: Sequence[pa.Array], kinds: Sequence[Type]) -> list[Part]:
    parts: list[Part] = ["["]
    for number, (array, kind) in enumerate(zip(arrays, kinds, strict=True)):
        parts += ["," if number else "", *_parts(array, kind)]
    return [*parts, "]"]


def _parts(column: pa.Array, kind: Type) -> list[Part]:
    """What is to be joined for the JSON of each value, with null for NULL."""
    if pa.types.is_null(column.type):
        return ["null"]
    if kind.name == "row":
        fields = [column.field(at) for at in range(column.type.num_fields)]
        return [where_valid(column, joined(_list_parts(fields, kind.args), len(column), "null"))]
    if kind.name == "array":
        items = inside(column, column.values)
        return [lists(column, joined(_parts(items, kind.args[0]), len(items), "null"), "[", "]")]
    if kind.name == "map":
        keys, items = inside(column, column.keys), inside(column, column.items)
        pairs = [*_key(keys, kind.args[0]), ":", *_parts(items, kind.args[1])]
        return [lists(column, joined(pairs, len(items), "null"), "{", "}")]
    if kind in types.TIMESTAMPS or kind in types.INSTANTS:
        return quoted(moments(column, types.digits_of(kind)), " UTC" if kind in types.INSTANTS else "")
    if kind in types.DAYTIMES:
        return quoted(daytimes(column, types.digits_of(kind)))
    if kind.name == "decimal":
        return quoted(decimals(column))
    if kind in types.INTERVALS:
        return quoted(by_value(column, year_to_month if kind == types.YEAR_TO_MONTH else day_to_second))
    if kind in types.FLOATS:
        return [_floats(column, kind)]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return quoted(escaped(column.cast(_TEXT)))
    found = known(column)
    if found is None:
        return quoted(escaped(by_value(column, cell)))
    texts, is_string = found
    return quoted(texts) if is_string else [texts]


def _key(keys: pa.Array, kind: Type) -> list[Part]:
    """The keys of a JSON object are texts, whatever they are in the map."""
    if kind in types.FLOATS:
        return quoted(pc.replace_substring(_floats(keys, kind), '"', ""))
    parts = _parts(keys, kind)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return quoted(parts[0])
    return parts


def _floats(column: pa.Array, kind: Type) -> pa.Array:
    """The shortest text that gives the same number of its own type."""
    if kind == types.DOUBLE:
        return floats(column, in_json=True)
    is_short = pc.and_(pc.is_finite(column), pc.not_equal(column, 0))  # Arrow's -0 is a whole number in JSON: 0
    texts = pc.if_else(is_short, column.cast(_TEXT), floats(column, in_json=True))
    sizes = pc.abs(column)
    is_tiny = pc.and_(pc.less(sizes, _TINY), pc.greater(sizes, 0))
    if not pc.any(is_tiny, min_count=0).as_py():
        return texts
    return pc.if_else(is_tiny, by_value(column, "{:.1e}".format), texts)


def year_to_month(interval: pa.MonthDayNano) -> str:
    """1-2 is a year and two months."""
    years, months = divmod(abs(interval.months), 12)
    return f"{'-' if interval.months < 0 else ''}{years}-{months}"


def day_to_second(interval: pa.MonthDayNano) -> str:
    """2 00:00:00.000 is two days."""
    total_ms = interval.days * _DAY_MS + interval.nanoseconds // 1_000_000
    days, rest = divmod(abs(total_ms), _DAY_MS)
    return f"{'-' if total_ms < 0 else ''}{days} {instant_of(rest):%H:%M:%S}.{rest % 1000:03}"


def _written(kind: Type) -> str:
    """As Trino writes a type to a client, which is with blanks that its SQL has not: decimal(10, 2)."""
    if kind.name == "decimal":
        return f"decimal({kind.precision}, {kind.scale})"
    if kind.name == "row":
        fields = zip(kind.names, kind.args, strict=True)
        return f"row({', '.join(f'{name} {_written(arg)}' if name else _written(arg) for name, arg in fields)})"
    return f"{kind.name}({', '.join(map(_written, kind.args))})" if kind.args else str(kind)


def _signature(kind: Type) -> dict[str, Any]:
    name, _, rest = kind.name.partition("(")
    raw = name + rest.partition(")")[2]
    arguments: list[dict[str, Any]]
    if kind.name == "row":
        arguments = [
            {
                "kind": "NAMED_TYPE",
                "value": {
                    **({"fieldName": {"name": field}} if field else {}),
                    "typeSignature": _signature(arg),
                },
            }
            for field, arg in zip(kind.names, kind.args, strict=True)
        ]
    elif kind.args:
        arguments = [{"kind": "TYPE", "value": _signature(arg)} for arg in kind.args]
    elif kind.name == "decimal":
        arguments = [{"kind": "LONG", "value": kind.precision}, {"kind": "LONG", "value": kind.scale}]
    elif kind.name == "char":
        arguments = [{"kind": "LONG", "value": kind.precision}]
    elif kind == types.VARCHAR:
        arguments = [{"kind": "LONG", "value": _VARCHAR_LENGTH}]
    elif rest:
        arguments = [{"kind": "LONG", "value": int(rest.partition(")")[0])}]
    else:
        arguments = []
    return {"rawType": raw, "arguments": arguments}
