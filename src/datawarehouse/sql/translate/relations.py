"""FROM: tables, queries, CTEs, UNNEST, VALUES, and the joins between them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql import metadata, types
from datawarehouse.sql.grammar import COMMA, place
from datawarehouse.sql.schema import HIDDEN_COLUMNS, TableSchema
from datawarehouse.sql.shape import Condition, Join, Place, Relation
from datawarehouse.sql.statement import INVALID_VIEW, view_query
from datawarehouse.sql.translate.compiler import Compiler, Facts, Output, ScanUse, mismatch
from datawarehouse.sql.translate.constants import condition_reader
from datawarehouse.sql.translate.operators import check_groupable, comparable, condition
from datawarehouse.sql.translate.scope import Field, Scope, row_field
from datawarehouse.sql.translate.typed import Typed, coerced, quoted_name

SCAN_MARK = "\0"
"""The mark around the id of a scan in translated text; no statement may contain it (see `statement`)."""

ROWS_OF = "rows of "
"""Before the id of a scan between the marks: how many rows it has, in the place of `count(*)`."""

_TABLE = frozenset("this db catalog alias joins sample".split())
_JOINS = {"inner": ("", "INNER", "CROSS", COMMA), **dict.fromkeys(("left", "right", "full"), ("", "OUTER"))}
_SUBQUERY = frozenset("this alias joins sample".split())


class Source:
    """A part of a FROM: its text, its columns and its shape."""

    def __init__(self, sql: str, fields: Sequence[Field], shape: Relation | Join) -> None:
        self.sql = sql
        self.fields = tuple(fields)
        self.shape = shape


def from_clause(
    compiler: Compiler, select: exp.Select, outer: Scope | None
) -> tuple[str, Scope, Relation | Join | None]:
    """The text of FROM up to WHERE, the names that it defines, and its shape."""
    clause = select.args.get("from_")
    if not clause:
        return "", Scope(parent=outer), None
    compiler.check(clause, frozenset(("this",)))
    source = _with_joins(compiler, clause.this, select.args.get("joins") or [], outer)
    return f" FROM {source.sql}", Scope(source.fields, outer), source.shape


def _with_joins(compiler: Compiler, first: exp.Expr, joins: Sequence[exp.Join], outer: Scope | None) -> Source:
    """The items from left to right. Joins after a comma are grouped first: they do not see what is before it."""
    source = _item(compiler, first, Scope(parent=outer), outer)
    at = 0
    while at < len(joins):
        end = at + 1
        while end < len(joins) and joins[end].kind != COMMA:
            end += 1
        if joins[at].kind == COMMA and end > at + 1:
            group = _with_joins(compiler, joins[at].this, joins[at + 1 : end], outer)
            source = _crossed(source, Source(f"({group.sql})", group.fields, group.shape))
        else:
            for join in joins[at:end]:
                source = _joined(compiler, source, join, outer)
        at = end
    return source


def _item(compiler: Compiler, node: exp.Expr, seen: Scope, outer: Scope | None) -> Source:
    """One item of a FROM. UNNEST and LATERAL can use the items before them (`seen`), other items only the outer
    query."""
    if isinstance(node, exp.Table):
        return _nested_joins(compiler, node, _table(compiler, node), outer)
    if isinstance(node, exp.Subquery):
        compiler.check(node, _SUBQUERY)
        if isinstance(node.this, exp.Table | exp.Subquery) and not node.alias:
            inner = _item(compiler, node.this, seen, outer)
            return _nested_joins(compiler, node, Source(f"({inner.sql})", inner.fields, inner.shape), outer)
        return _nested_joins(compiler, node, _subquery(compiler, node, node.this, outer, ""), outer)
    if isinstance(node, exp.Values):
        return _subquery(compiler, node, node, outer, "")
    if isinstance(node, exp.Lateral):
        compiler.check(node, frozenset(("this", "alias")))
        if isinstance(node.this, exp.Subquery):
            return _subquery(compiler, node, node.this.this, seen, "LATERAL ")
    if isinstance(node, exp.Unnest):
        return _unnest(compiler, node, seen)
    raise QueryRefused(
        f"{place(node)}{node.key.upper()} cannot stand in a FROM here; valid are tables, queries in parentheses, "
        "UNNEST, VALUES and LATERAL (query)."
    )


def _nested_joins(compiler: Compiler, node: exp.Expr, source: Source, outer: Scope | None) -> Source:
    """Joins that the parser stores below an item: those inside parentheses, and `a JOIN b JOIN c ON .. ON ..`."""
    joins = node.args.get("joins") or []
    for join in joins:
        source = _joined(compiler, source, join, outer)
    return Source(f"({source.sql})", source.fields, source.shape) if joins else source


# Tables and queries


def _table(compiler: Compiler, node: exp.Table) -> Source:
    compiler.check(node, _TABLE)
    if not isinstance(node.this, exp.Identifier):
        name = node.this.name or node.this.key
        raise QueryRefused(
            f"{place(node)}{name.upper()}(...) in a FROM is not supported; the only functions there are UNNEST and "
            "VALUES."
        )
    named = compiler.visible.get(node.name.lower()) if not node.db else None
    alias, columns = _alias(node)
    if named:
        relation = Relation(cte=named.cte)
        named.cte.references += 1
        sql_alias = compiler.unique(alias or node.name)
        fields = _fields(node, named.outputs, columns, alias or node.name, sql_alias, relation)
        return Source(_sampled(node, quoted_name(named.sql_name), sql_alias), fields, relation)
    table = _known_table(compiler, node)
    if table.statement is not None:
        return _view(compiler, node, table, alias, columns)
    return _scan(compiler, node, table, alias, columns)


def _view(compiler: Compiler, node: exp.Table, view: TableSchema, alias: str, columns: Sequence[str]) -> Source:
    """The rows of a view: its text as a query in the place of its name."""
    with compiler.inside(view, _place(node, view, alias)):
        try:
            found = compiler.query(view_query(view), None)
        except (SqlSyntaxError, QueryFailed, QueryRefused) as error:
            if str(error).startswith(INVALID_VIEW):
                raise
            raise QueryFailed(f"{INVALID_VIEW}: {place(node)}The view {view.name!r} cannot be read: {error}") from None
    relation = Relation(query=found.shape)
    sql_alias = compiler.unique(alias or view.short)
    fields = _fields(node, found.outputs, columns, alias or node.name, sql_alias, relation)
    return Source(_sampled(node, f"({found.sql})", sql_alias), fields, relation)


def _place(node: exp.Table, table: TableSchema, alias: str) -> Place:
    located = [part.meta for part in node.parts]
    return Place(min(meta["start"] for meta in located), max(meta["end"] for meta in located), table.short, alias)


def _scan(compiler: Compiler, node: exp.Table, table: TableSchema, alias: str, columns: Sequence[str]) -> Source:
    keys = [key.name for key in table.partition_keys]
    found = table.fields()
    at = compiler.view_place or _place(node, table, alias)
    use = ScanUse(f"scan{len(compiler.scans) + 1}", table, at)
    relation = Relation(scan=use.id, keys=(*(name if name in keys else None for name, _ in found), None))
    if table.event_time:
        relation.event_time = [name for name, _ in found].index(table.event_time), table.event_time
    compiler.scans.append(use)
    compiler.scan_of[relation] = use
    sql_alias = compiler.unique(alias or table.short)
    outputs = [Output(name, name, type) for name, type in found]
    known_as = alias or node.name
    fields = _fields(node, outputs, columns, known_as, sql_alias, relation)
    for name, type in HIDDEN_COLUMNS.items():
        value = Typed(f"{quoted_name(sql_alias)}.{quoted_name(name)}", type)
        fields.append(Field(name, value, known_as, (relation, len(found)), hidden=True))
    return Source(_sampled(node, f"{SCAN_MARK}{use.id}{SCAN_MARK}", sql_alias), fields, relation)


def _known_table(compiler: Compiler, node: exp.Table) -> TableSchema:
    owners = [part.name.lower() for part in (node.args.get("catalog"), node.args.get("db")) if part]
    written, name = ".".join([*owners, node.name]), node.name.lower()
    session, own, home = compiler.session, compiler.own, compiler.home
    compiler.schemas_named.update(owners[-1:])
    if found := metadata.find(compiler.tables, compiler.database, owners, name, session, own, home):
        return found
    known = [each for each in compiler.tables if "." not in each]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {compiler.database}.{near[0]}? " if near else ""
    there_are = ", ".join(sorted(known)) or "none"
    raise QueryFailed(
        f"TABLE_NOT_FOUND: {place(node)}Table '{written}' does not exist. {hint}"
        f"The tables of database {compiler.database!r} are {there_are}."
    )


def _subquery(compiler: Compiler, node: exp.Expr, query: exp.Expr, outer: Scope | None, word: str) -> Source:
    alias, columns = _alias(node)
    found = compiler.query(query, outer)
    relation = Relation(query=found.shape)
    sql_alias = compiler.unique(alias or "query")
    fields = _fields(node, found.outputs, columns, alias, sql_alias, relation)
    return Source(_sampled(node, f"{word}({found.sql})", sql_alias), fields, relation)


def _fields(
    node: exp.Expr,
    outputs: Sequence[Output],
    columns: Sequence[str],
    alias: str,
    sql_alias: str,
    relation: Relation,
) -> list[Field]:
    if columns and len(columns) != len(outputs):
        raise mismatch(node, f"the alias {alias} names {len(columns)} columns; there are {len(outputs)}.")
    names: Sequence[str | None] = columns or [output.name for output in outputs]
    return [
        Field(
            name,
            Typed(f"{quoted_name(sql_alias)}.{quoted_name(output.sql_name)}", output.type),
            alias or None,
            (relation, at),
        )
        for at, (name, output) in enumerate(zip(names, outputs, strict=True))
    ]


def _alias(node: exp.Expr) -> tuple[str, list[str]]:
    alias = node.args.get("alias")
    if not alias:
        return "", []
    return alias.name, [column.name for column in alias.args.get("columns") or []]


def _sampled(node: exp.Expr, sql: str, alias: str) -> str:
    sample = node.args.get("sample")
    if not sample:
        return f"{sql} AS {quoted_name(alias)}"
    method, percent = sample.args.get("method"), sample.args.get("percent")
    read = {name for name, value in sample.args.items() if value} == {"method", "percent"}
    if not read or method.name.upper() not in ("BERNOULLI", "SYSTEM") or not percent.is_number:
        raise QueryRefused(
            f"{place(node)}Sampling is written TABLESAMPLE BERNOULLI (percent) or TABLESAMPLE SYSTEM (percent)."
        )
    share, name = float(percent.name), quoted_name(alias)
    return f"(SELECT * FROM {sql} AS {name} TABLESAMPLE {method.name.upper()} ({share:f} PERCENT)) AS {name}"


# UNNEST


def _unnest(compiler: Compiler, node: exp.Unnest, seen: Scope) -> Source:
    """Arrays and maps side by side, the shorter ones filled with NULL, as the rows of a lateral query.

    1. An array becomes one column of its elements; a map becomes two columns, of its keys and of its values.
    2. The elements of an array of rows are spread into the rows' fields.
    3. WITH ORDINALITY adds the row numbers from 1.
    """
    compiler.check(node, frozenset(("expressions", "alias", "offset")))
    arguments = [compiler.expression(argument, seen) for argument in node.expressions]
    alias, columns = _alias(node)
    ordinality = node.args.get("offset")
    if isinstance(ordinality, exp.Identifier):
        columns.append(ordinality.name)
    lists = [each for argument in arguments for each in _lists(node, argument)]
    sql_alias = compiler.unique(alias or "elements")
    inner = quoted_name(compiler.unique(f"{sql_alias}_rows"))
    unnested = [f'unnest({each.sql}) AS "u{at}"' for at, each in enumerate(lists)]
    spread = [part for at, each in enumerate(lists) for part in _spread(Typed(f'{inner}."u{at}"', each.type.args[0]))]
    if ordinality:
        longest = ", ".join(f"coalesce(len({each.sql}), 0)" for each in lists)
        unnested.append(f'unnest(generate_series(1, greatest({longest}))) AS "n"')
        spread.append((None, Typed(f'{inner}."n"', types.BIGINT)))
    outputs = [Output(name, f"c{at}", value.type) for at, (name, value) in enumerate(spread)]
    selected = ", ".join(f'{value.sql} AS "c{at}"' for at, (_, value) in enumerate(spread))
    sql = f"LATERAL (SELECT {selected} FROM (SELECT {', '.join(unnested)}) AS {inner}) AS {quoted_name(sql_alias)}"
    relation = Relation()
    return Source(sql, _fields(node, outputs, columns, alias, sql_alias, relation), relation)


def _spread(element: Typed) -> list[tuple[str | None, Typed]]:
    if element.type.name != "row":
        return [(None, element)]
    return [(name, row_field(element, position)) for position, name in enumerate(element.type.names)]


def _lists(node: exp.Expr, value: Typed) -> list[Typed]:
    if value.type.name == "array":
        return [value]
    if value.type.name == "map":
        key, element = value.type.args
        return [
            Typed(f"map_keys({value.sql})", types.array(key)),
            Typed(f"map_values({value.sql})", types.array(element)),
        ]
    raise mismatch(node, f"UNNEST takes arrays and maps; this is {value.type}.")


# Joins


def _joined(compiler: Compiler, left: Source, node: exp.Join, outer: Scope | None) -> Source:
    compiler.check(node, frozenset(("this", "side", "kind", "on", "using")))
    kind, side = node.kind, node.side.lower() or "inner"
    if kind not in _JOINS.get(side, ()):
        raise QueryRefused(
            f"{place(node)}{node.side.upper()} {kind} JOIN is not supported; valid are INNER, LEFT, RIGHT, FULL and "
            "CROSS JOIN."
        )
    right = _item(compiler, node.this, Scope(left.fields, outer), outer)
    scope = Scope((*left.fields, *right.fields), outer)
    on, using = node.args.get("on"), node.args.get("using")
    is_lateral = isinstance(node.this, exp.Lateral) or (
        isinstance(node.this, exp.Unnest) and node.this.find(exp.Column)
    )
    if side in ("right", "full") and is_lateral:
        raise QueryRefused(
            f"{place(node)}{side.upper()} JOIN {node.this.key.upper()} is not supported; valid are CROSS, INNER and "
            "LEFT."
        )
    if kind in ("CROSS", COMMA):
        if on or using:
            raise QueryRefused(f"{place(node)}CROSS JOIN takes no condition; write JOIN ... ON.")
        return _crossed(left, right)
    if using:
        return _using(node, left, right, side, [column.name for column in using])
    if not on:
        raise QueryRefused(f"{place(node)}A join needs ON or USING; without a condition write CROSS JOIN.")
    known = condition_reader(compiler, scope).read([on])
    sql = f"{left.sql} {side.upper()} JOIN {right.sql} ON {_join_condition(compiler, on, scope)}"
    if side != "inner" and scope.is_used_inside:
        raise QueryRefused(
            f"{place(node)}The ON of an outer join cannot have a query that names its columns, as on Athena; join with "
            "that query first."
        )
    if isinstance(node.this, exp.Unnest) and not (isinstance(on, exp.Boolean) and on.this):
        raise QueryRefused(f"{place(node)}A join with UNNEST takes ON TRUE alone, as on Athena.")
    return Source(sql, scope.fields, Join(left.shape, right.shape, side, known))


def _join_condition(compiler: Compiler, node: exp.Expr, scope: Scope) -> str:
    facts = Facts(nested=compiler.facts.nested)
    with compiler.within(facts):
        text = condition(compiler, node, scope)
    if facts.aggregates or facts.windows:
        raise QueryFailed(
            f"EXPRESSION_NOT_SCALAR: {place(node)}JOIN clause cannot contain aggregations, window functions or "
            "grouping operations."
        )
    return text


def _crossed(left: Source, right: Source) -> Source:
    shape = Join(left.shape, right.shape, "inner", Condition())
    return Source(f"{left.sql} CROSS JOIN {right.sql}", (*left.fields, *right.fields), shape)


def _using(node: exp.Join, left: Source, right: Source, side: str, names: Sequence[str]) -> Source:
    """USING: first the shared columns, once, then the others of both sides."""
    shared: list[Field] = []
    conditions, equalities = [], []
    for name in names:
        a, b = (Scope(part.fields).resolve([name], place(node)).field for part in (left, right))
        assert a and b
        type = comparable(node, a.value.type, b.value.type)
        check_groupable(node, type)
        x, y = coerced(a.value, type), coerced(b.value, type)
        conditions.append(f"{x} = {y}")
        if a.origin and b.origin and a.value.type == b.value.type:
            equalities.append((a.origin, b.origin))
        kept = b if side == "right" else a
        if side == "full" and a.value.type.zone != b.value.type.zone:
            raise QueryRefused(f"{place(node)}USING of times in several zones; write AT TIME ZONE 'UTC' after each.")
        if kept.value.type.zone:
            type = types.instant(types.digits_of(type), kept.value.type.zone)
        value = Typed(f"coalesce({x}, {y})" if side == "full" else coerced(kept.value, type), type)
        shared.append(Field(name, value, None, None if side == "full" else kept.origin))
    lowered = {name.lower() for name in names}
    others = [
        replace(found, merged=found.merged or (found.name or "").lower() in lowered)
        for found in (*left.fields, *right.fields)
    ]
    sql = f"{left.sql} {side.upper()} JOIN {right.sql} ON {' AND '.join(conditions)}"
    shape = Join(left.shape, right.shape, side, Condition(equalities=tuple(equalities)))
    return Source(sql, (*shared, *others), shape)
