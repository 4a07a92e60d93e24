"""A plan names the macros that its statement needs, and no others."""

import re

import duckdb
import pytest

from datawarehouse.sql.plan import SETTING, plan
from datawarehouse.sql.translate.macros import macros_in

NAME = re.compile(r"\btrino_\w+")
STATEMENTS = {
    "select 1": (),
    "select substr('abc', 2)": ("trino_substr",),
    "select cast(cast(1e10 as double) as varchar)": ("trino_java_digits", "trino_double_cast"),
    "select cast(json_parse('1') as bigint)": (
        "trino_integer_text",
        "trino_java_digits",
        "trino_double_cast",
        "trino_strict_json",
        "trino_json_text",
        "trino_json_integer",
    ),
    "select from_iso8601_timestamp('2026-03-01')": ("trino_iso_instant", "trino_iso_utc"),
    "select 'trino_of_nobody(1)'": (),
}


def made(statements):
    return tuple(NAME.search(statement)[0] for statement in statements)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_statement_gets_the_macros_that_it_uses(sql):
    planned = plan(sql, {}, "db")
    assert made(planned.macros) == STATEMENTS[sql]
    with duckdb.connect(config={"threads": 1}) as connection:
        for statement in (SETTING, *planned.macros, *planned.macros):
            connection.execute(statement)
        assert len(connection.sql(planned.sql).to_arrow_table()) == 1


def test_what_a_macro_uses_is_made_before_it():
    names = made(macros_in(" ".join(NAME.findall(" ".join(macros_in("trino_json_integer trino_iso_utc"))))))
    assert set(names) >= {"trino_json_text", "trino_iso_instant"}
    for name in names:
        needed = macros_in(name)
        assert made(needed)[-1] == name
        assert set(NAME.findall(" ".join(needed))) == set(made(needed))
