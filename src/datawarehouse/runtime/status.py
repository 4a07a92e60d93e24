"""What `dw status` shows, from the catalog and, if there is an owner, from its journals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import StoredTable
from datawarehouse.catalog.runs import Run
from datawarehouse.clock import Clock
from datawarehouse.definition.instants import written
from datawarehouse.definition.partition import start_ms
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable
from datawarehouse.definition.unknown_keys import still_unknown
from datawarehouse.folder import aside_root
from datawarehouse.jobs.due import rerun_from
from datawarehouse.journal.journal import Journal
from datawarehouse.runtime.backups import backup_status
from datawarehouse.runtime.held_hours import held_until
from datawarehouse.settings import Settings
from datawarehouse.tidy.audit import DATA
from datawarehouse.tidy.daily_audit import AUDIT_NOTE, Turn
from datawarehouse.tidy.orphans import FOREIGN_NOTE

Streams = Mapping[str, tuple[Journal, int]]
"""For each stream: its journal, and how many of its bytes are not converted."""


_OF_JOBS = ("job", "scheduled", "partition", "started", "outcome", "rows", "seconds", "error")


def status_of(
    catalog: Catalog, folder: Path, settings: Settings, clock: Clock, streams: Streams | None = None
) -> dict[str, Any]:
    """The tables and the settings. Without `streams` the number of records that are not converted is unknown."""
    with catalog.moment():
        tables = [_table(catalog, table, clock, (streams or {}).get(table.name)) for table in catalog.tables()]
        jobs = [_latest(catalog, table["table"]) for table in tables if table["kind"] == BatchInputTable.kind]
        undeclared = catalog.undeclared()
        foreign = catalog.noted(FOREIGN_NOTE) or []
        backup = backup_status(catalog, clock)
        audit = _audit(catalog, clock, settings.number("audit_days"))
        reruns = reruns_of(catalog, clock)
        damaged = [{"table": file.table, "path": file.path, "problem": file.damage} for file in catalog.damaged()]
    return {
        "warehouse": catalog.warehouse_name(),
        "folder": str(folder),
        "tables": tables,
        "jobs": jobs,
        "reruns": reruns,
        "undeclared_tables": undeclared,
        "damaged_files": damaged,
        "audit": audit,
        "foreign_files": foreign,
        "backup": backup,
        "set_aside_files": sum(path.is_file() for path in aside_root(folder).rglob("*")),
        "settings": [
            {"name": name, "value": resolved.shown, "unit": resolved.setting.unit, "source": resolved.source}
            for name, resolved in settings.resolved.items()
        ],
    }


def _audit(catalog: Catalog, clock: Clock, days: int) -> dict[str, Any]:
    """How far the owner's audit has come: each day it reads one share of all files. days: audit_days, which may differ
    from the owner's in a process that does not own the folder."""
    noted = catalog.noted(AUDIT_NOTE) if days else None
    turn = Turn(**noted) if noted else Turn(days, 0)
    return {
        "level": DATA,
        "shares": turn.days,
        "shares_read": turn.shares,
        "began": written(turn.began_ms) if turn.began_ms else None,
        "last": written(turn.read_ms) if turn.read_ms else None,
        "age_s": max(0, clock.now_ms() - turn.read_ms) / 1000 if turn.read_ms else None,
        "files": turn.files,
        "bytes": turn.bytes,
        "unread_files": turn.unread,
    }


def reruns_of(catalog: Catalog, clock: Clock) -> list[dict[str, Any]]:
    """For each job that runs again when an event hour changes: how often it did, and what it has not counted, in hours
    of event time and in events.

    waiting: what a run will count, or failed to count. left_out: what none will count by itself, because it came too
    late; left_out_from, left_out_to: the first and the last of these hours.
    """
    found = []
    for asking in catalog.event_hour_changes.asking():
        waiting, left_out = Counter[str](), Counter[str]()
        for each in catalog.event_hour_changes.of_job(asking.job):
            hour, arrival = start_ms(each.partition), start_ms(each.arrival)
            until = rerun_from(hour, arrival, each.reruns, asking.kept_hours, clock.now_ms())
            (left_out if until is None and not each.is_taken else waiting)[each.partition] += each.events
        found.append(
            {
                "job": asking.job,
                "reruns": catalog.event_hour_changes.reruns(asking.job),
                "waiting_hours": len(waiting),
                "waiting_events": waiting.total(),
                "left_out_hours": len(left_out),
                "left_out_events": left_out.total(),
                "left_out_from": min(left_out, default=None),
                "left_out_to": max(left_out, default=None),
            }
        )
    return found


def described(run: Run) -> dict[str, Any]:
    """A run as JSON for programs; instants are in ISO 8601, UTC."""
    took = None if run.ended_ms is None else (run.ended_ms - run.started_ms) / 1000
    return {
        "job": run.job,
        "scheduled": written(run.scheduled_ms),
        "partition": run.partition,
        "attempt": run.attempt,
        "cause": run.cause,
        "outcome": run.outcome,
        "rows": run.rows,
        "started": written(run.started_ms),
        "seconds": took,
        "error": run.error,
    }


def unknown_keys_of(catalog: Catalog, table: StoredTable) -> dict[str, int]:
    counts = catalog.unknown_keys(table.name)
    columns = table.columns[table.schema_version]
    return still_unknown([(column.json_key, column.type) for column in columns], counts) if counts else {}


def _table(catalog: Catalog, table: StoredTable, clock: Clock, stream: tuple[Journal, int] | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"table": table.name, "kind": table.kind}
    if table.kind != StreamingInputTable.kind:
        return shown
    totals = catalog.totals(table.name)
    shown |= {
        "received": totals.received,
        "stored": totals.stored,
        "rejected": totals.rejected,
        "rows": totals.rows,
        "deduplicated": totals.deduplicated,
        "expired": totals.expired,
        "lost": totals.lost,
        "lost_rejects": totals.lost_rejects,
        "files": totals.files,
        "bytes": totals.bytes,
        "unknown_keys": unknown_keys_of(catalog, table),
    }
    held = held_until(catalog, table.name, clock.now_ms(), stream[0] if stream else None)
    if held is not None:
        shown["held_until"] = written(held)
    if stream:
        journal, unconverted = stream
        done = catalog.converted(table.name)
        pending = journal.next_record - done.next_record
        oldest = journal.arrival_after(done.position) if pending else None
        shown |= {
            "received": totals.received + pending,
            "pending": pending,
            "lag_s": max(0, clock.now_ms() - oldest) / 1000 if oldest is not None else 0.0,
            "journal_bytes": unconverted if pending else 0,
        }
    return shown


def _latest(catalog: Catalog, job: str) -> dict[str, Any]:
    """The latest run of a job, with the first line of its error; all but its name None if there was none."""
    runs = catalog.runs.latest(job, 1)
    found = described(runs[0]) if runs else dict.fromkeys(_OF_JOBS)
    error = found["error"] and str(found["error"]).splitlines()[0]
    return {name: found[name] for name in _OF_JOBS} | {"job": job, "error": error}
