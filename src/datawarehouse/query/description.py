"""The rows of the tables that describe a warehouse (`sql.metadata`), of those tables that a statement may read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from datawarehouse.query.own_tables import table_of
from datawarehouse.sql import types
from datawarehouse.sql.metadata import CATALOG, SYSTEM, TABLES, TRINO_VERSION
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.types import Type

SCHEMA = "information_schema"
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
    types.TIMESTAMP: 93,
    types.INSTANT: 2014,
}
_JDBC_OF_NAMES = {"decimal": 3, "char": 1, "array": 2003}
_OTHER = 2000
_NULLABLE = 1


def rows(name: str, database: str, tables: Sequence[TableSchema]) -> pa.Table:
    """The rows of a table of `sql.metadata`. tables: those of the warehouse."""
    found = sorted(tables, key=lambda table: table.name)
    make = _ROWS.get(name)
    return table_of(TABLES[name].columns, make(database, found) if make else ())


def _schemas(database: str) -> list[tuple[str, str]]:
    return [(CATALOG, database), (CATALOG, SCHEMA)]


def _schemata(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    yield from _schemas(database)


def _with_own(database: str, tables: Sequence[TableSchema]) -> Iterator[tuple[str, TableSchema]]:
    """Each table with its schema, those of `information_schema` too."""
    yield from ((database, table) for table in tables)
    yield from ((SCHEMA, table) for name, table in TABLES.items() if name.startswith(SCHEMA))


def _name(table: TableSchema) -> str:
    return table.name.rpartition(".")[2]


def _tables(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    for schema, table in _with_own(database, tables):
        yield CATALOG, schema, _name(table), _TABLE


def _columns(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    for schema, table in _with_own(database, tables):
        keys = {key.name for key in table.partition_keys}
        for position, (name, kind) in enumerate(table.fields(), 1):
            extra = "partition key" if name in keys else None
            yield CATALOG, schema, _name(table), name, position, None, "YES", str(kind), None, extra


def _jdbc_catalogs(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    yield from ((CATALOG,), (SYSTEM,))


def _jdbc_schemas(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    yield from ((schema, catalog) for catalog, schema in _schemas(database))


def _jdbc_table_types(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    yield from (("TABLE",), (_VIEW,))


def _jdbc_tables(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    for schema, table in _with_own(database, tables):
        yield (CATALOG, schema, _name(table), "TABLE", *[None] * 6)


def _jdbc_columns(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    for schema, table in _with_own(database, tables):
        for position, (name, kind) in enumerate(table.fields(), 1):
            digits = kind.scale if kind.name == "decimal" else None
            yield (
                CATALOG, schema, _name(table), name, _jdbc_type(kind), str(kind), kind.precision or None, None, digits,
                10 if types.is_numeric(kind) else None, _NULLABLE, None, None, None, None, None, position, "YES",
                *[None] * 4, "NO", "NO",
            )  # fmt: skip


def _jdbc_type(kind: Type) -> int:
    return _JDBC.get(kind) or _JDBC_OF_NAMES.get(kind.name, _OTHER)


def _catalogs(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    yield from ((CATALOG, CATALOG, "hive"), (SYSTEM, SYSTEM, SYSTEM))


def _comments(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    for schema, table in _with_own(database, tables):
        yield CATALOG, schema, _name(table), None


def _nodes(database: str, tables: Sequence[TableSchema]) -> Iterator[_Row]:
    yield database, None, TRINO_VERSION, True, "active"


_ROWS: Mapping[str, Callable[[str, Sequence[TableSchema]], Iterator[_Row]]] = {
    "information_schema.schemata": _schemata,
    "information_schema.tables": _tables,
    "information_schema.columns": _columns,
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
