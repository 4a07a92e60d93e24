"""The argument of a job's function, and the conversion of the rows that it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from datawarehouse.convert.rows import GROUP_RECORDS, RowConverter
from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_of
from datawarehouse.definition.tables import Column
from datawarehouse.errors import BadRequest
from datawarehouse.intake.encoding import json_of
from datawarehouse.parquet.schema import arrow_schema

if TYPE_CHECKING:
    from datawarehouse.query.result import Result

RunQuery = Callable[[str, Sequence[Any]], "Result"]


class EmbeddedJobContext:
    """The job context of `definition/job.py`; keeps the written rows, by partition."""

    def __init__(self, table: str, columns: Sequence[Column], time_ms: int, query: RunQuery) -> None:
        self.time = instant_of(time_ms)
        self.partition = partition_of(time_ms - HOUR_MS)
        self.open_partition = partition_of(time_ms)
        self.written: dict[str, list[pa.RecordBatch]] = {}
        self._table = table
        self._names = {column.name for column in columns}
        self._schema = arrow_schema(columns)
        self._converter = RowConverter(columns)
        self._query = query

    def query(self, sql: str, params: Sequence[Any] | None = None) -> Iterable[tuple[Any, ...]]:
        """The result of one statement of Athena SQL; each `?` in it takes the next of `params`."""
        return self._query(sql, params or ())

    def write(self, rows: Iterable[Mapping[str, Any]], partition: str | None = None) -> None:
        """Write rows for a partition, by default for `self.partition`.

        A row maps column names to values; a column that it leaves out is NULL. Values are converted by the same rules
        as those of an event. Raises BadRequest, naming the row, if one does not fit.
        """
        partition = self.partition if partition is None else partition
        start_of(partition)
        batches = self.written.setdefault(partition, [])
        group: list[bytes] = []
        first = sum(batch.num_rows for batch in batches)
        for number, row in enumerate(rows, first):
            group.append(self._encoded(number, row))
            if len(group) == GROUP_RECORDS:
                batches += self._converted(number + 1 - len(group), group)
                group = []
        if group:
            batches += self._converted(number + 1 - len(group), group)

    def store(self, table: pa.Table) -> None:
        """Write rows that have the table's columns, for `self.partition`."""
        self.written.setdefault(self.partition, []).extend(table.cast(self._schema).to_batches())

    def _encoded(self, number: int, row: Any) -> bytes:
        if not isinstance(row, Mapping):
            raise BadRequest(f"{self._place(number)} is {row!r}; a row maps column names to values.")
        unknown = [name for name in row if name not in self._names]
        if unknown:
            raise BadRequest(
                f"{self._place(number)} has {unknown[0]!r}, which is not a column; there are "
                f"{', '.join(sorted(self._names))}."
            )
        try:
            return json_of(dict(row))
        except ValueError as error:
            raise BadRequest(f"{self._place(number)} cannot be written: {error}.") from None

    def _converted(self, first: int, group: list[bytes]) -> Iterator[pa.RecordBatch]:
        converted = self._converter.convert(group)
        if converted.rejects:
            place, reason = min(converted.rejects, key=lambda reject: reject[0])
            raise BadRequest(f"{self._place(first + place)} does not fit: {reason.message}")
        return iter(converted.batches)

    def _place(self, number: int) -> str:
        return f"Row {number + 1} for table {self._table!r}"
