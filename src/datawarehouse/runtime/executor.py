"""What runs orders of conversion and of compaction, in this process or in a child."""

from __future__ import annotations

from typing import Protocol

from datawarehouse.convert.orders import ConvertAnswer, ConvertOrder
from datawarehouse.errors import DataWarehouseError


class Executor(Protocol):
    def run(self, order: ConvertOrder) -> ConvertAnswer:
        """Have an order done. Raises WorkerDied, or the error that was met."""

    def stop(self) -> None:
        """End it when the order at hand is done."""

    def kill(self) -> None:
        """End it at once. Whoever waits for an answer gets WorkerDied."""


class NotStarted:
    """The executor of a warehouse that was opened and not started."""

    def run(self, order: ConvertOrder) -> ConvertAnswer:
        raise DataWarehouseError("The warehouse was not started; nothing is converted or compacted.")

    def stop(self) -> None:
        """Nothing to stop."""

    def kill(self) -> None:
        """Nothing to end."""
