"""The tables that a statement may name, as SQL sees them."""

from __future__ import annotations

from dataclasses import dataclass

from datawarehouse.definition.tables import Column
from datawarehouse.sql import types
from datawarehouse.sql.types import Type

HIDDEN_COLUMNS = {"$path": types.VARCHAR, "$file_size": types.BIGINT, "$file_modified_time": types.INSTANT}
"""Amazon Athena user guide, "Get the file locations for source data in Amazon S3"."""


@dataclass(frozen=True)
class TableSchema:
    """`select *` gives the columns and then the partition keys, as in Athena."""

    name: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]
    hours: str | None = None
    """The partition key that holds the hour of arrival, None if there is none."""
    event_time: str | None = None
    """The column that says when an event happened, if the table declares it."""

    def fields(self) -> list[tuple[str, Type]]:
        return [(column.name, types.of_column(column.type)) for column in (*self.columns, *self.partition_keys)]
