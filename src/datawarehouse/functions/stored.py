"""How much S3 has of what a scan reads: the partitions of the Glue catalog, or those that Athena projects, and the
sizes of the objects in their folders.

1. The partitions within the bounds of the predicate are read, 1,000 a call.
2. The folders of those that the predicate lets through are listed, ten at a time: those of one day in one listing,
   since a day of small hours fits into a page of 1,000 objects. A year of hours takes 9 calls of Glue and 366 of S3.

What was read once is not read again for the same statement: the guard also asks about statements like it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from datawarehouse.definition.partition import HOUR_MS, start_ms
from datawarehouse.errors import QueryLimitExceeded, QueryRefused
from datawarehouse.functions.clients import ClientError, error_code
from datawarehouse.functions.objects import is_read, listed
from datawarehouse.functions.readable import ReadableTable
from datawarehouse.sql import hours
from datawarehouse.sql.guard import Part
from datawarehouse.sql.plan import Scan

LISTINGS_AT_ONCE = 10
"""As many connections as a client of boto3 keeps open."""
STOP_BEFORE_END_MS = 20_000
"""With less time left, the answer is that there was not enough of it."""
_DAY_MS = 24 * HOUR_MS

Values = tuple[str, ...]
"""Those of a partition's keys."""
Bounds = tuple[str | None, str | None]


class StoredSizes:
    """What is stored of the tables of one database, for one statement. remaining_ms: how much time is left."""

    def __init__(
        self,
        glue: Any,
        s3: Any,
        tables: Mapping[str, ReadableTable],
        now_ms: int,
        remaining_ms: Callable[[], int],
    ) -> None:
        self._glue, self._s3, self._tables = glue, s3, tables
        self._now_ms, self._remaining_ms = now_ms, remaining_ms
        self._known: dict[str, list[tuple[Bounds, Mapping[Values, str]]]] = defaultdict(list)
        self._sizes: dict[tuple[str, Values], Part] = {}
        self.not_counted: set[str] = set()

    def of(self, scan: Scan) -> Sequence[Part]:
        """The partitions that a scan reads and that have objects. Raises QueryLimitExceeded if there is no time to list
        them, and ClientError. A table of which nothing is known goes to `not_counted`."""
        table = self._tables[scan.table]
        if table.storage is None:
            self.not_counted.add(scan.table)
            return []
        wanted = self._partitions(scan, table, table.storage)
        missing = {values: place for values, place in wanted.items() if (scan.table, values) not in self._sizes}
        for values, part in self._listed(missing):
            self._sizes[scan.table, values] = part
        parts = (self._sizes[scan.table, values] for values in sorted(wanted))
        return [part for part in parts if part.files]

    # -- partitions, and their folders

    def _partitions(self, scan: Scan, table: ReadableTable, storage: Mapping[str, Any]) -> dict[Values, str]:
        """The folders of the partitions that a scan needs, by the values of their keys."""
        keys = [key.name for key in table.schema.partition_keys]
        if not keys:
            return {(): storage["StorageDescriptor"]["Location"]}
        found: Mapping[Values, str]
        if storage.get("Parameters", {}).get("projection.enabled") == "true":
            found = self._projected(scan, keys[0], storage["Parameters"])
        else:
            bounds = scan.predicate.bounds(keys[0]) if table.schema.hours else (None, None)
            found = self._registered(scan.table, storage, keys[0], bounds)
        return {
            values: place
            for values, place in found.items()
            if scan.predicate.matches(dict(zip(keys, values, strict=True)))
        }

    def _projected(self, scan: Scan, key: str, parameters: Mapping[str, str]) -> dict[Values, str]:
        """Athena user guide, "Set up partition projection"; only hours as the warehouse projects them."""
        if parameters.get(f"projection.{key}.type") != "date":
            raise QueryRefused(
                f"Table {scan.table!r}: its partitions are projected, and not as hours; it is not known what would be "
                "read. Query it in another workgroup."
            )
        start = parameters[f"projection.{key}.range"].partition(",")[0]
        days = start.removeprefix("NOW-").removesuffix("DAYS")
        first_ms = self._now_ms - int(days) * _DAY_MS if days != start else start_ms(start)
        template = parameters["storage.location.template"]
        return {
            (value,): template.replace(f"${{{key}}}", value)
            for first, last in hours.ranges(scan.predicate, key, self._now_ms)
            for value in map(hours.text_of, range(max(first, first_ms // HOUR_MS), last + 1))
        }

    def _registered(self, name: str, storage: Mapping[str, Any], key: str, bounds: Bounds) -> Mapping[Values, str]:
        """The folders of the registered partitions within bounds of their first key, and maybe of others."""
        for known, found in self._known[name]:
            if _is_within(bounds, known):
                return found
        found = self._read(storage, _expression(key, bounds))
        self._known[name].append((bounds, found))
        return found

    def _read(self, storage: Mapping[str, Any], expression: str) -> Mapping[Values, str]:
        given: dict[str, Any] = {"DatabaseName": storage["DatabaseName"], "TableName": storage["Name"]}
        if expression:
            given["Expression"] = expression
        pages = self._glue.get_paginator("get_partitions").paginate(**given, ExcludeColumnSchema=True)
        try:
            return {
                tuple(partition["Values"]): partition["StorageDescriptor"]["Location"]
                for page in self._timely(pages)
                for partition in page["Partitions"]
            }
        except ClientError as error:
            # Glue's parser of expressions refuses keys named `key` or `order`.
            if not expression or error_code(error) != "InvalidInputException":
                raise
            return self._read(storage, "")

    # -- objects

    def _listed(self, places: Mapping[Values, str]) -> Iterator[tuple[Values, Part]]:
        """The sizes of folders. places: by the values of their partitions."""
        groups: dict[str, list[tuple[str, Values]]] = defaultdict(list)
        for values, place in places.items():
            folder = place.rstrip("/") + "/"
            groups[_day(folder, values)].append((folder, values))
        with ThreadPoolExecutor(LISTINGS_AT_ONCE, "listing") as threads:
            for found in threads.map(self._sizes_of, groups.values()):
                yield from found

    def _sizes_of(self, group: Iterable[tuple[str, Values]]) -> list[tuple[Values, Part]]:
        """The sizes of folders, from one listing of what they have in common."""
        ordered = sorted(group)
        folders = [folder for folder, _ in ordered]
        files, sizes = [0] * len(folders), [0] * len(folders)
        prefix = os.path.commonprefix(folders)  # noqa: RUF071 - S3 lists what begins so, also within a name
        bucket = prefix.removeprefix("s3://").partition("/")[0]
        for each in self._timely(listed(self._s3, prefix)):
            url = f"s3://{bucket}/{each.key}"
            place = bisect_right(folders, url) - 1
            if place >= 0 and url.startswith(folders[place]) and is_read(url[len(folders[place]) :], each):
                files[place] += 1
                sizes[place] += each.size
        return [
            (values, Part("/".join(values), files[place], sizes[place])) for place, (_, values) in enumerate(ordered)
        ]

    def _timely(self, found: Iterable[Any]) -> Iterator[Any]:
        """What is read, as long as there is time."""
        for each in found:
            yield each
            if self._remaining_ms() < STOP_BEFORE_END_MS:
                raise QueryLimitExceeded(
                    "What the statement would read could not be counted within the time of the gateway: there are too "
                    "many partitions, or too many objects in them. Bound it to fewer hours.",
                    "timeout",
                )


def _day(folder: str, values: Values) -> str:
    """What is listed at once: the folder of the day, where the folder of an hour is in one; else the folder itself."""
    day = values[0].rpartition("/")[0] if values else ""
    place = folder.find(f"/{day}/") if day else -1
    return folder if place < 0 else folder[: place + len(day) + 2]


def _expression(key: str, bounds: Bounds) -> str:
    """AWS Glue API reference, GetPartitions, Expression."""
    ends = zip((">=", "<="), bounds, strict=True)
    texts = [(sign, bound.replace("'", "''")) for sign, bound in ends if isinstance(bound, str)]
    return " AND ".join(f"{key} {sign} '{text}'" for sign, text in texts)


def _is_within(inner: Bounds, outer: Bounds) -> bool:
    (low, high), (least, greatest) = inner, outer
    return (least is None or (low is not None and low >= least)) and (
        greatest is None or (high is not None and high <= greatest)
    )
