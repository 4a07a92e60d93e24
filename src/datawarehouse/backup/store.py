"""The folder that back-ups are in.

    BACKUPS                        whose back-ups these are
    2026-11-29T07-00-03.123Z.json  a back-up: which copy each of its files is (see `manifest.py`)
    files/3f/3f0c...               the copies, named after the digests of their bytes, shared by all back-ups

A copy is never changed. It is written aside, synced and renamed, and a back-up exists once its manifest does, which is
written last; so what dies leaves the back-ups that were there, and copies that the next one finds.

One process at a time writes into the folder; it holds the folder's lock.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from datawarehouse.backup.manifest import FORMAT, Manifest, decode, encode, moment_of, name_of, outline, shown
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, place, remove, replace
from datawarehouse.errors import BackupError, FormatTooNew
from datawarehouse.parquet.digest import digest_of

_MARK = "BACKUPS"
_COPIES = "files"
_DIGEST = re.compile(r"[0-9a-f]{32}")
_OF_A_FILE_SYSTEM = ("lost+found",)


class Mark(msgspec.Struct, frozen=True):
    """Whose back-ups a folder holds. identity: of the data folder, also of one that was restored from them."""

    format: int
    warehouse: str
    identity: str


class BackupStore:
    """Such a folder, while this process reads it or writes into it."""

    def __init__(self, root: Path, lock: int) -> None:
        self.root = root
        self._lock = lock
        self._made: set[Path] = set()

    @classmethod
    def to_write(cls, root: Path, warehouse: str, identity: str) -> Self:
        """Open the folder for back-ups of a warehouse; it is made if it is missing. What a dead process was writing is
        removed.

        Raises BackupError if it holds something else, or another process writes into it.
        """
        _make(root)
        _check_ours(root, identity)  # before its lock is taken, which may be that of a data folder
        store = cls(root, _locked(root, fcntl.LOCK_EX, "another back-up is written into it, or one is restored"))
        try:
            if not _check_ours(root, identity):
                replace(LOCAL_DISK, root / _MARK, msgspec.json.encode(Mark(FORMAT, warehouse, identity)) + b"\n")
            make_folder(LOCAL_DISK, root, root / _COPIES)
            store._remove_what_a_dead_process_left()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def to_read(cls, root: Path) -> Self:
        """Open the folder to restore from it. Raises BackupError if it holds no back-ups."""
        if not root.is_dir():
            raise BackupError(f"There is no folder {root}. Give the one that `dw backup` wrote to.")
        if _mark(root) is None:
            found = ", ".join(sorted(path.name for path in root.iterdir())[:3]) or "nothing"
            raise BackupError(
                f"{root} holds no back-ups: it has no file {_MARK}, but it has {found}. Give the folder that "
                "`dw backup` wrote to."
            )
        return cls(root, _locked(root, fcntl.LOCK_SH, "a back-up is being written into it"))

    def close(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- copies

    @property
    def aside(self) -> Path:
        """Where the copy is written that is made next."""
        return self.root / _COPIES / f"copy{ASIDE_SUFFIX}"

    def copy_of(self, digest: str) -> Path:
        """Where the copy of these bytes is, or will be."""
        return self.root / _COPIES / digest[:2] / digest

    def has(self, digest: str, size: int) -> bool:
        """Whether there is a copy of these bytes. A copy of another size is damaged, and is written again."""
        try:
            return self.copy_of(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def is_whole(self, digest: str) -> bool:
        """Whether the bytes of a copy are still those that were written."""
        try:
            return digest_of(self.copy_of(digest)) == digest
        except OSError:
            return False

    def keep(self, aside: Path, digest: str) -> None:
        """Make what was written aside the copy of its bytes."""
        target = self.copy_of(digest)
        if target.parent not in self._made:
            make_folder(LOCAL_DISK, self.root, target.parent)
            self._made.add(target.parent)
        place(LOCAL_DISK, aside, target)

    # -- back-ups

    def moments(self) -> list[int]:
        """Of the back-ups, in order."""
        found = (moment_of(path.name) for path in self.root.iterdir())
        return sorted(moment for moment in found if moment is not None)

    def manifest(self, moment_ms: int) -> Manifest:
        """Raises BackupError if it is not what was written."""
        path = self.root / name_of(moment_ms)
        try:
            return decode(path.read_bytes())
        except OSError as error:
            raise BackupError(f"The back-up {path} cannot be read: {error.strerror}.") from None
        except BackupError as error:
            raise BackupError(f"The back-up {path} is damaged: {error}.") from None

    def add(self, manifest: Manifest) -> None:
        """Here a back-up begins to exist. Its copies survive a power loss, also those that a dead process had made."""
        for folder in {self.copy_of(file.digest).parent for file in manifest.files}:
            LOCAL_DISK.sync_folder(folder)
        LOCAL_DISK.sync_folder(self.root / _COPIES)
        replace(LOCAL_DISK, self.root / name_of(manifest.moment_ms), encode(manifest))

    def prune(self, made_ms: int, kept: int) -> list[str]:
        """Remove the oldest back-ups, all but `kept` (0: none is removed), and the copies that no back-up lists.

        The one of `made_ms` stays, and so does the newest complete one. Returns the moments of those that were removed.
        While a manifest cannot be read, no copy is removed: it may be one of that back-up.
        """
        outlines = {moment: self._outline(moment) for moment in self.moments()}
        moments = list(outlines)
        whole = [moment for moment, found in outlines.items() if found and not found[0]]
        stay = {*(moments[-kept:] if kept else moments), *whole[-1:], made_ms}
        gone = [moment for moment, found in outlines.items() if found and moment not in stay]
        remove(LOCAL_DISK, [self.root / name_of(moment) for moment in gone])
        if all(outlines.values()):
            listed = [found[1] for moment, found in outlines.items() if found and moment not in gone]
            self._remove_copies_without(set().union(*listed))
        return [shown(moment) for moment in gone]

    def _outline(self, moment_ms: int) -> tuple[bool, set[str]] | None:
        """(Whether files are missing in a back-up, the digests of those that it has); None if it cannot be read."""
        try:
            found = outline((self.root / name_of(moment_ms)).read_bytes())
        except (OSError, BackupError):
            return None
        return bool(found.problems), {file.digest for file in found.files}

    def _remove_copies_without(self, listed: set[str]) -> None:
        copies = (self.root / _COPIES).glob("[0-9a-f][0-9a-f]/*")
        remove(LOCAL_DISK, [path for path in copies if _DIGEST.fullmatch(path.name) and path.name not in listed])

    def _remove_what_a_dead_process_left(self) -> None:
        aside = [path for path in self.root.iterdir() if _is_manifest_aside(path.name)]
        remove(LOCAL_DISK, [*aside, self.aside])


def _is_manifest_aside(name: str) -> bool:
    return name.endswith(ASIDE_SUFFIX) and moment_of(name.removesuffix(ASIDE_SUFFIX)) is not None


def has_backups(root: Path) -> bool:
    """Whether a folder is one that back-ups were made in."""
    return (root / _MARK).is_file()


def _make(root: Path) -> None:
    if not root.is_dir():
        try:
            make_folder(LOCAL_DISK, next(path for path in root.parents if path.exists()), root)
        except OSError as error:
            raise BackupError(f"The folder {root} cannot be made: {error.strerror}.") from None
    if not root.is_dir():
        raise BackupError(f"{root} is not a folder. Give a new or empty folder, or one that has back-ups.")


def _mark(root: Path) -> Mark | None:
    try:
        mark = msgspec.json.decode((root / _MARK).read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BackupError(f"{root / _MARK} does not say whose back-ups these are; nothing was changed.") from None
    if mark.format > FORMAT:
        raise FormatTooNew(
            f"A newer release wrote the back-ups in {root}. Nothing was changed. Install it: pip install --upgrade "
            "serverless-datawarehouse."
        )
    return mark


def _check_ours(root: Path, identity: str) -> bool:
    """Whether a folder has back-ups of a data folder; False if it is empty. Raises BackupError for any other."""
    mark = _mark(root)
    if mark is None:
        _check_empty(root)
    elif mark.identity != identity:
        raise BackupError(
            f"{root} holds the back-ups of another data folder, of the warehouse {mark.warehouse!r}. Nothing was "
            "changed. Give each data folder a folder of its own for its back-ups."
        )
    return mark is not None


def _check_empty(root: Path) -> None:
    names = sorted(path.name for path in root.iterdir() if path.name not in (*_OF_A_FILE_SYSTEM, _MARK + ASIDE_SUFFIX))
    if names:
        raise BackupError(
            f"{root} is not empty and holds no back-ups: it has {', '.join(names[:3])}. Nothing was changed. Give a "
            "new or empty folder, or one that has back-ups of this data folder."
        )


def _locked(root: Path, how: int, holder: str) -> int:
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise BackupError(f"{root} is in use: {holder}. Try again when that has ended.") from None
    except OSError:  # a file system without locks
        pass
    return lock
