"""Counting the keys in JSON text without parsing it, to find duplicate keys.

A parser that keeps one of two equal keys gives fewer members than the text has keys. Every key is followed by
a quote and a colon, or by a quote, blanks and a colon, so that

    count of colons behind a quote or a blank, outside escapes  >=  number of keys  >=  number of members parsed

and if the first and the last number are equal, there is no duplicate key. (A string with such a colon in it makes the
count larger, never smaller.) This is true if no key ends in a backslash, which would make its closing quote look
escaped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_COLON, _QUOTE = b':"'
_BLANKS = (b" :", b"\t:", b"\n:", b"\r:")
_ARRAYS_FROM_BYTES = 4000  # below this size, numpy's calls cost more than they save
_PIECE_BYTES = 64 * 1024  # the size of pieces that fit, with the arrays computed from them, into the processor's cache


@dataclass(frozen=True, slots=True)
class KeyCount:
    """What the colons in a text say about its keys.

    count: at least how many keys there are, unless `backslash`: there is a quote and a colon behind two backslashes.
    """

    count: int
    backslash: bool

    @classmethod
    def of(cls, text: bytes) -> KeyCount:
        if len(text) < _ARRAYS_FROM_BYTES:
            count = text.count(b'":')
            if text.count(b":") != count:
                count += sum(map(text.count, _BLANKS))
        else:
            count = _colons_behind_quotes_and_blanks(np.frombuffer(text, np.uint8))
        escaped = text.count(b'\\":') if b"\\" in text else 0
        return cls(count - escaped, escaped > 0 and b'\\\\":' in text)


def _colons_behind_quotes_and_blanks(characters: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    """And a few more: a quote is the second character after the blanks and the others below them."""
    count = 0
    first, second = np.empty(_PIECE_BYTES, np.bool_), np.empty(_PIECE_BYTES, np.bool_)
    for start in range(0, len(characters) - 1, _PIECE_BYTES):
        piece = characters[start : start + _PIECE_BYTES + 1]
        size = len(piece) - 1
        behind = np.less_equal(piece[:-1], _QUOTE, out=first[:size])
        colon = np.equal(piece[1:], _COLON, out=second[:size])
        count += int(np.count_nonzero(np.logical_and(behind, colon, out=colon)))
    return count
