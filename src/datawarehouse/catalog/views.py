"""The declared views, kept in the catalog for those who read without the declaration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import columns_from_json, columns_to_json
from datawarehouse.definition.tables import Column

_VIEWS = "views"


@dataclass(frozen=True, slots=True)
class StoredView:
    """reads: the names of the tables below it."""

    name: str
    sql: str
    columns: tuple[Column, ...]
    reads: tuple[str, ...]


def keep_views(catalog: Catalog, declared: Iterable[StoredView]) -> None:
    """Replace what is kept by these views."""
    value = [[each.name, each.sql, columns_to_json(each.columns), sorted(each.reads)] for each in declared]
    if value != (catalog.noted(_VIEWS) or []):
        catalog.note(_VIEWS, value)


def stored_views(catalog: Catalog) -> list[StoredView]:
    """The views, in the order of their declaration."""
    kept = catalog.noted(_VIEWS) or ()
    return [StoredView(name, sql, columns_from_json(columns), tuple(reads)) for name, sql, columns, reads in kept]
