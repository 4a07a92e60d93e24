"""Writes the history of queries in a thread of its own, so that no query waits for the disk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datawarehouse.catalog.history import Entry, History
from datawarehouse.catalog.store import StoreError

log = logging.getLogger("datawarehouse")


class QueryHistory:
    def __init__(self, path: Path) -> None:
        self._writer = ThreadPoolExecutor(1, "history")
        self._history: History | None = None
        self._failed = False
        self._writer.submit(self._in_order, lambda: self._open(path))

    def record(self, entry: Entry) -> None:
        """Store what is known of a query, soon."""
        self._writer.submit(self._in_order, lambda: self._put(entry))

    def _open(self, path: Path) -> None:
        self._history = History(path)

    def _put(self, entry: Entry) -> None:
        if self._history:
            self._history.put(entry)

    def _in_order(self, write: Callable[[], object]) -> None:
        try:
            write()
        except (OSError, StoreError) as error:
            if not self._failed:
                log.error("the history of queries cannot be written (%s); queries go on without", error)
            self._failed = True
        else:
            self._failed = False

    def close(self) -> None:
        """Write what is known, and end."""
        self._writer.shutdown()
        if self._history:
            self._history.close()
