"""CAST and TRY_CAST, by Trino's rules where DuckDB's differ.

- Text is read strictly: '1.5' is no integer, '2024-01-01T00:00:00' no timestamp. The macros named trino_..._text turn
  text that Trino refuses into text that DuckDB refuses too, so that CAST fails and TRY_CAST gives NULL.
- A double becomes an integer by rounding half away from zero; DuckDB rounds half to even.
- A timestamp's text has as many digits after the second as its type, at least three; a double's text is like 2.56E1
  (see docs/decisions/0006-sql.md).
- JSON becomes text, numbers and nested types by its values; other values become JSON by their types.
"""

from __future__ import annotations

import json
import re

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.literals import (
    date_text,
    daytime_text,
    parsed_date,
    parsed_timestamp,
    timestamp_text,
)
from datawarehouse.sql.translate.scope import Scope, row_field
from datawarehouse.sql.translate.typed import NULL, Typed, coerced, failing, quoted_text
from datawarehouse.sql.translate.zones import has_zone, local, moment_text
from datawarehouse.sql.translate.zones import text as text_with_zone
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
    exp.DType.UUID: types.UUID,
    exp.DType.IPADDRESS: types.IPADDRESS,
    exp.DType.HLLSKETCH: types.HYPERLOGLOG,
}
# Casts that have an expression of their own.
_BY_PAIR = {
    (types.VARCHAR, types.UUID): "trino_uuid({})",
    (types.VARBINARY, types.UUID): "trino_uuid_of_bytes({})",
    (types.UUID, types.VARCHAR): "{}",
    (types.UUID, types.VARBINARY): "unhex(replace({}, '-', ''))",
    (types.VARCHAR, types.IPADDRESS): "trino_ip({})",
    (types.VARBINARY, types.IPADDRESS): "trino_ip_of_bytes({})",
    (types.IPADDRESS, types.VARCHAR): "trino_ip_text({})",
    (types.IPADDRESS, types.VARBINARY): "unhex({})",
    (types.HYPERLOGLOG, types.VARBINARY): "trino_sketch_bytes({})",
    (types.VARBINARY, types.HYPERLOGLOG): "trino_sketch_of_bytes({})",
}
_TIMES = {
    exp.DType.TIMESTAMP: types.TIMESTAMPS,
    exp.DType.TIMESTAMPTZ: types.INSTANTS,
    exp.DType.TIME: types.DAYTIMES,
    exp.DType.TIMETZ: types.DAYTIMES_WITH_OFFSET,
}
_KEYS = (types.VARCHAR, types.BOOLEAN, types.UNKNOWN)
"""What can be a key of a JSON object, beside numbers."""
_NO_JSON = (
    types.VARBINARY,
    types.UUID,
    types.IPADDRESS,
    types.HYPERLOGLOG,
    *types.INTERVALS,
    *types.DAYTIMES,
    *types.DAYTIMES_WITH_OFFSET,
)
_VALID = (
    "boolean, tinyint, smallint, integer, bigint, real, double, decimal(p,s), varchar, varchar(n), varbinary, json, "
    "date, time, timestamp, both with up to six digits, as in timestamp(6), and with time zone, uuid, ipaddress, "
    "array(type), map(key, value) and row(name type, ...)"
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
    if target == types.VARCHAR and node.args["to"].expressions:
        return _of_length(node, source, value, lenient)
    return Typed(_cut(node.args["to"], value), value.type) if target.args else value


def casted(node: exp.Expr, value: Typed, target: Type, word: str = "CAST") -> Typed:
    """`value` cast to `target`; `word` is CAST or TRY_CAST."""
    source = value.type
    if source == types.UNKNOWN:
        return Typed(coerced(NULL, target), target)
    if source.zone and types.is_instant(target):
        target = types.instant(types.digits_of(target), source.zone)
    if source == target:
        return value
    if source.name == "char" and target == types.VARCHAR:
        return Typed(value.sql, types.VARCHAR)
    if "char" in (source.name, target.name) and source != types.VARCHAR and source.name != target.name:
        raise mismatch(node, f"Cannot cast {source} to {target}.")
    if (source, target) in _BY_PAIR:
        made = _BY_PAIR[source, target].format(value.sql)
        return Typed(f"TRY({made})" if word == "TRY_CAST" else made, target)
    prepared = _prepared(value, target)
    if prepared:
        if target.name == "decimal" and target.precision == target.scale < types.DECIMAL_DIGITS_MAX:
            # DuckDB reads no text with an exponent as a decimal that has no digit before the point.
            prepared = f"{word}({prepared} AS DECIMAL({target.precision + 1}, {target.scale}))"
        made = f"{word}({prepared} AS {types.duckdb(target)})"
        return Typed(f"TRY({made})" if word == "TRY_CAST" and source == types.JSON else made, target)
    if target == types.JSON:
        return Typed(to_json(node, value), types.JSON)
    if source == types.JSON and target.args:
        exact = f"trino_json_exact({value.sql})" if _has_decimal(target) else value.sql
        nested = from_json(node, exact, target)
        return Typed(f"TRY({nested})" if word == "TRY_CAST" else nested, target)
    if target.args and has_zone(source):
        raise QueryRefused(
            f"{place(node)}{source} has times in a zone inside, which a cast to {target} would lose here."
        )
    same_shape = source.name == target.name and len(source.args) == len(target.args)
    if target.args and same_shape:
        nested = _nested(node, value, target)
        return Typed(f"TRY({nested})" if word == "TRY_CAST" else nested, target)
    hint = f" {_OF_ZONED}" if source.zone else ""
    raise mismatch(node, f"Cannot cast {source} to {target}.{hint}")


def _prepared(value: Typed, target: Type) -> str | None:
    """An operand for which DuckDB's own cast to `target` gives Trino's value; None if there is none."""
    sql, source = value.sql, value.type
    number = types.is_numeric(source)
    match target.name:
        case "varchar":
            return text(value)
        case "char":
            shown = text(value)
            return shown and f"rpad(substr({shown}, 1, {target.precision}), {target.precision}, ' ')"
        case "tinyint" | "smallint" | "integer" | "bigint":
            if source == types.VARCHAR:
                return f"trino_integer_text({sql})"
            if source == types.JSON:
                return f"trino_json_integer({sql})"
            if source == types.REAL and target == types.BIGINT:
                # In Trino a real that is too large is the greatest bigint, or the least.
                large = f"if({sql} > 0, {2**63 - 1}, CAST('-{2**63}' AS BIGINT))"
                return f"if(NOT isnan({sql}) AND abs({sql}) >= {2**63}e0, {large}, CAST(round({sql}) AS BIGINT))"
            if source in types.FLOATS:
                return f"round({sql})"
            return sql if number or source == types.BOOLEAN else None
        case "real" | "double":
            if source == types.VARCHAR:
                return f"trino_number_text({sql})"
            if source == types.JSON:
                return f"trino_json_number({sql})"
            if source == types.DOUBLE and target == types.REAL:
                return f"if(abs({sql}) >= 3.4028235677973366e38, sign({sql}) * CAST('inf' AS FLOAT), {sql})"
            return sql if number or source == types.BOOLEAN else None
        case "decimal":
            shown = {
                types.VARCHAR: f"trino_decimal_text({sql})",
                # Java's BigDecimal.valueOf uses the shortest text of the double.
                types.DOUBLE: f"CAST({sql} AS VARCHAR)",
                types.REAL: f"trino_real_digits({sql})",
                types.JSON: _bound(f"trino_json_exact({sql})", '"jx#"', 'trino_json_decimal("jx#")'),
            }.get(source)
            return shown or (sql if number or source == types.BOOLEAN else None)
        case "varbinary":
            return f"encode({sql})" if source == types.VARCHAR else None
        case "boolean":
            if source == types.JSON:
                return f"trino_json_truth({sql})"
            if source == types.VARCHAR:
                return _BOOLEAN_TEXT.format(text(value))
            return sql if number else None
        case "date":
            if source == types.VARCHAR:
                return f"trino_date_text({sql})"
            if source.zone:
                return local(value)
            return sql if source in (*types.TIMESTAMPS, *types.INSTANTS) else None
    return _prepared_time(value, target)


def _prepared_time(value: Typed, target: Type) -> str | None:
    """As `_prepared`, for times of day and timestamps."""
    sql, source = value.sql, value.type
    if target in types.TIMESTAMPS:
        if source == types.VARCHAR:
            rounds = target == types.TIMESTAMP
            return (
                f"trino_timestamp_text({sql})" if rounds else f"trino_long_timestamp({sql}, {types.digits_of(target)})"
            )
        if source == types.DATE:
            return sql
        return _rounded(value, target) if source in (*types.TIMESTAMPS, *types.INSTANTS) else None
    if types.is_instant(target):
        if source == types.DATE:
            return sql
        return _rounded(value, target) if source in types.TIMESTAMPS or types.is_instant(source) else None
    if target in types.DAYTIMES:
        if source == types.VARCHAR:
            return f"trino_time({sql}, {types.digits_of(target)})"
        if source in (*types.TIMESTAMPS, *types.INSTANTS):
            name = "trino_time_of({})" if source in types.TIMESTAMPS else "CAST({} AS TIME)"
            value = Typed(name.format(local(value)), types.DAYTIMES[types.digits_of(source)])
        return _rounded(value, target) if value.type in types.DAYTIMES else None
    return None


def _rounded(value: Typed, target: Type) -> str:
    """A time with no more digits after the second than `target` has; half of the last one is rounded up."""
    digits = types.digits_of(target)
    if types.digits_of(value.type) <= digits:
        return value.sql
    unit = 10 ** (types.DIGITS_MAX - digits)
    if target in types.DAYTIMES:
        return f"(TIME '00:00:00' + to_microseconds((epoch_us({value.sql}) + {unit // 2}) // {unit} * {unit}))"
    return f"trino_rounded_time({value.sql}, {unit})"


_INTERVALS = {("YEAR", "MONTH"): types.YEAR_TO_MONTH, ("DAY", "SECOND"): types.DAY_TO_SECOND}


def text(value: Typed) -> str | None:
    """The varchar to which Trino casts a value; None if it refuses the cast."""
    sql = value.sql
    match value.type:
        case types.VARCHAR | types.Type(name="char"):
            return sql
        case types.BOOLEAN | types.DATE | types.TINYINT | types.SMALLINT | types.INTEGER | types.BIGINT:
            return f"CAST({sql} AS VARCHAR)"
        case types.REAL:
            return f"trino_real_cast({sql})"
        case types.DOUBLE:
            return f"trino_double_cast({sql})"
        case types.JSON:
            return f"trino_json_text({sql})"
        case types.UUID | types.IPADDRESS:
            return _BY_PAIR[value.type, types.VARCHAR].format(sql)
        case types.UNKNOWN:
            return f"CAST({sql} AS VARCHAR)"
    if value.type in types.TIMESTAMPS:
        return moment_text(sql, types.digits_of(value.type))
    if types.is_instant(value.type):
        return text_with_zone(value)
    if value.type in types.DAYTIMES:
        return f"trino_time_text({sql}, {types.digits_of(value.type)})"
    if value.type in types.DAYTIMES_WITH_OFFSET:
        return sql
    if value.type == types.DAY_TO_SECOND:
        return f"trino_day_to_second_text(epoch_ms({sql}))"
    if value.type == types.YEAR_TO_MONTH:
        return f"trino_year_to_month_text(datepart('year', {sql}) * 12 + datepart('month', {sql}))"
    if value.type.name == "decimal":
        fraction = value.type.precision == value.type.scale
        return f"trino_fraction_text({sql})" if fraction else f"CAST({sql} AS VARCHAR)"
    return None


def type_of(node: exp.Expr) -> Type:
    """The type that a CAST names."""
    kind, arguments = node.args.get("this"), node.expressions
    if kind in _SCALARS and not arguments:
        return _SCALARS[kind]
    if kind in _TIMES and (found := _time_of(_TIMES[kind], arguments[0].name if arguments else "3")):
        return found
    if isinstance(kind, exp.Interval) and isinstance(kind.args.get("unit"), exp.IntervalSpan):
        span = tuple(part.name.upper() for part in (kind.args["unit"].this, kind.args["unit"].expression))
        if span in _INTERVALS:
            return _INTERVALS[span]
    sized = all(part.name.isdigit() for part in arguments)
    if kind == exp.DType.VARCHAR and sized:
        return types.VARCHAR
    if kind in (exp.DType.CHAR, exp.DType.NCHAR) and sized and len(arguments) < 2:
        return types.char(int(arguments[0].name) if arguments else 1)
    if kind == exp.DType.DECIMAL and sized and len(arguments) < 3:
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


def _time_of(family: tuple[Type, ...], digits: str) -> Type | None:
    """The type with so many digits; None if there is none."""
    return next((type for type in family if str(types.digits_of(type)) == digits), None)


def _of_literal(compiler: Compiler, node: exp.Cast, target: Type) -> Typed | None:
    """A literal read when the statement is planned: dates and timestamps, and DECIMAL '1.5' with its own digits."""
    literal = node.this.this
    typed_literal = re.search(r"\w$", compiler.sql[: node.this.meta["start"]].rstrip()) is not None
    if target.name == "char" and typed_literal:
        return Typed(quoted_text(literal), types.char(len(literal)))
    if target == types.DATE:
        return date_text(parsed_date(literal if typed_literal else literal.strip().removeprefix("+"), node))
    if target == types.TIMESTAMP and typed_literal:
        return timestamp_text(parsed_timestamp(literal, node), node)
    if typed_literal and (target in types.DAYTIMES or target in types.DAYTIMES_WITH_OFFSET):
        return daytime_text(literal, node)
    if types.is_instant(target):
        moment = parsed_timestamp(literal, node)
        if typed_literal:
            return timestamp_text(moment, node)
        digits = types.digits_of(target)
        return timestamp_text(moment.rounded(digits)._replace(zone=moment.zone or "UTC", digits=digits), node)
    number = re.fullmatch(r"[+-]?0*([0-9]*)\.?([0-9]*)", literal)
    if typed_literal and target.name == "decimal" and not node.args["to"].expressions and number:
        digits = len(number[1]) + len(number[2])
        type = types.decimal(max(digits, 1), len(number[2]))
        return Typed(f"CAST({quoted_text(literal)} AS {types.duckdb(type)})", type)
    return None


def _of_length(node: exp.Cast, source: Typed, value: Typed, lenient: bool) -> Typed:
    """varchar(n): a longer varchar is cut off; the text of any other value must fit, or is NULL if `lenient`."""
    length = int(node.args["to"].expressions[0].name)
    if source.type == types.VARCHAR or source.type.name == "char":
        return Typed(f"substr({value.sql}, 1, {length})", types.VARCHAR)
    too_long = "NULL" if lenient else failing(f"The value's text does not fit varchar({length})", types.VARCHAR)
    return Typed(f"(CASE WHEN length({value.sql}) > {length} THEN {too_long} ELSE {value.sql} END)", types.VARCHAR)


def _cut(named: exp.Expr, value: Typed, depth: int = 0) -> str:
    """A nested value whose texts are cut off where the type that a CAST names gives a length."""
    lengths = named.find_all(exp.DataType)
    if not any(kind.this == exp.DType.VARCHAR and kind.expressions for kind in lengths):
        return value.sql
    inner = [part.args["kind"] if isinstance(part, exp.ColumnDef) else part for part in named.expressions]
    item = f'"v{depth}#"'
    if value.type == types.VARCHAR:
        return f"substr({value.sql}, 1, {int(inner[0].name)})"
    if value.type.name == "array":
        return (
            f"list_transform({value.sql}, lambda {item}: {_cut(inner[0], Typed(item, value.type.args[0]), depth + 1)})"
        )
    if value.type.name == "map":
        sides = zip(("key", "value"), inner, value.type.args, strict=True)
        parts = (f"'{side}': {_cut(kind, Typed(f'{item}.{side}', type), depth + 1)}" for side, kind, type in sides)
        pairs = f"list_transform(map_entries({value.sql}), lambda {item}: {{{', '.join(parts)}}})"
        return f"map_from_entries({pairs})"
    fields = (_cut(kind, row_field(value, at), depth) for at, kind in enumerate(inner))
    return f"CASE WHEN {value.sql} IS NOT NULL THEN CAST(row({', '.join(fields)}) AS {types.duckdb(value.type)}) END"


def to_json(node: exp.Expr, value: Typed, depth: int = 0) -> str:
    """The JSON of a value: objects with their keys in order, and texts for numbers that JSON does not have."""
    sql, type, item = value.sql, value.type, f'"j{depth}#"'
    if type in types.TIMES and not types.is_instant(type):
        return f"to_json({text(value)})"
    if type in types.FLOATS:
        shown = f"trino_double_as_text({sql})"
        return f"if(isfinite({sql}), CAST({shown} AS JSON), to_json({shown}))"
    if type.name == "decimal":
        return f"CAST({text(value)} AS JSON)"
    # Texts are joined, because to_json would write the numbers of what is inside in another form.
    if type.name == "array":
        element = _json_text(node, Typed(item, type.args[0]), depth + 1)
        return f"CAST('[' || array_to_string(list_transform({sql}, lambda {item}: {element}), ',') || ']' AS JSON)"
    if type.name == "map":
        named = Typed(f"{item}.key", type.args[0])
        key = f"trino_double_as_text({named.sql})" if named.type in types.FLOATS else text(named)
        if key is None or not (types.is_numeric(named.type) or named.type in _KEYS):
            raise mismatch(node, f"Cannot cast {type} to json: {type.args[0]} is no key of an object.")
        element = _json_text(node, Typed(f"{item}.value", type.args[1]), depth + 1)
        entries = f"list_sort(list_transform(map_entries({sql}), lambda {item}: row({key}, {element})))"
        pairs = f"list_transform({entries}, lambda {item}: to_json({item}[1]) || ':' || {item}[2])"
        return f"CAST('{{' || array_to_string({pairs}, ',') || '}}' AS JSON)"
    if type.name == "row":
        fields = [
            f"{quoted_text(json.dumps(name or '') + ':')} || {_json_text(node, row_field(value, at), depth)}"
            for at, name in enumerate(type.names)
        ]
        members = " || ',' || ".join(fields)
        return f"CASE WHEN {sql} IS NOT NULL THEN CAST('{{' || {members} || '}}' AS JSON) END"
    if type in _NO_JSON or types.is_instant(type) or type.name == "char":
        raise mismatch(node, f"Cannot cast to json: {type} has no JSON here; cast it to varchar first.")
    return f"to_json({sql})"


def _json_text(node: exp.Expr, value: Typed, depth: int) -> str:
    return f"coalesce(CAST({to_json(node, value, depth)} AS VARCHAR), 'null')"


def _bound(sql: str, name: str, body: str) -> str:
    """`body` with `name` for a value that it uses many times: DuckDB would write it out, and compute it, each time."""
    return f"list_extract(list_transform([{sql}], lambda {name}: {body}), 1)"


def from_json(node: exp.Expr, sql: str, target: Type, depth: int = 0) -> str:
    """A JSON value cast to an array, a map or a row, part by part. An object gives a row the fields that it names."""
    if not target.args:
        if target == types.JSON:
            return f"coalesce({sql}, CAST('null' AS JSON))"
        return casted(node, Typed(sql, types.JSON), target).sql
    whole_value, sql = sql, f'"k{depth}#"'
    item, kind = f'"j{depth}#"', f"json_type({sql})"
    null = types.duckdb(target)
    wrong = failing(f"Cannot cast this JSON to {target}", target)
    if target.name == "array":
        element = from_json(node, item, target.args[0], depth + 1)
        whole = f"WHEN 'ARRAY' THEN list_transform(CAST({sql} AS JSON[]), lambda {item}: {element})"
    elif target.name == "map":
        key = casted(node, Typed(f"{item}.key", types.VARCHAR), target.args[0]).sql
        element = from_json(node, f"{item}.value", target.args[1], depth + 1)
        entries = f"map_entries(CAST({sql} AS MAP(VARCHAR, JSON)))"
        pair = f"{{'key': {key}, 'value': {element}}}"
        whole = f"WHEN 'OBJECT' THEN map_from_entries(list_transform({entries}, lambda {item}: {pair}))"
    else:
        places = [f"json_extract({sql}, '$[{at}]')" for at in range(len(target.args))]
        whole = (
            f"WHEN 'ARRAY' THEN CASE WHEN json_array_length({sql}) = {len(target.args)} "
            f"THEN {_row_of_json(node, places, target, depth)} ELSE {wrong} END"
        )
        if None not in target.names:
            paths = ['$."' + str(name).replace('"', '\\"') + '"' for name in target.names]
            fields = [
                f"trino_json_member({sql}, {quoted_text(path)}, {quoted_text(str(name).lower())})"
                for path, name in zip(paths, target.names, strict=True)
            ]
            whole += f" WHEN 'OBJECT' THEN {_row_of_json(node, fields, target, depth)}"
    body = f"(CASE {kind} {whole} WHEN 'NULL' THEN CAST(NULL AS {null}) ELSE if({sql} IS NULL, NULL, {wrong}) END)"
    return _bound(whole_value, sql, body)


def _has_decimal(type: Type) -> bool:
    return type.name == "decimal" or any(map(_has_decimal, type.args))


def _row_of_json(node: exp.Expr, parts: list[str], target: Type, depth: int) -> str:
    name = f'"l{depth}#"'
    fields = (
        part if kind == types.JSON else _bound(part, name, from_json(node, name, kind, depth + 1))
        for part, kind in zip(parts, target.args, strict=True)
    )
    return f"CAST(row({', '.join(fields)}) AS {types.duckdb(target)})"


def _nested(node: exp.Expr, value: Typed, target: Type) -> str:
    """Casts of arrays, maps and rows, part by part."""
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


def json_literal(_: Compiler, node: exp.ParseJSON, __: Scope) -> Typed:
    try:
        json.loads(node.this.this, parse_constant=int)
    except (ValueError, RecursionError):
        raise QueryFailed(f"{place(node)}{node.this.this!r} is not a valid JSON literal.") from None
    return Typed(f"json({quoted_text(node.this.this)})", types.JSON)


RULES: dict[type[exp.Expr], Rule] = {
    exp.Cast: rule(cast, "this to"),
    exp.TryCast: rule(cast, "this to safe"),
    exp.ParseJSON: rule(json_literal, "this is_literal"),
}
