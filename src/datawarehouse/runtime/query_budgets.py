"""What a workgroup may read in a day, kept before it is spent.

1. What a query would read at most is estimated, by a dry run in a process of its workgroup.
2. If what is left of the day covers that, it is reserved; otherwise the query is refused.
3. The query runs, and may read no more than was reserved: if files came in meanwhile, back to 1. Twice the estimate is
   reserved then, or what is left of the day: a query waits for a processor longer than some files take to come in.
4. What it did not read is given back; all of it, if the engine says that it failed before it read anything. Nothing
   is, of a query that was ended before it said what it reads, and of those that ran when the owner was killed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from datawarehouse.clock import Clock
from datawarehouse.definition.instants import written
from datawarehouse.definition.workgroups import Workgroup, chosen
from datawarehouse.errors import AccessDenied, BadRequest, QueryError, ScanRefused, Throttled
from datawarehouse.query.messages import Answered, Head, Piece, QueryOrder
from datawarehouse.query.registry import Ask
from datawarehouse.runtime.query_history import QueryHistory

_ESTIMATES_MAX = 5
_DAY_MS = 24 * 3600 * 1000


class _Estimate(msgspec.Struct):
    bytes: int


class _Decision(msgspec.Struct):
    allowed: bool
    estimate: _Estimate


class QueryBudgets:
    def __init__(self, ask: Ask, workgroups: dict[str, Workgroup], history: QueryHistory, clock: Clock) -> None:
        self._ask = ask
        self._workgroups = workgroups
        self._history = history
        self._clock = clock

    def ask(self, order: QueryOrder, started: Callable[[], None]) -> AsyncGenerator[Answered]:
        """The messages of an answer. Raises the errors of queries; Throttled until the next day has begun."""
        workgroup = chosen(self._workgroups, order.workgroup)
        if workgroup.scan_bytes_per_day_max is None or order.dry_run:
            return self._ask(order, started)
        return self._within(workgroup, workgroup.scan_bytes_per_day_max, order, started)

    async def _within(
        self, workgroup: Workgroup, bytes_max: int, order: QueryOrder, started: Callable[[], None]
    ) -> AsyncGenerator[Answered]:
        for attempt in range(1, _ESTIMATES_MAX + 1):
            estimate = await self._estimate(order)
            day, reserved = await self._reserve(workgroup.name, bytes_max, estimate, ample=attempt > 1)
            read: int | None = 0  # None: anything up to what is reserved

            def begun() -> None:
                nonlocal read
                read = None
                started()

            try:
                async with aclosing(self._ask(msgspec.structs.replace(order, bytes_max=reserved), begun)) as messages:
                    async for message in messages:
                        if isinstance(message, Head):
                            read = message.bytes
                        yield message
                return
            except ScanRefused as error:
                read = 0
                if not error.has_grown or attempt == _ESTIMATES_MAX:
                    raise
            except (BadRequest, AccessDenied):
                read = 0
                raise
            except QueryError as error:
                if not error.has_read:
                    read = 0
                raise
            finally:
                if read is not None and read != reserved:
                    self._history.give_back(day, workgroup.name, reserved - read)

    async def _estimate(self, order: QueryOrder) -> int:
        """How many bytes a query would read at most; nothing, if its workgroup does not permit it."""
        told = b""
        async with aclosing(self._ask(msgspec.structs.replace(order, dry_run=True), lambda: None)) as messages:
            async for message in messages:
                if isinstance(message, Piece):
                    told += message.data
        decision = msgspec.json.decode(told, type=_Decision)
        return decision.estimate.bytes if decision.allowed else 0

    async def _reserve(self, workgroup: str, bytes_max: int, bytes: int, *, ample: bool) -> tuple[str, int]:
        """Reserve bytes, or if `ample` up to twice as many; returns the day and how many. Raises ScanRefused or
        Throttled."""
        now_ms = self._clock.now_ms()
        day = written(now_ms)[:10]
        if bytes > bytes_max:
            raise ScanRefused(
                f"Workgroup {workgroup!r} may read {bytes_max:,} bytes a day (scan_bytes_per_day_max), and the files "
                f"of this query have {bytes:,}. Read fewer partitions."
            )
        wanted = 2 * bytes if ample else bytes
        while (left := await self._history.spend(day, workgroup, wanted, bytes_max)) is not None:
            if left >= bytes:
                wanted = left
                continue
            raise Throttled(
                f"Workgroup {workgroup!r} may read {bytes_max:,} bytes a day (scan_bytes_per_day_max), of which "
                f"{left:,} are left of {day} (UTC); the files of this query have {bytes:,}. Read fewer partitions, or "
                "ask again tomorrow.",
                "scan_bytes_per_day_max",
                (_DAY_MS - now_ms % _DAY_MS) / 1000,
            )
        return day, wanted
