"""Kinesis sequence numbers, shards and their hash ranges, derived from a record's place in its stream.

Layout of a sequence number (version 2, as kinesalite found it on AWS): 47 hex digits, written in decimal:

    2 | second the shard was created (9) | low digit of the shard (1) | counter (16) | 00 | second of the write (9)
      | shard (8) | 2

The counter is the record's number in the stream, so that numbers increase within a shard, with gaps where records
went to other shards.
"""

from __future__ import annotations

from hashlib import md5

HASH_KEYS = 2**128
COUNTER_STEP = 1 << 80  # from one record to the next: 20 hex digits stand behind the counter


def sequence_number(created_ms: int, shard: int, record: int, arrival_ms: int) -> int:
    """The sequence number of a record; its decimal text is what clients see."""
    return (
        (2 << 184)
        | (created_ms // 1000 << 148)
        | ((shard & 15) << 144)
        | (record << 80)
        | (arrival_ms // 1000 << 36)
        | (shard << 4)
        | 2
    )


def sequence_numbers(created_ms: int, shard: int, first_record: int, count: int, arrival_ms: int) -> range:
    """Those of `count` records in a row that went to one shard."""
    first = sequence_number(created_ms, shard, first_record, arrival_ms)
    return range(first, first + count * COUNTER_STEP, COUNTER_STEP)


def shard_id(shard: int) -> str:
    return f"shardId-{shard:012d}"


def hash_range(shard: int, shard_count: int) -> tuple[int, int]:
    """The first and the last hash key of a shard, both inclusive."""
    width = HASH_KEYS // shard_count
    return shard * width, HASH_KEYS - 1 if shard == shard_count - 1 else (shard + 1) * width - 1


def hash_key(partition_key: str) -> int:
    """MD5 of the key's UTF-8 bytes as a big-endian number (Kinesis API reference, PutRecord)."""
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest())


def shard_of(hashed: int, shard_count: int) -> int:
    """The shard whose range holds a hash key."""
    return min(hashed // (HASH_KEYS // shard_count), shard_count - 1)
