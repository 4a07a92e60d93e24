"""Whether a workgroup permits a statement: decided on what the statement makes readable.

1. Each use of a table that has hours needs a range of hours with a lower bound, or a list of hours, computed from the
   statement. That a condition names the column is not enough: what counts is what pruning can make of it.
2. The hours of a use are no more than `partitions_max`, however few of them have rows.
3. Of a table that declares its event time, a lower bound of that is enough as well. What counts then are the hours of
   arrival that remain: those with a file that can hold such rows.
4. The files of what remains have no more bytes than `scan_bytes_max`.

A refusal says what is missing, and has the statement that would pass. Pure: the sizes of partitions are an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.definition.workgroups import Workgroup
from datawarehouse.errors import QueryError
from datawarehouse.sql import hours, metadata
from datawarehouse.sql.hours import Range
from datawarehouse.sql.plan import Plan, Scan, TableSchema
from datawarehouse.sql.rewriting import quoted, with_conditions
from datawarehouse.sql.shape import Place
from datawarehouse.sql.statement import immediate

ATHENA_DOLLARS_PER_TB = 5
ATHENA_BYTES_MIN = 10 * 10**6
"""Amazon Athena pricing: five dollars for each terabyte scanned, and no query is counted with less than 10 MB."""

_READING = ("select", "change", "explain_analyze")
_PROPOSED_HOURS = 24
"""How many hours a proposed statement reads, where the statement itself says nothing of hours."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is stored of a table in one partition: the number of its files, and their bytes. uncounted: how many of them
    are there because nothing is known of their event times."""

    partition: str
    files: int
    bytes: int
    uncounted: int = 0


Stored = Callable[[Scan], Sequence[Part]]
"""The partitions that a scan reads of what is stored."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a statement reads at most, all of its tables together: an engine leaves out columns, and parts of files."""

    partitions: int
    files: int
    bytes: int

    @property
    def dollars(self) -> float:
        """At Athena's price; 0 if there is nothing to read."""
        return max(self.bytes, ATHENA_BYTES_MIN) * ATHENA_DOLLARS_PER_TB / 10**12 if self.files else 0.0

    def __str__(self) -> str:
        return (
            f"{self.partitions:,} partitions, {self.files:,} files, {_size(self.bytes)}, on Athena at most "
            f"${self.dollars:,.5f}"
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """refusals: why the statement may not run, empty if it may. rewritten: one like it that may, None if none is
    known."""

    estimate: Estimate
    refusals: tuple[str, ...] = ()
    rewritten: str | None = None

    @property
    def is_allowed(self) -> bool:
        return not self.refusals

    def values(self) -> dict[str, Any]:
        """What JSON says of it."""
        estimate = self.estimate
        return {
            "allowed": self.is_allowed,
            "refusals": list(self.refusals),
            "rewritten": self.rewritten,
            "estimate": {
                "partitions": estimate.partitions,
                "files": estimate.files,
                "bytes": estimate.bytes,
                "athena_usd": estimate.dollars,
            },
        }

    def __str__(self) -> str:
        if self.is_allowed:
            return f"It reads at most {self.estimate}."
        rewritten = f" This statement may run:\n{self.rewritten}" if self.rewritten else ""
        return f"{' '.join(self.refusals)} As it stands, the statement reads {self.estimate}.{rewritten}"


def decide(
    sql: str,
    planned: Callable[[str], Plan],
    tables: Mapping[str, TableSchema],
    workgroup: Workgroup,
    stored: Stored,
    now_ms: int,
) -> Decision:
    """Decide on a statement. planned: makes the plan of a text at the time `now_ms`; raises QueryError."""
    asked = _asked(planned(sql), tables, stored, now_ms)
    refusals = _refusals(asked, workgroup)
    if not refusals or immediate(sql):  # the places of what is read are those of an inner text
        return Decision(asked.estimate, tuple(refusals))
    for conditions in (*_conditions_of_events(asked, workgroup, now_ms), _conditions(asked, workgroup)):
        if conditions:
            with suppress(QueryError):
                text = with_conditions(sql, conditions)
                if not _refusals(_asked(planned(text), tables, stored, now_ms), workgroup):
                    return Decision(asked.estimate, tuple(refusals), text)
    return Decision(asked.estimate, tuple(refusals))


# -- what a statement asks for


@dataclass(frozen=True, slots=True)
class _Use:
    """A use of a table that has hours, in its column `key`: the hours that it asks for, and what is stored of them.
    event_time: the column of it, if the table declares one."""

    scan: Scan
    key: str
    ranges: tuple[Range, ...]
    parts: Sequence[Part]
    event_time: str | None

    @property
    def events(self) -> tuple[int | None, int | None]:
        """The first and the last event time (ms) that it asks for; None if nothing bounds it."""
        return self.scan.predicate.bounds(self.event_time) if self.event_time else (None, None)

    @property
    def is_bounded(self) -> bool:
        return hours.is_bounded(self.ranges) or self.events[0] is not None


@dataclass(frozen=True, slots=True)
class _Asked:
    """bytes_of_others: those of tables without hours."""

    uses: Sequence[_Use]
    estimate: Estimate
    bytes_of_others: int


def _asked(plan: Plan, tables: Mapping[str, TableSchema], stored: Stored, now_ms: int) -> _Asked:
    scans = [scan for scan in plan.scans if _has_files(scan)] if plan.kind in _READING else []
    read = [(scan, tables[scan.table], stored(scan)) for scan in scans]
    uses = [
        _Use(scan, table.hours, hours.ranges(scan.predicate, table.hours, now_ms), parts, table.event_time)
        for scan, table, parts in read
        if table.hours is not None
    ]
    every = [part for _, _, parts in read for part in parts]
    estimate = Estimate(len(every), sum(part.files for part in every), sum(part.bytes for part in every))
    return _Asked(uses, estimate, estimate.bytes - sum(part.bytes for use in uses for part in use.parts))


def _has_files(scan: Scan) -> bool:
    return scan.table not in metadata.TABLES and not scan.table.endswith(metadata.PARTITIONS)


def _refusals(asked: _Asked, workgroup: Workgroup) -> list[str]:
    found = [refusal for use in asked.uses if (refusal := _refusal_of_hours(use, workgroup))]
    if not found and workgroup.scan_bytes_max is not None and asked.estimate.bytes > workgroup.scan_bytes_max:
        found.append(
            f"Workgroup {workgroup.name!r} permits queries that read {_size(workgroup.scan_bytes_max)} "
            f"(scan_bytes_max), and the files of this one have {_size(asked.estimate.bytes)}."
        )
    return found


def _refusal_of_hours(use: _Use, workgroup: Workgroup) -> str | None:
    needs_range = workgroup.require_partition_filter or workgroup.partitions_max is not None
    if needs_range and not use.is_bounded:
        either, write = "", ""
        if use.event_time:
            either = f" or {use.event_time}"
            write = f" or {quoted(use.event_time)} >= timestamp 'YYYY-MM-DD HH:00:00'"
        return (
            f"Workgroup {workgroup.name!r} requires a range of hours for each table, and nothing bounds {use.key}"
            f"{either} of {use.scan.table} from below: write {use.key} >= 'YYYY/MM/DD/HH'{write}. A condition under "
            f"OR, on a function of {use.key}, after LIMIT or on the side that an outer join keeps does not bound it."
        )
    if workgroup.partitions_max is None:
        return None
    if use.events[0] is not None and len(use.parts) <= workgroup.partitions_max:
        return None
    asked = hours.count(use.ranges)
    if not hours.is_bounded(use.ranges):
        uncounted = sum(part.uncounted for part in use.parts)
        counting = f" {uncounted:,} files say nothing of their event times: `dw compact` counts them." * bool(uncounted)
        return (
            f"Workgroup {workgroup.name!r} permits {workgroup.partitions_max:,} hours (partitions_max), and the files "
            f"of {use.scan.table} that can hold events of these times arrived in {len(use.parts):,} hours.{counting}"
        )
    if asked > workgroup.partitions_max:
        return (
            f"Workgroup {workgroup.name!r} permits {workgroup.partitions_max:,} hours (partitions_max), and the "
            f"statement asks for {asked:,} of {use.scan.table}, from {hours.text_of(use.ranges[0][0])} to "
            f"{hours.text_of(use.ranges[-1][1])}."
        )
    return None


# -- what would pass


def _conditions(asked: _Asked, workgroup: Workgroup) -> dict[Place, str]:
    """Lower bounds with which the statement would pass, by the place of each table; empty if there are none.

    The last hours of what it asks for remain. While their files have too many bytes, there are half as many.
    """
    wanted = [_hours_permitted(use, workgroup) for use in asked.uses]
    while True:
        bounds = [_lower_bound(use, most) for use, most in zip(asked.uses, wanted, strict=True)]
        left = asked.bytes_of_others + sum(
            part.bytes
            for use, bound in zip(asked.uses, bounds, strict=True)
            for part in use.parts
            if bound is None or part.partition >= bound
        )
        if workgroup.scan_bytes_max is None or left <= workgroup.scan_bytes_max:
            return {
                use.scan.place: f"{quoted(use.key)} >= '{bound}'"
                for use, bound in zip(asked.uses, bounds, strict=True)
                if bound
            }
        if max(wanted, default=1) <= 1:
            return {}
        wanted = [max(1, most // 2) for most in wanted]


def _conditions_of_events(asked: _Asked, workgroup: Workgroup, now_ms: int) -> Iterator[dict[Place, str]]:
    """Lower bounds like those of `_conditions`, of event time where a table declares it and nothing bounds its hours of
    arrival; first the longest ones. How many bytes remain is only known when the statement is planned again."""
    if not any(use.event_time and not hours.is_bounded(use.ranges) for use in asked.uses):
        return
    most = max(_hours_permitted(use, workgroup) for use in asked.uses)
    while most:
        bounds = {
            use.scan.place: _bound_of_events(use, min(most, _hours_permitted(use, workgroup)), now_ms)
            for use in asked.uses
        }
        yield {place: bound for place, bound in bounds.items() if bound}
        most //= 2


def _bound_of_events(use: _Use, most: int, now_ms: int) -> str | None:
    """A condition on a use that leaves the last `most` hours of what it asks for; None if it asks for no more."""
    if hours.is_bounded(use.ranges) or not use.event_time:
        bound = _lower_bound(use, most)
        return f"{quoted(use.key)} >= '{bound}'" if bound else None
    first, last = use.events
    hour = min(now_ms if last is None else last, now_ms) // HOUR_MS - most + 1
    if first is not None and first >= hour * HOUR_MS:
        return None
    year, month, day, number = hours.text_of(hour).split("/")
    return f"{quoted(use.event_time)} >= timestamp '{year}-{month}-{day} {number}:00:00'"


def _hours_permitted(use: _Use, workgroup: Workgroup) -> int:
    most = workgroup.partitions_max or _PROPOSED_HOURS
    if not use.is_bounded:
        return min(most, _PROPOSED_HOURS)
    if not hours.is_bounded(use.ranges):
        return most
    asked = hours.count(use.ranges)
    return asked if workgroup.partitions_max is None else min(asked, most)


def _lower_bound(use: _Use, most: int) -> str | None:
    """The hour from which on a use asks for `most` hours, None if it asks for no more anyway."""
    for first, last in reversed(use.ranges):
        if last - first + 1 > most:
            return hours.text_of(last - most + 1)
        most -= last - first + 1
        if most == 0:
            return hours.text_of(first) if first != use.ranges[0][0] else None
    return None


def _size(bytes: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if bytes >= size:
            return f"{bytes / size:,.1f} {unit}"
    return f"{bytes} bytes"
