"""Whose statement it is, and what the names of scratch schemas mean to whoever asks.

Each key has a schema of its own. Whoever asks calls it `scratch`; its name for others in the same workgroup is
`scratch_` and the name of the key, in which a capital letter is `%` and its code, because SQL does not tell capital
letters from small ones. Clients of Trino also know one's own as the schema `default` of the catalog `memory`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

SCRATCH = "scratch"
MEMORY = "memory"
MEMORY_SCHEMA = "default"
_OF_MEMORY = (MEMORY_SCHEMA, "information_schema")
_BETWEEN = "__"


class Asker(NamedTuple):
    """user: what `current_user` is. group, key: where the scratch of whoever asks is; "" for none."""

    user: str = ""
    group: str = ""
    key: str = ""

    @property
    def own(self) -> str:
        """The schema of whoever asks, as others call it; "" if there is none."""
        return schema_of(self.key) if self.key else ""


NOBODY = Asker()
LOCAL = Asker("owner", "_local", "owner")
"""Whoever can read the data folder, or asks where there are no keys."""


def encoded(name: str) -> str:
    """A name of a key in small letters, as it is in the name of its schema and of its folder."""
    return re.sub(r"[^a-z0-9._-]", lambda found: f"%{ord(found[0]):02x}", name)


def schema_of(key: str) -> str:
    """The schema of a key, as others call it."""
    return f"{SCRATCH}_{encoded(key)}"


def shown(table: str, own: str) -> str:
    """A table as whoever asks calls it. own: the schema of its scratch, as others call it."""
    schema, _, name = table.rpartition(".")
    return f"{SCRATCH}.{name}" if own and schema == own else table


def of_memory(owners: Sequence[str], name: str) -> tuple[list[str], str]:
    """A name in the catalog `memory`, which has any schema: each but `default` is the beginning of names of scratch, so
    that `memory.marts.orders` is `scratch.marts__orders`."""
    found = list(owners)
    if len(found) == 2 and found[0] == MEMORY and found[1] not in _OF_MEMORY:
        return [MEMORY, MEMORY_SCHEMA], f"{found[1]}{_BETWEEN}{name}"
    return found, name


def in_memory(name: str) -> tuple[str, str]:
    """The schema of `memory` and the name there of a table of scratch."""
    schema, is_named, short = name.partition(_BETWEEN)
    return (schema, short) if is_named and schema and short else (MEMORY_SCHEMA, name)


def at_home(home: str, name: str) -> str:
    """A name without a schema, at a home of `metadata.home_of`."""
    schema, _, beginning = home.partition("/")
    return f"{schema}.{beginning}{_BETWEEN}{name}" if beginning else f"{schema}.{name}"


def scratch_schema(owners: Sequence[str], own: str) -> str | None:
    """The schema of scratch that a catalog and a schema (in small letters) name, as others call it; None if they name
    none. own: what `scratch` means, "" if nothing."""
    if list(owners) == [MEMORY, MEMORY_SCHEMA]:
        return own or None
    if len(owners) != 1:
        return None
    if owners[0] == SCRATCH:
        return own or None
    return owners[0] if own and owners[0].startswith(f"{SCRATCH}_") else None
