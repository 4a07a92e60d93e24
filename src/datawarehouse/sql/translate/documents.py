"""Functions of JSON. Text that is not JSON gives NULL, as in Trino."""

from __future__ import annotations

from datawarehouse.sql import types
from datawarehouse.sql.translate import formats
from datawarehouse.sql.translate.calls import Call, arguments, special, varchar
from datawarehouse.sql.translate.compiler import Compiler, mismatch
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, coerced, quoted_text


@special("json_extract")
def json_extract(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value, path = _json_and_path(compiler, call, scope)
    return Typed(f"json_extract({value}, {path})", types.JSON)


@special("json_extract_scalar")
def json_extract_scalar(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """NULL for objects and arrays, which DuckDB would give as text."""
    value, path = _json_and_path(compiler, call, scope)
    scalar = (
        f"CASE WHEN json_type({value}, {path}) NOT IN ('OBJECT', 'ARRAY') THEN json_extract_string({value}, {path}) END"
    )
    return Typed(f"({scalar})", types.VARCHAR)


@special("json_size")
def json_size(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value, path = _json_and_path(compiler, call, scope)
    part = f"json_extract({value}, {path})"
    sizes = f"WHEN 'ARRAY' THEN json_array_length({part}) WHEN 'OBJECT' THEN len(json_keys({part}))"
    return Typed(f"CAST(CASE json_type({part}) {sizes} ELSE if({part} IS NULL, NULL, 0) END AS BIGINT)", types.BIGINT)


@special("json_array_get")
def json_array_get(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value, index = arguments(compiler, call, scope, 2)
    items = f"CAST(json_extract({_json(call, value)}, '$[*]') AS JSON[])"
    at = coerced(index, types.BIGINT)
    item = f"list_extract({items}, if({at} < 0, {at}, {at} + 1))"
    # Trino documentation, "JSON functions": a text comes without its quotes, so that it is no JSON any more.
    return Typed(f"(CASE json_type({item}) WHEN 'NULL' THEN NULL ELSE {item} ->> '$' END)", types.JSON)


@special("json_array_contains")
def json_array_contains(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value, wanted = arguments(compiler, call, scope, 2)
    if wanted.type == types.UNKNOWN:
        return Typed("CAST(NULL AS BOOLEAN)", types.BOOLEAN)
    if wanted.type.name == "decimal":
        wanted = Typed(coerced(wanted, types.DOUBLE), types.DOUBLE)
    if wanted.type not in (types.BOOLEAN, types.VARCHAR, *types.INTEGERS, types.DOUBLE):
        raise mismatch(
            call.node, f"json_array_contains looks for a boolean, a number or a varchar; this is {wanted.type}."
        )
    array = f"CASE WHEN json_type({_json(call, value)}) = 'ARRAY' THEN {value.sql} END"
    items = f"CAST(json_extract({array}, '$[*]') AS JSON[])"
    return Typed(f"list_contains({items}, to_json({wanted.sql}))", types.BOOLEAN)


def _json_and_path(compiler: Compiler, call: Call, scope: Scope) -> tuple[str, str]:
    value, path = arguments(compiler, call, scope, 2)
    known = compiler.constant(call.arguments[1])
    if value.type == types.UNKNOWN:
        return "CAST(NULL AS JSON)", quoted_text("$")
    if isinstance(known, str):
        return _json(call, value), quoted_text(formats.json_path(known))
    return _json(call, value), f"trino_json_path({varchar(call, path)})"


def _json(call: Call, value: Typed) -> str:
    """A JSON value; NULL for text that is not JSON."""
    if value.type == types.JSON:
        return value.sql
    text = varchar(call, value)
    return f"(CASE WHEN json_valid({text}) THEN {text} END)"
