"""SELECT, translated in the order in which its parts see each other:

1. FROM gives the columns.
2. WHERE, GROUP BY and HAVING can use those columns, but not the names that the SELECT list gives, as in Athena.
3. The SELECT list, with each star written out, gives the output columns.
4. ORDER BY looks for output columns first. An item that is an output column becomes the column's number.
5. What pruning needs is collected on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql.grammar import place
from datawarehouse.sql.shape import Column, Condition, Select
from datawarehouse.sql.translate.compiler import Compiler, Facts, Output, Query, mismatch
from datawarehouse.sql.translate.constants import condition_reader
from datawarehouse.sql.translate.equality import canonical
from datawarehouse.sql.translate.operators import check_comparable, check_groupable, check_orderable, condition
from datawarehouse.sql.translate.relations import from_clause
from datawarehouse.sql.translate.scope import Field, Scope, row_field
from datawarehouse.sql.translate.summaries import note_summary
from datawarehouse.sql.translate.typed import Typed, quoted_name
from datawarehouse.sql.translate.windows import name_windows, ordered
from datawarehouse.sql.types import Type

_SETS_ITEMS_MAX, _SETS_MAX = 32, 4_096
_SELECT = frozenset("with_ expressions distinct from_ joins where group having windows order limit offset".split())


def select(compiler: Compiler, node: exp.Select, outer: Scope | None) -> Query:
    compiler.check(node, _SELECT)
    facts = compiler.facts
    text, scope, source = from_clause(compiler, node, outer)
    note_summary(compiler, node, scope, source)
    where = node.args.get("where")
    sql = f" WHERE {_condition(compiler, where, scope, 'WHERE')}" if where else ""
    sql += (group := _group(compiler, node, scope))
    having = node.args.get("having")
    sql += f" HAVING {condition(compiler, having.this, scope)}" if having else ""
    name_windows(compiler, node.args.get("windows") or [], scope)
    items = _items(compiler, node.expressions, scope)
    outputs = outputs_of([name for name, _, _ in items], [value.type for _, value, _ in items])
    distinct = node.args.get("distinct")
    listed = ", ".join(
        f"{canonical(value) if distinct else value.sql} AS {quoted_name(output.sql_name)}"
        for (_, value, _), output in zip(items, outputs, strict=True)
    )
    if distinct:
        compiler.check(distinct, frozenset())
        for output in outputs:
            check_comparable(node, output.type)
    sql += _ties(compiler, node, scope, items) + order_by(compiler, node, scope, items)
    sql += limit_and_offset(compiler, node, with_ties=True)
    keys = _plain_keys(compiler, node, scope, items)
    shape = Select(
        source,
        _known(compiler, scope, [clause.this for clause in (where, having if keys else None) if clause]),
        tuple(column for _, _, column in items),
        _filterable(node, facts, [column for _, _, column in items], keys if group else None),
        tuple(facts.nested),
    )
    return Query(f"SELECT {'DISTINCT ' if distinct else ''}{listed}{text}{sql}", outputs, shape)


Item = tuple[str | None, Typed, Column | None]
"""An item of a SELECT list: its name, its value, and the input column that it is a copy of."""


def _items(compiler: Compiler, nodes: Sequence[exp.Expr], scope: Scope) -> list[Item]:
    items: list[Item] = []
    for node in nodes:
        if isinstance(node, exp.Star):
            compiler.check(node, frozenset())
            items += _starred(node, scope.starred())
        elif isinstance(node, exp.Column | exp.Dot) and isinstance(_last(node), exp.Star):
            items += _qualified_star(compiler, node, scope)
        elif isinstance(node, exp.Aliases) and isinstance(node.this, exp.Column | exp.Dot):
            items += _renamed(compiler, node, scope)
        else:
            items.append(_item(compiler, node, scope))
    return items


def _item(compiler: Compiler, node: exp.Expr, scope: Scope) -> Item:
    name = None
    inner = node
    if isinstance(node, exp.Alias):
        inner, name = node.this, node.alias
        if inner.meta.get("end", -2) + 1 == node.args["alias"].meta.get("start"):
            raise SqlSyntaxError(f"{place(inner)}A blank is missing before the name {name!r}.")
    elif isinstance(node, exp.Column | exp.Dot):
        name = _last(node).name
    return name, compiler.expression(inner, scope), _copied(compiler, inner, scope)


def _starred(node: exp.Expr, fields: Sequence[Field]) -> list[Item]:
    if not fields:
        raise QueryFailed(f"{place(node)}There are no columns for the star; add a FROM or name a table of it.")
    return [(field.name, field.value, field.origin) for field in fields]


def _qualified_star(compiler: Compiler, node: exp.Column | exp.Dot, scope: Scope) -> list[Item]:
    """`relation.*`, or `column.*` of a row."""
    compiler.check(_last(node), frozenset())
    if isinstance(node, exp.Column):
        around: Scope | None = scope
        while around:
            if fields := around.starred(node.table):
                return _starred(node, fields)
            around = around.parent
    if isinstance(node, exp.Column):
        names = [part.name for part in node.parts[:-1]]
        if not scope.has_relation(names[0]):
            raise QueryFailed(f"TABLE_NOT_FOUND: {place(node)}Unable to resolve reference {'.'.join(names)}.")
        value = scope.resolve(names, place(node)).value
    else:
        value = compiler.expression(node.this, scope)
    if value.type.name != "row":
        raise mismatch(node, f"a star needs a table or a row; this is {value.type}.")
    return [(name, row_field(value, position), None) for position, name in enumerate(value.type.names)]


def _renamed(compiler: Compiler, node: exp.Aliases, scope: Scope) -> list[Item]:
    """`row.* AS (a, b)`: the fields under other names."""
    if not isinstance(_last(node.this), exp.Star):
        raise QueryRefused(f"{place(node)}A list of names follows a star alone.")
    found = _qualified_star(compiler, node.this, scope)
    names = [name.name for name in node.expressions]
    if len(names) != len(found):
        raise QueryFailed(
            f"MISMATCHED_COLUMN_ALIASES: {place(node)}The star has {len(found)} columns, and AS has {len(names)} names."
        )
    return [(name, value, column) for name, (_, value, column) in zip(names, found, strict=True)]


def _last(node: exp.Expr) -> exp.Expr:
    last: exp.Expr = node.expression if isinstance(node, exp.Dot) else node.this
    return last


def outputs_of(names: Sequence[str | None], kinds: Sequence[Type]) -> tuple[Output, ...]:
    """The outputs, with names that are unique in DuckDB: a column without a name is called _col and its position, as in
    Athena."""
    outputs: list[Output] = []
    taken: set[str] = set()
    for position, (name, type) in enumerate(zip(names, kinds, strict=True)):
        wanted = candidate = name or f"_col{position}"
        count = 1
        while candidate.lower() in taken:
            count += 1
            candidate = f"{wanted}_{count}"
        taken.add(candidate.lower())
        outputs.append(Output(name, candidate, type))
    return tuple(outputs)


def _condition(compiler: Compiler, node: exp.Expr, scope: Scope, clause: str) -> str:
    facts = Facts(nested=compiler.facts.nested)
    with compiler.within(facts):
        text = condition(compiler, node.this, scope)
    if facts.aggregates or facts.windows:
        raise QueryFailed(
            f"{place(node)}{clause} cannot contain aggregates or window functions; use HAVING or a sub-query."
        )
    return text


def _group(compiler: Compiler, node: exp.Select, scope: Scope) -> str:
    group = node.args.get("group")
    if not group:
        return ""
    compiler.check(group, frozenset(("expressions", "all")) if group.expressions else frozenset())
    if group.args.get("all") is False:
        return f" GROUP BY GROUPING SETS ({', '.join(_distinct_sets(compiler, node, group, scope))})"
    return " GROUP BY " + ", ".join(_group_item(compiler, node, item, scope) for item in group.expressions)


def _distinct_sets(compiler: Compiler, select: exp.Select, group: exp.Group, scope: Scope) -> list[str]:
    """The sets of GROUP BY DISTINCT: one of each item of the list, joined; of equal ones one."""
    if len(group.expressions) > _SETS_ITEMS_MAX:
        raise QueryRefused(f"{place(group)}GROUP BY DISTINCT takes at most {_SETS_ITEMS_MAX} items here.")
    found: list[tuple[str, ...]] = [()]
    for item in group.expressions:
        found = [(*before, *more) for before in found for more in _sets(compiler, select, item, scope)]
        if len(found) > _SETS_MAX:
            raise QueryRefused(f"{place(group)}The GROUP BY makes more than {_SETS_MAX} grouping sets.")
    unique = {frozenset(each): tuple(dict.fromkeys(each)) for each in reversed(found)}
    return [f"({', '.join(each)})" for each in reversed(unique.values())]


def _sets(compiler: Compiler, select: exp.Select, node: exp.Expr, scope: Scope) -> list[tuple[str, ...]]:
    """The grouping sets that an item of GROUP BY stands for. Trino documentation, "GROUP BY clause"."""
    if isinstance(node, exp.GroupingSets):
        return [each for item in node.expressions for each in _sets(compiler, select, item, scope)]
    if isinstance(node, exp.Rollup | exp.Cube):
        _check_plain(node)
        parts = [_columns(compiler, select, item, scope) for item in node.expressions]
        if isinstance(node, exp.Rollup):
            chosen = [parts[:count] for count in range(len(parts), -1, -1)]
        else:
            chosen = [list(each) for count in range(len(parts), -1, -1) for each in combinations(parts, count)]
        return [tuple(column for part in each for column in part) for each in chosen]
    return [_columns(compiler, select, node, scope)]


def _check_plain(node: exp.Expr) -> None:
    """Grouping sets of anything but columns are an error on Athena."""
    for item in node.expressions:
        if isinstance(item, exp.Paren | exp.Tuple):
            _check_plain(exp.Tuple(expressions=[item.this] if isinstance(item, exp.Paren) else item.expressions))
        elif not isinstance(item, exp.Column | exp.GroupingSets | exp.Rollup | exp.Cube | exp.Dot):
            raise QueryFailed(
                f"{place(item)}GROUPING SETS, ROLLUP and CUBE take columns; compute the value in a sub-query first."
            )


def _columns(compiler: Compiler, select: exp.Select, node: exp.Expr, scope: Scope) -> tuple[str, ...]:
    if isinstance(node, exp.Tuple):
        return tuple(_group_item(compiler, select, item, scope) for item in node.expressions)
    while isinstance(node, exp.Paren):
        node = node.this
    return (_group_item(compiler, select, node, scope),)


def _group_item(compiler: Compiler, select: exp.Select, node: exp.Expr, scope: Scope) -> str:
    for kind, word in ((exp.GroupingSets, "GROUPING SETS"), (exp.Rollup, "ROLLUP"), (exp.Cube, "CUBE")):
        if isinstance(node, kind):
            compiler.check(node, frozenset(("expressions",)))
            _check_plain(node)
            items = [_group_item(compiler, select, item, scope) for item in node.expressions]
            # The sets of CUBE are those of a set: a column that stands there twice is there once.
            return f"{word} ({', '.join(dict.fromkeys(items) if word == 'CUBE' else items)})"
    if isinstance(node, exp.Tuple):
        return f"({', '.join(_group_item(compiler, select, item, scope) for item in node.expressions)})"
    if isinstance(node, exp.Literal) and not node.is_string:
        return str(_group_position(compiler, select, node))
    value = _plain_value(compiler, node, scope)
    check_comparable(node, value.type)
    check_groupable(node, value.type)
    if node.find(exp.Query, exp.Values) and not any(item.is_star for item in select.expressions):
        # Each time that a query is translated its relations have other names.
        same = [at for at, item in enumerate(select.expressions, 1) if item.unalias() == node]
        return str(same[0]) if same else value.sql
    return value.sql


def _group_position(compiler: Compiler, select: exp.Select, node: exp.Expr) -> int:
    position = _ordinal(compiler, node)
    if any(item.is_star for item in select.expressions):
        return position
    if position > len(select.expressions):
        raise QueryFailed(
            f"INVALID_COLUMN_REFERENCE: {place(node)}GROUP BY position {position} is not in the SELECT list of "
            f"{len(select.expressions)} columns."
        )
    return position


def _plain_value(compiler: Compiler, node: exp.Expr, scope: Scope) -> Typed:
    facts = Facts(nested=compiler.facts.nested)
    with compiler.within(facts):
        value = compiler.expression(node, scope)
    if facts.aggregates or facts.windows:
        raise QueryFailed(
            f"EXPRESSION_NOT_SCALAR: {place(node)}GROUP BY clause cannot contain aggregations, window functions or "
            "grouping operations."
        )
    return value


def _ordinal(compiler: Compiler, node: exp.Expr) -> int:
    position = compiler.constant(node)
    if type(position) is not int or position < 1:
        raise QueryFailed(f"{place(node)}The number of a column is a whole number from 1; got {node.name}.")
    return position


def _plain_keys(compiler: Compiler, node: exp.Select, scope: Scope, items: Sequence[Item]) -> frozenset[Column]:
    """The plain columns of GROUP BY; none if it has grouping sets, because each of these leaves columns out."""
    group = node.args.get("group")
    if not group or any(isinstance(item, exp.GroupingSets | exp.Rollup | exp.Cube) for item in group.expressions):
        return frozenset()
    columns = []
    for item in group.expressions:
        position = compiler.constant(item) if isinstance(item, exp.Literal) else None
        if type(position) is int:
            columns.append(items[position - 1][2] if position <= len(items) else None)
        else:
            columns.append(_copied(compiler, item, scope))
    return frozenset(column for column in columns if column)


def _filterable(
    node: exp.Select, facts: Facts, columns: Sequence[Column | None], keys: frozenset[Column] | None
) -> frozenset[int]:
    if node.args.get("limit") or node.args.get("offset"):
        return frozenset()
    if keys is None and (facts.aggregates or node.args.get("having")):
        return frozenset()
    return frozenset(
        position
        for position, column in enumerate(columns)
        if column and (keys is None or column in keys) and all(column in window for window in facts.windows)
    )


def _known(compiler: Compiler, scope: Scope, nodes: Sequence[exp.Expr]) -> Condition:
    return condition_reader(compiler, scope).read(nodes)


def _copied(compiler: Compiler, node: exp.Expr, scope: Scope) -> Column | None:
    """The column of this query that `node` names, whatever its type."""
    while isinstance(node, exp.Paren):
        node = node.this
    if not isinstance(node, exp.Column):
        return None
    found = scope.resolve(compiler.parts(node, scope), place(node))
    return found.field.origin if found.field and found.field in scope.fields else None


def order_by(compiler: Compiler, node: exp.Expr, scope: Scope, items: Sequence[Item]) -> str:
    order = node.args.get("order")
    if not order:
        return ""
    compiler.check(order, frozenset(("expressions",)))
    # DuckDB refuses a literal that is no column's number; it puts nothing in order.
    found = [item for item in order.expressions if not _is_constant(item.this)]
    texts = (_order_item(compiler, node, item, scope, items) for item in found)
    return f" ORDER BY {', '.join(texts)}" if found else ""


def _is_constant(node: exp.Expr) -> bool:
    if isinstance(node, exp.Literal):
        return node.is_string or not node.name.isdigit()
    return isinstance(node, exp.Null | exp.Boolean)


def _order_item(
    compiler: Compiler, node: exp.Expr, item: exp.Expr, scope: Scope, items: Sequence[Item], *, in_window: bool = False
) -> str:
    """in_window: where the number of an output column would be a constant."""
    seen = Scope(tuple(Field(name, value, origin=column) for name, value, column in items if name), scope)
    position = _output_position(compiler, item.this, items)
    if node.args.get("distinct") and isinstance(node, exp.Select) and not position:
        value = compiler.expression(item.this, _unambiguous(seen)).sql
        if value not in [each.sql for _, each, _ in items]:
            raise QueryFailed(
                f"EXPRESSION_NOT_IN_DISTINCT: {place(item)}For SELECT DISTINCT, ORDER BY expressions must appear "
                "in the SELECT list."
            )
    if not position:
        return ordered(compiler, item, _unambiguous(seen))
    output = items[position - 1][1]
    check_orderable(item.this, output.type)
    return ordered(compiler, item, _unambiguous(seen), output.sql if in_window else str(position))


def _ties(compiler: Compiler, node: exp.Select, scope: Scope, items: Sequence[Item]) -> str:
    """FETCH FIRST n ROWS WITH TIES: the rows that are not behind the n-th one."""
    limit, order, offset = (node.args.get(clause) for clause in ("limit", "order", "offset"))
    if not isinstance(limit, exp.Fetch) or not limit.args["limit_options"].args.get("with_ties"):
        return ""
    if not order:
        raise QueryFailed(f"MISSING_ORDER_BY: {place(node)}FETCH FIRST WITH TIES needs an ORDER BY.")
    if node.args.get("distinct"):
        raise QueryRefused(f"{place(node)}SELECT DISTINCT takes no WITH TIES here; write it around a sub-query.")
    count = _count(compiler, limit.args["count"], "FETCH") if limit.args.get("count") else 1
    before = _count(compiler, offset.expression, "OFFSET") if offset else 0
    texts = (_order_item(compiler, node, item, scope, items, in_window=True) for item in order.expressions)
    return f" QUALIFY rank() OVER (ORDER BY {', '.join(texts)}) <= {count + before}"


def _unambiguous(scope: Scope) -> Scope:
    """Output columns of the same name that are the same value count once."""
    fields = {(field.name or "").lower() + "\0" + field.value.sql: field for field in scope.fields}
    return Scope(tuple(fields.values()), scope.parent, is_order=True)


def _output_position(compiler: Compiler, node: exp.Expr, items: Sequence[Item]) -> int | None:
    """The number of the output column that an item of ORDER BY is, None if it is another expression."""
    if isinstance(node, exp.Literal) and not node.is_string:
        position = _ordinal(compiler, node)
        if position > len(items):
            raise QueryFailed(
                f"{place(node)}ORDER BY position {position} is not in the SELECT list of {len(items)} columns."
            )
        return position
    if not isinstance(node, exp.Column) or node.table:
        return None
    named = [position for position, (name, _, _) in enumerate(items, 1) if name and name.lower() == node.name.lower()]
    if len(named) > 1:
        raise QueryFailed(
            f"COLUMN_AMBIGUOUS: {place(node)}Column '{node.name}' is ambiguous: two output columns have this name."
        )
    return named[0] if named else None


def limit_and_offset(compiler: Compiler, node: exp.Expr, *, with_ties: bool = False) -> str:
    """with_ties: whether the caller has read a WITH TIES."""
    text = ""
    limit, offset = node.args.get("limit"), node.args.get("offset")
    if isinstance(limit, exp.Fetch):
        options = limit.args["limit_options"]
        compiler.check(limit, frozenset(("direction", "count", "limit_options")))
        compiler.check(options, frozenset(("rows", "with_ties") if with_ties else ("rows",)))
        if not options.args.get("with_ties"):
            text += f" LIMIT {_count(compiler, limit.args['count'], 'FETCH') if limit.args.get('count') else 1}"
    elif limit:
        compiler.check(limit, frozenset(("expression",)))
        everything = isinstance(limit.expression, exp.Column) and limit.expression.name.lower() == "all"
        text += "" if everything else f" LIMIT {_count(compiler, limit.expression, 'LIMIT')}"
    if offset:
        compiler.check(offset, frozenset(("expression",)))
        text += f" OFFSET {_count(compiler, offset.expression, 'OFFSET')}"
    return text


def _count(compiler: Compiler, node: exp.Expr, clause: str) -> int:
    count = compiler.constant(node)
    fewest = int(clause == "FETCH")
    if type(count) is not int or not fewest <= count < 2**63:
        raise QueryFailed(f"{place(node)}{clause} takes a whole number from {fewest}; got {node.name or node.key!r}.")
    return count
