"""Every example of the Amazon EventBridge user guide, with the instants that its explanation means.

"Cron expressions reference" and "Rate expressions reference"; the comments are what the guide says of an example.
2026-11-20 is a Friday, 2026-11-23 a Monday.
"""

from datetime import UTC, datetime, timedelta

import pytest

from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.errors import DeclarationError

FRIDAY, MONDAY, TUESDAY = "2026-11-20", "2026-11-23", "2026-11-24"

EXAMPLES = [
    # 10:00 am every day
    ("cron(0 10 * * ? *)", f"{MONDAY} 09:59", [f"{MONDAY} 10:00", f"{TUESDAY} 10:00"]),
    # 12:15 pm every day
    ("cron(15 12 * * ? *)", "2026-12-30 12:15", ["2026-12-31 12:15", "2027-01-01 12:15"]),
    # 6:00 pm every Monday through Friday
    ("cron(0 18 ? * MON-FRI *)", "2026-11-19 18:00", [f"{FRIDAY} 18:00", f"{MONDAY} 18:00", f"{TUESDAY} 18:00"]),
    # 8:00 am every 1st day of the month
    ("cron(0 8 1 * ? *)", f"{MONDAY} 00:00", ["2026-12-01 08:00", "2027-01-01 08:00", "2027-02-01 08:00"]),
    # every 15 minutes
    ("cron(0/15 * * * ? *)", f"{MONDAY} 23:15", [f"{MONDAY} 23:30", f"{MONDAY} 23:45", f"{TUESDAY} 00:00"]),
    # every 10 minutes Monday through Friday
    ("cron(0/10 * ? * MON-FRI *)", f"{FRIDAY} 23:40", [f"{FRIDAY} 23:50", f"{MONDAY} 00:00", f"{MONDAY} 00:10"]),
    # every 5 minutes Monday through Friday between 8:00 am and 5:55 pm
    ("cron(0/5 8-17 ? * MON-FRI *)", f"{FRIDAY} 17:50", [f"{FRIDAY} 17:55", f"{MONDAY} 08:00", f"{MONDAY} 08:05"]),
    # every 30 minutes Monday through Friday, from the evening to 2:00 am on the following day; and from 12:00 am to
    # 2:00 am on Monday morning
    (
        "cron(0/30 20-2 ? * MON-FRI *)",
        f"{FRIDAY} 22:30",
        [f"{FRIDAY} 23:00", f"{FRIDAY} 23:30"]
        + [f"{MONDAY} {time}" for time in ("00:00", "00:30", "01:00", "01:30", "02:00", "02:30", "20:00")],
    ),
    # every day at 12:00 pm
    ("cron(0 12 * * ? *)", "2028-02-28 12:00", ["2028-02-29 12:00", "2028-03-01 12:00"]),
    # every day at 2:05 pm and 2:35 pm
    ("cron(5,35 14 * * ? *)", f"{MONDAY} 14:05", [f"{MONDAY} 14:35", f"{TUESDAY} 14:05", f"{TUESDAY} 14:35"]),
    # 10:15 am on the last Friday of each month during the years 2019 to 2022
    ("cron(15 10 ? * 6L 2019-2022)", "2018-06-01 00:00", [f"2019-{d} 10:15" for d in ("01-25", "02-22", "03-29")]),
    ("cron(15 10 ? * 6L 2019-2022)", "2022-11-01 00:00", ["2022-11-25 10:15", "2022-12-30 10:15", None]),
]

WILDCARDS = [
    # "JAN,FEB,MAR includes January, February, and March"
    (
        "cron(0 0 1 JAN,FEB,MAR ? *)",
        "2027-01-01 00:00",
        [f"{d} 00:00" for d in ("2027-02-01", "2027-03-01", "2028-01-01")],
    ),
    # "1-15 includes days 1 through 15"
    ("cron(0 0 1-15 * ? *)", "2026-11-14 00:00", ["2026-11-15 00:00", "2026-12-01 00:00", "2026-12-02 00:00"]),
    # "In the Hours field, * includes every hour"
    ("cron(0 * * * ? *)", f"{MONDAY} 22:00", [f"{MONDAY} 23:00", f"{TUESDAY} 00:00"]),
    # "every tenth minute, starting from the first minute of the hour (for example, the 11th, 21st, and 31st minute)"
    (
        "cron(1/10 7 * * ? *)",
        f"{MONDAY} 00:00",
        [f"{MONDAY} 07:{minute}" for minute in ("01", "11", "21", "31", "41", "51")] + [f"{TUESDAY} 07:01"],
    ),
    # "In the Day-of-month field you could enter 7 and if any day of the week was acceptable ... ? in the Day-of-week"
    ("cron(0 0 7 * ? *)", f"{MONDAY} 00:00", ["2026-12-07 00:00", "2027-01-07 00:00"]),
    # "The L wildcard ... specifies the last day of the month or week"
    ("cron(0 0 L * ? *)", "2027-01-31 00:00", ["2027-02-28 00:00", "2027-03-31 00:00", "2027-04-30 00:00"]),
    ("cron(0 0 ? * L *)", f"{MONDAY} 00:00", ["2026-11-28 00:00", "2026-12-05 00:00"]),
    # "3W specifies the weekday closest to the third day of the month": Saturday, Tuesday, Thursday, Sunday
    ("cron(0 0 3W * ? *)", "2026-09-30 00:00", [f"2026-{d} 00:00" for d in ("10-02", "11-03", "12-03")]),
    ("cron(0 0 3W * ? *)", "2026-12-31 00:00", ["2027-01-04 00:00"]),
    # "3#2 would be the second Tuesday of the month"
    ("cron(0 0 ? * 3#2 *)", f"{MONDAY} 00:00", ["2026-12-08 00:00", "2027-01-12 00:00", "2027-02-09 00:00"]),
]


@pytest.mark.parametrize(("expression", "after", "expected"), EXAMPLES + WILDCARDS)
def test_documented_cron_expressions(expression, after, expected):
    schedule, at, found = parse_schedule(expression), datetime.fromisoformat(after).replace(tzinfo=UTC), []
    for _ in expected:
        at = schedule.next_after(at)
        found.append(at and at.strftime("%Y-%m-%d %H:%M"))
    assert found == expected


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(5 minutes)", timedelta(minutes=5)),
        ("rate(1 hour)", timedelta(hours=1)),
        ("rate(5 hours)", timedelta(hours=5)),
        ("rate(1 day)", timedelta(days=1)),
    ],
)
def test_documented_rates_start_when_the_rule_is_created(expression, interval):
    created, schedule = datetime(2026, 11, 23, 7, 20, 41, tzinfo=UTC), parse_schedule(expression)
    first = schedule.next_after(created, created)
    assert first == created + interval
    assert schedule.next_after(first, created) == created + 2 * interval


@pytest.mark.parametrize(
    "expression",
    [
        # "rate(1 hours) and rate(5 hour) aren't valid"
        "rate(1 hours)",
        "rate(5 hour)",
        # "If you use a '#' character, you can define only one expression in the day-of-week field"
        "cron(0 0 ? * 3#1,6#3 *)",
        # "You can't use * in both the Day-of-month and Day-of-week fields"
        "cron(0 0 * * * *)",
        # "If you specify a value or a * in one of the fields, you must use a ? in the other"
        "cron(0 0 1 * * *)",
        "cron(0 0 * * 2 *)",
        "cron(0 0 1 * MON *)",
        # Cron expressions have six required fields: neither Unix's five nor Quartz's seven
        "cron(0 12 * * ?)",
        "cron(0 0 12 * * ? *)",
        # The table of fields: no step in the day of week, no L, W, # or ? outside of the fields that list them
        "cron(0 0 ? * 2/2 *)",
        "cron(0 0 ? * 2W *)",
        "cron(0 0 2#1 * ? *)",
        "cron(0 0 1 L ? *)",
        "cron(? 0 1 * ? *)",
    ],
)
def test_documented_as_not_valid(expression):
    with pytest.raises(DeclarationError, match=r"^Invalid schedule expression "):
        parse_schedule(expression)
