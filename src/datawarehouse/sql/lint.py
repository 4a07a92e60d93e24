"""What Athena would refuse of a statement, and what the embedded host does not answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import TokenType

from datawarehouse.errors import QueryError, QueryRefused
from datawarehouse.sql import grammar
from datawarehouse.sql.plan import Plan
from datawarehouse.sql.scripts import Part
from datawarehouse.sql.statement import tables_named

Planned = Callable[[str, Sequence[object]], Plan]

_PLACE = re.compile(r"(?P<code>[A-Z_]+: )?line (?P<line>\d+):(?P<column>\d+): ")


@dataclass(frozen=True, slots=True)
class Problem:
    """line, column: in the whole text, counted from 1. error: what the planner raised."""

    line: int
    column: int
    text: str
    error: QueryError

    @property
    def who(self) -> str:
        """Who does not take the statement."""
        return "not answered here" if isinstance(self.error, QueryRefused) else "refused by Athena"


def problem(part: Part, planned: Planned, *, is_declared: bool) -> Problem | None:
    """The first problem of a statement. planned: makes the plan of a text and the values of its `?`; raises QueryError.
    is_declared: whether that knows the tables; else only the grammar of a statement that names some is checked."""
    sql = part.text
    try:
        named = tables_named(sql)
        if is_declared or not named:
            planned(sql, [None] * sum(word.kind == TokenType.PLACEHOLDER for word in grammar.words(sql)))
    except QueryError as error:
        text = str(error)
        found = _PLACE.search(text)
        if not found:
            return Problem(part.line, part.column, text, error)
        line, column = part.placed(int(found["line"]), int(found["column"]))
        return Problem(line, column, text[: found.start()] + (found["code"] or "") + text[found.end() :], error)
    return None
