"""Compaction keeps every row: random tables, files, schema versions and rejected records.

The rows that queries see are the same before and after, as a multiset, with fewer files, ordered if that is declared.
With a `dedupe_key` exactly those go whose key was in an earlier record of the hour, and the ledger says how many.

Hypothesis draws the fixed seeds; a failure prints the one that replays it.
"""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from datawarehouse import Warehouse
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.parquet.footer import REJECTS, ROWS
from datawarehouse.testing import simulate

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
VERSIONS = (
    {"n": "int", "id": "string", "k": "tinyint", "tags": "array<int>"},
    {"n": "int", "id": "string", "k": "int", "tags": "array<bigint>", "price": "decimal(9,2)"},
    {
        "price": "decimal(20,4)",
        "n": "bigint",
        "id": "string",
        "k": "bigint",
        "tags": "array<bigint>",
        "at": "timestamp",
    },
)
ORDERS = ((), (), ("k",), ("id", "n"), ("k", "id"))
KEYS = (None, None, "id", "k")
ROOM_FOR_ALL = 10**9


class Table:
    """A table that is filled at random; `sent` knows (hour, id, k, n) of each row that it took, in their order."""

    def __init__(self, chance, path):
        self.chance = chance
        self.path = path
        self.sort_by, self.dedupe_key = chance.choice(ORDERS), chance.choice(KEYS)
        self.sent = []
        self.rejected = 0
        self.now = START

    def open(self, version):
        declared = Warehouse("shop").with_streaming_input_table(
            "t", VERSIONS[version], sort_by=self.sort_by, dedupe_key=self.dedupe_key
        )
        opened = simulate(declared, self.path, start=self.now, settings={"compact_after_hours": 0})
        size = self.chance.choice((1, 6_000, 20_000, ROOM_FOR_ALL))  # of files of 3 to 6 kB
        opened.chores.planner.limits = replace(opened.chores.planner.limits, compact_bytes=size)
        return opened

    def fill(self, opened, version):
        """Some hours with some files each, of rows and of rejects; what is left may wait in the journal."""
        for _ in range(self.chance.randint(1, 3)):
            for _ in range(self.chance.randint(1, 5)):
                opened.put("t", [self.event(opened, version) for _ in range(self.chance.choice((1, 3, 40)))])
                self.settle(opened, self.chance.choice(("convert", "mark", "mark", "mark", "merge", "wait")))
            opened.clock.set_ms(opened.clock.now_ms() + HOUR_MS * self.chance.choice((1, 1, 1, 5)))

    def settle(self, opened, how):
        if how == "wait":
            return
        opened.flush()
        if how == "mark":  # as conversion does with large files
            opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
        elif how == "merge":
            opened.converter.merge("t", opened.tidying.compactor.run, stopping=True)

    def event(self, opened, version):
        if self.chance.random() < 0.1:
            self.rejected += 1
            return self.chance.choice((b"{", b"[]", b'{"k": "many"}', b'{"n": 1.5, "id": "x"}'))
        n = len(self.sent)
        event = {"n": n, "id": self.chance.choice((None, "", "é", *"abcdefgh")), "k": self.chance.choice((None, 1, -9))}
        if self.chance.random() < 0.3:
            event["tags"] = [self.chance.randrange(9) for _ in range(self.chance.randrange(3))]
        if version and self.chance.random() < 0.5:
            event["price"] = self.chance.choice(("1.25", "0.00", "-7.10"))
        if version == 2:
            event["at"] = "2026-03-01T07:00:00.001Z"
        if self.chance.random() < 0.2:
            del event["k" if self.chance.random() < 0.5 else "id"]
        self.sent.append((partition_of(opened.clock.now_ms()), event.get("id"), event.get("k"), n))
        return event

    def kept(self):
        """The numbers of the rows that are to be there after compaction."""
        seen, kept = set(), set()
        for hour, id, k, n in self.sent:
            key = {"id": id, "k": k, None: None}[self.dedupe_key]
            if key is None or (hour, key) not in seen:
                kept.add(n)
                seen.add((hour, key))
        return kept


def contents(opened):
    """The rows and the rejected records, with their hours: two multisets."""
    return [
        Counter(map(repr, opened.query(f"select {columns}, inserted_at from {name}")))
        for name, columns in (
            ("t", ", ".join(VERSIONS[2])),
            ("t_quarantine", "sequence_number, error_code, column_name, raw_data"),
        )
    ]


def live(opened, kind):
    hours = opened.catalog.partitions_between("t", kind, None, None)
    return opened.catalog.live_files("t", kind, hours)


def check_order(opened, sort_by):
    """Each file is in order, NULLs last; texts compare by their bytes."""

    def place(row):
        keys = [value.encode() if isinstance(value, str) else value for value in row.values()]
        return [(key is None, 0 if key is None else key) for key in keys]

    for file in live(opened, ROWS):
        found = pq.read_table(opened.folder / file.path, columns=list(sort_by)).select(list(sort_by)).to_pylist()
        assert found == sorted(found, key=place), file.path


def check(table, opened):
    """Compact, and compare with what was there before and with what was sent."""
    rows, rejects = contents(opened)
    opened.clock.set_ms(opened.clock.now_ms() + HOUR_MS)
    opened.converter.merge("t", opened.tidying.compactor.run)
    files = {kind: len(live(opened, kind)) for kind in (ROWS, REJECTS)}
    was, done = opened.catalog.totals("t"), opened.compact("t")
    rows_after, rejects_after = contents(opened)
    assert rejects_after == rejects
    assert rows_after <= rows
    if not table.dedupe_key:
        assert rows_after == rows
    assert {n for (n,) in opened.query("select n from t")} == table.kept()
    totals = opened.catalog.totals("t")
    assert totals.deduplicated == len(table.sent) - len(table.kept())
    assert done.removed_rows == totals.deduplicated - was.deduplicated
    assert totals.rows == rows_after.total() == len(table.kept())
    assert (totals.rejected, rejects_after.total()) == (table.rejected, table.rejected)
    assert totals.received == len(table.sent) + table.rejected
    after = {kind: len(live(opened, kind)) for kind in (ROWS, REJECTS)}
    assert after[ROWS] <= files[ROWS] and after[REJECTS] <= files[REJECTS]
    if opened.chores.planner.limits.compact_bytes == ROOM_FOR_ALL:
        hours = {kind: len(opened.catalog.partitions_between("t", kind, None, None)) for kind in (ROWS, REJECTS)}
        assert after == hours, "one file for each hour"
    assert totals.files == was.files - done.files_before + done.files_after
    if table.sort_by:
        check_order(opened, table.sort_by)
    assert opened.compact("t").files_before == 0, "what was done is not done again"


def fill_and_compact(seed, path):
    chance = random.Random(seed)
    table = Table(chance, path)
    for version in range(len(VERSIONS)):
        with table.open(version) as opened:
            table.fill(opened, version)
            if chance.random() < 0.5:
                opened.compact("t")  # some hours are compacted already when records of theirs come late
            if version == len(VERSIONS) - 1:
                check(table, opened)
            table.now = opened.now


@settings(max_examples=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_rows_are_the_same_before_and_after(tmp_path_factory, seed):
    fill_and_compact(seed, tmp_path_factory.mktemp("data"))


@pytest.mark.seeds(fixed=0, random=8)
def test_rows_are_the_same_before_and_after_with_random_seeds(tmp_path, seed):
    fill_and_compact(seed, tmp_path)


def test_all_files_of_an_hour_become_one_of_each_kind(tmp_path):
    """That the property is about something: with room for all, one file is left of many."""
    declared = Warehouse("shop").with_streaming_input_table("t", VERSIONS[0])
    with simulate(declared, tmp_path, start=START, settings={"compact_after_hours": 0}) as opened:
        for hour in range(3):
            for number in range(hour + 2):
                opened.put("t", [{"n": number}, b"no event"])
                opened.flush()
                opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
            opened.clock.set_ms(opened.clock.now_ms() + HOUR_MS)
        assert (len(live(opened, ROWS)), len(live(opened, REJECTS))) == (9, 9)
        assert opened.compact("t").files_before == 18
        assert (len(live(opened, ROWS)), len(live(opened, REJECTS))) == (3, 3)
        assert sorted(opened.query("select n from t")) == [(n,) for n in (0, 0, 0, 1, 1, 1, 2, 2, 3)]
