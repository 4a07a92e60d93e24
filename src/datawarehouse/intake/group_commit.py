"""Group commit for an event loop: requests wait, and one thread writes and syncs for all of them."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from datawarehouse.intake.intake import Intake, Stream, outcome
from datawarehouse.journal.block import Entry
from datawarehouse.journal.opening import Appended


class GroupCommit:
    """Appends entries for the coroutines of one event loop. While a group is synced, the next one gathers."""

    def __init__(self, intake: Intake, executor: Executor) -> None:
        """executor: runs the blocking work, in one thread for each busy stream."""
        self._intake = intake
        self._executor = executor
        self._flushing: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, stream: Stream, entry: Entry) -> tuple[Appended, bool]:
        """Return when the entry is durable: (its place, whether it was sent before). Raises Throttled."""
        loop = asyncio.get_running_loop()
        durable = loop.create_future()

        def resolve() -> None:
            if not durable.done():
                durable.set_result(None)

        def done() -> None:
            loop.call_soon_threadsafe(resolve)

        pending = self._intake.begin(stream, entry, done)
        if stream.name not in self._flushing:
            self._flushing.add(stream.name)
            task = loop.create_task(self._flush(loop, stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await durable
        return outcome(pending.ticket), pending.again

    async def _flush(self, loop: asyncio.AbstractEventLoop, stream: Stream) -> None:
        try:
            while stream.journal.has_queued:
                try:
                    flushed = loop.run_in_executor(self._executor, stream.journal.flush)
                except RuntimeError:  # the system gives no more threads; nobody else would write what is queued
                    stream.journal.flush()
                else:
                    await flushed
        finally:
            self._flushing.discard(stream.name)
