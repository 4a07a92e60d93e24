"""Redshift's grammar of queries, as a dialect of sqlglot without any function.

As in `sql.grammar`, every call stays as it was written, a name and arguments, so that only `functions` decides what
it becomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from sqlglot import TokenType, exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import ParseError, TokenError

from datawarehouse.sql.grammar import NODES_MAX
from datawarehouse.sql.redshift.reasons import NeedsPerson

APPROXIMATE = "approximate"
"""The name of a call around one that follows the word APPROXIMATE."""

_CALLS_WITH_GRAMMAR = ("CAST", "CONVERT", "EXTRACT", "TRIM", "POSITION", "SUBSTRING")
# FLOAT without a length is a double in Redshift; the parser would take it for a real.
_FLOATS = {"FLOAT": TokenType.DOUBLE}


class RedshiftQuery(Redshift):
    class Tokenizer(Redshift.Tokenizer):
        KEYWORDS: ClassVar = {**Redshift.Tokenizer.KEYWORDS, **_FLOATS}

    class Parser(Redshift.Parser):  # type: ignore[misc, valid-type]
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar = {name: Redshift.Parser.FUNCTION_PARSERS[name] for name in _CALLS_WITH_GRAMMAR}
        NO_PAREN_FUNCTION_PARSERS: ClassVar = {
            "CASE": Redshift.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"],
            "SYSDATE": lambda self: exp.Anonymous(this="sysdate", expressions=[]),
            "APPROXIMATE": lambda self: exp.Anonymous(this=APPROXIMATE, expressions=[self._parse_function()]),
        }

        def _parse_types(self, *args: Any, **options: Any) -> exp.Expr | None:
            # `year` is a type of MySQL, and the first argument of dateadd here.
            if self._curr.token_type == TokenType.YEAR:
                return None
            found: exp.Expr | None = super()._parse_types(*args, **options)
            return found


def parse(sql: str) -> exp.Expr:
    """The tree of one query. Raises NeedsPerson if it cannot be read."""
    try:
        _check_words(_DIALECT.tokenize(sql))
        trees = [tree for tree in _DIALECT.parse(sql, max_nodes=NODES_MAX) if tree]
    except ParseError as error:
        first = error.errors[0]
        found = first.get("highlight") or ""
        where = f"line {first['line']}:{first['col'] - max(len(found) - 1, 0)}: "
        raise NeedsPerson(
            f"{where}it cannot be read at {found!r}" if found else "it cannot be read to its end"
        ) from None
    except TokenError:
        raise NeedsPerson("it cannot be split into words; a quote or a comment is left open") from None
    except RecursionError:
        raise NeedsPerson("it nests too deeply to be read") from None
    if len(trees) != 1:
        raise NeedsPerson(f"it was read as {len(trees)} statements")
    return trees[0]


_OPENING = (TokenType.SELECT, TokenType.L_PAREN, TokenType.COMMA, TokenType.ALIAS)
_CLOSING = (TokenType.COMMA, TokenType.R_PAREN, TokenType.FROM)


def _check_words(words: Sequence[Any]) -> None:
    """The parser passes over a comma that has nothing beside it, and over a colon."""
    for word, following in pairwise(words):
        is_empty = TokenType.COMMA in (word.token_type, following.token_type) or word.token_type == TokenType.ALIAS
        if is_empty and word.token_type in _OPENING and following.token_type in _CLOSING:
            raise NeedsPerson(f"{_place(following)}it cannot be read at {following.text!r}")
        if word.token_type == TokenType.COLON:
            raise NeedsPerson(f"{_place(word)}a parameter is not translated; write a value in its place")


def _place(word: Any) -> str:
    return f"line {word.line}:{word.col - word.end + word.start}: "


_DIALECT = RedshiftQuery()
