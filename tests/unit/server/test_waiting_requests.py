"""What requests take in memory while they wait to be durable, and that nothing of them stays."""

import asyncio
import gc
import gzip
import json
import threading
import tracemalloc
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from datawarehouse.access.identity import EVERYBODY
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.intake.intake import Intake, IntakeLimits, Stream
from datawarehouse.journal.journal import Journal
from datawarehouse.server.events import Events
from datawarehouse.server.http import Request
from datawarehouse.server.kinesis import Kinesis
from datawarehouse.testing.clock import TestClock
from patience import patient

REQUESTS, RECORDS = 20, 500
LARGE = 1 << 40


def records(number, count):
    return [b'{"n":%d,"pad":"%s"}' % (number * count + n, b"x" * 300) for n in range(count)]


def kinesis_call(operation, given):
    headers = {
        b"x-amz-target": b"Kinesis_20131202." + operation,
        b"content-type": b"application/x-amz-json-1.1",
        b"authorization": b"any",
    }
    body = json.dumps({"StreamName": "clicks", **given}).encode()
    return lambda kinesis, events: kinesis.handle(Request("POST", "/", "", headers, None, identity=EVERYBODY), body)


def put_records(number):
    data = [{"Data": b64encode(record).decode(), "PartitionKey": "k"} for record in records(number, RECORDS)]
    return kinesis_call(b"PutRecords", {"Records": data})


def put_record(number):
    data = b64encode(b"\n".join(records(number, RECORDS))).decode()
    return kinesis_call(b"PutRecord", {"Data": data, "PartitionKey": "k"})


def lines(number, headers=(), packed=bytes):
    body = packed(b"\n".join(records(number, RECORDS)))
    request = Request("POST", "/v1/tables/clicks/events", "", dict(headers), None, identity=EVERYBODY)
    return lambda kinesis, events: events.handle("clicks", request, body)


def packed_lines(number):
    return lines(number, {b"content-encoding": b"gzip"}, gzip.compress)


async def in_memory(stream, intake, request):
    """Bytes in memory for each byte that waits to be durable: while REQUESTS wait, and when they are answered."""
    with ThreadPoolExecutor(1) as threads:
        may_write = threading.Event()
        commit = GroupCommit(intake, threads)
        kinesis, events = Kinesis(intake, commit, TestClock()), Events(intake, commit, LARGE, RECORDS)
        await request(REQUESTS)(kinesis, events)  # what is in memory once
        threads.submit(may_write.wait, patient(60))
        before, _ = tracemalloc.get_traced_memory()
        waiting = [asyncio.create_task(request(number)(kinesis, events)) for number in range(REQUESTS)]
        while len(stream.journal._queue) < REQUESTS:
            await asyncio.sleep(0)
        size = stream.queued_bytes
        meanwhile, _ = tracemalloc.get_traced_memory()
        may_write.set()
        while waiting:
            assert (await waiting.pop()).status == 200
    after, _ = tracemalloc.get_traced_memory()
    return (meanwhile - before) / size, (after - before) / size


@pytest.mark.parametrize("request_of", [put_records, put_record, lines, packed_lines])
def test_a_request_that_waits_is_in_memory_once_and_one_that_is_answered_not_at_all(tmp_path, request_of):
    journal = Journal(tmp_path, "clicks", TestClock(), LOCAL_DISK)
    stream = Stream(journal, 1, TestClock(), 0)
    limits = IntakeLimits(LARGE, LARGE, LARGE, 0, False, RECORDS)
    intake = Intake({"clicks": stream}, limits, TestClock(), lambda: LARGE)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        meanwhile, after = asyncio.run(in_memory(stream, intake, request_of))
    finally:
        tracemalloc.stop()
        gc.enable()
        journal.close()
    assert journal.next_record == (REQUESTS + 1) * (1 if request_of is put_record else RECORDS)
    assert 0.9 < meanwhile < 1.4
    assert after < 0.2
