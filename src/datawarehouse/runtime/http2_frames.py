"""What comes on an HTTP/2 connection, frame by frame, inside bounds that the library behind it does not have.

1. A connection begins with SETTINGS. A frame has at most FRAME_BYTES_MAX bytes, and a block of headers, which may go on
   in CONTINUATION frames, BLOCK_BYTES_MAX. Both are known before such a frame is kept or unpacked.
2. Frames that ask for nothing (resets, pings, settings, window updates, priorities, empty data) are counted: SPARE_MAX
   of them may come in PERIOD_S, and one more for each KiB of bodies that went either way in that time. A client that
   reads a large answer needs two window updates for every 4 KiB at most (Go's; others send fewer). Settings count as
   SETTINGS_COST, because the library goes through all it has for each; clients send them once or twice.
3. Priorities and frames of unknown types are left out, as RFC 9113 allows (sections 5.3.2 and 4.1). GOAWAY is left out
   and remembered: the library would answer nothing more, although the client still waits for what it has asked.
"""

from __future__ import annotations

from collections.abc import Callable

from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PriorityFrame,
    SettingsFrame,
)

FRAME_BYTES_MAX = 16_384
BLOCK_BYTES_MAX = 128 * 1024
SETTINGS_BYTES_MAX = 6 * 32  # 32 settings; RFC 9113 has 6
SPARE_MAX, PERIOD_S, SETTINGS_COST = 1_000, 10.0, 50
_HEAD_BYTES = 9
_END_STREAM, _END_HEADERS, _PADDED = 0x1, 0x4, 0x8
_DATA, _HEADERS, _CONTINUATION = DataFrame.type, HeadersFrame.type, ContinuationFrame.type
_LAST_KNOWN = ContinuationFrame.type


class ConnectionRefused(Exception):
    """The connection must end; `code` says why to programs, the text to people."""

    def __init__(self, code: ErrorCodes, message: str) -> None:
        super().__init__(message)
        self.code = code


class Frames:
    """The frames of one connection after its preface. now: seconds, of a clock that runs evenly."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.has_client_left = False
        self._now = now
        self._head = b""  # the beginning of a frame's head
        self._left = 0  # bytes of the present frame that have not come yet
        self._is_left_out = False
        self._block_bytes = 0  # of the block of headers that has begun; 0: none has
        self._has_begun = False
        self._spent = self._carried = 0
        self._since = now()

    def carried(self, size: int) -> None:
        """Count bytes of a body that were sent; those that came are counted by `passed`."""
        self._carried += size

    def passed(self, data: bytes) -> bytes:
        """What the library is to see of `data`. Raises ConnectionRefused."""
        if self._head:
            data, self._head = self._head + data, b""
        kept: list[bytes] = []
        at = begin = 0
        end = len(data)
        while at < end:
            if not self._left:
                if end - at < _HEAD_BYTES:
                    self._head = data[at:]
                    end = at
                    break
                self._left = self._look_at(data[at : at + _HEAD_BYTES])
                if self._is_left_out:
                    kept.append(data[begin:at])
                at += _HEAD_BYTES
            step = min(self._left, end - at)
            at += step
            self._left -= step
            if self._is_left_out:
                begin = at
        return b"".join([*kept, data[begin:end]]) if kept or begin or end < len(data) else data

    def _look_at(self, head: bytes) -> int:
        """The length of a frame's payload, by its head; whether it is left out is in `_is_left_out`."""
        length, kind, flags = head[0] << 16 | head[1] << 8 | head[2], head[3], head[4]
        self._is_left_out = False
        if length > FRAME_BYTES_MAX:
            raise ConnectionRefused(
                ErrorCodes.FRAME_SIZE_ERROR, f"A frame has {length} bytes; the largest has {FRAME_BYTES_MAX}."
            )
        if not self._has_begun and kind != SettingsFrame.type:
            raise ConnectionRefused(ErrorCodes.PROTOCOL_ERROR, "The first frame of a connection must be SETTINGS.")
        self._has_begun = True
        if self._block_bytes or kind == _HEADERS:
            self._in_block(length, kind, flags)
        elif kind == _DATA:
            self._carried += length
            if flags & _PADDED or not (length or flags & _END_STREAM):
                self._spend()
        elif kind != _CONTINUATION:
            self._spend(SETTINGS_COST if kind == SettingsFrame.type else 1)
            self._is_left_out = kind in (PriorityFrame.type, GoAwayFrame.type) or kind > _LAST_KNOWN
            self.has_client_left |= kind == GoAwayFrame.type
            if kind == SettingsFrame.type and length > SETTINGS_BYTES_MAX:
                raise ConnectionRefused(
                    ErrorCodes.ENHANCE_YOUR_CALM,
                    f"A SETTINGS frame has {length} bytes; the largest has {SETTINGS_BYTES_MAX}.",
                )
        return length

    def _in_block(self, length: int, kind: int, flags: int) -> None:
        """Nothing may come between the frames of a block; the library ends a connection on which something does."""
        self._block_bytes += max(1, length)
        if self._block_bytes > BLOCK_BYTES_MAX:
            raise ConnectionRefused(
                ErrorCodes.ENHANCE_YOUR_CALM,
                f"The headers of a request have more than {BLOCK_BYTES_MAX} bytes, even compressed.",
            )
        if kind in (_HEADERS, _CONTINUATION) and flags & _END_HEADERS:
            self._block_bytes = 0

    def _spend(self, cost: int = 1) -> None:
        self._spent += cost
        if self._spent <= SPARE_MAX + self._carried // 1024:
            return
        now = self._now()
        if now - self._since < PERIOD_S:
            raise ConnectionRefused(
                ErrorCodes.ENHANCE_YOUR_CALM,
                f"More than {SPARE_MAX} frames that ask for nothing (resets, pings, settings, window updates, empty "
                f"data) came in {PERIOD_S:g} s.",
            )
        self._since, self._spent, self._carried = now, cost, 0
