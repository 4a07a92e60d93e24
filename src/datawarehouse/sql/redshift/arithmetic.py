"""Operators of numbers, texts, dates and intervals.

Source: Amazon Redshift Database Developer Guide, "Computations with numeric values" and "Interval literals".
"""

from __future__ import annotations

import re

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.times import as_timestamp
from datawarehouse.sql.redshift.translator import Rule, Translator, knowing, shown
from datawarehouse.sql.redshift.values import CONCAT, PRODUCT, SIGN, SUM, Value, fitted
from datawarehouse.sql.types import Type

_SIGNS = {exp.Add: ("+", SUM), exp.Sub: ("-", SUM), exp.Mul: ("*", PRODUCT), exp.Div: ("/", PRODUCT),
          exp.Mod: ("%", PRODUCT)}  # fmt: skip
_UNITS = {"year": ("year", 1), "quarter": ("month", 3), "month": ("month", 1), "week": ("day", 7), "day": ("day", 1),
          "hour": ("hour", 1), "minute": ("minute", 1), "second": ("second", 1)}  # fmt: skip
_SHORT = {"mon": "month", "hr": "hour", "min": "minute", "sec": "second", "yr": "year", "qtr": "quarter"}
_TEMPORAL = (types.DATE, types.TIMESTAMP)


def operation(t: Translator, node: exp.Binary) -> Value:
    sign, level = _SIGNS[type(node)]
    if isinstance(node, exp.Add | exp.Sub):
        if isinstance(node.expression, exp.Interval):
            return _shifted(t, node.this, node.expression, sign)
        if isinstance(node.this, exp.Interval) and sign == "+":
            return _shifted(t, node.expression, node.this, sign)
    left, right = t.expression(node.this), t.expression(node.expression)
    if sign in "+-" and (left.type in _TEMPORAL or right.type in _TEMPORAL):
        return _of_days(left, sign, right)
    for each, other in ((left, right), (right, left)):
        if each.literal is not None and other.type:
            each_fitted = fitted(each, other.type)
            left, right = (each_fitted, right) if each is left else (left, each_fitted)
        elif each.type and not types.is_numeric(each.type):
            raise NeedsPerson(f"{each.text} is {each.type}, and {sign} takes numbers; write the cast")
    if node_is_decimal(left, right) and sign == "/":
        raise NeedsPerson(
            f"{shown(node)} divides decimals (a sum of bigint is one, and so is 1.5), and Redshift gives more digits "
            "after the point than Athena; cast one side to double precision"
        )
    type_ = _type_of(t, left, right, sign)
    if sign == "/" and type_ is None and not (left.is_null or right.is_null):
        t.assume(
            f"{left.text} and {right.text} are whole or double precision numbers: decimals, and a sum of bigint is "
            "one, are divided otherwise"
        )
    if sign == "-" and left.type is None and right.type is None and not (left.is_null or right.is_null):
        t.assume(f"{left.text} and {right.text} are numbers")
    return Value(f"{left.inside(level)} {sign} {right.inside(level + 1)}", type_, level)


def node_is_decimal(left: Value, right: Value) -> bool:
    kinds = [value.type for value in (left, right) if value.type]
    return any(kind.name == "decimal" for kind in kinds) and not any(kind in types.FLOATS for kind in kinds)


def _type_of(t: Translator, left: Value, right: Value, sign: str) -> Type | None:
    a, b = left.type, right.type
    if a is None or b is None:
        return types.DOUBLE if types.DOUBLE in (a, b) else None
    if types.REAL in (a, b) and a != b and types.DOUBLE not in (a, b):
        raise NeedsPerson("a real and another number make a double precision number in Redshift, and a real in Athena; "
                          "cast the real to double precision")  # fmt: skip
    if sign == "*" and "decimal" in (a.name, b.name) and types.DOUBLE not in (a, b):
        a, b = types.as_decimal(a), types.as_decimal(b)
        return types.decimal(min(types.DECIMAL_DIGITS_MAX, a.precision + b.precision), a.scale + b.scale)
    return types.common(a, b)


def _of_days(left: Value, sign: str, right: Value) -> Value:
    """A date and a number of days, or the days between two dates."""
    if left.type == types.DATE and right.type in types.INTEGERS:
        days = right.text if sign == "+" else f"-{right.inside(SIGN)}"
        return Value(f"date_add('day', {days}, {left.text})", types.DATE)
    if left.type in types.INTEGERS and right.type == types.DATE and sign == "+":
        return Value(f"date_add('day', {left.text}, {right.text})", types.DATE)
    if left.type == right.type == types.DATE and sign == "-":
        return Value(f"date_diff('day', {right.text}, {left.text})", types.BIGINT)
    raise NeedsPerson(
        f"{left.text} {sign} {right.text}: write dateadd or datediff with the unit that is meant, with values of "
        "known types"
    )


def _shifted(t: Translator, node: exp.Expr, interval: exp.Interval, sign: str) -> Value:
    """A time and an interval: a timestamp, also of a date."""
    time = as_timestamp(t, t.expression(node))
    parts = [f" {sign} INTERVAL '{number}' {unit}" for number, unit in _parts(interval)]
    return Value(time.inside(SUM) + "".join(parts), types.TIMESTAMP, SUM)


def _parts(node: exp.Interval) -> list[tuple[int, str]]:
    content, unit = node.this, node.args.get("unit")
    if not isinstance(content, exp.Literal) or not (unit is None or isinstance(unit, exp.Var)):
        raise NeedsPerson(f"{shown(node)} is not an interval of a number and a unit; write dateadd")
    text = f"{content.this} {unit.name if unit else ''}".strip().lower()
    if not re.fullmatch(r"(-?\d+\s*[a-z]+[\s,]*)+", text):
        raise NeedsPerson(f"{shown(node)} is not an interval of whole numbers and units; write dateadd")
    found = []
    for number, name in re.findall(r"(-?\d+)\s*([a-z]+)", text):
        singular = name.removesuffix("s")
        singular = _SHORT.get(singular, singular)
        if singular not in _UNITS:
            raise NeedsPerson(f"{shown(node)}: the unit {name} is not translated; write dateadd")
        unit_name, factor = _UNITS[singular]
        found.append((int(number) * factor, unit_name))
    return found


def interval(_: Translator, node: exp.Interval) -> Value:
    raise NeedsPerson(f"{shown(node)} is translated where it is added to a time or subtracted from it")


def negative(t: Translator, node: exp.Neg) -> Value:
    value = t.expression(node.this)
    return Value(f"-{value.inside(SIGN + 1)}", value.type, SIGN)


def concatenation(t: Translator, node: exp.DPipe) -> Value:
    left, right = as_text(t.expression(node.this)), as_text(t.expression(node.expression))
    for value in (left, right):
        if value.type is None and not value.is_null:
            t.assume(f"{value.text} is a text")
    return Value(f"{left.inside(CONCAT)} || {right.inside(CONCAT + 1)}", types.VARCHAR, CONCAT)


def as_text(value: Value) -> Value:
    """A value as a part of a concatenation; of a whole number its digits."""
    if value.type in types.INTEGERS or value.type == types.DATE:
        return Value(f"CAST({value.text} AS varchar)", types.VARCHAR)
    if value.type not in (None, types.VARCHAR):
        raise NeedsPerson(f"{value.text} is {value.type}, which Redshift makes a text by itself; write the cast")
    return value


RULES: dict[type[exp.Expr], Rule] = {
    **dict.fromkeys(_SIGNS, knowing("this expression typed safe", operation)),
    exp.Neg: knowing("this", negative),
    exp.DPipe: knowing("this expression safe", concatenation),
    exp.Interval: interval,
}
