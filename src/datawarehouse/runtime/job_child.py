"""The process of one run of a job: a supervisor, and below it the process that executes the user's function."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from datawarehouse.jobs.orders import ANSWER_BYTES_MAX, JobFailure, JobOrder, JobOutput
from datawarehouse.jobs.supervise import supervised
from datawarehouse.query.limits import (
    ROOM_BYTES,
    QueryLimits,
    data_bytes,
    end_limit_of_memory,
    limit_memory,
    use_system_memory,
)

if TYPE_CHECKING:
    from datawarehouse.query.engine import Engine
    from datawarehouse.query.result import Result

_END = struct.Struct("d")
_GRACE_S = 0.5  # normally a query ends in time itself; this is for a function of DuckDB that cannot be interrupted


def run_of(
    order: JobOrder, limits: QueryLimits, new_engine: Callable[[], Engine], owner: tuple[int, int]
) -> JobOutput | JobFailure | msgspec.Raw:
    """Do a run; returns what its process answered, unchecked, or why it did not. owner: as in `supervised`."""
    running = _Running()

    def work() -> bytes:
        use_system_memory()
        from datawarehouse.jobs.execute import execute  # loads what the supervisor does not need

        return msgspec.msgpack.encode(execute(order, _Queries(limits, new_engine, running).ask))

    def is_late() -> str:
        if not 0 < running.end < time.monotonic():
            return ""
        return (
            f"A query of the run took longer than {limits.time_max_s:g} s (query_time_max_s) and did not end when it "
            "was interrupted, so that the run was ended. Read fewer partitions, or raise the limit."
        )

    ended = supervised(work, owner, order.memory_bytes_max, ANSWER_BYTES_MAX, is_late)
    if ended.reason:
        return JobFailure(ended.reason)
    if ended.answer and not ended.status:
        return msgspec.Raw(ended.answer)
    if running.end and ended.status < 0:
        return JobFailure(
            f"The run's process was ended by {signal.Signals(-ended.status).name} during a query. It probably needed "
            f"more memory than {limits.memory_bytes_max} bytes (query_memory_bytes_max). Read fewer partitions or "
            "columns, or raise the limit."
        )
    return JobFailure(
        f"The run's process died: The job process ended (status {ended.status}). Its work was not done and can be "
        "repeated."
    )


class _Running:
    """When the query that runs must have ended (of time.monotonic), 0 if none runs: what the process of a run tells its
    supervisor, in memory that both have."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _END.size)

    @property
    def end(self) -> float:
        return float(_END.unpack_from(self._memory)[0])

    @end.setter
    def end(self, end: float) -> None:
        _END.pack_into(self._memory, 0, end)


class _Queries:
    """The queries of a run, in its process, each with the limits of a query of anybody else.

    Memory: until all queries that run have ended, the process may take only so much more than it has. What they leave
    would raise that from query to query, so that the engine is closed when they have left too much. Time: a query that
    does not end when its time is over ends the run.
    """

    def __init__(self, limits: QueryLimits, new_engine: Callable[[], Engine], running: _Running) -> None:
        self._limits = limits
        self._new_engine = new_engine
        self._running = running
        self._process = os.getpid()
        self._asking = 0
        self._ends: list[float] = []
        self._engine: Engine | None = None
        self._left_bytes = 0  # by the queries of this engine
        self._had_bytes = 0  # before those that run
        self._lock = threading.Lock()

    def ask(self, sql: str, parameters: Sequence[Any]) -> Result:
        with self._lock:  # one engine, whichever threads of the job ask: its memory is limited, not that of two
            if self._engine is None:
                self._engine = self._new_engine()
                self._engine.warm_up()
            engine = self._engine
            if not self._asking:
                self._had_bytes = data_bytes()
            self._asking += 1
        try:
            with self._limited():
                return engine.query(sql, parameters)
        finally:
            _give_back_memory()
            with self._lock:
                self._asking -= 1
                if not self._asking:
                    self._left_bytes += data_bytes() - self._had_bytes
                if self._left_bytes > ROOM_BYTES and self._engine is engine and not self._asking:
                    self._engine = None
                    self._left_bytes = 0
                    engine.close()

    @contextmanager
    def _limited(self) -> Iterator[None]:
        end = time.monotonic() + self._limits.time_max_s + _GRACE_S
        if os.getpid() != self._process:  # one that the job forked: it has the limits of the run alone
            yield
            return
        with self._lock:
            if not self._ends:
                limit_memory(self._limits.memory_bytes_max)
            self._ends.append(end)
            self._running.end = min(self._ends)
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)
                self._running.end = min(self._ends, default=0.0)
                if not self._ends:
                    end_limit_of_memory()


def _give_back_memory() -> None:
    """Let the C library give what is free to the system again, where it can (glibc)."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
