"""The Kinesis API, as unmodified clients call it and as AWS answers (Kinesis API reference)."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from running import AWS, running

from datawarehouse.journal.sequence import hash_key, shard_of
from patience import patient


@pytest.fixture(scope="module")
def kinesis(warehouse):
    return warehouse.kinesis()


def call(warehouse, operation, body, **headers):
    """One raw call; the status and the answer."""
    sent = {
        "X-Amz-Target": f"Kinesis_20131202.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=any",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answered, answer = warehouse.request("POST", "/", data, {k: v for k, v in sent.items() if v is not None})
    assert answered["x-amzn-RequestId"]
    return status, json.loads(answer)


def test_put_records_and_query_what_was_put(warehouse, kinesis):
    records = [{"Data": json.dumps({"id": f"put-{n}", "n": n}).encode(), "PartitionKey": str(n)} for n in range(500)]
    answer = kinesis.put_records(StreamName="clicks", Records=records)
    assert answer["FailedRecordCount"] == 0
    numbers = [int(record["SequenceNumber"]) for record in answer["Records"]]
    assert numbers == sorted(set(numbers))
    assert {record["ShardId"] for record in answer["Records"]} == {"shardId-000000000000"}
    warehouse.flush()
    [row] = warehouse.query("select count(*) as c, sum(n) as s from clicks where id like 'put-%'")
    assert row == {"c": 500, "s": sum(range(500))}


def test_records_go_to_the_shard_of_their_key(warehouse, kinesis):
    keys = ["a", "b", "e", "f", "ä", "😀"]
    records = [{"Data": b'{"id":"sharded"}', "PartitionKey": key} for key in keys]
    answer = kinesis.put_records(StreamName="views", Records=records)
    expected = [f"shardId-{shard_of(hash_key(key), 3):012d}" for key in keys]
    assert [record["ShardId"] for record in answer["Records"]] == expected
    assert expected[:4] == [f"shardId-{shard:012d}" for shard in (0, 1, 2, 1)], "the vectors of AWS"
    highest = str(2**128 - 1)
    answer = kinesis.put_record(StreamName="views", Data=b"{}", PartitionKey="a", ExplicitHashKey=highest)
    assert answer["ShardId"] == "shardId-000000000002"
    answer = kinesis.put_records(
        StreamName="views", Records=[{"Data": b"{}", "PartitionKey": "a", "ExplicitHashKey": "0"}] * 2
    )
    assert [record["ShardId"] for record in answer["Records"]] == ["shardId-000000000000"] * 2


def test_sequence_numbers_increase_within_a_shard(warehouse, kinesis):
    before = {}
    for _ in range(5):
        records = [{"Data": b"{}", "PartitionKey": str(n)} for n in range(20)]
        for record in kinesis.put_records(StreamName="views", Records=records)["Records"]:
            number = int(record["SequenceNumber"])
            assert number > before.get(record["ShardId"], 0)
            before[record["ShardId"]] = number
    single = kinesis.put_record(StreamName="views", Data=b"{}", PartitionKey="a", SequenceNumberForOrdering="1")
    assert int(single["SequenceNumber"]) > before[single["ShardId"]]


def test_a_stream_can_be_named_by_its_arn(kinesis):
    arn = "arn:aws:kinesis:ap-south-2:123456789012:stream/clicks"
    assert kinesis.put_record(StreamARN=arn, Data=b"{}", PartitionKey="a")["SequenceNumber"]
    assert kinesis.put_records(StreamARN=arn, Records=[{"Data": b"{}", "PartitionKey": "a"}])["FailedRecordCount"] == 0
    assert kinesis.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]["StreamName"] == "clicks"


def test_describing_streams(kinesis):
    described = kinesis.describe_stream(StreamName="views")["StreamDescription"]
    assert described["StreamStatus"] == "ACTIVE"
    assert described["StreamARN"].endswith(":stream/views")
    assert described["RetentionPeriodHours"] == 24
    assert not described["HasMoreShards"]
    ranges = [shard["HashKeyRange"] for shard in described["Shards"]]
    assert ranges[0]["StartingHashKey"] == "0"
    assert ranges[2]["EndingHashKey"] == str(2**128 - 1)
    assert all(shard["SequenceNumberRange"]["StartingSequenceNumber"].startswith("49") for shard in described["Shards"])
    page = kinesis.describe_stream(StreamName="views", Limit=2)["StreamDescription"]
    assert page["HasMoreShards"]
    rest = kinesis.describe_stream(StreamName="views", ExclusiveStartShardId=page["Shards"][-1]["ShardId"])
    assert len(page["Shards"]) + len(rest["StreamDescription"]["Shards"]) == 3
    summary = kinesis.describe_stream_summary(StreamName="views")["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["MaxRecordSizeInKiB"]) == (3, 1024)
    assert summary["StreamCreationTimestamp"].year >= 2024


def test_listing_streams_and_shards(kinesis):
    listed = kinesis.list_streams()
    assert listed["StreamNames"] == ["clicks", "views"]
    assert [summary["StreamName"] for summary in listed["StreamSummaries"]] == ["clicks", "views"]
    first = kinesis.list_streams(Limit=1)
    assert (first["StreamNames"], first["HasMoreStreams"]) == (["clicks"], True)
    assert kinesis.list_streams(NextToken=first["NextToken"])["StreamNames"] == ["views"]
    assert kinesis.list_streams(ExclusiveStartStreamName="clicks")["StreamNames"] == ["views"]
    shards = kinesis.list_shards(StreamName="views", MaxResults=2)
    assert len(shards["Shards"]) == 2
    more = kinesis.list_shards(NextToken=shards["NextToken"])
    assert [shard["ShardId"] for shard in more["Shards"]] == ["shardId-000000000002"]
    assert "NextToken" not in more
    after = kinesis.list_shards(StreamName="views", ExclusiveStartShardId="shardId-000000000000")
    assert len(after["Shards"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            {"StreamName": "nothing", "Records": [{"Data": b"x", "PartitionKey": "a"}]},
            "ResourceNotFoundException",
            "Stream nothing under account 000000000000 not found.",
        ),
        (
            {"StreamName": "clicks", "Records": [{"Data": b"x", "PartitionKey": "a" * 257}]},
            "ValidationException",
            f"1 validation error detected: Value '{'a' * 257}' at 'records.1.member.partitionKey' failed to satisfy "
            "constraint: Member must have length less than or equal to 256",
        ),
        (
            {
                "StreamName": "clicks",
                "Records": [
                    {"Data": b"x", "PartitionKey": "a"},
                    {"Data": b"x", "PartitionKey": "a", "ExplicitHashKey": str(2**128)},
                ],
            },
            "InvalidArgumentException",
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was "
            "340282366920938463463374607431768211456",
        ),
        (
            {"StreamName": "clicks", "Records": [{"Data": b"x" * 1048576, "PartitionKey": "a"}]},
            "InvalidArgumentException",
            "The record has 1048577 bytes with its partition key; the stream takes records of up to 1048576 bytes "
            "(record_bytes_max). Nothing was written.",
        ),
        (
            {"StreamName": "clicks", "Records": [{"Data": b"x" * 1000000, "PartitionKey": "a"}] * 11},
            "InvalidArgumentException",
            "The records have 11000011 bytes together; a request takes up to 10485760.",
        ),
        (
            {"Records": [{"Data": b"x", "PartitionKey": "a"}]},
            "InvalidArgumentException",
            "Either StreamName or StreamARN should be provided.",
        ),
    ],
)
def test_a_fault_in_any_record_fails_the_whole_call(warehouse, kinesis, arguments, code, text):
    warehouse.flush()
    before = warehouse.query("select count(*) as c from clicks")
    with pytest.raises(ClientError) as caught:
        kinesis.put_records(**arguments)
    assert caught.value.response["Error"] == {"Code": code, "Message": text}
    warehouse.flush()
    assert warehouse.query("select count(*) as c from clicks") == before


def test_violations_are_told_all_at_once(warehouse):
    record = {"Data": "", "PartitionKey": "", "ExplicitHashKey": "01"}
    status, answer = call(warehouse, "PutRecords", {"StreamName": "cl icks", "Records": [record, {}]})
    assert status == 400
    assert answer["__type"] == "ValidationException"
    assert answer["message"] == (
        "5 validation errors detected: "
        "Value '' at 'records.1.member.partitionKey' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1; "
        "Value '01' at 'records.1.member.explicitHashKey' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38}); "
        "Value null at 'records.2.member.partitionKey' failed to satisfy constraint: Member must not be null; "
        "Value null at 'records.2.member.data' failed to satisfy constraint: Member must not be null; "
        "Value 'cl icks' at 'streamName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )


@pytest.mark.parametrize("count", [0, 501])
def test_the_number_of_records_is_limited(warehouse, count):
    record = {"Data": "", "PartitionKey": "a"}
    status, answer = call(warehouse, "PutRecords", {"StreamName": "clicks", "Records": [record] * count})
    assert (status, answer["__type"]) == (400, "ValidationException")
    bound = "greater than or equal to 1" if count == 0 else "less than or equal to 500"
    assert answer["message"].endswith(f"at 'records' failed to satisfy constraint: Member must have length {bound}")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"Records": "x"}, "Expected list or null"),
        ({"Records": {}}, "Start of structure or map found where not expected."),
        ({"Records": ["x"]}, "Expected null"),
        (
            {"Records": [{"Data": 1}]},
            "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to a Blob",
        ),
        (
            {"Records": [{"Data": "abc"}]},
            "'abc' can not be converted to a Blob: "
            "Base64 encoded length is expected a multiple of 4 bytes but found: 3",
        ),
        ({"Records": [{"Data": "ab*="}]}, "'ab*=' can not be converted to a Blob: Invalid Base64 character: '*'"),
        ({"StreamName": True}, "class java.lang.Boolean can not be converted to an String"),
        ({"StreamName": []}, "Start of list found where not expected"),
    ],
)  # fmt: skip
def test_values_of_a_wrong_type(warehouse, body, text):
    status, answer = call(warehouse, "PutRecords", body)
    assert (status, answer) == (400, {"__type": "SerializationException", "Message": text})


@pytest.mark.parametrize(
    ("operation", "body", "headers", "status", "code"),
    [
        ("PutRecords", b"not json", {}, 400, "SerializationException"),
        ("PutRecords", b"[]", {}, 400, "SerializationException"),
        ("PutRecords", b"", {}, 400, "SerializationException"),
        ("Nonsense", b"{}", {}, 400, "UnknownOperationException"),
        ("PutRecords", b"{}", {"Authorization": None}, 400, "MissingAuthenticationTokenException"),
        ("PutRecords", b"not json", {"Authorization": None}, 400, "SerializationException"),
        ("PutRecords", b"{}", {"Content_Type": "application/x-amz-cbor-1.1"}, 404, "UnknownOperationException"),
        ("PutRecords", b"{}", {"X_Amz_Target": "Other_20200101.PutRecords"}, 400, "UnknownOperationException"),
    ],
)
def test_calls_that_are_none(warehouse, operation, body, headers, status, code):
    found, answer = call(warehouse, operation, body, **{k.replace("_", "-"): v for k, v in headers.items()})
    assert (found, answer["__type"]) == (status, code)


@pytest.mark.parametrize(
    ("number", "is_valid"),
    [
        ("0", True),
        ("1", True),
        (str(0x20000000000000000000000000000000000000000000002), True),
        (str(0x20000000000000000000000000000000000000000000001), True),
        (str(0x20000000000000000000000000000000000000800000002), True),
        (str(0x20000000000000000000000000000000000000000000000), False),
        (str(0x20000000000000000000000000000000000000000000003), False),
        (str(0x30000000000000000000000000000000000000000000001), False),
        (str(0x20000000000800000000000000000000000000000000002), False),
        (str(0x2FFFFFFFFFF7FFFFFFFFFFFFFF000000000007FFFFFFF2), False),
        (str(0x13BB2CC3D80000000000000000000000), False),
        ("1" + "0" * 128, False),
    ],
)
def test_the_number_that_a_record_follows_has_to_be_one(warehouse, kinesis, number, is_valid):
    """The cases of kinesalite's suite, which has them from AWS."""
    put = {"StreamName": "clicks", "Data": b'{"id":"ordered"}', "PartitionKey": "a"}
    if is_valid:
        assert kinesis.put_record(**put, SequenceNumberForOrdering=number)["SequenceNumber"]
        return
    with pytest.raises(ClientError) as caught:
        kinesis.put_record(**put, SequenceNumberForOrdering=number)
    assert caught.value.response["Error"] == {
        "Code": "InvalidArgumentException",
        "Message": f"ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream clicks under account "
        "000000000000 is invalid.",
    }


@pytest.mark.parametrize("stream", ["clicks", "views"])
def test_a_producer_that_asks_for_order_gets_it(kinesis, stream):
    before = None
    for _ in range(5):
        after = {"SequenceNumberForOrdering": before} if before else {}
        number = kinesis.put_record(StreamName=stream, Data=b"{}", PartitionKey="e", **after)["SequenceNumber"]
        assert before is None or int(number) > int(before)
        before = number
    later = str(int(before) + (3600 << 36))
    with pytest.raises(ClientError, match="ExclusiveMinimumSequenceNumber"):
        kinesis.put_record(StreamName=stream, Data=b"{}", PartitionKey="e", SequenceNumberForOrdering=later)


def test_what_is_put_to_see_whether_it_would_be_taken_is_not_stored(warehouse, kinesis):
    def stored():
        warehouse.flush()
        return warehouse.query("select count(*) as c from clicks where id = 'dry'")[0]["c"]

    record = {"Data": base64.b64encode(b'{"id":"dry"}').decode(), "PartitionKey": "a"}
    hashed = {**record, "ExplicitHashKey": "1"}
    puts = [("PutRecord", record), ("PutRecords", {"Records": [record]}), ("PutRecords", {"Records": [hashed]})]
    for operation, arguments in puts:
        status, answer = call(warehouse, operation, {"StreamName": "clicks", "DryRun": True, **arguments})
        assert (status, answer["__type"]) == (400, "DryRunOperationException")
        status, answer = call(warehouse, operation, {"StreamName": "nothing", "DryRun": True, **arguments})
        assert answer["__type"] == "ResourceNotFoundException"
        status, answer = call(warehouse, operation, {"StreamName": "clicks", "DryRun": "yes", **arguments})
        assert answer["Message"] == "'yes' can not be converted to an Boolean"
    assert stored() == 0
    for operation, arguments in puts:
        assert call(warehouse, operation, {"StreamName": "clicks", "DryRun": False, **arguments})[0] == 200
    assert stored() == 3


def shards(answer):
    return [int(shard["ShardId"][-1]) for shard in answer["Shards"]]


def test_shards_are_filtered(kinesis):
    created = kinesis.describe_stream_summary(StreamName="views")["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    for kind in ("AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST"):
        assert shards(kinesis.list_shards(StreamName="views", ShardFilter={"Type": kind})) == [0, 1, 2]
    after = {"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000000"}
    assert shards(kinesis.list_shards(StreamName="views", ShardFilter=after)) == [1, 2]
    page = kinesis.list_shards(StreamName="views", ShardFilter=after, MaxResults=1)
    assert shards(page) == [1]
    assert shards(kinesis.list_shards(NextToken=page["NextToken"])) == [2]
    for kind, before in (("AT_TIMESTAMP", []), ("FROM_TIMESTAMP", [0, 1, 2])):
        for instant, found in ((created, [0, 1, 2]), (created.replace(year=2020), before)):
            wanted = {"Type": kind, "Timestamp": instant}
            assert shards(kinesis.list_shards(StreamName="views", ShardFilter=wanted)) == found


def test_a_stream_is_told_from_another_of_its_name_by_its_creation(kinesis):
    created = kinesis.describe_stream_summary(StreamName="views")["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    assert shards(kinesis.list_shards(StreamName="views", StreamCreationTimestamp=created)) == [0, 1, 2]
    with pytest.raises(ClientError, match="Stream views under account 000000000000 not found"):
        kinesis.list_shards(StreamName="views", StreamCreationTimestamp=created.replace(year=2020))


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            {"StreamCreationTimestamp": "x"},
            "SerializationException",
            "class java.lang.String can not be converted to milliseconds since epoch",
        ),
        (
            {"StreamCreationTimestamp": True},
            "SerializationException",
            "class java.lang.Boolean can not be converted to milliseconds since epoch",
        ),
        ({"ShardFilter": "x"}, "SerializationException", "Expected null"),
        (
            {"ShardFilter": {}},
            "ValidationException",
            "1 validation error detected: Value null at 'shardFilter.type' "
            "failed to satisfy constraint: Member must not be null",
        ),
        (
            {"ShardFilter": {"Type": "ALL"}},
            "ValidationException",
            "1 validation error detected: Value 'ALL' at "
            "'shardFilter.type' failed to satisfy constraint: Member must satisfy enum value set: [AFTER_SHARD_ID, "
            "AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]",
        ),
        (
            {"ShardFilter": {"Type": "AFTER_SHARD_ID"}},
            "InvalidArgumentException",
            "ShardId must be given with the ShardFilter type AFTER_SHARD_ID.",
        ),
        (
            {"ShardFilter": {"Type": "AT_LATEST", "Timestamp": 1}},
            "InvalidArgumentException",
            "Timestamp cannot be given with the ShardFilter type AT_LATEST.",
        ),
        (
            {"StreamName": None, "NextToken": "x", "StreamCreationTimestamp": 1},
            "InvalidArgumentException",
            "NextToken and StreamCreationTimestamp cannot be provided together.",
        ),
    ],
)
def test_filters_that_are_none(warehouse, arguments, code, text):
    status, answer = call(warehouse, "ListShards", {"StreamName": "views", **arguments})
    name = "Message" if code == "SerializationException" else "message"
    assert (status, answer) == (400, {"__type": code, name: text})


@pytest.mark.parametrize(
    ("operation", "advice"),
    [
        ("GetRecords", "GetRecords is not offered: read with SQL (`dw query`, or POST /v1/query)"),
        ("GetShardIterator", "read with SQL"),
        ("SubscribeToShard", "read with SQL"),
        ("RegisterStreamConsumer", "read with SQL"),
        ("CreateStream", "a stream is a streaming input table of the declaration (warehouse.py)"),
        ("UpdateShardCount", "with its shards"),
        ("Nonsense", "known are PutRecord, PutRecords"),
    ],
)
def test_operations_that_are_not_offered_say_what_is(warehouse, operation, advice):
    status, answer = call(warehouse, operation, {})
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    assert advice in answer["message"]


def test_timestamps_are_plain_decimals(warehouse):
    sent = {"X-Amz-Target": "Kinesis_20131202.DescribeStreamSummary", "Content-Type": "application/x-amz-json-1.1"}
    body = json.dumps({"StreamName": "clicks"})
    _, _, answer = warehouse.request("POST", "/any/path", body, {**sent, "Authorization": "any"})
    text = answer.split(b'"StreamCreationTimestamp":')[1].split(b",")[0]
    assert b"e" not in text.lower()
    assert 1_700_000_000 < float(text) < 10_000_000_000, "seconds"


def test_the_aws_command_works(warehouse):
    environment = {**os.environ, **AWS, "AWS_ENDPOINT_URL": warehouse.url}
    aws = str(Path(sys.executable).parent / "aws")

    def run(*arguments):
        done = subprocess.run(
            [aws, "kinesis", *arguments], env=environment, capture_output=True, text=True, timeout=patient(60)
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run("list-streams")["StreamNames"] == ["clicks", "views"]
    put = run(
        "put-record", "--stream-name", "clicks", "--partition-key", "a", "--data", '{"id": "from the aws command"}'
    )
    assert put["ShardId"] == "shardId-000000000000"
    records = json.dumps([{"Data": '{"id": "from the aws command"}', "PartitionKey": "a"}])
    assert run("put-records", "--stream-name", "clicks", "--records", records)["FailedRecordCount"] == 0
    assert run("describe-stream", "--stream-name", "views")["StreamDescription"]["Shards"][2]
    warehouse.flush()
    assert warehouse.query("select count(*) as c from clicks where id = 'from the aws command'") == [{"c": 2}]


def test_a_shard_takes_its_rate_if_asked_for(tmp_path):
    with running(tmp_path, "--shard-rate-limited", "yes") as limited:
        kinesis = limited.kinesis()
        records = [{"Data": b'{"id":"r"}', "PartitionKey": "a"}] * 500
        answers = [kinesis.put_records(StreamName="clicks", Records=records) for _ in range(4)]
        taken = 2000 - sum(answer["FailedRecordCount"] for answer in answers)
        assert 1000 <= taken < 2000
        failed = [record for answer in answers for record in answer["Records"] if "ErrorCode" in record]
        assert failed[0] == {
            "ErrorCode": "ProvisionedThroughputExceededException",
            "ErrorMessage": "Rate exceeded for shard shardId-000000000000 in stream clicks under account 000000000000.",
        }
        assert all(set(record) == {"ErrorCode", "ErrorMessage"} for record in failed)
        with pytest.raises(ClientError, match="Rate exceeded for shard"):
            for _ in range(10):  # 1 MiB a second is the other limit
                kinesis.put_record(StreamName="clicks", Data=b" " * 1_000_000, PartitionKey="a")
        limited.flush()
        assert limited.query("select count(*) as c from clicks where id = 'r'") == [{"c": taken}]


def test_many_connections_share_a_commit(warehouse, kinesis):
    from concurrent.futures import ThreadPoolExecutor

    def put(n):
        data = json.dumps({"id": "parallel", "n": n}).encode()
        return warehouse.kinesis().put_record(StreamName="clicks", Data=data, PartitionKey="a")["SequenceNumber"]

    with ThreadPoolExecutor(16) as pool:
        numbers = list(pool.map(put, range(100)))
    assert len(set(numbers)) == 100
    warehouse.flush()
    [row] = warehouse.query("select count(distinct n) as c from clicks where id = 'parallel'")
    assert row == {"c": 100}


def test_base64_of_any_bytes(warehouse):
    data = bytes(range(256))
    entry = {"Data": base64.b64encode(data).decode(), "PartitionKey": "a"}
    status, answer = call(warehouse, "PutRecords", {"StreamName": "clicks", "Records": [entry]})
    assert status == 200
    warehouse.flush()
    [row] = warehouse.query(
        "select raw_data from clicks_quarantine where sequence_number = ?", answer["Records"][0]["SequenceNumber"]
    )
    assert base64.b64decode(row["raw_data"]) == data
