"""The type that each column gets, and why."""

import json

import pytest

from datawarehouse.definition.documents import documents
from datawarehouse.definition.inference import column_name, infer
from datawarehouse.definition.tables import checked_columns


def inferred(*events, **options):
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return infer([document for line in lines for document in documents(line.encode())], **options)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, -5, None), "bigint"),
        ((1, 2.5), "double"),
        ((1.0,), "double"),
        ((2**63,), "double"),
        ((True, False), "boolean"),
        (("1", "2"), "string"),
        (("true",), "string"),
        (("2026-01-05", "1999-12-31"), "date"),
        (("2026-01-05", "1999-12-31 23:00:00"), "string"),
        (("2026-01-05T09:00:00Z", "2026-01-05 09:00:00.123"), "timestamp"),
        (("2026-01-05T09:00:00.123456Z",), "string"),
        (("2026-02-30",), "string"),
        (("Jan 1 2000", "12/31/1999"), "string"),
        ((1, "a"), "string"),
        ((None,), "string"),
        (([1, 2], []), "array<bigint>"),
        (([], None), "array<string>"),
        (([{"a": 1}, {"b": [True]}],), "array<struct<a:bigint,b:array<boolean>>>"),
        (({"a": 1, "B": "x"}, {"a": None, "b": "y"}), "struct<a:bigint,b:string>"),
        (({"user-agent": "x"},), "map<string,string>"),
        (({"user-agent": 1, "b": "x"},), "map<string,string>"),
        (({str(number): number for number in range(100)},), "map<string,bigint>"),
        (({}, {}), "string"),
        (({"a": 1}, [1]), "string"),
    ],
)
def test_the_narrowest_type_that_takes_each_value(values, kind):
    [column] = inferred(*({"c": value} for value in values))
    assert column.type == kind
    checked_columns("t", {column.name: column.type})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("1", "-5"), "bigint"),
        (("1", "2.5"), "double"),
        (("007", "1"), "string"),
        (("true", "FALSE"), "boolean"),
        (("2026-01-05",), "date"),
        (("20260105",), "bigint"),
        (("1", "N/A"), "string"),
    ],
)
def test_a_file_of_texts_alone_has_numbers_too(values, kind):
    [column] = inferred(*({"c": value} for value in values), only_texts=True)
    assert column.type == kind


def test_a_key_that_can_be_no_name_is_kept_as_the_key():
    event = {"US Gross": 1, "us_gross": 2, "@type": "x", "ID": 1, "inserted_at": "q", "1st": 1, "é": 1, 'a"b': 1}
    found = {column.name: (column.type, column.key) for column in inferred(event, taken=("inserted_at",))}
    assert found == {
        "us_gross_2": ("bigint", "US Gross"),
        "us_gross": ("bigint", None),
        "type": ("string", "@type"),
        "id": ("bigint", None),
        "inserted_at_2": ("string", "inserted_at"),
        "c_1st": ("bigint", "1st"),
        "c": ("bigint", "é"),
    }
    checked_columns("t", {name: kind if key is None else (kind, key) for name, (kind, key) in found.items()})


def test_what_was_seen_is_told():
    columns = inferred({"n": 5, "at": "2026-01-05", "x": 1}, {"n": -1.5, "at": "2026-01-06", "x": "a"}, {"n": None})
    assert [column.why for column in columns] == [
        "numbers, -1.5 to 5, in 2 of 3 events",
        "dates, such as '2026-01-05' and '2026-01-06', in 2 of 3 events",
        "values of several kinds: 1 numbers, 1 texts, in 2 of 3 events",
    ]


@pytest.mark.parametrize(("text", "name"), [("US Gross", "us_gross"), ("7z", "c_7z"), ("--", "c"), ("_x", "x")])
def test_any_text_gives_a_name(text, name):
    assert column_name(text) == name
