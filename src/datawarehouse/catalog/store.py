"""The SQLite file of a catalog: one process opens it for writing, any process for reading."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from datawarehouse.catalog import commits
from datawarehouse.catalog.commits import CommitLog, Statement
from datawarehouse.catalog.schema import SCHEMA
from datawarehouse.durable import LOCAL_DISK, make_folder
from datawarehouse.errors import CatalogDamaged

StoreError = sqlite3.Error
"""What SQLite raises when it cannot read or write, for instance because the disk is full."""

_CHECKED_BYTES_MAX = 8 * 1024 * 1024
"""A larger catalog is not read as a whole at each opening: its damage is found when it is read."""

_HELP = "Nothing was changed. `dw doctor --data {folder}` says what can be done."


class Store:
    """A connection that several threads share, one at a time."""

    def __init__(self, path: Path, *, writable: bool, new: bool = False, synced: bool = True) -> None:
        """new: make the file if it is missing. synced: whether a commit survives a power loss; it is false only in
        tests.

        Raises CatalogDamaged, and then has changed nothing.
        """
        self._lock = threading.RLock()
        self._path = path
        self._commits = commits_folder(path)
        self._log: CommitLog | None = None
        self._statements: list[Statement] = []
        if not new:
            check_there(path, writable)
        self._has_wal = _wal_of(path).exists()
        try:
            mode = "rwc" if new else "rw" if writable else "ro"
            try:
                self._db = self._connected(path, mode, writable, new, synced)
            except sqlite3.OperationalError as error:
                # SQLite makes files beside a catalog that nobody has open, which a read-only file system refuses.
                beside = (_wal_of(path), path.with_name(path.name + "-journal"))
                if writable or not _is_refused(error) or any(each.exists() for each in beside):
                    raise
                self._db = self._connected(path, "ro&immutable=1", writable, new, synced)
        except BaseException as error:
            _remove_empty_wal(path, self._has_wal)
            if isinstance(error, sqlite3.DatabaseError):
                raise CatalogDamaged(f"The catalog {path} cannot be read: {error}. {_help(path)}") from None
            raise

    def _connected(self, path: Path, mode: str, writable: bool, new: bool, synced: bool) -> sqlite3.Connection:
        if not new:
            _undo_unfinished(path)
        if writable and not new:  # a connection that can write may change the files as soon as it is closed
            with closing(_connect(path, "ro")) as db:
                _check_made(db, path)
                _check_sound(db, path)
                _check_complete(db, path)
        db = _connect(path, mode)
        try:
            if not new:
                _check_made(db, path)
            if writable:
                db.execute(f"pragma synchronous = {'full' if synced else 'off'}")
                if not _is_made(db):
                    db.executescript(f"begin immediate; {SCHEMA} commit;")
        except BaseException:
            _leave(db, path)
            raise
        return db

    def close(self) -> None:
        with self._lock:
            if self._log:
                self._log.close()
                with suppress(StoreError):  # so that the one file has everything, though others may still read it
                    self._db.execute("pragma wal_checkpoint(truncate)")
            self._db.close()

    def leave(self) -> None:
        """Close without moving the write-ahead log into the file, so that both stay as they were found."""
        with self._lock:
            _leave(self._db, self._path)
            _remove_empty_wal(self._path, self._has_wal)
            if self._log:
                self._log.close()

    @property
    def number(self) -> int:
        """The number of the last commit."""
        return int(self.rows("select number from commits")[0][0])

    def snapshot_if_due(self, bytes_max: int | None = None) -> bool:
        """Copy the catalog if the log of commits is large or has a gap; returns whether it was copied.

        bytes_max: do it later if the catalog is larger.
        """
        if self._log is None or not self._log.needs_snapshot:
            return False
        if bytes_max is not None and self._path.stat().st_size > bytes_max:
            return False
        with self._lock:
            self._log.begin(self.number)
            self._log.is_whole = True  # with the copy; a commit that cannot be noted meanwhile makes a gap after it
        try:
            commits.snapshot(self._path, self._commits)
        except BaseException:
            self._log.is_whole = False
            raise
        return True

    @contextmanager
    def moment(self) -> Iterator[None]:
        """All reads inside the context see the catalog as it is at its beginning."""
        with self._lock:
            try:
                self._db.execute("begin")
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("rollback")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is executed inside the context is done completely, or not at all if an exception leaves it."""
        with self._lock:
            if self._log is None:
                self._db.execute("pragma journal_mode = wal")
                make_folder(LOCAL_DISK, self._path.parent, self._commits)
                self._log = CommitLog(self._commits, self.number)
            self._statements = []
            try:
                self._db.execute("begin immediate")
                yield
                if self._statements:
                    self._db.execute("update commits set number = number + 1")
                number = self._db.execute("select number from commits").fetchone()[0]
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:  # SQLite undoes some of what fails by itself
                    self._db.execute("rollback")
                raise
            if self._statements:
                self._log.append(number, self._statements)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute a statement; one that changes data only inside `transaction`."""
        if not sql.startswith("select"):
            self._statements.append((sql, False, parameters))
        return self._db.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute the same statement for each row; only inside `transaction`."""
        values = list(rows)
        if values:
            self._statements.append((sql, True, values))
            self._db.executemany(sql, values)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Raises CatalogDamaged if the catalog cannot be read because of damage."""
        with self._lock:
            try:
                return self._db.execute(sql, parameters).fetchall()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
                raise _damaged(self._path, error) from None


def _wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _leave(db: sqlite3.Connection, path: Path) -> None:
    """Close a connection that has changed nothing. The last one to be closed moves the write-ahead log into the file,
    and removes what it cannot read of it, unless it may only read."""
    with suppress(sqlite3.Error), closing(_connect(path, "ro")) as last:
        last.execute("select 1 from sqlite_schema").fetchone()
        db.close()
    db.close()


def _remove_empty_wal(path: Path, had_wal: bool) -> None:
    """Remove what SQLite makes beside a catalog that it looks at."""
    wal = _wal_of(path)
    if not had_wal and wal.exists() and not wal.stat().st_size:
        wal.unlink()
        path.with_name(path.name + "-shm").unlink(missing_ok=True)


def commits_folder(path: Path) -> Path:
    """The folder of the snapshot and the log of a catalog."""
    return path.with_name("_commits")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    db.execute("pragma busy_timeout = 10000")
    return db


def _undo_unfinished(path: Path) -> None:
    """Let SQLite undo what a dead process had not finished in a catalog without a write-ahead log. A connection that
    may only read cannot do it, and would see a half of it if it took the file for one that nobody changes."""
    if path.with_name(path.name + "-journal").exists() and os.access(path, os.W_OK):
        with closing(_connect(path, "rw")) as db:
            db.execute("select 1 from sqlite_schema").fetchone()


def _is_refused(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def _is_made(db: sqlite3.Connection) -> bool:
    return bool(db.execute("select 1 from sqlite_schema where name = 'commits'").fetchone())


def _help(path: Path) -> str:
    return _HELP.format(folder=path.parent)


def check_there(path: Path, writable: bool) -> None:
    """Raises CatalogDamaged if a catalog is missing or this user may not use it.

    This is asked before SQLite is, which leaves files behind also where it fails.
    """
    if not path.exists():
        raise CatalogDamaged(f"The catalog {path} is missing, and its data folder is not empty. {_help(path)}")
    if not path.is_file() or not os.access(path, os.R_OK):
        raise CatalogDamaged(f"The catalog {path} cannot be read: give this user the right to read the file.")
    if writable and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise CatalogDamaged(f"The catalog {path} cannot be written: give this user the right to write it.")


def _check_made(db: sqlite3.Connection, path: Path) -> None:
    """Raises CatalogDamaged if a catalog has not the tables of this release."""
    if not _is_made(db):
        is_empty = not db.execute("select 1 from sqlite_schema").fetchone()
        what = "is empty, and its data folder is not" if is_empty else "is of another release"
        raise CatalogDamaged(f"The catalog {path} {what}. {_help(path)}")


def _check_sound(db: sqlite3.Connection, path: Path) -> None:
    """Raises CatalogDamaged if the pages of a small catalog do not fit each other."""
    if path.stat().st_size <= _CHECKED_BYTES_MAX:
        found = db.execute("pragma quick_check(1)").fetchone()[0]
        if found != "ok":
            raise _damaged(path, found)


def _damaged(path: Path, problem: object) -> CatalogDamaged:
    said = " ".join(str(problem).split())
    return CatalogDamaged(f"The catalog {path} is damaged: {said}. {_help(path)}")


def _check_complete(db: sqlite3.Connection, path: Path) -> None:
    """Raises CatalogDamaged if commits are missing that were noted outside the catalog."""
    number = db.execute("select number from commits").fetchone()[0]
    noted = commits.last_commit(commits_folder(path)) or 0
    if noted > number:
        raise CatalogDamaged(
            f"The catalog {path} is older than its data: it ends with commit {number}, and commit {noted} was made. "
            "It may have been put back from a copy, or lost its write-ahead log (the file beside it that ends in "
            f"-wal). {_help(path)}"
        )
