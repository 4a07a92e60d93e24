"""The thread that once a minute compacts, expires, and removes files that the catalog does not know."""

from __future__ import annotations

from collections.abc import Callable

from datawarehouse.runtime.closing import Closing
from datawarehouse.runtime.executor import Executor
from datawarehouse.runtime.exports import Exports
from datawarehouse.runtime.faults import Faults
from datawarehouse.runtime.own_thread import OwnThread
from datawarehouse.tidy.chores import Chores, Compacted

_EVERY_S = 60.0
_KILL_EVERY_S = 0.5


class Tidying:
    """Does a warehouse's chores with one executor, the compactor. Methods can be called from any thread."""

    def __init__(
        self,
        chores: Chores,
        exports: Exports,
        closing: Closing,
        compactor: Executor,
        faults: Faults,
        restore_lock: Callable[[], None],
        clean_scratch: Callable[[], None],
    ) -> None:
        """restore_lock: makes the lock file again if somebody has removed it. clean_scratch: removes scratch tables
        whose time is over."""
        self.compactor = compactor
        self._restore_lock = restore_lock
        self._clean_scratch = clean_scratch
        self._chores = chores
        self._exports = exports
        self._closing = closing
        self._thread = OwnThread(
            "chores", "compaction and expiry", self._step, faults, pause_s=_EVERY_S, first_wait_s=_EVERY_S
        )

    def start(self) -> None:
        self._thread.start()

    def round(self) -> None:
        """Expire, remove orphans, and compact within the budget."""
        self._refresh_exports(self._chores.round(self.compactor.run, self._is_closing))

    def compact(self, table: str) -> Compacted:
        """Compact the closed hours of a table, whatever the budget; returns what was done."""
        return self._refresh_exports(self._chores.compact(table, self.compactor.run, self._is_closing))

    def wake(self) -> None:
        """Let the thread do a round now."""
        self._thread.wake()

    def stop(self) -> None:
        """Wait until the thread has ended, and end the compactor. Closing must have begun."""
        self._thread.stop()
        while not self._thread.join(_KILL_EVERY_S):
            self.compactor.kill()
        self.compactor.stop()

    def _refresh_exports(self, done: Compacted) -> Compacted:
        if done.files_before:
            self._exports.refresh()
        return done

    def _is_closing(self) -> bool:
        return self._closing.is_begun

    def _step(self) -> float:
        try:
            self._restore_lock()
            self.round()
            self._clean_scratch()
        finally:
            self._chores.when_idle(self.compactor.stop)  # an idle process only takes memory
        return _EVERY_S
