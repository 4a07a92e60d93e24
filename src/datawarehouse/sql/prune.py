"""Which partitions each scan needs. They are never too few: a partition that is left out holds no row that can count.

Predicates are carried from each WHERE and ON down to the scans below it.

1. A query gets a predicate over its outputs (the statement itself gets EVERYTHING). The parts about outputs that are
   copies of input columns are added to its WHERE, unless the query selects rows by number (LIMIT), or filtering its
   result is not the same as filtering its rows (with aggregates, for columns not in GROUP BY; with windows, for columns
   not in every PARTITION BY).
2. At a join, the predicate on the joined rows goes to both sides. This is correct for outer joins too: every leaf
   rejects NULL, so a row that the join would fill with NULLs does not pass, whether or not its partner was read. ON
   goes to both sides of an inner join, and to the side that an outer join fills with NULLs.
3. `a = b` carries what is known of a to b, where they are equal in every row that counts. The ON of an outer join makes
   them equal only in rows that match. Therefore a predicate on its filled side is carried to its kept side, because
   only rows that match can pass it; nothing is carried from the kept side to the kept side.
4. Each branch of a set operation gets the whole predicate, column by column. This includes EXCEPT: a row that the
   predicate rejects can only remove rows that the predicate rejects.
5. A CTE gets the disjunction of the predicates of all its references. These are visited before it, because a CTE can
   refer only to earlier ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from datawarehouse.sql.predicate import EVERYTHING, NOTHING, Predicate, all_of, any_of
from datawarehouse.sql.shape import Column, Cte, Equality, Join, Relation, Select, SetOperation

Scans = dict[str, Predicate]


def prune(statement: Select | SetOperation, ctes: Sequence[Cte]) -> Scans:
    """The predicate of each scan by its id. `ctes` are all CTEs of the statement, each after those that it refers
    to."""
    scans: Scans = {}
    _ask(statement, EVERYTHING, scans)
    for cte in reversed(ctes):
        if cte.query:
            known = not cte.recursive and len(cte.asked) == cte.references
            _ask(cte.query, any_of(cte.asked) if known else EVERYTHING, scans)
    return scans


def _ask(query: Select | SetOperation, asked: Predicate, scans: Scans) -> None:
    """Require of `query` only the rows whose outputs, numbered from 0, satisfy `asked`."""
    if isinstance(query, SetOperation):
        for branch in query.branches:
            _ask(branch, EVERYTHING if query.limited else asked, scans)
    elif query.source:
        of_inputs = asked.rekeyed(lambda output: query.outputs[output] if output in query.filterable else None)
        _carry(query.source, all_of((query.where.predicate, of_inputs)), query.where.equalities, scans)
    for nested in query.nested:
        _ask(nested, EVERYTHING, scans)


def _carry(source: Relation | Join, asked: Predicate, equal: Sequence[Equality], scans: Scans) -> None:
    """Carry the predicate on the rows of `source`, and the columns that are equal in all rows that count, to the
    scans."""
    if isinstance(source, Relation):
        columns = {column for equality in equal for column in equality if column[0] is source}
        _arrive(source, all_of([asked, *(_known(asked, equal, column, column) for column in columns)]), scans)
        return
    matching = all_of((asked, source.on.predicate)), [*equal, *source.on.equalities]
    for side, filled in ((source.left, "right"), (source.right, "left")):
        if source.side in ("inner", filled):
            _carry(side, *matching, scans)
        else:
            _carry(side, all_of([asked, *_by_match(source, side, asked, equal)]), equal, scans)


def _by_match(join: Join, kept: Relation | Join, asked: Predicate, equal: Sequence[Equality]) -> Iterator[Predicate]:
    """The predicate on the filled side, for the columns of `kept` that ON makes equal to columns of that side."""
    mine = set(_relations(kept))
    for a, b in join.on.equalities:
        for here, there in ((a, b), (b, a)):
            if here[0] in mine and there[0] not in mine:
                yield _known(asked, equal, there, here)


def _known(asked: Predicate, equal: Iterable[Equality], column: Column, key: Column) -> Predicate:
    """The predicate on `column`, or on a column that is equal to it, with `key` in its place."""
    neighbours: dict[Column, list[Column]] = defaultdict(list)
    for a, b in equal:
        neighbours[a].append(b)
        neighbours[b].append(a)
    reached, waiting = {column}, [column]
    while waiting:
        new = [other for other in neighbours[waiting.pop()] if other not in reached]
        reached.update(new)
        waiting += new
    return all_of(asked.rekeyed({other: key}.get) for other in reached)


def _relations(source: Relation | Join) -> Iterator[Relation]:
    if isinstance(source, Relation):
        yield source
    else:
        yield from _relations(source.left)
        yield from _relations(source.right)


def _arrive(relation: Relation, asked: Predicate, scans: Scans) -> None:
    by_position = asked.rekeyed(lambda column: column[1] if column[0] is relation else None)
    if relation.query:
        _ask(relation.query, by_position, scans)
    elif relation.cte:
        relation.cte.asked.append(by_position)
    elif relation.scan:
        at, name = relation.event_time or (None, None)
        wanted = by_position.rekeyed(lambda position: name if position == at else relation.keys[position])
        scans[relation.scan] = any_of((scans.get(relation.scan, NOTHING), wanted))
