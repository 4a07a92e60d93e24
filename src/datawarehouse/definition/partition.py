"""Hourly partitions: an instant <-> the value `YYYY/MM/DD/HH` <-> a folder.

A partition value is the UTC hour in which records arrived. Values sort as text in the order of time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.errors import BadRequest

HOUR_MS = 3_600_000
_VALUE = re.compile(r"(\d{4})/(\d{2})/(\d{2})/(\d{2})")


def partition_of(instant_ms: int) -> str:
    """The partition value of an instant in milliseconds since 1970-01-01T00:00:00Z."""
    hour = instant_of(instant_ms)
    return f"{hour.year:04d}/{hour.month:02d}/{hour.day:02d}/{hour.hour:02d}"


def start_of(value: str) -> datetime:
    """The first instant of a partition. Raises BadRequest if `value` is not `YYYY/MM/DD/HH`."""
    match = _VALUE.fullmatch(value)
    try:
        if match:
            year, month, day, hour = map(int, match.groups())
            return datetime(year, month, day, hour, tzinfo=UTC)
    except ValueError:
        pass
    raise BadRequest(
        f"Not an hourly partition: {value!r}; valid is the UTC hour as YYYY/MM/DD/HH, e.g. '2026/11/23/07'."
    )


def start_ms(value: str) -> int:
    """The first millisecond of a partition, counted from 1970-01-01T00:00:00Z."""
    return milliseconds_of(start_of(value))


def folder_of(table: str, value: str) -> str:
    """The folder of a partition, relative to the root of the lake (a data folder, a bucket)."""
    return f"{table}/{value}"
