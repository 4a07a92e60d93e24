"""Which partitions each scan of a statement needs, over a small grid of hours; and the predicate tree by itself."""

# ruff: noqa: E501 - a statement stands on one line with what is expected of it

import time

import pytest

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql.plan import plan
from datawarehouse.sql.predicate import EVERYTHING, NOTHING, AllOf, Among, AnyOf, Compare, Like, all_of, any_of

HOURS = ("2026/11/22/23", "2026/11/23/00", "2026/11/23/07", "2026/11/24/00")
ALL, NONE = set(HOURS), set()
D22, D23A, D23B, D24 = ({hour} for hour in HOURS)
DAY = D23A | D23B
K = "inserted_at"

# A statement, and for each of its scans in order the hours it needs.
CASES = {
    "comparisons": {
        "select * from events": [ALL],
        f"select * from events where {K} = '2026/11/23/07'": [D23B],
        f"select * from events where '2026/11/23/07' = {K}": [D23B],
        f"select * from events where ({K}) = (('2026/11/23/07'))": [D23B],
        f"select * from events where events.{K} = '2026/11/23/07'": [D23B],
        f"select * from db.events where db.events.{K} = '2026/11/23/07'": [D23B],
        'select * from EVENTS where "INSERTED_AT" = \'2026/11/23/07\'': [D23B],
        f"select * from events where {K} <> '2026/11/23/07'": [ALL - D23B],
        f"select * from events where {K} < '2026/11/23/07'": [D22 | D23A],
        f"select * from events where {K} <= '2026/11/23/07'": [ALL - D24],
        f"select * from events where '2026/11/23/07' < {K}": [D24],
        f"select * from events where {K} >= '2026/11/23' and {K} < '2026/11/24'": [DAY],
        f"select * from events where {K} between '2026/11/23/00' and '2026/11/23/23'": [DAY],
        f"select * from events where {K} not between '2026/11/23/00' and '2026/11/23/23'": [D22 | D24],
        f"select * from events where {K} in ('2026/11/23/07', '2026/11/24/00')": [D23B | D24],
        f"select * from events where {K} not in ('2026/11/23/07', '2026/11/24/00')": [D22 | D23A],
        f"select * from events where {K} in ('2026/11/23/07', name)": [ALL],
        f"select * from events where {K} is not distinct from '2026/11/23/07'": [D23B],
        f"select * from events where {K} is distinct from '2026/11/23/07'": [ALL],
        f"select * from events where {K} is null": [ALL],
        f"select * from events where {K} = null": [ALL],
        "select * from events where false": [NONE],
        "select * from events where true": [ALL],
    },
    "like": {
        f"select * from events where {K} like '2026/11/23/%'": [DAY],
        f"select * from events where {K} like '2026/11/2_/00'": [D23A | D24],
        f"select * from events where {K} not like '2026/11/23/%'": [D22 | D24],
        f"select * from events where not {K} like '2026/11/23/%'": [D22 | D24],
        f"select * from events where {K} like '2026/11/23/07'": [D23B],
        f"select * from events where {K} like '2026!_%' escape '!'": [NONE],
        f"select * from events where {K} like name": [ALL],
        f"select * from events where starts_with({K}, '2026/11/23')": [DAY],
        f"select * from events where substr({K}, 1, 10) = '2026/11/23'": [DAY],
        f"select * from events where substring({K}, 1, 10) in ('2026/11/22', '2026/11/24')": [D22 | D24],
        f"select * from events where substr({K}, 1, 9) = '2026/11/23'": [ALL],
        f"select * from events where substr({K}, 2, 10) = '026/11/23/'": [ALL],
    },
    "and, or, not": {
        f"select * from events where {K} = '2026/11/23/07' and id = 1": [D23B],
        f"select * from events where {K} = '2026/11/23/07' or {K} = '2026/11/22/23'": [D23B | D22],
        f"select * from events where {K} = '2026/11/23/07' or id = 1": [ALL],
        f"select * from events where ({K} = '2026/11/23/07' and id = 1) or ({K} = '2026/11/24/00' and id = 2)": [D23B | D24],
        f"select * from events where not ({K} < '2026/11/23/00' or {K} > '2026/11/23/07')": [DAY],
        f"select * from events where not (not ({K} = '2026/11/23/07'))": [D23B],
        f"select * from events where {K} = '2026/11/23/07' and {K} = '2026/11/24/00'": [NONE],
        f"select * from events where case when id = 1 then {K} = '2026/11/23/07' end": [ALL],
        f"select * from events where coalesce({K} = '2026/11/23/07', true)": [ALL],
    },
    "constants": {
        f"select * from events where {K} = cast('2026/11/23/07' as varchar)": [D23B],
        f"select * from events where {K} = '2026/11/23/' || '07'": [D23B],
        f"select * from events where {K} = concat('2026/11/23/', cast('07' as varchar))": [D23B],
        f"select * from events where {K} = lower('2026/11/23/07')": [ALL],
        f"select * from events where {K} >= date_format(now(), '%Y/%m/%d/%H')": [ALL],
        f"select * from events where lower({K}) = '2026/11/23/07'": [ALL],
    },
    "sub-queries": {
        f"select * from (select * from events) where {K} = '2026/11/23/07'": [D23B],
        f"select * from (select {K} as hour, id from events) t where t.hour = '2026/11/23/07'": [D23B],
        f"select * from (select {K} as id, id as {K} from events) where id = '2026/11/23/07'": [D23B],
        f"select * from (select id, {K} from events) as t(a, b) where b = '2026/11/23/07'": [D23B],
        f"select * from (select lower({K}) as h from events) where h = '2026/11/23/07'": [ALL],
        f"select * from (select * from events where {K} < '2026/11/24') where {K} > '2026/11/23'": [DAY],
        f"select * from (select * from events order by id) where {K} = '2026/11/23/07'": [D23B],
        f"select * from (select * from events order by id limit 5) where {K} = '2026/11/23/07'": [ALL],
        f"select * from (select * from events offset 5) where {K} = '2026/11/23/07'": [ALL],
        f"select * from (select distinct {K}, name from events) where {K} = '2026/11/23/07'": [D23B],
        f"select count(*) from events where {K} = (select max({K}) from events where {K} < '2026/11/23')": [ALL, D22],
        f"select * from events where id in (select id from events where {K} = '2026/11/24/00')": [ALL, D24],
        f"select * from events e where {K} = '2026/11/24/00' and exists (select 1 from events f where f.{K} = e.{K} and "
        "f.inserted_at < '2026/11/24')": [D24, ALL - D24],
        f"select (select max(id) from events where {K} = '2026/11/22/23') from events where {K} = '2026/11/24/00'": [D24, D22],
        f"select * from (values '2026/11/23/07') as v(h) join events on {K} = h where h = '2026/11/23/07'": [D23B],
    },
    "aggregates and windows": {
        f"select {K}, count(*) from events group by {K} having {K} = '2026/11/23/07'": [D23B],
        f"select * from (select {K}, count(*) from events group by {K}) where {K} = '2026/11/23/07'": [D23B],
        f"select * from (select {K} as h, count(*) from events group by 1) where h = '2026/11/23/07'": [D23B],
        f"select * from (select max({K}) as h from events) where h = '2026/11/23/07'": [ALL],
        f"select * from (select max({K}) as {K} from events group by name) where {K} = '2026/11/23/07'": [ALL],
        f"select * from (select {K}, count(*) from events group by rollup({K})) where {K} = '2026/11/23/07'": [ALL],
        f"select * from (select {K}, row_number() over (partition by {K} order by id) from events) where {K} = '2026/11/23/07'": [
            D23B
        ],
        f"select * from (select {K}, row_number() over (order by id) from events) where {K} = '2026/11/23/07'": [ALL],
        f"select * from (select {K}, row_number() over (partition by {K}), sum(id) over () from events) where {K} = "
        "'2026/11/23/07'": [ALL],
        f"select * from (select {K}, rank() over w from events window w as (partition by name)) where {K} = '2026/11/23/07'": [
            ALL
        ],
        f"select *, row_number() over (order by id) from events where {K} = '2026/11/23/07'": [D23B],
    },
    "with": {
        f"with e as (select * from events) select * from e where {K} = '2026/11/23/07'": [D23B],
        f"with e as (select * from events) select * from e where {K} = '2026/11/23/07' union all "
        f"select * from e where {K} = '2026/11/24/00'": [D23B | D24],
        f"with e as (select * from events) select * from e a join e b on a.id = b.id where a.{K} = '2026/11/23/07'": [ALL],
        f"with a as (select * from events), b as (select * from a where {K} < '2026/11/23') select * from b": [D22],
        f"with e(h) as (select {K} from events) select * from e where h = '2026/11/23/07'": [D23B],
        "with e as (select * from events) select 1": [NONE],
        f"with events as (select * from events where {K} = '2026/11/23/07') select * from events": [D23B],
        f"with recursive r(h, n) as (select {K}, 1 from events where {K} >= '2026/11/23' union all select h, n + 1 from r where "
        "n < 3) select * from r where h = '2026/11/24/00'": [ALL - D22],
        f"select * from (with e as (select * from events) select * from e) where {K} = '2026/11/23/07'": [D23B],
    },
    "set operations": {
        f"select * from (select {K} from events union all select {K} from events) where {K} = '2026/11/23/07'": [D23B, D23B],
        f"select * from (select {K} as a, name as b from events union select name, {K} from events) where a = '2026/11/23/07'": [
            D23B,
            ALL,
        ],
        f"select * from (select {K} from events except select {K} from events) where {K} = '2026/11/23/07'": [D23B, D23B],
        f"select * from (select {K} from events intersect select {K} from events) where {K} = '2026/11/23/07'": [D23B, D23B],
        f"select * from (select {K} from events union all select {K} from events limit 9) where {K} = '2026/11/23/07'": [ALL, ALL],
        f"select 1 from events where {K} = '2026/11/22/23' union all select 1 from events where {K} = '2026/11/24/00'": [D22, D24],
    },
    "joins": {
        f"select 1 from events a join events b on a.id = b.id where a.{K} = '2026/11/23/07'": [D23B, ALL],
        f"select 1 from events a join events b on a.id = b.id and b.{K} = '2026/11/23/07'": [ALL, D23B],
        f"select 1 from events a join events b on a.{K} = b.{K} where a.{K} = '2026/11/23/07'": [D23B, D23B],
        f"select 1 from events a, events b where a.{K} = b.{K} and b.{K} = '2026/11/23/07'": [D23B, D23B],
        f"select 1 from events a join events b using ({K}) where {K} = '2026/11/23/07'": [D23B, D23B],
        f"select 1 from events a cross join events b where a.{K} = '2026/11/23/07'": [D23B, ALL],
        f"select 1 from events a left join events b on a.id = b.id and a.{K} = '2026/11/23/07'": [ALL, ALL],
        f"select 1 from events a left join events b on a.id = b.id and b.{K} = '2026/11/23/07'": [ALL, D23B],
        f"select 1 from events a left join events b on a.id = b.id where a.{K} = '2026/11/23/07'": [D23B, ALL],
        f"select 1 from events a left join events b on a.id = b.id where b.{K} = '2026/11/23/07'": [ALL, D23B],
        f"select 1 from events a left join events b on a.id = b.id where b.{K} is null": [ALL, ALL],
        f"select 1 from events a left join events b on a.{K} = b.{K} where a.{K} = '2026/11/23/07'": [D23B, D23B],
        f"select 1 from events a left join events b on a.{K} = b.{K} where b.{K} = '2026/11/23/07'": [D23B, D23B],
        f"select 1 from events a left join events b on a.{K} = b.{K} and a.{K} = '2026/11/23/07'": [ALL, D23B],
        f"select 1 from events a left join events b on a.{K} = b.{K} and b.{K} = '2026/11/23/07'": [ALL, D23B],
        f"select 1 from events a right join events b on a.id = b.id and a.{K} = '2026/11/23/07'": [D23B, ALL],
        f"select 1 from events a right join events b on a.{K} = b.{K} where b.{K} = '2026/11/23/07'": [D23B, D23B],
        f"select 1 from events a full join events b on a.{K} = b.{K} and a.{K} = '2026/11/23/07'": [ALL, ALL],
        f"select 1 from events a full join events b on a.{K} = b.{K} where a.{K} = '2026/11/23/07'": [D23B, D23B],
        f"select 1 from events a full join events b using ({K}) where {K} = '2026/11/23/07'": [ALL, ALL],
        # On the kept side, two columns that ON has equal to a third are equal only in rows that match.
        f"select 1 from events a left join events b on a.{K} = b.name and a.name = b.name where a.name = '2026/11/23/07'": [ALL, ALL],
        f"select 1 from events a cross join events c left join events b on a.{K} = c.{K} and a.id = b.id where c.{K} = "
        "'2026/11/23/07'": [ALL, D23B, ALL],
        f"select 1 from events b right join (events a cross join events c) on a.{K} = c.{K} and a.id = b.id where c.{K} = "
        "'2026/11/23/07'": [ALL, ALL, D23B],
        f"select 1 from events a left join events b on a.{K} = a.name and a.id = b.id where a.name = '2026/11/23/07'": [ALL, ALL],
        f"select 1 from events a join events b on a.{K} = b.{K} join events c on b.{K} = c.{K} where c.{K} = '2026/11/23/07'": [
            D23B,
            D23B,
            D23B,
        ],
        f"select 1 from events e cross join unnest(tags) as t(tag) where {K} = '2026/11/23/07' and tag = 'x'": [D23B],
        f"select 1 from events e cross join lateral (select * from events f where f.id = e.id) g where g.{K} = '2026/11/23/07'": [
            ALL,
            D23B,
        ],
    },
    "names": {
        f"select lower(name) as {K} from events where {K} = '2026/11/23/07'": [D23B],
        f"select name as {K}, count(*) from events where {K} = '2026/11/23/07' group by name": [D23B],
        f"select * from events where (select max(id) from users where region = '2026/11/23/07') = 1 and {K} > '2026/11/24'": [
            D24,
            D23B,
        ],
        f"select * from events, users where region = '2026/11/23/07' and {K} = '2026/11/24/00'": [D24, D23B],
        f"select * from events t where exists (select 1 from users t where {K} = '2026/11/23/07')": [ALL, ALL],
    },
}  # fmt: skip


def needed(scan, key="inserted_at"):
    return {hour for hour in HOURS if scan.predicate.matches({key: hour})}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [pytest.param(sql, hours, id=f"{topic}: {sql}") for topic, cases in CASES.items() for sql, hours in cases.items()],
)
def test_partitions(tables, sql, expected):
    scans = plan(sql, tables, "db").scans
    keys = {"events": "inserted_at", "users": "region"}
    assert [needed(scan, keys[scan.table]) for scan in sorted(scans, key=lambda scan: scan.id)] == expected


def test_a_parameter_prunes_as_a_literal_does(tables):
    sql = "select * from events where inserted_at between ? and ? and name = ?"
    [scan] = plan(sql, tables, "db", ["2026/11/23/00", "2026/11/23/23", "x"]).scans
    assert needed(scan) == DAY
    assert scan.predicate.bounds("inserted_at") == ("2026/11/23/00", "2026/11/23/23")


NOW_MS = 1_795_503_600_000  # 2026-11-24T07:00:00Z


@pytest.mark.parametrize(
    ("condition", "expected"),
    {
        f"{K} >= date_format(now() - interval '1' day, '%Y/%m/%d/%H')": D23B | D24,
        f"{K} > date_format(current_timestamp - interval '1' day, '%Y/%m/%d/%H')": D24,
        f"{K} = format_datetime(date_add('hour', -7, now()), 'yyyy/MM/dd/HH')": D24,
        f"{K} like date_format(date_add('day', -1, current_date), '%Y/%m/%d/%%')": DAY,
        f"{K} >= replace(cast(current_date as varchar), '-', '/')": D24,
        f"{K} >= concat(date_format(localtimestamp - interval '2' day, '%Y/%m/%d'), '/23')": ALL,
        f"{K} < date_format(date_trunc('day', now()), '%Y/%m/%d/%H')": ALL - D24,
        f"{K} = date_format(timestamp '2026-11-23 07:59:59', '%Y/%m/%d/%H')": D23B,
        f"{K} = date_format(now(), name)": ALL,
        f"{K} = date_format(at, '%Y/%m/%d/%H')": ALL,
        f"{K} = date_format(now(), '%W')": ALL,
    }.items(),
)
def test_the_time_of_the_statement_prunes_as_a_literal_does(tables, condition, expected):
    sql = f"select * from events where {condition}"
    if expected is None:
        with pytest.raises(QueryRefused, match="must be a literal"):
            plan(sql, tables, "db", now_ms=NOW_MS)
        return
    planned = plan(sql, tables, "db", now_ms=NOW_MS)
    assert needed(planned.scans[0]) == expected
    assert planned.reads_clock is ("now()" in condition or "current" in condition or "localtime" in condition)
    assert "now()" not in planned.sql, "the engine must compute with the same time"


def test_without_a_time_the_clock_of_the_engine_counts(tables):
    planned = plan(f"select * from events where {K} = date_format(now(), '%Y/%m/%d/%H')", tables, "db")
    assert needed(planned.scans[0]) == ALL
    assert "now()" in planned.sql


def test_several_keys_and_numbers(tables):
    [scan] = plan("select * from users where region = 'eu' and year >= 2026 and id = 3", tables, "db").scans
    assert [scan.predicate.matches({"region": r, "year": y}) for r in ("eu", "us") for y in (2025, 2026)] == [
        False, True, False, False,
    ]  # fmt: skip
    assert scan.predicate.matches({"region": "eu", "year": "2026"}), "a catalog may keep numbers as text"
    assert not scan.predicate.matches({"region": "eu", "year": "2025"})
    assert str(scan.predicate) == "region = 'eu' and year >= 2026"


def test_a_key_compared_with_another_type_is_an_error_as_in_athena(tables):
    with pytest.raises(QueryFailed, match="Cannot apply operator: varchar = integer"):
        plan("select * from events where inserted_at = 5", tables, "db")


def test_each_use_of_a_table_is_a_scan_of_its_own(tables):
    found = plan("select a.id from events a join events b on a.id = b.id, users", tables, "db")
    assert [(scan.id, scan.table, scan.hidden_columns) for scan in found.scans] == [
        ("scan1", "events", False),
        ("scan2", "events", False),
        ("scan3", "users", False),
    ]
    text = found.render({"scan1": "(ONE)", "scan2": "(TWO)", "scan3": "(THREE)"})
    assert 'FROM (ONE) AS "a" INNER JOIN (TWO) AS "b" ON' in text and 'CROSS JOIN (THREE) AS "users"' in text


def test_only_a_scan_whose_hidden_columns_are_named_exposes_them(tables):
    found = plan('select a."$path", b.id from events a join events b on a.id = b.id', tables, "db")
    assert [scan.hidden_columns for scan in found.scans] == [True, False]


@pytest.mark.parametrize(
    ("predicate", "bounds"),
    [
        (EVERYTHING, (None, None)),
        (Compare("k", "=", "b"), ("b", "b")),
        (Compare("k", "<>", "b"), (None, None)),
        (Compare("k", ">", "b"), ("b", None)),
        (Compare("k", "<", "b"), (None, "b")),
        (Compare("other", "=", "b"), (None, None)),
        (Compare("k", "=", 5), (None, None)),
        (Among("k", frozenset("bdc")), ("b", "d")),
        (Among("other", frozenset("bdc")), (None, None)),
        (Among("k", frozenset((5, 7))), (None, None)),
        (all_of([Among("k", frozenset("bc")), Among("other", frozenset("xy"))]), ("b", "c")),
        (Like("k", "2026/11/%"), ("2026/11/", "2026/110")),
        (Like("k", "%x"), (None, None)),
        (Like("k", "ab"), ("ab", "ab")),
        (Like("k", "a!%b%", "!"), ("a%b", "a%c")),
        (Like("k", "a%", negated=True), (None, None)),
        (Like("k", "\U0010ffff%"), ("\U0010ffff", None)),
        (all_of([Compare("k", ">=", "b"), Compare("k", "<", "f"), Compare("k", ">", "c")]), ("c", "f")),
        (any_of([Compare("k", "=", "b"), Compare("k", "=", "d")]), ("b", "d")),
        (any_of([Compare("k", "=", "b"), Compare("other", "=", "d")]), (None, None)),
        (all_of([Compare("other", "=", "x"), any_of([Compare("k", "=", "b"), Compare("k", ">", "d")])]), ("b", None)),
    ],
)
def test_bounds_hold_every_text_that_matches(predicate, bounds):
    assert predicate.bounds("k") == bounds


def test_predicates_combine_flat_and_without_what_says_nothing():
    a, b = Compare("k", "=", "a"), Compare("k", "=", "b")
    assert all_of([a, EVERYTHING, a]) == a
    assert all_of([a, NOTHING]) == any_of([]) == NOTHING
    assert any_of([a, EVERYTHING]) == all_of([]) == EVERYTHING
    assert all_of([a, all_of([a, b])]) == AllOf((a, b))
    assert any_of([any_of([a, b]), NOTHING]) == AnyOf((a, b))


def test_a_predicate_reads_as_sql():
    predicate = all_of([any_of([Compare("k", "=", "it's"), Like("k", "a!%%", "!")]), Among("n", frozenset((2, 1)))])
    assert str(predicate) == "(k = 'it''s' or k like 'a!%%' escape '!') and n in (1, 2)"


def test_a_partition_without_a_value_may_always_match():
    for predicate in (Compare("k", "=", "a"), Among("k", frozenset("ab")), Like("k", "a%"), Compare("k", "<", 5)):
        assert predicate.matches({"k": None})
        assert predicate.matches({})


def test_a_hundred_thousand_partitions_are_matched_in_less_than_a_second():
    predicate = all_of([Compare("k", ">=", "2026/01/01/00"), Compare("k", "<", "2026/02/01/00"), Like("k", "%/07")])
    partitions = [
        {"k": f"{2020 + n // 8760}/{n // 700 % 12 + 1:02d}/{n % 28:02d}/{n % 24:02d}"} for n in range(100_000)
    ]
    start = time.perf_counter()
    assert sum(map(predicate.matches, partitions)) > 0
    assert time.perf_counter() - start < 1
