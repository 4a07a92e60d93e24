"""Memory that queries of all workgroups may have together: their limits are given out, never more than there is.

Production is served first; among the others, and among production's own, whoever came first. One that needs more than
is left keeps those behind it waiting, so that a large one gets its turn.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from itertools import count


class QueryMemory:
    def __init__(self, total_bytes: int) -> None:
        self._left = total_bytes
        self._waiting: list[tuple[bool, int, int, asyncio.Future[None]]] = []
        self._turns: Iterator[int] = count()

    async def take(self, bytes: int, *, first: bool) -> None:
        """Take bytes, as soon as they are left. first: before all those that are not."""
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not first, next(self._turns), bytes, given))
        self._give()
        try:
            await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():
                self.give_back(bytes)
            given.cancel()
            self._give()
            raise

    def give_back(self, bytes: int) -> None:
        self._left += bytes
        self._give()

    def _give(self) -> None:
        while self._waiting:
            _, _, bytes, given = self._waiting[0]
            if not given.cancelled():
                if bytes > self._left:
                    return
                self._left -= bytes
                given.set_result(None)
            heapq.heappop(self._waiting)
