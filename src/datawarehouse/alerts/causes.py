"""Which conditions hold, from facts alone. Pure.

A cause is one mistake, whatever it does to how many records: a column that gets the wrong type, a job that fails, a
conversion that is behind. More causes of rejects than REJECT_CAUSES_MAX in one table are one cause together, "many
causes", and so are those that are each below the threshold but not together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from datawarehouse.alerts.counts import OTHER, Counted
from datawarehouse.definition.alerts import (
    BACKUP_AGE,
    CLOCK_AHEAD,
    DAMAGE,
    DISK_FREE,
    FAILED_RUNS,
    LAG,
    REFUSED,
    REJECTS,
    Conditions,
)
from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.definition.rejects import DAMAGED

REJECT_CAUSES_MAX = 10
MANY = "many causes"


class Key(NamedTuple):
    """What makes a cause the same one as before. table: empty if it concerns the warehouse as a whole."""

    alert: str
    table: str
    what: str


@dataclass(frozen=True, slots=True)
class FailingJob:
    """A job with hours that no run has written. failed: the runs that failed for the worst of them, since one last
    succeeded; scheduled_ms: its instant; hours: how many there are; error: of the latest run."""

    job: str
    failed: int
    scheduled_ms: int
    hours: int
    error: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment; what is not known is None or empty.

    counted: received and rejected records by table, over the window. lag_s: the age of the oldest record that is not
    converted, by table. damage: a sentence for each damage that was found and not yet mended. backup_age_s: since the
    instant up to which the latest back-up has everything. clock_ahead_ms: how far the wall clock is ahead of the
    owner's.
    """

    counted: Mapping[str, Counted] = field(default_factory=dict)
    failing: Sequence[FailingJob] = ()
    lag_s: Mapping[str, float] = field(default_factory=dict)
    disk_free_bytes: int | None = None
    damage: Sequence[str] = ()
    backup_age_s: float | None = None
    clock_ahead_ms: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """A condition that holds. text: what is wrong; next_step: what to do; value, threshold: in `unit`."""

    key: Key
    text: str
    next_step: str
    value: float
    threshold: float
    unit: str


def conditions(facts: Facts, declared: Conditions, on: Set[Key] = frozenset()) -> list[Cause]:
    """The causes that hold. on: those that held before; they are not counted among "many causes"."""
    found: list[Cause] = []
    for table, counted in sorted(facts.counted.items()):
        found += _rejects(table, counted, declared, on)
        found += _damaged_records(table, counted, declared)
        found += _refused(table, counted, declared)
    found += _failed_runs(facts, declared)
    found += _lag(facts, declared)
    return [*found, *_of_the_machine(facts, declared)]


def _rejects(table: str, counted: Counted, declared: Conditions, on: Set[Key]) -> Iterator[Cause]:
    rejects = {what: count for what, count in counted.rejects.items() if not what.startswith(DAMAGED)}
    over = {
        what: cause
        for what, count in rejects.items()
        if what != OTHER and (cause := _over(table, what, count, counted.received, declared))
    }
    known = {what for what in over if Key(REJECTS, table, what) in on}
    if len(over) > REJECT_CAUSES_MAX:
        over = {what: cause for what, cause in over.items() if what in known}
    yield from over.values()
    rest = [count for what, count in rejects.items() if what not in over]
    together = _over(table, MANY, sum(rest), counted.received, declared, len(rest)) if rest else None
    if together:
        yield together


def _over(table: str, what: str, count: int, received: int, declared: Conditions, causes: int = 1) -> Cause | None:
    """The cause of so many rejects, if they are over a threshold; `causes` are counted together."""
    share = count / received if received else 0.0
    over: tuple[float, float, str] | None = None
    if declared.rejects is not None and count > declared.rejects:
        over = count, declared.rejects, "records"
    if declared.rejects_share is not None and share > declared.rejects_share:
        over = share, declared.rejects_share, "share"
    if over is None:
        return None
    code, _, column = what.partition(" ")
    cause = f"column {column} ({code})" if column else f"the record as a whole ({code})"
    minutes = declared.window_minutes
    return Cause(
        Key(REJECTS, table, what),
        f"{count:,} of {received:,} records of {table} ({share:.2%}) were rejected in {minutes} min: "
        f"{f'{causes:,} causes together' if what == MANY else cause}.",
        f"dw quarantine ls {table}",
        *over,
    )


def _damaged_records(table: str, counted: Counted, declared: Conditions) -> Iterator[Cause]:
    count = sum(count for what, count in counted.rejects.items() if what.startswith(DAMAGED))
    if declared.damage and count:
        text = f"{count:,} acknowledged records of {table} could not be read from the journal: its bytes are damaged."
        yield Cause(Key(DAMAGE, table, "journal"), text, f"dw quarantine ls {table}", count, 0, "records")


def _refused(table: str, counted: Counted, declared: Conditions) -> Iterator[Cause]:
    refused = sum(counted.refused.values())
    sent = counted.received + refused
    share = refused / sent if sent else 0.0
    if declared.refused_share is None or share <= declared.refused_share:
        return
    limits = ", ".join(f"{limit}: {count:,}" for limit, count in sorted(counted.refused.items()))
    yield Cause(
        Key(REFUSED, table, ""),
        f"{refused:,} of {sent:,} records that were sent to {table} ({share:.2%}) were refused in "
        f"{declared.window_minutes} min ({limits}).",
        "raise the limit that is named, or send more slowly; what was refused is only with its producer",
        share,
        declared.refused_share,
        "share",
    )


def _failed_runs(facts: Facts, declared: Conditions) -> Iterator[Cause]:
    for each in facts.failing:
        if declared.failed_runs is None or each.failed < declared.failed_runs:
            continue
        at = instant_of(each.scheduled_ms)
        hour = instant_of(each.scheduled_ms - HOUR_MS)
        more = f" {each.hours - 1:,} other hours are not written either." if each.hours > 1 else ""
        said = [_printable(line).rstrip(".") for line in each.error.splitlines() if line.strip()][-1:]
        yield Cause(
            Key(FAILED_RUNS, each.job, ""),
            f"Job {each.job} failed {each.failed:,} times for the hour {hour:%Y/%m/%d/%H}.{more}"
            f"{f' It said: {said[0]}.' if said else ''}",
            f"dw jobs {each.job}, and when it is mended dw run {each.job} --at {at:%Y-%m-%dT%H:%M:%SZ}",
            each.failed,
            declared.failed_runs,
            "runs",
        )


def _printable(text: str) -> str:
    """The first 200 characters of a text that a job wrote; a terminal must not obey it."""
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text[:200])


def _lag(facts: Facts, declared: Conditions) -> Iterator[Cause]:
    for table, lag_s in sorted(facts.lag_s.items()):
        if declared.lag_s is not None and lag_s > declared.lag_s:
            yield Cause(
                Key(LAG, table, ""),
                f"Conversion of {table} is behind: its oldest record has waited for {lag_s:,.0f} s.",
                "dw status shows how many wait, and the log says whether conversion fails or is slow",
                lag_s,
                declared.lag_s,
                "s",
            )


def _of_the_machine(facts: Facts, declared: Conditions) -> Iterator[Cause]:
    free, least = facts.disk_free_bytes, declared.disk_free_bytes
    if free is not None and least is not None and free < least:
        text = f"The disk of the data folder has {free:,} bytes free, and {least:,} are wanted."
        step = "make room, or lower retention_days; below disk_free_bytes_min no events are taken"
        yield Cause(Key(DISK_FREE, "", ""), text, step, free, least, "bytes")
    if declared.damage and facts.damage:
        more = f" There are {len(facts.damage) - 1:,} more." if len(facts.damage) > 1 else ""
        yield Cause(Key(DAMAGE, "", ""), f"{facts.damage[0]}{more}", "dw doctor", len(facts.damage), 0, "damages")
    age, oldest = facts.backup_age_s, declared.backup_age_hours
    if age is not None and oldest is not None and age > oldest * 3600:
        text = f"The latest back-up is {age / 3600:,.0f} h old."
        yield Cause(
            Key(BACKUP_AGE, "", ""),
            text,
            "dw status says why, dw backup makes one",
            round(age / 3600, 2),
            oldest,
            "hours",
        )
    ahead_s = facts.clock_ahead_ms / 1000
    if declared.clock_ahead_s is not None and ahead_s > declared.clock_ahead_s:
        text = f"The wall clock is {ahead_s:,.0f} s ahead of the time that has passed."
        step = "set the machine's clock right; dw status says by which clock records arrive meanwhile"
        yield Cause(Key(CLOCK_AHEAD, "", ""), text, step, ahead_s, declared.clock_ahead_s, "s")
