"""Removing duplicates from files, and merging them in an order: which rows are left, in which file, in which place."""

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.parquet.files import ROW_GROUP_ROWS, Lake, read_footer
from datawarehouse.parquet.footer import ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema

HOUR = "2026/03/01/07"


def schema(**columns):
    return arrow_schema(Column(name, parse_type(kind)) for name, kind in columns.items())


SCHEMA = schema(id="string", n="int")


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def written(lake, number, table):
    count = table.num_rows
    footer = Footer("clicks", ROWS, HOUR, [(number * 1000, number * 1000 + count - 1)], count, count, 1)
    return lake.write(f"file-{number}", table.schema, [table], footer, merged=False)


def rows(lake, file, *columns):
    return pq.read_table(lake.root / file.path).select(columns or SCHEMA.names).to_pydict()


def table(ids, numbers):
    return pa.table([ids, numbers], schema=SCHEMA)


def test_the_first_row_of_a_value_stays_and_only_files_with_duplicates_are_written_anew(lake):
    files = [
        written(lake, 0, table(["a", "b", "a"], [1, 2, 3])),
        written(lake, 1, table(["c", "d"], [4, 5])),
        written(lake, 2, table(["b", "e", "c", "e"], [6, 7, 8, 9])),
    ]
    before = {file.path: (lake.root / file.path).read_bytes() for file in files}
    replaced, removed = lake.deduplicate("new", files, SCHEMA, 1, "id")
    assert removed == 4
    assert [old for old, _ in replaced] == [files[0].path, files[2].path]
    assert [rows(lake, new) for _, new in replaced] == [{"id": ["a", "b"], "n": [1, 2]}, {"id": ["e"], "n": [7]}]
    assert {path: (lake.root / path).read_bytes() for path in before} == before, "the sources stay"


def test_what_a_new_file_says_of_itself(lake):
    files = [written(lake, 0, table(["a"], [1])), written(lake, 1, table(["a", "b", "b"], [1, 2, 3]))]
    [(_, new)], removed = lake.deduplicate("new", files, SCHEMA, 2, "id")
    assert removed == 2
    assert read_footer(lake.root / new.path) == new.footer
    # The records are those that were converted; of their rows one is left.
    assert new.footer == Footer("clicks", ROWS, HOUR, [(1000, 1002)], 3, 1, 2, [files[1].path], deduplicated=2)
    assert new.bytes == (lake.root / new.path).stat().st_size


def test_the_successor_of_a_file_of_nothing_but_duplicates_says_where_its_records_are(lake):
    files = [written(lake, 0, table(["a", "b"], [1, 2])), written(lake, 1, table(["b", "a", "a"], [3, 4, 5]))]
    [(old, new)], removed = lake.deduplicate("new", files, SCHEMA, 1, "id")
    assert (old, removed, rows(lake, new)) == (files[1].path, 3, {"id": [], "n": []})
    merged = lake.merge("merged", [files[0], new], SCHEMA, 1)
    assert rows(lake, merged) == {"id": ["a", "b"], "n": [1, 2]}
    alone = lake.merge("alone", [new], SCHEMA, 1, ("id",))
    assert (rows(lake, alone), alone.footer.records) == ({"id": [], "n": []}, 3)
    footer = merged.footer
    assert (footer.spans, footer.records, footer.rows, footer.deduplicated) == ([(0, 1), (1000, 1002)], 5, 2, 3)


def test_nulls_are_no_duplicates(lake):
    files = [written(lake, number, table([None, "a", None], [1, 2, 3])) for number in range(2)]
    [(old, new)], removed = lake.deduplicate("new", files, SCHEMA, 1, "id")
    assert (old, removed) == (files[1].path, 1)
    assert rows(lake, new) == {"id": [None, None], "n": [1, 3]}


def test_nothing_is_written_where_nothing_is_twice(lake):
    files = [written(lake, 0, table(["a", None], [1, 1])), written(lake, 1, table(["b", ""], [1, 1]))]
    assert lake.deduplicate("new", files, SCHEMA, 1, "id") == ([], 0)
    assert len(list(lake.root.rglob("*.parquet*"))) == 2


def test_a_file_of_an_older_schema_without_the_key_holds_nulls(lake):
    older = pa.table({"n": pa.array([1, 2], pa.int32())})
    files = [written(lake, 0, older), written(lake, 1, table(["a", "a"], [3, 4]))]
    [(old, new)], removed = lake.deduplicate("new", files, SCHEMA, 2, "id")
    assert (old, removed) == (files[1].path, 1)
    assert rows(lake, new) == {"id": ["a"], "n": [3]}


def test_values_of_a_narrower_type_equal_those_of_the_wider_one(lake):
    files = [
        written(lake, 0, pa.table({"n": pa.array([7, 8], pa.int32())})),
        written(lake, 1, pa.table({"n": pa.array([8, 2**40], pa.int64())})),
    ]
    wider = schema(n="bigint", added="string")
    [(old, new)], removed = lake.deduplicate("new", files, wider, 2, "n")
    assert (old, removed) == (files[1].path, 1)
    assert rows(lake, new, "n", "added") == {"n": [2**40], "added": [None]}
    assert pq.read_schema(lake.root / new.path).remove_metadata() == wider


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("boolean", True, False),
        ("tinyint", -1, 1),
        ("bigint", 2**62, 2**62 + 1),
        ("double", 0.1, 0.2),
        ("float", 0.5, 0.25),
        ("decimal(20,2)", Decimal("1.10"), Decimal("1.11")),
        ("string", "é", "e"),
        ("binary", b"\x00", b"\x00\x00"),
        ("date", date(2026, 1, 1), date(2026, 1, 2)),
        ("timestamp", datetime(2026, 1, 1, 0, 0, 0, 1000), datetime(2026, 1, 1, 0, 0, 0, 2000)),
    ],
)
def test_keys_of_every_type_that_compares(lake, kind, one, other):
    keyed = schema(k=kind)
    files = [written(lake, number, pa.table({"k": [one, None, other]}, schema=keyed)) for number in range(2)]
    [(_, new)], removed = lake.deduplicate("new", files, keyed, 1, "k")
    assert (removed, rows(lake, new, "k")) == (2, {"k": [None]})


def test_a_duplicate_beyond_a_row_group_is_found_in_its_place(lake):
    count = 2 * ROW_GROUP_ROWS + 5
    ids = [f"{n}" for n in range(count)]
    ids[ROW_GROUP_ROWS + 3], ids[-1] = "0", str(ROW_GROUP_ROWS - 1)
    files = [written(lake, 0, table(ids, list(range(count))))]
    [(_, new)], removed = lake.deduplicate("new", files, SCHEMA, 1, "id")
    assert (removed, new.footer.rows) == (2, count - 2)
    assert rows(lake, new, "n") == {"n": [n for n in range(count - 1) if n != ROW_GROUP_ROWS + 3]}


def test_a_merge_orders_rows_by_several_columns_with_nulls_last_and_equal_ones_as_they_were(lake):
    wide = schema(a="string", b="int", place="int")
    files = [
        written(lake, 0, pa.table({"a": ["y", None, "x", "y"], "b": [2, 1, 5, None], "place": range(4)}, schema=wide)),
        written(lake, 1, pa.table({"a": ["x", "y", "x"], "b": [4, 2, 4], "place": range(4, 7)}, schema=wide)),
    ]
    merged = lake.merge("merged", files, wide, 1, ("a", "b"))
    assert rows(lake, merged, "a", "b", "place") == {
        "a": ["x", "x", "x", "y", "y", "y", None],
        "b": [4, 4, 5, 2, 2, None, 1],
        "place": [4, 6, 2, 0, 5, 3, 1],
    }
    assert merged.footer == Footer("clicks", ROWS, HOUR, [(0, 3), (1000, 1002)], 7, 7, 1, [file.path for file in files])


def test_an_ordered_merge_has_the_row_groups_and_the_types_of_any_merge(lake):
    types = schema(id="string", raw="binary", tags="array<string>", n="bigint")
    count = ROW_GROUP_ROWS + 1
    numbers = [(n * 7919) % count for n in range(count)]
    columns = {
        "id": [str(n) for n in numbers], "raw": [b"%d" % n for n in numbers], "tags": [[str(n)] for n in numbers],
        "n": numbers,
    }  # fmt: skip
    whole = pa.table(columns, schema=types)
    halves = [written(lake, 0, whole.slice(0, 1000)), written(lake, 1, whole.slice(1000))]
    merged = lake.merge("merged", halves, types, 1, ("n",))
    with pq.ParquetFile(lake.root / merged.path) as found:
        assert found.schema_arrow.remove_metadata() == types
        groups = [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)]
        assert groups == [ROW_GROUP_ROWS, 1]
    in_order = {name: [value for _, value in sorted(zip(numbers, columns[name], strict=True))] for name in columns}
    assert rows(lake, merged, *columns) == in_order
