"""What each hour has: also while closed hours are kept."""

from unittest.mock import patch

import pytest

from datawarehouse.catalog import hours as module
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.hours import KeptHours, files_of, first_and_last_hour, hours_between, newest_rows
from datawarehouse.catalog.records import Converted, File, HourEntry
from datawarehouse.definition.warehouse import Warehouse

HOURS = [f"2026/01/01/{hour:02d}" for hour in range(6)]
ALL = ("2026/01/01/00", "2026/01/02/00")


@pytest.fixture
def catalog(tmp_path):
    made = Catalog(tmp_path / "catalog", writable=True, new=True, synced=False)
    made.declare("w", Warehouse("w").with_streaming_input_table("t", {"a": "int"}).tables())
    commit(made, HOURS)
    yield made
    made.close()


def commit(catalog, hours, kind="rows", name="a"):
    files = [File("t", kind, hour, f"{kind}/{hour}/{name}", 1, [(0, 1)], 10, 10, 100) for hour in hours]
    entries = [HourEntry(hour, 12, 10, 10, 2) for hour in hours]
    catalog.commit_batch("t", files, entries, Converted(1, 1, 1), 1)


def test_an_hour_has_a_state(catalog):
    commit(catalog, HOURS[1:2], name="b")
    commit(catalog, HOURS[2:3], "rejects")
    catalog.mark_merged(catalog.fresh_files("t"))
    catalog.damage(f"rows/{HOURS[3]}/a", "it is missing")
    found = hours_between(catalog.store, "t", *ALL, HOURS[5])
    assert (found.hour, found.state) == (HOURS, "kckdko")
    assert found.files == [1, 2, 2, 1, 1, 1] and found.bytes == [100, 200, 200, 100, 100, 100]
    assert found.received[:3] == [12, 24, 24] and found.rejected[0] == 2 and found.rows[0] == 10
    assert hours_between(catalog.store, "t", HOURS[1], HOURS[3], HOURS[5]).hour == HOURS[1:3]
    assert hours_between(catalog.store, "other", *ALL, "").hour == []


@pytest.mark.parametrize("until", ["", *HOURS, "2027/01/01/00"])
@pytest.mark.parametrize("period", [ALL, (HOURS[2], HOURS[4]), (HOURS[5], HOURS[5])])
def test_what_is_kept_gives_the_same(catalog, until, period):
    kept = KeptHours()
    for _ in range(2):
        assert kept.between(catalog.store, "t", *period, until) == hours_between(catalog.store, "t", *period, until)


def test_an_open_hour_is_always_read_and_a_closed_one_after_a_while(catalog):
    kept = KeptHours()
    kept.between(catalog.store, "t", *ALL, HOURS[5])
    commit(catalog, HOURS, name="b")
    again = kept.between(catalog.store, "t", *ALL, HOURS[5])
    assert again.received == [12] * 5 + [24]
    with patch.object(module, "KEPT_S", -1.0):
        assert kept.between(catalog.store, "t", *ALL, HOURS[5]).received == [24] * 6


def test_the_newest_rows_and_files_are_found(catalog):
    store = catalog.store
    assert first_and_last_hour(store, "t") == (HOURS[0], HOURS[-1]) and first_and_last_hour(store, "x") == (None, None)
    assert newest_rows(store, "t", 15, 24) == HOURS[-2:] and newest_rows(store, "t", 10**6, 3) == HOURS[-3:]
    files, more = files_of(store, "t", None, 2)
    assert ([file.partition for file in files], more) == (HOURS[:-3:-1], 4)
    assert files_of(store, "t", HOURS[0], 5)[1] == 0
