"""Finding out what the folder of a stream holds, before anything in it is changed.

  1. The segments in order must follow each other without a gap, the first must not begin after the position that the
     catalog has converted, and the last must not end before it. A block must begin at that position, with the number of
     the next record, or the file is of another stream. A last segment without a complete first block was left by a
     crash while it was created; the end of the stream is then in the segment before it.
  2. Only the last segment is read: its first block restores the counters and the remembered idempotency keys, and the
     following blocks bring them up to date. A block that is there twice counts once.
  3. At the first block that is not complete, the stream ends, because the bytes from there on were never acknowledged.
     But if a later block says that this position had been synced, acknowledged bytes are damaged.

What is damaged or missing raises JournalDamaged. A repair examines leniently instead: what cannot be read is passed
over, and `problems` says what it was. Conversion later counts each lost record whose number is known as a reject.
"""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from datawarehouse.durable import Disk
from datawarehouse.errors import JournalDamaged
from datawarehouse.journal.block import (
    HEADER_BYTES,
    MAGIC,
    RECORDS,
    START,
    Header,
    IdempotencyKeys,
    body_is_whole,
    decode_header,
    decode_keys,
    keys_of,
    mark_of,
)
from datawarehouse.journal.read import Span

SEGMENT_SUFFIX = ".journal"
KEYS_REMEMBERED_MAX = 20_000
HOW_MANY = "nothing says how many"

_SEGMENT_NAME = re.compile(rf"\d{{20}}{re.escape(SEGMENT_SUFFIX)}")
_STATE = struct.Struct("<QQQI")  # next record, last arrival, stream created, remembered keys
_REMEMBERED = struct.Struct("<32sQQI")  # digests, arrival, first record, count


@dataclass(frozen=True, slots=True)
class Appended:
    """The place of an appended entry: its records are numbered from `first_record` on."""

    first_record: int
    arrival_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class Start:
    """Up to where the catalog has converted a stream; a stream without segments begins there."""

    position: int = 0
    record: int = 0
    arrival_ms: int = 0


@dataclass(slots=True)
class Segment:
    """first_record: the number of its first record; -1 if its first block cannot be read."""

    start: int
    path: Path
    first_record: int


@dataclass(slots=True)
class State:
    """The state that a segment's first block restores and the blocks after it bring up to date."""

    next_record: int
    last_arrival_ms: int
    created_ms: int
    keys: OrderedDict[bytes, tuple[bytes, Appended]] = field(default_factory=OrderedDict)

    def remember(self, keys: IdempotencyKeys, result: Appended) -> None:
        self.keys[keys.key] = (keys.content, result)
        self.keys.move_to_end(keys.key)
        if len(self.keys) > KEYS_REMEMBERED_MAX:
            self.keys.popitem(last=False)

    def packed(self) -> bytes:
        """The body of a segment's first block."""
        parts = [_STATE.pack(self.next_record, self.last_arrival_ms, self.created_ms, len(self.keys))]
        for key, (content, result) in self.keys.items():
            parts.append(_REMEMBERED.pack(key + content, result.arrival_ms, result.first_record, result.count))
        return b"".join(parts)


@dataclass(slots=True)
class Examined:
    """What is in the folder of a stream.

    segments: those that hold it; left: files of segments whose creation a crash had interrupted. state: at its end;
    None if there is no segment. end: where in the last segment's file the stream ends; size: of that file. problems:
    what a lenient look passed over.
    """

    segments: list[Segment]
    left: list[Path] = field(default_factory=list)
    state: State | None = None
    end: int = 0
    size: int = 0
    problems: list[str] = field(default_factory=list)


def examine(disk: Disk, folder: Path, start: Start | None, *, lenient: bool = False) -> Examined:
    """What a stream's folder holds; it is not changed. start: up to where it is converted, if that is known.

    Raises JournalDamaged, unless lenient.
    """
    return _Look(disk, folder, start, lenient).run()


def spans_between(
    segments: Sequence[Segment], after: int, end: int, next_record: int, bytes_max: int | None = None
) -> list[Span]:
    """The parts of files that hold a stream from `after` to `end`, of at least `bytes_max` bytes if there are so many.

    next_record: the number of the first record after `end`.
    """
    spans: list[Span] = []
    if after < segments[0].start:  # lost, and a repair has said so
        spans.append(Span("", after, after, segments[0].start, segments[0].first_record))
    for index, segment in enumerate(segments):
        segment_end, behind = end, next_record
        if index + 1 < len(segments) and segments[index + 1].start <= end:
            segment_end, behind = segments[index + 1].start, segments[index + 1].first_record
        start = max(after, segment.start)
        if start < segment_end:
            spans.append(Span(str(segment.path), segment.start, start, segment_end, behind))
            if bytes_max is not None:
                bytes_max -= segment_end - start
                if bytes_max <= 0:
                    break
    return spans


class _Look:
    def __init__(
        self, disk: Disk, folder: Path, start: Start | None, lenient: bool, foreign: Sequence[Path] = ()
    ) -> None:
        """foreign: files that are left out, because they are of another stream."""
        self.disk = disk
        self.folder = folder
        self.foreign = foreign
        self.stream = folder.name
        self.start = start
        self.lenient = lenient
        names = sorted(filter(_SEGMENT_NAME.fullmatch, disk.names(folder))) if disk.exists(folder) else []
        self.marked: list[Path] = []
        paths = [folder / name for name in names]
        self.found = Examined([self._segment(path) for path in paths if path not in foreign], [*foreign])

    def run(self) -> Examined:
        found = self.found
        if self.marked:
            names = ", ".join(map(str, self.marked))
            self._refuse(f"of its files, these are of another stream: {names}{self._unknown(self.marked)}")
            return self._without(self.marked)
        while found.segments:
            last = found.segments[-1]
            data = self.disk.read(last.path)
            header = decode_header(data, 0)
            if header and header.kind == START and body_is_whole(header, data, 0):
                found.state = _restored(data)
                self._replay(data, HEADER_BYTES + header.body_bytes, last)
                break
            if later_synced(data, 0) is not None:
                self._refuse(f"its first block, at byte 0 of {last.path}, is not what was acknowledged")
                found.state = State(max(0, last.first_record), 0, 0)
                self._replay(data, 0, last)
                break
            found.left.append(last.path)
            found.segments.pop()
        self._check_left()
        if self.start and (foreign := self._of_another(self.start)):
            self._refuse(
                f"record {self.start.record} does not begin at byte {self.start.position - foreign.start} of "
                f"{foreign.path}, where it was: the file is of another stream, or was written anew"
                f"{self._unknown([foreign.path])}"
            )
            return self._without([foreign.path])
        self._compare()
        return found

    def _check_left(self) -> None:
        """Files of segments whose creation was interrupted hold no more than a first block."""
        state = self.found.state or State(0, 0, 0)
        for path in self.found.left:
            if path not in self.foreign and self.disk.size(path) > HEADER_BYTES + len(state.packed()):
                self._refuse(f"{path} is not what was written; what was in it is lost, and {HOW_MANY} records that was")

    def _unknown(self, foreign: Sequence[Path]) -> str:
        """What is not known of the records that were in the place of these files."""
        is_last = self.found.segments[-1].path in foreign
        return f"; what was in the last file is lost, and {HOW_MANY}" if is_last else ""

    def _without(self, foreign: Sequence[Path]) -> Examined:
        """What the folder holds without files of another stream."""
        look = _Look(self.disk, self.folder, self.start, self.lenient, [*self.foreign, *foreign])
        look.found.problems += self.found.problems
        return look.run()

    def _of_another(self, start: Start) -> Segment | None:
        """The segment in which the converted position lies, if its blocks are whole and none of them is the one that
        was there."""
        segments = self.found.segments
        ends = [*(segment.start for segment in segments[1:]), segments[-1].start + self.found.end] if segments else []
        for segment, end in zip(segments, ends, strict=True):
            if not segment.start < start.position < end:
                continue
            data = self.disk.read(segment.path)
            at, wanted = 0, start.position - segment.start
            while at < wanted and (header := decode_header(data, at)) and body_is_whole(header, data, at):
                at += HEADER_BYTES + header.body_bytes
            header = decode_header(data, at)
            return segment if at > wanted or (at == wanted and header and header.first_record > start.record) else None
        return None

    def _segment(self, path: Path) -> Segment:
        header = decode_header(self.disk.read(path, 0, HEADER_BYTES), 0)
        if header and header.mark not in (0, mark_of(self.stream)):
            self.marked.append(path)
        return Segment(int(path.name.removesuffix(SEGMENT_SUFFIX)), path, header.first_record if header else -1)

    def _compare(self) -> None:
        """The segments with each other and with what the catalog has converted."""
        segments, start = self.found.segments, self.start
        for before, after in pairwise(segments):
            # A segment may be longer than its part of the stream, if the rest of a failed write could not be cut off.
            size = self.disk.size(before.path)
            if before.start + size < after.start:
                self._refuse(f"it lacks {after.start - before.start - size} bytes before {after.path}")
        if start is None:
            return
        if segments and segments[0].start > start.position:
            first = segments[0].first_record
            lost = f"records {start.record} to {first - 1} are" if first > start.record else "what came before is"
            self._refuse(f"its first file is {segments[0].path}; {lost} neither in it nor converted")
        end = segments[-1].start + self.found.end if segments else 0
        if end < start.position:
            self._refuse(
                f"it ends at position {end} of the stream, and {start.position} was converted; events that were not "
                f"converted yet may be lost, and {HOW_MANY}"
            )
        elif self.found.state and self.found.state.next_record < start.record:
            self._refuse(
                f"it ends before record {self.found.state.next_record}, and record {start.record - 1} was converted; "
                f"events that were not converted yet may be lost, and {HOW_MANY}"
            )

    def _replay(self, data: bytes, at: int, segment: Segment) -> None:
        """Bring the state up to date with the blocks from `at` on, to the last complete one."""
        state = self.found.state
        assert state
        while at < len(data):
            header = decode_header(data, at)
            if header is None or header.kind != RECORDS or not body_is_whole(header, data, at):
                synced = later_synced(data, at)
                if synced is None or synced <= segment.start + at:
                    break
                if at:
                    self._refuse(f"a block of records, at byte {at} of {segment.path}, is not what was acknowledged")
                at = next_block(data, at)
                continue
            self._count(header, data, at)
            at += HEADER_BYTES + header.body_bytes
        self.found.end, self.found.size = at, len(data)

    def _count(self, header: Header, data: bytes, at: int) -> None:
        state = self.found.state
        assert state
        if header.first_record < state.next_record:  # it is there a second time
            return
        state.next_record = header.first_record + header.count
        state.last_arrival_ms = max(state.last_arrival_ms, header.arrival_ms)
        if keys := keys_of(header, data, at):
            state.remember(keys, Appended(header.first_record, header.arrival_ms, header.count))

    def _refuse(self, what: str) -> None:
        if not self.lenient:
            raise JournalDamaged(
                f"The journal of stream {self.stream!r} is damaged: {what}. Nothing was changed. Restore the file from "
                f"a back-up, or let `dw doctor --repair --data {self.folder.parent.parent}` go on without what is lost;"
                " it says what that is, and counts it."
            )
        self.found.problems.append(f"The journal of stream {self.stream!r}: {what}.")


def _restored(data: bytes) -> State:
    record, arrival, created, remembered = _STATE.unpack_from(data, HEADER_BYTES)
    state = State(record, arrival, created)
    for index in range(remembered):
        at = HEADER_BYTES + _STATE.size + index * _REMEMBERED.size
        digests, key_arrival, first, count = _REMEMBERED.unpack_from(data, at)
        state.remember(decode_keys(digests, 0), Appended(first, key_arrival, count))
    return state


def next_block(data: bytes, after: int) -> int:
    """Where the next complete block after `after` begins; the end of the data if there is none."""
    at = data.find(MAGIC, after + 1)
    while at >= 0:
        header = decode_header(data, at)
        if header and body_is_whole(header, data, at):
            return at
        at = data.find(MAGIC, at + 1)
    return len(data)


def later_synced(data: bytes, after: int) -> int | None:
    """The highest synced position that a complete block after `after` states, or None if there is no such block."""
    found = None
    at = next_block(data, after)
    while at < len(data):
        header = decode_header(data, at)
        assert header
        found = max(found or 0, header.synced)
        at = next_block(data, at)
    return found
