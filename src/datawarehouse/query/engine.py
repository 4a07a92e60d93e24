"""A statement of Athena SQL -> an answer from DuckDB, inside limits.

1. Plan: parse, guard, find what each scan needs of its partitions, translate (`sql`; pure).
2. Sources: the live files of those partitions, seen at one moment (`sources`).
3. Run in a DuckDB connection whose configuration is locked: no file but ours, no setting, no extension.
4. Give the rows in batches, counted against the limit of rows and the limit of time.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import Clock
from datawarehouse.definition.workgroups import NO_LIMITS, Workgroup, for_a_full_scan, is_guarded
from datawarehouse.errors import QueryError, QueryFailed, QueryLimitExceeded, ScanRefused
from datawarehouse.query.explaining import analyzed, io_of, scans_of
from datawarehouse.query.failures import described
from datawarehouse.query.interruptible import INTERRUPT_AGAIN_S, Started, nobody
from datawarehouse.query.limits import QueryLimits
from datawarehouse.query.listing import listing
from datawarehouse.query.permitted import permitted, told_apart
from datawarehouse.query.plans import Plans
from datawarehouse.query.readable import Readable, readables
from datawarehouse.query.result import Result, Statistics
from datawarehouse.query.scratch_tables import ScratchRights, scratch_readables
from datawarehouse.query.sources import JsonReader, Sources, open_sources
from datawarehouse.query.stored import stored
from datawarehouse.query.verify import Verifier
from datawarehouse.sql import metadata
from datawarehouse.sql.catalogs import TPCH_TABLES, Session
from datawarehouse.sql.changes import Change
from datawarehouse.sql.guard import Decision, decide
from datawarehouse.sql.names import NOBODY, Asker
from datawarehouse.sql.plan import SETTING, Plan
from datawarehouse.sql.types import BIGINT, BOOLEAN, VARCHAR, Type

_BATCH_ROWS = 10_000
_SHARE_EVERY_S = 1.0
_SHARE_BYTES_MIN = 10**6
"""Of smaller queries no share is told: a quarter of a millisecond, which that takes, is much of their time."""
_NAMES_SCRATCH = re.compile("scratch|memory", re.IGNORECASE)
_LISTS_SCRATCH = re.compile("information_schema|system|show|describe|desc", re.IGNORECASE)
"""What a statement has in it that can name a scratch, or list it."""
_WITH_SHARE = "set enable_progress_bar_print = false; set enable_progress_bar = true"
OnShare = Callable[[float], object]
"""Is called now and then with the share of a query's work that is done, from 0 to 1, in a thread of its own that also
ends the query in time: it must not wait for anything."""


def _no_sources(sources: Sources) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class QueryAnswer:
    """A result on its way: read `batches` to the end; `rows` counts those that were read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    files: int
    bytes: int
    rows: int = 0
    partitions: int = 0
    types: Sequence[Type] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement, whose it is, and what it may read."""

    sql: str
    parameters: Sequence[Any]
    only: Collection[str] | None
    session: Session | None
    asker: Asker


@dataclass(frozen=True, slots=True)
class _Running:
    """What is told while a statement is answered, and what it may read. own: the schema of the scratch of whoever asks.
    sources: without a query, what is told."""

    started: Started
    bytes_max: int | None
    on_sources: Callable[[Sources], object]
    on_share: OnShare | None
    own: str
    sources: Sources = field(default_factory=Sources)


class Engine:
    """Answers statements over the files that a catalog lists. Can be used from several threads."""

    def __init__(
        self,
        database: str,
        catalog: Catalog,
        lake: Path,
        limits: QueryLimits,
        read_json: JsonReader,
        clock: Clock,
        workgroup: Workgroup = NO_LIMITS,
        scratch: ScratchRights | None = None,
    ) -> None:
        """database: the name by which SQL may qualify tables. clock: says what now() is in a statement. workgroup:
        whose queries they are; `limits` are its limits. scratch: where statements write; None: nowhere."""
        self._plans = Plans(database)
        self._catalog = catalog
        self._lake = lake
        self._limits = limits
        self._read_json = read_json
        self._clock = clock
        self._workgroup = workgroup
        self._scratch = scratch
        self._is_guarded = is_guarded(workgroup)
        self._verifier = Verifier(lake, every_byte=limits.verify_reads)
        self._folders: frozenset[Path] = frozenset()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._macros: set[str] = set()
        self._lock = threading.Lock()

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        on_rows: Callable[[int], object] = lambda rows: None,
        started: Started = nobody,
        *,
        full_scan: bool = False,
        on_share: OnShare | None = None,
        asker: Asker = NOBODY,
    ) -> Result:
        """The whole result. Raises SqlSyntaxError, QueryRefused, ScanRefused, QueryFailed, QueryLimitExceeded,
        FileDamaged or BadLine. on_rows: is called with the number of rows so far; started: with what interrupts the
        query; full_scan: whether it is asked for, where the workgroup permits it. on_share: see OnShare. asker: whose
        statement it is, by which it may write."""
        began = time.perf_counter()
        with self.answer(sql, parameters, started, full_scan=full_scan, on_share=on_share, asker=asker) as answer:
            batches = []
            for batch in answer.batches:
                batches.append(batch)
                on_rows(answer.rows)
            table = pa.Table.from_batches(batches, answer.schema)
        elapsed = (time.perf_counter() - began) * 1000
        return Result(table, Statistics(elapsed, table.num_rows, answer.files, answer.bytes))

    @contextmanager
    def answer(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        started: Started = nobody,
        *,
        full_scan: bool = False,
        bytes_max: int | None = None,
        only: Collection[str] | None = None,
        session: Session | None = None,
        asker: Asker = NOBODY,
        on_sources: Callable[[Sources], object] = _no_sources,
        on_share: OnShare | None = None,
    ) -> Iterator[QueryAnswer]:
        """The result in batches, to be read inside the context, whose memory counts as the query's. bytes_max: what was
        estimated for it; raises ScanRefused if it would read more. only: the names that it may read; raises
        AccessDenied for another one. session: where a client is. asker: whose statement it is. on_sources: is
        called with what is read, before it is, and before anything is written. on_share: see OnShare."""
        asked = _Asked(sql, parameters, only, session, asker)
        try:
            if self._is_guarded:
                decision = self._decided(asked, full_scan=full_scan)
                if not decision.is_allowed:
                    raise ScanRefused(str(decision))
            with self._answer(asked, _Running(started, bytes_max, on_sources, on_share, asker.own)) as answer:
                yield answer
        except MemoryError as error:
            raise self._failure(error) from None

    @contextmanager
    def _answer(self, asked: _Asked, running: _Running) -> Iterator[QueryAnswer]:
        deadline = time.monotonic() + self._limits.time_max_s
        all_tables = self._tables(asked)
        tables = permitted(all_tables, asked.only)
        with _nothing_is_read(), told_apart(asked.sql, all_tables, asked.only):
            planned = self._planned(asked, tables, self._clock.now_ms())(asked.sql)
        if planned.change:
            with self._changed(planned, planned.change, tables, asked, running, deadline) as answer:
                yield answer
        elif planned.kind == "select":
            with self._rows(planned, tables, running, deadline, self._limits.result_rows_max) as answer:
                yield answer
        elif planned.kind == "explain_analyze":
            with self._rows(planned, tables, running, deadline, self._limits.result_rows_max) as answer:
                read = (answer.partitions, answer.files, answer.bytes)
                lines = analyzed(planned, running.own, answer.batches, *read)
            plan = pa.table({"Query Plan": pa.array(lines, pa.string())})
            yield QueryAnswer(plan.schema, iter(plan.to_batches()), answer.files, answer.bytes, types=[VARCHAR])
        else:
            schemas = {name: table.schema for name, table in tables.items()}
            found = listing(
                planned, tables, schemas, self._catalog, lambda: self._explained(planned, tables, running.own)
            )
            running.on_sources(Sources())
            batches = iter(found.table.to_batches())
            yield QueryAnswer(found.table.schema, batches, 0, 0, found.table.num_rows, types=found.types)

    @contextmanager
    def _changed(
        self,
        planned: Plan,
        change: Change,
        tables: Mapping[str, Readable],
        asked: _Asked,
        running: _Running,
        deadline: float,
    ) -> Iterator[QueryAnswer]:
        """Write in the scratch of whoever asks. The answer is the number of rows, or that it is done."""
        assert self._scratch
        describing = any(scan.table in metadata.TABLES.keys() - TPCH_TABLES.keys() for scan in planned.scans)
        named = tables if describing else planned.reads  # rows that describe tables can tell of any of them
        reads = {name for read in named for name in tables[read].below}
        running.sources.update = change.update
        with _nothing_is_read():
            writer = self._scratch.writer(asked.asker, self._workgroup)
            is_needed = bool(planned.sql) and writer.has_to_compute(change)
        if is_needed:
            with self._rows(planned, tables, running, deadline, None) as rows:
                count = writer.write(change, rows.batches, reads)
        else:
            running.on_sources(running.sources)
            count = 0
            if not planned.sql:
                writer.apply(change, reads)
        if planned.sql:
            table, kind = pa.table({"rows": pa.array([count], pa.int64())}), BIGINT
        else:
            table, kind = pa.table({"result": pa.array([True])}), BOOLEAN
        yield QueryAnswer(table.schema, iter(table.to_batches()), 0, 0, 1, types=[kind])

    @contextmanager
    def _rows(
        self,
        planned: Plan,
        tables: Mapping[str, Readable],
        running: _Running,
        deadline: float,
        rows_max: int | None,
    ) -> Iterator[QueryAnswer]:
        """The rows of a plan's query, at most so many."""
        sources = self._sources(planned, tables, deadline, running.own)
        sources.update = running.sources.update
        if running.bytes_max is not None and sources.bytes > running.bytes_max:
            message = f"The query would read more than {running.bytes_max} bytes: files came in."
            raise ScanRefused(message, has_grown=True)
        cursor = self._cursor(sources, planned.macros)
        with self._time_limit(cursor, deadline, running.on_share) as interrupt:
            running.started(interrupt)
            is_bound = False
            try:
                if running.on_share and sources.bytes + sources.made_bytes >= _SHARE_BYTES_MIN:
                    cursor.execute(_WITH_SHARE)
                bound = {**planned.parameters, **sources.parameters}
                relation = cursor.sql(planned.render(sources.selects, sources.summarized), params=bound)
                is_bound = True
                running.on_sources(sources)
                reader = relation.to_arrow_reader(_BATCH_ROWS)
            except (duckdb.Error, MemoryError) as error:
                failure = self._failure(error)
                failure.has_read = is_bound or self._limits.verify_reads or bool(sources.tables)
                raise failure from None
            names = list(planned.column_names)
            schema = pa.schema(zip(names, reader.schema.types, strict=True))
            answer = QueryAnswer(schema, iter(()), sources.files, sources.bytes, 0, sources.partitions, planned.types)
            answer.batches = (
                batch.rename_columns(names) for batch in self._counted(reader, answer, deadline, rows_max)
            )
            yield answer

    def decide(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        full_scan: bool = False,
        only: Collection[str] | None = None,
        session: Session | None = None,
        asker: Asker = NOBODY,
    ) -> Decision:
        """What the workgroup says to a statement, and what it would read. Raises SqlSyntaxError, QueryRefused,
        QueryFailed, ScanRefused for a full scan that it does not permit, or AccessDenied."""
        return self._decided(_Asked(sql, parameters, only, session, asker), full_scan=full_scan)

    def _decided(self, asked: _Asked, *, full_scan: bool) -> Decision:
        workgroup = for_a_full_scan(self._workgroup) if full_scan else self._workgroup
        all_tables, now_ms = self._tables(asked), self._clock.now_ms()
        tables = permitted(all_tables, asked.only)
        schemas = {name: table.schema for name, table in tables.items()}
        with self._catalog.moment(), told_apart(asked.sql, all_tables, asked.only):
            sizes = stored(self._catalog, tables, self._lake)
            return decide(asked.sql, self._planned(asked, tables, now_ms), schemas, workgroup, sizes, now_ms)

    def _tables(self, asked: _Asked) -> Mapping[str, Readable]:
        """What there is, also what whoever asks may not read."""
        found = readables(self._catalog)
        names = bool(_NAMES_SCRATCH.search(asked.sql))
        if self._scratch and asked.asker.key and (names or asked.session or _LISTS_SCRATCH.search(asked.sql)):
            found |= scratch_readables(self._scratch.store, asked.asker, must=names)
        return found

    def _planned(self, asked: _Asked, tables: Mapping[str, Readable], now_ms: int) -> Callable[[str], Plan]:
        schemas = {name: table.schema for name, table in tables.items()}
        asker = asked.asker if self._scratch else NOBODY
        return lambda sql: self._plans.of(sql, schemas, asked.parameters, now_ms, asked.session, asker)

    def warm_up(self) -> None:
        """Do now what the first query would otherwise wait for."""
        with self._lock:
            self._connection = self._connection or self._connect()

    def close(self) -> None:
        if self._connection:
            with suppress(duckdb.Error):  # a function that did not hear of an interrupt still works in it
                self._connection.close()

    def _counted(
        self, reader: pa.RecordBatchReader, answer: QueryAnswer, deadline: float, rows_max: int | None
    ) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            # DuckDB's errors come through Arrow as OSError.
            except (duckdb.Error, pa.ArrowException, OSError, MemoryError) as error:
                raise self._failure(error) from None
            if time.monotonic() > deadline:
                raise self._too_long()
            answer.rows += batch.num_rows
            if rows_max is not None and answer.rows > rows_max:
                raise QueryLimitExceeded(
                    f"The result has more than {rows_max} rows (query_result_rows_max). Aggregate, or add LIMIT.",
                    "query_result_rows_max",
                )
            yield batch

    def _sources(self, planned: Plan, tables: Mapping[str, Readable], deadline: float, own: str = "") -> Sources:
        try:
            return open_sources(
                self._catalog,
                self._lake,
                tables,
                planned.scans,
                self._read_json,
                self._verifier,
                deadline,
                self._plans.database,
                own,
            )
        except TimeoutError:
            raise self._too_long() from None

    # -- DuckDB

    def _cursor(self, sources: Sources, macros: Sequence[str]) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is None or not sources.folders <= self._folders:
                self._folders |= sources.folders
                self._connection = self._connect()
                self._macros = set()
            try:
                for macro in macros:
                    if macro not in self._macros:
                        self._connection.execute(macro)
                        self._macros.add(macro)
            except (duckdb.Error, MemoryError) as error:
                raise self._failure(error) from None
            cursor = self._connection.cursor()
        for name, table in sources.tables.items():
            cursor.register(name, table)
        return cursor

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": self._limits.threads,
                "memory_limit": f"{self._limits.memory_bytes_max}B",
                "temp_directory": "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "python_enable_replacements": False,
                "allowed_configs": "['enable_progress_bar', 'enable_progress_bar_print']",
            },
        )
        connection.execute(SETTING)
        folders = [str(folder) for folder in (self._lake, *self._folders)]
        connection.execute("set allowed_directories = $folders", {"folders": folders})
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        return connection

    @contextmanager
    def _time_limit(
        self, cursor: duckdb.DuckDBPyConnection, deadline: float, on_share: OnShare | None
    ) -> Iterator[Callable[[], None]]:
        """Gives what ends the query of a cursor, from any thread; it does nothing if the query has ended."""
        expired, ended, closing = threading.Event(), threading.Event(), threading.Lock()

        def interrupt() -> None:
            with closing:
                if not ended.is_set():
                    cursor.interrupt()

        def expire() -> None:
            expired.set()
            interrupt()
            while not ended.wait(INTERRUPT_AGAIN_S):
                interrupt()

        def tell() -> None:
            with closing, suppress(duckdb.Error):
                percent = -1.0 if ended.is_set() else cursor.query_progress()
                if on_share and percent >= 0:  # below that it is not known
                    on_share(min(percent / 100, 1.0))

        def watch() -> None:
            while (left_s := deadline - time.monotonic()) > 0:
                if ended.wait(min(left_s, _SHARE_EVERY_S)):
                    return
                tell()
            expire()

        threading.Thread(target=watch, name="time limit", daemon=True).start()
        try:
            yield interrupt
        except QueryFailed:
            if expired.is_set():
                raise self._too_long() from None
            raise
        finally:
            with closing:
                ended.set()
                cursor.close()

    def _too_long(self) -> QueryLimitExceeded:
        return QueryLimitExceeded(
            f"The query took longer than {self._limits.time_max_s:g} s (query_time_max_s) and was ended. Read "
            "fewer partitions, or raise the limit.",
            "query_time_max_s",
        )

    def _failure(self, error: Exception) -> QueryFailed | QueryLimitExceeded:
        text = str(error)
        if isinstance(error, duckdb.OutOfMemoryException | MemoryError) or "Out of Memory Error" in text:
            return QueryLimitExceeded(
                f"The query needs more than {self._limits.memory_bytes_max} bytes of memory (query_memory_bytes_max) "
                "and was ended. Read fewer partitions or columns, or raise the limit.",
                "query_memory_bytes_max",
            )
        return QueryFailed(described(text))

    def _explained(self, planned: Plan, tables: Mapping[str, Readable], own: str) -> list[str]:
        """EXPLAIN of any kind, but for ANALYZE, which runs the statement."""
        if planned.kind == "explain_io":
            with self._catalog.moment():
                sizes = stored(self._catalog, tables, self._lake)
                return [io_of(planned, tables, self._plans.database, sizes, own)]
        sources = self._sources(planned, tables, time.monotonic() + self._limits.time_max_s)
        return [*scans_of(planned, own), f"{sources.files} files, {sources.bytes} bytes"]


@contextmanager
def _nothing_is_read() -> Iterator[None]:
    """An error in here says that the query has read nothing."""
    try:
        yield
    except QueryError as error:
        error.has_read = False
        raise
