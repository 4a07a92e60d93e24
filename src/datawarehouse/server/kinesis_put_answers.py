"""The answer to PutRecords: the shard and the sequence number of each record, or why it was not taken.

Most of it is sequence numbers, of 56 digits each. To write one takes Python as long as to read a record; so, where it
pays, the digits that do not change within a request are written once for each shard, and all others in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import compress

import msgspec

from datawarehouse.intake.intake import Stream
from datawarehouse.journal.opening import Appended
from datawarehouse.journal.sequence import COUNTER_STEP, above_shard_0, sequence_number, shard_id
from datawarehouse.server.kinesis_streams import ACCOUNT

RECORDS_MAX = 500
_STEPS = tuple(COUNTER_STEP * place for place in range(RECORDS_MAX))
_CHANGING = 10**29  # what changes within a request is in the last 29 digits, if nothing is carried beyond them
_RECORDS_OF_SHARD_MIN = 6  # on average; with fewer it does not pay to write common digits apart


def put_records_answer(
    stream: Stream,
    shards: Sequence[int],
    taken: Sequence[bool] | None,
    appended: Appended | None,
    places: Sequence[int] | None = None,
) -> bytes:
    """The body of the answer.

    shards: of each record. taken: whether each record was; None if all were, or none. appended: where they went; None
    if none was taken. places: for each that was taken, the place of its first user record in what was appended, whose
    number it gets; None if each record has its own place.
    """
    entries: list[bytes] = []
    numbers: Iterable[int] = ()
    if appended:
        entries, numbers = _numbered(stream, list(compress(shards, taken)) if taken else shards, appended, places)
    failed = len(shards) - len(entries)
    if failed:
        refused = {shard: _refused(stream, shard) for shard in set(shards)}
        following = iter(entries)
        takes = taken or [False] * len(shards)
        entries = [next(following) if take else refused[shard] for take, shard in zip(takes, shards, strict=True)]
    return b'{"FailedRecordCount":%d,"Records":[' % failed + b",".join(entries) % tuple(numbers) + b"]}"


def _numbered(
    stream: Stream, shards: Sequence[int], appended: Appended, places: Sequence[int] | None
) -> tuple[list[bytes], list[int]]:
    """What the answer says of each record in these shards, with `%d` for a number; and the numbers."""
    first = sequence_number(stream.journal.created_ms, 0, appended.first_record, appended.arrival_ms)
    steps = _STEPS[: len(shards)] if places is None else [COUNTER_STEP * place for place in places]
    starts, formats = _of_shards(stream.shard_count)
    used = set(shards)
    if len(used) * _RECORDS_OF_SHARD_MIN <= len(shards):
        starts, formats = starts.copy(), formats.copy()
        for shard in used:
            starts[shard] += first
            before, changing = divmod(starts[shard], _CHANGING)
            if _CHANGING // 10 <= changing < _CHANGING - appended.count * COUNTER_STEP:
                starts[shard], formats[shard] = changing, _format(shard, before)
    else:
        steps = [first + step for step in steps]
    numbers = [starts[shard] + step for shard, step in zip(shards, steps, strict=True)]
    return [formats[shard] for shard in shards], numbers


@lru_cache
def _of_shards(shard_count: int) -> tuple[list[int], list[bytes]]:
    """For each shard, how far its numbers are above those of shard 0, and what the answer says of a record in it."""
    shards = range(shard_count)
    return [above_shard_0(shard) for shard in shards], [_format(shard) for shard in shards]


@lru_cache(maxsize=4096)
def _format(shard: int, before: int | None = None) -> bytes:
    """What the answer says of a record, with `%d` for its number, or for the rest of it behind the digits `before`."""
    digits = b"" if before is None else b"%d" % before
    return b'{"SequenceNumber":"%b%%d","ShardId":"%b"}' % (digits, shard_id(shard).encode())


def _refused(stream: Stream, shard: int) -> bytes:
    """What the answer says of a record that was not taken."""
    code = "ProvisionedThroughputExceededException"
    return msgspec.json.encode({"ErrorCode": code, "ErrorMessage": rate_exceeded(stream, shard)}).replace(b"%", b"%%")


def rate_exceeded(stream: Stream, shard: int) -> str:
    return f"Rate exceeded for shard {shard_id(shard)} in stream {stream.name} under account {ACCOUNT}."
