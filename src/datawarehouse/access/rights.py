"""What a key may do. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from datawarehouse.definition.tables import (
    HISTORY_TABLE,
    QUARANTINE_SUFFIX,
    RUNS_TABLE,
    BatchInputTable,
    StreamingInputTable,
)
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest

READ_FILES = "read-files"
WORDS = ("put", "query", READ_FILES, "monitor", "administer")
_OF_TABLES = ("put", "query", READ_FILES)
FORM = (
    "put, put:TABLE, query, query:TABLE, read-files, read-files:TABLE, monitor and administer, with commas between them"
)


@dataclass(frozen=True, slots=True)
class Rights:
    """`words`: `put` (events into every table), `put:clicks` (into that one), `query` and `query:clicks` likewise,
    `read-files` and `read-files:clicks` (data files as they are, which no workgroup limits), `monitor` (/metrics) and
    `administer` (what is below /v1/admin, and /metrics)."""

    words: frozenset[str]

    def may_put(self, table: str) -> bool:
        return "put" in self.words or f"put:{table}" in self.words

    @property
    def may_query(self) -> bool:
        """Whether there is something that may be queried."""
        return any(word == "query" or word.startswith("query:") for word in self.words)

    @property
    def queryable(self) -> frozenset[str] | None:
        """The names that a statement may read; None: all."""
        return None if "query" in self.words else self._tables("query")

    @property
    def readable_files(self) -> frozenset[str] | None:
        """The names of those whose data files may be read; None: all."""
        return None if READ_FILES in self.words else self._tables(READ_FILES)

    def may_know(self, table: str) -> bool:
        """Whether it may know what columns and partitions something has."""
        names = self.queryable, self.readable_files
        return None in names or any(table in (each or ()) for each in names)

    @property
    def may_administer(self) -> bool:
        return "administer" in self.words

    @property
    def may_monitor(self) -> bool:
        return "monitor" in self.words or self.may_administer

    @property
    def put_only(self) -> frozenset[str]:
        """The tables, if the rights are to put into some tables and nothing else; else none."""
        tables = self._tables("put")
        return tables if len(tables) == len(self.words) else frozenset()

    def _tables(self, verb: str) -> frozenset[str]:
        return frozenset(word.partition(":")[2] for word in self.words if word.startswith(f"{verb}:"))


EVERYTHING = Rights(frozenset(WORDS))
NOTHING = Rights(frozenset())
WITHOUT_KEYS = Rights(frozenset({"put", "query", READ_FILES, "monitor"}))
"""What everybody on this machine may do where there are no keys."""


def rights_of(
    words: Iterable[str], streams: Collection[str], readable: Collection[str], with_files: Collection[str]
) -> Rights:
    """Rights, checked against what `names_of` gives. Raises BadRequest."""
    given = frozenset(word.strip() for word in words if word.strip())
    if not given:
        raise BadRequest(f"A key needs a right; valid are {FORM}.")
    for word in sorted(given):
        verb, colon, table = word.partition(":")
        if verb not in WORDS or (colon and verb not in _OF_TABLES) or (colon and not re.fullmatch(r"\w+", table)):
            raise BadRequest(f"There is no right {word!r}; valid are {FORM}.")
        known = {"put": streams, READ_FILES: with_files}.get(verb, readable)
        if colon and table not in known:
            what = {"put": "input stream", READ_FILES: "table with files of the warehouse"}.get(verb, "table to query")
            raise BadRequest(f"There is no {what} {table!r}, which {word!r} names; there are {_listed(known)}.")
    return Rights(given)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def names_of(warehouse: Warehouse) -> tuple[set[str], set[str], set[str]]:
    """The input streams of a warehouse, the names that a statement can read there, and those of them whose files the
    warehouse writes."""
    tables = warehouse.tables()
    streams = {table.name for table in tables if isinstance(table, StreamingInputTable)}
    batches = {table.name for table in tables if isinstance(table, BatchInputTable)}
    with_files = streams | batches | {name + QUARANTINE_SUFFIX for name in streams}
    readable = {HISTORY_TABLE, *(table.name for table in tables), *with_files}
    if batches:
        readable.add(RUNS_TABLE)
    return streams, readable, with_files
