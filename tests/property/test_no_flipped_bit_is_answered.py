"""A bit that has changed in a data file never becomes an answer, nor a part of another file.

A file is fresh or merged, of rows, of rejects or of a job's output. Each example flips one bit anywhere in one of them,
and puts it back.
"""

import os
from random import Random

import pytest
from damage import fill, flip, live, opened, rot

from datawarehouse.clock import WallClock
from datawarehouse.definition.tables import QUARANTINE_COLUMNS, to_wire
from datawarehouse.errors import FileDamaged
from datawarehouse.query.engine import Engine
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.auditing import Audit, Wanted
from datawarehouse.runtime.embedded import LocalExecutor
from datawarehouse.runtime.reader import read_json
from datawarehouse.settings import resolve
from datawarehouse.tidy.files import data_file
from datawarehouse.tidy.orders import DedupeOrder, MergeOrder

QUESTIONS = {
    "clicks rows": [
        "select sum(x) from clicks where inserted_at = '{hour}'",
        "select * from clicks where inserted_at = '{hour}'",
        "select max(n), min(id) from clicks where inserted_at = '{hour}'",
        "select count(*) from clicks where inserted_at = '{hour}' and n < 50",
        "select id from clicks order by id limit 1",
    ],
    "views rows": ["select count(distinct id) from views", "select avg(n) from views where inserted_at = '{hour}'"],
    "clicks rejects": ["select raw_data, error_code from clicks_quarantine where inserted_at = '{hour}'"],
    "views rejects": ["select min(sequence_number) from views_quarantine"],
    "counts rows": ["select sum(n) from counts", "select n from counts where hour = '{hour}'"],
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A warehouse, and its files by kind: (what they hold, whether they are merged)."""
    with opened(tmp_path_factory.mktemp("lake"), compact_bytes_per_minute=0, audit_days=0) as warehouse:
        fill(warehouse)
        fresh = {file.path for table in ("clicks", "views") for file in warehouse.catalog.fresh_files(table)}
        kinds = {}
        for file in live(warehouse):
            kinds.setdefault((f"{file.table} {file.kind}", file.path not in fresh), []).append(file)
        assert len(kinds) == 9, "four of rows and four of rejects, fresh and merged, and the output of a job"
        yield warehouse, kinds


def chosen(lake, chance):
    _, kinds = lake
    what, is_merged = chance.choice(sorted(kinds))
    file = chance.choice(kinds[what, is_merged])
    return what, file, chance.randrange(file.bytes * 8)


@pytest.mark.seeds(fixed=30, random=5)
def test_no_query_that_reads_a_file_which_was_edited_answers(lake, seed):
    warehouse, _ = lake
    chance = Random(seed)
    what, file, bit = chosen(lake, chance)
    path = warehouse.folder / file.path
    kept, said = path.read_bytes(), path.stat()
    flip(path, bit)
    try:
        for question in QUESTIONS[what]:
            with pytest.raises(FileDamaged, match=file.path):
                warehouse.query(question.format(hour=file.partition)).dicts()
        counted = warehouse.query(f"select count(*) from {file.table} where {hour_of(file)} = '{file.partition}'")
        assert counted.dicts()
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))
    assert warehouse.query(chance.choice(QUESTIONS[what]).format(hour=file.partition)).dicts()


def hour_of(file):
    return "hour" if file.table == "counts" else "inserted_at"


@pytest.fixture(scope="module")
def strict(lake):
    """The query engine with verify_reads."""
    warehouse, _ = lake
    limits = QueryLimits.of(resolve({"verify_reads": "yes"}))
    engine = Engine(warehouse.warehouse.name, warehouse.catalog, warehouse.folder, limits, read_json, warehouse.clock)
    yield engine
    engine.close()


@pytest.mark.seeds(fixed=30, random=5)
def test_the_audit_names_rot_and_no_merge_keeps_it_and_no_strict_query_answers(lake, strict, seed):
    warehouse, _ = lake
    chance = Random(seed)
    what, file, bit = chosen(lake, chance)
    path = warehouse.folder / file.path
    before = {each for each in warehouse.folder.rglob("*") if each.name != "_catalog.sqlite-shm"}
    rot(path, bit)
    try:
        report = Audit(warehouse.catalog, warehouse.folder, Wanted(level="data"), WallClock()).run()
        assert [each.path for table in report.tables for each in table.findings] == [file.path]
        assert report.code == 20
        for question in QUESTIONS[what]:
            with pytest.raises(FileDamaged, match=file.path):
                strict.query(question.format(hour=file.partition), ())
        for order in rewrites(warehouse, file):
            with pytest.raises(FileDamaged, match=file.path):
                LocalExecutor().run(order)
        assert {each for each in warehouse.folder.rglob("*") if each.name != "_catalog.sqlite-shm"} == before
    finally:
        rot(path, bit)
    report = Audit(warehouse.catalog, warehouse.folder, Wanted(level="data"), WallClock()).run()
    assert report.code == 0


def rewrites(warehouse, file):
    """What the owner would make of the file and of its neighbours."""
    neighbours = warehouse.catalog.live_files(file.table, file.kind, [file.partition])
    sources, folder = [data_file(each) for each in neighbours], str(warehouse.folder)
    columns = QUARANTINE_COLUMNS if file.kind == "rejects" else warehouse.warehouse.get_table(file.table).columns
    yield MergeOrder(sources, to_wire(columns), 1, folder, "merged")
    yield MergeOrder(sources, to_wire(columns), 1, folder, "sorted", (columns[0].name,))
    if file.table == "views" and file.kind == "rows":
        yield DedupeOrder(sources, to_wire(columns), 1, folder, "deduplicated", "id")
