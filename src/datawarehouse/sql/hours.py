"""Which hours a predicate lets through, as ranges: computed from the statement, whatever is stored.

An hour is a number, counted from 1970-01-01T00. A range is its first and its last hour. Hours are never too few: what
a predicate says of other columns, or not as a range, is left out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.errors import BadRequest
from datawarehouse.sql.predicate import AllOf, Among, AnyOf, Compare, Like, Nothing, Predicate

Range = tuple[int, int]

_END = start_ms("9999/12/31/23") // HOUR_MS
_ALL: tuple[Range, ...] = ((0, _END),)


def ranges(predicate: Predicate, key: str, now_ms: int) -> tuple[Range, ...]:
    """The hours up to the present one that can match, in order; they neither overlap nor touch.

    A range that begins with hour 0 has no lower bound. Arrival needs no upper bound, for it ends by itself.
    """
    present = ((0, now_ms // HOUR_MS),)
    return tuple(_common(_of(predicate, key), present))


def is_bounded(found: Iterable[Range]) -> bool:
    return all(first > 0 for first, _ in found)


def count(found: Iterable[Range]) -> int:
    return sum(last - first + 1 for first, last in found)


def text_of(hour: int) -> str:
    """The partition value of an hour."""
    return partition_of(hour * HOUR_MS)


def _of(predicate: Predicate, key: str) -> tuple[Range, ...]:
    match predicate:
        case Nothing():
            return ()
        case AllOf():
            found = _ALL
            for part in predicate.parts:
                found = tuple(_common(found, _of(part, key)))
            return found
        case AnyOf():
            return _united(each for part in predicate.parts for each in _of(part, key))
        case Among() if predicate.key == key:
            return _united(each for value in predicate.values for each in _equal(value))
        case Compare() if predicate.key == key and predicate.operator == "=":
            return tuple(_equal(predicate.value))
        case Compare() | Like():
            return _between(predicate, key)
    return _ALL


def _equal(value: str | int) -> Iterator[Range]:
    try:
        hour = start_ms(str(value)) // HOUR_MS
    except BadRequest:  # no hour is written so
        return
    if 0 <= hour <= _END:
        yield hour, hour


def _between(leaf: Compare | Like, key: str) -> tuple[Range, ...]:
    low, high = leaf.bounds(key)
    is_open = isinstance(leaf, Compare) and leaf.operator in ("<", ">")
    every = range(_END + 1)
    first, after = 0, _END + 1
    if low is not None:
        first = (bisect_right if is_open else bisect_left)(every, low, key=text_of)
    if high is not None:
        after = (bisect_left if is_open else bisect_right)(every, high, key=text_of)
    return ((first, after - 1),) if first < after else ()


def _common(left: tuple[Range, ...], right: tuple[Range, ...]) -> Iterator[Range]:
    a = b = 0
    while a < len(left) and b < len(right):
        first, last = max(left[a][0], right[b][0]), min(left[a][1], right[b][1])
        if first <= last:
            yield first, last
        if left[a][1] < right[b][1]:
            a += 1
        else:
            b += 1


def _united(found: Iterable[Range]) -> tuple[Range, ...]:
    joined: list[Range] = []
    for first, last in sorted(found):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return tuple(joined)
