"""Schedule expressions, as Amazon EventBridge rules read them: rate(...) and six-field cron(...), in UTC.

Source: Amazon EventBridge user guide, "Creating a rule that runs on a schedule".

    rate(<positive integer> minute|minutes|hour|hours|day|days)     1 takes the singular, all others the plural
    cron(<minutes> <hours> <day of month> <month> <day of week> <year>)

    minutes 0-59, hours 0-23      , - * /
    day of month 1-31             , - * / ? L W       L: last day, nW: the weekday nearest to n, LW: last weekday
    month 1-12 or JAN-DEC         , - * /
    day of week 1-7 or SUN-SAT    , - * ? L #         1 is SUN; nL: the last one of the month, n#k: the k-th one
    year 1970-2199                , - * /

Exactly one of day of month and day of week is `?`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from datawarehouse.errors import DeclarationError

EXPRESSION_CHARACTERS_MAX = 256
_YEARS = (1970, 2199)
_MONTHS = {name: n for n, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
_DAYS = {name: n for n, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), 1)}
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Rate:
    """Every `interval`, counted from an anchor that the host keeps (EventBridge: the rule's creation)."""

    interval: timedelta

    def next_after(self, instant: datetime, anchor: datetime) -> datetime:
        """The first due time later than `instant`; due times are anchor + n * interval, n >= 1."""
        passed = max(0, (instant - anchor) // self.interval)
        return anchor + (passed + 1) * self.interval


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression; `days(year, month)` gives the matching days of a month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    years: tuple[int, ...]
    days: Callable[[int, int], tuple[int, ...]]

    def next_after(self, instant: datetime, anchor: datetime | None = None) -> datetime | None:
        """The first due minute later than `instant` (UTC), or None after the last year of the expression."""
        start = instant.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for year in self.years:
            for month in self.months:
                if (year, month) < (start.year, start.month):
                    continue
                for day in self.days(year, month):
                    if (year, month, day) < (start.year, start.month, start.day):
                        continue
                    today = (year, month, day) == (start.year, start.month, start.day)
                    for hour in self.hours:
                        if today and hour < start.hour:
                            continue
                        for minute in self.minutes:
                            if today and hour == start.hour and minute < start.minute:
                                continue
                            return start.replace(year=year, month=month, day=day, hour=hour, minute=minute)
        return None


Schedule = Rate | Cron


def parse_schedule(expression: str) -> Schedule:
    """Parse a schedule expression. Raises DeclarationError with what was found and what is valid."""
    if not isinstance(expression, str) or len(expression) > EXPRESSION_CHARACTERS_MAX:
        raise DeclarationError(
            f"Not a schedule expression: {expression!r}; valid is rate(...) or cron(...), at most "
            f"{EXPRESSION_CHARACTERS_MAX} characters."
        )
    form = re.fullmatch(r"(rate|cron)\((.*)\)", expression)
    if not form:
        raise DeclarationError(
            f"Not a schedule expression: {expression!r}; valid are e.g. 'rate(1 hour)', 'rate(5 minutes)' and "
            "'cron(20 * * * ? *)'."
        )
    try:
        return _rate(form[2]) if form[1] == "rate" else _cron(form[2])
    except DeclarationError as error:
        raise DeclarationError(f"Invalid schedule expression {expression!r}: {error}") from None


def _rate(body: str) -> Rate:
    form = re.fullmatch(r"([0-9]+) (minute|hour|day)(s?)", body)
    if not form or int(form[1]) < 1:
        raise DeclarationError("a rate is a positive whole number, one blank and minute(s), hour(s) or day(s).")
    count, unit, plural = int(form[1]), form[2], form[3]
    if (count == 1) == bool(plural):
        raise DeclarationError(
            f"write '{count} {unit}{'' if count == 1 else 's'}': 1 takes the singular, others the plural."
        )
    try:
        return Rate(count * _UNITS[unit])
    except OverflowError:
        raise DeclarationError(f"{count} {unit}s is longer than any calendar.") from None


def _cron(body: str) -> Cron:
    fields = body.split()
    if len(fields) != 6:
        raise DeclarationError(
            f"cron has six fields, minutes hours day-of-month month day-of-week year; got {len(fields)}."
        )
    minutes, hours, dom, months, dow, years = fields
    if (dom == "?") == (dow == "?"):
        raise DeclarationError("exactly one of day-of-month and day-of-week must be '?'.")
    return Cron(
        minutes=_numbers("minutes", minutes, 0, 59),
        hours=_numbers("hours", hours, 0, 23),
        months=_numbers("month", months, 1, 12, _MONTHS),
        years=_numbers("year", years, *_YEARS),
        days=_days_of_week(dow) if dom == "?" else _days_of_month(dom),
    )


def _value(field: str, text: str, low: int, high: int, names: Mapping[str, int]) -> int:
    number = names.get(text.upper(), int(text) if text.isascii() and text.isdigit() else -1)
    if not low <= number <= high:
        spelled = list(names)
        valid = f"{low}-{high}" + (f" or {spelled[0]}-{spelled[-1]}" if names else "")
        raise DeclarationError(f"{field} has {text!r}; valid is {valid}.")
    return number


def _numbers(field: str, text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> tuple[int, ...]:
    """The values of one field of lists, ranges and steps."""
    names = names or {}
    found: set[int] = set()
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        step = 1
        if slash:
            if not (step_text.isascii() and step_text.isdigit() and int(step_text) >= 1):
                raise DeclarationError(f"{field} has the step {step_text!r}; a step is a positive whole number.")
            step = int(step_text)
        if span == "*":
            first, last = low, high
        elif "-" in span:
            left, right = span.split("-", 1)
            first, last = _value(field, left, low, high, names), _value(field, right, low, high, names)
            if first > last:
                raise DeclarationError(f"{field} has the range {span!r}, which ends before it starts.")
        else:
            first = _value(field, span, low, high, names)
            last = high if slash else first
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def _weekday(year: int, month: int, day: int) -> int:
    """1 is Sunday, as in EventBridge."""
    return date(year, month, day).isoweekday() % 7 + 1


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The Monday to Friday nearest to a day, inside its month."""
    last = monthrange(year, month)[1]
    weekday = _weekday(year, month, day)
    if weekday == 7:
        return day - 1 if day > 1 else day + 2
    if weekday == 1:
        return day + 1 if day < last else day - 2
    return day


def _days_of_month(text: str) -> Callable[[int, int], tuple[int, ...]]:
    special: list[str] = []
    plain: list[str] = []
    for item in text.split(","):
        (special if item.endswith(("L", "W")) else plain).append(item)
    numbers = _numbers("day-of-month", ",".join(plain), 1, 31) if plain else ()
    for item in special:
        if item not in ("L", "LW"):
            if not item.endswith("W"):
                raise DeclarationError(f"day-of-month has {item!r}; valid with L are 'L' and 'LW'.")
            _value("day-of-month", item[:-1], 1, 31, {})

    def days(year: int, month: int) -> tuple[int, ...]:
        last = monthrange(year, month)[1]
        found = {day for day in numbers if day <= last}
        for item in special:
            if item == "L":
                found.add(last)
            elif item == "LW":
                found.add(_nearest_weekday(year, month, last))
            elif int(item[:-1]) <= last:
                found.add(_nearest_weekday(year, month, int(item[:-1])))
        return tuple(sorted(found))

    return days


def _days_of_week(text: str) -> Callable[[int, int], tuple[int, ...]]:
    if "#" in text:
        return _nth_weekday(text)
    lasts: set[int] = set()
    plain: list[str] = []
    for item in text.split(","):
        if item.upper() == "L":
            plain.append("7")
        elif item.upper().endswith("L"):
            lasts.add(_value("day-of-week", item[:-1], 1, 7, _DAYS))
        else:
            plain.append(item)
    numbers = set(_numbers("day-of-week", ",".join(plain), 1, 7, _DAYS)) if plain else set()

    def days(year: int, month: int) -> tuple[int, ...]:
        found = set(_matching(year, month, numbers))
        found.update(_matching(year, month, {day})[-1] for day in lasts)
        return tuple(sorted(found))

    return days


def _nth_weekday(text: str) -> Callable[[int, int], tuple[int, ...]]:
    day_text, _, nth_text = text.partition("#")
    if not re.fullmatch(r"[1-5]", nth_text):
        raise DeclarationError(f"day-of-week has {text!r}; valid is one day#n, n from 1 to 5, and nothing else.")
    day, nth = _value("day-of-week", day_text, 1, 7, _DAYS), int(nth_text)
    return lambda year, month: _matching(year, month, {day})[nth - 1 : nth]


def _matching(year: int, month: int, weekdays: set[int]) -> tuple[int, ...]:
    return tuple(day for day in range(1, monthrange(year, month)[1] + 1) if _weekday(year, month, day) in weekdays)
