"""What a name means: the columns of what is in FROM, the names that a SELECT list gives, and the queries around."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.values import Value
from datawarehouse.sql.types import Type

Columns = Mapping[str, Type | None]

_RESERVED = frozenset(
    "current_catalog current_path current_schema current_user first last of "
    "alter and as between by case cast constraint create cross cube current_date current_time "
    "current_timestamp deallocate delete describe distinct drop else end escape except execute exists extract "
    "false for from full group grouping having in inner insert intersect into is join left like localtime "
    "localtimestamp natural normalize not null on or order outer prepare recursive right rollup select skip "
    "table then true uescape union unnest using values when where with".split()
)
"""Trino documentation, "Reserved keywords"."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something in FROM; its columns are None if they are not known."""

    name: str
    columns: Columns | None


@dataclass(slots=True)
class Scope:
    """given: what the items of the SELECT list are called so far, and what they are. lets_names: whether such a name
    can be used here."""

    sources: list[Source] = field(default_factory=list)
    parent: Scope | None = None
    given: dict[str, Value] = field(default_factory=dict)
    lets_names: bool = False

    @property
    def is_known(self) -> bool:
        return all(source.columns is not None for source in self.sources)

    @property
    def has_sources(self) -> bool:
        return bool(self.sources) or (self.parent is not None and self.parent.has_sources)

    def source(self, name: str) -> Source | None:
        found = next((source for source in self.sources if source.name == name), None)
        return found or (self.parent.source(name) if self.parent else None)

    def having(self, column: str) -> list[Source]:
        return [source for source in self.sources if source.columns is not None and column in source.columns]


@dataclass(frozen=True, slots=True)
class Found:
    """value: of the column. path: the names after it. is_given: it is a name of the SELECT list. is_assumed: it was
    taken for one although columns are not known."""

    value: Value
    path: Sequence[str] = ()
    is_given: bool = False
    is_assumed: bool = False


def resolved(scope: Scope, parts: Sequence[str], *, is_outer: bool = False) -> Found:
    """What the parts of a name mean, all in lower case: of a column, of one with its table or schema, or of a field.

    is_outer: the name is in a query inside of this scope's; it does not see the names of the SELECT list.
    """
    for at in range(min(2, len(parts) - 1)):  # schema.table.column, table.column
        source = scope.source(parts[at])
        if source:
            return _of_source(source, parts[at + 1], parts[at + 2 :])
    name, path = parts[0], parts[1:]
    found = scope.having(name)
    if len(found) > 1:
        raise NeedsPerson(f"{name} is a column of {found[0].name} and of {found[1].name}; write which")
    if found:
        return _of_source(found[0], name, path, qualified=False)
    given = scope.given.get(name) if scope.lets_names and not path and not is_outer else None
    if given:
        return Found(given, is_given=True, is_assumed=not scope.is_known)
    if not scope.is_known:
        return Found(Value(quoted(name), None), path)
    if scope.parent and scope.parent.has_sources:
        return resolved(scope.parent, parts, is_outer=True)
    raise NeedsPerson(f"there is no column {name}{_there_are(scope)}")


def _of_source(source: Source, column: str, path: Sequence[str], *, qualified: bool = True) -> Found:
    if source.columns is not None and column not in source.columns:
        listed = ", ".join(source.columns)
        raise NeedsPerson(f"{source.name} has no column {column}; it has {listed}")
    text = f"{quoted(source.name)}.{quoted(column)}" if qualified else quoted(column)
    return Found(Value(text, source.columns[column] if source.columns is not None else None), path)


def _there_are(scope: Scope) -> str:
    listed = [column for source in scope.sources for column in source.columns or ()]
    return f"; there are {', '.join(listed)}" if listed else ""


def quoted(name: str) -> str:
    """A name in Athena SQL, in quotes if it needs them."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'
