"""Names: which column a name means.

1. The innermost query that has a column of that name decides; an outer query's columns come after.
2. `a.b` is column b of relation a if there is one, else field b of column a. Names with more dots are read in the same
   way.
3. Two columns of the same name in one query are ambiguous, as in Athena.
4. Names are compared without regard to case, quoted or not, as in Athena.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from datawarehouse.errors import QueryFailed
from datawarehouse.sql.shape import Column
from datawarehouse.sql.translate.typed import Typed, quoted_text


@dataclass(frozen=True, slots=True)
class Field:
    """A column that a FROM defines: `relation` is its qualifier, `origin` is the column that pruning uses.

    `merged` is a side's own column after JOIN ... USING, which has no name any more; `hidden` is "$path" and the like,
    which is found only when it is named.
    """

    name: str | None
    value: Typed
    relation: str | None = None
    origin: Column | None = None
    hidden: bool = False
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The meaning of a name: a value and, if that is a whole column, the column that it is a copy of."""

    value: Typed
    field: Field | None


class Scope:
    """The names that an expression can use: columns of its FROM and of the queries around it, lambdas' parameters."""

    def __init__(
        self,
        fields: Iterable[Field] = (),
        parent: Scope | None = None,
        variables: Mapping[str, Typed] | None = None,
        *,
        is_order: bool = False,
    ) -> None:
        self.fields = tuple(fields)
        self.parent = parent
        self.variables = variables or {}
        self.is_order = is_order
        """Whether the fields are the output columns that ORDER BY can name; those of the FROM are the parent's."""
        self.is_used_inside = False
        """Whether a query inside an expression of this scope names one of its columns."""
        self._named: dict[str, list[Field]] = defaultdict(list)
        for found in self.fields:
            self._named[(found.name or "").lower()].append(found)

    def with_variables(self, variables: Mapping[str, Typed]) -> Scope:
        return Scope(self.fields, self.parent, {**self.variables, **variables}, is_order=self.is_order)

    def has_own(self, parts: Sequence[str]) -> bool:
        """Whether a name is of this query or of a lambda in it, and not of a query around it."""
        return parts[0].lower() in self.variables or any(matches for matches, _ in self._readings(parts))

    def has_relation(self, name: str) -> bool:
        return any(_same(f.relation, name) for scope in self._outwards() for f in scope.fields)

    def starred(self, relation: str | None = None) -> list[Field]:
        """The columns of `*`, or of `relation.*`."""
        return [
            found
            for found in self.fields
            if not (found.hidden or found.merged) and (relation is None or _same(found.relation, relation))
        ]

    def resolve(self, parts: Sequence[str], where: str) -> Found:
        """The column that `parts` (the names between dots) mean. If there is none, the message begins with `where`."""
        if parts[0].lower() in self.variables:
            return Found(_dereferenced(self.variables[parts[0].lower()], parts[1:], where), None)
        for scope in self._outwards():
            for matches, rest in scope._readings(parts):
                if len(matches) > 1:
                    raise QueryFailed(
                        f"COLUMN_AMBIGUOUS: {where}Column '{'.'.join(parts)}' is ambiguous: more than one table of the "
                        "FROM has it. Write table.column."
                    )
                if matches:
                    scope.is_used_inside |= scope is not self and not self.variables
                    value = _dereferenced(matches[0].value, rest, where)
                    return Found(value, None if rest else matches[0])
        raise QueryFailed(
            f"COLUMN_NOT_FOUND: {where}Column '{'.'.join(parts)}' cannot be resolved. {self._hint(parts[-1])}"
        )

    def _outwards(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope:
            yield scope
            scope = scope.parent

    def _readings(self, parts: Sequence[str]) -> Iterator[tuple[list[Field], Sequence[str]]]:
        """The columns that a prefix of `parts` can name here, each with the remaining field names."""
        if len(parts) > 1:
            named = self._named.get(parts[1].lower(), ())
            yield (
                [found for found in named if found.name and not found.merged and _same(found.relation, parts[0])],
                parts[2:],
            )
        named = self._named.get(parts[0].lower(), ())
        yield [found for found in named if found.name and not found.merged], parts[1:]

    def _hint(self, name: str) -> str:
        names = [f.name for scope in self._outwards() for f in scope.fields if f.name and not f.hidden]
        if any(f.merged and _same(f.name, name) for scope in self._outwards() for f in scope.fields):
            return f"USING makes it one column of no table: write {name} without a table's name."
        near = difflib.get_close_matches(name.lower(), names, n=3)
        if near:
            return f"Did you mean {' or '.join(map(repr, near))}?"
        shown = ", ".join(dict.fromkeys(names[:20]))
        return f"The columns here are {shown}{', ...' if len(names) > 20 else ''}." if names else "There is no FROM."


def dereferenced(value: Typed, name: str, where: str) -> Typed:
    """Field `name` of a row."""
    for position, found in enumerate(value.type.names):
        if _same(found, name):
            return row_field(value, position)
    fields = ", ".join(found for found in value.type.names if found) or "no named fields"
    what = f"the row has {fields}" if value.type.name == "row" else f"the value is {value.type}, not a row"
    raise QueryFailed(f"COLUMN_NOT_FOUND: {where}There is no field {name!r}: {what}.")


def row_field(value: Typed, position: int) -> Typed:
    """Field number `position`, from 0, of a row with or without names."""
    name = value.type.names[position]
    key = str(position + 1) if name is None or None in value.type.names else quoted_text(name)
    return Typed(f"struct_extract({value.sql}, {key})", value.type.args[position])


def _dereferenced(value: Typed, names: Sequence[str], where: str) -> Typed:
    for name in names:
        value = dereferenced(value, name, where)
    return value


def _same(a: str | None, b: str) -> bool:
    return a is not None and a.lower() == b.lower()
