"""Which hours of event time changed after a job had begun to count them, until a run of it has counted the change.

A change is recorded in the transaction that makes the events visible, so that none is lost and none is recorded twice.
The start of a run takes over what is recorded for its hour by then, which its queries see; its commit forgets that. If
it fails, that stays recorded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from datawarehouse.catalog.records import File
from datawarehouse.catalog.store import Store
from datawarehouse.definition.instants import MAX_MS, MIN_MS
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable, Table

_JOBS = "jobs that run again when an event hour changes"
_SPREAD_HOURS = 168
"""Of a span of several hours, which a file with many has, only so many before the hour of arrival are looked at."""

_OF_THE_HOUR = "from runs where runs.job = changes.job and runs.partition = changes.partition"
_NOBODY_REPEATS = (
    "exists (select 1 from runs where id = changes.run and cause = 'asked for'"
    " and outcome in ('failed', 'interrupted'))"
)


@dataclass(frozen=True, slots=True)
class Asking:
    """A job that asks to run again. kept_hours: how long its hours and those that it reads are kept; None is for
    ever."""

    job: str
    kept_hours: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """Events of one table that no run of a job has counted. partition: the hour of event time; arrival: the first hour
    of arrival of those that no run has taken over.

    is_taken: a run has taken all of them over: it runs, or it failed and is retried, or was the last attempt. reruns:
    how often the job ran again for the hour. scheduled_ms: the instant of its last run for it; None if that is
    forgotten.
    """

    partition: str
    table: str
    arrival: str
    events: int
    is_taken: bool
    reruns: int
    scheduled_ms: int | None


class EventHourChanges:
    """The part of the catalog that stores such changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: dict[str, list[str]] = {}

    def declare(self, tables: Sequence[Table]) -> None:
        """Note which jobs ask to run again; only inside `transaction`. Changes are recorded for these."""
        by_name = {table.name: table for table in tables}
        self._jobs = {}
        asking: dict[str, int | None] = {}
        for table in tables:
            if not isinstance(table, BatchInputTable) or not table.rerun_when_event_hour_changes:
                continue
            read = [by_name[name] for name in table.reads]
            for other in read:
                if isinstance(other, StreamingInputTable) and other.event_time:
                    self._jobs.setdefault(other.name, []).append(table.name)
            days = [
                each.retention_days
                for each in (table, *read)
                if isinstance(each, BatchInputTable | StreamingInputTable) and each.retention_days is not None
            ]
            asking[table.name] = min(days) * 24 if days else None
        if asking != self._noted():
            self._store.execute("insert or replace into notes values (?, ?)", (_JOBS, json.dumps(asking)))

    def asking(self) -> list[Asking]:
        """The jobs that ask to run again, by name."""
        return [Asking(job, kept) for job, kept in sorted(self._noted().items())]

    def _noted(self) -> Mapping[str, int | None]:
        found = self._store.rows("select value from notes where name = ?", (_JOBS,))
        noted: Mapping[str, int | None] = json.loads(found[0][0]) if found else {}
        return noted

    def note(self, table: str, files: Iterable[File]) -> None:
        """Record what new files of a table change; only inside `transaction`."""
        jobs = self._jobs.get(table)
        hours = _event_hours(files) if jobs else None
        if not jobs or not hours:
            return
        asked = json.dumps(sorted({partition for partition, _ in hours}))
        for job in jobs:
            counted = {
                partition
                for (partition,) in self._store.rows(
                    "select partition from runs where job = ?1 and partition in (select value from json_each(?2))"
                    " union select partition from ledger where table_name = ?1"
                    " and partition in (select value from json_each(?2))",
                    (job, asked),
                )
            }
            self._store.execute_many(
                "insert into event_hour_changes (job, partition, of_table, arrival, events, taken, run)"
                " values (?, ?, ?, ?, ?, 0, null) on conflict do update set arrival = case when events = 0"
                " then excluded.arrival else min(arrival, excluded.arrival) end, events = events + excluded.events",
                [
                    (job, partition, table, arrival, events)
                    for (partition, arrival), events in hours.items()
                    if partition in counted
                ],
            )

    def of_job(self, job: str) -> list[Change]:
        """What no run of a job has counted, the oldest hour first.

        What a run had taken over that somebody asked for, and that failed, counts as if it had not: nothing repeats it.
        """
        rows = self._store.rows(
            f"select partition, of_table, arrival, events + taken, events = 0 and not {_NOBODY_REPEATS},"
            f" (select count(*) {_OF_THE_HOUR} and cause = ?2 and attempt = 1 and outcome != 'interrupted'),"
            f" (select scheduled_ms {_OF_THE_HOUR} order by cause = 'asked for', scheduled_ms desc limit 1)"
            " from event_hour_changes as changes where job = ?1 order by partition, of_table",
            (job, CHANGED),
        )
        return [
            Change(partition, table, arrival, events, bool(is_taken), reruns, scheduled_ms)
            for partition, table, arrival, events, is_taken, reruns, scheduled_ms in rows
        ]

    def uncounted(self, job: str) -> set[str]:
        """The event hours that have events which no run of a job has counted."""
        rows = self._store.rows("select distinct partition from event_hour_changes where job = ?", (job,))
        return {partition for (partition,) in rows}

    def reruns(self, job: str) -> int:
        """How often a job ran again for changes, as far as the records of its runs are kept."""
        found = self._store.rows(
            "select count(*) from runs where job = ? and cause = ? and attempt = 1 and outcome != 'interrupted'",
            (job, CHANGED),
        )
        return int(found[0][0])


CHANGED = "event hour changed"
"""The cause of a run for a change."""


def take_over(store: Store, job: str, partition: str, run: int) -> None:
    """Let a run that starts count what is recorded for its hour; only inside `transaction`."""
    store.execute(
        "update event_hour_changes set taken = taken + events, events = 0, run = ? where job = ? and partition = ?",
        (run, job, partition),
    )


def forget_counted(store: Store, run: int, job: str) -> None:
    """Forget what a run that succeeded had taken over; only inside `transaction`."""
    store.execute("delete from event_hour_changes where job = ? and run = ? and events = 0", (job, run))
    store.execute("update event_hour_changes set taken = 0, run = null where job = ? and run = ?", (job, run))


def _event_hours(files: Iterable[File]) -> Counter[tuple[str, str]]:
    """(hour of event time, hour of arrival) -> how many events; of a span of several hours, at most so many."""
    found: Counter[tuple[str, str]] = Counter()
    for file in files:
        if not file.event_times:
            continue
        arrival = start_ms(file.partition) // HOUR_MS
        for first_ms, last_ms, events in file.event_times.spans:
            first, last = max(first_ms, MIN_MS) // HOUR_MS, min(last_ms, MAX_MS) // HOUR_MS
            between = range(max(first, arrival - _SPREAD_HOURS), min(last, arrival) + 1)
            for hour in {first, last, *between} if first <= last else ():
                found[partition_of(hour * HOUR_MS), file.partition] += events
    return found
