"""What the console's first page shows, cheap enough to be asked for each second beside a full intake.

1. How many records each stream has got is noted each second, from memory (`note`).
2. The numbers of the catalog are read through a connection of its own, which nobody who writes waits for, and again
   only when reading them takes a small part of the time in between.
3. What needs attention: the alerts that are on, and what is worth a look before it becomes one.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import StoredTable, Totals
from datawarehouse.definition.instants import written
from datawarehouse.definition.partition import partition_of
from datawarehouse.definition.tables import StreamingInputTable
from datawarehouse.runtime.backups import backup_status
from datawarehouse.runtime.owner import Owner
from datawarehouse.runtime.status import unknown_keys_of

_RECENT_S = 60
_RATE_OVER_S = 5
_READ_SHARE = 50
"""Numbers of the catalog are read again when so many times as long has passed as reading them took."""
_READ_EVERY_S = 1.0
_SLOW_EVERY_S = 10.0
_REJECTS_LEAST = 20
_RISEN = 3
_HOURS_BEFORE = 24
_DISK_SHARE = 0.1

BAD, WARN, NOTE = "bad", "warn", "note"
_PAGES = {
    "rejects": "quarantine", "rejects_rising": "quarantine", "unknown_keys": "table", "failed_runs": "jobs",
    "lag": "hours", "refused": "hours",
}  # fmt: skip


@dataclass(slots=True)
class _Numbers:
    """Of one table, at one moment. next_record: of its stream, up to which `totals` counts."""

    table: StoredTable
    totals: Totals
    newest: str | None
    next_record: int = 0
    position: int = 0


@dataclass(slots=True)
class _Known:
    """What was read from the catalog, when, and how long that took."""

    numbers: list[_Numbers] = field(default_factory=list)
    at: float = 0.0
    took_s: float = 0.0
    rejected: deque[tuple[float, dict[str, int]]] = field(default_factory=lambda: deque(maxlen=12))
    worth_a_look: list[dict[str, Any]] = field(default_factory=list)
    backup: dict[str, Any] | None = None
    looked_at: float = 0.0


class Overview:
    """`note` is called each second in one thread; `values` in any."""

    def __init__(self, owner: Owner, catalog: Catalog) -> None:
        """catalog: a connection of its own, which only reads."""
        self._owner = owner
        self._catalog = catalog
        self._since_ms = owner.clock.now_ms()
        self._lock = threading.Lock()
        self._known = _Known()
        self._noted: deque[tuple[float, dict[str, int]]] = deque(maxlen=_RECENT_S + 1)
        self.note()

    def note(self) -> None:
        """Note how many records there are."""
        counts = {name: stream.journal.next_record for name, stream in self._owner.intake.streams.items()}
        self._noted.append((time.monotonic(), counts))

    def values(self) -> dict[str, Any]:
        """As docs/reference/http.md has it."""
        with self._lock:
            self._read_again()
            known = self._known
            free = shutil.disk_usage(self._owner.folder)
            alerts = list(self._alerts())
            are_on = {(each["alert"], each["table"]) for each in alerts}
            attention = [*alerts, *self._now(free.free / free.total if free.total else 1.0)]
            attention += [each for each in known.worth_a_look if (each["alert"], each["table"]) not in are_on]
            return {
                "warehouse": self._owner.warehouse.name,
                "now": written(self._owner.clock.now_ms()),
                "since": written(self._since_ms),
                "attention": sorted(attention, key=lambda each: (BAD, WARN, NOTE).index(each["severity"])),
                "tables": [self._table(numbers) for numbers in known.numbers],
                "disk_free_bytes": free.free,
                "backup": known.backup and {"at": known.backup["at"], "age_s": known.backup["age_s"]},
            }

    # -- numbers

    def _read_again(self) -> None:
        known, now = self._known, time.monotonic()
        if known.at and now - known.at < max(_READ_EVERY_S, _READ_SHARE * known.took_s):
            return
        with self._catalog.moment():
            known.numbers = [self._numbers(table) for table in self._catalog.tables()]
            if not known.looked_at or now - known.looked_at >= _SLOW_EVERY_S:
                known.backup = backup_status(self._catalog, self._owner.clock)
                known.worth_a_look, known.looked_at = list(self._worth_a_look(known)), now
        known.rejected.append((now, {each.table.name: each.totals.rejected for each in known.numbers}))
        known.at = time.monotonic()
        known.took_s = known.at - now

    def _numbers(self, table: StoredTable) -> _Numbers:
        newest = self._catalog.store.rows("select max(partition) from ledger where table_name = ?", (table.name,))
        numbers = _Numbers(table, self._catalog.totals(table.name), newest[0][0])
        if table.name in self._owner.intake.streams:
            converted = self._catalog.converted(table.name)
            numbers.next_record, numbers.position = converted.next_record, converted.position
        return numbers

    def _table(self, numbers: _Numbers) -> dict[str, Any]:
        name, totals = numbers.table.name, numbers.totals
        shown: dict[str, Any] = {
            "table": name, "kind": numbers.table.kind, "events_per_s": None, "received": None, "stored": None,
            "rejected": None, "rejected_per_s": None, "pending": None, "lag_s": None, "newest_hour": numbers.newest,
            "rows": totals.rows, "files": totals.files, "bytes": totals.bytes, "journal_bytes": None, "recent": None,
        }  # fmt: skip
        stream = self._owner.intake.streams.get(name)
        if stream is None:
            return shown
        pending = self._owner.converter.pending(name)
        oldest = stream.journal.arrival_after(stream.converted) if pending > 0 else None
        now_ms = self._owner.clock.now_ms()
        if pending > 0:
            shown["newest_hour"] = max(numbers.newest or "", partition_of(stream.journal.last_arrival_ms))
        recent = self._recent(name)
        return shown | {
            "events_per_s": self._per_s(name),
            "received": totals.received + stream.journal.next_record - numbers.next_record,
            "stored": totals.stored,
            "rejected": totals.rejected,
            "rejected_per_s": self._rejected_per_s(name),
            "pending": max(0, pending),
            "lag_s": max(0, now_ms - oldest) / 1000 if oldest is not None else 0.0,
            "journal_bytes": stream.unconverted_bytes if pending > 0 else 0,
            "recent": recent,
        }

    def _per_s(self, name: str) -> float:
        noted = list(self._noted)
        if len(noted) < 2:
            return 0.0
        (began, first), (ended, last) = noted[max(0, len(noted) - 1 - _RATE_OVER_S)], noted[-1]
        return round((last.get(name, 0) - first.get(name, 0)) / max(ended - began, 1e-3), 1)

    def _recent(self, name: str) -> list[int]:
        counts = [counts.get(name, 0) for _, counts in list(self._noted)]
        return [after - before for before, after in pairwise(counts)]

    def _rejected_per_s(self, name: str) -> float:
        (began, first), (ended, last) = self._known.rejected[0], self._known.rejected[-1]
        return round((last.get(name, 0) - first.get(name, 0)) / max(ended - began, 1.0), 2)

    # -- what needs attention

    def _alerts(self) -> Iterator[dict[str, Any]]:
        for on in self._owner.alerting.status()["alerts"]:
            severity = WARN if on["alert"] in ("backup_age", "clock_ahead") else BAD
            yield _item(on["alert"], severity, on["cause"], on["next_step"], on["table"], on["id"])

    def _now(self, free_share: float) -> Iterator[dict[str, Any]]:
        if reason := self._owner.not_ready():
            yield _item("not_ready", BAD, f"No events are taken: {reason}.", "dw status, and the log")
        elif free_share < _DISK_SHARE:
            text = f"The disk of the data folder is {1 - free_share:.0%} full."
            yield _item("disk_free", WARN, text, "make room, or lower retention_days")

    def _worth_a_look(self, known: _Known) -> Iterator[dict[str, Any]]:
        """What is to be said unless an alert says it."""
        declared = {table.name for table in self._owner.warehouse.tables()}
        for job, failed in groupby(self._catalog.runs.failing(), itemgetter(0)):
            if job in declared:
                yield self._of_a_job(job, list(failed))
        for each in known.numbers:
            if each.table.kind == StreamingInputTable.kind:
                yield from self._of_a_stream(each.table)
        if changed := self._owner.changed_files():
            text = f"{', '.join(changed)} changed after dw up had read it."
            yield _item("declaration_changed", NOTE, text, "stop dw up and start it again")
        damaged = self._catalog.damaged()
        if damaged:
            yield _item("damage", BAD, f"{len(damaged):,} data files are damaged.", "dw doctor")
        if known.backup is None or known.backup["at"] is None:
            text = "No back-up of this data folder was ever made."
            yield _item("no_backup", NOTE, text, "dw backup FOLDER, or the setting backup_to")
        if known.backup and known.backup["failure"]:
            text = f"The last back-up failed: {known.backup['failure']}"
            yield _item("backup_age", WARN, text, "dw backup FOLDER")

    def _of_a_job(self, job: str, failed: list[tuple[str, str, int, int, str, int]]) -> dict[str, Any]:
        """failed: its hours, as `runs.failing` has them."""
        _, partition, times, _, error, _ = failed[-1]
        hours = f"for {len(failed):,} hours, the latest {partition}" if len(failed) > 1 else f"for the hour {partition}"
        tries = f" ({times:,} times)" if times > 1 else ""
        said = [line.strip() for line in error.splitlines() if line.strip()][-1:]
        words = f" It said: {said[0][:200].rstrip('.')}." if said else ""
        return _item("failed_runs", WARN, f"Job {job} failed {hours}{tries}.{words}", f"dw jobs {job}", job)

    def _of_a_stream(self, table: StoredTable) -> Iterator[dict[str, Any]]:
        unknown = unknown_keys_of(self._catalog, table)
        if unknown:
            names = ", ".join(sorted(unknown, key=lambda key: -unknown[key])[:5])
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            text = f"Events of {table.name} have keys that no column has: {names}{more}. They are left out."
            yield _item("unknown_keys", NOTE, text, "declare columns for what is wanted", table.name)
        hours = self._catalog.store.rows(
            "select received_records, rejected_records from ledger where table_name = ?"
            " order by partition desc limit ?",
            (table.name, _HOURS_BEFORE + 1),
        )
        if len(hours) > 1:
            received, rejected = hours[0]
            before = sum(each[1] for each in hours[1:]) / max(1, sum(each[0] for each in hours[1:]))
            share = rejected / max(1, received)
            if rejected >= _REJECTS_LEAST and share > _RISEN * before:
                text = (
                    f"Rejects of {table.name} are rising: {share:.2%} of this hour's records, and {before:.2%} of "
                    f"those of the {len(hours) - 1} hours before."
                )
                yield _item("rejects_rising", WARN, text, f"dw quarantine ls {table.name}", table.name)


def _item(
    alert: str, severity: str, text: str, next_step: str, table: str | None = None, what: str = ""
) -> dict[str, Any]:
    return {
        "id": f"{alert}:{what or table or ''}",
        "alert": alert,
        "severity": severity,
        "table": table,
        "text": text,
        "next_step": next_step,
        "page": _PAGES.get(alert, "overview"),
    }
