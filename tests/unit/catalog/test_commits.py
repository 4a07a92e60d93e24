"""The second record of the catalog: what it notices, and what a catalog is made of again."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from datawarehouse import Warehouse
from datawarehouse.catalog import commits
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted, File, HourEntry
from datawarehouse.errors import CatalogDamaged

HOUR = "2026/03/01/07"


def count(job):
    return []


def declared():
    return (
        Warehouse("shop")
        .with_streaming_input_table("t", {"id": "string"})
        .with_batch_input_table("counts", {"n": "int"}, count, "rate(1 hour)", {"hour": "string"})
        .with_table("mine", {"x": "int"}, partition_keys=[{"name": "day", "type": "string"}])
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "_catalog.sqlite"


def opened(path, *, new=False):
    catalog = Catalog(path, writable=True, new=new, synced=False)
    catalog.declare("shop", declared().tables())
    return catalog


def file(number, kind="rows", rows=1):
    return File("t", kind, HOUR, f"t/{HOUR}/{number}.parquet", 1, [(number, number)], 1, rows, 100, digest="é")


def commit(catalog, number):
    done = Converted(number + 1, number + 1, number)
    catalog.commit_batch("t", [file(number)], [HourEntry(HOUR, 1, 1, 1, 0)], done, number)


def whatever(catalog, chance, number):
    """One change of any kind."""
    live = catalog.live_files("t", "rows", [HOUR])
    match chance.randrange(9):
        case 0 if len(live) > 1:
            catalog.commit_merge(live[:2], file(number, rows=2), number, fresh=chance.random() < 0.5)
        case 1 if live:
            catalog.replace_files(live[:1], [], number, removed_rows=1)
        case 2 if live:
            catalog.mark_merged(live)
            catalog.expire("t", HOUR, number)
        case 3:
            run = catalog.runs.start("counts", number, HOUR, attempt=1, cause="schedule", now_ms=number)
            if chance.random() < 0.5:
                catalog.runs.fail(run, "it's “odd”; ?", number)
            else:
                catalog.commit_run(run, "counts", [HOUR], [], number)
        case 4:
            catalog.runs.forget(number - 5)
        case 5:
            catalog.forget(catalog.retired_before(number))
        case 6:
            catalog.register_partition("mine", [str(number)], None)
        case 7:
            catalog.runs.schedule_from("counts", number)
            catalog.note("audit", {"n": number})
        case _:
            commit(catalog, number)


def dump(path):
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
        tables = [name for (name,) in db.execute("select name from sqlite_schema where type = 'table' order by name")]
        found = {name: sorted(db.execute(f"select rowid, * from {name}").fetchall(), key=repr) for name in tables}
    db.close()
    return found


def contents(folder):
    """The bytes of all files, without those that SQLite makes for reading: they hold nothing."""
    files = [each for each in folder.rglob("*") if each.is_file() and "-shm" not in each.name]
    return {each.name: each.read_bytes() for each in files if not each.name.endswith("-wal") or each.stat().st_size}


def rebuilt(path, tmp_path):
    target = tmp_path / "again.sqlite"
    target.unlink(missing_ok=True)
    number = commits.rebuild(commits_of(path), target)
    return number, (dump(target) if target.exists() else None)


def commits_of(path):
    return path.parent / "_commits"


@pytest.mark.seeds(fixed=6, random=2)
def test_a_catalog_is_made_again_whatever_was_done_and_whenever_it_was_copied(path, tmp_path, seed):
    chance = random.Random(seed)
    catalog = opened(path, new=True)
    for number in range(60):
        whatever(catalog, chance, number)
        if chance.random() < 0.05:
            catalog.close()
            catalog = opened(path)
        if chance.random() < 0.1:
            catalog.store._log.is_whole = False
            assert catalog.store.snapshot_if_due()
    last = catalog.store.number
    catalog.close()
    assert rebuilt(path, tmp_path) == (last, dump(path))
    assert len(list(commits_of(path).iterdir())) <= 2, "what a copy makes superfluous is removed"


def test_an_older_catalog_is_refused_and_nothing_is_changed(path, tmp_path):
    catalog = opened(path, new=True)
    catalog.close()
    shutil.copy(path, tmp_path / "older")
    catalog = opened(path)
    commit(catalog, 0)
    last = catalog.store.number
    catalog.close()
    newest = dump(path)
    shutil.copy(tmp_path / "older", path)
    before = contents(tmp_path)
    for _ in range(2):
        with pytest.raises(CatalogDamaged, match=rf"older than its data: .* commit {last} was made.*Nothing was chang"):
            Catalog(path, writable=True)
    assert contents(tmp_path) == before
    assert rebuilt(path, tmp_path) == (last, newest)


def test_a_lost_write_ahead_log_is_noticed(path, tmp_path):
    catalog = opened(path, new=True)
    commit(catalog, 0)
    folder = tmp_path / "killed"
    shutil.copytree(tmp_path, folder, ignore=lambda _, names: {"killed"} & set(names))
    catalog.close()
    (folder / "_catalog.sqlite-wal").unlink()
    before = contents(folder)
    with pytest.raises(CatalogDamaged, match=r"is empty|older than its data"):
        Catalog(folder / "_catalog.sqlite", writable=True)
    assert contents(folder) == before


@pytest.mark.parametrize("writable", [True, False])
def test_a_catalog_whose_process_was_killed_before_its_first_commit_opens(path, writable):
    """A copy that was put in place has no write-ahead log yet: SQLite undoes what was not finished in it."""
    catalog = opened(path, new=True)
    for number in range(50):
        commit(catalog, number)
    catalog.close()
    code = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
assert db.execute("pragma journal_mode = delete").fetchone() == ("delete",)
db.execute("pragma cache_size = 1")
db.execute("begin immediate")
db.execute("update files set path = path || 'x', digest = hex(randomblob(500))")
os.kill(os.getpid(), 9)
"""
    before = dump(path)
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert path.with_name(path.name + "-journal").stat().st_size
    catalog = Catalog(path, writable=writable)
    catalog.close()
    assert dump(path) == before


def test_one_flipped_bit_in_the_write_ahead_log_is_noticed(path, tmp_path):
    catalog = opened(path, new=True)
    for number in range(20):
        commit(catalog, number)
    folder = tmp_path / "killed"
    shutil.copytree(tmp_path, folder, ignore=lambda _, names: {"killed"} & set(names))
    catalog.close()
    wal = folder / "_catalog.sqlite-wal"
    data = bytearray(wal.read_bytes())
    data[len(data) // 3] ^= 1
    wal.write_bytes(data)
    before = contents(folder)
    with pytest.raises(CatalogDamaged):
        Catalog(folder / "_catalog.sqlite", writable=True)
    assert contents(folder) == before, "what is behind the damage is still there to be looked at"


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 1000], ids=["missing", "empty", "garbage"])
@pytest.mark.parametrize("writable", [True, False])
def test_a_catalog_that_is_none_is_refused_in_one_line(path, tmp_path, content, writable):
    opened(path, new=True).close()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CatalogDamaged, match=r"^The catalog .*Nothing was changed.*dw doctor") as caught:
        Catalog(path, writable=writable)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.exists() else None) == content
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(("-wal", "-shm"))]


def test_a_commit_that_was_not_noted_is_no_damage_and_leads_to_a_copy(path, tmp_path):
    """As after `kill -9` between a commit and its note."""
    catalog = opened(path, new=True)
    [log] = commits_of(path).iterdir()
    noted = log.read_bytes()
    commit(catalog, 0)
    catalog.close()
    log.write_bytes(noted)
    catalog = opened(path)
    commit(catalog, 1)
    assert rebuilt(path, tmp_path)[0] < catalog.store.number, "the log has a gap"
    assert catalog.store.snapshot_if_due()
    assert not catalog.store.snapshot_if_due()
    commit(catalog, 2)
    last = catalog.store.number
    catalog.close()
    assert rebuilt(path, tmp_path) == (last, dump(path))


@pytest.mark.parametrize("torn", [1, 10, 100])
def test_a_note_that_was_cut_off_is_passed_over(path, torn):
    catalog = opened(path, new=True)
    commit(catalog, 0)
    last = catalog.store.number
    catalog.close()
    [log] = commits_of(path).iterdir()
    log.write_bytes(log.read_bytes()[:-torn])
    assert commits.last_commit(commits_of(path)) == last - 1
    catalog = opened(path)
    assert catalog.store.number > last
    assert catalog.store.snapshot_if_due()
    catalog.close()


def test_a_damaged_note_ends_what_can_be_made_again(path, tmp_path):
    catalog = opened(path, new=True)
    for number in range(10):
        commit(catalog, number)
    last = catalog.store.number
    catalog.close()
    [log] = commits_of(path).iterdir()
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    number, _ = rebuilt(path, tmp_path)
    assert 1 < number < last
    assert commits.last_commit(commits_of(path)) == last
    opened(path).close()


def test_a_damaged_copy_is_not_used(path, tmp_path):
    catalog = opened(path, new=True)
    commit(catalog, 0)
    catalog.store._log.is_whole = False
    assert catalog.store.snapshot_if_due()
    catalog.close()
    [copy] = commits_of(path).glob("*.sqlite")
    data = bytearray(copy.read_bytes())
    data[4096:8192] = bytes(4096)
    copy.write_bytes(data)
    assert rebuilt(path, tmp_path) == (None, None)
    shutil.rmtree(commits_of(path))
    assert rebuilt(path, tmp_path) == (None, None)


def test_a_log_that_grows_large_is_followed_by_a_copy(path, tmp_path, monkeypatch):
    monkeypatch.setattr(commits, "LARGE_BYTES", 20_000)
    catalog = opened(path, new=True)
    copies = 0
    for number in range(100):
        commit(catalog, number)
        copies += catalog.store.snapshot_if_due()
    assert 2 < copies < 20
    assert sum(each.stat().st_size for each in commits_of(path).glob("*.log")) < 40_000
    last = catalog.store.number
    catalog.close()
    assert rebuilt(path, tmp_path) == (last, dump(path))


def test_a_log_that_cannot_be_written_stops_no_commit(path, tmp_path):
    catalog = opened(path, new=True)
    commit(catalog, 0)
    log = catalog.store._log
    kept = os.dup(log._file)
    os.close(log._file)
    log._file = os.open("/dev/full", os.O_WRONLY)
    commit(catalog, 1)
    commit(catalog, 2)
    os.close(kept)
    assert catalog.converted("t").next_record == 3
    assert catalog.store.snapshot_if_due()
    last = catalog.store.number
    catalog.close()
    assert rebuilt(path, tmp_path) == (last, dump(path))


def test_a_commit_that_failed_is_not_noted(path, tmp_path):
    catalog = opened(path, new=True)
    commit(catalog, 0)
    with pytest.raises(sqlite3.IntegrityError):
        commit(catalog, 0)  # the path is there already
    commit(catalog, 1)
    last = catalog.store.number
    catalog.close()
    assert rebuilt(path, tmp_path) == (last, dump(path))


def test_a_long_note_is_found_at_the_end(path):
    catalog = opened(path, new=True)
    files = [file(number) for number in range(3000)]
    catalog.commit_batch("t", files, [HourEntry(HOUR, 1, 1, 1, 0)], Converted(1, 1, 1), 1)
    assert max(each.stat().st_size for each in commits_of(path).iterdir()) > 3 * 64 * 1024
    assert commits.last_commit(commits_of(path)) == catalog.store.number
    catalog.close()
    opened(path).close()


def test_no_descriptor_stays_open_when_an_opening_is_refused(path, tmp_path):
    opened(path, new=True).close()
    path.write_bytes(b"garbage" * 1000)
    count = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(CatalogDamaged):
            Catalog(path, writable=True)
    assert len(list(Path("/dev/fd").iterdir())) == count


def test_a_log_that_begins_after_the_first_commit_and_has_no_snapshot_is_followed_by_one(path):
    """The owner that began it died before it copied the catalog; later ones must not take the log for all there is."""
    opened(path, new=True).close()
    shutil.rmtree(path.with_name("_commits"))
    opened(path).close()
    catalog = opened(path)
    assert catalog.store.snapshot_if_due()
    number = catalog.store.number
    catalog.close()
    assert commits.rebuild(path.with_name("_commits"), path.with_name("made")) == number


@pytest.mark.parametrize("how", ["killed", "full disk", "reported as failed"])
def test_a_gap_is_known_to_every_later_owner(path, tmp_path, how):
    """Until the catalog is copied: the owner that noticed the gap may end before it does that."""
    catalog = opened(path, new=True)
    commit(catalog, 0)
    [log] = commits_of(path).iterdir()
    noted = log.read_bytes()
    if how == "full disk":
        catalog.store._log.close()
    if how == "reported as failed":
        catalog.store._log.append = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            commit(catalog, 1)
        del catalog.store._log.append
    else:
        commit(catalog, 1)
    if how == "reported as failed":
        commit(catalog, 2)
    catalog.close()
    if how == "killed":
        log.write_bytes(noted)
    for _ in range(3):
        opened(path).close()
    catalog = opened(path)
    assert catalog.store.snapshot_if_due()
    commit(catalog, 3)
    last = catalog.store.number
    catalog.close()
    catalog = opened(path)
    assert not catalog.store.snapshot_if_due()
    catalog.close()
    assert rebuilt(path, tmp_path) == (last + 1, dump(path))


def test_a_log_whose_beginning_was_cut_off_is_followed_by_a_copy(path, tmp_path):
    """As after `kill -9` while the first log was made."""
    Catalog(path, writable=True, new=True).close()
    commits_of(path).mkdir()
    (commits_of(path) / f"{0:016d}.log").touch()
    catalog = opened(path)
    catalog.store.snapshot_if_due()
    commit(catalog, 0)
    last = catalog.store.number
    catalog.close()
    assert rebuilt(path, tmp_path) == (last, dump(path))


def test_a_commit_that_cannot_be_noted_while_the_catalog_is_copied_leads_to_another_copy(path, tmp_path, monkeypatch):
    catalog = opened(path, new=True)
    commit(catalog, 0)
    catalog.store._log.is_whole = False
    copy = commits.snapshot

    def meanwhile(*arguments):
        number = copy(*arguments)
        log = catalog.store._log
        os.close(log._file)
        log._file = os.open("/dev/full", os.O_WRONLY)
        commit(catalog, 1)
        return number

    monkeypatch.setattr(commits, "snapshot", meanwhile)
    assert catalog.store.snapshot_if_due()
    monkeypatch.undo()
    assert catalog.store.snapshot_if_due()
    last = catalog.store.number
    catalog.close()
    assert rebuilt(path, tmp_path) == (last, dump(path))
