"""Statements of Redshift: the Athena form, its value, or why it needs a person. The cases are in cases.txt."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.query.binding import Binding
from datawarehouse.sql.plan import TableSchema
from datawarehouse.sql.redshift import aggregates, functions, translation
from datawarehouse.sql.schema import NOTHING_DECLARED, Declared

NOW_MS = 1_795_000_000_000  # 2026-11-18


@dataclass
class Case:
    sql: str
    line: int
    translated: str | None = None
    reasons: list[str] = field(default_factory=list)
    query: str | None = None
    notes: list[str] = field(default_factory=list)
    rows: str | None = None


def cases():
    found = []
    for number, line in enumerate((Path(__file__).parent / "cases.txt").read_text().splitlines(), 1):
        mark, text = line[:2], line[2:]
        match mark:
            case "< ":
                found.append(Case(text, number))
            case "> ":
                found[-1].translated = text
            case "! ":
                found[-1].reasons.append(text)
            case "q ":
                found[-1].query = text
            case "~ ":
                found[-1].notes.append(text)
            case "= ":
                found[-1].rows = text
            case _:
                assert not line or line.startswith("#"), f"line {number}: {line}"
    return found


def shown(rows):
    return " ; ".join(" | ".join(_cell(cell) for cell in row) for row in rows)


def _cell(cell):
    if cell is None:
        return "NULL"
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


CASES = cases()


@pytest.fixture(scope="module")
def translate():
    """The translation of a statement over declared tables or none, checked as `dw translate` checks it."""
    bindings = {}

    def translated(sql, declared):
        if id(declared) not in bindings:
            bindings[id(declared)] = Binding(declared or NOTHING_DECLARED, NOW_MS)
        return translation.translate(sql, declared, bindings[id(declared)].planned, NOW_MS)

    yield translated
    for binding in bindings.values():
        binding.close()


@pytest.fixture(scope="module")
def declared(tables):
    return Declared(tables, "db")


def test_each_function_that_is_translated_has_a_case():
    translated = " ".join(case.sql for case in CASES if case.translated).lower()
    named = {*functions.ALIKE, *functions.RULES, *aggregates.RULES} - {"sysdate"}
    assert sorted(name for name in named if not re.search(rf"\b{name}\b", translated)) == []


def test_there_are_cases_of_both_kinds():
    assert len(CASES) >= 120
    assert all((case.translated is None) == bool(case.reasons) for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"line_{case.line}")
def test_what_becomes_of_a_statement(case, declared, answer, translate):
    found = translate(case.sql, declared)
    assert (found.sql and " ".join(found.sql.split("\n"))) == case.translated
    assert list(found.reasons) == case.reasons
    assert list(found.notes) == case.notes
    assert (found.query.sql if found.query else None) == case.query
    if case.rows is not None:
        assert shown(answer(found.sql).rows) == case.rows


# -- without a declaration


def test_without_a_declaration_it_says_what_it_could_not_check(translate):
    sql = "select avg(x), date_trunc('day', t) as d, count(*) from s.visits where t > '2026-01-01' group by d"
    found = translate(sql, None)
    assert found.sql.replace("\n", " ") == (
        "SELECT avg(x), date_trunc('day', CAST(t AS timestamp)) AS d, count(*) FROM s.visits "
        "WHERE t > '2026-01-01' GROUP BY 2"
    )
    assert found.unchecked == (
        "the tables and columns of visits: there is no declaration",
        "x is a double precision number: the average of whole numbers is whole in Redshift",
        "t is a date, or a timestamp without a time zone",
        "t is a text: a date is compared with DATE '...', a timestamp with TIMESTAMP '...'",
        "no table has a column d: it is then the d of the SELECT list",
    )


def test_without_a_declaration_a_statement_without_tables_is_checked_wholly(translate):
    assert translate("select nvl(1, 2)", None).unchecked == ()
    assert translate("select a from (select 1 as b)", None).reasons == ("line 1:8: there is no column a; there are b.",)


def test_what_the_planner_refuses_is_not_printed_as_translated(declared, translate):
    found = translate("select max(id) from events where id = count(*)", declared)
    assert found.sql is None
    assert found.reasons[0].startswith("its form in Athena SQL is refused: ") and "line" not in found.reasons[0]
    unbound = translate("select name, count(*) from events", declared)
    assert "GROUP BY" in unbound.reasons[0]


# -- the bound of arrival


@pytest.fixture(scope="module")
def clicks():
    def columns(**types):
        return tuple(Column(name, parse_type(text)) for name, text in types.items())

    schema = TableSchema(
        "clicks", columns(id="bigint", at="timestamp"), columns(inserted_at="string"), "inserted_at", "at"
    )
    return Declared({"clicks": schema}, "shop")


def test_a_bound_of_event_time_gets_one_of_arrival(clicks, translate):
    found = translate("select count(*) from clicks where at >= '2026-11-10 07:30:00' and id = 5", clicks)
    assert found.sql == "SELECT count(*) FROM clicks WHERE at >= TIMESTAMP '2026-11-10 07:30:00' AND id = 5"
    assert found.bounded == (
        "SELECT count(*) FROM clicks WHERE inserted_at >= '2026/11/10/06' and "
        "at >= TIMESTAMP '2026-11-10 07:30:00' AND id = 5"
    )


def test_a_bound_that_moves_with_the_time_is_told_as_one_of_now(clicks, translate):
    found = translate("select id from clicks where at >= dateadd(day, -7, getdate())", clicks)
    assert "inserted_at >= '2026/11/11/10' and at >= date_add('day', -7, " in found.bounded
    assert found.notes[-1].startswith("the bound of arrival below is counted from now")


def test_each_use_of_a_table_gets_its_own_bound(clicks, translate):
    sql = "select a.id from clicks a join clicks b on a.id = b.id where a.at > '2026-11-01' and b.at > '2026-11-02'"
    assert translate(sql, clicks).bounded.replace("\n", " ") == (
        "SELECT a.id FROM (select * from clicks where inserted_at >= '2026/10/31/23') AS a "
        "JOIN (select * from clicks where inserted_at >= '2026/11/01/23') AS b ON a.id = b.id "
        "WHERE a.at > TIMESTAMP '2026-11-01 00:00:00' AND b.at > TIMESTAMP '2026-11-02 00:00:00'"
    )


def test_no_bound_is_suggested_where_there_is_one_or_nothing_to_make_it_of(clicks, translate):
    bounded = translate("select id from clicks where at > '2026-11-10' and inserted_at >= '2026/11/10'", clicks)
    assert (bounded.bounded, bounded.notes[:-1]) == (None, ())
    unbounded = translate("select id from clicks where id = 1", clicks)
    assert unbounded.bounded is None
    assert unbounded.notes == ("nothing bounds inserted_at of clicks: Athena reads each of its hours",)
