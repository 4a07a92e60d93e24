"""A file of statements is taken apart at its semicolons, and at no other."""

import pytest

from datawarehouse.sql.scripts import statements


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("", []),
        (" ; ;\n-- nothing; here\n;/* nor; here */", []),
        ("select 1", [("select 1", 1, 1)]),
        ("select ';';select 2 ;", [("select ';'", 1, 1), ("select 2", 1, 12)]),
        ("-- first\n  select 1; -- one; more\n\n select 2\n", [("select 1", 2, 3), ("select 2", 4, 2)]),
        ('select "a;b", `c;d`; select 2', [('select "a;b", `c;d`', 1, 1), ("select 2", 1, 22)]),
        ("select 'it''s;'; select 2", [("select 'it''s;'", 1, 1), ("select 2", 1, 18)]),
        ("select 'open; select 2", [("select 'open; select 2", 1, 1)]),
        ("select 1 /* ; /* ; */ ; select 2", [("select 1 /* ; /* ; */", 1, 1), ("select 2", 1, 25)]),
        (r"select 'a\'; select 2", [(r"select 'a\'", 1, 1), ("select 2", 1, 14)]),
    ],
)
def test_statements_and_where_they_are(sql, found):
    assert [(part.text, part.line, part.column) for part in statements(sql)] == found


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        (r"select 'a\'; b'; select 2", [r"select 'a\'; b'", "select 2"]),
        ("create function f() as $$ a; b $$; select 2", ["create function f() as $$ a; b $$", "select 2"]),
        ("select 1 /* ; /* ; */ ; */; select 2", ["select 1 /* ; /* ; */ ; */", "select 2"]),
    ],
)
def test_statements_of_redshift(sql, texts):
    assert [part.text for part in statements(sql, of_redshift=True)] == texts


def test_a_place_of_a_statement_is_told_as_one_of_the_whole_text():
    part = statements("select 1;\n\n   select 2,\n x")[1]
    assert part.told("line 1:8: a, line 2:2: b, no line 3") == "line 3:11: a, line 4:2: b, no line 3"
