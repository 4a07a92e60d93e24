"""The data folder: what is in it, which release may open it, and who owns it.

    FORMAT            the version of the layout
    _lock             held by the owner; says who it is (pid, address, token)
    _catalog.sqlite   the catalog
    _commits/         a second record of what the catalog holds
    _alerts.json      the alerts that are on, and those on their way to a receiver
    _keys.json        who may send and ask; holds secrets, mode 0600
    _journal/<table>/ the journals
    _queries/         the history of queries, those that somebody saved, and results that are kept for a while
    _scratch/         what keys have made of the results of their statements
    _sent/            how far each file was sent; written by `dw send`
    _aside/           files that were set aside, each under the path that it had
    _tpch/            tables of the benchmark TPC-H, made when somebody asks for them
    _restoring        there until a back-up is restored completely
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

from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, remove, replace
from datawarehouse.errors import FolderError, FolderInUse, FormatTooNew

FORMAT = 5

Upgrade = Callable[[Path], None]

log = logging.getLogger("datawarehouse")

_LOOKERS_S = 0.1  # a process that looks whether there is an owner holds the lock for a moment
_LOOK_EVERY_S = 0.01
_TOLD_EVERY_S = 30.0


class Holder(msgspec.Struct, frozen=True):
    """The owner of a folder. url and token are empty if the owner has no server.

    query_time_max_s: files that the owner retires stay for longer than this, so that no query loses a file. brief:
    whether it owns the folder only while one command runs. certificate: the SHA-256 of the certificate that it serves
    TLS with, in hexadecimal digits.
    """

    pid: int
    url: str = ""
    token: str = ""
    query_time_max_s: int | None = None
    brief: bool = False
    certificate: str = ""


def catalog_path(folder: Path) -> Path:
    return folder / "_catalog.sqlite"


def alerts_path(folder: Path) -> Path:
    return folder / "_alerts.json"


def queries_root(folder: Path) -> Path:
    return folder / "_queries"


def history_path(folder: Path) -> Path:
    return queries_root(folder) / "history.sqlite"


def saved_queries_path(folder: Path) -> Path:
    return queries_root(folder) / "saved.json"


def named_queries_path(folder: Path) -> Path:
    return queries_root(folder) / "named.json"


def keys_path(folder: Path) -> Path:
    return folder / "_keys.json"


def journal_root(folder: Path) -> Path:
    return folder / "_journal"


def scratch_root(folder: Path) -> Path:
    return folder / "_scratch"


def sent_root(folder: Path) -> Path:
    return folder / "_sent"


def tpch_root(folder: Path) -> Path:
    return folder / "_tpch"


def aside_root(folder: Path) -> Path:
    return folder / "_aside"


def restoring_path(folder: Path) -> Path:
    return folder / "_restoring"


def check_restored(folder: Path) -> None:
    """Raises FolderError for what a restore left that was not finished: it is no data folder, and no damaged one."""
    if restoring_path(folder).exists() and not (folder / "FORMAT").exists():
        raise FolderError(
            f"{folder} holds a back-up that was not restored to its end, and cannot be opened or repaired: the rest of "
            f"it is still in the back-up. Remove what is in {folder}, and restore again with `dw restore`."
        )


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
            bring_up_to_date(self.folder, upgrades)
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
        hint = ""
        if isinstance(error, IsADirectoryError | NotADirectoryError) and folder.is_dir():
            hint = f" Nothing was changed. `dw doctor --data {folder}` says what can be done."
        raise FolderError(f"The data folder {folder} cannot be used: {error.strerror}: {where}.{hint}") from None


@contextlib.contextmanager
def owned_as_it_is(folder: Path) -> Iterator[None]:
    """Own a folder while it is repaired, whatever is wrong with it. Raises FolderInUse or FolderError."""
    with _plainly(folder), contextlib.ExitStack() as opened:
        if (folder / "_lock").is_dir():
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderInUse(f"{folder} is in use by {_described(None)}.") from None
            set_aside(folder, "_lock")
            fcntl.flock(lock, fcntl.LOCK_UN)
        for each in _take_locks(folder):
            opened.callback(os.close, each)
        (folder / "_lock").write_bytes(msgspec.json.encode(Holder(os.getpid(), brief=True)))
        opened.callback((folder / "_lock").write_bytes, b"")
        yield


def set_aside(folder: Path, path: str) -> Path:
    """Move what is at `path` in a data folder to `_aside/`, under the path that it had; returns where it is."""
    target = aside_root(folder) / path
    make_folder(LOCAL_DISK, folder, target.parent)
    number = 0
    while target.exists():
        number += 1
        target = target.with_name(f"{Path(path).stem}.{number}{Path(path).suffix}")
    LOCAL_DISK.rename(folder / path, target)
    LOCAL_DISK.sync_folder(target.parent)
    LOCAL_DISK.sync_folder((folder / path).parent)
    return target


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
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
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
    check_restored(folder)
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
        raise FolderError(
            f"{path} cannot be read: {error.strerror}. Nothing was changed. `dw doctor --data {folder}` says what can "
            "be done."
        ) from None
    if type(version) is not int or version < 1:
        raise FolderError(
            f"{path} does not hold the version of a data folder. Nothing was changed. Restore it from a back-up, or "
            f"let `dw doctor --repair --data {folder}` find out what it was."
        )
    if version > FORMAT:
        raise FormatTooNew(
            f"{folder} has format {version}, written by a newer release; this one reads up to {FORMAT}. Nothing was "
            "changed. Install the newer release: pip install --upgrade serverless-datawarehouse."
        )
    return version


def bring_up_to_date(folder: Path, upgrades: Mapping[int, Upgrade]) -> None:
    """Upgrade a folder to this release, or make a new one. Raises FolderError, FormatTooNew or CatalogDamaged."""
    check_restored(folder)
    if (folder / "FORMAT").exists():  # it was restored last
        remove(LOCAL_DISK, [restoring_path(folder)])
    else:
        others = [path.name for path in folder.iterdir() if path.name not in ("_lock", "FORMAT" + ASIDE_SUFFIX)]
        if any(path.exists() for path in (catalog_path(folder), folder / "_commits", journal_root(folder))):
            raise FolderError(
                f"{folder} holds data and no file FORMAT, which says the version of a data folder. Nothing was changed."
                f" Restore the file from a back-up, or let `dw doctor --repair --data {folder}` find out what it was."
            )
        if others:
            raise FolderError(
                f"{folder} is not a data folder: it has no file FORMAT, but it has {', '.join(sorted(others)[:3])}. "
                "Give an empty or a new folder with --data."
            )
        write_format(folder, FORMAT)
    version = check_format(folder)
    while version < FORMAT:
        upgrades[version](folder)
        version += 1
        write_format(folder, version)


def folder_id(folder: Path) -> str:
    """What tells a data folder from others, so that a catalog of another one is noticed; empty if it is not known."""
    try:
        found = json.loads((folder / "FORMAT").read_text())
    except (OSError, ValueError):
        return ""
    return str(found.get("id", "")) if isinstance(found, dict) else ""


def write_format(folder: Path, version: int, own_id: str = "") -> None:
    """Write the file FORMAT. own_id: of the folder, if the file does not say it yet."""
    own_id = folder_id(folder) or own_id
    text = json.dumps({"format": version} | ({"id": own_id} if own_id else {}))
    replace(LOCAL_DISK, folder / "FORMAT", text.encode() + b"\n")
