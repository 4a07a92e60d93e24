"""Finds hours that got rows after a job had run for them, and runs the job again for those.

1. The mark of a run's folder (`objects.COMPLETE`) says for which instant it ran, and when it began to read.
2. An hour is late if what queries read of it in one of the watched tables has an object that was written since. Of an
   hour that was compacted, whose objects are all written later, the mark says when late objects were added.
3. How many hours are late is published, whether the job runs again or not: it stays so until a run reads them.
4. If the declaration says so, the job runs again for the oldest of them, for the same instants as before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.functions.clients import ClientError, client
from datawarehouse.functions.compacted import home_of, is_compacted, read_mark
from datawarehouse.functions.logs import log
from datawarehouse.functions.metric_names import LATE_HOURS
from datawarehouse.functions.metrics import publish_count
from datawarehouse.functions.objects import COMPLETE, is_read, listed, listed_hours, newest_runs, split_url
from datawarehouse.functions.tables import DescribedTable, location_of, oldest_kept, read_table, retention_days

RERUNS_A_RUN_MAX = 3
_LONGEST_RUN = timedelta(minutes=15)
_CLOCKS = timedelta(seconds=5)
"""S3 says whole seconds, and its clock is not the function's: rather one rerun too many."""
_SPARE_MS = 20_000


@dataclass(frozen=True, slots=True)
class PastRun:
    """A complete run of a job. time_ms: the instant that it ran for. began: when it began to read."""

    time_ms: int
    began: datetime


def mark_of(run: PastRun) -> bytes:
    """The content of the mark of a run."""
    return json.dumps({"time": instant_of(run.time_ms).isoformat(), "began": run.began.isoformat()}).encode()


def watch(
    glue: Any, table: DescribedTable, time_ms: int, run: Callable[[int], Any], remaining_ms: Callable[[], int],
    took_ms: int,
) -> dict[str, Any]:  # fmt: skip
    """Publish how many hours are late, and run the job again for some of them if DW_RERUN is set; returns what the
    reruns returned, by partition. Raises the first error after the others were tried.

    time_ms: the instant of the run that has ended. run: runs the job for an instant. took_ms: how long that took.
    """
    names = os.environ.get("DW_WATCHED")
    if not names:
        return {}
    watched = [read_table(glue, table.database, name) for name in names.split(",")]
    late = late_hours(glue, client("s3"), table, watched, time_ms)
    done: dict[str, Any] = {}
    failures: list[Exception] = []
    if late:
        log("hours got rows after the job ran", table=table.name, partitions=list(late))
        try:
            publish_count(LATE_HOURS, table.database, table.name, len(late))
        except ClientError as error:
            failures.append(error)
    for partition, instant in list(late.items())[:RERUNS_A_RUN_MAX] if os.environ.get("DW_RERUN") else ():
        before_ms = remaining_ms()
        if before_ms < 2 * took_ms + _SPARE_MS:
            log("no time for a rerun; give the job more", table=table.name, partition=partition)
            break
        try:
            done[partition] = run(instant)
            log("that was a rerun", table=table.name, partition=partition)
        except Exception as error:  # whatever the job raises, the other hours get their turn
            log("a rerun failed", table=table.name, partition=partition, error=error)
            failures.append(error)
        took_ms = max(took_ms, before_ms - remaining_ms())
    if failures:
        raise failures[0]
    return done


def late_hours(
    glue: Any, s3: Any, table: DescribedTable, watched: list[DescribedTable], time_ms: int
) -> dict[str, int]:
    """The hours before that of a run which got rows in one of the watched tables after the job ran for them, the oldest
    first, with the instants that it ran for."""
    last = partition_of(time_ms - 2 * HOUR_MS)
    first = partition_of(time_ms - int(os.environ["DW_LOOK_BACK_HOURS"]) * HOUR_MS)
    if days := retention_days():
        first = max(first, oldest_kept(time_ms, days))
    runs = {partition: run for partition, run in newest_runs(s3, table.location, first).items() if partition <= last}
    found: dict[str, int] = {}
    for read in watched:
        for partition, newest in _newest_objects(s3, read, first, last).items():
            run = runs.get(partition)
            if run is None or partition in found or newest < _named_at(run) - _LONGEST_RUN - _CLOCKS:
                continue
            past = _past_run(s3, f"{table.folder(partition)}{run}/", run, partition, time_ms)
            if _got_rows(glue, s3, read, partition, past.began - _CLOCKS):
                found[partition] = past.time_ms
    return dict(sorted(found.items()))


def _newest_objects(s3: Any, table: DescribedTable, first: str, last: str) -> Mapping[str, datetime]:
    """When the newest object of each hour was written, by partition."""
    newest: dict[str, datetime] = {}
    for url in (table.location, home_of(table)):
        for partition, _, each in listed_hours(s3, url, first, last):
            newest[partition] = max(each.modified, newest.get(partition, each.modified))
    return newest


def _named_at(run: str) -> datetime:
    """When a run was given its name; see `objects.new_run`."""
    return datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def _past_run(s3: Any, folder: str, run: str, partition: str, time_ms: int) -> PastRun:
    """The run of a folder, by its mark. That of an older release is empty: such a run is taken to have begun when it
    was named, and to have run at the same minute as the present one."""
    bucket, key = split_url(f"{folder}{COMPLETE}")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    if not body:
        return PastRun(start_ms(partition) + HOUR_MS + time_ms % HOUR_MS, _named_at(run))
    found = json.loads(body)
    return PastRun(milliseconds_of(datetime.fromisoformat(found["time"])), datetime.fromisoformat(found["began"]))


def _got_rows(glue: Any, s3: Any, table: DescribedTable, partition: str, since: datetime) -> bool:
    """Whether queries see rows of an hour that they did not see at an instant."""
    location = location_of(glue, table, partition)
    if location is None:
        return False
    known: frozenset[str] = frozenset()
    if is_compacted(table, location):
        mark = read_mark(s3, location)
        if mark.late and mark.late >= since:
            return True
        known = mark.files
    _, folder = split_url(location)
    return any(
        each.modified >= since and each.key not in known and is_read(each.key.removeprefix(folder), each)
        for each in listed(s3, location)
    )
