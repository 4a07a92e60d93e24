"""Accepts connections and does the handshake of TLS, with a limit of time, and counted: those who open connections and
say nothing use up neither the places nor the descriptors of the process.

asyncio's own servers know a connection with TLS only once its handshake is done.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from uvicorn.server import ServerState

from datawarehouse.runtime.connection_limits import Shared

log = logging.getLogger("datawarehouse.server")

_HANDSHAKE_S = 10.0
_BACKLOG = 2048  # as uvicorn has it
_PAUSE_S = 0.5


def accept(
    bound: socket.socket,
    context: ssl.SSLContext,
    shared: Shared,
    state: ServerState,
    new_protocol: Callable[[], asyncio.Protocol],
) -> asyncio.Task[None]:
    """Listen, and accept connections until the task is cancelled. new_protocol: goes on when a handshake is done."""
    bound.setblocking(False)
    bound.listen(_BACKLOG)
    return asyncio.get_running_loop().create_task(_accept(bound, context, shared, state, new_protocol))


async def _accept(
    bound: socket.socket,
    context: ssl.SSLContext,
    shared: Shared,
    state: ServerState,
    new_protocol: Callable[[], asyncio.Protocol],
) -> None:
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[None]] = set()
    try:
        while True:
            try:
                accepted, _ = await loop.sock_accept(bound)
            except OSError as error:  # no descriptor is left, or the client has gone already
                log.warning("a connection could not be accepted: %s", error)
                await asyncio.sleep(_PAUSE_S)
                continue
            if shared.room(state) <= len(under_way):
                shared.say(shared.refusal())
                accepted.close()
                continue
            task = loop.create_task(_shake_hands(accepted, context, new_protocol))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
    finally:
        for task in under_way:
            task.cancel()


async def _shake_hands(
    accepted: socket.socket, context: ssl.SSLContext, new_protocol: Callable[[], asyncio.Protocol]
) -> None:
    accepted.setblocking(False)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            new_protocol, accepted, ssl=context, ssl_handshake_timeout=_HANDSHAKE_S
        )
    except (TimeoutError, OSError) as error:  # ssl.SSLError is an OSError
        log.debug("a handshake of TLS failed: %s", error)
        accepted.close()
