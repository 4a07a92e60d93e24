"""Events as a program gives them -> records, in groups that are one write each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from datawarehouse.errors import BadRequest

GROUP_BYTES = 4 * 1024 * 1024

Event = Mapping[str, Any] | str | bytes


def records_of(events: Event | Iterable[Event]) -> list[bytes]:
    """The records of one event or of several. Raises BadRequest, with its number, if one has no form in JSON."""
    several = [events] if isinstance(events, Mapping | str | bytes) else events
    return [_encoded(number, event) for number, event in enumerate(several, 1)]


def _encoded(number: int, event: Event) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode()
    try:
        return msgspec.json.encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadRequest(
            f"Event {number} cannot be written as JSON ({error}); no event was taken. It is {event!r}."
        ) from None


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
