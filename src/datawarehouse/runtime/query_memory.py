"""Memory that queries of all workgroups may have together: their limits are given out, never more than there is.

Production is served first; among the others, and among production's own, whoever came first. One that needs more than
is left keeps those behind it waiting, so that a large one gets its turn. A part is kept for production, so that it need
not wait until a query of others ends, which may take as long as the longest limit of time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from itertools import count


class QueryMemory:
    def __init__(self, total_bytes: int, kept_bytes: int = 0) -> None:
        """kept_bytes: what only those have that are first."""
        self._left = total_bytes
        self._left_for_others = total_bytes - kept_bytes
        self._waiting: list[tuple[bool, int, int, asyncio.Future[None]]] = []
        self._turns: Iterator[int] = count()

    async def take(self, bytes: int, *, first: bool) -> None:
        """Take bytes, as soon as they are left. first: before all those that are not, and of what is kept."""
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not first, next(self._turns), bytes, given))
        self._give()
        try:
            await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():
                self.give_back(bytes, first=first)
            given.cancel()
            self._give()
            raise

    def give_back(self, bytes: int, *, first: bool) -> None:
        self._left += bytes
        if not first:
            self._left_for_others += bytes
        self._give()

    def _give(self) -> None:
        while self._waiting:
            is_other, _, bytes, given = self._waiting[0]
            if not given.cancelled():
                if bytes > (min(self._left, self._left_for_others) if is_other else self._left):
                    return
                self._left -= bytes
                if is_other:
                    self._left_for_others -= bytes
                given.set_result(None)
            heapq.heappop(self._waiting)
