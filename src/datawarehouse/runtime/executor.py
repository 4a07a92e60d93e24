"""Executors run orders of conversion and of compaction, in this process or in a child process."""

from __future__ import annotations

from typing import Protocol

from datawarehouse.convert.orders import ConvertAnswer, ConvertOrder
from datawarehouse.errors import DataWarehouseError


class Executor(Protocol):
    def run(self, order: ConvertOrder) -> ConvertAnswer:
        """Run an order. Raises WorkerDied, or the error that occurred."""

    def stop(self) -> None:
        """End the executor when its present order is done."""

    def kill(self) -> None:
        """End the executor at once. A caller that waits for an answer gets WorkerDied."""


class NotStarted:
    """The executor of a warehouse that was opened and not started."""

    def run(self, order: ConvertOrder) -> ConvertAnswer:
        raise DataWarehouseError("The warehouse was not started; nothing is converted or compacted.")

    def stop(self) -> None:
        """Nothing to stop."""

    def kill(self) -> None:
        """Nothing to end."""
