"""Functions on text, or from values to text, that need more than a template."""

from __future__ import annotations

import re

from sqlglot import exp

from datawarehouse.errors import QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.translate import formats
from datawarehouse.sql.translate.arithmetic import concatenated
from datawarehouse.sql.translate.calls import Call, arguments, special, varchar
from datawarehouse.sql.translate.casts import text as text_of
from datawarehouse.sql.translate.compiler import Compiler, Rule, mismatch, rule
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, failing, quoted_text


@special("concat")
def concat(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    return concatenated(call.node, arguments(compiler, call, scope, 2, 127))


@special("replace")
def replace(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    parts = arguments(compiler, call, scope, 2, 3)
    if compiler.constant(call.arguments[1]) == "":
        raise QueryRefused(
            f"{place(call.node)}replace of '' is not supported: Athena puts the text between all characters."
        )
    text, search, *new = (varchar(call, part) for part in parts)
    if compiler.constant(call.arguments[1]) is None:
        empty = failing("replace of '' is not supported here", types.VARCHAR)
        search = f"CASE WHEN {search} = '' THEN {empty} ELSE {search} END"
    return Typed(f"replace({text}, {search}, {new[0] if new else quoted_text('')})", types.VARCHAR)


@special("split")
def split(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """`split`; with a limit, the last part is the rest of the text."""
    value, delimiter, *limit = arguments(compiler, call, scope, 2, 3)
    parts = f"trino_split({varchar(call, value)}, {varchar(call, delimiter)})"
    if limit:
        count = compiler.constant(call.arguments[2])
        if type(count) is not int or count < 1:
            raise QueryRefused(f"{place(call.node)}The limit of split must be a literal number from 1.")
        first = f"list_slice({parts}, 1, {count - 1})"
        rest = f"array_to_string(list_slice({parts}, {count}, len({parts})), {delimiter.sql})"
        parts = f"(CASE WHEN len({parts}) <= {count} THEN {parts} ELSE {first} || [{rest}] END)"
    return Typed(parts, types.array(types.VARCHAR))


@special("regexp_replace")
def regexp_replace(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    value, pattern, *_ = arguments(compiler, call, scope, 2, 3)
    new = (
        compiler.constant_text(call.arguments[2], "The replacement of regexp_replace")
        if len(call.arguments) == 3
        else ""
    )
    texts = [varchar(call, value), varchar(call, pattern), quoted_text(formats.regular_replacement(new))]
    return Typed(f"regexp_replace({', '.join(texts)}, 'g')", types.VARCHAR)


@special("format")
def format(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """Java's Formatter; NULL is written null."""
    values = arguments(compiler, call, scope, 1, 127)[1:]
    parts = formats.java(compiler.constant_text(call.arguments[0], "The format of format"))
    slots = [part for part in parts if isinstance(part, formats.Slot)]
    if len(slots) != len(values):
        raise mismatch(call.node, f"format has {len(slots)} places and {len(values)} values.")
    remaining = iter(values)
    texts = [quoted_text(part) if isinstance(part, str) else _placed(call, part, next(remaining)) for part in parts]
    return Typed(f"({' || '.join(texts) or quoted_text('')})", types.VARCHAR)


@special("url_extract_parameter")
def url_extract_parameter(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    """The first parameter of a name in the query of a URL."""
    url, _ = arguments(compiler, call, scope, 2)
    name = compiler.constant_text(call.arguments[1], "The parameter's name")
    pattern = quoted_text(f"[?&]{re.escape(name)}(?:=([^&#]*))?(?:[&#]|$)")
    found = f"list_extract(regexp_extract_all({varchar(call, url)}, {pattern}, 1), 1)"
    return Typed(f"url_decode(replace({found}, '+', ' '))", types.VARCHAR)


@special("typeof")
def type_of(compiler: Compiler, call: Call, scope: Scope) -> Typed:
    return Typed(quoted_text(str(arguments(compiler, call, scope, 1)[0].type)), types.VARCHAR)


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
        placed = f"printf('%{flags}d', CAST({value.sql} AS BIGINT))"
    elif slot.kind == "f" and (value.type in types.FLOATS or value.type.name == "decimal"):
        # Java rounds the shortest decimal text of a double (half up); C rounds the double itself.
        placed = f"CAST(CAST(CAST({value.sql} AS VARCHAR) AS DECIMAL(38, {slot.digits})) AS VARCHAR)"
        placed = _padded(slot, placed)
    elif slot.kind == "s" and text_of(value):
        placed = _padded(slot, str(text_of(value)))
    else:
        raise mismatch(call.node, f"format: %{slot.kind} does not take {value.type}.")
    return f"coalesce({placed}, 'null')"


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
