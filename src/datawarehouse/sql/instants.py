"""What a comparison with a time says of the instants of a column: which of them, in whole milliseconds, can pass.

A function of a time that keeps the order of times, such as `date` or `date_trunc`, is a step: all times from `floor(t)`
until before `after(floor(t))` have the same value.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Hashable
from typing import NamedTuple

from datawarehouse.sql.predicate import EVERYTHING, NOTHING, Predicate, Within, any_of

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)


class Step(NamedTuple):
    """after: None if the next step is beyond the years 1 to 9999."""

    floor: Callable[[datetime.datetime], datetime.datetime]
    after: Callable[[datetime.datetime], datetime.datetime | None]


def compared(key: Hashable, sign: str, value: object, step: Step | None = None) -> Predicate:
    """The instants of `key` for which it, or a step of it, compares in this way with a constant."""
    time = _time(value)
    if time is None:
        return EVERYTHING
    if step is None:
        whole = (time - _EPOCH) // _MILLISECOND
        return _of_range(key, sign, whole, whole + 1, is_exact=_EPOCH + whole * _MILLISECOND == time)
    floor = step.floor(time)
    after = step.after(floor)
    if after is None:
        return EVERYTHING
    return _of_range(key, sign, (floor - _EPOCH) // _MILLISECOND, (after - _EPOCH) // _MILLISECOND, floor == time)


def _of_range(key: Hashable, sign: str, first: int, after: int, is_exact: bool) -> Predicate:
    """Of instants whose value is in [first, after) there is one value; the constant is that value if it is exact, else
    it lies after it and before the next one."""
    before = Within(key, None, (first if is_exact else after) - 1)
    match sign:
        case "<":
            return before
        case "<=":
            return Within(key, None, after - 1)
        case ">":
            return Within(key, after, None)
        case ">=":
            return Within(key, first if is_exact else after, None)
        case "=":
            return Within(key, first, after - 1) if is_exact else NOTHING
    return any_of((before, Within(key, after, None))) if is_exact else EVERYTHING


def _time(value: object) -> datetime.datetime | None:
    """A constant as an instant: a date is its midnight, and a time without a zone is in UTC."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo not in (None, datetime.UTC):
            return None
        return value.replace(tzinfo=datetime.UTC)
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    return None
