"""A column can take a key of events that could not be its name: on the fast path, by the exact rules, and on AWS."""

import json

import pytest
from running import running

from datawarehouse import Warehouse
from datawarehouse.errors import DeclarationError
from datawarehouse.functions.convert_events import EventConverter
from datawarehouse.testing import simulate

COLUMNS = {"title": "string", "gross_us": ("double", "US Gross"), "maker": ("struct<name:string>", "@maker")}


def declared(columns=COLUMNS):
    return Warehouse("films").with_streaming_input_table("films", columns=columns)


@pytest.mark.parametrize("escape", ["", "\\u0020"], ids=["fast path", "exact rules"])
def test_a_column_takes_its_key_whatever_the_case(tmp_path, escape):
    texts = [
        '{"title": "a", "US%sGross": 1.5, "@maker": {"name": "x"}}' % (escape or " "),
        '{"TITLE": "b", "us gross": 2, "gross_us": 9}',
        '{"title": "c", "US%sGross": "much"}' % (escape or " "),
        '{"title": "d", "US Gross": 1, "us gross": 2}',
    ]
    with simulate(declared(), tmp_path) as warehouse:
        for text in texts:
            warehouse.put("films", text.encode())
        rows = warehouse.query("select title, gross_us, maker.name as maker from films order by 1").dicts()
        assert rows == [
            {"title": "a", "gross_us": 1.5, "maker": "x"},
            {"title": "b", "gross_us": 2.0, "maker": None},
        ]
        rejected = sorted((row["column_name"] or "", row["raw_data"]) for row in warehouse.quarantine("films"))
        assert rejected == [("", texts[3].encode()), ("gross_us", texts[2].encode())]
        [films] = [table for table in warehouse.status()["tables"] if table["table"] == "films"]
        assert films["unknown_keys"] == {"gross_us": 1}, "a key that is only the name of its column is no column's"


def test_events_made_up_have_the_keys(tmp_path):
    table = f".with_streaming_input_table('films', columns={COLUMNS!r})"
    declaration = f"from datawarehouse import Warehouse\nwarehouse = Warehouse('w'){table}\n"
    with running(tmp_path, declaration=declaration) as warehouse:
        warehouse.dw("generate", "films", "--count", "50", "--seed", "1")
        warehouse.flush()
        [counted] = warehouse.query("select count(*) as n, count(gross_us) as has from films")
        assert counted["n"] == 50 and counted["has"] > 0


def test_lambda_takes_the_same_key():
    columns = declared().get_table("films").columns
    row = json.loads(EventConverter(columns, "inserted_at").row(b'{"US GROSS": 3, "title": "a"}', "2026/01/01/00"))
    assert (row["gross_us"], row["title"]) == (3.0, "a")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ("int", "b"), "b": "int"}, "both take the JSON key 'b'"),
        ({"a": ("int", 'say "a"')}, "without quotes"),
        ({"a": ("int", "")}, "1 to 255 characters"),
        ({"a": ("int", "b", "c")}, r"\(type, key\)"),
        ({"a": ("integer", "b")}, "integer"),
    ],
)
def test_what_cannot_be_a_key_is_refused(columns, message):
    with pytest.raises(DeclarationError, match=message):
        declared(columns)


def test_only_columns_of_events_have_keys():
    with pytest.raises(DeclarationError, match="only a column of a streaming input table"):
        Warehouse("w").with_table("t", columns={"a": ("int", "A b")})
