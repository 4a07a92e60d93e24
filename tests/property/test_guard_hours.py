"""The hours that the guard counts are those that a scan may read, as looking at each hour by itself finds them.

Where a predicate has a leaf that is no range of hours, they are more, and never fewer. That the rows of the readable
hours are enough for the result is what `test_prune_sound` shows.
"""

import random

import pytest

from datawarehouse.definition.partition import HOUR_MS, start_ms
from datawarehouse.sql.hours import ranges, text_of
from datawarehouse.sql.plan import plan
from datawarehouse.sql.predicate import AllOf, AnyOf, Compare, Like
from made_statements import TABLES, Statements

NOW_MS = start_ms("2026/11/24/07")
NOW = NOW_MS // HOUR_MS
HOURS = {text_of(hour): hour for hour in (1, NOW - 100_000, *range(NOW - 60, NOW + 3))}
TEXTS = ("2026/11/23", "2026/11/23/07", "2026/11/24/00", "2026/11/22/19", "2026/11/23/21", "2026/11/24/07")


class OfHours(Statements):
    def of_text(self, name, others):
        x, y = (f"'{self.pick(*self.texts)}'" for _ in range(2))
        return self.pick(super().of_text(name, others), f"{name} >= {x} and {name} < {y}", f"{name} like '2026/11/2%'")


def is_exact(predicate):
    """Whether each leaf is a range or a list of hours."""
    if isinstance(predicate, AllOf | AnyOf):
        return all(map(is_exact, predicate.parts))
    if isinstance(predicate, Like):
        return not predicate.negated and not set("%_") & set(predicate.pattern[:-1])
    return getattr(predicate, "key", "k") == "k" and not (isinstance(predicate, Compare) and predicate.operator == "<>")


def compared(seed, statements=10):
    """For each scan of some statements, whether the predicate is exact; fails if an hour is wrong."""
    chance = random.Random(seed)
    for _ in range(statements):
        sql = OfHours(chance, TEXTS).statement()
        for scan in plan(sql, TABLES, "db").scans:
            found = ranges(scan.predicate, "k", NOW_MS)
            counted = {text for text, hour in HOURS.items() if any(first <= hour <= last for first, last in found)}
            readable = {text for text, hour in HOURS.items() if hour <= NOW and scan.predicate.matches({"k": text})}
            exact = is_exact(scan.predicate)
            assert counted == readable if exact else counted >= readable, (sql, str(scan.predicate))
            yield exact


@pytest.mark.seeds(fixed=10, random=20)
def test_the_hours_counted_are_those_that_are_readable(seed):
    assert list(compared(seed))


def test_most_predicates_are_exact():
    exact = [each for seed in range(10) for each in compared(seed)]
    assert sum(exact) > len(exact) / 2
