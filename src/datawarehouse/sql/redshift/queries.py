"""SELECT, WITH and set operations, clause by clause."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift.calls import ordered
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.scope import Columns, Source, quoted
from datawarehouse.sql.redshift.sources import joined
from datawarehouse.sql.redshift.translator import Outputs, Translator, check, shown
from datawarehouse.sql.redshift.values import ATOM, Value
from datawarehouse.sql.types import Type

_SET = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}
_QUALIFIED = "is_qualified"
_INTEGER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a SELECT list; of a star, `value` is None."""

    text: str
    name: str | None
    value: Value | None
    is_column: bool = False
    """Whether it is a column under its own name."""


def query(t: Translator, node: exp.Expr) -> tuple[str, Outputs | None]:
    """The text of a query, and its columns."""
    outer = dict(t.ctes)
    try:
        prefix = _with(t, node.args.get("with_"))
        if isinstance(node, exp.Select):
            text, outputs = _select(t, node)
        elif isinstance(node, exp.SetOperation):
            text, outputs = _set_operation(t, node)
        elif isinstance(node, exp.Subquery):
            check(node, "this", "with_", *_TAIL)
            inner, outputs = query(t, node.this)
            text = f"({inner}){_tail(t, node, _names(outputs))}"
        else:
            raise NeedsPerson(f"{node.key.upper()} is not a query")
        return prefix + text, outputs
    finally:
        t.ctes = outer


_TAIL = ("order", "limit", "offset")


def _with(t: Translator, node: exp.With | None) -> str:
    if node is None:
        return ""
    check(node, "expressions", "recursive")
    recursive = bool(node.args.get("recursive"))
    if recursive:
        t.note("Athena takes ten steps of a recursion")
    listed = f",{t.space}".join(_cte(t, each, recursive) for each in node.expressions)
    return f"WITH {'RECURSIVE ' if recursive else ''}{listed}{t.space}"


def _cte(t: Translator, node: exp.CTE, recursive: bool) -> str:
    check(node, "this", "alias")
    name = node.alias.lower()
    columns = [column.name.lower() for column in node.args["alias"].args.get("columns") or ()]
    if recursive and columns:
        t.ctes[name] = _first_columns(t, node.this, columns)
    with t.inside([]):
        text, outputs = query(t, node.this)
    t.ctes[name] = _columns(outputs, columns)
    listed = f" ({', '.join(map(quoted, columns))})" if columns else ""
    return f"{quoted(name)}{listed} AS ({text})"


def _first_columns(t: Translator, node: exp.Expr, columns: Sequence[str]) -> Columns:
    """The columns of a query that names itself: those of its first branch."""
    while type(node) in _SET:
        node = node.this
    before = len(t.reasons)
    with t.inside([]):
        _, outputs = query(t, node.copy())
    del t.reasons[before:]  # they are found again with the whole
    return dict(zip(columns, [type for _, type in outputs or ()] or [None] * len(columns), strict=False))


def _columns(outputs: Outputs | None, names: Sequence[str] = ()) -> Columns | None:
    if outputs is None:
        return dict.fromkeys(names) if names else None
    listed: Sequence[str | None] = names or [name for name, _ in outputs]
    return {name: type for name, (_, type) in zip(listed, outputs, strict=False) if name}


def _names(outputs: Outputs | None) -> set[str]:
    return {name for name, _ in outputs or () if name}


def _set_operation(t: Translator, node: exp.SetOperation) -> tuple[str, Outputs | None]:
    check(node, "this", "expression", "distinct", "with_", *_TAIL)
    left, outputs = _branch(t, node.this)
    right, others = _branch(t, node.expression, right=True)
    word = _SET[type(node)] + ("" if node.args.get("distinct") else " ALL")
    if outputs is not None and others is not None:
        outputs = [(name, _one(a, b)) for (name, a), (_, b) in zip(outputs, others, strict=False)]
    if node.args.get("distinct"):
        t.compares(type for _, type in outputs or [(None, None)])
    return f"{left}{t.space}{word}{t.space}{right}{_tail(t, node, _names(outputs))}", outputs


def _branch(t: Translator, node: exp.Expr, *, right: bool = False) -> tuple[str, Outputs | None]:
    text, outputs = query(t, node)
    has_tail = any(node.args.get(part) for part in _TAIL) and not isinstance(node, exp.Subquery)  # as TOP makes
    needs_parentheses = has_tail or (type(node) in _SET and right)
    return (f"({text})" if needs_parentheses else text), outputs


def _one(a: Type | None, b: Type | None) -> Type | None:
    return types.common(a, b) if a and b else None


# -- one SELECT


def _select(t: Translator, node: exp.Select) -> tuple[str, Outputs | None]:
    check(node, "expressions", "from_", "joins", "where", "group", "having", "qualify", "distinct", "with_", *_TAIL)
    with t.inside([]):
        source = joined(t, node)
        items = list(_items(t, node))
        body = source
        if node.args.get("where"):
            body += f"{t.space}WHERE {t.expression(node.args['where'].this).text}"
        t.scope.lets_names = True
        body += _group(t, node.args.get("group"), items)
        if node.args.get("having"):
            body += f"{t.space}HAVING {t.expression(node.args['having'].this).text}"
        outputs = None if _is_reordered(node, items) else _outputs(t, items)
        distinct = _distinct(t, node.args.get("distinct"), outputs)
        if node.args.get("qualify"):
            return _qualified(t, node, items, body, outputs), outputs
        _check_order(t, node.args.get("order"), items)
        text = f"SELECT {distinct}{', '.join(item.text for item in items)}{body}"
        return text + _tail(t, node, {item.name for item in items if item.name}), outputs


def _items(t: Translator, node: exp.Select) -> Iterator[Item]:
    """The items; each may use the names of those before it, which Athena does not know."""
    t.scope.lets_names = True
    for each in node.expressions:
        if isinstance(each, exp.Star):
            check(each)
            yield Item("*", None, None)
            continue
        if isinstance(each, exp.Column) and isinstance(each.this, exp.Star):
            check(each, "this", "table", "db")
            check(each.this)
            yield Item(f"{quoted(each.parts[-2].name.lower())}.*", None, None)
            continue
        inner = each.this if isinstance(each, exp.Alias) else each
        value = t.expression(inner)
        name = each.alias.lower() if isinstance(each, exp.Alias) else None
        is_column = isinstance(inner, exp.Column)
        if name is None and is_column:
            name = inner.name.lower()
        text = f"{value.text} AS {quoted(name)}" if isinstance(each, exp.Alias) and name else value.text
        if name and isinstance(each, exp.Alias):
            t.scope.given[name] = Value(value.inside(ATOM), value.type, literal=value.literal, is_null=value.is_null)
        yield Item(text, name, value, is_column and name == inner.name.lower())
    t.scope.lets_names = False


def _is_reordered(node: exp.Select, items: Sequence[Item]) -> bool:
    """Whether a star puts the columns of USING first."""
    return any(item.value is None for item in items) and any(
        join.args.get("using") for join in node.args.get("joins") or ()
    )


def _outputs(t: Translator, items: Sequence[Item]) -> Outputs | None:
    found: Outputs = []
    for item in items:
        if item.value is not None:
            found.append((item.name, item.value.type))
            continue
        of = item.text.removesuffix(".*").strip('"')
        for source in t.scope.sources:
            if item.text == "*" or source.name == of:
                if source.columns is None:
                    return None
                found += source.columns.items()
    return found


def _distinct(t: Translator, node: exp.Distinct | None, outputs: Outputs | None) -> str:
    if node is None:
        return ""
    check(node)
    t.compares(type for _, type in outputs or [(None, None)])
    return "DISTINCT "


def _group(t: Translator, node: exp.Group | None, items: Sequence[Item]) -> str:
    if node is None:
        return ""
    check(node, "expressions")
    keys = []
    for key in node.expressions:
        if isinstance(key, exp.Literal) and _INTEGER.fullmatch(key.this):
            at = int(key.this)
        else:
            at = _place_of(t, key, items)
        if at:
            value = items[at - 1].value if at <= len(items) else None
            keys.append(Value(str(at), value.type if value else None))
        else:
            keys.append(t.expression(key))
    t.compares(key.type for key in keys)
    return f"{t.space}GROUP BY {', '.join(key.text for key in keys)}"


def _place_of(t: Translator, key: exp.Expr, items: Sequence[Item]) -> int:
    """The place of the item that a key names, counted from 1, if it is not a column of a table; else 0."""
    if not isinstance(key, exp.Column) or len(key.parts) > 1 or any(item.value is None for item in items):
        return 0
    name = key.name.lower()
    if name not in t.scope.given or t.scope.having(name):
        return 0
    t.expression(key)  # says what is assumed
    return next(at for at, item in enumerate(items, 1) if item.name == name)


def _qualified(t: Translator, node: exp.Select, items: list[Item], body: str, outputs: Outputs | None) -> str:
    """A query around one that has the condition as a further column."""
    if node.args.get("distinct"):
        raise NeedsPerson("QUALIFY with DISTINCT is not translated; write a query around it")
    if outputs is None or any(name is None for name, _ in outputs):
        raise NeedsPerson(
            "QUALIFY becomes a condition of a query around this one, which names each of its columns: name each "
            "column with AS, and a star stands for the columns of declared tables alone"
        )
    condition = t.expression(node.args["qualify"].this)
    names = [quoted(str(name)) for name, _ in outputs]
    if len(set(names)) < len(names) or _QUALIFIED in names:
        raise NeedsPerson("QUALIFY of a query that has two columns of one name; name them apart")
    inner = f"SELECT {', '.join(item.text for item in items)}, {condition.text} AS {_QUALIFIED}{body}"
    order = node.args.get("order")
    for item in order.expressions if order else ():
        if not isinstance(item.this, exp.Literal | exp.Column) or item.this.sql().lower() not in {
            *names,
            *_ordinals(names),
        }:
            raise NeedsPerson("ORDER BY with QUALIFY is translated of columns of the result")
    with t.inside([Source("", dict(outputs))]):  # type: ignore[arg-type]
        tail = _tail(t, node, set(map(str, names)))
    return f"SELECT {', '.join(names)} FROM ({inner}){t.space}WHERE {_QUALIFIED}{tail}"


def _ordinals(names: Sequence[str]) -> set[str]:
    return {str(at) for at in range(1, len(names) + 1)}


def _check_order(t: Translator, order: exp.Order | None, items: Sequence[Item]) -> None:
    """In an expression of ORDER BY, a name is a column of a table in Redshift, and of the result in Athena."""
    renamed = {item.name for item in items if item.name and not item.is_column}
    for item in order.expressions if order else ():
        if isinstance(item.this, exp.Column):
            continue
        for column in item.this.find_all(exp.Column):
            if column.name.lower() in renamed and len(column.parts) == 1:
                t.needs(column, f"{column.name} in an expression of ORDER BY: it is a column of a table in Redshift, "
                        "and of the result in Athena; order by the column of the result")  # fmt: skip


def _tail(t: Translator, node: exp.Expr, names: set[str]) -> str:
    text = ""
    order = node.args.get("order")
    if order:
        text += f"{t.space}ORDER BY " + ", ".join(
            ordered(t, item, _key(t, item.this, names)) for item in order.expressions
        )
    offset, limit = node.args.get("offset"), node.args.get("limit")
    if offset:
        text += f"{t.space}OFFSET {_count(offset)}"
    if limit:
        text += f"{t.space}LIMIT {_count(limit)}"
    return text


def _key(t: Translator, node: exp.Expr, names: set[str]) -> str:
    if isinstance(node, exp.Literal) and _INTEGER.fullmatch(node.this):
        return str(node.this)
    if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name.lower() in names:
        return quoted(node.name.lower())
    return t.expression(node).text


def _count(node: exp.Expr) -> str:
    if isinstance(node, exp.Limit | exp.Offset):
        check(node, "expression")
        number = node.expression
        if isinstance(number, exp.Literal) and _INTEGER.fullmatch(number.this):
            return str(number.this)
    raise NeedsPerson(f"{shown(node)}: the number of rows is one that is written out")
