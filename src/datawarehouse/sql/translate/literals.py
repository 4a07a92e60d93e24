"""Literals, parameters and intervals."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from itertools import pairwise
from typing import Any, NamedTuple

from sqlglot import exp

from datawarehouse.errors import BadRequest, QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate.compiler import Compiler, Given, Rule, rule
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import NULL, Typed, quoted_text
from datawarehouse.sql.translate.zones import literal as literal_in_zone
from datawarehouse.sql.translate.zones import valid_offset, zone_of

UNITS = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_INTERVAL_UNITS = {
    "second": types.DAY_TO_SECOND,
    "minute": types.DAY_TO_SECOND,
    "hour": types.DAY_TO_SECOND,
    "day": types.DAY_TO_SECOND,
    "month": types.YEAR_TO_MONTH,
    "year": types.YEAR_TO_MONTH,
}
_INTERVAL_SIZES = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "month": 1, "year": 12}
_TIMESTAMP = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?: (?:(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?)?\s*([^\s\d:].*)?)?"
)
_DAYTIME = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?\s*([+-]\d\d:\d\d)?")
_CODE_MAX, _SURROGATES = 0x10FFFF, range(0xD800, 0xE000)
_DIGITS_MAX = 1_000  # leading zeros are digits too; Python refuses to read more than 4,300


def literal(_: Compiler, node: exp.Literal, __: Scope) -> Typed:
    if node.is_string:
        return Typed(quoted_text(node.this), types.VARCHAR)
    return number(node.this, node)


def number(text: str, node: exp.Expr) -> Typed:
    """A number without a point is an integer or a bigint; with a point or an exponent it is double in Athena."""
    if re.fullmatch(r"[0-9]+", text):
        if len(text) > _DIGITS_MAX:
            raise QueryFailed(f"{place(node)}The number of {len(text)} digits does not fit a bigint, nor a decimal.")
        value = int(text)
        if value >= 2**63:
            raise QueryFailed(f"{place(node)}The number {text} does not fit a bigint; write DECIMAL '{text}'.")
        return Typed(str(value), types.INTEGER if value < 2**31 else types.BIGINT)
    if re.fullmatch(r"[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?", text):
        return double(float(text))
    raise QueryFailed(f"{place(node)}Not a number: {text!r}.")


def double(value: float) -> Typed:
    text = repr(value)
    if not math.isfinite(value):
        text = f"CAST('{text}' AS DOUBLE)"
    elif "e" not in text:
        text += "e0"
    return Typed(text, types.DOUBLE)


def negated(compiler: Compiler, node: exp.Neg, scope: Scope) -> Typed:
    if isinstance(node.this, exp.Literal) and node.this.this == str(2**63):
        return Typed(f"CAST('-{2**63}' AS BIGINT)", types.BIGINT)
    if isinstance(node.this, exp.Literal) and node.this.this == str(2**31):
        return Typed(f"CAST('-{2**31}' AS INTEGER)", types.INTEGER)
    value = compiler.expression(node.this, scope)
    if value.type == types.UNKNOWN:
        return value
    if not types.is_numeric(value.type) and value.type not in types.INTERVALS:
        raise QueryFailed(f"TYPE_MISMATCH: {place(node)}{value.type} takes no minus sign; write it before a number.")
    if value.type in types.INTEGERS and not isinstance(node.this, exp.Literal | exp.Column):
        # DuckDB widens the least number of a type instead of failing.
        return Typed(f"CAST(-{value.sql} AS {types.duckdb(value.type)})", value.type)
    if value.type in (types.TINYINT, types.SMALLINT):
        return Typed(f"CAST(-{value.sql} AS {types.duckdb(value.type)})", value.type)
    return Typed(f"(-{value.sql})", value.type)


def boolean(_: Compiler, node: exp.Boolean, __: Scope) -> Typed:
    return Typed("TRUE" if node.this else "FALSE", types.BOOLEAN)


def null(_: Compiler, __: exp.Null, ___: Scope) -> Typed:
    return NULL


def binary(_: Compiler, node: exp.HexString, __: Scope) -> Typed:
    digits = node.this.replace(" ", "")
    if node.meta["end"] - node.meta["start"] + 1 == len(node.this) + 2:
        raise QueryRefused(f"{place(node)}0x{digits} is not supported; write the number in decimal, or X'{digits}'.")
    if len(digits) % 2:
        raise SqlSyntaxError(f"{place(node)}Binary literal must contain an even number of digits.")
    return Typed(f"unhex({quoted_text(digits)})", types.VARBINARY)


def unicode_text(_: Compiler, node: exp.UnicodeString, __: Scope) -> Typed:
    """U&'\\2603' is a snowman. Trino documentation, "String"."""
    given = node.args.get("escape")
    sign = given.name if given else "\\"
    if len(sign) != 1 or re.fullmatch(r"[0-9A-Fa-f+'\" ]", sign):
        raise SqlSyntaxError(f"{place(node)}UESCAPE takes one character that is no digit, sign or quote; got {sign!r}.")
    mark = re.escape(sign)
    code = rf"{mark}(?:(?P<mark>{mark})|\+(?P<six>[0-9A-Fa-f]{{6}})|(?P<four>[0-9A-Fa-f]{{4}}))"

    def character(found: re.Match[str]) -> str:
        value = int(found["six"] or found["four"] or "0", 16)
        if value > _CODE_MAX or value in _SURROGATES:
            raise SqlSyntaxError(f"{place(node)}{found[0]} is no character of Unicode.")
        return sign if found["mark"] else chr(value)

    if sign in re.sub(code, "", node.this):
        raise SqlSyntaxError(f"{place(node)}After {sign} come four digits, or + and six; or write it twice.")
    return Typed(quoted_text(re.sub(code, character, node.this)), types.VARCHAR)


def interval(_: Compiler, node: exp.Interval, __: Scope) -> Typed:
    """INTERVAL '<value>' <unit>, or <unit> TO <smaller unit>. Trino documentation, "Interval"."""
    sign, value = 1, node.this
    while isinstance(value, exp.Neg | exp.Paren):
        sign, value = (-sign if isinstance(value, exp.Neg) else sign), value.this
    unit = node.args.get("unit")
    units = (unit.this, unit.expression) if isinstance(unit, exp.IntervalSpan) else (unit, unit)
    first, last = (each.name.lower().removesuffix("s") if isinstance(each, exp.Var) else "" for each in units)
    text = value.this if isinstance(value, exp.Literal) else ""
    pattern = _interval_pattern(first, last)
    found = re.fullmatch(pattern, text) if pattern else None
    if not found:
        raise QueryRefused(
            f"{place(node)}An interval is written INTERVAL '<number>' and one of "
            f"{', '.join(_INTERVAL_UNITS).upper()}, or two of these with TO, e.g. INTERVAL '2 03:04:05' DAY TO "
            f"SECOND; got {text!r} {first.upper()}{'' if first == last else f' TO {last.upper()}'}."
        )
    if found["sign"]:
        sign = -sign
    type = _INTERVAL_UNITS[first]
    parts = {name: found[name] for name in _INTERVAL_UNITS if name in found.groupdict() and found[name]}
    amount = sum(int(number) * _INTERVAL_SIZES[name] for name, number in parts.items())
    amount = sign * (amount + int((found.groupdict().get("fraction") or "").ljust(3, "0")[:3]))
    if abs(amount) // min(_INTERVAL_SIZES[first], 86_400_000) >= 2**31:
        raise QueryFailed(f"{place(node)}An interval of {text} {first}s is longer than any calendar.")
    if first == last and not found.groupdict().get("fraction"):
        return Typed(f"to_{first}s({sign * int(found[first])})", type)
    if type == types.YEAR_TO_MONTH:
        return Typed(f"to_months({amount})", type)
    return Typed(f"to_milliseconds({amount})", type)


def _interval_pattern(first: str, last: str) -> str:
    """A regular expression for the values of an interval of these units, '' if there is no such interval."""
    names = list(_INTERVAL_UNITS)
    family = names[:4] if first in names[:4] else names[4:]
    if first not in family or last not in family or family.index(last) > family.index(first):
        return ""
    between = [name for name in reversed(family) if family.index(last) <= family.index(name) <= family.index(first)]
    pattern = rf"\s*(?P<sign>-)?(?P<{first}>[0-9]{{1,1000}})"
    for before, name in pairwise(between):
        separator = {"day": " ", "year": "-"}.get(before, ":")
        pattern += rf"(?:{separator}(?P<{name}>[0-9]{{1,1000}})"
    if last == "second":
        pattern += r"(?:[.](?P<fraction>[0-9]{1,1000}))?"
    return pattern + ")?" * (len(between) - 1)


def date_text(value: datetime.date) -> Typed:
    return Typed(f"DATE {quoted_text(value.isoformat())}", types.DATE)


def parsed_date(text: str, node: exp.Expr) -> datetime.date:
    """The date of `YYYY-MM-DD`, or QueryFailed."""
    found = re.fullmatch(r"\s*(\d{1,4})-(\d{1,2})-(\d{1,2})\s*", text)
    try:
        if found:
            return datetime.date(*map(int, found.groups()))
    except ValueError:
        pass
    raise QueryFailed(
        f"INVALID_CAST_ARGUMENT: {place(node)}Value cannot be cast to date: {text!r}; valid is 'YYYY-MM-DD'."
    )


class Moment(NamedTuple):
    """A timestamp that a statement has as a literal: digits: after the second, from 3 to 6. zone: what follows, "" if
    nothing does."""

    local: datetime.datetime
    digits: int
    zone: str

    def rounded(self, digits: int) -> Moment:
        """With no more digits after the second; half of the last one is rounded up."""
        unit = 10 ** (types.DIGITS_MAX - digits)
        missing = (unit // 2 - (self.local.microsecond + unit // 2) % unit) if unit > 1 else 0
        try:
            return self._replace(local=self.local + datetime.timedelta(microseconds=missing))
        except OverflowError:
            raise QueryFailed(f"INVALID_CAST_ARGUMENT: {self.local} is rounded beyond the year 9999.") from None


def parsed_timestamp(text: str, node: exp.Expr) -> Moment:
    """What `YYYY-MM-DD HH:MM:SS.mmm` says, with or without a zone after it."""
    found = _TIMESTAMP.fullmatch(text)
    try:
        if found:
            year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
            microseconds, digits = _fraction(found[7] or "", text, node)
            local = datetime.datetime(year, month, day, hour, minute, second, microseconds)  # noqa: DTZ001
            return Moment(local, max(digits, types.DIGITS_MIN), found[8] or "")
    except ValueError:
        pass
    raise QueryFailed(
        f"INVALID_CAST_ARGUMENT: {place(node)}Value cannot be cast to timestamp: {text!r}; "
        "valid is 'YYYY-MM-DD HH:MM:SS.mmm' with a blank, not a T, before the time."
    )


def _fraction(digits: str, text: str, node: exp.Expr) -> tuple[int, int]:
    """The microseconds of what follows the point, and how many digits they have."""
    if len(digits.rstrip("0")) > types.DIGITS_MAX:
        raise QueryRefused(f"{place(node)}{text!r} has more than microseconds; a time here has at most six digits.")
    return int(digits[:6].ljust(6, "0")), min(len(digits), types.DIGITS_MAX)


def timestamp_text(value: Moment, node: exp.Expr) -> Typed:
    """A literal without a zone, or with one."""
    text = value.local.isoformat(" ", "microseconds")
    if not value.zone:
        return Typed(f"TIMESTAMP {quoted_text(text)}", types.timestamp(value.digits))
    type = types.instant(value.digits, zone_of(value.zone, place(node)))
    if not type.zone:
        return Typed(f"TIMESTAMPTZ {quoted_text(text + '+00')}", type)
    return literal_in_zone(f"TIMESTAMP {quoted_text(text)}", type)


def daytime_text(text: str, node: exp.Expr) -> Typed:
    """A literal `HH:MM:SS.mmm`, with or without an offset after it."""
    found = _DAYTIME.fullmatch(text.strip())
    try:
        if found:
            microseconds, digits = _fraction(found[4] or "", text, node)
            parts = datetime.time(int(found[1]), int(found[2]), int(found[3] or 0), microseconds)
            written = parts.isoformat("microseconds")[: 9 + digits if digits else 8]
            if not found[5]:
                return Typed(f"TIME {quoted_text(written)}", types.DAYTIMES[digits])
            if valid_offset(found[5]):
                return Typed(quoted_text(written + found[5]), types.DAYTIMES_WITH_OFFSET[digits])
    except ValueError:
        pass
    raise QueryFailed(
        f"INVALID_LITERAL: {place(node)}{text!r} is not a valid TIME literal; valid is 'HH:MM:SS.mmm', and an offset "
        "such as +05:30 after it."
    )


def parameter(compiler: Compiler, node: exp.Placeholder, scope: Scope) -> Typed:
    """A named parameter of DuckDB. It has the type of the value; a cast tells DuckDB the type before the value is
    bound. A constant expression is written in its place."""
    position = node.args["position"]
    value = compiler.parameters[position]
    if isinstance(value, Given):
        return compiler.given(value, scope)
    type, bound = _parameter(value, position)
    if value is None:
        return NULL
    name = f"p{position + 1}"
    compiler.parameters_used[name] = bound
    return Typed(f"CAST(${name} AS {types.duckdb(type)})", type)


def numbered(tree: exp.Expr, parameters: int) -> None:
    """Give each `?` its position in the text. Raises BadRequest if the number of `?` differs from the number of
    values."""
    marks = sorted(tree.find_all(exp.Placeholder), key=lambda mark: mark.meta["start"])
    if len(marks) != parameters:
        raise BadRequest(
            f"Incorrect number of parameters: expected {len(marks)} but found {parameters}. "
            "Give one value for each '?'."
        )
    for position, mark in enumerate(marks):
        mark.set("position", position)


def _parameter(value: Any, position: int) -> tuple[types.Type, object]:
    match value:
        case None:
            return types.UNKNOWN, None
        case bool():
            return types.BOOLEAN, value
        case int() if -(2**63) <= value < 2**63:
            return (types.INTEGER if -(2**31) <= value < 2**31 else types.BIGINT), value
        case float():
            return types.DOUBLE, value
        case str():
            return types.VARCHAR, value
        case bytes():
            return types.VARBINARY, value
        case datetime.datetime():
            size = types.DIGITS_MAX if value.microsecond % 1000 else types.DIGITS_MIN
            return (types.instant(size) if value.tzinfo else types.timestamp(size)), value
        case datetime.time() if value.tzinfo is None:
            return types.DAYTIMES[types.DIGITS_MAX if value.microsecond % 1000 else types.DIGITS_MIN], value
        case datetime.date():
            return types.DATE, value
        case decimal.Decimal() if value.is_finite():
            _, digits, exponent = value.as_tuple()
            scale = max(0, -int(exponent))
            precision = max(len(digits) + max(0, int(exponent)), scale)
            if precision <= types.DECIMAL_DIGITS_MAX:
                return types.decimal(precision, scale), value
    raise BadRequest(
        f"Parameter {position + 1} is {value!r} ({type(value).__name__}); valid are None, bool, int of 64 bits, float, "
        "Decimal of 38 digits, str, bytes, date, datetime and time without a zone."
    )


RULES: dict[type[exp.Expr], Rule] = {
    exp.Literal: rule(literal, "this is_string"),
    exp.Neg: rule(negated),
    exp.Boolean: rule(boolean),
    exp.Null: rule(null),
    exp.HexString: rule(binary),
    exp.UnicodeString: rule(unicode_text, "this escape"),
    exp.Interval: rule(interval, "this unit"),
    exp.Placeholder: rule(parameter, "position"),
}
