"""A warehouse whose clock the test controls. It has no threads: the same input gives the same files, runs and ledger.

`advance` goes from one instant at which work is due to the next. At each it does what a running warehouse would do
then, in this order:

  1. delayed events arrive, all events that arrived are converted, and the merges that are due are done; 2. jobs run, in
     the order of the declaration: retries, hours that became complete, schedules, event hours that changed; 3. when an
     hour ends: expiry and compaction, and retired files are deleted.

Jobs run in this process, so that they can be debugged and patched; their limits do not apply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from datawarehouse.catalog.runs import Run
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.tables import QUARANTINE_SUFFIX
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.durable import leave_unsynced
from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.intake.encoding import Event
from datawarehouse.intake.encoding import several as several_of
from datawarehouse.jobs.execute import execute_here
from datawarehouse.jobs.late_pandas import load_pandas_late
from datawarehouse.jobs.orders import JobFailure, JobOrder, JobOutput
from datawarehouse.query.result import Result
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.opening import Means
from datawarehouse.settings import Settings, resolve
from datawarehouse.testing.clock import START, TestClock, milliseconds

_MINUTE_MS = 60_000
_SHOWN = 5
_DISK_FREE_BYTES = 2**40  # what this machine has free must not decide a test
Duration = str | timedelta | float


class JobFailed(DataWarehouseError):
    """A run that a test asked for did not succeed."""


def simulate(
    warehouse: Warehouse, path: str | Path, *, start: datetime = START, settings: Mapping[str, object] | None = None
) -> SimulatedWarehouse:
    """Open a warehouse in the folder `path`, with its clock at `start`. A context manager; settings: values by name."""
    load_pandas_late()
    return SimulatedWarehouse(warehouse, Path(path), resolve(settings), TestClock(start))


class SimulatedWarehouse(OpenWarehouse):
    """A warehouse as this module describes it. Instants are in UTC."""

    clock: TestClock

    def __init__(self, warehouse: Warehouse, folder: Path, settings: Settings, clock: TestClock) -> None:
        self._failing: dict[str, list[Exception]] = {}
        self._delayed: list[tuple[int, str, list[Event]]] = []
        self._disk_is_full = False
        self._alerts: list[dict[str, Any]] = []
        leave_unsynced(folder.absolute())
        self._executor = LocalExecutor()
        means = Means(False, self._free_bytes, self._run_here, self._executor)
        super().__init__(warehouse, folder, settings, clock, means)
        self._chores_done = partition_of(clock.now_ms())

    def close(self) -> None:
        try:
            super().close()
        finally:
            leave_unsynced(self.folder, leave=False)

    @property
    def now(self) -> datetime:
        return self.clock.now

    # -- what a test does

    def put(
        self,
        table: str,
        events: Event | Iterable[Event],
        idempotency_key: str | None = None,
        *,
        delayed: Duration | None = None,
        duplicated: bool = False,
        throttled: bool = False,
        disk_full: bool = False,
    ) -> int:
        """Store events, as `open_warehouse(...).put` does; returns how many were accepted.

        delayed: they arrive this much later, when time is advanced. duplicated: each arrives twice. throttled,
        disk_full: the warehouse accepts none of them and raises Throttled, as under load or with a full disk.
        """
        several = list(several_of(events))
        if duplicated:
            several += several
        if delayed is not None:
            self.intake.stream(table)
            self._delayed.append((self.clock.now_ms() + milliseconds(delayed), table, several))
            return len(several)
        with self._fault(throttled=throttled, disk_full=disk_full):
            return super().put(table, several, idempotency_key)

    def fail_job(self, job: str, times: int = 1, error: Exception | None = None) -> None:
        """Make the next runs of a job fail: they raise `error` instead of calling the job's function."""
        self.warehouse.get_table(job)
        self._failing.setdefault(job, []).extend([error or RuntimeError("a failure that the test asked for")] * times)

    def advance(self, duration: Duration) -> None:
        """Let time pass: "90s", "15m", "1h", "30d", "1h 30m", a timedelta, or seconds."""
        self.check_open()
        passing = milliseconds(duration)
        if passing < 0:
            raise BadRequest(f"Time cannot be advanced by {duration!r}; start the warehouse at an earlier time.")
        end = self.clock.now_ms() + passing
        self._settle()
        while (at := self._next()) is not None and at < end:
            self.clock.set_ms(at)
            self._settle()
        self.clock.set_ms(end)
        self._settle()

    def flush(self) -> None:
        """Convert all that has arrived."""
        self.check_open()
        for name in self.converter.tables:
            while self.converter.convert(name, self._executor.run):
                continue

    def query(self, sql: str, params: Sequence[Any] | None = None, workgroup: str = "") -> Result:
        """The result of one statement of Athena SQL, over all that has arrived."""
        self.flush()
        return super().query(sql, params, workgroup)

    def quarantine(self, table: str) -> list[dict[str, Any]]:
        """The rejected records of a table, in the order of their arrival."""
        self.warehouse.get_input_stream(table)
        return self.query(
            f"select * from {table}{QUARANTINE_SUFFIX} order by arrival_timestamp, sequence_number"
        ).dicts()

    def run(self, job: str, at: datetime | None = None) -> Run:
        """Run a job now, for the scheduled instant `at` (by default now). Raises JobFailed."""
        self.flush()
        ended = super().run(job, at)
        if ended.outcome != "succeeded":
            raise JobFailed(f"The run of job {job!r} failed: {ended.error}")
        return ended

    def runs(self, job: str | None = None) -> list[Run]:
        """The runs of a job, or of all, the oldest first."""
        return self.catalog.runs.latest(job, 1_000_000)[::-1]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The documents that the receivers of alerts would have got by now, the oldest first; nothing is sent."""
        self.flush()
        self._alerts += self.alerting.evaluate()
        return list(self._alerts)

    def assert_table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Assert that a table has exactly these rows, in any order.

        A row maps column names to values. All rows name the same columns; others are not compared.
        """
        expected = [dict(row) for row in rows]
        names = list(expected[0]) if expected else [column.name for column in self.warehouse.get_table(name).columns]
        uneven = [row for row in expected if set(row) != set(names)]
        if uneven:
            raise BadRequest(f"The rows to compare name different columns: {names} and {list(uneven[0])}.")
        listed = ", ".join(f'"{column}"' for column in names)
        found = self.query(f"select {listed} from {name}").dicts()
        missing = Counter(map(_row, expected)) - Counter(map(_row, found))
        extra = Counter(map(_row, found)) - Counter(map(_row, expected))
        if missing or extra:
            raise AssertionError(
                f"Table {name!r} at {self.now:%Y-%m-%d %H:%M:%S} has {len(found)} rows, {len(expected)} were expected."
                f"{_listed('missing', missing)}{_listed('not expected', extra)}"
            )

    # -- how time passes

    def _next(self) -> int | None:
        """The next instant at which something may happen."""
        now = self.clock.now_ms()
        candidates: list[int | None] = [
            now - now % HOUR_MS + HOUR_MS,
            self.schedule.next_ms(),
            self.converter.next_merge_ms(),
            self.alerting.next_ms(),
        ]
        candidates += [at for at, _, _ in self._delayed]
        if self.chores.has_more:
            candidates.append(now - now % _MINUTE_MS + _MINUTE_MS)
        return min(at for at in candidates if at is not None and at > now)

    def _settle(self) -> None:
        """Do all work that is due now."""
        now = self.clock.now_ms()
        arriving = sorted((each for each in self._delayed if each[0] <= now), key=lambda each: each[0])
        self._delayed = [each for each in self._delayed if each[0] > now]
        for _, table, events in arriving:
            super().put(table, events)
        self.flush()
        for name in self.converter.tables:
            self.converter.merge(name, self._executor.run)
        while self.schedule.run_due():
            continue
        if self._chores_done != partition_of(now) or self.chores.has_more:
            self._chores_done = partition_of(now)
            self.tidying.round()
        self.converter.delete_retired()
        self._alerts += self.alerting.evaluate()

    # -- faults

    def _free_bytes(self, folder: Path) -> int:
        return 0 if self._disk_is_full else _DISK_FREE_BYTES

    @contextmanager
    def _fault(self, *, throttled: bool, disk_full: bool) -> Iterator[None]:
        limits = self.intake.limits
        self._disk_is_full = disk_full
        if throttled:
            self.intake.limits = replace(limits, journal_bytes_max=0)
        self.intake.disk.look_again()
        try:
            yield
        finally:
            self._disk_is_full = False
            self.intake.limits = limits
            self.intake.disk.look_again()

    def _run_here(self, order: JobOrder, job: Callable[..., Any] | SqlJob) -> JobOutput | JobFailure:
        failures = self._failing.get(order.table)

        def chosen(context: Any) -> Any:
            if failures:
                raise failures.pop(0)
            assert not isinstance(job, SqlJob)
            return job(context)

        if failures:
            order = msgspec.structs.replace(order, sql="")
        return execute_here(order, partial(self.query, workgroup="batch"), lambda: chosen)


def _row(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in row.items()))


def _listed(what: str, rows: Counter[tuple[tuple[str, str], ...]]) -> str:
    if not rows:
        return ""
    shown = [
        f"\n  {count} x {{{', '.join(f'{name}: {value}' for name, value in row)}}}"
        for row, count in rows.most_common(_SHOWN)
    ]
    more = f"\n  and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"\n{what}:{''.join(shown)}{more}"
