"""Athena's SELECT grammar, as a dialect of sqlglot without any function.

sqlglot rewrites the functions that it knows into its own nodes and prints an approximation in another dialect. Here
every call stays as the user wrote it, a name and arguments, so that only `functions` decides what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from sqlglot import TokenType, exp, parser, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError

from datawarehouse.errors import QueryRefused, SqlSyntaxError
from datawarehouse.sql import json_grammar

QUERY_BYTES_MAX = 262_144
"""Amazon Athena user guide, "Service Quotas": the longest query string."""

NODES_MAX = 200_000
"""Twice what the longest list of literals needs; stops the parser on a text that would make it backtrack without
end."""

# Calls whose arguments are not a plain list, e.g. `extract(day from x)`.
_CALLS_WITH_GRAMMAR = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING")
# Spellings of other dialects.
_NOT_KEYWORDS = ("/*+", "QUALIFY", "==", "<=>", "~~", "~~~", "~~*", "!~~", "!~~*", "APPLY")
CLAUSES = (
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.WINDOW,
    TokenType.ORDER_BY,
    TokenType.LIMIT,
    TokenType.FETCH,
    TokenType.OFFSET,
)


COMMA = "COMMA"
"""The kind of a join that is written as a comma."""


class AthenaQuery(Dialect):
    NULL_ORDERING = "nulls_are_last"
    TABLESAMPLE_SIZE_IS_PERCENT = True

    class Tokenizer(tokens.Tokenizer):
        HEX_STRINGS: ClassVar = [("x'", "'"), ("X'", "'")]
        UNICODE_STRINGS: ClassVar = [("u&'", "'"), ("U&'", "'")]
        NESTED_COMMENTS = False
        SINGLE_TOKENS: ClassVar = {sign: kind for sign, kind in tokens.Tokenizer.SINGLE_TOKENS.items() if sign != "!"}
        KEYWORDS: ClassVar = {
            **{word: kind for word, kind in tokens.Tokenizer.KEYWORDS.items() if word not in _NOT_KEYWORDS},
            "ROW": TokenType.STRUCT,
            "IPADDRESS": TokenType.IPADDRESS,
            "HYPERLOGLOG": TokenType.HLLSKETCH,
        }

    class Parser(parser.Parser):
        VALUES_FOLLOWED_BY_PAREN = False
        SUPPORTS_TABLE_QUERY = True
        COLUMN_OPERATORS: ClassVar = {TokenType.DOT: None}
        PLACEHOLDER_PARSERS: ClassVar = {
            TokenType.PLACEHOLDER: lambda self: self.expression(exp.Placeholder(), self._prev),
        }
        QUERY_MODIFIER_PARSERS: ClassVar = {
            token: parse for token, parse in parser.Parser.QUERY_MODIFIER_PARSERS.items() if token in CLAUSES
        }
        SUBQUERY_TOKENS: ClassVar = {*parser.Parser.SUBQUERY_TOKENS, TokenType.VALUES}
        FUNCTIONS: ClassVar = {}
        FUNCTION_PARSERS: ClassVar = {
            **{name: parser.Parser.FUNCTION_PARSERS[name] for name in _CALLS_WITH_GRAMMAR},
            **{name: partial(json_grammar.json_call, name=name) for name in json_grammar.CALLS},
            "LISTAGG": lambda self: self._parse_listagg(),
        }
        NO_PAREN_FUNCTION_PARSERS: ClassVar = {
            "CASE": parser.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"],
            "CURRENT_CATALOG": lambda self: self.expression(exp.CurrentCatalog()),
            "CURRENT_SCHEMA": lambda self: self.expression(exp.CurrentSchema()),
        }
        NO_PAREN_FUNCTIONS: ClassVar = {
            **parser.Parser.NO_PAREN_FUNCTIONS,
            TokenType.LOCALTIMESTAMP: exp.Localtimestamp,
        }

        _types_deep = 0
        """In how many types the parser is: what is none there may be a value, such as `ROW(NULL, 1)`."""

        def _parse_types(self, *args: Any, **options: Any) -> exp.Expr | None:
            # `array[...]` is a value. Trying to read it as a type first would triple the work at each level of nesting.
            if self._curr.token_type == TokenType.ARRAY and self._next.token_type == TokenType.L_BRACKET:
                return None
            # `row(a, b) < ...` is no type with parts in angle brackets.
            if self._curr.token_type == TokenType.STRUCT and options.get("check_func"):
                return None
            self._types_deep += 1
            try:
                return super()._parse_types(*args, **options)
            finally:
                self._types_deep -= 1

        def _parse_select_query(self, *args: Any, **options: Any) -> exp.Expr | None:
            # DuckDB begins a query with FROM, Athena does not.
            if self._curr.token_type == TokenType.FROM:
                return None
            return super()._parse_select_query(*args, **options)

        def _parse_derived_table_values(self, *args: Any, **options: Any) -> exp.Values | None:
            # `(VALUES 1 UNION ...)` and `(VALUES 1 ORDER BY ...)` are queries in parentheses.
            if self._curr.token_type != TokenType.L_PAREN or self._next.token_type != TokenType.VALUES:
                return super()._parse_derived_table_values(*args, **options)
            start = self._index
            self._advance(2)
            rows = self._parse_csv(self._parse_value)
            if not self._match(TokenType.R_PAREN):
                self._retreat(start)
                return None
            return self.expression(exp.Values(expressions=rows, alias=self._parse_table_alias()))

        def _parse_csv(self, parse_method: Callable[[], Any], sep: TokenType = TokenType.COMMA) -> list[Any]:
            # sqlglot leaves out what is missing between two commas, or after the last one.
            items = [parse_method()]
            while self._match(sep):
                items.append(parse_method())
            if len(items) > 1 and None in items and not self._types_deep:
                self.raise_error("Something is missing beside a comma.")
            return [item for item in items if item is not None]

        def _parse_id_var(self, *args: Any, **options: Any) -> exp.Expr | None:
            # A text in single quotes is no name.
            return None if self._curr.token_type == TokenType.STRING else super()._parse_id_var(*args, **options)

        def _parse_listagg(self) -> exp.Expr:
            # What becomes of too long a text makes no difference to others; such a one is an error here.
            arguments = self._parse_csv(self._parse_lambda)
            if self._match_text_seq("ON", "OVERFLOW") and not self._match_text_seq("ERROR"):
                is_truncate = self._match_text_seq("TRUNCATE")
                self._match(TokenType.STRING)
                has_count = self._match_text_seq("WITH") or self._match_text_seq("WITHOUT")
                if not (is_truncate and has_count and self._match_text_seq("COUNT")):
                    self.raise_error("ON OVERFLOW is followed by ERROR, or TRUNCATE '...' WITH or WITHOUT COUNT.")
            return self.expression(exp.Anonymous(this="listagg", expressions=arguments))

        def _parse_escape(self, this: exp.Expr | None) -> exp.Expr | None:
            # sqlglot reads a literal alone.
            if not self._match(TokenType.ESCAPE):
                return this
            return self.expression(exp.Escape(this=this, expression=self._parse_unary()))

        def _parse_join(self, *args: Any, **options: Any) -> exp.Join | None:
            # A comma binds less tightly than JOIN, which makes a difference before a RIGHT or FULL JOIN.
            comma = self._curr.token_type == TokenType.COMMA
            join = super()._parse_join(*args, **options)
            if join and comma:
                join.set("kind", COMMA)
            return join


def parse(sql: str) -> list[exp.Expr]:
    """The statements of `sql`, without empty ones. Raises SqlSyntaxError with the place of the error and the text found
    there."""
    try:
        return [
            tree for tree in _DIALECT.parse(sql, max_nodes=NODES_MAX) if tree and not isinstance(tree, exp.Semicolon)
        ]
    except ParseError as error:
        raise SqlSyntaxError(_described(error)) from None
    except TokenError:
        raise SqlSyntaxError("The text cannot be split into words; a quote or a comment is left open.") from None
    except RecursionError:
        raise QueryRefused(
            "The statement nests too deeply to be read; flatten it or name its parts with WITH."
        ) from None


class Word(NamedTuple):
    """A word of a text, and the places of its first and last characters."""

    kind: TokenType
    start: int
    end: int


def words(sql: str) -> list[Word]:
    """The words of a statement that `parse` takes."""
    return [Word(token.token_type, token.start, token.end) for token in _DIALECT.tokenize(sql)]


def place(node: exp.Expr) -> str:
    """`line 3:14: `, as Athena writes it, for a node that the parser located, else nothing."""
    located = [part.meta for part in node.walk() if "line" in part.meta]
    if not located:
        return ""
    first = min(located, key=lambda meta: int(meta["start"]))
    return f"line {first['line']}:{first['col'] - first['end'] + first['start']}: "


def _described(error: ParseError) -> str:
    first = error.errors[0]
    found = repr(first["highlight"]) if first.get("highlight") else "the end"
    return (
        f"line {first['line']}:{first['col']}: not a statement of Athena SQL at {found}: {first['description']} "
        "Write SELECT, WITH, VALUES, SHOW, DESCRIBE or EXPLAIN as in Athena (Trino) SQL."
    )


_DIALECT = AthenaQuery()
