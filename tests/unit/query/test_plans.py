"""Plans that are kept: the same as a new one, whatever came before, and not for ever."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from datawarehouse import Warehouse
from datawarehouse.errors import QueryFailed
from datawarehouse.query.plans import Plans
from datawarehouse.sql.plan import TableSchema, plan


def schemas(columns):
    [table] = Warehouse("dw").with_streaming_input_table("t", columns).tables()
    return {"t": TableSchema("t", table.columns, table.partition_keys)}


TABLES = schemas({"n": "int"})
NOW_MS = 1_795_503_600_000
SQL = "select ? as value from t where inserted_at = ?"
VALUES = (
    1, True, 1.0, "1", Decimal("1"), Decimal("1.0"), 0.0, -0.0, 0, False, None, "", b"", date(2026, 1, 1),
    datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
)  # fmt: skip


def told(planned):
    return repr(planned), [str(scan.predicate) for scan in planned.scans]


def test_values_that_are_equal_and_differ_have_plans_of_their_own():
    plans = Plans("dw")
    for _ in range(2):
        for value in VALUES:
            for hour in ("2026/03/01/07", "2026/03/01/08"):
                assert told(plans.of(SQL, TABLES, (value, hour), NOW_MS)) == told(
                    plan(SQL, TABLES, "dw", (value, hour))
                )


def test_a_statement_that_comes_again_is_planned_once():
    plans = Plans("dw")
    assert plans.of(SQL, TABLES, (1, "x"), NOW_MS) is plans.of(SQL, schemas({"n": "int"}), (1, "x"), NOW_MS)
    long = f"select '{'x' * 10_000}' from t"
    assert plans.of(long, TABLES, (), NOW_MS) is not plans.of(long, TABLES, (), NOW_MS), "what is kept has a limit"


def test_other_tables_have_other_plans():
    plans = Plans("dw")
    assert plans.of("select * from t", TABLES, (), NOW_MS).column_names == ("n", "inserted_at")
    assert plans.of("select * from t", schemas({"n": "int", "m": "int"}), (), NOW_MS).column_names == (
        "n",
        "m",
        "inserted_at",
    )
    assert plans.of("select * from t", schemas({"n": "bigint"}), (), NOW_MS).column_types == ("bigint", "varchar")
    for _ in range(2):
        with pytest.raises(QueryFailed, match="TABLE_NOT_FOUND"):
            plans.of("select * from t", {}, (), NOW_MS)


def test_the_least_recent_plan_goes():
    plans = Plans("dw")
    first = plans.of("select 0 from t", TABLES, (), NOW_MS)
    for n in range(1, 257):
        plans.of(f"select {n} from t", TABLES, (), NOW_MS)
    assert plans.of("select 0 from t", TABLES, (), NOW_MS) is not first


def test_a_plan_that_reads_the_clock_is_made_at_each_time():
    plans = Plans("dw")
    sql = "select * from t where inserted_at = date_format(now(), '%Y/%m/%d/%H')"
    for later in (0, 1, 3_600_000):
        assert told(plans.of(sql, TABLES, (), NOW_MS + later)) == told(plan(sql, TABLES, "dw", (), NOW_MS + later))


def test_statements_that_may_read_other_tables_do_not_clear_each_others_plans():
    plans = Plans("dw")
    [more] = Warehouse("dw").with_streaming_input_table("more", {"m": "int"}).tables()
    all_tables = TABLES | {"more": TableSchema("more", more.columns, more.partition_keys)}
    kept = {id(tables): plans.of("select n from t", tables, (), NOW_MS) for tables in (TABLES, all_tables)}
    assert len({id(planned) for planned in kept.values()}) == 2
    for _ in range(3):
        for tables in (TABLES, all_tables):
            assert plans.of("select n from t", tables, (), NOW_MS) is kept[id(tables)]
            assert plans.of("select n from t", dict(tables), (), NOW_MS) is kept[id(tables)]
    changed = all_tables | schemas({"n": "bigint"})
    assert plans.of("select n from t", changed, (), NOW_MS).column_types == ("bigint",)
    assert plans.of("select n from t", TABLES, (), NOW_MS) is kept[id(TABLES)]
    with pytest.raises(QueryFailed, match="TABLE_NOT_FOUND"):
        plans.of("select m from more", TABLES, (), NOW_MS)
    assert plans.of("select m from more", changed, (), NOW_MS).column_names == ("m",)


def test_what_is_known_of_sets_of_tables_has_a_limit():
    plans = Plans("dw")
    [table] = TABLES.values()
    for number in range(200):
        plans.of("select 1", {f"t{number}": table}, (), NOW_MS)
    assert len(plans._visible) <= 64
