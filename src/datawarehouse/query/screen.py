"""How the text of a cell looks on a screen."""

from __future__ import annotations

import unicodedata

CELL_CHARACTERS_MAX = 80


def shown(cell: str | None) -> str:
    """Printable, in one line, and cut where it is too long; NULL as NULL."""
    if cell is None:
        return "NULL"
    text = cell[: CELL_CHARACTERS_MAX + 1]
    if not text.isprintable():
        text = "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text)
    return text if len(text) <= CELL_CHARACTERS_MAX else text[: CELL_CHARACTERS_MAX - 3] + "..."


def width(text: str) -> int:
    """How many places a text takes."""
    return len(text) if text.isascii() else sum(map(_places, text))


def _places(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, places: int, *, right: bool) -> str:
    space = " " * (places - width(text))
    return space + text if right else text + space


def is_number(text: str) -> bool:
    """Whether a cell may stand on the right: a number without an exponent, or NULL."""
    return text.replace(".", "", 1).lstrip("-").isdigit() or text == "NULL"
