"""What a statement may read: a table that it may not read does not exist for it, in no message and in no list."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from datawarehouse.errors import AccessDenied, QueryFailed
from datawarehouse.query.readable import Readable
from datawarehouse.sql.names import SCRATCH
from datawarehouse.sql.statement import qualified_names

_NOT_FOUND = "TABLE_NOT_FOUND"


def permitted(tables: Mapping[str, Readable], only: Collection[str] | None) -> Mapping[str, Readable]:
    """Those that a statement may read. only: the names of tables; None: all. A view is there if all tables below it
    are."""
    if only is None:
        return tables
    return {name: table for name, table in tables.items() if table.below <= set(only)}


@contextmanager
def told_apart(sql: str, tables: Mapping[str, Readable], only: Collection[str] | None) -> Iterator[None]:
    """Raises AccessDenied in the place of the error about a table that does not exist, if it is there and may not be
    read."""
    try:
        yield
    except QueryFailed as error:
        if only is None or not str(error).startswith(_NOT_FOUND):
            raise
        seen = permitted(tables, only)
        named = {_key(schema, name) for schema, name in qualified_names(sql)}
        refused = sorted(name for name in named if name in tables and name not in seen)
        if not refused:
            raise
        raise AccessDenied(
            f"The key of the query may not read {', '.join(refused)}; it may read {', '.join(sorted(only))}."
        ) from None


def _key(schema: str, name: str) -> str:
    """How a table is called in a mapping of readables; those of a scratch are not told apart by their names alone."""
    return f"{schema}.{name}" if schema.startswith(SCRATCH) else name
