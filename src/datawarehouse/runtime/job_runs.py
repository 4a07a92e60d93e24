"""Runs of jobs: each is a separate process, and its output is committed completely or not at all."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.event_hour_changes import CHANGED
from datawarehouse.catalog.runs import ASKED_FOR, Run
from datawarehouse.clock import Clock
from datawarehouse.definition.job import file_of
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.tables import BatchInputTable, to_wire
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import DataWarehouseError, UnknownName, WorkerDied, did_you_mean
from datawarehouse.jobs.orders import JobFailure, JobOrder, JobOutput
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.executor import Executor, NotStarted
from datawarehouse.runtime.faults import Faults
from datawarehouse.runtime.job_output import check_output
from datawarehouse.runtime.job_process import JobProcess
from datawarehouse.runtime.own_thread import OwnThread
from datawarehouse.runtime.workers import QuerySetup
from datawarehouse.settings import Settings
from datawarehouse.tidy.files import stored_file

log = logging.getLogger("datawarehouse")

_LOOK_EVERY_S = 0.25
_LOOKING_SHARE = 10  # measuring how much was written takes at most a tenth of the watch's time

ExecuteJob = Callable[[JobOrder, Callable[..., Any] | SqlJob], JobOutput | JobFailure]
"""Does a run of a table's job."""


class JobRuns:
    """Runs the jobs of a warehouse's batch input tables; one run of a job at a time."""

    def __init__(
        self,
        warehouse: Warehouse,
        folder: Path,
        catalog: Catalog,
        settings: Settings,
        clock: Clock,
        faults: Faults,
        execute: ExecuteJob | None = None,
    ) -> None:
        """execute: does a run in this process; by default each run is a separate process, and `inspector` reads what it
        wrote."""
        self._warehouse = warehouse
        self._folder = folder
        self._catalog = catalog
        self._settings = settings
        self._clock = clock
        self._faults = faults
        self._tables: Mapping[str, BatchInputTable] = {
            table.name: table for table in warehouse.tables() if isinstance(table, BatchInputTable)
        }
        self._turns = {name: threading.Lock() for name in self._tables}
        self._lock = threading.Lock()
        self._working: set[JobProcess] = set()
        self._unsettled: dict[int, _Failed] = {}
        self._stopped = False
        self._execute = execute or self._in_a_child
        self.inspector: Executor = NotStarted()
        # Only the owner of this folder uses it, so the next owner can remove what a dead owner left there.
        self._scratch_prefix = f"dw-job-{blake2b(str(folder.absolute()).encode(), digest_size=8).hexdigest()}-"
        for left in Path(tempfile.gettempdir()).glob(f"{self._scratch_prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
        catalog.runs.interrupt_all(clock.now_ms())

    def run(self, job: str, time_ms: int, *, attempt: int = 1, cause: str = ASKED_FOR) -> Run:
        """Run a job for a scheduled instant and return the result.

        Raises UnknownName, or DataWarehouseError if the result could not be recorded yet.
        """
        if job not in self._tables:
            known = ", ".join(map(repr, self._tables)) or "none"
            raise UnknownName(
                f"There is no batch input table {job!r}; there are {known}.{did_you_mean(job, self._tables)}"
            )
        ended = self.attempt(job, time_ms, attempt=attempt, cause=cause)
        if ended is None:
            raise DataWarehouseError(
                f"The run of job {job!r} ended, and the catalog could not be written; the log says why. Its rows are "
                "not visible, and its end is recorded as soon as the catalog can be written again."
            )
        return ended

    def attempt(self, job: str, time_ms: int, *, attempt: int, cause: str) -> Run | None:
        """Run a job and return the result; None if it could not be recorded, which `settle` does later, or if another
        run has counted in the meantime what changed."""
        with self._turns[job]:
            partition = partition_of(time_ms - HOUR_MS)
            if cause == CHANGED and partition not in self._catalog.event_hour_changes.uncounted(job):
                return None
            run = self._catalog.runs.start(
                job, time_ms, partition, attempt=attempt, cause=cause, now_ms=self._clock.now_ms()
            )
            failure = self._do(run, self._tables[job], time_ms)
            return self._settled(failure) if failure else self._catalog.runs.get(run)

    def settle(self) -> list[Run]:
        """Record how runs ended of which that was not possible when they ended; the runs that are recorded now."""
        tried = [self._settled(failure) for failure in list(self._unsettled.values())]
        return [run for run in tried if run]

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        """End the running runs; they count as failed."""
        with self._lock:
            self._stopped = True
            for process in self._working:
                process.kill()

    def _do(self, run: int, table: BatchInputTable, time_ms: int) -> _Failed | None:
        """Do a run and commit its output, or return the reason why it has none."""
        name = f"{time_ms // 1000:016d}-{secrets.token_hex(4)}"
        try:
            with tempfile.TemporaryDirectory(prefix=self._scratch_prefix, ignore_cleanup_errors=True) as scratch:
                answer = self._execute(self._order(run, table, time_ms, name, scratch), table.job)
        except Exception as fault:  # no space for a folder, no room for a process, a catalog that cannot be read
            reason = f"The run could not be started: {type(fault).__name__}: {fault}"
            return _Failed(run, table.name, name, JobFailure(reason))
        if isinstance(answer, JobFailure):
            return _Failed(run, table.name, name, answer)
        try:
            files = [stored_file(file) for file in answer.files]
            self._catalog.commit_run(run, table.name, answer.partitions, files, self._clock.now_ms())
        except Exception as fault:
            reason = f"The output of the run could not be committed: {type(fault).__name__}: {fault}"
            return _Failed(run, table.name, name, JobFailure(reason))
        return None

    def _settled(self, failed: _Failed) -> Run | None:
        """Record that a run failed and remove the files that it published; None if this has to be retried later."""
        answer = failed.answer
        try:
            if self._catalog.runs.get(failed.run).outcome == "running":  # else it was committed, despite the error
                for path in (self._folder / failed.job).rglob(f"{failed.name}.parquet*"):
                    path.unlink(missing_ok=True)
                error = f"{answer.reason}\n{answer.traceback}".strip()
                self._catalog.runs.fail(failed.run, error, self._clock.now_ms(), interrupted=answer.interrupted)
                log.error("job %s failed: %s", failed.job, answer.reason)
            ended = self._catalog.runs.get(failed.run)
        except Exception as error:
            self._faults.met(f"job-{failed.job}", f"recording the end of a run of job {failed.job}", error)
            self._unsettled[failed.run] = failed  # only now: until here this thread alone settles it
            return None
        self._faults.over(f"recording the end of a run of job {failed.job}")
        self._unsettled.pop(failed.run, None)
        return ended

    def _order(self, run: int, table: BatchInputTable, time_ms: int, name: str, scratch: str) -> JobOrder:
        versions = {stored.name: stored.schema_version for stored in self._catalog.tables()}
        number = self._settings.number
        return JobOrder(
            run=run,
            table=table.name,
            columns=to_wire(table.columns),
            schema_version=versions[table.name],
            search=list(sys.path),
            time_ms=time_ms,
            lake=str(self._folder),
            name=name,
            scratch=scratch,
            memory_bytes_max=number("job_memory_bytes_max"),
            file_bytes_max=number("job_scratch_bytes_max"),
            **_work_of(table, time_ms),
        )

    def _in_a_child(self, order: JobOrder, _: Callable[..., Any] | SqlJob) -> JobOutput | JobFailure:
        number = self._settings.number
        workgroup = self._warehouse.workgroups()["batch"]
        limits = QueryLimits.of(self._settings, workgroup)
        if order.sql:  # its result goes to no client
            limits = replace(
                limits,
                result_rows_max=sys.maxsize,
                time_max_s=number("job_time_max_s"),
                memory_bytes_max=max(limits.memory_bytes_max, order.memory_bytes_max // 2),
            )
        process = JobProcess(QuerySetup(str(self._folder), self._warehouse.name, limits, workgroup))
        watch = _Watch(process, Path(order.scratch), number("job_time_max_s"), order.file_bytes_max, self._faults)
        with self._lock:
            if self._stopped:
                return JobFailure("The warehouse is closing.", interrupted=True)
            process.start()
            self._working.add(process)
        try:
            watch.start()
            answer = process.run(order)
        except WorkerDied as error:
            answer = JobFailure(f"The run's process died: {error}")
        finally:
            watch.stop()
            with self._lock:
                self._working.discard(process)
            process.end()
        if isinstance(answer, JobFailure):
            if watch.reason:
                return JobFailure(watch.reason)
            if self._stopped:
                return JobFailure("The run was ended because the warehouse was closed.", interrupted=True)
            return answer
        try:
            check_output(order, answer, self.inspector.run)
        except (DataWarehouseError, OSError, RuntimeError) as error:
            if self._stopped:
                return JobFailure("The run was ended because the warehouse was closed.", interrupted=True)
            return JobFailure(f"The output of the run is not committed: {str(error).rstrip('.')}.")
        return answer


def _work_of(table: BatchInputTable, time_ms: int) -> dict[str, str]:
    """What a run is to do, as a JobOrder says it."""
    if isinstance(table.job, SqlJob):
        from datawarehouse.sql.insertion import insertion  # the parser takes longer to load than all the rest

        return {"module": "", "file": "", "function": "", "sql": insertion(table.columns, table.job.bound(time_ms))}
    return {"module": table.job.__module__, "file": str(file_of(table.job) or ""), "function": table.job.__name__}


@dataclass(frozen=True, slots=True)
class _Failed:
    """A run that has no output. name: the end of the names of the files that it published."""

    run: int
    job: str
    name: str
    answer: JobFailure


class _Watch:
    """Ends a run that takes too long or writes too much; `reason` then says why."""

    def __init__(self, process: JobProcess, scratch: Path, time_max_s: int, bytes_max: int, faults: Faults) -> None:
        self.reason = ""
        self._process = process
        self._scratch = scratch
        self._time_max_s = time_max_s
        self._bytes_max = bytes_max
        self._end = math.inf
        self._thread = OwnThread("watch", "watching a run", self._look, faults, pause_s=_LOOK_EVERY_S)

    def start(self) -> None:
        self._end = time.monotonic() + self._time_max_s
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()
        self._thread.join()

    def _look(self) -> float | None:
        began = time.monotonic()
        if began >= self._end:
            self.reason = f"The run took longer than {self._time_max_s} s (job_time_max_s) and was ended."
        elif _bytes_in(self._scratch, self._bytes_max) > self._bytes_max:
            limit = f"{self._bytes_max} bytes (job_scratch_bytes_max)"
            self.reason = f"The run wrote more than {limit} to its scratch folder and was ended."
        if self.reason:
            self._process.kill()
            return None
        pause = max(_LOOK_EVERY_S, _LOOKING_SHARE * (time.monotonic() - began))
        return max(0.001, min(pause, self._end - time.monotonic()))


def _bytes_in(folder: Path, enough: int) -> int:
    """How many bytes of disk the files of a folder take; counting stops above `enough`."""
    total, folders = 0, [str(folder)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:  # a file that disappears counts 0
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                if total > enough:
                    return total
    return total
