"""The rows of the tables that describe a warehouse (`sql.metadata`), of those tables that a statement may read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from datawarehouse.catalog.history import Entry, entries
from datawarehouse.definition.tables import HISTORY_TABLE
from datawarehouse.query import tpch
from datawarehouse.query.own_tables import instant, table_of
from datawarehouse.sql import types
from datawarehouse.sql.catalogs import SCALES, TPCH
from datawarehouse.sql.metadata import CATALOG, INFORMATION, SYSTEM, TABLES, TRINO_VERSION
from datawarehouse.sql.names import MEMORY, MEMORY_SCHEMA, SCRATCH, in_memory
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.types import Type

_QUERIES = "system.runtime.queries"
_Row = tuple[Any, ...]
_TABLE, _VIEW = "BASE TABLE", "VIEW"

# java.sql.Types, by which JDBC names the types of columns
_JDBC = {
    types.BOOLEAN: 16,
    types.TINYINT: -6,
    types.SMALLINT: 5,
    types.INTEGER: 4,
    types.BIGINT: -5,
    types.REAL: 7,
    types.DOUBLE: 8,
    types.VARCHAR: 12,
    types.VARBINARY: -3,
    types.DATE: 91,
    **dict.fromkeys(types.TIMESTAMPS, 93),
    **dict.fromkeys(types.INSTANTS, 2014),
}
_JDBC_OF_NAMES = {"decimal": 3, "char": 1, "array": 2003}
_OTHER = 2000
_NULLABLE = 1


def rows(name: str, database: str, tables: Sequence[TableSchema], history: Path, own: str = "") -> pa.Table:
    """The rows of a table of `sql.metadata`. tables: those that a statement may read. history: the file of queries.
    own: the schema of the scratch of whoever asks, "" if there is none."""
    if name == _QUERIES:
        may_read = any(table.name == HISTORY_TABLE for table in tables)
        return table_of(TABLES[name].columns, map(_query, entries(history)) if may_read else ())
    others = [SYSTEM, *([TPCH] if tpch.is_there() else []), *([MEMORY] if own else [])]
    catalog, is_of_one, short = name.partition(f".{INFORMATION}.")
    if name.startswith(INFORMATION):
        catalogs = [CATALOG]
    elif is_of_one:
        catalogs, name = [catalog], f"{INFORMATION}.{short}"
    else:
        catalogs = [CATALOG, *others]
    make = _ROWS.get(name)
    found = _Described(catalogs, database, sorted(tables, key=lambda table: table.name), own)
    return table_of(TABLES[name].columns, make(found) if make else ())


class _Located(NamedTuple):
    catalog: str
    schema: str
    name: str
    table: TableSchema


class _Described(NamedTuple):
    """What is listed: these catalogs, the tables of the warehouse, in its database, and those of scratch."""

    catalogs: Sequence[str]
    database: str
    tables: Sequence[TableSchema]
    own: str

    def schemas(self) -> Iterator[tuple[str, str]]:
        scratch = {SCRATCH} if self.own else set()
        scratch |= {self._schema(table) for table in self.tables} - {self.database}
        found = {
            CATALOG: [self.database, *sorted(scratch)],
            TPCH: list(SCALES),
            SYSTEM: ["jdbc", "metadata", "runtime"],
            MEMORY: sorted({MEMORY_SCHEMA, *(schema for schema, _, _ in self._in_memory())}),
        }
        for catalog in self.catalogs:
            yield from ((catalog, schema) for schema in (*found[catalog], INFORMATION))

    def located(self) -> Iterator[_Located]:
        """Each table of them, those of `information_schema` too."""
        for catalog in self.catalogs:
            for table in self.tables:
                if catalog == CATALOG:
                    yield _Located(CATALOG, self._schema(table), table.short, table)
            if catalog == MEMORY:
                yield from (_Located(MEMORY, *found) for found in self._in_memory())
            within = f"{INFORMATION}." if catalog == CATALOG else f"{catalog}."
            for name, table in TABLES.items():
                if name.startswith(within):
                    *_, schema, short = name.split(".")
                    yield _Located(catalog, schema, short, table)

    def _in_memory(self) -> Iterator[tuple[str, str, TableSchema]]:
        for table in self.tables:
            if self._schema(table) == SCRATCH:
                yield (*in_memory(table.short), table)

    def _schema(self, table: TableSchema) -> str:
        schema = table.name.rpartition(".")[0]
        return SCRATCH if schema and schema == self.own else schema or self.database


def _schemata(of: _Described) -> Iterator[_Row]:
    yield from of.schemas()


def _tables(of: _Described) -> Iterator[_Row]:
    for catalog, schema, name, table in of.located():
        yield catalog, schema, name, _TABLE if table.statement is None else _VIEW


def _columns(of: _Described) -> Iterator[_Row]:
    for catalog, schema, table_name, table in of.located():
        keys = {key.name for key in table.partition_keys}
        for position, (name, kind) in enumerate(table.fields(), 1):
            extra = "partition key" if name in keys else None
            yield catalog, schema, table_name, name, position, None, "YES", str(kind), None, extra


def _views(of: _Described) -> Iterator[_Row]:
    for catalog, schema, name, table in of.located():
        if table.statement is not None:
            yield catalog, schema, name, table.statement


def _jdbc_catalogs(of: _Described) -> Iterator[_Row]:
    yield from ((catalog,) for catalog in of.catalogs)


def _jdbc_schemas(of: _Described) -> Iterator[_Row]:
    yield from ((schema, catalog) for catalog, schema in of.schemas())


def _jdbc_table_types(of: _Described) -> Iterator[_Row]:
    yield from (("TABLE",), (_VIEW,))


def _jdbc_tables(of: _Described) -> Iterator[_Row]:
    for catalog, schema, name, table in of.located():
        yield (catalog, schema, name, "TABLE" if table.statement is None else _VIEW, *[None] * 6)


def _jdbc_columns(of: _Described) -> Iterator[_Row]:
    for catalog, schema, table_name, table in of.located():
        for position, (name, kind) in enumerate(table.fields(), 1):
            digits = kind.scale if kind.name == "decimal" else None
            yield (
                catalog, schema, table_name, name, _jdbc_type(kind), str(kind), kind.precision or None, None, digits,
                10 if types.is_numeric(kind) else None, _NULLABLE, None, None, None, None, None, position, "YES",
                *[None] * 4, "NO", "NO",
            )  # fmt: skip


def _jdbc_type(kind: Type) -> int:
    return _JDBC.get(kind) or _JDBC_OF_NAMES.get(kind.name, _OTHER)


def _catalogs(of: _Described) -> Iterator[_Row]:
    yield from ((catalog, catalog, "hive" if catalog == CATALOG else catalog) for catalog in of.catalogs)


def _comments(of: _Described) -> Iterator[_Row]:
    for catalog, schema, name, _ in of.located():
        yield catalog, schema, name, None


def _nodes(of: _Described) -> Iterator[_Row]:
    yield of.database, "", TRINO_VERSION, True, "active"


_STATES = {"running": "RUNNING", "succeeded": "FINISHED"}
_NAMED = re.compile(r"([A-Z]+(?:_[A-Z]+)+): ")


def _query(entry: Entry) -> _Row:
    """A row of _QUERIES. What is not known of an error is NULL."""
    waited_ms = (entry.started_ms or entry.ended_ms or entry.asked_ms) - entry.asked_ms
    named = _NAMED.match(entry.error or "")
    code = "USER_CANCELED" if entry.outcome == "ended" else named[1] if named else None
    asked, started, ended = map(instant, (entry.asked_ms, entry.started_ms, entry.ended_ms))
    return (
        entry.id, _STATES.get(entry.outcome, "FAILED"), entry.who, None, entry.sql, waited_ms, 0, 0, asked, started,
        ended, ended, "USER_ERROR" if code else None, code,
    )  # fmt: skip


_ROWS: Mapping[str, Callable[[_Described], Iterator[_Row]]] = {
    f"{INFORMATION}.schemata": _schemata,
    f"{INFORMATION}.tables": _tables,
    f"{INFORMATION}.columns": _columns,
    f"{INFORMATION}.views": _views,
    "system.jdbc.catalogs": _jdbc_catalogs,
    "system.jdbc.schemas": _jdbc_schemas,
    "system.jdbc.table_types": _jdbc_table_types,
    "system.jdbc.tables": _jdbc_tables,
    "system.jdbc.columns": _jdbc_columns,
    "system.metadata.catalogs": _catalogs,
    "system.metadata.table_comments": _comments,
    "system.runtime.nodes": _nodes,
}
"""Tables that are not here are empty."""
