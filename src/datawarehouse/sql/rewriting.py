"""A statement with further conditions on its tables: the user's own text, with words put into it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlglot import TokenType

from datawarehouse.sql import grammar
from datawarehouse.sql.shape import Place

_ENDS = {
    *grammar.CLAUSES,
    TokenType.UNION,
    TokenType.INTERSECT,
    TokenType.EXCEPT,
    TokenType.SEMICOLON,
    TokenType.R_PAREN,
} - {TokenType.WHERE}
"""What can follow the condition of a WHERE, or a table that has none."""


def with_conditions(sql: str, conditions: Mapping[Place, str]) -> str:
    """`sql` with a condition for each table that is written at a place of it.

    The condition goes into the WHERE of a query that reads nothing but the table. Elsewhere a query with the condition
    is put in the place of the table, which is right on each side of each join.
    """
    words = grammar.words(sql)
    edits: list[tuple[int, int, str]] = []
    for place, condition in conditions.items():
        edits += _edits(sql, words, place, condition)
    for start, end, text in sorted(edits, reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql


def _edits(sql: str, words: Sequence[grammar.Word], place: Place, condition: str) -> list[tuple[int, int, str]]:
    """What to put in the place of which part of the text."""
    first = next(at for at, word in enumerate(words) if word.start == place.start)
    after = next(at for at, word in enumerate(words) if word.end == place.end) + 1
    if words[first - 1].kind == TokenType.TABLE:
        start = words[first - 1].start
        return [(start, place.end + 1, f"select * from {sql[place.start : place.end + 1]} where {condition}")]
    if place.alias:
        after += 2 if words[after].kind == TokenType.ALIAS else 1
    following = words[after] if after < len(words) else None
    is_alone = words[first - 1].kind == TokenType.FROM and _ends(following)
    if not is_alone and not (following and following.kind == TokenType.WHERE and _is_first(words, first)):
        alias = "" if place.alias else f" as {quoted(place.table)}"
        text = f"(select * from {sql[place.start : place.end + 1]} where {condition}){alias}"
        return [(place.start, place.end + 1, text)]
    if is_alone:
        return [(words[after - 1].end + 1, words[after - 1].end + 1, f" where {condition}")]
    begin, end, has_or = _condition(words, after)
    if has_or:
        return [(begin, begin, f"{condition} and ("), (end, end, ")")]
    return [(begin, begin, f"{condition} and ")]


def _is_first(words: Sequence[grammar.Word], at: int) -> bool:
    return words[at - 1].kind == TokenType.FROM


def _ends(word: grammar.Word | None) -> bool:
    return word is None or word.kind in _ENDS


def _condition(words: Sequence[grammar.Word], where: int) -> tuple[int, int, bool]:
    """Where the condition after a WHERE begins and ends, and whether it has an OR outside of parentheses."""
    depth, has_or, last = 0, False, where
    for at in range(where + 1, len(words)):
        kind = words[at].kind
        if depth == 0 and _ends(words[at]):
            break
        depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        has_or = has_or or (depth == 0 and kind == TokenType.OR)
        last = at
    return words[where + 1].start, words[last].end + 1, has_or


def quoted(name: str) -> str:
    """A name as it is written in Athena SQL, in quotes if it needs them."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
