"""What the registry of queries keeps of those that are over."""

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from datawarehouse.clock import WallClock
from datawarehouse.errors import QueryFailed
from datawarehouse.query.messages import QueryOrder
from datawarehouse.query.registry import Query, QueryRegistry
from datawarehouse.query.results import Results


class Held:
    """Something large that a function has while it runs."""


def test_a_query_that_failed_or_is_forgotten_keeps_nothing_alive(tmp_path):
    held = []

    async def ask(order, started):
        there = Held()
        held.append(weakref.ref(there))
        try:
            raise ValueError(there)
        except ValueError:
            raise QueryFailed("no such column") from None
        yield

    async def failed(registry):
        query = registry.submit(QueryOrder("select n", [], "ndjson"), "ana")
        await query.wait(lambda: query.is_over, 30)
        for _ in range(2):
            with pytest.raises(QueryFailed, match="no such column"):
                await registry.page(query, 0)
        gc.collect()
        assert [each() for each in held] == [None]
        registry.end_or_forget(query, "test")

    async def asked(files):
        registry = QueryRegistry(
            ask, lambda name: name, WallClock(), Results(tmp_path), files, lambda error: error, lambda entry: None,
            results_bytes_max=10**6, results_keep_s=3600,
        )  # fmt: skip
        await failed(registry)
        gc.collect()
        assert [each for each in gc.get_objects() if isinstance(each, Query)] == []

    with ThreadPoolExecutor(1) as files:
        asyncio.run(asked(files))
