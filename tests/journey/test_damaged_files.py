"""A data file that is lost, cut, swapped or doubled: no query answers from it, and other hours can be asked."""

import os
import shutil

import pytest
from damage import fill, live, opened

from datawarehouse.errors import FileDamaged


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("lake"), compact_bytes_per_minute=0, audit_days=0) as opened_one:
        fill(opened_one)
        yield opened_one


def lost(path, others):
    path.unlink()


def cut(path, others):
    os.truncate(path, path.stat().st_size - 1)


def empty(path, others):
    os.truncate(path, 0)


def of_another_table(path, others):
    shutil.copy(next(other for other in others if other.parts[-6] == "views"), path)


def of_another_hour(path, others):
    shutil.copy([other for other in others if other.parts[-6] == "clicks"][-1], path)


def older(path, others):
    """With the time of before."""
    said = path.stat()
    of_another_hour(path, others)
    os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))


@pytest.mark.parametrize("damage", [lost, cut, empty, of_another_table, of_another_hour, older])
def test_no_query_answers_from_a_damaged_file_and_other_hours_do(warehouse, damage):
    files = [file for file in live(warehouse) if file.kind == "rows"]
    file = next(file for file in files if file.table == "clicks")
    path = warehouse.folder / file.path
    kept = path.with_name("kept")
    said = path.stat()
    shutil.copy2(path, kept)
    rest = f"select sum(n), count(x) from clicks where inserted_at > '{file.partition}'"
    before = warehouse.query(rest).dicts()
    damage(path, [warehouse.folder / each.path for each in files])
    try:
        for question in ("select sum(x) from clicks", f"select * from clicks where inserted_at = '{file.partition}'"):
            with pytest.raises(FileDamaged, match=file.path):
                warehouse.query(question).dicts()
        assert warehouse.query(rest).dicts() == before
        assert warehouse.query("select count(x) from views").dicts()
    finally:
        path.write_bytes(kept.read_bytes())
        os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))
        kept.unlink()
    assert warehouse.query("select sum(x) from clicks").dicts()


def test_a_double_is_not_counted(warehouse):
    before = warehouse.query("select count(*), sum(n), count(distinct id) from clicks").dicts()
    for file in live(warehouse, "clicks"):
        path = warehouse.folder / file.path
        shutil.copy(path, path.with_name(f"{0:016d}-0000000a.parquet"))
    assert warehouse.query("select count(*), sum(n), count(distinct id) from clicks").dicts() == before
