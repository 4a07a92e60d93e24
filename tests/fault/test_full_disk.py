"""A disk without room: the warehouse is not ready, says so once, refuses what it cannot keep, and recovers."""

import errno
import json
import logging
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest
from running import running, until

from datawarehouse import Warehouse
from datawarehouse.clock import WallClock
from datawarehouse.durable import lacks_space
from datawarehouse.intake.free_disk import FreeDisk
from datawarehouse.query.messages import Failure
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import TestClock

MIB = 1 << 20
CLICKS = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})

# Python runs this module when it starts: while the file is there, the disk has no space for what is written or synced.
FULL = """
import errno, os, pathlib
def full(call):
    def called(*arguments):
        if pathlib.Path(os.environ["FULL"]).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return call(*arguments)
    return called
os.writev, os.fdatasync = full(os.writev), full(os.fdatasync)
"""


def ready(warehouse):
    status, _, body = warehouse.request("GET", "/ready")
    return status, json.loads(body)["reason"]


def test_a_write_that_failed_for_lack_of_space_makes_the_warehouse_not_ready(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FULL)
    gate = tmp_path / "full"
    environment = {"PYTHONPATH": str(tmp_path / "site"), "FULL": str(gate), "DW_DISK_FREE_BYTES_MIN": "0"}
    with running(tmp_path, environment=environment) as warehouse:
        warehouse.events("clicks", b'{"id":"before"}')
        warehouse.flush()
        assert ready(warehouse) == (200, None)
        gate.touch()
        for _ in range(20):
            assert warehouse.events("clicks", b'{"id":"refused"}')[0] == 429
        assert ready(warehouse) == (503, "the disk is full: writing the journal of clicks failed for lack of space")
        gate.unlink()
        assert warehouse.events("clicks", b'{"id":"after"}')[0] == 200
        until(lambda: ready(warehouse) == (200, None), "the warehouse is ready again")
        warehouse.flush()
        assert warehouse.query("select id from clicks order by id") == [{"id": "after"}, {"id": "before"}]
    log = (tmp_path / "errors.log").read_text()
    assert (log.count("the disk is full"), log.count("there is space on the disk again")) == (1, 1), log
    assert "Traceback" not in log


class Full(LocalExecutor):
    """Has no space for what the first orders write."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def run(self, order):
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().run(order)


def test_a_conversion_without_space_is_said_once_and_tried_again(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    settings = resolve({"disk_free_bytes_min": 0})
    with OpenWarehouse(CLICKS, tmp_path / "data", settings, WallClock()) as warehouse:
        warehouse.put("clicks", {"id": "a"})
        warehouse.start(lambda: Full(3), only_convert=True)
        reason = "the disk is full: conversion of table clicks failed for lack of space"
        until(lambda: warehouse.not_ready() == reason, "it is not ready")
        warehouse.flush()
        until(lambda: warehouse.not_ready() == "", "it is ready again")
        assert warehouse.status()["thread_faults"] == {"convert-0": 3}
    said = [record for record in caplog.records if "disk" in record.getMessage()]
    assert [(record.levelname, record.exc_info) for record in said] == [("ERROR", None), ("INFO", None)]


def test_compaction_without_space_tries_no_other_hour(tmp_path):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"}, dedupe_key="id")
    with simulate(declared, tmp_path / "data", settings={"compact_bytes_per_minute": 0}) as warehouse:
        for _ in range(6):
            warehouse.put("clicks", [{"id": "a"}, {"id": "a"}])
            warehouse.advance("1h")
        warehouse.tidying.compactor = full = Full(2)
        for left in (1, 0):
            with pytest.raises(OSError, match="No space left"):
                warehouse.compact("clicks")
            assert full.times == left
        assert warehouse.compact("clicks").removed_rows >= 3


@pytest.fixture
def disk():
    """A disk whose free bytes and clock the test sets."""

    class Disk(FreeDisk):
        free = 100 * MIB

        def __init__(self):
            self.clock = TestClock()
            super().__init__(lambda: self.free, self.clock, 10 * MIB)

        def later(self, free):
            self.free = free
            self.clock.set_ms(self.clock.now_ms() + 1000)
            return self.why_full()

    return Disk()


def test_a_disk_has_room_again_once_much_more_is_free_than_when_a_write_failed(disk, caplog):
    caplog.set_level(logging.INFO)
    disk.free = 20 * MIB
    disk.write_failed("compaction")
    disk.write_failed("conversion")
    assert disk.later(20 * MIB) == "the disk is full: compaction failed for lack of space"
    disk.write_succeeded("compaction")
    assert disk.later(55 * MIB) == "the disk is full: conversion failed for lack of space"
    assert disk.later(56 * MIB) == ""
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_too_little_free_disk_is_said_once_and_so_is_its_end(disk, caplog):
    caplog.set_level(logging.INFO)
    assert disk.later(100 * MIB) == ""
    for _ in range(3):
        assert "disk_free_bytes_min" in disk.later(MIB)
    assert disk.later(11 * MIB) == ""
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_known_by_every_error_that_says_so(tmp_path):
    with pytest.raises(OSError) as written, pa.OSFile("/dev/full", "wb") as file:  # as Parquet files are written
        file.write(b"x")
    assert lacks_space(written.value)
    assert lacks_space(Failure.of(written.value).as_error()), "also when a child process met it"
    db = sqlite3.connect(tmp_path / "db")
    db.execute("pragma max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as stored:
        db.executescript("create table a (b); create table c (d);")
    db.close()
    assert lacks_space(stored.value)
    assert lacks_space(ExceptionGroup("several", [ValueError(), stored.value]))
    assert not lacks_space(OSError(errno.EIO, "Input/output error"))
    assert not lacks_space(sqlite3.OperationalError("disk I/O error"))
