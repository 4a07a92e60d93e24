"""Data files that the catalog does not know: ours go or are set aside, and nothing of a user's is ever touched."""

import os
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datawarehouse import Warehouse
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import REJECTS, ROWS, Footer
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate
from datawarehouse.tidy.files import stored_file

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
DAY_MS = 24 * HOUR_MS
HOUR = "2026/03/01/07"


def count(job):
    return [{"n": 1}]


def declared():
    return (
        Warehouse("shop")
        .with_streaming_input_table("t", {"id": "string", "n": "int"})
        .with_batch_input_table("counts", {"n": "int"}, count, "rate(1 hour)", {"hour": "string"})
        .with_table("facts", {"thing": "string"})
    )


@pytest.fixture
def opened(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.put("t", [{"id": "a", "n": 1}, b"{"])
        opened.flush()
        yield opened


def data_files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet*")}


def published(opened, number, spans=((0, 1),), *, table="t", kind=ROWS, replaces=(), run=None):
    """A data file that is published and not committed, as it would be committed."""
    columns = opened.warehouse.get_table(table).columns
    rows = arrow_schema(columns).empty_table()
    footer = Footer(table, kind, HOUR, list(spans), 0, 0, 1, list(replaces), run)
    name = f"{0:016d}-{number:08x}"
    return stored_file(Lake(opened.folder).write(name, rows.schema, [rows], footer, merged=False))


def later(opened, milliseconds=DAY_MS):
    opened.clock.set_ms(opened.clock.now_ms() + milliseconds)
    return opened.chores.orphans.look()


def test_a_file_of_this_owner_is_judged_at_the_second_look_a_day_later(opened):
    known = opened.catalog.paths()
    gone, committed = published(opened, 1), published(opened, 2)
    half = opened.folder / "errors/t/2026/03/01/07" / f"{0:016d}-0000000a.parquet.aside"
    half.write_bytes(b"PAR1")
    assert opened.chores.orphans.look() == 0
    late = published(opened, 3)
    assert opened.catalog.replace_files([], [committed], opened.clock.now_ms())
    assert later(opened, DAY_MS - 1) == 0
    assert (opened.folder / gone.path).exists()
    assert later(opened, 1) == 2
    assert data_files(opened.folder) == known | {committed.path, late.path}
    assert later(opened) == 1
    assert data_files(opened.folder) == known | {committed.path}


def test_the_looks_are_further_apart_than_the_longest_job_and_the_longest_query(tmp_path):
    for name in ("job_time_max_s", "query_time_max_s"):
        with simulate(declared(), tmp_path / name, start=START, settings={name: 86_400}) as opened:
            opened.put("t", [{"id": "a", "n": 1}] * 2)
            file = published(opened, 1)
            assert opened.chores.orphans.look() == 0
            assert later(opened, 2 * DAY_MS - 1) == 0
            assert later(opened, 1) == 1
            assert not (tmp_path / name / file.path).exists()


def test_a_file_of_a_dead_owner_is_judged_at_the_first_look(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.put("t", [{"id": "a", "n": 1}] * 2)
        file = published(opened, 1)
    with simulate(declared(), tmp_path, start=START) as opened:
        assert (tmp_path / file.path).exists(), "an opening removes nothing"
        assert opened.chores.orphans.look() == 1
        assert not (tmp_path / file.path).exists()


def test_a_file_that_is_about_to_be_committed_stays_when_the_clock_was_set_back(opened):
    """Its time is then before the opening, as that of a dead owner's file is."""
    assert opened.chores.orphans.look() == 0
    file = published(opened, 1)
    before_ns = opened.ownership.since_ns - 3600 * 10**9
    os.utime(opened.folder / file.path, ns=(before_ns, before_ns))
    assert later(opened, -HOUR_MS) == 0
    assert later(opened, DAY_MS - 1) == 0
    assert (opened.folder / file.path).exists()
    assert later(opened, 1) == 1, "a day later it was left by something that failed"


def test_retired_files_are_no_orphans(opened):
    opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
    files = data_files(opened.folder)
    assert opened.catalog.expire("t", HOUR, opened.clock.now_ms())
    for _ in range(3):
        assert later(opened) == 0
    assert data_files(opened.folder) == files


def test_nothing_of_a_user_is_touched_and_status_names_it(opened, tmp_path):
    table = pa.table({"id": ["theirs"]})
    paths = [
        f"t/{HOUR}/history.parquet",
        f"t/{HOUR}/{0:016d}-0000000b.parquet",  # as ours are called
        f"t/{HOUR}/half.parquet.aside",
        "t/2019/01/01/00/old.parquet",
        f"errors/t/{HOUR}/theirs.parquet",
        f"counts/{HOUR}/report.parquet",
    ]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, tmp_path / path)
    (tmp_path / f"t/{HOUR}/{0:016d}-0000000c.parquet").write_bytes(b"no Parquet at all")
    paths.append(f"t/{HOUR}/{0:016d}-0000000c.parquet")
    (tmp_path / "facts").mkdir()
    pq.write_table(pa.table({"thing": ["x"]}), tmp_path / "facts/mine.parquet")
    before = {path: (tmp_path / path).read_bytes() for path in data_files(tmp_path)}
    for _ in range(3):
        assert later(opened) == 0
    assert {path: (tmp_path / path).read_bytes() for path in data_files(tmp_path)} == before
    assert opened.status()["foreign_files"] == sorted(paths)
    with Reader(tmp_path, resolve({})) as reader:
        assert reader.status()["foreign_files"] == sorted(paths)
    for path in paths:
        (tmp_path / path).unlink()
    later(opened)
    assert opened.status()["foreign_files"] == []
    assert list(opened.query("select id from t")) == [("a",)]


def test_a_file_of_ours_in_the_place_of_another_is_not_ours(opened, tmp_path):
    file = published(opened, 1)
    (tmp_path / "t/2026/03/01/08").mkdir()
    moved = "t/2026/03/01/08/" + file.path.rpartition("/")[2]
    (tmp_path / file.path).rename(tmp_path / moved)
    for _ in range(3):
        later(opened)
    assert (tmp_path / moved).exists()
    assert opened.status()["foreign_files"] == [moved]


@pytest.mark.parametrize(
    ("what", "stays"),
    [
        ({"spans": [(0, 1)]}, False),  # the journal has its records
        ({"spans": [(0, 99)]}, True),  # it never had them all
        ({"spans": [(50, 60)], "replaces": ["known"]}, False),
        ({"spans": [(50, 60)], "replaces": ["known", "t/2026/03/01/07/unknown.parquet"]}, True),
        ({"spans": [], "table": "counts", "run": (1, 0)}, True),  # a run that succeeded
        ({"spans": [], "table": "counts", "run": (2, 0)}, False),  # one that failed
        ({"spans": [], "table": "counts", "run": (99, 0)}, True),  # one of which nothing is known
    ],
)
def test_a_file_whose_rows_are_nowhere_else_is_set_aside_and_any_other_goes(opened, tmp_path, what, stays):
    run = opened.catalog.runs.start("counts", 0, HOUR, attempt=1, cause="asked for", now_ms=0)
    opened.catalog.commit_run(run, "counts", [HOUR], [], 0)
    run = opened.catalog.runs.start("counts", 0, HOUR, attempt=2, cause="asked for", now_ms=0)
    opened.catalog.runs.fail(run, "no", 0)
    live = sorted(opened.catalog.paths())
    if "replaces" in what:
        what = {**what, "replaces": [live[-1] if path == "known" else path for path in what["replaces"]]}
    file = published(opened, 1, **what)
    content = (tmp_path / file.path).read_bytes()
    for _ in range(3):
        later(opened)
    assert not (tmp_path / file.path).exists()
    aside = tmp_path / "_aside" / file.path
    assert aside.exists() == stays
    if stays:
        assert aside.read_bytes() == content
    assert opened.status()["set_aside_files"] == int(stays)


def test_two_files_of_one_name_can_be_set_aside(opened, tmp_path):
    for number in (1, 2):
        published(opened, 1, spans=[(0, 90 + number)])
        for _ in range(2):
            later(opened)
    name = f"{0:016d}-00000001"
    kept = sorted(path.name for path in (tmp_path / "_aside/t" / HOUR).iterdir())
    assert kept == [f"{name}.1.parquet", f"{name}.parquet"]


def test_records_that_live_files_hold_need_no_journal(opened, tmp_path):
    """A leftover of a compaction whose sources are long gone: the journal has been trimmed since."""
    [live] = opened.catalog.live_files("t", ROWS, [HOUR])
    file = published(opened, 1, spans=live.spans, replaces=["t/2026/03/01/07/gone.parquet"])
    rejects = published(opened, 2, spans=[(500, 600)], kind=REJECTS)
    for _ in range(3):
        later(opened)
    assert not (tmp_path / file.path).exists()
    assert not (tmp_path / "_aside" / file.path).exists()
    assert (tmp_path / "_aside" / rejects.path).exists()
