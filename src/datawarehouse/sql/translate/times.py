"""Functions of dates and times: units, formats, and zones.

A timestamp with a zone is an instant, and the zone in which it is shown is one for all values of a type.
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
from datawarehouse.sql.translate.zones import instant, local, moment_text, offset_of, zone_of
from datawarehouse.sql.types import Type

_DAYS = ("day", "week", "month", "quarter", "year")

_OF_DAY = ("hour", "minute", "second")
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
    unit, value = arguments(compiler, call, scope, 2)
    return _for_unit(compiler, call, unit, value.type, lambda name: _truncated(call, name, value))


def _truncated(call: Call, unit: str, value: Typed) -> Typed:
    if value.type == types.DATE and unit in _DAYS:
        return Typed(f"CAST(date_trunc('{unit}', {value.sql}) AS DATE)", types.DATE)
    if value.type in types.TIMES and value.type != types.DATE:
        return Typed(f"date_trunc('{unit}', {value.sql})", value.type)
    if value.type.zone and unit in _DAYS:
        return instant(f"date_trunc('{unit}', {local(value)})", value.type)
    if value.type.zone:
        # When the clock is set back, two instants have the same local time: what is cut off is known all the same.
        return Typed(f"({value.sql} - ({local(value)} - date_trunc('{unit}', {local(value)})))", value.type)
    if value.type in types.DAYTIMES and unit not in _DAYS:
        cut = f"date_trunc('{unit}', DATE '1970-01-01' + {value.sql})"
        return Typed(f"CAST({cut} AS TIME)", value.type)
    raise mismatch(call.node, f"date_trunc('{unit}', ...) does not take {value.type}.")


@special("date_add")
def date_add(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    unit, amount, value = arguments(compiler, call, scope, 3)
    return _for_unit(compiler, call, unit, value.type, lambda name: _added(call, name, amount, value))


def _added(call: Call, unit: str, amount: Typed, value: Typed) -> Typed:
    if (
        not types.coerces(amount.type, types.BIGINT)
        or (value.type == types.DATE and unit not in _DAYS)
        or not (value.type in types.TIMES or (unit not in _DAYS and (value.type.zone or value.type in types.DAYTIMES)))
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
    type = types.common(types.in_utc(start.type), types.in_utc(end.type))
    is_zoned = bool(start.type.zone or end.type.zone)

    def counted(name: str) -> Typed:
        in_days = name in _DAYS
        is_day = type in types.DAYTIMES
        if (
            type is None
            or not (type in types.TIMES or is_day)
            or (type == types.DATE and not in_days)
            or (is_day and in_days)
        ):
            raise mismatch(call.node, f"date_diff('{name}', ...) does not take ({start.type}, {end.type}).")
        if in_days and is_zoned:
            raise QueryRefused(
                f"{place(call.node)}date_diff('{name}', ...) does not count days in a zone here; write AT TIME ZONE "
                "'UTC' after each, or cast(... as date)."
            )
            raise mismatch(call.node, f"date_diff('{name}', ...) does not take ({start.type}, {end.type}).")
        sides = [coerced(side, type) for side in (start, end)]
        if type != types.DATE and types.digits_of(type) > types.DIGITS_MIN and not is_day:
            sides = [f"date_trunc('milliseconds', {side})" for side in sides]
        return Typed(f"date_sub('{name}', {', '.join(sides)})", types.BIGINT)

    return _for_unit(compiler, call, unit, type, counted)


def _for_unit(
    compiler: Compiler, call: Call, unit: Typed, type: Type | None, translated: Callable[[str], Typed]
) -> Typed:
    """What `translated` gives for the unit of a call; for each unit, if the unit is a value of the row."""
    if isinstance(compiler.constant(call.arguments[0]), str):
        return translated(_unit(compiler, call))
    in_days, in_hours = type == types.DATE, type in types.DAYTIMES
    units = [name for name in UNITS if (not in_days or name in _DAYS) and (not in_hours or name not in _DAYS)]
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
    if value.type == types.UNKNOWN:
        return Typed("CAST(NULL AS VARCHAR)", types.VARCHAR)
    if call.name == "date_format" and not isinstance(compiler.constant(call.arguments[1]), str):
        text = f"trino_date_format({_to_format(call, value)}, {varchar(call, format)})"
        return Typed(text, types.VARCHAR)
    pattern = compiler.constant_text(call.arguments[1], f"The format of {call.name}")
    read = formats.mysql if call.name == "date_format" else formats.joda
    if value.type.zone and set("Zz") & set(pattern) and call.name == "format_datetime":
        raise QueryRefused(
            f"{place(call.node)}format_datetime writes no zone but UTC here; leave Z out of {pattern!r}."
        )
    return Typed(f"strftime({_to_format(call, value)}, {quoted_text(read(pattern, False))})", types.VARCHAR)


def _to_format(call: Call, value: Typed) -> str:
    """The local time, of which a format shows milliseconds."""
    if value.type not in types.TIMES and not value.type.zone:
        raise mismatch(call.node, f"{call.name} takes a date or a timestamp; this is {value.type}. Cast it.")
    if value.type in (types.DATE, types.TIMESTAMP):
        return value.sql
    return f"date_trunc('milliseconds', {local(value)})"


@special("to_iso8601")
def to_iso8601(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value = arguments(compiler, call, scope, 1)[0]
    if value.type in (types.DATE, types.UNKNOWN):
        return Typed(f"strftime({coerced(value, types.DATE)}, '%Y-%m-%d')", types.VARCHAR)
    if value.type not in types.TIMES and not value.type.zone:
        raise mismatch(call.node, f"to_iso8601 takes a date or a timestamp; this is {value.type}. Cast it.")
    minutes = offset_of(value.type.zone)
    if minutes is None:
        raise QueryRefused(
            f"{place(call.node)}to_iso8601 writes the offset of a zone that has a name only in Athena; write "
            "AT TIME ZONE 'UTC', or an offset, before it."
        )
    shown = moment_text(local(value), types.digits_of(value.type))
    after = "" if value.type in types.TIMESTAMPS else value.type.zone or "Z"
    return Typed(f"(replace({shown}, ' ', 'T') || {quoted_text(after)})", types.VARCHAR)


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
    if value.type not in (types.DATE, *types.TIMESTAMPS):
        raise mismatch(call.node, f"with_timezone takes a timestamp; this is {value.type}.")
    digits = types.DIGITS_MIN if value.type == types.DATE else types.digits_of(value.type)
    type = types.instant(digits, zone_of(zone, place(call.node)))
    return instant(coerced(value, types.timestamp(digits)), type)


@special("from_unixtime")
def from_unixtime(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    seconds = arguments(compiler, call, scope, 1, 3)[0]
    if not types.coerces(seconds.type, types.DOUBLE):
        raise mismatch(call.node, f"from_unixtime takes a number of seconds; this is {seconds.type}.")
    milliseconds = f"CAST(floor({coerced(seconds, types.DOUBLE)} * 1000 + 0.5e0) AS BIGINT)"
    made = Typed(f"CAST(make_timestamp_ms({milliseconds}) AS TIMESTAMPTZ)", types.INSTANT)
    if len(call.arguments) == 1:
        return made
    if len(call.arguments) == 2:
        return _shown_in(call.node, made, compiler.constant_text(call.arguments[1], "The zone"))
    hours, minutes = (compiler.constant(node) for node in call.arguments[1:])
    if type(hours) is not int or type(minutes) is not int:
        raise QueryRefused(
            f"{place(call.node)}The offset that from_unixtime takes is two whole numbers as literals here."
        )
    offset = hours * 60 + minutes
    return _shown_in(call.node, made, f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}")


@special("from_iso8601_timestamp")
def from_iso8601_timestamp(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Of a literal the offset is known, and it is the zone of the value; of other texts it must be UTC."""
    text = varchar(call, arguments(compiler, call, scope, 1)[0])
    constant = compiler.constant(call.arguments[0])
    found = re.search(r"T.*?([+-]\d\d(?::?\d\d)?)$", constant) if isinstance(constant, str) else None
    if found:
        return Typed(f"trino_iso_instant({text})", types.instant(types.DIGITS_MIN, zone_of(found[1], place(call.node))))
    return Typed(f"trino_iso_utc({text})", types.INSTANT)


def at_time_zone(compiler: Compiler, node: exp.AtTimeZone, scope: Scope) -> Typed:
    return _in_zone(compiler, node.this, node.args["zone"], scope)


def extract(compiler: Compiler, node: exp.Extract, scope: Scope) -> Typed:
    name = node.name.lower()
    if name not in _FIELDS:
        raise QueryRefused(f"{place(node)}EXTRACT takes {', '.join(_FIELDS).upper()}; got {name.upper()}.")
    if name in _OF_DAY and compiler.expression(node.expression, scope).type == types.DATE:
        raise mismatch(node, f"Cannot extract {name.upper()} from date.")
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
    """A time shown in a zone. A text with an offset is an instant here, whatever its zone was."""
    while isinstance(node, exp.Paren):
        node = node.this
    name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    if name == "from_iso8601_timestamp" and len(node.expressions) == 1:
        source = compiler.expression(node.expressions[0], scope)
        value = Typed(f"trino_iso_instant({coerced(source, types.VARCHAR)})", types.INSTANT)
    else:
        value = compiler.expression(node, scope)
        if value.type not in types.TIMESTAMPS and not types.is_instant(value.type):
            raise mismatch(node, f"AT TIME ZONE takes a timestamp; this is {value.type}.")
        value = Typed(coerced(value, types.in_utc(value.type)), value.type)
    return _shown_in(node, value, compiler.constant_text(zone, "The zone"))


def _shown_in(node: exp.Expr, value: Typed, zone: str) -> Typed:
    type = types.instant(types.digits_of(value.type), zone_of(zone, place(node)))
    return Typed(coerced(value, type), type)


RULES: dict[type[exp.Expr], Rule] = {
    exp.AtTimeZone: rule(at_time_zone, "this zone"),
    exp.Extract: rule(extract, "this expression"),
    exp.CurrentTimestamp: rule(current_timestamp, ""),
    exp.Localtimestamp: rule(local_timestamp, ""),
    exp.CurrentDate: rule(current_date, ""),
}
