"""Several events in one Kinesis record, in the aggregation format of the Kinesis Producer Library.

The published format: github.com/awslabs/amazon-kinesis-producer, aggregation-format.md. A record is four magic bytes, a
protobuf message, and the MD5 of that message:

    message AggregatedRecord {
      repeated string partition_key_table     = 1;
      repeated string explicit_hash_key_table = 2;   (not used)
      repeated Record records                 = 3;
    }
    message Record {
      required uint64 partition_key_index     = 1;   (always 0: events in one record are in one shard)
      optional uint64 explicit_hash_key_index = 2;   (not used)
      required bytes  data                    = 3;
      repeated Tag    tags                    = 4;   (not used)
    }
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import md5

MAGIC = b"\xf3\x89\x9a\xc2"
_KEY, _RECORDS, _INDEX_0, _DATA = b"\x0a", b"\x1a", b"\x08\x00", b"\x1a"


def aggregated(events: Sequence[bytes], partition_key: str) -> bytes:
    key = partition_key.encode()
    parts = [_KEY, _varint(len(key)), key]
    for event in events:
        size = _varint(len(event))
        parts += (_RECORDS, _varint(len(_INDEX_0) + 1 + len(size) + len(event)), _INDEX_0, _DATA, size, event)
    message = b"".join(parts)
    return MAGIC + message + md5(message, usedforsecurity=False).digest()


def overhead(event_bytes: int) -> int:
    """An upper bound of what an event takes in addition to its own bytes."""
    return 6 + 2 * len(_varint(event_bytes + 8))


def _varint(number: int) -> bytes:
    """Seven bits in each byte, the lowest first; the eighth says that another follows."""
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
