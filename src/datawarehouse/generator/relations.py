"""Which tables' events follow events of another table, as clicks follow impressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datawarehouse.definition.tables import Column, StreamingInputTable
from datawarehouse.definition.types import Array, Map, Struct
from datawarehouse.generator.words import singulars

_SESSION = "session_id"


@dataclass(frozen=True, slots=True)
class Follows:
    """Events of a table follow those of `parent`.

    reference: the column of the table that holds the parent's column `referred`; both are empty if only the session
    tells which event is followed.
    """

    parent: str
    reference: str = ""
    referred: str = ""


def relations(tables: Sequence[StreamingInputTable]) -> dict[str, Follows]:
    """For each table whose events follow others: which ones. A table never follows itself, directly or in a circle.

    A table follows another one if it has a column `<singular of the other>_id`, and the other one has that column or
    `id`, with the same type. `clicks` without such a column follow `impressions` if both have `session_id`.
    """
    found: dict[str, Follows] = {}
    for table in tables:
        for other in tables:
            follows = _follows(table, other)
            if follows and table.name not in _ancestors(other.name, found):
                found[table.name] = follows
                break
    return found


def id_columns(table: str) -> list[str]:
    """The names that the id column of a table can have."""
    return ["id", *(f"{name}_id" for name in singulars(table)), "event_id", "uuid"]


def _follows(table: StreamingInputTable, other: StreamingInputTable) -> Follows | None:
    own, others = _by_name(table), _by_name(other)
    if table.name == other.name:
        return None
    for reference in (f"{name}_id" for name in singulars(other.name)):
        for referred in ("id", reference):
            if reference in own and referred in others and own[reference].type == others[referred].type:
                return Follows(other.name, reference, referred)
    if (table.name, other.name) == ("clicks", "impressions") and _SESSION in own and _SESSION in others:
        return Follows(other.name)
    return None


def _by_name(table: StreamingInputTable) -> dict[str, Column]:
    return {column.name: column for column in table.columns if not isinstance(column.type, Array | Map | Struct)}


def _ancestors(name: str, found: dict[str, Follows]) -> list[str]:
    names = [name]
    while names[-1] in found:
        names.append(found[names[-1]].parent)
    return names
