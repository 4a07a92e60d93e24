"""A producer for threads: `put` returns at once, threads of its own send.

1. `put` writes the event as JSON and adds it to the open batch. A batch is closed when it is full, or `linger_s` old.
2. A sending thread takes the oldest closed batch and sends it, again after pauses that vary, until each of its events
   is taken or given up.
3. Each event then has its outcome: its `Delivery` knows, the counters count, and an event that was given up goes to
   `on_failure`, or is raised by the next `put`, `flush` or `close`.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from datawarehouse.errors import BadRequest, BodyTooLarge, Closed, DataWarehouseError, Throttled, Unreachable
from datawarehouse.intake.encoding import Event, records_of
from datawarehouse.producer.batch import Batch, Delivery
from datawarehouse.producer.http import HttpDestination
from datawarehouse.producer.kinesis import KinesisDestination
from datawarehouse.producer.waiting import waited_for
from datawarehouse.runtime.client import Patience

_EVENT_OVERHEAD_BYTES = 200  # about what an event takes in memory in addition to its bytes
_REQUEST_TIMEOUT_S = 60.0
_SHOWN = 3
_LOG = logging.getLogger("datawarehouse.producer")

OnFailure = Callable[[list[bytes], DataWarehouseError], object]


class _Connection(Protocol):
    def send(self, batch: Batch) -> None: ...

    def close(self) -> None: ...


class Undelivered(DataWarehouseError):
    """Events were given up. `events` has them, as they were sent, each with its error in `errors`.

    Raised by `put` (the event of that call was not taken), `flush` and `close`; each event is told once.
    """

    def __init__(self, events: list[bytes], errors: list[DataWarehouseError], still_waiting: int = 0) -> None:
        self.events = events
        self.errors = errors
        self.still_waiting = still_waiting
        reasons = list(dict.fromkeys(map(str, errors)))
        shown = "; ".join(reasons[:_SHOWN]) + ("; ..." if len(reasons) > _SHOWN else "")
        waiting = f" {still_waiting} more are still being sent." if still_waiting else ""
        given_up = f"{len(events)} events were not delivered: {shown}." if events else ""
        super().__init__(f"{given_up}{waiting}".strip())


@dataclass(frozen=True, slots=True)
class Counts:
    """put = delivered + failed + waiting, in events, and the bytes that wait; retries: requests that were repeated."""

    put: int
    delivered: int
    failed: int
    waiting: int
    waiting_bytes: int
    retries: int


class Producer:
    """Sends events to a table of a running warehouse (`url`) or to a Kinesis stream (`kinesis`).

    Threads may share it. It is bound to the process that made it.
    """

    def __init__(
        self,
        table: str,
        *,
        url: str | None = None,
        key: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        kinesis: Any = None,
        stream: str | None = None,
        aggregate: bool = False,
        linger_s: float = 0.1,
        buffer_bytes_max: int = 64 * 1024 * 1024,
        connections: int = 2,
        retry_s: float = 300.0,
        request_timeout_s: float | None = None,
        on_failure: OnFailure | None = None,
    ) -> None:
        """
        url: of a running warehouse, such as http://127.0.0.1:8080 or https://dw.example.com. key: for a warehouse with
        keys, ID.SECRET as `dw keys create` prints it; over plain HTTP on this machine alone. ca: a file of certificates
        (PEM) to trust instead of those that this system does. kinesis: a client, `boto3.client("kinesis")`.
        stream: the stream's name, if it is not the table's. aggregate: pack events into fewer Kinesis records, in the
        format of the Kinesis Producer Library. linger_s: how long an event may wait for others. buffer_bytes_max:
        memory for events that are not delivered yet; beyond it `put` waits. connections: requests at the same time.
        retry_s: how long a batch is tried again before its events are given up. request_timeout_s: for `url`, how long
        one request waits for its answer (default: 60); a client of boto3 has its own. on_failure: is called with events
        that are given up and the error, in a thread of the producer; there `put` does not wait, and `flush` is refused.
        """
        _check_destination(
            url, kinesis, of_kinesis=aggregate or stream is not None, of_url=key is not None or ca is not None
        )
        if not (linger_s >= 0 and connections >= 1 and buffer_bytes_max >= 1 and retry_s >= 0):  # NaN is none of these
            raise BadRequest(
                f"linger_s is {linger_s}, connections {connections}, buffer_bytes_max {buffer_bytes_max}, retry_s "
                f"{retry_s}; valid are linger_s and retry_s from 0, connections and buffer_bytes_max from 1."
            )
        self._request_timeout_s = _checked_timeout(request_timeout_s, is_http=url is not None)
        self._to: HttpDestination | KinesisDestination = (
            HttpDestination(table, url, self._request_timeout_s, key, ca)
            if url is not None
            else KinesisDestination(stream or table, kinesis, aggregate=aggregate)
        )
        self._linger_s = linger_s
        self._buffer_bytes_max = buffer_bytes_max
        self._retry_s = retry_s
        self._on_failure = on_failure
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)  # a batch may be due, or the producer closes
        self._settled = threading.Condition(self._lock)  # a batch is over, and its memory free
        self._numbers = 0
        self._open: Batch | None = None
        self._ready: deque[Batch] = deque()
        self._unsettled: dict[int, Batch] = {}
        self._given_up: list[tuple[bytes, DataWarehouseError]] = []
        self._calls_on_change: list[Callable[[], object]] = []
        self._delivered = self._failed = self._retries = 0
        self._closed_bytes = 0  # of the batches that are closed and not settled
        self._is_closing = False
        self._last_answer = 0.0  # when something was taken or refused last, or the producer began to close
        self._threads = [
            threading.Thread(target=self._run, name=f"producer-{table}-{number}", daemon=True)
            for number in range(connections)
        ]
        for thread in self._threads:
            thread.start()
        _open_producers.add(self)

    # -- for the caller

    def put(self, event: Event, partition_key: str | None = None, *, timeout_s: float | None = None) -> Delivery:
        """Take an event: a mapping, or JSON as text or bytes. Waits while `buffer_bytes_max` of events wait.

        partition_key: for Kinesis; a random one if there is none. Raises BadRequest for an event that cannot be sent,
        Throttled if there is still no room after `timeout_s`, Closed, and Undelivered if earlier events were given up;
        the event was then not taken.
        """
        self._check_process()
        [record] = records_of([event])
        record = self._to.checked(record, partition_key)
        size = len(record) + _EVENT_OVERHEAD_BYTES
        if len(record) > self._to.event_bytes_max or size > self._buffer_bytes_max:
            largest = min(self._to.event_bytes_max, self._buffer_bytes_max - _EVENT_OVERHEAD_BYTES)
            raise BodyTooLarge(f"The event has {len(record)} bytes; the largest that can be sent is {largest}.")
        with self._lock:
            self._wait_for_room(size, timeout_s)
            batch = self._open
            if batch and (
                len(batch.events) >= self._to.batch_events_max or batch.size + len(record) > self._to.batch_bytes_max
            ):
                self._close_batch()
                batch = None
            if batch is None:
                self._numbers += 1
                batch = self._open = self._unsettled[self._numbers] = Batch(self._numbers)
                self._changed.notify()
            return batch.add(record, partition_key)

    def flush(self, timeout_s: float | None = None) -> None:
        """Send now what waits, and wait until each event that was put before is taken or given up.

        Raises Undelivered for those that were given up (unless `on_failure` was told), and when `timeout_s` is over,
        after which the rest is still being sent.
        """
        self._check_can_wait()
        with self._lock:
            newest = self._close_batch()
            in_time = waited_for(self._settled, lambda: self._is_settled(newest), timeout_s)
            self._raise_given_up(0 if in_time else self._waiting())

    def close(self, timeout_s: float | None = None) -> None:
        """Flush, then end the threads. Raises as `flush` does; the producer takes no event any more.

        When nothing could be sent for `retry_s`, each batch that is left is tried once, as long as no more than
        `request_timeout_s` is over since; what is left then is given up.
        """
        self._check_can_wait()
        self.take_no_more()
        try:
            self.flush(timeout_s)
        except KeyboardInterrupt:
            _LOG.error("closing was interrupted while %d events were not delivered yet", self.counts().waiting)
            raise
        finally:
            with self._lock:
                self._changed.notify_all()
            _open_producers.discard(self)

    def counts(self) -> Counts:
        self._check_process()
        with self._lock:
            waiting = self._waiting()
            put = self._delivered + self._failed + waiting
            return Counts(put, self._delivered, self._failed, waiting, self._waiting_bytes(), self._retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- for the asynchronous producer

    def call_when_room(self, call: Callable[[], object], size: int) -> None:
        """Make a call, once, as soon as `put` need not wait for room or has something to raise."""
        with self._lock:
            if self._waiting_bytes() + size > self._buffer_bytes_max and not self._given_up and not self._is_closing:
                self._calls_on_change.append(call)
                return
        call()

    def call_when_settled(self, call: Callable[[], object]) -> None:
        """Send now what waits, and make a call when each event that was put before has its outcome."""
        self._check_process()
        with self._lock:
            self._close_batch()
            left = list(self._unsettled.values())
        count = [len(left) + 1]
        guard = threading.Lock()

        def one_less() -> None:
            with guard:
                count[0] -= 1
                is_last = not count[0]
            if is_last:
                call()

        for batch in left:
            batch.call_at_end(one_less)
        one_less()

    def take_no_more(self) -> None:
        """Begin to close: `put` raises Closed, also where it waits for room."""
        with self._lock:
            if not self._is_closing:
                self._last_answer = time.monotonic()
            self._is_closing = True
            self._settled.notify_all()

    def raise_given_up(self) -> None:
        with self._lock:
            self._raise_given_up(0)

    def room_for(self, event: bytes) -> int:
        return len(event) + _EVENT_OVERHEAD_BYTES

    # -- inside

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise Closed("The producer belongs to the process that made it; make another one after a fork.")

    def _check_can_wait(self) -> None:
        self._check_process()
        if self._is_own_thread():
            raise BadRequest("`on_failure` cannot flush or close its producer, which waits for it; do so elsewhere.")

    def _is_own_thread(self) -> bool:
        return threading.current_thread() in self._threads

    def _wait_for_room(self, size: int, timeout_s: float | None) -> None:
        is_own = self._is_own_thread()  # in `on_failure`: it would wait for itself, and what it is told goes nowhere

        def has_news() -> bool:
            is_told = self._given_up and not is_own
            return bool(self._is_closing or is_told or self._waiting_bytes() + size <= self._buffer_bytes_max)

        if not has_news():
            self._close_batch()
            in_time = waited_for(self._settled, has_news, 0 if is_own else timeout_s)
            if not in_time:
                raise Throttled(
                    f"{self._waiting_bytes()} bytes of events wait to be sent (buffer_bytes_max = "
                    f"{self._buffer_bytes_max}); the event was not taken.",
                    "buffer_bytes_max",
                )
        if self._is_closing:
            raise Closed("The producer is closed; the event was not taken.")
        if not is_own:
            self._raise_given_up(0)

    def _raise_given_up(self, still_waiting: int) -> None:
        given_up, self._given_up = self._given_up, []
        if given_up or still_waiting:
            raise Undelivered([event for event, _ in given_up], [error for _, error in given_up], still_waiting)

    # What waits is counted from the batches: a Ctrl-C between an event and its count would leave it wrong for ever.

    def _waiting(self) -> int:
        return sum(len(batch.events) for batch in self._unsettled.values())

    def _waiting_bytes(self) -> int:
        return self._closed_bytes + (_memory_of(self._open) if self._open else 0)

    def _count_closed(self) -> None:
        self._closed_bytes = sum(_memory_of(batch) for batch in self._unsettled.values() if batch is not self._open)

    def _is_settled(self, newest: int) -> bool:
        return all(number > newest for number in self._unsettled)

    def _close_batch(self) -> int:
        """Give the open batch to the sending threads; the number of the newest batch."""
        if batch := self._open:
            # Ctrl-C is raised after a call: the batch is never both open and ready, nor neither.
            self._open = None
            self._ready.append(batch)
            self._count_closed()
        self._changed.notify_all()  # also when a Ctrl-C came before the one of an earlier batch
        return self._numbers

    def _next(self) -> Batch | None:
        """Wait for the next batch that is to be sent; None when there will be none."""
        with self._lock:
            while True:
                if self._ready:
                    return self._ready.popleft()
                due_s = self._open.born + self._linger_s - time.monotonic() if self._open else None
                if self._open and due_s is not None and due_s <= 0:
                    batch, self._open = self._open, None
                    self._count_closed()
                    return batch
                if self._is_closing and not self._open:
                    return None
                self._changed.wait(None if due_s is None else min(due_s, threading.TIMEOUT_MAX))

    def _run(self) -> None:
        connection: _Connection = self._to.connection()
        while batch := self._next():
            try:
                self._send(connection, batch)
            except DataWarehouseError as error:
                batch.settle_rest(error)
            except BaseException as error:  # nothing may end the thread, or those who wait would wait for ever
                batch.settle_rest(DataWarehouseError(f"{type(error).__name__}: {error}"))
            self._end(batch)
        connection.close()

    def _send(self, connection: _Connection, batch: Batch) -> None:
        patience = Patience(self._patience_s())
        while batch.left:
            left = batch.left
            self._check_time()
            try:
                connection.send(batch)
            except DataWarehouseError as error:
                if batch.left < left:  # a part was taken: the stream is not gone
                    self._last_answer = time.monotonic()
                    patience = Patience(self._patience_s())
                patience.wait(error)
                with self._lock:
                    self._retries += 1
        self._last_answer = time.monotonic()

    def _patience_s(self) -> float:
        """How long a batch is tried. At the end of a program, batches do not wait one after the other for a stream that
        is gone."""
        if not self._is_closing:
            return self._retry_s
        return max(0.0, min(self._retry_s, self._last_answer + self._retry_s - time.monotonic()))

    def _check_time(self) -> None:
        """Raises Unreachable if the producer closes and had no answer for so long that nothing is tried any more."""
        silent_s = time.monotonic() - self._last_answer
        if self._is_closing and silent_s > self._retry_s + self._request_timeout_s:
            raise Unreachable(
                f"Nothing was answered for {silent_s:.0f} s while the producer closed, so that the rest was not tried "
                "any more."
            )

    def _end(self, batch: Batch) -> None:
        failures = [
            (batch.events[place], outcome)
            for place, outcome in sorted(batch.outcomes.items())
            if isinstance(outcome, DataWarehouseError)
        ]
        untold = self._untold(failures)
        with self._lock:
            self._delivered += len(batch.events) - len(failures)
            self._failed += len(failures)
            self._given_up += untold
            del self._unsettled[batch.number]
            self._count_closed()
            calls, self._calls_on_change = self._calls_on_change, []
            self._settled.notify_all()
        batch.end()
        for call in calls:
            call()

    def _untold(self, failures: list[tuple[bytes, DataWarehouseError]]) -> list[tuple[bytes, DataWarehouseError]]:
        """Tell `on_failure`; what could not be told."""
        if not self._on_failure:
            return failures
        by_error: dict[str, tuple[list[bytes], DataWarehouseError]] = {}
        for event, error in failures:
            by_error.setdefault(str(error), ([], error))[0].append(event)
        untold = []
        for events, error in by_error.values():
            try:
                self._on_failure(events, error)
            except BaseException as wrong:  # also sys.exit: those who wait need this thread
                error.add_note(f"on_failure could not be told: {type(wrong).__name__}: {wrong}")
                untold += [(event, error) for event in events]
        return untold


def _check_destination(url: str | None, kinesis: Any, *, of_kinesis: bool, of_url: bool) -> None:
    """Raises BadRequest unless there is one destination. of_kinesis, of_url: whether an argument is given that the
    other one does not have."""
    if (url is None) == (kinesis is None):
        raise BadRequest(
            "A producer has one destination: url=... of a running warehouse, or kinesis=boto3.client('kinesis')."
        )
    if url is not None and of_kinesis:
        raise BadRequest("aggregate and stream are for Kinesis (kinesis=...), not for url=...")
    if url is None and of_url:
        raise BadRequest(
            "key and ca are for url=...; for Kinesis, give the client its own: boto3.client('kinesis', "
            "aws_access_key_id=ID, aws_secret_access_key=SECRET, verify=FILE)."
        )


def _checked_timeout(given: float | None, *, is_http: bool) -> float:
    if given is None:
        return _REQUEST_TIMEOUT_S
    if not is_http:
        raise BadRequest(
            "request_timeout_s is for url=...; for Kinesis, give it to the client: boto3.client('kinesis', "
            "config=botocore.config.Config(read_timeout=..., connect_timeout=...))."
        )
    if not 0 < given <= threading.TIMEOUT_MAX:
        raise BadRequest(f"request_timeout_s is {given}; valid are seconds above 0.")
    return given


def _memory_of(batch: Batch) -> int:
    return batch.size + len(batch.events) * _EVENT_OVERHEAD_BYTES


_open_producers: weakref.WeakSet[Producer] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A program that ends without closing its producer still sends what waits, and says what it could not."""
    for producer in list(_open_producers):
        if producer._process == os.getpid():
            try:
                producer.close()
            except DataWarehouseError as error:
                _LOG.error("%s", error)
