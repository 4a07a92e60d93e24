"""The calls of SQL/JSON, whose arguments are no plain list: `json_value(x, 'lax $.a' RETURNING bigint NULL ON EMPTY)`.

Sources: ISO 9075-2, <JSON value function> and the others; Trino documentation, "JSON functions and operators".
"""

from __future__ import annotations

from typing import Any

from sqlglot import TokenType, exp

CALLS = ("JSON_EXISTS", "JSON_VALUE", "JSON_QUERY", "JSON_OBJECT", "JSON_ARRAY")

_BEHAVIOURS = {
    "JSON_EXISTS": (("TRUE",), ("FALSE",), ("UNKNOWN",), ("ERROR",)),
    "JSON_VALUE": (("NULL",), ("ERROR",)),
    "JSON_QUERY": (("NULL",), ("ERROR",), ("EMPTY", "ARRAY"), ("EMPTY", "OBJECT")),
}
_WRAPPERS = {
    ("WITHOUT", "ARRAY", "WRAPPER"): "WITHOUT",
    ("WITHOUT", "WRAPPER"): "WITHOUT",
    ("WITH", "CONDITIONAL", "ARRAY", "WRAPPER"): "CONDITIONAL",
    ("WITH", "CONDITIONAL", "WRAPPER"): "CONDITIONAL",
    ("WITH", "UNCONDITIONAL", "ARRAY", "WRAPPER"): "UNCONDITIONAL",
    ("WITH", "UNCONDITIONAL", "WRAPPER"): "UNCONDITIONAL",
    ("WITH", "ARRAY", "WRAPPER"): "UNCONDITIONAL",
    ("WITH", "WRAPPER"): "UNCONDITIONAL",
}


class JsonCall(exp.Expression):
    """`this` is the function's name in lower case.

    expressions: the input and the path; or the values of json_array; or the members of json_object (JSONKeyValue).
    FORMAT JSON around a value is the node FormatJson. passing: aliases. returning: a type.
    on_empty, on_error, wrapper, quotes, nulls, keys: the words of the clauses; "DEFAULT" has its value in
    empty_default or error_default.
    """

    arg_types = dict.fromkeys(
        "expressions passing returning on_empty on_error empty_default error_default wrapper quotes nulls keys".split(),
        False,
    ) | {"this": True}


def json_call(parser: Any, name: str) -> exp.Expr:
    """What follows the parenthesis of a call of `name`, up to the closing one."""
    node = JsonCall(this=name.lower())
    if name == "JSON_OBJECT":
        _list(parser, node, lambda: _member(parser), ("NULL", "ABSENT", "RETURNING", "WITH", "WITHOUT"))
        _nulls(parser, node)
        for words in (("WITH", "UNIQUE"), ("WITHOUT", "UNIQUE")):
            if parser._match_text_seq(*words):
                parser._match_text_seq("KEYS")
                node.set("keys", words[0])
    elif name == "JSON_ARRAY":
        _list(parser, node, lambda: _value(parser), ("ABSENT", "RETURNING"))
        _nulls(parser, node)
    else:
        node.append("expressions", _value(parser))
        if not parser._match(TokenType.COMMA):
            parser.raise_error("Expecting a JSON path, such as 'lax $.a'.")
        node.append("expressions", _expression(parser))
        _passing(parser, node)
    if parser._match_text_seq("RETURNING"):
        node.set("returning", parser._parse_types())
        parser._match_text_seq("FORMAT", "JSON")
    if name == "JSON_QUERY":
        _wrapper_and_quotes(parser, node)
    if name in _BEHAVIOURS:
        while _behaviour(parser, node, name):
            pass
    return node


def _list(parser: Any, node: JsonCall, item: Any, clauses: tuple[str, ...]) -> None:
    """A list of items; none if a clause or the end comes first."""
    if parser._curr.token_type == TokenType.R_PAREN:
        return
    if any(parser._match_text_seq(word, advance=False) for word in clauses) and parser._next.token_type not in (
        TokenType.COLON,
        TokenType.COMMA,
        TokenType.R_PAREN,
    ):
        null = parser._curr.token_type == TokenType.NULL and parser._next.text.upper() != "ON"
        if not null:
            return
    node.append("expressions", item())
    while parser._match(TokenType.COMMA):
        node.append("expressions", item())


def _expression(parser: Any) -> exp.Expr:
    value: exp.Expr | None = parser._parse_disjunction()
    if value is None:
        parser.raise_error("Expecting a value.")
    return value or exp.Null()


def _value(parser: Any) -> exp.Expr:
    value = _expression(parser)
    return exp.FormatJson(this=value) if parser._match_text_seq("FORMAT", "JSON") else value


def _member(parser: Any) -> exp.Expr:
    """`key : value`, `key VALUE value` or `KEY key VALUE value`."""
    if parser._next.token_type != TokenType.COLON and parser._next.text.upper() != "VALUE":
        parser._match_text_seq("KEY")
    key = parser._parse_bitwise()
    if key is None or not (parser._match(TokenType.COLON) or parser._match_text_seq("VALUE")):
        parser.raise_error("Expecting a key, a colon or VALUE, and a value.")
    return exp.JSONKeyValue(this=key, expression=_value(parser))


def _nulls(parser: Any, node: JsonCall) -> None:
    for word in ("NULL", "ABSENT"):
        if parser._match_text_seq(word, "ON", "NULL"):
            node.set("nulls", word)


def _passing(parser: Any, node: JsonCall) -> None:
    if not parser._match_text_seq("PASSING"):
        return
    while True:
        value = _value(parser)
        if not parser._match(TokenType.ALIAS):
            parser.raise_error("Expecting AS and a name.")
        node.append("passing", exp.Alias(this=value, alias=parser._parse_id_var()))
        if not parser._match(TokenType.COMMA):
            return


def _wrapper_and_quotes(parser: Any, node: JsonCall) -> None:
    for words, kind in _WRAPPERS.items():
        if parser._match_text_seq(*words):
            node.set("wrapper", kind)
            break
    for word in ("KEEP", "OMIT"):
        if parser._match_text_seq(word, "QUOTES"):
            node.set("quotes", word)
            parser._match_text_seq("ON", "SCALAR", "STRING")


def _behaviour(parser: Any, node: JsonCall, name: str) -> bool:
    default, behaviour = None, next((words for words in _BEHAVIOURS[name] if parser._match_text_seq(*words)), None)
    if behaviour is None:
        if name != "JSON_VALUE" or not parser._match_text_seq("DEFAULT"):
            return False
        default, behaviour = _expression(parser), ("DEFAULT",)
    for event in ("EMPTY", "ERROR"):
        if parser._match_text_seq("ON", event) and not node.args.get(f"on_{event.lower()}"):
            node.set(f"on_{event.lower()}", " ".join(behaviour))
            node.set(f"{event.lower()}_default", default)
            return True
    parser.raise_error("Expecting ON EMPTY or ON ERROR, each once.")
    return False
