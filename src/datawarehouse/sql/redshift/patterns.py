"""LIKE, ILIKE and regular expressions.

Source: Amazon Redshift Database Developer Guide, "Pattern-matching conditions": a backslash escapes in a pattern of
LIKE, ILIKE ignores the case of ASCII letters.
"""

from __future__ import annotations

import re

from sqlglot import exp

from datawarehouse.sql import types
from datawarehouse.sql.redshift import values
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.translator import Translator, check, shown
from datawarehouse.sql.redshift.values import PREDICATE, Value, text_literal

_PLAIN_REGEX = re.compile(
    r"""(?:[^\\\[\](){}?*+|^$.]|\\[dwsDWS.\-+*?()\[\]{}^$|\\]|[\^$.]|\((?!\?)|\)|\|
        |\[\^?(?:[^\\\[\]]|\\[dws\-\]\\.])+\]|(?<!^)[*+?](?![+?])|\{\d+(?:,\d*)?\}(?![+?]))*""",
    re.VERBOSE,
)
"""Regular expressions that POSIX, Java and RE2 read alike."""


def like(t: Translator, node: exp.Like | exp.Escape) -> Value:
    if isinstance(node, exp.Escape):
        inner, escape = node.this, t.expression(node.expression).literal
        if not isinstance(inner, exp.Like) or escape is None or len(escape) != 1:
            raise NeedsPerson(f"{shown(node)}: ESCAPE is translated with LIKE and one character")
        check(inner, "this", "expression", "negate")
    else:
        inner, escape = node, "\\"
    value, pattern = text_of(t, inner.this), text_of(t, inner.expression)
    escaping = _escaping(pattern, escape)
    return _liked(value.inside(values.CONCAT), inner, f"{pattern.inside(values.CONCAT)}{escaping}")


def ilike(t: Translator, node: exp.ILike) -> Value:
    value, pattern = text_of(t, node.this), text_of(t, node.expression)
    if pattern.literal is None or not pattern.literal.isascii():
        raise NeedsPerson("ILIKE ignores the case of ASCII letters alone, lower() that of all; its pattern is not a "
                          "text of ASCII letters here")  # fmt: skip
    t.note("lower(...) LIKE differs from ILIKE for the two characters whose small letters are ASCII, U+0130 and U+212A")
    lowered = text_literal(pattern.literal.lower())
    return _liked(f"lower({value.text})", node, f"{lowered.text}{_escaping(lowered, chr(92))}")


def _liked(value: str, node: exp.Expr, pattern: str) -> Value:
    word = "NOT LIKE" if node.args.get("negate") else "LIKE"
    return Value(f"{value} {word} {pattern}", types.BOOLEAN, PREDICATE)


def _escaping(pattern: Value, escape: str) -> str:
    """The ESCAPE that Athena needs, which has none of its own."""
    content = pattern.literal
    if content is None:
        raise NeedsPerson(
            f"the pattern {pattern.text} is made of values: in Redshift {escape!r} escapes in it, in Athena nothing "
            "does unless ESCAPE says so, and it may then precede %, _ and itself alone"
        )
    if escape not in content:
        return ""
    if re.sub(re.escape(escape) + r"[%_" + re.escape(escape) + "]", "", content).count(escape):
        raise NeedsPerson(f"in the pattern {pattern.text} an escape precedes another character than %, _ and itself")
    return f" ESCAPE {text_literal(escape).text}"


def matches(t: Translator, node: exp.RegexpLike) -> Value:
    value, pattern = text_of(t, node.this), regex(t, t.expression(node.expression))
    return Value(f"regexp_like({value.text}, {pattern})", types.BOOLEAN)


def regex(t: Translator, pattern: Value, *, whole: bool = False) -> str:
    """A literal pattern that all engines read alike. whole: also what it matches counts, and not only whether."""
    content = pattern.literal
    if content is None:
        raise NeedsPerson(
            f"the regular expression {pattern.text} is made of values: whether Athena reads it alike is not known"
        )
    if not _PLAIN_REGEX.fullmatch(content) or not content or (whole and "|" in content):
        raise NeedsPerson(
            f"the regular expression {pattern.text} has something that Redshift (POSIX) and Athena (Java) read "
            "differently"
        )
    if "." in content or "$" in content:
        t.note("'.' and '$' of a regular expression treat line ends otherwise in Athena")
    return pattern.text


def text_of(t: Translator, node: exp.Expr) -> Value:
    """The value of a node that has to be a text."""
    value = t.expression(node)
    if value.type not in (None, types.VARCHAR):
        raise NeedsPerson(f"{value.text} is {value.type}, which Redshift makes a text by itself; write the cast")
    return value
