"""Arrival times go back: the way out of a clock that was ahead, which somebody has to ask for."""

from __future__ import annotations

from collections.abc import Collection

from datawarehouse.catalog.store import Store
from datawarehouse.definition.partition import HOUR_MS


def set_back(store: Store, streams: Collection[str], hourly_jobs: Collection[str], instant_ms: int) -> None:
    """Let these streams take events from an instant on again; schedules that were followed beyond it go on from there.

    hourly_jobs: those whose schedule goes from hour to hour.
    """
    hour = instant_ms - instant_ms % HOUR_MS
    with store.transaction():
        store.execute_many(
            "update streams set closed_ms = min(closed_ms, ?), arrival_ms = min(arrival_ms, ?) where table_name = ?",
            [(hour, instant_ms, name) for name in streams],
        )
        store.execute_many(
            "update schedules set reached_ms = ? where job = ? and reached_ms > ?",
            [(hour, job, instant_ms) for job in hourly_jobs],
        )
        store.execute("update schedules set reached_ms = ? where reached_ms > ?", (instant_ms, instant_ms))
