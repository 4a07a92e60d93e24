"""A declaration that changed since the last start."""

import pytest
from running import running

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import SchemaChangeRefused


def declared(columns, **options):
    return Warehouse("dw").with_streaming_input_table("clicks", columns, **options)


@pytest.fixture
def reopened(tmp_path):
    """Open the same folder with another declaration."""

    def reopen(columns, **options):
        return open_warehouse(declared(columns, **options), tmp_path / "data")

    return reopen


def put(warehouse, *events):
    warehouse.put("clicks", events)
    warehouse.flush()


def test_added_columns_are_null_in_old_files(reopened):
    with reopened({"a": "int"}) as warehouse:
        put(warehouse, {"a": 1, "b": "sent before it was declared"})
    with reopened({"b": "string", "a": "int", "s": "struct<x:int>"}) as warehouse:
        put(warehouse, {"a": 2, "b": "x", "s": {"x": 1}})
        rows = warehouse.query("select * from clicks order by a").dicts()
    for row in rows:
        del row["inserted_at"]
    assert rows == [{"b": None, "a": 1, "s": None}, {"b": "x", "a": 2, "s": {"x": 1}}]


def test_widened_types_are_cast(reopened):
    old = {
        "n": "int",
        "f": "float",
        "d": "decimal(3,1)",
        "t": "varchar(3)",
        "s": "struct<x:int>",
        "l": "array<tinyint>",
    }
    with reopened(old) as warehouse:
        put(warehouse, {"n": 1, "f": 0.5, "d": 1.5, "t": "abc", "s": {"x": 1}, "l": [1]})
        put(warehouse, {"n": 2})
    new = {
        "n": "bigint",
        "f": "double",
        "d": "decimal(9,3)",
        "t": "string",
        "s": "struct<y:int,x:bigint>",
        "l": "array<int>",
    }
    with reopened(new) as warehouse:
        put(warehouse, {"n": 2**40, "d": 123456.789, "t": "longer", "s": {"x": 2**40, "y": 1}, "l": [1000]})
        before = warehouse.query("select n, f, cast(d as varchar) d, t, s, l from clicks order by n").dicts()
    assert before == [
        {"n": 1, "f": 0.5, "d": "1.500", "t": "abc", "s": {"y": None, "x": 1}, "l": [1]},
        {"n": 2, "f": None, "d": None, "t": None, "s": None, "l": None},
        {"n": 2**40, "f": None, "d": "123456.789", "t": "longer", "s": {"y": 1, "x": 2**40}, "l": [1000]},
    ]
    with reopened(new) as warehouse:  # merged with the old ones now
        assert warehouse.query("select n, f, cast(d as varchar) d, t, s, l from clicks order by n").dicts() == before


def test_a_new_schema_applies_to_records_that_wait_in_the_journal(tmp_path):
    declaration = (
        'from datawarehouse import Warehouse\nwarehouse = Warehouse("dw").with_streaming_input_table("clicks", {})'
    )
    old, new = (declaration.replace("{}", columns) for columns in ('{"a": "int"}', '{"a": "int", "b": "int"}'))
    with running(tmp_path, "--convert-interval-ms", "60000", declaration=old) as first:
        first.events("clicks", b"{}")  # the first round of conversion may be over, or take this one
        first.flush()
        first.events("clicks", b'{"a":1,"b":2}')
        first.process.kill()
        first.stop()
    with running(tmp_path, declaration=new) as second:
        second.flush()
        assert second.query("select a, b from clicks where a = 1") == [{"a": 1, "b": 2}]


def test_added_tables_and_shards_take_effect(tmp_path):
    first = Warehouse("dw").with_streaming_input_table("clicks", {"a": "int"})
    with open_warehouse(first, tmp_path / "data") as warehouse:
        put(warehouse, {"a": 1})
    second = (
        Warehouse("dw")
        .with_streaming_input_table("clicks", {"a": "int"}, input_stream_shard_count=4)
        .with_streaming_input_table("views", {"a": "int"})
    )
    with open_warehouse(second, tmp_path / "data") as warehouse:
        warehouse.put("views", {"a": 2})
        put(warehouse, *({"a": 3} for _ in range(50)), "bad")
        assert list(warehouse.query("select (select count(*) from clicks), (select count(*) from views)")) == [(51, 1)]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"b": "string"}, r"column 'a' \(int\) is no longer declared.*declare it again"),
        ({"a": "smallint", "b": "string"}, r"column 'a' was int and is now smallint.*keep int and add a column"),
        ({"a": "string", "b": "string"}, r"column 'a' was int and is now string"),
        ({"a": "int", "b": "varchar(5)"}, r"column 'b' was string and is now varchar\(5\)"),
    ],
)
def test_what_stored_values_cannot_follow_is_refused(reopened, columns, says):
    with reopened({"a": "int", "b": "string"}) as warehouse:
        put(warehouse, {"a": 1})
    with pytest.raises(SchemaChangeRefused, match=says):
        reopened(columns)
    with reopened({"a": "int", "b": "string"}) as warehouse:
        assert list(warehouse.query("select a from clicks")) == [(1,)]


def test_a_table_cannot_become_another_kind(tmp_path):
    open_warehouse(declared({"a": "int"}), tmp_path / "data").close()
    with pytest.raises(SchemaChangeRefused, match="'clicks': it was a streaming input table and is now a table"):
        open_warehouse(Warehouse("dw").with_table("clicks", {"a": "int"}), tmp_path / "data")
    renamed = Warehouse("dw").with_streaming_input_table("clicks", {"a": "int"}, partition_key_name="hour")
    with pytest.raises(SchemaChangeRefused, match="partition keys were inserted_at string and are now hour string"):
        open_warehouse(renamed, tmp_path / "data")


def test_a_table_that_is_no_longer_declared_is_kept(tmp_path, caplog):
    with open_warehouse(declared({"a": "int"}), tmp_path / "data") as warehouse:
        put(warehouse, {"a": 1})
    with open_warehouse(Warehouse("dw").with_table("other", {"a": "int"}), tmp_path / "data") as warehouse:
        assert [name for (name,) in warehouse.query("show tables")] == ["other", "query_history"]
        assert warehouse.status()["undeclared_tables"] == ["clicks"]
    assert "table clicks has data and is not declared" in caplog.text
    with open_warehouse(declared({"a": "int"}), tmp_path / "data") as warehouse:
        assert list(warehouse.query("select a from clicks")) == [(1,)]
