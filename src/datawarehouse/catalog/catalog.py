"""The catalog: which tables there are, which files are live, how far each stream is converted.

One process, the owner, writes; any process reads, without locking it (SQLite, write-ahead log). A commit is durable
when it returns (synchronous=FULL). Files and the converted position change in one transaction, so that a record is
in a live file exactly if its position is converted.

Files that a merge replaced are retired: no longer live, and deleted only after a grace that is longer than the
longest query, because a query reads the list of files once.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datawarehouse.catalog.evolution import problems
from datawarehouse.catalog.schema import SCHEMA
from datawarehouse.definition.tables import Column, StreamingInputTable, Table
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import SchemaChangeRefused

ROWS = "rows"  # the kind of a data file of rows; see parquet/footer.py


@dataclass(frozen=True, slots=True)
class File:
    """A live or retired data file; `path` is relative to the root of the lake."""

    table: str
    kind: str
    partition: str
    path: str
    schema_version: int
    spans: list[tuple[int, int]]
    records: int
    rows: int
    bytes: int
    id: int = 0
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class Converted:
    """How far a stream is converted: the position in its journal, the next record, when the last one arrived."""

    position: int
    next_record: int
    arrival_ms: int


@dataclass(frozen=True, slots=True)
class HourEntry:
    """What one commit adds to the ledger of a partition, in records and rows."""

    partition: str
    received: int
    stored: int
    rows: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The ledger and the live files of a table, summed over its partitions."""

    received: int
    stored: int
    rows: int
    rejected: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of a job. outcome: "running", "succeeded", "failed" or "interrupted" (the owner died meanwhile)."""

    id: int
    job: str
    scheduled_ms: int
    partition: str
    attempt: int
    cause: str
    started_ms: int
    ended_ms: int | None
    outcome: str
    rows: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table as the catalog knows it; `columns[v]` are the columns of schema version v."""

    name: str
    kind: str
    partition_keys: tuple[Column, ...]
    data_format: str
    schema_version: int
    columns: Mapping[int, tuple[Column, ...]]


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that a user registered; `location` None stands for its folder below the table's."""

    values: tuple[str, ...]
    location: str | None


class Catalog:
    """The catalog of one data folder. One writer; a reader needs no lock and blocks nobody."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        self._lock = threading.RLock()
        mode = "rwc" if writable else "ro"
        self._db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        self._db.execute("pragma busy_timeout = 10000")
        if writable:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            if not self._db.execute("select 1 from sqlite_schema where name = 'tables'").fetchone():
                self._db.executescript(f"begin immediate; {SCHEMA} commit;")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def moment(self) -> Iterator[None]:
        """All reads inside see the catalog as it is now."""
        with self._transaction("begin"):
            yield

    @contextmanager
    def _transaction(self, begin: str = "begin immediate") -> Iterator[None]:
        with self._lock:
            self._db.execute(begin)
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()

    # -- tables

    def declare(self, warehouse: str, tables: Sequence[Table]) -> None:
        """Take over a declaration. Raises SchemaChangeRefused, with all that is in the way, and changes nothing."""
        with self._transaction():
            self._db.execute("delete from warehouse")
            self._db.execute("insert into warehouse values (?)", (warehouse,))
            stored = {table.name: table for table in self._tables("")}
            refused = [
                fault for table in tables if table.name in stored for fault in _faults(stored[table.name], table)
            ]
            if refused:
                raise SchemaChangeRefused(
                    "The declaration no longer fits the data that is stored:\n- "
                    + "\n- ".join(refused)
                    + "\nNothing was changed. Mend the declaration, or open another data folder."
                )
            self._db.execute("update tables set declared = 0")
            for table in tables:
                self._declare(stored.get(table.name), table)

    def _declare(self, stored: StoredTable | None, table: Table) -> None:
        version = stored.schema_version if stored else 0
        if not stored or stored.columns[version] != table.columns:
            version += 1
            self._db.execute("insert into schemas values (?, ?, ?)", (table.name, version, _to_json(table.columns)))
        row = (table.name, table.kind, _to_json(table.partition_keys), table.data_format, version)
        self._db.execute("insert or replace into tables values (?, ?, ?, ?, ?, 1)", row)
        if isinstance(table, StreamingInputTable):
            self._db.execute("insert or ignore into streams values (?, 0, 0, 0)", (table.name,))

    def warehouse_name(self) -> str:
        return str(self._rows("select name from warehouse")[0][0])

    def tables(self) -> list[StoredTable]:
        """The declared tables, by name."""
        return self._tables("where declared")

    def undeclared(self) -> list[str]:
        """The names of tables that have data and are no longer declared."""
        return [name for (name,) in self._rows("select name from tables where not declared order by name")]

    def _tables(self, where: str) -> list[StoredTable]:
        columns: dict[str, dict[int, tuple[Column, ...]]] = {}
        for name, version, text in self._rows("select * from schemas"):
            columns.setdefault(name, {})[version] = _from_json(text)
        return [
            StoredTable(name, kind, _from_json(keys), data_format, version, columns[name])
            for name, kind, keys, data_format, version, _ in self._rows(f"select * from tables {where} order by name")
        ]

    # -- streams

    def converted(self, table: str) -> Converted:
        row = self._rows("select position, next_record, arrival_ms from streams where table_name = ?", (table,))[0]
        return Converted(*row)

    # -- files

    def commit_batch(
        self, table: str, files: Iterable[File], hours: Iterable[HourEntry], reached: Converted, now_ms: int
    ) -> None:
        """Make the files of a batch live and its position converted, in one transaction."""
        with self._transaction():
            self._add_files(files, now_ms, fresh=True)
            self._db.execute(
                "update streams set position = ?, next_record = ?, arrival_ms = ? where table_name = ?",
                (reached.position, reached.next_record, reached.arrival_ms, table),
            )
            self._db.executemany(
                "insert into ledger (table_name, partition, received_records, stored_records, stored_rows,"
                " rejected_records) values (?, ?, ?, ?, ?, ?) on conflict do update set"
                " received_records = received_records + excluded.received_records,"
                " stored_records = stored_records + excluded.stored_records,"
                " stored_rows = stored_rows + excluded.stored_rows,"
                " rejected_records = rejected_records + excluded.rejected_records",
                [(table, hour.partition, hour.received, hour.stored, hour.rows, hour.rejected) for hour in hours],
            )

    def commit_merge(self, retired: Sequence[File], merged: File, now_ms: int, *, fresh: bool) -> None:
        """Put one file in the place of several, in one transaction."""
        with self._transaction():
            self._db.executemany(
                "update files set retired_ms = ? where id = ?", [(now_ms, file.id) for file in retired]
            )
            self._add_files([merged], now_ms, fresh=fresh)

    def mark_merged(self, files: Iterable[File]) -> None:
        """Note that these files need no merge any more."""
        with self._transaction():
            self._db.executemany("update files set fresh = 0 where id = ?", [(file.id,) for file in files])

    def _add_files(self, files: Iterable[File], now_ms: int, *, fresh: bool) -> None:
        self._db.executemany(
            "insert into files (table_name, kind, partition, path, schema_version, spans, records, row_count, bytes,"
            " fresh, created_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    file.table,
                    file.kind,
                    file.partition,
                    file.path,
                    file.schema_version,
                    json.dumps(file.spans),
                    file.records,
                    file.rows,
                    file.bytes,
                    fresh,
                    now_ms,
                )
                for file in files
            ],
        )

    def fresh_files(self, table: str) -> list[File]:
        """The live files that no merge has made yet, oldest first."""
        return self._files("table_name = ? and fresh and retired_ms is null order by partition, id", (table,))

    def partitions_between(self, table: str, kind: str, low: str | None, high: str | None) -> list[str]:
        """The partitions that have live files, from `low` to `high`, both inclusive and open if None."""
        rows = self._rows(
            "select distinct partition from files indexed by files_live"
            " where table_name = ? and kind = ? and retired_ms is null and partition between ? and ?",
            (table, kind, low or "", "\U0010ffff" if high is None else high),
        )
        return [partition for (partition,) in rows]

    def live_paths(self, table: str, kind: str, partitions: Sequence[str]) -> list[tuple[str, int, int]]:
        """(path, schema version, bytes) of the live files of these partitions: what a query needs of them."""
        found: list[tuple[str, int, int]] = []
        for start in range(0, len(partitions), 1000):
            chosen = partitions[start : start + 1000]
            found += self._rows(
                "select path, schema_version, bytes from files where table_name = ? and kind = ?"
                f" and partition in ({','.join('?' * len(chosen))}) and retired_ms is null order by partition, id",
                (table, kind, *chosen),
            )
        return found

    def live_files(self, table: str, kind: str, partitions: Sequence[str]) -> list[File]:
        """The live files of these partitions, in their order."""
        found: list[File] = []
        for start in range(0, len(partitions), 1000):
            chosen = partitions[start : start + 1000]
            marks = ",".join("?" * len(chosen))
            found += self._files(
                f"table_name = ? and kind = ? and partition in ({marks}) and retired_ms is null order by partition, id",
                (table, kind, *chosen),
            )
        return found

    def retired_before(self, instant_ms: int) -> list[File]:
        """Files that were retired before an instant."""
        return self._files("retired_ms < ?", (instant_ms,))

    def forget(self, files: Iterable[File]) -> None:
        """Drop the rows of retired files that were deleted."""
        with self._transaction():
            self._db.executemany("delete from files where id = ?", [(file.id,) for file in files])

    def paths(self) -> set[str]:
        """The paths of all files, live and retired."""
        return {path for (path,) in self._rows("select path from files")}

    def _files(self, where: str, parameters: Sequence[Any]) -> list[File]:
        rows = self._rows(
            "select table_name, kind, partition, path, schema_version, records, row_count, bytes, id, created_ms, spans"
            f" from files where {where}",
            parameters,
        )
        return [
            File(table, kind, partition, path, version, [(a, b) for a, b in json.loads(spans)], *numbers)
            for table, kind, partition, path, version, *numbers, spans in rows
        ]

    # -- partitions of user-filled tables

    def register_partition(self, table: str, values: Sequence[str], location: str | None) -> None:
        with self._transaction():
            self._db.execute(
                "insert or replace into partitions values (?, ?, ?)", (table, json.dumps(list(values)), location)
            )

    def registered_partitions(self, table: str) -> list[Partition]:
        rows = self._rows("select key, location from partitions where table_name = ? order by key", (table,))
        return [Partition(tuple(json.loads(key)), location) for key, location in rows]

    # -- runs of jobs

    def start_run(self, job: str, scheduled_ms: int, partition: str, *, attempt: int, cause: str, now_ms: int) -> int:
        """Note that a run starts; its id."""
        with self._transaction():
            cursor = self._db.execute(
                "insert into runs (job, scheduled_ms, partition, attempt, cause, started_ms, outcome)"
                " values (?, ?, ?, ?, ?, ?, 'running')",
                (job, scheduled_ms, partition, attempt, cause, now_ms),
            )
            return int(cursor.lastrowid or 0)

    def fail_run(self, run: int, error: str, now_ms: int) -> None:
        """Note that a run failed. What its partitions held stays."""
        with self._transaction():
            self._end_run(run, "failed", None, error, now_ms)

    def commit_run(self, run: int, table: str, partitions: Sequence[str], files: Sequence[File], now_ms: int) -> None:
        """Put a run's files in the place of what its partitions held, and note its success, in one transaction."""
        with self._transaction():
            self._db.executemany(
                "update files set retired_ms = ? where table_name = ? and kind = ? and partition = ?"
                " and retired_ms is null",
                [(now_ms, table, ROWS, partition) for partition in partitions],
            )
            self._add_files(files, now_ms, fresh=False)
            self._end_run(run, "succeeded", sum(file.rows for file in files), None, now_ms)

    def _end_run(self, run: int, outcome: str, rows: int | None, error: str | None, now_ms: int) -> None:
        self._db.execute(
            "update runs set outcome = ?, row_count = ?, error = ?, ended_ms = ? where id = ?",
            (outcome, rows, error, now_ms, run),
        )

    def interrupt_runs(self, now_ms: int) -> None:
        """Note that what ran when an owner died did not succeed."""
        with self._transaction():
            self._db.execute(
                "update runs set outcome = 'interrupted', ended_ms = ? where outcome = 'running'", (now_ms,)
            )

    def run(self, run: int) -> Run:
        return self._runs("id = ?", (run,))[0]

    def runs(self, job: str | None = None, limit: int = 100) -> list[Run]:
        """The latest runs, of one job or of all, the newest first."""
        return self._runs("?1 is null or job = ?1 order by id desc limit ?2", (job, limit))

    def _runs(self, where: str, parameters: Sequence[Any]) -> list[Run]:
        rows = self._rows(
            "select id, job, scheduled_ms, partition, attempt, cause, started_ms, ended_ms, outcome, row_count, error"
            f" from runs where {where}",
            parameters,
        )
        return [Run(*row) for row in rows]

    def schedule_from(self, job: str, instant_ms: int) -> None:
        """Begin the schedule of a job that is seen for the first time."""
        with self._transaction():
            self._db.execute("insert or ignore into schedules values (?, ?)", (job, instant_ms))

    def schedule_reached(self, job: str) -> int:
        """The instant up to which a job's schedule was attended to."""
        return int(self._rows("select reached_ms from schedules where job = ?", (job,))[0][0])

    def reach_schedule(self, job: str, instant_ms: int) -> None:
        with self._transaction():
            self._db.execute("update schedules set reached_ms = ? where job = ?", (instant_ms, job))

    # -- accounts

    def totals(self, table: str) -> Totals:
        ledger = self._rows(
            "select total(received_records), total(stored_records), total(stored_rows), total(rejected_records)"
            " from ledger where table_name = ?",
            (table,),
        )[0]
        files = self._rows(
            "select count(*), total(bytes) from files where table_name = ? and retired_ms is null", (table,)
        )[0]
        return Totals(*map(int, (*ledger, *files)))


def _faults(stored: StoredTable, table: Table) -> list[str]:
    faults = []
    if stored.kind != table.kind:
        faults.append(f"it was a {stored.kind} and is now a {table.kind}: give the new one another name")
    if stored.partition_keys != table.partition_keys:
        was, now = (
            ", ".join(f"{key.name} {key.type}" for key in keys) or "none"
            for keys in (stored.partition_keys, table.partition_keys)
        )
        faults.append(f"its partition keys were {was} and are now {now}: keep them, or give the new table another name")
    if stored.data_format != table.data_format:
        faults.append(f"its files are {stored.data_format} and the declaration says {table.data_format}")
    if table.kind != Table.kind:  # the files of the others are the user's own
        faults += problems(stored.columns[stored.schema_version], table.columns)
    return [f"table {table.name!r}: {fault}" for fault in faults]


def _to_json(columns: Iterable[Column]) -> str:
    return json.dumps([[column.name, str(column.type)] for column in columns])


def _from_json(text: str) -> tuple[Column, ...]:
    return tuple(Column(name, parse_type(kind)) for name, kind in json.loads(text))
