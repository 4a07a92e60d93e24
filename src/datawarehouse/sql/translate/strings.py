"""Functions on text, or from values to text, that need more than a template."""

from __future__ import annotations

import re
import warnings

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.metadata import TRINO_VERSION
from datawarehouse.sql.translate import formats
from datawarehouse.sql.translate.arithmetic import concatenated
from datawarehouse.sql.translate.calls import (
    Call,
    arguments,
    by_signature,
    is_aggregate,
    lambda_body,
    special,
    varchar,
)
from datawarehouse.sql.translate.casts import text as text_of
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, coerced, failing, quoted_text
from datawarehouse.sql.translate.zones import local


@special("version")
def version(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    arguments(compiler, call, scope, 0)
    return Typed(quoted_text(TRINO_VERSION), types.VARCHAR)


@special("concat")
def concat(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    return concatenated(call.node, arguments(compiler, call, scope, 2, 127))


@special("replace")
def replace(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    parts = arguments(compiler, call, scope, 2, 3)
    text, search, *new = (varchar(call, part) for part in parts)
    replacement = new[0] if new else quoted_text("")
    # '' is found before and after each character.
    between = f"regexp_replace({text}, '', replace({replacement}, '\\', '\\\\'), 'g')"
    return Typed(f"if({search} = '', {between}, replace({text}, {search}, {replacement}))", types.VARCHAR)


@special("split")
def split(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """`split`; with a limit, the last part is the rest of the text."""
    value, delimiter, *limit = arguments(compiler, call, scope, 2, 3)
    parts = f"trino_split({varchar(call, value)}, {varchar(call, delimiter)})"
    if limit:
        if not types.coerces(limit[0].type, types.BIGINT):
            raise mismatch(call.node, f"the limit of split is a whole number; this is {limit[0].type}.")
        given, count = compiler.constant(call.arguments[2]), coerced(limit[0], types.BIGINT)
        if type(given) is int and given < 1:
            raise QueryFailed(f"INVALID_FUNCTION_ARGUMENT: {place(call.node)}The limit of split is 1 or more.")
        if type(given) is not int:
            known = f"{parts} IS NOT NULL AND {count} < 1"
            count = f"if({known}, {failing('The limit of split is 1 or more', types.BIGINT)}, {count})"
        first = f"list_slice({parts}, 1, {count} - 1)"
        joined = "trino_joined" if compiler.constant(call.arguments[1]) is None else "array_to_string"
        rest = f"{joined}(list_slice({parts}, {count}, len({parts})), {delimiter.sql})"
        parts = f"(CASE WHEN len({parts}) <= {count} THEN {parts} ELSE {first} || [{rest}] END)"
    return Typed(parts, types.array(types.VARCHAR))


@special("regexp_replace")
def regexp_replace(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    if len(call.arguments) == 3 and isinstance(call.arguments[2], exp.Lambda):
        return _replaced_by(compiler, call, scope)
    value, pattern, *replacement = arguments(compiler, call, scope, 2, 3)
    text, regular = varchar(call, value), varchar(call, pattern)
    known, new = compiler.constant(call.arguments[1]), quoted_text("")
    if isinstance(known, str):
        regular = quoted_text(_re2(known))
    if replacement:
        given = compiler.constant(call.arguments[2])
        new = f"trino_replacement({varchar(call, replacement[0])})"
        if isinstance(given, str):
            new = quoted_text(formats.regular_replacement(given, _group_names(known)))
    if new != quoted_text("") and known != "":
        # After a match that goes to the end Trino finds an empty one, and DuckDB none.
        empty = failing("A pattern that matches the empty text is not replaced here; write + for *", types.VARCHAR)
        text = f"if(regexp_full_match('', {regular}), {empty}, {text})"
    return Typed(f"regexp_replace({text}, {regular}, {new}, 'g')", types.VARCHAR)


def _group_names(pattern: object) -> list[str | None] | None:
    """The names of the groups of a pattern, None for a group without one; None if the pattern is not known before, or
    not read by Python."""
    if not isinstance(pattern, str):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of `[[:alpha:]]`
            found = re.compile(_re2(pattern))
    except re.error:
        return None
    names = {number: name for name, number in found.groupindex.items()}
    return [names.get(number) for number in range(1, found.groups + 1)]


@special("regexp_extract", "regexp_extract_all")
def regexp_extract(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """A group that the pattern does not have is an error, also where nothing matches."""
    if len(call.arguments) == 3:
        pattern, group = (compiler.constant(node) for node in call.arguments[1:])
        groups = _group_names(pattern)
        if groups is not None and type(group) is int and group > len(groups):
            raise QueryFailed(
                f"INVALID_FUNCTION_ARGUMENT: {place(call.node)}Pattern has {len(groups)} groups. Cannot access group "
                f"{group}"
            )
    return by_signature(compiler, call, scope)


def _re2(pattern: str) -> str:
    """The names of groups as RE2 writes them."""
    return re.sub(r"\(\?<(?![=!])", "(?P<", pattern)


def _replaced_by(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Each match replaced by what a function gives for the array of its groups; NULL if it gives NULL once."""
    value, pattern = (varchar(call, compiler.expression(node, scope)) for node in call.arguments[:2])
    regular = compiler.constant(call.arguments[1])
    groups = _group_names(regular)
    if isinstance(regular, str):
        pattern = quoted_text(_re2(regular))
    depth = len(scope.variables)
    at = f'"r{depth}#"'
    if groups is None:
        empty = failing("A pattern that matches the empty text is not replaced here", types.VARCHAR)
        value = f"if(regexp_full_match('', {pattern}), {empty}, {value})"
        group = f'"g{depth}#"'
        one = f"regexp_extract_all({value}, {pattern}, CAST({group} AS INTEGER))[{at}]"
        match = f"list_transform(range(1, trino_group_count({pattern}) + 1), lambda {group}: {one})"
    else:
        if re.fullmatch(_re2(str(regular)), ""):
            raise QueryRefused(f"{place(call.node)}A pattern that matches the empty text is not replaced here.")
        matched = [f"regexp_extract_all({value}, {pattern}, {group})[{at}]" for group in range(1, len(groups) + 1)]
        match = f"[{', '.join(matched)}]" if matched else "CAST([] AS VARCHAR[])"
    found = f"regexp_extract_all({value}, {pattern})"
    body, _ = lambda_body(compiler, call.arguments[2], [match], [types.array(types.VARCHAR)], scope)
    if body.type not in (types.VARCHAR, types.UNKNOWN):
        raise mismatch(call.node, f"the function of regexp_replace must return a varchar; it returns {body.type}.")
    news = f"list_transform(range(1, len({found}) + 1), lambda {at}: {coerced(body, types.VARCHAR)})"
    between = f"string_split_regex({value}, {pattern})"
    joined = (
        f'list_reduce(list_transform(list_zip({between}, {news}), lambda "z#": "z#"[1] || coalesce("z#"[2], \'\')), '
    )
    joined += 'lambda "x#", "y#": "x#" || "y#")'
    return Typed(f"(CASE WHEN list_count({news}) = len({news}) THEN {joined} END)", types.VARCHAR)


@special("normalize")
def normalize(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    forms = [node.name.upper() for node in call.arguments[1:]]
    if forms not in ([], ["NFC"]):
        raise QueryRefused(f"{place(call.node)}normalize has the form NFC alone here; got {', '.join(forms)}.")
    call.arguments = call.arguments[:1]
    return Typed(f"nfc_normalize({varchar(call, *arguments(compiler, call, scope, 1))})", types.VARCHAR)


@special("format")
def format(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Java's Formatter; NULL is written null."""
    values = arguments(compiler, call, scope, 1, 127)[1:]
    parts = formats.java(compiler.constant_text(call.arguments[0], "The format of format"))
    slots = [part for part in parts if isinstance(part, formats.Slot)]
    if len(slots) > len(values):
        raise mismatch(call.node, f"format has {len(slots)} places and {len(values)} values.")
    remaining = iter(values)
    texts = [quoted_text(part) if isinstance(part, str) else _placed(call, part, next(remaining)) for part in parts]
    return Typed(f"({' || '.join(texts) or quoted_text('')})", types.VARCHAR)


@special("url_extract_parameter")
def url_extract_parameter(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """The first parameter of a name in the query of a URL."""
    url, named = arguments(compiler, call, scope, 2)
    name, end = compiler.constant(call.arguments[1]), "(?:=([^&#]*))?(?:[&#]|$)"
    if isinstance(name, str):
        pattern = quoted_text(f"[?&]{re.escape(name)}{end}")
    else:
        pattern = f"('[?&]' || regexp_escape({varchar(call, named)}) || {quoted_text(end)})"
    text = varchar(call, url)
    found = f"coalesce(list_extract(regexp_extract_all({text}, {pattern}, 1), 1), '')"
    return Typed(f"if(regexp_matches({text}, {pattern}), url_decode(replace({found}, '+', ' ')), NULL)", types.VARCHAR)


@special("typeof")
def type_of(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    [value] = arguments(compiler, call, scope, 1)
    name = quoted_text(str(value.type))
    if any(isinstance(node, exp.Anonymous) and is_aggregate(node.name) for node in call.arguments[0].walk()):
        # Without the aggregate each row would give the name.
        return Typed(f"(CASE WHEN {value.sql} IS NULL THEN {name} ELSE {name} END)", types.VARCHAR)
    return Typed(name, types.VARCHAR)


def trim(compiler: Compiler, node: exp.Trim, scope: Scope) -> Typed:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(node.args.get("position") or "", "trim")
    parts = [node.this, *([node.expression] if node.args.get("expression") else [])]
    return compiler.expression(exp.Anonymous(this=name, expressions=parts), scope)


def substring(compiler: Compiler, node: exp.Substring, scope: Scope) -> Typed:
    parts = [part for part in (node.this, node.args.get("start"), node.args.get("length")) if part]
    return compiler.expression(exp.Anonymous(this="substr", expressions=parts), scope)


def position(compiler: Compiler, node: exp.StrPosition, scope: Scope) -> Typed:
    return compiler.expression(exp.Anonymous(this="strpos", expressions=[node.this, node.args["substr"]]), scope)


def _placed(call: Call, slot: formats.Slot, value: Typed) -> str:
    if slot.kind == "d" and value.type in types.INTEGERS:
        flags = slot.flags + (str(slot.width) if slot.width else "")
        placed = f"coalesce(printf('%{flags}d', CAST({value.sql} AS BIGINT)), {_padded(slot, quoted_text('null'))})"
    elif slot.kind == "f" and (value.type in types.FLOATS or value.type.name == "decimal"):
        # Java rounds the shortest decimal text of a double (half up); C rounds the double itself.
        placed = f"CAST(CAST(CAST({value.sql} AS VARCHAR) AS DECIMAL(38, {slot.digits})) AS VARCHAR)"
        if value.type in types.FLOATS:
            placed = f"if(isfinite({value.sql}), {placed}, trino_double_as_text({value.sql}))"
        placed = _padded(slot, f"coalesce({placed}, {quoted_text('null'[: slot.digits])})")
    elif slot.kind == "s" and (text := _java_text(value)):
        placed = _padded(slot, f"coalesce({text}, 'null')")
    else:
        raise mismatch(call.node, f"format: %{slot.kind} does not take {value.type}.")
    return placed


def _java_text(value: Typed) -> str | None:
    """What `String.valueOf` of Java gives for a value; of a time java.time's shortest text."""
    if value.type in types.FLOATS:
        return f"trino_double_as_text({value.sql})"
    if value.type.zone or value.type in types.DAYTIMES_WITH_OFFSET:
        return None
    if value.type in types.TIMESTAMPS or types.is_instant(value.type):
        moment = _short_time(f"strftime({local(value)}, '%Y-%m-%dT%H:%M:%S.%f')")
        return f"({moment} || 'Z[UTC]')" if types.is_instant(value.type) else moment
    if value.type in types.DAYTIMES:
        return _short_time(f"trino_time_text({value.sql}, {types.DIGITS_MAX})")
    return text_of(value)


def _short_time(text: str) -> str:
    """A time with six digits after the second with none or three, as java.time writes it, where the others are 0."""
    return f"regexp_replace(regexp_replace({text}, '(:00)?[.]000000$', ''), '([.]...)000$', '\\1')"


def _padded(slot: formats.Slot, text: str) -> str:
    if not slot.width:
        return text
    side = "rpad" if "-" in slot.flags else "lpad"
    return f"{side}({text}, CAST(greatest({slot.width}, length({text})) AS INTEGER), ' ')"


RULES: dict[type[exp.Expr], Rule] = {
    exp.Trim: rule(trim, "this expression position"),
    exp.Substring: rule(substring, "this start length"),
    exp.StrPosition: rule(position, "this substr"),
}
