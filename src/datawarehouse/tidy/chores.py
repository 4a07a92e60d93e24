"""The maintenance of a warehouse: compaction, expiry, and removing files that the catalog does not know (orphans).

Expiry and orphans come first, because they are cheap and free space. Compaction then works through the closed hours,
the oldest first, as far as `compact_bytes_per_minute` allows. The caller decides when a round runs. A round may be
interrupted at any point: what it has committed stays, and the next round continues. The daily share of the audit comes
last.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import File, Held, StoredTable
from datawarehouse.clock import Clock
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.tables import (
    QUARANTINE_COLUMNS,
    BatchInputTable,
    Column,
    StreamingInputTable,
    Table,
    to_wire,
)
from datawarehouse.durable import LOCAL_DISK, lacks_space, remove
from datawarehouse.errors import FileDamaged
from datawarehouse.parquet.footer import REJECTS, ROWS, DataFile
from datawarehouse.tidy.compaction import CompactionPlan, Hours, Step, Wanted, plan_of
from datawarehouse.tidy.daily_audit import DailyAudit, log_damage
from datawarehouse.tidy.expiry import DAY_MS, first_kept
from datawarehouse.tidy.files import data_file, stored_file
from datawarehouse.tidy.orders import DedupeOrder, Deduplicated, InspectOrder, MergeOrder, RewriteOrder
from datawarehouse.tidy.orphans import Orphans

log = logging.getLogger("datawarehouse.chores")

_MINUTE_MS = 60_000

Rewrite = Callable[[RewriteOrder | InspectOrder], object]
"""Runs an order, here or in another process, and returns its result. Raises WorkerDied, FileDamaged."""


@dataclass(frozen=True, slots=True)
class TidyLimits:
    """See the settings of the same names."""

    compact_bytes: int
    compact_after_hours: int
    compact_bytes_per_minute: int
    run_retention_days: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan for the files of one kind in a partition."""

    table: str
    kind: str
    partition: str
    files: tuple[File, ...]
    plan: CompactionPlan


@dataclass(frozen=True, slots=True)
class Expired:
    """What was deleted, or would be: partitions, and how many records of runs."""

    partitions: list[Held]
    runs: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did, in files, rows and bytes that were read."""

    files_before: int = 0
    files_after: int = 0
    removed_rows: int = 0
    bytes: int = 0

    def __add__(self, other: Compacted) -> Compacted:
        return Compacted(
            self.files_before + other.files_before,
            self.files_after + other.files_after,
            self.removed_rows + other.removed_rows,
            self.bytes + other.bytes,
        )


class Planner:
    """Finds out what is to be done. It changes nothing, so it also works in a process that does not own the folder."""

    def __init__(self, tables: Sequence[Table], catalog: Catalog, limits: TidyLimits, clock: Clock) -> None:
        self.tables: Mapping[str, Table] = {table.name: table for table in tables}
        self.catalog = catalog
        self.limits = limits
        self.clock = clock

    def hours(self) -> Hours:
        now = self.clock.now_ms()
        return Hours(partition_of(now), partition_of(now - self.limits.compact_after_hours * HOUR_MS))

    def wanted(self, name: str, kind: str) -> Wanted:
        table = self.tables[name]
        if kind == REJECTS or not isinstance(table, StreamingInputTable):
            return Wanted(self.limits.compact_bytes)
        return Wanted(self.limits.compact_bytes, table.sort_by, table.dedupe_key, table.event_time)

    def due(self, name: str, kind: str) -> Iterator[Planned]:
        """The partitions that need work, the oldest first."""
        wanted = self.wanted(name, kind)
        demanded = wanted.arrangement if wanted.demands else None
        uncounted = wanted.event_time is not None
        for partition in self.catalog.compactable(name, kind, self.hours().compacted, demanded, uncounted=uncounted):
            planned = self.planned(name, kind, partition)
            if planned.plan.steps:
                yield planned

    def all(self, name: str, kind: str) -> Iterator[Planned]:
        """Every partition, with what is to be done, or why nothing is to be done."""
        for partition in sorted(self.catalog.partitions_between(name, kind, None, None)):
            yield self.planned(name, kind, partition)

    def planned(self, name: str, kind: str, partition: str) -> Planned:
        """What is to be done with the files of one kind in a partition; damaged ones are left as they are."""
        live = self.catalog.live_files(name, kind, [partition])
        files = [file for file in live if file.damage is None]
        fresh = self.catalog.has_fresh(name, kind, partition)
        plan = plan_of(files, fresh, partition, self.hours(), self.wanted(name, kind))
        return Planned(name, kind, partition, tuple(files), plan)

    def expired(self) -> Expired:
        """What is old enough to be deleted."""
        now = self.clock.now_ms()
        held: list[Held] = []
        for table in self.tables.values():
            if isinstance(table, StreamingInputTable | BatchInputTable) and table.retention_days is not None:
                held += self.catalog.partitions_before(table.name, first_kept(now, table.retention_days))
        return Expired(held, self.catalog.runs.forget(self.runs_before(now), only_count=True))

    def runs_before(self, now: int) -> int:
        """The instant before which ended runs are deleted."""
        return now - self.limits.run_retention_days * DAY_MS


class Chores:
    """Does what the planner finds. One round at a time."""

    def __init__(
        self,
        tables: Sequence[Table],
        catalog: Catalog,
        limits: TidyLimits,
        clock: Clock,
        lake: Path,
        orphans: Orphans,
        audit: DailyAudit,
    ) -> None:
        self.planner = Planner(tables, catalog, limits, clock)
        self._catalog = catalog
        self._clock = clock
        self._lake = lake
        self.has_more = False  # whether the last round left work because its budget was spent
        self._turn = threading.Lock()
        self._stored: dict[str, StoredTable] = {table.name: table for table in catalog.tables()}
        self._budget = float(limits.compact_bytes_per_minute)
        self._budget_ms = clock.now_ms()
        self._put_off: dict[tuple[str, str, str], int] = {}
        self.orphans = orphans
        self.audit = audit

    def round(self, execute: Rewrite, stopping: Callable[[], bool]) -> Compacted:
        """Expire, remove orphans, compact within the budget, and audit; returns what was compacted."""
        self.expire()
        self.orphans.look()
        self._catalog.store.snapshot_if_due()
        self.has_more = False
        done = Compacted()
        for name, table in self.planner.tables.items():
            if isinstance(table, StreamingInputTable) and self.planner.limits.compact_bytes_per_minute:
                done += self.compact(name, execute, stopping, within_budget=True)
        self.audit.round(execute, stopping)
        return done

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call a function while no compaction is running."""
        with self._turn:
            call()

    # -- compaction

    def compact(
        self, name: str, execute: Rewrite, stopping: Callable[[], bool], *, within_budget: bool = False
    ) -> Compacted:
        """Compact the partitions of a table that are due; returns what was done."""
        done = Compacted()
        with self._turn:
            for kind in (ROWS, REJECTS):
                for planned in self.planner.due(name, kind):
                    is_put_off = self._put_off.get((name, kind, planned.partition), 0) > self._clock.now_ms()
                    if is_put_off and within_budget:  # the caller may have removed the cause
                        continue
                    while planned.plan.steps:
                        step = planned.plan.steps[0]
                        if stopping():
                            return done
                        if within_budget and not self._spend(step.bytes):
                            self.has_more = True
                            return done
                        result = self._tried(planned, step, execute, stopping)
                        if result is None:  # another change of the partition came first, or the step failed
                            break
                        done += result
                        planned = self.planner.planned(name, kind, planned.partition)
        return done

    def _tried(self, planned: Planned, step: Step, execute: Rewrite, stopping: Callable[[], bool]) -> Compacted | None:
        """What a step did; None if it failed. A failed step is retried after an hour, so that it does not hold up other
        work. A damaged file is noted, and the partition is planned again without it."""
        try:
            return self._do(planned, step, execute)
        except FileDamaged as error:
            if self._catalog.damage(error.path, error.problem):
                log_damage(error.table, error.path, error.problem)
            return Compacted()
        except Exception as error:
            if stopping():  # closing ends the process that runs the step
                return None
            if lacks_space(error):  # the other partitions would not find space either
                raise
            log.exception("%s %s was not compacted; trying again in an hour", planned.table, planned.partition)
            self._put_off[planned.table, planned.kind, planned.partition] = self._clock.now_ms() + HOUR_MS
            return None

    def _spend(self, size: int) -> bool:
        """Take this many bytes from the budget. A step larger than the whole budget waits until nothing of it is
        spent."""
        most, now = self.planner.limits.compact_bytes_per_minute, self._clock.now_ms()
        passed, self._budget_ms = max(0, now - self._budget_ms), now
        self._budget = min(most, self._budget + most * passed / _MINUTE_MS)
        if self._budget < min(size, most):
            return False
        self._budget -= size
        return True

    def _do(self, planned: Planned, step: Step, execute: Rewrite) -> Compacted | None:
        columns, version = self._schema(planned)
        wanted = self.planner.wanted(planned.table, planned.kind)
        sources = [data_file(file) for file in step.files]
        pairs = to_wire(columns)
        name = f"{step.files[0].spans[0][0] if step.files[0].spans else 0:016d}-{secrets.token_hex(4)}"
        lake, now = str(self._lake), self._clock.now_ms
        if step.kind == "deduplicate":
            assert wanted.dedupe_key
            answer = execute(DedupeOrder(sources, pairs, version, lake, name, wanted.dedupe_key, wanted.event_time))
            assert isinstance(answer, Deduplicated)
            gone = {path for path, _ in answer.replaced}
            old = [file for file in step.files if file.path in gone]
            stay = [file for file in step.files if file.path not in gone]
            new = [file for _, file in answer.replaced]
            added = [stored_file(file, wanted.deduped) for file in new]
            removed = answer.removed_rows
            ok = self._catalog.replace_files(old, added, now(), removed_rows=removed, arranged=(stay, wanted.deduped))
        else:
            answer = execute(MergeOrder(sources, pairs, version, lake, name, wanted.sort_by, wanted.event_time))
            assert isinstance(answer, DataFile)
            old, new, removed = list(step.files), [answer], 0
            ok = self._catalog.replace_files(old, [stored_file(answer, wanted.arrangement)], now())
        if not ok:
            remove(LOCAL_DISK, [self._lake / file.path for file in new])
            return None
        log.info(
            "compacted %s %s: %d files became %d, %d duplicates were removed; %s",
            planned.table, planned.partition, len(old), len(new), removed, planned.plan.reason,
        )  # fmt: skip
        return Compacted(len(old), len(new), removed, step.bytes)

    def _schema(self, planned: Planned) -> tuple[Sequence[Column], int]:
        if planned.kind == REJECTS:
            return QUARANTINE_COLUMNS, 0
        stored = self._stored[planned.table]
        return stored.columns[stored.schema_version], stored.schema_version

    # -- expiry

    def expire(self) -> Expired:
        """Expire what is old enough, and return it. Its files are deleted later, as all retired files are."""
        found = self.planner.expired()
        gone: list[Held] = []
        for due in found.partitions:
            held = self._catalog.expire(due.table, due.partition, self._clock.now_ms())
            if held is None:  # it has changed since it was planned
                continue
            gone.append(held)
            log.info(
                "expired %s %s: %d rows, %d rejected records, %d files",
                held.table, held.partition, held.rows, held.rejects, held.files,
            )  # fmt: skip
        runs = self._catalog.runs.forget(self.planner.runs_before(self._clock.now_ms())) if found.runs else 0
        return Expired(gone, runs)


def limits_of(number: Callable[[str], int]) -> TidyLimits:
    """The limits, from settings."""
    return TidyLimits(
        compact_bytes=number("compact_bytes"),
        compact_after_hours=number("compact_after_hours"),
        compact_bytes_per_minute=number("compact_bytes_per_minute"),
        run_retention_days=number("run_retention_days"),
    )
