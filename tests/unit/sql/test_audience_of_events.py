"""What a workgroup permits of a table that declares its event time: a lower bound of that is enough too."""

# ruff: noqa: E501 - a statement stands on one line with what is expected of it

from dataclasses import replace

import pytest

from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.definition.workgroups import Workgroup, chosen, with_defaults
from datawarehouse.sql import hours
from datawarehouse.sql.guard import Part, decide
from datawarehouse.sql.plan import TableSchema, plan
from datawarehouse.sql.predicate import Instants

NOW_MS = 1_795_503_600_000  # 2026-11-24T07:00:00Z
NOW = NOW_MS // HOUR_MS
ARRIVALS = range(NOW - 999, NOW + 1)  # 42 days
LATE_HOURS = (0, 1, 50)  # how late the events in each file are
COLUMNS = (Column("id", parse_type("bigint")), Column("at", parse_type("timestamp")))
HOUR = (Column("inserted_at", parse_type("string")),)
TABLES = {
    "clicks": TableSchema("clicks", COLUMNS, HOUR, "inserted_at", "at"),
    "views": TableSchema("views", COLUMNS, HOUR, "inserted_at"),
    "old": TableSchema("old", COLUMNS, HOUR, "inserted_at", "at"),
}
ADHOC = chosen(with_defaults(()), "adhoc")


def stored(scan):
    """A file of ten megabytes for each hour of arrival; nothing is known of the event times in those of `old`."""

    def can_hold(hour):
        key = hours.text_of(hour)
        if scan.table != "clicks":
            return scan.predicate.matches({"inserted_at": key})
        spans = [((hour - late) * HOUR_MS, (hour - late + 1) * HOUR_MS - 1) for late in LATE_HOURS]
        return any(scan.predicate.matches({"inserted_at": key, "at": Instants(*span)}) for span in spans)

    found = [hour for hour in ARRIVALS if can_hold(hour)]
    return [Part(hours.text_of(hour), 1, 10**7, int(scan.table == "old")) for hour in found]


def decided(sql, workgroup=ADHOC):
    return decide(sql, lambda text: plan(text, TABLES, "shop", now_ms=NOW_MS), TABLES, workgroup, stored, NOW_MS)


# The conditions that pass, and how many hours of arrival remain.
ENOUGH = {
    "at >= timestamp '2026-11-24 07:00:00'": 1,
    "at >= now() - interval '1' day": 25,
    "at = timestamp '2026-11-20 07:30:00'": 3,
    "at between timestamp '2026-11-20 07:00:00' and timestamp '2026-11-20 08:59:59'": 5,
    "date_trunc('hour', at) = timestamp '2026-11-20 07:00:00'": 3,
    "date(at) = date '2026-11-20'": 49,
    "at in (timestamp '2026-11-20 07:30:00', timestamp '2026-11-22 01:30:00')": 6,
    "not at < timestamp '2026-11-24 07:00:00'": 1,
    "at >= timestamp '2026-11-20 07:00:00' and at < timestamp '2026-11-20 08:00:00' and inserted_at >= '2026/11/21'": 1,
    "at >= timestamp '2030-01-01 00:00:00'": 0,
    "at > timestamp '2020-01-01 00:00:00' and inserted_at >= '2026/11/24'": 8,
}
TOO_LITTLE = [
    "at is not null",
    "at <> timestamp '2026-11-20 07:30:00'",
    "at < timestamp '2026-11-20 07:30:00'",
    "at >= timestamp '1970-01-01 00:00:00'",
    "at >= timestamp '2026-10-01 00:00:00'",
    "at >= timestamp '2026-11-20 07:30:00' or true",
    "at >= timestamp '2026-11-20 07:30:00' or id = 1",
    "coalesce(at, now()) >= now()",
    "at + interval '1' day >= timestamp '2026-11-20 07:30:00'",
    "at at time zone 'UTC' >= now()",
    "if(at >= timestamp '2026-11-24 07:00:00', true, true)",
    "date_format(at, '%Y') >= '2026'",
    "hour(at) >= 7",
    "at in (timestamp '2026-11-20 07:30:00', at)",
    "at >= least(at, timestamp '2026-11-20 07:30:00')",
]
DAY = "at >= timestamp '2026-11-23 08:00:00'"
EVASIONS = [
    f"select * from (select * from clicks limit 10) where {DAY}",
    f"select * from (select max(at) as at from clicks) where {DAY}",
    f"select * from (select id, at, row_number() over (order by id) from clicks) where {DAY}",
    f"select count(*) filter (where {DAY}) from clicks",
    f"select * from clicks c left join views v on c.id = v.id and c.{DAY} where v.inserted_at >= '2026/11/24' or v.id is null",
    f"select * from clicks c left join clicks d on c.at = d.at and d.{DAY}",
    f"select * from clicks c, clicks d where c.{DAY}",
    f"select * from clicks where {DAY} union all select * from clicks",
    f"select * from views where {DAY}",
    f"select * from clicks c full join clicks d on c.at = d.at and c.{DAY}",
]


@pytest.mark.parametrize(("condition", "partitions"), ENOUGH.items())
def test_a_lower_bound_of_event_time_passes(condition, partitions):
    for frame in (
        "select id from clicks where {0}",
        "with a as (select * from clicks) select count(*) from a where {0}",
    ):
        decision = decided(frame.format(condition))
        assert decision.is_allowed, str(decision)
        assert decision.estimate.partitions == partitions


@pytest.mark.parametrize("condition", TOO_LITTLE)
def test_what_only_names_the_column_does_not_pass(condition):
    check_refused(f"select * from clicks where {condition}")


@pytest.mark.parametrize("sql", EVASIONS)
def test_evasions_do_not_pass(sql):
    check_refused(sql)


def check_refused(sql):
    decision = decided(sql)
    assert not decision.is_allowed, sql
    assert decision.rewritten, sql
    assert decided(decision.rewritten).is_allowed, decision.rewritten


REWRITTEN = {
    "select * from clicks": f"select * from clicks where {DAY}",
    "select id from clicks where id = 1 or id = 2": f"select id from clicks where {DAY} and (id = 1 or id = 2)",
    # Hours of arrival that are bounded stay the clock of the statement.
    "select * from clicks where inserted_at >= '2020/01/01/00'": "select * from clicks where inserted_at >= '2026/10/24/08' and inserted_at >= '2020/01/01/00'",
    # The last hours of what it asks for remain; late events are in 50 hours more.
    "select * from clicks where at >= timestamp '2026-10-01 00:00:00'": "select * from clicks where at >= timestamp '2026-10-24 08:00:00' and at >= timestamp '2026-10-01 00:00:00'",
    "select * from clicks where at < timestamp '2026-11-20 00:00:00'": "select * from clicks where at >= timestamp '2026-11-19 00:00:00' and at < timestamp '2026-11-20 00:00:00'",
    "select * from clicks c join views v on c.id = v.id": f"select * from (select * from clicks where {DAY}) c join (select * from views where inserted_at >= '2026/11/23/08') v on c.id = v.id",
    # Nothing is known of these files, and hours of arrival are what remains to bound.
    "select * from old": "select * from old where inserted_at >= '2026/11/23/08'",
}


@pytest.mark.parametrize(("sql", "rewritten"), REWRITTEN.items())
def test_the_statement_that_would_pass(sql, rewritten):
    decision = decided(sql)
    assert (decision.rewritten, decided(rewritten).is_allowed) == (rewritten, True)


def test_bytes_of_the_files_that_remain_count():
    narrow = replace(ADHOC, scan_bytes_max=10**8)
    assert decided("select * from clicks where at >= timestamp '2026-11-24 00:00:00'", narrow).is_allowed
    decision = decided("select * from clicks where at >= timestamp '2026-11-20 00:00:00'", narrow)
    assert "read 100.0 MB (scan_bytes_max)" in decision.refusals[0]
    assert "at >= timestamp '2026-11-24" in decision.rewritten
    assert decided(decision.rewritten, narrow).is_allowed


def test_what_a_refusal_says():
    [nothing] = decided("select * from clicks").refusals
    assert (
        "nothing bounds inserted_at or at of clicks from below: write inserted_at >= 'YYYY/MM/DD/HH' or at >= timestamp 'YYYY-MM-DD HH:00:00'"
        in nothing
    )
    [much] = decided("select * from clicks where at >= timestamp '2020-01-01 00:00:00'").refusals
    assert much == (
        "Workgroup 'adhoc' permits 744 hours (partitions_max), and the files of clicks that can hold events of these "
        "times arrived in 1,000 hours."
    )
    [unknown] = decided("select * from old where at >= timestamp '2026-11-24 00:00:00'").refusals
    assert unknown.endswith("1,000 hours. 1,000 files say nothing of their event times: `dw compact` counts them.")
    assert decided("select * from clicks", Workgroup("free")).is_allowed
