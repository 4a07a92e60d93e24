"""The file operations whose order decides what survives a power loss. No other module syncs or renames.

The order of the steps inside each function keeps these promises:

1. `AppendFile.append` + `AppendFile.sync`: bytes appended before a sync that returned are there after a crash.
   Bytes after the last sync may be missing, cut short or replaced by zeros, in any order.
2. `create`: the new file's first bytes are synced, then its folder entry. Once `create` has returned, the name and
   those bytes are there after a crash.
3. `publish`: a file that was written under a temporary name is synced and renamed, and the folder is synced. A reader
   sees either the whole file or no file. Once `publish` has returned, the name survives a crash. `place` leaves the
   folder to its caller, who places many files and syncs each folder once.
4. `replace`: the same as `publish` for a small file given as bytes; it replaces an older file of that name.
5. `make_folder`, `remove`: the change of the parent folder is synced.

`Disk` is the interface to the disk: `LocalDisk` calls the operating system; the tests use a model of a disk that loses
power. Below a folder that was given to `leave_unsynced` nothing is synced: files of a test need not survive a power
loss.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

ASIDE_SUFFIX = ".aside"
"""The suffix of files that are being written. Readers ignore them; an owner removes those of a dead owner when it
opens."""

_WRITEV_BUFFERS_MAX = 512  # POSIX promises 16, Linux and macOS take 1024


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_SQLITE_FULL = 13  # https://sqlite.org/rescode.html#full


def lacks_space(error: BaseException) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full: one of a file, or one of SQLite's."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(lacks_space, error.exceptions))
    if isinstance(error, OSError):
        return error.errno in _NO_SPACE
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL


class OpenFile(Protocol):
    """An open file, written at its end."""

    def write(self, buffers: Sequence[bytes]) -> None: ...
    def sync(self) -> None: ...
    def truncate(self, size: int) -> None: ...
    def close(self) -> None: ...


class Disk(Protocol):
    """The operations that durability is built from. Paths are absolute."""

    def open(self, path: Path, *, new: bool) -> OpenFile: ...
    def read(self, path: Path, offset: int = 0, length: int | None = None) -> bytes: ...
    def size(self, path: Path) -> int: ...
    def names(self, folder: Path) -> list[str]: ...
    def exists(self, path: Path) -> bool: ...
    def rename(self, source: Path, target: Path) -> None: ...
    def remove(self, path: Path) -> None: ...
    def make_folder(self, path: Path) -> None: ...
    def sync_folder(self, path: Path) -> None: ...


class _LocalFile:
    def __init__(self, path: Path, new: bool) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0)
        self._fd = os.open(path, flags, 0o644)
        self._syncs = not _is_unsynced(path)

    def write(self, buffers: Sequence[bytes]) -> None:
        for start in range(0, len(buffers), _WRITEV_BUFFERS_MAX):
            group = buffers[start : start + _WRITEV_BUFFERS_MAX]
            written, wanted = os.writev(self._fd, group), sum(map(len, group))
            if written < wanted:  # a short write: a signal, a full disk
                rest = memoryview(b"".join(group))[written:]
                while rest:
                    rest = rest[os.write(self._fd, rest) :]

    def sync(self) -> None:
        if self._syncs:
            _sync(self._fd)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def close(self) -> None:
        fd, self._fd = self._fd, -1  # the system may soon give a closed number to another file
        os.close(fd)


class LocalDisk:
    """The file system of this machine."""

    def open(self, path: Path, *, new: bool) -> OpenFile:
        return _LocalFile(path, new)

    def read(self, path: Path, offset: int = 0, length: int | None = None) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def names(self, folder: Path) -> list[str]:
        return [entry.name for entry in folder.iterdir()]

    def exists(self, path: Path) -> bool:
        return path.exists()

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def remove(self, path: Path) -> None:
        path.unlink()

    def make_folder(self, path: Path) -> None:
        path.mkdir()

    def sync_folder(self, path: Path) -> None:
        if _is_unsynced(path):
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _sync(fd: int) -> None:
    # On macOS fsync leaves the bytes in the drive's cache; F_FULLFSYNC does not (man 2 fsync).
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


LOCAL_DISK = LocalDisk()

_unsynced: set[Path] = set()


def leave_unsynced(folder: Path, *, leave: bool = True) -> None:
    """Stop syncing below a folder from now on, or start again."""
    if leave:
        _unsynced.add(folder)
    else:
        _unsynced.discard(folder)


def _is_unsynced(path: Path) -> bool:
    return bool(_unsynced) and any(path.is_relative_to(folder) for folder in _unsynced)


class AppendFile:
    """A file that only grows; its first `synced` bytes survive any crash."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self.written = self.synced = disk.size(path)
        self._file = disk.open(path, new=False)

    def append(self, buffers: Sequence[bytes]) -> None:
        """Write at the end. After an OSError the file holds an unknown part of the bytes: see `cut_back`."""
        self._file.write(buffers)
        self.written += sum(map(len, buffers))

    def sync(self) -> None:
        self._file.sync()
        self.synced = self.written

    def cut_back(self, size: int) -> None:
        """Make the file end at `size`, durably."""
        self._file.truncate(size)
        self._file.sync()
        self.written = self.synced = size

    def close(self) -> None:
        self._file.close()


def create(disk: Disk, path: Path, buffers: Sequence[bytes]) -> None:
    """Create `path` with its first bytes. Raises FileExistsError."""
    file = disk.open(path, new=True)
    try:
        file.write(buffers)
        file.sync()
    finally:
        file.close()
    disk.sync_folder(path.parent)


def publish(disk: Disk, aside: Path, target: Path) -> None:
    """Rename a finished file, written under another name in the same file system, to its final name."""
    place(disk, aside, target)
    disk.sync_folder(target.parent)


def place(disk: Disk, aside: Path, target: Path) -> None:
    """`publish` without its last step: the caller syncs the folder before anything relies on the name."""
    file = disk.open(aside, new=False)
    try:
        file.sync()
    finally:
        file.close()
    disk.rename(aside, target)


def replace(disk: Disk, path: Path, content: bytes) -> None:
    """Write a small file; it replaces an older one in one step."""
    aside = path.with_name(path.name + ASIDE_SUFFIX)
    if disk.exists(aside):
        disk.remove(aside)
    file = disk.open(aside, new=True)
    try:
        file.write([content])
        file.sync()
    finally:
        file.close()
    disk.rename(aside, path)
    disk.sync_folder(path.parent)


def make_folder(disk: Disk, root: Path, path: Path) -> None:
    """Make `path` and its missing parents below `root`, which exists, and sync each entry on the way.

    Entries that exist are synced as well: a process may have been killed after it made them and before it synced them.
    Callers remember the folders that they have already synced.
    """
    for folder in reversed([path, *path.parents][: len(path.relative_to(root).parts)]):
        with suppress(FileExistsError):
            disk.make_folder(folder)
        disk.sync_folder(folder.parent)


def remove(disk: Disk, paths: Iterable[Path]) -> None:
    """Remove files; a missing file is no error."""
    folders = set()
    for path in paths:
        try:
            disk.remove(path)
        except FileNotFoundError:
            continue
        folders.add(path.parent)
    for folder in folders:
        disk.sync_folder(folder)
