"""Athena's API at the port of everything else, as boto3 speaks it."""

import json
import time

import pytest
from botocore.exceptions import ClientError
from running import patient, running, until

DECLARED = """
from datawarehouse import Warehouse

columns = {
    "id": "string", "n": "int", "big": "bigint", "price": "decimal(10,2)", "x": "double", "f": "float", "ok": "boolean",
    "day": "date", "at": "timestamp", "tags": "array<string>", "s": "struct<a:int,b:decimal(3,1)>",
    "m": "map<string,double>", "raw": "binary",
}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", columns)
    .with_streaming_input_table("views", {"id": "string"})
    .with_workgroup("small", result_rows_max=3)
    .with_workgroup("people", require_partition_filter=True)
)
"""
EVENT = {
    "id": 'a",\\n\\\\', "n": -1, "big": 2**62, "price": 1.5, "x": 1e10, "f": 0.1, "ok": True, "day": "2026-01-31",
    "at": "2026-01-31T12:00:00.5Z", "tags": ["x", None], "s": {"a": 1, "b": 2.5}, "m": {"k": 0.5},
}  # fmt: skip
TEXTS = {
    "id": 'a",\\n\\\\', "n": "-1", "big": str(2**62), "price": "1.50", "x": "1.0E10", "f": "0.1", "ok": "true",
    "day": "2026-01-31", "at": "2026-01-31 12:00:00.500", "tags": "[x, null]", "s": "{a=1, b=2.5}", "m": "{k=0.5}",
    "raw": None,
}  # fmt: skip
TYPES = {
    "id": ("varchar", 2147483647, 0), "n": ("integer", 10, 0), "big": ("bigint", 19, 0), "price": ("decimal", 10, 2),
    "x": ("double", 17, 0), "f": ("float", 17, 0), "ok": ("boolean", 0, 0), "day": ("date", 0, 0),
    "at": ("timestamp", 3, 0), "tags": ("array", 0, 0), "s": ("row", 0, 0), "m": ("map", 0, 0),
    "raw": ("varbinary", 1073741824, 0), "inserted_at": ("varchar", 2147483647, 0),
}  # fmt: skip
SERVED = (
    "StartQueryExecution GetQueryExecution BatchGetQueryExecution ListQueryExecutions StopQueryExecution "
    "GetQueryResults GetQueryRuntimeStatistics ListWorkGroups GetWorkGroup ListDataCatalogs GetDataCatalog "
    "ListDatabases GetDatabase ListTableMetadata GetTableMetadata CreatePreparedStatement UpdatePreparedStatement "
    "GetPreparedStatement BatchGetPreparedStatement ListPreparedStatements DeletePreparedStatement "
    "CreateNamedQuery UpdateNamedQuery GetNamedQuery BatchGetNamedQuery ListNamedQueries DeleteNamedQuery"
).split()
ENDLESS = (
    "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
    "unnest(sequence(1, 10000)) c(z) where x * y * z = -1"
)
NUMBERS = "select a.x * 100 + b.y from unnest(sequence(0, 99)) a(x), unnest(sequence(0, 99)) b(y) order by 1"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shop"), declaration=DECLARED) as started:
        started.events("clicks", json.dumps([EVENT, {}]).encode())
        started.flush()
        yield started


@pytest.fixture(scope="module")
def athena(shop):
    return shop.aws("athena")


def start(athena, sql, **more):
    return athena.start_query_execution(QueryString=sql, **more)["QueryExecutionId"]


def execution(athena, id):
    """The execution, once it is over."""

    def over():
        found = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]
        return found if found["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None

    return until(over, "the end of the query")


def rows(athena, sql, **more):
    """The rows of all pages; None for NULL."""
    id = start(athena, sql, **more)
    found = execution(athena, id)
    assert found["Status"]["State"] == "SUCCEEDED", found["Status"]
    pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=id)
    return [[datum.get("VarCharValue") for datum in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_each_type_has_athenas_text_and_its_description(athena):
    id = start(athena, "select * from clicks order by n nulls last")
    assert execution(athena, id)["Status"]["State"] == "SUCCEEDED"
    found = athena.get_query_results(QueryExecutionId=id)["ResultSet"]
    names, first, second = ([datum.get("VarCharValue") for datum in row["Data"]] for row in found["Rows"])
    assert dict(zip(names, first, strict=True)) == {**TEXTS, "inserted_at": first[-1]}
    assert second[:-1] == [None] * len(TEXTS)
    columns = {each["Name"]: each for each in found["ResultSetMetadata"]["ColumnInfo"]}
    assert {name: (each["Type"], each["Precision"], each["Scale"]) for name, each in columns.items()} == TYPES
    assert columns["id"]["CaseSensitive"] and not columns["n"]["CaseSensitive"]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("0.0001", "1.0E-4"),
        ("9999999.5e0", "9999999.5"),
        ("1e7", "1.0E7"),
        ("-0e0", "-0.0"),
        ("nan()", "NaN"),
        ("-infinity()", "-Infinity"),
        ("cast(1e10 as real)", "1.0E10"),
        ("cast(null as integer)", None),
        ("''", ""),
        ("chr(10) || chr(0) || '\"'", '\n\0"'),
        ("timestamp '2026-01-01 00:00:00 UTC'", "2026-01-01 00:00:00.000 UTC"),
        ("timestamp '2026-01-01 00:00:00.12 +01:00'", "2026-01-01 00:00:00.120 +01:00"),
        ("timestamp '2026-01-01 00:00:00.120000'", "2026-01-01 00:00:00.120000"),
        ("time '01:02:03.4'", "01:02:03.4"),
        ("row(1, 'a')", "{field0=1, field1=a}"),
        ("array[map(array[1], array[row(null)])]", "[{1={field0=null}}]"),
        ("cast(array[1.5, null] as json)", "[1.5,null]"),
        ("x'313233'", "31 32 33"),
        ("decimal '0.00000001'", "0.00000001"),
        ("interval '2' day", "2 00:00:00.000"),
    ],
)
def test_values_have_the_texts_of_java(athena, expression, text):
    assert rows(athena, f"select {expression} as v") == [["v"], [text]]


def test_a_result_comes_in_pages_of_which_the_first_has_the_names(athena):
    id = start(athena, NUMBERS)
    assert execution(athena, id)["Statistics"]["DataScannedInBytes"] == 0
    for size in (142, 999, 1000):
        found, token, sizes = [], {}, []
        while True:
            page = athena.get_query_results(QueryExecutionId=id, MaxResults=size, **token)
            found += [row["Data"][0]["VarCharValue"] for row in page["ResultSet"]["Rows"]]
            sizes.append(len(page["ResultSet"]["Rows"]))
            assert page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert found == ["_col0", *map(str, range(10_000))]
        assert set(sizes[:-1]) == {size}
    code, _ = refused(athena.get_query_results, QueryExecutionId=id, NextToken="1000000.0")
    assert code == "InvalidRequestException"
    assert refused(athena.get_query_results, QueryExecutionId=id, MaxResults=1001)[0] == "InvalidRequestException"


def test_start_returns_at_once_and_the_first_question_waits_for_the_end(athena):
    rows(athena, "select 1")  # the process that answers is there
    id = start(athena, "select 1 as one")
    found = athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]
    assert (found["Status"]["State"], found["Query"], found["StatementType"], found["SubstatementType"]) == (
        "SUCCEEDED", "select 1 as one", "DML", "SELECT",
    )  # fmt: skip
    assert found["ResultConfiguration"]["OutputLocation"] == f"s3://athena-results/{id}.csv"
    assert found["Status"]["CompletionDateTime"] >= found["Status"]["SubmissionDateTime"]
    told = athena.get_query_runtime_statistics(QueryExecutionId=id)["QueryRuntimeStatistics"]
    assert told["Rows"]["OutputRows"] == 1


def test_stop_ends_the_engine(shop, athena):
    id = start(athena, ENDLESS)
    until(lambda: shop.request("GET", f"/v1/queries/{id}")[2].find(b'"running"') > 0, "the engine")
    began = time.monotonic()
    assert athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]["State"] == "RUNNING"
    assert time.monotonic() - began < patient(5)  # the first question waits, and not for the end
    code, message = refused(athena.get_query_results, QueryExecutionId=id)
    assert (code, message) == ("InvalidRequestException", "Query has not yet finished. Current state: RUNNING")
    athena.stop_query_execution(QueryExecutionId=id)
    status = execution(athena, id)["Status"]
    assert status["State"] == "CANCELLED" and status["StateChangeReason"].startswith("Query cancelled by user")
    assert json.loads(shop.request("GET", f"/v1/queries/{id}")[2])["state"] == "ended"
    athena.stop_query_execution(QueryExecutionId=id)  # as at Athena, that is no error
    assert refused(athena.get_query_results, QueryExecutionId=id)[1].endswith("Final query state: CANCELLED")


@pytest.mark.parametrize(
    ("sql", "workgroup", "reason"),
    [
        ("selec 1", "primary", "SYNTAX_ERROR: line 1:1: "),
        ("select nope from clicks", "primary", "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved"),
        ("select * from nope", "primary", "TABLE_NOT_FOUND: line 1:15: Table"),
        ("select 1 / 0", "primary", "DIVISION_BY_ZERO: "),
        ("drop table clicks", "primary", "PERMISSION_DENIED: "),
        ("create table t as select 1", "primary", "PERMISSION_DENIED: "),
        ("select * from unnest(sequence(1, 10))", "small", "GENERIC_INSUFFICIENT_RESOURCES: "),
        ("select * from clicks", "people", "QUERY_REJECTED: "),
    ],
)
def test_a_statement_that_fails_says_why_in_athenas_words(athena, sql, workgroup, reason):
    found = execution(athena, start(athena, sql, WorkGroup=workgroup))
    status = found["Status"]
    assert status["State"] == "FAILED" and status["StateChangeReason"].startswith(reason)
    assert status["AthenaError"]["ErrorCategory"] == 2
    assert status["AthenaError"]["ErrorMessage"] == status["StateChangeReason"]
    _, message = refused(athena.get_query_results, QueryExecutionId=found["QueryExecutionId"])
    assert message == "Query did not finish successfully. Final query state: FAILED"


@pytest.mark.parametrize(
    ("given", "code", "part"),
    [
        ({"QueryString": " "}, "InvalidRequestException", "QueryString"),
        ({"WorkGroup": "nope"}, "InvalidRequestException", "WorkGroup nope is not found"),
        ({"QueryExecutionContext": {"Database": "nope"}}, "InvalidRequestException", "SCHEMA_NOT_FOUND"),
        ({"QueryExecutionContext": {"Catalog": "nope"}}, "InvalidRequestException", "Catalog 'nope'"),
        ({"ResultConfiguration": {"OutputLocation": "/tmp"}}, "InvalidRequestException", "outputLocation"),
        ({"ResultConfiguration": {"OutputLocation": "s3://dw-tables/a/"}}, "InvalidRequestException", "Name another"),
        ({"ExecutionParameters": ["1) or (2"]}, "InvalidRequestException", "not a literal"),
        ({"ExecutionParameters": ["select id from clicks"]}, "InvalidRequestException", "not a literal"),
        ({"QueryString": "EXECUTE nobody"}, "InvalidRequestException", "nobody was not found"),
    ],
)
def test_a_request_that_cannot_be_is_refused(athena, given, code, part):
    found, message = refused(athena.start_query_execution, **{"QueryString": "select 1", **given})
    assert found == code and part in message


def test_a_request_that_is_repeated_starts_one_query(athena):
    token = "t" * 40
    first = start(athena, "select 1", ClientRequestToken=token)
    assert start(athena, "select 1", ClientRequestToken=token) == first
    code, message = refused(athena.start_query_execution, QueryString="select 2", ClientRequestToken=token)
    assert (code, message) == ("InvalidRequestException", "Idempotent parameters do not match")


def test_parameters_and_prepared_statements(athena):
    assert rows(athena, "select ? + ?", ExecutionParameters=["1", "-2"]) == [["_col0"], ["-1"]]
    given = ["'it''s; -- ?'", "DATE '2026-01-31'", "CAST('5' AS bigint)", "null"]
    assert rows(athena, "select ?, ?, ?, ?", ExecutionParameters=given)[1] == ["it's; -- ?", "2026-01-31", "5", None]
    athena.create_prepared_statement(StatementName="add", WorkGroup="primary", QueryStatement="select ? + 1 as v")
    assert rows(athena, "EXECUTE add USING 4") == [["v"], ["5"]]
    assert rows(athena, "execute add", ExecutionParameters=["6"]) == [["v"], ["7"]]
    kept = athena.get_prepared_statement(StatementName="add", WorkGroup="production")["PreparedStatement"]
    assert kept["QueryStatement"] == "select ? + 1 as v"
    rows(athena, "PREPARE other FROM select 'a' as v")
    listed = athena.list_prepared_statements(WorkGroup="primary")["PreparedStatements"]
    assert [each["StatementName"] for each in listed] == ["add", "other"]
    assert athena.list_prepared_statements(WorkGroup="adhoc")["PreparedStatements"] == []
    rows(athena, "DEALLOCATE PREPARE other")
    athena.delete_prepared_statement(StatementName="add", WorkGroup="primary")
    code, _ = refused(athena.get_prepared_statement, StatementName="add", WorkGroup="primary")
    assert code == "ResourceNotFoundException"


def test_lists_batches_and_statements_that_tell_of_tables(athena):
    id = start(athena, "show tables", WorkGroup="adhoc")
    found = execution(athena, id)
    assert (found["StatementType"], found["SubstatementType"]) == ("UTILITY", "SHOW_TABLES")
    assert found["ResultConfiguration"]["OutputLocation"].endswith(f"{id}.txt")
    told = athena.get_query_results(QueryExecutionId=id)["ResultSet"]["Rows"]
    assert told[0]["Data"][0]["VarCharValue"] == "clicks"  # no row of names comes first
    told = athena.get_query_results(QueryExecutionId=id)["ResultSet"]["ResultSetMetadata"]
    assert [(each["Type"], each["Precision"]) for each in told["ColumnInfo"]] == [("string", 0)]
    assert athena.list_query_executions(WorkGroup="adhoc")["QueryExecutionIds"] == [id]
    batch = athena.batch_get_query_execution(QueryExecutionIds=[id, "nope"])
    assert [each["QueryExecutionId"] for each in batch["QueryExecutions"]] == [id]
    assert [each["QueryExecutionId"] for each in batch["UnprocessedQueryExecutionIds"]] == ["nope"]


def test_workgroups_of_which_each_has_a_twin_with_managed_results(athena):
    names = [each["Name"] for each in athena.list_work_groups()["WorkGroups"]]
    assert names[:2] == ["primary", "primary-managed"] and "small-managed" in names
    managed = athena.get_work_group(WorkGroup="small-managed")["WorkGroup"]["Configuration"]
    assert managed["ManagedQueryResultsConfiguration"] == {"Enabled": True}
    given = {"WorkGroup": "small-managed", "ResultConfiguration": {"OutputLocation": "s3://bucket/folder"}}
    found = execution(athena, start(athena, "select 1", **given))
    assert "ResultConfiguration" not in found
    found = execution(athena, start(athena, "select 1", **{**given, "WorkGroup": "small"}))
    assert found["ResultConfiguration"]["OutputLocation"] == f"s3://bucket/folder/{found['QueryExecutionId']}.csv"


def test_the_catalog_is_the_declaration(athena):
    assert athena.list_data_catalogs()["DataCatalogsSummary"][0]["CatalogName"] == "AwsDataCatalog"
    of = {"CatalogName": "AwsDataCatalog", "DatabaseName": "shop"}
    listed = athena.list_databases(CatalogName="awsdatacatalog")["DatabaseList"]
    assert [each["Name"] for each in listed] == ["shop", "scratch"]
    listed = athena.list_table_metadata(**of, Expression="cl.*|views")["TableMetadataList"]
    assert [each["Name"] for each in listed] == ["clicks", "clicks_quarantine", "views"]
    page = athena.list_table_metadata(**of, MaxResults=1)
    assert [each["Name"] for each in page["TableMetadataList"]] == ["clicks"]
    following = athena.list_table_metadata(**of, MaxResults=1, NextToken=page["NextToken"])
    assert [each["Name"] for each in following["TableMetadataList"]] == ["clicks_quarantine"]
    table = athena.get_table_metadata(**of, TableName="clicks")["TableMetadata"]
    assert {"Name": "s", "Type": "struct<a:int,b:decimal(3,1)>"} in table["Columns"]
    assert table["PartitionKeys"] == [{"Name": "inserted_at", "Type": "string"}]
    code, message = refused(athena.get_table_metadata, **of, TableName="nope")
    assert code == "MetadataException" and message.endswith("Proxy: null)") and "EntityNotFoundException" in message


def test_lists_of_what_is_asked_for_are_bounded(shop, athena):
    """Else a call of some megabytes takes all memory, or the time of those who send events."""
    database = {"CatalogName": "AwsDataCatalog", "DatabaseName": "shop"}
    code, message = refused(athena.batch_get_prepared_statement, WorkGroup="primary", PreparedStatementNames=["a"] * 51)
    assert (code, "50 at most" in message) == ("InvalidRequestException", True)
    headers = {"X-Amz-Target": "AmazonAthena.ListTableMetadata", "Authorization": "AWS4-HMAC-SHA256 any"}
    body = json.dumps({**database, "Expression": "a|" * 2000})
    status, _, answer = shop.request("POST", "/", body, headers)
    assert (status, "up to 2048 characters" in json.loads(answer)["message"]) == (400, True)


def test_what_is_not_served_is_refused_by_name(athena):
    code, message = refused(athena.create_work_group, Name="x")
    assert code == "UnknownOperationException" and "'CreateWorkGroup' is not served" in message


def test_large_rows_come_in_pages_of_fewer(athena):
    id = start(athena, "select x, rpad('', 20000, 'a') as v from unnest(sequence(1, 1000)) t(x) order by x")
    execution(athena, id)
    page = athena.get_query_results(QueryExecutionId=id)
    assert len(page["ResultSet"]["Rows"]) < 400 and page["NextToken"]
    pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=id)
    numbers = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert numbers == ["x", *map(str, range(1, 1001))]


@pytest.mark.parametrize(
    "value", [None, 1, [], {}, [[]], {"a": []}, "\ud800", "x" * 300_000], ids=lambda each: repr(each)[:9]
)
def test_whatever_a_call_has_is_refused_and_is_no_fault_of_the_server(shop, athena, value):
    """Of each operation each member, with a value of another kind."""
    model = athena.meta.service_model
    for operation in SERVED:
        for member in model.operation_model(operation).input_shape.members:
            given = {"QueryString": "select 1", "QueryExecutionId": "none", "WorkGroup": "primary", member: value}
            headers = {
                "X-Amz-Target": f"AmazonAthena.{operation}",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/athena/aws4_request",
            }
            status, _, answer = shop.request("POST", "/", json.dumps(given), headers)
            assert status in (200, 400), (operation, member, answer)
            assert json.loads(answer).get("__type") != "UnknownOperationException"


def test_the_answer_is_that_of_v1_query(shop, athena):
    sql = "select ok, count(*) as c, approx_distinct(n) as d from clicks group by 1 order by 1 nulls first"
    status, _, body = shop.request("POST", "/v1/query", json.dumps({"sql": sql, "format": "csv"}))
    assert status == 200
    lines = [",".join("" if cell is None else f'"{cell}"' for cell in row) for row in rows(athena, sql)]
    assert lines == body.decode().splitlines()


def test_keys(tmp_path):
    with running(tmp_path, declaration=DECLARED) as shop:

        def client(name, *more):
            made = json.loads(shop.dw("keys", "create", name, *more, "--output", "json").stdout)
            return shop.aws("athena", made["id"], made["secret"])

        puts = client("puts", "--may", "put:clicks")
        one = client("one", "--may", "query:clicks", "--workgroup", "small")
        other = client("other", "--may", "query")
        assert rows(one, "select 1", WorkGroup="small") == [["_col0"], ["1"]]
        code, message = refused(puts.start_query_execution, QueryString="select 1")
        assert code == "AccessDeniedException" and "athena:StartQueryExecution" in message
        code, message = refused(one.start_query_execution, QueryString="select 1", WorkGroup="production")
        assert code == "InvalidRequestException" and message.endswith("This key may use primary, small.")
        id = start(one, "select * from unnest(sequence(1, 10))")  # its primary is its own workgroup
        assert "result_rows_max" in execution(one, id)["Status"]["StateChangeReason"]
        assert refused(other.get_query_execution, QueryExecutionId=id)[1] == f"QueryExecution {id} was not found"
        assert refused(other.stop_query_execution, QueryExecutionId=id)[0] == "InvalidRequestException"
        id = start(one, "select * from views")
        assert (
            "TABLE_NOT_FOUND" in execution(one, id)["Status"]["StateChangeReason"]
            or "PERMISSION_DENIED" in (execution(one, id)["Status"]["StateChangeReason"])
        )
        of = {"CatalogName": "AwsDataCatalog", "DatabaseName": "shop"}
        assert [each["Name"] for each in one.list_table_metadata(**of)["TableMetadataList"]] == ["clicks"]
        code, _ = refused(shop.aws("athena").list_work_groups)
        assert code == "UnrecognizedClientException"
        wrong = shop.aws("athena", "DWnobody", "wrong")
        assert refused(wrong.list_work_groups)[0] == "UnrecognizedClientException"
