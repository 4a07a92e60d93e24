"""The SQLite file of a catalog: opened to write by one process, to read by any."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datawarehouse.catalog.schema import SCHEMA


class Store:
    """A connection that several threads use in turn."""

    def __init__(self, path: Path, *, writable: bool, synced: bool = True) -> None:
        """synced: whether a commit survives a power loss; only tests do without."""
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
        """All reads inside see the catalog as it is now."""
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
        """Change something; inside `transaction` only."""
        return self._db.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """The same statement for each row; inside `transaction` only."""
        self._db.executemany(sql, rows)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()
