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
                assert told(plans.of(SQL, TABLES, (value, hour))) == told(plan(SQL, TABLES, "dw", (value, hour)))


def test_a_statement_that_comes_again_is_planned_once():
    plans = Plans("dw")
    assert plans.of(SQL, TABLES, (1, "x")) is plans.of(SQL, schemas({"n": "int"}), (1, "x"))
    long = f"select '{'x' * 10_000}' from t"
    assert plans.of(long, TABLES, ()) is not plans.of(long, TABLES, ()), "what is kept has a limit"


def test_other_tables_have_other_plans():
    plans = Plans("dw")
    assert plans.of("select * from t", TABLES, ()).column_names == ("n", "inserted_at")
    assert plans.of("select * from t", schemas({"n": "int", "m": "int"}), ()).column_names == ("n", "m", "inserted_at")
    assert plans.of("select * from t", schemas({"n": "bigint"}), ()).column_types == ("bigint", "varchar")
    for _ in range(2):
        with pytest.raises(QueryFailed, match="TABLE_NOT_FOUND"):
            plans.of("select * from t", {}, ())


def test_the_least_recent_plan_goes():
    plans = Plans("dw")
    first = plans.of("select 0 from t", TABLES, ())
    for n in range(1, 257):
        plans.of(f"select {n} from t", TABLES, ())
    assert plans.of("select 0 from t", TABLES, ()) is not first
