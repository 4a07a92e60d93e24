"""Tables that the user fills: files in the table's folder, and registered partitions."""

import gzip
import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import BadLine, BadRequest, QueryFailed

COLUMNS = {"thing": "string", "n": "int", "at": "timestamp"}


def declared():
    return (
        Warehouse("dw")
        .with_table("facts", COLUMNS, data_format="JSON")
        .with_table("rows", COLUMNS)
        .with_table("daily", {"n": "int"}, partition_keys={"region": "string", "day": "int"})
        .with_table("hourly", {"n": "int"}, partition_keys={"inserted_at": "string"}, data_format="JSON")
        .with_streaming_input_table("clicks", COLUMNS)
    )


@pytest.fixture
def opened(tmp_path):
    with open_warehouse(declared(), tmp_path / "data") as warehouse:
        yield warehouse


def test_a_table_without_files_is_empty(opened):
    for table in ("facts", "rows", "daily", "hourly"):
        result = opened.query(f"select * from {table}")
        assert len(result) == 0
        assert [str(kind) for kind in result.arrow().schema.types][:1] == [
            "string" if table in ("facts", "rows") else "int32"
        ]


def test_json_lines_are_read_by_the_rules_of_events(opened):
    folder = opened.folder / "facts"
    folder.mkdir()
    (folder / "a.json").write_text(
        '{"thing":"sky","N":"1","at":0}\n\n{"thing":{"A":1}}\r\n{"thing":"x"}{"thing":"y"}\n'
    )
    (folder / "nested").mkdir()
    (folder / "nested" / "b.json.gz").write_bytes(
        gzip.compress(b'\xef\xbb\xbf{"thing":"zipped","at":"2026-03-01 00:00:00"}')
    )
    (folder / "_hidden.json").write_text("no JSON")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "c.json").write_text("no JSON")
    rows = opened.query("select thing, n, at from facts order by thing").dicts()
    assert rows == [
        {"thing": "sky", "n": 1, "at": datetime(1970, 1, 1)},
        {"thing": "x", "n": None, "at": None},
        {"thing": "y", "n": None, "at": None},
        {"thing": "zipped", "n": None, "at": datetime(2026, 3, 1)},
        {"thing": '{"a":1}', "n": None, "at": None},
    ]
    assert opened.query("select count(*) from facts").statistics.files == 2
    paths = {path for (path,) in opened.query('select distinct "$path" from facts')}
    assert paths == {str(folder / "a.json"), str(folder / "nested" / "b.json.gz")}


def test_a_bad_line_is_an_error_that_names_it(opened):
    folder = opened.folder / "facts"
    folder.mkdir()
    good = [json.dumps({"thing": str(n)}) for n in range(2500)]
    (folder / "a.json").write_text("\n".join([*good, "", '{"n":"oops"}', "{}"]))
    with pytest.raises(BadLine, match=r"facts/a.json, line 2502: .* Column 'n': expected a whole number .* \"oops\""):
        opened.query("select * from facts")
    (folder / "a.json").write_bytes(gzip.compress(b"{}")[:-3])
    (folder / "a.json").rename(folder / "a.json.gz")
    with pytest.raises(BadLine, match=r"a.json.gz cannot be read after line 0"):
        opened.query("select * from facts")


def test_parquet_files_are_read_by_the_names_of_their_columns(opened):
    folder = opened.folder / "rows"
    folder.mkdir()
    instant = datetime(2026, 3, 1, 7, 8, 9, 123_000)
    pq.write_table(pa.table({"n": pa.array([1], pa.int64()), "thing": ["a"], "more": [1]}), folder / "1.parquet")
    pq.write_table(pa.table({"at": pa.array([instant], pa.timestamp("us")), "THING": ["b"]}), folder / "2.parquet")
    rows = opened.query("select * from rows order by thing").dicts()
    assert rows == [{"thing": "a", "n": 1, "at": None}, {"thing": "b", "n": None, "at": instant}]
    [(size,)] = opened.query("select \"$file_size\" from rows where thing = 'a'")
    assert size == (folder / "1.parquet").stat().st_size


def test_a_file_that_is_no_parquet_is_named(opened):
    folder = opened.folder / "rows"
    folder.mkdir()
    (folder / "readme.txt").write_text("hello")
    with pytest.raises(QueryFailed, match=r"readme.txt cannot be read as Parquet .* begin its name with '_' or '.'"):
        opened.query("select * from rows")


def test_a_value_that_does_not_fit_is_an_error(opened):
    folder = opened.folder / "rows"
    folder.mkdir()
    pq.write_table(pa.table({"n": pa.array([2**40], pa.int64())}), folder / "1.parquet")
    with pytest.raises(QueryFailed, match="1099511627776"):
        opened.query("select n from rows")


def test_registered_partitions_are_read_and_pruned(opened, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for n, folder in enumerate((opened.folder / "daily" / "eu" / "20260301", elsewhere)):
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"n": pa.array([n], pa.int32())}), folder / "1.parquet")
    opened.register_partition("daily", ["eu", "20260301"])
    opened.register_partition("daily", {"day": "20260302", "region": "us"}, location=elsewhere)
    rows = opened.query("select * from daily order by n").dicts()
    assert rows == [{"n": 0, "region": "eu", "day": 20260301}, {"n": 1, "region": "us", "day": 20260302}]
    assert opened.query("select * from daily where day > 20260301").statistics.files == 1
    assert opened.query("select n from daily where region = 'eu' and day = 20260301").dicts() == [{"n": 0}]
    assert len(opened.query("select n from daily where region = 'asia'")) == 0
    assert [text for (text,) in opened.query("show partitions daily")] == [
        "region=eu/day=20260301",
        "region=us/day=20260302",
    ]


def test_a_folder_that_was_not_there_before_changes_nothing_for_other_statements(opened, tmp_path):
    sql = "select substr(region, 1, 1) || cast(cast(n as double) as varchar) as x from daily order by n"
    for n in range(2):
        folder = tmp_path / f"elsewhere{n}"
        folder.mkdir()
        pq.write_table(pa.table({"n": pa.array([n], pa.int32())}), folder / "1.parquet")
        opened.register_partition("daily", ["eu", f"2026030{n + 1}"], location=folder)
        for _ in range(2):
            assert opened.query(sql).dicts() == [{"x": "e0E0"}, {"x": "e1.0E0"}][: n + 1]


def test_an_hour_is_a_partition_of_a_users_table_too(opened):
    folder = opened.folder / "hourly" / "2026" / "03" / "01" / "07"
    folder.mkdir(parents=True)
    (folder / "1.json").write_text('{"n":1}\n{"n":2}')
    opened.register_partition("hourly", "2026/03/01/07")
    opened.register_partition("hourly", "2026/03/01/08")
    assert list(opened.query("select inserted_at, sum(n) from hourly group by 1")) == [("2026/03/01/07", 3)]


def test_registering_again_moves_a_partition(opened, tmp_path):
    for name, n in (("old", 1), ("new", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.json").write_text(json.dumps({"n": n}))
        opened.register_partition("hourly", "2026/03/01/07", tmp_path / name)
        assert list(opened.query("select n from hourly")) == [(n,)]


@pytest.mark.parametrize(
    ("table", "values", "location", "says"),
    [
        ("clicks", "2026/03/01/07", None, "it is a streaming input table, whose partitions the warehouse makes"),
        ("rows", [], None, r"it has the partition keys \(\), and \[\] was given"),
        ("daily", ["eu"], None, r"it has the partition keys \(region, day\), and \['eu'\] was given"),
        ("daily", {"region": "eu", "hour": "1"}, None, "does not make a folder|was given"),
        ("hourly", "../../etc", None, "does not make a folder below the table's; give its location"),
        ("hourly", "/etc", None, "does not make a folder"),
        ("hourly", "a//b", None, "does not make a folder"),
        ("hourly", "x", "relative/folder", "the location 'relative/folder' is not an absolute path"),
    ],
)
def test_partitions_that_cannot_be_registered(opened, table, values, location, says):
    with pytest.raises(BadRequest, match=says):
        opened.register_partition(table, values, location)


def test_a_value_that_is_no_number_is_named(opened, tmp_path):
    opened.register_partition("daily", ["eu", "monday"], tmp_path)
    with pytest.raises(QueryFailed, match="a partition registered with day = 'monday'; the key is int"):
        opened.query("select * from daily")
