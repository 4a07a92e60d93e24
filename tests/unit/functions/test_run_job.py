"""The function that runs jobs, and the clients it has, where the small AWS of tests/aws makes no difference."""

import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from datawarehouse.errors import BadRequest
from datawarehouse.functions import clients, run_job


def test_a_partition_that_is_no_hour_is_refused_before_anything_is_stored(monkeypatch):
    made = {
        service: boto3.client(service, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
        for service in ("glue", "athena", "s3")
    }
    table = {
        "Name": "t",
        "CreateTime": datetime(2026, 1, 1, tzinfo=UTC),
        "Parameters": {"classification": "json"},
        "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "string"}], "Location": "s3://data/t/"},
    }
    seen = []

    def job(job):
        seen.append(job)
        job.write([{"id": "a"}])
        job.write([{"id": "b"}], "2026-11-23")

    monkeypatch.setattr(run_job, "client", made.get)
    monkeypatch.setitem(sys.modules, "a_users_module", SimpleNamespace(job=job))
    for name in ("DATABASE", "TABLE", "WORKGROUP", "RESULTS"):
        monkeypatch.setenv(f"DW_{name}", "t")
    monkeypatch.setenv("DW_JOB", "a_users_module:job")
    with Stubber(made["glue"]) as glue, Stubber(made["s3"]), Stubber(made["athena"]):
        glue.add_response("get_table", {"Table": table})
        with pytest.raises(BadRequest, match=r"'2026-11-23'; valid is the UTC hour as YYYY/MM/DD/HH"):
            run_job.handler(
                {"time": "2026-11-23T07:20:00Z"}, SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000)
            )
    assert list(seen[0].written) == ["2026/11/23/06"]


def test_a_client_repeats_what_was_throttled(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert clients.client("glue").meta.config.retries == {"mode": "standard", "total_max_attempts": 8}
