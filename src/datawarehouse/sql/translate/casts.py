"""CAST and TRY_CAST, by Trino's rules where DuckDB's differ.

- Text is read strictly: '1.5' is no integer, '2024-01-01T00:00:00' no timestamp. The macros named trino_..._text turn
  text that Trino refuses into text that DuckDB refuses too, so that CAST fails and TRY_CAST gives NULL.
- A double becomes an integer by rounding half away from zero; DuckDB rounds half to even.
- A timestamp's text has three digits after the second; a double's text is Java's, e.g. 1.0E10.
- JSON becomes text, numbers and nested types by its values; other values become JSON by their types.
"""

from __future__ import annotations

import re

from sqlglot import exp

from datawarehouse.errors import QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.literals import date_text, parsed_date, parsed_timestamp, timestamp_text
from datawarehouse.sql.translate.scope import Scope, row_field
from datawarehouse.sql.translate.typed import NULL, Typed, coerced, failing, quoted_text
from datawarehouse.sql.types import Type

_SCALARS = {
    exp.DType.BOOLEAN: types.BOOLEAN,
    exp.DType.TINYINT: types.TINYINT,
    exp.DType.SMALLINT: types.SMALLINT,
    exp.DType.INT: types.INTEGER,
    exp.DType.BIGINT: types.BIGINT,
    exp.DType.FLOAT: types.REAL,
    exp.DType.DOUBLE: types.DOUBLE,
    exp.DType.VARBINARY: types.VARBINARY,
    exp.DType.JSON: types.JSON,
    exp.DType.DATE: types.DATE,
}
_TIMESTAMPS = {exp.DType.TIMESTAMP: types.TIMESTAMP, exp.DType.TIMESTAMPTZ: types.INSTANT}
_NO_JSON = (*types.TIMES, types.ZONED, types.VARBINARY, *types.INTERVALS)
_VALID = (
    "boolean, tinyint, smallint, integer, bigint, real, double, decimal(p,s), varchar, varchar(n), varbinary, json, "
    "date, timestamp, timestamp(3), timestamp with time zone, array(type), map(key, value) and row(name type, ...)"
)
# cube-js/cube, pull request 10779: in Athena this cast gives the time in UTC, in Trino the time in the zone.
_OF_ZONED = "Athena and Trino give different values here; use date_format(...) or cast(... as date)."
_BOOLEAN_TEXT = (
    "CASE WHEN lower({0}) IN ('t', 'true', '1', 'f', 'false', '0') THEN {0} ELSE 'Cannot cast to boolean: ' || {0} END"
)


def cast(compiler: Compiler, node: exp.Cast, scope: Scope) -> Typed:
    target = type_of(node.args["to"])
    lenient = isinstance(node, exp.TryCast)
    if isinstance(node.this, exp.Literal) and node.this.is_string and not lenient:
        value = _of_literal(compiler, node, target)
        if value:
            return value
    source = compiler.expression(node.this, scope)
    value = casted(node, source, target, "TRY_CAST" if lenient else "CAST")
    return _of_length(node, source, value) if target == types.VARCHAR and node.args["to"].expressions else value


def casted(node: exp.Expr, value: Typed, target: Type, word: str = "CAST") -> Typed:
    """`value` cast to `target`; `word` is CAST or TRY_CAST."""
    source = value.type
    if source == types.UNKNOWN:
        return Typed(coerced(NULL, target), target)
    if source == target:
        return value
    prepared = _prepared(value, target)
    if prepared:
        return Typed(f"{word}({prepared} AS {types.duckdb(target)})", target)
    if target == types.JSON:
        return Typed(f"CAST(to_json({_json_ready(node, value)}) AS JSON)", types.JSON)
    same_shape = source.name == target.name and len(source.args) == len(target.args)
    if target.args and (source == types.JSON or same_shape):
        nested = _nested(node, value, target)
        return Typed(f"TRY({nested})" if word == "TRY_CAST" else nested, target)
    hint = f" {_OF_ZONED}" if source == types.ZONED else ""
    raise mismatch(node, f"Cannot cast {source} to {target}.{hint}")


def _prepared(value: Typed, target: Type) -> str | None:
    """An operand for which DuckDB's own cast to `target` gives Trino's value; None if there is none."""
    sql, source = value.sql, value.type
    number = types.is_numeric(source)
    match target.name:
        case "varchar":
            return text(value)
        case "tinyint" | "smallint" | "integer" | "bigint":
            if source == types.VARCHAR:
                return f"trino_integer_text({sql})"
            if source == types.JSON:
                return f"trino_json_integer({sql})"
            if source in types.FLOATS:
                return f"round({sql})"
            return sql if number or source == types.BOOLEAN else None
        case "real" | "double":
            if source == types.VARCHAR:
                return f"trino_number_text({sql})"
            if source == types.JSON:
                return f"trino_json_number({sql})"
            return sql if number or source == types.BOOLEAN else None
        case "decimal":
            if source == types.VARCHAR:
                return f"trino_number_text({sql})"
            if source in types.FLOATS:
                # Java's BigDecimal.valueOf uses the shortest text of the double.
                return f"CAST({sql} AS VARCHAR)"
            return sql if number or source == types.BOOLEAN else None
        case "boolean":
            if source in (types.VARCHAR, types.JSON):
                return _BOOLEAN_TEXT.format(text(value))
            return sql if number else None
        case "date":
            if source == types.VARCHAR:
                return f"trino_date_text({sql})"
            return sql if source in (types.TIMESTAMP, types.INSTANT, types.ZONED) else None
        case "timestamp(3)":
            if source == types.VARCHAR:
                return f"trino_timestamp_text({sql})"
            return sql if source in (types.DATE, types.INSTANT) else None
        case "timestamp(3) with time zone":
            return sql if source in (types.DATE, types.TIMESTAMP) else None
    return None


def text(value: Typed) -> str | None:
    """The varchar to which Trino casts a value; None if it refuses the cast."""
    sql = value.sql
    match value.type:
        case types.VARCHAR:
            return sql
        case types.BOOLEAN | types.DATE | types.TINYINT | types.SMALLINT | types.INTEGER | types.BIGINT:
            return f"CAST({sql} AS VARCHAR)"
        case types.REAL | types.DOUBLE:
            return f"trino_double_as_text({sql})"
        case types.TIMESTAMP:
            return f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%g')"
        case types.INSTANT:
            return f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%g UTC')"
        case types.JSON:
            return f"trino_json_text({sql})"
    return f"CAST({sql} AS VARCHAR)" if value.type.name == "decimal" else None


def type_of(node: exp.Expr) -> Type:
    """The type that a CAST names."""
    kind, arguments = node.args.get("this"), node.expressions
    if kind in _SCALARS and not arguments:
        return _SCALARS[kind]
    if kind in _TIMESTAMPS and (not arguments or arguments[0].name == "3"):
        return _TIMESTAMPS[kind]
    if kind == exp.DType.VARCHAR:
        return types.VARCHAR
    if kind == exp.DType.DECIMAL:
        precision, scale = [int(part.name) for part in arguments] + [38, 0][len(arguments) :]
        if 1 <= precision <= types.DECIMAL_DIGITS_MAX and 0 <= scale <= precision:
            return types.decimal(precision, scale)
    if kind == exp.DType.ARRAY and len(arguments) == 1:
        return types.array(type_of(arguments[0]))
    if kind == exp.DType.MAP and len(arguments) == 2:
        return types.map_of(type_of(arguments[0]), type_of(arguments[1]))
    if kind == exp.DType.STRUCT and arguments:
        fields = [
            (part.name, part.args["kind"]) if isinstance(part, exp.ColumnDef) else (None, part) for part in arguments
        ]
        return types.row(tuple(type_of(field) for _, field in fields), tuple(name for name, _ in fields))
    named = kind.value if isinstance(kind, exp.DType) else str(kind)
    raise QueryRefused(f"{place(node)}No cast to {named.lower()} with these arguments here; valid are {_VALID}.")


def _of_literal(compiler: Compiler, node: exp.Cast, target: Type) -> Typed | None:
    """A literal read when the statement is planned: dates and timestamps, and DECIMAL '1.5' with its own digits."""
    literal = node.this.this
    typed_literal = re.search(r"\w$", compiler.sql[: node.this.meta["start"]].rstrip()) is not None
    if target == types.DATE:
        return date_text(parsed_date(literal, node))
    if target == types.TIMESTAMP and typed_literal:
        return timestamp_text(*parsed_timestamp(literal, node))
    if target == types.INSTANT:
        return timestamp_text(parsed_timestamp(literal, node)[0], True)
    number = re.fullmatch(r"[+-]?0*([0-9]*)\.?([0-9]*)", literal)
    if typed_literal and target.name == "decimal" and not node.args["to"].expressions and number:
        digits = len(number[1]) + len(number[2])
        type = types.decimal(max(digits, 1), len(number[2]))
        return Typed(f"CAST({quoted_text(literal)} AS {types.duckdb(type)})", type)
    return None


def _of_length(node: exp.Cast, source: Typed, value: Typed) -> Typed:
    """varchar(n): a longer varchar is cut off; the text of any other value must fit."""
    length = int(node.args["to"].expressions[0].name)
    if source.type == types.VARCHAR:
        return Typed(f"substr({value.sql}, 1, {length})", types.VARCHAR)
    too_long = failing(f"The value's text does not fit varchar({length})", types.VARCHAR)
    return Typed(f"(CASE WHEN length({value.sql}) > {length} THEN {too_long} ELSE {value.sql} END)", types.VARCHAR)


def _json_ready(node: exp.Expr, value: Typed) -> str:
    """`value`, in which the parts that `to_json` would write differently from Trino are replaced by their text."""
    if value.type in types.TIMES:
        return str(text(value))
    for part in _parts(value.type):
        if part in _NO_JSON:
            raise mismatch(
                node, f"Cannot cast {value.type} to json: {part} has no JSON here; cast it to varchar first."
            )
        if None in part.names:
            raise mismatch(node, f"Cannot cast {value.type} to json: name the fields with cast(... as row(name type)).")
    return value.sql


def _nested(node: exp.Expr, value: Typed, target: Type) -> str:
    """Casts of arrays, maps and rows, part by part."""
    if value.type == types.JSON:
        return f"CAST({value.sql} AS {types.duckdb(target)})"
    source = value.type
    if target.name == "array":
        element = casted(node, Typed('"e#"', source.args[0]), target.args[0])
        return f'list_transform({value.sql}, lambda "e#": {element.sql})'
    if target.name == "map":
        entry = ("struct_extract(\"e#\", 'key')", "struct_extract(\"e#\", 'value')")
        parts = [casted(node, Typed(sql, a), b) for sql, a, b in zip(entry, source.args, target.args, strict=True)]
        pair = f"{{'key': {parts[0].sql}, 'value': {parts[1].sql}}}"
        return f'map_from_entries(list_transform(map_entries({value.sql}), lambda "e#": {pair}))'
    fields = [casted(node, row_field(value, position), field) for position, field in enumerate(target.args)]
    built = f"row({', '.join(field.sql for field in fields)})"
    return f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE CAST({built} AS {types.duckdb(target)}) END"


def _parts(type: Type) -> list[Type]:
    return [type, *(inner for part in type.args for inner in _parts(part))]


def json_literal(_: Compiler, node: exp.ParseJSON, __: Scope) -> Typed:
    return Typed(f"json({quoted_text(node.this.this)})", types.JSON)


RULES: dict[type[exp.Expr], Rule] = {
    exp.Cast: rule(cast, "this to"),
    exp.TryCast: rule(cast, "this to safe"),
    exp.ParseJSON: rule(json_literal, "this is_literal"),
}
