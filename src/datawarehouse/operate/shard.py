"""Which records of a stream came to one hash key since an instant, by their partition keys."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

_PAUSE_S = 0.25
"""Kinesis API, GetRecords: five calls a second for each shard."""


def keys_in_stream(kinesis: Any, stream: str, hash_key: str, since: datetime, keys: Collection[str]) -> set[str] | None:
    """Which of `keys` the records have that came since an instant to the shards of a hash key, also to those that were
    split or merged later. None if the stream keeps records for a shorter time."""
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    if datetime.now(UTC) - since > timedelta(hours=summary["RetentionPeriodHours"]):
        return None
    found: set[str] = set()
    for shard in _shards(kinesis, stream, int(hash_key)):
        found |= _keys_of(kinesis, stream, shard, since, keys)
    return found


def _shards(kinesis: Any, stream: str, hash_key: int) -> Iterator[str]:
    for page in kinesis.get_paginator("list_shards").paginate(StreamName=stream):
        for shard in page["Shards"]:
            hashes = shard["HashKeyRange"]
            if int(hashes["StartingHashKey"]) <= hash_key <= int(hashes["EndingHashKey"]):
                yield shard["ShardId"]


def _keys_of(kinesis: Any, stream: str, shard: str, since: datetime, keys: Collection[str]) -> set[str]:
    """Reads to what was newest when it began."""
    until = datetime.now(UTC)
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=since
    )["ShardIterator"]
    found: set[str] = set()
    while iterator:
        answer = kinesis.get_records(ShardIterator=iterator)
        records = answer["Records"]
        found.update(record["PartitionKey"] for record in records if record["PartitionKey"] in keys)
        is_past = bool(records) and records[-1]["ApproximateArrivalTimestamp"] > until + timedelta(seconds=60)
        if answer["MillisBehindLatest"] == 0 or is_past:
            return found
        iterator = answer.get("NextShardIterator")
        time.sleep(_PAUSE_S)
    return found
