"""Jobs in SQL: the values of a run, and what is refused when they are declared."""

import pytest

from datawarehouse import Warehouse
from datawarehouse.definition.sql_job import bound
from datawarehouse.errors import DeclarationError

TIME_MS = 1_772_348_461_005  # 2026-03-01T07:01:01.005Z


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select :partition", "select '2026/03/01/06'"),
        ("select :open_partition, :time", "select '2026/03/01/07', timestamp '2026-03-01 07:01:01.005'"),
        ("a=:partition and b=:partition", "a='2026/03/01/06' and b='2026/03/01/06'"),
        ("select ':partition'", "select ':partition'"),
        ("select 'it''s :partition' || :partition", "select 'it''s :partition' || '2026/03/01/06'"),
        ('select ":partition" from t', 'select ":partition" from t'),
        ("select 1 -- :partition\n, :partition", "select 1 -- :partition\n, '2026/03/01/06'"),
        ("select /* :time\n:time */ :partition", "select /* :time\n:time */ '2026/03/01/06'"),
        ("select '10:30', x[1:2]", "select '10:30', x[1:2]"),
    ],
)
def test_values_take_the_places_of_their_names(sql, expected):
    assert bound(sql, TIME_MS) == expected


def declared_sql(sql):
    schedule = "rate(1 hour)"
    [table] = Warehouse("w").with_batch_input_table("t", {"n": "int"}, schedule_expression=schedule, sql=sql).tables()
    return table.job.sql


@pytest.mark.parametrize("end", [";", " ; ", ";;", "; -- done", ";\n/* all;\n*/ ;\n"])
@pytest.mark.parametrize("sql", ["select 1 as n", "select ';' as n", "select 1 as n -- ; x\n", "select ';--' as n"])
def test_a_statement_ends_before_its_semicolon(sql, end):
    assert declared_sql(sql + end) == sql.strip()


def test_a_second_statement_is_left_to_be_refused():
    sql = f"select 1 as n; {'-' * 200}\n select 2 as n"
    assert declared_sql(sql + ";") == sql


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sql": "select :hour"}, "':hour', which no run has; there are :partition, :open_partition, :time"),
        ({"sql": ""}, "it is the text of one SELECT"),
        ({"sql": 7}, "sql is 7"),
        ({}, "give job=... or sql=..."),
        ({"sql": "select 1 as n", "job": print}, "give job=... or sql=..."),
        ({"sql": "select 1 as n", "schedule_expression": None}, "has no schedule_expression"),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_declared(arguments, message):
    given = {"schedule_expression": "rate(1 hour)", **arguments}
    with pytest.raises(DeclarationError, match=message.replace("(", r"\(").replace(".", r"\.")):
        Warehouse("w").with_batch_input_table("t", {"n": "int"}, **given)
