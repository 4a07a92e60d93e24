"""Attempts to read or write what a key may not, by each door that takes statements: none succeeds.

Each line has who tries, the statement, and what the refusal says; `nothing` is for a statement about metadata whose
answer does not have what the key may not know of. A door is a function below: a new one gets all attempts.
"""

import json
import re

import boto3
import pytest
from botocore.exceptions import ClientError
from running import running, until

from datawarehouse.folder import scratch_root

DECLARED = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_streaming_input_table("orders", {"id": "string", "card": "string"})
    .with_view("cards", "select card from orders")
    .with_view("above", "select card from cards")
    .with_view("seen", "select id, n from clicks")
    .with_workgroup("people", scratch_bytes_max=10**6)
    .with_workgroup("others", scratch_bytes_max=10**6)
    .with_workgroup("readers")
)
"""
SECRET = "canary"
KEYS = {
    "ann": ("people", "query:clicks"),
    "bob": ("people", "query"),
    "cid": ("others", "query"),
    "dan": ("readers", "query"),
}
MADE = {
    "ann": ["create table scratch.own as select id from clicks"],
    "bob": [
        "create table scratch.open as select id from clicks",
        "create table scratch.cards as select card from orders",
        "create table scratch.some as select 'canary' as card from orders where false",
        "create table scratch.listed as select table_name as card from information_schema.tables",
        "create view scratch.peek as select card from orders",
        "create view scratch.above as select card from scratch.cards",
        "create view scratch.seen as select id from scratch.open",
    ],
    "cid": [
        "create table scratch.theirs as select 'canary' as card",
        "create view scratch.view as select card from scratch.theirs",
    ],
}

ATTEMPTS = r"""
ann | select * from orders | may not read orders
ann | select * from shop.orders | may not read orders
ann | select * from awsdatacatalog.shop.orders | may not read orders
ann | select * from "AwsDataCatalog"."SHOP"."ORDERS" | may not read orders
ann | select * from "orders" | may not read orders
ann | table orders | may not read orders
ann | with o as (select * from orders) select * from o | may not read orders
ann | with orders as (select * from orders) select * from orders | may not read orders|TABLE_NOT_FOUND|recursive
ann | select (select max(card) from orders) | may not read orders
ann | select id from clicks where id in (select card from orders) | may not read orders
ann | select id from clicks where exists (select 1 from orders) | may not read orders
ann | select id from clicks union all select card from orders | may not read orders
ann | select id from clicks except select card from orders | may not read orders
ann | select c.id from clicks c join orders o on true | may not read orders
ann | select c.id from clicks c cross join lateral (select card from orders) o | may not read orders
ann | select * from orders_quarantine | may not read orders_quarantine
ann | select * from clicks_quarantine | may not read clicks_quarantine
ann | select * from query_history | may not read query_history
ann | select "$path" from orders | may not read orders
ann | select count(*) from orders | may not read orders
ann | select * from orders tablesample bernoulli (100) | may not read orders
ann | explain select * from orders | may not read orders
ann | describe orders | may not read orders|TABLE_NOT_FOUND
ann | show columns from orders | may not read orders|TABLE_NOT_FOUND
ann | show partitions orders | may not read orders
ann | select * from "orders$partitions" | TABLE_NOT_FOUND|may not read
ann | execute immediate 'select * from orders' | may not read orders
ann | execute immediate 'select * from orders where card = ?' using 'x' | may not read orders
ann | execute immediate 'create table scratch.x as select * from orders' | may not read orders
ann | select * from cards | may not read cards
ann | select * from above | may not read above
ann | select * from shop.cards c join clicks on true | may not read cards
ann | select (select max(card) from above) | may not read above
ann | describe cards | may not read cards|TABLE_NOT_FOUND
ann | explain select * from above | may not read above
ann | create table scratch.x as select * from orders | may not read orders
ann | create table scratch.x as select * from cards | may not read cards
ann | create view scratch.x as select * from orders | may not read orders
ann | create view scratch.x as select * from above | may not read above
ann | insert into scratch.own select card from orders | may not read orders
ann | insert into scratch.own select card from cards | may not read cards
ann | select * from scratch_bob.cards | may not read scratch_bob.cards
ann | select * from scratch_bob.peek | may not read scratch_bob.peek
ann | select * from scratch_bob.above | may not read scratch_bob.above
ann | select * from scratch_bob.some | may not read scratch_bob.some
ann | select * from scratch_bob.listed | may not read scratch_bob.listed
ann | select * from awsdatacatalog.scratch_bob.cards | may not read scratch_bob.cards|TABLE_NOT_FOUND
ann | select * from "SCRATCH_BOB"."CARDS" | may not read scratch_bob.cards
ann | create table scratch.x as select * from scratch_bob.cards | may not read scratch_bob.cards
ann | create view scratch.x as select * from scratch_bob.peek | may not read scratch_bob.peek
ann | select * from scratch_cid.theirs | TABLE_NOT_FOUND
ann | select * from scratch_cid.view | TABLE_NOT_FOUND
bob | select * from scratch_cid.theirs | TABLE_NOT_FOUND
bob | select * from scratch_cid.view | TABLE_NOT_FOUND
bob | create view scratch.x as select * from scratch_cid.theirs | TABLE_NOT_FOUND
bob | describe scratch_cid.theirs | NOT_FOUND
bob | select * from scratch_dan.anything | TABLE_NOT_FOUND
bob | select * from scratch_owner.local | TABLE_NOT_FOUND
cid | select * from scratch_bob.open | TABLE_NOT_FOUND
cid | select * from scratch_bob.seen | TABLE_NOT_FOUND
cid | select * from scratch_owner.local | TABLE_NOT_FOUND
dan | select * from scratch_bob.open | TABLE_NOT_FOUND
dan | select * from scratch_cid.theirs | TABLE_NOT_FOUND
dan | select * from "scratch_bob.open" | TABLE_NOT_FOUND
bob | select * from "scratch_cid.theirs" | TABLE_NOT_FOUND
bob | select * from "scratch_cid"."theirs" | TABLE_NOT_FOUND
bob | select * from scratch."../../others/cid/theirs" | TABLE_NOT_FOUND
bob | select * from "scratch/../others/cid"."theirs" | TABLE_NOT_FOUND
bob | select * from "scratch_../others/cid"."theirs" | TABLE_NOT_FOUND
bob | select * from "scratch_%63id"."theirs" | TABLE_NOT_FOUND
bob | select * from others.scratch_cid.theirs | TABLE_NOT_FOUND
bob | select * from memory.scratch_cid.theirs | TABLE_NOT_FOUND
bob | select * from memory.cid.theirs | TABLE_NOT_FOUND
bob | drop table scratch_ann.own | PERMISSION_DENIED
bob | drop table if exists scratch_ann.own | PERMISSION_DENIED
bob | insert into scratch_ann.own select 'x' | PERMISSION_DENIED
bob | delete from scratch_ann.own | PERMISSION_DENIED
bob | truncate table scratch_ann.own | PERMISSION_DENIED
bob | alter table scratch_ann.own rename to scratch_ann.gone | PERMISSION_DENIED
bob | alter table scratch_ann.own rename to scratch.taken | PERMISSION_DENIED
bob | alter table scratch.open rename to scratch_ann.given | PERMISSION_DENIED
bob | create table scratch_ann.x as select 1 as a | PERMISSION_DENIED
bob | create or replace view scratch_ann.own as select 1 as a | PERMISSION_DENIED
bob | create view scratch_cid.x as select 1 as a | PERMISSION_DENIED
cid | drop table scratch_bob.open | PERMISSION_DENIED
cid | create table scratch_bob.x as select 1 as a | PERMISSION_DENIED
bob | create schema scratch_new | PERMISSION_DENIED
bob | create schema if not exists scratch_ann | PERMISSION_DENIED
bob | drop schema scratch | not supported
bob | drop schema scratch_ann cascade | not supported
dan | create table scratch.x as select 1 as a | PERMISSION_DENIED.*no scratch
dan | create view scratch.x as select 1 as a | PERMISSION_DENIED.*no scratch
dan | drop table if exists scratch.x | PERMISSION_DENIED.*no scratch
bob | create table clicks as select 1 as a | PERMISSION_DENIED
bob | create table shop.x as select 1 as a | PERMISSION_DENIED
bob | create table if not exists shop.clicks as select 1 as a | PERMISSION_DENIED
bob | create table awsdatacatalog.shop.x as select 1 as a | PERMISSION_DENIED
bob | insert into clicks select 'x', 1, 'y' | PERMISSION_DENIED
bob | insert into shop.clicks values ('x', 1, 'y') | PERMISSION_DENIED
bob | drop table clicks | PERMISSION_DENIED
bob | drop view seen | PERMISSION_DENIED
bob | create or replace view seen as select card from orders | PERMISSION_DENIED
bob | alter table clicks rename to scratch.clicks | PERMISSION_DENIED
bob | delete from clicks | PERMISSION_DENIED
bob | delete from shop.clicks where id = 'x' | not supported
bob | truncate table orders | PERMISSION_DENIED
bob | create table information_schema.tables as select 1 as a | PERMISSION_DENIED
bob | create table system.runtime.nodes as select 1 as a | PERMISSION_DENIED
bob | create table tpch.other.x as select 1 as a | PERMISSION_DENIED
bob | create table scratch."../x" as select 1 as a | INVALID_NAME
bob | create table scratch."../../_keys" as select 1 as a | INVALID_NAME
bob | create table scratch."/etc/passwd" as select 1 as a | INVALID_NAME
bob | create table scratch."a/b" as select 1 as a | INVALID_NAME
bob | create table scratch."a.b" as select 1 as a | INVALID_NAME
bob | create table scratch."_tables.json" as select 1 as a | INVALID_NAME
bob | create table scratch."x$partitions" as select 1 as a | INVALID_NAME
bob | create table scratch.x with (external_location = 's3://b/x/') as select 1 as a | format = 'PARQUET' alone
bob | create table scratch.x with (location = 'file:///tmp/x') as select 1 as a | format = 'PARQUET' alone
bob | create table scratch.x with (format = 'ORC') as select 1 as a | format = 'PARQUET' alone
bob | create external table scratch.x (a int) location 's3://b/' | not supported
bob | create table scratch.x (like orders including properties) | not a statement|not supported|name and a type
bob | create function f() returns int return 1 | not supported
bob | create role r | not supported
bob | grant select on orders to user ann | not allowed
bob | comment on table scratch.open is 'x' | not allowed
bob | merge into clicks using orders on true when matched then delete | not allowed
bob | update clicks set n = 1 | not allowed
bob | copy clicks to '/tmp/x.parquet' | not allowed
bob | copy scratch.open from '/etc/passwd' | not allowed
bob | attach '/tmp/x.db' as x | not allowed
bob | attach database 'x' | not allowed
bob | pragma database_list | not allowed
bob | set enable_external_access = true | not allowed
bob | reset lock_configuration | not allowed
bob | install httpfs | not allowed
bob | load httpfs | not allowed
bob | export database '/tmp/x' | not allowed
bob | checkpoint | not allowed
bob | call duckdb_settings() | not allowed|not a statement
bob | unload (select * from orders) to 's3://b/' with (format = 'PARQUET') | not allowed
bob | select 1; drop table scratch.open | 2 statements|not a statement
bob | create table scratch.x as select 1 as a; select 2 | 2 statements|not a statement
bob | select * from read_parquet('/etc/passwd') | not supported
bob | select * from read_csv_auto('/etc/passwd') | not supported
bob | select * from read_text('/etc/passwd') | not supported
bob | select * from read_json('_keys.json') | not supported
bob | select * from glob('/*') | not supported
bob | select * from parquet_scan('x') | not supported
bob | select * from duckdb_settings() | not supported
bob | select * from '/etc/passwd' | not a statement|TABLE_NOT_FOUND|not supported
bob | select * from "/etc/passwd" | TABLE_NOT_FOUND
bob | select * from "_keys.json" | TABLE_NOT_FOUND
bob | select * from "memory$0" | TABLE_NOT_FOUND
bob | select * from sqlite_master | TABLE_NOT_FOUND
bob | select * from duckdb_tables | TABLE_NOT_FOUND
bob | select read_text('/etc/passwd') | read_text|not supported|FUNCTION_NOT_FOUND
bob | select getenv('HOME') | getenv|not supported
bob | select current_setting('lock_configuration') | current_setting|not supported
bob | create table scratch.x as select * from read_text('/etc/passwd') | not supported
bob | create view scratch.x as select * from read_parquet('/etc/passwd') | not supported
bob | create view scratch.x as copy clicks to 'x' | not allowed|not a statement
bob | create view scratch.x as drop table scratch.open | not allowed|After CREATE VIEW
bob | create table scratch.x as insert into scratch.open select 'x' | not allowed|After CREATE TABLE
bob | create table scratch.x as show tables | After CREATE TABLE|not allowed
bob | create or replace view scratch.above as select * from scratch.above | reads itself
bob | explain create table scratch.x as select 1 as a | not supported; explain its query
bob | explain analyze insert into scratch.open select 'x' | not supported; explain its query
bob | create table scratch.x (a int, b read_text('/etc/passwd')) | .
bob | create table scratch.x (a int) , b as select 1 | not supported|not a statement
ann | select table_name from information_schema.tables | nothing
ann | select table_name, column_name from information_schema.columns | nothing
ann | select table_name, view_definition from information_schema.views | nothing
ann | select schema_name from information_schema.schemata where schema_name like '%cid%' | nothing
ann | show tables | nothing
ann | show tables like '%order%' | nothing
ann | select table_name from system.jdbc.tables where table_cat = 'awsdatacatalog' | nothing
ann | select table_name, column_name from system.jdbc.columns where table_cat = 'awsdatacatalog' | nothing
ann | select table_name, comment from system.metadata.table_comments where catalog_name = 'awsdatacatalog' | nothing
cid | select table_schema, table_name from information_schema.tables where table_schema like 'scratch_%' | nothing
dan | select table_schema, table_name from information_schema.tables where table_schema like 'scratch%' | nothing
""".strip().splitlines()
HIDDEN = ("orders", "cards", "above", "peek", "some", "theirs", "query_history", "scratch_bob", "scratch_cid", SECRET)
"""What no answer about metadata may have. `open` and `seen` of bob are ann's to read."""


def by_query(shop, key, sql):
    status, _, body = shop.request("POST", "/v1/query", json.dumps({"sql": sql, "format": "json"}), bearer(key))
    answer = json.loads(body)
    return (None, answer) if status == 200 else (told(answer["error"]), None)


def by_submission(shop, key, sql):
    status, _, body = shop.request("POST", "/v1/queries", json.dumps({"sql": sql, "format": "json"}), bearer(key))
    assert status == 202, body
    address = f"/v1/queries/{json.loads(body)['id']}"
    done = json.loads(shop.request("GET", f"{address}?wait_s=30", headers=bearer(key))[2])
    if done["error"]:
        return told(done["error"]), None
    pages = [shop.request("GET", f"{address}/pages/{n}", headers=bearer(key)) for n in range(done["result"]["pages"])]
    return None, json.loads(b"".join(body for _, _, body in pages))


def by_trino(shop, key, sql):
    address, rows = "/v1/statement", []
    status, _, body = shop.request("POST", address, sql.encode(), bearer(key))
    while True:
        assert status == 200, body
        answer = json.loads(body)
        rows += answer.get("data", [])
        if error := answer.get("error"):
            return f"{error['errorName']}: {error['message']}", None
        if "nextUri" not in answer:
            return None, rows
        status, _, body = shop.request("GET", answer["nextUri"].removeprefix(shop.url), None, bearer(key))


def by_athena(shop, key, sql, database=None):
    credentials = {"aws_access_key_id": key["id"], "aws_secret_access_key": key["secret"]}
    athena = boto3.client("athena", endpoint_url=shop.url, region_name="eu-west-1", **credentials)
    try:
        context = {"QueryExecutionContext": {"Database": database}} if database else {}
        id = athena.start_query_execution(QueryString=sql, **context)["QueryExecutionId"]
    except ClientError as error:
        return str(error), None

    def over():
        found = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        return found if found["State"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None

    status = until(over, "the end of the query")
    if status["State"] != "SUCCEEDED":
        return status.get("StateChangeReason", status["State"]), None
    page = athena.get_query_results(QueryExecutionId=id)["ResultSet"]["Rows"]
    return None, [[cell.get("VarCharValue") for cell in row["Data"]] for row in page]


DOORS = (by_query, by_submission, by_trino, by_athena)


def told(error):
    return f"{error['code']}: {error['message']}"


def bearer(key):
    return {"Authorization": f"Bearer {key['token']}"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([{"id": f"e{n}", "n": n} for n in range(3)]).encode())
        started.events("orders", json.dumps([{"id": "o1", "card": SECRET}]).encode())
        started.flush()
        started.query("create table scratch.local as select card from orders")
        yield started


@pytest.fixture(scope="module")
def keys(shop):
    made = {}
    for name, (workgroup, may) in KEYS.items():
        printed = shop.dw("keys", "create", name, "--may", may, "--workgroup", workgroup, "--output", "json")
        made[name] = json.loads(printed.stdout)
    for name, statements in MADE.items():
        for sql in statements:
            assert by_query(shop, made[name], sql)[0] is None, sql
    return made


def lists(shop):
    """Everything that scratch has, as it is on the disk."""
    root = scratch_root(shop.folder / "data")
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("door", DOORS)
def test_no_attempt_succeeds(shop, keys, door):
    before = lists(shop)
    told_otherwise = []
    for line in ATTEMPTS:
        who, sql, said = (part.strip() for part in line.split(" | ", 2))
        refusal, answer = door(shop, keys[who], sql)
        shown = f"{refusal or answer}"
        is_right = (
            refusal is None and not any(word in json.dumps(answer) for word in HIDDEN)
            if said == "nothing"
            else refusal is not None and re.search(said, refusal)
        )
        if not is_right or SECRET in shown:
            told_otherwise.append(f"{who}: {sql}\n    wanted: {said}\n    got: {shown[:300]}")
    assert not told_otherwise, "\n".join(told_otherwise)
    assert lists(shop) == before


IN_DATABASES = r"""
ann | scratch | select * from shop.orders | may not read orders
ann | scratch | select * from orders | TABLE_NOT_FOUND|may not read orders
ann | scratch | create table x as select * from shop.orders | may not read orders
ann | scratch | insert into own select card from shop.orders | may not read orders
ann | scratch | select * from scratch_bob.cards | TABLE_NOT_FOUND|may not read
ann | scratch_bob | select * from cards | TABLE_NOT_FOUND|may not read
ann | scratch_bob | select * from peek | TABLE_NOT_FOUND|may not read
ann | scratch_bob | create table x as select 1 as a | PERMISSION_DENIED
ann | scratch_bob | insert into open select 'x' | PERMISSION_DENIED
ann | scratch_bob | drop table open | PERMISSION_DENIED
ann | scratch_bob | alter table open rename to mine | PERMISSION_DENIED
ann | scratch_bob | alter table scratch.own rename to scratch_bob.mine | PERMISSION_DENIED
ann | scratch_bob | truncate table open | PERMISSION_DENIED
ann | scratch_bob | create or replace view seen as select 1 as a | PERMISSION_DENIED
ann | scratch_bob | show tables | nothing
ann | scratch_bob | show views | nothing
ann | scratch_bob | select table_name from information_schema.tables | nothing
ann | scratch_bob | explain analyze select * from cards | TABLE_NOT_FOUND|may not read
ann | scratch_cid | select * from theirs | .
ann | scratch_cid | show tables | .
bob | scratch_cid | select * from theirs | .
bob | scratch_cid | drop table theirs | .
bob | scratch_cid | create table x as select 1 as a | .
bob | scratch_owner | select * from local | .
bob | scratch_%6fwner | select * from local | .
bob | ../_local/owner | select * from local | .
bob | SCRATCH_CID | select * from theirs | .
cid | scratch_bob | select * from open | .
cid | scratch_bob | drop table open | .
cid | memory | select * from "default".open | .
dan | scratch | create table x as select 1 as a | scratch
dan | scratch_cid | select * from theirs | .
""".strip().splitlines()
"""The same at Athena's door, from a database that the request names."""


def test_no_attempt_succeeds_from_a_database_of_scratch(shop, keys):
    before = lists(shop)
    told_otherwise = []
    for line in IN_DATABASES:
        who, database, sql, said = (part.strip() for part in line.split(" | ", 3))
        refusal, answer = by_athena(shop, keys[who], sql, database)
        is_told = refusal is None and not any(word in json.dumps(answer) for word in HIDDEN)
        is_right = is_told if said == "nothing" else refusal is not None and re.search(said, refusal)
        if not is_right or SECRET in f"{refusal or answer}":
            told_otherwise.append(f"{who} in {database}: {sql}\n    wanted: {said}\n    got: {refusal or answer}")
    assert not told_otherwise, "\n".join(told_otherwise)
    assert lists(shop) == before


def test_there_are_enough_attempts():
    assert len(set(ATTEMPTS)) >= 120


READ = [
    ("ann", "select count(*) as c from scratch_bob.open", 3),
    ("ann", "select count(*) as c from scratch_bob.seen", 3),
    ("bob", "select count(*) as c from scratch_ann.own", 3),
    ("bob", "select count(*) as c from scratch_bob.cards", 1),
    ("cid", "select count(*) as c from memory.default.theirs", 1),
]


@pytest.mark.parametrize("door", DOORS)
def test_the_same_workgroup_reads_what_it_may(shop, keys, door):
    for who, sql, count in READ:
        refusal, answer = door(shop, keys[who], sql)
        assert refusal is None and str(count) in json.dumps(answer), (sql, refusal)
