"""Which partitions a table scan needs: an immutable tree of tests on the values of a partition's keys.

A predicate may select too many partitions, never too few: `matches` is False only if no row of the partition can count.
Text compares as in SQL, by code points of UTF-8. `EVERYTHING` stands for conditions that a predicate cannot express.

The leaves reject NULL; therefore `prune` may carry them below an outer join.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from datawarehouse.definition.instants import instant_of
from datawarehouse.sql.wildcards import like, matches

Value = str | int
Test = Callable[[Mapping[Any, Any]], bool]
Bounds = tuple[Any, Any]
"""The least and the greatest value, None if there is none: of a partition key texts, of event time milliseconds."""

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
NEGATED = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class Predicate:
    """Base of the tree below."""

    def matches(self, values: Mapping[Any, Any]) -> bool:
        """Whether a partition with these key values may hold matching rows. With a missing or None value it may."""
        return self.test(values)

    def bounds(self, key: Hashable) -> Bounds:
        """The least and the greatest value of `key` that can match, both inclusive; None is open."""
        return None, None

    def rekeyed(self, change: Callable[[Any], Hashable | None]) -> Predicate:
        """The same predicate over other keys. A leaf whose key has no counterpart becomes EVERYTHING."""
        return self

    test: Test
    """`matches` as a plain function, built once."""


@dataclass(frozen=True)
class Everything(Predicate):
    def __post_init__(self) -> None:
        object.__setattr__(self, "test", lambda values: True)

    def __str__(self) -> str:
        return "everything"


@dataclass(frozen=True)
class Nothing(Predicate):
    def __post_init__(self) -> None:
        object.__setattr__(self, "test", lambda values: False)

    def __str__(self) -> str:
        return "nothing"


EVERYTHING: Predicate = Everything()
NOTHING: Predicate = Nothing()


@dataclass(frozen=True)
class Compare(Predicate):
    key: Any
    operator: str
    value: Value

    def __post_init__(self) -> None:
        holds, value = _OPERATORS[self.operator], self.value
        object.__setattr__(self, "test", _of_value(self.key, value, lambda found: holds(found, value)))

    def bounds(self, key: Hashable) -> Bounds:
        if key != self.key or not isinstance(self.value, str):
            return None, None
        low = self.value if self.operator in ("=", ">", ">=") else None
        high = self.value if self.operator in ("=", "<", "<=") else None
        return low, high

    def rekeyed(self, change: Callable[[Any], Hashable | None]) -> Predicate:
        key = change(self.key)
        return EVERYTHING if key is None else Compare(key, self.operator, self.value)

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {_shown(self.value)}"


@dataclass(frozen=True)
class Among(Predicate):
    key: Any
    values: frozenset[Value]
    """All text or all numbers, and not empty."""

    def __post_init__(self) -> None:
        values = self.values
        object.__setattr__(self, "test", _of_value(self.key, next(iter(values)), lambda found: found in values))

    def bounds(self, key: Hashable) -> Bounds:
        texts = [value for value in self.values if isinstance(value, str)]
        return (min(texts), max(texts)) if key == self.key and texts else (None, None)

    def rekeyed(self, change: Callable[[Any], Hashable | None]) -> Predicate:
        key = change(self.key)
        return EVERYTHING if key is None else Among(key, self.values)

    def __str__(self) -> str:
        return f"{self.key} in ({', '.join(map(_shown, sorted(self.values)))})"


@dataclass(frozen=True)
class Like(Predicate):
    key: Any
    pattern: str
    escape: str | None = None
    negated: bool = False

    def __post_init__(self) -> None:
        parts, wanted = tuple(like(self.pattern, self.escape)), not self.negated
        object.__setattr__(self, "test", _of_value(self.key, "", lambda found: matches(found, parts) is wanted))

    def bounds(self, key: Hashable) -> Bounds:
        if key != self.key or self.negated:
            return None, None
        prefix = ""
        for wild, character in like(self.pattern, self.escape):
            if wild:
                return (prefix, _after(prefix)) if prefix else (None, None)
            prefix += character
        return prefix, prefix

    def rekeyed(self, change: Callable[[Any], Hashable | None]) -> Predicate:
        key = change(self.key)
        return EVERYTHING if key is None else Like(key, self.pattern, self.escape, self.negated)

    def __str__(self) -> str:
        escape = f" escape {_shown(self.escape)}" if self.escape else ""
        return f"{self.key} {'not ' if self.negated else ''}like {_shown(self.pattern)}{escape}"


@dataclass(frozen=True, slots=True)
class Instants:
    """What is known of a row's event time: that it is one of these (ms, inclusive)."""

    first: int
    last: int


@dataclass(frozen=True)
class Within(Predicate):
    """Of the event time `key`, in milliseconds since 1970-01-01T00:00:00Z, both inclusive; None is open."""

    key: Any
    low: int | None
    high: int | None

    def __post_init__(self) -> None:
        key, low, high = self.key, self.low, self.high

        def test(values: Mapping[Any, Any]) -> bool:
            found = values.get(key)
            if not isinstance(found, Instants):
                return True
            return (low is None or low <= found.last) and (high is None or found.first <= high)

        object.__setattr__(self, "test", test)

    def bounds(self, key: Hashable) -> Bounds:
        return (self.low, self.high) if key == self.key else (None, None)

    def rekeyed(self, change: Callable[[Any], Hashable | None]) -> Predicate:
        key = change(self.key)
        return EVERYTHING if key is None else Within(key, self.low, self.high)

    def __str__(self) -> str:
        low = "" if self.low is None else f"{_time_text(self.low)} <= "
        high = "" if self.high is None else f" <= {_time_text(self.high)}"
        return f"{low}{self.key}{high}"


@dataclass(frozen=True)
class AllOf(Predicate):
    parts: tuple[Predicate, ...]

    def __post_init__(self) -> None:
        tests = tuple(part.test for part in self.parts)
        first, second = tests[0], tests[1]
        pair: Test = lambda values: first(values) and second(values)  # noqa: E731
        object.__setattr__(self, "test", pair if len(tests) == 2 else lambda values: all(t(values) for t in tests))

    def bounds(self, key: Hashable) -> Bounds:
        lows, highs = zip(*(part.bounds(key) for part in self.parts), strict=True)
        return (
            max((low for low in lows if low is not None), default=None),
            min((high for high in highs if high is not None), default=None),
        )

    def rekeyed(self, change: Callable[[Any], Hashable | None]) -> Predicate:
        return all_of(part.rekeyed(change) for part in self.parts)

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, AnyOf) else str(part) for part in self.parts)


@dataclass(frozen=True)
class AnyOf(Predicate):
    parts: tuple[Predicate, ...]

    def __post_init__(self) -> None:
        tests = tuple(part.test for part in self.parts)
        object.__setattr__(self, "test", lambda values: any(test(values) for test in tests))

    def bounds(self, key: Hashable) -> Bounds:
        lows, highs = zip(*(part.bounds(key) for part in self.parts), strict=True)
        return (None if None in lows else min(lows), None if None in highs else max(highs))

    def rekeyed(self, change: Callable[[Any], Hashable | None]) -> Predicate:
        return any_of(part.rekeyed(change) for part in self.parts)

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


def all_of(parts: Iterable[Predicate]) -> Predicate:
    """The conjunction, flat and without operands that are always true."""
    found: dict[Predicate, None] = {}
    for part in parts:
        if part == NOTHING:
            return NOTHING
        if part != EVERYTHING:
            found.update(dict.fromkeys(part.parts if isinstance(part, AllOf) else (part,)))
    if len(found) < 2:
        return next(iter(found), EVERYTHING)
    return AllOf(tuple(found))


def any_of(parts: Iterable[Predicate]) -> Predicate:
    """The disjunction, flat and without operands that are never true."""
    found: dict[Predicate, None] = {}
    for part in parts:
        if part == EVERYTHING:
            return EVERYTHING
        if part != NOTHING:
            found.update(dict.fromkeys(part.parts if isinstance(part, AnyOf) else (part,)))
    if len(found) < 2:
        return next(iter(found), NOTHING)
    return AnyOf(tuple(found))


def _of_value(key: Any, example: Value, holds: Callable[[Any], bool]) -> Test:
    """A test of one key's value; a value that cannot be compared with `example` passes."""
    if isinstance(example, int):

        def test_number(values: Mapping[Any, Any]) -> bool:
            found = values.get(key)
            try:
                return found is None or holds(int(found))
            except ValueError:
                return True

        return test_number

    def test_text(values: Mapping[Any, Any]) -> bool:
        found = values.get(key)
        return not isinstance(found, str) or holds(found)

    return test_text


def _after(prefix: str) -> str | None:
    """The least text that follows every text that begins with `prefix`, None if there is none."""
    while prefix:
        last, prefix = ord(prefix[-1]), prefix[:-1]
        if last < sys.maxunicode:
            return prefix + chr(0xE000 if last == 0xD7FF else last + 1)
    return None


def _time_text(milliseconds: int) -> str:
    try:
        return instant_of(milliseconds).replace(tzinfo=None).isoformat(" ", "milliseconds")
    except OverflowError:
        return f"{milliseconds} ms"


def _shown(value: Value | None) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
