"""Which partitions are old enough to expire. Pure."""

from __future__ import annotations

from datawarehouse.definition.partition import HOUR_MS, partition_of

DAY_MS = 24 * HOUR_MS


def first_kept(now_ms: int, retention_days: int) -> str:
    """The oldest partition that stays; an hour expires `retention_days` after its end."""
    # The first hour that ended later than retention_days ago is the hour that this instant lies in.
    return partition_of(now_ms - retention_days * DAY_MS)
