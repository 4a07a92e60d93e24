"""The owner of a data folder: accepts events, keeps them converted, and can be closed at any time.

Opening
  1. Own the folder; bring its format up to date.
  2. Open its contents (`opening`).
  3. Start the threads that convert, those that follow schedules, the one that compacts and expires, and those that tell
     somebody when something is wrong.

Closing, within `stop_time_max_s`
  1. Accept no more events. 2. Convert and merge pending records; those that take too long stay in the journal.
  3. Stop the threads and child processes. 4. Close journals and catalog. 5. Release the folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from datawarehouse.access.keys import Keys, listed
from datawarehouse.alerts.webhook import secrets_of
from datawarehouse.backup.make import Made
from datawarehouse.catalog.runs import Run
from datawarehouse.catalog.store import StoreError
from datawarehouse.clock import Clock, GuardedClock
from datawarehouse.definition.instants import instant_of, milliseconds_of, written
from datawarehouse.definition.tables import StreamingInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest, FolderError
from datawarehouse.folder import Holder, Ownership, keys_path
from datawarehouse.intake.aggregates import has_aggregates, taken_apart
from datawarehouse.intake.encoding import Event, groups, records_of
from datawarehouse.intake.intake import keys_for
from datawarehouse.journal.journal import entry_of
from datawarehouse.runtime.alerting import Alerting
from datawarehouse.runtime.backups import Backups, OnProgress
from datawarehouse.runtime.closing import Closing
from datawarehouse.runtime.conversion import Conversion
from datawarehouse.runtime.executor import Executor
from datawarehouse.runtime.held_hours import say_at_opening
from datawarehouse.runtime.identity import identity_of
from datawarehouse.runtime.opening import Means, longest_query_s, open_parts
from datawarehouse.runtime.partitions import PartitionValues, checked_partition
from datawarehouse.runtime.status import status_of
from datawarehouse.runtime.tidying import Tidying
from datawarehouse.runtime.upgrades import UPGRADES
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.scratch.store import Scratch
from datawarehouse.settings import Settings
from datawarehouse.tidy.chores import Compacted, Expired

log = logging.getLogger("datawarehouse")


class Owner:
    """A warehouse that this process owns. Methods can be called from any thread."""

    def __init__(
        self, warehouse: Warehouse, folder: Path, settings: Settings, clock: Clock, means: Means | None = None
    ) -> None:
        means = means or Means()
        self.warehouse = warehouse
        self.settings = settings
        self.clock, self.changed_files = clock, means.changed_files
        self.ownership = Ownership(folder, UPGRADES, brief=means.brief)
        self.folder = self.ownership.folder
        parts = None
        try:
            secrets = secrets_of(settings.text("alert_webhook_secret"))
            parts = open_parts(warehouse, self.folder, settings, clock, means, self.ownership.since_ns)
            self.keys = Keys(keys_path(self.folder))
            self._closing = Closing()
            self.alerting = Alerting(
                warehouse,
                self.folder,
                secrets,
                clock,
                self._closing,
                parts.catalog,
                parts.converter,
                parts.intake,
                means.free_bytes,
            )
            self.longest_query_s = longest_query_s(warehouse, settings)
            self.ownership.announce(Holder(os.getpid(), query_time_max_s=self.longest_query_s, brief=means.brief))
            journals = {name: stream.journal for name, stream in parts.intake.streams.items()}
            say_at_opening(parts.catalog, journals, clock.now_ms())
        except BaseException as error:
            if parts:
                parts.close()
            self.ownership.release()
            if isinstance(error, OSError | StoreError):
                raise FolderError(f"The data folder {self.folder} cannot be opened: {error}.") from error
            raise
        self._parts = parts
        self.catalog = parts.catalog
        self.intake = parts.intake
        self.converter = parts.converter
        self.completeness = parts.completeness
        self.jobs = parts.jobs
        self.chores = parts.chores
        self.schedule = parts.schedule
        self.faults = parts.faults
        self._conversion = Conversion(parts.converter, parts.intake, settings, self._closing, parts.faults)
        self.scratch_limits = ScratchLimits.of(settings, self.longest_query_s)
        self._scratch = Scratch.of(self.scratch_limits, self.folder, clock)
        self._backups = Backups(
            self.folder,
            self.catalog,
            journals,
            self.converter.keeping,
            settings,
            self.clock,
            self._closing,
            parts.faults,
            self._scratch.holding,
        )
        self.tidying = Tidying(
            parts.chores,
            parts.exports,
            self._closing,
            means.compactor,
            parts.faults,
            self.ownership.restore,
            self._scratch.clean,
        )
        self._is_closed = False

    def start(
        self,
        new_executor: Callable[[], Executor],
        new_compactor: Callable[[], Executor] | None = None,
        *,
        only_convert: bool = False,
    ) -> None:
        """Start the threads that convert, each with its own executor, those that follow schedules, the one that does
        the chores, and those that tell somebody when something is wrong."""
        self.tidying.compactor = (new_compactor or new_executor)()
        first = [new_executor()]
        self.jobs.inspector = first[0]  # also of the thread that converts, whose process is there anyway
        if not only_convert:
            self.schedule.start()
            self.tidying.start()
            self.alerting.start()
            self._backups.start()
        self._conversion.start(lambda: first.pop() if first else new_executor())

    # -- events

    def put(self, table: str, events: Event | Iterable[Event], idempotency_key: str | None = None) -> int:
        """Store events of a streaming input table; returns how many, once they are durable.

        events: one event or several, each a mapping, or its JSON as text or bytes. Malformed JSON is accepted and
        rejected later, with its reason; bytes that the Kinesis Producer Library aggregated are taken apart.
        idempotency_key: names this call; a second call with the same key and events stores nothing again (within
        `idempotency_window_s`).

        Raises UnknownName, BadRequest for a value that JSON cannot express or an event that is too large, and
        Throttled; the events before the limit are then stored.
        """
        self.check_open()
        stream = self.intake.stream(table)
        taken = 0
        for number, group in enumerate(groups(records_of(events), self.intake.limits.record_bytes_max)):
            keys = keys_for(f"{idempotency_key}-{number}", b"\n".join(group)) if idempotency_key else None
            entry = entry_of(group, stream.shards_in_turn(len(group)), keys)
            if has_aggregates(entry, group):
                entry, _ = taken_apart(entry, group, self.intake.limits.request_events_max)
            appended, _ = self.intake.append(stream, entry)
            taken += appended.count
        return taken

    def flush(self) -> None:
        """Return when every event that was accepted before is visible to queries.

        Raises ConversionStalled if the conversion of a table fails repeatedly, and Closed if the warehouse is closed
        before it has finished.
        """
        self._conversion.flush()

    def behind(self) -> list[dict[str, Any]]:
        """What a flush waits for: each table with records that are not converted, how many, and what is done to it.

        doing: "waiting", or the step and how long it has taken; failures: how often it failed since it last succeeded.
        """
        return self._conversion.behind()

    # -- tables that are not filled by events

    def register_partition(self, table: str, values: PartitionValues, location: str | Path | None = None) -> None:
        """Make the files of a folder a partition of a table that you fill.

        values: one for each partition key, in order or by name. location: the folder, absolute; without it the
        folder `<table>/<value>/<value>...` of the data folder. Raises UnknownName or BadRequest.
        """
        self.catalog.register_partition(table, *checked_partition(self.warehouse.get_table(table), values, location))

    def run(self, job: str, at: datetime | None = None) -> Run:
        """Run the job of a batch input table now, for the scheduled instant `at` (by default now), and wait for it.

        at: in UTC, if it names no zone.

        Its output replaces the rows of its partition. A run that failed leaves them as they were, and its `error` says
        why.
        """
        self.check_open()
        return self.jobs.run(job, self.clock.now_ms() if at is None else milliseconds_of(at))

    # -- chores

    def compact(self, table: str) -> Compacted:
        """Compact the closed hours of a streaming input table now, whatever the budget; returns what was done."""
        self.check_open()
        declared = self.warehouse.get_table(table)
        if not isinstance(declared, StreamingInputTable):
            raise BadRequest(f"Table {table!r} is a {declared.kind}; only streaming input tables are compacted.")
        return self.tidying.compact(table)

    def expire(self) -> Expired:
        """Delete hours that are older than their table's `retention_days`, and old records of runs, and scratch tables
        whose time is over; returns what was deleted of the first."""
        self.check_open()
        expired = self.chores.expire()
        self._scratch.clean()
        return expired

    def backup(
        self,
        to: str | Path,
        kept: int | None = None,
        on_progress: OnProgress = lambda progress: None,
        is_unwanted: Callable[[], bool] = lambda: False,
    ) -> Made:
        """Make a back-up in the folder `to`, which holds only back-ups of this data folder: every event that was
        acknowledged before this call is in it. Events are taken meanwhile.

        kept: how many back-ups stay there (0: all); by default as the setting `backups_kept` says. on_progress is
        called now and then. is_unwanted is asked now and then, and ends it. The result names files that are damaged
        and therefore missing. Raises BackupError, or Closed if the warehouse is closed before it has finished.
        """
        return self._backups.make(Path(to).expanduser().absolute(), kept, on_progress, is_unwanted)

    # -- state

    def complete_until(self, table: str) -> datetime | None:
        """The instant (UTC) up to which a table can no longer change: the hours that ended by then are complete.

        None for a table that its user fills. Raises UnknownName.
        """
        self.check_open()
        until = self.completeness.until_ms(self.warehouse.get_table(table).name)
        return None if until is None else instant_of(until)

    def complete(self) -> dict[str, Any]:
        """identity: what tells this data folder from others. until_ms: as `complete_until`, by table, in milliseconds
        since 1970."""
        self.check_open()
        found = {table.name: self.completeness.until_ms(table.name) for table in self.warehouse.tables()}
        return {
            "identity": identity_of(self.catalog),
            "until_ms": {name: until for name, until in found.items() if until is not None},
        }

    def status(self) -> dict[str, Any]:
        """What `dw status` shows: the tables, with records received, stored, rejected and pending, and the settings."""
        streams = {name: (stream.journal, stream.unconverted_bytes) for name, stream in self.intake.streams.items()}
        shown = status_of(self.catalog, self.folder, self.settings, self.clock, streams)
        refused = self.intake.refusals.of_keys
        return (
            shown
            | self.alerting.status()
            | {"thread_faults": self.faults.counts, "clock": self._clock_status()}
            | {
                "changed_files": self.changed_files(),
                "keys": listed(self.keys.all(), self.clock.now_ms(), refused),
                "refused_without_key": {reason: count for (name, reason), count in refused.items() if not name},
            }
        )

    def _clock_status(self) -> dict[str, Any]:
        guarded = self.clock if isinstance(self.clock, GuardedClock) else None
        return {
            "now": written(self.clock.now_ms()),
            "ahead_s": guarded.ahead_ms / 1000 if guarded else 0.0,
            "is_guarding": bool(guarded and guarded.is_guarding),
        }

    def accept_clock(self) -> dict[str, Any]:
        """Believe the wall clock as it is now, also where events have arrived later than it says.

        moved_s: by how many seconds the time moves; set_back: the tables whose next event may arrive earlier than the
        last one. Their hours from now on are open again, although some may have been complete.
        """
        self.check_open()
        moved = self.clock.accept() / 1000 if isinstance(self.clock, GuardedClock) else 0.0
        tables = self.completeness.set_back()
        for name in tables:
            log.warning("events of table %s arrive by the clock again, earlier than the last one", name)
        return {"moved_s": moved, "set_back": tables}

    def not_ready(self) -> str:
        """Why events cannot be taken now; empty if they can."""
        if self._closing.is_begun:
            return "the warehouse is closing"
        return self.intake.disk.why_full()

    def check_open(self) -> None:
        """Raises Closed if the warehouse is closed."""
        self._closing.check_open()

    # -- closing

    def close(self) -> None:
        """Accept no more events, convert as many as possible in `stop_time_max_s`, and release the folder."""
        if self._is_closed:
            return
        self._is_closed = True
        with ExitStack() as steps:  # the last one first; each is taken, whatever the one before it raised
            steps.callback(self.ownership.release)
            steps.callback(self._parts.close)
            steps.callback(self.alerting.stop)
            steps.callback(self._backups.stop)
            steps.callback(self.schedule.stop)
            steps.callback(self.tidying.stop)
            steps.callback(self._conversion.stop)
            self.begin_closing()

    def begin_closing(self) -> None:
        """End calls that wait for this warehouse (a flush, a run of a job); `close` must follow."""
        if self._closing.begin(self.settings.number("stop_time_max_s")):
            self._conversion.begin_stopping()
            self.jobs.stop()
            self.tidying.compactor.kill()  # its uncommitted work is done again later

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
