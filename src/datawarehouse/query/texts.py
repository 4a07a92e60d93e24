"""Arrow columns as text: JSON, and the cells of CSV and of tables.

1. Each column becomes an array of texts, by kernels of Arrow; columns of lists, maps and rows by the texts of what is
   in them. A type that is not known here is written value by value, as `result.jsonable` says.
2. The texts of the columns are joined with what stands between them, which gives the lines.

The texts have 64-bit offsets (`large_string`), since what is written is longer than what is read. Arrays and scalars
are made of buffers alone: pyarrow loads pandas, where it is installed, with the first one that it makes of Python
values, and that takes longer than a small query.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from datawarehouse.errors import QueryFailed
from datawarehouse.query.result import cell, jsonable


@dataclass(frozen=True, slots=True)
class Either:
    """What stands in the rows for which `which` is true, and what in the others; None: in all rows the same."""

    which: pa.Array | None
    if_true: str
    if_false: str

    def __add__(self, text: str) -> Either:
        return Either(self.which, self.if_true + text, self.if_false + text)

    def texts(self) -> pa.Array | pa.Scalar:
        if self.which is None:
            return _constant(self.if_true)
        return pc.if_else(self.which, _constant(self.if_true), _constant(self.if_false))


Part: TypeAlias = str | Either | pa.Array
"""What stands in each row, or a text for each row."""

_TEXT = pa.large_string()
_NOTHING = pa.nulls(1, _TEXT)[0]
_EXACT_SCALE_MAX = 6  # Arrow writes 0.0000001 as 1E-7
_DAYS = (-12_687_428, 11_248_737)  # since 1970: Arrow has a text for the years -32767 to 32767
_MILLISECONDS, _MICROSECONDS = 3, 6  # digits
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
_encode = msgspec.json.Encoder().encode


def json_lines(batch: pa.RecordBatch, names: Sequence[str], before: str, after: str) -> bytes:
    """Each row as a JSON object, between `before` and `after`. names: the keys."""
    parts: list[Part] = []
    for name, column in zip(names, batch.columns, strict=True):
        parts += [("," if parts else before + "{") + _encode(name).decode() + ":", *_json_parts(column)]
    return octets(joined([*parts, "}" + after], batch.num_rows, "null")) if parts else b""


def csv_lines(batch: pa.RecordBatch) -> bytes:
    """Each row as a line of CSV: as `result.csv_row`."""
    return lines_of(pa.RecordBatch.from_arrays([cells(column) for column in batch.columns], batch.schema.names))


def lines_of(texts: pa.RecordBatch) -> bytes:
    """Each row of texts as a line of CSV."""
    if not texts.num_columns:
        return b""
    from pyarrow import csv  # only here: other answers need not wait for it

    lines = pa.BufferOutputStream()
    form = csv.WriteOptions(include_header=False, batch_size=max(1, texts.num_rows), quoting_style="all_valid")
    csv.write_csv(texts, lines, form)
    data: bytes = lines.getvalue().to_pybytes()
    return data


def cells(column: pa.Array) -> pa.Array:
    """The text of each value, as `result.cell`; NULL stays NULL."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(_TEXT)
    if pa.types.is_floating(column.type):
        return floats(column, in_json=False)
    if _is_instant(column.type):
        return joined([instants(column), "Z"], len(column))
    return (known(column) or (by_value(column, cell), False))[0]


def _json_parts(column: pa.Array) -> list[Part]:
    """What is to be joined for the JSON of each value, with null for NULL."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return quoted(escaped(column.cast(_TEXT)))
    if pa.types.is_floating(column.type):
        return [floats(column, in_json=True)]
    if _is_instant(column.type):
        return quoted(instants(column), "Z")
    texts, is_string = known(column) or (by_value(column, lambda value: _encode(jsonable(value)).decode()), False)
    return quoted(texts) if is_string else [texts]


def known(column: pa.Array) -> tuple[pa.Array, bool] | None:
    """The text of each value, and whether it is a string in JSON, where nothing in it has to be escaped."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return column.cast(_TEXT), False
    if pa.types.is_decimal128(kind) and kind.scale >= 0:
        return decimals(column), False
    if pa.types.is_date32(kind):
        _check_years(column.cast(pa.int32()), 1)
        return column.cast(_TEXT), True
    if pa.types.is_time64(kind):
        return daytimes(column), True
    if pa.types.is_binary(kind):  # base64 is the JSON of bytes
        return _cut(_encode(column.to_pylist()).replace(b'"', b""), column), True
    if pa.types.is_struct(kind):
        return _rows(column), False
    if pa.types.is_map(kind):
        keys, items = inside(column, column.keys), inside(column, column.items)
        names = quoted(escaped(cells(keys)))
        return lists(column, joined([*names, ":", *_json_parts(items)], len(items), "null"), "{", "}"), False
    if pa.types.is_list(kind):
        items = inside(column, column.values)
        return lists(column, joined(_json_parts(items), len(items), "null"), "[", "]"), False
    return None


# -- values


def escaped(texts: pa.Array) -> pa.Array:
    """As in a string of JSON: nearly all texts stay as they are."""
    data = octets(texts)
    if b"\\" in data:
        texts = pc.replace_substring(texts, "\\", "\\\\")
    if b'"' in data:
        texts = pc.replace_substring(texts, '"', '\\"')
    while data and (least := _least(data)) < " ":
        texts = pc.replace_substring(texts, least, _encode(least).decode()[1:-1])
        data = octets(texts)
    return texts


def _least(data: bytes) -> str:
    """The character of the least byte."""
    return chr(pc.min(pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])).as_py())


def floats(column: pa.Array, *, in_json: bool) -> pa.Array:
    """The shortest text that gives the same double. In JSON, NaN, Infinity and -Infinity are strings."""
    doubles = column.cast(pa.float64()).drop_null()
    if len(doubles) == 0:
        return pa.nulls(len(column), _TEXT)
    values: list[Any] = memoryview(doubles.buffers()[1]).cast("d")[doubles.offset :][: len(doubles)].tolist()
    if not pc.all(pc.is_finite(doubles), min_count=0).as_py():
        values = [value if math.isfinite(value) else jsonable(value) for value in values]
    encoded = _encode(values)
    texts = _cut(encoded if in_json else encoded.replace(b'"', b""), doubles)
    if not column.null_count:
        return texts
    return pc.replace_with_mask(pa.nulls(len(column), _TEXT), column.is_valid(), texts)


def decimals(column: pa.Array) -> pa.Array:
    scale = column.type.scale
    if scale <= _EXACT_SCALE_MAX:
        return column.cast(_TEXT)
    whole = pa.decimal128(38, 0)
    digits = pa.Array.from_buffers(whole, len(column), column.buffers(), offset=column.offset).cast(_TEXT)
    is_negative = pc.starts_with(digits, "-")
    digits = pc.ascii_lpad(pc.ascii_ltrim(digits, "-"), scale + 1, "0")
    signs = pc.if_else(is_negative, _constant("-"), _constant(""))
    return joined(
        [signs, pc.utf8_slice_codeunits(digits, 0, -scale), ".", pc.utf8_slice_codeunits(digits, -scale)], len(column)
    )


def _is_instant(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.unit in ("ms", "us")


def instants(column: pa.Array) -> pa.Array:
    """2026-11-23T07:00:00.000, with six digits where there are microseconds; a Z is to follow."""
    _check_years(column.cast(pa.int64()), _PER_DAY[column.type.unit])
    instants = column.cast(pa.timestamp(column.type.unit))  # in UTC, without the name of a zone
    thousandths = instants.cast(pa.timestamp("ms"), safe=False)
    texts = _written(thousandths, len(" 00:00:00.000"))
    exact = pc.equal(thousandths.cast(instants.type), instants)
    return (
        texts
        if pc.all(exact, min_count=0).as_py()
        else pc.if_else(exact, texts, _written(instants, len(" 00:00:00.000000")))
    )


def moments(column: pa.Array, digits: int) -> pa.Array:
    """2026-11-23 07:00:00.000, with so many digits, from 3 to 6, after the second."""
    if digits == _MILLISECONDS:
        return pc.replace_substring(instants(column), "T", " ")
    _check_years(column.cast(pa.int64()), _PER_DAY[column.type.unit])
    texts = column.cast(pa.timestamp(column.type.unit)).cast(pa.timestamp("us")).cast(_TEXT)
    return texts if digits == _MICROSECONDS else pc.utf8_slice_codeunits(texts, 0, digits - _MICROSECONDS)


def daytimes(column: pa.Array, digits: int | None = None) -> pa.Array:
    """07:00:00.000, with so many digits after the second; None: six where there are microseconds, else three."""
    texts = column.cast(_TEXT)
    if digits is None:
        return pc.replace_substring_regex(texts, "000$", "")
    return pc.utf8_slice_codeunits(texts, 0, len("07:00:00.") + digits if digits else len("07:00:00"))


def _written(instants: pa.Array, digits: int) -> pa.Array:
    """digits: how many follow the day. Years may have five."""
    return pc.binary_replace_slice(instants.cast(_TEXT), -digits, 1 - digits, "T")


def _check_years(numbers: pa.Array, per_day: int) -> None:
    """Raises QueryFailed if there is a time that has no text. numbers: since 1970."""
    found = pc.min_max(numbers)
    least, greatest = found["min"].as_py(), found["max"].as_py()
    if least is not None and (least // per_day < _DAYS[0] or greatest // per_day > _DAYS[1]):
        raise QueryFailed(
            "The result has a date or timestamp outside of the years -32767 to 32767, which has no text. Leave it out, "
            "or ask for Arrow or Parquet."
        )


def _rows(column: pa.Array) -> pa.Array:
    parts: list[Part] = []
    for at, field in enumerate(column.type):
        parts += [("," if parts else "{") + _encode(field.name).decode() + ":", *_json_parts(column.field(at))]
    return where_valid(column, joined([*parts, "}"] if parts else ["{}"], len(column), "null"))


def inside(column: pa.Array, values: pa.Array) -> pa.Array:
    """Those of the values of lists or maps that are in this slice of them."""
    first = column.offsets[0].as_py()
    return values.slice(first, column.offsets[-1].as_py() - first)


def lists(column: pa.Array, texts: pa.Array, before: str, after: str, between: str = ",") -> pa.Array:
    """texts: of what is inside."""
    offsets = pc.subtract(column.offsets, column.offsets[0])
    inside = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), _constant(between))
    return where_valid(column, joined([before, inside, after], len(column)))


def by_value(column: pa.Array, form: Callable[[Any], str]) -> pa.Array:
    values = column.to_pylist(maps_as_pydicts="strict")
    return where_valid(column, text_array(["" if value is None else form(value) for value in values]))


# -- arrays of texts


def _cut(encoded: bytes, column: pa.Array) -> pa.Array:
    """The values of a JSON array, in which no value has a comma; NULL where the column is NULL."""
    if len(column) == 0:
        return text_array([])
    return where_valid(column, pc.split_pattern(text_array([encoded[1:-1].decode()]), ",").values)


def where_valid(column: pa.Array, texts: pa.Array) -> pa.Array:
    return pc.if_else(column.is_valid(), texts, _NOTHING) if column.null_count else texts


def quoted(texts: pa.Array, end: str = "") -> list[Part]:
    """The parts of texts in quotes, each with this end; null without quotes for NULL."""
    if texts.null_count == 0:
        return ['"', texts, end + '"']
    valid = texts.is_valid()
    return [Either(valid, '"', ""), filled(texts, "null"), Either(valid, end + '"', "")]


def joined(parts: Sequence[Part], length: int, null: str | None = None) -> pa.Array:
    """One text for each row, with `null` for each part that is NULL; without `null`, the text is NULL then."""
    found: list[Any] = []
    nothing = between = Either(None, "", "")
    for part in parts:
        if isinstance(part, str):
            between += part
        elif isinstance(part, Either) and between.which is None:
            between = Either(part.which, between.if_true + part.if_true, between.if_true + part.if_false)
        else:
            found += [between.texts()] if between != nothing else []
            between = part if isinstance(part, Either) else nothing
            # Filling takes less than to let the kernel that joins replace each NULL.
            found += [] if isinstance(part, Either) else [part if null is None else filled(part, null)]
    found += [between.texts()] if between != nothing else []
    if len(found) > 1:
        return pc.binary_join_element_wise(*found, _constant(""))
    [only] = found or [_constant("")]
    return only if isinstance(only, pa.Array) else pa.repeat(only, length)


def filled(texts: pa.Array, null: str) -> pa.Array:
    """The same, with a text for NULL."""
    return pc.coalesce(texts, _constant(null)) if texts.null_count else texts


def text_array(texts: Sequence[str]) -> pa.Array:
    data = [text.encode() for text in texts]
    offsets = array("q", accumulate(map(len, data), initial=0))
    return pa.LargeStringArray.from_buffers(len(data), pa.py_buffer(offsets), pa.py_buffer(b"".join(data)))


def _constant(text: str) -> pa.Scalar:
    return text_array([text])[0]


def octets(texts: pa.Array) -> bytes:
    """All texts, one after the other."""
    _, offsets, data = texts.buffers()
    if len(texts) == 0 or data is None:
        return b""
    places = memoryview(offsets).cast("q")
    first, last = places[texts.offset], places[texts.offset + len(texts)]
    return bytes(data.slice(first, last - first).to_pybytes())
