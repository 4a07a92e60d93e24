"""Queries in child processes, a few at a time: each query can be ended without an effect on the others.

1. A query waits for its turn and for memory, then takes a free child process or starts one; when too many queries wait,
   it is refused.
2. Its messages are read in a thread, one at a time, as fast as the client takes them.
3. A query that takes too long, or whose client has gone, is ended by ending its child process. The next query starts
   another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Any

from datawarehouse.errors import QueryLimitExceeded, Throttled, WorkerDied
from datawarehouse.query.messages import Answered, End, Failure, QueryOrder
from datawarehouse.runtime.query_memory import QueryMemory
from datawarehouse.runtime.workers import ChildAnswer, Worker

_GRACE_S = 0.5  # normally the child ends a query in time itself; this is for a child that cannot


def _has_room(last: Any) -> bool:
    """Whether a child can take another query after its last message: a limit that was reached may have left it without
    memory."""
    return isinstance(last, End) or (isinstance(last, Failure) and last.error != QueryLimitExceeded.__name__)


class QueryPool:
    def __init__(
        self,
        new_worker: Callable[[], Worker],
        executor: Executor,
        memory: QueryMemory,
        *,
        size: int,
        waiting_max: int,
        time_max_s: float,
        memory_bytes_max: int,
        is_first: bool,
    ) -> None:
        """memory: of all pools together; each query takes `memory_bytes_max` of it, before others if `is_first`."""
        self._new_worker = new_worker
        self._executor = executor
        self._places = asyncio.Semaphore(size)
        self._waiting = 0
        self._waiting_max = waiting_max
        self._time_max_s = time_max_s
        self._memory = memory
        self._memory_bytes_max = memory_bytes_max
        self._is_first = is_first
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()

    def warm_up(self) -> None:
        """Start one child process now, so that it is ready for the first query."""
        worker = self._new_worker()
        worker.start()
        self._idle.append(worker)

    async def ask(self, order: QueryOrder, started: Callable[[], None]) -> AsyncGenerator[Answered]:
        """The messages of an answer, up to its End. Raises the errors of queries, and Throttled. started: is called
        when the query no longer waits."""
        if self._places.locked() and self._waiting >= self._waiting_max:
            raise Throttled(
                f"{self._waiting} queries wait already (query_waiting_max); try again later.", "query_waiting_max"
            )
        self._waiting += 1
        try:
            await self._take_place()
        finally:
            self._waiting -= 1
        started()
        deadline = time.monotonic() + self._time_max_s + _GRACE_S
        worker, message = await self._begin(order, deadline)
        try:
            while not isinstance(message, End | Failure):
                assert isinstance(message, Answered)
                yield message
                message = await self._step(worker.next_answer, deadline=deadline)
            if isinstance(message, Failure):
                raise message.as_error()
            yield message
        finally:
            self._end(worker, reusable=_has_room(message))

    async def _take_place(self) -> None:
        await self._places.acquire()
        try:
            await self._memory.take(self._memory_bytes_max, first=self._is_first)
        except BaseException:
            self._places.release()
            raise

    def _leave_place(self) -> None:
        self._memory.give_back(self._memory_bytes_max, first=self._is_first)
        self._places.release()

    async def _begin(self, order: QueryOrder, deadline: float) -> tuple[Worker, ChildAnswer]:
        """A child process that answers, and its first message. A child that died while it was idle is replaced."""
        while True:
            was_idle = bool(self._idle)
            worker = self._idle.pop() if was_idle else self._new_worker()
            self._busy.add(worker)
            try:
                await self._step(worker.begin, order, deadline=deadline)
                return worker, await self._step(worker.next_answer, deadline=deadline)
            except WorkerDied:
                self._busy.discard(worker)
                if not was_idle:
                    self._leave_place()
                    raise
            except BaseException:
                self._end(worker, reusable=False)
                raise

    def _end(self, worker: Worker, *, reusable: bool) -> None:
        self._busy.discard(worker)
        if reusable:
            self._idle.append(worker)
            self._leave_place()
            return
        worker.kill()
        loop = asyncio.get_running_loop()
        ending = self._executor.submit(worker.stop, 0)  # until it has ended it has its memory
        ending.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._leave_place))

    async def _step(self, call: Callable[..., Any], *arguments: Any, deadline: float) -> Any:
        """Make a blocking call in a thread, and wait for it until the deadline."""
        running = asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):  # wait_for of 3.11 can lose a cancellation
                return await running
        except TimeoutError:
            raise QueryLimitExceeded(
                f"The query took longer than {self._time_max_s:g} s (query_time_max_s) and was ended.",
                "query_time_max_s",
            ) from None

    def stop(self) -> None:
        """End all child processes, busy ones at once."""
        for worker in self._busy:
            worker.kill()
        for worker in self._busy:
            worker.stop(0)  # it may just have been started
        for worker in self._idle:
            worker.stop()
