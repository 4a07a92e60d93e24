"""Column types and names -> functions that make values, as JSON text that conversion stores (conversion.md).

All random numbers come from one function, `random.Random.random`, because Python promises to keep its sequence for a
seed in later versions ("Notes on Reproducibility" in the documentation of `random`). They are turned only into whole
numbers, products and formatted text, which are the same on every machine; logarithms are not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TypeVar

from datawarehouse.definition.instants import EPOCH
from datawarehouse.definition.types import INTEGER_BITS, Array, ColumnType, Decimal, Map, Primitive, Struct, Text
from datawarehouse.generator.words import ANY_TEXTS, NUMBERS, TEXTS, Range, candidates

Draw = Callable[[], float]
"""Gives the next number from 0 up to 1."""
Make = Callable[[int], str]
"""Gives a value as JSON text, for an event at an instant in milliseconds."""

T = TypeVar("T")

NULL_SHARE = 0.03
_EXTREME_SHARE = 0.05  # the share of numbers from the whole range of their type
_ITEMS_MAX = 3
_LEVELS_OF_SEVERAL = 3  # below this depth, lists and maps have at most one item, so that the size of a value is bounded
_REFERENCES = 1000  # how many users, products and so on there are
_UNITS = ("ms", "millis", "s", "seconds", "utc")
_TIME_WORDS = ("time", "timestamp", "datetime", "ts", "at")
_TIME_TYPES = ("timestamp", "string", "bigint", "int", "double")


def maker(name: str, kind: ColumnType, draw: Draw, level: int = 0) -> Make:
    """Makes values for a column, or for a part of one, by its name and type."""
    match kind:
        case Array(element):
            return _arrays(maker(name, element, draw, level + 1), draw, level)
        case Map(key, value):
            return _maps(map_keys(key), maker("", value, draw, level + 1), draw, level)
        case Struct(fields):
            return _structs([(field, maker(field, part, draw, level + 1)) for field, part in fields], draw)
        case Primitive("binary"):
            return lambda instant: "null"  # JSON has no other value for it
        case Primitive("boolean"):
            return lambda instant: "true" if draw() < 0.5 else "false"
        case Primitive("date"):
            return lambda instant: f'"{day(instant)}"'
    if is_time(name, kind):
        form = time_form(kind)
        return lambda instant: form(instant - int(draw() * 60_000))
    if name == "id" or name.endswith("_id"):
        return _references(name, kind, draw)
    if kind == Primitive("string") or isinstance(kind, Text):
        return _texts(name, kind, draw)
    return _numbers(name, kind, draw)


# -- times


def is_time(name: str, kind: ColumnType) -> bool:
    """Whether a column says when something happened: any timestamp, and any column with the name of a time."""
    if kind == Primitive("timestamp"):
        return True
    words = name.split("_")
    while words and words[-1] in _UNITS:
        words.pop()
    named = bool(words) and (words[-1] in _TIME_WORDS or words[-1].endswith(("time", "timestamp")))
    return named and (isinstance(kind, Text) or (isinstance(kind, Primitive) and kind.name in _TIME_TYPES))


def time_form(kind: ColumnType) -> Make:
    """Writes an instant in the form of a time column of the type: text, or milliseconds or seconds since 1970."""
    match kind:
        case Primitive("bigint"):
            return str
        case Primitive("int"):
            return lambda instant: str(min(instant // 1000, 2**31 - 1))
        case Primitive("double"):
            return lambda instant: f"{instant // 1000}.{instant % 1000:03d}"
        case Text(_, length):
            return lambda instant: f'"{time_text(instant)[:length]}"'
        case _:
            return lambda instant: f'"{time_text(instant)}"'


def time_text(instant: int) -> str:
    """yyyy-MM-ddTHH:mm:ss.fffZ"""
    return f"{_second(instant // 1000)}.{instant % 1000:03d}Z"


@lru_cache(4096)
def _second(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def day(instant: int) -> str:
    """yyyy-MM-dd"""
    return _second(instant // 86_400_000 * 86_400)[:10]


# -- numbers


def whole(draw: Draw, low: int, high: int) -> int:
    """A whole number from low to high. In a range of more than 53 bits some numbers cannot occur."""
    return min(low + int(draw() * (high - low + 1)), high)


def limits(kind: ColumnType) -> tuple[int, int]:
    """The smallest and the largest whole number that is made for a numeric type."""
    match kind:
        case Primitive(name) if name in INTEGER_BITS:
            return -(2 ** (INTEGER_BITS[name] - 1)), 2 ** (INTEGER_BITS[name] - 1) - 1
        case Decimal(precision, scale):
            return -(10 ** (precision - scale)) + 1, 10 ** (precision - scale) - 1
        case Primitive("float"):
            return -(2**24), 2**24
        case _:
            return -(2**53), 2**53


def decimal_text(units: int, scale: int) -> str:
    """units / 10^scale"""
    if not scale:
        return str(units)
    before, after = divmod(abs(units), 10**scale)
    return f"{'-' if units < 0 else ''}{before}.{after:0{scale}d}"


def _numbers(name: str, kind: ColumnType, draw: Draw) -> Make:
    low, high = limits(kind)
    if high < 1:
        return _any_of(kind, draw)
    usual = next((NUMBERS[word] for word in candidates(name) if word in NUMBERS), None)
    if isinstance(usual, tuple):
        fitting = [str(number) for number in usual if low <= number <= high]
        if fitting:
            return _one_of(fitting, draw)
    elif usual and low <= usual.low < usual.high <= high:
        return _in_range(usual, kind, draw)
    some = _in_range(Range(max(low, 0), min(high, 1000), 3), kind, draw)
    any_ = _any_of(kind, draw)
    return lambda instant: any_(instant) if draw() < _EXTREME_SHARE else some(instant)


def _in_range(usual: Range, kind: ColumnType, draw: Draw) -> Make:
    has_point = isinstance(kind, Decimal) or kind in (Primitive("float"), Primitive("double"))
    digits = usual.digits if has_point else 0
    scale = kind.scale if isinstance(kind, Decimal) else digits
    digits = min(digits, scale)
    low, high, zeros = usual.low * 10**digits, usual.high * 10**digits, 10 ** (scale - digits)
    if isinstance(kind, Decimal):
        high = min(high, (10**kind.precision - 1) // zeros)
    if not scale:
        return lambda instant: str(whole(draw, low, high))
    return lambda instant: decimal_text(whole(draw, low, high) * zeros, scale)


def _any_of(kind: ColumnType, draw: Draw) -> Make:
    match kind:
        case Decimal(precision, scale):
            most = 10**precision - 1
            return lambda instant: decimal_text(whole(draw, -most, most), scale)
        case Primitive("float" | "double"):
            return lambda instant: repr((draw() - 0.5) * 1e12)
        case _:
            low, high = limits(kind)
            return lambda instant: str(whole(draw, low, high))


# -- texts


def json_text(text: str, kind: ColumnType) -> str:
    """Text as a JSON string, cut to the length of the type."""
    return json.dumps(text[: kind.length] if isinstance(kind, Text) else text, ensure_ascii=False)


def _texts(name: str, kind: ColumnType, draw: Draw) -> Make:
    words = candidates(name)
    known = next((TEXTS[word] for word in words if word in TEXTS), None)
    if known is None and any(word in NUMBERS for word in words):
        number = _numbers(name, Primitive("double"), draw)
        return lambda instant: json_text(number(instant), kind)
    if known is None and words[0] in ("date", "day"):
        return lambda instant: json_text(day(instant), kind)
    return _one_of([json_text(text, kind) for text in known or ANY_TEXTS], draw)


def _one_of(values: Sequence[str], draw: Draw) -> Make:
    count = len(values)
    return lambda instant: values[int(draw() * count)]


# -- ids


def unique_id(kind: ColumnType, draw: Draw) -> Callable[[int], str] | None:
    """Makes the id of an event from its number, which counts from 1; ids are different as far as the type has enough
    values.

    None if the type has no ids.
    """
    match kind:
        case Primitive("string"):
            return lambda number: f'"{_hex(draw)}{number:07x}"'
        case Text(_, length):
            return lambda number: f'"{f"{_hex(draw)}{number:07x}"[-length:]}"'
        case Primitive(name) if name in INTEGER_BITS:
            _, high = limits(kind)
            return lambda number: str((number - 1) % high + 1)
    return None


def _hex(draw: Draw) -> str:
    return f"{int(draw() * 2**52):013x}"


def _references(name: str, kind: ColumnType, draw: Draw) -> Make:
    """Ids of things that several events refer to."""
    if kind == Primitive("string") or isinstance(kind, Text):
        stem = name.removesuffix("_id")
        if stem == "session":
            return lambda instant: json_text(_hex(draw), kind)
        texts = [f"{stem}-{number:04d}" for number in range(1, _REFERENCES + 1)]
        cut = kind.length if isinstance(kind, Text) else None
        return _one_of([f'"{text if cut is None else text[-cut:]}"' for text in texts], draw)
    low, high = limits(kind)
    first, last = max(low, 1), min(high, _REFERENCES if name != "session_id" else 2**53)
    return (lambda instant: str(whole(draw, first, last))) if first <= last else _any_of(kind, draw)


# -- nested values


def map_keys(kind: ColumnType) -> list[str]:
    """JSON strings that are different keys of a map, in lower case as after conversion; no keys for binary."""
    match kind:
        case Primitive("binary"):
            return []
        case Primitive("boolean"):
            return ['"true"', '"false"']
        case Primitive("date"):
            return ['"2026-03-01"', '"2026-03-02"', '"2026-03-03"']
        case Primitive("timestamp"):  # the form without a T, because keys are in lower case
            return ['"2026-03-01 07:00:00"', '"2026-03-01 08:00:00"', '"2026-03-01 09:00:00.5"']
        case Decimal(_, scale):
            return [f'"{decimal_text(units, scale)}"' for units in (1, 2, 3)]
        case Primitive("string"):
            return ['"color"', '"size"', '"a longer key"']
        case Text():
            return ['"a"', '"b"', '"c"']
        case _:
            return ['"1"', '"2"', '"3"']


def _arrays(make: Make, draw: Draw, level: int) -> Make:
    most = _ITEMS_MAX if level < _LEVELS_OF_SEVERAL else 1
    return lambda instant: "[" + ",".join([make(instant) for _ in range(whole(draw, 0, most))]) + "]"


def _maps(keys: Sequence[str], make: Make, draw: Draw, level: int) -> Make:
    most = len(keys) if level < _LEVELS_OF_SEVERAL else min(1, len(keys))
    return lambda instant: "{" + ",".join([f"{key}:{make(instant)}" for key in keys[: whole(draw, 0, most)]]) + "}"


def _structs(fields: Sequence[tuple[str, Make]], draw: Draw) -> Make:
    named = [(f'"{name}":', with_nulls(make, draw)) for name, make in fields]

    def struct(instant: int) -> str:
        members = [(name, make(instant)) for name, make in named]
        return "{" + ",".join([name + text for name, text in members if text is not None]) + "}"

    return struct


def with_nulls(make: Callable[[T], str], draw: Draw) -> Callable[[T], str | None]:
    """As `make`, but sometimes null, or None for a member that is left out."""

    def made(of: T) -> str | None:
        if draw() < NULL_SHARE:
            return "null" if draw() < 0.5 else None
        return make(of)

    return made
