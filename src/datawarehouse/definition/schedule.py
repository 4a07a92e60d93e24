"""Schedule expressions, as Amazon EventBridge rules read them: rate(...) and six-field cron(...), in UTC.

Source: Amazon EventBridge user guide, "Cron expressions reference" and "Rate expressions reference".

    rate(<positive integer> minute|minutes|hour|hours|day|days)     1 takes the singular, all others the plural
    cron(<minutes> <hours> <day of month> <month> <day of week> <year>)

    minutes 0-59, hours 0-23      , - * /
    day of month 1-31             , - * / ? L W       L: last day, nW: the weekday nearest to n, LW: last weekday
    month 1-12 or JAN-DEC         , - * /
    day of week 1-7 or SUN-SAT    , - * ? L #         1 is SUN; nL: the last one of the month, n#k: the k-th one
    year 1970-2199                , - * /

Exactly one of day of month and day of week is `?`. A range may pass the end of its field: the hours 20-2 are 20 to 23
and 0 to 2, each of them on the days that the expression names. Names and letters are read in any case.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from datawarehouse.errors import DeclarationError

EXPRESSION_CHARACTERS_MAX = 256
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Rate:
    """Every `interval`, counted from an anchor that the host keeps (EventBridge: the rule's creation)."""

    interval: timedelta

    def next_after(self, instant: datetime, anchor: datetime) -> datetime | None:
        """The first due time later than `instant`, or None if that is past the year 9999.

        Due times are anchor + n * interval, n >= 1.
        """
        passed = max(0, (instant - anchor) // self.interval)
        try:
            return anchor + (passed + 1) * self.interval
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression; `days(year, month)` gives the matching days of a month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    years: tuple[int, ...]
    days: Callable[[int, int], tuple[int, ...]]

    def next_after(self, instant: datetime, anchor: datetime | None = None) -> datetime | None:
        """The first due minute later than `instant` (UTC), or None after the last one of the expression."""
        start = instant.replace(second=0, microsecond=0) + timedelta(minutes=1)
        today = (start.year, start.month, start.day)
        for date in self._dates_from(today):
            if date > today:
                year, month, day = date
                return start.replace(year=year, month=month, day=day, hour=self.hours[0], minute=self.minutes[0])
            for hour in self.hours[bisect_left(self.hours, start.hour) :]:
                minutes = self.minutes[bisect_left(self.minutes, start.minute) if hour == start.hour else 0 :]
                if minutes:
                    return start.replace(hour=hour, minute=minutes[0])
        return None

    def _dates_from(self, first: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
        """The matching dates (year, month, day) from `first` on, in order."""
        for year in self.years[bisect_left(self.years, first[0]) :]:
            for month in self.months:
                if (year, month) < first[:2]:
                    continue
                for day in self.days(year, month):
                    if (year, month, day) >= first:
                        yield year, month, day


Schedule = Rate | Cron


def parse_schedule(expression: str) -> Schedule:
    """Parse a schedule expression. Raises DeclarationError with what was found and what is valid."""
    if not isinstance(expression, str) or len(expression) > EXPRESSION_CHARACTERS_MAX:
        raise DeclarationError(
            f"Not a schedule expression: {expression!r}; valid is rate(...) or cron(...), at most "
            f"{EXPRESSION_CHARACTERS_MAX} characters."
        )
    form = re.fullmatch(r"(rate|cron)\(([\t -~]*)\)", expression)
    if not form:
        raise DeclarationError(
            f"Not a schedule expression: {expression!r}; valid are e.g. 'rate(1 hour)', 'rate(5 minutes)' and "
            "'cron(20 * * * ? *)'."
        )
    try:
        return _rate(form[2]) if form[1] == "rate" else _cron(form[2])
    except DeclarationError as error:
        raise DeclarationError(f"Invalid schedule expression {expression!r}: {error}") from None


def is_due_each_hour(schedule: Schedule) -> bool:
    """Whether a schedule is due in every hour, as long as its years last."""
    if isinstance(schedule, Rate):
        return schedule.interval <= _UNITS["hour"]
    days = sum(len(schedule.days(_YEAR_OF_365, month)) for month in schedule.months)
    return len(schedule.hours) == 24 and days == 365


_YEAR_OF_365 = 2027


def _rate(body: str) -> Rate:
    form = re.fullmatch(r"\s*([0-9]+)\s+(minute|hour|day)(s?)\s*", body)
    if not form or int(form[1]) < 1:
        raise DeclarationError(
            f"a rate is a positive whole number, white space and minute(s), hour(s) or day(s); got {body!r}."
        )
    count, unit, plural = int(form[1]), form[2], form[3]
    if (count == 1) == bool(plural):
        raise DeclarationError(
            f"write '{count} {unit}{'' if count == 1 else 's'}': 1 takes the singular, others the plural."
        )
    try:
        return Rate(count * _UNITS[unit])
    except OverflowError:
        raise DeclarationError(f"{count} {unit}s is longer than any calendar.") from None


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a cron expression: numbers from `low` to `high`, which may have names, in order."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    letters: str = ""

    def valid(self) -> str:
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{names}{self.letters}"

    def value(self, text: str) -> int:
        if text in self.names:
            return self.low + self.names.index(text)
        number = int(text) if text.isdigit() else -1
        if not self.low <= number <= self.high:
            raise DeclarationError(f"{self.name} has {text!r}; valid is {self.valid()}.")
        return number


_MINUTES = _Field("minutes", 0, 59)
_HOURS = _Field("hours", 0, 23)
_DAY_OF_MONTH = _Field("day-of-month", 1, 31, letters=", and L, LW or nW such as 15W")
_MONTH = _Field("month", 1, 12, tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()))
_DAY_OF_WEEK = _Field(
    "day-of-week", 1, 7, tuple("SUN MON TUE WED THU FRI SAT".split()), ", and L, nL such as 6L or n#k such as 2#1"
)
_YEAR = _Field("year", 1970, 2199)


def _cron(body: str) -> Cron:
    fields = body.upper().split()
    if len(fields) != 6:
        raise DeclarationError(
            f"cron has six fields, minutes hours day-of-month month day-of-week year; got {len(fields)}."
        )
    minutes, hours, dom, months, dow, years = fields
    if (dom == "?") == (dow == "?"):
        raise DeclarationError(
            f"exactly one of day-of-month and day-of-week must be '?'; got {dom!r} and {dow!r}, in this order."
        )
    days = _days_of_week(dow) if dom == "?" else _days_of_month(dom)
    return Cron(
        minutes=_numbers(_MINUTES, minutes),
        hours=_numbers(_HOURS, hours),
        months=_numbers(_MONTH, months),
        years=_numbers(_YEAR, years),
        # A schedule is asked for one instant after the other, most of them in the same month.
        days=lru_cache(maxsize=2)(days),
    )


def _numbers(field: _Field, text: str) -> tuple[int, ...]:
    """The values of a list of numbers, ranges and steps, ascending."""
    size = field.high - field.low + 1
    found: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        if slash and not (step.isdigit() and int(step) >= 1):
            raise DeclarationError(f"{field.name} has the step {step!r}; a step is a positive whole number.")
        if span == "*":
            first, last = field.low, field.high
        else:
            left, dash, right = span.partition("-")
            first = field.value(left)
            last = field.value(right) if dash else field.high if slash else first
        if first > last:
            if field is _YEAR:
                raise DeclarationError(f"year has the range {span!r}, which ends before it starts.")
            # The guide's own example: the hours 20-2 run from the evening to 2, past midnight.
            last += size
        found.update(field.low + (n - field.low) % size for n in range(first, last + 1, int(step) if slash else 1))
    return tuple(sorted(found))


def _weekday(year: int, month: int, day: int) -> int:
    """1 is Sunday, as in EventBridge."""
    return (monthrange(year, month)[0] + day) % 7 + 1


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
    items = text.split(",")
    nearest_to = tuple(_DAY_OF_MONTH.value(item[:-1]) for item in items if re.fullmatch("[0-9]+W", item))
    plain = [item for item in items if item not in ("L", "LW") and not re.fullmatch("[0-9]+W", item)]
    numbers = _numbers(_DAY_OF_MONTH, ",".join(plain)) if plain else ()

    def days(year: int, month: int) -> tuple[int, ...]:
        last = monthrange(year, month)[1]
        found = {day for day in numbers if day <= last}
        found.update(_nearest_weekday(year, month, day) for day in nearest_to if day <= last)
        if "L" in items:
            found.add(last)
        if "LW" in items:
            found.add(_nearest_weekday(year, month, last))
        return tuple(sorted(found))

    return days


def _days_of_week(text: str) -> Callable[[int, int], tuple[int, ...]]:
    if "#" in text:
        return _nth_weekday(text)
    if "/" in text:
        raise DeclarationError(f"day-of-week has {text!r}; it takes no steps, write the days, such as MON,WED,FRI.")
    items = ["7" if item == "L" else item for item in text.split(",")]
    lasts = {_DAY_OF_WEEK.value(item[:-1]) for item in items if item.endswith("L")}
    plain = [item for item in items if not item.endswith("L")]
    numbers = frozenset(_numbers(_DAY_OF_WEEK, ",".join(plain)) if plain else ())

    def days(year: int, month: int) -> tuple[int, ...]:
        found = set(_matching(year, month, numbers))
        found.update(_matching(year, month, {day})[-1] for day in lasts)
        return tuple(sorted(found))

    return days


def _nth_weekday(text: str) -> Callable[[int, int], tuple[int, ...]]:
    day_text, _, nth_text = text.partition("#")
    if not re.fullmatch(r"[1-5]", nth_text):
        raise DeclarationError(f"day-of-week has {text!r}; valid is one day#n, n from 1 to 5, and nothing else.")
    day, nth = _DAY_OF_WEEK.value(day_text), int(nth_text)
    return lambda year, month: _matching(year, month, {day})[nth - 1 : nth]


def _matching(year: int, month: int, weekdays: Collection[int]) -> tuple[int, ...]:
    """The days of a month that are one of these days of the week."""
    before_first, days = monthrange(year, month)
    return tuple(day for day in range(1, days + 1) if (before_first + day) % 7 + 1 in weekdays)
