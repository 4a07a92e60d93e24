"""The limits of one query, defined only here; the settings of the same names say what they mean."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.definition.workgroups import NO_LIMITS, Workgroup
from datawarehouse.settings import Settings


@dataclass(frozen=True, slots=True)
class QueryLimits:
    time_max_s: float
    memory_bytes_max: int
    threads: int
    result_rows_max: int
    verify_reads: bool = False

    @classmethod
    def of(cls, settings: Settings, workgroup: Workgroup = NO_LIMITS) -> QueryLimits:
        """Those of a workgroup; where it has none, those of the settings."""
        number = settings.number
        return cls(
            time_max_s=workgroup.query_time_max_s or number("query_time_max_s"),
            memory_bytes_max=workgroup.memory_bytes_max or number("query_memory_bytes_max"),
            threads=workgroup.threads or number("query_threads"),
            result_rows_max=workgroup.result_rows_max or number("query_result_rows_max"),
            verify_reads=bool(settings["verify_reads"]),
        )


ROOM_BYTES = 64 * 1024 * 1024
"""Beyond a limit of memory: for the threads' stacks, and for what the allocators keep."""

_LOOK_EVERY_S = 0.02


def use_system_memory() -> None:
    """Make Arrow and DuckDB take their memory from the system, and give it back; call it before they are loaded, in a
    process to be limited.

    Arrow's own allocator reserves a gigabyte with the first large array, which would count at once (`limit_memory`).
    DuckDB's, jemalloc, keeps by default the addresses of what it has freed (`opt.retain` in jemalloc(3)): they would
    count as memory that the process has, and the next query of a job might fill them, and as much again.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    os.environ["DUCKDB_JE_MALLOC_CONF"] = "retain:false"


def limit_memory(more_bytes: int) -> None:
    """Let this process take so much memory in addition to what it has now, and no more.

    DuckDB counts what its operators hold, and not the vectors and lists that a function makes: one call of `repeat` can
    take gigabytes. On Linux the system refuses more memory, and such a call fails, or ends the process. Elsewhere a
    thread looks at the most that the process has had, and kills the process.
    """
    if sys.platform != "linux":
        watch_memory(more_bytes)
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = data_bytes() + more_bytes + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def data_bytes() -> int:
    """What this process has of that which RLIMIT_DATA limits (getrlimit(2), since Linux 4.7); 0 elsewhere."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def end_limit_of_memory() -> None:
    """Undo `limit_memory`: the query has ended, and its result is printed."""
    global _watched_bytes_max
    _watched_bytes_max = None
    if sys.platform == "linux":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


_watched_bytes_max: int | None = None
_watching = 0  # the process that has the watching thread: a fork has none


def watch_memory(more_bytes: int) -> None:
    """Kill this process as soon as it has had so much more memory than until now, until `end_limit_of_memory`."""
    global _watched_bytes_max, _watching
    _watched_bytes_max = _most_bytes() + more_bytes + ROOM_BYTES
    if _watching != os.getpid():
        _watching = os.getpid()
        threading.Thread(target=_watch, name="memory", daemon=True).start()


def _watch() -> None:
    while True:
        most = _watched_bytes_max
        if most is not None and _most_bytes() > most:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(_LOOK_EVERY_S)


def _most_bytes() -> int:
    """The most resident memory that this process has had: in bytes on macOS, in kilobytes elsewhere (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
