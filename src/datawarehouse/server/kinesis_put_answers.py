"""The answer to PutRecords: the shard and the sequence number of each record, or why it was not taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import compress

import msgspec

from datawarehouse.intake.intake import Stream
from datawarehouse.journal.opening import Appended
from datawarehouse.journal.sequence import COUNTER_STEP, above_shard_0, sequence_number, sequence_numbers, shard_id
from datawarehouse.server.kinesis_streams import ACCOUNT


def all_in_one_shard(stream: Stream, appended: Appended) -> bytes:
    """The answer for records that were all taken by shard 0: the usual one, so built by joining."""
    numbers = sequence_numbers(stream.journal.created_ms, 0, appended.first_record, appended.count, appended.arrival_ms)
    behind = f'","ShardId":"{shard_id(0)}"}}'
    entries = f'{behind},{{"SequenceNumber":"'.join(map(str, numbers))
    return f'{{"FailedRecordCount":0,"Records":[{{"SequenceNumber":"{entries}{behind}]}}'.encode()


def put_records_answer(
    stream: Stream,
    taken: Sequence[bool],
    shards: Sequence[int] | None,
    appended: Appended | None,
    places: Sequence[int] | None = None,
) -> bytes:
    """The answer for records of which some were taken, in any shards. Joined from texts, as the one above.

    places: see `_entry`. A record has the number of its first user record.
    """
    of = [0] * len(taken) if shards is None else shards
    entries = _taken(stream, compress(of, taken), appended, places) if appended else []
    failed = len(taken) - len(entries)
    if failed:
        refused = {shard: _refused(stream, shard) for shard in set(of)}
        following = iter(entries)
        entries = [next(following) if take else refused[shard] for take, shard in zip(taken, of, strict=True)]
    return f'{{"FailedRecordCount":{failed},"Records":[{",".join(entries)}]}}'.encode()


def _taken(stream: Stream, shards: Iterable[int], appended: Appended, places: Sequence[int] | None) -> list[str]:
    """What the answer says of each record that was taken; shards, places: theirs."""
    created, first, arrival = stream.journal.created_ms, appended.first_record, appended.arrival_ms
    numbers: Iterable[int] = sequence_numbers(created, 0, first, appended.count, arrival)
    if places is not None:
        begin = sequence_number(created, 0, first, arrival)
        numbers = [begin + COUNTER_STEP * place for place in places]
    ends = map(_ends(stream.shard_count).__getitem__, shards)
    return [f'{{"SequenceNumber":"{number + above}{end}' for number, (above, end) in zip(numbers, ends, strict=True)]


@lru_cache
def _ends(shard_count: int) -> list[tuple[int, str]]:
    """For each shard, what its sequence numbers have above those of shard 0, and what the answer has behind them."""
    return [(above_shard_0(shard), f'","ShardId":"{shard_id(shard)}"}}') for shard in range(shard_count)]


def _refused(stream: Stream, shard: int) -> str:
    code = "ProvisionedThroughputExceededException"
    return msgspec.json.encode({"ErrorCode": code, "ErrorMessage": rate_exceeded(stream, shard)}).decode()


def rate_exceeded(stream: Stream, shard: int) -> str:
    return f"Rate exceeded for shard {shard_id(shard)} in stream {stream.name} under account {ACCOUNT}."
