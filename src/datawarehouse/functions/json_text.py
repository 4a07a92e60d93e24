"""Converted values -> JSON text, in the form that its reader takes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from datawarehouse.definition import types
from datawarehouse.definition.documents import quoted
from datawarehouse.definition.types import INTEGER_BITS, Array, ColumnType, Map, Primitive, Struct

Writer = Callable[[Any], str]
"""A value from a rule (`definition/coercion.py`), which is not NULL -> its JSON text."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Form:
    """What differs between readers. timestamp, decimal: their values as JSON text. with_nulls: whether a NULL in a
    struct is written, or left out."""

    timestamp: Writer
    decimal: Writer
    with_nulls: bool


def writer(kind: ColumnType, form: Form) -> Writer:
    """What writes the values of a type."""
    match kind:
        case Primitive(name) if name in INTEGER_BITS:
            return str
        case Primitive("float" | "double"):
            return repr
        case Primitive("boolean"):
            return lambda value: "true" if value else "false"
        case Primitive("timestamp"):
            return form.timestamp
        case Primitive("date"):
            return lambda value: f'"{date.fromordinal(value + _EPOCH_DAY).isoformat()}"'
        case types.Decimal():
            return form.decimal
        case Array(element):
            return _array(writer(element, form))
        case Map(key, value):
            return _map(writer(key, form), writer(value, form))
        case Struct(fields):
            return _struct([(quoted(name), writer(field, form)) for name, field in fields], form.with_nulls)
        case _:
            return quoted


def _or_null(write: Writer, value: Any) -> str:
    return "null" if value is None else write(value)


def _array(element: Writer) -> Writer:
    return lambda items: "[" + ",".join(_or_null(element, item) for item in items) + "]"


def _map(key: Writer, value: Writer) -> Writer:
    def write(pairs: Sequence[tuple[Any, Any]]) -> str:
        members = []
        for name, item in pairs:
            text = key(name)
            as_name = text if text.startswith('"') else quoted(text)
            members.append(f"{as_name}:{_or_null(value, item)}")
        return "{" + ",".join(members) + "}"

    return write


def _struct(fields: Sequence[tuple[str, Writer]], with_nulls: bool) -> Writer:
    def write(values: Sequence[Any]) -> str:
        members = [
            f"{name}:{_or_null(field, value)}"
            for (name, field), value in zip(fields, values, strict=True)
            if with_nulls or value is not None
        ]
        return "{" + ",".join(members) + "}"

    return write
