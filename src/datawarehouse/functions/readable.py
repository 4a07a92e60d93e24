"""The tables that a statement may name on AWS, as the guard sees them: what the Glue catalog says of each.

A table of hours is one that the declaration calls so: its Glue table has the parameter RETENTION_DAYS. The quarantine
is a view of the error documents, whose partitions are its own; an Iceberg table keeps its hours in its metadata, and
the name of their column is that of its error documents. Another view of tables of the database is read as its text.
What else is in the database is refused by name, for the guard cannot say what a statement would read of it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datawarehouse.definition.storage import RETENTION_DAYS
from datawarehouse.definition.tables import ERROR_DOCUMENTS_SUFFIX, QUARANTINE_SUFFIX, Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DeclarationError
from datawarehouse.sql.plan import TableSchema

_PRESTO_VIEW = re.compile(r"/\* Presto View: (\S+) \*/")


@dataclass(frozen=True, slots=True)
class ReadableTable:
    """schema: as statements see it. storage: the Glue table that has its partitions, None if none does: what is stored
    is not known then."""

    schema: TableSchema
    storage: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Database:
    """tables: those that a statement may name. others: why it may not name the others. Both by name."""

    tables: Mapping[str, ReadableTable]
    others: Mapping[str, str]

    @property
    def schemas(self) -> dict[str, TableSchema]:
        return {name: table.schema for name, table in self.tables.items()}


def read_database(glue: Any, database: str, bucket: str) -> Database:
    """What a database has. bucket: where the files of its tables are."""
    pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
    found = {table["Name"]: table for page in pages for table in page["TableList"]}
    tables: dict[str, ReadableTable] = {}
    others: dict[str, str] = {}
    for name, table in found.items():
        try:
            described = _readable(name, table, found, f"s3://{bucket}/", database)
        except DeclarationError as error:
            described = f"has a column of a type that cannot be declared ({error})"
        if isinstance(described, str):
            others[name] = described
        else:
            tables[name] = described
    return Database(tables, others)


def _readable(
    name: str, table: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], home: str, database: str
) -> ReadableTable | str:
    """A table, or why no statement may name it. home: what the locations of tables begin with."""
    described = table.get("StorageDescriptor", {})  # a link to a table of another account has none
    columns = tuple(_columns(described.get("Columns", [])))
    documents = found.get(name.removesuffix(QUARANTINE_SUFFIX) + ERROR_DOCUMENTS_SUFFIX)
    if table.get("TableType") == "VIRTUAL_VIEW":
        if not name.endswith(QUARANTINE_SUFFIX) or documents is None:
            statement = _statement(table, database)
            if statement is None:
                return "is a view, and what it reads is not known here: name its tables"
            return ReadableTable(TableSchema(name, columns, (), statement=statement), None)
        return ReadableTable(_with_hours(name, columns, documents), documents)
    parameters = table.get("Parameters", {})
    if parameters.get("table_type", "").upper() == "ICEBERG":
        if documents is None:
            return "is an Iceberg table that the warehouse did not declare"
        return ReadableTable(_with_hours(name, columns, documents), None)
    if not described.get("Location", "").startswith(home):
        return f"has its files elsewhere than {home}"
    keys = tuple(_columns(table.get("PartitionKeys", [])))
    is_hourly = RETENTION_DAYS in parameters or name.endswith(ERROR_DOCUMENTS_SUFFIX)
    return ReadableTable(TableSchema(name, columns, keys, keys[0].name if keys and is_hourly else None), table)


def _statement(view: Mapping[str, Any], database: str) -> str | None:
    """The query of a view that Athena reads (Trino, ViewReaderUtil), if its tables are those of the database."""
    encoded = _PRESTO_VIEW.fullmatch(view.get("ViewOriginalText", ""))
    try:
        described = json.loads(base64.b64decode(encoded[1], validate=True)) if encoded else {}
    except ValueError:
        return None
    found = described if isinstance(described, dict) else {}
    statement = found.get("originalSql")
    return statement if isinstance(statement, str) and found.get("schema") == database else None


def _with_hours(name: str, columns: tuple[Column, ...], documents: Mapping[str, Any]) -> TableSchema:
    """A table whose hours are a column in Glue. documents: its error documents, whose partition key is called alike."""
    key = documents["PartitionKeys"][0]["Name"]
    others = tuple(column for column in columns if column.name != key)
    return TableSchema(name, others, (Column(key, parse_type("string")),), key)


def _columns(described: list[dict[str, str]]) -> Iterator[Column]:
    return (Column(each["Name"], parse_type(each["Type"])) for each in described)
