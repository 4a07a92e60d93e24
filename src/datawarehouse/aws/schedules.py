"""When functions run on AWS, where only the clock decides. Pure.

The embedded host knows when an hour is complete. On AWS an hour's objects keep arriving until Firehose has flushed
the last buffer that began in it ("Understand custom prefixes": a buffer goes to the hour of its oldest record), so a
job that waits for completeness runs a fixed number of minutes after the hour.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from datawarehouse.definition.schedule import Rate, parse_schedule
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable, Table
from datawarehouse.errors import DeclarationError

EACH_MINUTE = "rate(1 minute)"
_START = datetime(2027, 1, 1, tzinfo=UTC)
_TICKS_MAX = 1000
_NEVER_HOURS = 366 * 24
DELIVERY_MINUTES = 5
"""The time to convert and write a buffer once it is full."""
SETTLED_MARGIN_MINUTES = 5
"""So that compaction seldom has to add what came late."""
STREAM_RETENTION_HOURS = 24
RETRY_HOURS = 24
"""How long Firehose tries to write an object ("Handle data delivery failures"); the record it waited for is as old as
the stream's retention."""
JOB_MINUTES = 15
"""The longest that Lambda lets a job run."""
DEV_FLUSH_SECONDS = 60


def flush_seconds(table: StreamingInputTable, is_dev: bool) -> int:
    """How long Firehose buffers."""
    declared = table.file_flush_interval_seconds
    return min(declared, DEV_FLUSH_SECONDS) if is_dev else declared


def dev_schedule(expression: str, is_dev: bool) -> str:
    """In development every rate is one minute; the instants of a cron expression stay."""
    return EACH_MINUTE if is_dev and isinstance(parse_schedule(expression), Rate) else expression


def longest_gap_hours(expression: str) -> int:
    """The longest time between two scheduled instants, rounded up; for a cron expression, within its next year or 1,000
    instants."""
    schedule = parse_schedule(expression)
    if isinstance(schedule, Rate):
        return -(-int(schedule.interval.total_seconds()) // 3600)
    before, gap = _START, timedelta(0)
    for _ in range(_TICKS_MAX):
        tick = schedule.next_after(before)
        if tick is None or tick > _START + timedelta(days=366):
            return max(-(-int(gap.total_seconds()) // 3600), _NEVER_HOURS if gap == timedelta(0) else 0)
        gap, before = max(gap, tick - before), tick
    return -(-int(gap.total_seconds()) // 3600)


def job_schedule(table: BatchInputTable, get_table: Callable[[str], Table], is_dev: bool) -> str:
    """When a job's function is called.

    Raises DeclarationError if it waits for tables that cannot be complete within the hour.
    """
    if is_dev or not table.run_when_complete:
        return dev_schedule(table.schedule_expression, is_dev)
    minute = complete_after_minutes(table, get_table)
    if minute > 59:
        raise DeclarationError(
            f"Table {table.name!r}: run_when_complete would wait {minute} minutes on AWS for {', '.join(table.reads)}; "
            "valid is less than an hour. The wait for a stream is its flush interval and 5 minutes, for a table that a "
            "job fills 15 minutes after its job is due, which is not known for a rate. Read the streams directly, give "
            "those tables run_when_complete or a cron expression, or give this table a cron expression."
        )
    return f"cron({minute} * * * ? *)"


def early_run(table: BatchInputTable, schedule: str, get_table: Callable[[str], Table]) -> str:
    """A warning about a job whose last run for an hour can come before the hour has been delivered; otherwise ""."""
    waits = {
        name: complete_after_minutes(get_table(name), get_table)
        for name in table.reads
        if isinstance(get_table(name), StreamingInputTable)
    }
    parsed, needed = parse_schedule(schedule), max(waits.values(), default=0)
    if isinstance(parsed, Rate):
        is_late = parsed.interval + timedelta(minutes=needed) <= timedelta(hours=1)
    else:
        is_late = max(parsed.minutes) >= needed
    if is_late or not waits or table.rerun_when_late:
        return ""
    return (
        f"Table {table.name!r}: with {schedule} the last run for an hour can come before the hour's last events are "
        f"delivered, {needed} minutes after its end for {', '.join(waits)}. Such events would not be counted. "
        f"run_when_complete=True waits for them; so does a cron expression with minute {needed} or later."
    )


def complete_after_minutes(table: Table, get_table: Callable[[str], Table]) -> int:
    """How many minutes after the end of an hour its rows are in a table, for a job that reads it."""
    if isinstance(table, StreamingInputTable):
        return delivered_after_minutes(table)
    if not isinstance(table, BatchInputTable):
        return 0
    if table.run_when_complete:
        read = [get_table(name) for name in table.reads]
        return max(complete_after_minutes(each, get_table) + _running_minutes(each) for each in read)
    schedule = parse_schedule(table.schedule_expression)
    return _UNKNOWN_MINUTE if isinstance(schedule, Rate) else max(schedule.minutes)


def delivered_after_minutes(table: StreamingInputTable) -> int:
    """How many minutes after the end of an hour its last events are delivered."""
    return -(-table.file_flush_interval_seconds // 60) + DELIVERY_MINUTES


def settled_after_minutes(table: StreamingInputTable) -> int:
    """How many minutes after the end of an hour it can no longer change, unless delivery is late."""
    return delivered_after_minutes(table) + SETTLED_MARGIN_MINUTES


_UNKNOWN_MINUTE = 60


def _running_minutes(table: Table) -> int:
    return JOB_MINUTES if isinstance(table, BatchInputTable) else 0
