"""Starts jobs when they are due.

Of the instants that were missed while nobody owned the folder, the latest is run. A run that fails is tried again with
the same instant. A job that is still running when it is due again runs once more after it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from datawarehouse.catalog.catalog import Catalog, Run
from datawarehouse.clock import Clock
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.definition.tables import BatchInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.jobs.due import latest_due, retry_at
from datawarehouse.runtime.job_runs import JobRuns

log = logging.getLogger("datawarehouse")

_LOOK_EVERY_S = 0.5


class JobSchedule:
    """The schedules of a warehouse's jobs. A job's runs follow each other in a thread of its own."""

    def __init__(self, warehouse: Warehouse, runs: JobRuns, catalog: Catalog, clock: Clock) -> None:
        self._runs = runs
        self._catalog = catalog
        self._clock = clock
        self._schedules = {
            table.name: parse_schedule(table.schedule_expression)
            for table in warehouse.tables()
            if isinstance(table, BatchInputTable)
        }
        self._waiting: dict[str, list[Callable[[], Run]]] = {name: [] for name in self._schedules}
        self._retries: list[tuple[int, str, int, int]] = []
        self._threads: dict[str, threading.Thread] = {}
        self._changed = threading.Condition()
        self._one_looks = threading.Lock()
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="schedule", daemon=True)
        for name in self._schedules:
            catalog.schedule_from(name, clock.now_ms())

    def start(self) -> None:
        if self._schedules:
            self._looking.start()

    def stop(self) -> None:
        """Start nothing more, end what runs, and wait for it."""
        self._stopping.set()
        self._runs.stop()
        if self._looking.is_alive():
            self._looking.join()
        self.wait_idle()

    def start_due(self) -> None:
        """Start what is due now."""
        with self._one_looks:
            self._start_due(self._clock.now_ms())

    def _start_due(self, now: int) -> None:
        for name, schedule in self._schedules.items():
            due, count = latest_due(schedule, self._catalog.schedule_reached(name), now)
            if due is None:
                continue
            if count > 1:
                log.warning("job %s was due %d times; the latest one is run", name, count)
            self._catalog.reach_schedule(name, due)
            self._submit(name, due, 1, "schedule")
        with self._changed:
            ready = [retry for retry in self._retries if retry[0] <= now]
            self._retries = [retry for retry in self._retries if retry[0] > now]
        for _, name, time_ms, attempt in ready:
            self._submit(name, time_ms, attempt, "retry")

    def wait_idle(self) -> None:
        """Return when nothing that was started still runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._threads)

    def _look(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self.start_due()
            except Exception:
                log.exception("the schedule could not be followed; trying again")

    def _submit(self, name: str, time_ms: int, attempt: int, cause: str) -> None:
        def run() -> Run:
            return self._runs.run(name, time_ms, attempt=attempt, cause=cause)

        with self._changed:
            self._waiting[name].append(run)
            if name not in self._threads:
                thread = threading.Thread(target=self._work, args=(name,), name=f"job-{name}", daemon=True)
                self._threads[name] = thread
                thread.start()

    def _work(self, name: str) -> None:
        while True:
            with self._changed:
                if not self._waiting[name] or self._stopping.is_set():
                    del self._threads[name]
                    self._changed.notify_all()
                    return
                run = self._waiting[name].pop(0)
            try:
                ended = run()
            except Exception:
                log.exception("a run of job %s could not be recorded", name)
                continue
            at = retry_at(ended.attempt, ended.ended_ms or 0) if ended.outcome == "failed" else None
            if at is not None:
                with self._changed:
                    self._retries.append((at, name, ended.scheduled_ms, ended.attempt + 1))
