"""Wrong use is refused before anything is created, and the message says what came, what is valid and what to do."""

import importlib
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
from declared import COLUMNS, everything, hourly_counts, tidy
from emulator import interpreter
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import (
    BatchInputJob,
    EventGenerator,
    HourlyPartitionRegistrar,
    InputStream,
    LambdaCronJob,
    PrivateBucket,
    ReaderRole,
    ServerlessDataWarehouse,
    Workgroups,
)
from datawarehouse.errors import DeclarationError

ROOT = Path(__file__).parents[2]
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
CRON = {"schedule_expression": "rate(1 hour)", "job": tidy}
REGISTRAR = {
    "database_arn": "arn:aws:glue:eu-west-1:123456789012:database/lake",
    "database_name": "lake",
    "table_names": ["clicks"],
}
JOB = {
    "table": everything().get_table("aggregates"),
    "database_arn": REGISTRAR["database_arn"],
    "database_name": "lake",
    "data_bucket": "lake",
    "results_bucket": "results",
    "workgroup": "batch",
}
READER = {
    "account_ids": ["123456789012"],
    "external_id": "agreed",
    "workgroup_name": "readers",
    **{name: JOB[name] for name in ("database_arn", "database_name", "data_bucket", "results_bucket")},
}
STREAM = {"bucket": "lake", "database_name": "lake", "table_name": "clicks", "columns": COLUMNS}


def refusal(build):
    """What is said when `build` is run as a program, and nothing was created by it."""
    said = []

    def program():
        with pytest.raises(DeclarationError) as refused:
            build()
        said.append(str(refused.value))

    graph = deploy(program)
    assert not graph.nodes
    return said[0]


def with_job(tmp_path, monkeypatch, name, source):
    """The job of a module of the user's, beside which nothing else is."""
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module.job


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"warehose": everything()}, ["no argument 'warehose'", "'warehouse', 'is_dev'", "Did you mean 'warehouse'?"]),
        (
            {"warehouse": "warehouse.py"},
            ["warehouse is 'warehouse.py'", "valid is a datawarehouse.definition.warehouse.Warehouse"],
        ),
        ({"is_dev": "yes"}, ["is_dev is 'yes'", "valid is True or False"]),
        ({"data_is_disposable": 1}, ["data_is_disposable is 1", "True or False"]),
        ({"stream_retention_hours": 12}, ["stream_retention_hours is 12", "from 24 to 8760"]),
        ({"log_retention_days": 31}, ["log_retention_days is 31", "30, 60"]),
        ({"reader_account_ids": ["12345"]}, ["'12345' is not valid", "12 digits"]),
        ({"reader_account_ids": "123456789012"}, ["reader_account_ids is '123456789012'", "a list of texts"]),
        ({"alarm_emails": "ops@example.com"}, ["alarm_emails is 'ops@example.com'", "valid is a list of texts"]),
        ({"alarm_emails": [5]}, ["alarm_emails is [5]", "valid is a list of texts"]),
        ({"on_demand_streams": True}, ["on_demand_streams is True", "valid is a list of texts"]),
        ({"database": "lake"}, ["database is 'lake'", "CatalogDatabase"]),
        ({"database_name": "Lake"}, ["database_name is 'Lake'", "a name in lower case"]),
        ({"region": 5}, ["region is 5", "valid is a text"]),
        ({"region": "Ireland"}, ["region is 'Ireland'", "e.g. 'eu-west-1'"]),
        ({"alarm_emails": ["ops"]}, ["alarm_emails has 'ops'", "ops@example.com"]),
        ({"log_retention_days": [30]}, ["log_retention_days is [30]", "30, 60"]),
        ({"log_retention_days": True}, ["log_retention_days is True", "30, 60"]),
        ({"reader_external_id": "a b"}, ["reader_external_id is 'a b'", "2 to 1224"]),
        ({"reader_external_id": "agreed"}, ["reader_external_id is 'agreed'", "no reader_account_ids"]),
        ({"reader_external_id": ""}, ["reader_external_id is ''"]),
        ({"partition_projection_start": pulumi.Output.from_input("2026/11/01/00")}, ["an output", "valid is a text"]),
        ({"partition_projection_start": "2026-11-01"}, ["'2026-11-01'", "YYYY/MM/DD/HH"]),
        (
            {"warm_mib_per_second": {"clicks": 60}},
            ["warm_mib_per_second has 'clicks', which is not in on_demand_streams"],
        ),
        (
            {"on_demand_streams": ["clicks"], "warm_mib_per_second": {"clicks": 20_000}},
            ["warm_mib_per_second['clicks'] is 20000", "from 1 to 10240"],
        ),
        ({"warm_mib_per_second": 60}, ["warm_mib_per_second is 60", "valid is a dict"]),
        (
            {"warehouse": everything(), "on_demand_streams": ["facts"]},
            ["on_demand_streams", "'facts' is a table", "'impressions', 'clicks'"],
        ),
    ],
)
def test_arguments_of_the_warehouse(arguments, parts):
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", arguments))
    assert all(part in said for part in ["ServerlessDataWarehouse 'analytics_dw'", *parts]), said


@pytest.mark.parametrize(
    ("build", "parts"),
    [
        (lambda: InputStream("s", {**STREAM, "shard_cout": 2}), ["no argument 'shard_cout'", "mean 'shard_count'?"]),
        (
            lambda: InputStream("s", {**STREAM, "file_flush_interval_seconds": 901}),
            ["file_flush_interval_seconds is 901", "from 0 to 900", "Firehose"],
        ),
        (lambda: InputStream("s", {**STREAM, "shard_count": 501}), ["is 501", "from 1 to 500", "Kinesis"]),
        (lambda: InputStream("s", {**STREAM, "stream_mode": "on-demand", "shard_count": 1}), ["leave it out"]),
        (lambda: InputStream("s", {**STREAM, "stream_mode": "auto"}), ["'provisioned', 'on-demand'"]),
        (lambda: InputStream("s", {**STREAM, "columns": {"id": "text"}}), ["Glue calls it 'string'"]),
        (lambda: InputStream("s", {"bucket": "lake"}), ["'database_name' is missing"]),
        (lambda: InputStream("s", {**STREAM, "table_name": 5}), ["table_name is 5", "a text, or an output of one"]),
        (lambda: InputStream("s", {**STREAM, "log_retention_days": 31}), ["log_retention_days is 31", "30, 60"]),
        (lambda: InputStream("My Stream", STREAM), ["InputStream 'My Stream'", "the name is not valid"]),
        (lambda: LambdaCronJob("my cron!", CRON), ["LambdaCronJob 'my cron!'", "the name is not valid"]),
        (lambda: InputStream("s", {**STREAM, "bucket": "s3://lake"}), ["bucket is 's3://lake'", "without s3://"]),
        (lambda: InputStream("s", {**STREAM, "table_name": "Clicks"}), ["table_name is 'Clicks'", "lower case"]),
        (lambda: BatchInputJob("j", {**JOB, "reads": ["clicks"]}), ["reads is ['clicks']", "tables.Table"]),
        (lambda: ReaderRole("r", {**READER, "account_ids": []}), ["account_ids is empty"]),
        (lambda: PrivateBucket("My_Bucket", {}), ["PrivateBucket 'My_Bucket'", "the name is not valid"]),
        (lambda: PrivateBucket("logs", {"expire_days": {"/logs": 3}}), ["'/logs'", "e.g. 'logs/'"]),
        (lambda: PrivateBucket("lake", {"is_disposable": "no"}), ["is_disposable is 'no'", "True or False"]),
        (lambda: PrivateBucket("lake", {"expire_days": 7}), ["expire_days is 7", "a dict of folders and days"]),
        (lambda: PrivateBucket("lake", {"expire_days": {"a/": -1}}), ["expire_days['a/'] is -1", "from 1 to"]),
        (
            lambda: HourlyPartitionRegistrar("r", {**REGISTRAR, "log_retention_days": 31}),
            ["HourlyPartitionRegistrar 'r'", "log_retention_days is 31"],
        ),
        (lambda: HourlyPartitionRegistrar("r", {**REGISTRAR, "table_names": "clicks"}), ["valid is a list of texts"]),
        (lambda: HourlyPartitionRegistrar("r", {**REGISTRAR, "table_names": []}), ["table_names is empty"]),
        (
            lambda: HourlyPartitionRegistrar("r", {**REGISTRAR, "compacted_table_name": "clicks"}),
            ["give both compacted_table_name and data_bucket, or neither"],
        ),
        (lambda: HourlyPartitionRegistrar("r", {**REGISTRAR, "database_arn": "lake"}), ["'lake'", "an ARN"]),
        (
            lambda: LambdaCronJob("c", {**CRON, "policy_arns_to_attach": "arn:aws:iam::aws:policy/Any"}),
            ["policy_arns_to_attach is 'arn:aws:iam::aws:policy/Any'", "a list of texts"],
        ),
        (lambda: LambdaCronJob("c", {**CRON, "environment": "A=1"}), ["environment is 'A=1'", "a dict"]),
        (lambda: LambdaCronJob("c", {**CRON, "environment": {"my-var": "x"}}), ["has 'my-var'", "begin with a letter"]),
        (lambda: LambdaCronJob("c", {**CRON, "environment": {"AWS_REGION": "x"}}), ["has 'AWS_REGION'"]),
        (lambda: LambdaCronJob("c", {**CRON, "environment": {"A1": "x" * 4095}}), ["4097 bytes", "takes 4096"]),
        (
            lambda: LambdaCronJob("c", {**CRON, "policy_arns_to_attach": ["AmazonS3ReadOnlyAccess"]}),
            ["policy_arns_to_attach has 'AmazonS3ReadOnlyAccess'", "arn:aws:iam::aws:policy/"],
        ),
        (
            lambda: LambdaCronJob("c", {**CRON, "policy_statements": [{"effect": "Allow", "Action": "a:b"}]}),
            ["policy_statements is [{'effect'", "IAM statements"],
        ),
        (
            lambda: LambdaCronJob(
                "c",
                {"schedule_expression": "rate(1 hour)", "code": pulumi.AssetArchive({}), "handler": "handler"},
            ),
            ["handler is 'handler'", "'module.function'"],
        ),
        (lambda: LambdaCronJob("c", {**CRON, "policy_statements": {}}), ["policy_statements is {}", "IAM statements"]),
        (lambda: LambdaCronJob("c", {**CRON, "code": "x.zip", "handler": "x.y"}), ["code is 'x.zip'", "Archive"]),
        (
            lambda: EventGenerator(
                "g", {"table": everything().get_table("facts"), "stream_name": "s", "stream_arn": ARN}
            ),
            ["table is Table(", "StreamingInputTable"],
        ),
        (lambda: Workgroups("w", {"warehouse": "w", "results_bucket": "lake", "has_readers": "no"}), ["True or False"]),
        (
            lambda: Workgroups("w", {"warehouse": "w", "results_bucket": "lake", "workgroups": {"adhoc": 10**9}}),
            ["workgroups['adhoc'] is 1000000000", "Warehouse.workgroups()"],
        ),
        (
            lambda: HourlyPartitionRegistrar(
                "r", {**REGISTRAR, "schedule_expression": "hourly"}
            ),
            ["'hourly'", "rate("],
        ),
        (
            lambda: LambdaCronJob("c", {"schedule_expression": "rate(1 hours)", "job": print}),
            ["'rate(1 hours)'", "'1 hour'"],
        ),
        (lambda: LambdaCronJob("c", {"schedule_expression": "rate(1 hour)"}), ["give either job", "code", "handler"]),
        (lambda: LambdaCronJob("c", {"schedule_expression": "rate(1 hour)", "job": lambda e, c: 1}), ["lambda"]),
        (
            lambda: LambdaCronJob("c", {"schedule_expression": "rate(1 hour)", "job": hourly_counts}),
            ["hourly_counts(job) cannot be called with two arguments"],
        ),
        (
            lambda: LambdaCronJob(
                "c", {"schedule_expression": "rate(1 hour)", "job": print, "timeout_seconds": 1000}
            ),
            ["timeout_seconds is 1000", "from 1 to 900"],
        ),
        (
            lambda: EventGenerator(
                "g", {"table": everything().get_table("clicks"), "stream_name": "s", "stream_arn": ARN, "malformed": 2}
            ),
            ["malformed is 2", "from 0 to 1"],
        ),
    ],
)  # fmt: skip
def test_arguments_of_components(build, parts):
    said = refusal(build)
    assert all(part in said for part in parts), said


def test_too_few_shards_for_the_declared_peak():
    said = refusal(
        lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": Warehouse("w").with_streaming_input_table(
            "clicks", COLUMNS, peak_events_per_second=2500, event_bytes=400
        )})
    )  # fmt: skip
    assert "need 3 shards" in said and "input_stream_shard_count=3" in said


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("import pyarrow\ndef job(job): return []", [".py:1 imports 'pyarrow'", "boto3"]),
        ("def job(job):\n    import pandas as pd\n    return []", [".py:2 imports 'pandas'"]),
        ("from datawarehouse import open_warehouse\ndef job(job): return []", ["'open_warehouse'", "only Warehouse"]),
        ("import datawarehouse.query\ndef job(job): return []", ["'query' from datawarehouse"]),
        ("import json, telnetlib\ndef job(job): return []", [".py:1 imports 'telnetlib'"]),
    ],
)
def test_a_job_that_imports_what_lambda_lacks(tmp_path, monkeypatch, source, parts):
    monkeypatch.setitem(sys.modules, "telnetlib", sys)  # gone since Python 3.13, here it may be there or not
    job = with_job(tmp_path, monkeypatch, f"job_{tmp_path.name}", source)
    declared = everything().with_batch_input_table("sums", {"count": "int"}, job, "rate(1 hour)")
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert all(part in said for part in ["Table 'sums'", *parts]), said


def test_what_a_job_imports_but_never_runs_on_lambda_is_no_fault(tmp_path, monkeypatch):
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pandas
try:
    import ujson as json
except ImportError:
    import json
def job(job):
    return [{"count": 1}]
if __name__ == "__main__":
    import pyarrow
"""
    job = with_job(tmp_path, monkeypatch, "job_b", source)
    declared = Warehouse("w").with_batch_input_table("sums", {"count": "int"}, job, "rate(1 hour)")
    graph = deploy(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}) and None)
    assert "job_b.py" in graph.one("Function").inputs["code"]["assets"]


def test_a_job_of_the_deploying_program_itself(monkeypatch):
    monkeypatch.setattr(hourly_counts, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "hourly_counts", hourly_counts, raising=False)
    declared = Warehouse("w").with_batch_input_table("sums", {"count": "int"}, hourly_counts, "rate(1 hour)")
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert "'__main__'" in said and "module of its own" in said


@pytest.mark.parametrize(
    ("job", "schedule", "part"),
    [
        (lambda job: [], "rate(1 hour)", "a lambda"),
        (hourly_counts, "cron(0 * * * * *)", "cron("),
        (hourly_counts, "rate(0 hours)", "rate("),
    ],
)
def test_jobs_and_schedules_of_the_fluent_form(job, schedule, part):
    def program():
        warehouse = ServerlessDataWarehouse("analytics_dw", {})
        with pytest.raises(DeclarationError, match=r".") as refused:
            warehouse.with_batch_input_table("sums", {"count": "int"}, job, schedule)
        assert part in str(refused.value)
        assert warehouse.list_tables() == []

    assert not deploy(program).all("CatalogTable")


def test_a_nested_function_as_a_job():
    def nested(job):
        return []

    with pytest.raises(DeclarationError, match="not at the top level"):
        everything().with_batch_input_table("sums", {"count": "int"}, nested, "rate(1 hour)")


def test_waiting_for_a_table_that_may_be_late():
    declared = (
        Warehouse("w")
        .with_batch_input_table("first", {"count": "int"}, hourly_counts, "rate(1 hour)")
        .with_batch_input_table(
            "second", {"count": "int"}, hourly_counts, "rate(1 hour)", reads=["first"], run_when_complete=True
        )
    )
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert "'second'" in said and "75 minutes" in said and "cron expression" in said


def test_a_schedule_for_partitions_that_are_projected():
    declared = Warehouse("w").with_streaming_input_table(
        "clicks", COLUMNS, partition_schedule_expression="rate(5 minutes)"
    )
    arguments = {"warehouse": declared, "partition_projection_start": "2026/11/01/00"}
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", arguments))
    assert "rate(5 minutes)" in said and "Leave one of the two out" in said


def test_a_table_named_as_the_staging_of_another():
    declared = (
        Warehouse("w")
        .with_table("sums_staging", {"count": "int"})
        .with_batch_input_table("sums", {"count": "int"}, hourly_counts, "rate(1 hour)")
    )
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert "'sums_staging' is already used on AWS" in said
    declared = Warehouse("w").with_batch_input_table("sums", {"staging_run": "int"}, hourly_counts, "rate(1 hour)")
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert "'staging_run' is already used on AWS" in said


def test_a_table_named_as_the_staging_of_one_that_comes_later():
    def program():
        warehouse = ServerlessDataWarehouse("analytics_dw", {}).with_table("sums_staging", {"count": "int"})
        with pytest.raises(DeclarationError, match="'sums_staging' is already used on AWS"):
            warehouse.with_batch_input_table("sums", {"count": "int"}, hourly_counts, "rate(1 hour)")

    assert len(deploy(program).all("CatalogTable")) == 1


def test_a_table_whose_quarantine_would_have_too_long_a_name():
    declared = Warehouse("w").with_streaming_input_table("c" * 250, COLUMNS)
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert "261 characters" in said and "255" in said


def test_a_job_that_names_more_tables_than_a_policy_can():
    declared = Warehouse("w")
    names = [f"clicks_of_region_{number}" for number in range(30)]
    for name in names:
        declared.with_streaming_input_table(name, COLUMNS)
    declared.with_batch_input_table("sums", {"count": "int"}, hourly_counts, "rate(1 hour)", reads=names)
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert "30 tables in reads" in said and "IAM takes 10240" in said and "leave reads out" in said


@pytest.mark.parametrize("schedule", ["cron(0 0 1 * ? *)", "cron(0 0 1 1 ? 2199)", "rate(30 days)"])
def test_hours_that_would_be_registered_too_late(schedule):
    declared = Warehouse("w").with_streaming_input_table("clicks", COLUMNS, partition_schedule_expression=schedule)
    said = refusal(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared}))
    assert schedule in said and "336 hours ahead" in said and "due more often" in said


def test_a_name_that_no_bucket_can_have():
    assert "at most 40" in refusal(lambda: ServerlessDataWarehouse("w" * 41, {}))
    assert "Try 'analytics_dw'" in refusal(lambda: ServerlessDataWarehouse("Analytics-DW", {}))
    assert "Illegal warehouse name None" in refusal(lambda: ServerlessDataWarehouse(None, {}))


def test_the_missing_extra_is_named():
    done = subprocess.run(
        [interpreter("lambda"), "-c", "from datawarehouse.aws import ServerlessDataWarehouse"],
        env={"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "MissingExtra" in done.stderr and "pip install 'serverless-datawarehouse[aws]'" in done.stderr


def test_event_hours_are_counted_again_on_the_embedded_host_only():
    warehouse = Warehouse("shop").with_streaming_input_table(
        "clicks", {"id": "string", "at": "timestamp"}, event_time="at"
    )
    warehouse.with_batch_input_table(
        "counts", {"n": "int"}, hourly_counts, "rate(1 hour)", {"hour": "string"},
        reads=["clicks"], rerun_when_event_hour_changes=True, rerun_when_late=True,
    )  # fmt: skip
    said = refusal(lambda: ServerlessDataWarehouse("shop", {"warehouse": warehouse}))
    assert "Table 'counts': rerun_when_event_hour_changes cannot be given on AWS" in said
    assert "Next: leave it out; rerun_when_late=True runs the job again" in said
