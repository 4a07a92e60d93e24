"""A statement that writes in scratch is killed: at each call of the disk, and while its rows are computed."""

import json
import os
import resource
import signal
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import running, until

from datawarehouse.clock import WallClock
from datawarehouse.durable import LocalDisk
from datawarehouse.errors import QueryFailed, QueryLimitExceeded
from datawarehouse.folder import scratch_root
from datawarehouse.query.scratch_tables import ScratchWriter, scratch_readables
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.scratch.store import Place, Scratch, ScratchTable
from datawarehouse.sql import changes
from datawarehouse.sql.names import Asker
from datawarehouse.sql.plan import plan

PLACE, ASKER = Place("people", "ann"), Asker("ann", "people", "ann")
LIMITS = ScratchLimits(10**6, 0, 10**9, 0)
CALLS = ("open", "rename", "remove", "make_folder", "sync_folder")
DECLARED = """
from datawarehouse import Warehouse

warehouse = Warehouse("shop").with_table("t", {"a": "int"})
"""


SCHEMA = pa.schema([("a", pa.int64())])


class At:
    """A clock that says what it is told."""

    def __init__(self, now_ms):
        self.at = now_ms

    def now_ms(self):
        return self.at


def did(scratch, sql, rows=0, bytes_max=10**6):
    """Do a statement that gives so many rows."""
    writer = ScratchWriter(scratch, PLACE, bytes_max, 0)
    found = scratch_readables(scratch, ASKER, must=True)
    asked = plan(sql, {name: table.schema for name, table in found.items()}, "shop", asker=ASKER).change
    if asked.kind in (changes.TABLE, changes.INSERT):
        batch = pa.RecordBatch.from_arrays([pa.array(range(rows), pa.int64())], schema=SCHEMA)
        return writer.write(asked, [batch], ["clicks"])
    return writer.apply(asked, [])


def state(scratch):
    """The rows of each table, read from its files; None for a view."""
    return {
        name: None
        if table.statement
        else sum(pq.read_table(scratch.path(PLACE, file)).num_rows for file in table.files)
        for name, table in scratch.tables(PLACE).items()
    }


def parquet(folder):
    return sorted(path.name for path in scratch_root(folder).rglob("*.parquet*"))


def written(scratch, name, rows):
    """Make a table, or replace the one of this name."""
    with scratch.new_file(PLACE) as new:
        pq.write_table(pa.table({"a": list(range(rows))}), new.file)
        with scratch.changing(PLACE, 10**6) as draft:
            if name in draft.tables:
                draft.drop(name)
            file = new.kept(rows)
            draft.tables[name] = ScratchTable(name, [("a", "bigint")], [], draft.now_ms, [file])


def killed_at(number, act):
    """Whether a process that does something was killed, at this call of the disk."""
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
        act()
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def test_killed_at_any_call_a_table_is_the_old_one_or_the_new_one(tmp_path):
    outcomes, number = [], 0
    while True:
        scratch = Scratch.of(LIMITS, tmp_path / str(number), WallClock())
        (tmp_path / str(number)).mkdir()
        written(scratch, "t", 3)
        was_killed = killed_at(number, lambda scratch=scratch: written(scratch, "t", 7))
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


@pytest.mark.parametrize(
    ("before", "sql", "after"),
    [
        ({}, "create table scratch.t as select 1 as a", {"t": 7}),
        ({"t": 3}, "insert into scratch.t select 1", {"t": 10}),
        ({"t": 3}, "drop table scratch.t", {}),
        ({"t": 3}, "alter table scratch.t rename to scratch.u", {"u": 3}),
        ({"t": 3}, "truncate table scratch.t", {"t": 0}),
        ({"t": 3}, "create view scratch.v as select a from scratch.t", {"t": 3, "v": None}),
    ],
)
def test_killed_at_any_call_a_statement_is_done_or_not(tmp_path, before, sql, after):
    outcomes, number, was_killed = [], 0, True
    while was_killed:
        folder = tmp_path / str(number)
        folder.mkdir()
        scratch = Scratch.of(LIMITS, folder, WallClock())
        for name, rows in before.items():
            did(scratch, f"create table scratch.{name} as select 1 as a", rows)
        was_killed = killed_at(number, lambda scratch=scratch: did(scratch, sql, 7))
        outcomes.append(state(scratch))
        scratch.clean()
        scratch.clean()
        had = [file.name for table in scratch.tables(PLACE).values() for file in table.files]
        assert parquet(folder) == sorted(had)
        assert did(scratch, "create table scratch.next as select 1 as a", 2) == 2
        assert state(scratch) == outcomes[-1] | {"next": 2}
        number += 1
    done = outcomes.index(after)
    assert number > 4 and outcomes == [before] * done + [after] * (len(outcomes) - done)


def test_a_disk_that_takes_no_more_leaves_what_there_was(tmp_path):
    scratch = Scratch.of(LIMITS, tmp_path, WallClock())
    did(scratch, "create table scratch.t as select 1 as a", 3)
    before = parquet(tmp_path)
    many = 200_000
    for sql in (
        "create table scratch.u as select 1 as a",
        "insert into scratch.t select 1",
        f"create view scratch.v as select a from scratch.t where '{'x' * 3000}' = ''",
    ):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
            try:
                did(Scratch.of(LIMITS, tmp_path, WallClock()), sql, many)
            except QueryFailed as error:
                os._exit(0 if "cannot be" in str(error) and "File too large" in str(error) else 2)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, sql
        assert (state(scratch), parquet(tmp_path)) == ({"t": 3}, before)
    scratch.clean()
    left = {path.name for path in scratch_root(tmp_path).rglob("*") if path.is_file()}
    assert left == {"_tables.json", *before}


def test_a_clock_that_is_ahead_drops_nothing(tmp_path):
    keep = 30 * 86_400_000
    limits, clock = ScratchLimits(10**6, 0, keep, 60_000), At(10**12)
    scratch = Scratch.of(limits, tmp_path, clock)
    did(scratch, "create table scratch.t as select 1 as a", 3)
    clock.at += 2 * keep  # in the process of a query, whose clock is the machine's
    assert state(scratch) == {}
    did(scratch, "create table scratch.u as select 1 as a", 1)
    did(scratch, "create table scratch.v as select 1 as a", 1)
    did(scratch, "drop table scratch.v")
    clock.at = 10**12 + 1000
    assert state(scratch) == {"t": 3, "u": 1}
    scratch.clean()
    clock.at += keep + 60_000
    scratch.clean()
    assert state(scratch) == {}, "what was written ahead of the time is kept no longer than the rest"
    clock.at += 60_000
    scratch.clean()
    assert parquet(tmp_path) == []


def test_a_dropped_file_stays_while_a_query_may_read_it_or_a_back_up_holds_it(tmp_path):
    clock = At(10**12)
    scratch = Scratch.of(ScratchLimits(10**6, 0, 10**12, 60_000), tmp_path, clock)
    did(scratch, "create table scratch.t as select 1 as a", 3)
    [file] = parquet(tmp_path)
    did(scratch, "drop table scratch.t")
    clock.at += 59_999
    scratch.clean()
    assert parquet(tmp_path) == [file]
    with scratch.holding():
        clock.at += 60_000
        Scratch.of(ScratchLimits(10**6, 0, 10**12, 0), tmp_path, clock).clean()
        did(scratch, "create table scratch.u as select 1 as a", 3, bytes_max=1200)  # its room is needed, too
        assert file in parquet(tmp_path)
    scratch.clean()
    assert len(parquet(tmp_path)) == 1 and file not in parquet(tmp_path)


def test_a_scratch_that_became_too_large_can_be_made_smaller(tmp_path):
    scratch = Scratch.of(LIMITS, tmp_path, WallClock())
    for name in "tuv":
        did(scratch, f"create table scratch.{name} as select 1 as a", 100)
    size = sum(path.stat().st_size for path in scratch_root(tmp_path).rglob("*.parquet"))
    did(scratch, "drop table scratch.t", bytes_max=size // 3)
    assert state(scratch) == {"u": 100, "v": 100}
    with pytest.raises(QueryLimitExceeded):
        did(scratch, "insert into scratch.u select 1", 100, bytes_max=size // 3)


def test_what_cannot_be_cleaned_keeps_nothing_else_from_it(tmp_path):
    scratch = Scratch.of(LIMITS, tmp_path, WallClock())
    did(scratch, "create table scratch.t as select 1 as a", 3)
    did(scratch, "drop table scratch.t")
    first = scratch_root(tmp_path) / "first" / "key"
    first.mkdir(parents=True)
    (first / "_tables.json").write_bytes(b"{")
    scratch.clean()
    scratch.clean()
    assert parquet(tmp_path) == [] and (first / "_tables.json").read_bytes() == b"{"


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
