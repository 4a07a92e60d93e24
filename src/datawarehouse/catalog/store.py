"""The SQLite file of a catalog: one process opens it for writing, any process for reading."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datawarehouse.catalog.schema import SCHEMA


class Store:
    """A connection that several threads share, one at a time."""

    def __init__(self, path: Path, *, writable: bool, synced: bool = True) -> None:
        """synced: whether a commit survives a power loss; it is false only in tests."""
        self._lock = threading.RLock()
        mode = "rwc" if writable else "ro"
        self._db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        self._db.execute("pragma busy_timeout = 10000")
        if writable:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute(f"pragma synchronous = {'full' if synced else 'off'}")
            if not self._db.execute("select 1 from sqlite_schema where name = 'tables'").fetchone():
                self._db.executescript(f"begin immediate; {SCHEMA} commit;")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def moment(self) -> Iterator[None]:
        """All reads inside the context see the catalog as it is at its beginning."""
        with self.transaction("begin"):
            yield

    @contextmanager
    def transaction(self, begin: str = "begin immediate") -> Iterator[None]:
        with self._lock:
            self._db.execute(begin)
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # SQLite undoes some of what fails by itself
                    self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute a statement that changes data; only inside `transaction`."""
        return self._db.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute the same statement for each row; only inside `transaction`."""
        self._db.executemany(sql, rows)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()
