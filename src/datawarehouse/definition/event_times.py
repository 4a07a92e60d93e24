"""When the rows of a data file happened: the second clock, beside the hour in which they arrived.

A file has one span for each hour of event time that it has rows of: the first and the last instant in that hour, and
how many rows. Where these would be more than SPANS_MAX, the spans that lie nearest to each other are joined, so that a
file never says more than so many, and never that it has no row where it has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

SPANS_MAX = 128
"""With events up to three days late an hour has 74 of them. They take at most 5 kB in the catalog and in the footer."""

Span = tuple[int, int, int]
"""The first and the last instant, in milliseconds since 1970-01-01T00:00:00Z, and the number of rows."""


@dataclass(frozen=True, slots=True)
class EventTimes:
    """What one data file has. column: of event time. nulls: the rows without one. spans: of the others, in order; they
    do not overlap."""

    column: str
    nulls: int
    spans: tuple[Span, ...]


def bounded(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, which do not overlap, with the nearest ones joined until there are no more than SPANS_MAX."""
    if len(spans) <= SPANS_MAX:
        return list(spans)
    gaps = sorted(range(1, len(spans)), key=lambda at: spans[at - 1][1] - spans[at][0])
    cuts = [0, *sorted(gaps[: SPANS_MAX - 1]), len(spans)]
    return [_joined(spans[first:after]) for first, after in pairwise(cuts)]


def united(spans: Iterable[Span], hour_ms: int) -> list[Span]:
    """Spans of several parts of a file as spans of the file: those that overlap or lie in the same hour are joined."""
    groups: list[list[Span]] = []
    for span in sorted(spans):
        if groups and span[0] // hour_ms <= max(each[1] for each in groups[-1]) // hour_ms:
            groups[-1].append(span)
        else:
            groups.append([span])
    return [_joined(group) for group in groups]


def _joined(spans: Sequence[Span]) -> Span:
    return spans[0][0], max(span[1] for span in spans), sum(span[2] for span in spans)
