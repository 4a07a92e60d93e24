"""Where a record is in the journal of a stream, when the catalog cannot say it. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datawarehouse.durable import Disk
from datawarehouse.journal.block import HEADER_BYTES, RECORDS, body_is_whole, decode_header
from datawarehouse.journal.opening import Examined, Segment, examine, next_block


@dataclass(frozen=True, slots=True)
class Place:
    """Where conversion goes on.

    position: of the first record with at least the number that was asked for; if the journal ends before that number,
    the position after its end, at which an opening lets it go on. first_record: of the journal; None if it has none.
    arrival_ms: when the record before arrived; 0 if the journal does not say it.
    """

    position: int
    first_record: int | None
    arrival_ms: int


def place_of(disk: Disk, folder: Path, record: int) -> Place:
    """Where the record with a number is in a stream's journal."""
    found = examine(disk, folder, None, lenient=True)
    if found.state is None:
        return Place(0, None, 0)
    first = max(0, found.segments[0].first_record)
    end = found.segments[-1].start + found.end
    if record > found.state.next_record:
        return Place(end + 1, first, found.state.last_arrival_ms)
    segments = _from(found, record)
    position, arrival = segments[0].start, 0
    for segment in segments:
        data = disk.read(segment.path)
        at = 0
        while at < len(data):
            header = decode_header(data, at)
            if header is None or not body_is_whole(header, data, at):
                at = next_block(data, at)
                continue
            at += HEADER_BYTES + header.body_bytes
            if header.kind != RECORDS:  # it has the arrival of the record before
                arrival = max(arrival, header.arrival_ms)
                continue
            if header.first_record >= record:
                return Place(position, first, arrival)
            position, arrival = segment.start + at, max(arrival, header.arrival_ms)
    return Place(min(position, end), first, arrival)


def _from(found: Examined, record: int) -> list[Segment]:
    """The segments from the last one that begins at or before a record."""
    begin = max((n for n, segment in enumerate(found.segments) if 0 <= segment.first_record <= record), default=0)
    return found.segments[begin:]
