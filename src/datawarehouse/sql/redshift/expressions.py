"""Names, literals, operators, conditions and CASE."""

from __future__ import annotations

import re

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.conditions import flat
from datawarehouse.sql.redshift import values
from datawarehouse.sql.redshift.arithmetic import RULES as ARITHMETIC
from datawarehouse.sql.redshift.casts import cast
from datawarehouse.sql.redshift.patterns import ilike, like, matches
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.scope import quoted, resolved
from datawarehouse.sql.redshift.translator import Rule, Translator, knowing, shown
from datawarehouse.sql.redshift.values import ATOM, NOT, PREDICATE, Value, aligned, number_literal, text_literal
from datawarehouse.sql.types import Type

_SIGNS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_LOOKS_LIKE_A_TIME = re.compile(r"\d{4}-\d{2}-\d{2}.*")


def column(t: Translator, node: exp.Column) -> Value:
    parts = [part.name.lower() for part in node.parts]
    if isinstance(node.this, exp.Star):
        raise NeedsPerson(f"{shown(node)} is translated in a SELECT list and in count(*) alone")
    if parts == ["sysdate"]:
        raise NeedsPerson("sysdate is read as a column; write getdate()")
    found = resolved(t.scope, parts)
    if found.is_assumed:
        t.assume(f"no table has a column {parts[0]}: it is then the {parts[0]} of the SELECT list")
    value = found.value
    if found.is_given:
        if re.search(r"\brandom\(\)", value.text):
            raise NeedsPerson(f"{parts[0]} is another random number in each place that names it")
        return value
    for name in found.path:
        value = field_of(value, name)
    return value


def field_of(value: Value, name: str) -> Value:
    """A field of a declared struct."""
    if value.type is None or value.type.name != "row" or name not in value.type.names:
        what = f"{value.text} is a {value.type}" if value.type else f"the type of {value.text} is not known"
        raise NeedsPerson(
            f"{value.text}.{name} goes into a SUPER: declare what is in it, as a struct or an array ({what})"
        )
    return Value(f"{value.text}.{quoted(name)}", value.type.args[value.type.names.index(name)])


def dot(t: Translator, node: exp.Dot) -> Value:
    if not isinstance(node.expression, exp.Identifier):
        raise NeedsPerson(f"{shown(node)} calls a function of a schema: what it does is not known")
    return field_of(t.expression(node.this), node.expression.name.lower())


def bracket(t: Translator, node: exp.Bracket) -> Value:
    """An element of a SUPER, counted from 0, of a declared array, counted from 1; NULL if there is none."""
    value = t.expression(node.this)
    index = node.expressions[0] if len(node.expressions) == 1 else None
    if value.type is None or value.type.name != "array" or not isinstance(index, exp.Literal) or index.is_string:
        raise NeedsPerson(
            f"{shown(node)} is an element of a SUPER: declare an array; its elements are counted from 1 in Athena"
        )
    return Value(f"element_at({value.text}, {int(index.this) + 1})", value.type.args[0])


def literal(_: Translator, node: exp.Literal) -> Value:
    return text_literal(node.this) if node.is_string else number_literal(node.this)


def null(_: Translator, __: exp.Null) -> Value:
    return Value("NULL", None, is_null=True)


def boolean(_: Translator, node: exp.Boolean) -> Value:
    return Value("true" if node.this else "false", types.BOOLEAN)


def paren(t: Translator, node: exp.Paren) -> Value:
    value = t.expression(node.this)
    return Value(f"({value.text})", value.type, ATOM, value.literal, value.is_null)


def connector(t: Translator, node: exp.And | exp.Or) -> Value:
    level = values.AND if isinstance(node, exp.And) else values.OR
    parts = [t.expression(part).inside(level + 1) for part in flat(node, type(node))]
    return Value((" AND " if level else " OR ").join(parts), types.BOOLEAN, level)


def negation(t: Translator, node: exp.Not) -> Value:
    inner = node.this
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        return Value(f"{t.expression(inner.this).inside(values.CONCAT)} IS NOT NULL", types.BOOLEAN, PREDICATE)
    return Value(f"NOT {t.expression(inner).inside(NOT)}", types.BOOLEAN, NOT)


def comparison(t: Translator, node: exp.Binary) -> Value:
    if isinstance(node.expression, exp.Any | exp.All):
        raise NeedsPerson(f"{shown(node)}: ANY and ALL are not translated; write IN, or max() or min()")
    return compared(t, t.expression(node.this), _SIGNS[type(node)], t.expression(node.expression))


def compared(t: Translator, left: Value, sign: str, right: Value) -> Value:
    (left, right), _ = same(t, [left, right], sign)
    return Value(f"{left.inside(values.CONCAT)} {sign} {right.inside(values.CONCAT)}", types.BOOLEAN, PREDICATE)


def same(t: Translator, listed: list[Value], what: str) -> tuple[list[Value], Type | None]:
    """Values that are compared with each other."""
    fitting, type = aligned(listed, what)
    contents = [value.literal for value in fitting if value.literal is not None]
    if any(content.endswith(" ") for content in contents):
        raise NeedsPerson("a text with blanks at its end: Redshift leaves them out of a comparison, Athena counts them")
    unknown = next((value for value in fitting if value.type is None and not value.is_null), None)
    if unknown and any(_LOOKS_LIKE_A_TIME.fullmatch(content) for content in contents):
        t.assume(f"{unknown.text} is a text: a date is compared with DATE '...', a timestamp with TIMESTAMP '...'")
    t.compares([type] if type else [value.type for value in fitting if not value.is_null])
    return fitting, type


def between(t: Translator, node: exp.Between) -> Value:
    listed, _ = same(t, [t.expression(node.args[name]) for name in ("this", "low", "high")], "BETWEEN")
    value, low, high = (each.inside(values.CONCAT) for each in listed)
    return Value(f"{value} BETWEEN {low} AND {high}", types.BOOLEAN, PREDICATE)


def is_(t: Translator, node: exp.Is) -> Value:
    value = t.expression(node.this)
    if isinstance(node.expression, exp.Boolean):
        truth = "true" if node.expression.this else "false"
        return Value(f"coalesce({value.text}, {'false' if node.expression.this else 'true'}) = {truth}",
                     types.BOOLEAN, PREDICATE)  # fmt: skip
    if not isinstance(node.expression, exp.Null):
        raise NeedsPerson(f"{shown(node)} has no form that is known to be the same in Athena")
    return Value(f"{value.inside(values.CONCAT)} IS NULL", types.BOOLEAN, PREDICATE)


def membership(t: Translator, node: exp.In) -> Value:
    value = t.expression(node.this)
    query = node.args.get("query")
    if query:
        listed_query, type = _of_one_column(t, query)
        same(t, [value, Value("the query", type)], "IN")
        return Value(f"{value.inside(values.CONCAT)} IN ({listed_query})", types.BOOLEAN, PREDICATE)
    listed, _ = same(t, [value, *(t.expression(item) for item in node.expressions)], "IN")
    items = ", ".join(item.text for item in listed[1:])
    return Value(f"{listed[0].inside(values.CONCAT)} IN ({items})", types.BOOLEAN, PREDICATE)


def case(t: Translator, node: exp.Case) -> Value:
    subject = t.expression(node.this) if node.this else None
    whens = [t.expression(branch.this) for branch in node.args["ifs"]]
    if subject:
        [subject, *whens], _ = same(t, [subject, *whens], "CASE")
    default = node.args.get("default")
    results = [t.expression(branch.args["true"]) for branch in node.args["ifs"]]
    results += [t.expression(default)] if default else []
    results, type = aligned(results, "CASE")
    branches = " ".join(f"WHEN {when.text} THEN {then.text}" for when, then in zip(whens, results, strict=False))
    of = f" {subject.text}" if subject else ""
    return Value(f"CASE{of} {branches}{f' ELSE {results[-1].text}' if default else ''} END", type)


def scalar_query(t: Translator, node: exp.Subquery) -> Value:
    text, type = _of_one_column(t, node)
    return Value(f"({text})", type)


def _of_one_column(t: Translator, node: exp.Expr) -> tuple[str, Type | None]:
    text, outputs = t.query(node.this if isinstance(node, exp.Subquery) else node)
    if outputs is not None and len(outputs) != 1:
        raise NeedsPerson(f"the query {shown(node)} has {len(outputs)} columns; here it has one")
    return text, outputs[0][1] if outputs else None


def exists(t: Translator, node: exp.Exists) -> Value:
    inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
    return Value(f"EXISTS ({t.query(inner)[0]})", types.BOOLEAN, PREDICATE)


_REASONS: dict[type[exp.Expr], str] = {
    exp.AtTimeZone: "AT TIME ZONE makes a time with a zone of a timestamp in Redshift, and reads it as one of the "
    "session in Athena; keep UTC, or write date_format(with_timezone(x, 'UTC') AT TIME ZONE 'zone', ...) for a text",
    exp.SimilarTo: "SIMILAR TO is not known to Athena; write LIKE or regexp_like(...)",
    exp.CurrentTimestamp: "current_timestamp runs on Redshift's leader node alone; write getdate()",
    exp.Placeholder: "a parameter is not translated, since its type is not known; write a value in its place, and ? "
    "afterwards",
    exp.Tuple: "rows in parentheses are not translated; compare their columns one by one",
    exp.CurrentUser: "who asks is a matter of IAM in Athena",
    exp.Any: "ANY is not translated; write IN",
}


def untranslated(_: Translator, node: exp.Expr) -> Value:
    raise NeedsPerson(_REASONS[type(node)])


_BINARY = "this expression"

RULES: dict[type[exp.Expr], Rule] = {
    **ARITHMETIC,
    **dict.fromkeys(_REASONS, untranslated),
    exp.Column: knowing("this table db catalog", column),
    exp.Dot: knowing(_BINARY, dot),
    exp.Bracket: knowing("this expressions", bracket),
    exp.Literal: literal,
    exp.Null: null,
    exp.Boolean: boolean,
    exp.Paren: knowing("this", paren),
    exp.And: connector,
    exp.Or: connector,
    exp.Not: knowing("this", negation),
    **dict.fromkeys(_SIGNS, knowing(_BINARY, comparison)),
    exp.Between: knowing("this low high", between),
    exp.Is: knowing(_BINARY, is_),
    exp.In: knowing("this expressions query", membership),
    exp.Like: knowing("this expression negate", like),
    exp.Escape: knowing(_BINARY, like),
    exp.ILike: knowing("this expression negate", ilike),
    exp.RegexpLike: knowing(_BINARY, matches),
    exp.Case: knowing("this ifs default", case),
    exp.Cast: knowing("this to", cast),
    exp.Subquery: knowing("this", scalar_query),
    exp.Exists: knowing("this", exists),
}
