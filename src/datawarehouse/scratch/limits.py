"""How much may be kept in scratch, and for how long; the settings of these names say what they mean."""

from __future__ import annotations

import msgspec

from datawarehouse.settings import Settings

_DAY_MS = 86_400_000
_GRACE_S = 60  # longer than the longest query


class ScratchLimits(msgspec.Struct, frozen=True):
    """local_bytes_max: what the local user may have; a key has what its workgroup says. free_bytes_min: with less free
    disk, nobody writes. keep_ms: a table goes so long after its last change. grace_ms: a file of no table, after
    that."""

    local_bytes_max: int
    free_bytes_min: int
    keep_ms: int
    grace_ms: int

    @classmethod
    def of(cls, settings: Settings, longest_query_s: int) -> ScratchLimits:
        number = settings.number
        return cls(
            number("scratch_bytes_max"),
            number("disk_free_bytes_min"),
            number("scratch_keep_days") * _DAY_MS,
            (longest_query_s + _GRACE_S) * 1000,
        )
