"""The function through which Firehose sends records to an Iceberg table: its rules are those of the embedded host, and
no record is lost by it, whatever S3 answers."""

import base64
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from emulator import interpreter

from datawarehouse.aws.packaging import library
from datawarehouse.definition.table_format import TABLE
from datawarehouse.errors import BadRequest
from datawarehouse.functions import convert_events
from patience import patient

ROOT = Path(__file__).parents[2]
ARRIVED_MS = 1_795_332_645_123  # 2026-11-22T07:30:45.123Z
HOUR = "2026/11/22/07"


# -- the rules, case for case, in an interpreter that has what Lambda has

_CONVERT = """
import base64, json, sys
sys.path.insert(0, sys.argv[1])
from datawarehouse.definition.rejects import Reject
from datawarehouse.definition.tables import from_wire
from datawarehouse.functions.convert_events import EventConverter
for line in sys.stdin:
    case = json.loads(line)
    converter = EventConverter(from_wire([("c", case["kind"]), ("neighbour", "string")]), "inserted_at")
    try:
        print(json.dumps({"row": converter.row(base64.b64decode(case["data"]), "2026/11/22/07")}))
    except Reject as reject:
        reason = reject.reason
        print(json.dumps({"reason": [reason.code, reason.expected, reason.received, reason.column]}))
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """The folder of the function's code, as it is deployed."""
    folder = tmp_path_factory.mktemp("code")
    for name, text in library("convert_events.handler").files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Every case of the table of conversions, with what the embedded host makes of it."""
    file = tmp_path_factory.mktemp("cases") / "cases"
    table = ROOT / "tests" / "unit" / "convert" / "test_coercion.py"
    arguments = ["-q", "-p", "coercion_cases", "-p", "no:cacheprovider", "-p", "no:xdist", str(table)]
    subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env={**os.environ, "COERCION_CASES": str(file), "PYTHONPATH": str(ROOT / "tests" / "aws")},
        check=True,
        capture_output=True,
        timeout=patient(120),
    )
    return file.read_text().splitlines()


def test_the_table_of_conversions_case_for_case(code, cases):
    assert len(cases) > 600
    done = subprocess.run(
        [interpreter("lambda"), "-I", "-c", _CONVERT, code],
        input="\n".join(cases),
        capture_output=True,
        text=True,
        timeout=patient(120),
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    stored = rejected = several = 0
    for case, answer in zip(map(json.loads, cases), answers, strict=True):
        if "reason" in case:
            assert answer == {"reason": case["reason"]}, case["kind"]
            rejected += 1
        elif len(case["values"]) != 1:
            assert answer["reason"][2] == f"{len(case['values'])} objects"
            several += 1
        else:
            row = json.loads(answer["row"])
            assert list(row) == ["c", "neighbour", "inserted_at"] and row["inserted_at"] == HOUR
            [value] = case["values"]
            assert as_stored(case["kind"], row["c"]) == value, (case["kind"], base64.b64decode(case["data"])[:200])
            stored += 1
    assert stored > 250 and rejected > 250 and several >= 5


def as_stored(kind, value):
    """A float as the column holds it."""
    return struct.unpack("f", struct.pack("f", value))[0] if kind == "float" and value is not None else value


# -- the handler


@pytest.fixture
def function(stack, tmp_path, monkeypatch):
    """The handler for a table of two columns, with the bucket of the emulator."""
    table = {"hour": "inserted_at", "columns": [["id", "string"], ["count", "int"]]}
    (tmp_path / TABLE).write_text(json.dumps(table))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("DW_TABLE", "clicks")
    monkeypatch.setenv("DW_BUCKET", stack.data)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "converts")
    return convert_events.handler


def record(data, number=1, arrived=ARRIVED_MS, sub=0):
    return {
        "recordId": f"record-{number}-{sub}",
        "approximateArrivalTimestamp": arrived + 60_000,
        "data": base64.b64encode(data.encode()).decode(),
        "kinesisRecordMetadata": {
            "sequenceNumber": str(number),
            "subsequenceNumber": sub,
            "partitionKey": "k",
            "shardId": "shardId-000000000000",
            "approximateArrivalTimestamp": arrived,
        },
    }


def event(*records):
    return {"invocationId": "1", "deliveryStreamArn": "arn", "region": "us-east-1", "records": list(records)}


def rows_of(answer):
    return [json.loads(base64.b64decode(one["data"])) for one in answer["records"] if one["result"] == "Ok"]


def results_of(answer):
    return {one["recordId"]: one["result"] for one in answer["records"]}


def objects_of(stack):
    """The objects of error documents: {key: [document, ...]}."""
    found = stack.s3.list_objects_v2(Bucket=stack.data).get("Contents", [])
    bodies = {each["Key"]: stack.s3.get_object(Bucket=stack.data, Key=each["Key"])["Body"].read() for each in found}
    return {key: [json.loads(line) for line in body.splitlines()] for key, body in bodies.items()}


def test_every_column_is_there_and_the_hour_in_which_the_record_arrived(function, stack):
    answer = function(event(record('{"ID":"a","count":"7","more":1}'), record("{}", 2)), None)
    assert rows_of(answer) == [
        {"id": "a", "count": 7, "inserted_at": HOUR},
        {"id": None, "count": None, "inserted_at": HOUR},
    ]
    assert objects_of(stack) == {}


def test_the_hour_is_that_of_the_stream_and_not_that_of_the_delivery(function):
    last = ARRIVED_MS - ARRIVED_MS % 3_600_000 - 1
    [row] = rows_of(function(event(record("{}", arrived=last)), None))
    assert row["inserted_at"] == "2026/11/22/06", "Firehose got it in the hour after"


def test_the_arrival_may_be_text(function):
    [row] = rows_of(function(event(record("{}", arrived=0) | metadata("2012-04-23T18:25:43.511Z")), None))
    assert row["inserted_at"] == "2012/04/23/18"


def metadata(arrived, sequence="7"):
    return {"kinesisRecordMetadata": {"approximateArrivalTimestamp": arrived, "sequenceNumber": sequence}}


@pytest.mark.parametrize(
    "given",
    [
        {"kinesisRecordMetadata": None},
        metadata(None),
        metadata("now"),
        metadata(ARRIVED_MS, ""),
        metadata(1.5),
    ],
)
def test_a_record_without_its_place_in_the_stream_fails_the_invocation(function, stack, given):
    with pytest.raises(BadRequest, match="approximateArrivalTimestamp and a sequenceNumber"):
        function(event(record("{"), record("{}", 2) | given), None)
    assert objects_of(stack) == {}, "nothing was put for a part of the records"


def test_what_cannot_be_converted_is_kept_as_a_document_and_dropped(function, stack, capsys):
    answer = function(event(record('{"count":1}', 5), record('{"count":"x"}', 6), record("nonsense", 7)), None)
    assert results_of(answer) == {"record-5-0": "Ok", "record-6-0": "Dropped", "record-7-0": "Dropped"}
    [(key, documents)] = objects_of(stack).items()
    assert key.startswith(f"errors/clicks/format-conversion-failed/{HOUR}/6-2-")
    first, second = documents
    assert first.pop("attemptEndingTimestamp") > ARRIVED_MS - 10**11
    assert first == {
        "attemptsMade": 1,
        "arrivalTimestamp": ARRIVED_MS,
        "lastErrorCode": "DataFormatConversion.MalformedData",
        "lastErrorMessage": "Data does not match the schema. Column 'count': expected a whole number from -2147483648 "
        'to 2147483647, got the string "x".',
        "rawData": base64.b64encode(b'{"count":"x"}').decode(),
        "sequenceNumber": "6",
        "subSequenceNumber": 0,
        "dataCatalogTable": {"databaseName": stack.name, "tableName": "clicks"},
    }
    assert second["lastErrorCode"] == "DataFormatConversion.ParseError"
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["RejectedRecords"], line["Function"], line["table"]) == (2, "converts", "clicks")
    assert line["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "RejectedRecords"}]


def test_an_invocation_that_is_repeated_puts_its_documents_once(function, stack):
    batch = event(record("{", 1), record("{}", 2), record("[", 3))
    assert function(batch, None) == function(batch, None)
    [documents] = objects_of(stack).values()
    assert [document["sequenceNumber"] for document in documents] == ["1", "3"]


def test_another_batch_that_begins_with_the_same_record_overwrites_nothing(function, stack):
    function(event(record("{", 1), record("[", 2)), None)
    function(event(record("{", 1)), None)
    function(event(record("{", 1), record("[", 3)), None)
    kept = [document["sequenceNumber"] for documents in objects_of(stack).values() for document in documents]
    assert sorted(kept) == ["1", "1", "1", "2", "3"]


def test_records_of_an_aggregate_have_one_number_and_are_told_apart(function, stack):
    function(event(record("{", 1, sub=0)), None)
    function(event(record("{", 1, sub=1)), None)
    assert len(objects_of(stack)) == 2
    numbers = [document["subSequenceNumber"] for documents in objects_of(stack).values() for document in documents]
    assert sorted(numbers) == [0, 1]


def test_documents_lie_in_the_hours_of_their_records(function, stack):
    function(event(record("{", 1), record("{", 2, arrived=ARRIVED_MS + 3_600_000)), None)
    assert sorted(key.rpartition("/")[0] for key in objects_of(stack)) == [
        "errors/clicks/format-conversion-failed/2026/11/22/07",
        "errors/clicks/format-conversion-failed/2026/11/22/08",
    ]


def test_a_put_that_fails_fails_the_invocation(function, stack, monkeypatch):
    monkeypatch.setenv("DW_BUCKET", "no-such-bucket-anywhere")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        function(event(record("{}", 1), record("{", 2)), None)
    assert results_of(function(event(record("{}", 1)), None)) == {"record-1-0": "Ok"}, "without a reject it needs no S3"


def test_several_objects_in_a_record_are_kept_with_the_reason(function, stack):
    function(event(record('{"id":"a"}\n{"id":"b"}')), None)
    [[document]] = objects_of(stack).values()
    assert document["lastErrorMessage"].endswith(
        "Expected one JSON object, since Firehose writes one row for a record to an Iceberg table, got 2 objects."
    )


def test_a_damaged_aggregate_names_the_library(function, stack):
    damaged = record("") | {"data": base64.b64encode(b"\xf3\x89\x9a\xc2damaged").decode()}
    function(event(damaged), None)
    [[document]] = objects_of(stack).values()
    assert "an aggregate of the Kinesis Producer Library (KPL) that is damaged" in document["lastErrorMessage"]


def test_an_answer_is_never_larger_than_lambda_takes(function, stack, monkeypatch):
    monkeypatch.setattr(convert_events, "ANSWER_BYTES_MAX", 2000)
    answer = function(event(*(record('{"id":"' + "x" * 300 + '"}', number) for number in range(1, 8))), None)
    assert len(json.dumps(answer)) <= 2000 + len(json.dumps({"records": []}))
    stored = len(rows_of(answer))
    assert 0 < stored < 7
    [documents] = objects_of(stack).values()
    assert len(documents) == 7 - stored, "what does not fit is kept"
    assert "rows that fit into an answer of Lambda" in documents[0]["lastErrorMessage"]


def test_columns_that_are_null_are_left_out_before_a_record_is_rejected(function, stack, monkeypatch):
    records = [record('{"count":1}', number) for number in range(1, 30)]
    whole = function(event(*records), None)
    assert all(row == {"id": None, "count": 1, "inserted_at": HOUR} for row in rows_of(whole))
    monkeypatch.setattr(convert_events, "ANSWER_BYTES_MAX", len(json.dumps(whole)) - 20)
    answer = function(event(*records), None)
    assert [row == {"count": 1, "inserted_at": HOUR} for row in rows_of(answer)] == [True] * 29
    assert len(json.dumps(answer)) < len(json.dumps(whole)) and objects_of(stack) == {}


def test_a_full_invocation_of_the_smallest_records_of_a_wide_table_is_stored(tmp_path, monkeypatch):
    columns = [[f"column_number_{number}", "string"] for number in range(300)]
    (tmp_path / TABLE).write_text(json.dumps({"hour": "inserted_at", "columns": columns}))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("DW_TABLE", "wide")
    smallest = '{"column_number_7":"xxxxx"}'
    records = [record(smallest, number) | {"recordId": f"{number:058d}"} for number in range(209_715 // len(smallest))]
    answer = convert_events.handler(event(*records), None)
    assert {one["result"] for one in answer["records"]} == {"Ok"}
    assert len(json.dumps(answer)) < 6 * 1024 * 1024, "Lambda quotas: the payload of an answer"


def test_a_fault_of_the_rules_rejects_one_record_alone(function, stack, monkeypatch, capsys):
    def broken(converter, record, *others, real=convert_events.EventConverter.row):
        return 1 / 0 if b"break" in record else real(converter, record, *others)

    monkeypatch.setattr(convert_events.EventConverter, "row", broken)
    answer = function(event(record('{"id":"break"}', 1), record("{}", 2)), None)
    assert results_of(answer) == {"record-1-0": "Dropped", "record-2-0": "Ok"}
    [[document]] = objects_of(stack).values()
    assert "conversion failed (ZeroDivisionError: division by zero)" in document["lastErrorMessage"]


def test_every_record_is_answered_once_in_the_order_of_the_records(function):
    records = [record("{}" if number % 3 else "{", number) for number in range(1, 50)]
    answer = function(event(*records), None)
    assert [one["recordId"] for one in answer["records"]] == [one["recordId"] for one in records]
