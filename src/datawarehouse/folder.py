"""The data folder: what is in it, which release may open it, and who owns it.

    FORMAT            the version of the layout
    _lock             held by the owner; says who it is (pid, address, token)
    _catalog.sqlite   the catalog
    _commits/         a second record of what the catalog holds
    _alerts.json      the alerts that are on, and those on their way to a receiver
    _journal/<table>/ the journals
    _aside/           files that were set aside, each under the path that it had
    <table>/          data files: the folders of a lake, as they would be in a bucket
    errors/<table>/   rejected records, as data files

One process at a time owns a folder. It locks the folder itself and the file `_lock`: the folder because somebody may
delete `_lock`, the file because releases before format 3 lock nothing else. The operating system releases both when the
owner ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, replace
from datawarehouse.errors import FolderError, FolderInUse, FormatTooNew

FORMAT = 3

Upgrade = Callable[[Path], None]

log = logging.getLogger("datawarehouse")

_LOOKERS_S = 0.1  # a process that looks whether there is an owner holds the lock for a moment
_LOOK_EVERY_S = 0.01
_TOLD_EVERY_S = 30.0


class Holder(msgspec.Struct, frozen=True):
    """The owner of a folder. url and token are empty if the owner has no server.

    query_time_max_s: files that the owner retires stay for longer than this, so that no query loses a file. brief:
    whether it owns the folder only while one command runs.
    """

    pid: int
    url: str = ""
    token: str = ""
    query_time_max_s: int | None = None
    brief: bool = False


def catalog_path(folder: Path) -> Path:
    return folder / "_catalog.sqlite"


def alerts_path(folder: Path) -> Path:
    return folder / "_alerts.json"


def journal_root(folder: Path) -> Path:
    return folder / "_journal"


def aside_root(folder: Path) -> Path:
    return folder / "_aside"


def is_new(folder: Path) -> bool:
    """Whether nothing was ever stored in a data folder; its first opening may have been cut short, also in the middle
    of making the catalog."""
    for path in folder.iterdir():
        if path.name in ("_journal", "_commits"):
            if any(path.iterdir()):
                return False
        elif not (
            path.name in ("FORMAT", "_lock")
            or path.name.startswith(catalog_path(folder).name)
            or path.name.endswith(ASIDE_SUFFIX)
        ):
            return False
    return True


class Ownership:
    """The right to write in a data folder; given up by `release`, or when the process ends."""

    def __init__(self, folder: Path, upgrades: Mapping[int, Upgrade], *, brief: bool = False) -> None:
        """Take over `folder`, making it if it is missing. Raises FolderInUse, FormatTooNew or FolderError.

        `upgrades` maps a version to a function that upgrades the folder to the next version and can be repeated after a
        crash. brief: whether it is given up as soon as one command has run; another process then waits for it.
        """
        self.folder = folder.absolute()
        self._holder = Holder(os.getpid(), brief=brief)
        with contextlib.ExitStack() as opened, _plainly(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._folder_lock, self._lock = _take_locks(self.folder)
            opened.callback(os.close, self._folder_lock)
            opened.callback(os.close, self._lock)
            _bring_up_to_date(self.folder, upgrades)
            make_folder(LOCAL_DISK, self.folder, journal_root(self.folder))
            self.announce(self._holder)
            self.since_ns = os.fstat(self._lock).st_mtime_ns
            opened.pop_all()

    def announce(self, holder: Holder) -> None:
        """Write who holds the lock into the lock file, which only this user can read."""
        self._holder = holder
        text = msgspec.json.encode(holder)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text, 0)

    def restore(self) -> None:
        """Make the lock file again if somebody has deleted or replaced it."""
        path = self.folder / "_lock"
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(self._lock)):
                return
        log.warning("somebody has removed %s of this running warehouse; it is made again", path)
        path.unlink(missing_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(self._lock)
        self._lock = lock
        self.announce(self._holder)

    def release(self) -> None:
        os.ftruncate(self._lock, 0)
        os.close(self._lock)
        os.close(self._folder_lock)


@contextlib.contextmanager
def _plainly(folder: Path) -> Iterator[None]:
    """An error of the operating system as a FolderError."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise FolderError(f"The data folder {folder} cannot be used: {error.strerror}: {where}.") from None


def _take_locks(folder: Path) -> tuple[int, int]:
    """The locks of the folder and of its lock file, as descriptors."""
    began = told = time.monotonic()
    while True:
        locks: list[int] = []
        try:
            for path, flags in ((folder, os.O_RDONLY | os.O_DIRECTORY), (folder / "_lock", os.O_RDWR | os.O_CREAT)):
                locks.append(os.open(path, flags | os.O_CLOEXEC, 0o600))
                fcntl.flock(locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            return locks[0], locks[1]
        except BaseException as error:
            for each in locks:
                os.close(each)
            if not isinstance(error, BlockingIOError):
                raise
        holder, now = holder_of(folder), time.monotonic()
        if holder and holder.brief:
            if told == began or now - told > _TOLD_EVERY_S:
                log.info("waiting for process %d, which owns %s while a command runs", holder.pid, folder)
                told = now
        elif now - began > _LOOKERS_S:
            raise FolderInUse(f"{folder} is in use by {_described(holder)}.")
        time.sleep(_LOOK_EVERY_S)


def _described(holder: Holder | None) -> str:
    if holder is None:
        return "another process, which is just starting or stopping; try again in a moment"
    if holder.url:
        return f"process {holder.pid}, which serves it at {holder.url}. Talk to it there, or stop it first"
    return f"process {holder.pid}, which opened it in Python. It is free when that process closes it"


def holder_of(folder: Path) -> Holder | None:
    """The present owner of the folder; None if there is no owner, or it is not known who it is."""
    path = folder / "_lock"
    if not (_is_locked(path, os.O_RDWR) or _is_locked(folder, os.O_RDONLY | os.O_DIRECTORY)):
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _is_locked(path: Path, flags: int) -> bool:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


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
        version = None
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}.") from None
    if type(version) is not int or version < 1:
        raise FolderError(
            f"{path} does not hold the version of a data folder. Nothing was changed. Restore it from a back-up, or "
            "let `dw doctor --repair` find out what it was."
        )
    if version > FORMAT:
        raise FormatTooNew(
            f"{folder} has format {version}, written by a newer release; this one reads up to {FORMAT}. Nothing was "
            "changed. Install the newer release: pip install --upgrade serverless-datawarehouse."
        )
    return version


def _bring_up_to_date(folder: Path, upgrades: Mapping[int, Upgrade]) -> None:
    if not (folder / "FORMAT").exists():
        others = [path.name for path in folder.iterdir() if path.name not in ("_lock", "FORMAT" + ASIDE_SUFFIX)]
        if catalog_path(folder).exists():
            raise FolderError(
                f"{folder} has a catalog and no file FORMAT, which says the version of a data folder. Nothing was "
                "changed. Restore the file from a back-up, or let `dw doctor --repair` find out what it was."
            )
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
