"""Aggregates of the Kinesis Producer Library, sent by unmodified clients: what becomes of them, and how they count."""

import base64
import json
import shutil

import pytest
from botocore.exceptions import ClientError
from running import running

from aggregates import KEYS, MAGIC, aggregate, by_library, sealed, text, user_record
from datawarehouse import Warehouse, open_warehouse
from datawarehouse.clock import WallClock
from datawarehouse.errors import BodyTooLarge
from datawarehouse.journal.sequence import COUNTER_STEP
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.testing import simulate

DAMAGED = {
    "its MD5 digest is not that of its content": aggregate(b'{"id":"lost"}')[:-1] + b"?",
    "it ends before its MD5 digest": MAGIC,
    "it has no user records": sealed(text(KEYS, b"key")),
    "a user record in it has a key that is not in its tables": sealed(user_record(b'{"id":"lost"}')),
    "its content is not what Protocol Buffers write": sealed(b"\n{}"),
}


def declared(shard_count=1):
    columns = {"id": "string", "n": "int"}
    return Warehouse("dw").with_streaming_input_table("clicks", columns, input_stream_shard_count=shard_count)


def counts(warehouse, table="clicks"):
    """Received, stored, rejected and waiting of a table, as `dw status` has them."""
    [found] = [
        each
        for each in json.loads(warehouse.dw("status", "--output", "json").stdout)["tables"]
        if each["table"] == table
    ]
    assert found["received"] == found["stored"] + found["rejected"] + found["pending"]
    return found["received"], found["stored"], found["rejected"]


def test_what_a_library_aggregated_is_stored_and_counted_record_by_record(tmp_path):
    with running(tmp_path) as warehouse:
        kinesis = warehouse.kinesis()
        events = [(json.dumps({"id": f"{n}", "n": n}).encode(), f"key {n % 7}") for n in range(3000)]
        events[10:10] = [(b'{"id":"bad","n":"no number"}', "key"), (b"", "key")]
        entries = by_library(events[:1000]) + by_library(events[1000:2000]) + by_library(events[2000:])
        records = [{"Data": d, "PartitionKey": k} | ({"ExplicitHashKey": h} if h else {}) for d, k, h in entries]
        plain = {"Data": b'{"id":"plain"}', "PartitionKey": "a"}
        answer = kinesis.put_records(StreamName="views", Records=[plain, *records, plain])
        assert answer["FailedRecordCount"] == 0
        numbers = [int(each["SequenceNumber"]) for each in answer["Records"]]
        assert len(set(numbers)) == len(records) + 2
        assert counts(warehouse, "views")[0] == 3004, "at once"
        warehouse.flush()
        assert counts(warehouse, "views") == (3004, 3002, 2)
        [row] = warehouse.query("select count(*) as c, count(distinct id) as d, sum(n) as s from views")
        assert row == {"c": 3002, "d": 3001, "s": sum(range(3000))}
        rejects = warehouse.query("select * from views_quarantine order by sequence_number")
        assert [base64.b64decode(each["raw_data"]) for each in rejects] == [b'{"id":"bad","n":"no number"}', b""]
        first = numbers[1]
        assert [int(each["sequence_number"]) for each in rejects] == [first + n * COUNTER_STEP for n in (10, 11)]
        assert {each["shard_id"] for each in rejects} == {answer["Records"][1]["ShardId"]}
        _, _, metrics = warehouse.request("GET", "/metrics")
        assert b'dw_records_received_total{table="views"} 3004.0' in metrics
        assert warehouse.dw("audit", "--level", "data").returncode == 0


def test_a_damaged_aggregate_is_one_reject_that_names_the_library(tmp_path):
    with running(tmp_path) as warehouse:
        data = [b'{"id":"before"}', *DAMAGED.values(), b'{"id":"after"}']
        records = [{"Data": each, "PartitionKey": "a"} for each in data]
        assert warehouse.kinesis().put_records(StreamName="clicks", Records=records)["FailedRecordCount"] == 0
        assert counts(warehouse)[0] == len(data)
        warehouse.flush()
        assert counts(warehouse) == (len(data), 2, len(DAMAGED))
        rejects = warehouse.query("select * from clicks_quarantine order by sequence_number")
        assert [base64.b64decode(each["raw_data"]) for each in rejects] == list(DAMAGED.values())
        assert [each["error_message"] for each in rejects] == [
            "Encountered malformed JSON. Expected JSON, got a damaged aggregate of the Kinesis Producer Library (KPL): "
            f"{reason}."
            for reason in DAMAGED
        ]
        documents = warehouse.dw("quarantine", "export", "clicks").stdout.splitlines()
        assert [base64.b64decode(json.loads(each)["rawData"]) for each in documents] == list(DAMAGED.values())


def test_an_aggregate_inside_another_one_is_a_reject_that_can_be_sent_again(tmp_path):
    inner = aggregate(b'{"id":"inner"}')
    with running(tmp_path) as warehouse:
        warehouse.kinesis().put_record(StreamName="clicks", Data=aggregate(inner, b'{"id":"outer"}'), PartitionKey="a")
        warehouse.flush()
        assert warehouse.query("select id from clicks") == [{"id": "outer"}]
        [reject] = warehouse.query("select raw_data, received from clicks_quarantine")
        why = "an aggregate of the Kinesis Producer Library (KPL) that came inside another one, or not by Kinesis"
        assert reject["received"] == why
        again = base64.b64decode(reject["raw_data"])
        assert again == inner
        warehouse.kinesis().put_record(StreamName="clicks", Data=again, PartitionKey="a")
        warehouse.flush()
        assert warehouse.query("select count(*) as c from clicks where id = 'inner'") == [{"c": 1}]
        assert counts(warehouse) == (3, 2, 1)


def test_plain_http_takes_lines_and_no_aggregates(tmp_path):
    with running(tmp_path) as warehouse:
        status, answer = warehouse.events("clicks", aggregate(b'{"id":"a","n":1}'))
        assert (status, answer) == (200, {"accepted": 2})
        warehouse.flush()
        assert counts(warehouse) == (2, 0, 2)


def test_more_user_records_than_a_request_may_have_are_refused_whole(tmp_path):
    with running(tmp_path, "--request-events-max", "1000") as warehouse:
        kinesis = warehouse.kinesis()
        many = aggregate(*[b"{}"] * 1001)
        message = r"more than 1000 user records together \(request_events_max\)"
        with pytest.raises(ClientError, match=message) as refused:
            kinesis.put_record(StreamName="clicks", Data=many, PartitionKey="a")
        assert refused.value.response["Error"]["Code"] == "InvalidArgumentException"
        halves = [{"Data": aggregate(*[b"{}"] * 501), "PartitionKey": "a"}] * 2
        with pytest.raises(ClientError, match=message):
            kinesis.put_records(StreamName="clicks", Records=halves)
        assert counts(warehouse) == (0, 0, 0)
        fitting = [{"Data": aggregate(*[b"{}"] * 500), "PartitionKey": "a"}] * 2
        assert kinesis.put_records(StreamName="clicks", Records=fitting)["FailedRecordCount"] == 0
        assert counts(warehouse)[0] == 1000


def test_ten_mebibytes_of_the_smallest_records_are_taken_beside_others(tmp_path):
    with running(tmp_path, "--request-events-max", "2000000") as warehouse:
        small = [{"Data": aggregate(*[b""] * 170_000), "PartitionKey": "a"}] * 10
        assert warehouse.kinesis().put_records(StreamName="clicks", Records=small)["FailedRecordCount"] == 0
        assert counts(warehouse)[0] == 1_700_000


@pytest.mark.parametrize("shard_count", [1, 4, 64])
def test_put_takes_aggregates_apart_and_a_catalog_made_again_counts_the_same(tmp_path, shard_count):
    events = [b'{"id":"a"}', aggregate(b'{"id":"b"}', b"{", b'{"id":"c"}'), {"id": "d"}, *DAMAGED.values()]
    with open_warehouse(declared(shard_count), tmp_path / "data") as warehouse:
        assert warehouse.put("clicks", events) == 10
        assert warehouse.put("clicks", events, idempotency_key="once") == 10
        assert warehouse.put("clicks", events, idempotency_key="once") == 10
        warehouse.flush()
        before = warehouse.status()["tables"]
        assert [(each["received"], each["stored"], each["rejected"]) for each in before] == [(20, 8, 12)]
    for path in (tmp_path / "data").glob("_catalog.sqlite*"):
        path.unlink()
    shutil.rmtree(tmp_path / "data" / "_commits")
    with doctor_of(tmp_path / "data", declared(shard_count), WallClock()) as doctor:
        doctor.repair()
    with open_warehouse(declared(shard_count), tmp_path / "data") as warehouse:
        after = warehouse.status()["tables"]
        assert [(each["received"], each["stored"], each["rejected"]) for each in after] == [(20, 8, 12)]


def test_what_waits_is_counted_in_user_records_after_a_restart(tmp_path):
    with simulate(declared(), tmp_path / "data") as warehouse:
        warehouse.put("clicks", [aggregate(*[b'{"id":"a"}'] * 5), b"{}"])
        shutil.copytree(tmp_path / "data", tmp_path / "copy", ignore=shutil.ignore_patterns("_lock"))
        [found] = warehouse.status()["tables"]
        assert (found["received"], found["pending"]) == (6, 6)
    with simulate(declared(), tmp_path / "copy") as again:
        [found] = again.status()["tables"]
        assert (found["received"], found["pending"]) == (6, 6)
        again.advance("1s")
        [found] = again.status()["tables"]
        assert (found["received"], found["stored"], found["pending"]) == (6, 6, 0)


def test_put_refuses_more_user_records_than_a_request_may_have(tmp_path):
    with simulate(declared(), tmp_path / "data", settings={"request_events_max": 3}) as warehouse:
        assert warehouse.put("clicks", [b"{}"] * 9) == 9
        with pytest.raises(BodyTooLarge, match="more than 3 user records together"):
            warehouse.put("clicks", aggregate(*[b"{}"] * 4))
        assert warehouse.put("clicks", aggregate(*[b"{}"] * 3)) == 3
