"""Opens the contents of a data folder, in one sequence. The folder is already owned, and its format is up to date.

1. Open the catalog; store the declaration, or refuse it. 2. Remove files that a dead owner left without committing
   them.
3. Open each stream's journal at the position that the catalog knows.
4. Make the parts that work on them: intake, conversion, jobs, exports, chores. No thread is started.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import Clock
from datawarehouse.convert.converter import ConvertedTable, Converter
from datawarehouse.definition.tables import StreamingInputTable, Table
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, remove
from datawarehouse.folder import catalog_path, journal_root
from datawarehouse.intake.intake import Intake, IntakeLimits, Stream
from datawarehouse.journal.journal import Journal, Start
from datawarehouse.parquet.footer import REJECTS_FOLDER
from datawarehouse.runtime.completeness import Completeness
from datawarehouse.runtime.executor import Executor, NotStarted
from datawarehouse.runtime.exports import Exports
from datawarehouse.runtime.job_runs import ExecuteJob, JobRuns
from datawarehouse.runtime.job_schedule import JobSchedule
from datawarehouse.settings import Settings
from datawarehouse.tidy.chores import Chores, limits_of

log = logging.getLogger("datawarehouse")

_RETIRED_GRACE_S = 60  # longer than the longest query


def free_bytes(folder: Path) -> int:
    """The number of free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Means:
    """The replaceable parts of a warehouse; a simulated warehouse gets others.

    synced: whether acknowledged events survive a power loss. free_bytes: gives the free bytes on the disk of a folder.
    execute_job: does a run of a job, if runs are not separate processes. compactor: compacts until `start` gives
    another.
    """

    synced: bool = True
    free_bytes: Callable[[Path], int] = free_bytes
    execute_job: ExecuteJob | None = None
    compactor: Executor = field(default_factory=NotStarted)


@dataclass(frozen=True, slots=True)
class Opened:
    """The parts of an open warehouse."""

    catalog: Catalog
    intake: Intake
    converter: Converter
    completeness: Completeness
    jobs: JobRuns
    exports: Exports
    chores: Chores
    schedule: JobSchedule


def open_parts(warehouse: Warehouse, folder: Path, settings: Settings, clock: Clock, means: Means) -> Opened:
    """Open the parts of a warehouse. Raises SchemaChangeRefused, JournalDamaged or BadRequest."""
    tables = warehouse.tables()
    catalog = Catalog(catalog_path(folder), writable=True, synced=means.synced)
    catalog.declare(warehouse.name, tables)
    for name in catalog.undeclared():
        log.warning("table %s has data and is not declared; it is kept, and cannot be queried", name)

    _remove_leftovers(catalog, folder, warehouse)

    streaming = [table for table in tables if isinstance(table, StreamingInputTable)]
    streams = {table.name: _open_stream(table, catalog, folder, settings, clock) for table in streaming}

    intake = Intake(streams, _intake_limits(settings), clock, lambda: means.free_bytes(folder))
    converter = _converter(streaming, streams, catalog, folder, settings, clock)
    journals = {name: stream.journal for name, stream in streams.items()}
    completeness = Completeness({table.name: table for table in tables}, journals, converter, catalog, clock)
    jobs = JobRuns(warehouse, folder, catalog, settings, clock, means.execute_job)
    exports = Exports(folder, settings)
    chores = Chores(tables, catalog, limits_of(settings.number), clock, folder)
    schedule = JobSchedule(warehouse, jobs, catalog, clock, completeness.until_ms)
    return Opened(catalog, intake, converter, completeness, jobs, exports, chores, schedule)


def _remove_leftovers(catalog: Catalog, folder: Path, warehouse: Warehouse) -> None:
    """Remove files that a dead owner, or its child process, had not committed."""
    known = catalog.paths()
    left = []
    for table in warehouse.tables():
        if table.kind == Table.kind:
            continue
        for home in (folder / table.name, folder / REJECTS_FOLDER / table.name):
            for path in home.rglob("*.parquet*"):
                relative = str(path.relative_to(folder))
                if relative not in known and path.name.endswith((".parquet", ".parquet" + ASIDE_SUFFIX)):
                    left.append(path)
    if left:
        log.info("removing %d files that were written and not committed", len(left))
        remove(LOCAL_DISK, left)


def _open_stream(
    table: StreamingInputTable, catalog: Catalog, folder: Path, settings: Settings, clock: Clock
) -> Stream:
    done = catalog.converted(table.name)
    journal = Journal(
        journal_root(folder),
        table.name,
        clock,
        LOCAL_DISK,
        Start(done.position, done.next_record, done.arrival_ms),
        key_window_ms=settings.number("idempotency_window_s") * 1000,
    )
    return Stream(journal, table.input_stream_shard_count, clock, done.position)


def _intake_limits(settings: Settings) -> IntakeLimits:
    number = settings.number
    return IntakeLimits(
        record_bytes_max=number("record_bytes_max"),
        queue_bytes_max=number("queue_bytes_max"),
        journal_bytes_max=number("journal_bytes_max"),
        disk_free_bytes_min=number("disk_free_bytes_min"),
        shard_rate_limited=bool(settings["shard_rate_limited"]),
    )


def _converter(
    streaming: list[StreamingInputTable],
    streams: Mapping[str, Stream],
    catalog: Catalog,
    folder: Path,
    settings: Settings,
    clock: Clock,
) -> Converter:
    versions = {table.name: table.schema_version for table in catalog.tables()}
    number = settings.number
    return Converter(
        {table.name: _converted_table(table, versions[table.name], streams[table.name]) for table in streaming},
        catalog,
        folder,
        clock,
        batch_bytes_max=number("batch_bytes_max"),
        merge_bytes=number("merge_bytes"),
        grace_ms=(number("query_time_max_s") + _RETIRED_GRACE_S) * 1000,
    )


def _converted_table(table: StreamingInputTable, version: int, stream: Stream) -> ConvertedTable:
    def on_converted(position: int) -> None:
        stream.converted = position

    return ConvertedTable(
        table.name, table.columns, version, table.file_flush_interval_seconds, stream.journal, on_converted
    )
