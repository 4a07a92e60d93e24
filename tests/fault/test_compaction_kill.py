"""Kill -9 of a process that takes, converts and compacts in a loop, at random moments.

After any kill, when the folder is opened again: every acknowledged row is there, none is there twice that was not sent
twice, no file is there that the catalog does not know, and the ledger closes. A process of compaction that ends alone
harms nothing either.
"""

import os
import random
import signal
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest
from forks import forks

from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.durable import ASIDE_SUFFIX
from datawarehouse.errors import WorkerDied
from datawarehouse.parquet.footer import REJECTS, ROWS
from datawarehouse.testing import simulate
from datawarehouse.tidy.orders import DedupeOrder

SERIES = 5
KILLS_IN_A_SERIES = 4
LINES_OF_TWO_ROUNDS = 20
START_MS = 1_772_348_400_000  # 2026-03-01T07:00:00Z
TABLES = ("plain", "arranged")
WAREHOUSE = """
from datawarehouse import Warehouse

columns = {"id": "string", "n": "int"}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("plain", columns)
    .with_streaming_input_table("arranged", columns, sort_by=["n"], dedupe_key="id")
)
"""
# Prints `ready`, then each row that is acknowledged: table, id, clock. Each comes to `arranged` twice in its hour. The
# clock goes on where the one before it stopped, an hour after every second round.
CHILD = f"""
from datawarehouse import open_warehouse
import datawarehouse.runtime.embedded
{WAREHOUSE}

class Clock:
    def __init__(self, at_ms):
        self.at_ms = at_ms

    def now_ms(self):
        return self.at_ms


def main(folder, prefix, start_ms):
    clock = Clock(int(start_ms))
    settings = {{"compact_after_hours": 0, "convert_interval_ms": 10}}
    with open_warehouse(warehouse, folder, settings, clock) as opened:
        print("ready", flush=True)
        for round in range(10_000):
            ids = [f"{{prefix}}-{{round}}-{{n}}" for n in range(5)]
            for table, times in (("plain", 1), ("arranged", 2)):
                events = [{{"id": id, "n": -n}} for n, id in enumerate(ids)]
                opened.put(table, [*events * times, b"no event"])
                print("".join(f"{{table}} {{id}} {{clock.at_ms}}\\n" for id in ids), end="", flush=True)
            opened.flush()
            for table in ("plain", "arranged"):
                opened.catalog.mark_merged(opened.catalog.fresh_files(table))
            if round % 2:
                clock.at_ms += 3_600_000
                opened.compact("plain")
                opened.compact("arranged")
"""


def declared():
    scope = {}
    exec(WAREHOUSE, scope)
    return scope["warehouse"]


def killed(begin, folder, prefix, now_ms, chance):
    """Begin a child and kill it: (the rows that it said are acknowledged, as (table, id), and its clock)."""
    process = begin(folder, prefix, now_ms)
    try:
        assert process.stdout.readline() == "ready\n"
        # Flush, mark and compact follow the last line of two rounds.
        said = "".join(process.stdout.readline() for _ in range(LINES_OF_TWO_ROUNDS * chance.randint(1, 4)))
        time.sleep(chance.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.read()
    finally:
        process.kill()
    lines = [line.split() for line in said[: said.rfind("\n") + 1].splitlines()]
    return {(table, id) for table, id, _ in lines}, max([now_ms, *(int(at_ms) for _, _, at_ms in lines)])


def data_files(folder):
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.endswith((".parquet", ".parquet" + ASIDE_SUFFIX))
    }


def check(opened, acknowledged):
    """What holds after any kill; how many different rows each table has."""
    opened.chores.orphans.look()
    there = data_files(opened.folder)
    assert there <= opened.catalog.paths(), "files that nobody knows"
    assert {path for (path,) in opened.catalog.store.rows("select path from files where retired_ms is null")} <= there
    for path in there:
        with pq.ParquetFile(opened.folder / path, page_checksum_verification=True) as file:
            file.read()
    different = {}
    for table in TABLES:
        found = Counter(id for (id,) in opened.query(f"select id from {table}"))
        assert {id for name, id in acknowledged if name == table} <= found.keys(), "lost"
        assert set(found.values()) <= ({1} if table == "plain" else {1, 2}), "doubled"
        totals = opened.catalog.totals(table)
        [(rejected,)] = opened.query(f"select count(*) from {table}_quarantine")
        assert (totals.rows, totals.rejected) == (found.total(), rejected)
        assert totals.received == totals.rows + totals.rejected + totals.deduplicated
        different[table] = len(found)
    return different


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """What begins a child; its imports are done once for all kills."""
    folder = tmp_path_factory.mktemp("child")
    (folder / "compacting_child.py").write_text(CHILD)
    with forks("compacting_child", folder, folder) as begin:
        yield begin


@pytest.mark.parametrize("seed", range(SERIES))
def test_no_kill_loses_or_doubles_a_row_or_leaves_a_file(tmp_path, begin, seed):
    chance = random.Random(seed)
    folder = tmp_path / "data"
    acknowledged, now_ms, compacted = set(), START_MS, set()
    try:
        for kill in range(KILLS_IN_A_SERIES):
            more, now_ms = killed(begin, folder, str(kill), now_ms, chance)
            acknowledged |= more
            with simulate(declared(), folder) as opened:
                opened.clock.set_ms(now_ms)
                check(opened, acknowledged)
                compacted |= set(opened.catalog.store.rows("select path from files where compacted is not null"))
        with simulate(declared(), folder, settings={"compact_after_hours": 0}) as opened:
            opened.clock.set_ms(now_ms)
            opened.advance("3h")
            different = check(opened, acknowledged)
            assert data_files(folder) == opened.catalog.paths(), "retired files that a kill had half deleted are gone"
            assert opened.catalog.totals("arranged").rows == different["arranged"], "each id is left once"
            for table in TABLES:
                for kind in (ROWS, REJECTS):
                    hours = opened.catalog.partitions_between(table, kind, None, None)
                    assert len(opened.catalog.live_files(table, kind, hours)) == len(hours)
    except AssertionError as error:
        raise AssertionError(f"seed {seed} replays the kills") from error
    assert len(compacted) > 4, "the kills came before much was compacted; the child is too slow for this test"


class EndingAtOrder:
    """Runs orders, and ends at one: after its files were published and before anybody heard of them."""

    def __init__(self, run, number):
        self.run = run
        self.orders = []
        self.number = number

    def __call__(self, order):
        self.orders.append(order)
        answer = self.run(order)
        if len(self.orders) == self.number:
            raise WorkerDied("The compact process ended.")
        return answer


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_process_that_ends_puts_one_hour_off_and_what_it_left_is_removed(tmp_path, number):
    with simulate(declared(), tmp_path, settings={"compact_after_hours": 0}) as opened:
        for _ in range(2):
            for _ in range(3):
                opened.put("arranged", [{"id": str(id), "n": id} for id in (3, 1, 2, 1)])
                opened.flush()
                opened.catalog.mark_merged(opened.catalog.fresh_files("arranged"))
            opened.clock.set_ms(opened.clock.now_ms() + HOUR_MS)
        execute = EndingAtOrder(opened.tidying.compactor.run, number)
        opened.chores.round(execute, lambda: False)
        first, second = "2026/01/05/09", "2026/01/05/10"
        hit = first if number <= 2 else second  # each hour takes a search for duplicates and a merge
        kinds = [isinstance(order, DedupeOrder) for order in execute.orders]
        assert kinds == ([True, True, False] if number == 1 else [True, False, True, False][: 3 if number == 3 else 4])
        assert [each.partition for each in opened.chores.planner.due("arranged", ROWS)] == [hit], "the other is done"
        left = data_files(tmp_path) - opened.catalog.paths()
        assert len(left) == (3 if number in (1, 3) else 1), "each of three files had duplicates"
        opened.advance("59m")
        assert [each.partition for each in opened.chores.planner.due("arranged", ROWS)] == [hit], (
            "it is put off for an hour"
        )
        opened.advance("1m")
        assert [len(opened.catalog.live_files("arranged", ROWS, [hour])) for hour in (first, second)] == [1, 1]
        assert list(opened.query("select id, count(*), sum(n) from arranged group by id order by id")) == [
            ("1", 2, 2), ("2", 2, 4), ("3", 2, 6),
        ]  # fmt: skip
        totals = opened.catalog.totals("arranged")
        assert (totals.received, totals.rows, totals.deduplicated) == (24, 6, 18)
        assert left <= data_files(tmp_path)
        opened.advance("48h")  # a look a day: one that finds it, one that finds it again
        assert data_files(tmp_path) == opened.catalog.paths()
        assert len(data_files(tmp_path)) == 2
