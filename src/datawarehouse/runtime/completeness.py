"""The instant up to which a table can no longer change: the hours that ended by then are complete.

An hour of a streaming input table is complete when no record can arrive in it any more and all its records are
converted. Arrival times follow the clock, which may jump back. So the end of the hour is first stored in the catalog
and given to the journal, which then gives no later record an arrival time before it.

An hour of a batch input table is complete when its schedule will not run for it again and its last run succeeded.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.set_back import set_back
from datawarehouse.clock import Clock
from datawarehouse.convert.converter import Converter
from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, start_ms
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.definition.tables import BatchInputTable, Table
from datawarehouse.journal.journal import Journal
from datawarehouse.runtime.held_hours import held_until


class Completeness:
    def __init__(
        self, tables: Mapping[str, Table], journals: Mapping[str, Journal], converter: Converter, catalog: Catalog,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._tables = tables
        self._journals = journals
        self._converter = converter
        self._catalog = catalog
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = {name: catalog.closed_ms(name) for name in journals}
        for name, journal in journals.items():
            journal.close_before(self._closed[name])

    def until_ms(self, table: str) -> int | None:
        """The start of the first hour that can still change; None for a table that its user fills."""
        if table in self._journals:
            with self._lock:
                return self._of_stream(table)
        declared = self._tables[table]
        return self._of_job(declared) if isinstance(declared, BatchInputTable) else None

    def set_back(self) -> list[str]:
        """Let the streams that are held take events by the clock again; returns their names.

        Their hours from now on are open again, although some were complete, and jobs run for them once more.
        """
        with self._lock:
            now = self._clock.now_ms()
            held = [
                name for name, journal in self._journals.items()
                if held_until(self._catalog, name, now, journal) is not None
            ]  # fmt: skip
            if held:
                jobs = [each for each in self._tables.values() if isinstance(each, BatchInputTable)]
                hourly = [job.name for job in jobs if job.run_when_complete]
                set_back(self._catalog.store, held, hourly, now)
            for name in held:
                self._closed[name] = min(self._closed[name], _hour(now))
                self._journals[name].set_back(now)
            return held

    def _of_stream(self, name: str) -> int:
        journal = self._journals[name]
        hour = _hour(self._clock.now_ms())
        if hour > self._closed[name]:
            self._catalog.close_hours(name, hour)
            self._closed[name] = hour
        behind = journal.close_before(self._closed[name])
        if self._converter.converted(name) >= behind:
            return self._closed[name]
        oldest = journal.arrival_after(self._catalog.converted(name).position)
        return self._closed[name] if oldest is None else min(self._closed[name], _hour(oldest))

    def _of_job(self, table: BatchInputTable) -> int:
        reached = self._catalog.runs.schedule_reached(table.name)
        until = reached
        if not table.run_when_complete:
            at = instant_of(reached)
            following = parse_schedule(table.schedule_expression).next_after(at, at)
            # The partition of an instant is the hour before the one that it lies in.
            until = _hour(milliseconds_of(following) if following else self._clock.now_ms())
            until -= HOUR_MS
        unsettled = self._catalog.runs.unsettled_partition(table.name)
        return until if unsettled is None else min(until, start_ms(unsettled))


def _hour(instant_ms: int) -> int:
    return instant_ms - instant_ms % HOUR_MS
