"""Aggregates of decimals and of text, numbers of decimals, and TRY around aggregates."""

from __future__ import annotations

from sqlglot import exp

from datawarehouse.errors import QueryFailed
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate.arithmetic import calculated, common_type, scaled, whole
from datawarehouse.sql.translate.calls import (
    Call,
    arguments,
    by_signature,
    is_aggregate,
    lambda_body,
    special,
    suffix,
    template,
    varchar,
)
from datawarehouse.sql.translate.compiler import Compiler, mismatch
from datawarehouse.sql.translate.operators import row_of
from datawarehouse.sql.translate.relations import ROWS_OF, SCAN_MARK
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.summaries import is_count_of_rows
from datawarehouse.sql.translate.typed import NULL, Typed, coerced, failing, quoted_text
from datawarehouse.sql.translate.windows import ordering

_LISTAGG_BYTES_MAX = 1_048_576
"""Trino documentation, "Aggregate functions": listagg."""


@special("mod")
def mod(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    left, right = arguments(compiler, call, scope, 2)
    return calculated(call.node, left, "%", right)


@special("round", "ceil", "ceiling", "floor", "truncate")
def rounded(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """`round` of a decimal; for other numbers the line in `functions` is used. Trino documentation, "Mathematical
    functions and operators"."""
    values = arguments(compiler, call, scope, 1, 2)
    source = values[0].type
    if call.name == "truncate" and [value.type for value in values] == [types.UNKNOWN] * 2:
        return Typed("CAST(NULL AS DECIMAL(1, 0))", types.decimal(1, 0))
    if source.name != "decimal":
        return by_signature(compiler, call, scope)
    name = {"ceiling": "ceil", "truncate": "trunc"}.get(call.name, call.name)
    if len(values) == 1:
        grows = call.name != "truncate" and source.scale > 0
        type = types.decimal(min(max(source.precision - source.scale, 0) + grows, types.DECIMAL_DIGITS_MAX) or 1, 0)
        return Typed(f"CAST({name}({values[0].sql}) AS {types.duckdb(type)})", type)
    digits = compiler.constant(call.arguments[1])
    if call.name not in ("round", "truncate") or not types.coerces(values[1].type, types.INTEGER):
        raise mismatch(call.node, f"{call.name} takes no {values[1].type} as a number of digits.")
    grown = min(source.precision + (call.name == "round"), types.DECIMAL_DIGITS_MAX)
    type = types.decimal(grown, source.scale)
    if not isinstance(digits, int):
        return scaled(_to_digits(name, values[0], values[1]), type)
    return Typed(f"CAST({name}({values[0].sql}, {digits}) AS {types.duckdb(type)})", type)


def _to_digits(name: str, value: Typed, digits: Typed) -> str:
    """The digits of a decimal after `round` or `trunc` to a number of places that is not known before."""
    dropped = f"greatest({value.type.scale} - {coerced(digits, types.INTEGER)}, 0)"
    unit = f"CAST(CAST('1' || repeat('0', CAST(least({dropped}, 38) AS BIGINT)) AS DECIMAL(38, 0)) AS HUGEINT)"
    half = f"{unit} // 2" if name == "round" else "0"
    number = whole(value)
    rounded = f"if({number} < 0, -1, 1) * ((abs({number}) + {half}) // {unit}) * {unit}"
    return f"if({digits.sql} IS NULL, NULL, if({dropped} > {value.type.precision}, 0, {rounded}))"


@special("sum", "avg")
def of_decimals(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """An exact aggregate of decimals, because DuckDB's avg is a double; for other numbers the line in `functions` is
    used."""
    value = compiler.expression(call.arguments[0], scope) if len(call.arguments) == 1 else NULL
    if len(call.arguments) == 1 and value.type == types.UNKNOWN:
        raise QueryFailed(
            f"AMBIGUOUS_FUNCTION_CALL: {place(call.node)}Could not choose a best candidate operator. Explicit type "
            "casts must be added."
        )
    if value.type.name != "decimal":
        return by_signature(compiler, call, scope)
    if not call.over:
        compiler.facts.aggregates = True
    total = template(compiler, call, "sum($d$1)$w", [value.sql], scope, {})
    if call.name == "sum":
        type = types.decimal(types.DECIMAL_DIGITS_MAX, value.type.scale)
        return Typed(f"CAST({total} AS {types.duckdb(type)})", type)
    count = template(compiler, call, "count($d$1)$w", [value.sql], scope, {})
    digits = whole(Typed(total, value.type))
    return scaled(f"trino_rounded_quotient({digits}, CAST({count} AS HUGEINT))", value.type)


@special("count")
def count(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Of rows, left open where summaries can stand for them; of anything else as in `functions`."""
    if compiler.facts.counted is None or not call.plain or not is_count_of_rows(call.name, call.arguments):
        return by_signature(compiler, call, scope)
    by_signature(compiler, call, scope)  # refuses a literal that is none
    return Typed(f"{SCAN_MARK}{ROWS_OF}{compiler.facts.counted}{SCAN_MARK}", types.BIGINT)


@special("listagg")
def listagg(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value = compiler.expression(call.arguments[0], scope) if call.arguments else None
    separator = (
        compiler.constant_text(call.arguments[1], "The separator of listagg") if len(call.arguments) == 2 else ""
    )
    if not value or len(call.arguments) > 2 or not call.order or call.over:
        raise mismatch(call.node, "listagg is written listagg(value, 'separator') WITHIN GROUP (ORDER BY ...).")
    compiler.facts.aggregates = True
    distinct = "DISTINCT " if call.distinct else ""
    inside = f"{distinct}{varchar(call, value)}, {quoted_text(separator)}{ordering(compiler, call.order, scope)}"
    text = f"string_agg({inside}){suffix(compiler, call, scope)}"
    too_long = failing(
        f"Concatenated string has the length in bytes larger than the maximum output length {_LISTAGG_BYTES_MAX}",
        types.VARCHAR,
    )
    return Typed(f"(CASE WHEN strlen({text}) > {_LISTAGG_BYTES_MAX} THEN {too_long} ELSE {text} END)", types.VARCHAR)


@special("reduce_agg")
def reduce_agg(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """The values of a group, other than NULL, one after the other; the states of parts are never put together here."""
    if len(call.arguments) != 4 or call.order or call.distinct or call.ignore_nulls:
        raise mismatch(
            call.node, "reduce_agg takes a value, a first state, (state, value) -> state and (state, state) -> state."
        )
    value, first = (compiler.expression(node, scope) for node in call.arguments[:2])
    if not call.over:
        compiler.facts.aggregates = True
    state = first.type
    body, names = lambda_body(compiler, call.arguments[2], [None, None], [state, value.type], scope)
    if body.type != state:
        state = common_type(call.node, [first, body], "The states of reduce_agg")
        body, names = lambda_body(compiler, call.arguments[2], [None, None], [state, value.type], scope)
    joined, _ = lambda_body(compiler, call.arguments[3], [None, None], [state, state], scope)
    if (body.type, joined.type) != (state, state):
        raise mismatch(call.node, f"the state of reduce_agg is {state}, and a function returns {body.type}. Cast one.")
    step = f"lambda {', '.join(names)}: {body.sql}"
    values = template(compiler, call, "list($1)$w", [value.sql], scope, {})
    known = f'list_filter({values}, lambda "ra#": "ra#" IS NOT NULL)'
    reduced = f"list_reduce({known}, {step}, {coerced(first, state)})"
    return Typed(f"(CASE WHEN len({known}) > 0 THEN {reduced} END)", state)


@special("grouping")
def grouping(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    keys = arguments(compiler, call, scope, 1, 30)
    compiler.facts.aggregates = True
    return Typed(f"CAST(GROUPING({', '.join(key.sql for key in keys)}) AS INTEGER)", types.INTEGER)


@special("try")
def try_(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """DuckDB's TRY accepts no aggregate and no query. They are computed before it and passed to it through a lambda."""
    if len(call.arguments) != 1:
        raise mismatch(call.node, "try takes one expression.")
    tree = exp.Paren(this=call.arguments[0].copy())
    outside = [node for node in tree.walk(prune=_before_try) if _before_try(node)]
    if not outside:
        value = compiler.expression(call.arguments[0], scope)
        return Typed(f"TRY({value.sql})", value.type)
    values = [compiler.expression(node, scope) for node in outside]
    variables = {}
    for position, (node, value) in enumerate(zip(outside, values, strict=True), 1):
        variables[f"try#{position}"] = Typed(f'struct_extract("t#", {position})', value.type)
        node.replace(exp.to_identifier(f"try#{position}", quoted=True))
    body = compiler.expression(tree, scope.with_variables(variables))
    return Typed(f'list_extract(list_transform([{row_of(values).sql}], lambda "t#": TRY({body.sql})), 1)', body.type)


def _before_try(node: exp.Expr) -> bool:
    if isinstance(node, exp.Anonymous):
        return is_aggregate(node.name)
    if isinstance(node, exp.Binary):
        return isinstance(node.expression, exp.Any | exp.All)
    if isinstance(node, exp.In):
        return bool(node.args.get("query"))
    return isinstance(node, exp.Window | exp.Filter | exp.WithinGroup | exp.Subquery | exp.Exists)
