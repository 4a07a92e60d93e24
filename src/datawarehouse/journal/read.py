"""Reading a stream's records from its files, in a process that has not opened the journal.

1. A `Span` names the part of one file to read; `Journal.spans` gives those that hold a part of the stream.
2. `read_spans` reads each span in pieces of 8 MiB. A block that does not end within its piece is read again, with the
   next piece, also if its header does not.
3. A part whose checksums are wrong is reported as `Damage`, up to the next complete block, with the number of records
   that it held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.durable import Disk
from datawarehouse.journal.block import HEADER_BYTES, MAGIC, Block, body_is_whole, decode_block, decode_header

READ_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a segment's file: positions `start` to `end` of the stream, in a file that begins at `origin`.

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
            data = disk.read(Path(span.path), position - span.origin, chunk)
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
                yield decode_block(header, data, at, position + at)
                first_record = header.first_record + header.count
                at += HEADER_BYTES + header.body_bytes
                bytes_max -= HEADER_BYTES + header.body_bytes
            position += at


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
