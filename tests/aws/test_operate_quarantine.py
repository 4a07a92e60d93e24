"""`dw quarantine ls` and `replay` with `--on aws`, as processes: each error document once, whatever happens."""

import base64
import json
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest
from athena_endpoint import emulator_with_athena
from deployed import Deployed

from datawarehouse.definition.tables import QUARANTINE_COLUMNS
from datawarehouse.errors import DataWarehouseError
from datawarehouse.operate.rejects import rejects_of
from datawarehouse.operate.shard import keys_in_stream
from patience import patient

HOUR = "2026/11/20/{:02}"
REPLAY = ("quarantine", "replay", "clicks", "--output", "json")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with emulator_with_athena() as aws:
        yield Deployed(aws, tmp_path_factory.mktemp("quarantine"))


@pytest.fixture
def hour(deployed, _used=[]):  # noqa: B006 - one hour after the other
    """(where error documents of an hour of this test go, the arguments that choose it)"""
    _used.append(None)
    number = len(_used)
    period = ("--from", f"2026-11-20T{number:02}:00Z", "--to", f"2026-11-20T{number + 1:02}:00Z")
    return f"errors/clicks/format-conversion-failed/{HOUR.format(number)}/", period


def event(id):
    return json.dumps({"id": id, "price": "0.5"}).encode()


def document(raw, *, new=False, **more):
    """An error document as Firehose writes it, or with the names of the documentation."""
    names = ("errorCode", "errorMessage") if new else ("lastErrorCode", "lastErrorMessage")
    text = dict(zip(names, ("DataFormatConversion.MalformedData", "Data does not match the schema."), strict=True))
    arrived = {"arrivalTimestamp": 1795158000000, "rawData": base64.b64encode(raw).decode()}
    return json.dumps({"attemptsMade": 1, **arrived, **text, **more}).encode()


def put(deployed, key, ids, between=b""):
    """Put an object with a document for each id, both spellings by turns."""
    body = between.join(document(event(id), new=number % 2 == 1) for number, id in enumerate(ids))
    deployed.aws.client("s3").put_object(Bucket=deployed.at["data_bucket"], Key=key, Body=body)


def in_stream(deployed, prefix):
    """How often each event whose id begins so is in the stream."""
    kinesis, name = deployed.aws.client("kinesis"), deployed.at["tables"]["clicks"]["stream"]
    found = Counter()
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator)
            found.update(json.loads(record["Data"])["id"] for record in answer["Records"])
            iterator = answer["NextShardIterator"]
            if not answer["MillisBehindLatest"]:
                break
    return Counter({id: count for id, count in found.items() if id.startswith(prefix)})


def once(prefix, count):
    return Counter({f"{prefix}{number}": 1 for number in range(count)})


def ids(prefix, count, start=0):
    return [f"{prefix}{number}" for number in range(start, start + count)]


@contextmanager
def kinesis_between(deployed, passes):
    """A Kinesis in front of the emulator's: `passes(number, forward)` decides on the n-th PutRecords, and answers with
    what `forward()` returned, with an error (status, body), or with None, which closes the connection."""
    count, lock = [0], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))

            def forward():
                headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
                with urlopen(Request(deployed.aws.url + self.path, body, headers), timeout=patient(30)) as answer:
                    return answer.status, answer.read()

            if self.headers["X-Amz-Target"].endswith(".PutRecords"):
                with lock:
                    count[0] += 1
                    number = count[0]
                answer = passes(number, forward)
            else:
                answer = forward()
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield {"AWS_ENDPOINT_URL_KINESIS": f"http://127.0.0.1:{server.server_port}"}
    finally:
        server.shutdown()
        server.server_close()


def test_causes_are_counted_over_both_spellings(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("ls", 5))
    body = document(b"{", lastErrorMessage="Encountered malformed JSON.") + b"\n" + document(b"}", ErrorMessage="x")
    deployed.aws.client("s3").put_object(Bucket=deployed.at["data_bucket"], Key=f"{folder}b", Body=body)
    out, _ = deployed.dw("quarantine", "ls", "clicks", *period, "--output", "json")
    code = "DataFormatConversion.MalformedData"
    assert json.loads(out) == [
        {"error_code": code, "error_message": message, "records": count, "latest": "2026-11-20T07:00:00.000Z"}
        for message, count in (("Data does not match the schema.", 6), ("Encountered malformed JSON.", 1))
    ]
    out, _ = deployed.dw("quarantine", "ls", "clicks", *period)
    assert out.splitlines()[0].split() == ["error_code", "error_message", "records", "latest"]


def test_a_query_has_the_columns_of_the_embedded_host(deployed, hour):
    folder, _ = hour
    ours = "Data does not match the schema. Column 'tags[]': expected a string, got 'it's, got x' of\n2 lines."
    whole = "Encountered malformed JSON. Expected an object, got nothing."
    documents = [
        document(b"\xff\x00", sequenceNumber="1", lastErrorMessage=ours),
        document(event("q"), new=True, sequenceNumber="2", errorMessage=whole),
        document(event("q"), new=True, sequenceNumber="3"),
    ]
    bucket = deployed.at["data_bucket"]
    deployed.aws.client("s3").put_object(Bucket=bucket, Key=f"{folder}a", Body=b"\n".join(documents))
    glue, value = deployed.aws.client("glue"), "/".join(folder.split("/")[3:7])
    storage = glue.get_table(DatabaseName="shop_test", Name="clicks_error_docs")["Table"]["StorageDescriptor"]
    given = {"Values": [value], "StorageDescriptor": {**storage, "Location": f"s3://{bucket}/{folder}"}}
    glue.create_partition(DatabaseName="shop_test", TableName="clicks_error_docs", PartitionInput=given)
    names = ", ".join(column.name for column in QUARANTINE_COLUMNS)
    sql = f"select {names} from clicks_quarantine where inserted_at = '{value}' order by sequence_number"
    out, _ = deployed.dw("query", sql, "--output", "json")
    first, *others = json.loads(out)
    assert first == {
        "arrival_timestamp": "2026-11-20T07:00:00.000Z", "shard_id": None, "sequence_number": "1",
        "error_code": "DataFormatConversion.MalformedData", "error_message": ours, "column_name": "tags[]",
        "expected": "a string", "received": "'it's, got x' of\n2 lines", "raw_data": "/wA=",
    }  # fmt: skip
    found = [(one["error_message"], one["column_name"], one["expected"], one["received"]) for one in others]
    assert found == [(whole, None, "an object", "nothing"), ("Data does not match the schema.", None, None, None)]


def test_what_firehose_rejected_is_put_again_once_and_becomes_rows(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("a", 7))
    put(deployed, f"{folder}b", ids("a", 530, 7), between=b"\n")
    out, err = deployed.dw(*REPLAY, *period, "--rate", "2000")
    assert json.loads(out) == {"objects": 2, "sent": 537, "sent_before": 0, "problems": []}
    assert err == "537 records of 2 objects put on the stream again\n"
    out, _ = deployed.dw(*REPLAY, *period)
    assert json.loads(out) == {"objects": 2, "sent": 0, "sent_before": 537, "problems": []}
    assert in_stream(deployed, "a") == once("a", 537)
    deployed.until(lambda: len(deployed.keys("clicks/")) >= 537)


def test_the_rate_is_kept(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("rate", 30))
    began = time.monotonic()
    deployed.dw(*REPLAY, *period, "--rate", "10")
    assert time.monotonic() - began >= 2.0  # 10 at once, 10 after a second, 10 after two
    assert in_stream(deployed, "rate") == once("rate", 30)


def test_refusals_and_lost_answers_and_errors_in_the_middle(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("lost", 40))

    def passes(number, forward):
        if number == 1:  # all of it arrives, and the answer is lost
            forward()
            return None
        if number == 2:  # nothing arrives
            return None
        if number == 3:
            told = {"__type": "ProvisionedThroughputExceededException", "message": "Rate exceeded"}
            return 400, json.dumps(told).encode()
        if number == 4:  # a fault after which all of it is there
            forward()
            return 500, b'{"__type": "InternalFailure"}'
        return forward()

    with kinesis_between(deployed, passes) as environment:
        out, _ = deployed.dw(*REPLAY, *period, "--rate", "8", **environment)
    assert json.loads(out) == {"objects": 1, "sent": 40, "sent_before": 0, "problems": []}
    assert in_stream(deployed, "lost") == once("lost", 40)


def test_what_one_answer_refuses_is_put_again_alone(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("part", 6))
    kinesis, stream = deployed.aws.client("kinesis"), deployed.at["tables"]["clicks"]["stream"]

    def passes(number, forward):
        if number > 1:
            return forward()
        taken = [{"Data": event(id), "PartitionKey": "x"} for id in ids("part", 3)]
        answer = kinesis.put_records(StreamName=stream, Records=taken)
        refused = [{"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}] * 3
        return 200, json.dumps({"FailedRecordCount": 3, "Records": [*answer["Records"], *refused]}).encode()

    with kinesis_between(deployed, passes) as environment:
        deployed.dw(*REPLAY, *period, **environment)
    assert in_stream(deployed, "part") == once("part", 6)


def test_what_is_answered_as_failed_may_be_there(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("failed", 20))

    def passes(number, forward):
        status, body = forward()
        answer = json.loads(body)
        if number < 3:
            for record in answer["Records"][::2]:
                record |= {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."}
        return status, json.dumps(answer).encode()

    with kinesis_between(deployed, passes) as environment:
        out, _ = deployed.dw(*REPLAY, *period, "--rate", "10", **environment)
    assert json.loads(out)["sent"] == 20 and in_stream(deployed, "failed") == once("failed", 20)


def test_the_shard_is_read_by_the_clock_of_aws(deployed, hour):
    kinesis, stream = deployed.aws.client("kinesis"), deployed.at["tables"]["clicks"]["stream"]
    since = datetime.now(UTC) - timedelta(minutes=1)
    for key in ("first", "second"):
        kinesis.put_record(StreamName=stream, Data=event("clock"), PartitionKey=key, ExplicitHashKey="7")
    wanted, now = {"first", "second", "third"}, datetime.now(UTC)
    assert keys_in_stream(kinesis, stream, "7", since, now, wanted) == {"first", "second"}
    assert keys_in_stream(kinesis, stream, "7", since, since + timedelta(hours=25), wanted) is None


@pytest.mark.parametrize("arrives", [True, False], ids=["after the put", "before the put"])
def test_killed_around_a_put(deployed, hour, arrives):
    folder, period = hour
    name = f"kill{arrives}"
    put(deployed, f"{folder}a", ids(name, 25))
    reached, held = threading.Event(), threading.Event()

    def passes(number, forward):
        if number < 3:
            return forward()
        if arrives:
            forward()
        reached.set()
        held.wait(patient(60))
        return None

    with kinesis_between(deployed, passes) as environment:
        process = deployed.start(*REPLAY, *period, "--rate", "10", **environment)
        assert reached.wait(patient(60))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        held.set()
    out, _ = deployed.dw(*REPLAY, *period)
    told = json.loads(out)
    assert (told["sent"], told["sent_before"]) == ((0, 25) if arrives else (5, 20))
    assert in_stream(deployed, name) == once(name, 25)


def test_killed_at_any_moment_and_two_at_once(deployed, hour):
    folder, period = hour
    for number in range(6):
        put(deployed, f"{folder}{number}", ids("many", 20, 20 * number))
    for after in (0.0, 0.3, 0.6):
        process = deployed.start(*REPLAY, *period, "--rate", "20")
        before = sum(in_stream(deployed, "many").values())
        if after:
            deployed.until(lambda before=before: sum(in_stream(deployed, "many").values()) > before)
        time.sleep(after)  # a moment of no meaning, inside or between two portions
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(deployed.dw, *REPLAY, *period, "--rate", "50") for _ in range(2)]
        told = [json.loads(each.result()[0]) for each in done]
    assert in_stream(deployed, "many") == once("many", 120)
    assert all(each["problems"] == [] for each in told)


def test_a_portion_that_is_under_way_is_left_to_who_sends_it(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("way", 5))
    reached, second_put, held = threading.Event(), threading.Event(), threading.Event()

    def first(number, forward):
        reached.set()
        held.wait(patient(60))
        return forward()

    def second(number, forward):
        second_put.set()
        return forward()

    with kinesis_between(deployed, first) as one, kinesis_between(deployed, second) as other:
        processes = [deployed.start(*REPLAY, *period, **one)]
        assert reached.wait(patient(60))
        processes.append(deployed.start(*REPLAY, *period, **other))
        assert not second_put.wait(4)
        held.set()
        told = [json.loads(process.communicate(timeout=patient(90))[0]) for process in processes]
    assert [(each["sent"], each["sent_before"]) for each in told] == [(5, 0), (0, 5)]
    assert in_stream(deployed, "way") == once("way", 5)


def test_a_damaged_object_is_named_and_nothing_of_it_is_sent(deployed, hour):
    folder, period = hour
    whole = document(event("bad0")) + document(event("bad1"))
    deployed.aws.client("s3").put_object(Bucket=deployed.at["data_bucket"], Key=f"{folder}a", Body=whole[:-5])
    put(deployed, f"{folder}b", ids("good", 2))
    for sent in (2, 0):
        out, err = deployed.dw(*REPLAY, *period, code=1)
        told = json.loads(out)
        assert (told["sent"], told["objects"]) == (sent, 2)
        assert f"The object {folder}a does not consist of error documents of Firehose" in err
    assert in_stream(deployed, "bad") == Counter() and in_stream(deployed, "good") == once("good", 2)


@pytest.mark.parametrize(
    "body",
    [
        b'{"rawData": ' + b"[" * 100_000,
        b"\xff",
        b"[]",
        b'{"rawData": "", "arrivalTimestamp": 1e400}',
        b'{"errorCode": ""}',
    ],
    ids=["nested", "not UTF-8", "a list", "a time out of range", "without data"],
)
def test_what_is_no_error_document_is_named(body):
    with pytest.raises(DataWarehouseError, match="does not consist of error documents of Firehose"):
        list(rejects_of("key", body))


def test_a_portion_older_than_the_stream_is_left_alone_and_named(deployed, hour):
    folder, period = hour
    put(deployed, f"{folder}a", ids("old", 4))
    record = f"errors/clicks/replayed/{folder.removeprefix('errors/clicks/')}a.json"
    state = {"sent": 1, "sending": 3, "documents": 4, "hash_key": "5", "since": "2026-11-01T00:00:00+00:00", "by": "x"}
    s3 = deployed.aws.client("s3")
    s3.put_object(Bucket=deployed.at["data_bucket"], Key=record, Body=json.dumps(state))
    _, err = deployed.dw(*REPLAY, *period, code=1)
    assert (
        f"Documents 1 to 2 of s3://{deployed.at['data_bucket']}/{folder}a" in err
        and f"delete s3://{deployed.at['data_bucket']}/{record}" in err
    )
    assert in_stream(deployed, "old") == Counter()


def test_rows_that_firehose_could_not_write_to_iceberg_are_counted_and_not_put_again(deployed, hour):
    place, period = hour
    rows = place.replace("format-conversion-failed", "iceberg-failed")
    put(deployed, f"{place}one", ids("rejected", 2))
    put(deployed, f"{rows}one", ids("row", 2))
    put(deployed, f"{place.replace('format-conversion-failed', 'processing-failed')}one", ids("unprocessed", 2))
    counted, _ = deployed.dw("quarantine", "ls", "clicks", *period, "--output", "json")
    assert sum(cause["records"] for cause in json.loads(counted)) == 6
    done, _ = deployed.dw(*REPLAY, *period, code=1)
    told = json.loads(done)
    [problem] = told["problems"]
    assert told["sent"] == 4 and "1 objects below s3://" in problem and "would be converted a second time" in problem
    assert in_stream(deployed, "rejected") == once("rejected", 2)
    assert in_stream(deployed, "unprocessed") == once("unprocessed", 2)
    assert not in_stream(deployed, "row")


def test_what_no_stream_takes_is_left_out_and_named(deployed, hour):
    folder, period = hour
    body = document(b"") + document(event("fits0"))
    deployed.aws.client("s3").put_object(Bucket=deployed.at["data_bucket"], Key=f"{folder}a", Body=body)
    out, err = deployed.dw(*REPLAY, *period, code=1)
    assert json.loads(out)["sent"] == 1 and "Document 0 of" in err and "has 0 bytes" in err
    assert in_stream(deployed, "fits") == once("fits", 1)


def test_wrong_use_is_told(deployed):
    assert "'facts' is a table" in deployed.dw("quarantine", "ls", "facts", code=2)[1]
    assert "from 1 to 100000" in deployed.dw(*REPLAY, "--rate", "0", code=2)[1]
    assert "below errors/<table>/" in deployed.dw("quarantine", "export", "clicks", code=2)[1]
