"""The limits that the connections of one server share, whatever they speak, and how a connection is closed gently."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from uvicorn.server import ServerState

from datawarehouse.server.http import Response, error_response

HEAD_BYTES_MAX = 64 * 1024
HEADERS_MAX = 200
TOO_LARGE_A_HEAD = (
    f"The headers of a request may have {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} lines, and these have more."
)
LINGER_S, _LINGERING_MAX = 0.5, 128


class Lingering:
    """The connections that get their last answer, and are closed in a moment.

    Closing at once would reset the connection of a client that is still sending, which then loses the answer.
    """

    def __init__(self) -> None:
        self._protocols: set[asyncio.BaseProtocol] = set()

    def admit(self, protocol: asyncio.BaseProtocol, transport: asyncio.Transport) -> bool:
        """Whether there is room for one more; if so, it is closed in a moment, whatever happens."""
        if len(self._protocols) >= _LINGERING_MAX or not transport.can_write_eof():
            return False
        self._protocols.add(protocol)
        asyncio.get_running_loop().call_later(LINGER_S, transport.close)
        return True

    def replace(self, protocol: asyncio.BaseProtocol, other: asyncio.BaseProtocol) -> None:
        """Another protocol goes on with the same connection."""
        self._protocols.remove(protocol)
        self._protocols.add(other)

    def close(self, protocol: asyncio.BaseProtocol, transport: asyncio.Transport) -> None:
        """Close a connection on which nothing more is written; at once where there is no room."""
        if transport.is_closing():
            return
        if protocol in self._protocols or self.admit(protocol, transport):
            transport.write_eof()
        else:
            transport.close()

    def is_lost(self, protocol: asyncio.BaseProtocol) -> None:
        """To be called when a connection is lost."""
        self._protocols.discard(protocol)


@dataclass(slots=True)
class Shared:
    """What the connections of one server have in common."""

    connections_max: int
    request_time_max_s: float
    on_refused: Callable[[str, str], None] = lambda code, message: None
    """Called with the code and the message of an error that ends a connection, or a request before it begins."""
    lingering: Lingering = field(default_factory=Lingering)
    requests_beside: int = 0
    """Requests under way over HTTP/2 beside the first of each connection."""

    def say(self, answer: Response) -> None:
        """Report an answer that was not the application's."""
        if answer.error:
            self.on_refused(*answer.error)

    def room(self, state: ServerState) -> int:
        """How many more connections, or requests beside the first of one, there may be."""
        return self.connections_max - len(state.connections) - self.requests_beside

    def refusal(self) -> Response:
        """The answer to those for whom there is no room."""
        message = (
            f"{self.connections_max} connections are open (connections_max, which counts each further request of an "
            "HTTP/2 connection as one); close some, or try again."
        )
        return error_response(503, "Unreachable", message, [(b"retry-after", b"1")])

    def timeout(self) -> Response:
        """The answer to a request that does not come to its end."""
        limit = f"{self.request_time_max_s:g} s (request_time_max_s)"
        return error_response(408, "RequestTimeout", f"The request was not complete after {limit}.")
