"""Which records of a stream came to one hash key since an instant, by their partition keys."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

_CLOCKS_DIFFER = timedelta(seconds=60)
_PAUSE_S = 0.25
"""Kinesis API, GetRecords: five calls a second for each shard."""


def keys_in_stream(
    kinesis: Any, stream: str, hash_key: str, since: datetime, now: datetime, keys: Collection[str]
) -> set[str] | None:
    """Which of `keys` the records have that came since an instant to the shards of a hash key, also to those that were
    split or merged later. None if the stream keeps records for a shorter time.

    now: by a clock of AWS. With that of this machine, which may be wrong, records could be missed.
    """
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    if now - since > timedelta(hours=summary["RetentionPeriodHours"]):
        return None
    found: set[str] = set()
    for shard in _shards(kinesis, stream, int(hash_key)):
        found |= _keys_of(kinesis, stream, shard, since, now, keys)
    return found


def _shards(kinesis: Any, stream: str, hash_key: int) -> Iterator[str]:
    asked = {"StreamName": stream}
    while asked:  # not by boto3's paginator: with a NextToken, Kinesis takes no StreamName
        answer = kinesis.list_shards(**asked)
        for shard in answer["Shards"]:
            hashes = shard["HashKeyRange"]
            if int(hashes["StartingHashKey"]) <= hash_key <= int(hashes["EndingHashKey"]):
                yield shard["ShardId"]
        asked = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}


def _keys_of(kinesis: Any, stream: str, shard: str, since: datetime, now: datetime, keys: Collection[str]) -> set[str]:
    """Reads to what was newest when it began."""
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=since
    )["ShardIterator"]
    found: set[str] = set()
    while iterator:
        answer = kinesis.get_records(ShardIterator=iterator)
        records = answer["Records"]
        found.update(record["PartitionKey"] for record in records if record["PartitionKey"] in keys)
        is_past = bool(records) and records[-1]["ApproximateArrivalTimestamp"] > now + _CLOCKS_DIFFER
        if answer["MillisBehindLatest"] == 0 or is_past:
            return found
        iterator = answer.get("NextShardIterator")
        time.sleep(_PAUSE_S)
    return found
