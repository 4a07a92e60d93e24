"""Time zones: their names, the local time of an instant and the instant of a local time, and texts with a zone.

A zone is "" for UTC, an offset such as +05:30, or a name of the IANA time zone database.

Source: Trino documentation, "Date and time data types"; io.trino.spi.type.TimeZoneKey for the names that mean UTC and
the forms of an offset.
"""

from __future__ import annotations

import re
import zoneinfo
from functools import lru_cache

from datawarehouse.errors import QueryFailed
from datawarehouse.sql import types
from datawarehouse.sql.translate.scope import row_field
from datawarehouse.sql.translate.typed import Typed, quoted_text
from datawarehouse.sql.types import Type

_UTC = ("Z", "UT", "UTC", "UCT", "GMT", "GMT0", "Greenwich", "Universal", "Zulu")
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d\d))?")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_NO_NAMES = ("EST", "MST", "HST", "ROC", "Factory", "localtime")
"""Names of the database that are no zone in Trino."""
_HOURS_MAX = 14


def zone_of(text: str, where: str) -> str:
    """The zone that a text names; small letters and capitals count. where: in the statement, for the error.

    Raises QueryFailed for a text that names none.
    """
    is_etc = text.startswith("Etc/")
    plain = text.removeprefix("Etc/")
    if plain in _UTC:
        return ""
    found = _OFFSET.fullmatch(plain)
    if found and valid_offset(plain):
        sign = {"+": "-", "-": "+"}[found[1]] if is_etc else found[1]  # POSIX counts to the west
        offset = f"{sign}{int(found[2]):02}:{found[3] or '00'}"
        return "" if offset[1:] == "00:00" else offset
    if (
        not is_etc
        and plain not in _NO_NAMES
        and (plain in (names := _names()) or (not names and _NAME.fullmatch(plain)))
    ):
        return plain
    raise QueryFailed(
        f"INVALID_FUNCTION_ARGUMENT: {where}Time zone not supported: {text!r}; valid are UTC, offsets such as +05:30, "
        "and names such as Europe/Berlin."
    )


@lru_cache
def _names() -> frozenset[str]:
    """Empty where the system has no database; then DuckDB, which has its own, refuses a name that is none."""
    return frozenset(zoneinfo.available_timezones())


def offset_of(zone: str) -> int | None:
    """The minutes of a zone that is an offset; None of a name."""
    if zone[:1] not in ("", "+", "-"):
        return None
    return (int(zone[1:3]) * 60 + int(zone[4:])) * (-1 if zone[0] == "-" else 1) if zone else 0


def valid_offset(text: str) -> bool:
    """Whether a text such as +05:30 is the offset of a zone."""
    found = _OFFSET.fullmatch(text)
    if not found:
        return False
    hours, minutes = int(found[2]), int(found[3] or 0)
    return minutes < 60 and hours * 60 + minutes <= _HOURS_MAX * 60


def local(value: Typed) -> str:
    """The local time of a timestamp with time zone, as DuckDB's TIMESTAMP."""
    minutes = offset_of(value.type.zone)
    if minutes is None:
        return f"({value.sql} AT TIME ZONE {quoted_text(value.type.zone)})"
    if not minutes:
        return f"CAST({value.sql} AS TIMESTAMP)"
    return f"(CAST({value.sql} AS TIMESTAMP) + to_minutes({minutes}))"


def instant(local: str, type: Type) -> Typed:
    """The timestamp with time zone `type` whose local time is the expression `local`, a TIMESTAMP."""
    minutes = offset_of(type.zone)
    if minutes is None:
        return Typed(f"trino_instant({local}, {quoted_text(type.zone)})", type)
    return Typed(f"CAST({local} - to_minutes({minutes}) AS TIMESTAMPTZ)", type)


def literal(local: str, type: Type) -> Typed:
    """The same as `instant`, and an error if the clock skipped that time."""
    if offset_of(type.zone) is None:
        return Typed(f"trino_shown_instant({local}, {quoted_text(type.zone)})", type)
    return instant(local, type)


def moment_text(sql: str, digits: int) -> str:
    """2026-11-23 07:00:00.000 of a TIMESTAMP or an instant in UTC, with so many digits after the second."""
    if digits == types.DIGITS_MIN:
        return f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%g')"
    text = f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%f')"
    return text if digits == types.DIGITS_MAX else f"left({text}, -{types.DIGITS_MAX - digits})"


def text(value: Typed) -> str:
    """2026-11-23 07:00:00.000 Europe/Berlin of a timestamp with time zone."""
    digits = types.digits_of(value.type)
    if not value.type.zone:
        return f"({moment_text(value.sql, digits)} || ' UTC')"
    moment, zone = local(value), quoted_text(f" {value.type.zone}")
    # Java writes a year beyond 9999 with a sign.
    return f"(if(year({moment}) > 9999, '+', '') || {moment_text(moment, digits)} || {zone})"


def has_zone(type: Type) -> bool:
    """Whether values are, or have in them, times in another zone than UTC."""
    return bool(type.zone) or any(map(has_zone, type.args))


def as_texts(value: Typed, depth: int = 0) -> str:
    """A value with the texts of its times in other zones in their place."""
    type, item = value.type, f'"z{depth}#"'
    if type.zone:
        return text(value)
    if not has_zone(type):
        return value.sql
    if type.name == "array":
        return f"list_transform({value.sql}, lambda {item}: {as_texts(Typed(item, type.args[0]), depth + 1)})"
    if type.name == "map":
        sides = zip(("key", "value"), type.args, strict=True)
        parts = (f"'{side}': {as_texts(Typed(f'{item}.{side}', arg), depth + 1)}" for side, arg in sides)
        return f"map_from_entries(list_transform(map_entries({value.sql}), lambda {item}: {{{', '.join(parts)}}}))"
    fields = (as_texts(row_field(value, at), depth) for at in range(len(type.args)))
    return f"CASE WHEN {value.sql} IS NOT NULL THEN CAST(row({', '.join(fields)}) AS {types.duckdb(as_text(type))}) END"


def as_text(type: Type) -> Type:
    """The type of `as_texts`."""
    if type.zone:
        return types.VARCHAR
    return Type(type.name, tuple(map(as_text, type.args)), type.names, type.precision, type.scale)
