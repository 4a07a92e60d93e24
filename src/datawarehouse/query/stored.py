"""How much of what is stored a scan reads, before anything is opened: what the guard decides by."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.event_times import TimedFile
from datawarehouse.definition.tables import Table
from datawarehouse.query.event_times import files_by_event_time
from datawarehouse.query.readable import Readable
from datawarehouse.query.sources import folders_of
from datawarehouse.sql.guard import Part, Stored
from datawarehouse.sql.plan import Scan


def stored(catalog: Catalog, tables: Mapping[str, Readable], lake: Path) -> Stored:
    """Of a scan, the partitions that it reads; call it within a moment of the catalog. Files of a table that the user
    fills are looked at in their folders; the table of runs has none."""

    def parts(scan: Scan) -> list[Part]:
        table = tables[scan.table]
        if table.made:
            files = table.made.table.files
            return [Part("", len(files), sum(file.bytes for file in files))]
        if table.stored.kind == Table.kind:
            return [
                Part("/".join(map(str, values.values())), len(files), sum(file.stat().st_size for file in files))
                for values, _, files in folders_of(catalog, table.stored, lake, scan)
            ]
        timed = files_by_event_time(catalog, table.stored, table.kind, scan)
        if timed is not None:
            hours = groupby(timed, lambda each: each.partition)
            return [_part(hour, list(files)) for hour, files in hours]
        keys = [key.name for key in table.stored.partition_keys]
        low, high = scan.predicate.bounds(keys[0]) if keys else (None, None)
        return [
            Part(*sizes)
            for sizes in catalog.sizes(table.stored.name, table.kind, low, high)
            if not keys or scan.predicate.matches({keys[0]: sizes[0]})
        ]

    return parts


def _part(hour: str, files: list[TimedFile]) -> Part:
    return Part(hour, len(files), sum(each.file.bytes for each in files), sum(each.counts is None for each in files))
