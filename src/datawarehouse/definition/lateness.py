"""How late events come, in whole hours: from the hour in which they happened to the hour in which they arrived.

A count is how many events there were of each lateness: 0 for an event that arrived in the hour in which it happened,
negative for one that says it happened later than it arrived. On AWS the counts of each hour of arrival are the rows of
a table beside the one that they are about.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from datawarehouse.definition.partition import HOUR_MS, partition_of

LATENESS_SUFFIX = "_lateness"
LATENESS_COLUMNS = {"event_time": "string", "lateness_hours": "bigint", "events": "bigint"}
"""event_time: the column that says when an event happened: a table may declare another one later. lateness_hours: NULL
of events without event time."""
LATENESS_KEY = "inserted_at"
LATENESS_HOURS_MAX = 8_760
"""A year; what is later counts as so late, which bounds the rows of an hour whatever events say."""
OBSERVED_HOURS = 168
"""The hours of arrival whose counts are looked at: a week, since nights and week-ends differ."""

Counts = Mapping[int, int]


def counting(table: str, event_time: str, hours: str) -> str:
    """The statement of the job that counts the events of an hour of arrival. hours: the column of that."""
    most = LATENESS_HOURS_MAX
    happened, arrived = f"date_trunc('hour', \"{event_time}\")", "date_parse(:partition, '%Y/%m/%d/%H')"
    return (
        f"select '{event_time}' as event_time, "
        f"greatest(least(date_diff('hour', {happened}, {arrived}), {most}), -{most}) as lateness_hours, "
        f'count(*) as events from "{table}" where "{hours}" = :partition group by 2'
    )


def counted(table: str, event_time: str, now_ms: int, *, by_hour: bool) -> str:
    """The statement that reads the counts of the last OBSERVED_HOURS: the lateness, the events, and the hour of arrival
    if they are wanted by that."""
    since, key = partition_of(now_ms - OBSERVED_HOURS * HOUR_MS), LATENESS_KEY
    groups = f"lateness_hours, {key}" if by_hour else "lateness_hours"
    return (
        f'select lateness_hours, sum(events) as events{f", {key}" * by_hour} from "{table}{LATENESS_SUFFIX}" '
        f"where event_time = '{event_time}' and {key} >= '{since}' group by {groups} order by {groups}"
    )


def quantile(counts: Counts, share: Fraction) -> int | None:
    """The least lateness that so large a share of events does not exceed; None without events."""
    wanted, so_far = share * sum(counts.values()), 0
    for hours in sorted(counts):
        so_far += counts[hours]
        if so_far >= wanted:
            return hours
    return None


def share_missed(
    counts: Counts, events: tuple[int, int], arrivals: tuple[int | None, int | None], present: int
) -> Fraction | None:
    """Which share of the events of a range of event time is not found in a range of arrival, if they come as those that
    were counted, and as many in each hour. Of what has arrived by now; None if that is none.

    events, arrivals: the first and the last hour, both included, counted from 1970-01-01T00; None is open. present: the
    present hour.
    """
    (first, last), (low, high) = events, arrivals
    until = present if high is None else min(high, present)
    arrived = found = 0
    for late, rows in counts.items():
        arrived += rows * max(0, min(last, present - late) - first + 1)
        begin = first if low is None else max(first, low - late)
        found += rows * max(0, min(last, until - late) - begin + 1)
    return Fraction(arrived - found, arrived) if arrived else None
