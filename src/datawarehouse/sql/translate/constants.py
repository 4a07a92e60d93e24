"""Which expressions are constants when a statement is planned, and their values.

A statement has one clock: the time that its planning was given. `now()` and what is made of it are constants too, and
the engine computes with the same time, so that what pruning leaves out is what the engine would have left out. Each
value here is the one that the engine gives; an expression of which that is not certain is no constant.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql.conditions import ConditionReader, Constant
from datawarehouse.sql.instants import Step
from datawarehouse.sql.translate import formats
from datawarehouse.sql.translate.compiler import Compiler, Given
from datawarehouse.sql.translate.literals import parsed_date, parsed_timestamp
from datawarehouse.sql.translate.scope import Scope

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY_MS = 86_400_000
_UTC = ("utc", "etc/utc", "gmt", "z", "+00:00")


class _Interval(NamedTuple):
    months: int
    milliseconds: int


_Value = Constant | _Interval


def condition_reader(compiler: Compiler, scope: Scope) -> ConditionReader:
    """What reads the conditions of one query, with its names and constants."""
    return ConditionReader(
        lambda node: compiler.column_of(node, scope), compiler.constant, lambda node: step_of(compiler, node)
    )


_IN_INTERVAL = {
    "millisecond": _Interval(0, 1),
    "second": _Interval(0, 1_000),
    "minute": _Interval(0, 60_000),
    "hour": _Interval(0, 3_600_000),
    "day": _Interval(0, _DAY_MS),
    "week": _Interval(0, 7 * _DAY_MS),
    "month": _Interval(1, 0),
    "quarter": _Interval(3, 0),
    "year": _Interval(12, 0),
}


def constant(compiler: Compiler, node: exp.Expr) -> Constant:
    """See `Compiler.constant`."""
    value = _value(compiler, node)
    return None if isinstance(value, _Interval) else value


def _value(compiler: Compiler, node: exp.Expr) -> _Value:
    match node:
        case exp.Paren():
            return _value(compiler, node.this)
        case exp.Literal():
            if node.is_string:
                return str(node.this)
            return int(node.this) if re.fullmatch(r"[0-9]{1,19}", node.this) else None
        case exp.Boolean():
            return bool(node.this)
        case exp.Neg():
            return _negative(_value(compiler, node.this))
        case exp.Placeholder():
            bound = compiler.parameters[node.args["position"]]
            if isinstance(bound, Given):
                return _value(compiler, bound.node)
            return bound if isinstance(bound, str | int | float | datetime.date) else None
        case exp.DPipe():
            return _joined([_value(compiler, side) for side in (node.this, node.expression)])
        case exp.Cast():
            return _cast(_value(compiler, node.this), node)
        case exp.Interval():
            return _interval(node)
        case exp.Add() | exp.Sub():
            return _sum(_value(compiler, node.this), _value(compiler, node.expression), isinstance(node, exp.Sub))
        case exp.CurrentTimestamp() | exp.Localtimestamp() | exp.CurrentDate():
            return _of_clock(compiler, node)
        case exp.AtTimeZone():
            zone, value = _value(compiler, node.args["zone"]), _value(compiler, node.this)
            return value if _is_instant(value) and str(zone).lower() in _UTC else None
        case exp.Anonymous():
            return _call(compiler, node)
    return None


def _negative(value: _Value) -> _Value:
    if isinstance(value, _Interval):
        return _Interval(-value.months, -value.milliseconds)
    return -value if type(value) is int else None


def _joined(values: Sequence[_Value]) -> str | None:
    texts = [value for value in values if isinstance(value, str)]
    return "".join(texts) if len(texts) == len(values) else None


def _cast(value: _Value, node: exp.Cast) -> Constant:
    target = node.args["to"].this
    if target == exp.DType.VARCHAR and not node.args["to"].expressions:
        if type(value) is datetime.date:
            return value.isoformat()
        return str(value) if type(value) in (str, int) else None
    if target in (exp.DType.INT, exp.DType.BIGINT):
        return value if type(value) is int else None
    try:
        if target == exp.DType.DATE:
            return parsed_date(value, node) if isinstance(value, str) else _date(value)
        if target == exp.DType.TIMESTAMP and isinstance(value, str) and not isinstance(node, exp.TryCast):
            moment = parsed_timestamp(value, node)
            return None if moment.zone or moment.local.microsecond % 1000 else moment.local
    except (QueryFailed, QueryRefused):
        pass
    return None


# -- times


def _of_clock(compiler: Compiler, node: exp.Expr | None = None) -> Constant:
    """What the clock says, in the type that `node` has; in that of now() without one."""
    if compiler.now_ms is None:
        return None
    now = _EPOCH + datetime.timedelta(milliseconds=compiler.now_ms)
    if isinstance(node, exp.CurrentDate):
        return now.date()
    return now.replace(tzinfo=None) if isinstance(node, exp.Localtimestamp) else now


def _is_instant(value: _Value) -> bool:
    return isinstance(value, datetime.datetime) and value.tzinfo is datetime.UTC


def _date(value: _Value) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return value.date() if value.tzinfo in (None, datetime.UTC) else None
    return value if isinstance(value, datetime.date) else None


def _interval(node: exp.Interval) -> _Interval | None:
    sign, value = 1, node.this
    while isinstance(value, exp.Neg | exp.Paren):
        sign, value = (-sign if isinstance(value, exp.Neg) else sign), value.this
    unit = node.args.get("unit")
    one = _IN_INTERVAL.get(unit.name.lower().removesuffix("s")) if isinstance(unit, exp.Var) else None
    if one is None or not isinstance(value, exp.Literal) or not re.fullmatch(r"-?[0-9]{1,10}", value.this):
        return None
    return _times(one, sign * int(value.this))


def _times(one: _Interval, count: int) -> _Interval:
    return _Interval(one.months * count, one.milliseconds * count)


def _sum(left: _Value, right: _Value, minus: bool) -> _Value:
    if isinstance(left, _Interval) and isinstance(right, datetime.date) and not minus:
        left, right = right, left
    if isinstance(left, datetime.date) and isinstance(right, _Interval):
        return _moved(left, _times(right, -1 if minus else 1))
    return None


def _moved(value: datetime.date, by: _Interval) -> datetime.date | None:
    """A date or time and an interval later. A day that the month does not have becomes its last."""
    whole_days = by.milliseconds % _DAY_MS == 0
    if not isinstance(value, datetime.datetime) and not whole_days:
        return None
    months = value.year * 12 + value.month - 1 + by.months
    year, month = divmod(months, 12)
    try:
        day = min(value.day, calendar.monthrange(year, month + 1)[1])
        moved = value.replace(year=year, month=month + 1, day=day) + datetime.timedelta(milliseconds=by.milliseconds)
    except (ValueError, OverflowError):  # not between the years 1 and 9999
        return None
    return moved


_TRUNCATED = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")


def _truncated(unit: Constant, value: _Value) -> datetime.date | None:
    if unit not in _TRUNCATED or not isinstance(value, datetime.date):
        return None
    if isinstance(value, datetime.datetime):
        if unit in ("millisecond", "second"):
            step = 1_000 if unit == "millisecond" else 1_000_000
            return value.replace(microsecond=value.microsecond // step * step)
        value = value.replace(second=0, microsecond=0, minute=value.minute if unit == "minute" else 0)
        value = value if unit in ("minute", "hour") else value.replace(hour=0)
    elif unit in ("millisecond", "second", "minute", "hour"):
        return None
    if unit == "week":
        return _moved(value, _Interval(0, -value.weekday() * _DAY_MS))
    first = {"month": value.month, "quarter": (value.month - 1) // 3 * 3 + 1, "year": 1}.get(str(unit))
    return value.replace(month=first, day=1) if first else value


def step_of(compiler: Compiler, node: exp.Expr) -> tuple[exp.Expr, Step] | None:
    """The argument of a function that keeps the order of times, and its steps: `date_trunc`, `date`, a cast to date."""
    while isinstance(node, exp.Paren):
        node = node.this
    unit: Constant = None
    if isinstance(node, exp.Cast) and node.args["to"].this == exp.DType.DATE:
        unit, argument = "day", node.this
    elif isinstance(node, exp.Anonymous) and (name := node.name.lower()) in ("date", "date_trunc"):
        if len(node.expressions) != (1 if name == "date" else 2):
            return None
        unit, argument = "day" if name == "date" else compiler.constant(node.expressions[0]), node.expressions[-1]
    if not isinstance(unit, str) or (unit := unit.lower()) not in _TRUNCATED:
        return None
    return argument, Step(partial(_floor, unit), partial(_following, _IN_INTERVAL[unit]))


def _floor(unit: str, time: datetime.datetime) -> datetime.datetime:
    floor = _truncated(unit, time)
    assert isinstance(floor, datetime.datetime)
    return floor


def _following(by: _Interval, time: datetime.datetime) -> datetime.datetime | None:
    moved = _moved(time, by)
    return moved if isinstance(moved, datetime.datetime) else None


def _written(value: _Value, pattern: Constant, read: Callable[[str, bool], str]) -> str | None:
    """A time in a format, if it has nothing but numbers in it, whose form does not depend on a language."""
    if not isinstance(value, datetime.date) or not isinstance(pattern, str) or value.year < 1000:
        return None
    if isinstance(value, datetime.datetime) and value.tzinfo not in (None, datetime.UTC):
        return None
    time = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
    fields = {
        "%Y": f"{time.year}",
        "%m": f"{time.month:02}",
        "%-m": f"{time.month}",
        "%d": f"{time.day:02}",
        "%-d": f"{time.day}",
        "%H": f"{time.hour:02}",
        "%-H": f"{time.hour}",
        "%M": f"{time.minute:02}",
        "%S": f"{time.second:02}",
        "%%": "%",
    }
    try:
        format = read(pattern, False)
    except (QueryFailed, QueryRefused):
        return None
    parts = re.split(r"(%-?.)", format)
    if any(part.startswith("%") and part not in fields for part in parts):
        return None
    return "".join(fields.get(part, part) for part in parts)


# -- calls


def _call(compiler: Compiler, node: exp.Anonymous) -> Constant:
    name, values = node.name.lower(), [_value(compiler, argument) for argument in node.expressions]
    match name, values:
        case "now", []:
            return _of_clock(compiler)
        case "concat", _:
            return _joined(values)
        case "date_add", [str(unit), int(count), datetime.date() as time] if unit.lower() in _IN_INTERVAL:
            if abs(count) >= 2**31 or not (isinstance(time, datetime.datetime) or _has_days(unit.lower())):
                return None
            return _moved(time, _times(_IN_INTERVAL[unit.lower()], count))
        case "date_trunc", [str(unit), time]:
            return _truncated(unit.lower(), time)
        case "date", [datetime.date() as time]:
            return _date(time)
        case "date_format", [time, pattern]:
            return None if isinstance(pattern, _Interval) else _written(time, pattern, formats.mysql)
        case "format_datetime", [time, pattern]:
            return None if isinstance(pattern, _Interval) else _written(time, pattern, formats.joda)
        case "replace", [str(text), str(old), str(new)] if old:
            return text.replace(old, new)
        case (("year" | "month" | "day" | "hour"), [datetime.datetime() as time]) if time.tzinfo in (
            None,
            datetime.UTC,
        ):
            return int(getattr(time, name))
        case "lpad", [str(text), int(size), str(filling)] if 0 < size <= 100 and len(filling) == 1:
            return text[:size].rjust(size, filling)
    return None


def _has_days(unit: str) -> bool:
    return _IN_INTERVAL[unit].milliseconds % _DAY_MS == 0
