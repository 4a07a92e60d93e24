"""What a workgroup permits: decided on what a statement makes readable, not on the columns that it names."""

# ruff: noqa: E501 - a statement stands on one line with what is expected of it

import tomllib
from importlib.resources import files

import pytest

from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.definition.workgroups import Workgroup, with_defaults
from datawarehouse.sql import hours
from datawarehouse.sql.guard import ATHENA_BYTES_MIN, ATHENA_DOLLARS_PER_TB, Decision, Estimate, Part, decide
from datawarehouse.sql.plan import TableSchema, plan

NOW_MS = 1_795_503_600_000  # 2026-11-24T07:00:00Z
NOW = NOW_MS // HOUR_MS
STORED = [hours.text_of(hour) for hour in range(NOW - 999, NOW + 1)]  # 42 days
STRING, BIGINT = parse_type("string"), parse_type("bigint")


def schema(name, key, hour_key=None):
    return TableSchema(name, (Column("id", BIGINT), Column("name", STRING)), (Column(key, STRING),), hour_key)


TABLES = {
    "clicks": schema("clicks", "inserted_at", "inserted_at"),
    "Orders": schema("Orders", "hour", "hour"),
    "users": schema("users", "region"),
}
ADHOC = with_defaults(())["adhoc"]


def stored(scan):
    """A file of ten megabytes for each hour, and one for the table without hours."""
    key = TABLES[scan.table].hours
    if key is None:
        return [Part("", 1, 10**7)]
    return [Part(hour, 1, 10**7) for hour in STORED if scan.predicate.matches({key: hour})]


def decided(sql, workgroup=ADHOC):
    return decide(sql, lambda text: plan(text, TABLES, "shop", now_ms=NOW_MS), TABLES, workgroup, stored, NOW_MS)


# What bounds the hours from below, and has no more than 744 of them.
ENOUGH = [
    "inserted_at = '2026/11/23/07'",
    "'2026/11/23/07' = inserted_at",
    "inserted_at >= '2026/11/23'",
    "inserted_at > '2026/11/23/07'",
    "not inserted_at < '2026/11/23/07'",
    "inserted_at between '2026/11/01/00' and '2026/11/30/23'",
    "inserted_at in ('2026/11/23/07', '2020/01/01/00')",
    "inserted_at like '2026/11/23/%'",
    "starts_with(inserted_at, '2026/11/')",
    "substr(inserted_at, 1, 10) = '2026/11/23'",
    "inserted_at >= date_format(now() - interval '1' day, '%Y/%m/%d/%H')",
    "inserted_at >= replace(cast(current_date as varchar), '-', '/')",
    "inserted_at = '2026/11/23/07' or inserted_at = '2026/10/23/07'",
    "inserted_at is not distinct from '2026/11/23/07'",
    "inserted_at >= '2026/11' and inserted_at is not null",
    "inserted_at >= '2026/11' and (1 = 1 or inserted_at = 'x')",
    "inserted_at >= '2019/01' and inserted_at < '2019/02'",
    "inserted_at >= '2027'",
]
# What names the column, and lets through what the workgroup does not permit.
TOO_LITTLE = [
    "inserted_at is not null",
    "inserted_at <> '2026/11/23/07'",
    "inserted_at < '2026/11/24'",
    "inserted_at not in ('2026/11/23/07')",
    "inserted_at like '%/07'",
    "inserted_at not like '2025%'",
    "inserted_at >= ''",
    "inserted_at >= '1'",
    "inserted_at >= '1970/01/01/00'",
    "inserted_at >= '2020/01/01/00'",
    "inserted_at like '2%'",
    "starts_with(inserted_at, '')",
    "inserted_at between '2026/01/01/00' and '2026/11/24/00'",
    "inserted_at >= '2026/11/23' or true",
    "inserted_at >= '2026/11/23' or 1 = 1",
    "not (inserted_at >= '2026/11/23' and false)",
    "lower(inserted_at) >= '2026/11/23'",
    "cast(inserted_at as varchar(13)) >= '2026/11/23/00'",
    "inserted_at || '' >= '2026/11/23'",
    "coalesce(inserted_at, 'x') >= '2026/11/23'",
    "if(inserted_at >= '2026/11/23', true, true)",
    "case when inserted_at >= '2026/11/23' then true else true end",
    "date_parse(inserted_at, '%Y/%m/%d/%H') > now() - interval '1' day",
    "inserted_at >= least('2026/11/23', inserted_at)",
    "inserted_at in ('2026/11/23/07', inserted_at)",
    "length(inserted_at) = 13",
]
FRAMES = [
    "select count(*) from clicks where {0}",
    "select * from (select * from clicks) where {0}",
    "with a as (select * from clicks) select * from a where {0}",
    "select id from clicks where {0} union all select id from clicks where {0}",
    "select * from clicks where id = 1 and ({0})",
    "select inserted_at, count(*) from clicks group by inserted_at having {0}",
    "select * from users join clicks on users.id = clicks.id where {0}",
    "select * from users where id in (select id from clicks where {0})",
    "select * from users left join clicks on users.id = clicks.id and {0}",
    "select inserted_at from (select distinct inserted_at from clicks) where {0} order by 1 limit 5",
]
ONE_HOUR = "inserted_at = '2026/11/23/07'"
EVASIONS = [
    "select * from clicks",
    "table clicks",
    "select * from clicks limit 1",
    "select * from clicks tablesample bernoulli (1)",
    "select max(inserted_at) from clicks",
    "select inserted_at, inserted_at >= '2026/11/23' from clicks",
    f"select * from (select * from clicks limit 10) where {ONE_HOUR}",
    f"select * from (select * from clicks order by id offset 2) where {ONE_HOUR}",
    f"select * from (select max(inserted_at) as inserted_at from clicks) where {ONE_HOUR}",
    f"select * from (select inserted_at, row_number() over (order by id) from clicks) where {ONE_HOUR}",
    f"select * from (select lower(inserted_at) as inserted_at from clicks) where {ONE_HOUR}",
    f"select count(*) filter (where {ONE_HOUR}) from clicks",
    f"select * from clicks where id = (select max(id) from clicks where {ONE_HOUR})",
    f"select * from clicks where exists (select 1 from clicks c where c.{ONE_HOUR})",
    f"select * from clicks where {ONE_HOUR} union all select * from clicks",
    f"select * from clicks c left join users u on c.id = u.id and c.{ONE_HOUR}",
    f"select * from clicks c full join users u on c.id = u.id and c.{ONE_HOUR}",
    f"select * from users u right join clicks c on c.id = u.id and c.{ONE_HOUR}",
    f"select * from clicks c left join clicks d on c.inserted_at = d.inserted_at and d.{ONE_HOUR}",
    f"select * from clicks c, clicks d where c.{ONE_HOUR}",
    f"select * from clicks c, clicks d where c.{ONE_HOUR} and c.inserted_at < d.inserted_at",
    f"with a as (select * from clicks) select * from a x, a y where x.{ONE_HOUR}",
    "select * from clicks, (values '2026/11/23/07') as v(h) where inserted_at = h",
    f'select * from "Orders" where {ONE_HOUR.replace("inserted_at", "name")}',
    f'select * from clicks join "Orders" on id = id2 where {ONE_HOUR}'.replace("id = id2", 'clicks.id = "Orders".id'),
    "with recursive r(n) as (select 1 union all select n + 1 from r, clicks where n < 3) select * from r",
]
NEITHER = [
    "select 1",
    "select * from users",
    "show tables",
    "show partitions clicks",
    "explain select * from clicks",
    f"select * from clicks c join clicks d on c.inserted_at = d.inserted_at where d.{ONE_HOUR}",
    f"select * from clicks where {ONE_HOUR} or (inserted_at >= '2026/11/24' and name = 'x')",
    f"with a as (select * from clicks), b as (select * from a) select * from b where {ONE_HOUR}",
    f"select * from clicks where {ONE_HOUR} except select * from clicks where inserted_at >= '2026/11/24'",
    "select * from \"Orders\" where hour between '2026/11/23/00' and '2026/11/23/23'",
    f"select * from (select *, rank() over (partition by inserted_at order by id) from clicks) where {ONE_HOUR}",
]


def of_frames(conditions):
    return [frame.format(condition) for frame in FRAMES for condition in conditions]


def test_there_are_three_hundred_statements_and_half_are_evasions():
    refused, allowed = of_frames(TOO_LITTLE) + EVASIONS, of_frames(ENOUGH) + NEITHER
    assert len(set(refused)) >= 250 and len(set(allowed)) >= 150


@pytest.mark.parametrize("frame", FRAMES)
def test_what_bounds_the_hours_passes(frame):
    for condition in ENOUGH:
        decision = decided(frame.format(condition))
        assert decision.is_allowed, (condition, str(decision))


@pytest.mark.parametrize("frame", FRAMES)
def test_what_only_names_the_column_does_not_pass(frame):
    for condition in TOO_LITTLE:
        check_refused(frame.format(condition))


@pytest.mark.parametrize("sql", EVASIONS)
def test_evasions_do_not_pass(sql):
    check_refused(sql)


@pytest.mark.parametrize("sql", NEITHER)
def test_what_reads_few_hours_or_none_passes(sql):
    assert decided(sql).is_allowed


def check_refused(sql):
    decision = decided(sql)
    assert not decision.is_allowed, sql
    assert decision.rewritten, sql
    assert decided(decision.rewritten).is_allowed, decision.rewritten


REWRITTEN = {
    "select * from clicks": "select * from clicks where inserted_at >= '2026/11/23/08'",
    "select * from clicks c order by 1; -- all": "select * from clicks c where inserted_at >= '2026/11/23/08' order by 1; -- all",
    "select * from clicks where id = 1 or id = 2 group by 1, 2, 3": "select * from clicks where inserted_at >= "
    "'2026/11/23/08' and (id = 1 or id = 2) group by 1, 2, 3",
    "select * from (select id from clicks where id > 5) t": "select * from (select id from clicks where inserted_at >= "
    "'2026/11/23/08' and id > 5) t",
    "select id from clicks c join users using (id)": "select id from (select * from clicks where inserted_at >= "
    "'2026/11/23/08') c join users using (id)",
    "select clicks.id from users, shop.clicks": "select clicks.id from users, (select * from shop.clicks where inserted_at >= "
    "'2026/11/23/08') as clicks",
    "table clicks": "select * from clicks where inserted_at >= '2026/11/23/08'",
    'select * from "Orders"': "select * from \"Orders\" where hour >= '2026/11/23/08'",
    "select * from clicks where inserted_at >= '2020/01/01/00'": "select * from clicks where inserted_at >= '2026/10/24/08' and "
    "inserted_at >= '2020/01/01/00'",
    "select * from clicks where inserted_at < '2026/11/20'": "select * from clicks where inserted_at >= '2026/11/19/00' and "
    "inserted_at < '2026/11/20'",
    "select * from clicks where inserted_at like '2026/0%'": "select * from clicks where inserted_at >= '2026/08/31/00' and "
    "inserted_at like '2026/0%'",
}


@pytest.mark.parametrize(("sql", "expected"), REWRITTEN.items())
def test_the_last_hours_of_what_was_asked_for_would_pass(sql, expected):
    assert decided(sql).rewritten == expected


def test_a_refusal_says_what_is_missing_how_much_it_is_and_what_would_pass():
    text = str(decided("select * from clicks where lower(inserted_at) > '2026'"))
    assert text.startswith(
        "Workgroup 'adhoc' requires a range of hours for each table, and nothing bounds inserted_at of clicks from below: "
        "write inserted_at >= 'YYYY/MM/DD/HH'."
    )
    assert "reads 1,000 partitions, 1,000 files, 10.0 GB, on Athena at most $0.05000." in text
    assert text.endswith(
        "may run:\nselect * from clicks where inserted_at >= '2026/11/23/08' and lower(inserted_at) > '2026'"
    )
    text = str(decided("select * from clicks where inserted_at >= '2026/01'"))
    assert (
        "permits 744 hours (partitions_max), and the statement asks for 7,856 of clicks, from 2026/01/01/00 to" in text
    )


def test_the_hours_asked_for_count_and_not_those_that_have_rows():
    assert not decided("select * from clicks where inserted_at between '2010/01/01/00' and '2015/01/01/00'").is_allowed
    exactly = "select * from clicks where inserted_at >= '2026/10/24/08'"
    assert decided(exactly).is_allowed
    assert not decided(exactly.replace("/08", "/07")).is_allowed


def test_each_rule_is_one_that_a_workgroup_can_leave_out():
    for workgroup in (Workgroup("open"), Workgroup("open", scan_bytes_max=10**11)):
        assert decided("select * from clicks", workgroup).is_allowed
    only_bounded = Workgroup("bounded", require_partition_filter=True)
    assert decided("select * from clicks where inserted_at >= '2001'", only_bounded).is_allowed
    for condition in ("inserted_at >= ''", "inserted_at <= '2026/11/23/00'"):
        assert not decided(f"select * from clicks where {condition}", only_bounded).is_allowed


def test_bytes_are_limited_for_all_tables_together():
    workgroup = Workgroup("small", scan_bytes_max=100 * 10**6)
    assert decided("select * from clicks where inserted_at > '2026/11/23/21'", workgroup).is_allowed
    eleven = decided("select * from clicks where inserted_at >= '2026/11/23/21'", workgroup)
    assert eleven.refusals == (
        "Workgroup 'small' permits queries that read 100.0 MB (scan_bytes_max), and the files of this one have 110.0 MB.",
    )
    assert eleven.estimate == Estimate(11, 11, 110_000_000)
    assert decided(eleven.rewritten, workgroup).is_allowed
    both = "select * from clicks c join users on c.id = users.id where inserted_at >= '2026/11/23/22'"
    assert not decided(both, workgroup).is_allowed
    assert decided(decided(both, workgroup).rewritten, workgroup).is_allowed
    assert decided("select * from users", Workgroup("none", scan_bytes_max=10**6)).rewritten is None


def test_dollars_are_those_of_athena():
    prices = tomllib.loads((files("datawarehouse.aws") / "prices.toml").read_text())
    assert Estimate(1, 1, 10**12).dollars == ATHENA_DOLLARS_PER_TB == prices["athena_scanned"]["usd"]
    assert Estimate(1, 1, 1).dollars == ATHENA_BYTES_MIN * 5 / 10**12
    assert Estimate(0, 0, 0).dollars == 0
    assert Decision(Estimate(0, 0, 0)).is_allowed
