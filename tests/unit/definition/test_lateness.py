"""Lateness as counts: quantiles, and the share of events that bounds of arrival miss."""

from collections import Counter
from fractions import Fraction
from random import Random

import pytest

from datawarehouse.definition.lateness import quantile, share_missed


def test_quantiles_are_the_least_lateness_that_so_many_do_not_exceed():
    counts = {0: 990, 3: 9, 70: 1, -1: 0}
    found = [quantile(counts, Fraction(share, 1000)) for share in (1, 500, 990, 991, 999, 1000)]
    assert found == [0, 0, 0, 3, 3, 70]
    assert quantile({}, Fraction(1, 2)) is None
    assert quantile({-2: 1, 5: 1}, Fraction(1, 1000)) == -2


@pytest.mark.seeds(fixed=40, random=10)
def test_the_share_is_that_of_counting_each_event(seed):
    random = Random(seed)
    counts = Counter({random.randrange(-5, 12): random.randrange(1, 50) for _ in range(random.randrange(1, 8))})
    present, first = 100, random.randrange(70, 115)
    last = first + random.randrange(12)
    low = random.choice([None, first - random.randrange(4), first + 2])
    high = random.choice([None, last + random.randrange(9), last - 3])
    asked = found = 0
    for happened in range(first, last + 1):
        for late, events in counts.items():
            arrived = happened + late
            if arrived <= present:
                asked += events
                found += events * ((low is None or low <= arrived) and (high is None or arrived <= high))
    expected = Fraction(asked - found, asked) if asked else None
    assert share_missed(counts, (first, last), (low, high), present) == expected


def test_without_counts_nothing_is_known():
    assert share_missed({}, (1, 2), (1, 2), 100) is None
