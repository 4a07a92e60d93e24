"""Clients of Athena as they are write in scratch: cursors of PyAthena, SQLAlchemy, awswrangler, the AWS command."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from running import AWS, running

from patience import patient

BIN = Path(__file__).parents[2] / ".venv" / "athena" / "bin"
DECLARED = """
from datawarehouse import Warehouse

warehouse = Warehouse("shop").with_streaming_input_table("clicks", {"ad": "string", "price": "double"})
"""
CURSORS = {
    "Cursor": ("pyathena.cursor", "primary"),
    "DictCursor": ("pyathena.cursor", "primary-managed"),
    "PandasCursor": ("pyathena.pandas.cursor", "primary"),
    "ArrowCursor": ("pyathena.arrow.cursor", "primary-managed"),
    "PolarsCursor": ("pyathena.polars.cursor", "primary"),
    "S3FSCursor": ("pyathena.s3fs.cursor", "primary"),
}
WRITES = """
import json
from pyathena import connect
from {module} import {cursor}

place = {{}} if "{workgroup}".endswith("managed") else {{"s3_staging_dir": "s3://results/"}}
connection = connect(work_group="{workgroup}", schema_name="scratch", cursor_class={cursor}, **place)
told = []
for sql in (
    "create table {cursor}_t as select ad, price from shop.clicks",
    "insert into {cursor}_t values ('green', 0.5), ('grey', null)",
    "create or replace view {cursor}_v as select ad from {cursor}_t where price > 1",
    "select ad from {cursor}_v order by 1",
    "drop view {cursor}_v",
    "drop table {cursor}_t",
):
    cursor = connection.cursor()
    cursor.execute(sql)
    rows = [list(row.values()) if isinstance(row, dict) else list(row) for row in cursor.fetchall()]
    told.append([cursor.substatement_type, cursor.rowcount, [each[0] for each in cursor.description or ()], rows])
print(json.dumps(told))
"""
SQLALCHEMY = """
from sqlalchemy import create_engine, inspect, text

engine = create_engine("awsathena+rest://athena.eu-west-1.amazonaws.com:443/scratch?s3_staging_dir=s3://results/")
with engine.connect() as connection:
    connection.execute(text("create table of_alchemy as select ad, price from shop.clicks"))
    connection.execute(text("create view view_of_alchemy as select ad from of_alchemy"))
    there = inspect(engine)
    print(sorted(there.get_schema_names()))
    print(there.get_table_names(), there.get_view_names(), there.has_table("of_alchemy"), there.has_table("clicks"))
    print([(each["name"], str(each["type"])) for each in there.get_columns("of_alchemy")])
    print(connection.execute(text("select count(*) from view_of_alchemy")).scalar())
    connection.execute(text("drop view view_of_alchemy"))
    connection.execute(text("drop table of_alchemy"))
"""
WRANGLER = """
import awswrangler

place = {"database": "scratch", "s3_output": "s3://results/"}
awswrangler.athena.start_query_execution("create table wrangled as select ad from shop.clicks", wait=True, **place)
frame = awswrangler.athena.read_sql_query("select ad from wrangled order by 1", ctas_approach=False, **place)
print(frame["ad"].tolist())
print(awswrangler.catalog.tables(database="scratch")["Table"].tolist())
awswrangler.athena.start_query_execution("drop table wrangled", wait=True, **place)
"""
COMMANDS = """
run() {
    id=$(aws athena start-query-execution --query-execution-context Database=scratch --query-string "$1" \\
        --query QueryExecutionId --output text)
    aws athena get-query-execution --query-execution-id $id --output text \\
        --query 'QueryExecution.[Status.State,StatementType,SubstatementType]'
}
run 'create table of_command as select ad from shop.clicks'
run 'create view view_of_command as select * from of_command'
aws athena list-table-metadata --catalog-name AwsDataCatalog --database-name scratch --output text \\
    --query 'TableMetadataList[*].[Name,TableType]'
aws glue get-tables --database-name scratch --query 'TableList[*].Name' --output text
run 'drop view view_of_command'
run 'drop table of_command'
"""
TOLD = """SUCCEEDED	DDL	CREATE_TABLE_AS_SELECT
SUCCEEDED	DDL	CREATE_VIEW
of_command	EXTERNAL_TABLE
view_of_command	VIRTUAL_VIEW
of_command	view_of_command
SUCCEEDED	DDL	DROP_VIEW
SUCCEEDED	DDL	DROP_TABLE
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([{"ad": "red", "price": 2.0}, {"ad": "blue", "price": 1.5}]).encode())
        started.flush()
        yield started


def printed(shop, *command):
    given = {"AWS_ENDPOINT_URL": shop.url, "AWS_DEFAULT_REGION": "eu-west-1"}
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment = {**os.environ, **AWS, **given, **keys, **path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=patient(150))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("cursor", CURSORS)
def test_each_cursor_of_pyathena_writes_and_reads(shop, cursor):
    module, workgroup = CURSORS[cursor]
    program = WRITES.format(module=module, cursor=cursor, workgroup=workgroup)
    told = json.loads(printed(shop, BIN / "python", "-c", program).splitlines()[-1])
    assert told == [
        ["CREATE_TABLE_AS_SELECT", 2, ["rows"], []],
        ["INSERT", 2, ["rows"], []],
        ["CREATE_VIEW", -1, [], []],
        ["SELECT", told[3][1], ["ad"], [["blue"], ["red"]]],
        ["DROP_VIEW", -1, [], []],
        ["DROP_TABLE", -1, [], []],
    ]


def test_sqlalchemy_reflects_scratch(shop):
    schemas, listed, columns, count = printed(shop, BIN / "python", "-c", SQLALCHEMY).splitlines()
    assert schemas == "['scratch', 'shop']"
    assert listed == "['of_alchemy'] ['view_of_alchemy'] True False"
    assert columns == "[('ad', 'VARCHAR'), ('price', 'DOUBLE')]"
    assert count == "2"


def test_awswrangler_writes_and_reads(shop):
    assert printed(shop, BIN / "python", "-c", WRANGLER) == "['blue', 'red']\n['wrangled']\n"


def test_the_aws_command_writes_and_lists(shop):
    assert printed(shop, "bash", "-ec", COMMANDS) == TOLD
