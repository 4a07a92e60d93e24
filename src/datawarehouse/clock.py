"""Time as a value. No other module of the package reads the wall clock.

Instants are whole milliseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

log = logging.getLogger("datawarehouse")

_HOUR_MS = 3_600_000

# They count on while the machine sleeps, and nobody sets them; the second is for macOS, where it is
# mach_continuous_time (clock_gettime(3)).
_STEADY_NAMES = ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC_RAW", "CLOCK_MONOTONIC")
_STEADY: int = next(getattr(time, name) for name in _STEADY_NAMES if hasattr(time, name))


class Clock(Protocol):
    def now_ms(self) -> int: ...


class WallClock:
    """The machine's clock. It may jump back; a caller that needs instants in order keeps its own maximum."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SteadyClock:
    """Milliseconds since the machine was started, those of its sleep included. It does not jump."""

    def now_ms(self) -> int:
        return time.clock_gettime_ns(_STEADY) // 1_000_000


class GuardedClock:
    """The wall clock, unless it jumps ahead of a steady clock. Methods can be called from any thread.

    1. At first the wall clock is believed, and the steady clock is set by it.
    2. A wall clock that is further ahead of the steady one than a limit does not count: the time is that of the steady
       clock, until the two agree again or `accept` is called.
    3. A wall clock that is further behind counts as it is; journals keep arrival in order by themselves. If it stays
       behind for an hour, the steady clock is set by it.
    4. While the two agree, the steady clock is set by the wall clock once an hour, so that small differences do not add
       up.

    Each change is logged, and once an hour that the wall clock does not count.
    """

    def __init__(self, wall: Clock, steady: Clock, ahead_max_ms: int) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead_max_ms = ahead_max_ms
        self._lock = threading.Lock()
        self._state: Literal["agrees", "ahead", "behind"] = "agrees"
        self._since_ms = steady.now_ms()  # of the steady clock: when the state began, or was last looked at
        self._set_by_ms = wall.now_ms() - self._since_ms  # steady clock + this = the time

    def now_ms(self) -> int:
        wall, steady = self._wall.now_ms(), self._steady.now_ms()
        ahead = wall - steady - self._set_by_ms
        if self._state_of(ahead) != self._state or steady - self._since_ms >= _HOUR_MS:
            with self._lock:
                wall, steady = self._wall.now_ms(), self._steady.now_ms()  # the machine may have slept between the two
                self._look(wall, steady)
            ahead = wall - steady - self._set_by_ms
        return wall - ahead if ahead > self._ahead_max_ms else wall

    @property
    def ahead_ms(self) -> int:
        """How far the wall clock is ahead of the steady one; negative if it is behind."""
        return self._wall.now_ms() - self._steady.now_ms() - self._set_by_ms

    @property
    def is_guarding(self) -> bool:
        """Whether the wall clock does not count at the moment."""
        return self.ahead_ms > self._ahead_max_ms

    def accept(self) -> int:
        """Believe the wall clock as it is now; returns by how many milliseconds the time moves."""
        with self._lock:
            wall, steady = self._wall.now_ms(), self._steady.now_ms()
            moved = wall - steady - self._set_by_ms
            self._set(wall, steady)
        log.warning("the wall clock was confirmed: the time is %s", shown(wall))
        return moved

    def _state_of(self, ahead: int) -> Literal["agrees", "ahead", "behind"]:
        if ahead > self._ahead_max_ms:
            return "ahead"
        return "behind" if ahead < -self._ahead_max_ms else "agrees"

    def _set(self, wall: int, steady: int) -> None:
        self._set_by_ms, self._state, self._since_ms = wall - steady, "agrees", steady

    def _look(self, wall: int, steady: int) -> None:
        """Note a new state, or an hour of the present one."""
        ahead = wall - steady - self._set_by_ms
        state, was, hour_passed = self._state_of(ahead), self._state, steady - self._since_ms >= _HOUR_MS
        if state == was and not hour_passed:  # another thread has noted it
            return
        self._state, self._since_ms = state, steady
        apart = timedelta(milliseconds=abs(ahead) // 1000 * 1000)
        if state == "ahead":
            log.warning(
                "the wall clock says %s, which is %s ahead of the time that has passed (clock_ahead_max_s): until they "
                "agree, it is %s for the warehouse. If the wall clock is right, confirm it: `dw doctor --accept-clock`",
                shown(wall), apart, shown(wall - ahead),
            )  # fmt: skip
        elif state == "behind" and was != state:
            log.warning(
                "the wall clock says %s, which is %s behind the time that has passed: events arrive no earlier than "
                "those before them",
                shown(wall), apart,
            )  # fmt: skip
        elif state == "behind":
            self._set(wall, steady)
            log.warning(
                "the wall clock has been %s behind for an hour and is believed now: it is %s", apart, shown(wall)
            )
        elif was != state:
            log.info("the wall clock agrees again with the time that has passed: it is %s", shown(wall))
        else:
            self._set(wall, steady)


def machine_clock(ahead_max_s: int) -> GuardedClock:
    """The machine's clock, guarded by its own steady one; see the setting clock_ahead_max_s."""
    return GuardedClock(WallClock(), SteadyClock(), ahead_max_s * 1000)


def shown(instant_ms: int) -> str:
    """An instant for people: 2026-11-23T07:10:00Z."""
    try:
        return datetime.fromtimestamp(instant_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # a clock may say anything
        return f"{instant_ms} ms"
