"""Functions of texts whose forms differ.

Source: Amazon Redshift Database Developer Guide, "String functions".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift.arithmetic import as_text
from datawarehouse.sql.redshift.patterns import regex, text_of
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.translator import Translator, check, shown
from datawarehouse.sql.redshift.values import CONCAT, Value

_Nodes = Sequence[exp.Expr]


def whole_number(t: Translator, node: exp.Expr, least: int) -> int:
    """The number that a node writes. Raises NeedsPerson if it is less than `least` or not written."""
    if not isinstance(node, exp.Literal) or node.is_string or not node.this.isdigit() or int(node.this) < least:
        raise NeedsPerson(f"{shown(node)} is translated as a number from {least} that is written out: Athena counts "
                          "others in another way")  # fmt: skip
    return int(node.this)


def _text(text: str) -> Value:
    return Value(text, types.VARCHAR)


def substring(t: Translator, nodes: _Nodes) -> Value:
    start, *length = nodes[1:]
    numbers = [str(whole_number(t, start, 1)), *(str(whole_number(t, node, 0)) for node in length)]
    return _text(f"substr({text_of(t, nodes[0]).text}, {', '.join(numbers)})")


def substring_of(t: Translator, node: exp.Substring) -> Value:
    check(node, "this", "start", "length")
    return substring(t, [node.this, *(node.args[name] for name in ("start", "length") if node.args.get(name))])


def left(t: Translator, nodes: _Nodes) -> Value:
    return _text(f"substr({text_of(t, nodes[0]).text}, 1, {whole_number(t, nodes[1], 0)})")


def right(t: Translator, nodes: _Nodes) -> Value:
    value, count = text_of(t, nodes[0]).text, whole_number(t, nodes[1], 0)
    return _text(f"substr({value}, greatest(length({value}) - {count - 1}, 1))")


def position_of(t: Translator, node: exp.StrPosition) -> Value:
    check(node, "this", "substr")
    return _strpos(text_of(t, node.this), text_of(t, node.args["substr"]))


def charindex(t: Translator, nodes: _Nodes) -> Value:
    return _strpos(text_of(t, nodes[1]), text_of(t, nodes[0]))


def _strpos(text: Value, part: Value) -> Value:
    if part.literal == "":
        raise NeedsPerson("the place of an empty text: whether both engines find it alike is not documented")
    return Value(f"strpos({text.text}, {part.text})", types.INTEGER)


def trim_of(t: Translator, node: exp.Trim) -> Value:
    check(node, "this", "expression", "position")
    characters = t.expression(node.expression) if node.expression else None
    return _trimmed(t, str(node.args.get("position") or "BOTH").upper(), text_of(t, node.this), characters)


def trim(where: str) -> Callable[[Translator, _Nodes], Value]:
    """Blanks alone are removed where no characters are given; Athena removes all white space."""

    def rule(t: Translator, nodes: _Nodes) -> Value:
        value, *characters = (text_of(t, node) for node in nodes)
        return _trimmed(t, where, value, characters[0] if characters else None)

    return rule


def _trimmed(_: Translator, where: str, value: Value, characters: Value | None) -> Value:
    if characters and characters.literal is None:
        raise NeedsPerson("the characters that a trim removes are translated as a text that is written out")
    return _text(f"trim({where} {characters.text if characters else chr(39) + ' ' + chr(39)} FROM {value.text})")


def pad(name: str) -> Callable[[Translator, _Nodes], Value]:
    def rule(t: Translator, nodes: _Nodes) -> Value:
        value, length = text_of(t, nodes[0]), whole_number(t, nodes[1], 0)
        fill = t.expression(nodes[2]) if len(nodes) == 3 else Value("' '", types.VARCHAR, literal=" ")
        if not fill.literal:
            raise NeedsPerson(f"what {name} fills with is translated as a text that is written out")
        return _text(f"{name}({value.text}, {length}, {fill.text})")

    return rule


def concat(t: Translator, nodes: _Nodes) -> Value:
    parts = [as_text(t.expression(node)) for node in nodes]
    for value in parts:
        if value.type is None and not value.is_null:
            t.assume(f"{value.text} is a text")
    return Value(" || ".join(value.inside(CONCAT + 1) for value in parts), types.VARCHAR, CONCAT)


def split_part(t: Translator, nodes: _Nodes) -> Value:
    """A part that is not there is an empty text in Redshift, and NULL in Athena."""
    value, separator = text_of(t, nodes[0]), t.expression(nodes[1])
    if not separator.literal:
        raise NeedsPerson("the separator of split_part is translated as a text that is written out")
    number = whole_number(t, nodes[2], 1)
    return _empty_if_missing(value, f"split_part({value.text}, {separator.text}, {number})")


def regexp_substr(t: Translator, nodes: _Nodes) -> Value:
    value, pattern = text_of(t, nodes[0]), regex(t, t.expression(nodes[1]), whole=True)
    return _empty_if_missing(value, f"regexp_extract({value.text}, {pattern})")


def _empty_if_missing(value: Value, found: str) -> Value:
    return _text(f"if({value.text} IS NOT NULL, coalesce({found}, ''))")


def regexp_replace(t: Translator, nodes: _Nodes) -> Value:
    value, pattern = text_of(t, nodes[0]), regex(t, t.expression(nodes[1]), whole=True)
    new = t.expression(nodes[2]) if len(nodes) == 3 else Value("''", types.VARCHAR, literal="")
    if new.literal is None or "$" in new.literal or "\\" in new.literal:
        raise NeedsPerson("a replacement with $ or \\ means groups, which are written otherwise in Athena")
    return _text(f"regexp_replace({value.text}, {pattern}, {new.text})")


def regexp_count(t: Translator, nodes: _Nodes) -> Value:
    value, pattern = text_of(t, nodes[0]), regex(t, t.expression(nodes[1]), whole=True)
    return Value(f"regexp_count({value.text}, {pattern})", types.INTEGER)


def digest(name: str) -> Callable[[Translator, _Nodes], Value]:
    def rule(t: Translator, nodes: _Nodes) -> Value:
        return _text(f"lower(to_hex({name}(to_utf8({text_of(t, nodes[0]).text}))))")

    return rule


def sha2(t: Translator, nodes: _Nodes) -> Value:
    bits = whole_number(t, nodes[1], 0)
    if bits not in (0, 256):
        raise NeedsPerson("sha2 is translated with 256 bits")
    return digest("sha256")(t, nodes[:1])


FUNCTIONS: dict[str, tuple[int, int, Callable[[Translator, _Nodes], Value]]] = {
    "substring": (2, 3, substring),
    "substr": (2, 3, substring),
    "left": (2, 2, left),
    "right": (2, 2, right),
    "charindex": (2, 2, charindex),
    "trim": (1, 1, trim("BOTH")),
    "btrim": (1, 2, trim("BOTH")),
    "ltrim": (1, 2, trim("LEADING")),
    "rtrim": (1, 2, trim("TRAILING")),
    "lpad": (2, 3, pad("lpad")),
    "rpad": (2, 3, pad("rpad")),
    "concat": (2, 2, concat),
    "split_part": (3, 3, split_part),
    "regexp_substr": (2, 2, regexp_substr),
    "regexp_replace": (2, 3, regexp_replace),
    "regexp_count": (2, 2, regexp_count),
    "md5": (1, 1, digest("md5")),
    "sha1": (1, 1, digest("sha1")),
    "func_sha1": (1, 1, digest("sha1")),
    "sha": (1, 1, digest("sha1")),
    "sha2": (2, 2, sha2),
}
