"""The rate that a shard of Kinesis accepts: at most 1,000 records and at most 1 MiB a second ("Quotas and limits")."""

from __future__ import annotations

from datawarehouse.clock import Clock

RECORDS_A_SECOND = 1000
BYTES_A_SECOND = 1024 * 1024
RATE = f"a shard takes {RECORDS_A_SECOND} records and {BYTES_A_SECOND} bytes a second"


class ShardRate:
    """How much each shard may still accept now; an empty allowance is full again after a second."""

    def __init__(self, shard_count: int, clock: Clock) -> None:
        self._clock = clock
        self._left = [(float(RECORDS_A_SECOND), float(BYTES_A_SECOND))] * shard_count
        self._at_ms = clock.now_ms()

    def take(self, shard: int, size: int) -> bool:
        """Whether the shard takes a record of `size` bytes now."""
        self._refill()
        records, room = self._left[shard]
        if records < 1 or room < size:
            return False
        self._left[shard] = (records - 1, room - size)
        return True

    def _refill(self) -> None:
        now = self._clock.now_ms()
        share = max(0, now - self._at_ms) / 1000
        self._at_ms = now
        if share:
            self._left = [
                (
                    min(RECORDS_A_SECOND, records + share * RECORDS_A_SECOND),
                    min(BYTES_A_SECOND, room + share * BYTES_A_SECOND),
                )
                for records, room in self._left
            ]
