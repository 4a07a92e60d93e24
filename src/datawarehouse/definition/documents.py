"""A record's bytes -> JSON documents, exactly (RFC 8259), with nothing lost on the way.

Unlike a usual parser, this one keeps number literals as text and every member of an object in order, so that duplicate
keys can be found and `1.50` can become the string "1.50". Text must be valid Unicode: a lone surrogate is malformed,
wherever it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from json.encoder import encode_basestring
from typing import Any, NoReturn

from datawarehouse.definition.rejects import MALFORMED_DATA, PARSE_ERROR, Reject, excerpt

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


class Object(list[tuple[str, Any]]):
    """A JSON object: its members in order, duplicates included."""

    __slots__ = ()


def _no_constant(text: str) -> NoReturn:
    raise Reject(PARSE_ERROR, "JSON, which has no such number", text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=Object, parse_int=Number, parse_float=Number, parse_constant=_no_constant, strict=True
)
_BLANKS = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def documents(record: bytes) -> list[Object]:
    """The objects in a record: one, or several one after the other. Raises Reject.

    A byte order mark before the first one is skipped, as RFC 8259 section 8.1 allows.
    """
    text = _text(record.removeprefix(BYTE_ORDER_MARK))
    at = _BLANKS.match(text, 0).end()  # type: ignore[union-attr]  # the pattern matches the empty text
    if at == len(text):
        raise Reject(MALFORMED_DATA, "a JSON object", "an empty record" if not text else "a record of blanks")
    objects: list[Object] = []
    while at < len(text):
        value, at = _value_at(text, at)
        if not isinstance(value, Object):
            raise Reject(MALFORMED_DATA, "an object at the top level", describe(value))
        objects.append(value)
        at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
    return objects


def twice(names: list[str]) -> Reject:
    """The reject of an object in which one of these lower-cased names occurs twice."""
    counts = Counter(names)
    repeated = next(name for name in names if counts[name] > 1)
    return Reject(MALFORMED_DATA, "each key once, in whatever case", f"the key {repeated!r} twice")


def not_utf8(data: bytes) -> Reject | None:
    """The reject of bytes that are not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return Reject(PARSE_ERROR, "UTF-8 text", f"byte 0x{data[error.start]:02x} at byte {error.start}")
    return None


def value_in(data: bytes) -> Any:
    """The value at the beginning of a JSON text. Raises Reject."""
    return _value_at(_text(data), 0)[0]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise not_utf8(data) or AssertionError from None


def _value_at(text: str, at: int) -> tuple[Any, int]:
    """The value that begins at a position, and the position of its end."""
    try:
        value, end = _DECODER.raw_decode(text, at)
        if _SURROGATE.search(text, at, end):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise Reject(PARSE_ERROR, "JSON", f"{_fault(error)} at character {error.pos}") from None
    except UnicodeEncodeError:
        raise Reject(PARSE_ERROR, "Unicode text", "a lone surrogate") from None
    except RecursionError:
        raise Reject(PARSE_ERROR, "values nested at most about 1,000 levels", "a deeper value") from None
    return value, end


def _fault(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos : error.pos + 20]
    return f"{error.msg.lower()}: {rest!r}" if rest else f"{error.msg.lower()}: the end of the record"


def describe(value: Any) -> str:
    """A value in words, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "the boolean true" if value else "the boolean false"
    if isinstance(value, Number):
        return f"the number {excerpt(value)}"
    if isinstance(value, str):
        return f"the string {excerpt(quoted(value))}"
    return "an object" if isinstance(value, Object) else "an array"


def quoted(text: str) -> str:
    """Text as a JSON string."""
    return encode_basestring(text)
