"""What SQL can name: the tables of a catalog, their quarantines, views, and what was made in a scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import StoredTable
from datawarehouse.catalog.views import StoredView, stored_views
from datawarehouse.definition.tables import (
    HISTORY_COLUMNS,
    HISTORY_TABLE,
    QUARANTINE_COLUMNS,
    QUARANTINE_SUFFIX,
    RUNS_COLUMNS,
    RUNS_TABLE,
    BatchInputTable,
    Column,
    StreamingInputTable,
    Table,
)
from datawarehouse.parquet.footer import REJECTS, ROWS
from datawarehouse.scratch.store import ScratchTable
from datawarehouse.sql.schema import TableSchema

RUNS, HISTORY, VIEW = "runs", "history", "view"
"""Kinds of what is no table of files: the tables of runs and of queries, and views."""


@dataclass(frozen=True, slots=True)
class Made:
    """A table or view of a scratch. own: what others call that scratch. paths: of its files."""

    kind: ClassVar[str] = "scratch"

    table: ScratchTable
    own: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Readable:
    """Something that SQL can name: a table, the quarantine of one, a view, or what was made in a scratch."""

    stored: StoredTable
    kind: str
    columns: tuple[Column, ...]
    view: StoredView | None = None
    made: Made | None = None

    @property
    def below(self) -> frozenset[str]:
        """The names of the tables whose rows it shows: who may read all of them may read it."""
        if self.made:
            return frozenset(self.made.table.reads)
        return frozenset(self.view.reads) if self.view else frozenset((self.schema.name,))

    @property
    def schema(self) -> TableSchema:
        suffix = QUARANTINE_SUFFIX if self.kind == REJECTS else ""
        keys = self.stored.partition_keys
        hours = keys[0].name if keys and self.stored.kind != Table.kind else None
        event_time = self.stored.event_time if self.kind == ROWS else None
        if self.made:
            table, own = self.made.table, self.made.own
            return TableSchema(
                self.stored.name, self.columns, (), None, None, table.statement, self.below, own, table.home
            )
        if self.view:
            return TableSchema(self.stored.name, self.columns, (), statement=self.view.sql, reads=self.below)
        return TableSchema(self.stored.name + suffix, self.columns, keys, hours, event_time)


def readables(catalog: Catalog) -> dict[str, Readable]:
    """What SQL can name, by name."""
    found = {}
    for stored in catalog.tables():
        found[stored.name] = Readable(stored, ROWS, stored.columns[stored.schema_version])
        if stored.kind == StreamingInputTable.kind:
            found[stored.name + QUARANTINE_SUFFIX] = Readable(stored, REJECTS, QUARANTINE_COLUMNS)
    if any(each.stored.kind == BatchInputTable.kind for each in found.values()):
        runs = StoredTable(RUNS_TABLE, RUNS, (), "", 1, {1: RUNS_COLUMNS})
        found[RUNS_TABLE] = Readable(runs, RUNS, RUNS_COLUMNS)
    history = StoredTable(HISTORY_TABLE, HISTORY, (), "", 1, {1: HISTORY_COLUMNS})
    found[HISTORY_TABLE] = Readable(history, HISTORY, HISTORY_COLUMNS)
    for view in stored_views(catalog):
        stored = StoredTable(view.name, VIEW, (), "", 1, {1: view.columns})
        found[view.name] = Readable(stored, VIEW, view.columns, view)
    return found


def partition_values(catalog: Catalog, table: Readable) -> list[tuple[str, ...]]:
    """The values of the keys of a table's partitions."""
    if table.stored.kind == Table.kind:
        return [partition.values for partition in catalog.registered_partitions(table.stored.name)]
    return [(value,) for value in catalog.partitions_between(table.stored.name, table.kind, None, None)]
