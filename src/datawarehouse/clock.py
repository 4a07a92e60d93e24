"""Time as a value. No other module of the package reads the wall clock.

Instants are whole milliseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int: ...


class WallClock:
    """The machine's clock. It may jump back; a caller that needs instants in order keeps its own maximum."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000
