"""The rows of a job -> JSON lines of its table, checked by the rules for events. Pure.

1. A Python value becomes the JSON value that the embedded host's encoder makes of it (`jobs/context.py`): instants and
   dates in ISO 8601, decimals as text. NaN, the infinities and bytes are refused. No JSON text is made for this.
2. The rule of the column converts or rejects it (`definition/coercion.py`).
3. The converted value is written in the form that Athena's OpenX JSON SerDe reads: timestamps as
   'YYYY-MM-DD HH:MM:SS.fff', dates as 'YYYY-MM-DD', decimals as numbers with all their digits. NULL is left out.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from datawarehouse.definition.coercion import rule_for
from datawarehouse.definition.documents import Number, Object, quoted
from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.rejects import Reject
from datawarehouse.definition.tables import Column
from datawarehouse.errors import BadRequest
from datawarehouse.functions.json_text import Form, writer

FOR_OPENX = Form(
    timestamp=lambda instant_ms: f'"{_timestamp_text(instant_ms)}"',
    decimal=lambda value: format(value, "f"),
    with_nulls=False,
)
"""How Athena's OpenX JSON SerDe reads values."""


class RowWriter:
    """Makes lines of the rows for one table."""

    def __init__(self, table: str, columns: Sequence[Column]) -> None:
        self._table = table
        self._columns = {column.name: (rule_for(column.type), writer(column.type, FOR_OPENX)) for column in columns}

    def line(self, number: int, row: Any) -> bytes:
        """The line of a row, with its line feed. number: of the row, from 0. Raises BadRequest, naming the row."""
        place = f"Row {number + 1} for table {self._table!r}"
        if not isinstance(row, Mapping):
            raise BadRequest(f"{place} is {row!r}; a row maps column names to values.")
        unknown = [name for name in row if name not in self._columns]
        if unknown:
            there_are = ", ".join(sorted(self._columns))
            raise BadRequest(f"{place} has {unknown[0]!r}, which is not a column; there are {there_are}.")
        members: list[str] = []
        for name, (rule, write) in self._columns.items():
            try:
                value = rule(json_value(row.get(name)))
                if value is not None:
                    members.append(f"{quoted(name)}:{write(value)}")
            except Reject as reject:
                raise BadRequest(f"{place} does not fit: {reject.within(name).reason.message}") from None
            except (TypeError, ValueError, RecursionError) as error:
                raise BadRequest(f"{place} cannot be written: column {name!r}: {error}.") from None
        return ("{" + ",".join(members) + "}\n").encode()


def json_value(value: Any) -> Any:
    """A Python value as `documents` would read it from JSON. Raises TypeError for a type that has no form in JSON."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        value.encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate
        return value
    if kind is int:
        return Number(value)
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"it is {value}; leave it out, or send null")
        return Number(_float_text(value))
    if isinstance(value, Enum):
        return json_value(value.value)
    if isinstance(value, dict):
        return Object((_key(name), json_value(item)) for name, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(item) for item in value]
    return _text(value)


def _text(value: Any) -> str:
    kind = type(value)
    if kind is datetime:
        return _instant_text(value)
    if kind is date or (kind is time and value.tzinfo is None):
        return str(value.isoformat())
    if kind is Decimal and not value.is_finite():
        raise ValueError(f"it is {value}; leave it out, or send null")
    if kind is Decimal or isinstance(value, uuid.UUID):
        return str(value)
    if kind in (bytes, bytearray, memoryview):
        raise ValueError(f"it is {kind.__name__}; send text, for example its base64")
    raise TypeError(f"a value of type {kind.__name__} is no JSON")


def _key(name: Any) -> str:
    """The name of an object's member."""
    if name is None or type(name) is bool or isinstance(name, dict | list | tuple | set | frozenset):
        raise TypeError(f"{name!r} is no key of a JSON object")
    if type(name) is float and math.isfinite(name):
        return _float_text(name)
    return str(json_value(name))


def _float_text(value: float) -> str:
    """The shortest decimal number that is read as this float, in the form of the embedded host's encoder."""
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        return digits
    if int(exponent) == -5:
        sign = "-" if value < 0 else ""
        return f"{sign}0.0000{digits.lstrip('-').replace('.', '')}"
    return f"{digits}e{int(exponent)}"


def _instant_text(value: datetime) -> str:
    """ISO 8601; an offset is rounded to the nearest minute, half a minute down; an offset of zero is Z."""
    offset = value.utcoffset()
    text = value.replace(tzinfo=None).isoformat()
    if offset is None:
        return text
    minutes = (abs(offset) + timedelta(seconds=29)) // timedelta(minutes=1)
    if not minutes:
        return text + "Z"
    return f"{text}{'-' if offset < timedelta(0) else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _timestamp_text(instant_ms: int) -> str:
    instant = instant_of(instant_ms).replace(tzinfo=None)
    return instant.isoformat(" ", "milliseconds")
