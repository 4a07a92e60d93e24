"""A request and a response as the routes use them, on top of ASGI (asgi.readthedocs.io, HTTP)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from datawarehouse.access.identity import NOBODY, Identity
from datawarehouse.errors import BadRequest, BodyTooLarge, Unreachable

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

JSON = "application/json"

_LARGE_BYTES = 256 * 1024


def ends_with_its_client(scope: Mapping[str, Any]) -> bool:
    """Whether nobody wants an answer whose client has closed its side of the connection: a query, or a page that waits.
    What others have sent may be stored by now."""
    path: bytes = scope["raw_path"]
    return path == b"/v1/query" or (scope["method"] == "GET" and path.startswith(b"/v1/tables/"))


class ClientGone(Exception):
    """The client closed the connection before the request was complete."""


class AnswerCutOff(Exception):
    """An answer failed after it had begun: its connection has to be closed. The log has the reason already."""


@dataclass(slots=True)
class LargeBodies:
    """How many bytes the large bodies of requests under way have together.

    Of smaller ones the number of connections is limit enough.
    """

    bytes_max: int
    bytes: int = 0

    def add(self, size: int) -> None:
        """Raises Unreachable if that is more than there may be; nothing is added then."""
        if self.bytes + size > self.bytes_max:
            raise Unreachable(
                f"Requests of more than {_LARGE_BYTES} bytes that are under way have {self.bytes_max} bytes together, "
                "and this one was not taken. Send it again later, or in smaller parts."
            )
        self.bytes += size


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query_string: str
    headers: Mapping[bytes, bytes]
    receive: Receive
    raw_path: bytes = b""
    """As it came, before it was decoded."""
    scheme: str = "http"
    peer: str = ""
    """The address that the connection comes from."""
    service: str = ""
    """The service of AWS that it is for, by its name in signatures."""
    identity: Identity = NOBODY
    key_name: str = ""
    """The key that it names, whether or not it has its secret."""
    audited: str = ""
    """What it asks for, in the words of the audit."""
    cors_origin: str = ""
    """The origin of a page that may read the answer."""
    body_bytes_max: int | None = None
    """A limit of its own, below the one that all have."""
    arrived: bytes | None = None
    """The body, if it was read already; `body` gives it away."""
    large_bytes: int = 0
    """What its body counts in LargeBodies; whoever has answered it takes it out."""

    @classmethod
    def of(cls, scope: Mapping[str, Any], receive: Receive) -> Request:
        query, given = scope["query_string"].decode("latin-1"), scope["headers"]
        headers = dict(given)
        if len(headers) < len(given):  # several hosts are no host, and HTTP/2 may cut a cookie (RFC 9113, 8.2.3)
            headers[b"host"] = b", ".join(value for name, value in given if name == b"host")
            if cookies := [value for name, value in given if name == b"cookie"]:
                headers[b"cookie"] = b"; ".join(cookies)
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        raw_path, scheme = bytes(scope["raw_path"]), scope.get("scheme", "http")
        return cls(scope["method"], scope["path"], query, headers, receive, raw_path, scheme, peer)

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def content_type(self) -> str:
        return self.header(b"content-type").split(";")[0].strip().lower()

    def option(self, name: str) -> str:
        """A parameter of the query string, or an empty text."""
        return parse_qs(self.query_string).get(name, [""])[-1]

    def options(self) -> dict[str, str]:
        """The parameters of the query string, those without a value too."""
        return {name: values[-1] for name, values in parse_qs(self.query_string, keep_blank_values=True).items()}

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number of the query string. Raises BadRequest."""
        given = self.options().get(name)
        if given is None:
            return default
        if not (given.isascii() and given.isdigit() and len(given) < 20) or not low <= int(given) <= high:
            raise BadRequest(f"{name} is {given!r}; valid is a whole number from {low} to {high}.")
        return int(given)

    def one_of(self, name: str, valid: tuple[str, ...]) -> str:
        """A word of the query string, by default the first one. Raises BadRequest."""
        given = self.options().get(name, valid[0])
        if given not in valid:
            raise BadRequest(f"{name} is {given!r}; valid are {', '.join(valid)}.")
        return given

    async def body(self, bytes_max: int, large: LargeBodies) -> bytes:
        """The whole body.

        Raises BodyTooLarge as soon as the size is known to be too large, Unreachable as soon as there is no room for so
        large a body, or ClientGone.
        """
        if self.arrived is not None:
            arrived, self.arrived = self.arrived, None
            return arrived
        bytes_max = min(bytes_max, self.body_bytes_max or bytes_max)
        announced = self.header(b"content-length")
        if announced.isdigit() and int(announced) > bytes_max:
            raise _too_large(bytes_max)
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > bytes_max:
                raise _too_large(bytes_max)
            if size > _LARGE_BYTES:
                large.add(size - self.large_bytes)
                self.large_bytes = size
            if not message.get("more_body"):
                return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    async def gone(self) -> None:
        """Return when the client has closed the connection. Call it after `body`."""
        while (await self.receive())["type"] != "http.disconnect":
            continue


def _too_large(bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {bytes_max} bytes (request_bytes_max); nothing was taken. Send it in smaller parts."
    )


@dataclass(slots=True)
class Response:
    """body: the whole body, or an iterator of its pieces. error: the code and the message of an answer that is one."""

    status: int
    body: bytes | AsyncIterator[bytes]
    content_type: str = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    error: tuple[str, str] | None = None

    async def send(self, send: Send) -> None:
        headers = [(b"content-type", self.content_type.encode()), *self.headers]
        if isinstance(self.body, bytes):
            headers.append((b"content-length", b"%d" % len(self.body)))
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            await send({"type": "http.response.body", "body": self.body})
            return
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        async for piece in self.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def json_response(status: int, value: Any, headers: list[tuple[bytes, bytes]] | None = None) -> Response:
    return Response(status, msgspec.json.encode(value) + b"\n", headers=headers or [])


def error_response(
    status: int,
    code: str,
    message: str,
    headers: list[tuple[bytes, bytes]] | None = None,
    place: Mapping[str, int] | None = None,
) -> Response:
    """{"error": {"code": ..., "message": ...}}; the message says what to do next. place: where in a statement."""
    response = json_response(status, {"error": {"code": code, "message": message, **(place or {})}}, headers)
    response.error = code, message
    return response
