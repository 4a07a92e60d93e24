"""Calls: functions, aggregates and windows, with DISTINCT, ORDER BY, FILTER, IGNORE NULLS and OVER.

1. Read the nodes around a call into a `Call`.
2. A name in `SPECIALS` has its own translating function; others are looked up in `functions`.
3. Fill the template of the signature that fits. A call to anything else is refused by its name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.json_grammar import CALLS
from datawarehouse.sql.translate import signatures
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.equality import canonical
from datawarehouse.sql.translate.functions import AGGREGATES, SCALARS, WINDOWS
from datawarehouse.sql.translate.functions_of_bytes import BYTES
from datawarehouse.sql.translate.operators import check_comparable, check_orderable, condition
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.sketches import SKETCH_AGGREGATES, SKETCHES
from datawarehouse.sql.translate.typed import Typed, coerced, quoted_name
from datawarehouse.sql.translate.windows import ordering, over
from datawarehouse.sql.translate.zones import local
from datawarehouse.sql.types import Type, duckdb

_LINES = {
    kind: signatures.signatures(table)
    for kind, table in (
        ("scalar", SCALARS + BYTES + SKETCHES),
        ("aggregate", AGGREGATES + SKETCH_AGGREGATES),
        ("window", WINDOWS),
    )
}
_NO_CLAUSES = "it takes no DISTINCT, FILTER, OVER or ORDER BY."
# Functions that compare their arguments, in addition to those with DISTINCT, and those that put them in order.
_COMPARING = frozenset("array_distinct contains histogram".split())
_ORDERING = frozenset("min max greatest least array_sort array_max array_min".split())
_WITH_NULL_TREATMENT = frozenset("first_value lag last_value lead nth_value".split())
_ARGUMENTS_MAX = 127
_WITHOUT_SIGNATURE = ("grouping", "listagg", "reduce_agg")
"""Aggregates that have no line in `functions`."""


@dataclass
class Call:
    name: str
    node: exp.Expr
    arguments: list[exp.Expr]
    distinct: bool = False
    order: exp.Expr | None = None
    filter: exp.Expr | None = None
    ignore_nulls: bool = False
    over: exp.Window | None = None
    respect_nulls: bool = False

    @property
    def plain(self) -> bool:
        return not (self.distinct or self.order or self.filter or self.ignore_nulls or self.over)


Special = Callable[[Compiler, Call, Scope], Typed]
SPECIALS: dict[str, Special] = {}
"""Functions that need more than a line of `functions`; the modules that import this one add their own."""


def special(*names: str) -> Callable[[Special], Special]:
    def add(function: Special) -> Special:
        SPECIALS.update(dict.fromkeys(names, function))
        return function

    return add


def names() -> dict[str, list[str]]:
    """The names of all functions, sorted, by kind."""
    scalars = {*_LINES["scalar"], *(name for name in SPECIALS if not is_aggregate(name)), *map(str.lower, CALLS)}
    aggregates = (*_LINES["aggregate"], *_WITHOUT_SIGNATURE)
    return {"scalar": sorted(scalars), "aggregate": sorted(aggregates), "window": sorted(_LINES["window"])}


def listed_functions() -> Iterator[tuple[str, ...]]:
    """The functions as SHOW FUNCTIONS of Trino has them: what one returns and takes is empty where that depends on its
    arguments in a way that no signature says."""
    for kind, found in names().items():
        for name in found:
            deterministic = "false" if name in ("rand", "random", "shuffle", "uuid") else "true"
            for line in _LINES[kind].get(name, [""]):
                takes, _, gives = line.split("  ", 1)[0].partition(" -> ")
                yield name, gives, takes[takes.find("(") + 1 : -1], kind, deterministic, ""


def is_aggregate(name: str) -> bool:
    return name.lower() in _LINES["aggregate"] or name.lower() in _WITHOUT_SIGNATURE


def call(compiler: Compiler, node: exp.Expr, scope: Scope) -> Typed:
    found = _read(compiler, node)
    if is_aggregate(found.name):
        _check_columns(compiler, found, scope)
    if found.name in SPECIALS:
        return SPECIALS[found.name](compiler, found, scope)
    return by_signature(compiler, found, scope)


def _check_columns(compiler: Compiler, found: Call, scope: Scope) -> None:
    """An aggregate has columns of its own query: DuckDB would compute others in the query around it."""
    if found.over or not scope.parent:
        return
    columns = [
        compiler.parts(column, scope)
        for argument in found.arguments
        for column in argument.walk(prune=lambda node: isinstance(node, exp.Query))
        if isinstance(column, exp.Column) and not isinstance(column.this, exp.Star)
    ]
    if scope.is_order and any(map(scope.has_own, columns)):
        raise QueryFailed(
            f"COLUMN_NOT_FOUND: {place(found.node)}Invalid reference to output projection attribute from ORDER BY "
            "aggregation."
        )
    own = scope.parent if scope.is_order else scope
    if columns and own.parent and not any(map(own.has_own, columns)):
        raise QueryFailed(f"NOT_SUPPORTED: {place(found.node)}Given correlated subquery is not supported.")


def by_signature(compiler: Compiler, found: Call, scope: Scope) -> Typed:
    """Translate a call by the lines of `functions`."""
    kind = next((kind for kind, lines in _LINES.items() if found.name in lines), None)
    if kind is None:
        raise QueryRefused(_unknown(found))
    _check_clauses(compiler, kind, found)
    return _filled(compiler, found, _LINES[kind][found.name], scope)


def arguments(compiler: Compiler, found: Call, scope: Scope, fewest: int, most: int | None = None) -> list[Typed]:
    """The translated arguments of a scalar function, if their number is right."""
    if not found.plain:
        raise QueryRefused(f"{place(found.node)}{found.name} is not an aggregate; {_NO_CLAUSES}")
    if not fewest <= len(found.arguments) <= (most or fewest):
        raise mismatch(
            found.node,
            f"{found.name} takes {fewest}{f' to {most}' if most else ''} arguments; got {len(found.arguments)}.",
        )
    return [compiler.expression(argument, scope) for argument in found.arguments]


def varchar(found: Call, value: Typed) -> str:
    """The text of an argument that must be a varchar."""
    if value.type not in (types.VARCHAR, types.UNKNOWN) and value.type.name != "char":
        raise mismatch(found.node, f"{found.name} takes varchar; this is {value.type}. Use cast(... as varchar).")
    return coerced(value, types.VARCHAR)


def suffix(compiler: Compiler, found: Call, scope: Scope) -> str:
    """FILTER and OVER as they follow a call."""
    text = f" FILTER (WHERE {condition(compiler, found.filter, scope)})" if found.filter else ""
    if found.over:
        text += " OVER " + over(compiler, found.over, scope, found.name)
    return text


def _read(compiler: Compiler, node: exp.Expr) -> Call:
    """Unwrap OVER, IGNORE NULLS, FILTER and WITHIN GROUP, from the outermost on, down to the name and its arguments."""
    over = order = filter = None
    ignore_nulls = respect_nulls = False
    outer = node
    if isinstance(node, exp.Window):
        over, node = node, node.this
    if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
        ignore_nulls, respect_nulls = isinstance(node, exp.IgnoreNulls), isinstance(node, exp.RespectNulls)
        node = node.this
    if isinstance(node, exp.Filter):
        filter, node = node.expression.this, node.this
    if isinstance(node, exp.WithinGroup):
        order, node = node.expression, node.this
    if not isinstance(node, exp.Anonymous):
        raise QueryRefused(f"{place(outer)}OVER, FILTER and WITHIN GROUP follow an aggregate or a window function.")
    inner, distinct = list(node.expressions), False
    if inner and isinstance(inner[-1], exp.IgnoreNulls | exp.RespectNulls):
        ignore_nulls, inner[-1] = isinstance(inner[-1], exp.IgnoreNulls), inner[-1].this
    if inner and isinstance(inner[-1], exp.Order):
        order, inner[-1] = inner[-1], inner[-1].this
    if inner and isinstance(inner[0], exp.Distinct):
        compiler.check(inner[0], frozenset(("expressions",)))
        distinct, inner[:1] = True, inner[0].expressions
    return Call(node.name.lower(), node, inner, distinct, order, filter, ignore_nulls, over, respect_nulls)


def _check_clauses(compiler: Compiler, kind: str, found: Call) -> None:
    name = found.name
    if kind == "scalar" and not found.plain:
        raise QueryRefused(f"{place(found.node)}{name} is not an aggregate; {_NO_CLAUSES}")
    if kind == "window" and not found.over:
        raise QueryFailed(f"{place(found.node)}Window function {name} needs OVER (...).")
    if name in ("lag", "lead") and len(found.arguments) > 1 and isinstance(found.arguments[1], exp.Null):
        raise QueryFailed(f"{place(found.node)}The offset of {name} must not be NULL.")
    if kind == "window" and (found.distinct or found.order or found.filter):
        raise QueryRefused(f"{place(found.node)}{name} takes no DISTINCT, FILTER or ORDER BY of its own.")
    nulls_count = kind == "window" and name in _WITH_NULL_TREATMENT
    if (found.ignore_nulls or found.respect_nulls) and not nulls_count:
        raise QueryRefused(
            f"NULL_TREATMENT_NOT_ALLOWED: {place(found.node)}{name} takes no IGNORE NULLS and no RESPECT NULLS."
        )
    if kind == "aggregate" and found.over and (found.distinct or found.order or found.filter):
        clause = "DISTINCT" if found.distinct else "FILTER" if found.filter else "ORDER BY in an aggregate"
        raise QueryFailed(f"NOT_SUPPORTED: {place(found.node)}{clause} is not yet supported for window functions.")
    if kind == "aggregate" and found.distinct and found.order:
        given = {node.sql().lower() for node in found.arguments}
        if any(item.this.sql().lower() not in given for item in found.order.expressions):
            raise QueryFailed(
                f"EXPRESSION_NOT_IN_DISTINCT: {place(found.node)}For an aggregate function with DISTINCT, ORDER BY "
                "expressions must appear in arguments."
            )
    if kind == "aggregate" and not found.over:
        compiler.facts.aggregates = True


def _filled(compiler: Compiler, found: Call, lines: Sequence[str], scope: Scope) -> Typed:
    if len(found.arguments) > _ARGUMENTS_MAX and found.name in ("greatest", "least"):
        raise QueryFailed(f"{place(found.node)}Too many arguments for function {found.name}; {_ARGUMENTS_MAX} at most.")
    star = found.name == "count" and len(found.arguments) == 1 and isinstance(found.arguments[0], exp.Star)
    nodes = [] if star else found.arguments
    values = [None if isinstance(node, exp.Lambda) else compiler.expression(node, scope) for node in nodes]
    signature, bound = _chosen(found, lines, [value.type if value else None for value in values])
    texts = []
    trims = found.name in ("ltrim", "rtrim", "trim") and values[0] is not None and values[0].type.name == "char"
    for position, (node, value) in enumerate(zip(nodes, values, strict=True)):
        parameter = signature.parameter(position)
        if value is None:
            texts.append(_lambda_of(compiler, node, parameter, bound, scope))
        else:
            if trims and position == 0:
                value = Typed(f"rtrim({value.sql}, ' ')", types.VARCHAR)
            type = signatures.filled(parameter, bound)
            text = local(value) if value.type.zone and parameter.name in signatures.LOCAL else coerced(value, type)
            texts.append(canonical(Typed(text, type)) if found.distinct else text)
    ordering, comparing = found.name in _ORDERING, found.distinct or found.name in _COMPARING
    for node, value in zip(nodes, values, strict=True):
        if value and (ordering or comparing):
            (check_orderable if ordering else check_comparable)(node, value.type)
    if (found.distinct and "$d" not in signature.template) or (found.order and "$o" not in signature.template):
        raise QueryRefused(f"{place(found.node)}{found.name} takes no DISTINCT or ORDER BY here.")
    text = template(compiler, found, signature.template, texts, scope, bound)
    text = f"rtrim({text}, ' ')" if trims else text
    return Typed(text, signatures.filled(signature.result, bound))


def template(
    compiler: Compiler, found: Call, template: str, texts: Sequence[str], scope: Scope, bound: Mapping[str, Type]
) -> str:
    """An expression of `functions`, filled with the arguments `texts` and the clauses of the call."""
    clauses = {
        "d": "DISTINCT " if found.distinct else "",
        "o": ordering(compiler, found.order, scope) if found.order else "",
        "i": " IGNORE NULLS" if found.ignore_nulls else "",
        "w": suffix(compiler, found, scope),
    }

    def part(match: re.Match[str]) -> str:
        key = match[1] or match[2]
        if match[2]:
            return duckdb(bound[key])
        if key == "*":
            return ", ".join(texts)
        return texts[int(key) - 1] if key.isdigit() else clauses[key]

    plain = template.removeprefix("!")
    text = re.sub(r"\$([1-9*diow])|\{([A-Z])\}", part, plain)
    if plain != template:
        text = f"CASE WHEN {' AND '.join(f'{each} IS NOT NULL' for each in texts)} THEN {text} END"
    return f"({text})" if text.startswith("CASE") else text


_LETTERS = {"F": "real or double", "I": "an integer type", "N": "any number", "D": "date or timestamp"}
"""Of signatures (functions.py), those that do not speak for themselves."""


def _chosen(
    found: Call, lines: Sequence[str], arguments: Sequence[Type | None]
) -> tuple[signatures.Signature, dict[str, Type]]:
    fitting = None
    for line in lines:
        signature = signatures.read(line)
        fit = signatures.bind(signature, arguments)
        if fit and fit[0]:
            return signature, fit[1]
        fitting = fitting or (fit and (signature, fit[1]))
    if fitting:
        return fitting
    given = ", ".join("a lambda" if type is None else str(type) for type in arguments)
    expected = "; ".join(signatures.read(line).text for line in lines)
    letters = set(re.findall(r"\b[A-Z]\b", expected))
    means = "".join(f"; {letter} is {kind}" for letter, kind in _LETTERS.items() if letter in letters)
    raise mismatch(
        found.node, f"Unexpected parameters ({given}) for function {found.name}. Expected: {expected}{means}."
    )


def _lambda_of(compiler: Compiler, node: exp.Expr, parameter: Type, bound: dict[str, Type], scope: Scope) -> str:
    """A lambda in DuckDB's syntax; a type variable that it returns is bound."""
    *inputs, result = parameter.args
    filled = [signatures.filled(each, bound) for each in inputs]
    body, names = lambda_body(compiler, node, [None] * len(inputs), filled, scope)
    if signatures.is_variable(result):
        bound.setdefault(result.name, body.type)
    elif not types.coerces(body.type, result):
        raise mismatch(node, f"the lambda must return {result}; it returns {body.type}.")
    return f"lambda {', '.join(names)}: {body.sql}"


def lambda_body(
    compiler: Compiler, node: exp.Expr, texts: Sequence[str | None], inputs: Sequence[Type], scope: Scope
) -> tuple[Typed, list[str]]:
    """The body of a lambda whose parameters are `texts` (a new name where the text is None) of the types `inputs`.

    `$` in the new names keeps them different from the names of relations.
    """
    if not isinstance(node, exp.Lambda):
        raise mismatch(node, "a lambda such as x -> x + 1 is needed here.")
    _check_lambda(node)
    parameters = [part.name.lower() for part in node.expressions]
    if len(parameters) != len(inputs):
        raise mismatch(node, f"the lambda takes {len(inputs)} parameters; it has {len(parameters)}.")
    names = [text or quoted_name(name + "$") for name, text in zip(parameters, texts, strict=True)]
    variables = {name: Typed(text, type) for name, text, type in zip(parameters, names, inputs, strict=True)}
    return compiler.expression(node.this, scope.with_variables(variables)), names


def _check_lambda(node: exp.Lambda) -> None:
    for part in node.this.walk():
        if isinstance(part, exp.Query | exp.Exists):
            raise QueryFailed(f"NOT_SUPPORTED: {place(part)}Lambda expression cannot contain subqueries.")
        if isinstance(part, exp.Window) or (isinstance(part, exp.Anonymous) and is_aggregate(part.name)):
            raise QueryFailed(
                f"EXPRESSION_NOT_SCALAR: {place(part)}Lambda expression cannot contain aggregations, window functions "
                "or grouping operations."
            )


_OTHERS_NAMES = {
    "median": "approx_percentile(x, 0.5)",
    "percentile_cont": "approx_percentile",
    "percentile_disc": "approx_percentile",
    "quantile_cont": "approx_percentile",
    "quantile": "approx_percentile",
    "string_agg": "listagg",
    "group_concat": "listagg",
    "nvl": "coalesce",
    "ifnull": "coalesce",
    "isnull": "coalesce",
    "getdate": "now",
    "len": "length",
}
"""What is called otherwise in other databases."""


def _unknown(found: Call) -> str:
    known = [name for lines in names().values() for name in lines]
    near = difflib.get_close_matches(found.name, known, n=3, cutoff=0.7)
    if found.name in _OTHERS_NAMES:
        near = [_OTHERS_NAMES[found.name]]
    hint = f"Did you mean {' or '.join(near)}?" if near else "docs/reference/sql.md lists all functions."
    return f"{place(found.node)}Function {found.name} is not supported here. {hint}"


RULES: dict[type[exp.Expr], Rule] = {
    exp.Anonymous: rule(call, "this expressions"),
    exp.Window: rule(call, "this partition_by order spec alias over"),
    exp.Filter: rule(call, "this expression"),
    exp.WithinGroup: rule(call, "this expression"),
    exp.IgnoreNulls: rule(call, "this"),
    exp.RespectNulls: rule(call, "this"),
}
