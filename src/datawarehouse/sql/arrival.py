"""What stands in for files that know their event times, on a host that knows hours of arrival alone: a statement that
bounds only event time is refused there, with one that bounds arrival as well.

1. A use of a table counts as bounded if it bounds arrival from below. A use that bounds event time only from above is
   bounded if it bounds arrival at all. A use that bounds neither is no matter of this module.
2. The statement that may run begins with the first hour of event time, less the hours by which all but one in a
   thousand events come too early, and ends with the last one and the hours by which no more come late; or with the
   present.
3. Which share of the events that misses is computed from the lateness that was observed. Where nothing was, it begins
   one hour early and does not end, and the refusal says that the share is not known.

Pure: the lateness is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from datawarehouse.definition.lateness import LATENESS_SUFFIX, OBSERVED_HOURS, Counts, quantile, share_missed
from datawarehouse.definition.partition import HOUR_MS, start_ms
from datawarehouse.errors import QueryError
from datawarehouse.sql import hours
from datawarehouse.sql.plan import Plan, Scan, TableSchema
from datawarehouse.sql.rewriting import quoted, with_conditions
from datawarehouse.sql.shape import Place
from datawarehouse.sql.statement import immediate

EARLY, LATE = Fraction(1, 1000), Fraction(999, 1000)
EARLY_HOURS_MIN = 1
"""Firehose writes a record into the hour in which the oldest record of its buffer came, which has at most 900 s
("Understand custom prefixes", Amazon Data Firehose developer guide)."""
_LAST_HOUR = start_ms("9999/12/31/23") // HOUR_MS


@dataclass(frozen=True, slots=True)
class Refusal:
    """reasons: one for each use of a table. rewritten: a statement that bounds arrival too; None if none is known.
    missed: which share of the events of each use that misses, in the order of the statement; None if it is not known.
    """

    reasons: tuple[str, ...]
    missed: tuple[Fraction | None, ...]
    rewritten: str | None

    def __str__(self) -> str:
        rewritten = f" This statement may run:\n{self.rewritten}" if self.rewritten else ""
        return f"{' '.join(self.reasons)}{rewritten}"


def tables_to_measure(planned: Plan, tables: Mapping[str, TableSchema], now_ms: int) -> set[str]:
    """The tables of which a plan bounds only event time, so that their lateness is needed."""
    return {use.scan.table for use in _unbounded(planned, tables, now_ms)}


def refusal_of(
    sql: str,
    planned: Callable[[str], Plan],
    tables: Mapping[str, TableSchema],
    lateness: Mapping[str, Counts],
    now_ms: int,
) -> Refusal | None:
    """Why a statement may not run on a host that knows hours of arrival alone; None if it may.

    planned: makes the plan of a text at the time `now_ms`; raises QueryError. lateness: what was observed, by table.
    """
    uses = list(_unbounded(planned(sql), tables, now_ms))
    if not uses:
        return None
    reasons: list[str] = []
    shares: list[Fraction | None] = []
    conditions: dict[Place, str] = {}
    for use in uses:
        counts = lateness.get(use.scan.table, {})
        arrivals = _arrivals(use, counts, now_ms // HOUR_MS)
        if condition := _condition(use, arrivals):
            conditions[use.scan.place] = condition
        shares.append(_missed(use, arrivals, counts))
        reasons.append(_reason(use, condition, shares[-1], bool(counts)))
    return Refusal(tuple(reasons), tuple(shares), _bounded(sql, conditions, planned, tables, now_ms))


def _bounded(
    sql: str,
    conditions: Mapping[Place, str],
    planned: Callable[[str], Plan],
    tables: Mapping[str, TableSchema],
    now_ms: int,
) -> str | None:
    """The statement with these conditions; None if that does not bound arrival."""
    if immediate(sql):  # the places of what is read are those of an inner text
        return None
    with suppress(QueryError):
        text = with_conditions(sql, conditions)
        if not any(_unbounded(planned(text), tables, now_ms)):
            return text
    return None


# -- what a statement asks for


@dataclass(frozen=True, slots=True)
class _Use:
    """A use of a table that bounds only event time. key: the column of arrival. first, last: the hours of event time
    that it asks for; None is open. until: the last hour of arrival that it asks for, at most the present one."""

    scan: Scan
    key: str
    event_time: str
    first: int | None
    last: int | None
    until: int


def _unbounded(planned: Plan, tables: Mapping[str, TableSchema], now_ms: int) -> Iterator[_Use]:
    for scan in planned.scans if planned.kind == "select" else ():
        table = tables[scan.table]
        if table.hours is None or table.event_time is None:
            continue
        low, high = scan.predicate.bounds(table.event_time)
        arrivals = hours.ranges(scan.predicate, table.hours, now_ms)
        if (low is None and high is None) or hours.is_bounded(arrivals):
            continue
        until = arrivals[-1][1]
        if low is None and until < now_ms // HOUR_MS:
            continue
        first, last = (None if bound is None else bound // HOUR_MS for bound in (low, high))
        yield _Use(scan, table.hours, table.event_time, first, last, until)


# -- what would do

_Range = tuple[int | None, int | None]


def _arrivals(use: _Use, counts: Counts, present: int) -> _Range:
    """The first and the last hour of arrival of the statement that may run; None is open."""
    early, late = quantile(counts, EARLY), quantile(counts, LATE)
    low = None if use.first is None else use.first - max(EARLY_HOURS_MIN, -(early or 0))
    high = None if use.last is None or late is None else use.last + max(0, late)
    if high is not None and high >= min(use.until, present):
        high = None
    return _within(low), _within(high)


def _within(hour: int | None) -> int | None:
    """The nearest hour that can be written, and that bounds."""
    return None if hour is None else min(max(1, hour), _LAST_HOUR)


def _condition(use: _Use, arrivals: _Range) -> str:
    bounds = zip((">=", "<="), arrivals, strict=True)
    return " and ".join(
        f"{quoted(use.key)} {operator} '{hours.text_of(hour)}'" for operator, hour in bounds if hour is not None
    )


def _missed(use: _Use, arrivals: _Range, counts: Counts) -> Fraction | None:
    """The share of the events of a use that is not found; see `_is_at_most`."""
    if use.first is not None and use.last is not None and use.last < use.first:
        return Fraction(0) if counts else None  # it asks for nothing
    first, last = _events(use)
    low, high = arrivals
    if last - first < OBSERVED_HOURS:
        return share_missed(counts, (first, last), arrivals, use.until)
    begin = share_missed(counts, (first, first + OBSERVED_HOURS - 1), (low, None), use.until)
    end = share_missed(counts, (last - OBSERVED_HOURS + 1, last), (None, high), use.until)
    return None if begin is None and end is None else (begin or Fraction(0)) + (end or Fraction(0))


def _events(use: _Use) -> tuple[int, int]:
    """The hours of event time of a use in which there can be events: without a first one the last alone."""
    present = max(use.until, use.first or 1)
    last = present + OBSERVED_HOURS if use.last is None else min(use.last, present + OBSERVED_HOURS)
    first = max(1, last if use.first is None else use.first)
    return first, max(first, last)


def _is_at_most(use: _Use) -> bool:
    """Whether the share is no more than a bound. What is missed is at the ends of a range; when the events of a long
    one begin is not known here, so that they are taken to be in its first and its last week."""
    first, last = _events(use)
    return use.first is None or last - first >= OBSERVED_HOURS


def _reason(use: _Use, condition: str, missed: Fraction | None, is_measured: bool) -> str:
    table, key = use.scan.table, use.key
    said = (
        f"On AWS the rows of {table} are found by the hour of their arrival, {key}, and the statement bounds only "
        f"{use.event_time}, so that it would read every hour: bound {key} too."
    )
    if not is_measured:
        job = f"{table}{LATENESS_SUFFIX}"
        return (
            f"{said} How late its events arrive is not known, and so not which share of them that would miss: of the "
            f"last {OBSERVED_HOURS} hours none with events is measured. The job {job} measures each hour when it is "
            f"over, and `dw backfill {job} --on aws --from TIME` measures those of before."
        )
    if not condition:
        return said
    if missed is None:
        return f"{said} No event of the last {OBSERVED_HOURS} hours came so early that it could be found now."
    at_most = "at most " * (_is_at_most(use) and missed > 0)
    return (
        f"{said} With {condition} it would miss {at_most}{percent(missed)} of the events that it asks for, if they "
        f"arrive as those of the last {OBSERVED_HOURS} hours did."
    )


def percent(share: Fraction) -> str:
    """A share as a text; what is not nothing is not shown as nothing."""
    return f"{float(100 * share):.3g} %" if share == 0 or share >= Fraction(1, 10**6) else "less than 0.0001 %"
