"""The bytes of a journal segment: blocks, one after the other.

    block  = header (48 bytes) body
    header = magic, crc of the rest of the header, kind, flags, mark of the stream, body length, body crc, record count,
             number of the first record, arrival time (ms), position up to which the stream was synced
             when this block was written
    body   = [idempotency key and content digests, 16 bytes each] lengths (u32 each) [shards (u16 each)] payload

All numbers are little-endian, as every machine that this package supports. There are two checksums (CRC-32), so that
the header of a damaged body still tells how many records it held. The synced position distinguishes damage from a
crash: a block whose checksum is wrong, and which is before the synced position of a later block, had been acknowledged.

The first block of a segment has the kind START. Its body is the state that opening needs (see `journal._State`), so
that opening a stream reads only its last segment; its mark tells segments of this stream from those of others. The mark
is 0 in other blocks, and in those of releases before format 3.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

MAGIC = b"DWJ\x01"
RECORDS, START = 1, 2
_KEYED, _SHARDED = 1, 2

_HEADER = struct.Struct("<4sIBBHIIIQQQ")
_CHECKED_FROM = 8  # the header's own checksum covers what follows it
HEADER_BYTES = _HEADER.size
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class IdempotencyKeys:
    """The digests (16 bytes each) of an idempotency key and of the request that had it."""

    key: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """Records that arrived together, to be appended as one block."""

    payload: bytes
    lengths: array[int]
    shards: array[int] | None = None
    keys: IdempotencyKeys | None = None

    @property
    def count(self) -> int:
        return len(self.lengths)

    @property
    def size(self) -> int:
        """Bytes the entry takes in the journal."""
        return (
            HEADER_BYTES
            + (2 * _DIGEST_BYTES if self.keys else 0)
            + 4 * len(self.lengths)
            + (2 * len(self.lengths) if self.shards is not None else 0)
            + len(self.payload)
        )


@dataclass(frozen=True, slots=True)
class Header:
    kind: int
    flags: int
    body_bytes: int
    body_crc: int
    count: int
    first_record: int
    arrival_ms: int
    synced: int
    mark: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A block that was read from the journal. `start` and `end` are positions in the stream."""

    start: int
    end: int
    first_record: int
    arrival_ms: int
    payload: bytes
    lengths: array[int]
    shards: array[int] | None
    keys: IdempotencyKeys | None

    @property
    def count(self) -> int:
        return len(self.lengths)

    def records(self) -> Iterator[bytes]:
        at = 0
        payload = self.payload
        for length in self.lengths:
            yield payload[at : at + length]
            at += length

    def shard_of(self, index: int) -> int:
        return self.shards[index] if self.shards is not None else 0


def encode_entry(entry: Entry, first_record: int, arrival_ms: int, synced: int) -> list[bytes]:
    """The buffers of a block of records."""
    parts: list[bytes] = []
    flags = 0
    if entry.keys:
        flags |= _KEYED
        parts.append(entry.keys.key + entry.keys.content)
    parts.append(entry.lengths.tobytes())
    if entry.shards is not None:
        flags |= _SHARDED
        parts.append(entry.shards.tobytes())
    parts.append(entry.payload)
    return encode(RECORDS, flags, parts, entry.count, first_record, arrival_ms, synced)


def encode(
    kind: int,
    flags: int,
    body: list[bytes],
    count: int,
    first_record: int,
    arrival_ms: int,
    synced: int,
    mark: int = 0,
) -> list[bytes]:
    size, crc = 0, 0
    for part in body:
        size += len(part)
        crc = crc32(part, crc)
    header = _HEADER.pack(MAGIC, 0, kind, flags, mark, size, crc, count, first_record, arrival_ms, synced)
    check = crc32(header[_CHECKED_FROM:])
    return [header[:4] + check.to_bytes(4, "little") + header[_CHECKED_FROM:], *body]


def mark_of(stream: str) -> int:
    """The mark of a stream's segments, 1 to 65535."""
    return crc32(stream.encode()) % 0xFFFF + 1


def decode_header(data: bytes, at: int) -> Header | None:
    """The header at `at`, or None if no whole and undamaged header is there."""
    if len(data) - at < HEADER_BYTES:
        return None
    magic, check, kind, flags, mark, size, crc, count, first, arrival, synced = _HEADER.unpack_from(data, at)
    if magic != MAGIC or crc32(memoryview(data)[at + _CHECKED_FROM : at + HEADER_BYTES]) != check:
        return None
    return Header(kind, flags, size, crc, count, first, arrival, synced, mark)


def body_is_whole(header: Header, data: bytes, at: int) -> bool:
    """Whether the body of the block at `at` is complete and undamaged."""
    start = at + HEADER_BYTES
    if len(data) - start < header.body_bytes:
        return False
    return crc32(memoryview(data)[start : start + header.body_bytes]) == header.body_crc


def decode_block(header: Header, data: bytes, at: int, position: int) -> Block:
    """The records of a whole block at `at` of `data`, which is at `position` in the stream."""
    offset = at + HEADER_BYTES
    end = offset + header.body_bytes
    keys = None
    if header.flags & _KEYED:
        keys = decode_keys(data, offset)
        offset += 2 * _DIGEST_BYTES
    lengths = array("I", data[offset : offset + 4 * header.count])
    offset += 4 * header.count
    shards = None
    if header.flags & _SHARDED:
        shards = array("H", data[offset : offset + 2 * header.count])
        offset += 2 * header.count
    return Block(
        start=position,
        end=position + HEADER_BYTES + header.body_bytes,
        first_record=header.first_record,
        arrival_ms=header.arrival_ms,
        payload=data[offset:end],
        lengths=lengths,
        shards=shards,
        keys=keys,
    )


def places_in(header: Header) -> tuple[int, int]:
    """Where in a block the lengths of its records are, and where the records."""
    lengths = HEADER_BYTES + (2 * _DIGEST_BYTES if header.flags & _KEYED else 0)
    return lengths, lengths + 4 * header.count + (2 * header.count if header.flags & _SHARDED else 0)


def keys_of(header: Header, data: bytes, at: int) -> IdempotencyKeys | None:
    """The idempotency digests of the block at `at`, without reading its records."""
    return decode_keys(data, at + HEADER_BYTES) if header.flags & _KEYED else None


def decode_keys(data: bytes, at: int) -> IdempotencyKeys:
    return IdempotencyKeys(data[at : at + _DIGEST_BYTES], data[at + _DIGEST_BYTES : at + 2 * _DIGEST_BYTES])
