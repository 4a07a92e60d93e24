"""Runs of jobs that somebody asked for and does not wait for: one run again, or those of a period, one after the other.

The runs themselves are in the catalog. What is here is how far each request has come; it ends with the owner, and
asking again goes on with the instants for which no run has succeeded.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import Clock
from datawarehouse.definition.instants import instant_of, milliseconds_of, written
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.definition.tables import BatchInputTable
from datawarehouse.errors import BadRequest, Closed, DataWarehouseError, Throttled, UnknownName
from datawarehouse.jobs.due import backfill_instants
from datawarehouse.runtime.owner import Owner
from datawarehouse.runtime.status import described, reruns_of

UNDER_WAY_MAX = 8
_KEPT_MAX = 50
_ERRORS_MAX = 20
_PERIOD_MAX = timedelta(days=366)
_FIRST = instant_of(0)
RUNNING, DONE, ENDED = "running", "done", "ended"


def left_to_run(catalog: Catalog, job: str, instants: Iterable[datetime]) -> list[datetime]:
    """The instants for which no run has succeeded, and those whose event hour changed since."""
    runs, changed = catalog.runs, catalog.event_hour_changes.uncounted(job)
    return [
        at
        for at in instants
        if partition_of(milliseconds_of(at) - HOUR_MS) in changed or not runs.has_succeeded(job, milliseconds_of(at))
    ]


@dataclass(slots=True)
class JobTask:
    """total: how many runs were asked for; left_out: those that had succeeded before."""

    id: str
    job: str
    kind: str
    who: str
    asked_ms: int
    instants: Sequence[datetime]
    left_out: int = 0
    done: int = 0
    failed: int = 0
    state: str = RUNNING
    errors: list[str] = field(default_factory=list)
    is_unwanted: bool = False

    def values(self) -> dict[str, Any]:
        """What JSON says of it."""
        return {
            "id": self.id,
            "job": self.job,
            "kind": self.kind,
            "state": self.state,
            "total": len(self.instants),
            "done": self.done,
            "failed": self.failed,
            "left_out": self.left_out,
            "asked_at": written(self.asked_ms),
            "who": self.who,
            "errors": list(self.errors),
        }

    def failed_with(self, at: datetime, error: str) -> None:
        self.failed += 1
        said = [line.strip() for line in error.splitlines() if line.strip()][-1:]
        if len(self.errors) < _ERRORS_MAX:
            self.errors.append(f"{written(milliseconds_of(at))}: {said[0][:500] if said else 'no reason was given'}")


class JobTasks:
    """Methods can be called from any thread; they do not wait for a run."""

    def __init__(self, owner: Owner, catalog: Catalog, executor: Executor) -> None:
        """catalog: one that only reads. executor: where runs are waited for."""
        self._owner = owner
        self._catalog = catalog
        self._clock: Clock = owner.clock
        self._executor = executor
        self._lock = threading.Lock()
        self._tasks: dict[str, JobTask] = {}
        self._jobs = {table.name: table for table in owner.warehouse.tables() if isinstance(table, BatchInputTable)}

    # -- looking

    def jobs(self, low: str, high: str) -> list[dict[str, Any]]:
        """Each job with the last run of each hour, from one to the one before another."""
        reruns = {each["job"]: each for each in reruns_of(self._catalog, self._clock)}
        return [
            {
                "job": name,
                "schedule": table.schedule_expression,
                "run_when_complete": table.run_when_complete,
                **{
                    count: reruns.get(name, {}).get(count, 0)
                    for count in ("reruns", "waiting_hours", "left_out_hours", "left_out_events")
                },
                "runs": [
                    {
                        "id": run.id,
                        "hour": run.partition,
                        "scheduled_at": written(run.scheduled_ms),
                        "outcome": run.outcome,
                        "attempts": attempts,
                        "rows": run.rows,
                        "seconds": None if run.ended_ms is None else (run.ended_ms - run.started_ms) / 1000,
                        "cause": run.cause,
                        "ended_at": None if run.ended_ms is None else written(run.ended_ms),
                    }
                    for run, attempts in self._catalog.runs.by_partition(name, low, high)
                ],
            }
            for name, table in self._jobs.items()
        ]

    def runs(self, job: str, hour: str | None, limit: int) -> list[dict[str, Any]]:
        """The latest runs of a job, or of one hour of it, the newest first. Raises UnknownName."""
        self._job(job)
        return [{"id": run.id, **described(run)} for run in self._catalog.runs.latest(job, limit, hour)]

    def tasks(self) -> list[dict[str, Any]]:
        """The newest first."""
        with self._lock:
            return [task.values() for task in reversed(self._tasks.values())]

    # -- asking

    def run(self, job: str, at: datetime | None, who: str) -> dict[str, Any]:
        """Run a job for a scheduled instant, by default now. Raises UnknownName, BadRequest, Throttled or Closed."""
        self._job(job)
        at = at or instant_of(self._clock.now_ms())
        if at < _FIRST:
            raise BadRequest(f"The instant is {at.isoformat()}; valid is one from 1970 on.")
        return self._begin(job, "run", who, [at], 0)

    def backfill(self, job: str, start: datetime, end: datetime | None, again: bool, who: str) -> dict[str, Any]:
        """Run a job for what its schedule would have written in a period. again: also where a run has succeeded. Raises
        UnknownName, BadRequest, Throttled or Closed."""
        table = self._job(job)
        now = instant_of(self._clock.now_ms())
        end = end or now
        if not _FIRST <= start < end <= now or end - start > _PERIOD_MAX:
            raise BadRequest(
                f"The period is from {start.isoformat()} to {end.isoformat()}; valid is one in the past of at most "
                f"{_PERIOD_MAX.days} days. Ask for a longer one in parts."
            )
        instants = backfill_instants(parse_schedule(table.schedule_expression), start, end)
        todo = instants if again else left_to_run(self._catalog, job, instants)
        return self._begin(job, "backfill", who, todo, len(instants) - len(todo))

    def end(self, id: str) -> dict[str, Any]:
        """Start no further run of a task; the one that is under way goes on. Raises UnknownName."""
        with self._lock:
            if id not in self._tasks:
                raise UnknownName(f"There is no task {id!r}, or it was long ago. GET /v1/job-tasks lists them.")
            self._tasks[id].is_unwanted = True
            return self._tasks[id].values()

    def _job(self, name: str) -> BatchInputTable:
        if name not in self._jobs:
            raise UnknownName(f"There is no batch input table {name!r}; there are {', '.join(self._jobs) or 'none'}.")
        return self._jobs[name]

    def _begin(self, job: str, kind: str, who: str, instants: Sequence[datetime], left_out: int) -> dict[str, Any]:
        self._owner.check_open()
        task = JobTask(secrets.token_hex(4), job, kind, who, self._clock.now_ms(), instants, left_out)
        with self._lock:
            over = [each.id for each in self._tasks.values() if each.state != RUNNING]
            if len(self._tasks) - len(over) >= UNDER_WAY_MAX:
                raise Throttled(f"{UNDER_WAY_MAX} tasks are under way, and no more are begun. Wait, or end one.", "", 5)
            for id in islice(over, max(0, len(self._tasks) - _KEPT_MAX + 1)):
                del self._tasks[id]
            self._tasks[task.id] = task
        try:
            self._executor.submit(self._work, task)
        except RuntimeError:  # it is shutting down
            raise Closed("The job was not run: the warehouse is closed.") from None
        return task.values()

    def _work(self, task: JobTask) -> None:
        try:
            for at in task.instants:
                if task.is_unwanted:
                    task.state = ENDED
                    return
                try:
                    run = self._owner.run(task.job, at)
                except Closed:
                    task.state = ENDED
                    return
                except DataWarehouseError as error:
                    task.failed_with(at, str(error))
                else:
                    if run.outcome != "succeeded":
                        task.failed_with(at, run.error or run.outcome)
                task.done += 1
            task.state = DONE
        except Exception as error:
            task.failed_with(instant_of(self._clock.now_ms()), f"{type(error).__name__}: {error}")
            task.state = ENDED
            self._owner.faults.met("requests", f"runs of job {task.job}", error, "those that are left were not run")
