"""The audit as a chore: what an owner reads by itself, what it marks, and what goes on beside a damaged file."""

import json
import logging
import shutil
from contextlib import contextmanager

import pytest
from damage import COLUMNS, events, fill, flip, live, opened, rot
from prometheus_client.parser import text_string_to_metric_families
from running import command
from test_upgrade import OLD
from test_upgrade import declared as of_format_1

from datawarehouse import Warehouse
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.errors import FileDamaged, WorkerDied
from datawarehouse.intake.refusals import Refusals
from datawarehouse.runtime.workers import Worker
from datawarehouse.server.metrics import exposition
from datawarehouse.testing import simulate
from datawarehouse.tidy import daily_audit
from datawarehouse.tidy.daily_audit import AUDIT_NOTE
from datawarehouse.tidy.orders import InspectOrder

DAY_MS = 24 * HOUR_MS
QUIET = {"compact_bytes_per_minute": 0}


class Orders:
    """Runs the orders of a chore here, and keeps which files were to be read."""

    def __init__(self, executor):
        self.executor = executor
        self.read = []
        self.orders = []

    def run(self, order):
        if isinstance(order, InspectOrder):
            self.orders.append(len(order.files))
            self.read += [file.path for file in order.files]
        return self.executor.run(order)

    def stop(self):
        """Nothing to stop."""

    kill = stop


@pytest.fixture
def warehouse(tmp_path):
    with opened(tmp_path, audit_days=5, **QUIET) as opened_one:
        opened_one.audited = opened_one.tidying.compactor = Orders(opened_one.tidying.compactor)
        yield opened_one


def damage_lines(caplog):
    return [record.getMessage() for record in caplog.records if "is damaged" in record.getMessage()]


def day(warehouse, days=1):
    warehouse.clock.set_ms(warehouse.clock.now_ms() + days * DAY_MS)
    warehouse.audited.read.clear()
    warehouse.tidying.round()
    return list(warehouse.audited.read)


def test_each_file_is_read_once_in_the_days(warehouse):
    fill(warehouse)
    files = sorted(file.path for file in live(warehouse))
    shares = [list(warehouse.audited.read)] + [day(warehouse) for _ in range(4)]
    read = sorted(path for share in shares[1:] for path in share)
    assert len(set(read)) == len(read), "none twice"
    again = [day(warehouse) for _ in range(5)]
    assert sorted(path for share in again for path in share) == files
    assert max(map(len, again)) < len(files)


def test_what_was_missed_is_read_when_something_runs_again(tmp_path):
    with opened(tmp_path, audit_days=5, **QUIET) as first:
        fill(first)
        files = sorted(file.path for file in live(first))
        first.tidying.round()
        now, noted = first.clock.now, first.catalog.noted(AUDIT_NOTE)
    with opened(tmp_path, start=now, audit_days=5, **QUIET) as second:
        second.audited = second.tidying.compactor = Orders(second.tidying.compactor)
        second.tidying.round()
        assert second.audited.read == [], "the share of the day was read"
        assert second.catalog.noted(AUDIT_NOTE) == noted
        read = set()
        read.update(day(second, 30))
        for _ in range(4):
            second.tidying.round()
            read.update(second.audited.read)
    assert read == set(files)


@pytest.fixture
def filled(tmp_path):
    """(when a folder was closed of which no file was read yet, the paths of its files, in order)"""
    with opened(tmp_path, audit_days=0, **QUIET) as first:
        fill(first)
        return first.clock.now, sorted(file.path for file in live(first))


@contextmanager
def reopened(folder, start):
    """The folder again, with one share for all files."""
    with opened(folder, start=start, audit_days=1, **QUIET) as again:
        again.audited = again.tidying.compactor = Orders(again.tidying.compactor)
        yield again


def test_a_share_goes_on_where_it_was_when_the_owner_ended(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(daily_audit, "_ROUND_BYTES", 1)  # one order a round
    monkeypatch.setattr(daily_audit, "_ORDER_FILES", 2)
    start, files = filled
    read = []
    while len(read) < len(files):
        with reopened(tmp_path, start) as again:
            assert again.status()["audit"]["shares_read"] == 0
            again.tidying.round()
            assert 1 <= len(again.audited.read) <= 2
            read += again.audited.read
    assert read == files
    with reopened(tmp_path, start) as again:
        again.tidying.round()
        assert again.audited.read == []
        assert again.status()["audit"]["shares_read"] == 1


def test_rot_is_marked_and_logged_once_and_the_rest_goes_on(warehouse, caplog, tmp_path):
    fill(warehouse)
    rotten = next(file for file in live(warehouse, "clicks") if file.kind == "rows")
    rot(tmp_path / rotten.path, 8 * 40)
    with caplog.at_level(logging.ERROR):
        for _ in range(11):
            day(warehouse)
    assert len(damage_lines(caplog)) == 1
    assert rotten.path in damage_lines(caplog)[0] and "dw doctor --repair" in damage_lines(caplog)[0]
    [marked] = warehouse.catalog.damaged()
    assert (marked.path, marked.damage) == (rotten.path, "its bytes are not those that were written")
    with pytest.raises(FileDamaged, match=rotten.path):
        warehouse.query("select sum(x) from clicks")
    assert warehouse.query("select sum(n) from views").dicts()
    later = f"select count(x) from clicks where inserted_at > '{rotten.partition}'"
    assert warehouse.query(later).dicts()
    status = warehouse.status()
    assert [file["path"] for file in status["damaged_files"]] == [rotten.path]
    metrics = {
        (sample.name, sample.labels.get("table")): sample.value
        for family in text_string_to_metric_families(exposition(status, Refusals(())).decode())
        for sample in family.samples
    }
    assert metrics["dw_damaged_files", "clicks"] == 1
    assert metrics["dw_damaged_files", "views"] == 0
    assert 0 <= metrics["dw_audit_age_seconds", None] < 1


def test_the_mark_is_lifted_when_the_right_bytes_are_back(warehouse, tmp_path, caplog):
    fill(warehouse)
    file = live(warehouse, "views")[0]
    kept = (tmp_path / file.path).read_bytes()
    (tmp_path / file.path).unlink()
    day(warehouse)
    assert [each.path for each in warehouse.catalog.damaged()] == [file.path]
    (tmp_path / file.path).write_bytes(kept)
    with caplog.at_level(logging.INFO):
        day(warehouse)
    assert warehouse.catalog.damaged() == []
    assert f"table views: {file.path} was damaged, and is right again" in caplog.messages
    assert warehouse.query("select count(*) from views where x >= 0").dicts()


def test_a_file_that_was_moved_away_and_back_loses_its_mark_at_the_opening(filled, tmp_path):
    """The file system says of it what it always said."""
    start, files = filled
    for _ in range(2):
        with opened(tmp_path, start=start, audit_days=0, **QUIET) as again:
            marked = [file.path for file in again.catalog.damaged()]
            again.tidying.round()
            assert again.catalog.damaged() == []
            assert again.catalog.damage(files[0], "it is missing")
    assert marked == files[:1]


def test_an_audit_that_is_off_reads_nothing(tmp_path):
    with opened(tmp_path, audit_days=0, **QUIET) as warehouse:
        warehouse.audited = warehouse.tidying.compactor = Orders(warehouse.tidying.compactor)
        fill(warehouse)
        day(warehouse, 40)
        assert warehouse.audited.orders == []
        assert warehouse.status()["audit"]["shares"] == 0
        assert b"dw_audit_age_seconds" not in exposition(warehouse.status(), Refusals(()))


def test_the_child_process_that_compacts_reads_the_files(filled, tmp_path):
    start, files = filled
    rot(tmp_path / files[0], 8 * 30)
    worker = Worker("compact")
    try:
        with reopened(tmp_path, start) as again:
            assert again.chores.audit.round(worker.run, lambda: False) == len(files)
            assert [file.path for file in again.catalog.damaged()] == files[:1]
            assert again.status()["audit"]["bytes"] == sum(file.bytes for file in live(again))
    finally:
        worker.stop()


def test_closing_ends_a_round(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(daily_audit, "_ORDER_FILES", 2)
    with reopened(tmp_path, filled[0]) as again:
        again.chores.audit.round(again.audited.run, lambda: bool(again.audited.orders))
        assert len(again.audited.orders) == 1
        again.chores.audit.round(again.audited.run, lambda: True)
        assert len(again.audited.orders) == 1


def test_a_process_that_dies_over_a_file_does_not_stop_the_turn(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(daily_audit, "_ORDER_FILES", 1)
    start, files = filled

    with reopened(tmp_path, start) as again:

        def execute(order):
            if order.files[0].path == files[3]:
                raise WorkerDied("it died")
            return again.audited.run(order)

        with pytest.raises(WorkerDied):
            again.chores.audit.round(execute, lambda: False)
        again.chores.audit.round(execute, lambda: False)
        audit = again.status()["audit"]
        assert again.audited.read == files[:3] + files[4:]
        assert (audit["shares_read"], audit["unread_files"], audit["files"]) == (1, 1, len(files) - 1)


# -- a copied folder


@pytest.fixture
def copy(tmp_path):
    """A warehouse in a copy (cp -r) of a folder, opened again."""
    with opened(tmp_path / "first", **QUIET) as first:
        fill(first)
        now = first.clock.now
    shutil.copytree(tmp_path / "first", tmp_path / "copy", copy_function=shutil.copyfile)
    with opened(tmp_path / "copy", start=now, **QUIET) as copied:
        copied.audited = copied.tidying.compactor = Orders(copied.tidying.compactor)
        yield copied


def as_published(warehouse):
    def said(file):
        found = (warehouse.folder / file.path).stat()
        return (found.st_ino, found.st_mtime_ns) == (file.inode, file.modified_ns)

    return {file.path for file in live(warehouse) if said(file)}


def test_the_files_of_a_copied_folder_are_read_once_and_known_from_then_on(copy):
    files = {file.path for file in live(copy)}
    assert as_published(copy) == set()
    copy.tidying.round()
    assert sorted(copy.audited.read) == sorted(files)
    assert as_published(copy) == files
    copy.audited.read.clear()
    copy.tidying.round()
    assert copy.audited.read == []


def test_a_flip_in_a_copied_folder_is_marked(copy):
    file = live(copy, "counts")[0]
    flip(copy.folder / file.path, 8 * 30)
    copy.tidying.round()
    assert [each.path for each in copy.catalog.damaged()] == [file.path]


def test_the_files_of_the_first_format_get_a_digest(tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(OLD, folder)
    with simulate(of_format_1(), folder, settings=QUIET) as warehouse:
        before = {file.path: file.digest for file in live(warehouse)}
        warehouse.tidying.round()
        after = {file.path: file.digest for file in live(warehouse)}
    assert "" in before.values()
    assert "" not in after.values()


# -- merges and compaction


@pytest.mark.parametrize("kind", ["rows", "rejects"])
@pytest.mark.parametrize("spoil", [flip, rot])
def test_a_merge_leaves_a_damaged_file_out_and_merges_the_others(warehouse, tmp_path, caplog, spoil, kind):
    for part in range(4):
        warehouse.put("clicks", events(part * 100))
        warehouse.flush()
    files = [file for file in live(warehouse, "clicks") if file.kind == kind]
    spoil(tmp_path / files[1].path, 8 * 30)
    with caplog.at_level(logging.ERROR):
        warehouse.advance("1h")
        warehouse.advance("1h")
    left = [file for file in live(warehouse, "clicks") if file.kind == kind]
    assert [file.path for file in left if file.damage] == [files[1].path]
    [merged] = [file for file in left if not file.damage]
    assert merged.rows == sum(file.rows for file in files) - files[1].rows
    assert len(damage_lines(caplog)) == 1
    assert warehouse.catalog.fresh_files("clicks") == []


@pytest.mark.parametrize("table", ["clicks", "views"])
def test_compaction_leaves_a_damaged_file_out_and_compacts_the_others(tmp_path, caplog, table):
    with opened(tmp_path, compact_after_hours=0, **QUIET) as warehouse:
        for part in range(4):
            warehouse.put(table, events(part * 20))
            warehouse.flush()
            warehouse.catalog.mark_merged(warehouse.catalog.fresh_files(table))
        warehouse.clock.set_ms(warehouse.clock.now_ms() + HOUR_MS)
        files = [file for file in live(warehouse, table) if file.kind == "rows"]
        rot(tmp_path / files[2].path, 8 * 30)
        with caplog.at_level(logging.ERROR):
            warehouse.compact(table)
            done = warehouse.compact(table)
        assert done.files_before == 0, "nothing is left to do"
        left = [file for file in live(warehouse, table) if file.kind == "rows"]
        assert [file.path for file in left if file.damage] == [files[2].path]
        assert len(left) == 2
        assert len(damage_lines(caplog)) == 1
        deduplicated = warehouse.status()["tables"][0 if table == "clicks" else 3]["deduplicated"]
        assert sum(file.rows for file in left) + deduplicated == sum(file.rows for file in files)


def test_an_hour_with_a_damaged_file_expires(tmp_path):
    declared = Warehouse("shop").with_streaming_input_table("clicks", COLUMNS, retention_days=1)
    with simulate(declared, tmp_path, settings=QUIET) as warehouse:
        warehouse.put("clicks", events(0))
        warehouse.flush()
        (tmp_path / live(warehouse, "clicks")[0].path).unlink()
        warehouse.tidying.round()
        warehouse.put("clicks", events(100))
        warehouse.advance("26h")
        warehouse.advance("1h")
        assert live(warehouse, "clicks") == []


def test_status_says_how_far_the_audit_is(warehouse, tmp_path):
    assert "audit: nothing was read yet; no known data errors" in command(tmp_path, "status", "--data", tmp_path).stdout
    fill(warehouse)
    day(warehouse)
    (tmp_path / live(warehouse)[0].path).unlink()
    day(warehouse)
    said = command(tmp_path, "status", "--data", tmp_path).stdout
    assert "audit: 3 of 5 daily shares of the files read whole since 2026-03-01T07:00:00.000Z" in said
    assert "the last at 2026-03-03T09:00:00.000Z" in said
    assert "1 damaged file known" in said
    audit = json.loads(command(tmp_path, "status", "--data", tmp_path, "--output", "json").stdout)["audit"]
    assert (audit["level"], audit["shares"], audit["shares_read"]) == ("data", 5, 3)
    assert audit["last"] == "2026-03-03T09:00:00.000Z"
