"""Counting the keys in JSON text without parsing it, to find keys that came twice.

A parser that keeps one of two equal keys gives fewer members than the text has keys. Every key is followed by
`":`, so that

    count of `":` outside escapes  >=  number of keys  >=  number of members parsed

and if the ends are equal, no key came twice. (A string that begins with a colon makes the count larger, never
smaller.) It holds if no blank stands between a key and its colon, and no key ends in a backslash, which would
make its closing quote look escaped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_COLON, _QUOTE, _BLANK = b':" '
_ARRAYS_FROM_BYTES = 4000  # below that, numpy's calls cost more than they save
_PIECE_BYTES = 64 * 1024  # looked at in pieces that stay in the processor's cache with what is computed of them


@dataclass(frozen=True, slots=True)
class Keys:
    """What the colons in a text tell of its keys.

    count: how many stand behind a quote that is not escaped; blank: some stand behind a blank; backslash: some
    stand behind a quote and two backslashes.
    """

    count: int
    blank: bool
    backslash: bool

    @classmethod
    def of(cls, text: bytes) -> Keys:
        if len(text) < _ARRAYS_FROM_BYTES:
            count = text.count(b'":')
            blank = text.count(b":") != count and (b" :" in text or b"\t:" in text or b"\n:" in text or b"\r:" in text)
        else:
            count, blank = _quoted_and_blank_colons(np.frombuffer(text, np.uint8))
        escaped = text.count(b'\\":') if b"\\" in text else 0
        return cls(count - escaped, blank, escaped > 0 and b'\\\\":' in text)


def _quoted_and_blank_colons(characters: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> tuple[int, bool]:
    """How many colons stand behind a quote, and whether one stands behind a blank."""
    count, blank = 0, False
    for start in range(0, len(characters) - 1, _PIECE_BYTES):
        piece = characters[start : start + _PIECE_BYTES + 1]
        before = piece[:-1][piece[1:] == _COLON]
        count += int(np.count_nonzero(before == _QUOTE))
        blank = blank or bool((before <= _BLANK).any())
    return count, blank
