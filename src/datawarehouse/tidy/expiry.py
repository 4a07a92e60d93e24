"""What is old enough to go. Pure."""

from __future__ import annotations

from datawarehouse.definition.partition import HOUR_MS, partition_of

DAY_MS = 24 * HOUR_MS


def first_kept(now_ms: int, retention_days: int) -> str:
    """The oldest partition that stays; an hour goes `retention_days` after its end."""
    # The hours that ended later than retention_days ago: the first of them is the one that lies there.
    return partition_of(now_ms - retention_days * DAY_MS)
