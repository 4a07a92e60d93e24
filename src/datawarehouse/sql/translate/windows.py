"""Windows: what is in OVER and in WINDOW, ORDER BY in either and in aggregates, and frames.

A window with a name is written out where it is used: DuckDB drops the PARTITION BY that one named window takes over
from another, and finds none in an ORDER BY.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate.compiler import Compiler, Window, mismatch
from datawarehouse.sql.translate.operators import check_comparable, check_groupable, check_orderable
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, failing
from datawarehouse.sql.types import Type

_FRAME_UNITS = ("ROWS", "RANGE", "GROUPS")
_DATES = (*types.TIMES, *types.DAYTIMES)


def ordering(compiler: Compiler, order: exp.Expr, scope: Scope) -> str:
    return " ORDER BY " + ", ".join(ordered(compiler, item, scope) for item in order.expressions)


def ordered(compiler: Compiler, node: exp.Expr, scope: Scope, sql: str | None = None) -> str:
    """One item of an ORDER BY; `sql` in place of its expression if the caller has translated that."""
    compiler.check(node, frozenset(("this", "desc", "nulls_first")))
    if sql is None:
        value = compiler.expression(node.this, scope)
        check_orderable(node.this, value.type)
        sql = value.sql
    direction = "DESC" if node.args.get("desc") else "ASC"
    return f"{sql} {direction} NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}"


def name_windows(compiler: Compiler, nodes: list[exp.Window], scope: Scope) -> None:
    """The WINDOW clause: each window can use those before it."""
    for node in nodes:
        name = _key(node.this)
        if name in compiler.facts.named_windows:
            raise QueryFailed(f"DUPLICATE_WINDOW_NAME: {place(node)}WINDOW has the name {node.name!r} twice.")
        compiler.facts.named_windows[name] = _defined(compiler, node, scope)


def over(compiler: Compiler, node: exp.Window, scope: Scope, function: str) -> str:
    """What follows OVER."""
    only_name = node.args.get("alias") and not any(node.args.get(key) for key in ("partition_by", "order", "spec"))
    found = _named(compiler, node.args["alias"]) if only_name else _defined(compiler, node, scope)
    if function in ("lag", "lead"):
        if not found.order:
            raise QueryFailed(f"{place(node)}{function} needs ORDER BY in OVER (...).")
        if found.frame:
            raise QueryFailed(f"{place(node)}{function} takes no frame in OVER (...).")
    compiler.facts.windows.append(found.columns)
    return found.sql


def _key(node: exp.Expr) -> str:
    return node.name if node.args.get("quoted") else node.name.upper()


def _named(compiler: Compiler, node: exp.Expr) -> Window:
    found = compiler.facts.named_windows.get(_key(node))
    if found is None:
        raise QueryFailed(f"INVALID_WINDOW_REFERENCE: {place(node)}Cannot resolve WINDOW name {node.name}.")
    return found


def _defined(compiler: Compiler, node: exp.Window, scope: Scope) -> Window:
    compiler.check(node, frozenset(("this", "partition_by", "order", "spec", "over", "alias")))
    keys, order, spec = node.args.get("partition_by") or [], node.args.get("order"), node.args.get("spec")
    found = _named(compiler, node.args["alias"]) if node.args.get("alias") else Window()
    if found.frame:
        raise QueryFailed(
            f"INVALID_WINDOW_REFERENCE: {place(node)}Cannot reference named WINDOW containing frame specification."
        )
    if keys and node.args.get("alias"):
        raise QueryFailed(
            f"INVALID_PARTITION_BY: {place(node)}WINDOW specification with named WINDOW reference cannot specify "
            "PARTITION BY."
        )
    if order and found.order:
        raise QueryFailed(
            f"INVALID_ORDER_BY: {place(node)}Cannot specify ORDER BY if referenced named WINDOW specifies ORDER BY."
        )
    if keys:
        values = [compiler.expression(key, scope) for key in keys]
        for key, value in zip(keys, values, strict=True):
            check_comparable(key, value.type)
            check_groupable(key, value.type)
        columns = (compiler.column_of(key, scope) for key in keys)
        found = replace(
            found,
            partition="PARTITION BY " + ", ".join(value.sql for value in values),
            columns=frozenset(column[0] for column in columns if column),
        )
    if order:
        kinds = tuple(compiler.expression(item.this, scope).type for item in order.expressions)
        found = replace(found, order=ordering(compiler, order, scope).strip(), kinds=kinds)
    return replace(found, frame=_frame(compiler, spec, scope, found.kinds)) if spec else found


# Frames


def _frame(compiler: Compiler, node: exp.Expr, scope: Scope, kinds: tuple[Type, ...]) -> str:
    compiler.check(node, frozenset(("kind", "start", "start_side", "end", "end_side")))
    kind = node.args["kind"].upper()
    if kind not in _FRAME_UNITS:
        raise QueryRefused(f"{place(node)}A frame counts {', '.join(_FRAME_UNITS)}; got {kind}.")
    _check_sides(node)
    bounds = [
        _bound(compiler, node.args[side], node.args.get(f"{side}_side"), scope, kind, kinds)
        for side in ("start", "end")
        if node.args.get(side)
    ]
    return f"{kind} BETWEEN {bounds[0]} AND {bounds[1]}" if len(bounds) == 2 else f"{kind} {bounds[0]}"


def _check_sides(node: exp.Expr) -> None:
    """Trino's rules, with its words, for where a frame begins and ends."""
    sides = [
        "CURRENT ROW" if bound in (None, "CURRENT ROW") else (node.args.get(f"{side}_side") or "").upper()
        for side, bound in (("start", node.args.get("start")), ("end", node.args.get("end")))
    ]
    wrong = ""
    if node.args.get("start") == "UNBOUNDED" and sides[0] == "FOLLOWING":
        wrong = "start cannot be UNBOUNDED FOLLOWING"
    elif node.args.get("end") == "UNBOUNDED" and sides[1] == "PRECEDING":
        wrong = "end cannot be UNBOUNDED PRECEDING"
    elif tuple(sides) in (("CURRENT ROW", "PRECEDING"), ("FOLLOWING", "PRECEDING"), ("FOLLOWING", "CURRENT ROW")):
        wrong = f"starting from {sides[0]} cannot end with {sides[1]}"
    if wrong:
        raise QueryFailed(f"INVALID_WINDOW_FRAME: {place(node)}Window frame {wrong}.")


def _bound(
    compiler: Compiler, value: str | exp.Expr, side: str | None, scope: Scope, kind: str, kinds: tuple[Type, ...]
) -> str:
    if value == "CURRENT ROW":
        return "CURRENT ROW"
    direction = (side or "").upper()
    if direction not in ("PRECEDING", "FOLLOWING"):
        raise QueryRefused("A frame bound is UNBOUNDED or a value, and PRECEDING or FOLLOWING; or CURRENT ROW.")
    if isinstance(value, str):
        return f"UNBOUNDED {direction}"
    bound = compiler.expression(value, scope)
    if kind == "RANGE":
        _check_range(value, bound.type, kinds)
    else:
        if bound.type not in types.INTEGERS and not (bound.type.name == "decimal" and bound.type.scale == 0):
            raise mismatch(value, f"the bound of a frame of {kind} is a whole number; this is {bound.type}.")
        bound = Typed(f"CAST({bound.sql} AS BIGINT)", types.BIGINT)
    amount = bound.sql
    if not isinstance(value, exp.Literal | exp.Interval | exp.Cast):
        amount = f"coalesce({amount}, {failing('The bound of a frame must not be NULL', bound.type)})"
    return f"{amount} {direction}"


def _check_range(node: exp.Expr, bound: Type, kinds: tuple[Type, ...]) -> None:
    if len(kinds) != 1:
        error = "INVALID_ORDER_BY" if kinds else "MISSING_ORDER_BY"
        raise QueryFailed(
            f"{error}: {place(node)}A frame of RANGE with a value needs ORDER BY of one column; it has {len(kinds)}."
        )
    [kind] = kinds
    if types.is_numeric(kind):
        fits = types.is_numeric(bound)
    elif kind in types.INTERVALS:
        fits = bound == kind
    elif kind in _DATES:
        fits = bound in types.INTERVALS
    else:
        raise mismatch(
            node,
            "Window frame of type RANGE PRECEDING or FOLLOWING requires that sort item type be numeric, datetime or "
            f"interval (actual: {kind}).",
        )
    if not fits:
        raise mismatch(node, f"Window frame RANGE value type ({bound}) not compatible with sort item type ({kind}).")
