"""The rules by which a JSON value becomes a value of a column: exact, one value at a time.

They are those of Firehose's OpenX JSON SerDe (Firehose developer guide, "Convert input data format"; measured
behaviour in docs/reference/conversion.md). Where the SerDe would change a value silently, or its behaviour is not
known, the record is rejected; each such choice is listed in docs/reference/deviations.md.

A rule takes a value of `documents` and gives the column's value in the form that Arrow arrays are built from, or
raises Reject:

    boolean bool; integers int; float, double float; string, char, varchar str; decimal Decimal;
    timestamp int (ms); date int (days); array list; map list of (key, value); struct tuple
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from typing import Any

from datawarehouse.definition import types
from datawarehouse.definition.documents import Number, Object, describe, quoted, twice
from datawarehouse.definition.instants import (
    DATE_FORMS,
    TIMESTAMP_FORMS,
    date_days,
    epoch_ms,
    exact_number,
    is_number,
    timestamp_ms,
)
from datawarehouse.definition.rejects import MALFORMED_DATA, Reject
from datawarehouse.definition.types import INTEGER_BITS, Array, ColumnType, Map, Primitive, Struct, Text

Rule = Callable[[Any], Any]

FLOAT_MAX = 3.4028234663852886e38
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_LITERAL_CHARACTERS_MAX = 400  # longer than any number that a column holds exactly, zeros included
_EXACT = Context(prec=2 * _LITERAL_CHARACTERS_MAX)


def rule_for(kind: ColumnType) -> Rule:
    """The rule of a column type. NULL is NULL in every column."""
    rule = _rule_for(kind)

    def with_null(value: Any) -> Any:
        return None if value is None else rule(value)

    return with_null


def _rule_for(kind: ColumnType) -> Rule:
    match kind:
        case Primitive(name) if name in INTEGER_BITS:
            return _integer(name)
        case Primitive("float" | "double" as name):
            return _floating(name)
        case Primitive("boolean"):
            return _boolean
        case Primitive("string"):
            return _string
        case Primitive("timestamp"):
            return _timestamp
        case Primitive("date"):
            return _date
        case types.Decimal(precision, scale):
            return _decimal(kind, precision, scale)
        case Text(name, length):
            return _sized_text(name, length)
        case Array(element):
            return _array(rule_for(element))
        case Map(key, value):
            return _map(rule_for(key), rule_for(value))
        case Struct(fields):
            return _struct([name for name, _ in fields], [rule_for(field) for _, field in fields])
        case _:
            return _binary


def members(found: Object) -> dict[str, Any]:
    """The members of an object by lower-cased name. Raises Reject if two have the same name."""
    lowered = {name.lower(): value for name, value in found}
    if len(lowered) != len(found):
        raise twice([name.lower() for name, _ in found])
    return lowered


def _mismatch(expected: str, value: Any) -> Reject:
    return Reject(MALFORMED_DATA, expected, describe(value))


def _integer(name: str) -> Rule:
    low, high = -(2 ** (INTEGER_BITS[name] - 1)), 2 ** (INTEGER_BITS[name] - 1) - 1
    expected = f"a whole number from {low} to {high}"

    def integer(value: Any) -> int:
        number = None
        if isinstance(value, str) and len(value) <= _LITERAL_CHARACTERS_MAX:
            if _WHOLE.fullmatch(value):
                number = int(value)
            elif isinstance(value, Number):
                exact = exact_number(value)
                if exact is not None and exact.adjusted() < 19 and exact == exact.to_integral_value():
                    number = int(exact)
        if number is None or not low <= number <= high:
            raise _mismatch(expected, value)
        return number

    return integer


def _floating(name: str) -> Rule:
    largest = FLOAT_MAX if name == "float" else float("inf")
    expected = f"a number in the range of {name}"

    def floating(value: Any) -> float:
        if isinstance(value, Number) or (isinstance(value, str) and is_number(value)):
            number = float(value)
            if abs(number) <= largest and abs(number) != float("inf"):
                return number
        raise _mismatch(expected, value)

    return floating


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and not isinstance(value, Number) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _mismatch("true or false", value)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)  # also for a Number, whose text is the number as it was sent
    if isinstance(value, bool):
        return "true" if value else "false"
    return _compact(value)


def _compact(value: Any) -> str:
    """JSON text without blanks, with lower-case keys at every depth, and numbers as they were sent."""
    if isinstance(value, Object):
        return "{" + ",".join(f"{quoted(name)}:{_compact(child)}" for name, child in members(value).items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return quoted(value)
    return "null" if value is None else "true" if value else "false"


def _sized_text(name: str, length: int) -> Rule:
    def sized_text(value: Any) -> str:
        text = _string(value)
        if len(text) > length:
            raise Reject(MALFORMED_DATA, f"at most {length} characters, {name}({length})", f"{len(text)} characters")
        return text

    return sized_text


def _timestamp(value: Any) -> int:
    instant = None
    if isinstance(value, Number):
        instant = epoch_ms(value)
    elif isinstance(value, str):
        instant = timestamp_ms(value)
    if instant is None:
        raise _mismatch(f"a timestamp in milliseconds: {TIMESTAMP_FORMS}", value)
    return instant


def _date(value: Any) -> int:
    days = date_days(value) if isinstance(value, str) and not isinstance(value, Number) else None
    if days is None:
        raise _mismatch(f"a date, {DATE_FORMS}", value)
    return days


def _decimal(kind: types.Decimal, precision: int, scale: int) -> Rule:
    expected = f"a number of at most {precision - scale} digits before and {scale} after the point, {kind}"
    unit = Decimal(1).scaleb(-scale)

    def decimal(value: Any) -> Decimal:
        is_numeric = isinstance(value, Number) or (isinstance(value, str) and is_number(value))
        if is_numeric and len(value) <= _LITERAL_CHARACTERS_MAX:
            number = exact_number(value)
            if number is not None and not number:
                return Decimal(0).scaleb(-scale)
            if number and -scale <= number.adjusted() < precision - scale:
                _, digits, exponent = number.as_tuple()
                extra = -int(exponent) - scale
                if extra <= 0 or not any(digits[-extra:]):
                    return number.quantize(unit, context=_EXACT)
        raise _mismatch(expected, value)

    return decimal


def _binary(value: Any) -> bytes:
    raise _mismatch("null, the only value of a binary column that JSON can express; declare it as string", value)


def _array(element: Rule) -> Rule:
    def array(value: Any) -> list[Any]:
        items = value if isinstance(value, list) and not isinstance(value, Object) else [value]
        try:
            return [element(item) for item in items]
        except Reject as reject:
            raise reject.within("[]") from None

    return array


def _map(key_rule: Rule, value_rule: Rule) -> Rule:
    def map_(value: Any) -> list[tuple[Any, Any]]:
        if not isinstance(value, Object):
            raise _mismatch("an object", value)
        pairs = []
        for name, item in members(value).items():
            try:
                pairs.append((key_rule(name), value_rule(item)))
            except Reject as reject:
                raise reject.within(f"[{name!r}]") from None
        if len({key for key, _ in pairs}) != len(pairs):
            raise Reject(MALFORMED_DATA, "each key once", "two keys with the same value")
        return pairs

    return map_


def _struct(names: Sequence[str], rules: Sequence[Rule]) -> Rule:
    def struct(value: Any) -> tuple[Any, ...]:
        if isinstance(value, Object):
            found = members(value)
            values: Sequence[Any] = [found.get(name) for name in names]
        elif isinstance(value, list):
            values = [*value[: len(names)], *[None] * (len(names) - len(value))]
        else:
            raise _mismatch("an object", value)
        return by_name(names, rules, values)

    return struct


def by_name(names: Sequence[str], rules: Sequence[Rule], values: Iterable[Any]) -> tuple[Any, ...]:
    """Apply each rule to its value; a Reject has the name of the value at fault."""
    result = []
    try:
        for rule, value in zip(rules, values, strict=True):
            result.append(rule(value))
    except Reject as reject:
        raise reject.within(names[len(result)]) from None
    return tuple(result)
