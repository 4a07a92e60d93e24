"""Printing results: a table for people, other forms for programs. Progress and remarks go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from datawarehouse.cli.colour import BAD, FAINT, HEAD, painted
from datawarehouse.query.screen import is_number, padded, shown, width

_KEYS_SHOWN_MAX = 5


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str))


def _unmarked(name: str, cell: str) -> str:
    return ""


def print_table(
    names: Sequence[str], rows: Iterable[Sequence[str | None]], style_of: Callable[[str, str], str] = _unmarked
) -> None:
    """Print rows under the names of their columns, numbers on the right, and NULL as NULL. style_of: that of a cell, by
    the name of its column and its text; empty for none."""
    given = list(rows)
    cells = [[shown(cell) for cell in row] for row in given]
    widths = [max([width(name), *(width(row[at]) for row in cells)]) for at, name in enumerate(names)]
    right = [bool(cells) and all(is_number(row[at]) for row in cells) for at in range(len(names))]
    print_head(names, widths, right)
    for texts, row in zip(cells, given, strict=True):
        styles = [
            FAINT if cell is None else style_of(name, text) for name, text, cell in zip(names, texts, row, strict=True)
        ]
        print(_line(texts, widths, right, styles))


def print_head(names: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> None:
    """Print the names of columns, and the line under them."""
    print(_line(names, widths, right, [HEAD] * len(names)))
    print(painted("  ".join("-" * width for width in widths), FAINT, sys.stdout))


def remark(text: str, style: str = "") -> None:
    """A line that is not part of the result."""
    print(painted(text, style, sys.stderr) if style else text, file=sys.stderr)


def print_error(text: str) -> None:
    """Print on stderr what went wrong: what comes before the first colon is in colour, which is who says it or the
    error's name."""
    name, colon, rest = text.partition(": ")
    print(painted(name + colon.rstrip(), BAD, sys.stderr) + colon[1:] + rest, file=sys.stderr)


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
    named = ", ".join(f"{shown(key) or 'others'} {count}" for key, count in ordered[:_KEYS_SHOWN_MAX])
    left = len(ordered) - _KEYS_SHOWN_MAX
    return f"{named} and {left} more" if left > 0 else named


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], styles: Sequence[str]) -> str:
    texts = []
    for cell, places, is_right, style in zip(cells, widths, right, styles, strict=True):
        text = padded(cell, places, right=is_right)
        texts.append(text.replace(cell, painted(cell, style, sys.stdout), 1) if style else text)
    return "  ".join(texts).rstrip()
