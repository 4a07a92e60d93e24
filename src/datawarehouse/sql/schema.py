"""The tables that a statement may name, as SQL sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from datawarehouse.definition.tables import QUARANTINE_COLUMNS, QUARANTINE_SUFFIX, Column, StreamingInputTable, Table
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
    statement: str | None = None
    """Of a view: the query whose rows it has. None of a table."""
    reads: frozenset[str] = frozenset()
    """Of a view: the tables whose rows it shows, those below other views too."""
    own: str = ""
    """Of a view in a scratch: the schema that `scratch` means in its statement."""
    home: str = ""
    """Of such a view: the schema of names without one; "" is the warehouse's."""

    @property
    def below(self) -> frozenset[str]:
        """Of a view: the declared tables below it, also where it reads the quarantine of one."""
        return frozenset(name.removesuffix(QUARANTINE_SUFFIX) for name in self.reads)

    @property
    def short(self) -> str:
        """The name without that of its schema, which tables of the warehouse do not have."""
        return self.name.rpartition(".")[2]

    def fields(self) -> list[tuple[str, Type]]:
        return [(column.name, types.of_column(column.type)) for column in (*self.columns, *self.partition_keys)]


@dataclass(frozen=True, slots=True)
class Declared:
    """The tables of a declaration, by name, and the name by which SQL may qualify them."""

    tables: Mapping[str, TableSchema]
    database: str


NOTHING_DECLARED = Declared({}, "default")


def schemas_of(tables: Iterable[Table]) -> dict[str, TableSchema]:
    """What a declaration lets SQL name: its tables, and the quarantine of each that takes events."""
    found = {}
    for table in tables:
        hours = table.partition_keys[0].name if table.partition_keys and table.kind != Table.kind else None
        event_time = table.event_time if isinstance(table, StreamingInputTable) else None
        found[table.name] = TableSchema(table.name, table.columns, table.partition_keys, hours, event_time)
        if isinstance(table, StreamingInputTable):
            name = table.name + QUARANTINE_SUFFIX
            found[name] = TableSchema(name, QUARANTINE_COLUMNS, table.partition_keys, hours)
    return found
