"""The data folder: what is in it, which release may open it, and who owns it.

    FORMAT            the version of the layout
    _lock             held by the owner; says who it is (pid, address, token)
    _catalog.sqlite   the catalog
    _journal/<table>/ the journals
    <table>/          data files: the folders of a lake, as they would be in a bucket
    errors/<table>/   rejected records, as data files

One process at a time owns a folder. The operating system releases the lock when the owner ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, replace
from datawarehouse.errors import FolderError, FolderInUse, FormatTooNew

FORMAT = 2

Upgrade = Callable[[Path], None]


class Holder(msgspec.Struct, frozen=True):
    """The owner of a folder. url and token are empty if the owner has no server.

    query_time_max_s: files that the owner retires stay for longer than this, so that no query loses a file.
    """

    pid: int
    url: str = ""
    token: str = ""
    query_time_max_s: int | None = None


def catalog_path(folder: Path) -> Path:
    return folder / "_catalog.sqlite"


def journal_root(folder: Path) -> Path:
    return folder / "_journal"


class Ownership:
    """The right to write in a data folder; given up by `release`, or when the process ends."""

    def __init__(self, folder: Path, upgrades: Mapping[int, Upgrade]) -> None:
        """Take over `folder`, making it if it is missing. Raises FolderInUse, FormatTooNew or FolderError.

        `upgrades` maps a version to a function that upgrades the folder to the next version and can be repeated after a
        crash.
        """
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            _bring_up_to_date(self.folder, upgrades)
            make_folder(LOCAL_DISK, self.folder, journal_root(self.folder))
            self.announce(Holder(os.getpid()))
        except BaseException:
            os.close(self._lock)
            raise

    def announce(self, holder: Holder) -> None:
        """Write who holds the lock into the lock file, which only this user can read."""
        text = msgspec.json.encode(holder)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text, 0)

    def release(self) -> None:
        os.ftruncate(self._lock, 0)
        os.close(self._lock)

    def _take_lock(self) -> int:
        fd = os.open(self.folder / "_lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise FolderInUse(f"{self.folder} is in use by {_described(holder_of(self.folder))}.") from None
        return fd


def _described(holder: Holder | None) -> str:
    if holder is None:
        return "another process, which is just starting or stopping; try again in a moment"
    if holder.url:
        return f"process {holder.pid}, which serves it at {holder.url}. Talk to it there, or stop it first"
    return f"process {holder.pid}, which opened it in Python. It is free when that process closes it"


def holder_of(folder: Path) -> Holder | None:
    """The present owner of the folder; None if there is no owner, or the owner has not yet written who it is."""
    path = folder / "_lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Holder)
        except msgspec.DecodeError:
            return None
    finally:
        os.close(fd)
    return None


def check_format(folder: Path) -> int:
    """The version of a data folder. Raises FormatTooNew, or FolderError if it is not one."""
    path = folder / "FORMAT"
    try:
        version = json.loads(path.read_text())["format"]
    except FileNotFoundError:
        raise FolderError(
            f"{folder} is not a data folder: it has no file FORMAT. Start one with `dw up --data {folder}`, or give "
            "the right folder with --data."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise FolderError(f"{path} cannot be read as the version of a data folder; restore it from a backup.") from None
    if version > FORMAT:
        raise FormatTooNew(
            f"{folder} has format {version}, written by a newer release; this one reads up to {FORMAT}. Nothing was "
            "changed. Install the newer release: pip install --upgrade serverless-datawarehouse."
        )
    return int(version)


def _bring_up_to_date(folder: Path, upgrades: Mapping[int, Upgrade]) -> None:
    if not (folder / "FORMAT").exists():
        others = [path.name for path in folder.iterdir() if path.name not in ("_lock", "FORMAT" + ASIDE_SUFFIX)]
        if others:
            raise FolderError(
                f"{folder} is not a data folder: it has no file FORMAT, but it has {', '.join(sorted(others)[:3])}. "
                "Give an empty or a new folder with --data."
            )
        _write_format(folder, FORMAT)
    version = check_format(folder)
    while version < FORMAT:
        upgrades[version](folder)
        version += 1
        _write_format(folder, version)


def _write_format(folder: Path, version: int) -> None:
    replace(LOCAL_DISK, folder / "FORMAT", json.dumps({"format": version}).encode() + b"\n")
