"""An expression that was translated: its text in Athena SQL, and its type in Redshift."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import reduce

from datawarehouse.sql import types
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.types import Type

OR, AND, NOT, PREDICATE, CONCAT, SUM, PRODUCT, SIGN, ATOM = range(9)
"""How tightly the outermost operator of a text binds."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2})(?::(\d{2})(\.\d{1,3})?)?)?")
_TRUTH = {"t": "true", "true": "true", "1": "true", "f": "false", "false": "false", "0": "false"}
_INTEGER_MAX, _BIGINT_MAX = 2**31 - 1, 2**63 - 1


@dataclass(frozen=True, slots=True)
class Value:
    """type: None if it is not known, or of a NULL. literal: what is in a text literal."""

    text: str
    type: Type | None
    level: int = ATOM
    literal: str | None = None
    is_null: bool = False

    def inside(self, level: int) -> str:
        """The text as an operand of an operator that binds as `level` does."""
        return self.text if self.level >= level else f"({self.text})"


def text_literal(content: str) -> Value:
    quoted = "'" + content.replace("'", "''") + "'"
    return Value(quoted, types.VARCHAR, literal=content)


def number_literal(text: str) -> Value:
    """A number as it is written; one with a point is a decimal in Redshift and a double in Athena."""
    if text.isdigit():
        if int(text) <= _INTEGER_MAX:
            return Value(text, types.INTEGER)
        if int(text) <= _BIGINT_MAX:
            return Value(text, types.BIGINT)
    if not re.fullmatch(r"\d*\.?\d*", text) or len(text) > types.DECIMAL_DIGITS_MAX:
        raise NeedsPerson(f"the number {text} is a decimal in Redshift; write it with its digits, or cast it")
    whole, _, fraction = text.partition(".")
    precision = max(1, len(whole.lstrip("0")) + len(fraction))
    return Value(f"DECIMAL '{text}'", types.decimal(precision, len(fraction)))


def family(type: Type) -> str:
    """Types of one family are compared with each other in both engines alike."""
    if types.is_numeric(type):
        return "a number"
    if type in (types.DATE, types.TIMESTAMP):
        return "a date or timestamp"
    return str(type)


def fitted(value: Value, type: Type) -> Value:
    """A text literal as a literal of the type to which Redshift converts it; other values as they are."""
    content = value.literal
    if content is None or type == types.VARCHAR:
        return value
    if type == types.DATE and _DATE.fullmatch(content):
        return Value(f"DATE '{_checked(content)}'", type)
    if type == types.TIMESTAMP and (found := _TIMESTAMP.fullmatch(content)):
        day, minutes, seconds, fraction = found.groups()
        _checked(f"{day} {minutes or '00:00'}:{seconds or '00'}")
        return Value(f"TIMESTAMP '{day} {minutes or '00:00'}:{seconds or '00'}{fraction or ''}'", type)
    if type == types.BOOLEAN and content.lower() in _TRUTH:
        return Value(_TRUTH[content.lower()], type)
    if type in types.INTEGERS and re.fullmatch(r"-?\d{1,18}", content):
        return Value(content, type, SIGN if content.startswith("-") else ATOM)
    if type == types.DOUBLE or type.name == "decimal":
        try:
            number = Decimal(content)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite() and re.fullmatch(r"-?\d+(\.\d+)?", content):
            return Value(f"CAST({value.text} AS {type})", type)
    raise NeedsPerson(f"{value.text} is converted to {type} by Redshift itself; write the {type} that is meant")


def _checked(text: str) -> str:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        raise NeedsPerson(f"'{text}' is not a date that Athena reads") from None
    return text


def aligned(values: Sequence[Value], what: str) -> tuple[list[Value], Type | None]:
    """Values of which Redshift makes one type, and that type. Raises NeedsPerson where Athena would refuse them."""
    known = [value.type for value in values if value.type and value.literal is None and not value.is_null]
    if known:
        other = next((type for type in known if family(type) != family(known[0])), None)
        if other:
            raise NeedsPerson(
                f"{what} takes {known[0]} and {other}, and Redshift converts one of them by itself; write the cast"
            )
        values = [fitted(value, known[0]) for value in values]
    elif all(value.literal is not None or value.is_null for value in values):
        known = [types.VARCHAR] if any(value.literal is not None for value in values) else []
    is_complete = all(value.type or value.is_null for value in values)
    found = reduce(_common, [value.type for value in values if value.type and not value.is_null] or known, None)
    return list(values), found if is_complete else None


def _common(so_far: Type | None, type: Type) -> Type:
    return type if so_far is None else types.common(so_far, type) or type
