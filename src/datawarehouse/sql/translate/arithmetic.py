"""Arithmetic and concatenation: of numbers, of times and intervals, of text and arrays.

Types decide what an operator means, by Trino's rules; operands that only DuckDB would accept are an error, as in
Athena. Division truncates for integers (`//`), follows IEEE for doubles (`/`), and gives Trino's number of digits for
decimals.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import NULL, Typed, coerced, failing
from datawarehouse.sql.types import DECIMAL_DIGITS_MAX, Type

_INTERVAL_DIGITS = 3
"""An interval of days has milliseconds."""
_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}


def arithmetic(compiler: Compiler, node: exp.Binary, scope: Scope) -> Typed:
    left, right = compiler.expression(node.this, scope), compiler.expression(node.expression, scope)
    return calculated(node, left, _ARITHMETIC[type(node)], right)


def calculated(node: exp.Expr, left: Typed, sign: str, right: Typed) -> Typed:
    if types.UNKNOWN in (left.type, right.type):
        known = left.type if right.type == types.UNKNOWN else right.type
        if known.name != "decimal":
            return Typed(coerced(NULL, known), known)
        # NULL counts as a decimal of one digit.
        digit = types.decimal(1, 0)
        left, right = (
            Typed(coerced(each, digit), digit) if each.type == types.UNKNOWN else each for each in (left, right)
        )
    if types.is_numeric(left.type) and types.is_numeric(right.type):
        return _of_numbers(node, left, sign, right)
    result = _of_times(left, sign, right)
    if result is None:
        raise mismatch(node, f"Cannot apply operator: {left.type} {sign} {right.type}.")
    return result


def _of_numbers(node: exp.Expr, left: Typed, sign: str, right: Typed) -> Typed:
    type = types.common(left.type, right.type)
    assert type is not None
    if type.name == "decimal":
        return _of_decimals(node, left, sign, right)
    duck_sign = "//" if sign == "/" and type in types.INTEGERS else sign
    return Typed(f"({coerced(left, type)} {duck_sign} {coerced(right, type)})", type)


def _of_decimals(node: exp.Expr, left: Typed, sign: str, right: Typed) -> Typed:
    """Trino documentation, "Decimal functions and operators": precision and scale of the result."""
    a, b = types.as_decimal(left.type), types.as_decimal(right.type)
    scale = max(a.scale, b.scale)
    if sign in "+-":
        digits = max(a.precision - a.scale, b.precision - b.scale) + scale + 1
    elif sign == "*":
        digits, scale = a.precision + b.precision, a.scale + b.scale
    elif sign == "/":
        digits = a.precision + b.scale + max(0, b.scale - a.scale)
    else:
        digits = min(a.precision - a.scale, b.precision - b.scale) + scale
    if scale > DECIMAL_DIGITS_MAX:
        raise QueryFailed(
            f"INVALID_FUNCTION_ARGUMENT: {place(node)}DECIMAL scale must be in range [0, precision "
            f"({DECIMAL_DIGITS_MAX})]: {scale}"
        )
    type = types.decimal(min(digits, DECIMAL_DIGITS_MAX), scale)
    x, y = coerced(left, a), coerced(right, b)
    if sign == "*" and digits > 18:
        # DuckDB multiplies two decimals of at most 18 digits in 64 bits.
        x = f"CAST({x} AS DECIMAL({DECIMAL_DIGITS_MAX}, {a.scale}))"
    if sign == "/":
        return _divided(Typed(x, a), Typed(y, b), type)
    return Typed(f"CAST(({x} {sign} {y}) AS {types.duckdb(type)})", type)


def _divided(left: Typed, right: Typed, type: Type) -> Typed:
    """The exact quotient: both sides are whole numbers, and the dividend gets as many more zeros as the result needs
    digits."""
    zeros = type.scale + right.type.scale - left.type.scale
    return scaled(f"trino_rounded_quotient({whole(left)} * 1{'0' * zeros}, {whole(right)})", type)


def whole(value: Typed) -> str:
    """The digits of a decimal, as a number of 128 bits."""
    precision, scale = value.type.precision, value.type.scale
    if precision + scale > DECIMAL_DIGITS_MAX:
        return f"CAST(replace(CAST({value.sql} AS VARCHAR), '.', '') AS HUGEINT)"
    wide = f"CAST({value.sql} AS DECIMAL({DECIMAL_DIGITS_MAX}, {scale}))" if precision + scale > 18 else value.sql
    return f"CAST({wide} * 1{'0' * scale} AS HUGEINT)"


def scaled(digits: str, type: Type) -> Typed:
    """The decimal of `type` that has the digits of a whole number."""
    unit = f"CAST('{10**-type.scale:.{type.scale}f}' AS DECIMAL({max(type.scale, 1)}, {type.scale}))"
    return Typed(f"CAST(CAST({digits} AS DECIMAL({DECIMAL_DIGITS_MAX}, 0)) * {unit} AS {types.duckdb(type)})", type)


def _of_times(left: Typed, sign: str, right: Typed) -> Typed | None:
    """Dates, timestamps and intervals. DuckDB makes a timestamp of `date + interval`, and a number of `date - date`."""
    if left.type in types.INTERVALS and right.type not in types.INTERVALS and sign == "+":
        left, right = right, left
    type = types.common(types.in_utc(left.type), types.in_utc(right.type))
    if type and (type in types.TIMES or type in types.DAYTIMES) and sign == "-":
        if type in types.DAYTIMES or (type != types.DATE and types.digits_of(type) > _INTERVAL_DIGITS):
            sides = [f"epoch_us({_as_timestamp(side, type)})" for side in (left, right)]
            return Typed(
                f"to_milliseconds(CAST(floor(({sides[0]} - {sides[1]} + 500) / 1000) AS BIGINT))", types.DAY_TO_SECOND
            )
        return Typed(
            f"CAST({_as_timestamp(left, type)} - {_as_timestamp(right, type)} AS INTERVAL)", types.DAY_TO_SECOND
        )
    is_exact = left.type in types.DAYTIMES or left.type.zone
    if is_exact and right.type == types.DAY_TO_SECOND and sign in "+-":
        return Typed(f"({left.sql} {sign} {right.sql})", left.type)
    if left.type in types.TIMES and right.type in types.INTERVALS and sign in "+-":
        moved = f"({left.sql} {sign} {right.sql})"
        if left.type == types.DATE and right.type == types.DAY_TO_SECOND:
            partial = failing("Cannot add hours, minutes or seconds to a date", types.DATE)
            whole = f"CASE WHEN {moved} <> date_trunc('day', {moved}) THEN {partial} ELSE CAST({moved} AS DATE) END"
            return Typed(f"({whole})", types.DATE)
        return Typed(f"CAST({moved} AS {types.duckdb(left.type)})", left.type)
    if left.type in types.INTERVALS and right.type == left.type and sign in "+-":
        return Typed(f"({left.sql} {sign} {right.sql})", left.type)
    if types.is_numeric(left.type) and right.type in types.INTERVALS and sign == "*":
        left, right = right, left
    if left.type in types.INTERVALS and right.type in types.INTEGERS and sign == "*":
        return Typed(f"({left.sql} * {coerced(right, types.BIGINT)})", left.type)
    if left.type in types.INTERVALS and types.is_numeric(right.type) and sign in "*/":
        return _scaled_interval(left, sign, right)
    return None


def _scaled_interval(left: Typed, sign: str, right: Typed) -> Typed:
    """An interval times or by a number, cut off to whole milliseconds or months."""
    if left.type == types.DAY_TO_SECOND:
        amount, made = f"epoch_ms({left.sql})", "to_milliseconds"
    else:
        amount, made = f"(datepart('year', {left.sql}) * 12 + datepart('month', {left.sql}))", "to_months"
    number = coerced(right, types.DOUBLE)
    impossible = failing("An interval is divided by a finite number that is not 0", types.DOUBLE)
    number = (
        f"if({number} IS NULL OR (isfinite({number}){f' AND {number} <> 0' if sign == '/' else ''}), {number}, "
        f"{impossible})"
    )
    kind = "BIGINT" if left.type == types.DAY_TO_SECOND else "INTEGER"
    return Typed(f"{made}(CAST(trunc({amount} {sign} {number}) AS {kind}))", left.type)


def _as_timestamp(value: Typed, type: Type) -> str:
    return coerced(value, types.TIMESTAMP if type == types.DATE else type)


def concatenation(compiler: Compiler, node: exp.DPipe, scope: Scope) -> Typed:
    return concatenated(node, [compiler.expression(part, scope) for part in (node.this, node.expression)])


def concatenated(node: exp.Expr, parts: Sequence[Typed]) -> Typed:
    """Of texts, of bytes, or of arrays and elements; NULL if any part is."""
    element = next((part.type.args[0] for part in parts if part.type.name == "array"), None)
    if element is None:
        parts = [Typed(part.sql, types.VARCHAR) if part.type.name == "char" else part for part in parts]
        type = common_type(node, parts, "concat")
        if type not in (types.VARCHAR, types.VARBINARY, types.UNKNOWN):
            raise mismatch(node, f"{type} cannot be concatenated; use cast(... as varchar).")
        return Typed(f"({' || '.join(coerced(part, type) for part in parts)})", type)
    # Of arrays of different depths the deepest says which the elements are.
    element = max((part.type.args[0] for part in parts if part.type.name == "array"), key=_depth)
    lists = [
        part
        if part.type.name == "array" and (_depth(part.type) > _depth(element) or part.type.args[0] == types.UNKNOWN)
        else Typed(f"(CASE WHEN {part.sql} IS NOT NULL THEN [{part.sql}] END)", types.array(part.type))
        for part in parts
    ]
    type = common_type(node, lists, "concat")
    return Typed(f"({' || '.join(coerced(part, type) for part in lists)})", type)


def _depth(type: Type) -> int:
    return 1 + _depth(type.args[0]) if type.name == "array" else 0


def common_type(node: exp.Expr, values: Sequence[Typed], what: str) -> Type:
    type = types.UNKNOWN
    for value in values:
        wider = types.common(type, value.type)
        if wider is None and types.is_instant(type) and types.is_instant(value.type):
            raise QueryRefused(f"{place(node)}{what} are times in several zones; write AT TIME ZONE 'UTC' after each.")
        if wider is None:
            raise mismatch(
                node, f"{what} must be of one type; got {', '.join(str(v.type) for v in values)}. Cast them."
            )
        type = wider
    return type


RULES: dict[type[exp.Expr], Rule] = {
    exp.DPipe: rule(concatenation, "this expression safe"),
    **{kind: rule(arithmetic, "this expression typed safe") for kind in _ARITHMETIC},
}
