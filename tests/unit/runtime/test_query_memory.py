"""The memory of queries: never more is out than there is, whoever is first, waits or leaves."""

import asyncio
import random

import pytest

from datawarehouse.runtime.query_memory import QueryMemory
from patience import patient


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
        memory.give_back(8, first=False)
        await asyncio.gather(*waiting[2:])
        assert order == ["held", "production", "another"], "what is large is not overtaken by what is small"
        memory.give_back(7, first=True)
        await asyncio.gather(*waiting)
        assert order[3:] == ["large", "small"]

    asyncio.run(run())


def test_what_is_kept_for_production_others_do_not_get():
    async def run():
        memory = QueryMemory(10, 4)
        await memory.take(6, first=False)
        other = asyncio.create_task(memory.take(1, first=False))
        await asyncio.sleep(0)
        await asyncio.wait_for(memory.take(4, first=True), patient(5))
        memory.give_back(4, first=True)
        await asyncio.sleep(0)
        assert not other.done()
        memory.give_back(6, first=False)
        await other

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
        memory.give_back(10, first=False)
        await memory.take(10, first=False)

    asyncio.run(run())


@pytest.mark.seeds(fixed=20, random=10)
def test_never_more_is_out_than_there_is(seed):
    asyncio.run(rush(random.Random(seed)))


async def rush(dice):
    total = dice.randint(5, 20)
    kept = dice.choice((0, dice.randint(0, total - 1)))
    memory, out, out_of_others = QueryMemory(total, kept), 0, 0

    async def use(bytes, first, turns):
        nonlocal out, out_of_others
        await memory.take(bytes, first=first)
        out += bytes
        out_of_others += 0 if first else bytes
        assert out <= total and out_of_others <= total - kept
        try:
            for _ in range(turns):
                await asyncio.sleep(0)
        finally:
            out -= bytes
            out_of_others -= 0 if first else bytes
            memory.give_back(bytes, first=first)

    tasks = []
    for _ in range(100):
        first = dice.random() < 0.3
        bytes = dice.randint(1, total if first else total - kept)
        tasks.append(asyncio.create_task(use(bytes, first, dice.randint(0, 3))))
        if dice.random() < 0.3:
            dice.choice(tasks).cancel()
        if dice.random() < 0.5:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not [task for task in tasks if not task.cancelled() and task.exception()]
    await memory.take(total - kept, first=False)
    await memory.take(kept, first=True)
