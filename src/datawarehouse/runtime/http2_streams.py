"""One stream of an HTTP/2 connection: a request, and its answer by the application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import httptools
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from datawarehouse.runtime.connection_limits import HEAD_BYTES_MAX, HEADERS_MAX, LINGER_S, TOO_LARGE_A_HEAD, Shared
from datawarehouse.runtime.http2_frames import FRAME_BYTES_MAX
from datawarehouse.runtime.http2_link import Link
from datawarehouse.server.http import AnswerCutOff, Response, error_response

log = logging.getLogger("datawarehouse.server")

Headers = list[tuple[bytes, bytes]]
Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Stream:
    """One request and its answer: `receive` and `send` of ASGI (asgi.readthedocs.io, HTTP)."""

    def __init__(self, link: Link, number: int, scope: dict[str, Any], shared: Shared, more_headers: Headers) -> None:
        """more_headers: what each answer has beside its own."""
        self.link, self.number, self.scope = link, number, scope
        self._shared, self._more_headers = shared, more_headers
        self.is_complete = self.is_given_up = False
        self.window = asyncio.Event()
        """Set when the client may have given more window."""
        self._expects_100 = (b"expect", b"100-continue") in scope["headers"]
        self._pieces: list[bytes] = []
        self._arrived = asyncio.Event()
        self._has_given_all = self._is_started = self._is_answered = False
        self._timeout: Response | None = None
        self._timer = link.loop.call_later(shared.request_time_max_s, self._took_too_long)

    async def answer(self, app: Application, refusal: Response | None) -> None:
        """Answer, by the application or with a refusal, or reset the stream."""
        try:
            if refusal is None:
                await app(self.scope, self.receive, self.send)
            answer = refusal or self._timeout
            if answer is not None and not self._is_started:
                self._shared.say(answer)
                await answer.send(self._send)
            await self._throw_the_rest_away()
        except AnswerCutOff:
            pass  # which resets the stream
        except Exception as error:
            if not self.is_given_up:
                log.error("%(method)s %(raw_path)s could not be answered to its end", self.scope, exc_info=error)
        finally:
            self._end()

    async def _throw_the_rest_away(self) -> None:
        """Of an answer before the end of the body: many clients look at it only when all is sent, and lose it at a
        reset."""
        if not self._is_answered:
            return
        self.link.has_read(self.number, sum(map(len, self._pieces)))
        self._pieces = []
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not (self.is_complete or self.is_given_up):
                    self._arrived.clear()
                    await self._arrived.wait()

    def _end(self) -> None:
        self._timer.cancel()
        if not self._is_answered and not self.is_given_up:
            self.link.reset(self.number, ErrorCodes.INTERNAL_ERROR)
        elif self._is_answered and not self.is_complete:
            self.link.reset(self.number, ErrorCodes.NO_ERROR)  # the rest of the body is not wanted
        self.link.has_read(self.number, sum(map(len, self._pieces)))

    # -- what the client sends

    def take(self, data: bytes) -> bool:
        """Whether the body is still read; `has_read` is called for it then."""
        if self.is_given_up or self._is_answered:
            return False
        if data:
            self._pieces.append(data)
            self._arrived.set()
        return True

    def complete(self) -> None:
        self.is_complete = True
        self._timer.cancel()
        self._arrived.set()

    def give_up(self) -> None:
        """The client has gone, or the answer is not for the application to give."""
        self.is_given_up = True
        self._timer.cancel()
        self._arrived.set()
        self.window.set()

    def _took_too_long(self) -> None:
        if not self._is_started:
            self._timeout = self._shared.timeout()
            self._arrived.set()

    async def receive(self) -> Mapping[str, Any]:
        if self._expects_100 and not self._pieces and not self.is_complete and not self.is_given_up:
            with suppress(ProtocolError):
                self.link.library.send_headers(self.number, [(b":status", b"100")])
            self.link.flush_soon()
        self._expects_100 = False
        while True:
            if self.is_given_up or self._is_answered or self._timeout:
                return {"type": "http.disconnect"}
            if self._pieces or (self.is_complete and not self._has_given_all):
                break
            self._arrived.clear()
            await self._arrived.wait()
        body, self._pieces = b"".join(self._pieces), []
        self._has_given_all = self.is_complete
        self.link.has_read(self.number, len(body))
        return {"type": "http.request", "body": body, "more_body": not self.is_complete}

    # -- what is answered

    async def send(self, message: Mapping[str, Any]) -> None:
        if self._timeout is None:
            await self._send(message)

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self.link.writable.wait()
        if self.is_given_up:
            return
        try:
            if message["type"] == "http.response.start":
                self._start(message)
            elif self.scope["method"] != "HEAD":
                await self._send_body(message.get("body", b""), not message.get("more_body", False))
        except ProtocolError:  # the client has reset the stream
            self.give_up()

    def _start(self, message: Mapping[str, Any]) -> None:
        self._is_started = True
        self._is_answered = is_all = self.scope["method"] == "HEAD"
        own = [each for each in message["headers"] if each[0] != b"connection"]  # RFC 9113, 8.2.2
        headers = [(b":status", b"%d" % message["status"]), *self._more_headers, *own]
        self.link.library.send_headers(self.number, headers, end_stream=is_all)
        self.link.flush_soon()

    async def _send_body(self, body: bytes, is_last: bool) -> None:
        link, library = self.link, self.link.library
        at, limit_s = 0, self._shared.request_time_max_s
        deadline, at_then = link.loop.time() + limit_s, 0
        while at < len(body) or is_last:
            async with link.turn:
                await link.writable.wait()
                if self.is_given_up:
                    return
                self.window.clear()
                room = min(library.local_flow_control_window(self.number), FRAME_BYTES_MAX)
                part = body[at : at + room] if room > 0 else b""
                at += len(part)
                ends = is_last and at == len(body)
                if part or ends:
                    library.send_data(self.number, part, end_stream=ends)
                    link.frames.carried(len(part))
                    link.flush()
            if ends:
                self._is_answered = True
                self._arrived.set()
                return
            if at - at_then >= FRAME_BYTES_MAX:
                deadline, at_then = link.loop.time() + limit_s, at
            if not part and not await self._more_window(deadline):
                return

    async def _more_window(self, deadline: float) -> bool:
        """Wait until the client gives more window; False if it does not, or has gone."""
        try:
            async with asyncio.timeout_at(deadline):
                await self.window.wait()
        except TimeoutError:
            self.link.reset(self.number, ErrorCodes.CANCEL)
            self.give_up()
        return not self.is_given_up


def scope_of(given: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, Any], Response | None]:
    """The scope of a request, and the answer if it is one that the application does not get."""
    headers: Headers = []
    pseudo: dict[bytes, bytes] = {}
    size = 0
    for name, value in given:
        size += len(name) + len(value) + 32  # RFC 9113, 6.5.2
        if name.startswith(b":"):
            pseudo[name] = value
        else:
            headers.append((name, value))
    authority, method = pseudo.get(b":authority"), pseudo[b":method"].decode("latin-1")
    if authority is not None:
        headers = [(b"host", authority), *(each for each in headers if each[0] != b"host")]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "scheme": "http",
        "method": method,
        "root_path": "",
        "headers": headers,
        "path": "",
        "raw_path": pseudo.get(b":path", b""),
        "query_string": b"",
    }
    if len(headers) > HEADERS_MAX or size > HEAD_BYTES_MAX:
        return scope, error_response(431, "HeadersTooLarge", TOO_LARGE_A_HEAD)
    try:
        url = httptools.parse_url(scope["raw_path"])
        scope |= {
            "path": unquote(url.path.decode("ascii")),
            "raw_path": url.path,
            "query_string": url.query or b"",
        }
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError, AttributeError):
        return scope, error_response(400, "BadRequest", f"The path {scope['raw_path']!r} of the request is none.")
    return scope, None
