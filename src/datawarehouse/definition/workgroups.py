"""Workgroups: each is for one audience of queries, with what it permits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from datawarehouse.errors import BadRequest, DeclarationError, ScanRefused

ADHOC_HOURS = 744
"""A month of 31 days."""
LARGE_BYTES = 10**9
"""From so many bytes of live files on, a data folder is one in which people bound what they read."""
SCRATCH_BYTES = 1024**3
PRODUCTION, ADHOC = "production", "adhoc"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MIB = 1024 * 1024
_LIMITS: dict[str, tuple[int, int]] = {
    "partitions_max": (1, 10**7),
    "scan_bytes_max": (10 * _MIB, 10**15),  # Athena's least and what pulumi_aws takes (WorkgroupConfigurationArgs)
    "scan_bytes_per_day_max": (10 * _MIB, 10**15),
    "query_time_max_s": (1, 43_200),
    "memory_bytes_max": (32 * _MIB, 2**50),
    "threads": (1, 256),
    "concurrency_max": (1, 64),
    "result_rows_max": (1, 2**62),
    "scratch_bytes_max": (0, 10**15),
}


@dataclass(frozen=True, slots=True)
class Workgroup:
    """What a workgroup permits. None: no such limit, or the one of the setting `query_...`.

    require_partition_filter: each use of a table that has hours needs a range of hours. partitions_max: of at most so
    many hours, which requires a range too. allow_full_scan: a query may ask for a full scan, to which these two do not
    apply. scan_bytes_max: the files that a query reads have so many bytes in all. scan_bytes_per_day_max: those of all
    its queries of a day (UTC).
    query_time_max_s, memory_bytes_max, threads, result_rows_max: limits of each query. concurrency_max: so many queries
    run at once; others wait. scratch_bytes_max: how large the scratch of each of its keys may be; None and 0: none, so
    that its keys only read. Of `adhoc`, which people use, it is a gibibyte.
    """

    name: str
    require_partition_filter: bool = False
    allow_full_scan: bool = False
    partitions_max: int | None = None
    scan_bytes_max: int | None = None
    scan_bytes_per_day_max: int | None = None
    query_time_max_s: int | None = None
    memory_bytes_max: int | None = None
    threads: int | None = None
    concurrency_max: int | None = None
    result_rows_max: int | None = None
    scratch_bytes_max: int | None = None


NO_LIMITS = Workgroup(PRODUCTION)
DEFAULTS = (
    NO_LIMITS,
    Workgroup(ADHOC, require_partition_filter=True, partitions_max=ADHOC_HOURS, scratch_bytes_max=SCRATCH_BYTES),
    Workgroup("batch"),
)
"""Those that each warehouse has: `production` for services, `adhoc` for people, `batch` for jobs."""


def checked_workgroup(name: Any, choices: dict[str, Any], limits: dict[str, Any]) -> Workgroup:
    """A declared workgroup. Raises DeclarationError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"The workgroup is called {name!r}; valid are 1 to 40 of a-z, 0-9 and _, beginning with a letter."
        )
    for choice, value in choices.items():
        if not isinstance(value, bool):
            raise DeclarationError(f"Workgroup {name!r}: {choice} is {value!r}; valid are True and False.")
    for limit, value in limits.items():
        low, high = _LIMITS[limit]
        if value is not None and (type(value) is not int or not low <= value <= high):
            raise DeclarationError(
                f"Workgroup {name!r}: {limit} is {value!r}; valid is a whole number from {low} to {high}, or None."
            )
    return Workgroup(name, **choices, **limits)


def is_guarded(workgroup: Workgroup) -> bool:
    """Whether a workgroup does not permit every statement."""
    return bool(workgroup.require_partition_filter or workgroup.partitions_max or workgroup.scan_bytes_max)


def for_a_full_scan(workgroup: Workgroup) -> Workgroup:
    """What holds for a query that asks for a full scan. Raises ScanRefused if the workgroup does not permit it."""
    if not workgroup.require_partition_filter and workgroup.partitions_max is None:
        return workgroup
    if not workgroup.allow_full_scan:
        raise ScanRefused(
            f"Workgroup {workgroup.name!r} permits no full scan: a query of it has to be bounded to a range of hours. "
            "Whoever declares the workgroup can permit it (allow_full_scan=True)."
        )
    return replace(workgroup, require_partition_filter=False, partitions_max=None)


def with_defaults(declared: Iterable[Workgroup]) -> dict[str, Workgroup]:
    """The workgroups by name: those that each warehouse has, unless they are declared, and the declared ones."""
    return {each.name: each for each in (*DEFAULTS, *declared)}


def for_people(live_bytes: int) -> str:
    """The workgroup of somebody at a terminal who names none, in a data folder of this size."""
    return ADHOC if live_bytes >= LARGE_BYTES else PRODUCTION


def chosen(workgroups: dict[str, Workgroup], name: str) -> Workgroup:
    """The workgroup of a name; "" is production's. Raises BadRequest."""
    if (name or PRODUCTION) not in workgroups:
        raise BadRequest(f"There is no workgroup {name!r}; there are {', '.join(workgroups)}.")
    return workgroups[name or PRODUCTION]
