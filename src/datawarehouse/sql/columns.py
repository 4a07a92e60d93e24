"""The columns of a view, or of a table that a statement makes: those of its query, if a table can have them."""

from __future__ import annotations

from collections.abc import Sequence

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import ColumnType, parse_type
from datawarehouse.errors import DeclarationError, QueryFailed
from datawarehouse.sql import types
from datawarehouse.sql.types import Type


def columns_of(names: Sequence[str], kinds: Sequence[Type]) -> tuple[Column, ...]:
    """The columns of a view, or of a table that a statement makes. Raises QueryFailed, with Trino's names, for one that
    has no name, a name twice, or a type that no column has."""
    columns: dict[str, Column] = {}
    for position, (given, kind) in enumerate(zip(names, kinds, strict=True), 1):
        name = given.lower()
        if name == f"_col{position - 1}":
            raise QueryFailed(f"MISSING_COLUMN_NAME: Column {position} has no name; write AS after it.")
        if name in columns:
            raise QueryFailed(f"DUPLICATE_COLUMN_NAME: Two columns are named {name!r}; name one otherwise with AS.")
        column = types.column_type(kind)
        if column is None or not _is_stored(column):
            raise QueryFailed(
                f"NOT_SUPPORTED: Column {name!r} is {kind}, which no column of a table or view can be; cast it."
            )
        columns[name] = Column(name, column)
    return tuple(columns.values())


def _is_stored(column: ColumnType) -> bool:
    """Whether the type can be written as a text and read again: names of fields can have any sign."""
    try:
        return parse_type(str(column)) == column
    except DeclarationError:
        return False
