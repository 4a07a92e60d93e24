"""The memory of queries: never more is out than there is, whoever is first, waits or leaves."""

import asyncio
import random

import pytest

from datawarehouse.runtime.query_memory import QueryMemory


def test_production_is_served_first_and_a_large_one_gets_its_turn():
    async def run():
        memory, order = QueryMemory(10), []

        async def take(name, bytes, first):
            await memory.take(bytes, first=first)
            order.append(name)

        await take("held", 8, False)
        waiting = [
            asyncio.create_task(take(*each))
            for each in (("large", 9, False), ("small", 1, False), ("production", 5, True), ("another", 2, True))
        ]
        await asyncio.sleep(0)
        memory.give_back(8)
        await asyncio.gather(*waiting[2:])
        assert order == ["held", "production", "another"], "what is large is not overtaken by what is small"
        memory.give_back(7)
        await asyncio.gather(*waiting)
        assert order[3:] == ["large", "small"]

    asyncio.run(run())


def test_one_that_leaves_while_it_waits_takes_nothing_and_stops_nobody():
    async def run():
        memory = QueryMemory(10)
        await memory.take(8, first=False)
        leaving = asyncio.create_task(memory.take(10, first=True))
        behind = asyncio.create_task(memory.take(2, first=False))
        await asyncio.sleep(0)
        assert not behind.done()
        leaving.cancel()
        await behind
        memory.give_back(10)
        await memory.take(10, first=False)

    asyncio.run(run())


@pytest.mark.seeds(fixed=20, random=10)
def test_never_more_is_out_than_there_is(seed):
    asyncio.run(rush(random.Random(seed)))


async def rush(dice):
    total = dice.randint(5, 20)
    memory, out = QueryMemory(total), 0

    async def use(bytes, first, turns):
        nonlocal out
        await memory.take(bytes, first=first)
        out += bytes
        assert out <= total
        try:
            for _ in range(turns):
                await asyncio.sleep(0)
        finally:
            out -= bytes
            memory.give_back(bytes)

    tasks = []
    for _ in range(100):
        tasks.append(asyncio.create_task(use(dice.randint(1, total), dice.random() < 0.3, dice.randint(0, 3))))
        if dice.random() < 0.3:
            dice.choice(tasks).cancel()
        if dice.random() < 0.5:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not [task for task in tasks if not task.cancelled() and task.exception()]
    await memory.take(total, first=False)
