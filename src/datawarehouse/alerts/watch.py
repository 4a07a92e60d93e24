"""Follows causes in time: an alert begins with the first moment at which its cause holds, and is over when the cause
has not held for a whole window. So a condition that comes and goes is one alert. Pure; time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import msgspec

from datawarehouse.alerts.causes import MANY, Cause, Facts, Key, conditions
from datawarehouse.alerts.counts import Counted, Step, Window
from datawarehouse.definition.alerts import REJECTS, Conditions

BEGAN, RESOLVED = "alert.began", "alert.resolved"


class On(msgspec.Struct):
    """An alert that is on. What is said of the cause is as at the last moment at which it held. total: records rejected
    for the cause since the window before it began; None for other alerts."""

    id: str
    alert: str
    table: str
    what: str
    text: str
    next_step: str
    value: float
    threshold: float
    unit: str
    began_ms: int
    held_ms: int
    total: int | None = None

    @property
    def key(self) -> Key:
        return Key(self.alert, self.table, self.what)


class Stored(msgspec.Struct):
    """What a watch knows, to be stored: the alerts that are on, the counts of the window, and the keys of the receivers
    that were told."""

    on: list[On] = []
    steps: list[Step] = []
    receivers: list[str] = []


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert that began or was resolved, at an instant. kind: BEGAN or RESOLVED; on: a copy."""

    kind: str
    at_ms: int
    on: On


class Watch:
    """The alerts of one declaration of conditions."""

    def __init__(self, declared: Conditions, warehouse: str, stored: Stored) -> None:
        self.declared = declared
        self._warehouse = warehouse
        self._window = Window(declared.window_ms, stored.steps)
        self._on = {on.key: on for on in stored.on}

    @property
    def on(self) -> list[On]:
        """The alerts that are on, in the order of their beginning."""
        return list(self._on.values())

    def stored(self, receivers: list[str]) -> Stored:
        return Stored(self.on, self._window.steps, receivers)

    def step(self, now_ms: int, inflow: Mapping[str, Counted], facts: Facts) -> list[Notice]:
        """What changed. inflow: what was counted since the last step; facts: all but `counted`."""
        self._window.add(now_ms, inflow)
        counted = self._window.sums()
        notices = []
        for on in self._on.values():
            on.began_ms, on.held_ms = min(on.began_ms, now_ms), min(on.held_ms, now_ms)  # the clock was set back
            if on.total is not None:
                on.total += _count(inflow, on.key, self._on)
        for cause in conditions(replace(facts, counted=counted), self.declared, self._on.keys()):
            known = self._on.get(cause.key)
            if known:
                known.text, known.next_step, known.value = cause.text, cause.next_step, cause.value
                known.threshold, known.unit, known.held_ms = cause.threshold, cause.unit, now_ms
                continue
            on = self._begin(now_ms, cause)
            if cause.key.alert == REJECTS:
                on.total = _count(counted, on.key, self._on)
            self._on[on.key] = on
            notices.append(Notice(BEGAN, now_ms, msgspec.structs.replace(on)))
        for on in list(self._on.values()):
            if now_ms - on.held_ms >= self.declared.window_ms:
                del self._on[on.key]
                notices.append(Notice(RESOLVED, now_ms, on))
        return notices

    def next_ms(self, now_ms: int) -> int | None:
        """The next instant after now at which time alone may change something: the last one at which all counts are in
        the window, the first one at which some are not, or the end of an alert."""
        instants = [on.held_ms + self.declared.window_ms for on in self._on.values()]
        leaves = self._window.next_ms()
        if leaves is not None and self._on:
            instants += [leaves - 1, leaves]
        return min((at for at in instants if at > now_ms), default=None)

    def _begin(self, now_ms: int, cause: Cause) -> On:
        named = "\n".join((self._warehouse, *cause.key, str(now_ms), repr(self.declared)))
        number = blake2b(named.encode(), digest_size=12).hexdigest()
        return On(
            id=number,
            alert=cause.key.alert,
            table=cause.key.table,
            what=cause.key.what,
            text=cause.text,
            next_step=cause.next_step,
            value=cause.value,
            threshold=cause.threshold,
            unit=cause.unit,
            began_ms=now_ms,
            held_ms=now_ms,
        )


def of_each_cause(on: Iterable[On]) -> list[On]:
    """Of these alerts one for each cause, that which began first: a cause can hold for several declared conditions."""
    found: dict[Key, On] = {}
    for each in sorted(on, key=lambda each: each.began_ms):
        found.setdefault(each.key, each)
    return list(found.values())


def _count(counts: Mapping[str, Counted], key: Key, on: Mapping[Key, On]) -> int:
    """How many rejects of these counts belong to a cause; to MANY belong those that have no alert of their own."""
    rejects = counts[key.table].rejects if key.table in counts else {}
    if key.what != MANY:
        return rejects.get(key.what, 0)
    return sum(count for what, count in rejects.items() if Key(REJECTS, key.table, what) not in on)
