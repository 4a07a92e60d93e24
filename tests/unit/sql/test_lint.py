"""What Athena would refuse, and what the embedded host does not answer, each at its place in the whole text."""

import pytest

from datawarehouse.errors import QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql.lint import problem
from datawarehouse.sql.schema import Declared
from datawarehouse.sql.scripts import statements

NOW_MS = 1_795_000_000_000


@pytest.mark.parametrize(
    ("sql", "place", "who", "says", "error"),
    [
        ("select 1;\n  select nme from events", (2, 10), "refused by Athena", "nme", QueryFailed),
        ("select id from events where at >= '2026-11-23'", (1, 29), "refused by Athena", "Cannot apply", QueryFailed),
        ("select id\nfrom events\nwhere (id = 1", (3, 13), "refused by Athena", "not a statement", SqlSyntaxError),
        ("select 1;\n\n insert into t values (1)", (3, 2), "not answered here", "INSERT", QueryRefused),
        ("select 1;\nselect 2, foo(id) from events", (2, 11), "not answered here", "foo", QueryRefused),
    ],
)
def test_a_problem_and_its_place(tables, sql, place, who, says, error):
    found = problem(statements(sql)[-1], Declared(tables, "db"), NOW_MS)
    assert (found.line, found.column) == place
    assert found.who == who
    assert says in found.text and "line " not in found.text
    assert type(found.error) is error


def test_parameters_and_statements_about_tables_are_no_problem(tables):
    for part in statements("select id from events where name = ? and id > ?; show tables; describe events"):
        assert problem(part, Declared(tables, "db"), NOW_MS) is None


def test_without_a_declaration_only_the_grammar_of_what_names_tables_is_checked():
    unknown, wrong, plain = statements("select nme from nowhere; select from where; select 1 + 'a'")
    assert problem(unknown, None, NOW_MS) is None
    assert isinstance(problem(wrong, None, NOW_MS).error, SqlSyntaxError)
    assert isinstance(problem(plain, None, NOW_MS).error, QueryFailed)
