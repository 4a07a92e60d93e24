"""Athena's API where it writes: in scratch, and the statements that a workgroup keeps by name."""

import json

import pytest
from botocore.exceptions import ClientError
from running import running, until

from datawarehouse.folder import named_queries_path

DECLARED = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_streaming_input_table("orders", {"id": "string"})
    .with_view("ids", "select id from clicks")
    .with_workgroup("people", scratch_bytes_max=10**7)
    .with_workgroup("crew", scratch_bytes_max=10**7)
    .with_workgroup("others", scratch_bytes_max=10**7)
    .with_workgroup("readers")
)
"""
CATALOG = {"CatalogName": "AwsDataCatalog"}
SCRATCH = {"QueryExecutionContext": {"Database": "scratch"}}
OVER = ("SUCCEEDED", "FAILED", "CANCELLED")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([{"id": "a", "n": 1}, {"id": "b", "n": 2}]).encode())
        started.flush()
        yield started


@pytest.fixture(scope="module")
def client_of(shop):
    """Gives a client of a service with a key of its own."""
    made = {}

    def client(name, service="athena", may="query", workgroup="people"):
        if name not in made:
            arguments = ("--may", may, "--workgroup", workgroup)
            made[name] = json.loads(shop.dw("keys", "create", name, *arguments, "--output", "json").stdout)
        return shop.aws(service, made[name]["id"], made[name]["secret"])

    return client


@pytest.fixture(scope="module")
def ann(client_of):
    return client_of("ann")


@pytest.fixture(scope="module")
def bob(client_of):
    return client_of("bob")


def asked(athena, sql, **more):
    """The execution of a statement, once it is over, and the first page of its result, if it has succeeded."""
    id = athena.start_query_execution(QueryString=sql, **more)["QueryExecutionId"]

    def over():
        found = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]
        return found if found["Status"]["State"] in OVER else None

    found = until(over, "the end of the query")
    if found["Status"]["State"] != "SUCCEEDED":
        return found, None
    return found, athena.get_query_results(QueryExecutionId=id)


def rows(athena, sql, **more):
    """The rows with the names before them."""
    found, result = asked(athena, sql, **more)
    assert result, found["Status"]
    return [[datum.get("VarCharValue") for datum in row["Data"]] for row in result["ResultSet"]["Rows"]]


def why(athena, sql, **more):
    return asked(athena, sql, **more)[0]["Status"]["StateChangeReason"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def names(athena, database, **more):
    listed = athena.list_table_metadata(**CATALOG, DatabaseName=database, **more)["TableMetadataList"]
    return [(each["Name"], each["TableType"]) for each in listed]


WRITES = [
    ("create table t as select id, n from shop.clicks", "DDL", "CREATE_TABLE_AS_SELECT", 2),
    ("insert into t values ('c', 3)", "DML", "INSERT", 1),
    ("create or replace view v as select n from t where n > 1", "DDL", "CREATE_VIEW", None),
    ("create table e (id varchar, n integer)", "DDL", "CREATE_TABLE", None),
    ("insert into e select id, n from t where n > 9", "DML", "INSERT", 0),
    ("alter table e rename to f", "DDL", "ALTER_TABLE", None),
    ("drop view v", "DDL", "DROP_VIEW", None),
    ("drop table f", "DDL", "DROP_TABLE", None),
    ("drop table if exists none", "DDL", "DROP_TABLE", None),
    ("create table if not exists t as select 1 as a", "DDL", "CREATE_TABLE_AS_SELECT", 0),
    ("drop table scratch.t", "DDL", "DROP_TABLE", None),
]
"""Each begins with what those before it have left."""


def test_each_statement_that_writes_is_told_as_athena_tells_it(ann):
    for sql, type, kind, count in WRITES:
        found, result = asked(ann, sql, **SCRATCH)
        assert result, (sql, found["Status"])
        assert (sql, found["StatementType"], found["SubstatementType"]) == (sql, type, kind)
        assert found["QueryExecutionContext"]["Database"] == "scratch"
        told = result["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        assert [(each["Name"], each["Type"]) for each in told] == ([] if count is None else [("rows", "bigint")])
        assert (sql, result.get("UpdateCount"), result["ResultSet"]["Rows"]) == (sql, count, [])
        location = found["ResultConfiguration"]["OutputLocation"].rpartition("/")[2]
        assert location == found["QueryExecutionId"] + (".txt" if count is None else "")


def test_what_names_mean_in_scratch(ann):
    assert rows(ann, "create table meant as select id from shop.clicks", **SCRATCH) == []
    assert rows(ann, "select count(*) as c from meant", **SCRATCH) == [["c"], ["2"]]
    assert rows(ann, "select count(*) as c from scratch.meant") == [["c"], ["2"]]
    assert rows(ann, "show tables 'mea*'", **SCRATCH) == [["meant"]]
    assert rows(ann, "show tables 'mea*'") == []
    assert rows(ann, "describe meant", **SCRATCH) == [["id", "string", ""]]
    assert rows(ann, "show create table meant", **SCRATCH)[0] == ["CREATE EXTERNAL TABLE `meant`("]
    assert rows(ann, "select current_schema as s, current_catalog as c", **SCRATCH)[1] == ["scratch", "awsdatacatalog"]
    assert "TABLE_NOT_FOUND" in why(ann, "select * from clicks", **SCRATCH)  # it is in the database shop
    assert "TABLE_NOT_FOUND" in why(ann, "select * from tpch.tiny.nation", **SCRATCH)  # of Trino's door alone
    assert rows(ann, "select id from shop.clicks where n = ?", ExecutionParameters=["2"], **SCRATCH)[1] == ["b"]
    assert "PERMISSION_DENIED" in why(ann, "create table meant2 as select 1 as a")
    assert "PERMISSION_DENIED" in why(ann, "drop table shop.clicks", **SCRATCH)
    rows(ann, "drop table meant", **SCRATCH)


def test_the_file_of_a_statement_that_writes(shop, client_of):
    athena, s3 = client_of("files"), client_of("files", "s3")
    made, _ = asked(athena, "create table t as select 1 as a", **SCRATCH)
    view, _ = asked(athena, "create view v as select 1 as a", **SCRATCH)
    keys = {each["Key"]: each["Size"] for each in s3.list_objects_v2(Bucket="athena-results")["Contents"]}
    assert not any(key.startswith(made["QueryExecutionId"]) for key in keys)
    assert keys[f"{view['QueryExecutionId']}.txt"] == 0
    rows(athena, "drop view v", **SCRATCH)
    rows(athena, "drop table t", **SCRATCH)


def test_the_catalog_has_ones_own_scratch_and_those_of_ones_workgroup(client_of):
    amy, ben = client_of("amy", workgroup="crew"), client_of("ben", workgroup="crew")
    rows(amy, "create table scratch.made as select id, n, array[n] as ns from clicks")
    rows(amy, "create view scratch.seen as select id from clicks")
    listed = [each["Name"] for each in amy.list_databases(**CATALOG)["DatabaseList"]]
    assert listed == ["shop", "scratch"]
    listed = [each["Name"] for each in ben.list_databases(**CATALOG)["DatabaseList"]]
    assert listed == ["shop", "scratch", "scratch_amy"]
    both = [("made", "EXTERNAL_TABLE"), ("seen", "VIRTUAL_VIEW")]
    assert names(amy, "scratch") == names(amy, "SCRATCH_AMY") == names(ben, "scratch_amy") == both
    assert names(ben, "scratch") == []
    assert names(ben, "scratch_amy", Expression="s.*") == both[1:]
    assert ("ids", "VIRTUAL_VIEW") in names(ben, "shop")
    of = {**CATALOG, "DatabaseName": "scratch_amy"}
    assert ben.get_database(**of)["Database"]["Name"] == "scratch_amy"
    table = ben.get_table_metadata(**of, TableName="MADE")["TableMetadata"]
    assert table["Columns"] == [
        {"Name": "id", "Type": "string"}, {"Name": "n", "Type": "int"}, {"Name": "ns", "Type": "array<int>"},
    ]  # fmt: skip
    assert table["PartitionKeys"] == []
    there = {"QueryExecutionContext": {"Database": "scratch_amy"}}
    assert rows(ben, "select count(*) as c from made", **there) == [["c"], ["2"]]
    assert "PERMISSION_DENIED" in why(ben, "drop table made", **there)
    assert "PERMISSION_DENIED" in why(ben, "create table mine as select 1 as a", **there)
    for stranger in (client_of("eve", workgroup="others"), client_of("less", may="query:orders", workgroup="crew")):
        assert refused(stranger.get_database, **of)[0] == "MetadataException"
        assert refused(stranger.list_table_metadata, **of)[0] == "MetadataException"
        code, message = refused(stranger.start_query_execution, QueryString="select 1", **there)
        assert code == "InvalidRequestException" and "SCHEMA_NOT_FOUND: Schema 'scratch_amy'" in message
    reader = client_of("reader", workgroup="readers")
    assert "PERMISSION_DENIED" in why(reader, "create table t as select 1 as a", **SCRATCH)
    rows(amy, "drop table scratch.made")
    rows(amy, "drop view scratch.seen")
    assert [each["Name"] for each in ben.list_databases(**CATALOG)["DatabaseList"]] == ["shop", "scratch"]


def test_glue_has_scratch_too(client_of):
    ann, glue = client_of("gil", workgroup="crew"), client_of("gil", "glue")
    rows(ann, "create table scratch.kept as select id, n from clicks")
    rows(ann, "create view scratch.shown as select n from clicks")
    assert [each["Name"] for each in glue.get_databases()["DatabaseList"]] == ["shop", "scratch"]
    assert glue.get_database(Name="scratch")["Database"]["Name"] == "scratch"
    found = glue.get_tables(DatabaseName="scratch")["TableList"]
    assert [(each["Name"], each["TableType"], each["DatabaseName"]) for each in found] == [
        ("kept", "EXTERNAL_TABLE", "scratch"), ("shown", "VIRTUAL_VIEW", "scratch"),
    ]  # fmt: skip
    table = glue.get_table(DatabaseName="scratch", Name="kept")["Table"]
    assert [each["Name"] for each in table["StorageDescriptor"]["Columns"]] == ["id", "n"]
    assert found[1]["ViewOriginalText"].startswith("/* Presto View: ")
    other = client_of("eve", "glue", workgroup="others")
    assert refused(other.get_tables, DatabaseName="scratch_gil")[0] == "EntityNotFoundException"
    assert glue.get_table(DatabaseName="shop", Name="clicks")["Table"]["DatabaseName"] == "shop"
    code, message = refused(glue.get_partitions, DatabaseName="scratch", TableName="kept")
    assert code == "InvalidInputException" and "ask for those of clicks" in message
    rows(ann, "drop table scratch.kept")
    rows(ann, "drop view scratch.shown")


def test_execute_is_what_it_executes(ann):
    prepared = {
        "list_all": "show tables 'cl*s'", "about": "describe shop.clicks", "put": "insert into scratch.put values (?)",
        "count_of": "select count(*) as c from scratch.put where a > ?",
    }  # fmt: skip
    rows(ann, "create table scratch.put (a integer)")
    for name, text in prepared.items():
        rows(ann, f"PREPARE {name} FROM {text}")
    found, result = asked(ann, "EXECUTE list_all")
    assert (found["StatementType"], found["SubstatementType"]) == ("UTILITY", "SHOW_TABLES")
    assert found["Query"] == "EXECUTE list_all"
    assert result["ResultSet"]["Rows"] == [{"Data": [{"VarCharValue": "clicks"}]}]  # without a row of names
    assert rows(ann, "execute about")[0] == ["id", "string", ""]
    found, result = asked(ann, "EXECUTE put USING 5")
    assert (found["SubstatementType"], result["UpdateCount"]) == ("INSERT", 1)
    assert asked(ann, "EXECUTE put", ExecutionParameters=["6"])[1]["UpdateCount"] == 1
    assert rows(ann, "EXECUTE count_of USING 5") == [["c"], ["1"]]
    assert rows(ann, "EXECUTE IMMEDIATE 'show tables ''cl*s'''") == [["clicks"]]
    rows(ann, "drop table scratch.put")


def test_a_repeated_request_writes_once(ann):
    rows(ann, "create table scratch.once (a integer)")
    token = {"ClientRequestToken": "w" * 32}
    sql = "insert into scratch.once values (1)"
    first, _ = asked(ann, sql, **token)
    assert asked(ann, sql, **token)[0]["QueryExecutionId"] == first["QueryExecutionId"]
    assert rows(ann, "select count(*) as c from scratch.once") == [["c"], ["1"]]
    rows(ann, "drop table scratch.once")


def test_named_queries_are_kept_by_a_workgroup(shop, ann, bob, client_of):
    given = {"Name": "top", "Database": "shop", "QueryString": "select 'ü'", "Description": "of the day"}
    id = ann.create_named_query(**given, ClientRequestToken="t" * 32)["NamedQueryId"]
    assert ann.create_named_query(**given, ClientRequestToken="t" * 32)["NamedQueryId"] == id
    code, message = refused(ann.create_named_query, **{**given, "Name": "x"}, ClientRequestToken="t" * 32)
    assert (code, message) == ("InvalidRequestException", "Idempotent parameters do not match")
    same_name = bob.create_named_query(Name="top", Database="scratch", QueryString="select 2")["NamedQueryId"]
    found = bob.get_named_query(NamedQueryId=id)["NamedQuery"]
    assert found == {**given, "NamedQueryId": id, "WorkGroup": "people"}
    assert bob.list_named_queries()["NamedQueryIds"] == [id, same_name]
    page = bob.list_named_queries(WorkGroup="people", MaxResults=1)
    assert page["NamedQueryIds"] == [id]
    assert bob.list_named_queries(MaxResults=1, NextToken=page["NextToken"])["NamedQueryIds"] == [same_name]
    bob.update_named_query(NamedQueryId=id, Name="best", QueryString="select 3", Description="")
    changed = ann.get_named_query(NamedQueryId=id)["NamedQuery"]
    assert (changed["Name"], changed["QueryString"], changed["Description"], changed["Database"]) == (
        "best", "select 3", "", "shop",
    )  # fmt: skip
    batch = ann.batch_get_named_query(NamedQueryIds=[same_name, "nope"])
    assert [each["NamedQueryId"] for each in batch["NamedQueries"]] == [same_name]
    assert [each["NamedQueryId"] for each in batch["UnprocessedNamedQueryIds"]] == ["nope"]
    eve = client_of("eve", workgroup="others")
    for call in (eve.get_named_query, eve.delete_named_query):
        assert refused(call, NamedQueryId=id) == ("InvalidRequestException", f"NamedQuery {id} was not found")
    assert eve.batch_get_named_query(NamedQueryIds=[id])["NamedQueries"] == []
    assert eve.list_named_queries()["NamedQueryIds"] == []
    assert "not found" in refused(eve.list_named_queries, WorkGroup="people")[1]
    for each in (id, same_name):
        bob.delete_named_query(NamedQueryId=each)
    assert refused(ann.get_named_query, NamedQueryId=id)[0] == "InvalidRequestException"
    assert json.loads(named_queries_path(shop.folder / "data").read_bytes()) == []


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"Name": "n" * 129}, "Name has up to 128"),
        ({"QueryString": "x" * 262_145}, "QueryString has up to 262144"),
        ({"WorkGroup": "others"}, "WorkGroup others is not found"),
        ({"Description": "d" * 1025}, "Description has up to 1024"),
    ],
)
def test_a_named_query_that_cannot_be_is_refused(ann, given, part):
    whole = {"Name": "n", "Database": "shop", "QueryString": "select 1", **given}
    code, message = refused(ann.create_named_query, **whole)
    assert code == "InvalidRequestException" and part in message
    assert ann.list_named_queries()["NamedQueryIds"] == []


def test_named_queries_outlive_the_server_and_a_damaged_file_loses_none(tmp_path):
    given = {"Name": "kept", "Database": "shop", "QueryString": "select 1"}
    with running(tmp_path, declaration=DECLARED) as shop:
        id = shop.aws("athena").create_named_query(**given)["NamedQueryId"]
    path = named_queries_path(tmp_path / "data")
    with running(tmp_path, declaration=DECLARED) as shop:
        athena = shop.aws("athena")
        assert athena.get_named_query(NamedQueryId=id)["NamedQuery"]["Name"] == "kept"
        path.write_bytes(path.read_bytes()[:-10])
        before = path.read_bytes()
        code, message = refused(athena.create_named_query, **given)
        assert code == "InternalServerException" and "Nothing was changed" in message
        assert path.read_bytes() == before
