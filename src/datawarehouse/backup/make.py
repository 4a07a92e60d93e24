"""Makes a back-up of a data folder while its owner writes it.

1. From here on no journal is trimmed and no retired file is deleted. The moment of the back-up is now: every event
   that was acknowledged before it is in a journal, or in a data file that the catalog lists.
2. Copy the catalog, as it is at one moment.
3. Copy the data files that this copy lists, those of which there is no copy yet, and compare each with its digest. A
   file that is not what was written is named and marked in the catalog, and the rest is copied. Of the copies that
   are there, a thirtieth is read again; a damaged one is replaced.
4. Copy what users put into the folders of their tables, and what was set aside, if it has changed; and how far files
   were sent.
5. Copy the queries that somebody saved, and what keys have made: their lists, and then the files that these have, none
   of which is removed meanwhile.
6. Copy the file FORMAT, and at last the journals, each up to what is synced then. They hold what came after the
   catalog was copied; it is converted after a restore.
7. Write the manifest. Here the back-up begins to exist. Then older ones are pruned.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from datawarehouse.backup.copying import Unreadable, copy
from datawarehouse.backup.manifest import (
    CATALOG,
    DATA,
    FILLED,
    FORMAT,
    JOURNAL,
    LAYOUT,
    Kept,
    Manifest,
    Problem,
    name_of,
)
from datawarehouse.backup.store import BackupStore
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.copies import CopiedFile, Listed, copy_catalog, listed
from datawarehouse.catalog.store import StoreError
from datawarehouse.clock import Clock
from datawarehouse.definition.tables import Table
from datawarehouse.errors import BackupError
from datawarehouse.folder import aside_root, catalog_path, journal_root, queries_root, scratch_root, sent_root
from datawarehouse.journal.journal import Journal
from datawarehouse.parquet.digest import digest_of

_NOT_WRITTEN = "its bytes are not those that were written"
_CHANGING_MAX = 3
_READ_ONE_OF = 30
_SETTLED_NS = 2_000_000_000  # two changes of a file within this time may have the same time


@dataclass(frozen=True, slots=True)
class Source:
    """What is backed up. keeping: inside this context no journal is trimmed and no retired file is deleted. holding:
    inside this one no file of a scratch.

    identity: of the data folder. foreign: paths of files that are not of this warehouse. spare_bytes: how much of the
    disk must stay free for events, if the back-up is on the same one.
    """

    folder: Path
    catalog: Catalog
    journals: Mapping[str, Journal]
    clock: Clock
    keeping: Callable[[], AbstractContextManager[None]]
    identity: str
    foreign: Sequence[str] = ()
    spare_bytes: int = 0
    holding: Callable[[], AbstractContextManager[None]] = nullcontext


class Progress(msgspec.Struct):
    """How much of a back-up is done, in files and bytes; the journals come on top of `bytes_all`."""

    files: int = 0
    files_all: int = 0
    bytes: int = 0
    bytes_all: int = 0


class Made(msgspec.Struct):
    """A back-up that was made. new_files, new_bytes: those of which there was no copy before. removed: the moments of
    back-ups that were pruned."""

    to: str
    moment_ms: int
    seconds: float
    files: int
    bytes: int
    new_files: int
    new_bytes: int
    problems: list[Problem]
    left_out: list[str]
    removed: list[str]


def check_place(root: Path, folder: Path) -> None:
    """Raises BackupError if a folder for back-ups is in the data folder, or is it."""
    if root.resolve().is_relative_to(folder.resolve()):
        raise BackupError(
            f"{root} is in the data folder {folder}: a back-up there would be lost together with it. Give a folder "
            "elsewhere, best on another disk."
        )


def make_backup(
    source: Source, root: Path, kept: int, on_progress: Callable[[Progress], None], check_open: Callable[[], None]
) -> Made:
    """Make a back-up in the folder `root`, of which `kept` stay (0: all).

    on_progress is called now and then; check_open too, and may end the back-up by an exception. Raises BackupError.
    """
    check_place(root, source.folder)
    began_ms = source.clock.now_ms()
    try:
        with BackupStore.to_write(root, source.catalog.warehouse_name(), source.identity) as store:
            making = _Making(source, store, on_progress, check_open)
            manifest = making.run()
            removed = store.prune(manifest.moment_ms, kept)
    except (OSError, StoreError) as error:
        raise BackupError(
            f"The back-up in {root} was not made: {_reason(error)}. The back-ups that were there before are as they "
            "were. The next one goes on with what has been copied."
        ) from error
    return Made(
        str(root),
        manifest.moment_ms,
        (source.clock.now_ms() - began_ms) / 1000,
        len(manifest.files),
        manifest.bytes,
        making.new_files,
        making.new_bytes,
        manifest.problems,
        manifest.left_out,
        removed,
    )


@dataclass(frozen=True, slots=True)
class _Planned:
    """A file to copy. digest: empty if it is not known. modified_ns: 0 for a file that never changes and whose
    digest the catalog has."""

    path: str
    kind: str
    bytes: int
    digest: str = ""
    modified_ns: int = 0
    is_retired: bool = False


class _Making:
    """One back-up, step by step."""

    def __init__(
        self,
        source: Source,
        store: BackupStore,
        on_progress: Callable[[Progress], None],
        check_open: Callable[[], None],
    ) -> None:
        self.source = source
        self.store = store
        self.new_files = self.new_bytes = 0
        self._on_progress = on_progress
        self._check_open = check_open
        self._progress = Progress()
        self._commit = 0
        self._files: list[Kept] = []
        self._problems: list[Problem] = []
        self._left_out: list[str] = []

    def run(self) -> Manifest:
        before = self._known()
        with self.source.keeping():
            moment_ms = self._moment()
            there = self._catalog()
            self._data(there, before)
            self._kept_by_keys(before)
            self._layout()
            self._journals(there)
        manifest = Manifest(
            FORMAT,
            there.warehouse,
            self.source.identity,
            moment_ms,
            self.source.clock.now_ms(),
            there.commit,
            self._files,
            self._problems,
            self._left_out,
        )
        self.store.add(manifest)
        return manifest

    def _known(self) -> dict[str, Kept]:
        """The files of the last back-up whose digest only that back-up knows, and that had settled by then."""
        for moment_ms in reversed(self.store.moments()):
            try:
                files = self.store.manifest(moment_ms).files
            except BackupError:
                continue
            return {file.path: file for file in files if 0 < file.modified_ns < moment_ms * 1_000_000 - _SETTLED_NS}
        return {}

    def _moment(self) -> int:
        moment_ms = self.source.clock.now_ms()
        while (self.store.root / name_of(moment_ms)).exists():  # the clock was set back
            moment_ms -= 1
        return moment_ms

    # -- the steps

    def _catalog(self) -> Listed:
        aside = self.store.aside
        aside.unlink(missing_ok=True)
        path = catalog_path(self.source.folder)
        copy_catalog(path, aside)
        there = listed(aside, Table.kind)
        self._commit = there.commit
        self._keep(_Planned(path.name, CATALOG, 0), digest_of(aside), aside.stat().st_size)
        return there

    def _data(self, there: Listed, before: Mapping[str, Kept]) -> None:
        self._left_out += [
            f"the files of the partition {values} of table {table!r}, which are in {place}"
            for table, values, place in there.places
        ]
        if foreign := self.source.foreign:
            self._left_out.append(f"{len(foreign)} data files that are not of this warehouse, {foreign[0]} first")
        planned = [self._listed(file) for file in there.files]
        for name in there.filled:
            planned += self._filled(self.source.folder / name)
        planned += self._filled(aside_root(self.source.folder))
        planned += [  # before the journals, which then have all that these say was sent
            _Planned(str(path.relative_to(self.source.folder)), FILLED, path.stat().st_size)
            for path in sent_root(self.source.folder).glob("*/*.json")
        ]
        self._check_space([*planned, *self._scratch_files()], before)
        self._progress = Progress(0, len(planned), 0, sum(file.bytes for file in planned))
        for file in planned:
            self._one(file, before.get(file.path))

    def _kept_by_keys(self, before: Mapping[str, Kept]) -> None:
        """Lists come before the files that they have. A list is replaced as a whole, so that it is never half a one."""
        folder = self.source.folder
        with self.source.holding():
            for path in (*queries_root(folder).glob("*.json"), *scratch_root(folder).glob("*/*/*.json")):
                self._one(_Planned(str(path.relative_to(folder)), FILLED, path.stat().st_size), None)
            for file in self._scratch_files():
                self._progress.files_all += 1
                self._progress.bytes_all += file.bytes
                self._one(file, before.get(file.path))

    def _scratch_files(self) -> Iterator[_Planned]:
        folder = self.source.folder
        for path in scratch_root(folder).glob("*/*/*.parquet"):
            with suppress(FileNotFoundError):
                found = path.stat()
                yield _Planned(str(path.relative_to(folder)), FILLED, found.st_size, "", found.st_mtime_ns)

    def _check_space(self, planned: Sequence[_Planned], before: Mapping[str, Kept]) -> None:
        """Raises BackupError if the disk cannot take the files of which there is no copy."""
        needed = sum(
            file.bytes
            for file in planned
            if (not self.store.has(file.digest, file.bytes) if file.digest else file.path not in before)
        )
        root, folder = self.store.root, self.source.folder
        is_same_disk = root.stat().st_dev == folder.stat().st_dev
        free = max(0, shutil.disk_usage(root).free - (self.source.spare_bytes if is_same_disk else 0))
        if needed > free:
            raise BackupError(
                f"The back-up in {root} was not begun: it needs {needed} bytes, and there are {free}"
                + (
                    f" besides the {self.source.spare_bytes} that stay free for events, because it is the disk of the "
                    "data folder (disk_free_bytes_min)."
                    if is_same_disk
                    else " free."
                )
                + " Give a folder on a larger disk, or keep fewer (backups_kept)."
            )

    def _listed(self, file: CopiedFile) -> _Planned:
        modified_ns = 0 if file.digest else _modified_ns(self.source.folder / file.path)
        return _Planned(file.path, DATA, file.bytes, file.digest, modified_ns, file.is_retired)

    def _filled(self, root: Path) -> Iterator[_Planned]:
        """The files of a folder that others fill. A link to a file is copied as a file, one to a folder is named."""
        start = len(str(self.source.folder)) + 1
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in (each for each in folders if Path(folder, each).is_symlink()):
                self._left_out.append(f"the folder {folder}/{name}, which is a link")
            for name in sorted(names):
                path = Path(folder, name)
                try:
                    found = path.stat()
                except FileNotFoundError:  # removed meanwhile, or a link to nothing
                    continue
                if stat.S_ISREG(found.st_mode):
                    yield _Planned(str(path)[start:], FILLED, found.st_size, "", found.st_mtime_ns)
                else:
                    self._left_out.append(f"{path}, which is no file")

    def _layout(self) -> None:
        self._needed(_Planned("FORMAT", LAYOUT, 0), None)

    def _journals(self, there: Listed) -> None:
        root = journal_root(self.source.folder)
        for name in there.streams:
            journal = self.source.journals.get(name)
            if journal is None:  # of a table that is no longer declared: nobody writes it
                parts = [(path, path.stat().st_size) for path in sorted((root / name).glob("*.journal"))]
            else:
                spans = [span for span in journal.spans(0, journal.synced + 1) if span.path]
                parts = [(Path(span.path), span.end - span.origin) for span in spans]
            for path, length in parts:
                self._needed(_Planned(str(path.relative_to(self.source.folder)), JOURNAL, length), length)

    def _needed(self, file: _Planned, length: int | None) -> None:
        """Copy a file without which there is no back-up."""
        try:
            self._copied(file, length)
        except Unreadable as error:
            raise BackupError(
                f"The back-up in {self.store.root} was not made, because of {file.path} in {self.source.folder}: "
                f"{error.problem}. `dw doctor` says what can be done."
            ) from None

    # -- one file

    def _one(self, file: _Planned, before: Kept | None) -> None:
        """Make a file part of the back-up, or name it as missing."""
        self._check_open()
        digest = file.digest
        if not digest and before and (before.bytes, before.modified_ns) == (file.bytes, file.modified_ns):
            digest = before.digest
        if digest and self.store.has(digest, file.bytes) and not self._was_damaged(digest):
            self._files.append(Kept(file.path, file.kind, file.bytes, digest, file.modified_ns))
            self._done(file.bytes)
        else:
            try:
                self._copied(file, None)
            except Unreadable as error:
                self._is_missing(file, error.problem, is_gone=error.is_missing)
        self._progress.files += 1

    def _was_damaged(self, digest: str) -> bool:
        """Whether a copy is damaged; each back-up reads a thirtieth of those that it finds."""
        if (int(digest[:8], 16) + self._commit) % _READ_ONE_OF:
            return False
        return not self.store.is_whole(digest)

    def _is_missing(self, file: _Planned, problem: str, *, is_gone: bool) -> None:
        if is_gone and (file.is_retired or file.kind == FILLED):  # nobody needs it any more; its user removed it
            return
        self._problems.append(Problem(file.path, problem))
        if file.kind == DATA and (is_gone or problem == _NOT_WRITTEN):
            self.source.catalog.damage(file.path, problem)

    def _copied(self, file: _Planned, length: int | None) -> None:
        """Copy a file, `length` bytes of it. Raises Unreadable if it is not what it should be."""
        path = self.source.folder / file.path
        for _ in range(_CHANGING_MAX):
            changed_ns = _modified_ns(path) if file.modified_ns else 0
            digest, size = copy(path, self.store.aside, length, self._piece)
            if length is not None and size < length:
                raise Unreadable(f"it has {size} bytes, and {length} were written")
            if file.digest and digest != file.digest:
                raise Unreadable(_NOT_WRITTEN)
            if changed_ns == (_modified_ns(path) if file.modified_ns else 0):
                self._keep(file, digest, size, changed_ns)
                return
        raise Unreadable("it was changed while it was copied")

    def _keep(self, file: _Planned, digest: str, size: int, modified_ns: int = 0) -> None:
        """Make what was written aside the copy of a file, unless there is one of the same bytes."""
        if self.store.has(digest, size) and not self._was_damaged(digest):
            self.store.aside.unlink()
        else:
            self.store.keep(self.store.aside, digest)
            self.new_files += 1
            self.new_bytes += size
        self._files.append(Kept(file.path, file.kind, size, digest, modified_ns))

    def _piece(self, size: int) -> None:
        self._check_open()
        self._done(size)

    def _done(self, size: int) -> None:
        self._progress.bytes += size
        self._on_progress(self._progress)


def _modified_ns(path: Path) -> int:
    """When a file was changed last; 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    return str(error)
