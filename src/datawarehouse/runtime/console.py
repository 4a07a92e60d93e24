"""Puts together what stands behind the console, of an owner that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.folder import history_path, saved_queries_path
from datawarehouse.intake.intake import Stream
from datawarehouse.runtime.job_tasks import JobTasks
from datawarehouse.runtime.overview import Overview
from datawarehouse.runtime.owner import Owner
from datawarehouse.server.completion import Completion
from datawarehouse.server.console import Console
from datawarehouse.server.console_files import ConsoleFiles
from datawarehouse.server.identity import Gate
from datawarehouse.server.job_routes import Jobs
from datawarehouse.server.query import Queries
from datawarehouse.server.rejects import Rejects
from datawarehouse.server.saved_queries import SavedQueries
from datawarehouse.server.sign_in import SignIn
from datawarehouse.server.tables import Tables
from datawarehouse.server.tail import Tail

Arrived = Mapping[str, tuple[float, int]]
"""For each stream: events a day, and bytes of an event."""
Cost = Callable[[Warehouse, Arrived], dict[str, Any]]
"""What `dw cost` says of a load. The prices are of a part that this one may not import."""

_DAY_MS = 24 * HOUR_MS


def console_of(
    opened: Owner,
    gate: Gate,
    catalog: Catalog,
    queries: Queries,
    showing: Executor,
    running: Executor,
    cost: Cost | None,
) -> tuple[Console, Overview]:
    """The console, and what has to be told each second (`Overview.note`). catalog: one that only reads. showing,
    running: where it is read, and where runs of jobs are waited for."""
    overview, tasks = Overview(opened, catalog), JobTasks(opened, catalog, running)

    async def shown() -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(showing, overview.values)

    console = Console(
        files=ConsoleFiles(),
        sign_in=SignIn(gate, opened.warehouse.name),
        overview=shown,
        queries=queries,
        tables=Tables(catalog, showing, opened.clock, opened.completeness.until_ms, queries),
        tail=Tail(opened.intake, showing),
        rejects=Rejects(catalog, showing, opened.clock, queries),
        completion=Completion(catalog, history_path(opened.folder), showing),
        saved=SavedQueries(saved_queries_path(opened.folder), showing, opened.clock),
        jobs=Jobs(tasks, showing, opened.clock, cost and partial(_cost, opened, catalog, cost)),
    )
    return console, overview


def _cost(opened: Owner, catalog: Catalog, cost: Cost, days: int) -> dict[str, Any]:
    """What would be billed on AWS if as much came each day as did in the last days."""
    now_ms = opened.clock.now_ms()
    arrived = {name: _arrived(catalog, stream, now_ms, days) for name, stream in opened.intake.streams.items()}
    return {"days": days, **cost(opened.warehouse, arrived)}


def _arrived(catalog: Catalog, stream: Stream, now_ms: int, days: int) -> tuple[float, int]:
    """Events a day, over the time that the stream has been there, and the mean of their bytes with those of their
    frame, over all that it ever got."""
    journal = stream.journal
    since_ms = max(now_ms - days * _DAY_MS, journal.created_ms)
    measured = max(now_ms - since_ms, HOUR_MS) / _DAY_MS
    pending = journal.next_record - catalog.converted(stream.name).next_record
    hours = catalog.store.rows(
        "select total(received_records) from ledger where table_name = ? and partition >= ?",
        (stream.name, partition_of(since_ms)),
    )
    return (hours[0][0] + max(0, pending)) / measured, round(journal.synced / max(1, journal.next_record)) or 1
