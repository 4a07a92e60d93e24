"""Keys of events that no column has, nor any field of a struct: they are left out of the rows, and counted by name.

A name is the path of the key: the columns in lower case, the key as it was sent, `[]` for the elements of arrays and
the values of maps, as in `items[].Color`. A table has KEYS_MAX names at most, each of CHARACTERS_MAX characters at
most; the keys of further names are counted together, as OTHER.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from datawarehouse.definition.documents import Object
from datawarehouse.definition.types import Array, ColumnType, Map, Struct

KEYS_MAX = 100
CHARACTERS_MAX = 100
OTHER = ""

Fields = Sequence[tuple[str, ColumnType]]
Find = Callable[[Any, str, list[str]], None]
"""Adds the names in a value, whose path is given, to a list."""


def add_keys(counts: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts to counts, of which there are then at most KEYS_MAX and OTHER."""
    for key, count in more.items():
        if not count:
            continue
        name = key[:CHARACTERS_MAX]
        if name not in counts and len(counts) >= KEYS_MAX:
            name = OTHER
        counts[name] = counts.get(name, 0) + count


def unknown_keys(fields: Fields) -> Find:
    """What finds the members of an object that are none of these fields, at any depth."""
    names = frozenset(name for name, _ in fields)
    inner = {name: find for name, kind in fields if (find := unknown_inside(kind))}

    def in_object(document: Any, path: str, found: list[str]) -> None:
        for name, value in document:
            field = name.lower()
            if field not in names:
                found.append(path + name)
            elif field in inner:
                inner[field](value, path + field, found)

    return in_object


def unknown_inside(kind: ColumnType) -> Find | None:
    """The same for a value of a type; None if there is no struct in it."""
    match kind:
        case Struct(fields):
            return _in_struct(fields)
        case Array(element) if find := unknown_inside(element):
            return _in_array(find)
        case Map(_, value) if find := unknown_inside(value):
            return _in_map(find)
        case _:
            return None


def _in_struct(fields: Fields) -> Find:
    in_object = unknown_keys(fields)
    in_fields = [(name, unknown_inside(kind)) for name, kind in fields]

    def in_struct(value: Any, path: str, found: list[str]) -> None:
        if isinstance(value, Object):
            in_object(value, path + ".", found)
        elif isinstance(value, list):  # the fields without their names
            for (name, find), item in zip(in_fields, value, strict=False):
                if find:
                    find(item, f"{path}.{name}", found)

    return in_struct


def _in_array(find: Find) -> Find:
    def in_array(value: Any, path: str, found: list[str]) -> None:
        if isinstance(value, Object):  # it stands for an array of one
            find(value, path + "[]", found)
        elif isinstance(value, list):
            for item in value:
                find(item, path + "[]", found)

    return in_array


def _in_map(find: Find) -> Find:
    def in_map(value: Any, path: str, found: list[str]) -> None:
        if isinstance(value, Object):
            for _, item in value:
                find(item, path + "[]", found)

    return in_map


def brackets(kind: ColumnType) -> str:
    """What the path of a struct inside a type has after the path of the type."""
    match kind:
        case Array(inner) | Map(_, inner):
            return "[]" + brackets(inner)
        case _:
            return ""


def still_unknown(fields: Fields, counts: Mapping[str, int]) -> dict[str, int]:
    """The counts without the keys that have become columns or fields since they were counted."""
    known = set(_paths(fields, ""))
    return {key: count for key, count in counts.items() if key.lower() not in known}


def _paths(fields: Iterable[tuple[str, ColumnType]], path: str) -> Iterator[str]:
    for name, kind in fields:
        yield path + name
        inner, at = kind, path + name
        while isinstance(inner, Array | Map):
            inner, at = inner.element if isinstance(inner, Array) else inner.value, at + "[]"
        if isinstance(inner, Struct):
            yield from _paths(inner.fields, at + ".")
