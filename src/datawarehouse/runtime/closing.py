"""Whether a warehouse is closing, and how long running work may still take."""

from __future__ import annotations

import threading
import time

from datawarehouse.errors import Closed


class Closing:
    """Any thread may begin the closing, once; all longer work of a warehouse checks it."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._deadline = 0.0

    def begin(self, time_max_s: float) -> bool:
        """Begin to close: running work may take this many more seconds. False if closing had begun before."""
        if self._begun.is_set():
            return False
        self._deadline = time.monotonic() + time_max_s
        self._begun.set()
        return True

    @property
    def is_begun(self) -> bool:
        return self._begun.is_set()

    @property
    def left_s(self) -> float:
        """How many seconds running work may still take."""
        return max(0.0, self._deadline - time.monotonic())

    def wait(self, seconds: float) -> bool:
        """Wait this long, or until closing begins; returns whether it has begun."""
        return self._begun.wait(seconds)

    def check_open(self) -> None:
        """Raises Closed if the warehouse is closed."""
        if self.is_begun:
            raise Closed("The warehouse is closed; open it again with open_warehouse(...).")
