"""Any one operation fails once, and whoever called tries again: nothing acknowledged is lost or doubled, no job is
lost, and closing ends.

`DW_TEST_EXAMPLES=124 python -m pytest tests/fault/test_single_faults.py` does a thousand runs.
"""

import sqlite3
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from single_faults import AFTER, BEFORE, HALF, Faults, sqlite_error

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import WallClock
from datawarehouse.definition.instants import instant_of
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.errors import FolderError
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.testing import simulate

START = datetime(2026, 1, 5, 9, 20, tzinfo=UTC)
SETTINGS = {"compact_after_hours": 0, "query_time_max_s": 1, "disk_free_bytes_min": 0}
SCENARIOS = 4
TRIES = 4


def hourly(job):
    [(count,)] = job.query("select count(*) from clicks where inserted_at = ?", [job.partition])
    yield {"hour_of": job.partition, "clicks": count}


def each_half_hour(job):
    yield {"at": f"{job.time:%H:%M}"}


def declared():
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", {"id": "string", "n": "int"}, sort_by=["n"])
        .with_streaming_input_table("views", {"id": "string"}, 2, dedupe_key="id", retention_days=1)
        .with_batch_input_table(
            "hours", {"hour_of": "string", "clicks": "int"}, hourly, "rate(1 hour)", reads=["clicks"],
            run_when_complete=True,
        )
        .with_batch_input_table("halves", {"at": "string"}, each_half_hour, "cron(0/30 * * * ? *)", {"hour": "string"})
    )  # fmt: skip


def again(call):
    """Call until it succeeds; an operation fails once, so that the second try succeeds, or one after it that settles
    what the first has left."""
    for _ in range(TRIES - 1):
        with suppress(Exception):
            return call()
    return call()


class Shop:
    """A warehouse, what was sent to it, and what it must hold after that."""

    def __init__(self, folder, scenario):
        self.folder = folder
        self.scenario = scenario
        self.sent = {"clicks": Counter(), "views": Counter(), "malformed": Counter()}

    def open(self, at):
        self.warehouse = again(lambda: simulate(declared(), self.folder, start=at, settings=SETTINGS))

    def put(self, table, events, key):
        again(lambda: self.warehouse.put(table, events, key))
        for event in events:
            self.sent["malformed" if isinstance(event, str) else table][str(event)] += 1

    def advance(self, duration):
        end = self.warehouse.now + duration
        again(lambda: self.warehouse.advance(end - self.warehouse.now))

    def work(self):
        """A day and some hours: events, malformed ones among them, doubled ones, jobs, compaction, expiry."""
        chance = Random(self.scenario)
        self.open(START)
        for step in range(6):
            several = range(chance.randrange(1, 4))
            self.put("clicks", [{"id": f"{step}-{n}", "n": chance.randrange(9)} for n in several], f"c{step}")
            self.put("views", [{"id": f"{chance.randrange(5)}"} for _ in several] + ["oops"], f"v{step}")
            self.advance(timedelta(minutes=chance.choice((7, 20, 45, 60))))
            if step == 3:
                end = self.warehouse.now
                self.close()
                self.open(end)
        self.put("clicks", [{"id": "last", "n": 0}], "last")
        self.advance(timedelta(hours=chance.choice((2, 27))))
        self.end = self.warehouse.now
        self.close()

    def close(self):
        """Whatever a close meets, it ends, and gives the folder back."""
        with suppress(Exception):
            self.warehouse.close()

    def check(self):
        with simulate(declared(), self.folder, start=self.end + timedelta(hours=1), settings=SETTINGS) as warehouse:
            warehouse.advance("1h")
            warehouse.advance("1m")
            self.check_events(warehouse)
            self.check_ledger(warehouse)
            self.check_jobs(warehouse)

    def check_events(self, warehouse):
        stored = Counter(str(row) for row in warehouse.query("select id, n from clicks").dicts())
        assert stored == self.sent["clicks"]
        views = {str(row) for row in warehouse.query("select id from views").dicts()}
        assert views <= set(self.sent["views"])
        [found] = [table for table in warehouse.status()["tables"] if table["table"] == "views"]
        assert found["received"] == sum(self.sent["views"].values()) + sum(self.sent["malformed"].values())
        if not found["expired"]:
            assert views == set(self.sent["views"])
            rejects = Counter(reject["raw_data"].decode() for reject in warehouse.quarantine("views"))
            assert rejects == self.sent["malformed"]

    def check_ledger(self, warehouse):
        for table in warehouse.status()["tables"]:
            if "received" in table:
                name = table["table"]
                [(rows,)] = warehouse.query(f"select count(*) from {name}")
                assert table["received"] == table["stored"] + table["rejected"], name
                assert table["stored"] == table["rows"] + table["deduplicated"] + table["expired"], name
                assert rows == table["rows"], name
                assert table["pending"] == 0, name
        files = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*.parquet")}
        assert files >= {
            path for (path,) in warehouse.catalog.store.rows("select path from files where retired_ms is null")
        }

    def check_jobs(self, warehouse):
        now, first = warehouse.now, START.replace(minute=0)
        hours = dict(warehouse.query("select hour_of, clicks from hours"))
        assert hours == dict.fromkeys(hours, 0) | dict(
            warehouse.query("select inserted_at, count(*) from clicks group by 1")
        ), "what a job read of a complete hour is what the hour holds"
        ended = [first + timedelta(hours=number) for number in range((now - first) // timedelta(hours=1))]
        assert sorted(hours) == [f"{hour:%Y/%m/%d/%H}" for hour in ended]
        succeeded = Counter(
            instant_of(run.scheduled_ms) for run in warehouse.runs("halves") if run.outcome == "succeeded"
        )
        due, halves = START.replace(minute=30), []
        while due <= now:
            if not self.end < due < self.end + timedelta(hours=1):  # nobody was there; the latest one is run
                halves.append(due)
            due += timedelta(minutes=30)
        assert set(succeeded) >= set(halves)
        assert set(succeeded.values()) == {1}
        assert not [run for run in warehouse.runs() if run.outcome == "running"]


@cache
def operations(scenario):
    """What a scenario does when nothing fails, in order."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "data"
        faults, shop = Faults(), Shop(folder, scenario)
        with faults.injected(folder):
            shop.work()
        shop.check()
        return faults.seen


@pytest.mark.seeds(fixed=8, random=8)
def test_an_operation_that_fails_once_loses_nothing(tmp_path, seed):
    chance = Random(seed)
    scenario = chance.randrange(SCENARIOS)
    seen = operations(scenario)
    name = chance.choice(sorted(set(seen)))  # a rare operation as often as a frequent one
    number = chance.choice([number for number, each in enumerate(seen) if each == name])
    whens = (BEFORE, AFTER, HALF) if name.startswith("file: write") else (BEFORE, AFTER)
    faults = Faults(number, chance.choice(whens), chance.random() < 0.5)
    sys.stdout.write(
        f"scenario {scenario}: operation {number}, {name}, fails {faults.when} it is done, full: {faults.is_full}"
    )
    folder = tmp_path / "data"
    shop = Shop(folder, scenario)
    with faults.injected(folder):
        shop.work()
    assert len(faults.seen) > number, "the fault was met"
    assert faults.seen[number] == name, "the same input does the same operations up to the fault"
    shop.check()


# What these runs have found, each by itself.

CLICKS = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})


def operations_of(work, folder, number=None, when=BEFORE):
    """The operations of some work; the one with this number fails, and its error is passed over."""
    faults = Faults(number, when)
    with faults.injected(folder), suppress(OSError, sqlite3.Error, FolderError):
        work()
    return faults.seen


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_stream_goes_on_whatever_fails_when_a_segment_begins(tmp_path, when):
    def journal(name):
        opened = Journal(tmp_path, name, WallClock(), LOCAL_DISK, segment_bytes=1)
        opened.append(entry_of([b"first"]))
        return opened

    one = journal("counted")
    seen = operations_of(lambda: one.append(entry_of([b"second"])), tmp_path)
    one.close()
    assert len(seen) > 8, "a segment begins"
    for number in range(len(seen)):
        one = journal(f"t{number}")
        operations_of(partial(one.append, entry_of([b"second"])), tmp_path, number, when)
        one.append(entry_of([b"third"]))
        written = one.next_record
        one.close()
        again = Journal(tmp_path, f"t{number}", WallClock(), LOCAL_DISK)
        assert again.next_record == written, seen[number]
        again.close()


def test_a_segment_that_could_not_be_removed_leaves_no_gap(tmp_path):
    journal = Journal(tmp_path, "t", WallClock(), LOCAL_DISK, segment_bytes=1)
    ends = [journal.synced for _ in range(5) if journal.append(entry_of([b"x"]))]
    operations_of(lambda: journal.trim(ends[1]), tmp_path, 0)
    assert len(list(journal.folder.iterdir())) == 6
    operations_of(lambda: journal.trim(ends[3]), tmp_path, 2)  # the first goes, and another one stays
    journal.close()
    journal = Journal(tmp_path, "t", WallClock(), LOCAL_DISK, segment_bytes=1)
    assert journal.next_record == 5
    journal.close()
    journal = Journal(tmp_path, "t", WallClock(), LOCAL_DISK, segment_bytes=1)
    journal.trim(ends[4])
    assert len(list(journal.folder.iterdir())) == 1
    journal.close()


@pytest.mark.parametrize("statement", ["begin immediate", "commit"])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_transaction_that_fails_at_its_ends_stays_open_for_nobody(tmp_path, statement, when):
    faults = Faults(None, when)
    with faults.injected(tmp_path):
        catalog = Catalog(tmp_path / "catalog", writable=True, new=True)
    catalog.declare("shop", CLICKS.tables())
    faults.number = len(faults.seen) + {"begin immediate": 0, "commit": 4}[statement]
    with pytest.raises(sqlite3.OperationalError):
        catalog.close_hours("clicks", 3_600_000)
    assert faults.seen[faults.number].startswith(f"catalog: {statement}")
    catalog.close_hours("clicks", 7_200_000)
    assert catalog.closed_ms("clicks") == 7_200_000
    catalog.close()


def test_records_whose_commit_was_made_and_reported_as_failed_are_converted_once(tmp_path):
    with simulate(CLICKS, tmp_path / "data", start=START) as warehouse:
        commit = warehouse.catalog.commit_batch

        def late(*arguments):
            commit(*arguments)
            warehouse.catalog.commit_batch = commit
            raise sqlite_error("disk I/O error", 10)

        warehouse.catalog.commit_batch = late
        warehouse.put("clicks", [{"id": "a"}, {"id": "b"}])
        with pytest.raises(sqlite3.OperationalError):
            warehouse.flush()
        assert list(warehouse.query("select id from clicks order by id")) == [("a",), ("b",)]


def test_closing_takes_each_step_whatever_the_one_before_it_met(tmp_path):
    warehouse = simulate(CLICKS, tmp_path / "data", start=START)

    closed = []

    def failing(real):
        closed.append(real.__qualname__)
        real()
        raise OSError("the disk is gone")

    for owner, name in ((warehouse.schedule, "stop"), (warehouse.tidying, "stop"), (warehouse.catalog, "close")):
        setattr(owner, name, partial(failing, getattr(owner, name)))
    with pytest.raises(OSError, match="the disk is gone"):
        warehouse.close()
    assert closed == ["Tidying.stop", "JobSchedule.stop", "Catalog.close"]
    simulate(CLICKS, tmp_path / "data", start=START).close()


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_an_opening_that_fails_gives_the_folder_back(tmp_path, when):
    def opening(folder):
        return lambda: simulate(CLICKS, folder, start=START).close()

    simulate(CLICKS, tmp_path / "counted", start=START).close()
    seen = operations_of(opening(tmp_path / "counted"), tmp_path / "counted")
    for number in range(len(seen)):
        operations_of(opening(tmp_path / "data"), tmp_path / "data", number, when)
        opening(tmp_path / "data")()
