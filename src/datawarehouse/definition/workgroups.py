"""Workgroups: each is for one audience of queries, with what it permits."""

from __future__ import annotations

from dataclasses import dataclass

ADHOC_HOURS = 744
"""A month of 31 days."""


@dataclass(frozen=True, slots=True)
class Workgroup:
    """What a workgroup permits.

    require_partition_filter: each use of a table that has hours needs a range of hours. partitions_max: of at most so
    many hours, which requires a range too. scan_bytes_max: so many bytes of files in all. None: no such limit.
    """

    name: str
    require_partition_filter: bool = False
    partitions_max: int | None = None
    scan_bytes_max: int | None = None


NO_RULES = Workgroup("")
WORKGROUPS = {
    each.name: each
    for each in (
        Workgroup("production"),
        Workgroup("adhoc", require_partition_filter=True, partitions_max=ADHOC_HOURS),
        Workgroup("batch"),
    )
}
"""Those that each warehouse has: `production` for services, `adhoc` for people, `batch` for jobs."""
