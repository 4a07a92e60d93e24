"""Printing results: a table for people, other forms for programs. Progress and remarks go to stderr."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_CELL_CHARACTERS_MAX = 80
_KEYS_SHOWN_MAX = 5


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str))


def print_table(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    """Print rows under the names of their columns, numbers on the right, and NULL as NULL."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [max([_width(name), *(_width(row[at]) for row in cells)]) for at, name in enumerate(names)]
    right = [bool(cells) and all(_is_number(row[at]) for row in cells) for at in range(len(names))]
    print(_line(names, widths, right))
    print("  ".join("-" * width for width in widths))
    for row in cells:
        print(_line(row, widths, right))


def remark(text: str) -> None:
    """A line that is not part of the result."""
    print(text, file=sys.stderr)


def quantity(number: int, thing: str) -> str:
    """1 row; 2 rows"""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def size(number: float) -> str:
    """12.3 kB"""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def keys_shown(counts: dict[str, int]) -> str:
    """The most frequent keys, each with its count."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{_shown(key) or 'others'} {count}" for key, count in ordered[:_KEYS_SHOWN_MAX])
    left = len(ordered) - _KEYS_SHOWN_MAX
    return f"{shown} and {left} more" if left > 0 else shown


def _shown(cell: str | None) -> str:
    if cell is None:
        return "NULL"
    text = "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in cell)
    return text if len(text) <= _CELL_CHARACTERS_MAX else text[: _CELL_CHARACTERS_MAX - 3] + "..."


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        space = " " * (width - _width(cell))
        padded.append(space + cell if is_right else cell + space)
    return "  ".join(padded).rstrip()


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).lstrip("-").isdigit() or text == "NULL"
