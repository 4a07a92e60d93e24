"""The events of a file as lines, about a megabyte at a time: a file of lines, one JSON array of any size, or JSON
objects that take several lines each, as programs write them for people."""

from __future__ import annotations

import codecs
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

from datawarehouse.errors import BadRequest

BATCH_BYTES = 1024 * 1024
_ARRAY = re.compile(rb"\s*\[\s*(?:[{\]]|$)")  # a line of a log may begin with a bracket as well
_PIECE_BYTES = 256 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")
_ARRAYS, _OBJECTS = "like a JSON array, and its element", "with a JSON object over several lines, and its object"
_ELEMENT_BYTES_MAX = 64 * 1024 * 1024
_SCAN = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_SAYS_ITS_END = (b"{", b"[", b'"')  # a number may go on


class Lines:
    """The events of a file, each as a line with its line feed, without blank lines and carriage returns.

    To be iterated over once. Raises BadRequest where an array, or what follows an object over several lines, is no
    JSON, and where the file cannot be read any further.
    """

    def __init__(self, source: IO[bytes], *, is_growing: bool = False) -> None:
        """is_growing: a last line without a line feed may still be written, and is left out unless it is whole JSON."""
        self._source = source
        self._is_growing = is_growing
        self.unfinished_bytes = 0
        """The length of the last line, if it was left out."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for line in _lines(self._source):
                if not line or line.isspace():
                    continue
                if line.endswith(b"\r\n"):
                    yield line.rstrip(b"\r\n") + b"\n"
                elif line.endswith(b"\n"):
                    yield line
                elif self._is_growing and not (line.lstrip()[:1] in _SAYS_ITS_END and _is_json(line)):
                    self.unfinished_bytes = len(line)
                else:
                    yield line.rstrip(b"\r") + b"\n"
        except (OSError, EOFError, zlib.error) as error:  # gzip raises any of them
            raise BadRequest(
                f"The file cannot be read any further: {error}. The events before this place were read. If the file is "
                "not complete yet, send it again when it is."
            ) from None


def batches(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines together, about BATCH_BYTES at a time; before an error, those that came before it."""
    batch: list[bytes] = []
    size = 0
    malformed: BadRequest | None = None
    try:
        for line in lines:
            batch.append(line)
            size += len(line)
            if size >= BATCH_BYTES:
                yield b"".join(batch)
                batch, size = [], 0
    except BadRequest as error:  # what is before the place is sent, as the message says
        malformed = error
    if batch:
        yield b"".join(batch)
    if malformed:
        raise malformed


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    first = _next_line(source, _PIECE_BYTES).removeprefix(codecs.BOM_UTF8)
    if not _ARRAY.match(first):
        begin, goes_on = _begin(_completed(first, source), source)
        return _elements(begin, source, _OBJECTS) if goes_on else chain(io.BytesIO(begin), source)
    if first.endswith(b"\n") and _is_json(first) and (second := _next_line(source, _PIECE_BYTES)):
        return chain([first, _completed(second, source)], source)  # lines, each of which is an array
    return _elements(first, source, _ARRAYS)


def _begin(text: bytes, source: IO[bytes]) -> tuple[bytes, bool]:
    """The first line, with as many after it as tell whether it begins a JSON object that ends on a later line; and
    whether it does. A line that is cut off is no such beginning: what comes after it does not go on with it."""
    while text.lstrip()[:1] == b"{" and len(text) <= _ELEMENT_BYTES_MAX:
        whole = text.decode("utf-8", "surrogateescape")
        try:
            _, end = _SCAN(whole, _after_space(whole, 0))
            return text, "\n" in whole[:end]
        except json.JSONDecodeError as error:
            if error.pos < len(whole.rstrip()):
                break
        except RecursionError:
            break
        more = source.readlines(len(text))
        if not more:
            break
        text += b"".join(more)
    return text, False


def _next_line(source: IO[bytes], bytes_max: int) -> bytes:
    """The next line that is not blank, or its beginning if it is longer; empty at the end."""
    line = source.readline(bytes_max)
    while line and line.isspace():
        line = source.readline(bytes_max)
    return line


def _completed(line: bytes, source: IO[bytes]) -> bytes:
    return line if line.endswith(b"\n") or not line else line + source.readline()


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _elements(first: bytes, source: IO[bytes], begins: str) -> Iterator[bytes]:
    """The elements of an array, or objects one after the other, each as a line of the text that it has in the file."""
    is_array = begins is _ARRAYS
    decode = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape").decode
    text, ended = decode(first), False
    at, number = text.index("[") + 1 if is_array else 0, 0
    while True:
        at = _after_space(text, at)
        if is_array and text[at : at + 1] == "]" and _is_at_end(text[at + 1 :], source):
            return
        if not is_array and ended and at == len(text):
            return
        try:
            _, end = _SCAN(text, at)
            next_at = _after_space(text, end)
            if text[at] in "-0123456789" and text[next_at : next_at + 1] not in (",", "]") and not ended:
                raise ValueError("the number may go on in the next piece")
        except (ValueError, RecursionError) as error:
            if ended or isinstance(error, RecursionError) or len(text) - at > _ELEMENT_BYTES_MAX:
                raise BadRequest(
                    f"The file begins {begins} {number + 1} is not JSON ({error}). The "
                    f"{number} before it were read. Correct the file and send it again, or send newline-delimited "
                    "JSON, in which a malformed line is kept by itself."
                ) from None
            piece = source.read(_PIECE_BYTES + len(text))
            ended = not piece
            text, at = text[at:] + decode(piece, final=ended), 0
            continue
        number += 1
        yield (_one_line(text[at:end]) + "\n").encode("utf-8", "surrogateescape")
        at = _after_space(text, end)
        while at == len(text) and not ended:
            piece = source.read(_PIECE_BYTES)
            ended = not piece
            text = decode(piece, final=ended)
            at = _after_space(text, 0)
        if is_array and text[at : at + 1] == ",":
            at += 1
        elif is_array and text[at : at + 1] != "]":
            raise BadRequest(
                f"The file begins like a JSON array, and after its element {number} comes {text[at : at + 20]!r}, "
                f"where a comma or a closing bracket is needed. The {number} elements before were read."
            )


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _is_at_end(rest: str, source: IO[bytes]) -> bool:
    if rest.strip() or source.read().strip():
        raise BadRequest("The file is a JSON array, and more comes after its closing bracket. The array was read.")
    return True


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
