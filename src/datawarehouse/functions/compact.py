"""The handler of a Lambda function that compacts the hours of a streaming input table: Athena writes the rows of an
hour into few files (UNLOAD), to which the hour's partition is then pointed. No row passes through the function.

For each hour that can no longer change and has objects in its own folder, the oldest first
    1. Is it compacted already? Then objects that came later are copied into the folder that queries read.
    2. Folders that runs left and no partition points to, and then the objects that the compacted rows were made of, are
       deleted, once no query can be reading them.
and then, as long as the time of the function allows, for each hour that is not compacted, or to which objects were
copied
    3. List what queries read of the hour.
    4. UNLOAD it into a new folder.
    5. List it again. If anything came or the partition points elsewhere, the new folder is deleted, and the next run
       begins again: the rows of an object must be in the new folder if and only if the first list has it.
    6. Mark the new folder as complete, with the names of the objects that it was made of.
    7. Point the partition to it. Here the compacted rows become visible, and the others invisible.

A run may end after any step, and another may run beside it. Nothing that is visible changes before step 7, which
replaces the rows of an hour by equal ones; an object is deleted only if the folder that queries have read for hours was
made of it; and an object that is not yet deleted brings the next run to its hour.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.errors import DataWarehouseError
from datawarehouse.functions.athena import Athena
from datawarehouse.functions.clients import ClientError, client
from datawarehouse.functions.compacted import Mark, home_of, is_compacted, put_mark, read_mark
from datawarehouse.functions.instant import scheduled_ms
from datawarehouse.functions.logs import log
from datawarehouse.functions.metric_names import LATE_OBJECTS
from datawarehouse.functions.metrics import publish_count
from datawarehouse.functions.objects import Listed, delete, is_read, listed, listed_hours, new_run, split_url
from datawarehouse.functions.publish import unload
from datawarehouse.functions.run_job import LambdaContext, athena_for
from datawarehouse.functions.tables import (
    DescribedTable,
    location_of,
    oldest_kept,
    point_to,
    read_table,
    retention_days,
)

GRACE = timedelta(hours=5)
"""Athena ends a query after 30 minutes; the quota can be raised to 240 (Service Quotas, "DML query timeout")."""
HOURS_A_CALL_MAX = 100
"""Of a call that says from when on."""
HOUR_BEGINS_MS = 300_000
"""No hour is begun with less time left."""


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, int]:
    """How many hours were compacted, how many late objects were added, and how many hours are left for the next run.

    With the event {"time": ..., "from": "2026/11/01/00"} it is about the 100 hours from that one on, which may be older
    than those that a run looks at by itself. If an hour fails, raises after the others were tried.
    """
    glue = client("glue")
    table = read_table(glue, os.environ["DW_DATABASE"], os.environ["DW_TABLE"])
    first, last = _hours(event.get("from"), scheduled_ms(event))
    log("compaction starts", table=table.name, first=first, last=last)
    sort_by = tuple(filter(None, os.environ.get("DW_SORT_BY", "").split(",")))
    rules = Rules(sort_by, os.environ.get("DW_DEDUPE_KEY") or None)
    athena = athena_for(table, os.environ["DW_RESULTS"], context)
    run = Compaction(glue, client("s3"), athena, table, rules)
    found = run.compact(first, last)
    log("hours are compacted", table=table.name, **found)
    return found


def _hours(since: str | None, now_ms: int) -> tuple[str, str]:
    """The first and the last hour to look at."""
    last_ms = now_ms - int(os.environ["DW_SETTLED_MINUTES"]) * 60_000 - HOUR_MS
    first = partition_of(last_ms - int(os.environ["DW_LOOK_BACK_HOURS"]) * HOUR_MS)
    last = partition_of(last_ms)
    if since:
        first, last = since, min(last, partition_of(start_ms(since) + (HOURS_A_CALL_MAX - 1) * HOUR_MS))
    days = retention_days()
    return max(first, oldest_kept(now_ms, days)) if days else first, last


@dataclass(frozen=True, slots=True)
class Rules:
    """What compaction does with the rows of an hour, besides writing them into few files."""

    sort_by: tuple[str, ...]
    dedupe_key: str | None

    def needs_only_file(self) -> bool:
        """Whether an hour of a single object is compacted too."""
        return bool(self.sort_by or self.dedupe_key)


@dataclass(slots=True)
class Compaction:
    """One run. due: the hours to compact, in order. failures: of hours, whose errors keep no other from its turn."""

    glue: Any
    s3: Any
    athena: Athena
    table: DescribedTable
    rules: Rules
    due: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def compact(self, first: str, last: str) -> dict[str, int]:
        """Compact hours from one to another; see `handler`."""
        late = done = 0
        for partition, arrived in self._arrived(first, last):
            try:
                late += self._tidied(partition, arrived)
            except (ClientError, DataWarehouseError) as error:
                self._failed("an hour could not be tidied", partition, error)
        # The newest first: an hour that takes longer than the function may keeps none of the others waiting.
        while self.due and self.athena.remaining_ms() >= HOUR_BEGINS_MS:
            partition = self.due.pop()
            try:
                done += self._compacted(partition)
            except (ClientError, DataWarehouseError) as error:
                self._failed("an hour could not be compacted", partition, error)
        if self.failures:
            raise self.failures[0]
        return {"compacted": done, "late_objects": late, "left": len(self.due)}

    def _failed(self, what: str, partition: str, error: Exception) -> None:
        log(what, table=self.table.name, partition=partition, error=error)
        self.failures.append(error)

    def _arrived(self, first: str, last: str) -> Iterator[tuple[str, dict[str, Listed]]]:
        """The hours that have objects in their own folders, with these by their names, in order."""
        found = listed_hours(self.s3, self.table.location, first, last)
        for partition, group in groupby(found, lambda one: one[0]):
            yield partition, {name: each for _, name, each in group}

    def _location(self, partition: str) -> str | None:
        """The location of a partition, with a slash at its end; None if it is not registered or points elsewhere than
        this function and the registrar point it."""
        location = location_of(self.glue, self.table, partition)
        if location is None:  # the registrar comes first, or the hour has expired
            return None
        location = location.rstrip("/") + "/"
        if is_compacted(self.table, location) or location == self.table.folder(partition):
            return location
        log("an hour points elsewhere", table=self.table.name, partition=partition, location=location)
        return None

    def _tidied(self, partition: str, arrived: Mapping[str, Listed]) -> int:
        """Steps 1 and 2 for an hour; returns how many late objects there were."""
        location = self._location(partition)
        if location is None:
            return 0
        if not is_compacted(self.table, location):
            if len(arrived) > 1 or self.rules.needs_only_file():
                self.due.append(partition)
            self._delete_unused(partition, location, None, ())
            return 0
        mark = read_mark(self.s3, location)
        read = self._read(location)
        late = {name: arrived[name] for name in arrived.keys() - mark.sources - read.keys()}
        if late:
            self._say_late(partition, len(late))
            self._copy(late, location)
        if late or any(each.key not in mark.files for each in read.values()):
            self.due.append(partition)
        sources = [arrived[name].key for name in sorted(mark.sources & arrived.keys())]
        self._delete_unused(partition, location, mark, sources)
        return len(late)

    def _say_late(self, partition: str, count: int) -> None:
        """Publish the metric of late objects. These become visible even if that fails."""
        log("late objects", table=self.table.name, partition=partition, objects=count)
        try:
            publish_count(LATE_OBJECTS, self.table.database, self.table.name, count)
        except ClientError as error:
            self._failed("the metric could not be published", partition, error)

    def _copy(self, added: Mapping[str, Listed], location: str) -> None:
        """Make objects visible. A copy is there whole or not at all, and a second one replaces the first."""
        bucket, folder = split_url(location)
        for name in sorted(added):
            source = {"Bucket": bucket, "Key": added[name].key}
            self.s3.copy_object(Bucket=bucket, Key=f"{folder}{name}", CopySource=source)

    def _delete_unused(self, partition: str, location: str, mark: Mark | None, sources: Sequence[str]) -> None:
        """Delete the folders that no query can be reading any more, and then the objects with the keys `sources`. While
        a folder is younger, these stay: they bring the next run here.

        mark: of the folder to which the partition points; None if that is the hour's own, and the others were never
        read.
        """
        before = datetime.now(UTC) - GRACE
        if mark and mark.written >= before:
            return
        home = home_of(self.table, partition)
        bucket, start = split_url(home)
        folders: dict[str, list[Listed]] = {}
        for each in listed(self.s3, home):
            run = each.key.removeprefix(start).partition("/")[0]
            folders.setdefault(f"{home}{run}/", []).append(each)
        folders.pop(location, None)
        old = [objects for objects in folders.values() if max(each.modified for each in objects) < before]
        delete(self.s3, bucket, (each.key for objects in old for each in objects))
        if len(old) == len(folders):
            delete(self.s3, bucket, sources)

    def _read(self, location: str) -> dict[str, Listed]:
        """The objects that queries read at a location, by their names below it."""
        _, folder = split_url(location)
        found = ((each.key.removeprefix(folder), each) for each in listed(self.s3, location))
        return {name: each for name, each in found if is_read(name, each)}

    def _compacted(self, partition: str) -> bool:
        """Steps 3 to 7 for an hour; whether it was compacted."""
        location = self._location(partition)
        if location is None:
            return False
        mark = read_mark(self.s3, location) if is_compacted(self.table, location) else None
        before = self._read(location)
        target = f"{home_of(self.table, partition)}{new_run()}/"
        self.athena.run(unload(self._statement(partition), target))
        after = self._read(location)
        if _tags(after) != _tags(before) or self._location(partition) != location:
            log("an hour changed while it was compacted", table=self.table.name, partition=partition)
            bucket, _ = split_url(target)
            delete(self.s3, bucket, [each.key for each in listed(self.s3, target)])
            return False
        files = [each.key for each in self._read(target).values()]
        if mark is None:
            put_mark(self.s3, target, before, files, None)
        else:
            copied = {name for name, each in before.items() if each.key not in mark.files}
            put_mark(self.s3, target, mark.sources | copied, files, datetime.now(UTC) if copied else mark.late)
        point_to(self.glue, self.table, partition, target)
        log("an hour is compacted", table=self.table.name, partition=partition, objects=len(before), files=len(files))
        return True

    def _statement(self, partition: str) -> str:
        """The rows of an hour, as they are to be written."""
        columns = ", ".join(f'"{column.name}"' for column in self.table.columns)
        rows = f'FROM "{self.table.name}" WHERE "{self.table.partition_key}" = \'{partition}\''
        if key := self.rules.dedupe_key:
            numbered = f'SELECT {columns}, row_number() OVER (PARTITION BY "{key}") AS "{_NUMBER}" {rows}'
            rows = f'FROM ({numbered}) WHERE "{key}" IS NULL OR "{_NUMBER}" = 1'
        order = ", ".join(f'"{name}"' for name in self.rules.sort_by)
        return f"SELECT {columns} {rows}" + (f" ORDER BY {order}" if order else "")


_NUMBER = "_number"
"""No declared column has such a name: it begins with an underscore."""


def _tags(objects: Mapping[str, Listed]) -> dict[str, tuple[int, str]]:
    return {name: (each.size, each.tag) for name, each in objects.items()}
