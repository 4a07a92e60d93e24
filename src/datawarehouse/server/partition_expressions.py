"""The expression of Glue's GetPartitions, which chooses partitions by the values of their keys.

A grammar of its own, and not SQL:

    or      := and {OR and}
    and     := not {AND not}
    not     := NOT not | ( or ) | test
    test    := operand {= | <> | != | < | <= | > | >=} operand
             | key [NOT] BETWEEN literal AND literal
             | key [NOT] IN ( literal {, literal} )
             | key [NOT] LIKE literal
             | key IS [NOT] NULL
    operand := key | literal

A key stands alone or in quotes (`inserted_at`, "inserted_at"); a literal is a text in single quotes, a number, or one
of these after DATE or TIMESTAMP. Numbers are compared as numbers if the key is one, and everything else as text.

Source: AWS Glue API reference, GetPartitions; the operators are those that it names, BETWEEN, IN and LIKE, with the
parentheses that Trino sends.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import INTEGER_BITS, Primitive
from datawarehouse.definition.types import Decimal as DecimalType
from datawarehouse.errors import BadRequest
from datawarehouse.sql.wildcards import like, matches

CHARACTERS_MAX = 2048
Values = Sequence[str]
Test = Callable[[Values], bool]


@dataclass(frozen=True, slots=True)
class Choice:
    """is_chosen: whether the values of a partition, in the order of its keys, are chosen. low, high: no other values of
    the first key are, both inclusive; None is open."""

    is_chosen: Test
    low: str | None = None
    high: str | None = None


_DEPTH_MAX = 64
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))|(?P<quoted>\"[^\"]+\"|`[^`]+`)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark><>|!=|<=|>=|==|[=<>(),]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "==": operator.eq, "<>": operator.ne, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_WORDS = ("AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL")
_OF_TYPES = ("DATE", "TIMESTAMP")
_VALID = "valid are comparisons, BETWEEN, IN, LIKE and IS NULL of partition keys, joined with AND, OR and NOT"


def chosen_by(expression: str, keys: Sequence[Column]) -> Choice:
    """The partitions that an expression chooses. Raises BadRequest."""
    if len(expression) > CHARACTERS_MAX:
        raise BadRequest(f"The expression has {len(expression)} characters; at most {CHARACTERS_MAX} are taken.")
    if not expression.strip():
        return Choice(lambda values: True)
    parser = _Parser(expression, {key.name: (place, _is_number(key)) for place, key in enumerate(keys)})
    return parser.whole()


def _is_number(key: Column) -> bool:
    kind = key.type
    return isinstance(kind, DecimalType) or (isinstance(kind, Primitive) and kind.name in INTEGER_BITS)


class _Parser:
    def __init__(self, text: str, keys: Mapping[str, tuple[int, bool]]) -> None:
        self._text, self._keys = text, keys
        self._tokens = self._tokenized()
        self._at = 0
        self._depth = 0

    def whole(self) -> Choice:
        choice = self._or()
        if self._at < len(self._tokens):
            raise self._wrong("after its end")
        return choice

    def _tokenized(self) -> list[tuple[str, str, int]]:
        found, at = [], 0
        end = len(self._text.rstrip())
        while at < end:
            token = _TOKEN.match(self._text, at)
            if not token:
                raise BadRequest(f"The expression cannot be read at character {at + 1}; {_VALID}.")
            kind = str(token.lastgroup)
            found.append((kind, token[kind], token.start(kind)))
            at = token.end()
        return found

    def _or(self) -> Choice:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise BadRequest(f"The expression is nested more than {_DEPTH_MAX} levels deep.")
        parts = [self._and()]
        while self._took("OR"):
            parts.append(self._and())
        self._depth -= 1
        if len(parts) == 1:
            return parts[0]
        tests = [part.is_chosen for part in parts]
        lows = [part.low for part in parts if part.low is not None]
        highs = [part.high for part in parts if part.high is not None]
        low = min(lows) if len(lows) == len(parts) else None
        high = max(highs) if len(highs) == len(parts) else None
        return Choice(lambda values: any(test(values) for test in tests), low, high)

    def _and(self) -> Choice:
        parts = [self._not()]
        while self._took("AND"):
            parts.append(self._not())
        if len(parts) == 1:
            return parts[0]
        tests = [part.is_chosen for part in parts]
        low = max((part.low for part in parts if part.low is not None), default=None)
        high = min((part.high for part in parts if part.high is not None), default=None)
        return Choice(lambda values: all(test(values) for test in tests), low, high)

    def _not(self) -> Choice:
        is_negated = False
        while self._took("NOT"):
            is_negated = not is_negated
        if self._took("("):
            choice = self._or()
            self._need(")")
        else:
            choice = self._test()
        return _negated(choice) if is_negated else choice

    def _test(self) -> Choice:
        place, is_number = self._operand()
        if isinstance(place, str):  # a literal, so that a key is on the other side
            sign = self._operator()
            literal, (other, is_number) = place, self._operand()
            if isinstance(other, str):
                raise self._wrong("where a partition key is needed")
            return _comparison(other, _MIRRORED[sign], self._value(literal, is_number), is_number)
        key = place
        is_negated = self._took("NOT")
        if self._took("BETWEEN"):
            low = self._value(self._literal(), is_number)
            self._need("AND")
            high = self._value(self._literal(), is_number)
            inside = _of(key, is_number, lambda found: low <= found <= high)
            choice = inside if is_number or key else replace(inside, low=str(low), high=str(high))
        elif self._took("IN"):
            self._need("(")
            among = {self._value(self._literal(), is_number)}
            while self._took(","):
                among.add(self._value(self._literal(), is_number))
            self._need(")")
            choice = _of(key, is_number, lambda found: found in among)
        elif self._took("LIKE"):
            parts = tuple(like(self._literal()))
            choice = Choice(lambda values: matches(values[key], parts))
        elif not is_negated and self._took("IS"):
            is_null = not self._took("NOT")
            self._need("NULL")
            return Choice(lambda values: not is_null)  # a partition has a value for each key
        elif is_negated:
            raise self._wrong("where BETWEEN, IN or LIKE is needed")
        else:
            sign = self._operator()
            return _comparison(key, sign, self._value(self._literal(), is_number), is_number)
        return _negated(choice) if is_negated else choice

    def _operand(self) -> tuple[int | str, bool]:
        """The place of a key and whether it is a number, or a literal."""
        kind, text, _ = self._peeked()
        if kind in ("text", "number") or text.upper() in _OF_TYPES:
            return self._literal(), False
        if kind == "quoted" or (kind == "word" and text.upper() not in _WORDS):
            name = text.strip('"`').lower()
            if name not in self._keys:
                known = ", ".join(self._keys) or "none"
                raise BadRequest(f"There is no partition key {name!r}; there are {known}.")
            self._at += 1
            return self._keys[name]
        raise self._wrong("where a partition key is needed")

    def _literal(self) -> str:
        kind, text, _ = self._peeked()
        if kind == "word" and text.upper() in _OF_TYPES:
            self._at += 1
            kind, text, _ = self._peeked()
        if kind not in ("text", "number"):
            raise self._wrong("where a text in single quotes or a number is needed")
        self._at += 1
        return text[1:-1].replace("''", "'") if kind == "text" else text

    def _operator(self) -> str:
        _, text, _ = self._peeked()
        if text not in _COMPARE:
            raise self._wrong("where a comparison is needed")
        self._at += 1
        return text

    def _value(self, literal: str, is_number: bool) -> Any:
        if not is_number:
            return literal
        try:
            return Decimal(literal)
        except InvalidOperation:
            raise BadRequest(f"The expression compares a key that is a number with {literal!r}.") from None

    def _took(self, word: str) -> bool:
        kind, text, _ = self._peeked()
        is_there = kind in ("word", "mark") and text.upper() == word
        self._at += is_there
        return is_there

    def _need(self, word: str) -> None:
        if not self._took(word):
            raise self._wrong(f"where {word} is needed")

    def _peeked(self) -> tuple[str, str, int]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "its end", len(self._text))

    def _wrong(self, where: str) -> BadRequest:
        _, text, at = self._peeked()
        return BadRequest(f"The expression has {text} at character {at + 1}, {where}; {_VALID}.")


_MIRRORED = {"=": "=", "==": "=", "<>": "<>", "!=": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _comparison(key: int, sign: str, value: Any, is_number: bool) -> Choice:
    holds = _COMPARE[sign]
    choice = _of(key, is_number, lambda found: holds(found, value))
    if is_number or key:
        return choice
    low = value if sign in ("=", "==", ">", ">=") else None
    high = value if sign in ("=", "==", "<", "<=") else None
    return replace(choice, low=low, high=high)


def _of(key: int, is_number: bool, holds: Callable[[Any], bool]) -> Choice:
    if not is_number:
        return Choice(lambda values: holds(values[key]))

    def test(values: Values) -> bool:
        try:
            return holds(Decimal(values[key]))
        except InvalidOperation:
            return False

    return Choice(test)


def _negated(choice: Choice) -> Choice:
    return Choice(lambda values: not choice.is_chosen(values))
