"""The data files of a warehouse as the objects of a bucket, read only.

1. The key of an object is `<table>/YYYY/MM/DD/HH/<file>.parquet`; the rejects of a table are below
   `<table>_quarantine/`. A key is looked up in the catalog, and never made into a path of its own.
2. The objects are exactly the files that the catalog calls live. Events that are not converted yet are in none of them.
3. A page of a list ends with an hour where it can, so that a merge between two pages does not show an hour twice.
4. A file never changes. When a merge has replaced it, it is in no list any more, but is given to whoever knows its key
   for as long as retired files are kept, which is longer than the longest query; what has begun to read it goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from datawarehouse.access.identity import Identity
from datawarehouse.catalog.by_path import FileByPath, file_at, live_after
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import StoredTable
from datawarehouse.definition.tables import (
    QUARANTINE_COLUMNS,
    QUARANTINE_SUFFIX,
    Column,
    StreamingInputTable,
    Table,
)
from datawarehouse.parquet.digest import damaged
from datawarehouse.parquet.footer import REJECTS, ROWS, folder_for
from datawarehouse.server.objects import Listed, Lister, Object

BUCKET = "dw-tables"
_PIECE_BYTES = 512 * 1024
_CONTENT_TYPE = "application/vnd.apache.parquet"


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A table, or the quarantine of one. kind: of its files."""

    name: str
    stored: StoredTable
    kind: str

    @property
    def columns(self) -> tuple[Column, ...]:
        return QUARANTINE_COLUMNS if self.kind == REJECTS else self.stored.columns[self.stored.schema_version]

    @property
    def has_files(self) -> bool:
        """Whether the warehouse writes its files."""
        return self.stored.kind != Table.kind

    @property
    def home(self) -> str:
        """The folder of its files, relative to the root of the lake, with a slash at the end."""
        return folder_for(self.stored.name, self.kind, "")


def lake_tables(catalog: Catalog) -> dict[str, LakeTable]:
    """The declared tables and their quarantines, by name."""
    found = {}
    for stored in catalog.tables():
        found[stored.name] = LakeTable(stored.name, stored, ROWS)
        if stored.kind == StreamingInputTable.kind:
            quarantine = stored.name + QUARANTINE_SUFFIX
            found[quarantine] = LakeTable(quarantine, stored, REJECTS)
    return dict(sorted(found.items()))


@dataclass(slots=True)
class LiveFiles:
    """catalog: one that nobody writes through. executor: where it and the files are read."""

    catalog: Catalog
    lake: Path
    executor: Executor
    name: str = BUCKET

    def refusal(self, identity: Identity, key: str) -> str:
        """Why an identity may not have an object; "" if it may. It says nothing of whether there is one."""
        names, (table, slash, _) = identity.rights.readable_files, key.partition("/")
        if names is None or table in names or (names and not slash):
            return ""
        right = f"read-files:{table}" if slash else "read-files"
        return (
            f"The key {identity.name!r} does not have the right {right!r}, which this needs. A right to query is not "
            f"enough, since no workgroup limits what is read of files: `dw keys create NAME --may {right}` makes a key "
            "that has it."
        )

    async def lister(self, identity: Identity, prefix: str) -> Lister:
        names = identity.rights.readable_files

        def listed(prefix: str, after: str, limit: int) -> list[Listed]:
            found: list[Listed] = []
            for table in self._with_files(names).values():
                if len(found) < limit:
                    found += self._of_table(table, prefix, after, limit - len(found))
            return found

        return listed

    def ends_whole(self, last: Listed, following: Listed) -> bool:
        """Whether a page may end between these two."""
        return last.key.rpartition("/")[0] != following.key.rpartition("/")[0]

    async def find(self, identity: Identity, key: str) -> Object | None:
        """Raises FileDamaged."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, self._find, identity, key)

    def _with_files(self, names: frozenset[str] | None) -> Mapping[str, LakeTable]:
        return {
            name: table
            for name, table in lake_tables(self.catalog).items()
            if table.has_files and (names is None or name in names)
        }

    def _of_table(self, table: LakeTable, prefix: str, after: str, limit: int) -> list[Listed]:
        top = f"{table.name}/"
        if not (top.startswith(prefix) or prefix.startswith(top)) or after >= f"{top}\U0010ffff":
            return []
        below = table.home + prefix[len(top) :]
        last = table.home + after[len(top) :] if after.startswith(top) else ""
        files = live_after(self.catalog.store, table.stored.name, table.kind, below, last, limit)
        return [Listed(top + file.path[len(table.home) :], file.bytes, _etag(file), file.created_ms) for file in files]

    def _find(self, identity: Identity, key: str) -> Object | None:
        name, _, below = key.partition("/")
        table = self._with_files(identity.rights.readable_files).get(name)
        if table is None or not below:
            return None
        file = file_at(self.catalog.store, table.stored.name, table.kind, table.home + below)
        if file is None:
            return None
        if file.damage:
            raise damaged(table.stored.name, file.path, file.damage)

        async def read(begin: int, end: int) -> AsyncGenerator[bytes]:
            return await asyncio.get_running_loop().run_in_executor(self.executor, self._open, table, file, begin, end)

        return Object(file.bytes, _etag(file), file.created_ms, _CONTENT_TYPE, read)

    def _open(self, table: LakeTable, file: FileByPath, begin: int, end: int) -> AsyncGenerator[bytes]:
        try:
            opened = (self.lake / file.path).open("rb", buffering=0)
        except OSError as error:
            if file_at(self.catalog.store, table.stored.name, table.kind, file.path) is None:
                raise FileNotFoundError from None  # it was replaced long ago, and is deleted now
            raise damaged(table.stored.name, file.path, f"it cannot be read ({error.strerror})") from None
        size = os.fstat(opened.fileno()).st_size
        if size != file.bytes:
            opened.close()
            raise damaged(table.stored.name, file.path, f"it has {size} bytes, and {file.bytes} were written")
        return self._pieces(opened, begin, end)

    async def _pieces(self, opened: FileIO, begin: int, end: int) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        with opened:
            while begin < end:
                size = min(_PIECE_BYTES, end - begin)
                piece = await loop.run_in_executor(self.executor, os.pread, opened.fileno(), size, begin)
                if not piece:
                    raise OSError("a data file became shorter while it was read")
                begin += len(piece)
                yield piece


def _etag(file: FileByPath) -> str:
    """The end tells clients that it is no MD5 of the bytes, as of an object that was uploaded in parts."""
    digest = file.digest or hashlib.sha256(f"{file.path} {file.bytes}".encode()).hexdigest()[:32]
    return f'"{digest}-1"'
