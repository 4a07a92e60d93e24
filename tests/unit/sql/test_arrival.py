"""What is refused where only hours of arrival are known: the statement that may run, and what it misses."""

from fractions import Fraction

import pytest

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.arrival import percent, refusal_of, tables_to_measure
from datawarehouse.sql.plan import TableSchema, plan

NOW_MS = 1_795_503_600_000 + 1_800_000  # 2026-11-24T07:30:00Z
COLUMNS = (Column("id", parse_type("bigint")), Column("at", parse_type("timestamp")))
HOUR = (Column("inserted_at", parse_type("string")),)
TABLES = {
    "clicks": TableSchema("clicks", COLUMNS, HOUR, "inserted_at", "at"),
    "taps": TableSchema("taps", COLUMNS, (Column("hour", parse_type("string")),), "hour", "at"),
    "views": TableSchema("views", COLUMNS, HOUR, "inserted_at"),
    "facts": TableSchema("facts", COLUMNS, ()),
}
COUNTS = {0: 9_890, 2: 96, 9: 10, 70: 4}
"""99.9 % come at most 9 hours late."""
LATENESS = {"clicks": COUNTS, "taps": {-3: 20, 0: 980}}
DAY = "at >= timestamp '2026-11-20 00:00:00' and at < timestamp '2026-11-21 00:00:00'"
AT_SEVEN = "at >= timestamp '2026-11-20 07:00:00' and at < timestamp '2026-11-20 08:00:00'"


def planned(sql):
    return plan(sql, TABLES, "shop", now_ms=NOW_MS)


def refused(sql, lateness=LATENESS):
    return refusal_of(sql, planned, TABLES, lateness, NOW_MS)


@pytest.mark.parametrize(
    "sql",
    [
        f"select id from clicks where {DAY} and inserted_at >= '2026/11/20/00'",
        f"select id from clicks where {DAY} and inserted_at = '2026/11/20/07'",
        f"select id from clicks where {DAY} and inserted_at in ('2026/11/20/07', '2026/11/24/07')",
        "select id from clicks where inserted_at >= '2026/11/20'",
        "select id from clicks where at < timestamp '2026-11-20 00:00:00' and inserted_at <= '2026/11/21'",
        "select id from clicks",
        "select id from clicks where hour(at) = 7",
        f"select id from clicks where {AT_SEVEN} or id = 5",
        f"select id from views where {DAY}",
        f"select id from facts where {DAY}",
        f"explain select id from clicks where {DAY}",
        "show partitions clicks",
        "select 1",
    ],
)
def test_a_statement_that_bounds_arrival_or_no_event_time_may_run(sql):
    assert refused(sql) is None
    assert tables_to_measure(planned(sql), TABLES, NOW_MS) == set()


REWRITTEN = {
    f"select id from clicks where {AT_SEVEN}": (
        f"select id from clicks where inserted_at >= '2026/11/20/06' and inserted_at <= '2026/11/20/16' and {AT_SEVEN}",
        Fraction(4, 10_000),
    ),
    # Of 24 hours, whose last ones alone are missed: 70 hours late is too late for each of them.
    f"select id from clicks where id = 1 or id = 2 and {DAY}": None,
    f"select id from clicks where (id = 1 or id = 2) and {DAY}": (
        "select id from clicks where inserted_at >= '2026/11/19/23' and inserted_at <= '2026/11/21/08' and "
        f"(id = 1 or id = 2) and {DAY}",
        Fraction(4, 10_000),
    ),
    "select count(*) from clicks where at >= timestamp '2026-11-20 00:00:00'": (
        "select count(*) from clicks where inserted_at >= '2026/11/19/23' and at >= timestamp '2026-11-20 00:00:00'",
        Fraction(0),
    ),
    # What is still coming cannot be missed.
    "select id from clicks where at between timestamp '2026-11-24 00:00:00' and timestamp '2026-11-24 06:00:00'": (
        "select id from clicks where inserted_at >= '2026/11/23/23' and "
        "at between timestamp '2026-11-24 00:00:00' and timestamp '2026-11-24 06:00:00'",
        Fraction(0),
    ),
    f"select id from taps where {AT_SEVEN}": (
        f"select id from taps where hour >= '2026/11/20/04' and hour <= '2026/11/20/07' and {AT_SEVEN}",
        Fraction(0),
    ),
    "select id from clicks where at < timestamp '2026-11-20 08:00:00'": (
        "select id from clicks where inserted_at <= '2026/11/20/16' and at < timestamp '2026-11-20 08:00:00'",
        Fraction(4, 10_000),
    ),
    f"select id from clicks where {AT_SEVEN} and inserted_at < '2026/11/20/09'": (
        f"select id from clicks where inserted_at >= '2026/11/20/06' and {AT_SEVEN} and inserted_at < '2026/11/20/09'",
        Fraction(0),
    ),
    f"select c.id from views v left join clicks c on c.id = v.id and c.{AT_SEVEN.replace(' at', ' c.at')}": (
        "select c.id from views v left join (select * from clicks where inserted_at >= '2026/11/20/06' and "
        f"inserted_at <= '2026/11/20/16') c on c.id = v.id and c.{AT_SEVEN.replace(' at', ' c.at')}",
        Fraction(4, 10_000),
    ),
}


@pytest.mark.parametrize(("sql", "expected"), REWRITTEN.items())
def test_the_statement_that_may_run_and_what_it_misses(sql, expected):
    found = refused(sql)
    if expected is None:
        assert found is None
        return
    assert (found.rewritten, *found.missed) == expected
    assert refused(found.rewritten) is None
    assert percent(expected[1]) in str(found) and found.rewritten in str(found)


def test_each_table_has_its_own_bounds_and_share():
    sql = f"select count(*) from clicks c join taps t on c.id = t.id where c.{AT_SEVEN.replace(' at', ' c.at')} and t.{DAY.replace(' at', ' t.at')}"  # noqa: E501
    found = refused(sql)
    assert tables_to_measure(planned(sql), TABLES, NOW_MS) == {"clicks", "taps"}
    assert found.missed == (Fraction(4, 10_000), Fraction(0))
    assert refused(found.rewritten) is None
    assert "hour <= '2026/11/20/23'" in found.rewritten and "inserted_at <= '2026/11/20/16'" in found.rewritten


def test_events_that_were_all_so_late_are_not_said_to_be_found():
    """Half of them come a day later than 99.9 % of the others did."""
    found = refused(f"select id from clicks where {DAY}", {"clicks": {0: 999_600, 40: 400}})
    assert found.missed == (Fraction(400, 10**6),)  # the bound is hour 23: each of the 24 hours loses its latest
    found = refused(f"select id from clicks where {DAY}", {"clicks": {0: 999_600, 12: 400}})
    assert found.missed == (Fraction(400 * 12, 24 * 10**6),)  # those of the last 12 hours


@pytest.mark.parametrize("lateness", [{}, {"clicks": {}}])
def test_without_a_measure_the_share_is_not_known_and_no_hour_is_left_out_at_the_end(lateness):
    found = refused(f"select id from clicks where {DAY}", lateness)
    assert found.rewritten == f"select id from clicks where inserted_at >= '2026/11/19/23' and {DAY}"
    assert found.missed == (None,)
    assert "not known" in str(found) and "dw backfill clicks_lateness --on aws --from TIME" in str(found)
    found = refused("select id from clicks where at < timestamp '2026-11-20 08:00:00'", lateness)
    assert found.rewritten is None and "bound inserted_at too" in str(found)


def test_ranges_that_cannot_be_written_as_hours():
    for bound in ("timestamp '1970-01-01 00:00:00'", "timestamp '1960-01-01 00:00:00'"):
        found = refused(f"select id from clicks where at >= {bound}")
        assert "inserted_at >= '1970/01/01/01'" in found.rewritten and found.missed == (0,)
    found = refused("select id from clicks where at >= timestamp '9999-12-31 23:30:00'")
    assert "came so early" in str(found) and refused(found.rewritten) is None
    assert refused("select id from clicks where at < now()").rewritten is None
    found = refused(
        "select id from clicks where at > timestamp '2026-11-21 00:00:00' and at < timestamp '2026-11-20 00:00:00'"
    )
    assert found.missed == (0,) and refused(found.rewritten) is None


def test_hours_in_which_there_may_be_no_events_do_not_make_the_share_less():
    """Nothing says when the events of a long range begin."""
    found = refused(
        "select id from clicks where at >= timestamp '2000-01-01 00:00:00' and at < timestamp '2026-11-20 00:00:00'"
    )
    week = refused(
        "select id from clicks where at >= timestamp '2026-11-13 00:00:00' and at < timestamp '2026-11-20 00:00:00'"
    )
    # 70 hours late is too late for the last 61 hours of them.
    assert found.missed == week.missed == (Fraction(4 * 61, 168 * 10_000),)
    assert "at most 0.0145 %" in str(found) and "miss 0.0145 %" in str(week)


def test_of_events_that_say_they_happen_tomorrow_those_that_came_are_not_found():
    found = refused("select id from taps where at >= timestamp '2026-11-24 10:00:00'", {"taps": {-3: 1, 0: 10_000}})
    assert found.missed == (Fraction(1),) and "100 %" in str(found)


def test_the_text_of_execute_immediate_is_refused_without_another():
    found = refused(f"execute immediate '{('select id from clicks where ' + DAY).replace(chr(39), chr(39) * 2)}'")
    assert found.rewritten is None and found.missed == (Fraction(4, 10_000),)


def test_parameters_bound_event_time_too():
    def with_parameter(sql):
        return plan(sql, TABLES, "shop", ["2026-11-20 07:00:00"], now_ms=NOW_MS)

    found = refusal_of("select id from clicks where at >= cast(? as timestamp)", with_parameter, TABLES, {}, NOW_MS)
    expected = "select id from clicks where inserted_at >= '2026/11/20/06' and at >= cast(? as timestamp)"
    assert found.rewritten == expected
