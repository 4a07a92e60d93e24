"""The result of a query: iterate over it for tuples, or convert it to dicts, Arrow, pandas or text."""

from __future__ import annotations

import base64
import importlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from datawarehouse.errors import MissingExtra
from datawarehouse.query.names import distinct
from datawarehouse.query.screen import shown

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl  # type: ignore[import-not-found]

PREVIEW_ROWS = 20
_SAFE_INTEGER = 2**63


@dataclass(frozen=True, slots=True)
class Statistics:
    """files, bytes: of the data files that were read; if they are fewer than those of the table, partitions were
    pruned."""

    elapsed_ms: float
    rows: int
    files: int
    bytes: int


class Result:
    """The rows of a query. Iterate over it for tuples; all rows are in memory, within the limits of queries.

    Values are Python's: timestamps are naive datetimes in UTC, maps and structs dicts, arrays lists, decimals Decimal.
    """

    def __init__(self, table: pa.Table, statistics: Statistics) -> None:
        self._table = table
        self.statistics = statistics

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order; two can be equal."""
        return list(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return tuples(self._table)

    def dicts(self) -> list[dict[str, Any]]:
        """One dict for each row, by column name; a repeated name gets the suffix _1, _2, ..."""
        names = distinct(self.columns)
        return [dict(zip(names, row, strict=True)) for row in self]

    def arrow(self) -> pa.Table:
        """The result as a pyarrow Table."""
        return self._table

    def df(self) -> pd.DataFrame:
        """The result as a pandas DataFrame. Raises MissingExtra if pandas is not installed."""
        try:
            importlib.import_module("pandas")
        except ModuleNotFoundError:
            raise MissingExtra(
                "A DataFrame needs pandas, which is not installed: pip install 'serverless-datawarehouse[pandas]'."
            ) from None
        return self._table.to_pandas()

    def polars(self) -> pl.DataFrame:
        """The result as a polars DataFrame. Raises MissingExtra if polars is not installed."""
        try:
            found = importlib.import_module("polars")
        except ModuleNotFoundError:
            raise MissingExtra("A DataFrame of polars needs it, and it is not installed: pip install polars.") from None
        return found.from_arrow(self._table)

    def _repr_html_(self) -> str:
        """A preview, which notebooks show."""
        return preview(self.columns, tuples(self._table.slice(0, PREVIEW_ROWS)), len(self))

    def __repr__(self) -> str:
        return f"Result({len(self)} rows, columns={self.columns})"


def from_arrow(stream: bytes, elapsed_ms: float, files: int, bytes: int) -> Result:
    """The result whose Arrow IPC stream this is."""
    table = pa.ipc.open_stream(stream).read_all()
    return Result(table, Statistics(elapsed_ms, table.num_rows, files, bytes))


def tuples(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of an Arrow table as Python values."""
    batches = table.to_batches() if isinstance(table, pa.Table) else [table]
    for batch in batches:
        columns = [column.to_pylist(maps_as_pydicts="strict") for column in batch.columns]
        yield from zip(*columns, strict=True) if columns else ()


def preview(columns: Sequence[str], rows: Iterable[Sequence[Any]], count: int) -> str:
    """The first rows as a table of HTML. rows: as many of them as are shown. count: how many there are."""
    named = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(shown(None if value is None else cell(value)))}</td>' for value in row)}</tr>"
        for row in rows
    )
    more = f", of which the first {PREVIEW_ROWS} are shown" if count > PREVIEW_ROWS else ""
    return (
        f"<table><thead><tr>{named}</tr></thead><tbody>{lines}</tbody></table>"
        f"<p>{count} {'row' if count == 1 else 'rows'}{more}</p>"
    )


# -- as text, value by value; `texts` writes whole columns the same way


def jsonable(value: Any) -> Any:
    """A value in the form for JSON: timestamps as ISO 8601 in UTC, bytes as base64, decimals as numbers."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_SAFE_INTEGER <= value < _SAFE_INTEGER else msgspec.Raw(str(value).encode())
        case float():
            return value if math.isfinite(value) else str(value).replace("inf", "Infinity").replace("nan", "NaN")
        case datetime():
            return iso(value)
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
        case timedelta():
            return str(value)
        case _:
            return str(value)


def iso(instant: datetime) -> str:
    """2026-11-23T07:00:00.000Z"""
    digits = "milliseconds" if instant.microsecond % 1000 == 0 else "microseconds"
    return instant.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def csv_row(row: Iterable[Any]) -> str:
    """A row as a line of CSV, as Athena writes it: every value is quoted, and NULL is empty."""
    return ",".join("" if value is None else '"' + cell(value).replace('"', '""') + '"' for value in row) + "\n"


def cell(value: Any) -> str:
    """A value as the text of one cell."""
    plain = jsonable(value)
    if isinstance(plain, str):
        return plain
    return bytes(plain).decode() if isinstance(plain, msgspec.Raw) else msgspec.json.encode(plain).decode()
