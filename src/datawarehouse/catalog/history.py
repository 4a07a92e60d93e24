"""The history of queries, and what each workgroup has read today: a file of its own beside the catalog, of which a
power loss may take the last entries.

One process writes it, the owner that serves; any process reads it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.durable import ASIDE_SUFFIX
from datawarehouse.errors import FolderError

log = logging.getLogger("datawarehouse")

ENTRIES_MAX = 50_000
"""Of more, the oldest go: with texts of TEXT_CHARACTERS_MAX that is some 200 MB at the most."""
TEXT_CHARACTERS_MAX = 4096
_SCHEMA = """
create table if not exists queries (
    number integer primary key, id text unique, who text, workgroup text, sql text, full_scan integer,
    asked_ms integer, started_ms integer, ended_ms integer, outcome text,
    partitions integer, files integer, bytes integer, rows integer, error text
);
create table if not exists spent (day text, workgroup text, bytes integer, primary key (day, workgroup));
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One query. outcome: "running" (or waiting), "succeeded", "failed", "ended" (by somebody) or "interrupted" (the
    owner ended before the query did). partitions, files, bytes: what it read. error: why it has no result."""

    id: str
    who: str
    workgroup: str
    sql: str
    full_scan: bool
    asked_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    outcome: str = "running"
    partitions: int = 0
    files: int = 0
    bytes: int = 0
    rows: int = 0
    error: str | None = None


class History:
    """Writes the history. Any thread may call it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; one that is damaged is moved aside. Raises OSError or sqlite3.Error."""
        path.parent.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._db = _opened(path)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
            log.error("%s cannot be read (%s); it is moved aside, and the history of queries begins anew", path, error)
            path.replace(path.with_name(path.name + ASIDE_SUFFIX))
            self._db = _opened(path)
        with self._transaction():
            self._db.execute("update queries set outcome = 'interrupted' where outcome = 'running'")

    def put(self, entry: Entry) -> None:
        """Store a query, in the place of what was stored of it before. Raises sqlite3.Error."""
        text = entry.sql[:TEXT_CHARACTERS_MAX]
        values = (
            entry.id, entry.who, entry.workgroup, text, entry.full_scan, entry.asked_ms, entry.started_ms,
            entry.ended_ms, entry.outcome, entry.partitions, entry.files, entry.bytes, entry.rows, entry.error,
        )  # fmt: skip
        with self._transaction():
            # Clients may choose ids: a query that has the id of an earlier one takes nothing of it but the id.
            self._db.execute(
                "update queries set id = id || '-' || number where id = ? and (who, asked_ms) <> (?, ?)",
                (entry.id, entry.who, entry.asked_ms),
            )
            self._db.execute(
                "insert into queries values (null, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update"
                " set started_ms = excluded.started_ms, ended_ms = excluded.ended_ms, outcome = excluded.outcome,"
                " partitions = excluded.partitions, files = excluded.files, bytes = excluded.bytes,"
                " rows = excluded.rows, error = excluded.error",
                values,
            )
            self._db.execute(
                "delete from queries where number <= (select max(number) from queries) - ?", (ENTRIES_MAX,)
            )

    def spend(self, day: str, workgroup: str, bytes: int, bytes_max: int) -> int | None:
        """Count bytes for a workgroup unless its day would have more than `bytes_max` then: None, or what is left if
        that is too little. Raises sqlite3.Error."""
        with self._transaction():
            self._db.execute("delete from spent where day < ?", (day,))
            found = self._db.execute(
                "select bytes from spent where day = ? and workgroup = ?", (day, workgroup)
            ).fetchone()
            left = bytes_max - (found[0] if found else 0)
            if bytes > left:
                return max(left, 0)
            self._add(day, workgroup, bytes)
            return None

    def give_back(self, day: str, workgroup: str, bytes: int) -> None:
        """Count so many bytes less, which were not read. Raises sqlite3.Error."""
        with self._transaction():
            self._add(day, workgroup, -bytes)

    def _add(self, day: str, workgroup: str, bytes: int) -> None:
        self._db.execute(
            "insert into spent values (?, ?, ?) on conflict do update set bytes = spent.bytes + excluded.bytes",
            (day, workgroup, bytes),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def close(self) -> None:
        with self._lock:
            self._db.close()


def entries(path: Path) -> list[Entry]:
    """What a file has, the oldest first; nothing if there is none. Raises FolderError."""
    if not path.exists():
        return []
    with _read_only(path) as db:
        rows = db.execute("select * from queries order by number")
        return [Entry(*row[1:]) for row in rows]


def latest(path: Path, who: str | None, before: int, limit: int) -> list[tuple[int, Entry]]:
    """The latest entries before a number, with their numbers, the newest first. who: whose; None: everybody's.
    Raises FolderError."""
    if not path.exists():
        return []
    with _read_only(path) as db:
        rows = db.execute(
            "select * from queries where number < ?1 and (?2 is null or who = ?2) order by number desc limit ?3",
            (before, who, limit),
        )
        return [(row[0], Entry(*row[1:])) for row in rows]


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            yield db
    except sqlite3.Error as error:
        raise FolderError(
            f"The history of queries in {path} cannot be read: {error}. Nothing else depends on it. If it is damaged, "
            "`dw stop` and `dw up` move it aside and begin a new one."
        ) from None


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = off")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db
