"""Accepting records: limits first, then the journal. What is acknowledged is durable.

1. A record that can never be taken (too large) is the caller's fault: BadRequest.
2. A record that cannot be taken now is refused before anything is written: Throttled, with the limit that was
   reached. The limits are each table's own, so that a stuck table does not throttle others; only free disk and
   the bytes waiting for a sync are shared.
3. An entry with an idempotency key that was seen within the window is not written again; its answer is the
   first one's. A second request with the key of one that is under way waits for that one.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from datawarehouse.clock import Clock
from datawarehouse.durable import lacks_space
from datawarehouse.errors import BadRequest, BodyTooLarge, Throttled, UnknownName, did_you_mean
from datawarehouse.intake.free_disk import FreeDisk
from datawarehouse.intake.refusals import Refusals
from datawarehouse.intake.shard_rate import ShardRate
from datawarehouse.journal.block import Entry, IdempotencyKeys
from datawarehouse.journal.journal import Journal, Ticket
from datawarehouse.journal.opening import Appended
from datawarehouse.journal.sequence import digests_of, hash_key, shard_of, shards_of

IDEMPOTENCY_KEY_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """See the settings of the same names."""

    record_bytes_max: int
    queue_bytes_max: int
    journal_bytes_max: int
    disk_free_bytes_min: int
    shard_rate_limited: bool
    request_events_max: int


class Stream:
    """The intake of one streaming input table."""

    def __init__(self, journal: Journal, shard_count: int, clock: Clock, converted: int) -> None:
        self.name = journal.stream
        self.journal = journal
        self.shard_count = shard_count
        self.rate = ShardRate(shard_count, clock)
        self.converted = converted  # the position; whoever converts moves it on
        self.queued_bytes = 0
        self.under_way: dict[bytes, tuple[Ticket, list[Callable[[], None]]]] = {}
        self._round = array("H", range(shard_count))
        self._next_shard = journal.next_record % shard_count

    def shards_in_turn(self, count: int) -> array[int] | None:
        """The shards of `count` records without a partition key: one after the other, from where the last call ended.

        None if there is only one. Calls at the same instant may begin at the same shard.
        """
        if self.shard_count == 1:
            return None
        start = self._next_shard
        self._next_shard = (start + count) % self.shard_count
        rounds = (start + count) // self.shard_count + 1
        return (self._round * rounds)[start : start + count]

    @property
    def unconverted_bytes(self) -> int:
        return self.journal.synced - self.converted


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry on its way: `ticket` is resolved by the next flush of the stream's journal.

    `again` is set if the entry was sent before and `ticket` is the first one's.
    """

    stream: Stream
    ticket: Ticket
    again: bool


class Intake:
    """Takes records for the streams of one warehouse. All methods can be called from any thread."""

    def __init__(
        self, streams: Mapping[str, Stream], limits: IntakeLimits, clock: Clock, disk_free: Callable[[], int]
    ) -> None:
        """disk_free: the bytes that are free where the journals are."""
        self.streams = streams
        self.limits = limits
        self.disk = FreeDisk(disk_free, clock, limits.disk_free_bytes_min)
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self.refusals = Refusals(streams)

    def stream(self, name: str) -> Stream:
        if name not in self.streams:
            known = ", ".join(map(repr, self.streams)) or "none"
            raise UnknownName(
                f"There is no input stream {name!r}; there are {known}.{did_you_mean(name, self.streams)}"
            )
        return self.streams[name]

    def begin(self, stream: Stream, entry: Entry, done: Callable[[], None] | None = None) -> Pending:
        """Check the limits and queue an entry. `done` is called, from another thread, when the ticket is resolved.

        Raises Throttled, or BadRequest if the idempotency key was used for something else.
        """
        with self._lock:
            if entry.keys:
                known = self._known(stream, entry.keys, done)
                if known:
                    return known
            full = self._full(stream, entry)
            if not full:
                return self._queue(stream, entry, done)
        what, limit = full
        self.refusals.records(stream.name, limit, entry.count, what)
        raise Throttled(f"{entry.count} records were not taken: {what} ({limit}). Send them again later.", limit)

    def _queue(self, stream: Stream, entry: Entry, done: Callable[[], None] | None) -> Pending:
        stream.queued_bytes += entry.size
        self._queued_bytes += entry.size

        waiting = [done] if done else []

        def finished() -> None:
            with self._lock:
                stream.queued_bytes -= entry.size
                self._queued_bytes -= entry.size
                if entry.keys:
                    del stream.under_way[entry.keys.key]
            self._note_disk(stream, ticket)
            for waiter in waiting:
                waiter()

        ticket = stream.journal.enqueue(entry, finished)
        if entry.keys:
            stream.under_way[entry.keys.key] = (ticket, waiting)
        return Pending(stream, ticket, again=False)

    def append(self, stream: Stream, entry: Entry) -> tuple[Appended, bool]:
        """Append an entry and return when it is durable: (where it went, whether it was sent before).

        A Ctrl-C ends the wait and not the append, so that the same events can be sent again with their key.
        """
        pending: list[Pending] = []
        fault: list[BaseException] = []

        def append() -> None:
            try:
                pending.append(self.begin(stream, entry))
                stream.journal.flush()
            except BaseException as error:
                fault.append(error)

        if threading.current_thread() is threading.main_thread():  # where Python raises KeyboardInterrupt, anywhere
            thread = threading.Thread(target=append, name="append", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # Python is exiting, or the system gives no more threads
                append()
            else:
                thread.join()
        else:
            append()
        if fault:
            raise fault[0]
        return outcome(pending[0].ticket), pending[0].again

    def _note_disk(self, stream: Stream, ticket: Ticket) -> None:
        work = f"writing the journal of {stream.name}"
        if ticket.error and lacks_space(ticket.error):
            self.disk.write_failed(work)
            self.refusals.records(stream.name, "disk_free_bytes_min", ticket.entry.count, "the disk is full")
        elif ticket.result:
            self.disk.write_succeeded(work)

    def _known(self, stream: Stream, keys: IdempotencyKeys, done: Callable[[], None] | None) -> Pending | None:
        if keys.key in stream.under_way:
            ticket, waiting = stream.under_way[keys.key]
            _check_same(ticket.entry.keys == keys)
            if done:
                waiting.append(done)
            return Pending(stream, ticket, again=True)
        seen = stream.journal.seen(keys)
        if seen is None:
            return None
        _check_same(seen[0])
        ticket = Ticket(Entry(b"", array("I")), None)
        ticket.result = seen[1]
        if done:
            done()
        return Pending(stream, ticket, again=True)

    def _full(self, stream: Stream, entry: Entry) -> tuple[str, str] | None:
        """Why an entry cannot be taken now, and the limit. Raises BodyTooLarge if it can never be."""
        limits = self.limits
        size = entry.size
        for name, most in (
            ("queue_bytes_max", limits.queue_bytes_max),
            ("journal_bytes_max", limits.journal_bytes_max),
        ):
            if 0 < most < size:  # 0: a simulated warehouse takes nothing for a moment
                raise BodyTooLarge(
                    f"{entry.count} records were not taken: together they take {size} bytes, and more than {most} can "
                    f"never be taken at once ({name}). Send fewer at a time."
                )
        if stream.unconverted_bytes + stream.queued_bytes + size > limits.journal_bytes_max:
            return f"{limits.journal_bytes_max} bytes of {stream.name!r} wait for conversion", "journal_bytes_max"
        if self._queued_bytes + size > limits.queue_bytes_max:
            return f"{limits.queue_bytes_max} bytes wait to be written", "queue_bytes_max"
        if self.disk.is_below_minimum():
            return f"less than {limits.disk_free_bytes_min} bytes of disk are free", "disk_free_bytes_min"
        return None


def outcome(ticket: Ticket) -> Appended:
    """The result of a resolved ticket. A full disk is Throttled; another OSError is raised as it is."""
    try:
        return ticket.outcome()
    except OSError as error:
        if lacks_space(error):
            raise Throttled("The records were not taken: the disk is full.", "disk_free_bytes_min") from error
        raise


def keys_for(idempotency_key: str, body: bytes) -> IdempotencyKeys:
    """The digests of an Idempotency-Key and of the request that it came with. Raises BadRequest."""
    if not 1 <= len(idempotency_key) <= IDEMPOTENCY_KEY_CHARACTERS_MAX:
        raise BadRequest(
            f"The Idempotency-Key has {len(idempotency_key)} characters; valid are 1 to "
            f"{IDEMPOTENCY_KEY_CHARACTERS_MAX}."
        )
    return IdempotencyKeys(
        blake2b(idempotency_key.encode(), digest_size=16).digest(), blake2b(body, digest_size=16).digest()
    )


def shards_for(
    partition_keys: Sequence[str], explicit_hash_keys: Sequence[str | None] | None, shard_count: int
) -> array[int] | None:
    """The shard of each record; None if there is only one. explicit_hash_keys is None if no record has one."""
    if shard_count == 1:
        return None
    if explicit_hash_keys is None:
        return shards_of(digests_of(partition_keys), shard_count)
    hashed = (
        int(explicit) if explicit is not None else hash_key(key)
        for key, explicit in zip(partition_keys, explicit_hash_keys, strict=True)
    )
    return array("H", (shard_of(key, shard_count) for key in hashed))


def _check_same(same: bool) -> None:
    if not same:
        raise BadRequest(
            "This Idempotency-Key was used for a request with another body; a key names one batch. Nothing was taken."
        )
