"""Schedule expressions as EventBridge reads them (user guide, "Creating a rule that runs on a schedule")."""

from datetime import UTC, datetime

import pytest

from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.errors import DeclarationError


def instants(expression, after, count):
    schedule, found = parse_schedule(expression), []
    at = datetime.fromisoformat(after).replace(tzinfo=UTC)
    for _ in range(count):
        at = schedule.next_after(at)
        found.append(at.strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(55 * * * ? *)", "2026-11-23 07:55", ["2026-11-23 08:55", "2026-11-23 09:55"]),
        ("cron(0 10 * * ? *)", "2026-11-23 09:59", ["2026-11-23 10:00", "2026-11-24 10:00"]),
        ("cron(15 12 * * ? *)", "2026-12-31 12:15", ["2027-01-01 12:15"]),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-20 18:00", ["2026-11-23 18:00", "2026-11-24 18:00"]),
        ("cron(0 8 1 * ? *)", "2026-11-23 00:00", ["2026-12-01 08:00", "2027-01-01 08:00"]),
        ("cron(0/15 * * * ? *)", "2026-11-23 07:40", ["2026-11-23 07:45", "2026-11-23 08:00"]),
        ("cron(1/10 * * * ? *)", "2026-11-23 07:50", ["2026-11-23 07:51", "2026-11-23 08:01"]),
        ("cron(0/10 * ? * MON-FRI *)", "2026-11-20 23:50", ["2026-11-23 00:00"]),
        ("cron(0/5 8-17 ? * 2-6 *)", "2026-11-20 17:55", ["2026-11-23 08:00"]),
        ("cron(0 23 L * ? *)", "2026-02-01 00:00", ["2026-02-28 23:00", "2026-03-31 23:00"]),
        ("cron(0 9 ? * 2#1 *)", "2026-11-03 00:00", ["2026-12-07 09:00", "2027-01-04 09:00"]),
        ("cron(0 9 ? * 6L *)", "2026-11-01 00:00", ["2026-11-27 09:00", "2026-12-25 09:00"]),
        ("cron(0 0 ? * L *)", "2026-11-23 00:00", ["2026-11-28 00:00"]),
        ("cron(0 0 3W * ? *)", "2026-09-30 00:00", ["2026-10-02 00:00", "2026-11-03 00:00"]),
        ("cron(0 0 1W * ? *)", "2026-07-31 00:00", ["2026-08-03 00:00"]),
        ("cron(0 0 LW * ? *)", "2026-10-30 00:00", ["2026-11-30 00:00"]),
        ("cron(0 0 31 * ? *)", "2026-03-31 00:00", ["2026-05-31 00:00"]),
        ("cron(0 0 29 FEB ? *)", "2026-11-23 00:00", ["2028-02-29 00:00"]),
        ("cron(0 0 1,15 jan,JUL ? 2027-2028)", "2026-11-23 00:00", ["2027-01-01 00:00", "2027-01-15 00:00"]),
        ("cron(0 0 ? * SUN *)", "2026-11-23 00:00", ["2026-11-29 00:00"]),
        ("cron(0 0 ? * 1 *)", "2026-11-23 00:00", ["2026-11-29 00:00"]),
    ],
)
def test_cron(expression, after, expected):
    assert instants(expression, after, len(expected)) == expected


def test_a_cron_can_be_over():
    schedule = parse_schedule("cron(0 0 1 1 ? 2020)")
    assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_rates_count_from_their_anchor():
    anchor = datetime(2026, 11, 23, 7, 20, tzinfo=UTC)
    rate = parse_schedule("rate(5 minutes)")
    assert rate.next_after(anchor, anchor).minute == 25
    assert rate.next_after(datetime(2026, 11, 23, 8, 1, tzinfo=UTC), anchor).minute == 5
    assert rate.next_after(datetime(2026, 11, 23, 8, 5, tzinfo=UTC), anchor).minute == 10
    assert parse_schedule("rate(1 day)").next_after(anchor, anchor).day == 24


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("rate(1 hours)", "write '1 hour': 1 takes the singular"),
        ("rate(5 hour)", "write '5 hours'"),
        ("rate(0 minutes)", "positive whole number"),
        ("rate(-1 minutes)", "positive whole number"),
        ("rate(1.5 hours)", "positive whole number"),
        ("rate(5 seconds)", "minute"),
        ("rate(5minutes)", "one blank"),
        ("rate(99999999999 days)", "longer than any calendar"),
        ("cron(* * * * *)", "six fields.* got 5"),
        ("cron(0 0 * * * *)", r"exactly one of day-of-month and day-of-week must be '\?'"),
        ("cron(0 0 ? * ? *)", r"must be '\?'"),
        ("cron(60 0 * * ? *)", "minutes has '60'; valid is 0-59"),
        ("cron(0 24 * * ? *)", "hours has '24'; valid is 0-23"),
        ("cron(0 0 0 * ? *)", "day-of-month has '0'; valid is 1-31"),
        ("cron(0 0 32W * ? *)", "day-of-month has '32'"),
        ("cron(0 0 3L * ? *)", "valid with L are 'L' and 'LW'"),
        ("cron(0 0 * 13 ? *)", "month has '13'; valid is 1-12 or JAN-DEC"),
        ("cron(0 0 ? * 0 *)", "day-of-week has '0'; valid is 1-7 or SUN-SAT"),
        ("cron(0 0 ? * 2#6 *)", "n from 1 to 5"),
        ("cron(0 0 ? * 2#1,3#1 *)", "nothing else"),
        ("cron(0 0 * * ? 1969)", "year has '1969'; valid is 1970-2199"),
        ("cron(0/0 0 * * ? *)", "a step is a positive whole number"),
        ("cron(5-1 0 * * ? *)", "ends before it starts"),
        ("cron(a 0 * * ? *)", "minutes has 'a'"),
        ("@hourly", "Not a schedule expression"),
        ("0 * * * *", "Not a schedule expression"),
        ("RATE(1 hour)", "Not a schedule expression"),
        ("rate(1 hour) ", "Not a schedule expression"),
        ("", "Not a schedule expression"),
        (None, "Not a schedule expression"),
        ("cron(" + "0," * 200 + "0 * * * ? *)", "at most 256 characters"),
    ],
)
def test_a_wrong_expression_says_what_is_valid(expression, says):
    with pytest.raises(DeclarationError, match=says):
        parse_schedule(expression)
