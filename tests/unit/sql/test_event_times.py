"""What a condition on the column of event time says of its instants: exactly which milliseconds can pass."""

# ruff: noqa: E501 - a condition stands on one line with what is expected of it

from datetime import UTC, datetime

import pytest

from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.plan import TableSchema, plan
from datawarehouse.sql.predicate import EVERYTHING, Instants

NOW_MS = 1_795_503_600_000  # 2026-11-24T07:00:00Z
SCHEMA = TableSchema(
    "t",
    (Column("at", parse_type("timestamp")), Column("seen", parse_type("timestamp")), Column("day", parse_type("date"))),
    (Column("inserted_at", parse_type("string")),),
    "inserted_at",
    "at",
)
U = TableSchema("u", SCHEMA.columns, SCHEMA.partition_keys, "inserted_at")
H = "2026-11-23 07"

SAYS = {
    f"at >= timestamp '{H}:00:00'": f"{H}:00:00.000 <= at",
    f"at > timestamp '{H}:00:00'": f"{H}:00:00.001 <= at",
    f"timestamp '{H}:00:00' > at": "at <= 2026-11-23 06:59:59.999",
    f"at <= timestamp '{H}:00:00'": f"at <= {H}:00:00.000",
    f"at = timestamp '{H}:00:00.5'": f"{H}:00:00.500 <= at <= {H}:00:00.500",
    f"at <> timestamp '{H}:00:00'": f"at <= 2026-11-23 06:59:59.999 or {H}:00:00.001 <= at",
    f"not at < timestamp '{H}:00:00'": f"{H}:00:00.000 <= at",
    f"at between timestamp '{H}:00:00' and timestamp '{H}:30:00'": f"{H}:00:00.000 <= at and at <= {H}:30:00.000",
    f"at in (timestamp '{H}:00:00', timestamp '{H}:30:00')": f"{H}:00:00.000 <= at <= {H}:00:00.000 or {H}:30:00.000 <= at <= {H}:30:00.000",
    "at >= date '2026-11-23'": "2026-11-23 00:00:00.000 <= at",
    f"at >= timestamp '{H}:00:00 UTC'": "everything",
    "at >= cast('2026-11-23 07:00:00' as timestamp)": f"{H}:00:00.000 <= at",
    "at >= now() - interval '1' day": f"{H}:00:00.000 <= at",
    "at >= localtimestamp - interval '1' day": f"{H}:00:00.000 <= at",
    "at >= current_date": "2026-11-24 00:00:00.000 <= at",
    f"at >= date_trunc('day', timestamp '{H}:00:00')": "2026-11-23 00:00:00.000 <= at",
    f"date_trunc('hour', at) = timestamp '{H}:00:00'": f"{H}:00:00.000 <= at <= {H}:59:59.999",
    f"date_trunc('HOUR', at) = timestamp '{H}:00:00'": f"{H}:00:00.000 <= at <= {H}:59:59.999",
    f"date_trunc('hour', at) = timestamp '{H}:00:01'": "nothing",
    f"date_trunc('hour', at) >= timestamp '{H}:00:01'": "2026-11-23 08:00:00.000 <= at",
    f"date_trunc('hour', at) > timestamp '{H}:00:01'": "2026-11-23 08:00:00.000 <= at",
    f"date_trunc('hour', at) < timestamp '{H}:00:01'": f"at <= {H}:59:59.999",
    f"date_trunc('hour', at) < timestamp '{H}:00:00'": "at <= 2026-11-23 06:59:59.999",
    f"date_trunc('hour', at) <= timestamp '{H}:00:00'": f"at <= {H}:59:59.999",
    f"date_trunc('hour', at) <> timestamp '{H}:00:00'": "at <= 2026-11-23 06:59:59.999 or 2026-11-23 08:00:00.000 <= at",
    "date_trunc('month', at) = date '2026-11-01'": "2026-11-01 00:00:00.000 <= at <= 2026-11-30 23:59:59.999",
    "date_trunc('week', at) = date '2026-11-23'": "2026-11-23 00:00:00.000 <= at <= 2026-11-29 23:59:59.999",
    "date_trunc('year', at) >= date '9999-01-01'": "everything",
    "date(at) = date '2026-11-23'": "2026-11-23 00:00:00.000 <= at <= 2026-11-23 23:59:59.999",
    "date(at) in (date '2026-11-23', date '2026-11-25')": "2026-11-23 00:00:00.000 <= at <= 2026-11-23 23:59:59.999 or 2026-11-25 00:00:00.000 <= at <= 2026-11-25 23:59:59.999",
    "cast(at as date) = date '2026-11-23'": "2026-11-23 00:00:00.000 <= at <= 2026-11-23 23:59:59.999",
    "date '2026-11-23' < date(at)": "2026-11-24 00:00:00.000 <= at",
    f"at >= timestamp '{H}:00:00' and inserted_at < '2026/11/24'": f"{H}:00:00.000 <= at and inserted_at < '2026/11/24'",
    f"at >= timestamp '{H}:00:00' or inserted_at < '2026/11/24'": f"{H}:00:00.000 <= at or inserted_at < '2026/11/24'",
    f"at >= timestamp '{H}:00:00' or seen < at": "everything",
    "at is null": "everything",
    "at is not null": "everything",
    "at = cast(null as timestamp)": "everything",
    f"at is distinct from timestamp '{H}:00:00'": "everything",
    f"seen >= timestamp '{H}:00:00'": "everything",
    "day >= date '2026-11-23'": "everything",
    f"seen = at and seen >= timestamp '{H}:00:00'": f"{H}:00:00.000 <= at",
    f"at + interval '1' hour >= timestamp '{H}:00:00'": "everything",
    f"coalesce(at, seen) >= timestamp '{H}:00:00'": "everything",
    "hour(at) = 7": "everything",
    "date_trunc('hour', at) = seen": "everything",
}


@pytest.mark.parametrize(("condition", "says"), SAYS.items())
def test_what_a_condition_says(condition, says):
    [scan] = plan(f"select * from t where {condition}", {"t": SCHEMA}, "db", now_ms=NOW_MS).scans
    assert str(scan.predicate) == says


def test_nothing_is_said_of_a_table_that_declares_no_event_time():
    [scan] = plan("select * from u where at >= timestamp '2026-11-23 07:00:00'", {"u": U}, "db").scans
    assert scan.predicate == EVERYTHING


def test_a_condition_reaches_a_table_through_a_join_and_a_query():
    sql = (
        "select * from (select at as happened, day from t) a left join u on u.seen = a.happened "
        "where a.happened >= timestamp '2026-11-23 07:00:00'"
    )
    scans = {scan.table: str(scan.predicate) for scan in plan(sql, {"t": SCHEMA, "u": U}, "db").scans}
    assert scans == {"t": "2026-11-23 07:00:00.000 <= at", "u": "everything"}
    of_the_filled_side = "select * from u left join t on u.seen = t.at and t.at >= timestamp '2026-11-23 07:00:00'"
    limited = "select * from (select at from t limit 5) where at >= timestamp '2026-11-23 07:00:00'"
    for statement, says in ((of_the_filled_side, "2026-11-23 07:00:00.000 <= at"), (limited, "everything")):
        [found] = [scan for scan in plan(statement, {"t": SCHEMA, "u": U}, "db").scans if scan.table == "t"]
        assert str(found.predicate) == says


def test_what_instants_pass():
    sql = "select * from t where (at >= timestamp '2026-11-23 07:00:00' and inserted_at >= '2026/11/23') or seen = at"
    [scan] = plan(sql.removesuffix(" or seen = at"), {"t": SCHEMA}, "db").scans
    hour = milliseconds_of(datetime(2026, 11, 23, 7, tzinfo=UTC))
    for instants, passes in ((Instants(0, hour), True), (Instants(0, hour - 1), False)):
        assert scan.predicate.matches({"inserted_at": "2026/11/24/00", "at": instants}) is passes
    assert not scan.predicate.matches({"inserted_at": "2026/11/22/00", "at": Instants(hour, hour)})
    assert scan.predicate.matches({"inserted_at": "2026/11/24/00"}), "nothing is known of its event times"
    [scan] = plan(sql, {"t": SCHEMA}, "db").scans
    assert scan.predicate == EVERYTHING
