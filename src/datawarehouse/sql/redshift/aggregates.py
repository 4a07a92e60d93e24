"""Aggregates and window functions.

Source: Amazon Redshift Database Developer Guide, "Aggregate functions" and "Window functions".
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift.calls import Call, ordering, over, read
from datawarehouse.sql.redshift.grammar import APPROXIMATE
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.translator import Translator
from datawarehouse.sql.redshift.values import ATOM, PRODUCT, Value
from datawarehouse.sql.types import Type

Aggregate = Callable[[Translator, Call], Value]

_NEEDS_FRAME = ("sum", "avg", "min", "max", "count", "first_value", "last_value", "nth_value")


def _made(t: Translator, call: Call, name: str, arguments: str, type: Type | None) -> Value:
    if call.order:
        raise NeedsPerson(f"{call.name} WITHIN GROUP has no form that is known to be the same")
    if call.distinct and call.window:
        raise NeedsPerson(f"{call.name}(DISTINCT ...) OVER is not possible in Athena")
    window = call.window
    if window and call.name in _NEEDS_FRAME and window.args.get("order") and not window.args.get("spec"):
        raise NeedsPerson(f"{call.name} with ORDER BY in OVER needs a frame in Redshift; write the one that is meant")
    distinct = "DISTINCT " if call.distinct else ""
    return Value(f"{name}({distinct}{arguments}){f' {call.nulls}' if call.nulls else ''}{over(t, window)}", type)


def _argument(t: Translator, call: Call) -> Value:
    if len(call.arguments) != 1:
        raise NeedsPerson(f"{call.name} with {len(call.arguments)} arguments is not translated")
    return t.expression(call.arguments[0])


def count(t: Translator, call: Call) -> Value:
    if len(call.arguments) == 1 and isinstance(call.arguments[0], exp.Star) and not call.distinct:
        return _made(t, call, "count", "*", types.BIGINT)
    value = _argument(t, call)
    if call.distinct:
        t.compares([value.type])
    return _made(t, call, "count", value.text, types.BIGINT)


def sum_(t: Translator, call: Call) -> Value:
    value = _argument(t, call)
    _check_number(call, value)
    type = value.type
    if type in types.INTEGERS:
        type = types.decimal(38, 0) if type == types.BIGINT else types.BIGINT
    elif type == types.REAL:
        type = types.DOUBLE
    elif type:
        type = types.DOUBLE if type == types.DOUBLE else types.decimal(38, type.scale)
    return _made(t, call, "sum", value.text, type)


def avg(t: Translator, call: Call) -> Value:
    """Of whole numbers it is a whole number in Redshift, and a double in Athena."""
    value = _argument(t, call)
    _check_number(call, value)
    if value.type in types.INTEGERS:
        t.note("the average of whole numbers is whole in Redshift: the fraction is cut; avg(CAST(x AS double)) has it")
        total, number = (_made(t, call, name, value.text, types.BIGINT).text for name in ("sum", "count"))
        return Value(f"{total} / {number}", types.BIGINT, PRODUCT)
    if value.type and value.type.name == "decimal":
        raise NeedsPerson(
            f"how Redshift rounds the average of {value.type} is not documented; "
            f"write avg(CAST({value.text} AS double))"
        )
    if value.type is None and not value.is_null:
        t.assume(f"{value.text} is a double precision number: the average of whole numbers is whole in Redshift")
    return _made(t, call, "avg", value.text, types.DOUBLE)


def _check_number(call: Call, value: Value) -> None:
    if value.type and not types.is_numeric(value.type):
        raise NeedsPerson(f"{call.name} takes numbers, and {value.text} is {value.type}; write the cast")


def alike(name: str, type: Type | None = None) -> Aggregate:
    """A function of both engines; without `type`, its result is of its argument's."""

    def rule(t: Translator, call: Call) -> Value:
        value = _argument(t, call)
        return _made(t, call, name, value.text, type or value.type)

    return rule


def ranking(type: Type) -> Aggregate:
    def rule(t: Translator, call: Call) -> Value:
        if not call.window or call.distinct:
            raise NeedsPerson(f"{call.name} needs OVER (...)")
        return _made(t, call, call.name, ", ".join(t.expression(node).text for node in call.arguments), type)

    return rule


def of_window(t: Translator, call: Call) -> Value:
    """lag, lead, first_value, last_value, nth_value"""
    if not call.window or not call.arguments:
        raise NeedsPerson(f"{call.name} needs a value and OVER (...)")
    values = [t.expression(node) for node in call.arguments]
    return _made(t, call, call.name, ", ".join(value.text for value in values), values[0].type)


def listagg(t: Translator, call: Call) -> Value:
    if call.window:
        raise NeedsPerson("listagg with OVER is not possible in Athena; join with a query that has GROUP BY")
    if not 1 <= len(call.arguments) <= 2:
        raise NeedsPerson(f"listagg with {len(call.arguments)} arguments is not translated")
    value, *separators = (t.expression(node) for node in call.arguments)
    if value.type not in (None, types.VARCHAR):
        raise NeedsPerson(f"{value.text} is {value.type}, which Redshift makes a text by itself; write the cast")
    if any(separator.literal is None for separator in separators):
        raise NeedsPerson("the separator of listagg is a text in Athena")
    separator = separators[0].text if separators else "''"
    order = ordering(t, call.order) if call.order else f"ORDER BY {value.text}"
    distinct = "DISTINCT " if call.distinct else ""
    return Value(f"listagg({distinct}{value.text}, {separator}) WITHIN GROUP ({order})", types.VARCHAR)


def approximate(t: Translator, call: Call) -> Value:
    inner = read(t, call.arguments[0]) if call.arguments and call.arguments[0] else None
    if not inner or inner.name != "count" or not inner.distinct or len(inner.arguments) != 1 or inner.window:
        raise NeedsPerson("APPROXIMATE is translated of count(DISTINCT ...) alone")
    t.note("both engines approximate the number of distinct values, with an error of about 2 %: by other algorithms")
    return Value(f"approx_distinct({t.expression(inner.arguments[0]).text})", types.BIGINT)


def ratio_to_report(t: Translator, call: Call) -> Value:
    if not call.window or call.window.args.get("order"):
        raise NeedsPerson("ratio_to_report needs OVER (...) without an order")
    value = _argument(t, call)
    _check_number(call, value)
    if value.type != types.DOUBLE:
        raise NeedsPerson(
            "ratio_to_report divides as the type of its argument does, which is translated of a double precision "
            "number; "
            f"write CAST({value.text} AS double precision)"
        )
    return Value(f"{value.inside(ATOM)} / sum({value.text}){over(t, call.window)}", types.DOUBLE, PRODUCT)


RULES: dict[str, Aggregate] = {
    "count": count,
    "sum": sum_,
    "avg": avg,
    "min": alike("min"),
    "max": alike("max"),
    "any_value": alike("any_value"),
    "bool_and": alike("bool_and", types.BOOLEAN),
    "bool_or": alike("bool_or", types.BOOLEAN),
    "listagg": listagg,
    "ratio_to_report": ratio_to_report,
    APPROXIMATE: approximate,
    **dict.fromkeys(("row_number", "rank", "dense_rank", "ntile"), ranking(types.BIGINT)),
    **dict.fromkeys(("percent_rank", "cume_dist"), ranking(types.DOUBLE)),
    **dict.fromkeys(("lag", "lead", "first_value", "last_value", "nth_value"), of_window),
}
