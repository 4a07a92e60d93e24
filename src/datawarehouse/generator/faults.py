"""Faults of events, such as happen in transport; conversion rejects each of them (conversion.md), whatever the columns.

Some faults are in the record as a whole, others in the value of one column; a column of type string has no wrong
values, since it accepts every value. No fault adds a line feed, or a `[` in front, which would look like a JSON array
of events: a malformed event is still one line of newline-delimited JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import INTEGER_BITS, Array, ColumnType, Decimal, Map, Primitive, Struct, Text
from datawarehouse.generator.values import Draw

Literals = list[str | None]
"""The values of an event's columns as JSON text; None for a column that it does not have."""

_VALUE_SHARE = 0.6  # the share of wrong values among the faults, if a column can have one
_TEXT_CHARACTERS_MAX = 1000  # a text that only has to be too long need not be longer than this
_NOT_JSON = (
    b"<html><body><h1>502 Bad Gateway</h1></body></html>",
    b"undefined",
    b"id,session_id,event_time",
    b"2026-03-01 07:08:09 ERROR upstream timed out",
)


def event_text(columns: Sequence[Column], literals: Literals) -> str:
    """The JSON of an event."""
    members = [f'"{c.json_key}":{text}' for c, text in zip(columns, literals, strict=True) if text is not None]
    return "{" + ",".join(members) + "}"


def spoiler(columns: Sequence[Column], draw: Draw) -> Callable[[Literals], bytes]:
    """Makes malformed events from good ones."""
    wrong = [(place, values) for place, column in enumerate(columns) if (values := wrong_values(column.type))]
    as_a_whole = (_truncated, _not_json, _key_twice, _not_utf8)

    def spoil(literals: Literals) -> bytes:
        if wrong and draw() < _VALUE_SHARE:
            place, values = wrong[int(draw() * len(wrong))]
            changed = [*literals[:place], values[int(draw() * len(values))], *literals[place + 1 :]]
            return event_text(columns, changed).encode()
        fault = as_a_whole[int(draw() * len(as_a_whole))]
        return fault(event_text(columns, literals).encode(), columns, draw)

    return spoil


def _truncated(data: bytes, columns: Sequence[Column], draw: Draw) -> bytes:
    return data[: 1 + int(draw() * (len(data) - 1))]


def _not_json(data: bytes, columns: Sequence[Column], draw: Draw) -> bytes:
    return _NOT_JSON[int(draw() * len(_NOT_JSON))]


def _key_twice(data: bytes, columns: Sequence[Column], draw: Draw) -> bytes:
    name = columns[0].json_key
    twice = f'"{name}":null,"{name.upper()}":null'.encode()
    return b"{" + twice + (b"," if len(data) > 2 else b"") + data[1:]


def _not_utf8(data: bytes, columns: Sequence[Column], draw: Draw) -> bytes:
    return data[:-1] + (b"," if len(data) > 2 else b"") + '"note":"café"}'.encode("latin-1")


def wrong_values(kind: ColumnType) -> list[str]:
    """Values, as JSON text, that a column of the type rejects; none if it takes everything."""
    match kind:
        case Primitive(name) if name in INTEGER_BITS:
            return ['"n/a"', "1.5", str(2 ** (INTEGER_BITS[name] - 1))]
        case Primitive("float"):
            return ['"unknown"', '"NaN"', "1e39"]
        case Primitive("double"):
            return ['"unknown"', '"NaN"', "1e400"]
        case Primitive("boolean"):
            return ['"maybe"', "1"]
        case Primitive("timestamp"):
            return ['"half past seven"', '"2026-02-30T07:08:09Z"', '"2026-03-01T07:08:09+02:00"']
        case Primitive("date"):
            return ['"yesterday"', '"2026-02-30"', "20260301"]
        case Primitive("binary"):
            return ['"aGVsbG8="']
        case Decimal(precision, scale):
            return ['"free"', "1" + "0" * (precision - scale), "0." + "0" * scale + "1"]
        case Text(_, length):
            return [f'"{"x" * (length + 1)}"'] if length < _TEXT_CHARACTERS_MAX else []
        case Array(element):
            return [f"[{value}]" for value in wrong_values(element)]
        case Map():
            return ['"a=1"', "[]"]
        case Struct():
            return ['"none"', "0"]
    return []
