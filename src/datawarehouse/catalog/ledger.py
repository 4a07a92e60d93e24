"""The parts of the catalog that only a repair writes: what is lost, and what was found in the files themselves."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datawarehouse.catalog import event_times
from datawarehouse.catalog.records import Converted, File
from datawarehouse.catalog.store import Store
from datawarehouse.definition.tables import Column, Table, to_wire


@dataclass(frozen=True, slots=True)
class _Gone:
    """What the ledger of a partition has beside what is in live files, in records and rows."""

    stored: int = 0
    rejected: int = 0
    rows: int = 0
    deduplicated: int = 0


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run of which output was found."""

    id: int
    job: str
    scheduled_ms: int
    partition: str
    rows: int
    ended_ms: int


class Ledger:
    def __init__(self, store: Store) -> None:
        self._store = store

    def write_off(self, files: Sequence[File]) -> None:
        """Forget live files that are lost, and count what they held as lost, in one transaction.

        They are not retired: a retired file is deleted, and one that was missing may come back, with its disk.
        """
        with self._store.transaction():
            self._store.execute_many("delete from files where id = ?", [(file.id,) for file in files])
            self._lose(
                (file.table, file.partition, *((file.rows, 0) if file.kind == "rows" else (0, file.rows)))
                for file in files
            )

    def mark_sound(self, file: File, inode: int, modified_ns: int) -> None:
        """Note that a file which was damaged is again what was written, as the file system shows it now."""
        with self._store.transaction():
            self._store.execute(
                "update files set damage = null, inode = ?, modified_ns = ? where id = ?", (inode, modified_ns, file.id)
            )

    def _lose(self, lost: Iterable[tuple[str, str, int, int]]) -> None:
        self._store.execute_many(
            "update ledger set lost_rows = lost_rows + ?, lost_records = lost_records + ?"
            " where table_name = ? and partition = ?",
            [(rows, records, table, partition) for table, partition, rows, records in lost],
        )

    def live(self, table: str) -> list[File]:
        """The live files of a table."""
        return files_where(self._store, "table_name = ? and retired_ms is null order by path", (table,))

    # -- what was found in files takes the place of what the catalog says

    def put_schemas(self, table: Table, versions: Mapping[int, Sequence[Column]]) -> None:
        """Store the columns that the files of a table have, for a table that the catalog does not know."""
        known = {version for (version,) in self._versions(table.name)}
        with self._store.transaction():
            missing = sorted(versions.keys() - known)
            self._store.execute_many(
                "insert into schemas values (?, ?, ?)",
                [(table.name, version, json.dumps(to_wire(versions[version]))) for version in missing],
            )
            if versions and not known:
                keys = json.dumps(to_wire(table.partition_keys))
                row = (table.name, table.kind, keys, table.data_format, max(versions))
                self._store.execute(
                    "insert or replace into tables (name, kind, partition_keys, data_format, schema_version, declared)"
                    " values (?, ?, ?, ?, ?, 0)",
                    row,
                )

    def _versions(self, table: str) -> list[tuple[int]]:
        return self._store.rows("select version from schemas where table_name = ?", (table,))

    def put_files(
        self,
        table: str,
        live: Sequence[File],
        retired: Sequence[File],
        *,
        fresh: Collection[str],
        deduplicated: Mapping[str, int],
        now_ms: int,
    ) -> None:
        """Let a table have exactly these files, and the ledger of their partitions say what is in them, in one
        transaction.

        fresh: the paths of those that wait for their first merge. deduplicated: for each partition, how many duplicates
        were left out of the files. What the ledger has of files that are no longer live stays: what expired, and what
        was lost.
        """
        with self._store.transaction():
            known = self._gone(table)
            self._store.execute("delete from files where table_name = ?", (table,))
            insert_files(self._store, live, fresh=fresh)
            event_times.insert(self._store, live)
            insert_files(self._store, retired, retired_ms=now_ms)
            hours: list[tuple[object, ...]] = []
            for partition in {file.partition for file in live}:
                gone = known.get(partition, _Gone())
                of_rows = [file for file in live if file.partition == partition and file.kind == "rows"]
                rejected = sum(file.rows for file in live if file.partition == partition and file.kind != "rows")
                rejected += gone.rejected
                duplicates = max(gone.deduplicated, deduplicated.get(partition, 0))
                rows = sum(file.rows for file in of_rows) + duplicates + gone.rows
                # A job's output has no records.
                stored = sum(file.records for file in of_rows if file.spans) + gone.stored
                hours.append((table, partition, stored + rejected, stored, rows, rejected, duplicates))
            self._store.execute_many(
                "insert into ledger (table_name, partition, received_records, stored_records, stored_rows,"
                " rejected_records, deduplicated_rows) values (?, ?, ?, ?, ?, ?, ?) on conflict do update set"
                " received_records = excluded.received_records, stored_records = excluded.stored_records,"
                " stored_rows = excluded.stored_rows, rejected_records = excluded.rejected_records,"
                " deduplicated_rows = excluded.deduplicated_rows",
                hours,
            )

    def _gone(self, table: str) -> dict[str, _Gone]:
        """What the ledger has of each partition beside what is in live files."""
        held = {
            partition: (stored, rejects)
            for partition, stored, rejects in self._store.rows(
                "select partition, sum(case when kind = 'rows' and spans != '[]' then records else 0 end),"
                " sum(case kind when 'rows' then 0 else row_count end) from files"
                " where table_name = ? and retired_ms is null group by partition",
                (table,),
            )
        }
        found = {}
        for partition, stored, rejected, rows, duplicates in self._store.rows(
            "select partition, stored_records, rejected_records, expired_rows + lost_rows, deduplicated_rows"
            " from ledger where table_name = ?",
            (table,),
        ):
            live_stored, live_rejects = held.get(partition, (0, 0))
            found[partition] = _Gone(max(0, stored - live_stored), max(0, rejected - live_rejects), rows, duplicates)
        return found

    def put_stream(self, table: str, reached: Converted, closed_ms: int) -> None:
        """Say up to where a stream is converted."""
        with self._store.transaction():
            self._store.execute(
                "update streams set position = ?, next_record = ?, arrival_ms = max(arrival_ms, ?),"
                " closed_ms = max(closed_ms, ?) where table_name = ?",
                (reached.position, reached.next_record, reached.arrival_ms, closed_ms, table),
            )

    def put_runs(self, runs: Sequence[FoundRun]) -> None:
        """Note runs that succeeded, unless the catalog knows them, and that their schedules were followed up to
        them."""
        with self._store.transaction():
            self._store.execute_many(
                "insert into runs values (?, ?, ?, ?, 1, 'schedule', ?, ?, 'succeeded', ?, null)"
                " on conflict do update set outcome = excluded.outcome, row_count = excluded.row_count,"
                " ended_ms = excluded.ended_ms, error = null where outcome != 'succeeded'",
                [
                    (run.id, run.job, run.scheduled_ms, run.partition, run.ended_ms, run.ended_ms, run.rows)
                    for run in runs
                ],
            )
            self._store.execute_many(
                "insert into schedules values (?, ?) on conflict do update set"
                " reached_ms = max(reached_ms, excluded.reached_ms)",
                [(run.job, run.scheduled_ms) for run in runs],
            )


def insert_files(
    store: Store, files: Iterable[File], *, fresh: Collection[str] = (), retired_ms: int | None = None
) -> None:
    """Store files as they are described; only inside `transaction`. fresh: the paths of those that wait for a merge."""
    store.execute_many(
        "insert into files (table_name, kind, partition, path, schema_version, spans, records, row_count, bytes,"
        " fresh, created_ms, compacted, digest, inode, modified_ns, damage, retired_ms)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                file.path in fresh,
                file.created_ms,
                file.compacted,
                file.digest,
                file.inode,
                file.modified_ns,
                file.damage,
                retired_ms,
            )
            for file in files
        ],
    )


def files_where(store: Store, where: str, parameters: Sequence[Any]) -> list[File]:
    """The files of which a condition of SQL holds."""
    rows = store.rows(
        "select table_name, kind, partition, path, schema_version, records, row_count, bytes, id, created_ms,"
        f" compacted, digest, inode, modified_ns, damage, {event_times.EVENT_TIMES}, spans from files where {where}",
        parameters,
    )
    return [
        File(
            table,
            kind,
            partition,
            path,
            version,
            [(a, b) for a, b in json.loads(spans)],
            *(*numbers, event_times.decoded(times)),
        )
        for table, kind, partition, path, version, *numbers, times, spans in rows
    ]
