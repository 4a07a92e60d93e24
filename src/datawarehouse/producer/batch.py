"""Events that are sent with one request, and what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from datawarehouse.errors import Closed, DataWarehouseError
from datawarehouse.producer.waiting import waited


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the stream said of an event that it took. Empty for an event sent by HTTP, which has no number of its own;
    events packed into one record have the numbers of that record."""

    shard_id: str = ""
    sequence_number: str = ""


TAKEN = Receipt()


@dataclass(slots=True, eq=False)
class Batch:
    """Events in the order in which they were put. Each gets an outcome once: a receipt, or an error."""

    number: int
    born: float = field(default_factory=time.monotonic)
    events: list[bytes] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    size: int = 0
    """Of all events, in bytes."""
    outcomes: dict[int, Receipt | DataWarehouseError] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)
    """That sends them: after a fork, the other one has none of its threads."""
    plan: Any = None
    """What a destination keeps from one attempt to the next."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _calls: list[Callable[[], object]] = field(default_factory=list)

    def add(self, event: bytes, key: str | None) -> Delivery:
        self.events.append(event)
        self.keys.append(key)
        self.size += len(event)
        return Delivery(self, len(self.events) - 1)

    def settle(self, place: int, outcome: Receipt | DataWarehouseError) -> None:
        self.outcomes.setdefault(place, outcome)

    def settle_rest(self, outcome: Receipt | DataWarehouseError) -> None:
        for place in range(len(self.events)):
            self.outcomes.setdefault(place, outcome)

    @property
    def left(self) -> int:
        """How many events have no outcome yet."""
        return len(self.events) - len(self.outcomes)

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    def end(self) -> None:
        """Tell those who wait that every event has its outcome."""
        with self._lock:
            self._is_over.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def wait(self, timeout_s: float | None) -> bool:
        return waited(self._is_over.wait, timeout_s)

    def call_at_end(self, call: Callable[[], object]) -> None:
        """Make a call when the batch is over, in whichever thread ends it; at once if it is over already."""
        with self._lock:
            if not self._is_over.is_set():
                self._calls.append(call)
                return
        call()


class Delivery:
    """What becomes of one event. `await` it, or ask with `result`."""

    __slots__ = ("_batch", "_place")

    def __init__(self, batch: Batch, place: int) -> None:
        self._batch = batch
        self._place = place

    def done(self) -> bool:
        return self._batch.is_over

    def result(self, timeout_s: float | None = None) -> Receipt:
        """Wait for the outcome. Raises the error with which the event was given up, or TimeoutError, after which the
        event is still on its way; and Closed in a process that was forked since, which cannot know."""
        self._check_process()
        if not self._batch.wait(timeout_s):
            raise TimeoutError(f"The event was not delivered within {timeout_s} s. It is still being sent.")
        outcome = self._batch.outcomes[self._place]
        if isinstance(outcome, DataWarehouseError):
            raise outcome.with_traceback(None)  # many events have the same; it would keep the frames of all who ask
        return outcome

    def __await__(self) -> Generator[Any, None, Receipt]:
        self._check_process()
        if not self._batch.is_over:
            loop = asyncio.get_running_loop()
            over: asyncio.Future[None] = loop.create_future()
            self._batch.call_at_end(lambda: wake(loop, over))
            yield from over.__await__()
        return self.result()

    def _check_process(self) -> None:
        if not self._batch.is_over and self._batch.process != os.getpid():
            raise Closed(
                "The event was put before a fork, and only the process that put it sends it and gets its outcome: ask "
                "there."
            )


def wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    """Resolve a future from any thread; nothing if its loop is closed, or who waited has gone."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
