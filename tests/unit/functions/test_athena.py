"""How a statement ends, and what becomes of values."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from datawarehouse.errors import QueryFailed, QueryLimitExceeded
from datawarehouse.functions import athena
from datawarehouse.functions.athena import Athena, as_sql

ID = "q" * 8


@pytest.fixture
def client(monkeypatch):
    """Athena's client with given answers; it has started a query. No wait between looks at it takes time."""
    made = boto3.client("athena", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
    monkeypatch.setattr(athena, "time", SimpleNamespace(sleep=lambda seconds: None))
    with Stubber(made) as stubber:
        stubber.add_response("start_query_execution", {"QueryExecutionId": ID})
        yield stubber
        stubber.assert_no_pending_responses()


def query(client, remaining_ms=lambda: 300_000):
    return Athena(client.client, "warehouse", "batch", "s3://results/", remaining_ms).query("select 1")


def state(client, name, **more):
    execution = {"QueryExecutionId": ID, "StatementType": "DML", "Status": {"State": name, **more}}
    client.add_response("get_query_execution", {"QueryExecution": execution}, {"QueryExecutionId": ID})


def result(client, rows):
    """Expect the pages of a result; a page has one row at most, the first one that of the names."""
    column = {"Name": "n", "Type": "integer"}
    for number, value in enumerate(["n", *range(rows)]):
        page = {"Rows": [{"Data": [{"VarCharValue": str(value)}]}], "ResultSetMetadata": {"ColumnInfo": [column]}}
        answer = {"ResultSet": page} if number == rows else {"ResultSet": page, "NextToken": str(number + 1)}
        token = {"NextToken": str(number)} if number else {}
        client.add_response("get_query_results", answer, {"QueryExecutionId": ID, "MaxResults": 1000, **token})


def test_a_query_that_somebody_cancelled_is_an_error_at_once(client):
    state(client, "CANCELLED", StateChangeReason="Query cancelled by user")
    with pytest.raises(QueryFailed, match=rf"{ID} cancelled: Query cancelled by user"):
        query(client)


def test_a_query_is_stopped_when_less_than_ten_seconds_remain(client):
    remaining_ms = iter([11_000, 10_001, 9_999])
    for name in ("QUEUED", "RUNNING", "RUNNING"):
        state(client, name)
    client.add_response("stop_query_execution", {}, {"QueryExecutionId": ID})
    with pytest.raises(QueryLimitExceeded, match=rf"{ID} was stopped: it was still running 10 s before") as raised:
        query(client, lambda: next(remaining_ms))
    assert raised.value.limit == "timeout"


@pytest.mark.parametrize("rows", [3, 4])
def test_a_result_has_at_most_so_many_rows(client, monkeypatch, rows):
    monkeypatch.setattr(athena, "RESULT_ROWS_MAX", 3)
    state(client, "SUCCEEDED")
    result(client, rows)
    if rows == 3:
        assert query(client) == [(0,), (1,), (2,)]
    else:
        with pytest.raises(QueryLimitExceeded, match="more than 3 rows") as raised:
            query(client)
        assert raised.value.limit == "result_rows_max"


def test_an_instant_as_a_parameter_keeps_its_microseconds():
    instant = datetime(2026, 1, 2, 3, 4, 5, 678_901)
    east = timezone(timedelta(hours=2))
    assert as_sql(instant) == "TIMESTAMP '2026-01-02 03:04:05.678901'"
    assert as_sql(instant.replace(tzinfo=east)) == "TIMESTAMP '2026-01-02 01:04:05.678901'"
    assert as_sql(instant.replace(microsecond=100)) == "TIMESTAMP '2026-01-02 03:04:05.000100'"
