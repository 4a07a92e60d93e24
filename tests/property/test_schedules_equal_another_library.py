"""Generated cron expressions have the instants that aws-croniter computes, a library written for EventBridge's syntax.

Where it and EventBridge's user guide differ, the guide is followed (tests/unit/definition/test_schedule_documented.py)
and the expression is not compared. EXCLUDED lists all of these.
"""

import re
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from aws_croniter import AwsCroniter
from aws_croniter.exceptions import AwsCroniterExpressionDayOfMonthError, AwsCroniterExpressionYearError

from datawarehouse.definition.schedule import parse_schedule

EXCLUDED = {
    "LW fails: the library takes its L for the number of a day": r"\S+ \S+ LW ",
    "L alone as day of week never comes; the guide: the last day of the week": r"\S+ \S+ \? \S+ L ",
    "L and W are refused in a list; the guide's comma adds any value": r"\S+ \S+ (\S*[LW],|\S*,\S*[LW] )",
    "a step of years is refused unless it is a year itself": r".* \S*/\S*$",
}

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS = "SUN MON TUE WED THU FRI SAT".split()

STARTS = [
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "1999-12-31 23:59:59",
        "2026-11-23 07:55",
        "2026-12-31 23:59",
        "2028-02-28 23:59:30",
        "2028-02-29 12:00",
        "2030-04-30 23:59",
        "2096-02-29 23:59",
        "2199-12-30 06:00",
    )
]


def number(random, low, high, names=()):
    value = random.randint(low, high)
    return random.choice([str(value), names[value - 1], names[value - 1].lower()]) if names else str(value)


def item(random, low, high, names=(), steps=True):
    """A number, a range (one in two of them passes the end of the field) or either with a step."""
    first, last = number(random, low, high, names), number(random, low, high, names)
    spans = [first, first, f"{first}-{last}"]
    step = random.randint(1, high)
    return random.choice([*spans, f"{first}/{step}", f"*/{step}", f"{first}-{last}/{step}"] if steps else spans)


def values(random, *field, **options):
    if random.random() < 0.3:
        return "*"
    return ",".join(item(random, *field, **options) for _ in range(random.choice([1, 1, 2, 3])))


def day_of_month(random):
    day = random.choice([1, 2, 15, 28, 29, 30, 31, random.randint(1, 31)])
    return random.choice([values(random, 1, 31), values(random, 1, 31), str(day), f"{day}W", "L", "LW", f"{day},L"])


def day_of_week(random):
    day = number(random, 1, 7, DAYS)
    special = ["L", f"{day}L", f"{day}#{random.randint(1, 5)}"]
    return random.choice([values(random, 1, 7, DAYS, steps=False)] * 2 + special)


def year(random):
    first = random.choice([1999, 2026, 2027, 2028, 2096, 2199])
    last = min(2199, first + random.choice([0, 1, 4, 30]))
    return random.choice(["*", "*", "*", str(first), f"{first}-{last}", f"{first},{last}", f"{first}/3"])


def time_of_day(random):
    """One instant a day in every second expression, so that twenty of them reach over months and years."""
    if random.random() < 0.5:
        return [number(random, 0, 59), number(random, 0, 23)]
    return [values(random, 0, 59), values(random, 0, 23)]


def fields(random):
    days = [day_of_month(random), "?"]
    if random.random() < 0.5:
        days = ["?", day_of_week(random)]
    return " ".join([*time_of_day(random), days[0], values(random, 1, 12, MONTHS), days[1], year(random)])


def comparable_fields(seed):
    random = Random(seed)
    while True:
        text = fields(random)
        if not any(re.match(excluded, text) for excluded in EXCLUDED.values()):
            return text


def next_by_library(cron, at):
    """The library gives up after ten steps, mostly of a month, without an instant; it is then asked a month later."""
    while at.year < 2200:
        occurrence = cron.occurrence(at)
        found = occurrence.next()
        if found is not None or occurrence.iter <= 10:
            return found
        month = (at + timedelta(minutes=1)).replace(day=1, hour=0, minute=0, second=0)
        at = (month + timedelta(days=31)).replace(day=1) - timedelta(minutes=1)
    return None


@pytest.mark.seeds(fixed=320, random=80)
def test_generated_expressions_have_the_same_instants(seed):
    text = comparable_fields(seed)
    schedule, cron = parse_schedule(f"cron({text})"), AwsCroniter(text)
    for start in STARTS:
        at = start
        for _ in range(20):
            found = schedule.next_after(at)
            assert found == next_by_library(cron, at), f"cron({text}) after {at}"
            if found is None:
                break
            at = found


def test_what_is_excluded_still_differs():
    with pytest.raises(ValueError, match="invalid literal for int"):
        AwsCroniter("0 0 LW * ? *")
    assert AwsCroniter("0 0 ? * L *").get_next(STARTS[1]) == [None]
    with pytest.raises(AwsCroniterExpressionDayOfMonthError):
        AwsCroniter("0 0 15,L * ? *")
    with pytest.raises(AwsCroniterExpressionYearError):
        AwsCroniter("0 0 1 1 ? 2026/2")
