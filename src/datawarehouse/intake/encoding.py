"""Events as a program gives them -> records, in groups; each group is one write. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from datawarehouse.errors import BadRequest

GROUP_BYTES = 4 * 1024 * 1024

Event = Mapping[str, Any] | str | bytes | bytearray | memoryview
_PLAIN = frozenset((str, int, bool, type(None)))


def several(events: Event | Iterable[Event]) -> Iterable[Event]:
    """The events as a collection, also if `events` is a single event."""
    return [events] if isinstance(events, Mapping | str | bytes | bytearray | memoryview) else events


def records_of(events: Event | Iterable[Event]) -> list[bytes]:
    """The records of one event or of several. Raises BadRequest, with the number of the event, if one cannot be written
    as JSON."""
    return [_encoded(number, event) for number, event in enumerate(several(events), 1)]


def _encoded(number: int, event: Event) -> bytes:
    if isinstance(event, bytes | bytearray | memoryview):
        return bytes(event)
    try:
        return event.encode() if isinstance(event, str) else json_of(event)
    except ValueError as error:
        raise BadRequest(
            f"Event {number} cannot be written as JSON ({error}); no event was taken. It is {event!r}."
        ) from None


def in_a_line(event: bytes) -> bytes:
    """The event without line breaks, of which each would end it on the way by HTTP. Raises BadRequest."""
    if b"\n" in event:
        try:
            event = msgspec.json.format(event, indent=-1)
        except msgspec.DecodeError as error:
            raise BadRequest(
                f"The event has a line break and is not JSON ({error}); each line is one event. It is {event!r}."
            ) from None
    if not event.strip():
        raise BadRequest(f"The event is {event!r}; it has nothing in it.")
    return event


def json_of(value: Any) -> bytes:
    """A value as JSON. Raises ValueError, with the member at fault, for a value that JSON cannot express."""
    try:
        if fault := _fault(value, ""):
            raise ValueError(fault)
        return msgspec.json.encode(value)
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _fault(value: Any, place: str) -> str:
    """Which member has no form in JSON, though an encoder would write something for it; empty if there is none."""
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return ""
    if isinstance(value, Enum):
        return _fault(value.value, place)
    if is_dataclass(value) and not isinstance(value, type):
        members = [(field.name, getattr(value, field.name)) for field in fields(value)]
        return _fault_of_members(members, place)
    if isinstance(value, msgspec.Struct):
        return _fault_of_members([(name, getattr(value, name)) for name in value.__struct_fields__], place)
    if isinstance(value, Mapping):
        return _fault_of_members(value.items(), place)
    if isinstance(value, list | tuple | set | frozenset):
        for index, member in enumerate(value):
            if type(member) not in _PLAIN and (fault := _fault(member, f"{place}[{index}]")):
                return fault
    elif isinstance(value, bytes | bytearray | memoryview):
        return f"{place or 'the value'} is {kind.__name__}; send text, for example its base64"
    elif isinstance(value, float | Decimal):
        is_finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
        return "" if is_finite else f"{place or 'the value'} is {value}; leave it out, or send null"
    return ""


def _fault_of_members(members: Iterable[tuple[Any, Any]], place: str) -> str:
    for name, member in members:
        kind = type(member)
        if (type(name) is str and kind in _PLAIN) or (kind is float and type(name) is str and math.isfinite(member)):
            continue
        within = f"{place}.{name}" if place else str(name)
        if fault := _fault(name, within) or _fault(member, within):
            return fault
    return ""


def groups(records: list[bytes], record_bytes_max: int) -> Iterator[list[bytes]]:
    """Records in groups of about GROUP_BYTES. Raises BadRequest, before the first group, if a record is too large."""
    for number, record in enumerate(records, 1):
        if len(record) > record_bytes_max:
            raise BadRequest(
                f"Event {number} has {len(record)} bytes; the largest record is {record_bytes_max} (record_bytes_max). "
                "No event was taken."
            )
    group: list[bytes] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
