"""Pages of a result at Trino's door, while the query comes to its end."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

from datawarehouse.access.identity import EVERYBODY
from datawarehouse.clock import WallClock
from datawarehouse.query.messages import TRINO, End, Head, Piece, QueryOrder
from datawarehouse.query.registry import QueryRegistry
from datawarehouse.query.results import Results
from datawarehouse.server.http import Request
from datawarehouse.server.trino import Trino

COLUMNS = b'[{"name": "n", "type": "integer"}]'


class ReadsLate(ThreadPoolExecutor):
    """Reads a page only after the query has ended, if it is asked for one before."""

    def __init__(self, go_on):
        super().__init__(4)
        self.go_on, self.ended = go_on, threading.Event()

    def submit(self, call, *arguments, **named):
        if call.__name__ == "append":
            return super().submit(call, *arguments, **named)

        def late():
            self.go_on()
            assert self.ended.wait(30)
            return call(*arguments, **named)

        return super().submit(late)


def test_no_row_is_lost_when_the_query_ends_while_a_page_is_read(tmp_path):
    async def asked():
        loop, is_read = asyncio.get_running_loop(), asyncio.Event()
        files = ReadsLate(lambda: loop.call_soon_threadsafe(is_read.set))

        async def ask(order, started):
            started()
            yield Head(0, 0)
            yield Piece(COLUMNS)
            yield Piece(b"[[1],[2]]", 2)
            await is_read.wait()
            yield Piece(b"[[3]]", 3)
            yield End(3)

        registry = QueryRegistry(
            ask, lambda name: name, WallClock(), Results(tmp_path), files, lambda error: error,
            lambda entry: files.ended.set() if entry.ended_ms else None,
            results_bytes_max=10**6, results_keep_s=60,
        )  # fmt: skip
        door = Trino(registry, "shop", WallClock())
        query = registry.submit(QueryOrder("select n", [], TRINO), "ana")

        async def page(number):
            request = Request("GET", f"/v1/statement/{query.id}/{number}", "", {b"host": b"here"}, None)
            request.identity = EVERYBODY
            return json.loads((await door.route(request, None)).body)

        answers = [await page(1)]
        while "nextUri" in answers[-1]:
            answers.append(await page(answers[-1]["nextUri"].rpartition("/")[2]))
        return [row for answer in answers for row in answer.get("data", [])]

    assert asyncio.run(asked()) == [[1], [2], [3]]
