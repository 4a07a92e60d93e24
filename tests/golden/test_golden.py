"""What a real Trino answered to our statements, and what we answer."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from golden_answers import PAGE, differing, named, shown, tables_of_the_page
from golden_statements import ROWS, cases, for_trino
from real_trino import recorded, version

from datawarehouse.sql.translate import calls

STATEMENTS_MIN = 2_000
PARTS = 4


@pytest.fixture(scope="module")
def answers():
    return recorded()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_answer_is_trinos_or_documented(answers, part):
    different, known = differing(answers, part, PARTS), named()
    unknown = [shown(statement, *found) for statement, found in different.items() if statement not in known]
    assert not unknown, "\n".join(unknown[:20])
    asked = {line["sql"] for line in [line for line in answers if "sql" in line][part::PARTS]}
    assert [statement for statement in known if statement in asked - set(different)] == [], "these are as in Trino"


def test_each_difference_is_named_once(answers):
    assert len(named()) == len(set(named()))
    assert set(named()) <= {line.get("sql") for line in answers}


def test_the_answers_are_of_these_statements_and_of_this_trino(answers):
    assert answers[0] == {"trino": version()}
    asked = {line["sql"] for line in answers if "sql" in line}
    assert {case.whole for case in cases()} <= asked
    assert len(asked) >= STATEMENTS_MIN


def test_the_page_has_the_tables_of_the_differences():
    page = PAGE.read_text(encoding="utf-8")
    for name, table in tables_of_the_page().items():
        assert f"<!-- {name} -->\n{table}\n<!-- end -->" in page, "python tests/golden/golden_answers.py page"


def test_every_function_has_an_answer_over_columns_with_null_and_edges(answers):
    over_columns = [
        line["sql"].lower()
        for line in answers
        if "sql" in line and len(line.get("rows", ())) > 1 and re.search(r"from (edges|sales)", line["sql"].lower())
    ]
    called = set(re.findall(r"\b(\w+)\s*\(", "\n".join(over_columns)))
    missing = {name for kind in calls.names().values() for name in kind} - called
    assert missing == set()


def test_each_row_of_edges_is_asked(answers):
    [edges] = [line["rows"] for line in answers if line.get("table") == "edges"]
    assert len(edges) == ROWS
    assert set(edges[0][1:]) == {None}


@pytest.mark.parametrize(
    ("ours", "trinos"),
    [
        ("select 1.5, .5, 2.", "select 1.5E0, .5E0, 2.E0"),
        ("select 1.5e3, 1E-7, 15, 1e0", "select 1.5e3, 1E-7, 15, 1e0"),
        ("select '1.5', 'it''s 1.5', \"a1.5\"", "select '1.5', 'it''s 1.5', \"a1.5\""),
        ("select decimal '1.5', t1.c2, x.y, a[1].b", "select decimal '1.5', t1.c2, x.y, a[1].b"),
        ("select -1.5+x*0.5", "select -1.5E0+x*0.5E0"),
    ],
)
def test_bare_decimals_are_doubles(ours, trinos):
    assert for_trino(ours) == trinos
