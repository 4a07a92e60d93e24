"""Which keys count as such that no column has."""

from datawarehouse import Warehouse
from datawarehouse.convert.rows import RowConverter
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.definition.unknown_keys import CHARACTERS_MAX, KEYS_MAX, OTHER, add_keys, still_unknown
from datawarehouse.testing import simulate

KINDS = {"d": "decimal(5,2)", "to": "struct<zip:string>", "m": "map<string,array<struct<x:int>>>"}
COLUMNS = [Column(name, parse_type(kind)) for name, kind in KINDS.items()]


def test_only_those_of_records_that_became_rows_count():
    records = [
        b'{"d":1,"extra":1,"to":{"zipp":1}}',
        b'{"d":"no number","extra":1,"to":{"zipp":1}}',  # decoded, and handed back to the exact rules
        b'{"d":1,"extra":1,"to":{"zipp":1},"TO":{"zipp":1,"x":1}}',  # decoded, and rejected as twice
        b'{"d":"2.5","extra":1}',
        b'{"m":{"a":[{"x":1,"y":1},{"Y":1,"x":true}]},"extra":null}',  # x needs the exact rules, which reject it
        b'{"m":{"a":[{"x":1,"y":1},{"Y":1,"x":"7"}]},"extra":null}',  # and these, which do not
        b'{"extra":1}{"extra":2,"d":3}',
        b'{"extra":1}\n{"extra":2}',
        b'{"extra":',
    ]
    converter = RowConverter(COLUMNS)
    for _ in range(2):  # the second time the names are known
        found = converter.convert(records)
        assert sorted(place for place, _ in found.rejects) == [1, 2, 4, 8]
        assert +found.unknown_keys == {"extra": 7, "to.zipp": 1, "m[][].y": 1, "m[][].Y": 1}


def test_names_are_few_and_short():
    counts = {}
    for _ in range(3):
        add_keys(counts, {f"{number}-{'x' * 500}": 2 for number in range(300)} | {"none": 0})
    assert len(counts) == KEYS_MAX + 1
    assert counts[OTHER] == 3 * 2 * (300 - KEYS_MAX)
    assert max(map(len, counts)) == CHARACTERS_MAX


def test_a_key_that_has_become_a_field_is_known():
    fields = [(column.name, column.type) for column in COLUMNS]
    counts = {"D": 1, "to.ZIP": 1, "to.zipp": 1, "m[][].x": 1, "m[].x": 1, "to": 1, "x": 1, "": 1}
    assert still_unknown(fields, counts) == {"to.zipp": 1, "m[].x": 1, "x": 1, "": 1}


def test_a_map_that_has_a_key_twice_takes_nothing_from_the_counts(caplog):
    converter = RowConverter([Column("m", parse_type("map<string,struct<x:int>>"))])
    twice = b'{"m":{"A":{"x":1,"zz":1},"a":{"x":2,"zz":2}}}'
    for good in (0, 2):
        found = converter.convert([b'{"m":{"b":{"x":1,"zz":1}}}'] * good + [twice])
        assert [place for place, _ in found.rejects] == [good]
        assert found.row_count == good
        assert +found.unknown_keys == ({"m[].zz": good} if good else {})
    assert not caplog.records, "the fast path did not fail"


def test_new_names_do_not_take_the_places_of_those_that_are_counted(tmp_path):
    with simulate(Warehouse("dw").with_streaming_input_table("clicks", {"id": "string"}), tmp_path) as warehouse:
        warehouse.put("clicks", {"cutomer_id": 1})
        warehouse.flush()
        warehouse.put("clicks", [*[{f"k{number}": 1} for number in range(150)] * 5, {"cutomer_id": 2}])
        warehouse.flush()
        [table] = warehouse.status()["tables"]
        assert table["unknown_keys"]["cutomer_id"] == 2
        assert sum(table["unknown_keys"].values()) == 752
