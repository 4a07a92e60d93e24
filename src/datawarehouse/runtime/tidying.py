"""The thread that once a minute compacts, expires, and removes files that the catalog does not know."""

from __future__ import annotations

import logging
import threading

from datawarehouse.runtime.closing import Closing
from datawarehouse.runtime.executor import Executor
from datawarehouse.runtime.exports import Exports
from datawarehouse.tidy.chores import Chores, Compacted

log = logging.getLogger("datawarehouse")

_EVERY_S = 60.0


class Tidying:
    """Does a warehouse's chores with one executor, the compactor. Methods can be called from any thread."""

    def __init__(self, chores: Chores, exports: Exports, closing: Closing, compactor: Executor) -> None:
        self.compactor = compactor
        self._chores = chores
        self._exports = exports
        self._closing = closing
        self._thread = threading.Thread(target=self._keep_tidy, name="chores", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def round(self) -> None:
        """Expire, remove orphans, and compact within the budget."""
        self._refresh_exports(self._chores.round(self.compactor.run, self._is_closing))

    def compact(self, table: str) -> Compacted:
        """Compact the closed hours of a table, whatever the budget; returns what was done."""
        return self._refresh_exports(self._chores.compact(table, self.compactor.run, self._is_closing))

    def stop(self) -> None:
        """Wait until the thread has ended, and end the compactor. Closing must have begun."""
        if self._thread.is_alive():
            self._thread.join()
        self.compactor.stop()

    def _refresh_exports(self, done: Compacted) -> Compacted:
        if done.files_before:
            self._exports.refresh()
        return done

    def _is_closing(self) -> bool:
        return self._closing.is_begun

    def _keep_tidy(self) -> None:
        while not self._closing.wait(_EVERY_S):
            try:
                self.round()
            except Exception:
                if not self._closing.is_begun:
                    log.exception("compaction or expiry failed; trying again in %g s", _EVERY_S)
            self._chores.when_idle(self.compactor.stop)  # an idle process only takes memory
