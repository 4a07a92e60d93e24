"""What the footers of data files say of their columns, where that is exact: the least and the greatest values.

Only files that Arrow's C++ library wrote are believed, as all of ours are. For them (apache/arrow, cpp/src/parquet):

1. Values are whole or missing. It never cuts a text: statistics of more than 4,096 bytes are left out. Writers that
   cut say so in a field that not every reader passes on.
2. Texts and bytes compare without sign, decimals and integers with it: as SQL compares them.
3. NULLs do not count, and a row group of nothing else says so by its number of NULLs. Anything else without a least
   and a greatest value (a fresh file has no statistics) says nothing.

Floating-point columns do not come here (see `sql/translate/summaries.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.definition.tables import Column
from datawarehouse.parquet.schema import arrow_type

PARTITION, COUNT = "$partition", "$count"
_WRITER = "parquet-cpp-arrow "
_RAW = {pa.date32(): pa.int32(), pa.timestamp("ms"): pa.int64(), pa.string(): pa.binary()}
"""How the statistics hold values of a type, where it is not the type itself."""


@dataclass(frozen=True)
class Told:
    """What footers told: for each partition a row of least and a row of greatest values.

    table: these rows; None if there are none. Its columns are those asked for, then PARTITION, then COUNT: how many
    rows a row stands for (those of least values for all of the partition, those of greatest values for none).
    silent: the files that do not say, or cannot be read. bytes: of the footers of the others.
    """

    table: pa.Table | None
    silent: list[str]
    bytes: int


class _Extremes:
    """Of one partition: how many rows it has, and of each column the least and the greatest value, None if all NULL."""

    def __init__(self, columns: int) -> None:
        self.rows = 0
        self.least: list[Any] = [None] * columns
        self.greatest: list[Any] = [None] * columns

    def add(self, rows: int, pairs: Iterable[tuple[Any, Any]]) -> None:
        self.rows += rows
        for place, (least, greatest) in enumerate(pairs):
            if least is not None:
                so_far = self.least[place], self.greatest[place]
                self.least[place] = least if so_far[0] is None else min(so_far[0], least)
                self.greatest[place] = greatest if so_far[1] is None else max(so_far[1], greatest)


def extremes(files: Iterable[tuple[str, str]], columns: Sequence[Column], deadline: float) -> Told:
    """Read the footers of files, each with its partition, that have these columns.

    Raises TimeoutError at `deadline`, of time.monotonic.
    """
    found: dict[str, _Extremes] = {}
    silent: list[str] = []
    size = 0
    for path, partition in files:
        if time.monotonic() > deadline:
            raise TimeoutError
        try:
            with pa.OSFile(path) as file:  # given a path, read_metadata takes a third longer
                metadata = pq.read_metadata(file)
            groups = _said(metadata, columns)
        except (OSError, pa.ArrowException):  # DuckDB says what is wrong, as of any file
            groups = None
        if groups is None:
            silent.append(path)
            continue
        size += metadata.serialized_size
        for rows, pairs in groups:
            found.setdefault(partition, _Extremes(len(columns))).add(rows, pairs)
    return Told(_table(found, columns) if found else None, silent, size)


def _table(found: Mapping[str, _Extremes], columns: Sequence[Column]) -> pa.Table:
    arrays = {}
    for place, column in enumerate(columns):
        values = [value for each in found.values() for value in (each.least[place], each.greatest[place])]
        kind = arrow_type(column.type)
        arrays[column.name] = pa.array(values, _RAW.get(kind, kind)).cast(kind)
    arrays[PARTITION] = pa.array([partition for partition in found for _ in range(2)], pa.string())
    arrays[COUNT] = pa.array([count for each in found.values() for count in (each.rows, 0)], pa.int64())
    return pa.table(arrays)


_Group = tuple[int, list[tuple[Any, Any]]]


def _said(metadata: pq.FileMetaData, columns: Iterable[Column]) -> list[_Group] | None:
    """For each row group its number of rows, and the least and the greatest value of each column; None if unsaid."""
    if not metadata.created_by.startswith(_WRITER):
        return None
    at = {metadata.schema.column(number).path: number for number in range(metadata.num_columns)}
    groups: list[_Group] = []
    for number in range(metadata.num_row_groups):
        group, pairs = metadata.row_group(number), []
        if not group.num_rows:
            continue
        for column in columns:
            statistics = group.column(at[column.name]).statistics if column.name in at else None
            if statistics is None:
                return None
            if statistics.has_min_max:
                pairs.append((_value(statistics, "min"), _value(statistics, "max")))
            elif statistics.has_null_count and statistics.null_count == group.num_rows:
                pairs.append((None, None))
            else:
                return None
        groups.append((group.num_rows, pairs))
    return groups


def _value(statistics: pq.Statistics, side: str) -> Any:
    # A decimal is bytes in its raw form; dates and times are numbers there, of any year.
    return getattr(statistics, side if statistics.logical_type.type == "DECIMAL" else f"{side}_raw")
