"""POST /v1/query: {"sql": ..., "parameters": [...], "format": "ndjson" | "csv" | "json" | "arrow"}.

"workgroup" names the rules that hold for it, "full_scan" asks for one where they permit it, and with "dry_run" the
answer is what they say, as JSON.

The answer is streamed. An error before the first piece is answered with its own status. An error after it (a limit that
is reached) closes the connection, so that no client mistakes a part of the answer for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from datawarehouse.errors import BadRequest
from datawarehouse.query.messages import CONTENT_TYPES, End, Head, Piece, QueryOrder
from datawarehouse.server.http import ClientGone, Request, Response

Message = Head | Piece | End
Ask = Callable[[QueryOrder], AsyncGenerator[Message]]
"""Gives the messages of a query's answer, up to its End; raises the errors of queries. Closing it ends the query."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    sql: str
    parameters: list[Any] = []
    format: str = "ndjson"
    workgroup: str = ""
    dry_run: bool = False
    full_scan: bool = False


@dataclass(slots=True)
class Queries:
    ask: Ask

    async def handle(self, request: Request, body: bytes) -> Response:
        """Raises the errors of queries, and ClientGone."""
        order = _order(body)
        messages = _until_gone(self.ask(order), request)
        head = await anext(messages)
        assert isinstance(head, Head)
        first = await anext(messages)
        headers = [(b"x-dw-files", b"%d" % head.files), (b"x-dw-bytes", b"%d" % head.bytes)]
        return Response(200, _pieces(first, messages), CONTENT_TYPES[order.format], headers)


async def _until_gone(messages: AsyncGenerator[Message], request: Request) -> AsyncIterator[Message]:
    """The messages as they come, until the client closes the connection; then the query is ended."""
    gone = asyncio.ensure_future(request.gone())
    try:
        while True:
            coming = asyncio.ensure_future(anext(messages))
            await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                await asyncio.wait((coming,))
                raise ClientGone
            message = await coming
            yield message
            if isinstance(message, End):
                return
    finally:
        gone.cancel()
        await messages.aclose()


async def _pieces(first: Message, rest: AsyncIterator[Message]) -> AsyncIterator[bytes]:
    message = first
    while isinstance(message, Piece):
        yield message.data
        message = await anext(rest)


def _order(body: bytes) -> QueryOrder:
    form = '{"sql": "select ...", "parameters": [...], "format": "' + '" | "'.join(CONTENT_TYPES) + '"}'
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not a query: {error}. Send {form}.") from None
    if asked.format not in CONTENT_TYPES:
        raise BadRequest(f"The format is {asked.format!r}; valid are {', '.join(CONTENT_TYPES)}.")
    form = "json" if asked.dry_run else asked.format
    return QueryOrder(asked.sql, asked.parameters, form, asked.workgroup, asked.dry_run, asked.full_scan)
