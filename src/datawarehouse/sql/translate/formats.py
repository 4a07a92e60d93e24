"""Format strings, translated to DuckDB: MySQL's and Joda's for dates, Java's for `format`, and JSON paths.

Sources: Trino documentation, "MySQL date functions" and "Java date functions"; Joda-Time, `DateTimeFormat`;
java.util.Formatter; Trino documentation, "JSON functions" (the path of `json_extract`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from datawarehouse.errors import QueryFailed, QueryRefused

MYSQL = {
    "a": "%a",
    "b": "%b",
    "c": "%-m",
    "d": "%d",
    "e": "%-d",
    "f": "%f",
    "H": "%H",
    "h": "%I",
    "I": "%I",
    "i": "%M",
    "j": "%j",
    "k": "%-H",
    "l": "%-I",
    "M": "%B",
    "m": "%m",
    "p": "%p",
    "r": "%I:%M:%S %p",
    "S": "%S",
    "s": "%S",
    "T": "%H:%M:%S",
    "v": "%V",
    "W": "%A",
    "x": "%G",
    "Y": "%Y",
    "y": "%y",
    "%": "%%",
}
_JODA = {
    "y": {2: "%y", 4: "%Y"},
    "Y": {2: "%y", 4: "%Y"},
    "x": {4: "%G"},
    "M": {1: "%-m", 2: "%m", 3: "%b", 4: "%B"},
    "d": {1: "%-d", 2: "%d"},
    "D": {1: "%-j", 3: "%j"},
    "w": {2: "%V"},
    "e": {1: "%u"},
    "E": {1: "%a", 2: "%a", 3: "%a", 4: "%A"},
    "a": {1: "%p", 2: "%p"},
    "h": {1: "%-I", 2: "%I"},
    "H": {1: "%-H", 2: "%H"},
    "m": {1: "%-M", 2: "%M"},
    "s": {1: "%-S", 2: "%S"},
    "S": {3: "%g"},
}
_UTC_NAMES = {"Z": {1: "+0000", 2: "+00:00", 3: "UTC"}, "z": {1: "UTC", 2: "UTC", 3: "UTC"}}
# Fields that DuckDB can write but cannot read.
_ONLY_WRITTEN = ("%V", "%G", "%u", "%a", "%A")
_JSON_STEP = r"(?:\.([A-Za-z_][\w-]*)|\.\"([^\"]+)\"|\[[\"']([^\"']+)[\"']\]|\[([0-9]+)\])"


def mysql(pattern: str, reading: bool) -> str:
    """A format of `date_format` (`reading` false) or `date_parse` for strftime or strptime."""
    found = re.sub(r"%(.?)|([^%]+)", lambda part: _of_mysql(pattern, part), pattern, flags=re.DOTALL)
    return _checked(pattern, found, reading)


def joda(pattern: str, reading: bool) -> str:
    """A format of `format_datetime` (`reading` false) or `parse_datetime` for strftime or strptime."""
    found = re.sub(r"([a-zA-Z])\1*|'([^']*)'|([^a-zA-Z]+)", lambda part: _of_joda(pattern, part, reading), pattern)
    return _checked(pattern, found, reading)


@dataclass(frozen=True, slots=True)
class Slot:
    """A conversion of `format`: `kind` is s, d or f; `flags` of "-", "0", ","; `digits` after the point, for f."""

    kind: str
    flags: str
    width: int
    digits: int


def java(pattern: str) -> list[str | Slot]:
    """The parts of a format string in order: texts, and places for arguments."""
    parts: list[str | Slot] = []
    for found in re.finditer(r"%([-0,]*)([0-9]*)(?:\.([0-9]+))?([sdfn%])|([^%]+)|.", pattern, re.DOTALL):
        flags, width, digits, kind, text = found.groups()
        allowed = {"s": "-", "d": "-0,", "f": "-", "n": "", "%": "", None: ""}[kind]
        if not (kind or text) or set(flags or "") - set(allowed) or (digits and kind != "f"):
            raise QueryRefused(
                f"format: {pattern[found.start() :][:20]!r} is not supported; supported are %s, %d, %,d, %.2f, %% and "
                "a width."
            )
        if kind in ("n", "%", None):
            parts.append({"n": "\n", "%": "%"}.get(kind, text))
        else:
            parts.append(Slot(kind, flags, int(width or 0), int(digits or 6)))
    return parts


def json_path(path: str) -> str:
    """A path of `json_extract`, e.g. $.store.book[0]["a b"], with each name quoted."""
    text = path.strip()
    if not re.fullmatch(rf"\$(?:{_JSON_STEP})*", text) or re.search(r"[*\\]", text):
        raise QueryRefused(
            f'The JSON path {path!r} is not supported; supported are names and positions, e.g. $.a.b[0] or $["a b"][0].'
        )
    steps = re.findall(_JSON_STEP, text)
    return "$" + "".join(f"[{position}]" if position else f'."{"".join(names)}"' for *names, position in steps)


def regular_replacement(text: str, groups: Sequence[str | None] | None) -> str:
    """The replacement of `regexp_replace`: `$1` or `${name}` is a group, and a backslash makes the next character
    literal. groups: their names, None for a group without one; None if the pattern is not known.

    As in Trino's engine, as many digits are the group's number as make the number of a group.
    """
    found, at = [], 0
    for part in re.finditer(r"\\(.)|\$([0-9]+)|\$\{(\w+)\}|([^\\$]+)", text, re.DOTALL):
        if part.start() != at:
            break
        at = part.end()
        escaped, digits, name, plain = part.groups()
        if digits:
            number, rest = _group_number(text, digits, groups)
            found.append(f"\\{number}{rest}")
        elif name:
            if groups is None or name not in groups:
                raise _not_supported(text)
            found.append(f"\\{groups.index(name) + 1}")
        else:
            found.append((escaped or plain).replace("\\", "\\\\"))
    if at < len(text):
        raise _not_supported(text)
    return "".join(found)


def _group_number(text: str, digits: str, groups: Sequence[str | None] | None) -> tuple[int, str]:
    """The number of a group, and the digits after it that belong to the text."""
    if groups is None:
        if len(digits) > 1:
            raise _not_supported(text)
        return int(digits), ""
    number, rest = int(digits[0]), digits[1:]
    if number > len(groups):
        raise QueryFailed(
            f"INVALID_FUNCTION_ARGUMENT: The replacement {text!r} has the group {number}; there are {len(groups)}."
        )
    while rest and number * 10 + int(rest[0]) <= len(groups):
        number, rest = number * 10 + int(rest[0]), rest[1:]
    if number > 9:
        raise _not_supported(text)
    return number, rest


def _not_supported(text: str) -> QueryRefused:
    return QueryRefused(
        f"The replacement {text!r} is not supported: a group is $ and one digit; a plain $ or backslash is "
        r"written \$ or \\."
    )


def _of_mysql(pattern: str, part: re.Match[str]) -> str:
    if part[2]:
        return part[2]
    if part[1] in "DUuVwX":
        raise QueryRefused(
            f"The date format {pattern!r} has %{part[1]}; supported are {' '.join('%' + key for key in MYSQL)}."
        )
    # What is no conversion is its letter.
    return MYSQL.get(part[1], part[1])


def _of_joda(pattern: str, part: re.Match[str], reading: bool) -> str:
    """A run of one letter is a field; text in quotes is literal, and two quotes are one quote."""
    letter, quoted, other = part.groups()
    if not letter:
        return ("'" if part[0] == "''" else quoted or other or "").replace("%", "%%")
    widths = _JODA.get(letter) or ({} if reading else _UTC_NAMES.get(letter, {}))
    if letter in "yY" and len(part[0]) not in widths:
        return "%Y"
    if len(part[0]) not in widths:
        supported = ", ".join(letter * width for letter, each in _JODA.items() for width in each)
        raise QueryRefused(f"The date format {pattern!r} has {part[0]!r}; supported are {supported}.")
    return widths[len(part[0])]


def _checked(pattern: str, found: str, reading: bool) -> str:
    if not found:
        raise QueryFailed("A date format cannot be empty.")
    unreadable = [each for each in _ONLY_WRITTEN if reading and each in found.replace("%%", "")]
    if unreadable:
        raise QueryRefused(
            f"The date format {pattern!r} cannot be read here: weeks and names of days do not determine a date."
        )
    return found
