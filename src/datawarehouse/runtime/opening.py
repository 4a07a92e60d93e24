"""Opens the contents of a data folder, in one sequence. The folder is already owned, and its format is up to date.

1. Compare what is there: the catalog with the number of commits that were made and with the folder that it was made in,
   and each stream's journal with what the catalog has converted. What is missing, damaged, older than the rest or of
   another folder is refused here, by name; nothing was changed.
2. Store the declaration in the catalog, or refuse it.
3. Open each stream's journal at the position that the catalog knows.
4. Make the parts that work on them: intake, conversion, jobs, exports, chores. No thread is started.

Data files are not looked at: the catalog says which there are, and a query looks at those that it reads. Files that a
dead owner had written and not committed are found by the chores (`tidy/orphans.py`).
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.views import StoredView, keep_views
from datawarehouse.clock import Clock
from datawarehouse.convert.converter import ConvertedTable, Converter
from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable, Table
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.errors import CatalogDamaged
from datawarehouse.folder import FORMAT, catalog_path, folder_id, is_new, journal_root, write_format
from datawarehouse.intake.intake import Intake, IntakeLimits, Stream
from datawarehouse.journal.journal import Journal
from datawarehouse.journal.opening import Examined, Start, examine
from datawarehouse.runtime.completeness import Completeness
from datawarehouse.runtime.executor import Executor, NotStarted
from datawarehouse.runtime.exports import Exports
from datawarehouse.runtime.faults import Faults
from datawarehouse.runtime.job_runs import ExecuteJob, JobRuns
from datawarehouse.runtime.job_schedule import JobSchedule
from datawarehouse.settings import Settings
from datawarehouse.tidy.chores import Chores, limits_of
from datawarehouse.tidy.daily_audit import DailyAudit
from datawarehouse.tidy.orphans import Orphans, orphan_ms

log = logging.getLogger("datawarehouse")

FOLDER_NOTE = "folder"
"""Of the catalog: the id of its data folder."""

_RETIRED_GRACE_S = 60  # longer than the longest query
_SMALL_BYTES = 8 * 1024 * 1024  # a catalog that is copied at the opening; larger ones are copied beside other work


def free_bytes(folder: Path) -> int:
    """The number of free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Means:
    """The replaceable parts of a warehouse; a simulated warehouse gets others.

    synced: whether acknowledged events survive a power loss. free_bytes: gives the free bytes on the disk of a folder.
    execute_job: does a run of a job, if runs are not separate processes. compactor: compacts until `start` gives
    another. brief: whether the warehouse is open only while one command runs. changed_files: gives the files of the
    declaration that have changed since they were read.
    """

    synced: bool = True
    free_bytes: Callable[[Path], int] = free_bytes
    execute_job: ExecuteJob | None = None
    compactor: Executor = field(default_factory=NotStarted)
    brief: bool = False
    changed_files: Callable[[], list[str]] = list


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
    faults: Faults

    def close(self) -> None:
        """Close the files. Whatever one of them raises, the others are closed."""
        with ExitStack() as steps:
            steps.callback(self.catalog.close)
            for stream in self.intake.streams.values():
                steps.callback(stream.journal.close)


def open_parts(
    warehouse: Warehouse, folder: Path, settings: Settings, clock: Clock, means: Means, since_ns: int
) -> Opened:
    """Open the parts of a warehouse. since_ns: when the folder was taken over, as the time of a file.

    Raises CatalogDamaged, JournalDamaged, SchemaChangeRefused, DeclarationError or BadRequest; then nothing stays open.
    """
    tables = warehouse.tables()
    views = _checked_views(warehouse)
    _check_statements(tables, warehouse)
    streaming = [table for table in tables if isinstance(table, StreamingInputTable)]
    with ExitStack() as opened, ExitStack() as refused:
        catalog = Catalog(catalog_path(folder), writable=True, new=is_new(folder), synced=means.synced)
        refused.callback(catalog.store.leave)
        check_is_of(catalog, folder)
        known = set(catalog.streams())
        examined = examine_streams(catalog, folder, [table.name for table in streaming if table.name in known])
        refused.pop_all()
        opened.callback(catalog.close)
        catalog.declare(warehouse.name, tables)
        catalog.keep_workgroups(warehouse.workgroups().values())
        keep_views(catalog, views)
        mark(catalog, folder)
        for name in catalog.undeclared():
            log.warning("table %s has data and is not declared; it is kept, and cannot be queried", name)
        catalog.store.snapshot_if_due(_SMALL_BYTES)

        streams: dict[str, Stream] = {}
        for table in streaming:
            stream = _open_stream(table, catalog, folder, settings, clock, examined.get(table.name))
            opened.callback(stream.journal.close)
            streams[table.name] = stream

        intake = Intake(streams, _intake_limits(settings), clock, lambda: means.free_bytes(folder))
        kept_s = longest_query_s(warehouse, settings)
        converter = _converter(streaming, streams, catalog, folder, settings, clock, kept_s)
        journals = {name: stream.journal for name, stream in streams.items()}
        completeness = Completeness({table.name: table for table in tables}, journals, converter, catalog, clock)
        faults = Faults(intake.disk)
        jobs = JobRuns(warehouse, folder, catalog, settings, clock, faults, means.execute_job)
        exports = Exports(folder, settings)
        orphans = Orphans(tables, catalog, journals, folder, clock, since_ns, orphan_ms(settings.number))
        audit = DailyAudit(catalog, folder, clock, settings.number("audit_days"))
        chores = Chores(tables, catalog, limits_of(settings.number), clock, folder, orphans, audit)
        schedule = JobSchedule(warehouse, jobs, catalog, clock, completeness.until_ms, faults)
        opened.pop_all()
    return Opened(catalog, intake, converter, completeness, jobs, exports, chores, schedule, faults)


def _check_statements(tables: Iterable[Table], warehouse: Warehouse) -> None:
    if any(isinstance(table, BatchInputTable) and isinstance(table.job, SqlJob) for table in tables):
        from datawarehouse.sql.insertion import check_sql_jobs  # the parser takes longer to load than all the rest

        check_sql_jobs(warehouse)


def _checked_views(warehouse: Warehouse) -> list[StoredView]:
    if not warehouse.views():
        return []
    from datawarehouse.sql.views import schemas_of_warehouse  # as above

    schemas = schemas_of_warehouse(warehouse)
    found = [(view, schemas[view.name]) for view in warehouse.views()]
    return [StoredView(view.name, view.sql, schema.columns, tuple(sorted(schema.reads))) for view, schema in found]


def check_is_of(catalog: Catalog, folder: Path) -> None:
    """Raises CatalogDamaged if a catalog is of another data folder."""
    noted, own = catalog.noted(FOLDER_NOTE), folder_id(folder)
    if noted and own and noted != own:
        raise CatalogDamaged(
            f"The catalog {catalog_path(folder)} is of another data folder, and somebody has put it here. Nothing was "
            f"changed. `dw doctor --data {folder}` says what can be done."
        )


def mark(catalog: Catalog, folder: Path) -> None:
    """Let the catalog and the file FORMAT have the same id of their folder."""
    noted, own = catalog.noted(FOLDER_NOTE), folder_id(folder)
    if not own:
        own = noted or secrets.token_hex(8)
        write_format(folder, FORMAT, own)
    if not noted:
        catalog.note(FOLDER_NOTE, own)


def examine_streams(catalog: Catalog, folder: Path, names: Iterable[str]) -> dict[str, Examined]:
    """What is in the journals of streams that the catalog knows, compared with how far they are converted.

    Nothing is changed. Raises JournalDamaged.
    """
    return {name: examine(LOCAL_DISK, journal_root(folder) / name, start_of(catalog, name)) for name in names}


def start_of(catalog: Catalog, table: str) -> Start:
    """Up to where a stream is converted."""
    done = catalog.converted(table)
    return Start(done.position, done.next_record, done.arrival_ms)


def _open_stream(
    table: StreamingInputTable,
    catalog: Catalog,
    folder: Path,
    settings: Settings,
    clock: Clock,
    examined: Examined | None,
) -> Stream:
    start = start_of(catalog, table.name)
    journal = Journal(
        journal_root(folder),
        table.name,
        clock,
        LOCAL_DISK,
        start,
        key_window_ms=settings.number("idempotency_window_s") * 1000,
        examined=examined,
    )
    return Stream(journal, table.input_stream_shard_count, clock, start.position)


def _intake_limits(settings: Settings) -> IntakeLimits:
    number = settings.number
    return IntakeLimits(
        record_bytes_max=number("record_bytes_max"),
        queue_bytes_max=number("queue_bytes_max"),
        journal_bytes_max=number("journal_bytes_max"),
        disk_free_bytes_min=number("disk_free_bytes_min"),
        shard_rate_limited=bool(settings["shard_rate_limited"]),
        request_events_max=number("request_events_max"),
    )


def longest_query_s(warehouse: Warehouse, settings: Settings) -> int:
    """The longest that a query of any workgroup may take: retired files are kept for longer."""
    limits = [settings.number("query_time_max_s"), *(each.query_time_max_s for each in warehouse.workgroups().values())]
    return max(each for each in limits if each is not None)


def _converter(
    streaming: list[StreamingInputTable],
    streams: Mapping[str, Stream],
    catalog: Catalog,
    folder: Path,
    settings: Settings,
    clock: Clock,
    longest_query_s: int,
) -> Converter:
    versions = {table.name: table.schema_version for table in catalog.tables()}
    tables = {table.name: _converted_table(table, versions[table.name], streams[table.name]) for table in streaming}
    return Converter(tables, catalog, folder, clock, settings, grace_ms=(longest_query_s + _RETIRED_GRACE_S) * 1000)


def _converted_table(table: StreamingInputTable, version: int, stream: Stream) -> ConvertedTable:
    def on_converted(position: int) -> None:
        stream.converted = position

    return ConvertedTable(
        table.name,
        table.columns,
        version,
        table.file_flush_interval_seconds,
        stream.journal,
        on_converted,
        event_time=table.event_time,
    )
