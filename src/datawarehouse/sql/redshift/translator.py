"""A query of Redshift as a query of Athena.

1. Each node of the tree has a rule (`rules`), which gives its text in Athena SQL and its type in Redshift. A node, a
   function or a form that has none needs a person.
2. Names are resolved against the declared tables. Without a declaration the columns of tables are not known: what a
   form rests on is then assumed, and said.
3. What cannot be translated is collected, so that one reading tells of all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlglot import ErrorLevel, exp

from datawarehouse.sql import types
from datawarehouse.sql.grammar import place
from datawarehouse.sql.plan import TableSchema
from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.scope import Columns, Scope, Source
from datawarehouse.sql.redshift.values import Value
from datawarehouse.sql.types import Type

BREAK = "\0"
"""Where a long statement may go on in another line."""

Rule = Callable[["Translator", Any], Value]
Outputs = list[tuple[str | None, Type | None]]
"""The names and types of a query's columns."""


@dataclass
class Translator:
    """tables: the declared ones, None without a declaration. reasons: what needs a person. assumptions: what could not
    be checked. notes: what is as good as equal, and how it differs."""

    rules: Mapping[type[exp.Expr], Rule]
    read_query: Callable[[Translator, exp.Expr], tuple[str, Outputs | None]]
    tables: Mapping[str, TableSchema] | None
    reasons: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scope: Scope = field(default_factory=Scope)
    ctes: dict[str, Columns | None] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    undeclared: list[str] = field(default_factory=list)
    has_text_keys: bool = False
    depth: int = -1

    def expression(self, node: exp.Expr | None) -> Value:
        """The value of a node; NULL if it, or a part of it, needs a person."""
        rule = self.rules.get(type(node)) if node else None
        before = len(self.reasons)
        try:
            if node is None:
                raise NeedsPerson("a value is missing")
            if rule is None:
                raise NeedsPerson(f"{shown(node)} has no form that is known to be the same in Athena")
            return rule(self, node)
        except NeedsPerson as reason:
            if len(self.reasons) == before:
                self.needs(node, str(reason))
            return Value("NULL", None, is_null=True)

    def query(self, node: exp.Expr) -> tuple[str, Outputs | None]:
        """The text of a query, and its columns; None if they are not known."""
        self.depth += 1
        try:
            return self.read_query(self, node)
        finally:
            self.depth -= 1

    def compares(self, kinds: Iterable[Type | None]) -> None:
        """Keep in mind whether values of these types, which are compared, can be texts."""
        self.has_text_keys = self.has_text_keys or any(each in (None, types.VARCHAR) for each in kinds)

    @property
    def space(self) -> str:
        """What is between two clauses."""
        return " " if self.depth else BREAK

    def needs(self, node: exp.Expr | None, reason: str) -> None:
        where = place(node) if node else ""
        self.reasons.append(f"{where}{reason}.")

    def assume(self, text: str) -> None:
        """Say what a form rests on. Raises NeedsPerson where columns are declared, so that it can be known."""
        if self.tables is not None:
            raise NeedsPerson(f"it is not known whether {text}")
        if text not in self.assumptions:
            self.assumptions.append(text)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    @contextmanager
    def inside(self, sources: list[Source]) -> Iterator[Scope]:
        """A query inside of the present one, which sees its names."""
        outer, self.scope = self.scope, Scope(sources, self.scope)
        try:
            yield self.scope
        finally:
            self.scope = outer


def knowing(parts: str, rule: Rule) -> Rule:
    """A rule that is applied to nodes that have no parts but these."""
    known = parts.split()

    def checked(t: Translator, node: exp.Expr) -> Value:
        check(node, *known)
        return rule(t, node)

    return checked


def shown(node: exp.Expr) -> str:
    """A node as it was written, or nearly."""
    text = node.sql(dialect="redshift", unsupported_level=ErrorLevel.IGNORE)
    return text if len(text) <= 60 else text[:57] + "..."


def check(node: exp.Expr, *known: str) -> None:
    """Raises NeedsPerson if a node has a part that its rule does not know."""
    unknown = [name for name, part in node.args.items() if part not in (None, False, []) and name not in known]
    if unknown:
        raise NeedsPerson(f"{shown(node)}: {unknown[0].strip('_').replace('_', ' ')} is not translated")
