"""What `dw jobs --on aws` shows: the latest hours of each job, whether a complete run has written them, and what the
log of its function says of the last attempt.

1. The hours: those that the schedule writes, and others that have a run, back to the n-th latest.
2. S3 has the folders of runs with their marks, and Glue says to which of them an hour points: that is complete.
3. The log has the beginning and the end of each attempt (`functions/run_log.py`), for as long as it is kept. A function
   that runs out of time or memory writes no end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_of
from datawarehouse.definition.schedule import Rate, parse_schedule
from datawarehouse.definition.tables import BatchInputTable
from datawarehouse.functions.run_log import FAILED, STARTS, STORED
from datawarehouse.functions.tables import DescribedTable, is_hour, read_table, registered_among
from datawarehouse.jobs.due import backfill_instants
from datawarehouse.operate.clients import Clients, error_code
from datawarehouse.operate.deployment import DeployedTable, Deployment
from datawarehouse.operate.runs import complete_of, listed_runs
from datawarehouse.operate.status import written

LIMIT_MAX = 500
"""Fewer than the partitions of a call of Glue, and than what is pleasant to wait for."""
_HOUR = timedelta(hours=1)
_WINDOW_MAX = timedelta(days=3 * 366)
_LOG_PAGES_MAX = 20
_AT_ONCE = 8
_LINES = " || ".join(f'($.message = "{message}")' for message in (STARTS, STORED, FAILED))
"""CloudWatch Logs user guide, "Filter pattern syntax"."""

SUCCEEDED, FAILED_RUN, RUNNING = "succeeded", "failed", "running"
INVISIBLE, MISSING, DUE = "invisible", "missing", "due"
"""Outcomes that only an hour on AWS has: a run has written it, and its partition does not point there; nothing has
written it; nothing has yet, and its run may still come."""


@dataclass(slots=True)
class _Attempts:
    """What the log says of the attempts to write an hour. ended: None while the last one has not. error: None if the
    last one that ended stored its rows. is_elsewhere: it stored them in other hours alone."""

    count: int = 0
    scheduled: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    rows: int | None = None
    error: str | None = None
    is_elsewhere: bool = False


def latest_hours(
    deployment: Deployment, clients: Clients, names: Sequence[str], limit: int, now: datetime
) -> tuple[list[dict[str, Any]], list[str]]:
    """(the latest `limit` hours of jobs, the newest first, as the embedded host's runs are shown; remarks)

    names: of batch input tables; all if it is empty.
    """
    every = [table.name for table in deployment.tables.values() if table.kind == BatchInputTable.kind]
    jobs = [deployment.batch(name) for name in (names or sorted(every))]
    remarks: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda job: _hours_of(deployment, clients, job, limit, now, remarks), jobs))
    hours = sorted((hour for of_job in found for hour in of_job), key=lambda one: str(one["partition"]), reverse=True)
    return hours[:limit], remarks


def _hours_of(
    deployment: Deployment, clients: Clients, job: DeployedTable, limit: int, now: datetime, remarks: list[str]
) -> list[dict[str, Any]]:
    table = read_table(clients("glue"), deployment.database, job.name)
    first, due = _expected(job, limit, now)
    last = partition_of(milliseconds_of(now))
    found, marked = listed_runs(clients("s3"), table, first, last)
    function = clients("lambda").get_function_configuration(FunctionName=job.function)
    attempts = read_attempts(clients, function, start_of(first), remarks)
    made = partition_of(milliseconds_of(table.created))
    hours = {hour for hour in due if hour >= made} | {run.rpartition("/")[0] for run in marked} | found | set(attempts)
    shown = sorted((hour for hour in hours if first <= hour <= last and is_hour(hour)), reverse=True)[:limit]
    complete = _complete(clients, table, shown, found, marked)
    time_max = timedelta(seconds=function["Timeout"])
    described = []
    for hour in shown:
        log = attempts.get(hour, _Attempts())
        stored = log.ended is not None and log.error is None
        is_complete = complete[hour] or (stored and not table.partition_key)  # no rows: no object without a key
        outcome = outcome_of(hour, is_complete, log, time_max, now)
        described.append(_described(job, hour, due.get(hour), outcome, log, time_max))
    return described


def _expected(job: DeployedTable, limit: int, now: datetime) -> tuple[str, dict[str, datetime]]:
    """(the first of the latest hours, the hours that the schedule writes in that time with their instants)

    A rate of more than an hour counts from when its rule was made, so that its hours are not known.
    """
    schedule, window = parse_schedule(str(job.schedule)), limit * _HOUR
    until = now.replace(minute=0, second=0, microsecond=0) + _HOUR
    while True:
        start = until - window
        instants = backfill_instants(schedule, start, until)
        hours = {partition_of(milliseconds_of(at) - HOUR_MS): at for at in instants if at <= until}
        if len(hours) >= limit or window > _WINDOW_MAX:
            break
        window *= 2
    first = sorted(hours)[-limit:][:1] or [partition_of(milliseconds_of(start))]
    is_known = not isinstance(schedule, Rate) or schedule.interval <= _HOUR
    return first[0], {hour: at for hour, at in hours.items() if is_known and at <= now}


def _complete(
    clients: Clients, table: DescribedTable, hours: Sequence[str], found: set[str], marked: set[str]
) -> dict[str, bool | None]:
    """Whether an hour has a complete run that queries see; None if it has one that they do not see."""
    if not table.partition_key:
        return {hour: hour in found for hour in hours}
    known = registered_among(clients("glue"), table.database, table.name, hours) if hours else []
    seen = complete_of(table, (each["StorageDescriptor"]["Location"] for each in known), marked)
    unseen = {run.rpartition("/")[0] for run in marked} - seen
    return {hour: True if hour in seen else None if hour in unseen else False for hour in hours}


def read_attempts(
    clients: Clients, function: Mapping[str, Any], since: datetime, remarks: list[str]
) -> dict[str, _Attempts]:
    """What the log of a function says, by hour."""
    group = function.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function['FunctionName']}"
    pages = (
        clients("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, startTime=milliseconds_of(since), filterPattern=f"{{ {_LINES} }}")
    )
    lines: list[Mapping[str, Any]] = []
    try:
        for number, page in enumerate(pages, 1):
            lines += page["events"]
            if number == _LOG_PAGES_MAX and page.get("nextToken"):
                remarks.append(f"Of the log {group} only the first part was read; ask for fewer hours (--limit).")
                break
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            remarks.append(f"The log {group} could not be read, so it is not known why runs failed: {error}")
    return _by_hour(lines)


def _by_hour(lines: Iterable[Mapping[str, Any]]) -> dict[str, _Attempts]:
    found: dict[str, _Attempts] = {}
    for line in sorted(lines, key=lambda each: int(each["timestamp"])):
        try:
            told = json.loads(line["message"])
            kind, hour = told["message"], told["partition"]
        except (ValueError, TypeError, KeyError):
            continue  # a line of the user's
        at = datetime.fromtimestamp(line["timestamp"] / 1000, UTC)
        attempts = found.setdefault(hour, _Attempts())
        if kind == STARTS:
            attempts.count, attempts.started, attempts.ended = attempts.count + 1, at, None
            attempts.scheduled = told["scheduled"]
        elif kind == STORED:
            counts = told["rows"]
            attempts.ended, attempts.error = at, None
            attempts.rows = sum(counts.values()) if counts else None
            attempts.is_elsewhere = bool(counts) and hour not in counts
        elif kind == FAILED:
            attempts.ended, attempts.error = at, told["error"]
    return found


def _described(
    job: DeployedTable, hour: str, due: datetime | None, outcome: str, log: _Attempts, time_max: timedelta
) -> dict[str, Any]:
    error = log.error
    if outcome == FAILED_RUN and error is None:
        error = f"The run ended without a word: its {time_max.total_seconds():g} s or its memory were used up."
    if outcome == INVISIBLE:
        error = "A run has written this hour, and its partition does not point there: run it again."
    return {
        "job": job.name,
        "scheduled": log.scheduled or (written(due) if due else None),
        "partition": hour,
        "attempt": log.count or None,
        "cause": None,
        "outcome": outcome,
        "rows": log.rows,
        "started": written(log.started) if log.started else None,
        "seconds": (log.ended - log.started).total_seconds() if log.started and log.ended else None,
        "error": error,
    }


def outcome_of(hour: str, is_complete: bool | None, log: _Attempts, time_max: timedelta, now: datetime) -> str:
    is_open = log.started is not None and log.ended is None
    if is_open and now - (log.started or now) <= time_max:
        return RUNNING
    if is_complete:
        return SUCCEEDED
    if log.error or is_open:
        return FAILED_RUN
    if log.is_elsewhere:
        return SUCCEEDED
    if is_complete is None or log.ended:
        return INVISIBLE
    return DUE if start_of(hour) + 2 * _HOUR > now else MISSING
