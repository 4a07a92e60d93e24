"""The scratch of each key: a list of its tables and views, and the files of their rows.

    _scratch/<workgroup>/<key>/_tables.json         what there is; replaced in one step
    _scratch/<workgroup>/<key>/<id>.parquet         rows of a table
    _scratch/<workgroup>/<key>/<id>.parquet.aside   rows that are being written; its writer has it locked

1. A statement writes its rows into a file of its own, which no table has.
2. With the folder locked, the list is replaced by one that has the file: only now there are such rows. A process that
   is killed before has changed nothing, and its file is removed by whoever locks the folder next.
3. A file that no table has any more stays for as long as a query can be reading it, unless its room is needed.

Any process may read the list, and change it with the folder locked. No name of a table is part of a path.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from datawarehouse.clock import Clock
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, publish, remove, replace
from datawarehouse.errors import FolderError, QueryLimitExceeded
from datawarehouse.folder import scratch_root
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.sql.names import Asker, encoded

TABLES_MAX = 1000
_LIST = "_tables.json"
_FILE_SUFFIX = ".parquet"
_DAY_MS = 86_400_000


class ScratchFile(msgspec.Struct, frozen=True):
    name: str
    rows: int
    bytes: int


class ScratchTable(msgspec.Struct, frozen=True):
    """A table, or a view, which has a statement. columns: names and types as Glue writes them. reads: the tables of the
    warehouse that its rows, or those of its statement, are made of. home: the schema of names without one in the
    statement, "" for the warehouse's. written_ms: when it, or its last rows, were made."""

    name: str
    columns: list[tuple[str, str]]
    reads: list[str]
    written_ms: int
    files: list[ScratchFile] = []
    statement: str | None = None
    home: str = ""

    @property
    def kind(self) -> str:
        return "TABLE" if self.statement is None else "VIEW"


class _Dropped(msgspec.Struct, frozen=True):
    """A file that no table has any more."""

    file: ScratchFile
    at_ms: int


class _List(msgspec.Struct):
    key: str
    tables: list[ScratchTable] = []
    dropped: list[_Dropped] = []
    version: int = 1


class Place(NamedTuple):
    """Whose scratch it is."""

    group: str
    key: str


def place_of(asker: Asker) -> Place:
    return Place(asker.group, asker.key)


@dataclass(slots=True)
class Draft:
    """The scratch of a key while it is changed. dropped: files that no table has any more."""

    tables: dict[str, ScratchTable]
    dropped: list[_Dropped]
    now_ms: int

    def drop(self, name: str) -> None:
        self.dropped += [_Dropped(file, self.now_ms) for file in self.tables.pop(name).files]

    def bytes(self) -> int:
        return sum(file.bytes for table in self.tables.values() for file in table.files)


class Scratch:
    """The scratch of all keys."""

    def __init__(self, root: Path, clock: Clock, limits: ScratchLimits) -> None:
        self._root = root
        self._clock = clock
        self._keep_ms = limits.keep_ms
        self._grace_ms = limits.grace_ms
        self._known: dict[Place, tuple[tuple[int, int, int], _List]] = {}

    @classmethod
    def of(cls, limits: ScratchLimits, folder: Path, clock: Clock) -> Scratch:
        """The one of a data folder."""
        return cls(scratch_root(folder), clock, limits)

    # -- reading

    def tables(self, place: Place) -> dict[str, ScratchTable]:
        """The tables and views of a key, by name, without those whose time is over."""
        return self._living(self._read(place), self._clock.now_ms())

    def keys(self, group: str) -> list[str]:
        """The keys of a workgroup that have made something."""
        folder = self._root / encoded(group)
        with suppress(FileNotFoundError, NotADirectoryError):
            return [found for path in sorted(folder.iterdir()) if (found := self._key_of(path))]
        return []

    def _key_of(self, folder: Path) -> str:
        """The key of a folder; "" if there is no list in it."""
        with suppress(FolderError):
            return self._read_list(folder / _LIST).key
        return ""

    def path(self, place: Place, file: ScratchFile) -> Path:
        return self._folder(place) / file.name

    def _folder(self, place: Place) -> Path:
        return self._root / encoded(place.group) / encoded(place.key)

    def _living(self, found: _List, now_ms: int) -> dict[str, ScratchTable]:
        return {table.name: table for table in found.tables if table.written_ms + self._keep_ms > now_ms}

    def _read(self, place: Place) -> _List:
        path = self._folder(place) / _LIST
        try:
            stat = path.stat()
        except FileNotFoundError:
            return _List(place.key)
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        known = self._known.get(place)
        if known is None or known[0] != seen:
            known = self._known[place] = (seen, self._read_list(path))
        return known[1]

    def _read_list(self, path: Path) -> _List:
        """The list of a folder; an empty one if it has none. Raises FolderError."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=_List)
        except (FileNotFoundError, NotADirectoryError):
            return _List("")
        except msgspec.DecodeError as error:
            raise FolderError(
                f"The list of scratch tables {path} cannot be read: {error}. Nothing was changed; remove its folder to "
                "begin with an empty scratch."
            ) from None

    # -- changing

    @contextmanager
    def changing(self, place: Place, bytes_max: int | None = None) -> Iterator[Draft]:
        """The tables of a key, to be changed while nobody else changes them. What the context leaves there is there at
        once, durably; nothing, if an exception leaves it. bytes_max: beyond that, files of no table go at once. Raises
        QueryLimitExceeded for too many tables."""
        with self._locked(place):
            found, now_ms = self._read(place), self._clock.now_ms()
            draft = Draft(dict(self._living(found, now_ms)), list(found.dropped), now_ms)
            for table in found.tables:
                if table.name not in draft.tables:
                    draft.dropped += [_Dropped(file, now_ms) for file in table.files]
            yield draft
            if len(draft.tables) > TABLES_MAX:
                raise QueryLimitExceeded(
                    f"A scratch has at most {TABLES_MAX} tables and views. Drop some of them.", "scratch_tables_max"
                )
            over = [each for each in draft.dropped if each.at_ms + self._grace_ms <= now_ms]
            if bytes_max is not None:
                room = bytes_max - draft.bytes()
                while sum(each.file.bytes for each in draft.dropped if each not in over) > room:
                    over.append(next(each for each in draft.dropped if each not in over))
            kept = [each for each in draft.dropped if each not in over]
            after = _List(place.key, list(draft.tables.values()), kept)
            if after != found:
                replace(LOCAL_DISK, self._folder(place) / _LIST, msgspec.json.encode(after))
            remove(LOCAL_DISK, (self.path(place, each.file) for each in over))

    @contextmanager
    def new_file(self, place: Place) -> Iterator[NewFile]:
        """A file for rows, which is removed unless it is kept."""
        with self._locked(place):
            name = f"{secrets.token_hex(12)}{_FILE_SUFFIX}"
            path = self._folder(place) / (name + ASIDE_SUFFIX)
            file = path.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield NewFile(name, path, file)
        finally:
            file.close()
            path.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what is over in the scratch of all keys, and what writers that were killed have left."""
        if not self._root.is_dir():
            return
        for group in sorted(self._root.iterdir()):
            for folder in sorted(group.iterdir()) if group.is_dir() else ():
                if found := self._key_of(folder):
                    with self.changing(Place(group.name, found)):
                        pass

    @contextmanager
    def _locked(self, place: Place) -> Iterator[None]:
        """Lock the folder of a key, and remove what nobody knows there."""
        folder = self._folder(place)
        make_folder(LOCAL_DISK, self._root.parent, folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._remove_unknown(place, folder)
            yield
        finally:
            os.close(descriptor)

    def _remove_unknown(self, place: Place, folder: Path) -> None:
        """Remove the files of writers that were killed: nobody has locked them, and no table has them."""
        found = self._read(place)
        known = {file.name for table in found.tables for file in table.files} | {
            each.file.name for each in found.dropped
        }
        for path in folder.iterdir():
            if path.name.endswith(_FILE_SUFFIX + ASIDE_SUFFIX):
                with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            elif path.name.endswith(_FILE_SUFFIX) and path.name not in known:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class NewFile:
    """Where the rows of a statement go."""

    name: str
    path: Path
    file: IO[bytes]

    def bytes(self) -> int:
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size

    def kept(self, rows: int) -> ScratchFile:
        """The file under its final name, to be called with the folder locked."""
        size = self.bytes()
        publish(LOCAL_DISK, self.path, self.path.with_name(self.name))
        return ScratchFile(self.name, rows, size)


def too_large(bytes_max: int) -> QueryLimitExceeded:
    """What is said of a scratch that would have more than its bytes."""
    return QueryLimitExceeded(
        f"The tables of a scratch have at most {bytes_max:,} bytes (scratch_bytes_max), and this statement would make "
        "them larger. Drop tables that are no longer needed, or write fewer rows.",
        "scratch_bytes_max",
    )
