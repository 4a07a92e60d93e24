"""POST /v1/admin/backup: {"to": ..., "kept": ...}, answered by lines of JSON while the back-up is made.

`{"progress": {...}}` comes now and then, and at last `{"made": {...}}` or `{"error": {"code": ..., "message": ...}}`.
An error before the first line has its own status. When the client closes the connection, the back-up ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import msgspec

from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.server.bodies import BackupBody
from datawarehouse.server.http import ClientGone, Request, Response

Make = Callable[[str, int], AsyncGenerator[dict[str, Any]]]
"""Makes a back-up in a folder, of which so many stay, and gives the lines of the answer; closing it ends that."""


async def handle(make: Make, request: Request, body: bytes) -> Response:
    """Raises the errors of back-ups, and ClientGone."""
    try:
        asked = msgspec.json.decode(body, type=BackupBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f'The body is not {{"to": folder, "kept": number}}: {error}.') from None
    lines = _until_gone(make(asked.to, asked.kept), request)
    return Response(200, _encoded(await anext(lines), lines), "application/x-ndjson")


async def _until_gone(lines: AsyncGenerator[dict[str, Any]], request: Request) -> AsyncIterator[dict[str, Any]]:
    gone = asyncio.ensure_future(request.gone())
    try:
        while True:
            coming = asyncio.ensure_future(anext(lines, None))
            await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                await asyncio.wait((coming,))
                raise ClientGone
            line = await coming
            if line is None:
                return
            yield line
    finally:
        gone.cancel()
        await lines.aclose()


async def _encoded(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    yield _line(first)
    try:
        async for each in rest:
            yield _line(each)
    except DataWarehouseError as error:
        yield _line({"error": {"code": type(error).__name__, "message": str(error)}})


def _line(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value) + b"\n"
