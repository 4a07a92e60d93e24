"""From a condition in SQL to what must be true of single columns: WHERE and ON become predicates and equalities.

1. NOT moves down to the leaves (De Morgan), which is correct in SQL's three-valued logic: a row passes only when the
   condition is true, and `not (a = 'x')` is true exactly where `a <> 'x'` is.
2. A leaf that compares a column with a constant of the column's type becomes a leaf of the predicate. It rejects NULL.
3. `a = b` of two columns, not under OR or NOT, becomes an equality.
4. Everything else, also `is null`, gives no restriction.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator

from sqlglot import exp

from datawarehouse.sql import predicate
from datawarehouse.sql.instants import Step, compared
from datawarehouse.sql.predicate import EVERYTHING, NOTHING, Among, Compare, Like, Predicate, Value, all_of, any_of
from datawarehouse.sql.shape import Column, Condition, Equality

Constant = str | int | float | bool | datetime.date | None
ColumnOf = Callable[[exp.Expr], "tuple[Column, type] | None"]
"""The column that an expression names, and the Python type of constants with which it can be compared as text or
number."""
ConstantOf = Callable[[exp.Expr], Constant]
StepOf = Callable[[exp.Expr], "tuple[exp.Expr, Step] | None"]

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "=",
}


class ConditionReader:
    """Reads conditions of one query, with its names (`column_of`), constants (`constant_of`) and functions that keep
    the order of times (`step_of`)."""

    def __init__(self, column_of: ColumnOf, constant_of: ConstantOf, step_of: StepOf) -> None:
        self._column_of = column_of
        self._constant_of = constant_of
        self._step_of = step_of

    def read(self, nodes: Iterable[exp.Expr]) -> Condition:
        """What is true of columns where all of `nodes` are true."""
        parts = [part for node in nodes for part in flat(node, exp.And)]
        return Condition(
            all_of(self._predicate(part, False) for part in parts),
            tuple(equality for part in parts if (equality := self._equality(part))),
        )

    def _predicate(self, node: exp.Expr, negated: bool) -> Predicate:
        match node:
            case exp.Paren():
                return self._predicate(node.this, negated)
            case exp.Not():
                return self._predicate(node.this, not negated)
            case exp.And() | exp.Or():
                parts = (self._predicate(part, negated) for part in flat(node, type(node)))
                return all_of(parts) if isinstance(node, exp.And) is not negated else any_of(parts)
            case exp.Boolean():
                return EVERYTHING if node.this is not negated else NOTHING
            case exp.Between():
                low = self._compared(node.this, ">=", node.args["low"], negated)
                high = self._compared(node.this, "<=", node.args["high"], negated)
                return any_of((low, high)) if negated else all_of((low, high))
            case exp.In() if node.expressions:
                return self._among(node, negated)
            case exp.Like() | exp.Escape():
                return self._like(node, negated)
            case exp.Anonymous() if node.name.lower() == "starts_with" and len(node.expressions) == 2:
                return self._starts_with(node, negated)
            case exp.NullSafeEQ() if negated:
                return EVERYTHING  # `a is distinct from 'x'` is true for NULL
            case _ if type(node) in _COMPARISONS:
                return self._compared(node.this, _COMPARISONS[type(node)], node.expression, negated)
        return EVERYTHING

    def _compared(self, left: exp.Expr, sign: str, right: exp.Expr, negated: bool) -> Predicate:
        if negated:
            sign = predicate.NEGATED[sign]
        for column_side, constant_side, oriented in ((left, right, sign), (right, left, predicate.MIRRORED[sign])):
            if found := self._column_of(column_side):
                if found[1] is datetime.datetime:
                    return compared(found[0], oriented, self._constant_of(constant_side))
                value = _comparable(self._constant_of(constant_side), found[1])
                return EVERYTHING if value is None else Compare(found[0], oriented, value)
            if (step := self._step_of(column_side)) and (found := self._column_of(step[0])):
                if found[1] is not datetime.datetime:
                    return EVERYTHING
                return compared(found[0], oriented, self._constant_of(constant_side), step[1])
            if oriented == "=" and (prefix := self._prefix(column_side, constant_side)):
                return prefix
        return EVERYTHING

    def _among(self, node: exp.In, negated: bool) -> Predicate:
        items = [self._compared(node.this, "=", item, negated) for item in node.expressions]
        if negated:
            return all_of(items)
        if all(isinstance(item, Compare) for item in items):
            values = frozenset(item.value for item in items if isinstance(item, Compare))
            return Among(items[0].key, values) if len(values) > 1 and isinstance(items[0], Compare) else items[0]
        return any_of(items)

    def _like(self, node: exp.Expr, negated: bool) -> Predicate:
        like, escape = (node.this, self._constant_of(node.expression)) if isinstance(node, exp.Escape) else (node, None)
        found = self._column_of(like.this)
        pattern = self._constant_of(like.expression)
        if not found or found[1] is not str or not isinstance(pattern, str) or not isinstance(escape, str | None):
            return EVERYTHING
        return Like(found[0], pattern, escape, bool(like.args.get("negate")) is not negated)

    def _starts_with(self, node: exp.Expr, negated: bool) -> Predicate:
        found, prefix = self._column_of(node.expressions[0]), self._constant_of(node.expressions[1])
        if not found or found[1] is not str or not isinstance(prefix, str):
            return EVERYTHING
        return _begins(found[0], prefix, negated)

    def _prefix(self, call: exp.Expr, constant: exp.Expr) -> Predicate | None:
        """`substr(column, 1, n) = 'n characters'` says how the column begins."""
        if isinstance(call, exp.Substring):
            arguments = [call.this, call.args.get("start"), call.args.get("length")]
        elif isinstance(call, exp.Anonymous) and call.name.lower() == "substr" and len(call.expressions) == 3:
            arguments = call.expressions
        else:
            return None
        column, start, length = arguments
        found, value = self._column_of(column), self._constant_of(constant)
        if not found or found[1] is not str or not isinstance(value, str) or start is None or length is None:
            return None
        if self._constant_of(start) != 1 or self._constant_of(length) != len(value):
            return None
        return _begins(found[0], value, False)

    def _equality(self, node: exp.Expr) -> Equality | None:
        if not isinstance(node, exp.EQ):
            return None
        left, right = self._column_of(node.this), self._column_of(node.expression)
        return (left[0], right[0]) if left and right and left[1] is right[1] else None


def flat(node: exp.Expr, connector: type[exp.Expr]) -> Iterator[exp.Expr]:
    """The operands of a chain of AND or OR, in order; without recursion, because a chain can be as long as a user's
    list."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, connector):
            waiting += [node.args["expression"], node.this]
        else:
            yield node


def _begins(key: Column, prefix: str, negated: bool) -> Predicate:
    escaped = "".join(f"!{character}" if character in "!%_" else character for character in prefix)
    return Like(key, escaped + "%", "!", negated)


def _comparable(constant: Constant, kind: type) -> Value | None:
    """`constant` in the form in which partition values are compared (text, number, or a date's text), if the column's
    kind allows that."""
    if type(constant) is not kind:
        return None
    if isinstance(constant, datetime.date):
        return constant.isoformat()
    return constant if isinstance(constant, str | int) else None
