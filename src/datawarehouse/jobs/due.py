"""When a job is due. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.definition.schedule import Rate, Schedule

RETRIES_AFTER_MS = (60_000, 120_000)
"""A failed run is retried this long after its end, as Lambda does with an asynchronous invocation."""


MISSED_COUNTED_MAX = 1000


def latest_due(schedule: Schedule, reached_ms: int, now_ms: int) -> tuple[int | None, int]:
    """The latest instant after `reached_ms` and not after now, and how many such instants there are.

    A rate counts from `reached_ms`, which is an instant that was due, or the instant when the job was first declared.
    Instants are counted up to MISSED_COUNTED_MAX, and looked for from the end: a job that was due each minute of a year
    is found as fast as one that was due yesterday.
    """
    reached, now = instant_of(reached_ms), instant_of(now_ms)
    count = sum(1 for _ in islice(_due_after(schedule, reached, now, reached), MISSED_COUNTED_MAX))
    if not count:
        return None, 0
    window = timedelta(minutes=1)
    while not (found := list(_due_after(schedule, max(reached, now - window), now, reached))):
        window *= 2
    return milliseconds_of(found[-1]), count


def _due_after(schedule: Schedule, after: datetime, until: datetime, anchor: datetime) -> Iterator[datetime]:
    due = schedule.next_after(after, anchor)
    while due is not None and due <= until:
        yield due
        due = schedule.next_after(due, anchor)


def earliest_due(schedule: Schedule, reached_ms: int) -> int | None:
    """The first instant after `reached_ms`; None if the schedule has ended."""
    reached = instant_of(reached_ms)
    due = schedule.next_after(reached, reached)
    return None if due is None else milliseconds_of(due)


def backfill_instants(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """The instants for which a job must run to write everything that its schedule would have written from `start` to
    `end`.

    For a cron expression: its instants in that time. For a rate: the end of each hour, because a run at that instant
    writes that hour; or one instant for each interval, if the interval is longer.
    """
    found: list[datetime] = []
    if isinstance(schedule, Rate):
        step = max(schedule.interval, timedelta(hours=1))
        at = start.replace(minute=0, second=0, microsecond=0) + step
        while at <= end:
            found.append(at)
            at += step
        return found
    due = schedule.next_after(start - timedelta(milliseconds=1), start)
    while due is not None and due < end:
        found.append(due)
        due = schedule.next_after(due, start)
    return found


RERUN_AFTER_HOURS = (1, 2, 4, 8, 16, 32, 64, 128, 168)
"""The first, second, ... rerun for an event hour begins at the earliest so long after the end of the hour. Where late
events come in every hour, an event hour is counted nine times again and not 168 times, and what came in the meantime is
counted together."""
RERUN_WINDOW_HOURS = RERUN_AFTER_HOURS[-1]
_EXPIRY_MARGIN_HOURS = 2


def rerun_from(hour_ms: int, arrival_ms: int, reruns: int, kept_hours: int | None, now_ms: int) -> int | None:
    """Up to which instant the arrival of events must be complete before a job runs again for an event hour; None if it
    does not, because the events came too late, the job ran again often enough, or rows of the hour expire.

    hour_ms, arrival_ms: the starts of the event hour and of the first hour in which events for it arrived. reruns: how
    often the job ran again for it. kept_hours: how long its rows are kept; None is for ever.
    """
    if arrival_ms - hour_ms > RERUN_WINDOW_HOURS * HOUR_MS or reruns >= len(RERUN_AFTER_HOURS):
        return None
    if kept_hours is not None and now_ms - hour_ms > (kept_hours - _EXPIRY_MARGIN_HOURS) * HOUR_MS:
        return None  # a run would count what is left
    after = RERUN_AFTER_HOURS[reruns]
    if kept_hours is not None:  # what came after the last rerun that the rule has before then is counted as well
        after = min(after, kept_hours - 2 * _EXPIRY_MARGIN_HOURS)
    return max(arrival_ms, hour_ms + after * HOUR_MS) + HOUR_MS


def retry_at(attempt: int, ended_ms: int) -> int | None:
    """When the next attempt after a failed one is due; None if that was the last attempt."""
    return ended_ms + RETRIES_AFTER_MS[attempt - 1] if attempt <= len(RETRIES_AFTER_MS) else None
