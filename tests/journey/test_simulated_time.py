"""A warehouse whose time the test moves: what is due happens in order, and the same input gives the same result."""

from datetime import UTC, datetime, timedelta

import pytest

from datawarehouse import Warehouse
from datawarehouse.errors import BadRequest, Throttled, UnknownName
from datawarehouse.testing import simulate
from datawarehouse.testing.simulated import JobFailed

COLUMNS = {"id": "string", "n": "int"}


def counts(job):
    [(count,)] = job.query("select count(*) from clicks where inserted_at = ?", [job.partition])
    yield {"count": count, "at": job.partition}


def each_quarter(job):
    yield {"at": f"{job.time:%H:%M}"}


def declared():
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", COLUMNS, retention_days=2, dedupe_key="id", sort_by=["n"])
        .with_batch_input_table(
            "hourly", {"count": "int", "at": "string"}, counts, "rate(1 hour)", reads=["clicks"], run_when_complete=True
        )
        .with_batch_input_table("quarters", {"at": "string"}, each_quarter, "cron(0/15 * * * ? *)", {"hour": "string"})
    )


@pytest.fixture
def warehouse(tmp_path):
    with simulate(declared(), tmp_path / "data", start=datetime(2026, 11, 23, 7, 10, tzinfo=UTC)) as simulated:
        yield simulated


def test_time_passes_only_when_the_test_says_so(warehouse):
    assert warehouse.now == datetime(2026, 11, 23, 7, 10, tzinfo=UTC)
    warehouse.put("clicks", {"id": "a"})
    warehouse.advance("1h 5m")
    warehouse.advance(timedelta(seconds=1))
    warehouse.put("clicks", {"id": "b"})
    assert warehouse.now == datetime(2026, 11, 23, 8, 15, 1, tzinfo=UTC)
    assert list(warehouse.query("select id, inserted_at from clicks order by 1")) == [
        ("a", "2026/11/23/07"),
        ("b", "2026/11/23/08"),
    ]
    for wrong in ("soon", "1 fortnight", "-1h", -5, "1h and more"):
        with pytest.raises(BadRequest):
            warehouse.advance(wrong)


def test_jobs_run_at_their_instants_in_the_order_of_time(warehouse):
    warehouse.put("clicks", [{"id": "a"}, {"id": "b"}])
    warehouse.advance("65m")
    started = [(run.job, datetime.fromtimestamp(run.started_ms / 1000, UTC).strftime("%H:%M"))
               for run in warehouse.runs()]  # fmt: skip
    assert started == [
        ("quarters", "07:15"),
        ("quarters", "07:30"),
        ("quarters", "07:45"),
        ("hourly", "08:00"),
        ("quarters", "08:00"),
        ("quarters", "08:15"),
    ]
    warehouse.assert_table("hourly", [{"count": 2, "at": "2026/11/23/07"}])


def test_a_failed_run_is_tried_again_at_its_instants_with_the_same_time(warehouse):
    warehouse.fail_job("hourly", times=2)
    warehouse.advance("50m")
    assert [run.outcome for run in warehouse.runs("hourly")] == ["failed"]
    warehouse.advance("59s")
    assert len(warehouse.runs("hourly")) == 1
    warehouse.advance("1s")
    warehouse.advance("2m")
    runs = warehouse.runs("hourly")
    assert [(run.attempt, run.outcome, run.scheduled_ms) for run in runs] == [
        (1, "failed", runs[0].scheduled_ms),
        (2, "failed", runs[0].scheduled_ms),
        (3, "succeeded", runs[0].scheduled_ms),
    ]
    assert [run.started_ms - runs[0].started_ms for run in runs] == [0, 60_000, 180_000]
    assert "a failure that the test asked for" in runs[0].error


def test_compaction_and_expiry_follow_the_clock(warehouse):
    for minute in range(4):
        warehouse.put("clicks", [{"id": f"{n}", "n": 9 - n} for n in range(3)])
        warehouse.advance("10m" if minute < 3 else "15m")
    assert warehouse.now == datetime(2026, 11, 23, 7, 55, tzinfo=UTC)
    warehouse.advance("2h 4m")
    assert list(warehouse.query("select count(*) from clicks")) == [(12,)], "it is one of the two newest hours"
    warehouse.advance("1m")
    assert list(warehouse.query("select id, n from clicks")) == [("2", 7), ("1", 8), ("0", 9)], "ordered, each once"
    [shown] = [table for table in warehouse.status()["tables"] if table["table"] == "clicks"]
    assert (shown["stored"], shown["rows"], shown["deduplicated"], shown["files"]) == (12, 3, 9, 1)

    warehouse.advance("45h 59m")
    assert list(warehouse.query("select count(*) from clicks")) == [(3,)]
    warehouse.advance("1m")
    assert warehouse.now == datetime(2026, 11, 25, 8, tzinfo=UTC), "two days after the end of the hour"
    assert list(warehouse.query("select count(*) from clicks")) == [(0,)]
    warehouse.advance("1h")
    assert not list((warehouse.folder / "clicks").rglob("*"))


def test_late_and_double_deliveries_arrive_when_they_do(warehouse):
    warehouse.put("clicks", {"id": "late"}, delayed="90m")
    warehouse.put("clicks", {"id": "twice"}, duplicated=True)
    assert list(warehouse.query("select id from clicks")) == [("twice",), ("twice",)]
    warehouse.advance("89m")
    assert list(warehouse.query("select count(*) from clicks")) == [(2,)]
    warehouse.advance("1m")
    assert list(warehouse.query("select inserted_at from clicks where id = 'late'")) == [("2026/11/23/08",)]
    warehouse.advance("1h")
    assert [(row["at"], row["count"]) for row in warehouse.query("select * from hourly order by at").dicts()] == [
        ("2026/11/23/07", 2),
        ("2026/11/23/08", 1),
    ]
    with pytest.raises(UnknownName):
        warehouse.put("nowhere", {"id": "x"}, delayed="1h")


@pytest.mark.parametrize(("fault", "limit"), [("throttled", "journal_bytes_max"), ("disk_full", "disk_free_bytes_min")])
def test_a_refusal_takes_nothing_and_is_over_with_the_call(warehouse, fault, limit):
    with pytest.raises(Throttled) as refused:
        warehouse.put("clicks", [{"id": "a"}], **{fault: True})
    assert refused.value.limit == limit
    assert warehouse.put("clicks", [{"id": "b"}]) == 1
    assert list(warehouse.query("select id from clicks")) == [("b",)]


def test_rejects_are_seen_in_order(warehouse):
    warehouse.put("clicks", ["oops", {"id": "a", "n": "many"}, {"id": "b", "n": 1}])
    assert [(reject["column_name"], reject["raw_data"]) for reject in warehouse.quarantine("clicks")] == [
        (None, b"oops"),
        ("n", b'{"id":"a","n":"many"}'),
    ]
    warehouse.assert_table("clicks", [{"id": "b", "n": 1, "inserted_at": "2026/11/23/07"}])


def test_assert_table_says_what_differs(warehouse):
    warehouse.put("clicks", [{"id": "a", "n": 1}, {"id": "a", "n": 1}, {"id": "b"}])
    warehouse.assert_table("clicks", [{"id": "b", "n": None}, {"id": "a", "n": 1}, {"id": "a", "n": 1}])
    warehouse.assert_table("clicks", [{"id": "a"}, {"id": "b"}, {"id": "a"}])
    with pytest.raises(AssertionError) as told:
        warehouse.assert_table("clicks", [{"id": "a"}, {"id": "c"}])
    assert str(told.value) == (
        "Table 'clicks' at 2026-11-23 07:10:00 has 3 rows, 2 were expected.\n"
        "missing:\n  1 x {id: 'c'}\nnot expected:\n  1 x {id: 'a'}\n  1 x {id: 'b'}"
    )
    with pytest.raises(AssertionError):
        warehouse.assert_table("clicks", [])
    with pytest.raises(BadRequest):
        warehouse.assert_table("clicks", [{"id": "a"}, {"n": 1}])


def test_a_run_that_fails_is_told(warehouse):
    warehouse.fail_job("hourly", error=KeyError("no such thing"))
    with pytest.raises(JobFailed, match="no such thing"):
        warehouse.run("hourly")
    assert warehouse.run("hourly", datetime(2026, 11, 23, 6, tzinfo=UTC)).partition == "2026/11/23/05"


def contents(warehouse):
    """All that a run of the same test must repeat; files' names end with chance."""
    files = warehouse.catalog.store.rows(
        "select table_name, kind, partition, row_count, records, fresh, created_ms, retired_ms, compacted from files"
        " order by id"
    )
    tables = {name: list(warehouse.query(f"select * from {name} order by 1, 2")) for name in ("clicks", "hourly")}
    return files, tables, warehouse.catalog.store.rows("select * from ledger"), warehouse.runs()


def test_the_same_input_gives_the_same_files_runs_and_ledger(tmp_path):
    found = []
    for name in ("one", "two"):
        with simulate(declared(), tmp_path / name) as warehouse:
            for hour in range(30):
                warehouse.put("clicks", [{"id": f"{hour}-{n % 7}", "n": n} for n in range(10)] + ["oops"])
                if hour % 5 == 0:
                    warehouse.fail_job("hourly")
                warehouse.advance("1h")
            warehouse.advance("1d")
            found.append(contents(warehouse))
    assert found[0] == found[1]
    assert len(found[0][3]) > 50


def test_a_folder_is_opened_again_at_a_later_time(tmp_path):
    with simulate(declared(), tmp_path / "data") as warehouse:
        warehouse.put("clicks", {"id": "a"})
        ended = warehouse.now
    with simulate(declared(), tmp_path / "data", start=ended + timedelta(hours=3)) as warehouse:
        warehouse.advance("0s")
        assert [(row["at"], row["count"]) for row in warehouse.query("select * from hourly order by at").dicts()] == [
            ("2026/01/05/09", 1),
            ("2026/01/05/10", 0),
            ("2026/01/05/11", 0),
        ]


def test_a_query_reads_the_clock_of_the_test_once_and_prunes_by_it(warehouse):
    for id in "abc":
        warehouse.put("clicks", {"id": id})
        warehouse.advance("1h")
    last_hour = "from clicks where inserted_at >= date_format(now() - interval '1' hour, '%Y/%m/%d/%H')"
    result = warehouse.query(f"select id, cast(now() as date) = current_date as same {last_hour}")
    assert list(result) == [("c", True)]
    assert result.statistics.files == 1
    assert list(warehouse.query("select date_format(now(), '%H:%i')")) == [("10:10",)]
    warehouse.advance("1h")
    assert list(warehouse.query(f"select id, cast(now() as date) = current_date as same {last_hour}")) == []
    assert list(warehouse.query("select date_format(now(), '%H:%i')")) == [("11:10",)]
