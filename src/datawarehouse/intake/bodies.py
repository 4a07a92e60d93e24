"""The body of a plain HTTP request -> records. Pure.

A body is accepted if it can be split into events, malformed events included: these are kept, and rejected with their
reason when they are converted. Only a body that cannot be split is refused, as a whole.
"""

from __future__ import annotations

import zlib

import msgspec

from datawarehouse.errors import BadRequest, BodyTooLarge

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_FIRST_PIECE_BYTES, _PIECE_BYTES_MAX = 512, 1024 * 1024
_COMMAS_OF_AN_EVENT = 20  # most of the commas of an array stand between the fields of its events
_FORMS = "newline-delimited JSON (one event a line), a JSON array of events, or one JSON object"
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


def records_in(body: bytes, events_max: int, *, by_lines: bool = False) -> list[bytes]:
    """The events of a body. by_lines: each line is one, whatever the body begins with.

    Raises BadRequest if there are none, or an array does not parse, and BodyTooLarge if there are more than
    `events_max`, before they take memory.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    stripped = body.strip(_BLANK)
    if not stripped:
        raise BadRequest(f"The body has no events; send {_FORMS}.")
    if stripped[:1] == b"[" and not by_lines:
        return _elements(stripped, events_max)
    if b"\n" not in stripped:
        return [stripped]
    first = stripped[: stripped.index(b"\n")]
    if not by_lines and not _is_document(first) and _is_document(stripped):
        return [stripped]  # one object, over several lines
    if stripped.count(b"\n") >= events_max:
        raise BodyTooLarge(
            f"The body has more than {events_max} lines; send it in smaller parts, or raise request_events_max."
        )
    lines = stripped.split(b"\n")
    if b"\r" in body:
        lines = [line.rstrip(b"\r") for line in lines]
    return [line for line in lines if line.strip(_BLANK)]


def _elements(body: bytes, events_max: int) -> list[bytes]:
    too_many = BodyTooLarge(
        f"The body is an array of more than {events_max} events, or of very many values; send it in smaller parts, as "
        "newline-delimited JSON, or raise request_events_max."
    )
    if body.count(b",") > _COMMAS_OF_AN_EVENT * events_max:
        raise too_many
    try:
        elements = _ARRAY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f"The body begins like a JSON array but does not parse ({error}), so it cannot be split into events and "
            f"none was taken. Send {_FORMS}; a malformed line of newline-delimited JSON is kept by itself."
        ) from None
    if not elements:
        raise BadRequest(f"The body is an empty array; send {_FORMS}.")
    if len(elements) > events_max:
        raise too_many
    return [bytes(element) for element in elements]


def _is_document(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def unpacked(body: bytes, bytes_max: int, members_max: int) -> bytes:
    """A gzip body, unpacked; a gzip file can have several members.

    Raises BadRequest if it is damaged or cut short, and BodyTooLarge if it unpacks to more than `bytes_max` or has more
    members than `members_max`.
    """
    result: list[bytes] = []
    view, at, left, members = memoryview(body), 0, bytes_max, 0
    while at < len(view):
        members += 1
        if members > members_max:
            raise BodyTooLarge(f"The gzip body has more than {members_max} members; send it in smaller parts.")
        unpacker, piece = zlib.decompressobj(wbits=31), _FIRST_PIECE_BYTES
        while not unpacker.eof:
            # In pieces that grow, because what is left of a piece behind a member is copied.
            given = view[at : at + piece]
            if not given:
                raise BadRequest("The gzip body ends before it is complete; nothing was taken. Send it again.")
            try:
                part = unpacker.decompress(given, left + 1)
            except zlib.error as error:
                raise BadRequest(f"The body is not valid gzip ({error}); nothing was taken. Send it again.") from None
            left -= len(part)
            if left < 0:
                raise BodyTooLarge(
                    f"The body unpacks to more than {bytes_max} bytes (request_bytes_max); send it in smaller parts."
                )
            result.append(part)
            at += len(given) - len(unpacker.unused_data) - len(unpacker.unconsumed_tail)
            piece = min(2 * piece, _PIECE_BYTES_MAX)
    return b"".join(result)
