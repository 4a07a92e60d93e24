"""Keeps the tables of a warehouse converted; each call does one step.

  1. `convert`: the next batch of a table: run an order, here or in another process; commit; trim.
  2. `merge`: the merges that are due; their commit retires the sources.
  3. `delete_retired`: delete files that were retired longer ago than the longest query takes.

While a back-up copies, it keeps all that the catalog lists and the journals hold (`keeping`).

A batch whose process died twice is converted record by record, so that the record at fault can be rejected and the
others stored.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted, HourEntry
from datawarehouse.clock import Clock
from datawarehouse.convert.orders import BatchOrder, BatchResult, ConvertAnswer, ConvertOrder, HourCount
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.tables import QUARANTINE_COLUMNS, Column, to_wire
from datawarehouse.durable import LOCAL_DISK, remove
from datawarehouse.errors import FileDamaged, WorkerDied
from datawarehouse.journal.journal import Journal
from datawarehouse.parquet.footer import REJECTS, REJECTS_FOLDER, DataFile, is_inside
from datawarehouse.settings import Settings
from datawarehouse.tidy.daily_audit import log_damage
from datawarehouse.tidy.files import data_file, stored_file
from datawarehouse.tidy.merges import Merge, due_merges
from datawarehouse.tidy.orders import MergeOrder

log = logging.getLogger("datawarehouse.convert")

Execute = Callable[[ConvertOrder], ConvertAnswer]
"""Runs an order, here or in another process. Raises WorkerDied if that process ended."""


@dataclass
class ConvertedTable:
    """A streaming input table as the converter sees it; `on_converted` is called with each position that was
    reached, `on_counted` with what each commit added."""

    name: str
    columns: tuple[Column, ...]
    schema_version: int
    flush_interval_s: int
    journal: Journal
    on_converted: Callable[[int], None]
    on_counted: Callable[[list[HourCount]], None] = lambda hours: None
    event_time: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    deaths: int = 0
    poison: tuple[int, ...] = ()


class Converter:
    """Converts and merges for the tables of one data folder."""

    def __init__(
        self,
        tables: Mapping[str, ConvertedTable],
        catalog: Catalog,
        lake: Path,
        clock: Clock,
        settings: Settings,
        grace_ms: int,
    ) -> None:
        """grace_ms: how long a retired file stays; longer than the longest query."""
        self.tables = tables
        self._catalog = catalog
        self._lake = lake
        self._clock = clock
        self._batch_bytes_max = settings.number("batch_bytes_max")
        self._merge_bytes = settings.number("merge_bytes")
        self._grace_ms = grace_ms
        self._deleting = threading.Lock()
        self._trimming = threading.Lock()
        self._keepers = 0
        self._done = {name: catalog.converted(name) for name in tables}  # no other process or object writes it

    def converted(self, name: str) -> int:
        """The number of the first record of a table that is not converted yet."""
        return self._done[name].next_record

    def pending(self, name: str) -> int:
        """How many records of a table are not converted yet."""
        return self.tables[name].journal.next_record - self.converted(name)

    def convert(self, name: str, execute: Execute) -> bool | None:
        """Convert the next batch of a table. False if there is none, None if another thread works on this table."""
        table = self.tables[name]
        with _turn(table) as has_turn:
            if not has_turn:
                return None
            done = self._done[name]
            if table.journal.next_record == done.next_record:
                return False
            order = self._order(table, done)
            if not order.spans:
                return False
            try:
                result = execute(order)
            except WorkerDied:
                self._died(table, order)
                raise
            assert isinstance(result, BatchResult)
            self._commit(table, result)
            if table.deaths:
                table.deaths, table.poison = 0, ()
                self._progress(table).unlink(missing_ok=True)
        return True

    def _order(self, table: ConvertedTable, done: Converted) -> BatchOrder:
        careful = table.deaths >= 2
        return BatchOrder(
            table=table.name,
            columns=to_wire(table.columns),
            schema_version=table.schema_version,
            spans=table.journal.spans(done.position, self._batch_bytes_max),
            first_record=done.next_record,
            arrival_ms=done.arrival_ms or table.journal.created_ms,
            bytes_max=1 if careful else self._batch_bytes_max,
            stream_created_ms=table.journal.created_ms,
            lake=str(self._lake),
            name=secrets.token_hex(4),
            poison=table.poison,
            progress=str(self._progress(table)) if careful else "",
            known_keys=tuple(self._catalog.unknown_keys(table.name)),
            event_time=table.event_time,
        )

    def _died(self, table: ConvertedTable, order: BatchOrder) -> None:
        """Count a death of the process; after the second, the next one shows which record is at fault."""
        table.deaths += 1
        self._remove_what_it_left(table.name, order.name)
        progress = self._progress(table)
        if order.progress and progress.exists():
            table.poison = (*table.poison, int(progress.read_text()))

    def _remove_what_it_left(self, table: str, name: str) -> None:
        """Remove what a child process had published before it died; the next attempt uses other file names."""
        for home in (self._lake / table, self._lake / REJECTS_FOLDER / table):
            remove(LOCAL_DISK, list(home.rglob(f"*{name}.parquet*")))

    def _progress(self, table: ConvertedTable) -> Path:
        return self._lake / f"_{table.name}.progress"

    def _commit(self, table: ConvertedTable, result: BatchResult) -> None:
        done = Converted(result.position, result.next_record, result.arrival_ms)
        files = [stored_file(file) for file in result.files]
        hours = [
            HourEntry(hour.partition, hour.received, hour.stored, hour.rows, hour.rejected) for hour in result.hours
        ]
        try:
            self._catalog.commit_batch(table.name, files, hours, done, self._clock.now_ms(), result.unknown_keys)
        except BaseException:  # it may have come after the commit: the same records must not be converted again
            self._done[table.name] = self._catalog.converted(table.name)
            raise
        self._done[table.name] = done
        table.on_converted(result.position)
        table.on_counted(result.hours)
        self._trim(table, result.position)

    def _trim(self, table: ConvertedTable, position: int) -> None:
        with self._trimming:
            if not self._keepers:
                table.journal.trim(position)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Inside the context no journal is trimmed and no retired file is deleted."""
        with self._deleting, self._trimming:  # what has begun is finished first
            self._keepers += 1
        try:
            yield
        finally:
            with self._trimming:
                self._keepers -= 1
            for name, table in self.tables.items():
                with suppress(OSError):  # the next batch of the table trims as well
                    self._trim(table, self._done[name].position)

    def merge(self, name: str, execute: Execute, *, stopping: bool = False) -> int:
        """Do the merges of a table that are due; returns how many files were merged."""
        table = self.tables[name]
        merged = 0
        with _turn(table) as has_turn:
            if not has_turn:
                return 0
            done, now = self._done[name], self._clock.now_ms()
            # Records that arrived in an earlier hour may still wait for conversion.
            behind = done.next_record < table.journal.next_record
            oldest_open = partition_of(min(now, done.arrival_ms) if behind else now)
            interval_ms = table.flush_interval_s * 1000
            for merge in due_merges(
                self._catalog.fresh_files(name), now, oldest_open, interval_ms, self._merge_bytes, stopping=stopping
            ):
                self._merge(table, merge, execute)
                merged += len(merge.files)
        return merged

    def next_merge_ms(self) -> int | None:
        """The earliest instant at which the flush interval of a fresh file ends."""
        ends = [
            min(file.created_ms for file in files) + table.flush_interval_s * 1000
            for name, table in self.tables.items()
            if (files := self._catalog.fresh_files(name))
        ]
        return min(ends, default=None)

    def _merge(self, table: ConvertedTable, merge: Merge, execute: Execute) -> None:
        if len(merge.files) == 1:
            self._catalog.mark_merged(merge.files)
            return
        is_rejects = merge.files[0].kind == REJECTS
        columns = QUARANTINE_COLUMNS if is_rejects else table.columns
        order = MergeOrder(
            files=[data_file(file) for file in merge.files],
            columns=to_wire(columns),
            schema_version=0 if is_rejects else table.schema_version,
            lake=str(self._lake),
            name=f"{merge.files[0].spans[0][0]:016d}-{secrets.token_hex(4)}",
            event_time=None if is_rejects else table.event_time,
        )
        try:
            result = execute(order)
        except WorkerDied:
            self._remove_what_it_left(table.name, order.name)
            raise
        except FileDamaged as error:  # the next round merges the others
            if self._catalog.damage(error.path, error.problem):
                log_damage(error.table, error.path, error.problem)
            return
        assert isinstance(result, DataFile)
        self._catalog.commit_merge(merge.files, stored_file(result), self._clock.now_ms(), fresh=merge.fresh)
        log.info(
            "merged %d files of %s %s for %s", len(merge.files), table.name, merge.files[0].partition, merge.reason
        )

    def delete_retired(self) -> int:
        """Delete the files that no query can be reading any more; returns how many. 0 if another thread is deleting
        them, or a back-up keeps them."""
        if not self._deleting.acquire(blocking=False):
            return 0
        try:
            return 0 if self._keepers else self._delete_retired(self._clock.now_ms())
        finally:
            self._deleting.release()

    def _delete_retired(self, now: int) -> int:
        files = self._catalog.retired_before(now - self._grace_ms)
        if not files:
            return 0
        own = [file for file in files if is_inside(self._lake, file.table, file.path)]
        for file in files:
            if file not in own:
                log.error(
                    "%r of table %s is not deleted, because it is not in the table's folder", file.path, file.table
                )
        remove(LOCAL_DISK, [self._lake / file.path for file in own])
        self._catalog.forget(files)
        for folder in {Path(file.path).parent for file in own if file.partition < partition_of(now - HOUR_MS)}:
            self._remove_if_empty(folder)
        return len(files)

    def _remove_if_empty(self, folder: Path) -> None:
        """Remove the folder of an hour, and those of its day, month and year, if they are empty."""
        while len(folder.parts) > 1:
            try:
                (self._lake / folder).rmdir()
            except OSError:
                return
            folder = folder.parent


@contextmanager
def _turn(table: ConvertedTable) -> Iterator[bool]:
    """Whether this thread may work on the table now; then no other thread does."""
    has_turn = table.lock.acquire(blocking=False)
    try:
        yield has_turn
    finally:
        if has_turn:
            table.lock.release()
