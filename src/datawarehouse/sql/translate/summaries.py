"""Whether a SELECT can do with summaries: how many rows a partition has, and the extremes of its columns.

It can if all of this holds:

1. Its FROM is one table, whole: no join, no sample. It aggregates, groups, or is DISTINCT.
2. Its aggregates are `count(*)` (or of a literal), `min` and `max` of a column, and `min`, `max` and `count(distinct)`
   of what is made of partition keys.
3. Everywhere else it has no column but partition keys, no query, and no function that differs from row to row.

The rows of a partition then differ in nothing that the SELECT sees but in the columns of `min` and `max`. Any rows can
stand for them that have the same keys, say how many they stand for, and have among their values the least and the
greatest of theirs.

Columns of floating-point numbers are left out: the statistics of Parquet files leave out NaN, which is the greatest
value in SQL, and say 0.0 for -0.0 or the reverse. Arrays, maps and rows have no statistics.
"""

from __future__ import annotations

from sqlglot import exp

from datawarehouse.errors import QueryFailed
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.shape import Join, Relation
from datawarehouse.sql.translate.calls import is_aggregate
from datawarehouse.sql.translate.compiler import Compiler
from datawarehouse.sql.translate.scope import Field, Scope

VOLATILE = frozenset(("rand", "random", "shuffle", "uuid"))
_OF_ROWS = (exp.Query, exp.Exists, exp.Any, exp.All, exp.Window, exp.Filter, exp.WithinGroup, exp.Lambda, exp.Star)
_ORDERED = (types.BOOLEAN, types.VARCHAR, types.VARBINARY, types.DATE, types.TIMESTAMP, *types.INTEGERS)


def note_summary(compiler: Compiler, node: exp.Select, scope: Scope, source: Relation | Join | None) -> None:
    """If a SELECT can do with summaries, say so of its scan, with the columns whose extremes it asks for."""
    if not isinstance(source, Relation) or not source.scan or not _is_whole_table(node):
        return
    reading = _Reading(compiler, scope, source)
    if node.args.get("group") or node.args.get("distinct"):
        reading.aggregates = True
    named = {item.alias.lower() for item in node.expressions if isinstance(item, exp.Alias)}
    clauses = [(node.args.get(clause), frozenset[str]()) for clause in ("where", "group", "having")]
    clauses += [(item, frozenset()) for item in node.expressions]
    clauses += [(node.args.get("order"), frozenset(named))]
    if all(reading.can_do(clause, names) for clause, names in clauses if clause) and reading.aggregates:
        use = compiler.scan_of[source]
        use.extremes = frozenset(reading.extremes)
        compiler.facts.counted = use.id


def is_count_of_rows(name: str, arguments: list[exp.Expr]) -> bool:
    """Whether a plain call is `count(*)`, or `count(1)`, which is the same."""
    return name == "count" and len(arguments) == 1 and isinstance(arguments[0], exp.Star | exp.Literal)


def _is_whole_table(node: exp.Select) -> bool:
    table = node.args["from_"].this
    return isinstance(table, exp.Table) and not table.args.get("sample") and not node.args.get("windows")


class _Reading:
    """Reads the clauses of a SELECT over `relation`: which extremes they ask for, and whether there is an aggregate."""

    def __init__(self, compiler: Compiler, scope: Scope, relation: Relation) -> None:
        self._compiler = compiler
        self._scope = scope
        self._relation = relation
        self.extremes: set[str] = set()
        self.aggregates = False

    def can_do(self, clause: exp.Expr, outputs: frozenset[str]) -> bool:
        """Whether a clause asks for no more than summaries. outputs: names that mean columns of the result there."""
        waiting = [clause]
        while waiting:
            node = waiting.pop()
            if isinstance(node, exp.Column):
                if not (node.name.lower() in outputs and not node.table) and not self._is_key(node):
                    return False
            elif isinstance(node, _OF_ROWS):
                return False
            elif not isinstance(node, exp.Anonymous):
                waiting += node.iter_expressions()
            else:
                arguments = self._arguments(node)
                if arguments is None:
                    return False
                waiting += arguments
        return True

    def _arguments(self, call: exp.Anonymous) -> list[exp.Expr] | None:
        """The arguments that are still to be read; None if the call needs the rows."""
        name, arguments = call.name.lower(), call.expressions
        if name in VOLATILE:
            return None
        if not is_aggregate(name):
            return list(arguments)
        self.aggregates = True
        if is_count_of_rows(name, arguments):
            return []
        if name == "count" and len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            return list(arguments[0].expressions)
        if name not in ("min", "max") or len(arguments) != 1:
            return None
        field = self._field(arguments[0])
        if field and (field.value.type in _ORDERED or field.value.type.name == "decimal"):
            self.extremes.add(self._name(field))
            return []
        return list(arguments)

    def _is_key(self, node: exp.Expr) -> bool:
        found = self._resolved(node)
        return found is not None and self._key(found) is not None

    def _field(self, node: exp.Expr) -> Field | None:
        """The column of the table that `node` is, if it is one and no partition key."""
        while isinstance(node, exp.Paren):
            node = node.this
        found = self._resolved(node)
        return found if found and not found.hidden and self._key(found) is None else None

    def _resolved(self, node: exp.Expr) -> Field | None:
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            return None
        try:
            found = self._scope.resolve(self._compiler.parts(node, self._scope), place(node)).field
        except QueryFailed:  # translation says so, in its turn
            return None
        return found if found and found.origin and found.origin[0] is self._relation else None

    def _key(self, field: Field) -> str | None:
        assert field.origin
        return self._relation.keys[field.origin[1]]

    def _name(self, field: Field) -> str:
        assert field.origin
        return self._compiler.scan_of[self._relation].table.fields()[field.origin[1]][0]
