"""Starts jobs when they are due.

The catalog stores up to which instant each schedule was followed; the start of a run moves this instant forward. So the
runs that are due are found again after a crash. A run that a crash interrupted is repeated with the same instant, and
so is a run that failed, up to two times. A job has one run at a time; a run that is due in the meantime is started
after it.

A job that asks for it runs again for an hour of event time that changed after it had begun to count it, once the hour
of arrival in which the events came is complete. The catalog has these changes (`catalog/event_hour_changes.py`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.event_hour_changes import CHANGED
from datawarehouse.catalog.runs import ASKED_FOR, COMPLETE, RETRY, SCHEDULE, Run
from datawarehouse.clock import Clock
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.definition.schedule import Schedule, parse_schedule
from datawarehouse.definition.tables import BatchInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.jobs.due import MISSED_COUNTED_MAX, earliest_due, latest_due, rerun_from, retry_at
from datawarehouse.runtime.faults import Faults
from datawarehouse.runtime.job_runs import JobRuns
from datawarehouse.runtime.own_thread import OwnThread

log = logging.getLogger("datawarehouse")

_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A run to start at `at_ms` or later. time_ms: the scheduled instant; left_out: how many missed instants before it
    are left out."""

    at_ms: int
    time_ms: int
    attempt: int
    cause: str
    left_out: int = 0


class JobSchedule:
    """The schedules of a warehouse's jobs. Each job has a thread, in which its runs follow each other."""

    def __init__(
        self,
        warehouse: Warehouse,
        runs: JobRuns,
        catalog: Catalog,
        clock: Clock,
        complete_until: Callable[[str], int | None],
        faults: Faults,
    ) -> None:
        """complete_until: the start of the first hour of a table that can still change, in milliseconds."""
        self._runs = runs
        self._catalog = catalog
        self._clock = clock
        self._complete_until = complete_until
        self._faults = faults
        self._tables = {table.name: table for table in warehouse.tables() if isinstance(table, BatchInputTable)}
        self._schedules: dict[str, Schedule] = {
            name: parse_schedule(table.schedule_expression) for name, table in self._tables.items()
        }
        self._retries: dict[str, list[Due]] = {name: [] for name in self._tables}
        self._kept_hours = {each.job: each.kept_hours for each in catalog.event_hour_changes.asking()}
        self._without_rerun: dict[str, object] = {}
        """In which state a job had no rerun to begin: until it changes there is none."""
        self._threads: dict[str, OwnThread] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._looking = OwnThread("schedule", "following the schedule", self._look, faults, pause_s=_LOOK_EVERY_S)
        self._begin(clock.now_ms())

    def _begin(self, now: int) -> None:
        for name, table in self._tables.items():
            self._catalog.runs.schedule_from(name, now)
            if table.run_when_complete:  # such a job runs at the end of each hour
                reached = self._catalog.runs.schedule_reached(name)
                if reached % HOUR_MS:
                    self._catalog.runs.reach_schedule(name, reached - reached % HOUR_MS)
            if table.missed_runs == "skip" and not table.run_when_complete:
                missed, count = latest_due(self._schedules[name], self._catalog.runs.schedule_reached(name), now)
                if missed is not None:
                    log.warning("job %s was due %s times; as declared, these runs are skipped", name, _times(count))
                    self._catalog.runs.reach_schedule(name, missed)
        for run in self._catalog.runs.unfinished():
            if run.job in self._tables:
                self._note_retry(run, now)

    def start(self) -> None:
        if self._schedules:
            self._looking.start()

    def stop(self) -> None:
        """Start no more runs, end the running ones, and wait until they have ended."""
        self._stopping.set()
        self._runs.stop()
        self._looking.stop()
        self._looking.join()
        with self._changed:
            for thread in self._threads.values():
                thread.stop()
        self.wait_idle()

    def start_due(self) -> None:
        """Start the jobs that are due now, each in its own thread. An error in one does not delay the others."""
        now = self._clock.now_ms()
        self._settle()
        for name in self._tables:
            with self._changed:
                if name in self._threads or self._is_stopping() or self._found_due(name, now) is None:
                    continue
                work = partial(self._work, name)
                thread = OwnThread(
                    f"job-{name}", f"starting job {name}", work, self._faults,
                    pause_s=_LOOK_EVERY_S, last=partial(self._ended, name),
                )  # fmt: skip
                self._threads[name] = thread
                try:
                    thread.start()
                except RuntimeError as error:  # the system gives no more threads
                    del self._threads[name]
                    self._faults.met(thread.name, f"the thread of job {name}", error)

    def run_due(self) -> bool:
        """Run the jobs that are due now in this thread, in the order of the declaration; returns whether any was
        due."""
        ran = False
        self._settle()
        for name in self._tables:
            while due := self._due(name, self._clock.now_ms()):
                self._run(name, due)
                ran = True
        return ran

    def next_ms(self) -> int | None:
        """The next instant at which a run will be due, for runs that depend only on the clock."""
        now = self._clock.now_ms()
        coming: list[int] = []
        for name, table in self._tables.items():
            coming += [retry.at_ms for retry in self._retries[name]]
            if not table.run_when_complete:
                due = earliest_due(self._schedules[name], self._catalog.runs.schedule_reached(name))
                coming += [] if due is None else [due]
        return min((at for at in coming if at > now), default=None)

    def wait_idle(self) -> None:
        """Return when no started run is still running."""
        with self._changed:
            self._changed.wait_for(lambda: not self._threads)

    def _is_stopping(self) -> bool:
        return self._stopping.is_set() or self._runs.is_stopped

    def _look(self) -> float:
        self.start_due()
        return _LOOK_EVERY_S

    def _settle(self) -> None:
        """Record the results of runs that could not be recorded before, and note when their runs are retried."""
        for run in self._runs.settle():
            if run.cause != ASKED_FOR:
                self._note_retry(run, run.ended_ms or 0)

    def _found_due(self, name: str, now: int) -> Due | None:
        """As `_due`, but also None if an error prevented the answer; the next look tries again."""
        work = f"finding out when job {name} is due"
        try:
            due = self._due(name, now)
        except Exception as error:
            self._faults.met(f"job-{name}", work, error)
            return None
        self._faults.over(work)
        return due

    def _due(self, name: str, now: int) -> Due | None:
        """The next run of a job, if it is due: a retry, a run of its schedule, or a rerun."""
        retry = min(self._retries[name], default=None)
        if retry and retry.at_ms <= now:
            return retry
        return self._scheduled(name, now) or (self._rerun(name, now) if name in self._kept_hours else None)

    def _scheduled(self, name: str, now: int) -> Due | None:
        table, reached = self._tables[name], self._catalog.runs.schedule_reached(name)
        if table.run_when_complete:
            end = reached + HOUR_MS
            if end <= now and all(_is_past(self._complete_until(other), end) for other in table.reads):
                return Due(end, end, 1, COMPLETE)
            return None
        if table.missed_runs == "all":
            due = earliest_due(self._schedules[name], reached)
            return Due(due, due, 1, SCHEDULE) if due is not None and due <= now else None
        due, count = latest_due(self._schedules[name], reached, now)
        return None if due is None else Due(due, due, 1, SCHEDULE, count - 1)

    def _rerun(self, name: str, now: int) -> Due | None:
        """The run for the oldest event hour that changed and for which a rerun may begin now."""
        reads = self._tables[name].reads
        state = [self._complete_until(other) for other in reads], self._catalog.runs.last(name)
        if self._without_rerun.get(name) == state:
            return None
        found = list(self._reruns(name, now))
        if not found:
            self._without_rerun[name] = state
        before = [other for other in reads if other in self._kept_hours]
        for partition, time_ms in found:
            if not any(self._counts_again(other, partition, now) for other in before):
                return Due(now, time_ms, 1, CHANGED)
        return None

    def _reruns(self, name: str, now: int) -> Iterator[tuple[str, int]]:
        """The event hours for which a job has to run again, and the instant of that run, the oldest first."""
        repeated = {retry.time_ms for retry in self._retries[name]}
        for change in self._catalog.event_hour_changes.of_job(name):
            hour = start_ms(change.partition)
            time_ms = hour + HOUR_MS if change.scheduled_ms is None else change.scheduled_ms
            if change.is_taken or time_ms in repeated:  # a run, or its retry, counts it
                continue
            if change.table not in self._tables[name].reads:  # any more
                continue
            until = rerun_from(hour, start_ms(change.arrival), change.reruns, self._kept_hours[name], now)
            if until is not None and until <= now and _is_past(self._complete_until(change.table), until):
                yield change.partition, time_ms

    def _counts_again(self, name: str, partition: str, now: int) -> bool:
        """Whether a job runs for a partition, or is to run for it again: one that reads its rows waits for that."""
        retried = any(partition_of(retry.time_ms - HOUR_MS) == partition for retry in list(self._retries[name]))
        return (
            retried
            or self._catalog.runs.is_running(name, partition)
            or any(partition == other for other, _ in self._reruns(name, now))
        )

    def _work(self, name: str) -> float | None:
        """Do the run of a job that is due; None, which ends the job's thread, if none is."""
        due = None if self._is_stopping() else self._found_due(name, self._clock.now_ms())
        if due is None:
            return None
        self._run(name, due)
        return 0.0

    def _ended(self, name: str) -> None:
        with self._changed:
            del self._threads[name]
            self._changed.notify_all()

    def _run(self, name: str, due: Due) -> None:
        if due.left_out:
            log.warning("job %s was due %s times; the latest one is run", name, _times(due.left_out + 1))
        ended = self._runs.attempt(name, due.time_ms, attempt=due.attempt, cause=due.cause)
        if due in self._retries[name]:
            self._retries[name].remove(due)
        if ended and not self._is_stopping():  # an interrupted run is found again at the next start
            self._note_retry(ended, ended.ended_ms or 0)

    def _note_retry(self, run: Run, now: int) -> None:
        cause = CHANGED if run.cause == CHANGED else RETRY
        if run.outcome == "interrupted":
            self._retries[run.job].append(Due(now, run.scheduled_ms, run.attempt, cause))
        elif run.outcome == "failed":
            at = retry_at(run.attempt, run.ended_ms or 0)
            if at is not None:
                self._retries[run.job].append(Due(at, run.scheduled_ms, run.attempt + 1, cause))


def _times(count: int) -> str:
    return f"{count}" if count < MISSED_COUNTED_MAX else f"at least {count}"


def _is_past(complete_until: int | None, instant: int) -> bool:
    return complete_until is not None and complete_until >= instant
