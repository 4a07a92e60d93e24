"""Which tables can be in Iceberg on AWS."""

import pytest

from datawarehouse import Warehouse
from datawarehouse.errors import DeclarationError

EVERY_TYPE = {
    "flag": "boolean",
    "small": "int",
    "large": "bigint",
    "near": "float",
    "exact": "decimal(38,9)",
    "ratio": "double",
    "text": "string",
    "raw": "binary",
    "day": "date",
    "at": "timestamp",
    "tags": "array<string>",
    "counts": "map<string,array<int>>",
    "device": "struct<os:string,sizes:array<struct<w:int>>>",
}

HOURLY = {"schedule_expression": "rate(1 hour)"}


def declare(columns=EVERY_TYPE, **arguments):
    return Warehouse("shop").with_streaming_input_table("clicks", columns, **{"table_format": "iceberg", **arguments})


def refused(columns=EVERY_TYPE, **arguments):
    warehouse = Warehouse("shop")
    with pytest.raises(DeclarationError) as raised:
        warehouse.with_streaming_input_table("clicks", columns, **{"table_format": "iceberg", **arguments})
    assert warehouse.list_tables() == []
    return str(raised.value)


def test_the_format_is_kept_with_the_table():
    assert declare().get_table("clicks").table_format == "iceberg"
    assert declare(table_format="hive").get_table("clicks").table_format == "hive"
    assert Warehouse("shop").with_streaming_input_table("a", {"id": "string"}).get_table("a").table_format == "hive"


def test_what_compaction_needs_may_be_declared_for_the_embedded_host():
    declare(sort_by=["text"], dedupe_key="text")


@pytest.mark.parametrize("format", ["Iceberg", "parquet", "", None, 1])
def test_an_unknown_format(format):
    assert refused(table_format=format) == (
        f"Table 'clicks': table_format is {format!r}; valid are 'hive' and 'iceberg'."
    )


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("tinyint", "Iceberg has no tinyint; declare int"),
        ("smallint", "Iceberg has no smallint; declare int"),
        ("char(3)", "Iceberg has no char; declare string"),
        ("array<varchar(5)>", "Iceberg has no varchar; declare string"),
        ("struct<a:int,b:map<string,smallint>>", "Iceberg has no smallint; declare int"),
        (
            "map<int,string>",
            "nothing says that Firehose reads a key of type int from JSON; declare string as its key",
        ),
        ("array<" * 16 + "int" + ">" * 16, "Firehose takes 16 levels of nesting"),
    ],
)
def test_a_type_that_iceberg_does_not_have(kind, problem):
    declare({"ok": "int", "c": kind}, table_format="hive")
    assert refused({"ok": "int", "c": kind}) == (
        f"Table 'clicks', column 'c': with table_format='iceberg' it cannot be {kind}, because {problem}."
    )


def test_as_deep_as_firehose_goes():
    declare({"c": "array<" * 15 + "int" + ">" * 15})


def test_hours_do_not_expire():
    message = refused(retention_days=30)
    assert "retention_days is 30; with table_format='iceberg' it cannot be given" in message
    assert "S3 would delete files that the table still names" in message


def test_glue_compacts_it():
    assert refused(compaction="hourly") == (
        "Table 'clicks': compaction is 'hourly'; with table_format='iceberg' it cannot be given, because the files of "
        "such a table are named in its own metadata, and Glue compacts it. Leave it out."
    )


def test_a_job_cannot_run_again_for_hours_of_it():
    both = declare().with_streaming_input_table("views", {"id": "string"})
    job = {"sql": "select count(*) as n from clicks", "rerun_when_late": True, "partition_keys": {"hour": "string"}}
    with pytest.raises(DeclarationError, match="rerun_when_late cannot be given for a job that reads 'clicks', which"):
        both.with_batch_input_table("n", {"n": "bigint"}, reads=["views", "clicks"], **HOURLY, **job)
    both.with_batch_input_table("n", {"n": "bigint"}, reads=["views"], **HOURLY, **job)


def test_no_partition_is_registered():
    assert "no partition is ever registered. Leave it out." in refused(partition_schedule_expression="rate(5 minutes)")
