"""The handler of a Lambda function that registers the hours of tables as partitions before their first event arrives.

For each table it registers all missing hours, from the hour in which the table was created to DW_HOURS_AHEAD hours from
now. So it also registers the hours of a failed call or of a month without runs. A table that was created again over
older data gets its older hours when the event has the first of them, `"from": "2026/11/01/00"`.

Hours that are registered ahead have the columns that the table had at that time. The hours from the last one on, which
still get events, are given the present columns.

Hours that have expired (DW_RETENTION_DAYS) are taken out of the catalog, and not registered again.

Hours that were compacted (DW_COMPACTED has the name of their table) are registered where their compacted rows are.

Older hours come first, and a call that fails does not prevent the others. Hours are registered without reading the
data, because an hour without data costs nothing.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.errors import DataWarehouseError
from datawarehouse.functions.clients import ClientError, client, error_code
from datawarehouse.functions.compacted import newest_compacted
from datawarehouse.functions.instant import scheduled_ms
from datawarehouse.functions.logs import log
from datawarehouse.functions.tables import (
    ROLE_IS_NEW,
    DescribedTable,
    expire,
    oldest_kept,
    read_table,
    refresh,
    register,
    registered,
    retention_days,
)

_NEW_ROLE_S = 120.0  # IAM user guide, "Changes that I make are not always immediately visible"
_RETRY_S = 2.0


def handler(event: Mapping[str, Any], context: object) -> dict[str, int]:
    """How many hours were registered, for each table. If a table failed, raises after all tables were tried."""
    at_deployment = event.get("source") == "deployment"
    now_ms = time.time_ns() // 1_000_000 if at_deployment else scheduled_ms(event)
    access_by = time.monotonic() + (_NEW_ROLE_S if at_deployment else 0.0)
    database, glue = os.environ["DW_DATABASE"], client("glue")
    ahead = int(os.environ.get("DW_HOURS_AHEAD", "12"))
    filling = [partition_of(now_ms + hours * HOUR_MS) for hours in range(-1, ahead + 1)]
    days = retention_days()
    oldest = "" if days is None else oldest_kept(now_ms, days)
    added: dict[str, int] = {}
    failures: list[Exception] = []
    for name in os.environ["DW_TABLES"].split(","):
        try:
            added[name] = _register(glue, database, name, event.get("from"), oldest, filling, access_by)
        except (ClientError, DataWarehouseError) as error:
            log("hours could not be registered", table=name, error=error)
            failures.append(error)
    if failures:
        raise failures[0]
    return added


def _register(
    glue: Any, database: str, name: str, since: str | None, oldest: str, filling: Sequence[str], access_by: float
) -> int:
    """oldest: the first hour that has not expired, "" if none ever does. filling: the hours that get events now or
    later, in order."""
    while True:
        try:
            table = read_table(glue, database, name)
            start_ms(since or partition_of(0))  # raises before anything is asked of Glue
            known = registered(glue, table)
            missing = missing_hours(table, known, since, oldest, filling[-1])
            register(glue, table, missing, _compacted(table, missing))
            altered = refresh(glue, table, filling)
            expired = len(expire(glue, table, known, oldest)) if oldest else 0
            first = min(missing, default=None)
            log(
                "registered hours",
                table=name,
                hours=len(missing),
                first=first,
                last=filling[-1],
                altered=altered,
                expired=expired,
            )
            return len(missing)
        except ClientError as error:
            if error_code(error) not in ROLE_IS_NEW or time.monotonic() > access_by:
                raise
            time.sleep(_RETRY_S * random.uniform(0.5, 1.0))  # the functions of all tables are deployed together


def _compacted(table: DescribedTable, missing: Sequence[str]) -> Mapping[str, str]:
    """Where the rows of those hours are that were compacted before the catalog lost them: their own folders may be
    empty since."""
    if table.name != os.environ.get("DW_COMPACTED") or not missing:
        return {}
    return newest_compacted(client("s3"), table, missing[0])


def missing_hours(
    table: DescribedTable, found: Collection[str], since: str | None, oldest: str, last: str
) -> list[str]:
    """The hours to register, from `since` or the creation of the table, or from `oldest` if that is later, up to
    `last`; the oldest first. found: the hours that are registered."""
    first = start_ms(max(since or partition_of(milliseconds_of(table.created)), oldest))
    hours = map(partition_of, range(first, start_ms(last) + 1, HOUR_MS))
    return [hour for hour in hours if hour not in found]
