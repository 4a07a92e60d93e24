"""Where in a record the part stands that it was rejected for: what a page marks. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from datawarehouse.definition.documents import BYTE_ORDER_MARK

TEXT_CHARACTERS_MAX = 4096
_BEFORE_THE_MARK = 200  # characters that are shown of a long record before the part at fault
_AT_CHARACTER = re.compile(r" at character (\d+)\b")
_AT_BYTE = re.compile(r"^.*\bat byte (\d+)\b")
_STEP = re.compile(r"\.?([^.\[]+)|\[\]|\[('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\]")
_BLANKS = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(strict=False)
NO_KEYS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shown:
    """The text of a record, or a part of it. before: how many characters there are before the part. start, end: what is
    to be marked, in characters of `text`; None if that is not known. is_exact: whether the text is what was sent, byte
    for byte."""

    text: str
    before: int
    is_cut: bool
    is_exact: bool
    start: int | None = None
    end: int | None = None


def shown(record: bytes, column: str = "", message: str = "", keys: Mapping[str, str] = NO_KEYS) -> Shown:
    """A record for people. column, message: of the reason why it was rejected, if it was. keys: those that columns
    take, by the names of the columns."""
    try:
        text, is_exact = record.decode(), True
    except UnicodeDecodeError:
        text, is_exact = record.decode(errors="replace"), False
    found = place_of(record, text, column, message, keys) if column or message else None
    before = max(0, found[0] - _BEFORE_THE_MARK) if found and found[1] > TEXT_CHARACTERS_MAX else 0
    part = text[before : before + TEXT_CHARACTERS_MAX]
    is_cut = len(part) < len(text)
    if found is None:
        return Shown(part, before, is_cut, is_exact)
    return Shown(part, before, is_cut, is_exact, found[0] - before, min(found[1] - before, len(part)))


def place_of(
    record: bytes, text: str, column: str, message: str, keys: Mapping[str, str] = NO_KEYS
) -> tuple[int, int] | None:
    """From which character of a record to which one the part at fault goes; None if the reason names none.

    text: the record, decoded. column: the path of a value, as reasons have it. message: the reason.
    """
    mark = 1 if record.startswith(BYTE_ORDER_MARK) else 0
    if column:
        try:
            return _value(text, mark, column, keys)
        except (ValueError, IndexError, RecursionError):  # it is no JSON after all
            return None
    if found := _AT_CHARACTER.search(message):
        at = min(int(found[1]) + mark, len(text))
        return (at, min(at + 1, len(text))) if at < len(text) else (max(0, at - 1), at)
    if found := _AT_BYTE.search(message):
        at = len(record[: int(found[1]) + len(BYTE_ORDER_MARK) * mark].decode(errors="replace"))
        return at, at + 1
    return None


def _value(text: str, at: int, column: str, keys: Mapping[str, str]) -> tuple[int, int] | None:
    """The place of the value of a path. Raises ValueError for what is no JSON."""
    steps = [(found[1] or found[2], bool(found[2])) for found in _STEP.finditer(column)]
    if steps and steps[0][0]:
        steps[0] = keys.get(steps[0][0], steps[0][0]), False
    at = _skip(text, at)
    found = []
    while at < len(text):  # records may have several documents
        found.append(_inside(text, at, steps))
        at = _skip(text, _end(text, at))
    having = [place for place in found if place]
    return having[0] if len(having) == 1 else None


def _inside(text: str, at: int, steps: list[tuple[str | None, bool]]) -> tuple[int, int] | None:
    for depth, (name, is_key) in enumerate(steps):
        if name is None:  # some element of an array, or the value itself in the place of an array of it
            if text[at] != "[":
                continue
            elements = list(_elements(text, at))
            if len(elements) != 1:
                return at, _end(text, at)
            at = elements[0]
            continue
        wanted = _unquoted(name) if is_key else name.lower()
        found = [
            start for key, start in _members(text, at) if key.lower() == wanted
        ] if text[at] == "{" else []  # fmt: skip
        if not found:
            return (at, _end(text, at)) if depth else None
        at = found[-1]
    return at, _end(text, at)


def _unquoted(name: str) -> str:
    """A key of a map, of which a reason has the repr."""
    return str(ast.literal_eval(name)).lower()


def _members(text: str, at: int) -> Iterator[tuple[str, int]]:
    """The keys of the object at a place, each with the place of its value."""
    at = _skip(text, at + 1)
    while text[at] == '"':
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] != ":":
            return
        at = _skip(text, at + 1)
        yield key, at
        at = _skip(text, _end(text, at))
        if text[at] != ",":
            return
        at = _skip(text, at + 1)


def _elements(text: str, at: int) -> Iterator[int]:
    at = _skip(text, at + 1)
    while text[at] != "]":
        yield at
        at = _skip(text, _end(text, at))
        if text[at] != ",":
            return
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    return _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # the pattern matches the empty text


def _end(text: str, at: int) -> int:
    return _DECODER.raw_decode(text, at)[1]
