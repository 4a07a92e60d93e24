"""A Parquet file of anybody -> events: its rows as lines of JSON."""

from __future__ import annotations

import base64
import json
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
    """Each row as an object on a line. Instants are told to the millisecond, in UTC; bytes that are no text in base64.

    Raises BadRequest if it is no Parquet file, or cannot be read any further.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS):
                for row in batch.to_pylist(maps_as_pydicts="lossy"):
                    yield json.dumps(row, default=_plain, ensure_ascii=False).encode() + b"\n"
    except (OSError, pa.ArrowException, ValueError) as error:
        raise BadRequest(f"{path} cannot be read as Parquet: {error}.") from None


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
