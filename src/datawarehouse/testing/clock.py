"""A clock that stands still until it is told otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.errors import BadRequest

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""The instant at which a test begins by default: a Monday, at the beginning of an hour."""


class TestClock:
    __test__ = False  # not a test class, although its name begins with Test

    def __init__(self, start: datetime = START) -> None:
        self.set_ms(milliseconds_of(start))

    def now_ms(self) -> int:
        return self._now_ms

    def set_ms(self, instant_ms: int) -> None:
        self._now_ms = instant_ms

    @property
    def now(self) -> datetime:
        return instant_of(self._now_ms)


def milliseconds(duration: str | timedelta | float) -> int:
    """A duration: "90s", "15m", "1h", "30d", "1h 30m", a timedelta, or seconds. Raises BadRequest."""
    if isinstance(duration, timedelta):
        return round(duration.total_seconds() * 1000)
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        return round(duration * 1000)
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", str(duration))
    if not parts or re.sub(r"\d+(?:\.\d+)?\s*[smhd]|\s", "", str(duration)):
        raise BadRequest(f"{duration!r} is not a duration; valid are '90s', '15m', '1h', '30d' and '1h 30m'.")
    return round(sum(timedelta(**{_UNITS[unit]: float(number)}).total_seconds() for number, unit in parts) * 1000)
