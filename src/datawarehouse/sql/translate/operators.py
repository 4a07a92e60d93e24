"""Comparisons and the other syntax of expressions: names, conditions, CASE, subscripts, and queries as values.

Values are compared in their common type by Trino's rules; values without a common type are an error, as in Athena.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql import types
from datawarehouse.sql.conditions import flat
from datawarehouse.sql.grammar import place
from datawarehouse.sql.metadata import CATALOG
from datawarehouse.sql.translate import nans
from datawarehouse.sql.translate.arithmetic import common_type
from datawarehouse.sql.translate.compiler import Compiler, Query, Rule, mismatch, rule
from datawarehouse.sql.translate.equality import (
    any_equal,
    canonical,
    equal,
    has_map,
    in_query,
    is_listed,
    is_nested_listed,
)
from datawarehouse.sql.translate.scope import Scope, dereferenced, row_field
from datawarehouse.sql.translate.typed import Typed, coerced, failing, quoted_name, quoted_text
from datawarehouse.sql.types import Type

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}

_PREDICATES = (*_COMPARISONS, exp.Between, exp.In, exp.Is, exp.Like)

_EQUALITIES = ("=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")


def column(compiler: Compiler, node: exp.Column, scope: Scope) -> Typed:
    if isinstance(node.this, exp.Star):
        raise QueryRefused(f"{place(node)}A star is valid in a SELECT list or in count(*), not inside an expression.")
    found = scope.resolve(compiler.parts(node, scope), place(node))
    if found.field and found.field.hidden and found.field.origin:
        compiler.scan_of[found.field.origin[0]].hidden = True
    return found.value


def current_catalog(compiler: Compiler, _: exp.CurrentCatalog, __: Scope) -> Typed:
    return _chosen(compiler.session.catalog if compiler.session else CATALOG)


def current_schema(compiler: Compiler, _: exp.CurrentSchema, __: Scope) -> Typed:
    return _chosen(compiler.session.schema if compiler.session else compiler.database)


def _chosen(name: str | None) -> Typed:
    """NULL if the client has chosen none."""
    return Typed(quoted_text(name) if name else "CAST(NULL AS VARCHAR)", types.VARCHAR)


def current_user(compiler: Compiler, _: exp.CurrentUser, __: Scope) -> Typed:
    return Typed(quoted_text(compiler.user), types.VARCHAR)


def variable(_: Compiler, node: exp.Identifier, scope: Scope) -> Typed:
    """A lambda's parameter; for names of columns the parser makes another kind of node."""
    return scope.resolve([node.name], place(node)).value


def dot(compiler: Compiler, node: exp.Dot, scope: Scope) -> Typed:
    if not isinstance(node.expression, exp.Identifier):
        raise QueryRefused(f"{place(node)}A function is not called with a dot; write function(value).")
    return dereferenced(compiler.expression(node.this, scope), node.expression.name, place(node))


def paren(compiler: Compiler, node: exp.Paren, scope: Scope) -> Typed:
    return compiler.expression(node.this, scope)


def row(compiler: Compiler, node: exp.Tuple, scope: Scope) -> Typed:
    fields = [compiler.expression(part, scope) for part in node.expressions]
    return row_of(fields)


def row_of(fields: Sequence[Typed]) -> Typed:
    return Typed(f"row({', '.join(f.sql for f in fields)})", types.row(tuple(f.type for f in fields)))


def array(compiler: Compiler, node: exp.Array, scope: Scope) -> Typed:
    items = [compiler.expression(item, scope) for item in node.expressions]
    element = common_type(node, items, "ARRAY elements")
    return Typed(f"[{', '.join(coerced(item, element) for item in items)}]", types.array(element))


def connector(compiler: Compiler, node: exp.And | exp.Or, scope: Scope) -> Typed:
    parts = [condition(compiler, part, scope) for part in flat(node, type(node))]
    return Typed(f"({(' AND ' if isinstance(node, exp.And) else ' OR ').join(parts)})", types.BOOLEAN)


def condition(compiler: Compiler, node: exp.Expr, scope: Scope) -> str:
    value = compiler.expression(node, scope)
    if value.type not in (types.BOOLEAN, types.UNKNOWN):
        raise mismatch(node, f"a condition must be a boolean; this is {value.type}.")
    return coerced(value, types.BOOLEAN)


def negation(compiler: Compiler, node: exp.Not, scope: Scope) -> Typed:
    return Typed(f"(NOT {condition(compiler, node.this, scope)})", types.BOOLEAN)


def comparison(compiler: Compiler, node: exp.Binary, scope: Scope) -> Typed:
    sign = _COMPARISONS[type(node)]
    if isinstance(node.this, _PREDICATES):
        raise SqlSyntaxError(f"{place(node)}A comparison cannot follow another one; put the first in parentheses.")
    left = compiler.expression(node.this, scope)
    if isinstance(node.expression, exp.Any | exp.All):
        return _quantified(compiler, node, left, sign, scope)
    return compared(node, left, sign, compiler.expression(node.expression, scope))


def compared(node: exp.Expr, left: Typed, sign: str, right: Typed) -> Typed:
    if types.JSON in (left.type, right.type) and sign in _EQUALITIES and types.common(left.type, right.type):
        # Trino compares texts in which the keys of each object are in order.
        sides = [f"trino_json_leaves({coerced(side, types.JSON)})" for side in (left, right)]
        return Typed(f"({sides[0]} {sign} {sides[1]})", types.BOOLEAN)
    type = comparable(node, left.type, right.type, sign)
    if type.args and sign in ("=", "<>"):
        same = equal(coerced(left, type), coerced(right, type), type)
        return Typed(same if sign == "=" else f"(NOT {same})", types.BOOLEAN)
    if has_map(type) and sign not in _EQUALITIES:
        raise mismatch(node, f"Cannot apply operator: {left.type} {sign} {right.type}. Maps have no order.")
    if has_map(type):
        sides = [canonical(Typed(coerced(side, type), type)) for side in (left, right)]
        return Typed(f"({sides[0]} {sign} {sides[1]})", types.BOOLEAN)
    texts = (_for_comparison(left, type), _for_comparison(right, type))
    return Typed(nans.compared(left, sign, right, texts), types.BOOLEAN)


def comparable(node: exp.Expr, left: Type, right: Type, sign: str = "=") -> Type:
    """The type in which two values are compared, or the error that Athena gives."""
    type = types.common(types.in_utc(left), types.in_utc(right))
    if {left.name, right.name} == {"char", "varchar"}:
        type = left if left.name == "char" else right
    if type is None:
        raise mismatch(node, f"Cannot apply operator: {left} {sign} {right}. Cast one side to the type of the other.")
    check_comparable(node, type)
    return type


def check_comparable(node: exp.Expr, type: Type) -> None:
    if type == types.JSON:
        raise QueryRefused(
            f"{place(node)}JSON values are compared with = and <> alone here, and not grouped or sorted, because their "
            "keys keep their order. Use json_extract_scalar(...) or json_format(...)."
        )
    if type in types.DAYTIMES_WITH_OFFSET:
        raise QueryRefused(f"{place(node)}{type} is not compared, grouped or sorted here; cast(... as varchar) is.")
    if type == types.HYPERLOGLOG:
        raise mismatch(node, "a HyperLogLog is not compared, grouped or sorted; compare its cardinality(...).")
    for part in type.args:
        check_comparable(node, part)


def check_orderable(node: exp.Expr, type: Type) -> None:
    check_comparable(node, type)
    if has_map(type):
        raise mismatch(node, f"{type} has no order.")


def check_groupable(node: exp.Expr, type: Type) -> None:
    """Maps with the same entries in another order are one group, and DuckDB would make two."""
    if has_map(type):
        raise QueryRefused(
            f"{place(node)}A map is no key of GROUP BY, PARTITION BY, USING, UNION, INTERSECT or EXCEPT here; write "
            "json_format(cast(... as json)), which has its keys in order."
        )


def between(compiler: Compiler, node: exp.Between, scope: Scope) -> Typed:
    value, low, high = (compiler.expression(node.args[name], scope) for name in ("this", "low", "high"))
    type = comparable(node, comparable(node, value.type, low.type, "BETWEEN"), high.type, "BETWEEN")
    if has_map(type):
        raise mismatch(node, f"Cannot check if {value.type} is BETWEEN {low.type} and {high.type}. Maps have no order.")
    texts = [_for_comparison(each, type) for each in (value, low, high)]
    return Typed(nans.between(value, high, f"{texts[0]} BETWEEN {texts[1]} AND {texts[2]}"), types.BOOLEAN)


def is_null(compiler: Compiler, node: exp.Is, scope: Scope) -> Typed:
    if not isinstance(node.expression, exp.Null):
        raise QueryRefused(f"{place(node)}IS takes NULL or DISTINCT FROM; compare with = for others.")
    return Typed(f"({compiler.expression(node.this, scope).sql} IS NULL)", types.BOOLEAN)


def membership(compiler: Compiler, node: exp.In, scope: Scope) -> Typed:
    value = compiler.expression(node.this, scope)
    listed = node.expressions
    source = listed[0] if len(listed) == 1 and isinstance(listed[0], exp.Values) else node.args.get("query")
    if source:
        return _in_query(compiler, node, value, compiler.subquery(source, scope))
    items = [compiler.expression(item, scope) for item in listed]
    if not items:
        raise QueryRefused(
            f"{place(node)}IN takes a list or a query in parentheses; for an array write contains(array, value)."
        )
    type = reduce(lambda so_far, item: comparable(node, so_far, item.type, "IN"), items, value.type)
    texts = [_for_comparison(item, type) for item in items]
    return Typed(any_equal(_for_comparison(value, type), texts, type), types.BOOLEAN)


def _in_query(compiler: Compiler, node: exp.Expr, value: Typed, query: Query) -> Typed:
    """Whether a value is in the only column of a query, or a row in its columns."""
    if value.type.name != "row":
        if len(query.outputs) != 1:
            raise mismatch(node, f"the query of IN has {len(query.outputs)} columns; it must have one.")
        type = comparable(node, value.type, query.outputs[0].type, "IN")
        text, found = coerced(value, type), compiler.of_types(query, [type])
        if type.args and not _is_filter(node):
            listed = is_nested_listed(Typed(text, type), found, compiler.unique("listed"))
            return Typed(listed, types.BOOLEAN)
        if type.args:
            return Typed(in_query([text], [type], found, compiler.unique("listed")), types.BOOLEAN)
        return Typed(f"({text} IN ({found}))", types.BOOLEAN)
    fields = [row_field(value, at) for at in range(len(value.type.args))]
    if len(query.outputs) != len(fields):
        raise mismatch(node, f"the query of IN has {len(query.outputs)} columns, and the row has {len(fields)} fields.")
    pairs = zip(fields, query.outputs, strict=True)
    kinds = [comparable(node, field.type, output.type, "IN") for field, output in pairs]
    texts = [coerced(field, kind) for field, kind in zip(fields, kinds, strict=True)]
    if len(fields) > 1 and not _is_filter(node) and not any(map(has_map, kinds)):
        listed = is_listed(texts, compiler.of_types(query, kinds), compiler.unique("listed"))
        return Typed(listed, types.BOOLEAN)
    return Typed(in_query(texts, kinds, compiler.of_types(query, kinds), compiler.unique("listed")), types.BOOLEAN)


def _is_filter(node: exp.Expr) -> bool:
    """Whether a condition is one of those that a row must fulfil in a WHERE."""
    above = node.parent
    while isinstance(above, exp.Paren | exp.And):
        above = above.parent
    return isinstance(above, exp.Where)


def like(compiler: Compiler, node: exp.Like, scope: Scope) -> Typed:
    return _like(compiler, node, "", scope)


def like_with_escape(compiler: Compiler, node: exp.Escape, scope: Scope) -> Typed:
    if not isinstance(node.this, exp.Like):
        raise QueryRefused(f"{place(node)}ESCAPE belongs to LIKE.")
    compiler.check(node.this, frozenset(("this", "expression", "negate")))
    escape = compiler.expression(node.expression, scope)
    known = compiler.constant(node.expression)
    if isinstance(known, str) and len(known) != 1:
        raise QueryFailed(f"{place(node)}ESCAPE takes one character; got {known!r}.")
    if escape.type not in (types.VARCHAR, types.UNKNOWN):
        raise mismatch(node, f"ESCAPE takes varchar; this is {escape.type}.")
    text = coerced(escape, types.VARCHAR)
    if not isinstance(known, str):
        wrong = failing("Escape string must be a single character", types.VARCHAR)
        text = f"if(length({text}) <> 1, {wrong}, {text})"
    return _like(compiler, node.this, text, scope)


def case(compiler: Compiler, node: exp.Case, scope: Scope) -> Typed:
    results = [compiler.expression(branch.args["true"], scope) for branch in node.args["ifs"]]
    default = compiler.expression(node.args["default"], scope) if node.args.get("default") else None
    type = common_type(node, [*results, default] if default else results, "CASE branches")
    conditions = [_case_condition(compiler, node, branch.this, scope) for branch in node.args["ifs"]]
    branches = (f"WHEN {when} THEN {coerced(then, type)}" for when, then in zip(conditions, results, strict=True))
    otherwise = f" ELSE {coerced(default, type)}" if default else ""
    return Typed(f"(CASE {' '.join(branches)}{otherwise} END)", type)


def _case_condition(compiler: Compiler, node: exp.Case, when: exp.Expr, scope: Scope) -> str:
    if not node.this:
        return condition(compiler, when, scope)
    return compared(when, compiler.expression(node.this, scope), "=", compiler.expression(when, scope)).sql


def subscript(compiler: Compiler, node: exp.Bracket, scope: Scope) -> Typed:
    """An element of an array (from 1), of a map by its key, or of a row by a literal position. A missing element is an
    error."""
    value = compiler.expression(node.this, scope)
    if len(node.expressions) != 1:
        raise QueryRefused(
            f"{place(node)}A subscript is one value; for a part of an array write slice(array, start, length)."
        )
    index = compiler.expression(node.expressions[0], scope)
    if value.type.name == "array" and types.coerces(index.type, types.BIGINT):
        return Typed(f"{value.sql}[trino_array_index({value.sql}, {coerced(index, types.BIGINT)})]", value.type.args[0])
    if value.type.name == "map" and types.coerces(index.type, value.type.args[0]):
        key = coerced(index, value.type.args[0])
        missing = failing("Key not present in map", value.type.args[0])
        present = f"{value.sql} IS NULL OR {key} IS NULL OR map_contains({value.sql}, {key})"
        return Typed(f"{value.sql}[CASE WHEN {present} THEN {key} ELSE {missing} END]", value.type.args[1])
    if value.type.name == "row":
        position = compiler.constant(node.expressions[0])
        if type(position) is int and 0 < position <= len(value.type.args):
            return row_field(value, position - 1)
        raise QueryFailed(
            f"{place(node)}The row has {len(value.type.args)} fields; its subscript is a literal from 1 to that."
        )
    raise mismatch(node, f"Cannot use {index.type} for a subscript of {value.type}.")


def scalar_subquery(compiler: Compiler, node: exp.Subquery, scope: Scope) -> Typed:
    query = compiler.subquery(node, scope)
    if len(query.outputs) == 1:
        return Typed(f"({query.sql})", query.outputs[0].type)
    fields = ", ".join(quoted_name(output.sql_name) for output in query.outputs)
    kind = types.row(tuple(output.type for output in query.outputs), tuple(output.name for output in query.outputs))
    return Typed(f"(SELECT CAST(row({fields}) AS {types.duckdb(kind)}) FROM ({query.sql}))", kind)


def exists(compiler: Compiler, node: exp.Exists, scope: Scope) -> Typed:
    return Typed(f"EXISTS ({compiler.subquery(node.this, scope).sql})", types.BOOLEAN)


def _quantified(compiler: Compiler, node: exp.Binary, left: Typed, sign: str, scope: Scope) -> Typed:
    """`value = ANY (query)` and the like."""
    query = compiler.subquery(node.expression.this, scope)
    kind = "ANY" if isinstance(node.expression, exp.Any) else "ALL"
    if (sign, kind) in (("=", "ANY"), ("<>", "ALL")):
        found = _in_query(compiler, node, left, query)
        return found if sign == "=" else Typed(f"(NOT {found.sql})", types.BOOLEAN)
    if left.type.name == "row" and len(left.type.args) == len(query.outputs) == 1:
        left = row_field(left, 0)
    if sign not in ("=", "<>", "<", "<=", ">", ">=") or len(query.outputs) != 1:
        raise mismatch(node, "ANY and ALL follow a comparison and take a query of one column.")
    type = comparable(node, left.type, query.outputs[0].type, sign)
    if type.args:
        raise QueryRefused(f"{place(node)}{sign} {kind} of {type} is not supported here; compare its parts.")
    text = compiler.of_types(query, [type])
    holds = f"({coerced(left, type)} {sign} {kind} ({text}))"
    if (sign, kind) in (("=", "ALL"), ("<>", "ANY")):
        # Trino asks first whether the query has two different values, so that NULL on the left is no excuse.
        rows = compiler.unique("compared")
        one = f"(SELECT coalesce(min(c0) = max(c0), TRUE) FROM ({text}) AS {rows}(c0))"
        holds = f"({holds} AND {one})" if kind == "ALL" else f"({holds} OR NOT {one})"
    return Typed(holds, types.BOOLEAN)


def _like(compiler: Compiler, node: exp.Like, escape: str, scope: Scope) -> Typed:
    value, pattern = compiler.expression(node.this, scope), compiler.expression(node.expression, scope)
    for part in (value, pattern):
        if part.type not in (types.VARCHAR, types.UNKNOWN) and part.type.name != "char":
            raise mismatch(node, f"LIKE takes varchar; this is {part.type}. Use cast(... as varchar).")
    negated = "NOT " if node.args.get("negate") else ""
    text, like = (coerced(part, types.VARCHAR) for part in (value, pattern))
    if escape:
        return Typed(f"({negated}like_escape({text}, {like}, {escape}))", types.BOOLEAN)
    return Typed(f"({text} {negated}LIKE {like})", types.BOOLEAN)


def _for_comparison(value: Typed, type: Type) -> str:
    """Numbers and times are not cast: DuckDB compares them as Trino does, and without a cast it reads less of a
    file."""
    if type.name == "char" and value.type != types.UNKNOWN:
        return f"rtrim({value.sql}, ' ')"
    plain = types.is_numeric(type) or type in types.TIMES
    return value.sql if plain and value.type != types.UNKNOWN else coerced(value, type)


RULES: dict[type[exp.Expr], Rule] = {
    exp.Column: rule(column, "this table db catalog"),
    exp.CurrentCatalog: rule(current_catalog, ""),
    exp.CurrentSchema: rule(current_schema, ""),
    exp.CurrentUser: rule(current_user, ""),
    exp.Identifier: rule(variable, "this quoted"),
    exp.Dot: rule(dot, "this expression"),
    exp.Paren: rule(paren),
    exp.Tuple: rule(row, "expressions"),
    exp.Array: rule(array, "expressions"),
    exp.And: rule(connector, "this expression"),
    exp.Or: rule(connector, "this expression"),
    exp.Not: rule(negation),
    exp.Between: rule(between, "this low high"),
    exp.Is: rule(is_null, "this expression"),
    exp.In: rule(membership, "this expressions query"),
    exp.Like: rule(like, "this expression negate"),
    exp.Escape: rule(like_with_escape, "this expression"),
    exp.Case: rule(case, "this ifs default"),
    exp.Bracket: rule(subscript, "this expressions"),
    exp.Subquery: rule(scalar_subquery),
    exp.Exists: rule(exists),
    **{kind: rule(comparison, "this expression") for kind in _COMPARISONS},
}
