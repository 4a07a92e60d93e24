"""Comparisons of doubles and reals, of which NaN compares with nothing, as IEEE 754 and Trino have it.

To DuckDB NaN is equal to itself and greater than infinity, so a comparison that NaN could pass also asks for it. The
comparison itself stays, so that row groups are left out by it. NaN that a file has can pass all the same: statistics
leave it out, and DuckDB takes from them that there is none.
"""

from __future__ import annotations

import re

from datawarehouse.sql import types
from datawarehouse.sql.translate.typed import Typed

_NUMBER = re.compile(r"\(*-?\d[\d.]*(?:e[+-]?\d+)?\)*")
_COMPUTED_AGAIN = re.compile(r"\b(?:SELECT|OVER)\b")
_CHARACTERS_MAX = 1_000
"""A side is written twice, and a comparison inside of it twice as often."""


def compared(left: Typed, sign: str, right: Typed, texts: tuple[str, str]) -> str:
    """`left sign right`, whose texts are these."""
    plain = f"{texts[0]} {sign} {texts[1]}"
    may_be = [_may_be_nan(side) for side in (left, right)]
    match sign:
        case "<" | "<=" if may_be[1]:
            return f"({plain} AND NOT {_compared_nan(right, left)})"
        case ">" | ">=" if may_be[0]:
            return f"({plain} AND NOT {_compared_nan(left, right)})"
        case "=" if all(may_be):
            return f"({plain} AND NOT {_compared_nan(left, right)})"
        case "<>" if all(may_be):
            return f"({plain} OR {_compared_nan(left, right)})"
    return f"({plain})"


def between(value: Typed, high: Typed, text: str) -> str:
    """A text of BETWEEN of this value and this upper bound."""
    return f"({text} AND NOT {_compared_nan(high, value)})" if _may_be_nan(high) else f"({text})"


def _compared_nan(side: Typed, other: Typed) -> str:
    """Whether this side is NaN, and the other side is not NULL, as a comparison with NULL is NULL."""
    if _NUMBER.fullmatch(other.sql) or _COMPUTED_AGAIN.search(other.sql) or len(other.sql) > _CHARACTERS_MAX:
        return f"isnan({side.sql})"
    return f"(isnan({side.sql}) AND {other.sql} IS NOT NULL)"


def _may_be_nan(side: Typed) -> bool:
    """False also for a side that is not to be computed again."""
    return (
        side.type in types.FLOATS
        and len(side.sql) <= _CHARACTERS_MAX
        and not _NUMBER.fullmatch(side.sql)
        and not _COMPUTED_AGAIN.search(side.sql)
    )
