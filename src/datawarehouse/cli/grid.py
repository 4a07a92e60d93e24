"""An answer as a table on a terminal or in a pipe, with nothing but the standard library.

1. The answer comes as CSV, in which every value is quoted and NULL is empty (`rows_in`).
2. The first rows say how wide the columns are (`Grid`). On a terminal they are made to fit into its width: the widest
   texts are cut, numbers never, and columns that have no place are left out, which is said.
3. A later cell that is wider than its column moves the rest of its line: nothing waits for the last row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from datawarehouse.cli.colour import FAINT, HEAD, painted
from datawarehouse.query.screen import CELL_CHARACTERS_MAX as _SHORT
from datawarehouse.query.screen import is_number, padded, shown, width

Row = tuple[str | None, ...]

MEASURED_ROWS = 10_000
_CELL = re.compile(r'("[^"]*(?:""[^"]*)*"|)([,\n])')
_BETWEEN = "  "
_CUT_MIN = 8
_DOTS = "..."
_NULL = "NULL"


def rows_in(pieces: Iterable[bytes]) -> Iterator[list[Row]]:
    """The rows of CSV as the warehouse writes it, some together; the first one has the names of the columns."""
    columns = 0
    for text in _whole_rows(pieces):
        found = _CELL.findall(text)
        columns = columns or 1 + next(at for at, (_, end) in enumerate(found) if end == "\n")
        cells = [cell[1:-1].replace('""', '"') if cell else None for cell, _ in found]
        yield list(zip(*[iter(cells)] * columns, strict=True))


def _whole_rows(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        rest += piece
        end = rest.rfind(b"\n") + 1
        quotes = rest.count(b'"', 0, end)
        while quotes % 2:  # this line end is inside of a value
            before = rest.rfind(b"\n", 0, end - 1) + 1
            quotes -= rest.count(b'"', before, end)
            end = before
        if end:
            yield rest[:end].decode()
            rest = rest[end:]


class Grid:
    """left_out: the names of columns that have no place."""

    def __init__(self, names: Sequence[str], rows: Sequence[Row], out: IO[str], room: int | None = None) -> None:
        """rows: the first ones, of which the widths are taken. out: where it is printed. room: the width that it is to
        fit into."""
        columns = [_texts(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
        heads = _texts(names)
        self._right = [bool(texts) and all(map(is_number, texts)) for texts in columns]
        self._widths = [max(map(width, [head, *texts])) for head, texts in zip(heads, columns, strict=True)]
        self._is_cut = room is not None
        self._out, self._null = out, painted(_NULL, FAINT, out)
        if room is not None:
            self._fit(room)
        self._heads = heads[: len(self._widths)]
        self.left_out = heads[len(self._widths) :]

    def _fit(self, room: int) -> None:
        while len(self._widths) > 1 and _taken(self._cut(_CUT_MIN)) > room:
            del self._widths[-1], self._right[-1]
        longest = max(self._widths)
        while longest > _CUT_MIN and _taken(self._cut(longest)) > room:
            longest -= 1
        self._widths = self._cut(longest)

    def _cut(self, longest: int) -> list[int]:
        """The widths if no text may be longer."""
        return [each if right else min(each, longest) for each, right in zip(self._widths, self._right, strict=True)]

    def head(self) -> str:
        """The names of the columns, and the line under them."""
        names = self._joined([(name,) for name in self._heads]).rstrip("\n")
        line = _BETWEEN.join("-" * each for each in self._widths)
        return f"{painted(names, HEAD, self._out)}\n{painted(line, FAINT, self._out)}\n"

    def lines(self, rows: Sequence[Row]) -> str:
        return self._joined(list(zip(*rows, strict=True)))

    def _joined(self, columns: Sequence[Row]) -> str:
        padded = [
            self._padded(cells, places, right=right)
            for cells, places, right in zip(columns, self._widths, self._right, strict=False)  # some are left out
        ]
        return "".join(_BETWEEN.join(line).rstrip() + "\n" for line in zip(*padded, strict=True))

    def _padded(self, cells: Row, places: int, *, right: bool) -> list[str]:
        texts = _texts(cells)
        if self._is_cut:
            texts = [_fitting(text, places) for text in texts]
        if not all(map(str.isascii, texts)):
            texts = [padded(text, places, right=right) for text in texts]
        else:
            texts = [text.rjust(places) for text in texts] if right else [text.ljust(places) for text in texts]
        if self._null == _NULL or None not in cells:
            return texts
        return [
            text.replace(_NULL, self._null) if cell is None else text for text, cell in zip(texts, cells, strict=True)
        ]


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + len(_BETWEEN) * (len(widths) - 1)


def _texts(cells: Sequence[str | None]) -> list[str]:
    """As `shown`, quickly where it changes nothing."""
    together = "".join(filter(None, cells))
    if together.isascii() and together.isprintable() and max(map(len, filter(None, cells)), default=0) <= _SHORT:
        return [_NULL if cell is None else cell for cell in cells]
    return [shown(cell) for cell in cells]


def _fitting(text: str, places: int) -> str:
    """Cut where it is wider; a wide character takes two places."""
    if width(text) <= places:
        return text
    room, kept = places - len(_DOTS), 0
    while kept < len(text) and width(text[: kept + 1]) <= room:
        kept += 1
    return text[:kept] + _DOTS
