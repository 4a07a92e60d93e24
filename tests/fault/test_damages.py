"""What happens when a file of a data folder is lost or changed behind the warehouse: the table of
docs/reference/damage.md.

For each kind of file and each damage: an opening, which changes nothing where it refuses; `dw doctor --repair` where it
is refused or where a query is; and a count of all events that were acknowledged.
"""

import re
import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from datawarehouse import Warehouse
from datawarehouse.catalog import store
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.check import put_in_place
from datawarehouse.catalog.commits import LARGE_BYTES
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.errors import DataWarehouseError, FileDamaged
from datawarehouse.folder import catalog_path
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import START, TestClock

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "damage.md"
NOW = START + timedelta(hours=3)
SEGMENT_BYTES = 3000
SQLITE_PAGE_BYTES = 4096
DAMAGES = ("lost", "older", "truncated", "flipped", "zeroed", "swapped", "doubled", "foreign")
FILES = {
    "catalog": "_catalog.sqlite",
    "write-ahead log of the catalog": "_catalog.sqlite-wal",
    "record of commits: log": "_commits/*.log",
    "record of commits: snapshot": "_commits/*.sqlite",
    "journal: first file": "_journal/t/*",
    "journal: middle file": "_journal/t/*",
    "journal: last file": "_journal/t/*",
    "data file, just converted": "t/2026/01/05/11/*.parquet",
    "data file, merged": "t/2026/01/05/09/*.parquet",
    "file of rejects": "errors/t/2026/01/05/09/*.parquet",
    "output of a job": "counts/2026/01/05/09/*.parquet",
    "FORMAT": "FORMAT",
    "_lock": "_lock",
}
PLACES = {"journal: middle file": 1, "journal: last file": -1, "record of commits: log": -1}


def count(job):
    [(n,)] = job.query("select count(*) from t where inserted_at = ?", [job.partition])
    return [{"n": n}]


def declared():
    columns = {"id": "string", "n": "int"}
    return (
        Warehouse("shop")
        .with_streaming_input_table("t", columns)
        .with_streaming_input_table("u", columns)
        .with_batch_input_table("counts", {"n": "int"}, count, "rate(1 hour)", reads=["t"], run_when_complete=True)
    )


def events(table, numbers):
    return [{"id": f"{table}{n}", "n": n} for n in numbers]


def fill(warehouse, begin, older=None):
    """Two hours that are merged and one that is not, rejects, runs; older: gets a copy of the folder at that time."""
    for hour in range(3):
        for part in range(3):
            first = begin + hour * 100 + part * 10
            for table in ("t", "u"):
                bad = [b'{"n": "%d"' % n for n in range(first + 8, first + 10)] if hour == 0 else []
                warehouse.put(table, [*events(table, range(first, first + 8)), *bad])
            warehouse.advance("1s")
        if hour < 2:
            warehouse.advance(START + timedelta(hours=hour + 1) - warehouse.now)
        if hour == 1:
            warehouse.catalog.store._log.size = LARGE_BYTES + 1  # as after many commits
            assert warehouse.catalog.store.snapshot_if_due()
            warehouse.put("t", events("t", [begin + 290]))
            warehouse.flush()
            if older:
                shutil.copytree(warehouse.folder, older)
                put_in_place(catalog_path(warehouse.folder), older / "catalog")


def unconverted(folder, begin, older=None):
    """Segments of each journal that are not converted. older: gets the last one of `t` before its last records."""
    for table in ("t", "u"):
        clock = TestClock(START + timedelta(hours=2, minutes=5))
        journal = Journal(folder / "_journal", table, clock, LOCAL_DISK, segment_bytes=SEGMENT_BYTES)
        for first in range(begin + 1000, begin + 1340, 10):
            if older and first == begin + 1330:
                shutil.copytree(folder / "_journal", older / "_journal", dirs_exist_ok=True)
            each = [b'{"id": "%s%d", "n": %d}' % (table.encode(), n, n) for n in range(first, first + 10)]
            journal.append(entry_of(each))
        journal.close()


ACKNOWLEDGED = {hour * 100 + part * 10 + n for hour in range(3) for part in range(3) for n in range(8)}
ACKNOWLEDGED |= {part * 10 + n for part in range(3) for n in (8, 9)} | {290, *range(1000, 1340)}


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """`data`, as a killed process left it; `older`, an hour before; `other`, another folder of the same kind."""
    kept = tmp_path_factory.mktemp("damages")
    for name, begin, older in (("data", 0, kept / "older"), ("other", 20_000, None)):
        with simulate(declared(), kept / f"{name}-open") as warehouse:
            fill(warehouse, begin, older)
            shutil.copytree(warehouse.folder, kept / name)
        unconverted(kept / name, begin, older)
    return kept


def copied(kept, folder):
    shutil.copytree(kept / "data", folder)
    return folder


def place_of(folder, file):
    return sorted(folder.glob(FILES[file]))[PLACES.get(file, 0)]


def damage(kept, folder, file, how):
    """Do this to a file; False if the file has no such damage."""
    path = place_of(folder, file)
    if file == "catalog":  # as after a clean stop: there is no write-ahead log that has everything
        clean_copy(path, folder.parent / f"{folder.name}-clean")
        shutil.move(folder.parent / f"{folder.name}-clean", path)
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    data = path.read_bytes()
    if how == "lost":
        path.unlink()
    elif how == "older":
        return make_older(kept, path, file)
    elif how == "swapped":
        return swap(kept, folder, path, file)
    else:
        middle = len(data) // 2 if file != "catalog" else SQLITE_PAGE_BYTES  # the kind of its second page
        path.write_bytes(
            {
                "truncated": data[:middle],
                "flipped": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :] if data else b"",
                "zeroed": bytes(len(data)),
                "doubled": data * 2,
                "foreign": b"This does not belong here.\n" * 40,
            }[how]
        )
    return True


def clean_copy(catalog, target):
    """Copy a catalog as if it had been closed; it stays as it is."""
    with tempfile.TemporaryDirectory() as scratch:
        for path in catalog.parent.glob(f"{catalog.name}*"):
            shutil.copy(path, scratch)
        put_in_place(Path(scratch, catalog.name), target)


def make_older(kept, path, file):
    older = kept / "older" / path.relative_to(path.parents[len(Path(FILES[file]).parts) - 1])
    if file == "catalog":
        older = kept / "older" / "catalog"
    elif file == "FORMAT":
        path.write_text('{"format": 2}')
        return True
    if not older.exists() or older.read_bytes() == path.read_bytes():
        return False
    shutil.copyfile(older, path)
    return True


def swap(kept, folder, path, file):
    within = {"journal": ("/t/", "/u/"), "data file": ("/t/", "/u/"), "file of rejects": ("/t/", "/u/"),
              "output of a job": ("/09/", "/10/")}  # fmt: skip
    for kind, (one, other) in within.items():
        if file.startswith(kind):
            pattern = ("/" + FILES[file]).replace(one, other)[1:]
            there = sorted(folder.glob(pattern))[PLACES.get(file, 0)]
            mine, theirs = path.read_bytes(), there.read_bytes()
            path.write_bytes(theirs)
            there.write_bytes(mine)
            return True
    if file == "catalog":
        path.unlink()
        clean_copy(kept / "other" / path.name, path)
    else:
        shutil.copyfile(place_of(kept / "other", file), path)
    return True


def contents(folder):
    """The bytes of all files, but those of the lock and of the memory that processes share, which say nothing."""
    skipped = ("_lock", "_catalog.sqlite-shm")
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in skipped}


def opened(folder):
    return simulate(declared(), folder, start=NOW)


def count_of(warehouse):
    """(numbers of `t` that are there, how often the most frequent one is, how many are said to be lost)"""
    warehouse.flush()
    found = [int(re.fullmatch(r"t(\d+)", id)[1]) for (id,) in warehouse.query("select id from t")]
    lost = 0
    for code, raw in warehouse.query("select error_code, raw_data from t_quarantine"):
        if code == "DataWarehouse.DamagedJournal":
            lost += 1
        else:
            found.append(int(re.findall(rb'"n": "(\d+)', bytes(raw))[0]))
    warehouse.query("select * from counts")
    totals = warehouse.catalog.totals("t")
    return set(found), max(map(found.count, found)), lost + totals.lost + totals.lost_rejects, totals


def row_of(kept, folder, file, how):
    """The row of the table: (an opening, what a repair does, what is lost); None if the file has no such damage."""
    shutil.copytree(kept / "data", folder)
    if not damage(kept, folder, file, how):
        return None
    before = contents(folder)
    opening, counted = "as before", None
    try:
        with opened(folder) as warehouse:
            with suppress(FileDamaged):
                counted = count_of(warehouse)
            if counted is None:
                opening = "as before; a query names the file"
    except DataWarehouseError as error:
        assert counted is None, error
        opening = "refused"
        assert contents(folder) == before, "a refused opening changes nothing"
        assert "Nothing was changed" in str(error), error
        assert f"--data {folder}" in str(error), error
        assert "dw doctor" in str(error), error
    mended = "not needed"
    if counted is None:
        mended = repair(folder)
        with opened(folder) as warehouse:
            counted = count_of(warehouse)
    found, most, lost, totals = counted
    assert most == 1, "no event is there twice"
    assert found <= ACKNOWLEDGED
    missing = len(ACKNOWLEDGED - found)
    assert totals.stored == totals.rows + totals.deduplicated + totals.expired + totals.lost
    assert totals.received == totals.stored + totals.rejected
    if not missing:
        return opening, mended, "nothing"
    is_counted = lost == missing and totals.received == len(ACKNOWLEDGED)
    return (
        opening,
        mended,
        f"{missing} event{'s' * (missing > 1)}, {'counted as lost' if is_counted else 'not counted'}",
    )


def repair(folder):
    clock = TestClock(NOW)
    before = contents(folder)
    with doctor_of(folder, declared(), clock) as doctor:
        looked = doctor.look()
        assert contents(folder) == before, "a look changes nothing"
    with doctor_of(folder, declared(), clock) as doctor:
        done = doctor.repair()
    wrong = [[(each.what, each.cause) for each in found if each.is_damage] for found in (looked, done)]
    assert wrong[0] == wrong[1]
    there = contents(folder)
    is_new = any(each.what == "_catalog.sqlite" for each in done)
    for path, data in before.items():
        name = path.relative_to(folder).parts[0]
        if not is_new and (name.startswith("_catalog") or name == "_commits"):
            continue  # a commit has changed it
        is_longer = name == "_commits" and path in there and there[path].startswith(data)
        assert not data or data in there.values() or is_longer, f"{path} is gone"
    with doctor_of(folder, declared(), clock) as doctor:
        assert [each for each in doctor.look() if each.is_damage] == []
    actions = (re.split("; |, up to|, with version", each.action)[0] for each in done if each.is_damage and each.mend)
    return "; ".join(dict.fromkeys(actions))


def written(file, how, row):
    return "| " + " | ".join((file, how, *row)) + " |"


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damage_has_the_outcome_that_the_page_says(kept, tmp_path, file, how):
    row = row_of(kept, tmp_path / "data", file, how)
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| {file} | {how} |")]
    assert rows == ([] if row is None else [written(file, how, row)])


def test_the_page_has_no_other_rows_and_enough_of_them():
    table = DOCS.read_text().split("## The table\n\n")[1].split("\n\n")[0].splitlines()[2:]
    rows = [tuple(line.removeprefix("| ").split(" | ")[:2]) for line in table]
    assert set(rows) <= {(file, how) for file in FILES for how in DAMAGES}
    assert len(rows) == len(set(rows)) >= 90


def test_a_folder_in_the_place_of_the_lock_is_moved_away(kept, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(kept / "data", folder)
    (folder / "_lock").unlink()
    (folder / "_lock").mkdir()
    (folder / "_lock" / "mine").write_text("x")
    with pytest.raises(DataWarehouseError, match=r"Nothing was changed\..*dw doctor --data"):
        opened(folder)
    assert repair(folder) == "it is moved to _aside/"
    assert (folder / "_aside" / "_lock" / "mine").read_text() == "x"
    with opened(folder) as warehouse:
        assert count_of(warehouse)[0] == ACKNOWLEDGED


def test_a_catalog_that_is_lost_with_its_record_is_made_again_of_the_files(kept, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(kept / "data", folder)
    for path in [*folder.glob("_catalog*"), *(folder / "_commits").iterdir()]:
        path.unlink()
    with pytest.raises(DataWarehouseError, match="is missing"):
        opened(folder)
    assert repair(folder) == "it is made again of the data files and journals"
    with opened(folder) as warehouse:
        found, most, lost, totals = count_of(warehouse)
        assert (found, most, lost, totals.received) == (ACKNOWLEDGED, 1, 0, len(ACKNOWLEDGED))


def test_a_large_catalog_whose_damage_is_found_late_says_what_helps(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_CHECKED_BYTES_MAX", 0)
    assert damage(kept, copied(kept, tmp_path / "data"), "catalog", "flipped")
    with pytest.raises(DataWarehouseError, match=r"is damaged: .*malformed.*`dw doctor --data"):
        Catalog(tmp_path / "data" / "_catalog.sqlite", writable=False).warehouse_name()


def test_two_damages_of_different_kinds_are_mended_together(kept, tmp_path):
    """The catalog is lost; so is a data file, which nothing else says the contents of than the record of commits."""
    folder = tmp_path / "data"
    shutil.copytree(kept / "data", folder)
    for path in folder.glob("_catalog*"):
        path.unlink()
    place_of(folder, "data file, merged").unlink()
    place_of(folder, "journal: middle file").unlink()
    (folder / "FORMAT").write_text("?")
    repair(folder)
    with opened(folder) as warehouse:
        found, most, lost, totals = count_of(warehouse)
        assert (len(found), most, lost) == (len(ACKNOWLEDGED) - 24 - 90, 1, 24 + 90)
        assert (totals.received, totals.lost) == (len(ACKNOWLEDGED), 24)
        [table] = [each for each in warehouse.status()["tables"] if each["table"] == "t"]
        assert (table["lost"], table["lost_rejects"]) == (24, 0)


def test_a_file_that_was_damaged_and_is_right_again_is_read_again(kept, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(kept / "data", folder)
    path = place_of(folder, "data file, merged")
    data = path.read_bytes()
    path.write_bytes(bytes(len(data)))
    with opened(folder) as warehouse:
        with pytest.raises(FileDamaged):
            warehouse.query("select * from t")
        warehouse.catalog.damage(str(path.relative_to(folder)), "its bytes are not those that were written")
    path.write_bytes(data)
    assert repair(folder) == "queries read it again"
    with opened(folder) as warehouse:
        assert count_of(warehouse)[0] == ACKNOWLEDGED
        assert warehouse.status()["damaged_files"] == []


def test_a_file_whose_pages_are_damaged_is_found_when_a_catalog_is_made_of_the_files(kept, tmp_path):
    folder = copied(kept, tmp_path / "data")
    for path in [*folder.glob("_catalog*"), *(folder / "_commits").iterdir()]:
        path.unlink()
    path = place_of(folder, "data file, merged")
    data = bytearray(path.read_bytes())
    data[60] ^= 1  # in the first page; the footer is whole
    path.write_bytes(data)
    repair(folder)
    with opened(folder) as warehouse:
        found, most, lost, totals = count_of(warehouse)
        assert (len(found), most, lost) == (len(ACKNOWLEDGED) - 24, 1, 24)
        assert totals.received == len(ACKNOWLEDGED)


def test_files_of_older_columns_are_read_with_the_columns_that_they_have(tmp_path):
    folder = tmp_path / "data"
    for columns, event in (
        ({"id": "string", "n": "int", "at": "varchar(9)"}, {"id": "a", "n": 1, "at": "x"}),
        ({"id": "string", "n": "bigint", "at": "string", "s": "struct<a:array<int>>"}, {"id": "b", "s": {"a": [2]}}),
        ({"id": "string", "n": "bigint", "at": "string", "s": "struct<a:array<bigint>>"}, {"id": "c", "n": 2**40}),
    ):
        shop = Warehouse("shop").with_streaming_input_table("t", columns)
        with simulate(shop, folder, start=NOW) as warehouse:
            warehouse.put("t", event)
            warehouse.flush()
            warehouse.catalog.mark_merged(warehouse.catalog.fresh_files("t"))
            before = list(warehouse.query("select * from t order by id"))
    for path in [*folder.glob("_catalog*"), *(folder / "_commits").iterdir()]:
        path.unlink()
    with doctor_of(folder, shop, TestClock(NOW)) as doctor:
        doctor.repair()
    with simulate(shop, folder, start=NOW) as warehouse:
        assert list(warehouse.query("select * from t order by id")) == before
        warehouse.put("t", {"id": "d"})
        assert len(warehouse.query("select * from t")) == 4


def test_memory_of_the_catalog_that_cannot_be_written_is_made_writable(kept, tmp_path):
    folder = copied(kept, tmp_path / "data")
    shm = folder / "_catalog.sqlite-shm"
    shm.write_bytes(b"")
    shm.chmod(0o444)
    assert repair(folder) == "it is made writable"
    assert shm.stat().st_mode & 0o777 == 0o644
