"""The connections of `dw up`: uvicorn's HTTP/1.1, inside limits that uvicorn does not have. One that begins with the
preface of HTTP/2 goes on with that (`http2`).

1. Beyond `connections_max` a new connection gets 503 at once and is closed. Those that were first go on. One that is
   being closed is not counted.
2. The head of a request (its first line and its headers) has at most HEAD_BYTES_MAX bytes and HEADERS_MAX headers.
3. A request must be complete `request_time_max_s` after it began, the first one that long after the connection was
   made; a connection without a request is closed `keep_alive_s` after the last one.
4. A client that does not read its answer is not waited for: if it takes none of what waits for it in
   `request_time_max_s`, the connection is closed.
5. A client that has sent its request and closes its side of the connection (shutdown) still gets its answer, because
   what it sent may be stored by now. A query ends instead: nobody seems to want its rows.
6. A request that asks for another protocol (Upgrade: h2c, as Java's HttpClient does with each) is one of HTTP/1.1. The
   parser takes its body for the other protocol, so that its head is parsed again without the wish.
7. Whatever ends a connection is said behind the answers to the requests that came before.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datawarehouse.runtime.connection_limits import HEAD_BYTES_MAX, HEADERS_MAX, TOO_LARGE_A_HEAD, Shared
from datawarehouse.runtime.http2 import Http2Connection
from datawarehouse.runtime.http2_link import PREFACE
from datawarehouse.runtime.http2_streams import Application
from datawarehouse.server.http import Response, ends_with_its_client, error_response

log = logging.getLogger("datawarehouse.server")

_REFUSED_WAIT_S = 0.2
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """Made by uvicorn for each connection; `limited` makes the class for some limits."""

    shared = Shared(0, 0)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._first: bytes | None = b""  # what has come of a preface; None: this is HTTP/1.1
        self._is_refused = False
        self._head_bytes = 0
        self._in_head = True
        self._has_completed = False
        self._is_over = False
        self._last_words = b""
        self._wants_upgrade = False
        self._fed = self._again = b""
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.shared.room(self.server_state) < 0:
            self.connections.discard(self)
            self._is_refused = self.shared.lingering.admit(self, transport)
            if self._is_refused:  # what it speaks is known in a moment
                self._timer = self.loop.call_later(_REFUSED_WAIT_S, self._end, self.shared.refusal())
            else:
                self._end(self.shared.refusal())
            return
        self._begin_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_timer()
        self.resume_writing()
        self.shared.lingering.is_lost(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._first is not None:
            data = self._first + data
            if data.startswith(PREFACE):
                self._go_on_with_http_2(data[len(PREFACE) :])
                return
            if PREFACE.startswith(data):
                self._first = data
                return
            self._first = None
            if self._is_refused:
                self._end(self.shared.refusal())
                return
        while self._in_head and data and not self._is_over:
            room = HEAD_BYTES_MAX + 1 - self._head_bytes
            part, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._has_completed = False
            self._feed(part)
            if self._in_head and not self._is_over:
                # If another request ended in this part, it is not known where in it the head begins.
                self._head_bytes = 0 if self._has_completed else self._head_bytes + len(part)
                if self._head_bytes > HEAD_BYTES_MAX:
                    self._too_long_a_head()
        if data and not self._is_over:
            self._feed(data)
        self._wait_for_a_request()

    def _go_on_with_http_2(self, data: bytes) -> None:
        self._is_over = True
        self._end_timer()
        self.connections.discard(self)
        app = cast(Application, self.app)
        other = Http2Connection(
            app,
            self.loop,
            self.server_state,
            self.shared,
            self.transport,
            keep_alive_s=self.timeout_keep_alive,
            is_refused=self._is_refused,
        )
        if self._is_refused:
            self.shared.lingering.replace(self, other)
        self.transport.set_protocol(other)
        other.data_received(data)

    def _feed(self, data: bytes) -> None:
        self._again = data
        self._unset_keepalive_if_required()
        while self._again and not self._is_over:
            self._fed, self._again = self._again, b""
            try:
                self.parser.feed_data(self._fed)
            except httptools.HttpParserError as error:
                if not self._is_over:  # what comes after a request that was refused is none
                    why = error.__context__ or error
                    message = f"What was sent is not a request of HTTP/1.1 ({why})."
                    self._end(error_response(400, "InvalidHttp", message))
            except httptools.HttpParserUpgrade as ended:
                self._parse_without_upgrade(ended.args[0])
        self._fed = b""  # an idle connection must not hold what came last: that may be a quarter of a megabyte

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._timer is None and not self._is_over:
            self._begin_timer()

    def on_headers_complete(self) -> None:
        if self._is_over:
            return
        self._wants_upgrade = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._wants_upgrade:
            return
        self._in_head = False
        if len(self.headers) > HEADERS_MAX:
            self._too_long_a_head()
            return
        absolute = _ABSOLUTE.match(self.url)
        if absolute:  # its host counts, and not that of the header (RFC 9112, 3.2.2)
            self.headers[:] = [header for header in self.headers if header[0] != b"host"] + [(b"host", absolute[1])]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._wants_upgrade:
            return
        self._has_completed = True
        if not self._is_over:
            self._end_timer()
            super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open for what is to be written."""
        if self._is_refused and not self._is_over:
            self._end(self.shared.refusal())
            return True
        cycle = self.cycle
        if self._is_over or cycle is None or cycle.response_complete or cycle.more_body:
            return False
        if ends_with_its_client(cycle.scope):
            return False
        cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        super().on_response_complete()
        if self._last_words and was_last and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._close_with(self._last_words)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self.shared.request_time_max_s, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    def _wait_for_a_request(self) -> None:
        """Begin the time that an idle connection has, which ends with whatever comes: that may be no request, but line
        ends, or the rest of one that was answered already."""
        is_idle = self._timer is None and self.cycle is not None and self.cycle.response_complete
        if is_idle and self.timeout_keep_alive_task is None and not self._is_over:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _parse_without_upgrade(self, head_end: int) -> None:
        log.debug("a client asked for another protocol (Upgrade), which is not offered; it is answered with HTTP/1.1")
        if self._wants_upgrade:
            head = _without_upgrade(self.parser, self.url, self.headers)
            self._again = head + self._fed[head_end:]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def _too_long_a_head(self) -> None:
        self._end(error_response(431, "HeadersTooLarge", TOO_LARGE_A_HEAD))

    def _begin_timer(self) -> None:
        self._timer = self.loop.call_later(self.shared.request_time_max_s, self._took_too_long)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _took_too_long(self) -> None:
        self._timer = None
        cycle = self.cycle
        if self.pipeline or (cycle is not None and not cycle.response_complete and not cycle.more_body):
            self._begin_timer()  # an earlier request is being answered, and nothing more may be read meanwhile
            return
        self._end(self.shared.timeout())

    def _end(self, answer: Response) -> None:
        """Answer once more and close; what comes later is not looked at."""
        self._is_over = True
        self._end_timer()
        self.shared.say(answer)
        assert isinstance(answer.body, bytes)
        lines = [
            b"HTTP/1.1 %d %b" % (answer.status, _PHRASES[answer.status]),
            b"content-type: " + answer.content_type.encode(),
            b"content-length: %d" % len(answer.body),
            *(name + b": " + value for name, value in answer.headers),
            b"connection: close",
        ]
        words = b"\r\n".join([*lines, b"", answer.body])
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_complete:  # of the request that is refused
            if self.pipeline:
                self.pipeline.popleft()
                self._last_words = words
            else:
                self._close_with(b"" if cycle.response_started else words)
        elif self.pipeline or (cycle is not None and not cycle.response_complete):
            self._last_words = words
        else:
            self._close_with(words)

    def _close_with(self, words: bytes) -> None:
        self.transport.write(words)
        self.connections.discard(self)
        self.shared.lingering.close(self, self.transport)


def _without_upgrade(parser: httptools.HttpRequestParser, url: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The head of a request, without the wish for another protocol."""
    lines = [b"%b %b HTTP/%b" % (parser.get_method(), url, parser.get_http_version().encode())]
    for name, value in headers:
        if name == b"connection":
            options = [option.strip() for option in value.split(b",")]
            value = b", ".join(option for option in options if option.lower() not in (b"upgrade", b"http2-settings"))
        if name not in (b"upgrade", b"http2-settings"):
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


_PHRASES = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


def limited(
    connections_max: int, request_time_max_s: float, on_refused: Callable[[str, str], None] = lambda code, message: None
) -> type[Connection]:
    """The class of the connections of one server."""
    shared = Shared(connections_max, request_time_max_s, on_refused)
    return type("LimitedConnection", (Connection,), {"shared": shared})
