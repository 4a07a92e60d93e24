"""A pool of child processes for each workgroup, so that the queries of one never wait for those of another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor

from datawarehouse.definition.workgroups import PRODUCTION, Workgroup, chosen
from datawarehouse.errors import BadRequest
from datawarehouse.query.limits import QueryLimits
from datawarehouse.query.messages import Answered, QueryOrder
from datawarehouse.runtime.query_memory import QueryMemory
from datawarehouse.runtime.query_pool import QueryPool
from datawarehouse.runtime.workers import QuerySetup, Worker
from datawarehouse.settings import Settings


class QueryPools:
    """Each starts its processes when they are first needed; those of production begin with a process that is ready."""

    def __init__(
        self,
        workgroups: dict[str, Workgroup],
        settings: Settings,
        setup: Callable[[QueryLimits, Workgroup], QuerySetup],
        new_worker: Callable[[QuerySetup], Worker],
    ) -> None:
        """Raises BadRequest if a query of a workgroup could never have its memory."""
        total = settings.number("query_memory_total_bytes")
        for workgroup in workgroups.values():
            if (most := QueryLimits.of(settings, workgroup).memory_bytes_max) > total:
                raise BadRequest(
                    f"A query of workgroup {workgroup.name!r} may use {most} bytes of memory, and all queries together "
                    f"{total} (query_memory_total_bytes): raise that, or lower query_memory_bytes_max or the "
                    "workgroup's memory_bytes_max."
                )
        self._workgroups = workgroups
        self._settings = settings
        self._setup = setup
        self._new_worker = new_worker
        self._memory = QueryMemory(total, self._kept_bytes(total))
        self._executors: list[ThreadPoolExecutor] = []
        self._pools: dict[str, QueryPool] = {}

    def _kept_bytes(self, total: int) -> int:
        """The memory that is kept for production: for all queries that it runs at once, as far as that leaves enough
        for one query of any other workgroup."""
        most = {name: QueryLimits.of(self._settings, each).memory_bytes_max for name, each in self._workgroups.items()}
        production = chosen(self._workgroups, PRODUCTION)
        others = max(most[name] for name in self._workgroups if name != PRODUCTION)
        return min(self._size(production) * most[PRODUCTION], total - others)

    def _size(self, workgroup: Workgroup) -> int:
        """How many of its queries run at once."""
        return workgroup.concurrency_max or self._settings.number("query_processes")

    def warm_up(self) -> None:
        self._pool(chosen(self._workgroups, PRODUCTION)).warm_up()

    def ask(self, order: QueryOrder, started: Callable[[], None]) -> AsyncGenerator[Answered]:
        """As `QueryPool.ask`, in the pool of the query's workgroup. Raises BadRequest if there is no such workgroup."""
        return self._pool(chosen(self._workgroups, order.workgroup)).ask(order, started)

    def _pool(self, workgroup: Workgroup) -> QueryPool:
        if workgroup.name not in self._pools:
            limits = QueryLimits.of(self._settings, workgroup)
            setup = self._setup(limits, workgroup)
            size = self._size(workgroup)
            executor = ThreadPoolExecutor(size + 1, f"query {workgroup.name}")
            self._executors.append(executor)
            self._pools[workgroup.name] = QueryPool(
                lambda: self._new_worker(setup),
                executor,
                self._memory,
                size=size,
                waiting_max=self._settings.number("query_waiting_max"),
                time_max_s=limits.time_max_s,
                memory_bytes_max=limits.memory_bytes_max,
                is_first=workgroup.name == PRODUCTION,
            )
        return self._pools[workgroup.name]

    def stop(self) -> None:
        """End all child processes, busy ones at once."""
        for pool in self._pools.values():
            pool.stop()

    def shutdown(self) -> None:
        """Wait for the threads, which end with the processes."""
        for executor in self._executors:
            executor.shutdown()
