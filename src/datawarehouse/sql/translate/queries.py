"""Queries: SELECT, set operations, VALUES, and WITH before any of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.shape import Condition, Cte, Relation, Select, SetOperation
from datawarehouse.sql.translate.arithmetic import common_type
from datawarehouse.sql.translate.compiler import Compiler, NamedQuery, Output, Query, mismatch
from datawarehouse.sql.translate.operators import check_comparable, check_groupable
from datawarehouse.sql.translate.scope import Scope, row_field
from datawarehouse.sql.translate.selects import Item, limit_and_offset, order_by, outputs_of, select
from datawarehouse.sql.translate.typed import NULL, Typed, coerced, quoted_name, quoted_text
from datawarehouse.sql.translate.zones import has_zone

RECURSION_STEPS_MAX = 10
"""Trino's max-recursion-depth, which Athena leaves at its default (planExpand of Trino's QueryPlanner; "The maximum
recursion depth is 10" in Athena's documentation of SELECT)."""

_SET_OPERATION = frozenset("with_ this expression distinct order limit offset".split())
_WITHIN = frozenset("this with_ order limit offset".split())


def query(compiler: Compiler, node: exp.Expr, outer: Scope | None) -> Query:
    """Translate a query. `outer` has the names of the outer query that it may use."""
    if isinstance(node, exp.Subquery):
        compiler.check(node, _WITHIN)
        if not any(node.args.get(clause) for clause in ("with_", "order", "limit", "offset")):
            return compiler.query(node.this, outer)
    elif not isinstance(node, exp.Select | exp.SetOperation | exp.Values):
        raise QueryRefused(f"{place(node)}{node.key.upper()} cannot stand where a query is needed; write SELECT.")
    ctes = _ctes(compiler, node, outer)
    if isinstance(node, exp.Select):
        found = select(compiler, node, outer)
    elif isinstance(node, exp.SetOperation):
        found = _set_operation(compiler, node, outer)
    elif isinstance(node, exp.Subquery):
        found = _limited(compiler, node, compiler.query(node.this, outer))
    else:
        found = values(compiler, node, outer)
    return Query(ctes + found.sql, found.outputs, found.shape)


def _set_operation(compiler: Compiler, node: exp.SetOperation, outer: Scope | None) -> Query:
    compiler.check(node, _SET_OPERATION)
    if isinstance(node.this, exp.Select) and any(map(node.this.args.get, ("order", "limit", "offset"))):
        raise SqlSyntaxError(f"{place(node.this)}ORDER BY and LIMIT before {node.key.upper()} need parentheses.")
    branches = [compiler.query(branch, outer) for branch in (node.this, node.expression)]
    left, right = branches
    if len(left.outputs) != len(right.outputs):
        raise mismatch(
            node,
            f"{node.key} has queries of {len(left.outputs)} and of {len(right.outputs)} columns; "
            "both must have the same number.",
        )
    kinds = []
    for position, (a, b) in enumerate(zip(left.outputs, right.outputs, strict=True), 1):
        type = types.common(a.type, b.type)
        if type is None and (has_zone(a.type) or has_zone(b.type)):
            raise QueryRefused(
                f"{place(node)}Column {position} of {node.key} has times in several zones; write AT TIME ZONE 'UTC' "
                "after each."
            )
        if type is None:
            raise mismatch(
                node, f"column {position} of {node.key} is {a.type} in one query and {b.type} in the other. Cast one."
            )
        if node.args.get("distinct") or not isinstance(node, exp.Union):
            check_comparable(node, type)
            check_groupable(node, type)
        kinds.append(type)
    outputs = tuple(Output(a.name, a.sql_name, type) for a, type in zip(left.outputs, kinds, strict=True))
    word = f"{node.key.upper()}{'' if node.args.get('distinct') else ' ALL'}"
    sql = f" {word} ".join(f"({compiler.of_types(branch, kinds)})" for branch in branches)
    items: list[Item] = [(output.name, Typed(quoted_name(output.sql_name), output.type), None) for output in outputs]
    limited = bool(node.args.get("limit") or node.args.get("offset"))
    nested = compiler.facts.nested
    sql += order_by(compiler, node, Scope(parent=outer), items) + limit_and_offset(compiler, node)
    return Query(sql, outputs, SetOperation((left.shape, right.shape), limited, tuple(nested)))


def _limited(compiler: Compiler, node: exp.Subquery, inner: Query) -> Query:
    """A query in parentheses with ORDER BY or LIMIT after them."""
    items: list[Item] = [
        (output.name, Typed(quoted_name(output.sql_name), output.type), None) for output in inner.outputs
    ]
    sql = f"({inner.sql})" + order_by(compiler, node, Scope(), items) + limit_and_offset(compiler, node)
    return Query(sql, inner.outputs, SetOperation((inner.shape,), True, tuple(compiler.facts.nested)))


def values(compiler: Compiler, node: exp.Values, outer: Scope | None) -> Query:
    """VALUES (1, 'a'), (2, 'b'): columns without names, each of the common type of its values."""
    compiler.check(node, frozenset(("expressions", "alias", "with_", "order", "limit", "offset")))
    scope = Scope(parent=outer)
    rows = [_fields_of(compiler, row, scope) for row in node.expressions]
    widest = max(map(len, rows))
    rows = [row * widest if row == [NULL] else row for row in rows]
    if len({len(row) for row in rows}) != 1:
        raise mismatch(node, "all rows of VALUES must have the same number of columns.")
    kinds = [common_type(node, column, "a column of VALUES") for column in zip(*rows, strict=True)]
    texts = (f"({', '.join(coerced(value, type) for value, type in zip(row, kinds, strict=True))})" for row in rows)
    outputs = outputs_of([None] * len(kinds), kinds)
    names = ", ".join(quoted_name(output.sql_name) for output in outputs)
    alias = quoted_name(compiler.unique("rows"))
    sql = f"SELECT * FROM (VALUES {', '.join(texts)}) AS {alias}({names})"
    items: list[Item] = [(output.name, Typed(quoted_name(output.sql_name), output.type), None) for output in outputs]
    sql += order_by(compiler, node, scope, items) + limit_and_offset(compiler, node)
    shape = Select(Relation(), Condition(), (None,) * len(outputs), frozenset(), tuple(compiler.facts.nested))
    return Query(sql, outputs, shape)


def _fields_of(compiler: Compiler, node: exp.Expr, scope: Scope) -> list[Typed]:
    """A row of VALUES: `(1, 2)`, or one value, which is a whole row if it is of a row type."""
    nodes = node.expressions if isinstance(node, exp.Tuple) else [node]
    values = [compiler.expression(each, scope) for each in nodes]
    if len(values) > 1 or values[0].type.name != "row":
        return values
    return [row_field(values[0], at) for at in range(len(values[0].type.args))]


def _ctes(compiler: Compiler, node: exp.Expr, outer: Scope | None) -> str:
    """WITH: each query can use those before it, and itself if it is recursive."""
    clause = node.args.get("with_")
    if not clause:
        return ""
    compiler.check(clause, frozenset(("expressions", "recursive")))
    recursive = bool(clause.args.get("recursive"))
    compiler.visible = dict(compiler.visible)
    names = [item.alias.lower() for item in clause.expressions]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise QueryFailed(f"DUPLICATE_NAMED_QUERY: {place(clause.expressions[at])}WITH names {name!r} twice.")
    texts = [_cte(compiler, item, recursive, outer) for item in clause.expressions]
    return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(texts)} "


def _cte(compiler: Compiler, node: exp.CTE, recursive: bool, outer: Scope | None) -> str:
    compiler.check(node, frozenset(("this", "alias")))
    alias = node.args["alias"]
    renamed = [column.name for column in alias.args.get("columns") or []]
    sql_name = compiler.unique(alias.name, "cte")
    if recursive and isinstance(node.this, exp.Union) and _mentions(node.this.expression, alias.name):
        return _recursive_cte(compiler, node, alias.name, sql_name, renamed, outer)
    found = compiler.query(node.this, outer)
    cte = Cte(recursive=False, query=found.shape)
    outputs = renamed_outputs(node, found.outputs, renamed)
    compiler.ctes.append(cte)
    compiler.visible[alias.name.lower()] = NamedQuery(sql_name, outputs, cte)
    return f"{_cte_head(sql_name, outputs)} AS ({found.sql})"


def _recursive_cte(
    compiler: Compiler, node: exp.CTE, name: str, sql_name: str, renamed: Sequence[str], outer: Scope | None
) -> str:
    """`first UNION [ALL] next`, where next refers to the CTE with the types of first.

    As Trino does it: each step takes the rows of the step before, with their duplicates, and UNION removes duplicates
    from what all steps gave together. A step beyond RECURSION_STEPS_MAX that gives a row is an error.
    """
    compiler.check(node.this, frozenset(("this", "expression", "distinct")))
    if not renamed:
        raise QueryFailed(
            f"MISSING_COLUMN_ALIASES: {place(node)}missing column aliases in recursive WITH query: write "
            f"{name}(column, ...)."
        )
    _check_step(node.this.expression, name)
    first = compiler.query(node.this.this, outer)
    cte = Cte(recursive=True)
    outputs = renamed_outputs(node, first.outputs, renamed)
    steps_name = compiler.unique(f"{name}_steps", "cte")
    compiler.visible[name.lower()] = NamedQuery(steps_name, outputs, cte)
    following = compiler.query(node.this.expression, outer)
    if len(following.outputs) != len(outputs) or not all(
        types.coerces(b.type, a.type) for a, b in zip(outputs, following.outputs, strict=True)
    ):
        raise mismatch(
            node, f"the recursive part of {name} must have the columns and types of its first part; cast them."
        )
    cte.query = SetOperation((first.shape, following.shape), limited=True)
    compiler.ctes.append(cte)
    compiler.visible[name.lower()] = NamedQuery(sql_name, outputs, cte)
    kinds = [output.type for output in outputs]
    texts = [compiler.of_types(branch, kinds) for branch in (first, following)]
    return _steps(sql_name, steps_name, outputs, texts, is_distinct=bool(node.this.args.get("distinct")))


def _check_step(node: exp.Expr, name: str) -> None:
    """Where Trino allows a recursive query to name itself: once, and not where an outer join gives NULL for it."""
    found = [table for table in node.find_all(exp.Table) if table.name.lower() == name.lower() and not table.db]
    wrong = "multiple recursive references in the step relation of recursion" if len(found) > 1 else ""
    join = found[0].find_ancestor(exp.Join, exp.Query)
    if isinstance(join, exp.Join) and join.side in ("LEFT", "FULL"):
        wrong = f"recursive reference in right source of {join.side} join"
    if wrong:
        raise QueryFailed(f"INVALID_RECURSIVE_REFERENCE: {place(found[-1])}{wrong}.")


def _steps(
    sql_name: str, steps_name: str, outputs: Sequence[Output], texts: Sequence[str], *, is_distinct: bool
) -> str:
    """Two CTEs: one that numbers the steps of a recursion, and one of its rows without the numbers."""
    columns = ", ".join(quoted_name(output.sql_name) for output in outputs)
    number = "step"
    while any(output.sql_name.lower() == number for output in outputs):
        number += "_"
    message = quoted_text(
        f"NOT_SUPPORTED: Recursion depth limit exceeded ({RECURSION_STEPS_MAX}). WITH RECURSIVE may take "
        f"{RECURSION_STEPS_MAX} steps, as on Athena; add a condition that ends it earlier."
    )
    steps = quoted_name(steps_name)
    first, following = texts
    return (
        f"{steps}({columns}, {number}) AS ("
        f"SELECT *, 0 FROM ({first}) UNION ALL "
        f"SELECT f.*, CASE WHEN s.n < {RECURSION_STEPS_MAX} THEN s.n + 1 ELSE error({message}) END "
        f"FROM ({following}) AS f CROSS JOIN (SELECT max({number}) AS n FROM {steps}) AS s), "
        f"{quoted_name(sql_name)}({columns}) AS (SELECT {'DISTINCT ' if is_distinct else ''}{columns} FROM {steps})"
    )


def _cte_head(sql_name: str, outputs: Sequence[Output]) -> str:
    return f"{quoted_name(sql_name)}({', '.join(quoted_name(output.sql_name) for output in outputs)})"


def _mentions(node: exp.Expr, name: str) -> bool:
    return any(table.name.lower() == name.lower() and not table.db for table in node.find_all(exp.Table))


def renamed_outputs(node: exp.Expr, outputs: Sequence[Output], names: Sequence[str]) -> tuple[Output, ...]:
    """The outputs, renamed by the list of columns of an alias, if it has one."""
    if not names:
        return tuple(outputs)
    if len(names) != len(outputs):
        raise mismatch(node, f"the alias names {len(names)} columns; the query has {len(outputs)}.")
    return outputs_of(names, [output.type for output in outputs])
