"""The state of one translation, and its main principle: a node that no rule reads, or reads only in part, is refused.

`rules` maps each kind of node to the function that translates it and to the arguments that this function reads.
A node that is not in `rules` does not reach DuckDB, whether it is in Athena's grammar or only in sqlglot's.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sqlglot import exp

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql import types
from datawarehouse.sql.catalogs import Session, is_trino
from datawarehouse.sql.conditions import Constant
from datawarehouse.sql.grammar import place
from datawarehouse.sql.metadata import CATALOGS, SCHEMAS, home_of
from datawarehouse.sql.names import MEMORY, NOBODY, Asker, scratch_schema
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.shape import Column, Cte, Place, Relation, Select, SetOperation
from datawarehouse.sql.translate.scope import Scope
from datawarehouse.sql.translate.typed import Typed, coerced, quoted_name
from datawarehouse.sql.translate.zones import as_texts, has_zone
from datawarehouse.sql.types import Type

_VIEWS_MAX = 100  # each view twice in the next one, and so on, would otherwise grow without end


class Output(NamedTuple):
    """A column of a query: its name in Athena (None if it has none), its name in DuckDB, its type."""

    name: str | None
    sql_name: str
    type: Type


@dataclass(frozen=True)
class Query:
    """A translated query: DuckDB text, its columns, and what pruning needs to know."""

    sql: str
    outputs: tuple[Output, ...]
    shape: Select | SetOperation


@dataclass
class ScanUse:
    """A table in a FROM. `hidden` is set when "$path" or the like is named. extremes: as in `plan.Scan`."""

    id: str
    table: TableSchema
    place: Place
    hidden: bool = False
    extremes: frozenset[str] | None = None


@dataclass(frozen=True)
class NamedQuery:
    """A CTE that can be referred to."""

    sql_name: str
    outputs: tuple[Output, ...]
    cte: Cte


@dataclass(frozen=True, slots=True)
class Given:
    """An expression of literals that is given for a parameter, and the text that it was read from."""

    node: exp.Expr
    text: str


@dataclass(frozen=True)
class Window:
    """A translated window. columns: the plain columns of its PARTITION BY. kinds: the types of its ORDER BY."""

    partition: str = ""
    order: str = ""
    frame: str = ""
    columns: frozenset[Column] = frozenset()
    kinds: tuple[Type, ...] = ()

    @property
    def sql(self) -> str:
        return f"({' '.join(part for part in (self.partition, self.order, self.frame) if part)})"


@dataclass
class Facts:
    """What the expressions of one SELECT contain."""

    aggregates: bool = False
    windows: list[frozenset[Column]] = field(default_factory=list)
    """For each window, the plain columns of its PARTITION BY."""
    named_windows: dict[str, Window] = field(default_factory=dict)
    """Those of the WINDOW clause."""
    nested: list[Select | SetOperation] = field(default_factory=list)
    counted: str | None = None
    """The id of the scan whose rows `count(*)` counts, if the SELECT can do with summaries (see `summaries`)."""


Translate = Callable[["Compiler", Any, Scope], Typed]


class Rule(NamedTuple):
    translate: Translate
    reads: frozenset[str]


def rule(translate: Translate, reads: str = "this") -> Rule:
    return Rule(translate, frozenset(reads.split()))


class Compiler:
    def __init__(
        self,
        sql: str,
        tables: Mapping[str, TableSchema],
        database: str,
        parameters: Sequence[object],
        rules: Mapping[type[exp.Expr], Rule],
        query: Callable[[Compiler, exp.Expr, Scope | None], Query],
        constant: Callable[[Compiler, exp.Expr], Constant],
        now_ms: int | None,
        session: Session | None,
        asker: Asker = NOBODY,
    ) -> None:
        self.sql = sql
        self.tables = {name.lower(): table for name, table in tables.items()}
        self.database = database.lower()
        self.parameters = parameters
        self.parameters_used: dict[str, object] = {}
        self.scans: list[ScanUse] = []
        self.scan_of: dict[Relation, ScanUse] = {}
        self.ctes: list[Cte] = []
        self.visible: dict[str, NamedQuery] = {}
        self.facts = Facts()
        self._rules = rules
        self._query = query
        self._constant = constant
        self._now_ms = now_ms
        self.session = session
        self.schemas_named: set[str] = set()
        """Those that are before tables in a FROM: columns may have them before their names, too."""
        self.reads_clock = False
        self.user = asker.user
        self.own = asker.own
        """The schema that `scratch` means."""
        self.home = home_of(session, asker.own)
        """The schema of names without one; "" is the warehouse's."""
        self.view_place: Place | None = None
        """Where the statement names the view that is being read, if one is."""
        self._views: list[str] = []
        self._views_read = 0
        self._names: set[tuple[str, str]] = set()

    def expression(self, node: exp.Expr, scope: Scope) -> Typed:
        found = self._rules.get(type(node))
        if found is None:
            raise QueryRefused(
                f"{place(node)}{_called(node)} is not supported; docs/reference/sql.md lists what is supported."
            )
        self.check(node, found.reads)
        return found.translate(self, node, scope)

    def given(self, value: Given, scope: Scope) -> Typed:
        """What is given for a parameter, in its place."""
        before, self.sql = self.sql, value.text
        try:
            return self.expression(value.node, scope)
        finally:
            self.sql = before

    def check(self, node: exp.Expr, reads: frozenset[str]) -> None:
        """Refuse a node with a clause that its rule does not read, so that no clause is ignored silently."""
        for name, value in node.args.items():
            if value and name not in reads:
                raise QueryRefused(
                    f"{place(node)}{_called(node)} with {name.strip('_').replace('_', ' ').upper()} is not supported; "
                    "docs/reference/sql.md lists what is supported."
                )

    def query(self, node: exp.Expr, scope: Scope | None) -> Query:
        """A query in a FROM, a WITH or an expression; `scope` has the names of the outer query that it may use."""
        facts, visible = self.facts, self.visible
        self.facts = Facts()
        try:
            return self._query(self, node, scope)
        finally:
            self.facts, self.visible = facts, visible

    def subquery(self, node: exp.Expr, scope: Scope) -> Query:
        """A query inside an expression of the present SELECT."""
        query = self.query(node, scope)
        self.facts.nested.append(query.shape)
        return query

    def of_types(self, query: Query, kinds: Sequence[Type]) -> str:
        """The text of a query, with its columns cast to `kinds` where DuckDB would give another type."""
        have = [output.type for output in query.outputs]
        is_same = list(map(types.duckdb, have)) == list(map(types.duckdb, kinds))
        if types.UNKNOWN not in have and is_same and all(kind.name != "char" for kind in kinds):
            return query.sql
        alias = quoted_name(self.unique("query"))
        columns = []
        for output, type in zip(query.outputs, kinds, strict=True):
            name = quoted_name(output.sql_name)
            columns.append(f"{coerced(Typed(f'{alias}.{name}', output.type), type)} AS {name}")
        return f"SELECT {', '.join(columns)} FROM ({query.sql}) AS {alias}"

    @property
    def now_ms(self) -> int | None:
        """The time of the statement. None if it has none: the engine's clock counts, and nothing is pruned by it."""
        self.reads_clock = True
        return self._now_ms

    def constant(self, node: exp.Expr) -> Constant:
        """The value of a literal, of a parameter, or of a simple expression of these; None for anything else."""
        return self._constant(self, node)

    def constant_text(self, node: exp.Expr, what: str) -> str:
        value = self.constant(node)
        if not isinstance(value, str):
            raise QueryRefused(f"{place(node)}{what} must be a literal such as '...', not an expression over rows.")
        return value

    def with_zones_as_texts(self, query: Query) -> Query:
        """The query, with texts in the place of times in other zones than UTC, which no column of a result can be."""
        if not any(has_zone(output.type) for output in query.outputs):
            return query
        alias = quoted_name(self.unique("query"))
        columns = [
            f"{as_texts(Typed(f'{alias}.{name}', output.type))} AS {name}"
            for output in query.outputs
            for name in [quoted_name(output.sql_name)]
        ]
        return replace(query, sql=f"SELECT {', '.join(columns)} FROM ({query.sql}) AS {alias}")

    def column_of(self, node: exp.Expr, scope: Scope) -> tuple[Column, type] | None:
        """The column that `node` names, with the Python type of the values it can be compared with; None if pruning
        cannot use it."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            return None
        found = scope.resolve(self.parts(node, scope), place(node))
        if not found.field or not found.field.origin:
            return None
        kind = _KINDS.get(found.value.type)
        return (found.field.origin, kind) if kind else None

    def parts(self, node: exp.Column, scope: Scope) -> list[str]:
        """The names of a column reference, without the catalog and the database in front of a table's name."""
        parts = [part.name for part in node.parts]
        for is_owner in (self._is_catalog, self._is_schema):
            if len(parts) > 2 and is_owner(parts[0].lower()) and (len(parts) > 3 or scope.has_relation(parts[1])):
                parts = parts[1:]
        return parts

    def _is_catalog(self, name: str) -> bool:
        return name in (*CATALOGS, MEMORY)

    def _is_schema(self, name: str) -> bool:
        return name in (self.database, *SCHEMAS, *self.schemas_named) or bool(scratch_schema([name], self.own))

    def unique(self, name: str, kind: str = "relation") -> str:
        """A name for DuckDB that no other relation (or CTE) of the statement has, like `name` if possible."""
        plain = re.sub(r"[^a-z0-9_]", "_", name.lower()) or "_"
        candidate, count = plain, 1
        while (kind, candidate) in self._names:
            count += 1
            candidate = f"{plain}_{count}"
        self._names.add((kind, candidate))
        return candidate

    @contextmanager
    def inside(self, view: TableSchema, at: Place) -> Iterator[None]:
        """Read the text of a view, to which the names and the places of the statement around it mean nothing. at: where
        that names it. Raises QueryFailed for a view that reads itself, or QueryRefused for too many."""
        if view.name in self._views:
            named = ", ".join([*self._views[self._views.index(view.name) :], view.name])
            raise QueryFailed(f"INVALID_VIEW: The view {view.name!r} reads itself: {named}.")
        self._views_read += 1
        if self._views_read > _VIEWS_MAX:
            raise QueryRefused(f"The statement reads views more than {_VIEWS_MAX} times, those inside views included.")
        before = self.sql, self.visible, self.view_place, self.own, self.home, self.session
        self.sql, self.visible, self.view_place = str(view.statement), {}, self.view_place or at
        self.own, self.home, self.session = view.own, view.home, Session() if is_trino(self.session) else None
        self._views.append(view.name)
        try:
            yield
        finally:
            self._views.pop()
            self.sql, self.visible, self.view_place, self.own, self.home, self.session = before

    @contextmanager
    def within(self, facts: Facts) -> Iterator[None]:
        """Collect in `facts` what the expressions of the block contain."""
        before, self.facts = self.facts, facts
        try:
            yield
        finally:
            self.facts = before


def mismatch(node: exp.Expr, message: str) -> QueryFailed:
    """The error that Athena gives when types do not fit."""
    return QueryFailed(f"TYPE_MISMATCH: {place(node)}{message}")


def _called(node: exp.Expr) -> str:
    name = node.name if isinstance(node, exp.Anonymous) else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__)
    return name.upper()


_KINDS: dict[Type, type] = {
    types.VARCHAR: str,
    types.DATE: datetime.date,
    types.TIMESTAMP: datetime.datetime,
    **dict.fromkeys(types.INTEGERS, int),
}
