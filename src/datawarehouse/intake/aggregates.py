"""An entry of Kinesis records -> an entry of the user records in them. Pure.

A record that begins as an aggregate and is none stays as it is: conversion rejects it, and says why.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from datawarehouse.errors import BodyTooLarge
from datawarehouse.journal.aggregate import MAGIC, NotAnAggregate, TooManyRecords, user_records
from datawarehouse.journal.block import Entry

_FIRST_BYTE = MAGIC[:1]


def has_aggregates(entry: Entry, records: Sequence[bytes]) -> bool:
    """Whether a record of an entry begins as an aggregate. Hardly any JSON has the first byte anywhere."""
    return _FIRST_BYTE in entry.payload and any(record.startswith(MAGIC) for record in records)


def taken_apart(entry: Entry, records: Sequence[bytes], most: int) -> tuple[Entry, list[int]]:
    """The entry with user records in the place of aggregates, and the place in it of the first one of each record.

    User records are in the shard of their aggregate. Raises BodyTooLarge if aggregates have more than `most` of them.
    """
    parts: list[bytes] = []
    places: list[int] = []
    left = most
    for record in records:
        places.append(len(parts))
        if not record.startswith(MAGIC):
            parts.append(record)
            continue
        try:
            found = user_records(record, left)
        except NotAnAggregate:
            parts.append(record)
        except TooManyRecords:
            raise BodyTooLarge(
                f"What the Kinesis Producer Library aggregated has more than {most} user records together "
                "(request_events_max), so none was taken. Send fewer at a time, or raise request_events_max."
            ) from None
        else:
            parts += found
            left -= len(found)
    shards = None
    if entry.shards is not None:
        shards = array("H")
        ends = [*places[1:], len(parts)]
        for shard, place, end in zip(entry.shards, places, ends, strict=True):
            shards.extend([shard] * (end - place))
    return Entry(b"".join(parts), array("I", map(len, parts)), shards, entry.keys), places
