"""A view as it is declared: a name for a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datawarehouse.definition.tables import checked_table_name
from datawarehouse.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class View:
    """sql: one SELECT of Athena SQL over the tables and views of its warehouse; `sql.views` checks it."""

    name: str
    sql: str


def checked_view(name: Any, sql: Any) -> View:
    """A view whose name can be that of a table. Raises DeclarationError."""
    checked_table_name(name)
    if not isinstance(sql, str) or not sql.strip():
        raise DeclarationError(f"View {name!r}: its sql is {sql!r}; valid is the text of one SELECT.")
    return View(name, sql)
