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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from datawarehouse.clock import Clock
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, publish, remove, replace
from datawarehouse.errors import FolderError, QueryLimitExceeded
from datawarehouse.folder import scratch_root
from datawarehouse.parquet.digest import digest_of
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.sql.names import Asker, encoded

TABLES_MAX = 1000
LIST = "_tables.json"
_FILE_SUFFIX = ".parquet"
_DAY_MS = 86_400_000


class ScratchFile(msgspec.Struct, frozen=True):
    """digest: of its bytes, "" from a release that kept none. inode, modified_ns: what the file system said of it when
    it was written."""

    name: str
    rows: int
    bytes: int
    digest: str = ""
    inode: int = 0
    modified_ns: int = 0


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
    """The scratch of a key while it is changed. dropped: files that no table has any more. over: tables whose time is
    over, which nobody sees."""

    tables: dict[str, ScratchTable]
    dropped: list[_Dropped]
    over: list[ScratchTable]
    now_ms: int

    def drop(self, name: str) -> None:
        self._drop(self.tables.pop(name))

    def drop_over(self, name: str | None = None) -> None:
        """Drop the tables whose time is over, or the one of a name."""
        for table in [each for each in self.over if name in (None, each.name)]:
            self.over.remove(table)
            self._drop(table)

    def _drop(self, table: ScratchTable) -> None:
        self.dropped += [_Dropped(file, self.now_ms) for file in table.files]

    def bytes(self) -> int:
        return _bytes(self.tables.values())

    def bytes_over(self) -> int:
        return _bytes(self.over)


def _bytes(tables: Iterable[ScratchTable]) -> int:
    return sum(file.bytes for table in tables for file in table.files)


class Scratch:
    """The scratch of all keys."""

    def __init__(self, root: Path, clock: Clock, limits: ScratchLimits) -> None:
        self._root = root
        self._clock = clock
        self._keep_ms = limits.keep_ms
        self._grace_ms = limits.grace_ms
        self._known: dict[Place, tuple[bytes, _List]] = {}

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
        """The key of a folder; "" if there is no list in it, or none that can be read."""
        with suppress(FolderError):
            return read_list(folder).key
        return ""

    def path(self, place: Place, file: ScratchFile) -> Path:
        return self._folder(place) / file.name

    def _folder(self, place: Place) -> Path:
        return self._root / encoded(place.group) / encoded(place.key)

    def _living(self, found: _List, now_ms: int) -> dict[str, ScratchTable]:
        return {table.name: table for table in found.tables if table.written_ms + self._keep_ms > now_ms}

    def _read(self, place: Place) -> _List:
        folder = self._folder(place)
        known, content = self._known.get(place), _content(folder)
        if known and known[0] == content:
            return known[1]
        found = read_list(folder)
        if content is None:
            return _List(place.key)
        self._known[place] = (content, found)
        return found

    # -- changing

    @contextmanager
    def changing(self, place: Place, bytes_max: int | None = None) -> Iterator[Draft]:
        """The tables of a key, to be changed while nobody else changes them. What the context leaves there is there at
        once, durably; nothing, if an exception leaves it. bytes_max: beyond that, files of no table go at once, and
        then tables whose time is over. Raises QueryLimitExceeded for too many tables, or OSError."""
        with self._locked(self._folder(place)):
            found, now_ms = self._read(place), self._clock.now_ms()
            living = self._living(found, now_ms)
            over = [table for table in found.tables if table.name not in living]
            draft = Draft(dict(living), list(found.dropped), over, now_ms)
            yield draft
            for name in draft.tables:
                draft.drop_over(name)
            if len(draft.tables) > TABLES_MAX:
                raise QueryLimitExceeded(
                    f"A scratch has at most {TABLES_MAX} tables and views. Drop some of them.", "scratch_tables_max"
                )
            self._put(place, found, draft, bytes_max)

    def _put(self, place: Place, found: _List, draft: Draft, bytes_max: int | None) -> None:
        """Make a draft what there is, and remove files that nobody needs any more."""
        if bytes_max is not None and draft.bytes() + draft.bytes_over() > bytes_max:
            draft.drop_over()
        with self._removing() as may_remove:
            gone = [each for each in draft.dropped if each.at_ms + self._grace_ms <= draft.now_ms]
            kept = [each for each in draft.dropped if each not in gone]
            if bytes_max is not None:
                room = bytes_max - draft.bytes() - draft.bytes_over()
                while kept and sum(each.file.bytes for each in kept) > room:
                    gone.append(kept.pop(0))
            if not may_remove:
                gone, kept = [], draft.dropped
            after = _List(place.key, [*draft.tables.values(), *draft.over], kept)
            if after != found:
                replace(LOCAL_DISK, self._folder(place) / LIST, msgspec.json.encode(after))
            remove(LOCAL_DISK, (self.path(place, each.file) for each in gone))

    @contextmanager
    def _removing(self) -> Iterator[bool]:
        """Whether files may be removed: not while somebody holds them."""
        with self._root_opened() as root:
            try:
                fcntl.flock(root, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Inside this context no file is removed that a list has, whatever is dropped."""
        make_folder(LOCAL_DISK, self._root.parent, self._root)
        with self._root_opened() as root:
            fcntl.flock(root, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _root_opened(self) -> Iterator[int]:
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def new_file(self, place: Place) -> Iterator[NewFile]:
        """A file for rows, which is removed unless it is kept. Raises OSError."""
        with self._locked(self._folder(place)):
            if _content(self._folder(place)) is None:  # so that rows without a list are rows whose list was lost
                replace(LOCAL_DISK, self._folder(place) / LIST, msgspec.json.encode(_List(place.key)))
            name = f"{secrets.token_hex(12)}{_FILE_SUFFIX}"
            path = self._folder(place) / (name + ASIDE_SUFFIX)
            file = path.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield NewFile(name, path, file)
        finally:
            try:
                file.close()  # writes what is left, for which there may be no room
            finally:
                path.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what is over in the scratch of all keys, and what writers that were killed have left. To be called by
        the owner alone, whose clock does not jump. Raises the OSError of a scratch after all others were cleaned."""
        failure = None
        for folder in folders(self._root):
            place = Place(folder.parent.name, self._key_of(folder))
            if self._folder(place) == folder:  # its list can be read
                try:
                    self._clean(place)
                except OSError as error:
                    failure = failure or error
        if failure:
            raise failure

    def _clean(self, place: Place) -> None:
        with self.changing(place) as draft:
            draft.drop_over()
            now_ms = draft.now_ms  # what a process with a clock ahead has written counts from now on
            draft.dropped = [_Dropped(each.file, min(each.at_ms, now_ms)) for each in draft.dropped]
            draft.tables = {
                name: msgspec.structs.replace(table, written_ms=min(table.written_ms, now_ms))
                for name, table in draft.tables.items()
            }

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Lock the folder of a key, and remove what nobody knows there."""
        make_folder(LOCAL_DISK, self._root.parent, folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _remove_unknown(folder)
            yield
        finally:
            os.close(descriptor)


def folders(root: Path) -> list[Path]:
    """The folders of keys below the root of all scratch."""
    groups = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return sorted(path for group in groups for path in group.iterdir() if path.is_dir())


def _content(folder: Path) -> bytes | None:
    """The bytes of a folder's list; None if it has none."""
    try:
        return (folder / LIST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_list(folder: Path) -> _List:
    """The list of a folder; one of no key if nothing was ever kept there. Raises FolderError for one that is lost or
    cannot be read."""
    try:
        content = _content(folder)
        if content is not None:
            return msgspec.json.decode(content, type=_List)
        problem = "is missing, and there are rows" if any(folder.glob(f"*{_FILE_SUFFIX}")) else ""
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        problem = f"cannot be read: {error}"
    if problem:
        raise FolderError(
            f"The list of scratch tables {folder / LIST} {problem}. Nothing was changed. Restore it from a back-up, or "
            "let `dw doctor --repair` set it aside, after which this scratch is empty."
        )
    return _List("")


def is_listed(path: Path) -> bool:
    """Whether a table has this file. Raises FolderError."""
    return any(file.name == path.name for table in read_list(path.parent).tables for file in table.files)


def _remove_unknown(folder: Path) -> None:
    """Remove the files of writers that were killed: nobody has locked them, and no table has them."""
    found = read_list(folder)
    known = {file.name for table in found.tables for file in table.files} | {each.file.name for each in found.dropped}
    (folder / (LIST + ASIDE_SUFFIX)).unlink(missing_ok=True)
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
        target = self.path.with_name(self.name)
        digest = digest_of(self.path)
        publish(LOCAL_DISK, self.path, target)
        found = target.stat()
        return ScratchFile(self.name, rows, size, digest, found.st_ino, found.st_mtime_ns)


def too_large(bytes_max: int) -> QueryLimitExceeded:
    """What is said of a scratch that would have more than its bytes."""
    return QueryLimitExceeded(
        f"The tables of a scratch have at most {bytes_max:,} bytes (scratch_bytes_max), and this statement would make "
        "them larger. Drop tables that are no longer needed, or write fewer rows.",
        "scratch_bytes_max",
    )
