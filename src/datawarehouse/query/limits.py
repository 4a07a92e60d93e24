"""The limits of one query, defined only here; the settings of the same names say what they mean."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.settings import Settings


@dataclass(frozen=True, slots=True)
class QueryLimits:
    time_max_s: float
    memory_bytes_max: int
    threads: int
    result_rows_max: int
    verify_reads: bool = False

    @classmethod
    def of(cls, settings: Settings) -> QueryLimits:
        number = settings.number
        return cls(
            time_max_s=number("query_time_max_s"),
            memory_bytes_max=number("query_memory_bytes_max"),
            threads=number("query_threads"),
            result_rows_max=number("query_result_rows_max"),
            verify_reads=bool(settings["verify_reads"]),
        )


_ROOM_BYTES = 64 * 1024 * 1024  # for the threads' stacks, and for what the allocators keep


def use_system_memory() -> None:
    """Make Arrow take its memory from the system; call it before Arrow is loaded, in a process to be limited.

    Its own allocator reserves a gigabyte with the first large array, which would count at once (`limit_memory`).
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"


def limit_memory(more_bytes: int) -> None:
    """Let this process take so much memory in addition to what it has now, and no more; only on Linux.

    DuckDB counts what its operators hold, and not the vectors and lists that a function makes: one call of `repeat` can
    take gigabytes. Without more memory such a call fails, or ends the process.
    """
    if sys.platform != "linux":
        return
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):  # what RLIMIT_DATA limits (getrlimit(2), since Linux 4.7)
            has = int(line.split()[1]) * 1024
            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            wanted = has + more_bytes + _ROOM_BYTES
            resource.setrlimit(
                resource.RLIMIT_DATA, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
            )


def end_limit_of_memory() -> None:
    """Undo `limit_memory`: the query has ended, and its result is printed."""
    if sys.platform == "linux":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
