"""Colour, where a person sees it: the head of a table, NULL, and what went wrong.

There is none where the stream is no terminal, where NO_COLOR is set and not empty (https://no-color.org), and where
TERM is `dumb` or not set. The sequences are SGR's (ECMA-48, 8.3.117), and the colours of its first eight, which each
terminal shows as its theme wants them.
"""

from __future__ import annotations

import os
from typing import IO

HEAD, FAINT, BAD, GOOD, WARNING = "1", "2", "31", "32", "33"


def has_colour(stream: IO[str] | None) -> bool:
    """Whether what is written there may be coloured."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    return stream.isatty()


def painted(text: str, style: str, stream: IO[str] | None) -> str:
    """A text for a stream, in one of the styles above if it has colour."""
    return f"\x1b[{style}m{text}\x1b[0m" if text and has_colour(stream) else text
