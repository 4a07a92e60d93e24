"""The written side of an HTTP/2 connection: the `h2` library, and the transport that its bytes go to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder, Encoder, HeaderTuple, HPACKDecodingError
from hpack.hpack import decode_integer
from hyperframe.frame import GoAwayFrame

from datawarehouse.runtime.connection_limits import HEAD_BYTES_MAX
from datawarehouse.runtime.http2_frames import BLOCK_BYTES_MAX, Frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAMS_MAX = 100
STREAM_WINDOW, CONNECTION_WINDOW = 256 * 1024, 1024 * 1024
_SIZE_CHANGES_MAX, _INTEGER_BYTES_MAX = 4, 8
_WINDOW_AT_FIRST = 65_535  # of a connection (RFC 9113, 6.9.2)


class _Library(H2Connection):
    MAX_CLOSED_STREAMS = 1_000  # remembered to tell late frames from wrong ones


class _PlainEncoder(Encoder):
    """Headers of answers as they are: packing them takes longer than all else, and saves some forty bytes.

    It keeps no table of those that were sent, whatever the client allows: a table would be searched for each answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.header_table.maxsize = 0
        self.table_size_changes.append(0)

    @property
    def header_table_size(self) -> int:
        return 0

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        """Called by the library with what the client allows."""

    def encode(self, headers: Any, huffman: bool = False) -> bytes:
        return super().encode(headers, huffman=False)


class _BoundedDecoder(Decoder):
    """Without a bound a block may be nothing but changes of the table's size, which are not counted as headers."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        at = changes = 0
        while at < len(data) and data[at] & 0xE0 == 0x20:  # RFC 7541, 6.3
            at += decode_integer(data[at : at + _INTEGER_BYTES_MAX], 5)[1]
            changes += 1
            if changes > _SIZE_CHANGES_MAX:
                raise HPACKDecodingError("The size of the header table is changed too often.")
        return super().decode(data, raw)


def _library() -> H2Connection:
    library = _Library(H2Configuration(client_side=False, validate_outbound_headers=False))
    library.encoder, library.decoder = _PlainEncoder(), _BoundedDecoder()
    library.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MAX,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_BYTES_MAX,
        },
    )
    library.decoder.max_header_list_size = BLOCK_BYTES_MAX  # up to this, too many headers get an answer
    library.initiate_connection()
    library.increment_flow_control_window(CONNECTION_WINDOW - _WINDOW_AT_FIRST)
    library.receive_data(PREFACE)
    return library


class Link:
    """What one connection writes, and how it waits until the client takes it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport, self.loop = transport, loop
        self.library = _library()
        self.frames = Frames(loop.time)
        self.is_over = False
        self.turn = asyncio.Lock()
        """Held while a part of an answer is written, so that all streams come in turn."""
        self.writable = asyncio.Event()
        """Cleared while the client does not take what is written."""
        self.writable.set()
        self._will_flush = False

    def flush(self) -> None:
        """Write what the library has."""
        self._will_flush = False
        written = self.library.data_to_send()
        if written and not self.is_over and not self.transport.is_closing():
            self.transport.write(written)

    def flush_soon(self) -> None:
        """Write what the library has by the end of this turn of the loop, in one piece."""
        if not self._will_flush:
            self._will_flush = True
            self.loop.call_soon(self.flush)

    def has_read(self, stream: int, size: int) -> None:
        """Let the client send that many bytes more."""
        if size and not self.is_over:
            self.library.acknowledge_received_data(size, stream)
            self.flush_soon()

    def reset(self, stream: int, code: ErrorCodes) -> None:
        with suppress(ProtocolError):  # the client was first
            self.library.reset_stream(stream, code)
        self.flush_soon()

    def go_away(self, code: ErrorCodes | int, message: str) -> None:
        """Tell the client that later requests are not answered.

        After the library's own GOAWAY no stream could go on.
        """
        self.flush()
        frame = GoAwayFrame(0, self.library.highest_inbound_stream_id, int(code), message.encode())
        if not self.transport.is_closing():
            self.transport.write(frame.serialize())
