"""A statement that writes in scratch is killed: at each call of the disk, and while its rows are computed."""

import json
import os
import signal
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import running, until

from datawarehouse.clock import WallClock
from datawarehouse.durable import LocalDisk
from datawarehouse.folder import scratch_root
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.scratch.store import Place, Scratch, ScratchTable

PLACE = Place("people", "ann")
LIMITS = ScratchLimits(10**6, 0, 10**9, 0)
CALLS = ("open", "rename", "remove", "make_folder", "sync_folder")
DECLARED = """
from datawarehouse import Warehouse

warehouse = Warehouse("shop").with_table("t", {"a": "int"})
"""


def written(scratch, name, rows):
    """Make a table, or replace the one of this name."""
    with scratch.new_file(PLACE) as new:
        pq.write_table(pa.table({"a": list(range(rows))}), new.file)
        with scratch.changing(PLACE, 10**6) as draft:
            if name in draft.tables:
                draft.drop(name)
            file = new.kept(rows)
            draft.tables[name] = ScratchTable(name, [("a", "bigint")], [], draft.now_ms, [file])


def killed_at(scratch, number):
    """Whether a process that replaces a table was killed, at this call of the disk."""
    child = os.fork()
    if child == 0:
        calls = iter(range(1000))

        def counted(real):
            def call(*arguments, **options):
                if next(calls) == number:
                    os._exit(9)
                return real(*arguments, **options)

            return call

        for name in CALLS:
            setattr(LocalDisk, name, counted(getattr(LocalDisk, name)))
        written(scratch, "t", 7)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def test_killed_at_any_call_a_table_is_the_old_one_or_the_new_one(tmp_path):
    outcomes, number = [], 0
    while True:
        scratch = Scratch.of(LIMITS, tmp_path / str(number), WallClock())
        (tmp_path / str(number)).mkdir()
        written(scratch, "t", 3)
        was_killed = killed_at(scratch, number)
        [table] = scratch.tables(PLACE).values()
        assert [pq.read_table(scratch.path(PLACE, file)).num_rows for file in table.files] == [table.files[0].rows]
        outcomes.append(table.files[0].rows)
        scratch.clean()
        scratch.clean()  # the first one notes what the dead process has dropped
        left = {path.name for path in scratch_root(tmp_path / str(number)).rglob("*.parquet*")}
        assert left == {table.files[0].name}
        if not was_killed:
            break
        number += 1
    assert number > 5 and set(outcomes) == {3, 7} and outcomes == sorted(outcomes)


@pytest.mark.skipif(sys.platform != "linux", reason="child processes are found by /proc, which is Linux's")
def test_a_query_process_that_is_killed_leaves_nothing(tmp_path):
    numbers = "unnest(sequence(1, 10000))"
    endless = f"select a.x from {numbers} a(x), {numbers} b(y), {numbers} c(z)"
    with running(tmp_path, declaration=DECLARED) as shop:
        shop.query("create table scratch.kept as select 1 as a")
        body = json.dumps({"sql": f"create table scratch.large as {endless}", "format": "json"})
        query = json.loads(shop.request("POST", "/v1/queries", body)[2])
        root = scratch_root(shop.folder / "data")
        written = until(lambda: [path for path in root.rglob("*.aside") if path.stat().st_size > 4], "rows are written")
        holders = [pid for pid in shop.children() if holds(pid, written[0])]
        for pid in holders:
            os.kill(pid, signal.SIGKILL)
        done = json.loads(shop.request("GET", f"/v1/queries/{query['id']}?wait_s=30")[2])
        assert holders and done["state"] == "failed"
        assert shop.query("select table_name from information_schema.tables where table_schema = 'scratch'") == [
            {"table_name": "kept"}
        ]
        shop.query("create table scratch.next as select 2 as a")
        assert len(list(root.rglob("*.parquet*"))) == 2


def holds(pid, path):
    folder = f"/proc/{pid}/fd"
    return any(os.path.realpath(f"{folder}/{number}") == str(path) for number in os.listdir(folder))  # noqa: PTH208
