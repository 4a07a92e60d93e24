"""Schedule expressions as EventBridge rules read them; every expected instant was read off a calendar.

The documented examples are in test_schedule_documented.py. 2026-11-23 is a Monday.
"""

from datetime import UTC, datetime, timedelta

import pytest

from datawarehouse.definition.schedule import Rate, parse_schedule
from datawarehouse.errors import DeclarationError


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instants(expression, after, count):
    """The next `count` instants later than `after`; the last one is None if the expression is over before."""
    schedule, at, found = parse_schedule(expression), utc(after), []
    while at is not None and len(found) < count:
        at = schedule.next_after(at)
        found.append(at and at.strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # Minutes and hours: lists, ranges, steps.
        ("cron(7 * * * ? *)", "2026-11-23 22:07", ["2026-11-23 23:07", "2026-11-24 00:07"]),
        ("cron(59 23 * * ? *)", "2026-11-23 23:59", ["2026-11-24 23:59"]),
        (
            "cron(0-4/2,30,50/5 9 * * ? *)",
            "2026-11-23 09:00",
            [f"2026-11-23 09:{minute}" for minute in ("02", "04", "30", "50", "55")] + ["2026-11-24 09:00"],
        ),
        ("cron(30,0,30 9 * * ? *)", "2026-11-23 08:00", ["2026-11-23 09:00", "2026-11-23 09:30", "2026-11-24 09:00"]),
        ("cron(*/20 5 * * ? *)", "2026-11-23 05:20", ["2026-11-23 05:40", "2026-11-24 05:00"]),
        ("cron(5/25 5 * * ? *)", "2026-11-23 05:05", ["2026-11-23 05:30", "2026-11-23 05:55", "2026-11-24 05:05"]),
        ("cron(0/90 5 * * ? *)", "2026-11-23 05:00", ["2026-11-24 05:00"]),
        ("cron(0 8-17/3 * * ? *)", "2026-11-23 08:00", [f"2026-11-23 {hour}:00" for hour in (11, 14, 17)]),
        ("cron(05 09 * * ? *)", "2026-11-23 00:00", ["2026-11-23 09:05"]),
        # Days of the month.
        ("cron(0 0 31 * ? *)", "2026-12-31 00:00", ["2027-01-31 00:00", "2027-03-31 00:00", "2027-05-31 00:00"]),
        ("cron(0 0 */10 * ? *)", "2027-02-01 00:00", [f"2027-{day} 00:00" for day in ("02-11", "02-21", "03-01")]),
        ("cron(0 0 28-30 2,3 ? *)", "2027-02-01 00:00", [f"2027-{d} 00:00" for d in ("02-28", "03-28", "03-29")]),
        ("cron(0 0 29 FEB ? *)", "2026-11-23 00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("cron(0 0 29 2 ? *)", "2096-02-29 00:00", ["2104-02-29 00:00"]),
        # Months and days of the week by name and by number; 1 is Sunday.
        ("cron(0 0 1,15 jan,JUL ? 2027-2028)", "2027-01-01 00:00", ["2027-01-15 00:00", "2027-07-01 00:00"]),
        (
            "cron(0 0 1 FEB/5 ? *)",
            "2026-11-23 00:00",
            [f"{d} 00:00" for d in ("2026-12-01", "2027-02-01", "2027-07-01")],
        ),
        ("cron(0 0 1 Mar-may ? *)", "2027-01-01 00:00", [f"2027-{d} 00:00" for d in ("03-01", "04-01", "05-01")]),
        ("cron(0 0 ? * SUN *)", "2026-11-23 00:00", ["2026-11-29 00:00", "2026-12-06 00:00"]),
        ("cron(0 0 ? * 1 *)", "2026-11-23 00:00", ["2026-11-29 00:00", "2026-12-06 00:00"]),
        ("cron(0 0 ? * 7 *)", "2026-11-23 00:00", ["2026-11-28 00:00", "2026-12-05 00:00"]),
        ("cron(0 0 ? * mon,4,Fri *)", "2026-11-23 00:00", [f"2026-11-{day} 00:00" for day in (25, 27, 30)]),
        ("cron(0 0 ? * * *)", "2026-11-30 00:00", ["2026-12-01 00:00"]),
        # Years.
        ("cron(0 0 1 1 ? 2026/2)", "2026-11-23 00:00", ["2028-01-01 00:00", "2030-01-01 00:00"]),
        ("cron(0 0 1 1 ? */10)", "2026-11-23 00:00", ["2030-01-01 00:00", "2040-01-01 00:00"]),
        (
            "cron(0 0 1 1 ? 2027,2029-2030)",
            "2026-11-23 00:00",
            [f"{y}-01-01 00:00" for y in (2027, 2029, 2030)] + [None],
        ),
        ("cron(* * * * ? *)", "1960-05-05 05:05", ["1970-01-01 00:00", "1970-01-01 00:01"]),
        ("cron(* * * * ? *)", "2199-12-31 23:58", ["2199-12-31 23:59", None]),
        # The end of hours, days, months and years.
        ("cron(* * * * ? *)", "2026-12-31 23:59", ["2027-01-01 00:00"]),
        ("cron(* * * * ? *)", "2028-02-28 23:59", ["2028-02-29 00:00"]),
        ("cron(* * * * ? *)", "2100-02-28 23:59", ["2100-03-01 00:00"]),
    ],
)
def test_cron(expression, after, expected):
    assert instants(expression, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # L: the month's last day, in leap years and others.
        ("cron(0 23 L * ? *)", "2026-11-30 23:00", [f"{d} 23:00" for d in ("2026-12-31", "2027-01-31", "2027-02-28")]),
        ("cron(0 23 L 2 ? *)", "2027-01-01 00:00", [f"{d} 23:00" for d in ("2027-02-28", "2028-02-29", "2029-02-28")]),
        ("cron(0 23 L 2 ? *)", "2000-01-01 00:00", ["2000-02-29 23:00"]),
        ("cron(0 23 L 2 ? *)", "2099-12-31 00:00", ["2100-02-28 23:00"]),
        ("cron(0 0 15,l * ? *)", "2027-02-01 00:00", [f"2027-{d} 00:00" for d in ("02-15", "02-28", "03-15")]),
        # nW never leaves the month: Saturday the 1st is Monday the 3rd, Sunday the 1st is Monday the 2nd.
        (
            "cron(0 0 1W * ? *)",
            "2026-07-31 00:00",
            [f"{d} 00:00" for d in ("2026-08-03", "2026-09-01", "2026-10-01", "2026-11-02", "2026-12-01", "2027-01-01")]
            + [f"2027-{d} 00:00" for d in ("02-01", "03-01", "04-01", "05-03")],
        ),
        # Of the 31st: a Saturday is Friday the 30th, a Sunday is Friday the 29th. Short months have none.
        (
            "cron(0 0 31W * ? *)",
            "2026-01-01 00:00",
            [f"2026-{d} 00:00" for d in ("01-30", "03-31", "05-29", "07-31", "08-31", "10-30", "12-31")],
        ),
        (
            "cron(0 0 30W 2-8 ? *)",
            "2026-02-01 00:00",
            [f"2026-{d} 00:00" for d in ("03-30", "04-30", "05-29", "06-30")],
        ),
        ("cron(0 0 30w * ? *)", "2026-07-31 00:00", ["2026-08-31 00:00", "2026-09-30 00:00"]),
        ("cron(0 0 30W 11 ? *)", "2025-11-01 00:00", ["2025-11-28 00:00", "2026-11-30 00:00"]),
        ("cron(0 0 29W FEB ? *)", "2026-11-23 00:00", ["2028-02-29 00:00", "2032-02-27 00:00"]),
        ("cron(0 0 28W FEB ? 2027)", "2026-11-23 00:00", ["2027-02-26 00:00", None]),
        ("cron(0 0 5W 7,9,11,12 ? 2026)", "2026-06-30 00:00", [f"2026-{d} 00:00" for d in ("07-06", "09-04", "11-05")]),
        ("cron(0 0 1W,15W * ? *)", "2027-05-01 00:00", ["2027-05-03 00:00", "2027-05-14 00:00", "2027-06-01 00:00"]),
        # LW: the month's last Monday to Friday.
        (
            "cron(0 0 LW * ? *)",
            "2026-11-01 00:00",
            ["2026-11-30 00:00", "2026-12-31 00:00"]
            + [f"2027-{d} 00:00" for d in ("01-29", "02-26", "03-31", "04-30", "05-31", "06-30", "07-30")],
        ),
        # L and nL in the day of week: Saturday, and the last one of the month.
        ("cron(0 0 ? * L *)", "2026-11-23 00:00", ["2026-11-28 00:00", "2026-12-05 00:00"]),
        ("cron(0 0 ? * 1L *)", "2027-01-01 00:00", [f"2027-{d} 00:00" for d in ("01-31", "02-28", "03-28")]),
        ("cron(0 0 ? * MONL *)", "2027-01-01 00:00", [f"2027-{d} 00:00" for d in ("01-25", "02-22", "03-29")]),
        ("cron(0 0 ? * 6l *)", "2026-11-01 00:00", ["2026-11-27 00:00", "2026-12-25 00:00"]),
        ("cron(0 0 ? * 2,6L *)", "2026-11-16 00:00", [f"2026-11-{day} 00:00" for day in (23, 27, 30)]),
        # n#k: months without a fifth one are passed over.
        ("cron(0 9 ? * 2#1 *)", "2026-11-03 00:00", ["2026-12-07 09:00", "2027-01-04 09:00"]),
        (
            "cron(0 0 ? * Mon#5 *)",
            "2026-11-01 00:00",
            [f"{d} 00:00" for d in ("2026-11-30", "2027-03-29", "2027-05-31")],
        ),
        ("cron(0 0 ? 2 SUN#5 *)", "2026-11-23 00:00", ["2032-02-29 00:00"]),
        ("cron(0 0 ? 11 5#4 *)", "2026-01-01 00:00", ["2026-11-26 00:00", "2027-11-25 00:00"]),
    ],
)
def test_last_nearest_and_nth_days(expression, after, expected):
    assert instants(expression, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        (
            "cron(50-10/10 7,8 * * ? *)",
            "2026-11-23 07:40",
            [f"2026-11-23 {t}" for t in ("07:50", "08:00", "08:10", "08:50")],
        ),
        ("cron(0 22-1 * * ? *)", "2026-11-23 22:00", ["2026-11-23 23:00", "2026-11-24 00:00", "2026-11-24 01:00"]),
        ("cron(0 22-1/3 * * ? *)", "2026-11-23 22:00", ["2026-11-24 01:00", "2026-11-24 22:00"]),
        ("cron(0 0 30-2 * ? *)", "2027-02-02 00:00", [f"2027-03-{day} 00:00" for day in ("01", "02", "30", "31")]),
        ("cron(0 0 1 NOV-FEB ? *)", "2027-01-01 00:00", ["2027-02-01 00:00", "2027-11-01 00:00", "2027-12-01 00:00"]),
        ("cron(0 0 ? * FRI-MON *)", "2026-11-23 00:00", [f"2026-11-{day} 00:00" for day in (27, 28, 29, 30)]),
    ],
)
def test_a_range_passes_the_end_of_its_field(expression, after, expected):
    assert instants(expression, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "after"),
    [
        ("cron(0 0 1 1 ? 2020)", "2026-01-01 00:00"),
        ("cron(30 12 31 12 ? 2026)", "2026-12-31 12:30"),
        ("cron(* * * * ? 1970-2025)", "2025-12-31 23:59"),
        ("cron(0 0 30 2 ? *)", "1969-12-31 00:00"),
        ("cron(0 0 31 4,6,9,11 ? *)", "1969-12-31 00:00"),
        ("cron(0 0 30W FEB ? *)", "1969-12-31 00:00"),
        ("cron(0 0 29 2 ? 2025-2027,2100)", "2024-12-31 00:00"),
        ("cron(0 0 ? 2 6#5 2027)", "2026-12-31 00:00"),
    ],
)
def test_an_expression_without_a_later_instant_gives_none(expression, after):
    assert instants(expression, after, 1) == [None]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-11-23 07:54:59.999999", "2026-11-23 07:55:00"),
        ("2026-11-23 07:55:00", "2026-11-23 08:55:00"),
        ("2026-11-23 07:55:30", "2026-11-23 08:55:00"),
    ],
)
def test_the_next_instant_is_a_whole_minute_later_than_the_one_given(after, expected):
    assert parse_schedule("cron(55 * * * ? *)").next_after(utc(after)) == utc(expected)


def test_every_minute_of_a_month_is_met_in_order():
    schedule, at = parse_schedule("cron(* * * * ? *)"), utc("2026-10-31 23:59")
    for minute in range(43_200):
        at = schedule.next_after(at)
        assert at == utc("2026-11-01 00:00") + timedelta(minutes=minute)


def test_white_space_separates_and_nothing_more():
    spaced = parse_schedule("cron( 20 \t2-4  1W  * ?\t2026 )")
    plain = parse_schedule("cron(20 2-4 1W * ? 2026)")
    at = utc("2026-10-01 03:00")
    assert spaced.next_after(at) == plain.next_after(at) == utc("2026-10-01 03:20")
    assert parse_schedule("rate( 5 \t minutes )") == parse_schedule("rate(5 minutes)") == Rate(timedelta(minutes=5))


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(2 minutes)", timedelta(minutes=2)),
        ("rate(1 hour)", timedelta(hours=1)),
        ("rate(36 hours)", timedelta(hours=36)),
        ("rate(1 day)", timedelta(days=1)),
        ("rate(7 days)", timedelta(days=7)),
        ("rate(007 days)", timedelta(days=7)),
    ],
)
def test_rates(expression, interval):
    assert parse_schedule(expression) == Rate(interval)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("rate(5 minutes)", "2026-11-23 07:20:30", "2026-11-23 07:25:30"),
        ("rate(5 minutes)", "2026-11-23 08:05:29", "2026-11-23 08:05:30"),
        ("rate(5 minutes)", "2026-11-23 08:05:30", "2026-11-23 08:10:30"),
        ("rate(5 minutes)", "2026-11-22 00:00:00", "2026-11-23 07:25:30"),
        ("rate(1 hour)", "2026-12-31 23:20:30", "2027-01-01 00:20:30"),
        ("rate(1 day)", "2028-02-28 07:20:30", "2028-02-29 07:20:30"),
        ("rate(2 days)", "2026-11-24 07:20:30", "2026-11-25 07:20:30"),
    ],
)
def test_rates_count_from_their_anchor(expression, after, expected):
    anchor = utc("2026-11-23 07:20:30")
    assert parse_schedule(expression).next_after(utc(after), anchor) == utc(expected)


def test_a_rate_longer_than_the_calendar_gives_none():
    anchor = utc("2026-11-23 07:20")
    assert parse_schedule("rate(999999999 days)").next_after(anchor, anchor) is None


def test_the_longest_expression_has_256_characters():
    longest = "cron(" + "0," * 119 + "00 * * * ? *)"
    assert len(longest) == 256
    assert instants(longest, "2026-11-23 07:00", 1) == ["2026-11-23 08:00"]
    with pytest.raises(DeclarationError, match="at most 256 characters"):
        parse_schedule(longest.replace("00 ", "000 "))


WRONG_RATES = [
    ("rate(1 hours)", "write '1 hour': 1 takes the singular, others the plural."),
    ("rate(5 hour)", "write '5 hours': 1 takes the singular, others the plural."),
    ("rate(0 minutes)", "positive whole number"),
    ("rate(0 minute)", "positive whole number"),
    ("rate(-1 minutes)", "got '-1 minutes'"),
    ("rate(+1 minute)", "positive whole number"),
    ("rate(1.5 hours)", "positive whole number"),
    ("rate(5 seconds)", "minute(s), hour(s) or day(s); got '5 seconds'"),
    ("rate(2 weeks)", "minute(s), hour(s) or day(s); got '2 weeks'"),
    ("rate(5 MINUTES)", "got '5 MINUTES'"),
    ("rate(5minutes)", "white space"),
    ("rate(5 minutes 2)", "got '5 minutes 2'"),
    ("rate(minutes)", "got 'minutes'"),
    ("rate()", "got ''"),
    ("rate(99999999999 days)", "longer than any calendar"),
]

WRONG_CRONS = [
    ("cron()", "got 0"),
    ("cron(* * * * *)", "six fields, minutes hours day-of-month month day-of-week year; got 5"),
    ("cron(0 0 0 * * ? *)", "got 7"),
    ("cron(0 0 * * * *)", "exactly one of day-of-month and day-of-week must be '?'; got '*' and '*'"),
    ("cron(0 0 1 * 2 *)", "got '1' and '2'"),
    ("cron(0 0 1 * * *)", "got '1' and '*'"),
    ("cron(0 0 ? * ? *)", "got '?' and '?'"),
    ("cron(? 0 * * ? *)", "minutes has '?'; valid is 0-59."),
    ("cron(0 ? * * ? *)", "hours has '?'; valid is 0-23."),
    ("cron(0 0 * ? ? *)", "month has '?'; valid is 1-12 or JAN-DEC."),
    ("cron(0 0 * * ? ?)", "year has '?'; valid is 1970-2199."),
    ("cron(0 0 ?,1 * ? *)", "day-of-month has '?'"),
    ("cron(60 0 * * ? *)", "minutes has '60'; valid is 0-59."),
    ("cron(0-60 0 * * ? *)", "minutes has '60'; valid is 0-59."),
    ("cron(60/5 0 * * ? *)", "minutes has '60'; valid is 0-59."),
    ("cron(-1 0 * * ? *)", "minutes has ''; valid is 0-59."),
    ("cron(a 0 * * ? *)", "minutes has 'A'; valid is 0-59."),
    ("cron(1,,2 0 * * ? *)", "minutes has ''; valid is 0-59."),
    ("cron(1-5-9 0 * * ? *)", "minutes has '5-9'; valid is 0-59."),
    ("cron(*-5 0 * * ? *)", "minutes has '*'; valid is 0-59."),
    ("cron(L 0 * * ? *)", "minutes has 'L'; valid is 0-59."),
    ("cron(0 24 * * ? *)", "hours has '24'; valid is 0-23."),
    ("cron(0/0 0 * * ? *)", "minutes has the step '0'; a step is a positive whole number."),
    ("cron(0/ 0 * * ? *)", "minutes has the step ''"),
    ("cron(0/-5 0 * * ? *)", "minutes has the step '-5'"),
    ("cron(0/5/2 0 * * ? *)", "minutes has the step '5/2'"),
    ("cron(0 0 0 * ? *)", "day-of-month has '0'; valid is 1-31, and L, LW or nW such as 15W."),
    ("cron(0 0 32 * ? *)", "day-of-month has '32'"),
    ("cron(0 0 0W * ? *)", "day-of-month has '0'"),
    ("cron(0 0 32W * ? *)", "day-of-month has '32'"),
    ("cron(0 0 W * ? *)", "day-of-month has 'W'; valid is 1-31, and L, LW or nW such as 15W."),
    ("cron(0 0 1-15W * ? *)", "day-of-month has '15W'"),
    ("cron(0 0 3L * ? *)", "day-of-month has '3L'; valid is 1-31, and L, LW or nW such as 15W."),
    ("cron(0 0 L-3 * ? *)", "day-of-month has 'L'; valid is 1-31, and L, LW or nW such as 15W."),
    ("cron(0 0 MON * ? *)", "day-of-month has 'MON'"),
    ("cron(0 0 * 0 ? *)", "month has '0'; valid is 1-12 or JAN-DEC."),
    ("cron(0 0 * 13 ? *)", "month has '13'; valid is 1-12 or JAN-DEC."),
    ("cron(0 0 * JANUARY ? *)", "month has 'JANUARY'; valid is 1-12 or JAN-DEC."),
    ("cron(0 0 ? * 0 *)", "day-of-week has '0'; valid is 1-7 or SUN-SAT, and L, nL such as 6L or n#k such as 2#1."),
    ("cron(0 0 ? * 8 *)", "day-of-week has '8'"),
    ("cron(0 0 ? * 8L *)", "day-of-week has '8'"),
    ("cron(0 0 ? * 3W *)", "day-of-week has '3W'"),
    ("cron(0 0 ? * 2/2 *)", "day-of-week has '2/2'; it takes no steps, write the days, such as MON,WED,FRI."),
    ("cron(0 0 ? * 2#0 *)", "day-of-week has '2#0'; valid is one day#n, n from 1 to 5, and nothing else."),
    ("cron(0 0 ? * 2#6 *)", "n from 1 to 5"),
    ("cron(0 0 ? * 8#1 *)", "day-of-week has '8'"),
    ("cron(0 0 ? * #1 *)", "day-of-week has ''"),
    ("cron(0 0 ? * 2#1,3 *)", "day-of-week has '2#1,3'; valid is one day#n, n from 1 to 5, and nothing else."),
    ("cron(0 0 * * ? 1969)", "year has '1969'; valid is 1970-2199."),
    ("cron(0 0 * * ? 2200)", "year has '2200'; valid is 1970-2199."),
    ("cron(0 0 * * ? 2028-2027)", "year has the range '2028-2027', which ends before it starts."),
]

NO_EXPRESSIONS = [
    *("@hourly", "0 * * * *", "RATE(1 hour)", "rate(1 hour) ", " rate(1 hour)", "rate (1 hour)", "rate(1 hour"),
    *("at(2026-11-23T07:00:00)", "", "cron(0 0 * *\n? *)", "cron(0 0 ? * FR\u0131 *)", "cron(\u0660 0 * * ? *)"),
]


@pytest.mark.parametrize(("expression", "says"), WRONG_RATES + WRONG_CRONS)
def test_a_wrong_expression_says_what_came_and_what_is_valid(expression, says):
    with pytest.raises(DeclarationError) as raised:
        parse_schedule(expression)
    assert str(raised.value).startswith(f"Invalid schedule expression {expression!r}: ")
    assert says in str(raised.value)


@pytest.mark.parametrize("expression", NO_EXPRESSIONS)
def test_what_is_no_expression_says_what_one_looks_like(expression):
    with pytest.raises(DeclarationError) as raised:
        parse_schedule(expression)
    assert str(raised.value) == (
        f"Not a schedule expression: {expression!r}; valid are e.g. 'rate(1 hour)', 'rate(5 minutes)' and "
        "'cron(20 * * * ? *)'."
    )


@pytest.mark.parametrize("expression", [None, 5, b"rate(1 hour)"])
def test_an_expression_is_a_text(expression):
    with pytest.raises(DeclarationError, match=r"^Not a schedule expression: .*; valid is rate\(...\) or cron\(...\)"):
        parse_schedule(expression)
