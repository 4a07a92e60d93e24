"""The newest records of a stream, read from the end of its journal: for people who look, not for conversion.

Only the ends of the last blocks are read, without their checksums.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.journal.block import HEADER_BYTES, RECORDS, Header, decode_header, places_in
from datawarehouse.journal.journal import Journal


@dataclass(frozen=True, slots=True)
class Newest:
    """A record. data: its first `bytes_max` bytes."""

    number: int
    arrival_ms: int
    data: bytes
    size: int


def newest(journal: Journal, after: int, most: int, bytes_max: int) -> list[Newest]:
    """The newest records from number `after` on, in order: at most `most`, of `bytes_max` bytes together, or one.

    Records of before the journal was opened are not found.
    """
    found: list[Newest] = []
    left = bytes_max
    with suppress(FileNotFoundError):  # it was converted and removed meanwhile
        for header, path, at in _blocks_from_the_end(journal):
            if header.first_record + header.count <= after:
                break
            for record in _records_from_the_end(journal, header, path, at, bytes_max):
                left -= len(record.data)
                if record.number < after or len(found) >= most or (found and left < 0):
                    return found[::-1]
                found.append(record)
    return found[::-1]


def _blocks_from_the_end(journal: Journal) -> Iterator[tuple[Header, Path, int]]:
    """The headers of blocks, with their files and places in them, the last one first."""
    end = journal.synced
    for start in reversed(list(journal.recent)):
        blocks = []
        for span in journal.spans(start, end - start):
            at = span.start
            while span.path and at < min(span.end, end):
                header = decode_header(journal.disk.read(Path(span.path), at - span.origin, HEADER_BYTES), 0)
                if header is None:
                    return
                if header.kind == RECORDS:
                    blocks.append((header, Path(span.path), at - span.origin))
                at += HEADER_BYTES + header.body_bytes
        yield from reversed(blocks)
        end = start


def _records_from_the_end(journal: Journal, header: Header, path: Path, at: int, bytes_max: int) -> Iterator[Newest]:
    lengths_at, payload_at = places_in(header)
    lengths = array("I", journal.disk.read(path, at + lengths_at, 4 * header.count))
    place = at + payload_at + sum(lengths)
    for index in range(header.count - 1, -1, -1):
        place -= lengths[index]
        data = journal.disk.read(path, place, min(lengths[index], bytes_max))
        yield Newest(header.first_record + index, header.arrival_ms, data, lengths[index])
