"""A result as a table for people, column by column and batch by batch.

1. Look at all cells once: how wide each column is, and whether it has numbers alone, which stand on the right.
2. Make the texts of a batch again, pad them, and join them to lines: so the texts of one batch are in memory.

Nearly all texts are short, printable and ASCII; Arrow lays these out. The others are laid out one by one (`screen`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from datawarehouse.query.screen import CELL_CHARACTERS_MAX, is_number, padded, shown, width
from datawarehouse.query.texts import cells, filled, joined, octets, text_array

_PRINTABLE = "^[ -~]*$"
_LENGTH_MAX = pc.binary_length(text_array(["x" * CELL_CHARACTERS_MAX]))[0]
_NUMBER = r"^(-*\.?-*[0-9]+|-*[0-9]+\.[0-9]*|NULL)$"  # as `is_number`, of ASCII


class Layout:
    """widths: of the columns, in places on the screen. right: whether a column stands on the right."""

    def __init__(self, names: Sequence[str], table: pa.Table) -> None:
        self._batches = [batch for batch in table.to_batches() if batch.num_rows]
        self.widths = [width(name) for name in names]
        self.right = [bool(self._batches)] * len(names)
        for batch in self._batches:
            for at, column in enumerate(batch.columns):
                texts = _shown(column)
                self.widths[at] = max(self.widths[at], _widest(texts))
                self.right[at] = self.right[at] and _all_numbers(texts)

    def lines(self) -> Iterator[str]:
        """The rows, some thousand lines at a time."""
        for batch in self._batches:
            parts: list[str | pa.Array] = []
            for at, column in enumerate(batch.columns):
                parts += ["  " if parts else "", _padded(_shown(column), self.widths[at], right=self.right[at])]
            lines = pc.ascii_rtrim(joined(parts, batch.num_rows), " ")
            yield octets(joined([lines, "\n"], batch.num_rows)).decode()


def _shown(column: pa.Array) -> pa.Array:
    texts = filled(cells(column), "NULL")
    together = octets(texts)
    others = None
    if not (together.isascii() and together.decode().isprintable()):
        others = pc.invert(pc.match_substring_regex(texts, _PRINTABLE))
    whole = texts
    if pc.max(pc.binary_length(texts)).as_py() > CELL_CHARACTERS_MAX:
        cut = joined([pc.utf8_slice_codeunits(texts, 0, CELL_CHARACTERS_MAX - 3), "..."], len(texts))
        texts = pc.if_else(pc.greater(pc.binary_length(texts), _LENGTH_MAX), cut, texts)
    if others is None:
        return texts
    return _replaced(texts, others, [shown(text) for text in whole.filter(others).to_pylist()])


def _widest(texts: pa.Array) -> int:
    ascii_only = pc.string_is_ascii(texts)
    longest = pc.max(pc.binary_length(texts.filter(ascii_only))).as_py() or 0
    return max([longest, *map(width, texts.filter(pc.invert(ascii_only)).to_pylist())])


def _all_numbers(texts: pa.Array) -> bool:
    others = texts.filter(pc.invert(pc.match_substring_regex(texts, _NUMBER)))
    return not len(others) or all(map(is_number, others.to_pylist()))


def _padded(texts: pa.Array, places: int, *, right: bool) -> pa.Array:
    others = pc.invert(pc.string_is_ascii(texts))
    by_hand = [padded(text, places, right=right) for text in texts.filter(others).to_pylist()]
    return _replaced((pc.ascii_lpad if right else pc.ascii_rpad)(texts, places), others, by_hand)


def _replaced(texts: pa.Array, where: pa.Array, others: list[str]) -> pa.Array:
    return pc.replace_with_mask(texts, where, text_array(others)) if others else texts
