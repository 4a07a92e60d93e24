"""Waits that Ctrl-C ends, whenever it comes.

Python hears a signal between two instructions, and a wait is woken by one that comes to its thread while it lasts. One
that comes just before, or to another thread, would be heard when the wait is over; so a wait is made of short ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PIECE_S = 0.5


def waited(wait: Callable[[float], bool], timeout_s: float | None) -> bool:
    """wait: as `threading.Event.wait`, true at once when what it waits for is there. timeout_s: None is for ever."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = _PIECE_S if end is None else min(end - time.monotonic(), _PIECE_S)
        if wait(max(0.0, left)):
            return True
        if left < _PIECE_S:
            return False


def waited_for(condition: threading.Condition, is_so: Callable[[], bool], timeout_s: float | None) -> bool:
    """As `condition.wait_for`."""
    return waited(lambda left: condition.wait_for(is_so, left), timeout_s)
