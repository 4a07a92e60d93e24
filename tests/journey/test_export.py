"""`dw export`: engines that know nothing of the catalog read what is live, and only the hours that are asked for."""

import json
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import botocore.session
import botocore.validate
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import command, until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import BadRequest, FolderError, UnknownName
from datawarehouse.export.export import export
from datawarehouse.testing import simulate

HOUR = 3_600_000
OLD = {
    "n": "int",
    "at": "timestamp",
    "price": "decimal(4,2)",
    "code": "char(3)",
    "filename": "string",
    "place": "struct<x:int>",
    "marks": "array<tinyint>",
}
NEW = {
    "added": "map<string,double>",
    "n": "bigint",
    "at": "timestamp",
    "price": "decimal(9,3)",
    "code": "char(3)",
    "filename": "string",
    "place": "struct<y:float,x:bigint>",
    "marks": "array<int>",
}
SETTINGS = {"convert_interval_ms": 10, "query_time_max_s": 86_400}  # retired files stay for a day
EVENT = {"at": "2026-11-23T07:08:09.123Z", "price": 1.25, "code": "ab", "filename": "mine", "place": {"x": 5}}
AT = datetime(2026, 11, 23, 7, 8, 9, 123_000)
ROWS = [
    (None, 1, AT, Decimal("1.250"), "ab", "mine", {"y": None, "x": 5}, [1, 2], "2026/11/23/07"),
    (None, 2, None, None, None, None, None, None, "2026/11/23/07"),
    (None, 3, None, None, None, None, None, None, "2026/11/23/08"),
    (None, 4, None, None, None, None, None, None, "2026/11/23/08"),
    ({"k": 0.5}, 2**40, AT, Decimal("123456.789"), None, None, {"y": 0.5, "x": 2**40}, [1000], "2026/11/23/08"),
    (None, 6, None, None, None, None, None, None, "2026/11/23/09"),
    (None, 7, None, None, None, None, None, None, "2026/11/23/09"),
]
"""What `fill` stores, in the order of inserted_at and n."""


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = int(datetime(2026, 11, 23, 7, 10, tzinfo=UTC).timestamp() * 1000)

    def now_ms(self):
        return self.now


def declared(columns):
    return Warehouse("dw").with_streaming_input_table("clicks", columns)


def put(warehouse, *events):
    """Put each event in a file of its own."""
    for event in events:
        warehouse.put("clicks", [event])
        warehouse.flush()


def live(warehouse):
    """The (path, schema version) of the live files."""
    partitions = warehouse.catalog.partitions_between("clicks", "rows", None, None)
    return [(path, version) for path, version, *_ in warehouse.catalog.live_paths("clicks", "rows", partitions)]


def fill(folder):
    """A warehouse, open: an hour that was merged, one with files of two schemas, one with fresh files; and one reject.

    The files that the merges replaced still lie beside those that replaced them.
    """
    clock = Clock()
    with open_warehouse(declared(OLD), folder, SETTINGS, clock) as warehouse:
        put(warehouse, {"n": 1, **EVENT, "marks": [1, 2]}, {"n": 2}, "bad")
        clock.now += HOUR
        put(warehouse, {"n": 3}, {"n": 4})
    warehouse = open_warehouse(declared(NEW), folder, SETTINGS, clock)
    new = {"n": 2**40, "at": EVENT["at"], "price": 123456.789, "place": {"x": 2**40, "y": 0.5}, "marks": [1000]}
    put(warehouse, {**new, "added": {"k": 0.5}})
    clock.now += HOUR
    put(warehouse, {"n": 6}, {"n": 7})
    assert len(live(warehouse)) == 5
    assert {version for path, version in live(warehouse) if "/08/" in path} == {1, 2}
    assert len(list((Path(folder) / "clicks").rglob("*.parquet"))) > len(live(warehouse)), "retired files are there"
    return warehouse, clock


@pytest.fixture
def filled(tmp_path):
    warehouse, clock = fill(tmp_path / "data")
    with warehouse:
        yield warehouse, clock


def dw(folder, *arguments, code=0):
    done = command(folder, "export", *arguments)
    assert done.returncode == code, done.stderr
    return done


def plain_duckdb(script):
    """A DuckDB that has read the script, as `duckdb -init` does."""
    connection = duckdb.connect()
    connection.execute(script.read_text())
    return connection


def files_read(connection, sql):
    plan = connection.execute(f"explain analyze {sql}").fetchall()[0][1]
    return sum(map(int, re.findall(r"Total Files Read: (\d+)", plan)))


def test_duckdb_reads_what_the_warehouse_reads(filled, tmp_path):
    warehouse, _ = filled
    done = dw(tmp_path, "--duckdb")
    assert [line.split()[:3] for line in done.stdout.splitlines()[2:]] == [
        ["clicks", "3", "5"],
        ["clicks_quarantine", "1", "1"],
    ]
    assert done.stderr == f"Wrote {tmp_path / 'export' / 'duckdb.sql'}\n"
    connection = plain_duckdb(tmp_path / "export" / "duckdb.sql")
    assert connection.execute("select * from clicks order by inserted_at, n").fetchall() == ROWS
    types = dict(connection.execute("select column_name, column_type from (describe clicks)").fetchall())
    assert types == {
        "added": "MAP(VARCHAR, DOUBLE)",
        "n": "BIGINT",
        "at": "TIMESTAMP",
        "price": "DECIMAL(9,3)",
        "code": "VARCHAR",
        "filename": "VARCHAR",
        "place": "STRUCT(y FLOAT, x BIGINT)",
        "marks": "INTEGER[]",
        "inserted_at": "VARCHAR",
    }
    rejects = connection.execute("select * from clicks_quarantine").fetchall()
    assert rejects == list(warehouse.query("select * from clicks_quarantine"))
    assert [(row[-2], row[-1]) for row in rejects] == [(b"bad", "2026/11/23/07")]


@pytest.mark.parametrize(
    ("predicate", "numbers", "files"),
    [
        ("inserted_at = '2026/11/23/07'", [1, 2], 1),
        ("inserted_at >= '2026/11/23/09'", [6, 7], 2),
        ("inserted_at > '2026/11/23/07' and inserted_at < '2026/11/23/09'", [3, 4, 2**40], 2),
        ("inserted_at in ('2026/11/23/07', '2026/11/23/09') and n > 1", [2, 6, 7], 3),
        ("inserted_at like '2026/11/22/%'", [], 0),
        ("true", [1, 2, 3, 4, 6, 7, 2**40], 5),
    ],
)
def test_duckdb_reads_the_files_of_the_asked_hours_only(filled, tmp_path, predicate, numbers, files):
    warehouse, _ = filled
    export(warehouse.catalog, tmp_path / "data", [], "duckdb", tmp_path / "out")
    connection = plain_duckdb(tmp_path / "out" / "duckdb.sql")
    sql = f"select n from clicks where {predicate} order by n"
    assert [n for (n,) in connection.execute(sql).fetchall()] == numbers
    assert files_read(connection, sql) == files


def test_files_of_other_hours_are_not_opened(filled, tmp_path):
    warehouse, _ = filled
    export(warehouse.catalog, tmp_path / "data", [], "duckdb", tmp_path / "out")
    connection = plain_duckdb(tmp_path / "out" / "duckdb.sql")
    for link in (tmp_path / "out" / "clicks" / "2026/11/23/09").iterdir():
        link.unlink()
        link.write_bytes(b"not a Parquet file")
    rows = connection.execute("select n from clicks where inserted_at <= '2026/11/23/08' order by n").fetchall()
    assert rows == [(1,), (2,), (3,), (4,), (2**40,)]
    with pytest.raises(duckdb.Error, match="2026/11/23/09"):
        connection.execute("select n from clicks").fetchall()


def links(folder):
    """Path below the folder -> i-node, of all files."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.stat().st_ino for path in found}


def test_an_export_holds_the_live_files_and_no_others(filled, tmp_path):
    warehouse, _ = filled
    export(warehouse.catalog, tmp_path / "data", ["clicks"], "spark", tmp_path / "out")
    assert links((tmp_path / "out" / "clicks").resolve()) == {
        path.removeprefix("clicks/"): (tmp_path / "data" / path).stat().st_ino for path, _ in live(warehouse)
    }
    assert not (tmp_path / "out" / "clicks_quarantine").exists()


def test_an_export_stays_readable_when_the_warehouse_deletes_and_is_refreshed_by_the_next(filled, tmp_path):
    warehouse, clock = filled
    script = tmp_path / "out" / "duckdb.sql"
    export(warehouse.catalog, tmp_path / "data", [], "duckdb", tmp_path / "out")
    connection, before = plain_duckdb(script), live(warehouse)
    clock.now += HOUR
    until(lambda: len(live(warehouse)) < len(before), "the last hour is merged")
    clock.now += 86_400_000 + 61_000
    gone = {path for path, _ in before} - {path for path, _ in live(warehouse)}
    until(lambda: not any((tmp_path / "data" / path).exists() for path in gone), "retired files are deleted")
    put(warehouse, {"n": 8})
    assert [n for (n,) in connection.execute("select n from clicks order by n").fetchall()] == [1, 2, 3, 4, 6, 7, 2**40]

    export(warehouse.catalog, tmp_path / "data", [], "duckdb", tmp_path / "out")
    again = plain_duckdb(script).execute("select n from clicks order by n").fetchall()
    assert [n for (n,) in again] == [1, 2, 3, 4, 6, 7, 8, 2**40]
    assert set(links((tmp_path / "out" / "clicks").resolve())) == {
        path.removeprefix("clicks/") for path, _ in live(warehouse)
    }
    export(warehouse.catalog, tmp_path / "data", [], "duckdb", tmp_path / "out")
    inodes = {path.stat().st_ino for path in (tmp_path / "out" / "_links").rglob("*.parquet")}
    assert inodes == {path.stat().st_ino for path in (tmp_path / "data").rglob("*.parquet")}, "nothing else takes space"


JOBS = """
from datawarehouse import Warehouse

def hourly(job):
    job.write([{"n": 1}], partition="2026/11/23/05")
    job.write([{"n": 2}, {"n": 3}], partition="2026/11/23/06")

def whole(job):
    job.write([{"n": 1}], partition="2026/11/23/05")
    job.write([{"n": 2}], partition="2026/11/23/06")

warehouse = (
    Warehouse("shop")
    .with_batch_input_table("hourly", {"n": "int"}, hourly, "cron(0 0 1 1 ? 2090)", partition_keys={"hour": "string"})
    .with_batch_input_table("whole", {"n": "int"}, whole, "cron(0 0 1 1 ? 2090)")
    .with_table("facts", {"n": "int"}, data_format="JSON")
    .with_table("mine", {"n": "bigint", "missing": "string"})
    .with_table("daily", {"n": "int"}, partition_keys={"region": "string", "day": "int"})
    .with_streaming_input_table("empty", {"n": "int", "at": "timestamp"})
)
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A warehouse with tables of jobs, of the user's own, and an empty one."""
    (tmp_path / "declared_exported.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "declared_exported", raising=False)
    from declared_exported import warehouse

    data = tmp_path / "data"
    with open_warehouse(warehouse, data) as opened:
        for name in ("hourly", "hourly", "whole"):
            run = opened.run(name, datetime(2026, 11, 23, 7, tzinfo=UTC))
            assert run.outcome == "succeeded", run.error
        (data / "mine" / "below").mkdir(parents=True)
        pq.write_table(pa.table({"N": pa.array([7], pa.int32())}), data / "mine" / "below" / "a.parquet")
        (data / "mine" / "_hidden").write_text("no Parquet")
        for region, day in (("eu", 5), ("us", 6)):
            folder = tmp_path / "elsewhere" / region
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"n": pa.array([day], pa.int32())}), folder / "a.parquet")
            opened.register_partition("daily", [region, str(day)], folder)
        yield opened


def test_duckdb_reads_tables_of_jobs_and_of_the_users_own(shop, tmp_path):
    everything = ["hourly", "whole", "facts", "mine", "daily", "empty", "empty_quarantine"]
    done = dw(tmp_path, *everything, "--duckdb", "--to", "out")
    assert "Skipped facts: its files are JSON" in done.stderr
    connection = plain_duckdb(tmp_path / "out" / "duckdb.sql")

    def rows(table):
        return connection.execute(f"select * from {table} order by all").fetchall()

    assert rows("hourly") == [(1, "2026/11/23/05"), (2, "2026/11/23/06"), (3, "2026/11/23/06")]
    assert rows("whole") == [(1,), (2,)]
    assert rows("mine") == [(7, None)]
    assert rows("daily") == [(5, "eu", 5), (6, "us", 6)]
    assert rows("empty") == rows("empty_quarantine") == []
    assert files_read(connection, "select n from hourly where hour = '2026/11/23/06'") == 1
    assert files_read(connection, "select n from daily where day = 6") == 1
    kinds = connection.execute("select column_name, column_type from (describe empty)").fetchall()
    assert kinds == [("n", "INTEGER"), ("at", "TIMESTAMP"), ("inserted_at", "VARCHAR")]


def test_what_the_warehouse_fills_is_exported_by_default(shop, tmp_path):
    done = export(shop.catalog, tmp_path / "data", [], "trino", tmp_path / "out")
    assert [table.name for table in done.tables] == ["empty", "empty_quarantine", "hourly", "whole"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_links",
        "_lock",
        "empty",
        "empty_quarantine",
        "hourly",
        "trino.sql",
        "whole",
    ]
    names = sorted(path.name[:14] for path in (tmp_path / "out" / "whole").iterdir())
    assert names == ["2026-11-23-05-", "2026-11-23-06-"], "one folder, whatever hours its files are of"


def test_glue_takes_the_inputs(shop, tmp_path):
    done = dw(tmp_path, "hourly", "whole", "mine", "--glue", "--location", "s3://lake/exported/")
    assert "Skipped mine: its files are your own" in done.stderr
    service = botocore.session.get_session().get_service_model("glue")
    folder = tmp_path / "export" / "_glue"
    inputs = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.rglob("*.json")}
    assert sorted(inputs) == [
        "hourly/batch-create-partition-0001.json",
        "hourly/create-table.json",
        "whole/create-table.json",
    ]
    for name, value in inputs.items():
        operation = "CreateTable" if name.endswith("create-table.json") else "BatchCreatePartition"
        shape = service.operation_model(operation).input_shape
        report = botocore.validate.ParamValidator().validate(value, shape)
        assert not report.has_errors(), report.generate_report()
    table = inputs["hourly/create-table.json"]["TableInput"]
    assert table["PartitionKeys"] == [{"Name": "hour", "Type": "string"}]
    assert table["StorageDescriptor"]["Columns"] == [{"Name": "n", "Type": "int"}]
    assert table["StorageDescriptor"]["Location"] == "s3://lake/exported/hourly/"
    places = [
        (each["Values"], each["StorageDescriptor"]["Location"])
        for each in inputs["hourly/batch-create-partition-0001.json"]["PartitionInputList"]
    ]
    assert places == [
        (["2026/11/23/05"], "s3://lake/exported/hourly/2026/11/23/05/"),
        (["2026/11/23/06"], "s3://lake/exported/hourly/2026/11/23/06/"),
    ]


def test_what_cannot_be_exported_is_refused_and_changes_nothing(filled, tmp_path):
    warehouse, _ = filled
    data, out = tmp_path / "data", tmp_path / "out"

    def attempt(*tables, engine="duckdb", to=out, location=None):
        return export(warehouse.catalog, data, tables, engine, to, location)

    with pytest.raises(UnknownName, match=r"no table 'klicks' to export; there are clicks, clicks_quarantine"):
        attempt("klicks")
    with pytest.raises(BadRequest, match=r"data/export, which is in the data folder .*; give a folder outside it"):
        attempt(to=data / "export")
    with pytest.raises(BadRequest, match=r"location '/mnt' is no URI; valid is e.g. 's3://bucket/prefix'"):
        attempt(location="/mnt")
    with pytest.raises(BadRequest, match=r"no location was given. Say where .* --location s3://"):
        attempt(engine="glue")
    assert not out.exists()
    (out / "clicks").mkdir(parents=True)
    (out / "clicks" / "mine").write_text("not an export")
    with pytest.raises(FolderError, match=r"out/clicks was not made by an export.*--to"):
        attempt()
    assert (out / "clicks" / "mine").read_text() == "not an export"
    assert not (out / "duckdb.sql").exists()


def test_the_command_says_what_it_does_not_understand(tmp_path):
    assert "not a data folder" in dw(tmp_path, "--duckdb", code=4).stderr
    assert "--duckdb --spark --trino --glue is required" in dw(tmp_path, code=2).stderr


def test_an_export_that_is_asked_for_follows_each_compaction(tmp_path):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})
    settings = {"export_engines": "duckdb", "export_folder": str(tmp_path / "export")}
    with simulate(declared, tmp_path / "data", settings=settings) as warehouse:
        for _ in range(3):
            warehouse.put("clicks", [{"id": "a"}, {"id": "b"}])
            warehouse.advance("16m")
        warehouse.advance("2h")
        assert not (tmp_path / "export").exists()
        warehouse.advance("1h")
        with duckdb.connect() as other:
            other.execute((tmp_path / "export" / "duckdb.sql").read_text())
            assert other.sql("select id, count(*) from clicks group by 1 order by 1").fetchall() == [("a", 3), ("b", 3)]
        assert len(list((tmp_path / "export" / "clicks").rglob("*.parquet"))) == 1
    with pytest.raises(BadRequest, match="presto"):
        simulate(declared, tmp_path / "other", settings={"export_engines": "presto"})
