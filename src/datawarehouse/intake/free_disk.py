"""Whether the disk of a data folder has room. It has none

  1. while less than `disk_free_bytes_min` is free: events are refused then, before anything is written;
  2. after a write failed for lack of space, whatever is said to be free, until the same work succeeds, or much more is
     free than at the failure: twice as much and 16 MiB.

The log says once that there is no room, and once that there is again, however often a write fails in between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from datawarehouse.clock import Clock

log = logging.getLogger("datawarehouse")

_LOOK_EVERY_MS = 500
_ROOM_BYTES = 16 * 1024 * 1024


class FreeDisk:
    """All methods can be called from any thread."""

    def __init__(self, free_bytes: Callable[[], int], clock: Clock, minimum: int) -> None:
        """minimum: in bytes; see the setting disk_free_bytes_min."""
        self._free_bytes = free_bytes
        self._clock = clock
        self._minimum = minimum
        self._lock = threading.Lock()
        self._looked_ms = -_LOOK_EVERY_MS
        self._is_low = False
        self._failed: dict[str, int] = {}  # work -> how much was free when its write failed

    def is_below_minimum(self) -> bool:
        """Whether less is free than the minimum; looked up twice a second at most."""
        self._look()
        return self._is_low

    def why_full(self) -> str:
        """Why there is no room now; empty if there is."""
        self._look()
        if self._is_low:
            return "the disk is almost full (disk_free_bytes_min)"
        work = next(iter(self._failed), "")
        return f"the disk is full: {work} failed for lack of space" if work else ""

    def write_failed(self, work: str) -> None:
        """Note that some work failed because the disk is full."""
        with self._lock:
            is_new, free = not self._failed, 0
            with suppress(OSError):  # nobody who only reports a failure must fail
                free = self._free_bytes()
            self._failed[work] = min(free, self._failed.get(work, free))
        if is_new:
            log.error(
                "the disk is full: %s failed for lack of space (%d bytes are free); it is tried again", work, free
            )

    def write_succeeded(self, work: str) -> None:
        """Note that some work succeeded."""
        if work in self._failed:
            with self._lock:
                self._forget([work])

    def look_again(self) -> None:
        """Look at the disk with the next call."""
        self._looked_ms = -_LOOK_EVERY_MS

    def _look(self) -> None:
        now = self._clock.now_ms()
        if 0 <= now - self._looked_ms < _LOOK_EVERY_MS:
            return
        with self._lock:
            self._looked_ms = now
            free, was_low = self._free_bytes(), self._is_low
            self._is_low = free < self._minimum
            if self._is_low and not was_low:
                log.error("%d bytes of disk are free, less than disk_free_bytes_min (%d): events are refused",
                          free, self._minimum)  # fmt: skip
            elif was_low and not self._is_low:
                log.info("%d bytes of disk are free: events are taken again", free)
            self._forget([work for work, at_failure in self._failed.items() if free >= 2 * at_failure + _ROOM_BYTES])

    def _forget(self, works: list[str]) -> None:
        """Forget failures, and say so with the last one."""
        had = bool(self._failed)
        for work in works:
            self._failed.pop(work, None)
        if had and not self._failed:
            log.info("there is space on the disk again")
