"""The tables that a warehouse keeps of itself, the runs of jobs and the queries: from SQLite into memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.history import entries
from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.tables import HISTORY_COLUMNS, RUNS_COLUMNS, Column

_RUNS_MAX = 1_000_000
_ARROW_TYPES = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "timestamp": pa.timestamp("us"),
}


def runs(catalog: Catalog) -> pa.Table:
    """The rows of `job_runs`."""
    rows = (
        (
            run.job, instant(run.scheduled_ms), run.partition, run.attempt, run.cause, instant(run.started_ms),
            instant(run.ended_ms), run.outcome, run.rows, run.error,
        )
        for run in catalog.runs.latest(limit=_RUNS_MAX)
    )  # fmt: skip
    return table_of(RUNS_COLUMNS, rows)


def history(path: Path) -> pa.Table:
    """The rows of `query_history`."""
    rows = (
        (
            each.id, each.who, each.workgroup, each.sql, bool(each.full_scan), instant(each.asked_ms),
            instant(each.started_ms), instant(each.ended_ms), each.outcome, each.partitions, each.files, each.bytes,
            each.rows, each.error,
        )
        for each in entries(path)
    )  # fmt: skip
    return table_of(HISTORY_COLUMNS, rows)


def table_of(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> pa.Table:
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    kinds = [_ARROW_TYPES[str(column.type)] for column in columns]
    arrays = [pa.array(each, kind) for each, kind in zip(values, kinds, strict=True)]
    return pa.table(arrays, names=[column.name for column in columns])


def instant(instant_ms: int | None) -> datetime | None:
    return None if instant_ms is None else instant_of(instant_ms).replace(tzinfo=None)
