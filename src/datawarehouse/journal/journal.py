"""The journal of one stream: append with group commit, read, trim, and opening after a crash.

Appending
  1. `enqueue` puts an entry in the queue. Its records have no numbers yet.
  2. `flush` takes all queued entries, gives each its record numbers and arrival time in order, writes their blocks
     together, syncs once, and only then resolves the tickets. Entries that are queued during a flush are all written by
     the next one; this is the group commit.
  3. When writing or syncing fails, the file is cut back to its synced end, and a new segment is begun before the next
     write, because after a failed sync the contents of the page cache are unknown. The tickets of the group fail, and
     their record numbers are given to the next entries.

Opening first examines the folder (see `opening.py`), and only then changes it.

Positions are byte offsets in the stream as if all its segments were one file; a segment is named by the
position of its first byte.
"""

from __future__ import annotations

import logging
import threading
from array import array
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from datawarehouse.clock import Clock
from datawarehouse.durable import AppendFile, Disk, create, make_folder, remove
from datawarehouse.errors import Closed, DataWarehouseError
from datawarehouse.journal.block import (
    HEADER_BYTES,
    RECORDS,
    START,
    Entry,
    IdempotencyKeys,
    decode_header,
    encode,
    encode_entry,
    mark_of,
)
from datawarehouse.journal.opening import (
    SEGMENT_SUFFIX,
    Appended,
    Examined,
    Segment,
    Start,
    State,
    examine,
    spans_between,
)
from datawarehouse.journal.read import Span

SEGMENT_BYTES = 32 * 1024 * 1024
CUT_SUFFIX = ".cut"
_RECENT_GROUPS = 200

log = logging.getLogger("datawarehouse.journal")


class Ticket:
    """The answer to an append that has not finished; `result` is set before `done` is called.

    `done` runs in the thread that flushes, after the bytes are durable or the append has failed.
    """

    __slots__ = ("done", "entry", "error", "result")

    def __init__(self, entry: Entry, done: Callable[[], None] | None) -> None:
        self.entry = entry
        self.done = done
        self.result: Appended | None = None
        self.error: BaseException | None = None

    def outcome(self) -> Appended:
        if self.result is None:
            raise self.error or DataWarehouseError("The append was not flushed yet.")
        return self.result


class Journal:
    """The journal of one stream, in its own folder. All methods can be called from any thread."""

    def __init__(
        self,
        root: Path,
        stream: str,
        clock: Clock,
        disk: Disk,
        start: Start | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        key_window_ms: int = 24 * 3_600_000,
        examined: Examined | None = None,
    ) -> None:
        """Open the journal of `stream` below the folder `root`, or begin a new one at `start`.

        start: up to where the catalog has converted it; None if that is not known. examined: what is in its folder, if
        the caller has looked.
        Raises JournalDamaged if bytes that were acknowledged cannot be read back.
        """
        self.stream = stream
        self.folder = root / stream
        self._clock = clock
        self.disk = self._disk = disk
        self._segment_bytes = segment_bytes
        self._key_window_ms = key_window_ms
        self._queue: list[Ticket] = []
        self._queue_lock = threading.Lock()
        self._flush_lock = threading.Lock()
        self._must_roll = False
        self._closed = False
        # The durable end: its position and the next record, as one value, so that readers need no lock.
        self._end = (0, 0)
        self.recent: deque[int] = deque(maxlen=_RECENT_GROUPS)
        """Where the last groups begin that were written since the journal was opened."""
        self._file: AppendFile
        self._segments: list[Segment] = []
        found = examined or examine(disk, self.folder, start)
        make_folder(disk, root, self.folder)
        self._trimmed: list[Path] = []  # no longer read, and not removed yet
        self._open(found, start or Start())

    # -- appending

    def enqueue(self, entry: Entry, done: Callable[[], None] | None = None) -> Ticket:
        """Queue an entry for the next flush."""
        ticket = Ticket(entry, done)
        with self._queue_lock:
            self._queue.append(ticket)
        return ticket

    @property
    def has_queued(self) -> bool:
        """Whether entries wait for a flush."""
        return bool(self._queue)

    def append(self, entry: Entry) -> Appended:
        """Append one entry and return when it is durable. Raises OSError if the disk refuses."""
        ticket = self.enqueue(entry)
        self.flush()
        return ticket.outcome()

    def flush(self) -> None:
        """Make everything queued durable, and resolve the tickets. Returns at once if nothing is queued."""
        with self._flush_lock:
            with self._queue_lock:
                group, self._queue = self._queue, []
            if not group:
                return
            try:
                self._append_group(group)
            except BaseException as error:
                for ticket in group:
                    ticket.error = error
        for ticket in group:
            done, ticket.done = ticket.done, None  # it may refer to the ticket, which then only a collector would free
            if done:
                done()

    def _append_group(self, group: list[Ticket]) -> None:
        if self._closed:
            raise Closed("The records were not taken: the warehouse is closed. Send them again once it runs.")
        state = self._state
        if self._must_roll or self._file.written >= self._segment_bytes:
            self._roll()
        record, arrival = state.next_record, max(state.last_arrival_ms, self._clock.now_ms())
        buffers: list[bytes] = []
        results: list[Appended] = []
        for ticket in group:
            results.append(Appended(record, arrival, ticket.entry.count))
            buffers += encode_entry(ticket.entry, record, arrival, self.synced)
            record += ticket.entry.count
        synced = self._file.synced
        try:
            self._file.append(buffers)
            self._file.sync()
        except BaseException:
            self._must_roll = True
            self._file.cut_back(synced)
            raise
        state.next_record, state.last_arrival_ms = record, arrival
        self.recent.append(self._segments[-1].start + synced)
        self._end = (self._segments[-1].start + self._file.synced, record)
        for ticket, result in zip(group, results, strict=True):
            if ticket.entry.keys:
                state.remember(ticket.entry.keys, result)
            ticket.result = result

    def _roll(self) -> None:
        """Begin a new segment at the synced end of the last one."""
        self._forget_old_keys()
        self._add_segment(self.synced)
        self._must_roll = False

    def _add_segment(self, position: int) -> None:
        path = self.folder / f"{position:020d}{SEGMENT_SUFFIX}"
        segment = Segment(position, path, self._state.next_record)
        if self._disk.exists(segment.path):  # left by a roll that failed before its end
            remove(self._disk, [segment.path])
        create(self._disk, segment.path, self._start_block(position))
        file = AppendFile(self._disk, segment.path)
        if self._segments:
            with suppress(OSError):  # it is synced; and the stream goes on in the new one, whatever becomes of it
                self._file.close()
        self._file = file
        self._segments = [*self._segments, segment]
        self._end = (position + self._file.synced, self._state.next_record)

    def _start_block(self, position: int) -> list[bytes]:
        state = self._state
        mark = mark_of(self.stream)
        return encode(START, 0, [state.packed()], 0, state.next_record, state.last_arrival_ms, position, mark)

    # -- idempotency

    def seen(self, keys: IdempotencyKeys) -> tuple[bool, Appended] | None:
        """If a request with this key was appended within the window: (whether its content is the same, its place)."""
        found = self._state.keys.get(keys.key)
        if found is None or found[1].arrival_ms < self._clock.now_ms() - self._key_window_ms:
            return None
        return found[0] == keys.content, found[1]

    def _forget_old_keys(self) -> None:
        oldest = self._clock.now_ms() - self._key_window_ms
        keys = self._state.keys
        while keys and next(iter(keys.values()))[1].arrival_ms < oldest:
            keys.popitem(last=False)

    # -- reading and trimming

    @property
    def synced(self) -> int:
        """The position up to which the stream is durable."""
        return self._end[0]

    @property
    def next_record(self) -> int:
        """The number that the next record will get."""
        return self._end[1]

    @property
    def first_record(self) -> int:
        """The number of the first record that is not trimmed."""
        return max(0, self._segments[0].first_record)

    @property
    def last_arrival_ms(self) -> int:
        return self._state.last_arrival_ms

    @property
    def created_ms(self) -> int:
        """When the stream was created."""
        return self._state.created_ms

    def spans(self, after: int, bytes_max: int) -> list[Span]:
        """The parts of files that hold the stream from `after` on, of at least `bytes_max` bytes if there are so many.

        A reader in another process needs nothing but these spans; see `read.read_spans`.
        """
        # The end is read first: the list of segments then covers at least everything up to it.
        end, next_record = self._end
        return spans_between(self._segments, after, end, next_record, bytes_max)

    def arrival_after(self, position: int) -> int | None:
        """When the first record at or after a position arrived that is not trimmed; None if there is none."""
        while True:
            looked = self._segments
            try:
                return self._arrival_after(position)
            except FileNotFoundError:
                if self._segments is looked:  # it was not `trim` that removed the file
                    raise

    def _arrival_after(self, position: int) -> int | None:
        for span in self.spans(position, self.synced - position):
            at = span.start
            while span.path and at < span.end:
                header = decode_header(self._disk.read(Path(span.path), at - span.origin, HEADER_BYTES), 0)
                if header is None or header.kind == RECORDS:
                    return header.arrival_ms if header else None
                at += HEADER_BYTES + header.body_bytes
        return None

    def trim(self, position: int) -> None:
        """Remove the segments that end at or before `position`; the last segment always stays. One call at a time."""
        with self._flush_lock:
            keep = 0
            while keep + 1 < len(self._segments) and self._segments[keep + 1].start <= position:
                keep += 1
            self._trimmed += [segment.path for segment in self._segments[:keep]]
            self._segments = self._segments[keep:]
        while self._trimmed:  # the oldest first: after one that stays, none may go, or there would be a gap
            remove(self._disk, self._trimmed[:1])
            self._trimmed.pop(0)

    def close_before(self, instant_ms: int) -> int:
        """Give no later record an arrival time before an instant; returns the number of the next record.

        This holds until the journal is closed; a caller that needs it for longer calls again after opening.
        """
        with self._flush_lock:
            self._state.last_arrival_ms = max(self._state.last_arrival_ms, instant_ms)
            return self._state.next_record

    def set_back(self, instant_ms: int) -> None:
        """Let records arrive from an instant on, although the last one arrived later. This survives a restart."""
        with self._flush_lock:
            self._state.last_arrival_ms = min(self._state.last_arrival_ms, instant_ms)
            self._must_roll = True  # a segment's first block is what keeps it
            self._roll()

    def close(self) -> None:
        with self._flush_lock:
            self._closed = True
            self._file.close()

    # -- opening

    def _open(self, found: Examined, start: Start) -> None:
        """Take over what was found in the folder, and remove what a crash had left."""
        if found.left:
            size = sum(self._disk.size(path) for path in found.left)
            if not found.problems:  # else a repair has kept them
                log.warning("stream %s: removed %d bytes, which no answer had promised", self.stream, size)
            remove(self._disk, found.left)
        self._segments = list(found.segments)
        if found.state is None:
            self._state = State(start.record, start.arrival_ms, self._clock.now_ms())
            self._add_segment(start.position)
            return
        self._state = found.state
        self._state.next_record = max(self._state.next_record, start.record)
        last = self._segments[-1]
        self._file = AppendFile(self._disk, last.path)
        if found.end < found.size:
            self._keep_whole_block(last.path, found.end)
            log.warning(
                "stream %s: cut off the last %d bytes, which no answer had promised",
                self.stream, found.size - found.end,
            )  # fmt: skip
            self._file.cut_back(found.end)
        self._end = (last.start + self._file.synced, self._state.next_record)
        if self.synced < start.position:
            self._continue_at(start)
        elif found.problems:  # so that the next opening reads a segment without damage
            self._roll()

    def _keep_whole_block(self, path: Path, at: int) -> None:
        """Before the end of a file is cut off: if it begins with a block in its full length, which a process that died
        does not leave, keep it, because it may have been acknowledged."""
        data = self._disk.read(path, at)
        header = decode_header(data, 0)
        if header is None or header.kind != RECORDS or len(data) < HEADER_BYTES + header.body_bytes:
            return
        kept = path.with_name(f"{path.name}.{at}{CUT_SUFFIX}")
        if not self._disk.exists(kept):
            create(self._disk, kept, [data])
        log.error(
            "stream %s: the last block, of %d records, is not what was written; its bytes are kept in %s",
            self.stream, header.count, kept,
        )  # fmt: skip

    def _continue_at(self, start: Start) -> None:
        """Continue at `start`, up to which the catalog has converted, because the journal ends before it."""
        gone = self._segments
        self._state.next_record = max(self._state.next_record, start.record)
        self._state.last_arrival_ms = max(self._state.last_arrival_ms, start.arrival_ms)
        self._add_segment(start.position)
        self._segments = self._segments[-1:]
        remove(self._disk, [segment.path for segment in gone])


def entry_of(records: list[bytes], shards: array[int] | None = None, keys: IdempotencyKeys | None = None) -> Entry:
    """The entry that holds these records."""
    return Entry(b"".join(records), array("I", map(len, records)), shards, keys)
