"""Orders for conversion, and its reports: plain values that can be sent to another process."""

from __future__ import annotations

import msgspec

from datawarehouse.journal.read import Span
from datawarehouse.parquet.footer import DataFile
from datawarehouse.tidy.orders import DedupeOrder, Deduplicated, InspectedFiles, InspectOrder, MergeOrder


class BatchOrder(msgspec.Struct, frozen=True, tag=True):
    """A part of a table's journal to convert.

    columns: (name, Glue type). spans: where the records are; first_record: the number of the first one;
    arrival_ms: when the record before it arrived. name: the end of the files' names, unique for each attempt. progress:
    if the batch is converted record by record, the file that gets the number of the present record; poison: the numbers
    of records to reject because the process died on them. known_keys: the keys that no column has and that are counted
    by name already. event_time: the column by whose hours the rows are counted.
    """

    table: str
    columns: list[tuple[str, ...]]
    schema_version: int
    spans: list[Span]
    first_record: int
    arrival_ms: int
    bytes_max: int
    stream_created_ms: int
    lake: str
    name: str
    progress: str = ""
    poison: tuple[int, ...] = ()
    known_keys: tuple[str, ...] = ()
    event_time: str | None = None


class HourCount(msgspec.Struct):
    """What a batch did to one partition, in records and rows. causes: `counted_causes`: how many of the rejects."""

    partition: str
    received: int = 0
    stored: int = 0
    rows: int = 0
    rejected: int = 0
    causes: dict[str, int] = {}


class BatchResult(msgspec.Struct, frozen=True, tag=True):
    """The files that were published, and the position up to which the journal is converted with them.

    unknown_keys: how often the records that became rows had keys that no column has, by name.
    """

    files: list[DataFile]
    hours: list[HourCount]
    position: int
    next_record: int
    arrival_ms: int
    unknown_keys: dict[str, int] = {}


ConvertOrder = BatchOrder | MergeOrder | DedupeOrder | InspectOrder
ConvertAnswer = BatchResult | DataFile | Deduplicated | InspectedFiles
"""The answers to the orders, in the same sequence."""
