"""`count(*)`, `min` and `max` without reading rows: what is opened, over a table's life and of each kind of table."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datawarehouse import Warehouse
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import FileDamaged, QueryLimitExceeded
from datawarehouse.query.engine import Engine
from datawarehouse.query.footers import extremes
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.reader import read_json
from datawarehouse.testing import simulate

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
COUNT = "select count(*) from t"
EXTREMES = "select count(*), min(n), max(s) from t"


def every_hour(job):
    return [{"n": job.time.hour}, {"n": None}] if job.time.hour != 9 else []


def declared():
    return (
        Warehouse("dw")
        .with_streaming_input_table("t", {"n": "int", "s": "string", "x": "double"})
        .with_batch_input_table("hourly", {"n": "int"}, every_hour, "cron(0 * * * ? *)", {"inserted_at": "string"})
        .with_table("mine", {"n": "int"})
    )


@pytest.fixture
def opened(tmp_path):
    with simulate(declared(), tmp_path, start=START, settings={"compact_after_hours": 0}) as warehouse:
        yield warehouse


def put(opened, *numbers):
    opened.put("t", [{"n": n, "s": f"text {n}", "x": n} for n in numbers])
    opened.flush()


def sizes(opened, table="t"):
    """The bytes of the live files."""
    hours = opened.catalog.partitions_between(table, "rows", None, None)
    return [file.bytes for file in opened.catalog.live_paths(table, "rows", hours)]


def test_what_is_opened_over_the_life_of_a_table(opened):
    """Nothing for a count. For extremes fresh files whole, as they have no statistics, and footers of merged ones."""

    def seen(sql):
        result = opened.query(sql)
        return list(result), result.statistics.files, result.statistics.bytes

    assert seen(COUNT) == ([(0,)], 0, 0)
    assert seen(EXTREMES) == ([(0, None, None)], 0, 0)
    put(opened, 1, 2)
    put(opened, 3)
    assert seen(COUNT) == ([(3,)], 0, 0)
    assert seen(EXTREMES) == ([(3, 1, "text 3")], 2, sum(sizes(opened)))
    opened.advance("3h")
    [merged] = sizes(opened)
    rows, files, size = seen(EXTREMES)
    assert (rows, files) == ([(3, 1, "text 3")], 1)
    assert 0 < size < merged
    assert seen("select max(x) from t") == ([(3.0,)], 1, merged), "statistics of doubles are not exact"
    put(opened, 0)
    rows, files, both = seen(EXTREMES)
    assert (rows, files, both) == ([(4, 0, "text 3")], 2, size + sizes(opened)[1])
    assert seen(COUNT + " where inserted_at = '2026/03/01/07'") == ([(3,)], 0, 0)
    assert seen("select inserted_at, count(*) from t group by 1 order by 1") == (
        [("2026/03/01/07", 3), ("2026/03/01/10", 1)], 0, 0,
    )  # fmt: skip
    assert seen("select max(inserted_at) from t") == ([("2026/03/01/10",)], 0, 0)
    assert [line for (line,) in opened.query("explain " + COUNT)] == [
        "t: partitions where everything",
        "0 files, 0 bytes",
    ]


def test_rejects_are_counted_too(opened):
    opened.put("t", [b"{", b"[]", {"n": 1}])
    opened.flush()
    result = opened.query("select count(*), max(inserted_at) from t_quarantine")
    assert (list(result), result.statistics.files) == ([(2, "2026/03/01/07")], 0)
    assert list(opened.query("select count(*), max(sequence_number) is null from t_quarantine")) == [(2, False)]


def test_runs_with_and_without_rows(opened):
    opened.advance("4h")
    assert list(opened.query("select count(*), min(n), max(n) from hourly")) == [(6, 8, 11)]
    result = opened.query("select distinct inserted_at from hourly order by 1")
    assert (list(result), result.statistics.files) == ([(f"2026/03/01/{hour:02d}",) for hour in (7, 9, 10)], 0)
    [(runs,)] = opened.query("select count(*) from job_runs")
    assert runs == len(opened.query("select * from job_runs")) > 0


def test_tables_of_the_user_are_read(opened):
    (opened.folder / "mine").mkdir()
    pq.write_table(pa.table({"n": pa.array([3, 4], pa.int32())}), opened.folder / "mine" / "a.parquet")
    result = opened.query("select count(*), min(n), max(n) from mine")
    assert (list(result), result.statistics.files) == ([(2, 3, 4)], 1)


def test_a_name_of_the_statement_is_not_a_name_of_ours(opened):
    put(opened, 1)
    for name in ("memory", "memory$0", "runs_0", "json_0"):
        [(count,)] = opened.query(f'with "{name}" as (select 7 as n union all select 8) {COUNT}')
        assert count == 1
        assert list(opened.query(f'with "{name}" as (select 1 as job) select count(job) from job_runs')) == [(0,)]


def test_a_lost_file_fails_a_query_that_reads_it(opened):
    put(opened, 1, 2)
    opened.advance("3h")
    [file] = opened.folder.glob("t/**/*.parquet") if len(sizes(opened)) == 1 else []
    file.unlink()
    assert list(opened.query(COUNT)) == [(2,)], "docs/reference/sql.md says so"
    with pytest.raises(FileDamaged, match=f"{file.name} is damaged: it is missing"):
        opened.query(EXTREMES)


def test_reading_footers_ends_with_the_time_of_the_query(opened):
    put(opened, 1, 2)
    opened.advance("3h")
    limits = QueryLimits.of(opened.settings)
    engine = Engine("dw", opened.catalog, opened.folder, replace(limits, time_max_s=0.0), read_json, opened.clock)
    with pytest.raises(QueryLimitExceeded, match="query_time_max_s"):
        engine.query(EXTREMES)


def test_footers_of_another_writer_say_nothing(tmp_path):
    """DuckDB writes statistics as well; nobody looked at what they promise."""
    ours, theirs = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(pa.table({"n": [1, 2]}), ours)
    duckdb.sql(f"copy (select 1::bigint as n) to '{theirs}' (format parquet)")
    files = [(str(path), "2026/03/01/07") for path in (ours, theirs)]
    told = extremes(files, [Column("n", parse_type("bigint"))], time.monotonic() + 60)
    assert (told.table["n"].to_pylist(), told.silent) == ([1, 2], [str(theirs)])
