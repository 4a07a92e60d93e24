"""What the threads of a warehouse meet: it is counted, it is said once, they go on, and they end when they are told."""

import asyncio
import logging
import sqlite3
import threading

import pytest
from running import until

from datawarehouse import Warehouse
from datawarehouse.clock import WallClock
from datawarehouse.errors import Closed
from datawarehouse.intake.free_disk import FreeDisk
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.journal.journal import entry_of
from datawarehouse.runtime import faults as faults_module
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.faults import Faults
from datawarehouse.runtime.own_thread import OwnThread
from datawarehouse.settings import resolve

ROOM = FreeDisk(lambda: 1 << 40, WallClock(), 0)
CLICKS = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})


@pytest.fixture
def opened(tmp_path):
    with OpenWarehouse(CLICKS, tmp_path / "data", resolve({"convert_interval_ms": 10}), WallClock()) as warehouse:
        yield warehouse


def ended_within(seconds, call):
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def failing(owner, name, times, error):
    """Let the next calls of a method raise; returns the calls that were made."""
    method, calls = getattr(owner, name), []

    def fails(*arguments, **options):
        calls.append(arguments)
        if len(calls) <= times:
            raise error
        return method(*arguments, **options)

    setattr(owner, name, fails)
    return calls


def errors_of(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_step_that_fails_is_taken_again_and_said_once(caplog):
    caplog.set_level(logging.INFO, "datawarehouse")
    faults, results = Faults(ROOM), [KeyError("id"), KeyError("another id"), KeyError("id"), None]

    def step():
        result = results.pop(0)
        if result:
            raise result

    thread = OwnThread("worker", "the work", step, faults, pause_s=0.001)
    thread.start()
    assert thread.join(20)
    assert (results, faults.counts) == ([], {"worker": 3})
    [said] = errors_of(caplog)
    assert said.exc_info and said.getMessage().startswith("the work failed: KeyError: 'id'")
    assert caplog.messages[-1] == "the work works again, after it had failed 3 times"


def test_what_goes_on_failing_is_one_line_a_minute_and_a_new_failure_is_said_at_once(caplog, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(faults_module.time, "monotonic", lambda: now[0])
    faults = Faults(ROOM)

    def fail(kind):
        try:
            raise kind("what it says")
        except kind as error:
            faults.met("worker", "the work", error)

    for _ in range(130):
        fail(OSError)
        now[0] += 1.0
    first, *later = errors_of(caplog)
    assert first.exc_info
    assert [record.getMessage() for record in later] == [
        "the work failed 60 times more in the same way (OSError: what it says); it is tried again"
    ] * 2
    assert not any(record.exc_info for record in later)
    fail(ValueError)
    assert errors_of(caplog)[-1].exc_info, "another kind of failure"
    assert faults.counts == {"worker": 131}


@pytest.mark.parametrize("moment", ["waiting", "in a pause", "in its last call"])
def test_a_thread_ends_when_it_is_told_to(moment):
    stepped = threading.Event()

    def step():
        stepped.set()
        if moment == "in a pause":
            raise OSError("no")
        return 3600.0

    def last():
        if moment == "in its last call":
            raise OSError("no")

    thread = OwnThread("worker", "the work", step, Faults(ROOM), pause_s=3600.0, last=last)
    thread.start()
    assert stepped.wait(20)
    thread.stop()
    assert thread.join(20)


def test_conversion_goes_on_after_the_catalog_refused(opened, caplog):
    failing(opened.catalog, "commit_batch", 3, sqlite3.OperationalError("disk I/O error"))
    opened.put("clicks", {"id": "a"})
    opened.start(LocalExecutor, only_convert=True)
    opened.flush()
    assert list(opened.query("select id from clicks")) == [("a",)]
    assert opened.status()["thread_faults"] == {"convert-0": 3}
    [said] = errors_of(caplog)
    assert said.getMessage() == (
        "conversion of table clicks failed: OperationalError: disk I/O error; it is tried again"
    )


def test_what_conversion_deletes_fails_and_conversion_goes_on(opened):
    failing(opened.catalog, "retired_before", 2, sqlite3.OperationalError("disk I/O error"))
    opened.start(LocalExecutor, only_convert=True)
    opened.put("clicks", {"id": "a"})
    opened.flush()
    until(lambda: opened.status()["thread_faults"] == {"convert-0": 2}, "both failures are counted")


def test_chores_that_fail_keep_nothing_from_closing(opened):
    calls = failing(opened.chores, "round", 1, sqlite3.OperationalError("disk I/O error"))
    opened.start(LocalExecutor)
    opened.tidying.wake()
    until(lambda: opened.status()["thread_faults"].get("chores") == 1, "the failure is counted")
    assert ended_within(20, opened.close)
    assert len(calls) == 1


def test_closing_ends_while_every_conversion_fails(opened):
    failing(opened.catalog, "commit_batch", 1_000_000, sqlite3.OperationalError("disk I/O error"))
    opened.put("clicks", {"id": "a"})
    opened.start(LocalExecutor)
    until(lambda: opened.status()["thread_faults"]["convert-0"], "a conversion failed")
    assert ended_within(20, opened.close)
    with pytest.raises(Closed):
        opened.flush()


class NoThreads:
    """An executor on a system that gives no more threads."""

    def submit(self, *arguments):
        raise RuntimeError("can't start new thread")


def test_an_event_is_durable_though_the_system_gives_no_more_threads(opened):
    async def put():
        stream = opened.intake.stream("clicks")
        return await asyncio.wait_for(GroupCommit(opened.intake, NoThreads()).append(stream, entry_of([b"{}"])), 20)

    appended, again = asyncio.run(put())
    assert (appended.first_record, appended.count, again) == (0, 1, False)
