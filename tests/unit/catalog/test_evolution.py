"""Which changes of a declaration stored files can follow."""

import pytest

from datawarehouse.catalog.evolution import is_wider, problems
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type


@pytest.mark.parametrize(
    ("old", "new", "wider"),
    [
        ("int", "int", True),
        ("tinyint", "bigint", True),
        ("smallint", "int", True),
        ("int", "smallint", False),
        ("bigint", "double", False),
        ("int", "string", False),
        ("float", "double", True),
        ("double", "float", False),
        ("decimal(5,2)", "decimal(7,2)", True),
        ("decimal(5,2)", "decimal(6,3)", True),
        ("decimal(5,2)", "decimal(6,4)", False),
        ("decimal(5,2)", "decimal(5,1)", False),
        ("varchar(5)", "varchar(9)", True),
        ("varchar(9)", "varchar(5)", False),
        ("char(5)", "string", True),
        ("char(5)", "char(6)", False),
        ("string", "varchar(9)", False),
        ("date", "timestamp", False),
        ("array<int>", "array<bigint>", True),
        ("array<int>", "int", False),
        ("map<string,int>", "map<string,bigint>", True),
        ("map<int,int>", "map<bigint,int>", False),
        ("struct<a:int>", "struct<b:string,a:bigint>", True),
        ("struct<a:int,b:int>", "struct<a:int>", False),
    ],
)
def test_widening(old, new, wider):
    assert is_wider(parse_type(old), parse_type(new)) is wider


def columns(**types):
    return [Column(name, parse_type(kind)) for name, kind in types.items()]


def test_added_and_reordered_columns_are_no_problem():
    assert problems(columns(a="int", b="string"), columns(c="date", b="string", a="bigint")) == []


def test_each_problem_says_what_would_be_needed():
    gone, narrower = problems(columns(a="int", b="bigint"), columns(b="int"))
    assert "column 'a' (int) is no longer declared" in gone
    assert "declare it again" in gone
    assert "column 'b' was bigint and is now int" in narrower
    assert "keep bigint and add a column of another name" in narrower
