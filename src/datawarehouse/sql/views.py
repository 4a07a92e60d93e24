"""Views, checked against the tables and views that they read: their columns, and which tables are below them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from datawarehouse.definition.views import View
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest, DeclarationError, QueryError
from datawarehouse.sql.columns import columns_of
from datawarehouse.sql.plan import plan
from datawarehouse.sql.schema import TableSchema, schemas_of

_ANY_TIME_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def schemas_of_warehouse(warehouse: Warehouse) -> dict[str, TableSchema]:
    """What a declaration lets SQL name, its views too. Raises DeclarationError."""
    tables = schemas_of(warehouse.tables())
    return {**tables, **checked_views(warehouse.views(), tables, warehouse.name)}


def checked_views(views: Iterable[View], tables: Mapping[str, TableSchema], database: str) -> dict[str, TableSchema]:
    """The views as SQL sees them, by name; `TableSchema.reads` has the tables below each. Raises DeclarationError,
    which names the view and what is wrong with it."""
    unchecked = {view.name: TableSchema(view.name, (), (), statement=view.sql) for view in views}
    known = {**tables, **unchecked}
    found = {}
    for name, view in unchecked.items():
        try:
            planned = plan(f'SELECT * FROM "{name}"', known, database, now_ms=_ANY_TIME_MS)
            found[name] = replace(view, columns=columns_of(planned.column_names, planned.types), reads=planned.reads)
        except (QueryError, BadRequest) as error:
            raise DeclarationError(f"View {name!r}: its sql cannot be read: {error}") from None
    return found
