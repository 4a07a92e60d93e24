"""A call: its name, its arguments, and what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.translator import Translator, check, shown


@dataclass(frozen=True, slots=True)
class Call:
    """order: of WITHIN GROUP. window: OVER."""

    name: str
    arguments: Sequence[exp.Expr]
    distinct: bool = False
    order: exp.Order | None = None
    nulls: str = ""
    window: exp.Window | None = None

    @property
    def is_plain(self) -> bool:
        return not (self.distinct or self.order or self.nulls or self.window)


def read(t: Translator, node: exp.Expr) -> Call:
    """Take OVER, IGNORE NULLS and WITHIN GROUP off, from the outermost on."""
    window = order = None
    nulls, outer = "", node
    if isinstance(node, exp.Window):
        window, node = node, node.this
    if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
        nulls, node = _nulls(node), node.this
    if isinstance(node, exp.WithinGroup):
        order, node = node.expression, node.this
    if not isinstance(node, exp.Anonymous):
        raise NeedsPerson(f"{shown(outer)} has no form that is known to be the same in Athena")
    check(node, "this", "expressions")
    inner, distinct = list(node.expressions), False
    if inner and isinstance(inner[-1], exp.IgnoreNulls | exp.RespectNulls):
        nulls, inner[-1] = _nulls(inner[-1]), inner[-1].this
    if inner and isinstance(inner[0], exp.Distinct):
        check(inner[0], "expressions")
        distinct, inner[:1] = True, inner[0].expressions
    return Call(node.name.lower(), inner, distinct, order, nulls, window)


def _nulls(node: exp.Expr) -> str:
    return "IGNORE NULLS" if isinstance(node, exp.IgnoreNulls) else "RESPECT NULLS"


def ordering(t: Translator, order: exp.Order) -> str:
    return "ORDER BY " + ", ".join(ordered(t, item, t.expression(item.this).text) for item in order.expressions)


def ordered(_: Translator, item: exp.Expr, text: str) -> str:
    """One item of an ORDER BY. NULL comes first in a descending order of Redshift, and last in each of Athena."""
    check(item, "this", "desc", "nulls_first")
    direction = " DESC" if item.args.get("desc") else ""
    return f"{text}{direction}{' NULLS FIRST' if item.args.get('nulls_first') else ''}"


def over(t: Translator, window: exp.Window | None) -> str:
    """OVER, as it follows a call; nothing if there is none."""
    if window is None:
        return ""
    check(window, "this", "partition_by", "order", "spec", "over")
    parts = []
    if window.args.get("partition_by"):
        keys = [t.expression(key) for key in window.args["partition_by"]]
        t.compares(key.type for key in keys)
        parts.append(f"PARTITION BY {', '.join(key.text for key in keys)}")
    if window.args.get("order"):
        parts.append(ordering(t, window.args["order"]))
    if window.args.get("spec"):
        parts.append(_frame(t, window.args["spec"]))
    return f" OVER ({' '.join(parts)})"


def _frame(t: Translator, spec: exp.WindowSpec) -> str:
    check(spec, "kind", "start", "start_side", "end", "end_side")
    begin = _bound(t, spec, "start")
    kind = str(spec.args["kind"]).upper()
    return f"{kind} BETWEEN {begin} AND {_bound(t, spec, 'end')}" if spec.args.get("end") else f"{kind} {begin}"


def _bound(t: Translator, spec: exp.WindowSpec, which: str) -> str:
    limit, side = spec.args[which], spec.args.get(f"{which}_side") or ""
    text = t.expression(limit).text if isinstance(limit, exp.Expr) else str(limit)
    return f"{text} {side}".strip().upper()
