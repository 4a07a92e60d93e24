"""A statement of Athena SQL -> an answer from DuckDB, inside limits.

1. Plan: parse, guard, find what each scan needs of its partitions, translate (`sql`; pure).
2. Sources: the live files of those partitions, seen at one moment (`sources`).
3. Run in a DuckDB connection whose configuration is locked: no file but ours, no setting, no extension.
4. Give the rows in batches, counted against the limit of rows and the limit of time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import Clock
from datawarehouse.definition.tables import Table
from datawarehouse.definition.workgroups import NO_LIMITS, Workgroup, for_a_full_scan, is_guarded
from datawarehouse.errors import QueryError, QueryFailed, QueryLimitExceeded, ScanRefused
from datawarehouse.query.failures import described
from datawarehouse.query.interruptible import INTERRUPT_AGAIN_S, Started, nobody
from datawarehouse.query.limits import QueryLimits
from datawarehouse.query.permitted import permitted, told_apart
from datawarehouse.query.plans import Plans
from datawarehouse.query.result import Result, Statistics
from datawarehouse.query.sources import JsonReader, Readable, Sources, open_sources, readables
from datawarehouse.query.stored import stored
from datawarehouse.query.verify import Verifier
from datawarehouse.sql.catalogs import Session
from datawarehouse.sql.guard import Decision, decide
from datawarehouse.sql.plan import SETTING, Plan, TableSchema
from datawarehouse.sql.types import VARCHAR, Type
from datawarehouse.sql.wildcards import matches

_BATCH_ROWS = 10_000
_SHARE_EVERY_S = 1.0
_SHARE_BYTES_MIN = 10**6
"""Of smaller queries no share is told: a quarter of a millisecond, which that takes, is much of their time."""
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
    ) -> None:
        """database: the name by which SQL may qualify tables. clock: says what now() is in a statement. workgroup:
        whose queries they are; `limits` are its limits."""
        self._plans = Plans(database)
        self._catalog = catalog
        self._lake = lake
        self._limits = limits
        self._read_json = read_json
        self._clock = clock
        self._workgroup = workgroup
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
    ) -> Result:
        """The whole result. Raises SqlSyntaxError, QueryRefused, ScanRefused, QueryFailed, QueryLimitExceeded,
        FileDamaged or BadLine. on_rows: is called with the number of rows so far; started: with what interrupts the
        query; full_scan: whether it is asked for, where the workgroup permits it. on_share: see OnShare."""
        began = time.perf_counter()
        with self.answer(sql, parameters, started, full_scan=full_scan, on_share=on_share) as answer:
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
        on_sources: Callable[[Sources], object] = _no_sources,
        on_share: OnShare | None = None,
    ) -> Iterator[QueryAnswer]:
        """The result in batches, to be read inside the context, whose memory counts as the query's. bytes_max: what was
        estimated for it; raises ScanRefused if it would read more. only: the names that it may read; raises
        AccessDenied for another one. session: where a client of Trino is. on_sources: is called with what is read,
        before it is. on_share: see OnShare."""
        try:
            if self._is_guarded:
                decision = self.decide(sql, parameters, full_scan=full_scan, only=only, session=session)
                if not decision.is_allowed:
                    raise ScanRefused(str(decision))
            with self._answer(sql, parameters, started, bytes_max, only, session, on_sources, on_share) as answer:
                yield answer
        except MemoryError as error:
            raise self._failure(error) from None

    @contextmanager
    def _answer(
        self,
        sql: str,
        parameters: Sequence[Any],
        started: Started,
        bytes_max: int | None,
        only: Collection[str] | None,
        session: Session | None,
        on_sources: Callable[[Sources], object],
        on_share: OnShare | None,
    ) -> Iterator[QueryAnswer]:
        deadline = time.monotonic() + self._limits.time_max_s
        all_tables = readables(self._catalog)
        tables = permitted(all_tables, only)
        schemas = {name: table.schema for name, table in tables.items()}
        with _nothing_is_read(), told_apart(sql, all_tables, only):
            planned = self._plans.of(sql, schemas, parameters, self._clock.now_ms(), session)
        if planned.kind != "select":
            table = _listing(planned, tables, schemas, self._catalog, self._explained)
            kinds = [VARCHAR] * table.num_columns
            on_sources(Sources())
            yield QueryAnswer(table.schema, iter(table.to_batches()), 0, 0, table.num_rows, types=kinds)
            return
        sources = self._sources(planned, tables, deadline)
        if bytes_max is not None and sources.bytes > bytes_max:
            raise ScanRefused(f"The query would read more than {bytes_max} bytes: files came in.", has_grown=True)
        cursor = self._cursor(sources, planned.macros)
        with self._time_limit(cursor, deadline, on_share) as interrupt:
            started(interrupt)
            is_bound = False
            try:
                if on_share and sources.bytes + sources.made_bytes >= _SHARE_BYTES_MIN:
                    cursor.execute(_WITH_SHARE)
                bound = {**planned.parameters, **sources.parameters}
                relation = cursor.sql(planned.render(sources.selects, sources.summarized), params=bound)
                is_bound = True
                on_sources(sources)
                reader = relation.to_arrow_reader(_BATCH_ROWS)
            except (duckdb.Error, MemoryError) as error:
                failure = self._failure(error)
                failure.has_read = is_bound or self._limits.verify_reads or bool(sources.tables)
                raise failure from None
            names = list(planned.column_names)
            schema = pa.schema(zip(names, reader.schema.types, strict=True))
            answer = QueryAnswer(schema, iter(()), sources.files, sources.bytes, 0, sources.partitions, planned.types)
            answer.batches = (batch.rename_columns(names) for batch in self._counted(reader, answer, deadline))
            yield answer

    def decide(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        full_scan: bool = False,
        only: Collection[str] | None = None,
        session: Session | None = None,
    ) -> Decision:
        """What the workgroup says to a statement, and what it would read. Raises SqlSyntaxError, QueryRefused,
        QueryFailed, ScanRefused for a full scan that it does not permit, or AccessDenied."""
        workgroup = for_a_full_scan(self._workgroup) if full_scan else self._workgroup
        all_tables, now_ms = readables(self._catalog), self._clock.now_ms()
        tables = permitted(all_tables, only)
        schemas = {name: table.schema for name, table in tables.items()}
        with self._catalog.moment(), told_apart(sql, all_tables, only):
            sizes = stored(self._catalog, tables, self._lake)
            planned = partial(self._plans.of, tables=schemas, parameters=parameters, now_ms=now_ms, session=session)
            return decide(sql, planned, schemas, workgroup, sizes, now_ms)

    def warm_up(self) -> None:
        """Do now what the first query would otherwise wait for."""
        with self._lock:
            self._connection = self._connection or self._connect()

    def close(self) -> None:
        if self._connection:
            with suppress(duckdb.Error):  # a function that did not hear of an interrupt still works in it
                self._connection.close()

    def _counted(self, reader: pa.RecordBatchReader, answer: QueryAnswer, deadline: float) -> Iterator[pa.RecordBatch]:
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
            if answer.rows > self._limits.result_rows_max:
                raise QueryLimitExceeded(
                    f"The result has more than {self._limits.result_rows_max} rows (query_result_rows_max). Aggregate, "
                    "or add LIMIT.",
                    "query_result_rows_max",
                )
            yield batch

    def _sources(self, planned: Plan, tables: Mapping[str, Readable], deadline: float) -> Sources:
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

    def _explained(self, planned: Plan, tables: Mapping[str, Readable]) -> list[str]:
        sources = self._sources(planned, tables, time.monotonic() + self._limits.time_max_s)
        lines = [f"{scan.table}: partitions where {scan.predicate}" for scan in planned.scans]
        return [*lines, f"{sources.files} files, {sources.bytes} bytes"]


@contextmanager
def _nothing_is_read() -> Iterator[None]:
    """An error in here says that the query has read nothing."""
    try:
        yield
    except QueryError as error:
        error.has_read = False
        raise


# -- statements that list


def _listing(
    planned: Plan,
    tables: Mapping[str, Readable],
    schemas: Mapping[str, TableSchema],
    catalog: Catalog,
    explained: Callable[[Plan, Mapping[str, Readable]], list[str]],
) -> pa.Table:
    match planned.kind:
        case "show_tables":
            wanted = planned.pattern
            names = [name for name in sorted(tables) if wanted is None or any(matches(name, each) for each in wanted)]
            return pa.table({"tab_name": pa.array(names, pa.string())})
        case "describe":
            schema = schemas[str(planned.table)]
            rows = [(column.name, str(column.type), "") for column in schema.columns]
            rows += [(key.name, str(key.type), "partition key") for key in schema.partition_keys]
            columns, types, comments = zip(*rows, strict=True)
            return pa.table({"col_name": columns, "data_type": types, "comment": comments})
        case "show_partitions":
            table = tables[str(planned.table)]
            return pa.table({"partition": pa.array(_partitions(catalog, table), pa.string())})
        case _:
            return pa.table({"plan": pa.array(explained(planned, tables), pa.string())})


def _partitions(catalog: Catalog, table: Readable) -> list[str]:
    keys = [key.name for key in table.stored.partition_keys]
    found: list[tuple[str, ...]]
    if table.stored.kind == Table.kind:
        found = [partition.values for partition in catalog.registered_partitions(table.stored.name)]
    else:
        found = [(value,) for value in catalog.partitions_between(table.stored.name, table.kind, None, None)]
    return ["/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True)) for values in found]
