"""The producer for asyncio: the same, and nothing of it blocks the event loop."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from datawarehouse.errors import Throttled
from datawarehouse.intake.encoding import Event, records_of
from datawarehouse.producer.batch import Delivery, wake
from datawarehouse.producer.producer import Counts, Producer


class AsyncProducer:
    """As `Producer`, with the same arguments, for a program of asyncio. `put` returns as soon as there is room; `await`
    what it returns to know what became of the event."""

    def __init__(self, table: str, **arguments: Any) -> None:
        self._producer = Producer(table, **arguments)

    async def put(self, event: Event, partition_key: str | None = None) -> Delivery:
        """As `Producer.put`; a call that is cancelled took nothing."""
        [record] = records_of([event])
        while True:
            try:
                return self._producer.put(record, partition_key, timeout_s=0)
            except Throttled:
                await self._when(lambda call: self._producer.call_when_room(call, self._producer.room_for(record)))

    async def flush(self) -> None:
        """As `Producer.flush`."""
        await self._when(self._producer.call_when_settled)
        self._producer.raise_given_up()

    async def close(self) -> None:
        """As `Producer.close`."""
        self._producer.take_no_more()  # else the call below waits for what others put meanwhile
        await self._when(self._producer.call_when_settled)
        self._producer.close()

    def counts(self) -> Counts:
        return self._producer.counts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @staticmethod
    async def _when(ask: Any) -> None:
        loop = asyncio.get_running_loop()
        happened: asyncio.Future[None] = loop.create_future()
        ask(lambda: wake(loop, happened))
        await happened
