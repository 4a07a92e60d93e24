"""The command that counts what is right: pairs that are made here, each with the outcome that it must have."""

import pytest
from golden_answers import documented
from trino_pairs import DIFFERENCES, DOCUMENTED, INVALID, REFUSED, RIGHT, UNCHECKED, WRONG, in_scope, measuring, worst
from trino_values import ABSENT, PAIRS, nearly_same_rows, pairs


@pytest.fixture(scope="module")
def measure():
    with measuring() as measure:
        yield measure


def value(v):
    return {"kind": "value", "v": v}


@pytest.mark.parametrize(
    ("sql", "expected", "outcome"),
    [
        ("SELECT 1 + 1", value(2), RIGHT),
        ("SELECT 1 + 1", value(3), WRONG),
        ("SELECT 1 + 1", value(True), WRONG),
        ("SELECT 2.5E0", value({"f": "2.5"}), RIGHT),
        ("SELECT 1 / 0", {"kind": "error"}, RIGHT),
        ("SELECT 1", {"kind": "error"}, INVALID),
        ("SELECT 1", {"kind": "succeeds"}, RIGHT),
        ("SELECT no_such_function(1)", value(2), REFUSED),
        ("VALUES 1, 2", {"kind": "rows", "v": [[2], [1]]}, RIGHT),
        ("VALUES 1, 2", {"kind": "sql", "sql": "VALUES 2, 1"}, RIGHT),
        ("VALUES 1, 2", {"kind": "sql", "sql": "VALUES 1, 2, 2"}, WRONG),
        ("VALUES 1", {"kind": "sql", "sql": "VALUES no_such_function(1)"}, UNCHECKED),
        ("EXECUTE IMMEDIATE 'VALUES 1'", {"kind": "sql", "sql": "VALUES 1"}, RIGHT),
        ("SHOW TABLES", {"kind": "succeeds"}, RIGHT),
        ("SELECT name FROM nation", {"kind": "h2", "sql": "SELECT name FROM nation ORDER BY 1 DESC"}, RIGHT),
        ("SELECT name FROM nation", {"kind": "h2", "sql": "SELECT name FROM nation LIMIT 24"}, WRONG),
        ("SELECT stddev(size) FROM part", {"kind": "h2", "sql": "SELECT stddev(size) FROM part"}, RIGHT),
        ("SELECT 1", {"kind": "h2", "sql": "SELECT no_such_function(1)"}, UNCHECKED),
        ("SELECT approx_distinct(x) FROM (VALUES 1) t(x)", value(2), DOCUMENTED),
    ],
)
def test_each_answer_has_its_outcome(measure, sql, expected, outcome):
    [found] = measure.found({"sql": sql, "expected": expected, "area": ""})
    assert found.outcome == outcome, found


def test_a_pair_is_as_its_worse_form(measure):
    record = {"sql": "SELECT 2", "sql_values": "SELECT missing FROM (VALUES 2) t(x)", "expected": value(2), "area": ""}
    found = measure.found(record)
    assert [each.outcome for each in found] == [RIGHT, REFUSED]
    assert worst(found).outcome == REFUSED


def test_order_counts_where_the_test_says_so(measure):
    record = {"sql": "VALUES 1, 2", "expected": {"kind": "h2", "sql": "VALUES (2), (1)"}, "area": ""}
    assert [each.outcome for each in measure.found(record)] == [RIGHT]
    assert [each.outcome for each in measure.found(record | {"ordered": True})] == [WRONG]


def test_another_engines_numbers_may_have_other_last_digits_and_no_more():
    assert nearly_same_rows([[0.1 + 0.2, True]], [[0.3, 1]])
    assert not nearly_same_rows([[0.3001]], [[0.3]])
    assert not nearly_same_rows([[2**60]], [[2**60 + 1]])


def test_each_documented_difference_is_a_row_of_the_page():
    assert {each.row for each in DIFFERENCES} <= {row["what"] for row in documented()["row"]}


@pytest.mark.skipif(not PAIRS.exists(), reason=ABSENT)
def test_the_pairs_in_scope_are_those_that_are_counted():
    assert len(in_scope(pairs())) == 5_717
