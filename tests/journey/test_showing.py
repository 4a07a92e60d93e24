"""SHOW, DESCRIBE and what else tells of tables: in Athena's form, and in Trino's to its clients."""

import json

import pytest
from running import running
from test_escapes import by_trino

DECLARED = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_table("prices", {"item": "string"}, {"day": "string", "shop": "int"})
    .with_view("seen", "select id,\\n  n from clicks")
)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([{"id": "a", "n": 1}, {"id": "b", "n": 2}]).encode())
        started.flush()
        started.query("create table scratch.t as select id from clicks")
        started.query("create view scratch.v as select id from scratch.t")
        (started.folder / "data" / "prices" / "2026-01-01" / "7").mkdir(parents=True)
        started.dw("partition", "prices", "2026-01-01", "7")
        yield started


def rows(shop, sql):
    return [tuple(row.values()) for row in shop.query(sql)]


def titles(shop, sql):
    status, _, body = shop.request("POST", "/v1/query", json.dumps({"sql": sql, "format": "csv"}))
    assert status == 200, body
    return body.decode().splitlines()[0].replace('"', "").split(",")


@pytest.mark.parametrize(
    ("sql", "title", "shown"),
    [
        ("show databases", "database_name", [("shop",), ("scratch",)]),
        ("show schemas like 'sh%'", "database_name", [("shop",)]),
        ("show tables in scratch", "tab_name", [("t",), ("v",)]),
        ("show views in scratch", "views", [("v",)]),
        ("show create view scratch.v", "Create View", [("CREATE VIEW scratch.v AS",), ("select id from scratch.t",)]),
        ("show tables in information_schema", "tab_name", [("columns",), ("schemata",), ("tables",), ("views",)]),
        ("show tables 's*|p*'", "tab_name", [("prices",), ("seen",)]),
        ("show views", "views", [("seen",)]),
        ("show columns in clicks", "field", [("id",), ("n",), ("inserted_at",)]),
        ("show catalogs", "Catalog", [("awsdatacatalog",), ("memory",), ("system",)]),
        ("show create view seen", "Create View", [("CREATE VIEW seen AS",), ("select id,",), ("  n from clicks",)]),
        ("show partitions prices", "partition", [("day=2026-01-01/shop=7",)]),
    ],
)
def test_athenas_form(shop, sql, title, shown):
    assert titles(shop, sql) == [title]
    assert rows(shop, sql) == shown


def test_what_would_declare_a_table(shop):
    assert [line for (line,) in rows(shop, "show create table prices")] == [
        "CREATE EXTERNAL TABLE `prices`(", "  `item` string)", "PARTITIONED BY (", "  `day` string,", "  `shop` int)",
        "STORED AS PARQUET",
    ]  # fmt: skip


def test_the_table_of_partitions(shop):
    [(hour,)] = rows(shop, "select distinct inserted_at from clicks")
    assert rows(shop, 'select * from "clicks$partitions"') == [(hour,)]
    assert rows(shop, 'select count(*) from "clicks$partitions"') == [(1,)]
    assert rows(shop, "select shop + 1, day from shop.\"prices$partitions\" where day > '2025'") == [(8, "2026-01-01")]


def test_functions_and_statistics(shop):
    listed = rows(shop, "show functions like 'date_t%'")
    assert {row[0] for row in listed} == {"date_trunc"} and {row[3] for row in listed} == {"scalar"}
    assert ("sum", "aggregate") in {(row[0], row[3]) for row in rows(shop, "show functions")}
    assert [(row[0], row[4]) for row in rows(shop, "show stats for clicks")] == [
        ("id", None), ("n", None), ("inserted_at", None), (None, 2.0),
    ]  # fmt: skip
    assert rows(shop, "show stats for scratch.t")[-1][4] == 2.0
    assert rows(shop, "select current_user") == [("owner",)]


def test_trinos_form(shop):
    def told(sql):
        return by_trino(shop, {"token": ""}, sql)

    described = [["id", "varchar", "", ""], ["n", "integer", "", ""], ["inserted_at", "varchar", "partition key", ""]]
    assert told("describe clicks") == (None, described)
    assert told("show columns from awsdatacatalog.shop.clicks like 'n%'") == (None, described[1:2])
    assert told("show create view seen") == (None, [["CREATE VIEW seen AS\nselect id,\n  n from clicks"]])
    assert told("show tables from memory.default") == (None, [["t"], ["v"]])
    assert told("show create view memory.default.v") == (None, [["CREATE VIEW scratch.v AS\nselect id from scratch.t"]])
    assert told("show schemas from memory") == (None, [["default"], ["information_schema"]])
    assert told("select * from memory.default.t order by 1") == (None, [["a"], ["b"]])
    for sql in ("describe nothing", "show columns from nothing", "show create table nothing", "show stats for nothing"):
        assert told(sql)[0].startswith("TABLE_NOT_FOUND: "), sql


def test_explain_says_what_is_read(shop):
    [(hour,)] = rows(shop, "select distinct inserted_at from clicks")
    joined = "select id from seen join clicks using (id) where inserted_at >= '2020/01/01/00'"
    io = f"explain (type io, format json) {joined}"
    assert titles(shop, io) == ["Query Plan"]
    [(told,)] = rows(shop, io)
    found = json.loads(told)
    bounded = [each["constraint"]["columnConstraints"] for each in found["inputTableColumnInfos"]]
    ends = {"low": {"value": "2020/01/01/00", "bound": "EXACTLY"}, "high": {"bound": "BELOW"}}
    assert [each[0]["domain"]["ranges"] for each in bounded if each] == [[ends]]
    assert {each["table"]["schemaTable"]["table"] for each in found["inputTableColumnInfos"]} == {"clicks"}
    size = shop.status()["tables"][0]["bytes"]
    assert found["estimate"]["outputSizeInBytes"] == 2 * size > 0
    told = [line for (line,) in rows(shop, f"explain analyze select * from clicks where inserted_at = '{hour}'")]
    assert told[0].startswith("clicks: partitions where inserted_at")
    assert told[-1].startswith(f"1 partitions, 1 files, {size} bytes read, 2 rows given, ")
    assert rows(shop, "explain (type validate) select 1") == [(True,)]
    assert rows(shop, "explain (type distributed) select * from clicks")[-1][0].endswith(" bytes")
    status, _, body = shop.request(
        "POST", "/v1/query", json.dumps({"sql": "explain analyze select * from clicks", "workgroup": "adhoc"})
    )
    assert status == 403 and "ScanRefused" in body.decode()


def test_explain_names_scratch_as_it_is_called(shop):
    size = next(each["$file_size"] for each in shop.query('select "$file_size" from scratch.t'))
    for sql in ("select * from scratch.t", "select id from scratch.v"):
        read = "scratch.t: partitions where everything"
        assert rows(shop, f"explain {sql}") == [(read,), (f"1 files, {size} bytes",)]
        analyzed = [line for (line,) in rows(shop, f"explain analyze {sql}")]
        assert analyzed[0] == read and f"1 files, {size} bytes read, 2 rows given" in analyzed[1]
        refused, [[trinos]] = by_trino(shop, {"token": ""}, f"explain (type io, format json) {sql}")
        assert refused is None and [(trinos,)] == rows(shop, f"explain (type io, format json) {sql}")
        [found] = json.loads(trinos)["inputTableColumnInfos"]
        assert found["table"]["schemaTable"] == {"schema": "scratch", "table": "t"}
        assert found["estimate"]["outputSizeInBytes"] == size


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("show partitions seen", "'seen' is a view, which has no partitions; ask for those of clicks."),
        ("show partitions scratch.v", "'v' is a view, which has no partitions"),
        ("describe nothing", "TABLE_NOT_FOUND"),
        ("show columns in nothing", "TABLE_NOT_FOUND"),
        ("show create table seen", "is a view"),
        ("show create view clicks", "is a table"),
        ("show tables in nowhere", "SCHEMA_NOT_FOUND"),
        ("show columns in nowhere.clicks", "SCHEMA_NOT_FOUND"),
        ("show partitions information_schema.tables", "NOT_SUPPORTED"),
        ('select * from "seen$partitions"', "TABLE_NOT_FOUND"),
    ],
)
def test_what_there_is_not_is_an_error(shop, sql, said):
    status, _, body = shop.request("POST", "/v1/query", json.dumps({"sql": sql}))
    assert status == 422 and said in body.decode()
