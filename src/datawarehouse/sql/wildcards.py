"""Patterns with wildcards, matched in time that grows with text times pattern, whatever the pattern is.

A regular expression for `%a%a%a...` can take longer than anybody lives.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

Part = tuple[bool, str]
"""A character of a pattern, and whether it is a wildcard: "%" stands for any characters, "_" for one."""


def matches(text: str, parts: Sequence[Part]) -> bool:
    """Whether a pattern matches a whole text."""
    at = here = 0
    last, resumed = -1, 0  # the last "%", and up to where it reaches
    while at < len(text):
        wild, character = parts[here] if here < len(parts) else (True, "")
        if (not wild and character == text[at]) or (wild and character == "_"):
            at += 1
            here += 1
        elif wild and character == "%":
            last, resumed = here, at
            here += 1
        elif last >= 0:
            resumed += 1
            at, here = resumed, last + 1
        else:
            return False
    return all(part == (True, "%") for part in parts[here:])


def like(pattern: str, escape: str | None = None) -> Iterable[Part]:
    """The parts of a pattern of LIKE; the character after an escape stands for itself."""
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            yield from ((False, following) for following in itertools.islice(characters, 1))
        else:
            yield character in "%_", character


def hive(pattern: str) -> Iterable[Part]:
    """The parts of a pattern in which `*` stands for any characters."""
    return ((character == "*", "%" if character == "*" else character) for character in pattern)
