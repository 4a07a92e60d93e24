"""The small Athena of the tests: where it must behave as Athena does."""

import io
import json
import time

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from functions_stack import HOUR, given_partitions

from patience import patient


def statement(aws, stack, sql, *parameters):
    """(state, reason, rows with the row of names) of a statement."""
    athena = aws.client("athena")
    given = {"ExecutionParameters": list(parameters)} if parameters else {}
    id = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": stack.name},
        ResultConfiguration={"OutputLocation": f"s3://{stack.results}/any/"},
        **given,
    )["QueryExecutionId"]
    deadline = time.monotonic() + patient(60)
    while True:
        status = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if status["State"] != "SUCCEEDED":
        with pytest.raises(ClientError, match="Final query state: FAILED"):
            athena.get_query_results(QueryExecutionId=id)
        return status["State"], status["StateChangeReason"], None
    rows = athena.get_query_results(QueryExecutionId=id)["ResultSet"]["Rows"]
    return "SUCCEEDED", None, [[datum.get("VarCharValue") for datum in row["Data"]] for row in rows]


def test_a_query_reads_the_objects_of_the_registered_partitions_that_it_names(aws, stack):
    stack.table("clicks", {"id": "string"})
    for hour in ("2026/11/23/05", HOUR, "2026/11/23/07"):
        stack.s3.put_object(Bucket=stack.data, Key=f"clicks/{hour}/any", Body=f'{{"id":"{hour}"}}'.encode())
        if hour != "2026/11/23/07":
            given_partitions(stack, [hour], f"s3://{stack.data}/clicks/{hour}/")
    assert statement(aws, stack, "select id, inserted_at from clicks order by 1")[2][1:] == [
        ["2026/11/23/05", "2026/11/23/05"],
        [HOUR, HOUR],
    ]
    stack.s3.put_object(Bucket=stack.data, Key="clicks/2026/11/23/05/broken", Body=b"not json")
    assert statement(aws, stack, "select id from clicks where inserted_at = ?", f"'{HOUR}'")[2] == [["id"], [HOUR]]
    state, reason, _ = statement(aws, stack, "select id from clicks")
    assert (state, reason.split(":")[0]) == ("FAILED", "HIVE_BAD_DATA")


def test_error_documents_of_firehose_are_rows(aws, stack):
    columns = {"attemptsmade": "int", "lasterrorcode": "string", "errorcode": "string", "rawdata": "string"}
    stack.table("clicks", columns)
    given_partitions(stack, [HOUR], f"s3://{stack.data}/clicks/{HOUR}/")
    older = {"attemptsMade": 1, "lastErrorCode": "DataFormatConversion.ParseError", "rawData": "IA==", "sub": {"a": 1}}
    newer = {"attemptsMade": 1, "ErrorCode": "DataFormatConversion.MalformedData", "rawData": "NDI="}
    body = json.dumps(older) + json.dumps(newer) + "\n" + json.dumps(older)
    stack.s3.put_object(Bucket=stack.data, Key=f"clicks/{HOUR}/any", Body=body.encode())
    sql = (
        "select coalesce(lasterrorcode, errorcode) as code, count(*) as n, min(rawdata) as data from clicks group by 1"
    )
    assert sorted(statement(aws, stack, sql)[2][1:]) == [
        ["DataFormatConversion.MalformedData", "1", "NDI="],
        ["DataFormatConversion.ParseError", "2", "IA=="],
    ]


@pytest.mark.parametrize("where", ["", "where run like 'a%'", "where run in ('a', 'b')"])
def test_a_run_is_found_by_its_name_alone(aws, stack, where):
    stack.parquet_table("t", {"n": "int"})
    state, reason, _ = statement(aws, stack, f"select n from t_staging {where}")
    assert (state, reason.split(":")[0]) == ("FAILED", "CONSTRAINT_VIOLATION")


def test_rows_are_unloaded_into_an_empty_folder_alone(aws, stack):
    sql = f"UNLOAD (SELECT 1 AS n) TO 's3://{stack.data}/there/' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    assert statement(aws, stack, sql)[0] == "SUCCEEDED"
    state, reason, _ = statement(aws, stack, sql)
    assert (state, reason.split(":")[0]) == ("FAILED", "HIVE_PATH_ALREADY_EXISTS")
    [[key, body]] = stack.objects(stack.data).items()
    assert key.startswith("there/") and pq.read_table(io.BytesIO(body)).to_pylist() == [{"n": 1}]


def test_a_partition_without_a_serde_breaks_a_query(aws, stack):
    stack.table("clicks", {"id": "string"})
    stack.glue.create_partition(
        DatabaseName=stack.name,
        TableName="clicks",
        PartitionInput={"Values": [HOUR], "StorageDescriptor": {"Location": f"s3://{stack.data}/clicks/{HOUR}/"}},
    )
    assert statement(aws, stack, "select * from clicks")[:1] == ("FAILED",)


def test_values_have_athenas_text(aws, stack):
    sql = """
        select 1e10, 1e-7, 1.5e0, 1234567.0e0, array['a', null], map(array['b', 'a'], array[1, 2]),
            cast(row(1, 'x') as row(id int, name varchar)), X'00ff', true, timestamp '2026-11-23 06:00:00', null
    """
    [_, row] = statement(aws, stack, sql)[2]
    assert row == [
        "1.0E10", "1.0E-7", "1.5", "1234567.0", "[a, null]", "{a=2, b=1}",
        "{id=1, name=x}", "00 ff", "true", "2026-11-23 06:00:00.000", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "found"),
    [("'it''s'", "it's"), ("1 + 1", "2"), ("abc", "abc"), ("it's", "it's"), ("x + 1", "x + 1"), ("NULL", None)],
)
def test_a_parameter_is_an_expression_or_else_text(aws, stack, given, found):
    assert statement(aws, stack, "select ?", given)[2][1] == [found]


def test_parameters_are_counted(aws, stack):
    with pytest.raises(ClientError, match="Incorrect number of parameters"):
        statement(aws, stack, "select ?, ?", "1")
    assert statement(aws, stack, "select '?'", "1")[2][1] == ["?"]
