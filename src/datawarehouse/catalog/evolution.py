"""Whether a changed declaration fits the existing files. Pure.

Added columns read NULL from old files; widened types are cast. A column that was removed, is narrower or is of another
kind would change or hide stored values, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import Array, ColumnType, Decimal, Map, Primitive, Struct, Text

_WIDER = {
    "tinyint": ("smallint", "int", "bigint"),
    "smallint": ("int", "bigint"),
    "int": ("bigint",),
    "float": ("double",),
}


def problems(old: Sequence[Column], new: Iterable[Column]) -> list[str]:
    """Why files with the old columns cannot be read with the new ones: each problem, with what would be needed."""
    declared = {column.name: column.type for column in new}
    found = []
    for column in old:
        if column.name not in declared:
            found.append(
                f"column {column.name!r} ({column.type}) is no longer declared, which would hide its stored values: "
                "declare it again"
            )
        elif not is_wider(column.type, declared[column.name]):
            found.append(
                f"column {column.name!r} was {column.type} and is now {declared[column.name]}, which cannot hold every "
                f"stored value: keep {column.type} and add a column of another name for the new type"
            )
    return found


def is_wider(old: ColumnType, new: ColumnType) -> bool:
    """Whether `new` holds every value of `old`, unchanged."""
    match old, new:
        case Primitive(a), Primitive(b):
            return a == b or b in _WIDER.get(a, ())
        case Decimal(p, s), Decimal(q, t):
            return q - t >= p - s and t >= s
        case Text(), Primitive("string"):
            return True
        case Text("varchar", m), Text("varchar", n):
            return n >= m
        case Array(a), Array(b):
            return is_wider(a, b)
        case Map(ka, va), Map(kb, vb):
            return ka == kb and is_wider(va, vb)
        case Struct(old_fields), Struct(new_fields):
            declared = dict(new_fields)
            return all(name in declared and is_wider(kind, declared[name]) for name, kind in old_fields)
        case _:
            return old == new
