"""The texts that an export writes, word for word."""

import pytest

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.export import duckdb, glue, spark, trino
from datawarehouse.export.dialects import DUCKDB, SPARK, TRINO
from datawarehouse.export.tables import ExportedTable, PartitionFiles


def columns(**types):
    return tuple(Column(name, parse_type(kind)) for name, kind in types.items())


def clicks(base, hours=("2026/11/23/07", "2026/11/23/08")):
    """A table whose first hour has a file of each of two schema versions."""
    files = [(("a.parquet", 1), ("b.parquet", 2)), *[(("c.parquet", 2),)] * (len(hours) - 1)]
    return ExportedTable(
        name="clicks",
        columns=columns(id="string", n="bigint", at="timestamp"),
        keys=columns(inserted_at="string"),
        versions={1: columns(id="string", n="int"), 2: columns(id="string", n="bigint", at="timestamp")},
        folder=f"{base}/clicks",
        partitions=tuple(
            PartitionFiles((hour,), f"{base}/clicks/{hour}", each) for hour, each in zip(hours, files, strict=True)
        ),
    )


def whole(base):
    """A table without partition keys."""
    folder = f"{base}/whole"
    files = (("2026-11-23-07-a.parquet", 1),)
    return ExportedTable(
        "whole", columns(n="int"), (), {1: columns(n="int")}, folder, (PartitionFiles((), folder, files),)
    )


def test_duckdb():
    assert duckdb.script([clicks("/out"), whole("/it's")]) == (
        'create or replace view "clicks" as\n'
        'select "id", cast("n" as bigint) as "n", cast(null as timestamp) as "at", '
        'substr("$file", 13, 13) as "inserted_at"\n'
        "from read_parquet([\n  '/out/clicks/2026/11/23/07/a.parquet'], filename = '$file')\n"
        "union all\n"
        'select "id", "n", "at", substr("$file", 13, 13) as "inserted_at"\n'
        "from read_parquet([\n  '/out/clicks/2026/11/23/07/b.parquet',\n  '/out/clicks/2026/11/23/08/c.parquet'], "
        "filename = '$file');\n\n"
        'create or replace view "whole" as\n'
        "select \"n\"\nfrom read_parquet([\n  '/it''s/whole/2026-11-23-07-a.parquet'], filename = '$file');\n"
    )


def test_spark():
    assert spark.script([clicks("file:///out"), whole("file:///it's")]) == (
        "drop table if exists `clicks`;\n\n"
        "create table `clicks` (\n  `id` string,\n  `n` bigint,\n  `at` timestamp_ntz,\n  `inserted_at` string\n) "
        "using parquet partitioned by (`inserted_at`) location 'file:///out/clicks';\n\n"
        "alter table `clicks` add\n"
        "  partition (`inserted_at` = '2026/11/23/07') location 'file:///out/clicks/2026/11/23/07'\n"
        "  partition (`inserted_at` = '2026/11/23/08') location 'file:///out/clicks/2026/11/23/08';\n\n"
        "drop table if exists `whole`;\n\n"
        "create table `whole` (\n  `n` int\n) using parquet location 'file:///it\\'s/whole';\n"
    )


def test_trino():
    assert trino.script("dw", [clicks("s3://lake"), whole("s3://it's")]) == (
        'create schema if not exists "dw";\n\n'
        'drop table if exists "dw"."clicks";\n\n'
        'create table "dw"."clicks" (\n  "id" varchar,\n  "n" bigint,\n  "at" timestamp(3),\n'
        '  "inserted_at" varchar\n) '
        "with (format = 'PARQUET', external_location = 's3://lake/clicks', partitioned_by = array['inserted_at']);\n\n"
        "call system.register_partition('dw', 'clicks', array['inserted_at'], array['2026/11/23/07'], "
        "'s3://lake/clicks/2026/11/23/07');\n\n"
        "call system.register_partition('dw', 'clicks', array['inserted_at'], array['2026/11/23/08'], "
        "'s3://lake/clicks/2026/11/23/08');\n\n"
        'drop table if exists "dw"."whole";\n\n'
        'create table "dw"."whole" (\n  "n" integer\n) '
        "with (format = 'PARQUET', external_location = 's3://it''s/whole');\n"
    )


def test_many_partitions_are_spread_over_statements_and_calls():
    hours = [f"2026/{month:02}/{day:02}/{hour:02}" for month in (1, 2) for day in range(1, 29) for hour in range(24)]
    table = clicks("s3://lake", hours)
    assert len(hours) == 1344
    statements = spark.script([table]).split(";\n")
    assert [text.count(" location ") for text in statements] == [0, 1, 1000, 344, 0]
    calls = list(glue.create_partitions("dw", table))
    assert [len(call["PartitionInputList"]) for call in calls] == [100] * 13 + [44]
    assert [each["Values"] for call in calls for each in call["PartitionInputList"]] == [[hour] for hour in hours]
    assert list(glue.create_partitions("dw", whole("s3://lake"))) == []


TYPES = "struct<a:array<int>,b:map<string,binary>,c:float,d:char(2),e:varchar(9),f:timestamp,g:decimal(9,2),h:tinyint>"


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (
            DUCKDB,
            'struct("a" integer[], "b" map(varchar, blob), "c" float, "d" varchar, "e" varchar, "f" timestamp, '
            '"g" decimal(9,2), "h" tinyint)',
        ),
        (
            SPARK,
            "struct<`a`: array<int>, `b`: map<string, binary>, `c`: float, `d`: string, `e`: string, "
            "`f`: timestamp_ntz, `g`: decimal(9,2), `h`: tinyint>",
        ),
        (
            TRINO,
            'row("a" array(integer), "b" map(varchar, varbinary), "c" real, "d" char(2), "e" varchar(9), '
            '"f" timestamp(3), "g" decimal(9,2), "h" tinyint)',
        ),
    ],
    ids=["duckdb", "spark", "trino"],
)
def test_types(dialect, text):
    assert dialect.type(parse_type(TYPES)) == text


def test_texts_in_quotes_end_where_they_should():
    given = "it's a \\ back"
    assert DUCKDB.literal(given) == TRINO.literal(given) == "'it''s a \\ back'"
    assert SPARK.literal(given) == "'it\\'s a \\\\ back'"
