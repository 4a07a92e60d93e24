"""A data folder of an earlier release is upgraded when it is opened, and keeps every record.

`tests/fixtures/format_1` was written by the release of format 1, whose process died with one record unconverted.
"""

import fcntl
import json
import shutil
import sqlite3
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.catalog.schema import upgrade
from datawarehouse.clock import WallClock
from datawarehouse.errors import CatalogDamaged, FolderInUse
from datawarehouse.folder import FORMAT
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve

OLD = Path(__file__).parents[1] / "fixtures" / "format_1"


def declared() -> Warehouse:
    return (
        Warehouse("old_shop")
        .with_streaming_input_table(
            "clicks", columns={"id": "string", "n": "int", "at": "timestamp", "tags": "array<string>"}
        )
        .with_table("facts", columns={"thing": "string", "color": "string"}, data_format="JSON")
        .with_table(
            "prices",
            columns={"thing": "string", "price": "decimal(9,2)"},
            partition_keys=[{"name": "day", "type": "string"}],
        )
    )


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(OLD, folder)
    return folder


def version_of(folder):
    return json.loads((folder / "FORMAT").read_text())["format"]


def test_every_record_is_there_after_the_upgrade(old):
    assert version_of(old) == 1
    with open_warehouse(declared(), old) as warehouse:
        warehouse.flush()
        assert list(warehouse.query("select id, n, at, tags from clicks order by id")) == [
            ("a", 1, datetime(2026, 3, 1, 7, 8, 9, 123000), ["x", "y"]),
            ("c", 3, None, None),
            ("d", 4, None, None),
        ]
        assert [row[0] for row in warehouse.query("select raw_data from clicks_quarantine")] == [
            b'{"id":"b","n":"two"}'
        ]
        assert list(warehouse.query("select * from facts order by thing")) == [("grass", "green"), ("sky", "blue")]
        assert list(warehouse.query("select thing, price from prices where day = '2026-03-01'")) == [
            ("shoe", Decimal("9.50"))
        ]
        [status] = [table for table in warehouse.status()["tables"] if table["table"] == "clicks"]
        assert (status["received"], status["stored"], status["rejected"]) == (4, 3, 1)
    assert version_of(old) == FORMAT


def schema_of(folder):
    with sqlite3.connect(folder / "_catalog.sqlite") as db:
        names = [name for (name,) in db.execute("select name from sqlite_schema where type = 'table' order by name")]
        return {name: db.execute(f"pragma table_info({name})").fetchall() for name in names} | {
            "indexes": db.execute("select name, sql from sqlite_schema where type = 'index' order by name").fetchall(),
            "version": db.execute("pragma user_version").fetchall(),
        }


def without_order(schema):
    return {
        name: rows if name in ("indexes", "version") else sorted(row[1:] for row in rows)
        for name, rows in schema.items()
    }


def test_an_upgraded_catalog_has_the_tables_of_a_new_one(old, tmp_path):
    open_warehouse(declared(), old).close()
    open_warehouse(declared(), tmp_path / "new").close()
    assert without_order(schema_of(old)) == without_order(schema_of(tmp_path / "new"))


def test_an_upgrade_that_was_cut_short_is_taken_up_again(old):
    open_warehouse(declared(), old).close()
    (old / "FORMAT").write_text('{"format": 1}')  # the catalog was upgraded, and the process died before it said so
    with open_warehouse(declared(), old) as warehouse:
        assert list(warehouse.query("select count(*) from clicks")) == [(3,)]
    assert version_of(old) == FORMAT


@pytest.mark.parametrize("spoil", ["deleted", "no catalog"])
def test_an_old_folder_whose_catalog_is_lost_is_left_as_it_is(old, spoil):
    catalog = old / "_catalog.sqlite"
    catalog.unlink()
    if spoil == "no catalog":
        catalog.write_bytes(b"something else" * 100)
    with pytest.raises(CatalogDamaged, match="Nothing was changed"):
        open_warehouse(declared(), old)
    assert version_of(old) == 1


def test_an_old_folder_whose_owner_died_before_it_made_the_catalog(tmp_path):
    (tmp_path / "FORMAT").write_text('{"format": 1}')
    with open_warehouse(declared(), tmp_path) as warehouse:
        assert list(warehouse.query("select count(*) from clicks")) == [(0,)]
    assert version_of(tmp_path) == FORMAT


def test_reading_alone_upgrades_a_folder_that_nobody_owns(old):
    with Reader(old, resolve({"data": str(old)})) as reader:
        assert [row["id"] for row in reader.engine.query("select id from clicks order by id").dicts()] == [
            "a",
            "c",
        ]
    assert version_of(old) == FORMAT


def test_an_old_folder_that_its_owner_still_serves_is_left_alone(old):
    with (old / "_lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(FolderInUse):
            Reader(old, resolve({"data": str(old)}))
    assert version_of(old) == 1


def test_the_doctor_finds_nothing_wrong_between_two_steps_of_an_upgrade(old):
    """As after `kill -9` when the catalog was upgraded and FORMAT did not say it yet."""
    upgrade(old / "_catalog.sqlite", 1)
    with doctor_of(old, declared(), WallClock()) as doctor:
        assert [finding for finding in doctor.look() if finding.is_damage] == []
    with open_warehouse(declared(), old) as warehouse:
        warehouse.flush()
        assert list(warehouse.query("select count(*) from clicks")) == [(3,)]
