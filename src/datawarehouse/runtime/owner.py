"""The owner of a data folder: takes events, keeps them converted, and can be closed at any time.

Opening
  1. Own the folder; bring its format up to date.
  2. Open the catalog; take the declaration over, or refuse it.
  3. Remove what a dead owner left: files nobody committed.
  4. Open each stream's journal at the position that the catalog knows.
  5. Start the threads that convert.

Closing, within `stop_time_max_s`
  1. Take no more events. 2. Convert and merge what is there; what does not fit in the time stays in the journal.
  3. Stop the threads and children. 4. Close journals and catalog. 5. Give up the folder.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self
from uuid import uuid4

import msgspec

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.runs import Run
from datawarehouse.clock import Clock
from datawarehouse.convert.converter import ConvertedTable, Converter
from datawarehouse.convert.orders import ConvertAnswer, ConvertOrder
from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.tables import StreamingInputTable, Table
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, remove
from datawarehouse.errors import BadRequest, DataWarehouseError, WorkerDied
from datawarehouse.folder import Ownership, catalog_path, journal_root
from datawarehouse.intake.intake import Intake, IntakeLimits, Stream, keys_for, shards_for
from datawarehouse.journal.journal import Journal, Start, entry_of
from datawarehouse.parquet.footer import REJECTS_FOLDER
from datawarehouse.runtime.completeness import Completeness
from datawarehouse.runtime.exports import Exports
from datawarehouse.runtime.job_runs import ExecuteJob, JobRuns
from datawarehouse.runtime.job_schedule import JobSchedule
from datawarehouse.runtime.status import status_of
from datawarehouse.runtime.upgrades import UPGRADES
from datawarehouse.settings import Settings
from datawarehouse.tidy.chores import Chores, Compacted, Expired, limits_of

log = logging.getLogger("datawarehouse")

_RETIRED_GRACE_S = 60  # beyond the longest query
_PAUSE_AFTER_FAULT_S = 1.0
_FAULTS_OF_A_FLUSH = 6  # finding a record that ends its process takes three
_DEATHS_WITHOUT_PAUSE = 3
_CHORES_EVERY_S = 60.0
_PUT_BYTES = 4 * 1024 * 1024

Event = Mapping[str, Any] | str | bytes


class Executor(Protocol):
    """Runs orders of conversion, in this process or in a child."""

    def run(self, order: ConvertOrder) -> ConvertAnswer: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class _Nobody:
    """The executor of an owner that was not started."""

    def run(self, order: ConvertOrder) -> ConvertAnswer:
        raise DataWarehouseError("The warehouse was not started; nothing is converted or compacted.")

    def stop(self) -> None: ...

    def kill(self) -> None: ...


class Owner:
    """A warehouse that this process owns. Methods can be called from any thread."""

    synced: ClassVar[bool] = True
    """Whether what was answered survives a power loss."""

    def __init__(self, warehouse: Warehouse, folder: Path, settings: Settings, clock: Clock) -> None:
        self.warehouse = warehouse
        self.settings = settings
        self.clock = clock
        self.ownership = Ownership(folder, UPGRADES)
        self.folder = self.ownership.folder
        self._converting: list[tuple[threading.Thread, Executor]] = []
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._stopping = threading.Event()
        self._chores = threading.Thread(target=self._keep_tidy, name="chores", daemon=True)
        self._compactor: Executor = _Nobody()
        self._deadline = 0.0
        self._failed: Counter[str] = Counter()
        self._deaths = 0
        self._is_closed = False
        try:
            self._open()
        except BaseException:
            self.ownership.release()
            raise

    def _open(self) -> None:
        self.catalog = Catalog(catalog_path(self.folder), writable=True, synced=self.synced)
        self.catalog.declare(self.warehouse.name, self.warehouse.tables())
        for name in self.catalog.undeclared():
            log.warning("table %s has data and is not declared; it is kept, and cannot be queried", name)
        self._remove_leftovers()
        streaming = [table for table in self.warehouse.tables() if isinstance(table, StreamingInputTable)]
        streams = {table.name: self._open_stream(table) for table in streaming}
        number = self.settings.number
        limits = IntakeLimits(
            record_bytes_max=number("record_bytes_max"),
            queue_bytes_max=number("queue_bytes_max"),
            journal_bytes_max=number("journal_bytes_max"),
            disk_free_bytes_min=number("disk_free_bytes_min"),
            shard_rate_limited=bool(self.settings["shard_rate_limited"]),
        )
        self.intake = Intake(streams, limits, self.clock, self._disk_free)
        versions = {table.name: table.schema_version for table in self.catalog.tables()}
        tables = [self._converted_table(table, versions[table.name], streams[table.name]) for table in streaming]
        self.converter = Converter(
            {table.name: table for table in tables},
            self.catalog,
            self.folder,
            self.clock,
            batch_bytes_max=number("batch_bytes_max"),
            merge_bytes=number("merge_bytes"),
            grace_ms=(number("query_time_max_s") + _RETIRED_GRACE_S) * 1000,
        )

        self.completeness = Completeness(
            {table.name: table for table in self.warehouse.tables()},
            {name: stream.journal for name, stream in streams.items()},
            self.converter,
            self.catalog,
            self.clock,
        )
        self.jobs = JobRuns(self.warehouse, self.folder, self.catalog, self.settings, self.clock, self._job_execution())
        self.exports = Exports(self.folder, self.settings)
        self.chores = Chores(
            self.warehouse.tables(),
            self.catalog,
            limits_of(number),
            self.clock,
            self.folder,
        )
        self.schedule = JobSchedule(self.warehouse, self.jobs, self.catalog, self.clock, self.completeness.until_ms)

    def _disk_free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def _job_execution(self) -> ExecuteJob | None:
        """How runs of jobs are done, if not each in a process of its own."""
        return None

    def _open_stream(self, table: StreamingInputTable) -> Stream:
        done = self.catalog.converted(table.name)
        journal = Journal(
            journal_root(self.folder),
            table.name,
            self.clock,
            LOCAL_DISK,
            Start(done.position, done.next_record, done.arrival_ms),
            key_window_ms=self.settings.number("idempotency_window_s") * 1000,
        )
        return Stream(journal, table.input_stream_shard_count, self.clock, done.position)

    def _converted_table(self, table: StreamingInputTable, version: int, stream: Stream) -> ConvertedTable:
        def on_converted(position: int) -> None:
            stream.converted = position

        return ConvertedTable(
            table.name, table.columns, version, table.file_flush_interval_seconds, stream.journal, on_converted
        )

    def _remove_leftovers(self) -> None:
        """Remove files that a dead owner, or a child of it, had not committed."""
        known = self.catalog.paths()
        left = []
        for table in self.warehouse.tables():
            if table.kind == Table.kind:
                continue
            for home in (self.folder / table.name, self.folder / REJECTS_FOLDER / table.name):
                for path in home.rglob("*.parquet*"):
                    relative = str(path.relative_to(self.folder))
                    if relative not in known and path.name.endswith((".parquet", ".parquet" + ASIDE_SUFFIX)):
                        left.append(path)
        if left:
            log.info("removing %d files that were written and not committed", len(left))
            remove(LOCAL_DISK, left)

    # -- events

    def put(self, table: str, events: Event | Iterable[Event], idempotency_key: str | None = None) -> int:
        """Take events for a streaming input table; return how many, when they are durable.

        events: one event or several, each a mapping, or its JSON as text or bytes. Malformed JSON is taken and
        rejected later, with its reason. idempotency_key: names this call; a second one with the same key and events
        counts once (within `idempotency_window_s`).

        Raises UnknownName, BadRequest for a value that JSON has no form for or an event that is too large, and
        Throttled, of which the events before the limit are taken.
        """
        self.check_open()
        stream = self.intake.stream(table)
        several = [events] if isinstance(events, Mapping | str | bytes) else events
        records = [_encoded(number, event) for number, event in enumerate(several, 1)]
        taken = 0
        for number, group in enumerate(_groups(records, self.intake.limits.record_bytes_max)):
            keys = keys_for(f"{idempotency_key}-{number}", b"\n".join(group)) if idempotency_key else None
            keys_of_shards = [uuid4().hex for _ in group] if stream.shard_count > 1 else []
            shards = shards_for(keys_of_shards, [None] * len(keys_of_shards), stream.shard_count)
            appended, _ = self.intake.append(stream, entry_of(group, shards, keys))
            taken += appended.count
        return taken

    def flush(self) -> None:
        """Return when every event that was taken before is visible to queries.

        Raises DataWarehouseError if a table's conversion fails again and again, or the warehouse is closed meanwhile.
        """
        self.check_open()
        targets = {name: table.journal.next_record for name, table in self.converter.tables.items()}
        failed = dict(self._failed)
        with self._progress:
            while behind := [name for name, record in targets.items() if self.converter.converted(name) < record]:
                self.check_open()
                for name in behind:
                    if self._failed[name] - failed.get(name, 0) >= _FAULTS_OF_A_FLUSH:
                        raise DataWarehouseError(
                            f"Table {name!r} cannot be converted at the moment; the log says why. Its events are kept "
                            "in the journal, and conversion is tried again every second."
                        )
                self._wake.set()
                self._progress.wait(1.0)

    def register_partition(
        self, table: str, values: Sequence[str] | Mapping[str, str] | str, location: str | Path | None = None
    ) -> None:
        """Make the files of a folder a partition of a table that you fill.

        values: one for each partition key, in order or by name. location: the folder, absolute; without it the
        folder `<table>/<value>/<value>...` of the data folder.
        """
        declared = self.warehouse.get_table(table)
        keys = [key.name for key in declared.partition_keys]
        given = [values] if isinstance(values, str) else values
        if isinstance(given, Mapping):
            given = [given[key] for key in keys] if set(given) == set(keys) else []
        problem = ""
        if declared.kind != Table.kind:
            problem = f"it is a {declared.kind}, whose partitions the warehouse makes"
        elif len(given) != len(keys) or not keys:
            problem = f"it has the partition keys ({', '.join(keys)}), and {values!r} was given"
        elif location is None and any(part in ("", ".", "..") for value in given for part in str(value).split("/")):
            problem = f"{values!r} does not make a folder below the table's; give its location"
        elif location is not None and not Path(location).is_absolute():
            problem = f"the location {str(location)!r} is not an absolute path"
        if problem:
            raise BadRequest(f"A partition of table {table!r} was not registered: {problem}.")
        where = None if location is None else str(location)
        self.catalog.register_partition(table, [str(value) for value in given], where)

    def run(self, job: str, at: datetime | None = None) -> Run:
        """Run the job of a batch input table now, for the scheduled instant `at` (by default now), and wait for it.

        Its output replaces what its partition held; a run that failed leaves that as it was, and its `error` says why.
        """
        self.check_open()
        time_ms = self.clock.now_ms() if at is None else milliseconds_of(at)
        return self.jobs.run(job, time_ms)

    def compact(self, table: str) -> Compacted:
        """Compact the closed hours of a streaming input table now, whatever the budget; what was done."""
        self.check_open()
        declared = self.warehouse.get_table(table)
        if not isinstance(declared, StreamingInputTable):
            raise BadRequest(f"Table {table!r} is a {declared.kind}; streaming input tables are compacted.")
        done = self.chores.compact(table, self._compactor.run, self._stopping.is_set)
        if done.files_before:
            self.exports.refresh()
        return done

    def expire(self) -> Expired:
        """Let go what is older than its table's `retention_days`, and old records of runs; what that was."""
        self.check_open()
        return self.chores.expire()

    def complete_until(self, table: str) -> datetime | None:
        """Up to when a table can no longer change: the hours that ended by this instant (UTC) are complete.

        None for a table that its user fills. Raises UnknownName.
        """
        self.check_open()
        until = self.completeness.until_ms(self.warehouse.get_table(table).name)
        return None if until is None else instant_of(until)

    def status(self) -> dict[str, Any]:
        """What `dw status` shows: tables, with records received, stored, rejected and pending, and settings."""
        streams = {name: (stream.journal, stream.unconverted_bytes) for name, stream in self.intake.streams.items()}
        return status_of(self.catalog, self.folder, self.settings, self.clock, streams)

    def not_ready(self) -> str:
        """Why events cannot be taken now; empty if they can."""
        if self._stopping.is_set():
            return "the warehouse is closing"
        return "the disk is almost full (disk_free_bytes_min)" if self.intake.disk_below_minimum() else ""

    # -- threads that convert

    def start(
        self,
        new_executor: Callable[[], Executor],
        new_compactor: Callable[[], Executor] | None = None,
        *,
        only_convert: bool = False,
    ) -> None:
        """Start the threads that convert, each with its own executor, those that follow schedules, and the chores."""
        self._compactor = (new_compactor or new_executor)()
        if not only_convert:
            self.schedule.start()
            self._chores.start()
        for number in range(self.settings.number("convert_processes")):
            executor = new_executor()
            name = f"convert-{number}"
            thread = threading.Thread(target=self._keep_converted, args=(executor,), name=name, daemon=True)
            thread.start()
            self._converting.append((thread, executor))

    def _tidy(self) -> None:
        if self.chores.round(self._compactor.run, self._stopping.is_set).files_before:
            self.exports.refresh()

    def _keep_tidy(self) -> None:
        while not self._stopping.wait(_CHORES_EVERY_S):
            try:
                self._tidy()
            except Exception:
                if not self._stopping.is_set():
                    log.exception("compaction or expiry failed; trying again in %g s", _CHORES_EVERY_S)
            self.chores.when_idle(self._compactor.stop)  # a process that does nothing only takes memory

    def _keep_converted(self, executor: Executor) -> None:
        interval = self.settings.number("convert_interval_ms") / 1000
        while not self._stopping.is_set():
            try:
                busy = self._round(executor, stopping=False)
            except Exception:
                log.exception("conversion failed; trying again in %g s", _PAUSE_AFTER_FAULT_S)
                self._stopping.wait(_PAUSE_AFTER_FAULT_S)
                continue
            if not busy:
                self._wake.wait(interval)
                self._wake.clear()
        while time.monotonic() < self._deadline:
            try:
                if not self._round(executor, stopping=True):
                    break
            except Exception:
                log.exception("conversion failed while stopping; what is left is converted at the next start")
                break
        executor.stop()

    def _round(self, executor: Executor, *, stopping: bool) -> bool:
        """A batch of each table that has records, and the merges that are due. Whether more is to do at once."""
        more = False
        faults = []
        died = False
        for name in self.converter.tables:
            if stopping and time.monotonic() >= self._deadline:
                return False
            try:
                if self.converter.convert(name, executor.run):
                    with self._progress:
                        self._progress.notify_all()
                more = more or (self.converter.pending(name) > 0 and (stopping or self._has_a_batch(name)))
                if not more or not stopping:
                    self.converter.merge(name, executor.run, stopping=stopping)
            except WorkerDied as error:
                log.error("%s", error)
                self._failed[name] += 1
                died = more = True
            except Exception as error:  # the fault of one table must not keep the others waiting
                self._failed[name] += 1
                faults.append(error)
        self.converter.delete_retired()
        self._deaths = self._deaths + 1 if died else 0
        if self._deaths > _DEATHS_WITHOUT_PAUSE and not stopping:
            self._stopping.wait(_PAUSE_AFTER_FAULT_S)
        if faults:
            raise ExceptionGroup("conversion", faults)
        return more

    def _has_a_batch(self, name: str) -> bool:
        return self.intake.streams[name].unconverted_bytes >= self.settings.number("batch_bytes_max")

    # -- closing

    def close(self) -> None:
        """Take no more events, convert what fits in `stop_time_max_s`, and give up the folder."""
        if self._is_closed:
            return
        self._is_closed = True
        self.begin_closing()
        for thread, executor in self._converting:
            thread.join(max(0.0, self._deadline - time.monotonic()) + 0.5)
            if thread.is_alive():
                executor.kill()
                thread.join()
        if self._chores.is_alive():
            self._chores.join()
        self._compactor.stop()
        self.schedule.stop()
        for stream in self.intake.streams.values():
            stream.journal.close()
        self.catalog.close()
        self.ownership.release()

    def begin_closing(self) -> None:
        """Let what waits for this warehouse (a flush, a run of a job) end; `close` must follow."""
        if not self._stopping.is_set():
            self._deadline = time.monotonic() + self.settings.number("stop_time_max_s")
            self._stopping.set()
            self._wake.set()
            self.jobs.stop()
            self._compactor.kill()  # what it has not committed is done again another time

    def check_open(self) -> None:
        """Raises DataWarehouseError if the warehouse is closed."""
        if self._stopping.is_set():
            raise DataWarehouseError("The warehouse is closed; open it again with open_warehouse(...).")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _encoded(number: int, event: Event) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode()
    try:
        return msgspec.json.encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadRequest(
            f"Event {number} cannot be written as JSON ({error}); no event was taken. It is {event!r}."
        ) from None


def _groups(records: list[bytes], record_bytes_max: int) -> Iterator[list[bytes]]:
    """Records in groups that are one write each. Raises BadRequest, before the first, if one is too large."""
    for number, record in enumerate(records, 1):
        if len(record) > record_bytes_max:
            raise BadRequest(
                f"Event {number} has {len(record)} bytes; the largest record is {record_bytes_max} (record_bytes_max). "
                "No event was taken."
            )
    group: list[bytes] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record)
        if size >= _PUT_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
