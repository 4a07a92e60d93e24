"""Makes a catalog of what the data files and the journals themselves say, where the record of commits does not say it.

  1. The catalog to begin with is what is left of it: an older one, or what the record of commits gives; else a new one,
     with the tables of the declaration.
  2. The footers of each table's files say which files are live and what they hold (`tidy/salvage.py`). Files that the
     old catalog had as live and that are missing stay in it; the look for lost files then says what they held.
  3. Each stream is converted up to the highest record that is in a file; its journal says where the next one is.
  4. A run of which output is there has succeeded, and its schedule was followed up to it, so that it is not done again.
  5. Hours that are older than their table's `retention_days` expire, because their files may be there still.

What the files cannot say is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.ledger import FoundRun
from datawarehouse.catalog.records import Converted, File
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.definition.tables import BatchInputTable, Column, StreamingInputTable, Table
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.folder import folder_id, journal_root
from datawarehouse.journal.place import place_of
from datawarehouse.parquet.digest import digest_of
from datawarehouse.parquet.files import columns_in, problem_of
from datawarehouse.parquet.footer import ROWS, DataFile
from datawarehouse.runtime.opening import FOLDER_NOTE
from datawarehouse.tidy.expiry import first_kept
from datawarehouse.tidy.files import data_file, stored_file
from datawarehouse.tidy.orphans import OnDisk, on_disk
from datawarehouse.tidy.salvage import Salvaged, salvage


class Rebuild:
    """Brings a catalog, which nobody else uses, up to what the files of a data folder say."""

    def __init__(self, folder: Path, catalog: Catalog, warehouse: Warehouse | None, now_ms: int, *, new: bool) -> None:
        """new: whether the catalog knows nothing. `unknown` then says what the files did not."""
        self._folder = folder
        self._catalog = catalog
        self._warehouse = warehouse
        self._now_ms = now_ms
        self._new = new
        self._runs: dict[int, FoundRun] = {}
        self.unknown: list[str] = []

    def run(self) -> None:
        """Raises SchemaChangeRefused if the declaration does not fit the files."""
        there = self._declare()
        before = {name: self._catalog.converted(name) for name in self._catalog.streams()}
        for table in self._catalog.tables(undeclared=True):
            if table.kind != Table.kind:
                self._fill(table.name, there.get(table.name) or on_disk(self._folder, table.name), before)
        self._catalog.ledger.put_runs([run for run in self._runs.values() if run.scheduled_ms <= self._now_ms])
        self._close_hours()
        self._expire()
        self._catalog.note(FOLDER_NOTE, folder_id(self._folder))
        self.unknown += (
            [
                "runs of jobs that failed or had no output",
                "partitions that were registered for tables that you fill",
                "the ledger of hours of which no file is left",
            ]
            if self._new
            else ["what happened after the last commit that is known and has left no file"]
        )

    def _declare(self) -> dict[str, OnDisk]:
        """Store the declaration, with the columns of the files that are there."""
        if self._warehouse is None:
            return {}
        there = {}
        for table in self._warehouse.tables():
            if table.kind == Table.kind:
                continue
            there[table.name] = on_disk(self._folder, table.name)
            versions: dict[int, Sequence[Column]] = {}
            for file in there[table.name].files:
                if file.footer.kind == ROWS and file.footer.schema_version not in versions:
                    columns = columns_in(self._folder / file.path, table.columns)
                    versions[file.footer.schema_version] = columns
            self._catalog.ledger.put_schemas(table, versions)
        self._catalog.declare(self._warehouse.name, self._warehouse.tables())
        return there

    def _fill(self, table: str, there: OnDisk, before: dict[str, Converted]) -> None:
        known = {file.path: file for file in self._catalog.ledger.live(table)}
        paths = {file.path for file in there.files} | set(there.unreadable)
        missing = [data_file(file) for path, file in known.items() if path not in paths or path in there.unreadable]
        place = place_of(LOCAL_DISK, journal_root(self._folder) / table, 0)
        converted = before[table].next_record if table in before else 0
        again_from = None if place.first_record is None else max(place.first_record, converted)
        found = salvage([*there.files, *missing], again_from)
        live = [self._stored(file, known) for file in found.live]
        duplicates: dict[str, int] = {}
        for file in found.live:
            at = file.footer.partition
            duplicates[at] = duplicates.get(at, 0) + file.footer.deduplicated
        self._catalog.ledger.put_files(
            table,
            live,
            [self._stored(file, known) for file in found.retired],
            fresh={
                file.path
                for file in found.live
                if file.path in paths and file.footer.spans and not file.footer.replaces
            },
            deduplicated=duplicates,
            now_ms=self._now_ms,
        )
        for data in there.files:
            self._note_run(data)
        if table in before:
            self._place(table, found, before[table])
        if strange := [path for path in there.unreadable if path not in known]:
            self.unknown.append(f"table {table}: what was in {len(strange)} files that cannot be read, as {strange[0]}")

    def _stored(self, file: DataFile, known: dict[str, File]) -> File:
        """A file as the catalog stores it: what it was when it was published, if that is known; else as it is now."""
        if file.path in known:
            return known[file.path]
        path = self._folder / file.path
        problem = problem_of(path)
        digest = "" if problem else digest_of(path)
        whole = DataFile(file.path, file.bytes, file.footer, digest, file.inode, file.modified_ns)
        stored = stored_file(whole, "" if file.footer.replaces else None)
        return replace(stored, created_ms=file.modified_ns // 1_000_000, damage=problem or None)

    def _place(self, table: str, found: Salvaged, before: Converted) -> None:
        """Say up to where a stream is converted."""
        record = found.next_record
        if before.next_record > record:  # the highest records were in files that are gone
            record = before.next_record
        place = place_of(LOCAL_DISK, journal_root(self._folder) / table, record)
        latest = max((start_ms(file.footer.partition) for file in found.live), default=0)
        position = place.position if place.first_record is not None else before.position
        self._catalog.ledger.put_stream(table, Converted(position, record, max(latest, place.arrival_ms)), 0)
        count = sum(last - first + 1 for first, last in found.missing)
        if self._new and count:
            spans = ", ".join(f"{first} to {last}" for first, last in found.missing[:3])
            more = " and others" if len(found.missing) > 3 else ""
            self.unknown.append(
                f"table {table}: {count} records ({spans}{more}) are in no file: their hours have expired, or they are "
                "lost; the ledger does not count them"
            )

    def _note_run(self, file: DataFile) -> None:
        if file.footer.run is None:
            return
        number, scheduled = file.footer.run
        before = self._runs.get(number)
        rows = file.footer.rows + (before.rows if before else 0)
        ended = file.modified_ns // 1_000_000
        partition = partition_of(scheduled - HOUR_MS)
        self._runs[number] = FoundRun(number, file.footer.table, scheduled, partition, rows, ended)

    def _close_hours(self) -> None:
        """An hour of which a job that waits for it has written its output never changes again."""
        for table in self._warehouse.tables() if self._warehouse else []:
            if isinstance(table, BatchInputTable) and table.run_when_complete:
                until = max((run.scheduled_ms for run in self._runs.values() if run.job == table.name), default=0)
                for name in table.reads:
                    if name in self._catalog.streams():
                        self._catalog.close_hours(name, min(until, self._now_ms - self._now_ms % HOUR_MS))

    def _expire(self) -> None:
        for table in self._warehouse.tables() if self._warehouse else []:
            if isinstance(table, StreamingInputTable | BatchInputTable) and table.retention_days is not None:
                for held in self._catalog.partitions_before(table.name, first_kept(self._now_ms, table.retention_days)):
                    self._catalog.expire(table.name, held.partition, self._now_ms)
