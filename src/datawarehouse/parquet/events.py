"""A Parquet file of anybody -> events: its rows as lines of JSON."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.errors import BadRequest

_ROWS = 1000


def rows_as_json(path: Path) -> Iterator[bytes]:
    """Each row as an object on a line. Instants are told to the millisecond, in UTC; bytes that are no text in base64;
    keys of maps as texts.

    Raises BadRequest if it is no Parquet file, or cannot be read any further.
    """
    try:
        with pq.ParquetFile(path) as file:
            if twice := sorted(name for name, count in Counter(file.schema_arrow.names).items() if count > 1):
                raise BadRequest(
                    f"{path} has several columns of one name, {', '.join(map(repr, twice))}, of which an event could "
                    "have but one value. Write it with a name of its own for each."
                )
            for batch in file.iter_batches(_ROWS):
                columns = [column.cast(_in_microseconds(column.type), safe=False) for column in batch.columns]
                told = pa.RecordBatch.from_arrays(columns, batch.schema.names)
                for row in told.to_pylist(maps_as_pydicts="lossy"):
                    yield _line(row)
    except BadRequest:
        raise
    except (OSError, pa.ArrowException, ValueError, OverflowError) as error:
        raise BadRequest(f"{path} cannot be read as Parquet: {error}.") from None


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    """A type without nanoseconds, which become values of Python with pandas alone."""
    if pa.types.is_list(kind):
        return pa.list_(_in_microseconds(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_in_microseconds(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(_in_microseconds(kind.key_type), _in_microseconds(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _in_microseconds(field.type)) for field in kind])
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    return {pa.time64("ns"): pa.time64("us"), pa.duration("ns"): pa.duration("us")}.get(kind, kind)


def _line(row: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(row, default=_plain, ensure_ascii=False)
    except TypeError:  # a key of a map is no text
        text = json.dumps(_with_texts_as_keys(row), default=_plain, ensure_ascii=False)
    return text.encode() + b"\n"


def _with_texts_as_keys(value: Any) -> Any:
    match value:
        case dict():
            pairs = ((key if isinstance(key, str | int | float) else _plain(key), value[key]) for key in value)
            return {key: _with_texts_as_keys(inner) for key, inner in pairs}
        case list():
            return [_with_texts_as_keys(inner) for inner in value]
        case _:
            return value


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            instant = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            return instant.isoformat(" ", "milliseconds")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case _:
            return str(value)
