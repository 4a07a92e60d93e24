"""EXECUTE IMMEDIATE: a statement in a text, with the values of its parameters."""

import datetime
from decimal import Decimal

import pytest

from datawarehouse.definition.workgroups import chosen, with_defaults
from datawarehouse.errors import BadRequest, QueryError, QueryRefused, SqlSyntaxError
from datawarehouse.sql.guard import decide
from datawarehouse.sql.plan import plan

NOW_MS = 1_795_564_799_000


@pytest.mark.parametrize(
    ("sql", "rows"),
    {
        "execute immediate 'select 1'": [(1,)],
        "EXECUTE IMMEDIATE 'select id from events where id > ? order by id';": None,
        "-- why\nEXECUTE IMMEDIATE 'select id from events where id > ? order by id' USING 1;": [(2,), (3,)],
        "execute immediate 'select ?, ''it''''s'', ?, ?' using 'a''b', -2.5, null": [("a'b", "it's", -2.5, None)],
        "execute immediate 'select ?, ?, ?' using decimal '1.50', date '2026-01-31', timestamp '2026-01-31 01:02:03'": [
            (Decimal("1.50"), datetime.date(2026, 1, 31), datetime.datetime(2026, 1, 31, 1, 2, 3))
        ],
        "execute immediate 'select ?' using -(5), 6": None,
        "execute immediate 'select ? or ?' using false, (true)": [(True,)],
    }.items(),
)
def test_the_inner_statement_answers(answer, sql, rows):
    if rows is None:
        with pytest.raises(BadRequest, match="Incorrect number of parameters"):
            answer(sql)
    else:
        assert answer(sql).rows == rows


@pytest.mark.parametrize(
    ("sql", "error"),
    {
        "execute immediate 'drop table events'": (QueryRefused, "DROP TABLE statements are not allowed"),
        "execute immediate 'execute immediate ''select 1'''": (QueryRefused, "write the inner statement"),
        "execute immediate 'select ?' using (select 1)": (QueryRefused, "in USING is no constant"),
        "execute immediate 'select id from events where id = ?' using id": (
            QueryRefused,
            "'id' in USING is no constant",
        ),
        "execute immediate 'select ?' using json_array(id)": (
            QueryRefused,
            "A function of JSON in USING is no constant",
        ),
        "execute immediate 'select ?' using 1 from events": (SqlSyntaxError, "takes a list of values"),
        "execute immediate 'select 1' order by 1": (QueryRefused, "EXECUTE statements are not allowed"),
        "execute something using 1": (QueryRefused, "EXECUTE SOMETHING statements are not allowed|EXECUTE statements"),
    }.items(),
)
def test_everything_else_is_refused(tables, sql, error):
    with pytest.raises(error[0], match=error[1]):
        plan(sql, tables, "db")


def test_it_takes_no_parameters_beside_its_own(tables):
    with pytest.raises(BadRequest, match="USING"):
        plan("execute immediate 'select ?' using 1", tables, "db", (1,))


def test_the_guard_looks_at_the_inner_statement(tables):
    adhoc = chosen(with_defaults(()), "adhoc")
    tables = {
        name: table.__class__(**{**_fields(table), "hours": "inserted_at"})
        for name, table in tables.items()
        if name == "events"
    }

    def planned(text):
        return plan(text, tables, "db", now_ms=NOW_MS)

    def decided(sql):
        return decide(sql, planned, tables, adhoc, lambda scan: (), NOW_MS)

    assert decided("execute immediate 'select id from events where inserted_at >= ''2026/11/24/00'''").is_allowed
    refused = decided("execute immediate 'select id from events'")
    assert not refused.is_allowed
    assert refused.rewritten is None
    with pytest.raises(QueryError):
        planned("execute immediate 'select id from nothing'")


def _fields(table):
    return {name: getattr(table, name) for name in table.__dataclass_fields__}
