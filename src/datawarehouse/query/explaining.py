"""What EXPLAIN says: which partitions the scans of a plan need, and what they read by the guard's estimate.

Source of the form of TYPE IO: Trino documentation, "EXPLAIN"; what is not known is "NaN" there, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from datawarehouse.query.readable import Readable
from datawarehouse.sql import metadata
from datawarehouse.sql.guard import Stored
from datawarehouse.sql.names import shown
from datawarehouse.sql.plan import Plan, Scan
from datawarehouse.sql.types import of_column

_UNKNOWN = "NaN"


def scans_of(planned: Plan, own: str) -> list[str]:
    """own: the schema of the scratch of whoever asks."""
    return [f"{shown(scan.table, own)}: partitions where {scan.predicate}" for scan in planned.scans]


def io_of(planned: Plan, tables: Mapping[str, Readable], database: str, stored: Stored, own: str) -> str:
    """EXPLAIN (TYPE IO, FORMAT JSON): each scan with the bounds of its partition keys and the bytes that it reads. own:
    the schema of the scratch of whoever asks."""
    described = []
    total = 0
    for scan in planned.scans:
        if scan.table not in tables:
            continue
        size = sum(part.bytes for part in stored(scan))
        total += size
        described.append(
            {
                "table": {"catalog": metadata.CATALOG, "schemaTable": _named(shown(scan.table, own), database)},
                "constraint": {"none": False, "columnConstraints": list(_constraints(scan, tables[scan.table]))},
                "estimate": _estimate(size),
            }
        )
    found = {"inputTableColumnInfos": described, "estimate": _estimate(total)}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _named(table: str, database: str) -> dict[str, str]:
    schema, _, name = table.rpartition(".")
    return {"schema": schema or database, "table": name}


def _constraints(scan: Scan, table: Readable) -> Iterable[dict[str, Any]]:
    for key in table.stored.partition_keys:
        low, high = scan.predicate.bounds(key.name)
        if low is None and high is None:
            continue
        ends = {"low": _end(low, "ABOVE"), "high": _end(high, "BELOW")}
        domain = {"nullsAllowed": False, "ranges": [ends]}
        yield {"columnName": key.name, "type": str(of_column(key.type)), "domain": domain}


def _end(value: Any, unbounded: str) -> dict[str, str]:
    return {"bound": unbounded} if value is None else {"value": str(value), "bound": "EXACTLY"}


def _estimate(size: int) -> dict[str, Any]:
    return {
        "outputRowCount": _UNKNOWN,
        "outputSizeInBytes": float(size),
        "cpuCost": float(size),
        "maxMemory": 0.0,
        "networkCost": 0.0,
    }


def analyzed(
    planned: Plan, own: str, batches: Iterable[pa.RecordBatch], partitions: int, files: int, size: int
) -> list[str]:
    """EXPLAIN ANALYZE: the statement is run, and its rows are counted."""
    began = time.perf_counter()
    rows = sum(batch.num_rows for batch in batches)
    elapsed_ms = (time.perf_counter() - began) * 1000
    read = f"{partitions} partitions, {files} files, {size} bytes read"
    return [*scans_of(planned, own), f"{read}, {rows} rows given, {elapsed_ms:.1f} ms"]
