"""Where in a record the part stands that it was rejected for."""

import pytest

from datawarehouse.definition.judge import judge_of
from datawarehouse.definition.places import TEXT_CHARACTERS_MAX, shown
from datawarehouse.definition.tables import checked_columns

COLUMNS = checked_columns(
    "t",
    {
        "n": "int", "device": "struct<width:int,os:string>", "tags": "array<int>", "more": "map<string,int>",
        "boxes": "array<struct<w:int>>", "gross": ("double", "US Gross"),
    },
)  # fmt: skip
KEYS = {column.name: column.json_key for column in COLUMNS}


@pytest.mark.parametrize(
    ("record", "marked"),
    [
        ('{"n": "x"}', '"x"'),
        ('{"a": {"n": "inner"}, "N" : "x" }', '"x"'),
        ('{"device": {"os": "a", "Width": "wide"}}', '"wide"'),
        ('{"device": 7}', "7"),
        ('{"tags": [1, "two", 3]}', '[1, "two", 3]'),
        ('{"tags": ["two"]}', '"two"'),
        ('{"tags": "two"}', '"two"'),
        ('{"more": {"it\'s": "x", "b": 1}}', '"x"'),
        ('{"boxes": [{"w": 1}, {"w": "x"}]}', '[{"w": 1}, {"w": "x"}]'),
        ('{"boxes": [{"w": "x"}]}', '"x"'),
        ('{"us gross": "much"}', '"much"'),
        ('\ufeff{"n": "x"}', '"x"'),
        ('{"a": 1} {"n": "x"}', '"x"'),
        ('{"n": ', " "),
        ('{"n": nope}', "n"),
        ('\ufeff{"n": nope}', "n"),
        ('{"n": 99999999999}', "99999999999"),
    ],
)
def test_the_part_at_fault_is_found(record, marked):
    reason = judge_of(COLUMNS)(record.encode())
    assert reason, "it is rejected"
    seen = shown(record.encode(), reason.column, reason.message, KEYS)
    assert seen.text[seen.start : seen.end] == marked and seen.is_exact and not seen.is_cut


@pytest.mark.parametrize(
    "record", ['{"n": 1}', '{"US Gross": 1.5, "tags": [1], "device": {"width": 2}}', '{"n": 1}\n{}']
)
def test_what_is_stored_has_no_fault(record):
    assert judge_of(COLUMNS)(record.encode()) is None


def test_which_of_several_documents_is_at_fault_is_not_guessed():
    reason = judge_of(COLUMNS)(b'{"n": 1} {"n": "x"}')
    assert shown(b'{"n": 1} {"n": "x"}', reason.column, reason.message).start is None


def test_of_a_long_record_the_part_around_the_fault_is_shown():
    record = '{"a": "' + "x" * 10_000 + '", "n": "x", "b": "' + "y" * 10_000 + '"}'
    reason = judge_of(COLUMNS)(record.encode())
    seen = shown(record.encode(), reason.column, reason.message)
    assert seen.text[seen.start : seen.end] == '"x"' and len(seen.text) == TEXT_CHARACTERS_MAX and seen.is_cut
    assert record[seen.before :].startswith(seen.text)


@pytest.mark.parametrize("record", [b'{"n": "\xff"}', b"\xff\xfe\x00", b'{"a\xc3": 1}'])
def test_bytes_that_are_no_text_are_marked_where_they_begin(record):
    reason = judge_of(COLUMNS)(record)
    seen = shown(record, reason.column, reason.message)
    assert not seen.is_exact and seen.text[seen.start : seen.end] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("column", ["n", "x.y", "[]", "n[]", "['a']", "more['", "a.b.c[].d", "."])
@pytest.mark.parametrize(
    "record", [b"", b"{", b'{"n"', b'{"n":', b"[]", b"7", b'{"n": [', b"[" * 10_000, b'{"n": {"n": 1}}']
)
def test_whatever_the_record_and_the_path_are_something_is_shown(record, column):
    seen = shown(record, column, "got it at character 5.")
    assert seen.start is None or 0 <= seen.start <= seen.end <= len(seen.text)
