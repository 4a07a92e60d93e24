"""The body of a plain HTTP request -> records. Pure.

A body is accepted if it can be split into events, malformed events included: these are kept, and rejected with their
reason when they are converted. Only a body that cannot be split is refused, as a whole.
"""

from __future__ import annotations

import zlib

import msgspec

from datawarehouse.errors import BadRequest

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_FORMS = "newline-delimited JSON (one event a line), a JSON array of events, or one JSON object"
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


def records_in(body: bytes) -> list[bytes]:
    """The events of a body. Raises BadRequest if there are none, or an array does not parse."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    stripped = body.strip(_BLANK)
    if not stripped:
        raise BadRequest(f"The body has no events; send {_FORMS}.")
    if stripped[:1] == b"[":
        return _elements(stripped)
    if b"\n" not in stripped:
        return [stripped]
    first = stripped[: stripped.index(b"\n")]
    if not _is_document(first) and _is_document(stripped):
        return [stripped]  # one object, over several lines
    lines = stripped.split(b"\n")
    if b"\r" in body:
        lines = [line.rstrip(b"\r") for line in lines]
    return [line for line in lines if line.strip(_BLANK)]


def _elements(body: bytes) -> list[bytes]:
    try:
        elements = _ARRAY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f"The body begins like a JSON array but does not parse ({error}), so it cannot be split into events and "
            f"none was taken. Send {_FORMS}; a malformed line of newline-delimited JSON is kept by itself."
        ) from None
    if not elements:
        raise BadRequest(f"The body is an empty array; send {_FORMS}.")
    return [bytes(element) for element in elements]


def _is_document(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def unpacked(body: bytes, bytes_max: int) -> bytes:
    """A gzip body, unpacked. Raises BadRequest if it is damaged, cut short or larger than `bytes_max`."""
    result: list[bytes] = []
    size = 0
    while body:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(body, bytes_max - size + 1)
        except zlib.error as error:
            raise BadRequest(f"The body is not valid gzip ({error}); nothing was taken. Send it again.") from None
        size += len(part)
        if size > bytes_max:
            raise BadRequest(f"The body unpacks to more than {bytes_max} bytes; send it in smaller parts.")
        if not unpacker.eof:
            raise BadRequest("The gzip body ends before it is complete; nothing was taken. Send it again.")
        result.append(part)
        body = unpacker.unused_data  # a gzip file can have several members
    return b"".join(result)
