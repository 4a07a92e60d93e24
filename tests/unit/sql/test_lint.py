"""What Athena would refuse, and what the embedded host does not answer, each at its place in the whole text."""

import pytest

from datawarehouse.errors import QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.query.binding import Binding
from datawarehouse.sql import lint
from datawarehouse.sql.schema import NOTHING_DECLARED, Declared
from datawarehouse.sql.scripts import statements

NOW_MS = 1_795_000_000_000


def problem(part, tables):
    binding = Binding(Declared(tables, "db") if tables else NOTHING_DECLARED, NOW_MS)
    try:
        return lint.problem(part, binding.planned, is_declared=bool(tables))
    finally:
        binding.close()


@pytest.mark.parametrize(
    ("sql", "place", "who", "says", "error"),
    [
        ("select 1;\n  select nme from events", (2, 10), "refused by Athena", "nme", QueryFailed),
        ("select id from events where at >= '2026-11-23'", (1, 29), "refused by Athena", "Cannot apply", QueryFailed),
        ("select id\nfrom events\nwhere (id = 1", (3, 13), "refused by Athena", "not a statement", SqlSyntaxError),
        ("select 1;\n select name, count(*) from events", (2, 2), "refused by Athena", "GROUP BY", QueryFailed),
        ("select id from events where name = 'x", (1, 1), "refused by Athena", "quote", SqlSyntaxError),
        ("select 1;\n\n insert into t values (1)", (3, 2), "not answered here", "INSERT", QueryRefused),
        ("select 1;\nselect 2, foo(id) from events", (2, 11), "not answered here", "foo", QueryRefused),
    ],
)
def test_a_problem_and_its_place(tables, sql, place, who, says, error):
    found = problem(statements(sql)[-1], tables)
    assert (found.line, found.column) == place
    assert found.who == who
    assert says in found.text and "line " not in found.text
    assert type(found.error) is error


@pytest.mark.parametrize("kind", ["decimal(a, b)", "decimal(1, 2, 3)", "char(n)", "varchar(n)", "varchar(max)"])
def test_a_type_with_arguments_that_are_no_numbers_is_refused_by_name(tables, kind):
    found = problem(statements(f"select cast(id as {kind}) from events")[0], tables)
    assert isinstance(found.error, QueryRefused) and "No cast to" in found.text


def test_parameters_and_statements_about_tables_are_no_problem(tables):
    for part in statements("select id from events where name = ? and id > ?; show tables; describe events"):
        assert problem(part, tables) is None


def test_without_a_declaration_only_the_grammar_of_what_names_tables_is_checked():
    unknown, wrong, plain = statements("select nme from nowhere; select from where; select 1 + 'a'")
    assert problem(unknown, None) is None
    assert isinstance(problem(wrong, None).error, SqlSyntaxError)
    assert isinstance(problem(plain, None).error, QueryFailed)
