"""Reads records that are one object, as most are, faster than `definition/documents.py` does.

`literals` leaves each member as JSON text, which `value_of` reads when the value is needed; the values are the same.
"""

from __future__ import annotations

from typing import Any

import msgspec

from datawarehouse.convert.keys import KeyCount
from datawarehouse.definition.documents import Number, value_in

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_CONSTANTS = {b"true": True, b"false": False, b"null": None}


def literals(record: bytes) -> dict[str, msgspec.Raw] | None:
    """The members of a record that is one object, each as JSON text; None if the record needs `documents`.

    Of several members with the same name only the last is returned: see `keys_are_single`.
    """
    try:
        return _MEMBERS.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def keys_are_single(record: bytes, found: dict[str, msgspec.Raw]) -> bool:
    """Whether it is certain that a record which `literals` has read has no duplicate key, at any depth."""
    keys = KeyCount.of(record)
    if keys.backslash or not record.isascii():
        return False
    count = keys.count - len(found)
    if count > 0:
        nested = [raw for raw in map(bytes, found.values()) if raw[:1] in b"{["]
        try:
            count -= sum(_keys_in(msgspec.json.decode(raw)) for raw in nested)
        except msgspec.DecodeError:  # a number that is too large for a double
            return False
    return count == 0


def _keys_in(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys_in, value.values()))
    return sum(map(_keys_in, value)) if isinstance(value, list) else 0


def value_of(literal: msgspec.Raw | None) -> Any:
    """The value of a member that `literals` found, in the form of `documents`."""
    if literal is None:
        return None
    raw = bytes(literal)
    first = raw[:1]
    if first == b'"':
        return _STRING.decode(raw)
    if first in b"{[":
        return value_in(raw)
    return _CONSTANTS[raw] if first in b"tfn" else Number(raw, "ascii")
