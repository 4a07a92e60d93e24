"""An answer as Athena stores and tells it: its columns, then its rows as lines of CSV.

The pieces are 1. what GetQueryResults says of the columns, as JSON; 2. the line of the columns' names; 3. the rows,
1,000 in each piece but the first, which has 999: with the names, which come first there, that is a page. Of large rows
a piece has fewer. The file of a result is everything but the first piece.

Every value is in quotes and NULL is nothing. Sources: Amazon Athena API reference, ColumnInfo and GetQueryResults; the
texts of values are those of Java, in which Athena is written, as recorded in the tests of its clients.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from datawarehouse.query.result import csv_row
from datawarehouse.query.texts import (
    by_value,
    cells,
    daytimes,
    decimals,
    filled,
    floats,
    inside,
    joined,
    lines_of,
    lists,
    moments,
    where_valid,
)
from datawarehouse.query.trino_form import day_to_second, year_to_month
from datawarehouse.sql import types
from datawarehouse.sql.types import Type

PAGE_ROWS = 1000
"""Of GetQueryResults, at most (its API reference, MaxResults)."""
PIECE_BYTES = 1024 * 1024
"""A piece that has so many bytes ends."""
_TEXT = pa.large_string()
_PRECISIONS = {
    types.TINYINT: 3,
    types.SMALLINT: 5,
    types.INTEGER: 10,
    types.BIGINT: 19,
    types.REAL: 17,
    types.DOUBLE: 17,
    types.VARCHAR: 2_147_483_647,
    types.VARBINARY: 1_073_741_824,
}
_NAMES = {types.REAL: "float"}
_PLAIN_FLOATS = (1e-3, 1e7)  # beyond these Java writes 1.0E7


def pieces(names: Sequence[str], kinds: Sequence[Type], parts: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The pieces of an answer."""
    yield msgspec.json.encode([_column(name, kind) for name, kind in zip(names, kinds, strict=True)])
    yield csv_row(names).encode()
    lines: list[bytes] = []
    room, size = PAGE_ROWS - 1, 0
    for part in parts:
        arrays = [texts_of(column, kind) for column, kind in zip(part.columns, kinds, strict=True)]
        texts = pa.RecordBatch.from_arrays(arrays, list(map(str, range(len(arrays)))))
        done = 0
        while done < texts.num_rows:
            taken = texts.slice(done, room)
            lines.append(lines_of(taken))
            done, room, size = done + taken.num_rows, room - taken.num_rows, size + len(lines[-1])
            if not room or size >= PIECE_BYTES:
                yield b"".join(lines)
                lines, room, size = [], PAGE_ROWS, 0
    if lines:
        yield b"".join(lines)


def _column(name: str, kind: Type) -> dict[str, Any]:
    base = re.sub(r"^(time|timestamp)\(\d\)", r"\1", kind.name)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": _NAMES.get(kind, base),
        "Precision": _PRECISIONS.get(kind, types.digits_of(kind) if base.startswith("time") else kind.precision),
        "Scale": kind.scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind == types.VARCHAR or kind.name == "char",
    }


def texts_of(column: pa.Array, kind: Type) -> pa.Array:
    """The text of each value; NULL stays NULL."""
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), _TEXT)
    match kind.name:
        case "array":
            items = inside(column, column.values)
            return lists(column, filled(texts_of(items, kind.args[0]), "null"), "[", "]", ", ")
        case "map":
            keys, items = inside(column, column.keys), inside(column, column.items)
            of_keys, of_items = texts_of(keys, kind.args[0]), texts_of(items, kind.args[1])
            return lists(column, joined([of_keys, "=", of_items], len(items), "null"), "{", "}", ", ")
        case "row":
            return _rows(column, kind)
        case "varbinary":
            return by_value(column, lambda value: value.hex(" "))
        case "decimal":
            return decimals(column)
    if kind in types.TIMESTAMPS or kind in types.INSTANTS:
        texts = moments(column, types.digits_of(kind))
        return joined([texts, " UTC"], len(column)) if kind in types.INSTANTS else texts
    if kind in types.DAYTIMES:
        return daytimes(column, types.digits_of(kind))
    if kind in types.INTERVALS:
        return by_value(column, year_to_month if kind == types.YEAR_TO_MONTH else day_to_second)
    if kind in types.FLOATS:
        return _floats(column)
    return cells(column)


def _rows(column: pa.Array, kind: Type) -> pa.Array:
    """{a=1, b=2}; a field without a name is called after its place."""
    parts: list[Any] = ["{"]
    for at, (name, arg) in enumerate(zip(kind.names, kind.args, strict=True)):
        parts += [f"{', ' if at else ''}{name or f'field{at}'}=", texts_of(column.field(at), arg)]
    return where_valid(column, joined([*parts, "}"], len(column), "null"))


def _floats(column: pa.Array) -> pa.Array:
    """The shortest text that gives the same number, as Java's Double.toString and Float.toString write it."""
    if pa.types.is_float32(column.type):
        return by_value(column.cast(_TEXT), java_text)  # Arrow writes numbers of 32 bits in the fewest digits
    size = pc.abs(column)
    least, most = _PLAIN_FLOATS
    is_plain = pc.or_(pc.and_(pc.greater_equal(size, least), pc.less(size, most)), pc.equal(size, 0.0))
    if pc.all(pc.or_(is_plain, pc.invert(pc.is_finite(column))), min_count=0).as_py():
        return floats(column, in_json=False)
    return by_value(column, lambda value: java_text(repr(value)))


def java_text(text: str) -> str:
    """The same number as Java writes it: 1.0E10 for 1e+10.

    Source: Java SE, Double.toString.
    """
    value = float(text)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("+-").partition(".")
    sign = "-" if mantissa.startswith("-") else ""
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return f"{sign}0.0"
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    least, most = _PLAIN_FLOATS
    if least <= abs(value) < most:
        padded = "0" * (1 - point) + digits if point < 1 else digits.ljust(point + 1, "0")
        place = max(point, 1)
        return f"{sign}{padded[:place]}.{padded[place:]}"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1}"
