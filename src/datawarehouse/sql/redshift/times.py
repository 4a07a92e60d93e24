"""Dates and times.

Sources: Amazon Redshift Database Developer Guide, "Date and time functions", "Date parts for date or timestamp
functions", "Datetime format strings"; Trino documentation, "Date and time functions".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.translator import Translator
from datawarehouse.sql.redshift.values import PRODUCT, Value, fitted

_UNITS = {
    "year": "year years y yr yrs",
    "quarter": "quarter quarters qtr qtrs",
    "month": "month months mon mons",
    "week": "week weeks w",
    "day": "day days d",
    "hour": "hour hours h hr hrs",
    "minute": "minute minutes m min mins",
    "second": "second seconds s sec secs",
    "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds millisec millisecs",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_PARTS = {
    **_UNIT_OF,
    **dict.fromkeys("dow weekday dayofweek dw".split(), "dow"),
    **dict.fromkeys("doy dayofyear dy yearday".split(), "doy"),
    "epoch": "epoch",
}
_FORMATS = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%i", "SS": "%s",
    "US": "%f", "DDD": "%j", "Mon": "%b", "Dy": "%a", "AM": "%p", "PM": "%p",
}  # fmt: skip
_PATTERN = re.compile(r"((?i:YYYY|YY|DDD|DD|MM|MI|HH24|HH12|HH|SS|US))|Mon|Dy|AM|PM|\"([^\"]*)\"|[^A-Za-z0-9\"%']")
_OF_TEXT = ("YYYY", "MM", "DD", "HH24", "MI", "SS")


def unit_of(node: exp.Expr, named: dict[str, str] = _UNIT_OF) -> str:
    """The unit that the first argument of a function names."""
    word = (node.name or node.sql()).lower()
    if word not in named:
        raise NeedsPerson(f"the date part {word} is not translated; {', '.join(dict.fromkeys(named.values()))} are")
    return named[word]


def as_timestamp(t: Translator, value: Value) -> Value:
    """A date or timestamp as a timestamp."""
    if value.literal is not None:
        return fitted(value, types.TIMESTAMP)
    if value.type == types.TIMESTAMP:
        return value
    if value.type is None and not value.is_null:
        t.assume(f"{value.text} is a date, or a timestamp without a time zone")
    elif value.type != types.DATE and not value.is_null:
        raise NeedsPerson(f"{value.text} is {value.type}, and not a date or timestamp; write the cast")
    return Value(f"CAST({value.text} AS timestamp)", types.TIMESTAMP)


def getdate(t: Translator, _: Sequence[exp.Expr]) -> Value:
    return Value("date_trunc('second', localtimestamp)", types.TIMESTAMP)


def sysdate(t: Translator, _: Sequence[exp.Expr]) -> Value:
    t.note("sysdate is the time of the transaction, with six digits after the second; localtimestamp that of the "
           "statement, with three")  # fmt: skip
    return Value("localtimestamp", types.TIMESTAMP)


def current_date(_: Translator, __: exp.CurrentDate) -> Value:
    return Value("current_date", types.DATE)


def dateadd(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    unit, count, time = unit_of(nodes[0]), t.expression(nodes[1]), as_timestamp(t, t.expression(nodes[2]))
    if count.type is None:
        t.assume(f"{count.text} is a whole number")
    elif count.type not in types.INTEGERS:
        raise NeedsPerson(f"{count.text} is {count.type}; a number of units is whole in Athena")
    return Value(f"date_add('{unit}', {count.text}, {time.text})", types.TIMESTAMP)


def datediff(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    """How many boundaries of units are between two times; date_diff counts whole units, so that both are cut first."""
    unit = unit_of(nodes[0])
    if unit == "week":
        raise NeedsPerson("with which day the weeks of datediff begin is not documented; divide the days by 7, or "
                          "compare date_trunc('week', ...)")  # fmt: skip
    found = [t.expression(node) for node in nodes[1:3]]
    if unit == "day" and all(value.type == types.DATE for value in found):
        return Value(f"date_diff('day', {found[0].text}, {found[1].text})", types.BIGINT)
    texts = [as_timestamp(t, value).text for value in found]
    if unit != "millisecond":
        texts = [f"date_trunc('{unit}', {text})" for text in texts]
    return Value(f"date_diff('{unit}', {texts[0]}, {texts[1]})", types.BIGINT)


def date_trunc(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    unit = unit_of(nodes[0])
    return Value(f"date_trunc('{unit}', {as_timestamp(t, t.expression(nodes[1])).text})", types.TIMESTAMP)


def extract(t: Translator, node: exp.Extract) -> Value:
    return _part(t, unit_of(node.this, _PARTS), node.expression)


def date_part(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    """A double in Redshift, so that a division of it is not one of integers."""
    part = unit_of(nodes[0], _PARTS)
    if part == "epoch":
        raise NeedsPerson("date_part(epoch, ...) is a double, and it is not documented whether with the fraction of a "
                          "second; write extract(epoch FROM ...)")  # fmt: skip
    found = _part(t, part, nodes[1])
    return Value(f"CAST({found.text} AS double)", types.DOUBLE)


def _part(t: Translator, part: str, node: exp.Expr) -> Value:
    value = t.expression(node)
    if value.type != types.DATE or part in ("hour", "minute", "second", "millisecond", "epoch"):
        value = as_timestamp(t, value)
    if part == "dow":
        return Value(f"day_of_week({value.text}) % 7", types.INTEGER, PRODUCT)
    if part == "epoch":
        t.note("of a time with a fraction of a second, the seconds since 1970 are rounded down")
        return Value(f"CAST(floor(to_unixtime({value.text})) AS bigint)", types.BIGINT)
    if part == "millisecond":
        raise NeedsPerson("the millisecond of a time is not translated; write millisecond(...)")
    return Value(f"extract({part} FROM {value.text})", types.INTEGER)


def last_day(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    return Value(f"last_day_of_month({as_timestamp(t, t.expression(nodes[0])).text})", types.DATE)


def trunc(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    """The date of a timestamp, or a number without the digits after the point."""
    value = t.expression(nodes[0])
    if len(nodes) == 1 and value.type in (types.TIMESTAMP, types.DATE):
        return Value(f"CAST({value.text} AS date)", types.DATE)
    if len(nodes) == 1 and value.type in types.INTEGERS:
        return value
    if len(nodes) == 1 and value.type == types.DOUBLE:
        return Value(f"truncate({value.text})", types.DOUBLE)
    raise NeedsPerson(
        f"trunc of {value.text}: it is the date of a timestamp or cuts a number, and is translated of a value whose "
        "type is known as a timestamp, a whole or a double precision number; write CAST(... AS date) or truncate(...)"
    )


def to_char(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    value, format = t.expression(nodes[0]), t.expression(nodes[1])
    if value.type and value.type not in (types.DATE, types.TIMESTAMP):
        raise NeedsPerson(f"to_char of {value.type}: formats of numbers have no form in Athena; write format(...)")
    time = as_timestamp(t, value)
    return Value(f"date_format({time.text}, '{_format(format)[0]}')", types.VARCHAR)


def to_date(t: Translator, nodes: Sequence[exp.Expr]) -> Value:
    parsed = _parsed(t, nodes)
    return Value(f"CAST({parsed} AS date)", types.DATE)


def _parsed(t: Translator, nodes: Sequence[exp.Expr]) -> str:
    if len(nodes) != 2:
        raise NeedsPerson("it is translated with a text and a format")
    value, (format, names) = t.expression(nodes[0]), _format(t.expression(nodes[1]))
    if not set(names) <= set(_OF_TEXT) or "YYYY" not in names:
        raise NeedsPerson(f"of a text the parts {', '.join(_OF_TEXT)} are translated, and with the year")
    if value.type not in (None, types.VARCHAR):
        raise NeedsPerson(f"{value.text} is {value.type}, which Redshift makes a text by itself; write the cast")
    t.note("a text that does not fit its format, also a day such as 31 February, is an error in Athena")
    return f"date_parse({value.text}, '{format}')"


def _format(value: Value) -> tuple[str, list[str]]:
    """A format as date_format takes it, and the parts that it has."""
    text, at, found, names = value.literal, 0, "", []
    if text is None:
        raise NeedsPerson(f"the format {value.text} is not a text")
    while at < len(text):
        match = _PATTERN.match(text, at)
        if not match:
            raise NeedsPerson(
                f"in the format '{text}' the part at {text[at:]!r} is not translated; {', '.join(_FORMATS)} are, and "
                "texts in double quotes"
            )
        part = match[1].upper() if match[1] else match[0]
        if part in _FORMATS:
            names.append(part)
        found += _FORMATS.get(part) or (match[2] if match[2] is not None else part)
        at = match.end()
    if "'" in found or found.count("%") != sum(_FORMATS[name].count("%") for name in names):
        raise NeedsPerson(f"the format '{text}' has a quote or a percent sign")
    return found, names
