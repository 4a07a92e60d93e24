"""Which fresh files of a table are merged into one, and when. Pure.

Conversion makes a file every half second, and queries are fast with few files. Fresh files of one partition are merged

- when there are MANY of them: into one that is still fresh, so that the next merge includes it;
- at the table's flush interval, at a size, at the end of the hour and at a clean stop: into one that is not fresh any
  more.

So a row is written about three times: when it is converted, when there are many files, and at the interval. A fresh
file that is already LARGE, as files are when events come fast, is not merged: it costs a query nothing
(benchmarks/README.md), and merging would take CPU time when it is most needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from datawarehouse.catalog.records import File

MANY_FILES = 64
LARGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Merge:
    """Files of one partition and kind. fresh: whether the merged file is fresh too; a single file is only marked as
    merged."""

    files: list[File]
    fresh: bool
    reason: str


def due_merges(
    fresh: Iterable[File], now_ms: int, open_partition: str, interval_ms: int, size: int, *, stopping: bool
) -> list[Merge]:
    """The merges that are due among the fresh files of a table, given in the order of their partition.

    open_partition: the hour in which records arrive now, or may still be converted.
    """
    merges = []
    for (partition, _), group in groupby(sorted(fresh, key=_place), key=_place):
        all_files = list(group)
        merges += [Merge([file], False, "it is large") for file in all_files if file.bytes >= LARGE_BYTES]
        files = [file for file in all_files if file.bytes < LARGE_BYTES]
        if not files:
            continue
        if stopping:
            merges.append(Merge(files, False, "a clean stop"))
        elif partition < open_partition:
            merges.append(Merge(files, False, "the hour's turn"))
        elif min(file.created_ms for file in files) <= now_ms - interval_ms:
            merges.append(Merge(files, False, "the flush interval"))
        elif sum(file.bytes for file in files) >= size:
            merges.append(Merge(files, False, "their size"))
        elif len(files) >= MANY_FILES:
            merges.append(Merge(files, True, "their number"))
    return merges


def _place(file: File) -> tuple[str, str]:
    return file.partition, file.kind
