"""`dw push`: the hours of a data folder in a warehouse that is deployed into the emulator."""

import fcntl
import io
import itertools
import json
import shutil
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from pushing import DECLARATION, Sides
from running import running
from urllib3.response import HTTPResponse

from datawarehouse.operate.push_plan import MARK

HOURS = 5
_NUMBERS = itertools.count()


@pytest.fixture
def sides(aws, stack, tmp_path):
    """`stack` is here for its environment."""
    return Sides(aws, f"push_{next(_NUMBERS)}", tmp_path)


@pytest.fixture
def filled(sides):
    sides.fill(HOURS)
    return sides


def own_files(sides, tmp_path):
    """Files of the table that the user fills: a partition in its folder, and one elsewhere."""
    (sides.data / "facts" / "de").mkdir(parents=True)
    (sides.data / "facts" / "de" / "colors.json").write_text('{"color": "red"}\n{"color": "blue"}\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "more.json").write_text('{"color": "green"}\n')
    (elsewhere / "_hidden").write_text("{")
    assert sides.dw("partition", "facts", "de").returncode == 0
    assert sides.dw("partition", "facts", "fr", "--location", str(elsewhere)).returncode == 0
    return elsewhere


def test_tables_of_each_kind_arrive_and_a_second_call_puts_nothing(filled, tmp_path):
    own_files(filled, tmp_path)
    told, said = filled.push()
    assert "To put: " in said and "About $0.0" in said
    assert {name: each["hours"] for name, each in told.items()} == {
        "clicks": HOURS, "clicks_quarantine": 2, "hourly": HOURS, "loose": HOURS, "lines": HOURS, "facts": 0,
    }  # fmt: skip
    assert (told["facts"]["files"], told["facts"]["rows"]) == (2, 3)
    filled.assert_equal()
    before = filled.objects()
    told, said = filled.push()
    assert "To put: 0 B in 0 objects" in said
    assert {name: (each["hours"], each["files"], each["there_already"]) for name, each in told.items()} == {
        "clicks": (0, 0, HOURS), "clicks_quarantine": (0, 0, 2), "hourly": (0, 0, HOURS), "loose": (0, 0, HOURS),
        "lines": (0, 0, HOURS), "facts": (0, 0, 2),
    }  # fmt: skip
    assert filled.objects() == before


def test_hours_are_where_the_deployed_warehouse_looks_for_them(filled):
    filled.push()
    hour = filled.hours[0]
    with_rows = [key for key in filled.objects(f"clicks/{hour}/") if MARK not in key]
    assert with_rows and all(key.endswith(".parquet") and "/pushed-" in key for key in with_rows)
    [rejects] = [key for key in filled.objects(f"errors/clicks/format-conversion-failed/{hour}/") if MARK not in key]
    lines = filled.s3.get_object(Bucket=filled.bucket, Key=rejects)["Body"].read().splitlines()
    assert {json.loads(line)["lastErrorCode"] for line in lines} == {"DataFormatConversion.MalformedData"}
    run = filled.stack.partitions("hourly")[hour]["Location"]
    assert run.startswith(f"s3://{filled.bucket}/hourly/{hour}/20") and run.count("/") == 9
    assert any(key.endswith("/_complete") for key in filled.objects(f"hourly/{hour}/"))
    assert f"lines/{hour}/" in filled.stack.partitions("lines")[hour]["Location"]
    assert len([key for key in filled.objects(f"loose/{hour}/") if key.endswith("-0.parquet")]) == 1
    assert set(filled.stack.partitions("clicks")) == set(filled.hours)


def test_a_dry_run_says_what_it_would_put_and_puts_nothing(filled):
    told, said = filled.push("--dry-run")
    assert told["clicks"]["hours"] == HOURS and told["clicks"]["rows"] == 18
    assert "To put: " in said
    assert not filled.objects() and not filled.stack.partitions("clicks")
    assert filled.push("hourly", "--dry-run")[0].keys() == {"hourly"}


def test_an_hour_that_both_sides_have_is_refused_by_name_and_the_others_are_put(filled):
    theirs = f"clicks/{filled.hours[1]}/theirs.parquet"
    filled.s3.put_object(Bucket=filled.bucket, Key=theirs, Body=b"")
    filled.glue.create_partition(
        DatabaseName=filled.stack.name,
        TableName="hourly",
        PartitionInput={
            "Values": [filled.hours[2]],
            "StorageDescriptor": {"Location": f"s3://{filled.bucket}/hourly/{filled.hours[2]}/20261101T000000/"},
        },
    )
    told, said = filled.push(code=1)
    assert list(told["clicks"]["refused"]) == [filled.hours[1]]
    assert f"Not pushed: clicks {filled.hours[1]}: the deployed warehouse has it too, with an object" in said
    assert f"Not pushed: hourly {filled.hours[2]}: the deployed warehouse has it at s3://" in said
    assert told["clicks"]["hours"] == told["hourly"]["hours"] == HOURS - 1
    assert list(filled.objects(f"clicks/{filled.hours[1]}/")) == [theirs]
    filled.assert_equal("loose", "lines")


def test_hours_of_another_data_folder_are_refused(filled, aws, tmp_path):
    filled.push("clicks")
    shutil.rmtree(filled.data)
    filled.fill(HOURS)
    before = filled.objects()
    told, _ = filled.push("clicks", code=1)
    assert set(told["clicks"]["refused"].values()) == {"it was pushed there from another data folder"}
    assert filled.objects() == before


def changed_columns(storage):
    return {**storage, "Columns": [{"Name": "id", "Type": "string"}, {"Name": "n", "Type": "bigint"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {"StorageDescriptor": changed_columns(found["StorageDescriptor"])},
         "table 'clicks': the column 'n' is bigint there and int here"),
        (lambda found: {"PartitionKeys": [{"Name": "hour", "Type": "string"}]},
         "table 'clicks': its partition keys are hour there and inserted_at here"),
        (lambda found: {"Parameters": {"classification": "json"}}, "its files are JSON there and parquet here"),
        (lambda found: {"Parameters": {"table_type": "ICEBERG"}},
         "table 'clicks': it is an Iceberg table there, and no file can be put into one: name the other tables"),
    ],
)  # fmt: skip
def test_sides_that_differ_are_refused_by_name_and_nothing_is_put(filled, change, message):
    found = filled.glue.get_table(DatabaseName=filled.stack.name, Name="clicks")["Table"]
    filled.change("clicks", **change(found))
    filled.glue.delete_table(DatabaseName=filled.stack.name, Name="loose")
    filled.outputs["tables"]["lines"]["kind"] = "table"
    (filled.folder / "outputs.json").write_text(json.dumps({"warehouse": filled.outputs}))
    _, said = filled.push(code=2)
    assert "table 'lines': it is a table there and a batch input table here" in said
    assert message in said and "table 'loose': the deployed warehouse has no such table" in said
    assert not filled.objects()
    assert filled.push("hourly")[0]["hourly"]["hours"] == HOURS


def test_files_from_before_a_wider_type_get_the_present_one(filled, tmp_path):
    wider = DECLARATION.replace('"n": "int"', '"n": "bigint"')
    again = Sides(filled.aws, f"{filled.stack.name}_wider", tmp_path, wider)
    assert again.push("clicks")[0]["clicks"]["hours"] == HOURS
    for key in again.objects("clicks/"):
        if key.endswith(".parquet"):
            body = again.s3.get_object(Bucket=again.bucket, Key=key)["Body"].read()
            (tmp_path / "object.parquet").write_bytes(body)
            assert str(pq.read_schema(tmp_path / "object.parquet").field("n").type) == "int64"
    again.assert_equal("clicks")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [flip, lambda path: path.unlink()], ids=["damaged", "lost"])
def test_an_hour_with_a_bad_file_is_named_and_the_others_are_put(filled, harm):
    path = filled.data / filled.live("clicks", filled.hours[2])[0]
    kept = path.read_bytes()
    harm(path)
    told, said = filled.push(code=1)
    assert list(told["clicks"]["refused"]) == [filled.hours[2]] and str(path.name) in said
    assert told["clicks"]["hours"] == HOURS - 1
    assert filled.hours[2] not in filled.stack.partitions("clicks")
    assert not filled.objects(f"clicks/{filled.hours[2]}/")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(kept)
    assert filled.push()[0]["clicks"]["hours"] == 1
    filled.assert_equal("clicks", "hourly", "loose", "lines")


def test_beside_a_running_warehouse(filled):
    """Its present hour can still change, unless the clock has come to the next one meanwhile."""
    before = f"{datetime.now(UTC):%Y/%m/%d/%H}"
    with running(filled.folder, declaration=None) as warehouse:
        warehouse.events("clicks", b'{"id": "now", "n": 1}')
        told, said = filled.push()
    clicks = told["clicks"]
    assert clicks["hours"] + clicks["open_hours"] == HOURS + 1
    if f"{datetime.now(UTC):%Y/%m/%d/%H}" == before:
        assert clicks["open_hours"] == 1 and "Left for a later call: 1 hour of clicks" in said
        assert not filled.objects(f"clicks/{before}/")


def test_a_second_call_beside_the_first_is_refused(filled):
    with (filled.data / "FORMAT").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _, said = filled.push(code=4)
    assert "Another `dw push` of" in said
    assert not filled.objects()


def test_an_hour_that_another_call_has_begun_since_is_left_to_it(filled, monkeypatch):
    """Two computers have the same data folder, from a back-up, and push it."""
    mark = f"clicks/{filled.hours[3]}/{MARK}"
    theirs = [b'{"identity":"","rows":1,"digests":[],"names":[]}']

    def meddle(request, send):
        if request.method == "PUT" and request.url.endswith(mark) and theirs:
            filled.s3.put_object(Bucket=filled.bucket, Key=mark, Body=theirs.pop())
        return send()

    with meddling(monkeypatch, meddle):
        told, said = filled.push(code=1)
    assert list(told["clicks"]["refused"]) == [filled.hours[3]] and "another call of `dw push`" in said
    assert list(filled.objects(f"clicks/{filled.hours[3]}/")) == [mark]


@contextmanager
def meddling(monkeypatch, meddle):
    """Let `meddle(request, send)` answer the requests of the command, and not those of the small Athena, which is in
    this process too."""
    sent = URLLib3Session.send

    def send(session, request):
        if threading.current_thread().name == "statement":
            return sent(session, request)
        return meddle(request, lambda: sent(session, request))

    with monkeypatch.context() as patched:
        patched.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0)
        patched.setattr(URLLib3Session, "send", send)
        yield


def throttled(request):
    body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    return AWSResponse(request.url, 503, {}, HTTPResponse(io.BytesIO(body), status=503, preload_content=False))


def test_answers_that_are_lost_and_calls_that_are_throttled(filled, monkeypatch):
    numbers, met = itertools.count(), Counter()

    def meddle(request, send):
        if request.method != "PUT":
            return send()
        number = next(numbers)
        if number % 5 == 1:
            met["throttled"] += 1
            return throttled(request)
        answer = send()
        if number % 5 == 3:
            met["lost"] += 1
            raise ConnectionClosedError(endpoint_url=request.url)
        return answer

    with meddling(monkeypatch, meddle):
        filled.push()
    assert min(met["lost"], met["throttled"]) > 10
    filled.assert_equal("clicks", "hourly", "loose", "lines")


def test_a_store_that_throttles_all_the_time_ends_the_call_and_the_next_one_goes_on(filled, monkeypatch):
    puts = itertools.count()

    def meddle(request, send):
        return throttled(request) if request.method == "PUT" and next(puts) > 20 else send()

    with meddling(monkeypatch, meddle):
        _, said = filled.push(code=4)
    assert "SlowDown" in said and "Try again later" in said
    there = filled.objects()
    assert there
    filled.push()
    files = {key for key in there if not key.endswith(MARK)}
    assert files and all(filled.objects()[key] == there[key] for key in files)
    filled.assert_equal("clicks", "hourly", "loose", "lines")
