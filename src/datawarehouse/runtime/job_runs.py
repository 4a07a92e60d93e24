"""Runs of jobs: each in a process of its own, its output committed whole or not at all."""

from __future__ import annotations

import logging
import secrets
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog, File, Run
from datawarehouse.clock import Clock
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.tables import BatchInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import UnknownName, WorkerDied
from datawarehouse.jobs.orders import JobFailure, JobOrder, JobOutput
from datawarehouse.runtime.workers import QuerySetup, Worker
from datawarehouse.settings import Settings

log = logging.getLogger("datawarehouse")


class JobRuns:
    """Runs the jobs of a warehouse's batch input tables; one run of a job at a time."""

    def __init__(self, warehouse: Warehouse, folder: Path, catalog: Catalog, settings: Settings, clock: Clock) -> None:
        self._warehouse = warehouse
        self._folder = folder
        self._catalog = catalog
        self._settings = settings
        self._clock = clock
        self._tables: Mapping[str, BatchInputTable] = {
            table.name: table for table in warehouse.tables() if isinstance(table, BatchInputTable)
        }
        self._turns = {name: threading.Lock() for name in self._tables}
        self._lock = threading.Lock()
        self._working: set[Worker] = set()
        self._stopped = False
        catalog.interrupt_runs(clock.now_ms())

    def run(self, job: str, time_ms: int, *, attempt: int = 1, cause: str = "asked for") -> Run:
        """Run a job for a scheduled instant and return how it ended. Raises UnknownName."""
        if job not in self._tables:
            known = ", ".join(map(repr, self._tables)) or "none"
            raise UnknownName(f"There is no batch input table {job!r}; there are {known}.")
        with self._turns[job]:
            partition = partition_of(time_ms - HOUR_MS)
            run = self._catalog.start_run(
                job, time_ms, partition, attempt=attempt, cause=cause, now_ms=self._clock.now_ms()
            )
            self._do(run, self._tables[job], time_ms)
        return self._catalog.run(run)

    def stop(self) -> None:
        """End the runs that are under way; they count as failed."""
        with self._lock:
            self._stopped = True
            for worker in self._working:
                worker.kill()

    def _do(self, run: int, table: BatchInputTable, time_ms: int) -> None:
        name = f"{time_ms // 1000:016d}-{secrets.token_hex(4)}"
        with tempfile.TemporaryDirectory(prefix="dw-job-", ignore_cleanup_errors=True) as scratch:
            answer = self._answer(self._order(table, time_ms, name, scratch))
        if isinstance(answer, JobOutput):
            files = [
                File(
                    table.name, file.footer.kind, file.footer.partition, file.path, file.footer.schema_version, [],
                    file.footer.records, file.footer.rows, file.bytes,
                )
                for file in answer.files
            ]  # fmt: skip
            self._catalog.commit_run(run, table.name, answer.partitions, files, self._clock.now_ms())
            return
        for path in (self._folder / table.name).rglob(f"{name}.parquet*"):
            path.unlink()
        log.error("job %s failed: %s", table.name, answer.reason)
        self._catalog.fail_run(run, f"{answer.reason}\n{answer.traceback}".strip(), self._clock.now_ms())

    def _order(self, table: BatchInputTable, time_ms: int, name: str, scratch: str) -> JobOrder:
        versions = {stored.name: stored.schema_version for stored in self._catalog.tables()}
        number = self._settings.number
        return JobOrder(
            table=table.name,
            columns=[(column.name, str(column.type)) for column in table.columns],
            schema_version=versions[table.name],
            module=table.job.__module__,
            file=str(Path(table.job.__code__.co_filename).absolute()),
            function=table.job.__name__,
            search=list(sys.path),
            time_ms=time_ms,
            lake=str(self._folder),
            name=name,
            scratch=scratch,
            memory_bytes_max=number("job_memory_bytes_max"),
            file_bytes_max=number("job_scratch_bytes_max"),
        )

    def _answer(self, order: JobOrder) -> JobOutput | JobFailure:
        number = self._settings.number
        setup = QuerySetup(
            folder=str(self._folder),
            database=self._warehouse.name,
            time_max_s=number("query_time_max_s"),
            memory_bytes_max=number("query_memory_bytes_max"),
            threads=number("query_threads"),
            result_rows_max=number("query_result_rows_max"),
        )
        worker = Worker("job", setup)
        with self._lock:
            if self._stopped:
                return JobFailure("The warehouse is closing.")
            worker.start()
            self._working.add(worker)
        overdue = threading.Event()

        def end() -> None:
            overdue.set()
            worker.kill()

        timer = threading.Timer(number("job_time_max_s"), end)
        timer.start()
        try:
            return worker.run_job(order)
        except WorkerDied as error:
            if overdue.is_set():
                limit = f"{number('job_time_max_s')} s (job_time_max_s)"
                return JobFailure(f"The run took longer than {limit} and was ended.")
            if self._stopped:
                return JobFailure("The run was ended because the warehouse was closed.")
            return JobFailure(f"The run ended its process: {error}")
        finally:
            timer.cancel()
            timer.join()
            with self._lock:
                self._working.discard(worker)
            worker.kill()
            worker.stop()
