"""Reading a stream's records from its files, in a process that has not opened the journal.

1. A `Span` names the part of one file to read; `Journal.spans` gives those that hold a part of the stream.
2. `read_spans` reads each span in pieces of 8 MiB. A block that does not end within its piece is read again, with the
   next piece, also if its header does not.
3. A part whose checksums are wrong, or that is missing, is reported as `Damage`, up to the next complete block, with
   the number of records that it held. Records whose numbers are missing between two blocks are reported in the same
   way. A block that is there a second time is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.durable import Disk
from datawarehouse.journal.block import HEADER_BYTES, MAGIC, Block, body_is_whole, decode_block, decode_header

READ_BYTES = 8 * 1024 * 1024
_LOST_RECORD_BYTES = 256  # what the reject of a lost record counts as
_LOST_RECORDS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a segment's file: positions `start` to `end` of the stream, in a file that begins at `origin`.

    path: empty for a part of the stream whose file is lost.
    next_record: the number of the first record after `end`; -1 if it is not known.
    """

    path: str
    origin: int
    start: int
    end: int
    next_record: int = -1


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged part of the stream: the bytes that are now in the place of `count` records."""

    start: int
    end: int
    first_record: int
    count: int
    found: bytes


def read_spans(
    spans: list[Span], disk: Disk, first_record: int, bytes_max: int, piece_bytes: int = READ_BYTES
) -> Iterator[Block | Damage]:
    """The blocks in `spans`, in order, until at least `bytes_max` bytes were read. A block may have no records.

    first_record: the number of the first record after the start of the spans; it tells how many records a
    damaged part held. piece_bytes: how much is read at once, at least the bytes of a header.
    """
    for span in spans:
        position = span.start
        while position < span.end and bytes_max > 0:
            chunk = min(piece_bytes, span.end - position)
            data = disk.read(Path(span.path), position - span.origin, chunk) if span.path else b""
            if not data:  # the file is lost, or ends too early
                for damage in _lost(position, span, first_record, bytes_max):
                    yield damage
                    position = damage.end
                    first_record += damage.count
                    bytes_max -= _LOST_RECORD_BYTES * damage.count
                continue
            header = decode_header(data, 0)
            if header and HEADER_BYTES + header.body_bytes > len(data):
                chunk = min(HEADER_BYTES + header.body_bytes, span.end - position)
                data = disk.read(Path(span.path), position - span.origin, chunk)
            at = 0
            while at < len(data) and bytes_max > 0:
                header = decode_header(data, at)
                if at and header and at + HEADER_BYTES + header.body_bytes > len(data):
                    break  # the block does not end in this piece
                if at and header is None and len(data) - at < HEADER_BYTES and position + len(data) < span.end:
                    break
                if header is None or not body_is_whole(header, data, at):
                    damage = _damage(span, disk, position + at, first_record)
                    yield damage
                    first_record += damage.count
                    at = damage.end - position
                    bytes_max -= damage.end - damage.start
                    continue
                start, end = position + at, position + at + HEADER_BYTES + header.body_bytes
                if header.first_record > first_record:
                    yield Damage(start, start, first_record, header.first_record - first_record, b"")
                if header.first_record < first_record:
                    yield Damage(start, end, first_record, 0, b"")
                else:
                    yield decode_block(header, data, at, start)
                    first_record = header.first_record + header.count
                at += HEADER_BYTES + header.body_bytes
                bytes_max -= HEADER_BYTES + header.body_bytes
            position += at


def _lost(position: int, span: Span, first_record: int, bytes_max: int) -> Iterator[Damage]:
    """What is lost from `position` to the end of a span, in pieces that end when `bytes_max` is reached.

    A lost record has no place of its own in the stream. Each piece ends one byte later for each of its records, which
    is before the end of the span, since a record takes more than one byte.
    """
    left = max(0, span.next_record - first_record)
    while left > _LOST_RECORDS_MAX and bytes_max > 0:
        yield Damage(position, position + _LOST_RECORDS_MAX, first_record, _LOST_RECORDS_MAX, b"")
        position += _LOST_RECORDS_MAX
        first_record += _LOST_RECORDS_MAX
        left -= _LOST_RECORDS_MAX
        bytes_max -= _LOST_RECORDS_MAX * _LOST_RECORD_BYTES
    if bytes_max > 0:
        yield Damage(position, span.end, first_record, left, b"")


def _damage(span: Span, disk: Disk, position: int, first_record: int) -> Damage:
    """The damaged part from `position` to the next complete block of `span`, or to the end of `span`."""
    data = disk.read(Path(span.path), position - span.origin, span.end - position)
    at = data.find(MAGIC, 1)
    while at >= 0:
        header = decode_header(data, at)
        if header and body_is_whole(header, data, at):
            return Damage(position, position + at, first_record, header.first_record - first_record, data[:at])
        at = data.find(MAGIC, at + 1)
    damaged = decode_header(data, 0)
    count = span.next_record - first_record if span.next_record >= 0 else damaged.count if damaged else 0
    return Damage(position, span.end, first_record, max(0, count), data)
