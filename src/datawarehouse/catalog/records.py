"""What the catalog gives and takes: plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from datawarehouse.definition.event_times import EventTimes
from datawarehouse.definition.tables import Column, from_wire, to_wire


@dataclass(frozen=True, slots=True)
class File:
    """A live or retired data file; `path` is relative to the root of the lake.

    digest, inode, modified_ns: see `parquet.footer.DataFile`. damage: what is wrong with it, None if nothing is known.
    event_times: None if they are not known, or the table declares no event time.
    """

    table: str
    kind: str
    partition: str
    path: str
    schema_version: int
    spans: list[tuple[int, int]]
    records: int
    rows: int
    bytes: int
    id: int = 0
    created_ms: int = 0
    compacted: str | None = None
    digest: str = ""
    inode: int = 0
    modified_ns: int = 0
    damage: str | None = None
    event_times: EventTimes | None = None


class LiveFile(NamedTuple):
    """What a query needs of a live file; see `File`."""

    path: str
    schema_version: int
    bytes: int
    digest: str
    inode: int
    modified_ns: int
    damage: str | None


@dataclass(frozen=True, slots=True)
class Converted:
    """How far a stream is converted: the position in its journal, the next record, when the last one arrived."""

    position: int
    next_record: int
    arrival_ms: int


@dataclass(frozen=True, slots=True)
class HourEntry:
    """What one commit adds to the ledger of a partition, in records and rows."""

    partition: str
    received: int
    stored: int
    rows: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Held:
    """The numbers of rows and of rejected records in the live files of a partition."""

    table: str
    partition: str
    files: int
    rows: int
    rejects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The ledger and the live files of a table, summed over its partitions. rows: the live rows; lost, lost_rejects:
    rows and rejected records that were in damaged files."""

    received: int
    stored: int
    rows: int
    rejected: int
    deduplicated: int
    expired: int
    lost: int
    lost_rejects: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table as the catalog knows it; `columns[v]` are the columns of schema version v."""

    name: str
    kind: str
    partition_keys: tuple[Column, ...]
    data_format: str
    schema_version: int
    columns: Mapping[int, tuple[Column, ...]]
    event_time: str | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that a user registered; `location` None stands for its folder below the table's."""

    values: tuple[str, ...]
    location: str | None


def columns_to_json(columns: Iterable[Column]) -> str:
    """As the catalog keeps the columns of a table."""
    return json.dumps(to_wire(columns))


@lru_cache(1024)  # every query asks for the columns of every table
def columns_from_json(text: str) -> tuple[Column, ...]:
    """What `columns_to_json` was given."""
    return from_wire(json.loads(text))
