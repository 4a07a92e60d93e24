"""Lets Ctrl-C end a query in a user's own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Stop = Callable[[], object]
Started = Callable[[Stop], object]
"""Is told, once work has begun that takes long, how to stop it."""

_GRACE_S = 0.5  # normally the engine ends in a few milliseconds; a function in the middle of its work does not hear
_WAIT_S = 0.5  # a signal that comes just before a wait is heard when that is over
INTERRUPT_AGAIN_S = 0.02  # DuckDB forgets an interrupt that comes before its query begins


def nobody(stop: Stop) -> None:
    """Nobody will want to stop the work."""


def interruptible(work: Callable[[Started], T]) -> T:
    """Do work, so that a signal handler that raises, as that of Ctrl-C, ends it.

    Python runs signal handlers in the main thread, between two instructions: not while that thread is in the engine. So
    the main thread waits, and another one works. Work that does not stop goes on in the background, and nobody gets
    what it finds.
    """
    if threading.current_thread() is not threading.main_thread():
        return work(nobody)
    running = _Running(work)
    try:
        threading.Thread(target=running.run, name="query", daemon=True).start()
        while not running.over.wait(_WAIT_S):
            pass
    except BaseException:
        end = time.monotonic() + _GRACE_S
        running.stop()
        while time.monotonic() < end and not running.over.wait(INTERRUPT_AGAIN_S):
            running.stop()
        raise
    return running.result()


class _Running(Generic[T]):
    def __init__(self, work: Callable[[Started], T]) -> None:
        self.over = threading.Event()
        self._work = work
        self._lock = threading.Lock()
        self._stop: Stop | None = None
        self._is_stopped = False
        self._found: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._found.append(self._work(self._started))
        except BaseException as error:
            self._error = error
        finally:
            self.over.set()

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._stop:
                self._stop()

    def result(self) -> T:
        if self._error:
            try:
                raise self._error
            finally:
                self._error = None  # the error has this frame, and this frame would have the error
        return self._found[0]

    def _started(self, stop: Stop) -> None:
        with self._lock:
            self._stop = stop
            if self._is_stopped:
                stop()
