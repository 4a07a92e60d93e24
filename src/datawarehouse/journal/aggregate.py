"""Records that the Kinesis Producer Library (KPL) aggregated -> the user records in them. Pure.

Source: "KPL Aggregated Record Format", aggregation-format.md of awslabs/amazon-kinesis-producer. An aggregate is MAGIC,
a message of Protocol Buffers, and the MD5 digest of the message:

    message AggregatedRecord {
      repeated string partition_key_table     = 1;
      repeated string explicit_hash_key_table = 2;
      repeated Record records                 = 3;
    }
    message Record {
      required uint64 partition_key_index     = 1;  // its place in the table, from 0
      optional uint64 explicit_hash_key_index = 2;
      required bytes  data                    = 3;
      repeated Tag    tags                    = 4;
    }
    message Tag {
      required string key   = 1;
      optional string value = 2;
    }

An aggregate is taken apart whole or not at all. Its message is read as Protocol Buffers prescribe: fields come in any
order, the last one counts of a field that is not repeated, and unknown fields are passed over; groups, which that
language gave up, are not read. No byte of it is looked at more than twice, and each user record takes at least six.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

MAGIC: Final = b"\xf3\x89\x9a\xc2"
"""No JSON begins like this, because no UTF-8 does."""

_DIGEST_BYTES = 16
_VARINT, _BYTES = 0, 2  # kinds of fields
_FIXED_BYTES = {1: 8, 5: 4}
_TAG_MAX, _VARINT_MAX = 2**32 - 1, 2**64 - 1
_FIRST_TAG = 1 << 3
_MALFORMED = "its content is not what Protocol Buffers write"


class NotAnAggregate(Exception):
    """What is wrong with a record that begins as an aggregate."""


class TooManyRecords(Exception):
    """An aggregate has more user records than the caller takes."""


def user_records(record: bytes, most: int) -> list[bytes]:
    """The data of the user records in a record that begins with MAGIC, in order; there is at least one.

    Raises NotAnAggregate, and TooManyRecords if there are more than `most`, before they take memory.
    """
    start, end = len(MAGIC), len(record) - _DIGEST_BYTES
    if end < start:
        raise NotAnAggregate("it ends before its MD5 digest")
    if hashlib.md5(memoryview(record)[start:end], usedforsecurity=False).digest() != record[end:]:
        raise NotAnAggregate("its MD5 digest is not that of its content")
    found: list[bytes] = []
    keys = hash_keys = 0
    last_key = last_hash_key = -1
    for tag, at, stop in _fields(record, start, end):
        if tag == (3 << 3 | _BYTES):
            if len(found) == most:
                raise TooManyRecords
            key, hash_key, data = _user_record(record, at, stop)
            found.append(data)
            last_key, last_hash_key = max(last_key, key), max(last_hash_key, hash_key)
        elif tag == (1 << 3 | _BYTES):
            keys += 1
        elif tag == (2 << 3 | _BYTES):
            hash_keys += 1
    if not found:
        raise NotAnAggregate("it has no user records")
    if last_key >= keys or last_hash_key >= hash_keys:
        raise NotAnAggregate("a user record in it has a key that is not in its tables")
    return found


def _user_record(record: bytes, start: int, end: int) -> tuple[int, int, bytes]:
    """The places of its partition key and of its explicit hash key (-1: it has none), and its data."""
    key = hash_key = -1
    data = None
    for tag, at, stop in _fields(record, start, end):
        if tag == (1 << 3 | _VARINT):
            key = at
        elif tag == (2 << 3 | _VARINT):
            hash_key = at
        elif tag == (3 << 3 | _BYTES):
            data = record[at:stop]
        elif tag == (4 << 3 | _BYTES):
            _check_tag(record, at, stop)
    if key < 0 or data is None:
        raise NotAnAggregate("a user record in it has no partition key or no data")
    return key, hash_key, data


def _check_tag(record: bytes, start: int, end: int) -> None:
    if (1 << 3 | _BYTES) not in [tag for tag, _, _ in _fields(record, start, end)]:
        raise NotAnAggregate("a tag in it has no key")


def _fields(record: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message: the tag of each, and where its bytes begin and end; of a number its value, and its
    end."""
    while at < end:
        tag, at = (record[at], at + 1) if record[at] < 0x80 else _varint(record, at, end)
        kind = tag & 7
        if not _FIRST_TAG <= tag <= _TAG_MAX:
            raise NotAnAggregate(_MALFORMED)
        if kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
        elif kind in (_BYTES, _VARINT) and at < end:
            size, at = (record[at], at + 1) if record[at] < 0x80 else _varint(record, at, end)
        else:
            raise NotAnAggregate(_MALFORMED)
        if kind == _VARINT:
            yield tag, size, at
        elif size <= end - at:
            yield tag, at, at + size
            at += size
        else:
            raise NotAnAggregate(_MALFORMED)


def _varint(record: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, seven bits in each byte with the lowest first, and where it ends."""
    value = shift = 0
    while at < end:
        byte = record[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > _VARINT_MAX:
                break
            return value, at
        shift += 7
        if shift > 63:
            break
    raise NotAnAggregate(_MALFORMED)
