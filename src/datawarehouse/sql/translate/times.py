"""Functions of dates and times: units, formats, and zones.

A timestamp with a zone is an instant in UTC here. A time shown in another zone is of type `types.ZONED`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate import formats
from datawarehouse.sql.translate.calls import Call, arguments, special, varchar
from datawarehouse.sql.translate.casts import casted
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.literals import UNITS
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, coerced, quoted_text
from datawarehouse.sql.types import Type

_DAYS = ("day", "week", "month", "quarter", "year")

_UTC = ("utc", "etc/utc", "gmt", "z", "+00:00")

_FIELDS = {
    "year": "year",
    "quarter": "quarter",
    "month": "month",
    "week": "week",
    "day": "day",
    "day_of_month": "day",
    "day_of_week": "day_of_week",
    "dow": "day_of_week",
    "day_of_year": "day_of_year",
    "doy": "day_of_year",
    "year_of_week": "year_of_week",
    "yow": "year_of_week",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
}


@special("date_trunc")
def date_trunc(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    _, value = arguments(compiler, call, scope, 2)
    unit = _unit(compiler, call)
    if value.type == types.DATE and unit in _DAYS:
        return Typed(f"CAST(date_trunc('{unit}', {value.sql}) AS DATE)", types.DATE)
    # When the clock is set back, two instants have the same local time: only days and longer units are safe.
    if value.type in (types.TIMESTAMP, types.INSTANT) or (value.type == types.ZONED and unit in _DAYS):
        return Typed(f"date_trunc('{unit}', {value.sql})", value.type)
    raise mismatch(call.node, f"date_trunc('{unit}', ...) does not take {value.type}.")


@special("date_add")
def date_add(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    unit, amount, value = arguments(compiler, call, scope, 3)
    return _for_unit(compiler, call, unit, value.type, lambda name: _added(call, name, amount, value))


def _added(call: Call, unit: str, amount: Typed, value: Typed) -> Typed:
    if (
        value.type not in types.TIMES
        or not types.coerces(amount.type, types.BIGINT)
        or (value.type == types.DATE and unit not in _DAYS)
    ):
        raise mismatch(call.node, f"date_add('{unit}', ...) does not take ({amount.type}, {value.type}).")
    interval = {
        "week": f"to_days(CAST(7 * {amount.sql} AS INTEGER))",
        "quarter": f"to_months(CAST(3 * {amount.sql} AS INTEGER))",
        "day": f"to_days(CAST({amount.sql} AS INTEGER))",
        "month": f"to_months(CAST({amount.sql} AS INTEGER))",
        "year": f"to_years(CAST({amount.sql} AS INTEGER))",
    }.get(unit, f"to_{unit}s({coerced(amount, types.BIGINT)})")
    return Typed(f"CAST({value.sql} + {interval} AS {types.duckdb(value.type)})", value.type)


@special("date_diff")
def date_diff(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Whole units between two times. DuckDB's date_diff counts boundaries; its date_sub counts as Trino does."""
    unit, start, end = arguments(compiler, call, scope, 3)
    type = types.common(start.type, end.type)

    def counted(name: str) -> Typed:
        if type not in types.TIMES or (type == types.DATE and name not in _DAYS):
            raise mismatch(call.node, f"date_diff('{name}', ...) does not take ({start.type}, {end.type}).")
        return Typed(f"date_sub('{name}', {coerced(start, type)}, {coerced(end, type)})", types.BIGINT)

    return _for_unit(compiler, call, unit, type, counted)


def _for_unit(
    compiler: Compiler, call: Call, unit: Typed, type: Type | None, translated: Callable[[str], Typed]
) -> Typed:
    """What `translated` gives for the unit of a call; for each unit, if the unit is a value of the row."""
    if isinstance(compiler.constant(call.arguments[0]), str):
        return translated(_unit(compiler, call))
    units = [name for name in UNITS if type != types.DATE or name in _DAYS]
    found = {name: translated(name) for name in units}
    whens = " ".join(f"WHEN '{name}' THEN {value.sql}" for name, value in found.items())
    result = found[units[0]].type
    text = varchar(call, unit)
    wrong = f"CAST(CAST('Not a valid unit here: ' || {text} AS INTEGER) AS {types.duckdb(result)})"
    return Typed(f"(CASE lower({text}) {whens} ELSE if({text} IS NULL, NULL, {wrong}) END)", result)


@special("date")
def date(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    return casted(call.node, arguments(compiler, call, scope, 1)[0], types.DATE)


@special("date_format", "format_datetime")
def date_format(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value, format = arguments(compiler, call, scope, 2)
    if call.name == "date_format" and not isinstance(compiler.constant(call.arguments[1]), str):
        if value.type not in (*types.TIMES, types.ZONED):
            raise mismatch(call.node, f"{call.name} takes a date or a timestamp; this is {value.type}. Cast it.")
        return Typed(f"trino_date_format({coerced(value, types.TIMESTAMP)}, {varchar(call, format)})", types.VARCHAR)
    pattern = compiler.constant_text(call.arguments[1], f"The format of {call.name}")
    read = formats.mysql if call.name == "date_format" else formats.joda
    if value.type not in (*types.TIMES, types.ZONED):
        raise mismatch(call.node, f"{call.name} takes a date or a timestamp; this is {value.type}. Cast it.")
    if value.type == types.ZONED and set("Zz") & set(pattern) and call.name == "format_datetime":
        raise QueryRefused(
            f"{place(call.node)}format_datetime writes no zone but UTC here; leave Z out of {pattern!r}."
        )
    return Typed(f"strftime({value.sql}, {quoted_text(read(pattern, False))})", types.VARCHAR)


@special("date_parse", "parse_datetime")
def date_parse(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value = varchar(call, arguments(compiler, call, scope, 2)[0])
    pattern = compiler.constant_text(call.arguments[1], f"The format of {call.name}")
    read = formats.mysql if call.name == "date_parse" else formats.joda
    wanted = read(pattern, True)
    directives = set(re.findall(r"%-?([A-Za-z])", wanted.replace("%%", "")))
    if not directives & {"Y", "y"}:
        # Joda-Time's default year, for dates and for times of a day: DateTimeParserBucket.
        year = "2000 " if directives & {"m", "b", "B", "d", "j"} else "1970 "
        value, wanted = f"{quoted_text(year)} || {value}", f"%Y {wanted}"
    if ".%f" in wanted:
        value = f"regexp_replace({value}, '([.][0-9]{{6}})[0-9]{{1,3}}([^0-9]|$)', '\\1\\2')"
    if "I" in directives and "p" not in directives:
        value, wanted = f"{value} || ' AM'", f"{wanted} %p"
    parsed = f"date_trunc('milliseconds', strptime({value}, {quoted_text(wanted)}))"
    if "y" in directives and call.name == "date_parse":
        # Two digits of a year are from 1970 to 2069.
        parsed = f"if(year({parsed}) = 1969, CAST({parsed} + to_years(100) AS TIMESTAMP), {parsed})"
    if call.name == "date_parse":
        return Typed(parsed, types.TIMESTAMP)
    return Typed(f"CAST({parsed} AS TIMESTAMPTZ)", types.INSTANT)


@special("at_timezone")
def at_timezone(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    if len(call.arguments) != 2:
        raise mismatch(call.node, "at_timezone takes a timestamp and a zone.")
    return _in_zone(compiler, call.arguments[0], call.arguments[1], scope)


@special("with_timezone")
def with_timezone(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value, _ = arguments(compiler, call, scope, 2)
    zone = compiler.constant_text(call.arguments[1], "The zone")
    if value.type != types.TIMESTAMP:
        raise mismatch(call.node, f"with_timezone takes a timestamp; this is {value.type}.")
    if zone.lower() not in _UTC:
        raise QueryRefused(
            f"{place(call.node)}with_timezone(..., {zone!r}) keeps its zone in Athena, here only its instant: write "
            f"with_timezone(..., {zone!r}) AT TIME ZONE 'UTC'."
        )
    return Typed(coerced(value, types.INSTANT), types.INSTANT)


@special("from_unixtime")
def from_unixtime(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    seconds = arguments(compiler, call, scope, 1, 2)[0]
    if not types.coerces(seconds.type, types.DOUBLE):
        raise mismatch(call.node, f"from_unixtime takes a number of seconds; this is {seconds.type}.")
    milliseconds = f"CAST(round({coerced(seconds, types.DOUBLE)} * 1000) AS BIGINT)"
    instant = Typed(f"CAST(make_timestamp_ms({milliseconds}) AS TIMESTAMPTZ)", types.INSTANT)
    if len(call.arguments) == 1:
        return instant
    return _shown_in(instant, compiler.constant_text(call.arguments[1], "The zone"))


def at_time_zone(compiler: Compiler, node: exp.AtTimeZone, scope: Scope) -> Typed:
    return _in_zone(compiler, node.this, node.args["zone"], scope)


def extract(compiler: Compiler, node: exp.Extract, scope: Scope) -> Typed:
    name = node.name.lower()
    if name not in _FIELDS:
        raise QueryRefused(f"{place(node)}EXTRACT takes {', '.join(_FIELDS).upper()}; got {name.upper()}.")
    return compiler.expression(exp.Anonymous(this=_FIELDS[name], expressions=[node.expression]), scope)


def current_timestamp(compiler: Compiler, _: exp.CurrentTimestamp, __: Scope) -> Typed:
    return Typed(_now(compiler), types.INSTANT)


def local_timestamp(compiler: Compiler, _: exp.Localtimestamp, __: Scope) -> Typed:
    return Typed(f"CAST({_now(compiler)} AS TIMESTAMP)", types.TIMESTAMP)


def current_date(compiler: Compiler, _: exp.CurrentDate, __: Scope) -> Typed:
    return Typed(f"CAST({_now(compiler)} AS DATE)", types.DATE)


@special("now")
def now(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    arguments(compiler, call, scope, 0)
    return Typed(_now(compiler), types.INSTANT)


def _now(compiler: Compiler) -> str:
    if compiler.now_ms is None:
        return "date_trunc('milliseconds', now())"
    moment = datetime.datetime.fromtimestamp(compiler.now_ms // 1000, datetime.UTC)
    return f"TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S}.{compiler.now_ms % 1000:03}+00'"


def _unit(compiler: Compiler, call: Call) -> str:
    unit = compiler.constant_text(call.arguments[0], f"The unit of {call.name}").lower()
    if unit not in UNITS:
        raise QueryFailed(
            f"INVALID_FUNCTION_ARGUMENT: {place(call.node)}{unit!r} is not a valid unit; valid are {', '.join(UNITS)}."
        )
    return unit


def _in_zone(compiler: Compiler, node: exp.Expr, zone: exp.Expr, scope: Scope) -> Typed:
    """A time shown in a zone. A text or a local time with a zone is already an instant here and is not converted to
    UTC."""
    while isinstance(node, exp.Paren):
        node = node.this
    name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    if name == "from_iso8601_timestamp" and len(node.expressions) == 1:
        source = compiler.expression(node.expressions[0], scope)
        instant = Typed(f"trino_iso_instant({coerced(source, types.VARCHAR)})", types.INSTANT)
    elif name == "with_timezone" and len(node.expressions) == 2:
        local = compiler.expression(node.expressions[0], scope)
        own_zone = quoted_text(compiler.constant_text(node.expressions[1], "The zone"))
        instant = Typed(f"({coerced(local, types.TIMESTAMP)} AT TIME ZONE {own_zone})", types.INSTANT)
    else:
        value = compiler.expression(node, scope)
        if value.type not in (types.TIMESTAMP, types.INSTANT):
            raise mismatch(node, f"AT TIME ZONE takes a timestamp; this is {value.type}.")
        instant = Typed(coerced(value, types.INSTANT), types.INSTANT)
    return _shown_in(instant, compiler.constant_text(zone, "The zone"))


def _shown_in(instant: Typed, zone: str) -> Typed:
    if zone.lower() in _UTC:
        return instant
    return Typed(f"({instant.sql} AT TIME ZONE {quoted_text(zone)})", types.ZONED)


RULES: dict[type[exp.Expr], Rule] = {
    exp.AtTimeZone: rule(at_time_zone, "this zone"),
    exp.Extract: rule(extract, "this expression"),
    exp.CurrentTimestamp: rule(current_timestamp, ""),
    exp.Localtimestamp: rule(local_timestamp, ""),
    exp.CurrentDate: rule(current_date, ""),
}
