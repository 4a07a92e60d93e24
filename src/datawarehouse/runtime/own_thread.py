"""A thread that works on its own: it repeats one step, survives what the step raises, and ends when it is told to.

1. The step does what is to be done now and returns how many seconds to wait before the next one; `wake` ends the wait.
   It returns None when nothing will ever be left to do, which ends the thread.
2. What a step raises is counted and logged (`Faults`). After a pause, the thread goes on.
3. `stop` lets the present step be the last one. Then `last` is called, and the thread ends whatever it raises.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from datawarehouse.runtime.faults import Faults

PAUSE_AFTER_FAULT_S = 1.0


def _nothing() -> None:
    """What most threads do at their end."""


class OwnThread:
    """See the module. Methods can be called from any thread."""

    def __init__(
        self,
        name: str,
        work: str,
        step: Callable[[], float | None],
        faults: Faults,
        *,
        pause_s: float = PAUSE_AFTER_FAULT_S,
        first_wait_s: float = 0.0,
        last: Callable[[], None] = _nothing,
    ) -> None:
        """name: of the thread, in metrics. work: what it does, as the subject of a log line."""
        self.name = name
        self._work = work
        self._step = step
        self._faults = faults
        self._pause_s = pause_s
        self._first_wait_s = first_wait_s
        self._last = last
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Raises RuntimeError if the system gives no more threads."""
        self._faults.expect(self.name)
        self._thread.start()

    def wake(self) -> None:
        """Take the next step now. A pause after a fault is not cut short."""
        self._woken.set()

    def stop(self) -> None:
        """Take no more steps; does not wait for the present one."""
        self._stopping.set()
        self._woken.set()

    def join(self, time_max_s: float | None = None) -> bool:
        """Wait until the thread has ended, at most so long; returns whether it has, or was never started."""
        if self._thread.ident is not None:
            self._thread.join(time_max_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait: float | None = self._first_wait_s
        while wait is not None:
            if wait:
                self._woken.wait(wait)
            self._woken.clear()
            if self._stopping.is_set():
                break
            wait = self._stepped()
        try:
            self._last()
        except Exception as error:
            self._faults.met(self.name, self._work, error, "its thread has ended")

    def _stepped(self) -> float | None:
        try:
            wait = self._step()
        except (Exception, SystemExit) as error:  # code of a user may ask the thread to end
            if self._stopping.is_set():
                return None
            self._faults.met(self.name, self._work, error, f"it is tried again in {self._pause_s:g} s")
            self._stopping.wait(self._pause_s)
            return 0.0
        self._faults.over(self._work)
        return wait
