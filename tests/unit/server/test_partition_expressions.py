"""Expressions that choose partitions, as Trino, dbt, awswrangler and people write them."""

import pytest

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import BadRequest
from datawarehouse.server.partition_expressions import chosen_by

KEYS = (Column("inserted_at", parse_type("string")), Column("n", parse_type("int")))
VALUES = [(f"2026/01/0{day}/{hour:02}", str(n)) for day in (1, 2, 3) for hour in (0, 12) for n in (2, 10)]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("", lambda at, n: True),
        ("inserted_at = '2026/01/02/12'", lambda at, n: at == "2026/01/02/12"),
        ("((inserted_at = '2026/01/02/12'))", lambda at, n: at == "2026/01/02/12"),
        ("(inserted_at in ('2026/01/02/12', 'x'))", lambda at, n: at == "2026/01/02/12"),
        (
            "((inserted_at >= '2026/01/01/12' AND inserted_at < '2026/01/02/12') OR (inserted_at > '2026/01/03'))"
            " AND ((n >= 10))",
            lambda at, n: ("2026/01/01/12" <= at < "2026/01/02/12" or at > "2026/01/03") and n >= 10,
        ),
        ("inserted_at = '__HIVE_DEFAULT_PARTITION__'", lambda at, n: False),
        ("inserted_at between '2026/01/01/12' and '2026/01/02/00' and n<>2", lambda at, n: (
            "2026/01/01/12" <= at <= "2026/01/02/00" and n != 2
        )),
        ("n > 2", lambda at, n: n > 2),
        ("n>'2'", lambda at, n: n > 2),
        ("n != 10 or n == 10.0", lambda at, n: True),
        ("9 <= n", lambda at, n: n >= 9),
        ("'2026/01/02/00' > inserted_at", lambda at, n: at < "2026/01/02/00"),
        ("n not in (2, 3)", lambda at, n: n != 2),
        ("not n between 1 and 5", lambda at, n: n > 5),
        ("not not n = 2 and not (n = 3 or n = 4)", lambda at, n: n == 2),
        ("inserted_at like '2026/01/02/%'", lambda at, n: at.startswith("2026/01/02")),
        ("inserted_at NOT LIKE '%/__'", lambda at, n: False),
        ("\"INSERTED_AT\" <= '2026/01/01/00'", lambda at, n: at == "2026/01/01/00"),
        ("`inserted_at` is not null AND n IS NULL", lambda at, n: False),
        ("inserted_at > date '2026-01-01'", lambda at, n: True),
        ("inserted_at = 'it''s'", lambda at, n: False),
        ("n = -1 or n=2", lambda at, n: n == 2),
        ("n = 2 or n = 10 and n = 2", lambda at, n: n == 2),
    ],
)  # fmt: skip
def test_what_is_chosen(expression, wanted):
    choice = chosen_by(expression, KEYS)
    found = [values for values in VALUES if wanted(values[0], int(values[1]))]
    assert [values for values in VALUES if choice.is_chosen(values)] == found
    assert all((choice.low or "") <= at <= (choice.high or "~") for at, _ in found)


def test_bounds():
    def bounds(expression):
        choice = chosen_by(expression, KEYS)
        return choice.low, choice.high

    assert bounds("inserted_at >= 'b' and inserted_at < 'd' and n = 1 and inserted_at > 'c'") == ("c", "d")
    assert bounds("'c' = inserted_at") == bounds("inserted_at between 'c' and 'c'") == ("c", "c")
    assert bounds("(inserted_at = 'a' or inserted_at between 'b' and 'c') and inserted_at <> 'b'") == ("a", "c")
    assert bounds("inserted_at = 'a' or n = 1") == bounds("not inserted_at = 'a'") == bounds("") == (None, None)
    assert bounds("inserted_at > '' or inserted_at = 'b'") == ("", None)
    assert bounds("inserted_at < '' or inserted_at = 'b'") == (None, "b")


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("color = 'red'", "no partition key 'color'; there are inserted_at, n"),
        ("inserted_at", "its end at character 12, where a comparison is needed"),
        ("inserted_at = ", "its end at character 15, where a text in single quotes or a number is needed"),
        ("inserted_at = 'a", "cannot be read at character 14"),
        ("inserted_at = 'a' and", "where a partition key is needed"),
        ("inserted_at = 'a')", r"\) at character 18, after its end"),
        ("(inserted_at = 'a'", r"where \) is needed"),
        ("inserted_at in ()", "where a text"),
        ("inserted_at not 'a'", "where BETWEEN, IN or LIKE is needed"),
        ("1 = 1", "where a partition key is needed"),
        ("inserted_at = n", "where a text"),
        ("n = 'x'", "a key that is a number with 'x'"),
        ("inserted_at = 'a'; drop table x", "cannot be read at character 18"),
        ("upper(inserted_at) = 'A'", "no partition key 'upper'"),
        ("(" * 100 + "n = 1" + ")" * 100, "more than 64 levels"),
        ("n = 1 or " * 300 + "n = 1", "at most 2048"),
        ("\u00e9 = 1", "cannot be read at character 1"),
    ],
)
def test_what_is_none(expression, says):
    with pytest.raises(BadRequest, match=says):
        chosen_by(expression, KEYS)
