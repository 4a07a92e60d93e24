"""Streams whose last event arrived at an instant that the clock has not reached yet.

A wall clock that was ahead leaves them behind. Arrival never runs backwards, so until that instant all their events
stand in its hour, and no later hour begins.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import shown
from datawarehouse.definition.partition import partition_of
from datawarehouse.journal.journal import Journal

log = logging.getLogger("datawarehouse")

_NOTED_MS = 1000  # a clock is set back by some milliseconds again and again
_LONG_GAP_MS = 24 * 3_600_000


def held_until(catalog: Catalog, stream: str, now_ms: int, journal: Journal | None = None) -> int | None:
    """The instant up to which a stream's events stand in one hour; None if they stand in the hour of the clock.

    Without a journal, what is not converted is unknown.
    """
    last = _last_arrival(catalog, stream, journal)
    return last if last - now_ms > _NOTED_MS else None


def say_at_opening(catalog: Catalog, journals: Mapping[str, Journal], now_ms: int) -> None:
    """Log which streams are held, or a long time without an owner: both may come from a clock that is wrong."""
    for name, journal in journals.items():
        held = held_until(catalog, name, now_ms, journal)
        if held is not None:
            log.warning(
                "the last event of table %s arrived at %s, and the clock says %s: until then its events stand in the "
                "hour %s",
                name, shown(held), shown(now_ms), partition_of(held),
            )  # fmt: skip
    last = max((_last_arrival(catalog, name, journal) for name, journal in journals.items()), default=0)
    if last and now_ms - last > _LONG_GAP_MS:
        gap = timedelta(seconds=(now_ms - last) // 1000)
        log.warning(
            "the clock says %s, %s after the last event arrived; if the clock is wrong, set it before events arrive",
            shown(now_ms), gap,
        )  # fmt: skip


def _last_arrival(catalog: Catalog, stream: str, journal: Journal | None = None) -> int:
    arrived = max(catalog.converted(stream).arrival_ms, catalog.closed_ms(stream))
    return max(arrived, journal.last_arrival_ms) if journal else arrived
