"""json_exists, json_value, json_query, json_object and json_array, with the clauses of SQL/JSON.

1. The input and what PASSING gives are lists of JSON values: one value, none (NULL as FORMAT JSON), or NULL for a text
   that is not JSON.
2. The path is a list, too (see `json_paths`). NULL for one of the lists is an error, which ON ERROR answers.
3. Each list is bound to a lambda's parameter, so that its text is there once.

Sources: ISO 9075-2; Trino documentation, "JSON functions and operators".
"""

from __future__ import annotations

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.json_grammar import JsonCall
from datawarehouse.sql.translate import json_paths
from datawarehouse.sql.translate.casts import casted, to_json, type_of
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, coerced, failing, quoted_text
from datawarehouse.sql.types import Type

_TEXTS = (types.VARCHAR, types.UNKNOWN)
_PASSED = (types.BOOLEAN, *types.INTEGERS, types.DOUBLE, types.VARCHAR)
_VALUES = (*_PASSED, types.REAL, *types.TIMES)
_EMPTY = {"EMPTY ARRAY": "'[]'", "EMPTY OBJECT": "'{}'"}
_KEYS_MAX = 12
"""How many keys a java.util.HashMap of the first size holds before it grows."""


def json_call(compiler: Compiler, node: JsonCall, scope: Scope) -> Typed:
    if node.name in ("json_object", "json_array"):
        return _constructed(compiler, node, scope)
    value, path = node.expressions
    source = compiler.expression(value.this if isinstance(value, exp.FormatJson) else value, scope)
    if source.type != types.JSON and source.type not in _TEXTS and source.type.name != "char":
        raise mismatch(node, f"{node.name} reads a varchar; this is {source.type}. Use cast(... as varchar).")
    lists, names, whole = [_parsed(source)], {}, True
    for passed in node.args.get("passing") or ():
        name = passed.args["alias"]
        text, is_whole = _passed(compiler, passed.this, scope)
        lists.append(text)
        whole = whole and is_whole
        names[name.name if name.args.get("quoted") else name.name.upper()] = f'"jc#"[{len(lists)}]'
    found = json_paths.translated(
        compiler.constant_text(path, f"The path of {node.name}"), '"jc#"[1]', names, arithmetic=whole
    )
    readable = " AND ".join(f'"jc#"[{at + 1}] IS NOT NULL' for at in range(len(lists)))
    sequence = f"CASE WHEN {readable} THEN {found} END"
    type, result = {"json_exists": _exists, "json_value": _value, "json_query": _query}[node.name](
        compiler, node, scope
    )
    result = f'list_transform([{sequence}], lambda "js#": {result})[1]'
    bound = f'list_transform([row({", ".join(lists)})], lambda "jc#": {result})[1]'
    if source.type == types.UNKNOWN:
        return Typed(f"CAST(NULL AS {types.duckdb(type)})", type)
    return Typed(f"(CASE WHEN {source.sql} IS NOT NULL THEN {bound} END)", type)


def _parsed(source: Typed) -> str:
    if source.type == types.JSON:
        return f"[{source.sql}]"
    text = coerced(source, types.VARCHAR)
    return f"CASE WHEN json_valid(trino_strict_json({text})) THEN [json({text})] END"


def _passed(compiler: Compiler, node: exp.Expr, scope: Scope) -> tuple[str, bool]:
    """A value of PASSING as a list, and whether it is no number or one of the type integer."""
    if isinstance(node, exp.FormatJson) or _gives_json(node):
        value = compiler.expression(node.this if isinstance(node, exp.FormatJson) else node, scope)
        if value.type not in _TEXTS and value.type.name != "char":
            raise mismatch(node, f"FORMAT JSON reads a varchar; this is {value.type}.")
        return f"if({coerced(value, types.VARCHAR)} IS NULL, {json_paths.NOTHING}, {_parsed(value)})", True
    value = compiler.expression(node, scope)
    if value.type == types.UNKNOWN:
        return "[CAST('null' AS JSON)]", True
    if value.type.name == "char":
        value = Typed(value.sql, types.VARCHAR)
    if value.type not in _PASSED:
        raise QueryRefused(
            f"{place(node)}PASSING gives a boolean, a whole number, a double or a varchar here; this is {value.type}."
        )
    whole = not types.is_numeric(value.type) or value.type == types.INTEGER
    return f"[coalesce({to_json(node, value)}, CAST('null' AS JSON))]", whole


def _gives_json(node: exp.Expr) -> bool:
    return isinstance(node, JsonCall) and node.name in ("json_query", "json_object", "json_array")


def _failed(node: JsonCall, event: str, type: Type) -> str:
    message = {"empty": "found nothing", "error": "failed: the input, the path or the type does not fit"}[event]
    return failing(f"{node.name} {message}, and the statement says ERROR ON {event.upper()}", type)


def _exists(compiler: Compiler, node: JsonCall, scope: Scope) -> tuple[Type, str]:
    behaviour = node.args.get("on_error") or "FALSE"
    otherwise = {"ERROR": _failed(node, "error", types.BOOLEAN), "UNKNOWN": "CAST(NULL AS BOOLEAN)"}.get(
        behaviour, behaviour
    )
    return types.BOOLEAN, f'CASE WHEN "js#" IS NOT NULL THEN len("js#") > 0 ELSE {otherwise} END'


def _value(compiler: Compiler, node: JsonCall, scope: Scope) -> tuple[Type, str]:
    returning = node.args.get("returning")
    type = type_of(returning) if returning else types.VARCHAR
    if type.args or type in (types.JSON, types.VARBINARY):
        raise mismatch(node, f"json_value returns a scalar; {type} is none.")
    item = '"js#"[1]'
    shown = Typed(item, types.JSON)
    scalar = casted(node, casted(node, shown, types.VARCHAR) if type.name == "char" else shown, type).sql
    if type == types.VARCHAR and returning and returning.expressions:
        length = int(returning.expressions[0].name)
        scalar = (
            f"CASE WHEN json_type({item}) = 'VARCHAR' THEN substr({item} ->> '$', 1, {length}) "
            f"WHEN length({scalar}) <= {length} THEN {scalar} END"
        )
    found = f"CASE WHEN len(\"js#\") = 1 AND json_type({item}) NOT IN ('OBJECT', 'ARRAY') THEN TRY({scalar}) END"
    return type, (
        f'CASE WHEN len("js#") = 0 THEN {_default(compiler, node, "empty", type, scope)} '
        f"WHEN len(\"js#\") = 1 AND json_type({item}) = 'NULL' THEN CAST(NULL AS {types.duckdb(type)}) "
        f"ELSE coalesce({found}, {_default(compiler, node, 'error', type, scope)}) END"
    )


def _default(compiler: Compiler, node: JsonCall, event: str, type: Type, scope: Scope) -> str:
    behaviour = node.args.get(f"on_{event}") or "NULL"
    if behaviour == "ERROR":
        return _failed(node, event, type)
    if behaviour == "NULL":
        return f"CAST(NULL AS {types.duckdb(type)})"
    default = node.args[f"{event}_default"]
    if default.find(exp.Query):
        raise QueryRefused(f"{place(node)}DEFAULT of json_value takes no query here; join it instead.")
    value = compiler.expression(default, scope)
    if not types.coerces(value.type, type) and value.type != types.UNKNOWN and value.type.name != type.name:
        raise mismatch(default, f"the default must be of the type {type}; it is {value.type}.")
    return casted(default, value, type).sql


def _query(compiler: Compiler, node: JsonCall, scope: Scope) -> tuple[Type, str]:
    type, wrapper, quotes = types.VARCHAR, node.args.get("wrapper") or "WITHOUT", node.args.get("quotes")
    if quotes and wrapper != "WITHOUT":
        raise QueryFailed(f"{place(node)}json_query takes no KEEP or OMIT QUOTES together with WITH WRAPPER.")
    item = '"js#"[1]'
    text = f"CAST({item} AS VARCHAR)"
    if quotes == "OMIT":
        text = f"if(json_type({item}) = 'VARCHAR', {item} ->> '$', {text})"
    texts = 'list_transform("js#", lambda "jt#": CAST("jt#" AS VARCHAR))'
    wrapped = f"'[' || array_to_string({texts}, ',') || ']'"
    found = {
        "WITHOUT": f'CASE WHEN len("js#") = 1 THEN {text} END',
        "CONDITIONAL": f"CASE WHEN len(\"js#\") = 1 AND json_type({item}) IN ('OBJECT', 'ARRAY') THEN {text} "
        f'WHEN "js#" IS NOT NULL THEN {wrapped} END',
        "UNCONDITIONAL": f'CASE WHEN "js#" IS NOT NULL THEN {wrapped} END',
    }[wrapper]
    empty, error = (
        _failed(node, event, type)
        if node.args.get(f"on_{event}") == "ERROR"
        else _EMPTY.get(node.args.get(f"on_{event}") or "", "CAST(NULL AS VARCHAR)")
        for event in ("empty", "error")
    )
    result = f'CASE WHEN len("js#") = 0 THEN {empty} ELSE coalesce({found}, {error}) END'
    return _returned(node, Typed(result, type))


def _returned(node: JsonCall, value: Typed) -> tuple[Type, str]:
    """A text in the type of RETURNING; a longer one is cut off."""
    returning = node.args.get("returning")
    type = type_of(returning) if returning else types.VARCHAR
    if type.name not in ("varchar", "char"):
        raise mismatch(node, f"{node.name} returns a varchar or a char; {type} is none.")
    if type.name == "char":
        return type, casted(node, value, type).sql
    if returning and returning.expressions:
        return type, f"substr({value.sql}, 1, {int(returning.expressions[0].name)})"
    return type, value.sql


# -- constructors


def _constructed(compiler: Compiler, node: JsonCall, scope: Scope) -> Typed:
    if node.name == "json_array":
        brackets, texts = "[]", [_member(compiler, node, item, scope) for item in node.expressions]
        if node.args.get("nulls") == "NULL":
            texts = [f"coalesce({text}, 'null')" for text in texts]
    else:
        brackets, texts = "{}", _members(compiler, node, scope)
    joined = f"coalesce(array_to_string([{', '.join(texts)}], ','), '')" if texts else "''"
    result = Typed(f"({quoted_text(brackets[0])} || {joined} || {quoted_text(brackets[1])})", types.VARCHAR)
    type, text = _returned(node, result)
    return Typed(text, type)


def _member(compiler: Compiler, node: JsonCall, item: exp.Expr, scope: Scope) -> str:
    """A value as the text of its JSON; NULL for NULL."""
    inner = item.this if isinstance(item, exp.FormatJson) else item
    value = compiler.expression(inner, scope)
    if value.type == types.UNKNOWN:
        return "CAST(NULL AS VARCHAR)"
    if isinstance(item, exp.FormatJson) or _gives_json(item):
        if value.type != types.VARCHAR and value.type.name != "char":
            raise mismatch(node, f"FORMAT JSON reads a varchar; this is {value.type}.")
        text = coerced(value, types.VARCHAR)
        wrong = failing(f"{node.name}: a value of FORMAT JSON is not JSON", types.VARCHAR)
        if isinstance(item, JsonCall) and item.name in ("json_object", "json_array"):
            return text
        # Trino keeps one of two members with the same key, or none: these fail here.
        unique = f"WHEN len(trino_json_leaves(json({text}))) > 0 THEN CAST(json({text}) AS VARCHAR)"
        valid = f"json_valid(trino_strict_json({text}))"
        return f"CASE WHEN {text} IS NULL THEN NULL WHEN NOT {valid} THEN {wrong} {unique} END"
    if value.type not in _VALUES and value.type.name not in ("decimal", "char"):
        raise QueryRefused(
            f"{place(item)}{node.name} takes booleans, numbers, texts, dates and times here; this is {value.type}. For "
            "others write json_format(cast(... as json)) FORMAT JSON."
        )
    if value.type.name == "char":
        value = Typed(value.sql, types.VARCHAR)
    return f"CAST({to_json(item, value)} AS VARCHAR)"


def _members(compiler: Compiler, node: JsonCall, scope: Scope) -> list[str]:
    """The members of an object in the order that Trino gives them."""
    keys = [member.this for member in node.expressions]
    names = [compiler.constant(key) for key in keys]
    if len(keys) > 1:
        known = [name for name in names if isinstance(name, str)]
        if len(known) < len(keys):
            raise QueryRefused(
                f"{place(node)}The keys of json_object must be literals here when it has more than one: Trino's order "
                "of the members depends on them. Use cast(map(...) as json)."
            )
        if len(set(known)) < len(known):
            raise QueryFailed(f"{place(node)}json_object has the same key twice.")
        if len(keys) > _KEYS_MAX:
            raise QueryRefused(f"{place(node)}json_object takes at most {_KEYS_MAX} members here.")
        order = sorted(range(len(keys)), key=lambda at: _bucket(known[at]))
    else:
        order = list(range(len(keys)))
    texts = []
    for at in order:
        key = compiler.expression(keys[at], scope)
        if key.type not in _TEXTS and key.type.name != "char":
            raise mismatch(node, f"a key of json_object is a varchar; this is {key.type}.")
        missing = failing("A key of json_object is NULL", types.VARCHAR)
        name = coerced(key, types.VARCHAR)
        shown = f"CASE WHEN {name} IS NULL THEN {missing} ELSE CAST(to_json({name}) AS VARCHAR) END || ':'"
        value = _member(compiler, node, node.expressions[at].expression, scope)
        if node.args.get("nulls") != "ABSENT":
            value = f"coalesce({value}, 'null')"
        texts.append(f"({shown} || {value})")
    return texts


def _bucket(key: str) -> int:
    """The place of a key in a java.util.HashMap of 16 places, in whose order Trino writes the members."""
    units = key.encode("utf-16-be", "surrogatepass")
    total = 0
    for at in range(0, len(units), 2):
        total = (31 * total + int.from_bytes(units[at : at + 2], "big")) & 0xFFFFFFFF
    return (total ^ (total >> 16)) & 15


RULES: dict[type[exp.Expr], Rule] = {
    JsonCall: rule(
        json_call,
        "this expressions passing returning on_empty on_error empty_default error_default wrapper quotes nulls keys",
    ),
}
