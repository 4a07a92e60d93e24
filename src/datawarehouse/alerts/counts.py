"""What was counted: records received, rejects by cause, records refused. Its size depends on causes, never on
records."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

CAUSES_MAX = 100
"""For each table: more causes than this at a time are counted as one, OTHER."""
OTHER = ""

NOTHING: Mapping[str, int] = MappingProxyType({})

_STEPS = 30


class Counted(msgspec.Struct):
    """Of one table: records received, how many of them were rejected for each cause (`counted_causes`), and how many
    others were refused because of each limit."""

    received: int = 0
    rejects: dict[str, int] = {}
    refused: dict[str, int] = {}

    def add(self, received: int, rejects: Mapping[str, int], refused: Mapping[str, int] = NOTHING) -> None:
        self.received += received
        for limit, count in refused.items():
            self.refused[limit] = self.refused.get(limit, 0) + count
        for cause, count in rejects.items():
            known = cause in self.rejects or len(self.rejects) < CAUSES_MAX
            place = cause if known else OTHER
            self.rejects[place] = self.rejects.get(place, 0) + count


class Inflow:
    """What was counted since it was last taken; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, Counted] = {}

    def add(self, table: str, received: int, rejects: Mapping[str, int], refused: Mapping[str, int] = NOTHING) -> None:
        with self._lock:
            self._tables.setdefault(table, Counted()).add(received, rejects, refused)

    def take(self) -> dict[str, Counted]:
        """The counts by table; the next ones begin at zero."""
        with self._lock:
            taken, self._tables = self._tables, {}
        return taken


class Step(msgspec.Struct):
    """What was counted in a thirtieth of a window."""

    start_ms: int
    tables: dict[str, Counted] = {}


class Window:
    """Counts of the last `length_ms`, in steps of a thirtieth of it."""

    def __init__(self, length_ms: int, steps: list[Step]) -> None:
        """steps: of an earlier owner."""
        self._length_ms = length_ms
        self._steps = deque(steps)

    @property
    def steps(self) -> list[Step]:
        return list(self._steps)

    def add(self, now_ms: int, counts: Mapping[str, Counted]) -> None:
        """Add counts, and forget those that have left the window."""
        for step in self._steps:  # the clock was set back
            step.start_ms = min(step.start_ms, now_ms)
        while self._steps and self._steps[0].start_ms + self._length_ms <= now_ms:
            self._steps.popleft()
        if not counts:
            return
        if not self._steps or now_ms - self._steps[-1].start_ms >= self._length_ms // _STEPS:
            self._steps.append(Step(now_ms))
        last = self._steps[-1].tables
        for table, counted in counts.items():
            last.setdefault(table, Counted()).add(counted.received, counted.rejects, counted.refused)

    def sums(self) -> dict[str, Counted]:
        """The counts of the window by table."""
        found: dict[str, Counted] = {}
        for step in self._steps:
            for table, counted in step.tables.items():
                found.setdefault(table, Counted()).add(counted.received, counted.rejects, counted.refused)
        return found

    def next_ms(self) -> int | None:
        """When the oldest counts leave the window."""
        return self._steps[0].start_ms + self._length_ms if self._steps else None
