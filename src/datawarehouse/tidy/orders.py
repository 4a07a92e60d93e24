"""Orders for work on the files of a partition, and their results: plain values that can be sent to another process."""

from __future__ import annotations

import msgspec

from datawarehouse.parquet.footer import DataFile, FileState


class MergeOrder(msgspec.Struct, frozen=True, tag=True):
    """Files of one partition to merge. columns: (name, Glue type). name: of the merged file.

    sort_by: columns to order the rows by; without them they stay in the order of the files. event_time: the column by
    whose hours the rows are counted.
    """

    files: list[DataFile]
    columns: list[tuple[str, ...]]
    schema_version: int
    lake: str
    name: str
    sort_by: tuple[str, ...] = ()
    event_time: str | None = None


class DedupeOrder(msgspec.Struct, frozen=True, tag=True):
    """Files of one partition to remove duplicates from: of the rows with the same value in `key`, the first one
    stays. event_time: as in MergeOrder."""

    files: list[DataFile]
    columns: list[tuple[str, ...]]
    schema_version: int
    lake: str
    name: str
    key: str
    event_time: str | None = None


class Deduplicated(msgspec.Struct, frozen=True, tag=True):
    """For each file that had duplicates: (the path of the old file, the new file)."""

    replaced: list[tuple[str, DataFile]]
    removed_rows: int


RewriteOrder = MergeOrder | DedupeOrder
Rewritten = DataFile | Deduplicated
"""The answers to the orders, in the same sequence."""


class InspectOrder(msgspec.Struct, frozen=True, tag=True):
    """Files to read whole and to compare with what was published.

    columns: (name, Glue type) that each file must have; empty if they are not compared.
    """

    files: list[DataFile]
    lake: str
    columns: list[tuple[str, ...]] = []


class InspectedFiles(msgspec.Struct, frozen=True, tag=True):
    """The state of each file of an order, in the same sequence."""

    files: list[FileState]
