"""What is wrong with the arguments of a call is found in little time and memory, whatever they are."""

import json
import time
import tracemalloc

import pytest

from datawarehouse.server.kinesis import _put_records_request
from datawarehouse.server.kinesis_shapes import KinesisError, checked

MANY_MATCHES = "arn:aws" + ":kinesis:" * 3_000 + ":000000000000:stream/" * 1_000 + " "


@pytest.mark.parametrize("arn", ["arn:aws" + ":kinesis:" * 30_000, MANY_MATCHES], ids=["half", "nearly whole"])
@pytest.mark.parametrize("call", ["describe", "put"])
def test_a_long_name_that_nearly_matches_is_refused_at_once(arn, call):
    began = time.process_time()
    with pytest.raises(KinesisError, match="'streamARN' failed to satisfy constraint: Member must have length less"):
        if call == "put":
            records = [{"Data": "e30=", "PartitionKey": "a"}]
            _put_records_request(json.dumps({"StreamARN": arn, "Records": records}).encode())
        else:
            checked("DescribeStreamSummary", {"StreamARN": arn})
    assert time.process_time() - began < 1


def test_the_error_of_a_list_of_very_many_records_is_short():
    with pytest.raises(KinesisError, match=r"'records' failed .*: Member must have length less than or equal to 500"):
        checked("PutRecords", {"Records": [{}] * 501})
    with pytest.raises(KinesisError) as caught:
        checked("PutRecords", {"Records": [{}] * 1_000_000})
    assert len(caught.value.message) < 100_000


def test_a_body_of_very_many_values_is_not_read():
    tracemalloc.start()
    try:
        with pytest.raises(KinesisError, match="up to 500 records"):
            _put_records_request(b'{"Records":[' + b"{}," * 1_000_000 + b"{}]}")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_as_many_commas_as_a_request_can_have_are_read():
    records = [{"Data": "e30=", "PartitionKey": "," * 256, "ExplicitHashKey": "0", "Unknown": 1}] * 500
    put = _put_records_request(json.dumps({"StreamName": "clicks", "DryRun": False, "Records": records}).encode())
    assert len(put.keys) == 500
