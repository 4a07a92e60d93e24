"""What we pack is what another library takes apart, and what our own reader does."""

import base64

import pytest
from aws_kinesis_agg.deaggregator import deaggregate_records

from datawarehouse.journal.aggregate import user_records
from datawarehouse.producer.aggregate import MAGIC, aggregated, overhead

GROUPS = {
    "one": [b"{}"],
    "empty": [b"", b"{}", b""],
    "sizes around those of a longer number": [b"x" * size for size in (126, 127, 128, 129, 16_383, 16_384, 70_000)],
    "many": [b'{"n": %d}' % number for number in range(3_000)],
    "bytes of all kinds": [bytes(range(256)), MAGIC + b"\n", "ü".encode()],
}


@pytest.mark.parametrize("events", GROUPS.values(), ids=GROUPS)
def test_others_find_the_same_events(events):
    record = aggregated(events, "a key")
    given = {"kinesis": {"data": base64.b64encode(record).decode(), "partitionKey": "outer", "sequenceNumber": "1",
                         "kinesisSchemaVersion": "1.0", "approximateArrivalTimestamp": 0.0}}  # fmt: skip
    found = deaggregate_records([given])
    assert [base64.b64decode(each["kinesis"]["data"]) for each in found] == events
    assert {each["kinesis"]["partitionKey"] for each in found} == {"a key"}
    assert list(user_records(record, 100_000)) == events


@pytest.mark.parametrize("events", GROUPS.values(), ids=GROUPS)
def test_the_room_that_is_reckoned_is_enough(events):
    fixed = len(MAGIC) + 2 + len("a key") + 16
    assert len(aggregated(events, "a key")) <= fixed + sum(len(event) + overhead(len(event)) for event in events)
