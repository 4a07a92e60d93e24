"""Rows of a running warehouse as Python values, without pyarrow: the format `rows` of /v1/query.

The first line has the columns with their types, in the form of Trino's client protocol; each of the others is a list of
rows, each a list of values. Values become what they are in `query.result.Result`; intervals stay texts.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec

Convert = Callable[[Any], Any]

_IN_KEYS: dict[str, Convert] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), int),
    "boolean": "true".__eq__,
}
"""The keys of a JSON object are texts, whatever they are in the map."""


class TypedRows:
    """columns: the names. Iterate over it for tuples."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._lines = _lines(pieces)
        described = msgspec.json.decode(next(self._lines))
        self.columns: list[str] = [column["name"] for column in described]
        self._converts = [_convert(column["typeSignature"]) for column in described]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for line in self._lines:
            for row in msgspec.json.decode(line):
                yield tuple(_converted(row, self._converts))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def _converted(values: Sequence[Any], converts: Sequence[Convert]) -> list[Any]:
    return [None if value is None else convert(value) for value, convert in zip(values, converts, strict=True)]


def _convert(signature: Mapping[str, Any]) -> Convert:
    name, arguments = signature["rawType"], [each["value"] for each in signature["arguments"]]
    match name:
        case "array":
            item = _convert(arguments[0])
            return lambda values: [None if value is None else item(value) for value in values]
        case "map":
            key, item = _key(arguments[0]), _convert(arguments[1])
            return lambda values: {key(name): None if value is None else item(value) for name, value in values.items()}
        case "row":
            names = [each.get("fieldName", {}).get("name", "") for each in arguments]
            converts = [_convert(each["typeSignature"]) for each in arguments]
            return lambda values: dict(zip(names, _converted(values, converts), strict=True))
        case _:
            return _PLAIN.get(name, _same)


def _key(signature: Mapping[str, Any]) -> Convert:
    return _IN_KEYS.get(signature["rawType"]) or _convert(signature)


def _same(value: Any) -> Any:
    return value


def _date(text: str) -> date:
    return date.fromisoformat(text)


def _instant(text: str) -> datetime | str:
    """A time in another zone than UTC stays a text, as in `query.result.Result`."""
    if not text.endswith(" UTC"):
        return text
    return datetime.fromisoformat(text.removesuffix(" UTC")).replace(tzinfo=UTC)


def _real(value: float | str) -> float:
    """Four bytes, as they are in Arrow: 0.1 is 0.10000000149011612."""
    found: float = struct.unpack("f", struct.pack("f", float(value)))[0]
    return found


_PLAIN: dict[str, Convert] = {
    "decimal": Decimal,
    "real": _real,
    "double": float,
    "varbinary": base64.b64decode,
    "date": _date,
    "time": time.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamp with time zone": _instant,
}
