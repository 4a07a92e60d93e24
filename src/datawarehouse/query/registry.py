"""All queries of a server: each has an id and a state, can be looked at, and can be ended.

1. Each door asks here, for somebody: `ask` gives the answer as it comes, `submit` keeps it on disk, in pages.
2. A query runs in a task of its own. Ending it cancels that task, and with it the child process that computes.
3. A query whose answer nobody takes any more ends. What became of it can be asked for a while: an answer that was cut
   off does not say why.
4. A stored result goes when it has expired, or, the oldest first, when newer ones need its room.

Everything here happens in the thread of the event loop; files are written and read in another one.
"""

from __future__ import annotations

import asyncio
import secrets
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from datawarehouse.catalog.history import TEXT_CHARACTERS_MAX, Entry
from datawarehouse.clock import Clock
from datawarehouse.definition.instants import written
from datawarehouse.errors import (
    BadRequest,
    DataWarehouseError,
    QueryEnded,
    QueryError,
    QueryFailed,
    QueryLimitExceeded,
    UnknownQuery,
    place_in,
    without_frames,
)
from datawarehouse.query.messages import Answered, Columns, End, Head, Piece, Progress, QueryOrder
from datawarehouse.query.results import Results, Stored

Message = Head | Piece | End
Ask = Callable[[QueryOrder, Callable[[], None]], AsyncGenerator[Answered]]
"""Gives the messages of a query's answer, up to its End; raises the errors of queries. Closing it ends the query. It
calls its second argument when the query no longer waits."""

WAITING, RUNNING, SUCCEEDED, FAILED, ENDED = "waiting", "running", "succeeded", "failed", "ended"
GONE = "whoever asked it has gone"
_AHEAD_MAX = 2  # messages that wait for a slow reader
_KEPT_MAX = 1000


@dataclass(slots=True, eq=False)
class Query:
    """One query. partitions, files, bytes: what it reads. rows: of its result so far. share: of the work that is done,
    None if that is not known. update: Trino's name for what it changes. result: where a submitted one is kept."""

    id: str
    who: str
    workgroup: str
    order: QueryOrder
    asked_ms: int
    state: str = WAITING
    started_ms: int | None = None
    ended_ms: int | None = None
    partitions: int = 0
    files: int = 0
    bytes: int = 0
    rows: int = 0
    share: float | None = None
    columns: Columns | None = None
    update: str = ""
    result: Stored | None = None
    error: Exception | None = None
    ended_because: str = ""
    task: asyncio.Task[None] | None = None
    expiry: asyncio.TimerHandle | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        return self.ended_ms is not None

    async def wait(self, until: Callable[[], bool], limit_s: float) -> None:
        """Wait until something holds, which only a page or the end of this query can bring about."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not until():
                    await self.changed.wait()

    def entry(self) -> Entry:
        """What the history says of it. record: keeps what the history says of a query, which changes when it ends."""
        return Entry(
            self.id,
            self.who,
            self.workgroup,
            self.order.sql,
            self.order.full_scan,
            self.asked_ms,
            self.started_ms,
            self.ended_ms,
            self.state if self.is_over else RUNNING,
            self.partitions,
            self.files,
            self.bytes,
            self.rows,
            str(self.error) if self.error else None,
        )

    def notify(self) -> None:
        """Wake those who wait for a change."""
        self.changed.set()
        self.changed = asyncio.Event()

    def remove_result(self) -> None:
        if self.result:
            self.result.remove()
            self.result = None

    def values(self) -> dict[str, Any]:
        """What JSON says of it."""
        error = self.error
        return {
            "id": self.id,
            "who": self.who,
            "workgroup": self.workgroup,
            "sql": self.order.sql[:TEXT_CHARACTERS_MAX],
            "state": self.state,
            "asked_at": _text(self.asked_ms),
            "started_at": _text(self.started_ms),
            "ended_at": _text(self.ended_ms),
            "progress": {
                "partitions": self.partitions, "files": self.files, "bytes": self.bytes, "rows": self.rows,
                "share": self.share,
            },
            "result": self.result and {
                "format": self.order.format, "pages": len(self.result.ends), "bytes": self.result.size,
            },
            "error": error and {"code": type(error).__name__, "message": str(error), **place_in(str(error))},
        }  # fmt: skip


def unknown(id: str) -> UnknownQuery:
    """What is said of a query that there is not."""
    return UnknownQuery(
        f"There is no query {id!r}, or it is over and its result is no longer kept: it is for query_results_keep_s, "
        "while there is room, and until the server ends. Ask the query again. GET /v1/queries lists those that are "
        "there, and the table query_history has all."
    )


class QueryRegistry:
    def __init__(
        self,
        ask: Ask,
        workgroup_of: Callable[[str], str],
        clock: Clock,
        results: Results,
        files: Executor,
        on_fault: Callable[[Exception], DataWarehouseError],
        record: Callable[[Entry], object],
        *,
        results_bytes_max: int,
        results_keep_s: float,
    ) -> None:
        """workgroup_of: the name of the workgroup that an order names; raises BadRequest. files: where results are
        written and read. on_fault: is called with an unexpected error of a submitted query, and gives what is said of
        it."""
        self._ask = ask
        self._workgroup_of = workgroup_of
        self._clock = clock
        self._results = results
        self._files = files
        self._on_fault = on_fault
        self._record = record
        self._results_bytes_max = results_bytes_max
        self._results_keep_s = results_keep_s
        self._queries: dict[str, Query] = {}
        """Those that are not over, and those whose result is kept, in the order in which they were asked."""
        self._answered: dict[str, Query] = {}
        """The latest of those that are over and have no result."""
        self._unfinished = 0
        self._bytes_kept = 0
        """Of results. Both are counted, since there are many queries and each has several pages."""

    # -- asking

    def ask(self, order: QueryOrder, who: str, id: str | None = None) -> tuple[Query, AsyncIterator[Message]]:
        """A query whose answer comes as it is computed; closing the iterator ends it. Raises BadRequest if there is no
        such workgroup, or there is a query of this id; the iterator raises the errors of queries."""
        coming: asyncio.Queue[Message | None] = asyncio.Queue()
        room = asyncio.Semaphore(_AHEAD_MAX)

        async def put(message: Message) -> None:
            await room.acquire()
            coming.put_nowait(message)

        def finished() -> None:
            self._answered[query.id] = self._queries.pop(query.id)
            query.order = _without_parameters(query.order)
            if len(self._answered) > _KEPT_MAX:
                del self._answered[next(iter(self._answered))]
            coming.put_nowait(None)

        query = self._begin(self._new_id(id), order, who, put, finished)

        async def messages() -> AsyncIterator[Message]:
            try:
                while (message := await coming.get()) is not None:
                    room.release()
                    yield message
                if query.error:
                    raise query.error
            finally:
                self.end(query, GONE)

        return query, messages()

    def submit(self, order: QueryOrder, who: str, id: str | None = None) -> Query:
        """A query whose answer is kept. id: of hexadecimal digits and "-", if a door has its own form of them, or a
        client its own. Raises BadRequest if there is no such workgroup, or there is a query of this id."""

        async def put(message: Message) -> None:
            if isinstance(message, Piece):
                await self._keep(query, message.data)

        def finished() -> None:
            if query.error:
                self._remove_result(query)
                if not isinstance(query.error, DataWarehouseError):
                    query.error = self._on_fault(query.error)
            query.order = _without_parameters(query.order)
            if (too_many := len(self._queries) - self._unfinished - _KEPT_MAX) > 0:
                for each in list(islice(self._over(), too_many)):
                    self._forget(each)
            query.expiry = asyncio.get_running_loop().call_later(self._results_keep_s, self._forget, query)

        self._workgroup_of(order.workgroup)
        id = self._new_id(id)
        stored = self._results.new(id)
        query = self._begin(id, order, who, put, finished)
        query.result = stored
        return query

    def _new_id(self, wanted: str | None) -> str:
        if wanted is not None and (wanted in self._queries or wanted in self._answered):
            raise BadRequest(f"There is a query {wanted!r} already. Give another id, or none.")
        return wanted or secrets.token_hex(8)

    def _begin(
        self,
        id: str,
        order: QueryOrder,
        who: str,
        put: Callable[[Message], Awaitable[None]],
        finished: Callable[[], None],
    ) -> Query:
        query = Query(id, who, self._workgroup_of(order.workgroup), order, self._clock.now_ms())
        self._queries[query.id] = query
        self._unfinished += 1
        self._keep_history(query)
        query.task = asyncio.get_running_loop().create_task(self._run(query, put, finished))
        return query

    async def _run(self, query: Query, put: Callable[[Message], Awaitable[None]], finished: Callable[[], None]) -> None:
        try:
            async with aclosing(self._ask(query.order, lambda: self._started(query))) as messages:
                async for message in messages:
                    match message:
                        case Progress():
                            query.share = max(message.share, query.share or 0.0)
                            continue
                        case Columns():
                            query.columns = message
                            continue
                        case Head():
                            query.partitions, query.files = message.partitions, message.files
                            query.bytes, query.update = message.bytes, message.update
                        case Piece():
                            query.rows = message.rows
                        case End():
                            query.rows, query.share, query.state = message.rows, 1.0, SUCCEEDED
                    await put(message)
        except asyncio.CancelledError:
            query.state, query.error = ENDED, QueryEnded(f"The query was ended: {query.ended_because or GONE}.")
        except Exception as error:
            query.state, query.error = FAILED, error
            if isinstance(error, QueryError) and not error.has_read:
                query.partitions = query.files = query.bytes = 0
        finally:
            query.ended_ms = self._clock.now_ms()
            self._unfinished -= 1
            self._keep_history(query)
            finished()
            if isinstance(query.error, DataWarehouseError):  # of others the log says where they were raised
                without_frames(query.error)
            query.notify()

    def _keep_history(self, query: Query) -> None:
        """A dry run reads nothing, and a page makes one at each pause of who types: it is no query of the history."""
        if not query.order.dry_run:
            self._record(query.entry())

    def _started(self, query: Query) -> None:
        query.state, query.started_ms = RUNNING, self._clock.now_ms()

    # -- looking and ending

    def all(self) -> list[Query]:
        """Those that are not over, and those whose result is kept, in the order in which they were asked."""
        return list(self._queries.values())

    def get(self, id: str) -> Query:
        """One that is listed, or is over and has no result. Raises UnknownQuery."""
        query = self._queries.get(id) or self._answered.get(id)
        if query is None:
            raise unknown(id)
        return query

    def end(self, query: Query, because: str) -> None:
        """End a query at once, wherever it is; nothing if it is over."""
        if not query.is_over and query.state != SUCCEEDED and query.task and not query.ended_because:
            query.ended_because = because
            query.task.cancel()

    def end_or_forget(self, query: Query, because: str) -> None:
        """End a query; of one that is over, remove the result."""
        if query.is_over:
            self._forget(query)
        self.end(query, because)

    def forget_all_of(self, who: str) -> None:
        """Remove the results of somebody's queries, and end what is still to have one: another may get the name."""
        for query in [*self.all(), *self._answered.values()]:
            if query.who == who and (query.is_over or query.result):
                self.end_or_forget(query, "its key was revoked")

    async def page(self, query: Query, number: int) -> bytes:
        """A page of a result, as soon as there is one. Raises the query's error, or UnknownQuery if the result is no
        longer kept."""
        return await self._read(query, lambda stored: stored.page(number))

    async def octets(self, query: Query, begin: int, end: int) -> bytes:
        """The bytes of a result from begin on, without those from end on. Raises what `page` raises."""
        return await self._read(query, lambda stored: stored.octets(begin, end))

    async def _read(self, query: Query, read: Callable[[Stored], bytes]) -> bytes:
        if query.error:
            raise query.error
        if query.result is None:
            raise unknown(query.id)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._files, read, query.result)
        except OSError:
            self._forget(query)
            self.get(query.id)
            raise

    async def lines(self, query: Query, begin: int, end: int, bytes_max: int) -> list[bytes]:
        """Lines of a result in `ndjson` that are there: from one to the one before another, of at most so many bytes,
        but one. Raises the query's error, or UnknownQuery if the result is no longer kept."""
        found: list[bytes] = []
        assert query.result
        if query.error:
            raise query.error
        number = bisect_right(query.result.lines, begin)
        size = 0
        while number < len(query.result.ends) and begin + len(found) < end:
            first = query.result.lines[number - 1] if number else 0
            for line in (await self.page(query, number)).splitlines()[begin + len(found) - first : end - first]:
                size += len(line)
                if found and size > bytes_max:
                    return found
                found.append(line)
            number += 1
        return found

    # -- results that are kept

    async def _keep(self, query: Query, page: bytes) -> None:
        assert query.result
        self._make_room(len(page))
        query.result.size += len(page)
        self._bytes_kept += len(page)
        try:
            await asyncio.get_running_loop().run_in_executor(self._files, query.result.append, page)
        except OSError as error:
            raise QueryFailed(f"The result of the query cannot be kept: {error.strerror}.") from None
        query.notify()

    def _make_room(self, bytes: int) -> None:
        """Forget results, the oldest first, until there is room for so many bytes."""
        while self._bytes_kept + bytes > self._results_bytes_max:
            oldest = next(self._over(), None)
            if oldest is None:
                raise QueryLimitExceeded(
                    f"The results of queries that are kept would have more than {self._results_bytes_max} bytes "
                    "(query_results_bytes_max). Aggregate, add LIMIT, or ask by POST /v1/query, which keeps nothing.",
                    "query_results_bytes_max",
                )
            self._forget(oldest)

    def _over(self) -> Iterator[Query]:
        """Those that are over and listed, the oldest first."""
        return (query for query in self._queries.values() if query.is_over)

    def _remove_result(self, query: Query) -> None:
        if query.result:
            self._bytes_kept -= query.result.size
        query.remove_result()

    def _forget(self, query: Query) -> None:
        self._remove_result(query)
        if query.expiry:
            query.expiry.cancel()
        self._queries.pop(query.id, None)
        self._answered.pop(query.id, None)


def _without_parameters(order: QueryOrder) -> QueryOrder:
    """What is kept of an order that is done."""
    return msgspec.structs.replace(order, sql=order.sql[:TEXT_CHARACTERS_MAX], parameters=[])


def _text(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else written(instant_ms)
