"""Queries over HTTP, each of which the registry knows.

    POST   /v1/query                  {"sql": ..., "parameters": [...], "format": "ndjson" | "csv" | ...}
    POST   /v1/queries                the same; the answer is kept, and fetched in pages
    GET    /v1/queries                those that wait or run, and those whose result is kept
    GET    /v1/queries/<id>           its state
    GET    /v1/queries/<id>/pages/<n> a page of its result, from 0 on
    GET    /v1/queries/<id>/rows      some of its rows, from ?offset= on, of a result in ndjson
    GET    /v1/query                  ?sql=...&format=...: as POST, as a file for a browser to save
    DELETE /v1/queries/<id>           ends it at once; of one that is over, removes the result

"workgroup" names the rules that hold for it, "full_scan" asks for one where they permit it, and with "dry_run" the
answer is what they say, as JSON.

The answer of /v1/query is streamed. An error before the first piece is answered with its own status. An error after it
(a limit that is reached) closes the connection, so that no client mistakes a part of the answer for the whole.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from datawarehouse.access.identity import OWNER, Identity
from datawarehouse.definition.workgroups import PRODUCTION
from datawarehouse.errors import AccessDenied, BadRequest, QueryEnded
from datawarehouse.query.messages import CONTENT_TYPES, Columns, Head, Piece, QueryOrder
from datawarehouse.query.registry import GONE, Message, Query, QueryRegistry, unknown
from datawarehouse.server.bodies import QueryBody
from datawarehouse.server.http import JSON, ClientGone, Request, Response, error_response, json_response
from datawarehouse.sql.catalogs import Session
from datawarehouse.sql.names import LOCAL, Asker

_ONE = re.compile(r"/v1/queries/([0-9a-f-]+)(?:/(?:pages/([0-9]{1,9})|(rows)))?")
_WAIT_S_MAX = 60
_ASK_AGAIN_S = 1
_ROWS_BYTES_MAX = 8 * 1024 * 1024
_GOING_ON_MAX = 20
_WINDOW, _WINDOW_MAX, _OFFSET_MAX = 100, 1000, 2**53
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(slots=True)
class Queries:
    registry: QueryRegistry
    workgroup_of_people: Callable[[], Awaitable[str]]
    """The workgroup of somebody who names none, by the size of what is stored."""

    async def handle(self, request: Request, body: bytes) -> Response:
        """Answer a query as it is computed. Raises the errors of queries, and ClientGone."""
        asked, order = await self._order(body, request.identity)
        query, messages = self.registry.ask(order, who_asks(request.identity), asked.id)
        gone = asyncio.ensure_future(request.gone())

        def end(done: asyncio.Future[None]) -> None:
            if not done.cancelled():
                self.registry.end(query, GONE)

        gone.add_done_callback(end)
        coming = _until_gone(messages, gone)
        head = await anext(coming)
        assert isinstance(head, Head)
        first = await anext(coming)
        headers = [(b"x-dw-query", query.id.encode()), (b"x-dw-files", b"%d" % head.files),
                   (b"x-dw-bytes", b"%d" % head.bytes)]  # fmt: skip
        return Response(200, _pieces(first, coming), CONTENT_TYPES[order.format], headers)

    async def download(self, request: Request) -> Response:
        """Answer a query that is in the URL, as a file for a browser to save."""
        asked = request.options()
        form = asked.get("format", "csv")
        body = {"sql": asked.get("sql", ""), "format": form, "workgroup": asked.get("workgroup", "")}
        response = await self.handle(request, msgspec.json.encode(body))
        name = _UNSAFE.sub("_", asked.get("download", ""))[:100] or "result"
        response.headers.append((b"content-disposition", f'attachment; filename="{name}.{form}"'.encode()))
        return response

    async def _window(self, query: Query, request: Request) -> Response:
        """Some rows of a result, wherever they are in it."""
        offset = request.whole("offset", 0, 0, _OFFSET_MAX)
        limit = request.whole("limit", _WINDOW, 1, _WINDOW_MAX)
        if query.order.format != "ndjson" or (query.result is None and not query.is_over):
            raise BadRequest(f"The query {query.id} has no rows to look at: submit it with the format ndjson.")

        def has_it() -> bool:
            there = query.result.lines[-1] if query.result and query.result.lines else 0
            return query.is_over or there >= offset + limit

        await self._waited(query, request, has_it)
        result = query.result
        if not query.is_over and not (result and result.lines):
            return json_response(202, query.values(), [(b"retry-after", b"%d" % _ASK_AGAIN_S)])
        if query.error:
            raise query.error
        if result is None:
            raise unknown(query.id)
        lines = await self.registry.lines(query, offset, offset + limit, _ROWS_BYTES_MAX)
        columns = query.columns or Columns([], [])
        values = (msgspec.json.decode(line, type=dict[str, msgspec.Raw]).values() for line in lines)
        return json_response(
            200,
            {
                "columns": columns.names,
                "types": columns.types,
                "offset": offset,
                "rows": [list(row) for row in values],
                "total": result.lines[-1] if result.lines else 0,
                "is_complete": query.is_over,
            },
        )

    async def rows(self, request: Request, sql: str, parameters: Sequence[str]) -> list[dict[str, Any]]:
        """The first rows of a small answer for a page, as who sends the request may ask for them: up to a number of
        bytes. Raises the errors of queries, and ClientGone."""
        order = order_of(QueryBody(sql, list(parameters)), request.identity)
        _, messages = self.registry.ask(order, who_asks(request.identity))
        gone = asyncio.ensure_future(request.gone())
        lines = bytearray()
        async with aclosing(_until_gone(messages, gone)) as coming:
            async for message in coming:
                if isinstance(message, Piece):
                    lines += message.data
                if len(lines) >= _ROWS_BYTES_MAX:
                    break
        return [msgspec.json.decode(line) for line in lines.splitlines()]

    def going_on(self, identity: Identity) -> list[dict[str, Any]]:
        """Those that wait or run and that somebody may see, the oldest first; no dry runs, which read nothing."""
        seen = [each for each in self.registry.all() if not each.is_over and may_see(identity, each)]
        return [each.values() for each in seen if not each.order.dry_run][:_GOING_ON_MAX]

    async def route(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        """Answer a request below /v1/queries. Raises the errors of queries."""
        identity = request.identity
        who = who_asks(identity)
        if request.path == "/v1/queries":
            if request.method == "POST":
                asked, order = await self._order(await body(), identity)
                return json_response(202, self.registry.submit(order, who, asked.id).values())
            if request.method == "GET":
                seen = [query.values() for query in self.registry.all() if may_see(identity, query)]
                return json_response(200, {"queries": seen})
            return _not_allowed(b"GET, POST")
        found = _ONE.fullmatch(request.path)
        if not found:
            return error_response(404, "NotFound", f"There is no {request.method} {request.path}.")
        query = self.registry.get(found[1])
        if not may_see(identity, query):
            raise unknown(query.id)
        match request.method, found[3] or found[2]:
            case "GET", "rows":
                return await self._window(query, request)
            case "GET", None:
                await self._waited(query, request, lambda: query.is_over)
                return json_response(200, query.values())
            case "GET", number:
                return await self._page(query, request, int(number))
            case "DELETE", None:
                self.registry.end_or_forget(query, f"{who} asked for that")
                await query.wait(lambda: query.is_over, _WAIT_S_MAX)
                return json_response(200, query.values())
            case _:
                return _not_allowed(b"GET" if found[2] or found[3] else b"GET, DELETE")

    async def _order(self, body: bytes, identity: Identity) -> tuple[QueryBody, QueryOrder]:
        """A body, and its query. Raises BadRequest, and what `order_of` raises."""
        asked = _decoded(body)
        if asked.workgroup is None:
            asked.workgroup = identity.workgroup or await self.workgroup_of_people()
        return asked, order_of(asked, identity)

    async def _page(self, query: Query, request: Request, number: int) -> Response:
        def has_it() -> bool:
            return query.is_over or query.result is None or len(query.result.ends) > number

        if query.result is None and not query.is_over:
            raise BadRequest(f"The query {query.id} was not submitted: whoever asked it gets its result, in no pages.")
        await self._waited(query, request, has_it)
        if not has_it():
            return json_response(202, query.values(), [(b"retry-after", b"%d" % _ASK_AGAIN_S)])
        if query.result and number >= len(query.result.ends):
            raise BadRequest(f"The result has the pages 0 to {len(query.result.ends) - 1}, and no page {number}.")
        return Response(200, await self.registry.page(query, number), CONTENT_TYPES.get(query.order.format, JSON))

    async def _waited(self, query: Query, request: Request, done: Callable[[], bool]) -> None:
        """Wait until it is done, as long as the request says (`?wait_s=`)."""
        await query.wait(done, request.whole("wait_s", 0, 0, _WAIT_S_MAX))


async def _until_gone(messages: AsyncIterator[Message], gone: asyncio.Future[None]) -> AsyncGenerator[Message]:
    """The messages as they come. Raises ClientGone when the client has closed the connection; the query has then
    ended."""
    try:
        async for message in messages:
            yield message
    except QueryEnded:
        if gone.done():
            raise ClientGone from None
        raise
    finally:
        gone.cancel()


async def _pieces(first: Message, rest: AsyncIterator[Message]) -> AsyncIterator[bytes]:
    message = first
    while isinstance(message, Piece):
        yield message.data
        message = await anext(rest)


def _not_allowed(methods: bytes) -> Response:
    return error_response(405, "MethodNotAllowed", f"Use {methods.decode()}.", [(b"allow", methods)])


def who_asks(identity: Identity) -> str:
    """Whose query it is. Where there are no keys, all are the owner's."""
    return identity.name or OWNER.name


def may_see(identity: Identity, query: Query) -> bool:
    """A key sees its own queries; who may administer, and whoever asks where there are no keys, sees all."""
    return not identity.name or identity.rights.may_administer or query.who == identity.name


def _decoded(body: bytes) -> QueryBody:
    """Raises BadRequest."""
    form = '{"sql": "select ...", "parameters": [...], "format": "' + '" | "'.join(CONTENT_TYPES) + '"}'
    try:
        asked = msgspec.json.decode(body, type=QueryBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not a query: {error}. Send {form}.") from None
    try:
        msgspec.msgpack.encode(asked.parameters)  # as the process that answers gets them
    except OverflowError:
        raise BadRequest(
            "A parameter has a whole number beyond 64 bits. Send it as a text, and cast it: cast(? as decimal(38, 0))."
        ) from None
    if asked.format not in CONTENT_TYPES:
        raise BadRequest(f"format is {asked.format!r}; valid are {', '.join(CONTENT_TYPES)}.")
    return asked


def asker_of(identity: Identity, user: str = "") -> Asker:
    """Whose scratch a statement writes in: that of its key, or the local user's. user: what a client without a key
    calls itself."""
    if identity.name in ("", OWNER.name):
        return LOCAL._replace(user=user or OWNER.name)
    return Asker(identity.name, identity.workgroup or PRODUCTION, identity.name)


def order_of(asked: QueryBody, identity: Identity, session: Session | None = None, user: str = "") -> QueryOrder:
    """A query that counts for the rate of a key. user: what a client without a key calls itself. Raises AccessDenied
    for what the key may not do, or Throttled."""
    if not identity.rights.may_query:
        raise AccessDenied(f"The key {identity.name!r} does not have the right 'query', which this needs.")
    if identity.workgroup and asked.workgroup not in (None, "", identity.workgroup):
        raise AccessDenied(
            f"The key {identity.name!r} is for the workgroup {identity.workgroup!r}, and the query names "
            f"{asked.workgroup!r}. Leave that out, or use another key."
        )
    identity.admit("queries_per_min")
    identity.take(queries_per_min=1)
    tables = identity.rights.queryable
    return QueryOrder(
        asked.sql,
        asked.parameters,
        "json" if asked.dry_run else asked.format,
        identity.workgroup or asked.workgroup or "",
        asked.dry_run,
        asked.full_scan,
        tables=None if tables is None else sorted(tables),
        session=session,
        asker=asker_of(identity, user),
    )
