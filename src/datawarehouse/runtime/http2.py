"""HTTP/2 for clients that speak it from the first byte, as the AWS SDK for JavaScript v3 does: the `h2` library inside
limits, each stream a request to the same application as one of HTTP/1.1.

1. `http2_frames` looks at each frame first. What it refuses, and what breaks the protocol, ends the connection with a
   GOAWAY that says why in its debug data.
2. A connection has at most STREAMS_MAX requests at once, and a request counts until it is answered or given up here,
   not until the client resets it. Each one beside the first of its connection counts as one connection of
   `connections_max`; beyond that it is answered with 503.
3. At most CONNECTION_WINDOW bytes of bodies wait unread, STREAM_WINDOW of one: the client may send more when the
   application has read them.
4. A request must be complete `request_time_max_s` after it began, or is answered with 408. A connection without a
   request is closed after `keep_alive_s`, pings or not.
5. A client that takes nothing of its answers for `request_time_max_s` is not waited for: the connection is closed if
   the client does not read, and the stream is reset if it gives no window for the next part of an answer. While it does
   not read, nothing is read from it, so that no answers to its pings heap up. What comes of a body after its answer is
   thrown away for LINGER_S; then its stream is reset.
6. When the server stops, a GOAWAY names the last request that is answered; later ones are refused.
"""

from __future__ import annotations

import asyncio

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from uvicorn.server import ServerState

from datawarehouse.runtime.connection_limits import Shared
from datawarehouse.runtime.http2_frames import ConnectionRefused
from datawarehouse.runtime.http2_link import STREAMS_MAX, Link
from datawarehouse.runtime.http2_streams import Application, Stream, scope_of
from datawarehouse.server.http import Response, ends_with_its_client

_STOP_WAIT_S = 1.0


class Http2Connection(asyncio.Protocol):
    """A connection whose preface has been read. is_refused: it is one too many, so that its requests get 503."""

    def __init__(
        self,
        app: Application,
        loop: asyncio.AbstractEventLoop,
        state: ServerState,
        shared: Shared,
        transport: asyncio.Transport,
        *,
        keep_alive_s: float,
        is_refused: bool,
    ) -> None:
        self._app, self._loop, self._state, self._shared = app, loop, state, shared
        self._keep_alive_s, self._is_refused = keep_alive_s, is_refused
        self._streams: dict[int, Stream] = {}
        self._is_leaving = self._is_stopping = self._has_client_closed = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._link = Link(transport, loop)
        self._link.flush()
        if not is_refused:
            state.connections.add(self)  # type: ignore[arg-type]
            self._idle_after(shared.request_time_max_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.is_over = True
        self._state.connections.discard(self)
        self._shared.lingering.is_lost(self)
        self._end_idle_timer()
        self._end_unread_timer()
        self._link.writable.set()
        self._give_up_all()

    def data_received(self, data: bytes) -> None:
        link = self._link
        if link.is_over:
            return
        link.flush()
        try:
            events = link.library.receive_data(link.frames.passed(data))
        except ConnectionRefused as error:
            self._end(error.code, str(error))
            return
        except ProtocolError as error:
            self._end(error.error_code, str(error))
            return
        for event in events:
            self._handle(event)
        link.flush()
        if link.frames.has_client_left:
            self._is_leaving = True
            self._close_if_done()

    def eof_received(self) -> bool:
        """As with HTTP/1.1, a put that has come gets its answer; a query ends. Whether the connection stays open."""
        self._is_leaving = self._has_client_closed = True
        if self._link.is_over:
            return False
        for stream in self._streams.values():
            if not stream.is_complete or ends_with_its_client(stream.scope):
                stream.give_up()
        return any(not stream.is_given_up for stream in self._streams.values())

    def pause_writing(self) -> None:
        self._link.writable.clear()
        self._link.transport.pause_reading()
        self._unread_timer = self._loop.call_later(self._shared.request_time_max_s, self._link.transport.abort)

    def resume_writing(self) -> None:
        self._link.writable.set()
        self._link.transport.resume_reading()
        self._end_unread_timer()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops, which waits until `connections` is empty, for a moment."""
        if self._link.is_over:
            self._link.transport.close()
            return
        self._link.go_away(ErrorCodes.NO_ERROR, "The server stops.")
        if self._streams:
            self._is_leaving = self._is_stopping = True
        else:
            self._close()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                stream = self._streams.get(event.stream_id)
                padding = event.flow_controlled_length - len(event.data)
                taken = stream is not None and stream.take(event.data)
                self._link.has_read(event.stream_id, padding if taken else event.flow_controlled_length)
            case StreamEnded():
                if stream := self._streams.get(event.stream_id):
                    stream.complete()
            case StreamReset():
                if stream := self._streams.get(event.stream_id):
                    stream.give_up()
            case WindowUpdated() if event.stream_id:
                if stream := self._streams.get(event.stream_id):
                    stream.window.set()
            case WindowUpdated():
                self._wake_all()
            case RemoteSettingsChanged():
                for code in event.changed_settings:
                    if not isinstance(code, SettingCodes):
                        self._link.library.remote_settings.pop(code, None)  # it would keep each of 65,536
                self._wake_all()

    def _begin(self, event: RequestReceived) -> None:
        number = event.stream_id
        if self._is_leaving or len(self._streams) >= STREAMS_MAX:
            self._link.reset(number, ErrorCodes.REFUSED_STREAM)
            return
        self._end_idle_timer()
        scope, refusal = scope_of(event.headers)
        if self._is_refused or (self._streams and self._shared.room(self._state) <= 0):
            refusal = self._shared.refusal()
        self._shared.requests_beside += bool(self._streams)
        scope["client"] = self._link.transport.get_extra_info("peername")
        scope["scheme"] = "https" if self._link.transport.get_extra_info("sslcontext") else "http"
        stream = Stream(self._link, number, scope, self._shared, self._state.default_headers)
        self._streams[number] = stream
        task = self._loop.create_task(self._answer(stream, refusal))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def _answer(self, stream: Stream, refusal: Response | None) -> None:
        try:
            await stream.answer(self._app, refusal)
        finally:
            self._ended(stream)

    def _ended(self, stream: Stream) -> None:
        """A request is answered, or given up."""
        del self._streams[stream.number]
        self._shared.requests_beside -= bool(self._streams)
        self._state.total_requests += 1
        self._link.flush_soon()
        if self._is_refused and not self._streams:
            self._close()
        elif self._is_leaving:
            self._close_if_done()
        elif not self._streams and not self._link.is_over:
            self._idle_after(self._keep_alive_s)

    def _give_up_all(self) -> None:
        for stream in self._streams.values():
            stream.give_up()

    def _wake_all(self) -> None:
        for stream in self._streams.values():
            stream.window.set()

    def _idle_after(self, seconds: float) -> None:
        self._end_idle_timer()
        self._idle_timer = self._loop.call_later(seconds, self._idle_for_too_long)

    def _end_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _end_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _idle_for_too_long(self) -> None:
        self._link.go_away(ErrorCodes.NO_ERROR, "The connection had no request for too long (keep_alive_s).")
        self._close()

    def _end(self, code: ErrorCodes | int, message: str) -> None:
        """End the connection for what the client sent."""
        reason = "Http2Limit" if code == ErrorCodes.ENHANCE_YOUR_CALM else "InvalidHttp"
        self._shared.on_refused(reason, f"a connection of HTTP/2 was ended: {message}")
        self._link.library.clear_outbound_data_buffer()  # the library's GOAWAY, which does not say why
        self._link.go_away(code, message)
        self._close()
        self._give_up_all()

    def _close_if_done(self) -> None:
        """Close a connection on which all is answered, once the client has closed its side.

        Until then it reads, and gives window for what it reads: a closed connection would answer that with a reset, at
        which the client loses what it has not read yet.
        """
        if self._streams or self._link.is_over:
            return
        self._link.flush()
        self._link.is_over = True
        if self._has_client_closed:
            self._link.transport.close()
            return
        if self._link.transport.can_write_eof():  # TLS has no half of a connection to close
            self._link.transport.write_eof()
        wait_s = _STOP_WAIT_S if self._is_stopping else self._shared.request_time_max_s
        self._idle_timer = self._loop.call_later(wait_s, self._link.transport.close)

    def _close(self) -> None:
        self._link.is_over = True
        self._end_idle_timer()
        self._state.connections.discard(self)
        self._shared.lingering.close(self, self._link.transport)
