"""What pruning needs to know about a statement: how its relations are joined, and the conditions on their rows.

Translation builds these facts while it resolves names; `prune` reads them. A column is the pair of a relation and a
position. Predicates here are over columns; `prune` turns them into predicates over partition keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from datawarehouse.sql.predicate import EVERYTHING, Predicate


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement names a table: the first and the last character of the name, and the alias that follows it."""

    start: int
    end: int
    table: str
    alias: str = ""


@dataclass(eq=False)
class Relation:
    """One item of a FROM: a scan, a query in parentheses, a reference to a CTE, or none of these (UNNEST, VALUES)."""

    scan: str | None = None
    keys: tuple[str | None, ...] = ()
    """For each column of a scan: the name of the partition key, or None if it is not one."""
    event_time: tuple[int, str] | None = None
    """Of a scan: the position and the name of the column of event time."""
    query: Select | SetOperation | None = None
    cte: Cte | None = None


Column = tuple[Relation, int]
Equality = tuple[Column, Column]


@dataclass(frozen=True)
class Condition:
    """What is true of every row that a WHERE or an ON lets pass: a predicate, and columns that are equal."""

    predicate: Predicate = EVERYTHING
    equalities: tuple[Equality, ...] = ()


@dataclass(eq=False)
class Join:
    left: Relation | Join
    right: Relation | Join
    side: str
    """"inner", "left", "right" or "full"."""
    on: Condition


@dataclass(eq=False)
class Select:
    """`outputs` has, for each output column, the input column that it is a copy of, if it is one."""

    source: Relation | Join | None
    where: Condition
    outputs: tuple[Column | None, ...]
    filterable: frozenset[int]
    """Positions of outputs for which "filter the result" and "filter the rows first" give the same rows."""
    nested: tuple[Select | SetOperation, ...] = ()
    """Queries inside expressions; the outer query puts no condition on their rows."""


@dataclass(eq=False)
class SetOperation:
    branches: tuple[Select | SetOperation, ...]
    limited: bool
    nested: tuple[Select | SetOperation, ...] = ()


@dataclass(eq=False)
class Cte:
    recursive: bool
    query: Select | SetOperation | None = None
    references: int = 0
    asked: list[Predicate] = field(default_factory=list)
    """The predicate of each reference on the rows, over positions of the query's outputs."""
