"""A thread for each receiver: messages in order, one at a time, each again until it has arrived.

The pause after a failed attempt doubles from RETRY_FIRST_S to RETRY_MAX_S, is varied by up to a half, and is never
shorter than the receiver's Retry-After, which is varied as well. A message that nobody took for GIVE_UP_DAYS is given
up, and the log says so.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from datawarehouse.alerts.messages import Message
from datawarehouse.alerts.store import Store
from datawarehouse.alerts.webhook import Undelivered
from datawarehouse.clock import Clock

log = logging.getLogger("datawarehouse.alerts")

RETRY_FIRST_S = 1.0
RETRY_MAX_S = 300.0
GIVE_UP_DAYS = 3
_LOG_EVERY = 12
"""One failed attempt in so many is a line of the log: the first, and then about one an hour."""
CLOSE_S, _ABORT_S = 2.0, 1.0


class Receiver(Protocol):
    """Where messages go. name: for people; it holds no secret."""

    name: str

    def send(self, message: Message) -> None: ...
    def abort(self) -> None: ...


class Delivery:
    """Delivers to one receiver. key: the name of its queue in the store."""

    def __init__(self, receiver: Receiver, key: str, store: Store, clock: Clock) -> None:
        self._chance = random.Random()
        self.receiver = receiver
        self.key = key
        self.delivered = 0
        self.failed = 0
        """Attempts that failed, since the warehouse was opened."""
        self._store = store
        self._clock = clock
        self._closing = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._deliver, name="alerts-delivery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def begin_stop(self) -> None:
        """Let the thread end after the messages that its receiver takes at once."""
        self._closing.set()
        self._store.wake()

    def join(self, left_s: float) -> None:
        """Wait for the end of the thread, this long at most."""
        if self._thread.is_alive():
            self._thread.join(left_s)

    def abort(self) -> None:
        """End what the thread is doing, as far as that is possible: a name that is looked up cannot be interrupted."""
        self._is_over = True
        if self._thread.is_alive():
            self.receiver.abort()

    def _deliver(self) -> None:
        failures = 0
        while not self._is_over and (message := self._store.wait(self.key, self._closing)):
            pause_s = self._attempt(message, failures)
            failures = failures + 1 if pause_s else 0
            if pause_s and self._closing.wait(pause_s):
                break

    def _attempt(self, message: Message, failures: int) -> float:
        """Send a message; how many seconds to wait before it is sent again, 0 if it has arrived or was given up."""
        try:
            self.receiver.send(message)
        except Exception as error:  # whatever it is, the messages after this one must not be lost
            self.failed += 1
            return self._failed(message, failures, error)
        self.delivered += 1
        if failures:
            log.info("%s takes alerts again, after %d failed attempts", self.receiver.name, failures)
        self._store.remove(self.key, message.id)
        return 0.0

    def _failed(self, message: Message, failures: int, error: Exception) -> float:
        if self._clock.now_ms() - message.made_ms > GIVE_UP_DAYS * 86_400_000:
            log.error("%s has not taken %s for %d days; it is given up", self.receiver.name, message.id, GIVE_UP_DAYS)
            self._store.remove(self.key, message.id)
            return 0.0
        asked_s: float = error.retry_after_s if isinstance(error, Undelivered) else 0.0
        pause_s = pause_after(failures, asked_s, self._chance)
        if failures % _LOG_EVERY == 0:
            told = None if isinstance(error, Undelivered) else error
            then = f"trying again in {pause_s:.1f} s, then less often"
            if self._closing.is_set():
                then = "trying again when the warehouse is opened"
            log.warning("%s did not take an alert: %s; %s", self.receiver.name, error, then, exc_info=told)
        return pause_s


def pause_after(failures: int, asked_s: float, chance: random.Random) -> float:
    """How many seconds to wait after an attempt that failed. failures: how many failed before it; asked_s: what the
    receiver asks for, 0 if it does not.

    Of a random length, so that warehouses that were refused together do not try again together.
    """
    longest = min(RETRY_FIRST_S * 2.0 ** min(failures, 20), RETRY_MAX_S)
    return max(longest * chance.uniform(0.5, 1.0), asked_s * chance.uniform(1.0, 1.5))


def stop(deliveries: Sequence[Delivery], left_s: float) -> None:
    """Let messages go that their receivers take at once, for CLOSE_S at most; the next owner sends the others."""
    for delivery in deliveries:
        delivery.begin_stop()
    for step_s in (min(left_s, CLOSE_S), _ABORT_S):
        end = time.monotonic() + step_s
        for delivery in deliveries:
            delivery.join(max(0.0, end - time.monotonic()))
        for delivery in deliveries:
            delivery.abort()
