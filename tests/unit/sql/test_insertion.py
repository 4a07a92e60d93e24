"""A job's statement must fit the table that it fills."""

import pytest

from datawarehouse import Warehouse
from datawarehouse.definition.tables import checked_columns
from datawarehouse.errors import DeclarationError
from datawarehouse.sql.insertion import check_sql_jobs, insertion


def declared(sql, columns=None, reads=()):
    columns = columns or {"id": "string", "total": "bigint"}
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", {"id": "string", "n": "int", "price": "decimal(10,2)"})
        .with_streaming_input_table("views", {"id": "string"})
        .with_view("above", "select c.id, c.m as total from positive c")
        .with_view("positive", "select id, n * 2 as m from clicks where n > 0")
        .with_view("refused", "select error_code as id from clicks_quarantine")
        .with_batch_input_table(
            "daily",
            columns or {"id": "string", "total": "bigint"},
            schedule_expression="rate(1 hour)",
            reads=reads,
            sql=sql,
        )
    )


@pytest.mark.parametrize(
    ("sql", "columns", "reads"),
    [
        ("select id, sum(n) as total from clicks where inserted_at = :partition group by id", None, ()),
        ("select count(*) as total, id from shop.clicks group by id;", None, ("clicks",)),
        ("with a as (select id from views) select ID, 1 as Total from a -- the end", None, ("views",)),
        ("select error_code as id, count(*) as total from clicks_quarantine group by 1", None, ("clicks",)),
        ("select 'x' as id, cast(1 as smallint) as total", None, ()),
        ("select id, total from above", None, ("clicks",)),
        ("select a.id, 1 as total from above a join views v on v.id = a.id", None, ("clicks", "views")),
        ("select id, 1 as total from shop.refused", None, ("clicks",)),
        ("with above as (select id from views) select id, 1 as total from above", None, ("views",)),
        ("select null as id, null as total", None, ()),
        ("select n as d, price as e, :time as f from clicks",
         {"d": "double", "e": "decimal(12,2)", "f": "timestamp"}, ()),
        ("select array[1] as a, cast(row(1, 'x') as row(n int, s varchar)) as r",
         {"a": "array<bigint>", "r": "struct<n:int,s:string>"}, ()),
    ],
)  # fmt: skip
def test_statements_that_fit(sql, columns, reads):
    check_sql_jobs(declared(sql, columns, reads))


@pytest.mark.parametrize(
    ("sql", "columns", "reads", "message"),
    [
        ("select id from clicks", None, (), "does not give the column 'total'; write cast(null as bigint) as total"),
        ("select id, count(*) from clicks group by id", None, (), "gives '_col1', which is not a column; there are id"),
        ("select id, id, 1 as total from clicks", None, (), "two columns named 'id'"),
        ("select id, avg(n) as total from clicks group by id", None, (), "'total' as double, and the column is bigint"),
        (
            "select 1 as id, 1 as total",
            None,
            (),
            "'id' as integer, and the column is varchar; write cast(... as varchar)",
        ),
        ("select id, 1 as total from clicks", None, ("views",), "reads 'clicks', which is not in reads"),
        ("select id, total from above", None, ("views",), "reads 'clicks' through the view 'above', which is not in"),
        ("select id, 1 as total from refused", None, ("views",), "reads 'clicks' through the view 'refused', which"),
        ("select id, nothing as total from above", None, (), "cannot run: COLUMN_NOT_FOUND"),
        ("select id, 1 as total from nowhere", None, (), "cannot run: TABLE_NOT_FOUND"),
        ("select id, 1 as total from clicks where", None, (), "cannot run: line 1:"),
        ("select 'x' as id, 1 as total) union (select 'y', 2", None, (), "cannot run"),
        ("select ? as id, 1 as total", None, (), "cannot run"),
        ("drop table clicks", None, (), "cannot run"),
        ("select 'x' as id, 1 as total; drop table clicks", None, (), "cannot run"),
        ("show tables", None, (), "is not a SELECT"),
        ("explain select 'x' as id, 1 as total", None, (), "is not a SELECT"),
        ("select n as d from clicks", {"d": "smallint"}, (), "'d' as integer, and the column is smallint"),
    ],
)
def test_statements_that_do_not_fit_are_refused_by_name(sql, columns, reads, message):
    with pytest.raises(DeclarationError) as error:
        check_sql_jobs(declared(sql, columns, reads))
    assert str(error.value).startswith("Table 'daily': its sql ")
    assert message in str(error.value)


def test_the_columns_of_the_statement_are_those_of_the_table():
    columns = checked_columns("t", {"a": "int", "b": "array<struct<x:string>>"})
    assert insertion(columns, "select 1 as b -- x") == (
        'SELECT CAST("a" AS integer) AS "a", CAST("b" AS array(row(x varchar))) AS "b" FROM (\nselect 1 as b -- x\n)'
    )
