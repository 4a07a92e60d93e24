"""Which files of a table a scan reads that bounds event time: those that can hold a row that counts.

A file is asked by its first and its last event time, which are those of rows. Only where neither can count are its
hours looked at one by one.
"""

from __future__ import annotations

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.event_times import TimedFile, decoded_counts
from datawarehouse.catalog.records import StoredTable
from datawarehouse.parquet.footer import ROWS
from datawarehouse.sql.plan import Scan
from datawarehouse.sql.predicate import Instants


def files_by_event_time(catalog: Catalog, table: StoredTable, kind: str, scan: Scan) -> list[TimedFile] | None:
    """The live files that a scan reads, in the order of their partitions; None if it does not bound event time."""
    if kind != ROWS or table.event_time is None:
        return None
    low, high = scan.predicate.bounds(table.event_time)
    if low is None and high is None:
        return None
    key = table.partition_keys[0].name
    found = catalog.by_event_time.between(table.name, low, high, scan.predicate.bounds(key))
    return [file for file in found if _can_count(file, table.event_time, key, scan)]


def _can_count(file: TimedFile, column: str, key: str, scan: Scan) -> bool:
    test, partition = scan.predicate.test, file.partition
    if file.counts is None:
        return test({key: partition})
    for instant in (file.least_ms, file.greatest_ms):
        if test({key: partition, column: Instants(instant, instant)}):
            return True
    _, spans = decoded_counts(file.counts)  # a row without event time passes no bound
    return any(test({key: partition, column: Instants(first, last)}) for first, last, _ in spans)
