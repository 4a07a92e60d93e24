"""Functions of arrays, maps and rows whose lambdas need a translation for DuckDB."""

from __future__ import annotations

from datawarehouse.sql import types
from datawarehouse.sql.translate.arithmetic import common_type
from datawarehouse.sql.translate.calls import (
    Call,
    arguments,
    by_signature,
    lambda_body,
    special,
    varchar,
)
from datawarehouse.sql.translate.casts import text
from datawarehouse.sql.translate.compiler import Compiler, mismatch
from datawarehouse.sql.translate.equality import equal
from datawarehouse.sql.translate.operators import check_comparable, row_of
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, coerced, failing


@special("row")
def row(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    return row_of(arguments(compiler, call, scope, 1, 1024))


@special("nullif")
def nullif(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Of the type of the first value, whatever it is compared with."""
    first, second = arguments(compiler, call, scope, 2, 2)
    kind = common_type(call.node, [first, second], "nullif")
    for node in call.arguments:
        check_comparable(node, kind)
    same = equal(coerced(first, kind), coerced(second, kind), kind, len(scope.variables))
    return Typed(f"(CASE WHEN {same} THEN NULL ELSE {first.sql} END)", first.type)


@special("array_join")
def array_join(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    array, delimiter, *replacement = arguments(compiler, call, scope, 2, 3)
    element = text(Typed('"e#"', array.type.args[0])) if array.type.name == "array" else None
    if not element:
        raise mismatch(call.node, f"array_join takes an array of scalars; this is {array.type}.")
    if replacement:
        element = f"coalesce({element}, {varchar(call, replacement[0])})"
    texts, separator = f'list_transform({array.sql}, lambda "e#": {element})', varchar(call, delimiter)
    if replacement:
        texts = f"CASE WHEN {replacement[0].sql} IS NOT NULL THEN {texts} END"
    if compiler.constant(call.arguments[1]) is None:
        return Typed(f"trino_joined({texts}, {separator})", types.VARCHAR)
    joined = f"coalesce(array_to_string({texts}, {separator}), '')"
    known = " AND ".join(f"{part} IS NOT NULL" for part in (array.sql, separator, *(each.sql for each in replacement)))
    return Typed(f"(CASE WHEN {known} THEN {joined} END)", types.VARCHAR)


@special("reduce")
def reduce(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """The state has the common type of the first state and of the result of the first lambda."""
    if len(call.arguments) != 4:
        raise mismatch(
            call.node, "reduce takes an array, a first state, (state, element) -> state and state -> result."
        )
    array, first = (compiler.expression(node, scope) for node in call.arguments[:2])
    if array.type.name != "array":
        raise mismatch(call.node, f"reduce takes an array; this is {array.type}.")
    element, state = array.type.args[0], first.type
    body, names = lambda_body(compiler, call.arguments[2], [None, None], [state, element], scope)
    if body.type != state:
        if types.common(state, body.type) == state and types.UNKNOWN not in (state, body.type):
            raise mismatch(
                call.arguments[2], f"the state of reduce is {state}, and the function returns {body.type}. Cast one."
            )
        state = common_type(call.node, [first, body], "The states of reduce")
        body, names = lambda_body(compiler, call.arguments[2], [None, None], [state, element], scope)
    step = f"lambda {', '.join(names)}: {coerced(body, state)}"
    reduced = f"list_reduce({array.sql}, {step}, {coerced(first, state)})"
    result, names = lambda_body(compiler, call.arguments[3], [None], [state], scope)
    if result.sql == names[0]:
        return Typed(reduced, state)
    made = f"list_extract(list_transform([{reduced}], lambda {names[0]}: {result.sql}), 1)"
    return Typed(f"(CASE WHEN {array.sql} IS NOT NULL THEN {made} END)", result.type)


@special("contains", "array_remove")
def contains(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Of arrays, maps and rows; a comparison that NULL inside them leaves open is an error, as in Trino."""
    if len(call.arguments) != 2:
        return by_signature(compiler, call, scope)
    array, wanted = (compiler.expression(node, scope) for node in call.arguments)
    element = types.common(array.type.args[0], wanted.type) if array.type.name == "array" else None
    if not element or not element.args or wanted.type == types.UNKNOWN:
        return by_signature(compiler, call, scope)
    depth = len(scope.variables)
    item, code = f'"c{depth}#"', f'"d{depth}#"'
    same = equal(item, coerced(wanted, element), element, depth)
    items = coerced(array, types.array(element))
    open_ = failing(f"{call.name} cannot compare elements that are NULL inside", types.BOOLEAN)
    if call.name == "array_remove":
        other = f"CASE WHEN {item} IS NULL THEN TRUE ELSE NOT coalesce({same}, {open_}) END"
        kept = f"list_filter({items}, lambda {item}: {other})"
        return Typed(f"(CASE WHEN {wanted.sql} IS NOT NULL THEN {kept} END)", types.array(element))
    codes = f"list_transform({items}, lambda {item}: if({item} IS NULL, 2, coalesce(CAST({same} AS INTEGER), 3)))"
    decided = f"list_extract(list_filter({codes}, lambda {code}: {code} IN (1, 3)), 1)"
    unknown = f"CASE WHEN list_contains({codes}, 2) THEN NULL ELSE FALSE END"
    found = f"CASE {decided} WHEN 1 THEN TRUE WHEN 3 THEN {open_} ELSE {unknown} END"
    return Typed(f"(CASE WHEN {items} IS NOT NULL AND {wanted.sql} IS NOT NULL THEN {found} END)", types.BOOLEAN)


@special("map")
def map_of_arrays(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Keys that are arrays or rows have no NULL inside."""
    if len(call.arguments) != 2:
        return by_signature(compiler, call, scope)
    keys, values = (compiler.expression(node, scope) for node in call.arguments)
    if keys.type.name != "array" or values.type.name != "array" or not keys.type.args[0].args:
        return by_signature(compiler, call, scope)
    key, item = keys.type.args[0], f'"c{len(scope.variables)}#"'
    same = equal(item, item, key, len(scope.variables))
    missing = failing("A key of a map has NULL inside", key)
    checked = f"list_transform({keys.sql}, lambda {item}: CASE WHEN {same} IS NULL THEN {missing} ELSE {item} END)"
    return Typed(f"map({checked}, {values.sql})", types.map_of(key, values.type.args[0]))


@special("zip_with")
def zip_with(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    if len(call.arguments) != 3:
        raise mismatch(call.node, "zip_with takes two arrays and (a, b) -> c.")
    left, right = (compiler.expression(node, scope) for node in call.arguments[:2])
    if left.type.name != "array" or right.type.name != "array":
        raise mismatch(call.node, f"zip_with takes two arrays; these are {left.type} and {right.type}.")
    pair = [f'struct_extract("p{len(scope.variables)}#", {position})' for position in (1, 2)]
    body, _ = lambda_body(compiler, call.arguments[2], pair, [left.type.args[0], right.type.args[0]], scope)
    zipped = f'list_transform(list_zip({left.sql}, {right.sql}), lambda "p{len(scope.variables)}#": {body.sql})'
    known = f"{left.sql} IS NOT NULL AND {right.sql} IS NOT NULL"
    return Typed(f"(CASE WHEN {known} THEN {zipped} END)", types.array(body.type))


@special("array_sort")
def array_sort(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """With a comparator (a, b) -> -1, 0 or 1 each element is put behind those that are not greater."""
    if len(call.arguments) != 2:
        return by_signature(compiler, call, scope)
    array = compiler.expression(call.arguments[0], scope)
    if array.type.name != "array":
        raise mismatch(call.node, f"array_sort takes an array; this is {array.type}.")
    element, depth = array.type.args[0], len(scope.variables)
    sorted_before, new, old = (f'"{letter}{depth}#"' for letter in "stu")
    body, _ = lambda_body(compiler, call.arguments[1], [old, new], [element, element], scope)
    if not types.coerces(body.type, types.INTEGER):
        raise mismatch(call.arguments[1], f"the comparator must return -1, 0 or 1; it returns {body.type}.")
    checked = (
        f"if({body.sql} IN (-1, 0, 1), {body.sql}, {failing('The comparator must return -1, 0 or 1', types.INTEGER)})"
    )
    inserted = (
        f"list_filter({sorted_before}, lambda {old}: {checked} <= 0) || [{new}] || "
        f"list_filter({sorted_before}, lambda {old}: {checked} > 0)"
    )
    none = f"CAST([] AS {types.duckdb(array.type)})"
    return Typed(f"list_reduce({array.sql}, lambda {sorted_before}, {new}: {inserted}, {none})", array.type)


@special("map_zip_with")
def map_zip_with(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    if len(call.arguments) != 3:
        raise mismatch(call.node, "map_zip_with takes two maps and (key, value1, value2) -> value.")
    left, right = (compiler.expression(node, scope) for node in call.arguments[:2])
    if left.type.name != "map" or right.type.name != "map":
        raise mismatch(call.node, f"map_zip_with takes two maps; these are {left.type} and {right.type}.")
    key = common_type(call.node, [Typed("", side.type.args[0]) for side in (left, right)], "The keys of map_zip_with")
    item = f'"p{len(scope.variables)}#"'
    values = [f"map_extract_value({side.sql}, {item})" for side in (left, right)]
    kinds = [key, left.type.args[1], right.type.args[1]]
    body, _ = lambda_body(compiler, call.arguments[2], [item, *values], kinds, scope)
    keys = f"trino_distinct(map_keys({left.sql}) || map_keys({right.sql}))"
    pair = f"{{'key': {item}, 'value': {body.sql}}}"
    return Typed(f"map_from_entries(list_transform({keys}, lambda {item}: {pair}))", types.map_of(key, body.type))


@special("map_filter", "transform_keys", "transform_values")
def map_lambda(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    if len(call.arguments) != 2:
        raise mismatch(call.node, f"{call.name} takes a map and (key, value) -> result.")
    value = compiler.expression(call.arguments[0], scope)
    if value.type.name != "map":
        raise mismatch(call.node, f"{call.name} takes a map; this is {value.type}.")
    entry = f'"p{len(scope.variables)}#"'
    parts = [f"struct_extract({entry}, 'key')", f"struct_extract({entry}, 'value')"]
    body, _ = lambda_body(compiler, call.arguments[1], parts, value.type.args, scope)
    entries = f"map_entries({value.sql})"
    if call.name == "map_filter" and body.type not in (types.BOOLEAN, types.UNKNOWN):
        raise mismatch(call.arguments[1], f"the lambda must return boolean; it returns {body.type}.")
    if call.name == "map_filter":
        return Typed(
            f"map_from_entries(list_filter({entries}, lambda {entry}: {coerced(body, types.BOOLEAN)}))", value.type
        )
    key, result = (body.sql, parts[1]) if call.name == "transform_keys" else (parts[0], body.sql)
    type = (
        types.map_of(body.type, value.type.args[1])
        if call.name == "transform_keys"
        else types.map_of(value.type.args[0], body.type)
    )
    pair = f"{{'key': {key}, 'value': {result}}}"
    return Typed(f"map_from_entries(list_transform({entries}, lambda {entry}: {pair}))", type)
