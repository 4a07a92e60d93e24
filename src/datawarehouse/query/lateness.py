"""How late events come: from the hour in which they happened to the hour in which they arrived.

The catalog knows event times and arrival by the hour, so that lateness is a number of hours: 0 for an event that
arrived in the hour in which it happened, negative for one that says it happened later than it arrived. Spans that were
joined count from their first hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any

from datawarehouse.catalog.event_times import decoded_counts
from datawarehouse.definition.lateness import quantile
from datawarehouse.definition.partition import HOUR_MS, start_ms

QUANTILES = {"p50": Fraction(50, 100), "p99": Fraction(99, 100), "p99.9": Fraction(999, 1000), "maximum": Fraction(1)}


@dataclass(slots=True)
class Lateness:
    """Of some rows. by_hours: how many rows there are of each lateness, in hours. without: rows without event time.
    unknown: rows in files that say nothing of their event times."""

    by_hours: Counter[int] = field(default_factory=Counter)
    without: int = 0
    unknown: int = 0

    def add(self, other: Lateness) -> None:
        self.by_hours.update(other.by_hours)
        self.without += other.without
        self.unknown += other.unknown

    def values(self) -> dict[str, Any]:
        """Quantiles in hours, None without events: the least lateness that so large a share of events does not
        exceed."""
        quantiles = {name: quantile(self.by_hours, share) for name, share in QUANTILES.items()}
        return {"events": sum(self.by_hours.values()), "without": self.without, "unknown": self.unknown} | quantiles


def lateness_by_hour(files: Iterable[tuple[str, str | None, int]]) -> dict[str, Lateness]:
    """The lateness of each hour of arrival, in order. files: the partition, the counts of event times, the rows."""
    return {
        partition: _of_files(start_ms(partition) // HOUR_MS, ((counts, rows) for _, counts, rows in group))
        for partition, group in groupby(files, lambda file: file[0])
    }


def _of_files(arrival: int, files: Iterable[tuple[str | None, int]]) -> Lateness:
    found = Lateness()
    for counts, rows in files:
        if counts is None:
            found.unknown += rows
            continue
        nulls, spans = decoded_counts(counts)
        found.without += nulls
        for first, _, events in spans:
            found.by_hours[arrival - first // HOUR_MS] += events
    return found
