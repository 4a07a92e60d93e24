"""Runs of jobs, and up to which instant each job's schedule was followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datawarehouse.catalog.event_hour_changes import CHANGED, take_over
from datawarehouse.catalog.store import Store


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of a job. outcome: "running", "succeeded", "failed" or "interrupted" (the owner ended before the run
    did)."""

    id: int
    job: str
    scheduled_ms: int
    partition: str
    attempt: int
    cause: str
    started_ms: int
    ended_ms: int | None
    outcome: str
    rows: int | None
    error: str | None


ASKED_FOR, SCHEDULE, COMPLETE, RETRY = "asked for", "schedule", "complete", "retry"
FROM_SCHEDULE = (SCHEDULE, COMPLETE)
"""Causes of a run: a user, the schedule, tables that became complete, or an earlier attempt that did not succeed."""


class Runs:
    """The part of the catalog that stores runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(self, job: str, scheduled_ms: int, partition: str, *, attempt: int, cause: str, now_ms: int) -> int:
        """Store that a run starts and, if its schedule started it, that the schedule was followed up to it; returns the
        run's id."""
        with self._store.transaction():
            if cause in FROM_SCHEDULE:
                self._store.execute(
                    "update schedules set reached_ms = max(reached_ms, ?) where job = ?", (scheduled_ms, job)
                )
            cursor = self._store.execute(
                "insert into runs (job, scheduled_ms, partition, attempt, cause, started_ms, outcome)"
                " values (?, ?, ?, ?, ?, ?, 'running')",
                (job, scheduled_ms, partition, attempt, cause, now_ms),
            )
            run = int(cursor.lastrowid or 0)
            take_over(self._store, job, partition, run)
            return run

    def fail(self, run: int, error: str, now_ms: int, *, interrupted: bool = False) -> None:
        """Store that a run failed or was interrupted. Its partitions keep their rows."""
        with self._store.transaction():
            self.note_end(run, "interrupted" if interrupted else "failed", None, error, now_ms)

    def note_end(self, run: int, outcome: str, rows: int | None, error: str | None, now_ms: int) -> None:
        """Store how a run ended; call it inside a transaction."""
        self._store.execute(
            "update runs set outcome = ?, row_count = ?, error = ?, ended_ms = ? where id = ?",
            (outcome, rows, error, now_ms, run),
        )

    def interrupt_all(self, now_ms: int) -> None:
        """Store that the runs which were running when an owner died were interrupted."""
        with self._store.transaction():
            self._store.execute(
                "update runs set outcome = 'interrupted', ended_ms = ? where outcome = 'running'", (now_ms,)
            )

    def get(self, run: int) -> Run:
        return self._runs("id = ?", (run,))[0]

    def is_over_without(self, run: int) -> bool:
        """Whether a run has ended without success."""
        found = self._store.rows("select outcome from runs where id = ?", (run,))
        return bool(found) and found[0][0] in ("failed", "interrupted")

    def is_unknown(self, run: int) -> bool:
        """Whether a run is later than all that the catalog knows."""
        return run > int(self._store.rows("select coalesce(max(id), 0) from runs")[0][0])

    def latest(self, job: str | None = None, limit: int = 100, partition: str | None = None) -> list[Run]:
        """The latest runs, of one job or of all jobs, and of one partition or of all, the newest first."""
        return self._runs(
            "(?1 is null or job = ?1) and (?3 is null or partition = ?3) order by id desc limit ?2",
            (job, limit, partition),
        )

    def by_partition(self, job: str, low: str, high: str) -> list[tuple[Run, int]]:
        """The latest run of each partition of a job, from `low` to the one before `high`, and how many there were.

        SQLite takes bare columns from the row of the one `max` (its documentation of SELECT, "Bare columns").
        """
        rows = self._store.rows(
            "select max(id), job, scheduled_ms, partition, attempt, cause, started_ms, ended_ms, outcome, row_count,"
            " null, count(*) from runs where job = ? and partition >= ? and partition < ? group by partition"
            " order by partition",
            (job, low, high),
        )
        return [(Run(*row[:-1]), row[-1]) for row in rows]

    def _runs(self, where: str, parameters: Sequence[Any]) -> list[Run]:
        rows = self._store.rows(
            "select id, job, scheduled_ms, partition, attempt, cause, started_ms, ended_ms, outcome, row_count, error"
            f" from runs where {where}",
            parameters,
        )
        return [Run(*row) for row in rows]

    def unfinished(self) -> list[Run]:
        """For each instant that the schedule started and that has not succeeded: its last attempt."""
        return self._runs(
            "outcome in ('failed', 'interrupted') and cause != ? and not exists (select 1 from runs as later"
            " where later.job = runs.job and later.scheduled_ms = runs.scheduled_ms and later.id > runs.id)"
            " order by id",
            (ASKED_FOR,),
        )

    def has_succeeded(self, job: str, scheduled_ms: int) -> bool:
        """Whether a run of this instant has ever succeeded."""
        found = self._store.rows(
            "select 1 from runs where job = ? and scheduled_ms = ? and outcome = 'succeeded' limit 1",
            (job, scheduled_ms),
        )
        return bool(found)

    def is_running(self, job: str, partition: str) -> bool:
        found = self._store.rows(
            "select 1 from runs where job = ? and partition = ? and outcome = 'running' limit 1", (job, partition)
        )
        return bool(found)

    def last(self, job: str) -> tuple[int, str] | None:
        """The id and the outcome of the latest run of a job."""
        found = self._store.rows("select id, outcome from runs where job = ? order by id desc limit 1", (job,))
        return found[0] if found else None

    def unsettled_partition(self, job: str) -> str | None:
        """The oldest partition whose last run has not succeeded.

        A run that somebody asked for, or for an event hour that changed, counts while it runs; if it fails, its
        partition holds what it held before.
        """
        found = self._store.rows(
            "select min(partition) from runs where job = ? and outcome != 'succeeded' and"
            " (cause not in (?, ?) or outcome = 'running') and not exists (select 1 from runs as later"
            " where later.job = runs.job and later.partition = runs.partition"
            " and later.outcome = 'succeeded' and later.id > runs.id)",
            (job, ASKED_FOR, CHANGED),
        )[0][0]
        return None if found is None else str(found)

    def failing(self) -> list[tuple[str, str, int, int, str, int]]:
        """Of the latest 10,000 runs, those that failed and after which none succeeded for the same partition, unless
        somebody asked for them: (job, partition, how many, scheduled_ms, error and id of the latest).

        SQLite takes bare columns from the row of the one `max` (its documentation of SELECT, "Bare columns").
        """
        return self._store.rows(
            "select job, partition, count(*), scheduled_ms, coalesce(error, ''), max(id) from runs"
            " where id > (select max(id) from runs) - 10000 and outcome = 'failed' and cause != ?"
            " and not exists (select 1 from runs as later where later.job = runs.job"
            " and later.partition = runs.partition and later.outcome = 'succeeded' and later.id > runs.id)"
            " group by job, partition order by job, partition",
            (ASKED_FOR,),
        )

    def last_success(self, job: str) -> int:
        """The id of the latest run of a job that succeeded; 0 if there is none."""
        found = self._store.rows(
            "select coalesce(max(id), 0) from runs where job = ? and outcome = 'succeeded'", (job,)
        )
        return int(found[0][0])

    def forget(self, before_ms: int, *, only_count: bool = False) -> int:
        """Delete the records of runs that ended before an instant; returns how many."""
        where = "from runs where ended_ms < ?"
        if only_count:
            return int(self._store.rows(f"select count(*) {where}", (before_ms,))[0][0])
        with self._store.transaction():
            return self._store.execute(f"delete {where}", (before_ms,)).rowcount

    def schedule_from(self, job: str, instant_ms: int) -> None:
        """Begin the schedule of a job that is seen for the first time."""
        with self._store.transaction():
            self._store.execute("insert or ignore into schedules values (?, ?)", (job, instant_ms))

    def schedule_reached(self, job: str) -> int:
        """The instant up to which a job's schedule was followed."""
        return int(self._store.rows("select reached_ms from schedules where job = ?", (job,))[0][0])

    def reach_schedule(self, job: str, instant_ms: int) -> None:
        with self._store.transaction():
            self._store.execute("update schedules set reached_ms = ? where job = ?", (instant_ms, job))
