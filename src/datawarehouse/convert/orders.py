"""What conversion is told to do and what it reports: plain values, so that they can cross to another process."""

from __future__ import annotations

import msgspec

from datawarehouse.journal.read import Span
from datawarehouse.parquet.footer import DataFile
from datawarehouse.tidy.orders import DedupeOrder, Deduplicated, MergeOrder


class BatchOrder(msgspec.Struct, frozen=True, tag=True):
    """A part of a table's journal to convert.

    columns: (name, Glue type). spans: where the records are; first_record: the number of the first one;
    arrival_ms: when the record before it arrived. name: what the files' names end with, unique for each try.
    progress: a file to say in which record is being converted, if it is to go record by record; poison: the numbers
    of those that are to be rejected because they ended the process.
    """

    table: str
    columns: list[tuple[str, str]]
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


class HourCount(msgspec.Struct):
    """What a batch did to one partition, in records and rows."""

    partition: str
    received: int = 0
    stored: int = 0
    rows: int = 0
    rejected: int = 0


class BatchResult(msgspec.Struct, frozen=True, tag=True):
    """What was published, and up to where the journal is converted by it."""

    files: list[DataFile]
    hours: list[HourCount]
    position: int
    next_record: int
    arrival_ms: int


ConvertOrder = BatchOrder | MergeOrder | DedupeOrder
ConvertAnswer = BatchResult | DataFile | Deduplicated
"""What each order is answered with, in their sequence."""
