"""Writes the history of queries, and what workgroups read of their days, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datawarehouse.catalog.history import Entry, History
from datawarehouse.catalog.store import StoreError
from datawarehouse.errors import InternalFailure

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

    async def spend(self, day: str, workgroup: str, bytes: int, bytes_max: int) -> int | None:
        """As `History.spend`. Raises InternalFailure if the history cannot be written: a budget that cannot be counted
        permits nothing."""

        def spend() -> int | None:
            if self._history is None:
                raise OSError("it could not be opened")
            return self._history.spend(day, workgroup, bytes, bytes_max)

        def undo(done: asyncio.Future[int | None]) -> None:
            if not done.cancelled() and not done.exception() and done.result() is None:
                self.give_back(day, workgroup, bytes)

        spending = asyncio.get_running_loop().run_in_executor(self._writer, spend)
        try:
            return await asyncio.shield(spending)
        except asyncio.CancelledError:  # the writer may have counted it, or will
            spending.add_done_callback(undo)
            raise
        except (OSError, StoreError) as error:
            raise InternalFailure(
                f"What workgroup {workgroup!r} reads of its day (scan_bytes_per_day_max) cannot be counted: {error}."
            ) from None

    def give_back(self, day: str, workgroup: str, bytes: int) -> None:
        """Count so many bytes less, soon."""
        self._writer.submit(self._in_order, lambda: self._give_back(day, workgroup, bytes))

    def _give_back(self, day: str, workgroup: str, bytes: int) -> None:
        if self._history:
            self._history.give_back(day, workgroup, bytes)

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
