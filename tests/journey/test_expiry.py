"""Expiry as users meet it: hours, their rejected records and the outputs of jobs go when their days are over."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from running import Running, running

from datawarehouse import Warehouse
from datawarehouse.catalog.records import Held
from datawarehouse.definition.partition import HOUR_MS, start_ms
from datawarehouse.parquet.footer import ROWS
from datawarehouse.testing import simulate

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
DAY_MS = 24 * HOUR_MS
COLUMNS = {"id": "string", "n": "int"}


def hourly(job):
    return [{"n": 1}, {"n": 2}]


def declared(retention_days=2, of_the_job=1):
    return (
        Warehouse("shop")
        .with_streaming_input_table("kept", COLUMNS)
        .with_streaming_input_table("t", COLUMNS, retention_days=retention_days)
        .with_batch_input_table(
            "counts", {"n": "int"}, hourly, "rate(1 hour)", {"hour": "string"}, retention_days=of_the_job
        )
    )


def data_files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet*")}


def hours(opened, table, column="inserted_at"):
    return [hour for (hour,) in opened.query(f"select distinct {column} from {table} order by 1")]


def test_an_hour_goes_in_the_millisecond_in_which_its_days_are_over(tmp_path):
    with simulate(declared(of_the_job=None), tmp_path, start=START) as opened:
        for table in ("t", "kept"):
            opened.put(table, [{"id": "a", "n": 1}, {"id": "b", "n": 2}, b"{"])
        opened.advance("1h")
        opened.put("t", [{"id": "c", "n": 3}])
        opened.advance(0)
        end = start_ms("2026/03/01/07") + HOUR_MS
        opened.clock.set_ms(end + 2 * DAY_MS - 1)
        opened.converter.merge("t", opened.tidying.compactor.run)
        assert opened.expire().partitions == []
        assert hours(opened, "t") == ["2026/03/01/07", "2026/03/01/08"]

        opened.clock.set_ms(end + 2 * DAY_MS)
        size = sum(
            file.bytes for kind in (ROWS, "rejects") for file in opened.catalog.live_files("t", kind, ["2026/03/01/07"])
        )
        assert opened.chores.planner.expired().partitions == [Held("t", "2026/03/01/07", 2, 2, 1, size)]
        assert hours(opened, "t") == ["2026/03/01/07", "2026/03/01/08"], "looking changes nothing"
        assert opened.expire().partitions == [Held("t", "2026/03/01/07", 2, 2, 1, size)]
        assert list(opened.query("select id, n, inserted_at from t")) == [("c", 3, "2026/03/01/08")]
        assert opened.quarantine("t") == []
        assert len(opened.quarantine("kept")) == 1
        assert list(opened.query("select count(*) from kept")) == [(2,)]
        assert opened.expire().partitions == [], "what went does not go again"


def test_the_ledger_says_what_went(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.put("t", [{"id": "a", "n": 1}, {"id": "b", "n": 2}, b"{", b"{", b"{"])
        opened.advance("1h")
        opened.put("t", [{"id": "c", "n": 3}, b"{"])
        opened.advance("2d")
        assert opened.catalog.store.rows(
            "select partition, received_records, stored_rows, rejected_records, expired_rows, expired_records"
            " from ledger where table_name = 't' order by 1"
        ) == [("2026/03/01/07", 5, 2, 3, 2, 3), ("2026/03/01/08", 2, 1, 1, 0, 0)]
        totals = opened.catalog.totals("t")
        assert (totals.received, totals.rows, totals.rejected, totals.expired) == (7, 1, 4, 2)
        shown = next(each for each in opened.status()["tables"] if each["table"] == "t")
        assert (shown["received"], shown["rows"], shown["rejected"], shown["expired"]) == (7, 1, 4, 2)


def test_what_jobs_wrote_goes_by_its_own_days_and_can_be_made_again(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.run("counts", datetime(2026, 3, 1, 7, tzinfo=UTC))  # writes the hour before
        opened.run("counts", datetime(2026, 3, 2, 6, tzinfo=UTC))
        assert hours(opened, "counts", "hour") == ["2026/03/01/06", "2026/03/02/05"]
        opened.clock.set_ms(start_ms("2026/03/02/07") - 1)
        assert opened.expire().partitions == []
        opened.clock.set_ms(start_ms("2026/03/02/07"))
        [held] = opened.expire().partitions
        assert (held.table, held.partition, held.files, held.rows, held.rejects) == ("counts", "2026/03/01/06", 1, 2, 0)
        assert hours(opened, "counts", "hour") == ["2026/03/02/05"]
        ledger = "select stored_rows, expired_rows from ledger where table_name = 'counts' order by partition"
        assert opened.catalog.store.rows(ledger) == [(2, 2), (2, 0)]
        opened.run("counts", datetime(2026, 3, 1, 7, tzinfo=UTC))
        assert hours(opened, "counts", "hour") == ["2026/03/01/06", "2026/03/02/05"]
        assert opened.catalog.store.rows(ledger) == [(2, 0), (2, 0)]
        assert [each.partition for each in opened.expire().partitions] == ["2026/03/01/06"]


def test_time_alone_lets_hours_go_and_their_files_and_folders_after_the_grace(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.put("t", [{"id": "a", "n": 1}, b"{"])
        opened.advance("1h")
        opened.put("t", [{"id": "b", "n": 2}])
        opened.advance("1h")
        folders = [tmp_path / home / "2026/03/01/07" for home in ("t", "errors/t")]
        assert all(list(folder.iterdir()) for folder in folders)
        opened.advance("46h")  # it is 2026-03-03T07:00
        assert hours(opened, "t") == ["2026/03/01/07", "2026/03/01/08"]
        opened.advance("1h")
        assert (hours(opened, "t"), hours(opened, "t_quarantine")) == (["2026/03/01/08"], [])
        assert all(list(folder.iterdir()) for folder in folders), "queries may be reading them"
        opened.advance("6m")
        assert opened.converter.delete_retired() == 0, "query_time_max_s and a minute are not over"
        assert all(folder.exists() for folder in folders)
        opened.advance(0.001)
        assert not any(folder.exists() for folder in folders)
        assert (tmp_path / "t/2026/03/01/08").exists()
        assert not (tmp_path / "errors/t/2026").exists(), "nothing else was in it"
        opened.advance("1h 7m")
        assert not (tmp_path / "t/2026").exists()
        opened.put("t", [{"id": "c", "n": 3}])
        assert hours(opened, "t") == ["2026/03/03/09"], "an emptied table is filled as ever"


def test_records_that_are_converted_after_their_days_go_with_the_next_look(tmp_path):
    """As after a long stop: the journal has hours that are already over. What waits for its merge does not go."""
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.put("t", [{"id": "a", "n": 1}, b"{"])
        opened.clock.set_ms(start_ms("2026/03/09/07"))
        opened.flush()
        opened.put("t", [{"id": "b", "n": 2}])
        assert (opened.chores.planner.expired().partitions, opened.expire().partitions) == ([], [])
        assert opened.catalog.expire("t", "2026/03/01/07", opened.clock.now_ms()) is None
        opened.flush()
        opened.converter.merge("t", opened.tidying.compactor.run)
        [held] = opened.expire().partitions
        assert (held.partition, held.rows, held.rejects) == ("2026/03/01/07", 1, 1)
        totals = opened.catalog.totals("t")
        assert (totals.received, totals.rows, totals.rejected, totals.expired) == (3, 1, 1, 1)


def test_the_ledger_counts_what_goes_and_not_what_was_seen_before(tmp_path):
    """Between the look and the deed a compaction may remove duplicates."""
    with simulate(
        Warehouse("shop").with_streaming_input_table("t", COLUMNS, retention_days=1, dedupe_key="id"),
        tmp_path,
        start=START,
    ) as opened:
        opened.put("t", [{"id": "a", "n": n} for n in range(3)])
        opened.flush()
        opened.converter.merge("t", opened.tidying.compactor.run, stopping=True)
        opened.clock.set_ms(start_ms("2026/03/02/08"))
        looked = opened.chores.planner.expired()
        assert [held.rows for held in looked.partitions] == [3]
        assert opened.compact("t").removed_rows == 2
        opened.chores.planner.expired = lambda: looked
        assert [held.rows for held in opened.expire().partitions] == [1]
        totals = opened.catalog.totals("t")
        assert (totals.received, totals.rows, totals.deduplicated, totals.expired) == (3, 0, 2, 1)
        assert opened.expire().partitions == [], "nor what is gone"


def test_old_records_of_runs_go(tmp_path):
    with simulate(declared(of_the_job=None), tmp_path, start=START, settings={"run_retention_days": 1}) as opened:
        opened.run("counts")
        opened.clock.set_ms(opened.clock.now_ms() + 1)
        opened.run("counts")
        opened.clock.set_ms(opened.clock.now_ms() + DAY_MS - 1)
        assert opened.expire().runs == 0, "a day old is not older than a day"
        opened.clock.set_ms(opened.clock.now_ms() + 1)
        assert (opened.chores.planner.expired().runs, len(opened.runs("counts"))) == (1, 2)
        assert opened.expire().runs == 1
        assert [run.started_ms for run in opened.runs("counts")] == [round(START.timestamp() * 1000) + 1]
        assert list(opened.query("select count(*) from counts")) == [(2,)], "what they wrote stays"


# -- the command

PROJECT = """
from datawarehouse import Warehouse

warehouse = Warehouse("shop").with_streaming_input_table("t", {"id": "string", "n": "int"}, retention_days=30)
"""


@pytest.fixture
def project(tmp_path):
    """A project with an hour of forty days ago (two rows, a rejected record) and one of ten (one row)."""
    (tmp_path / "warehouse.py").write_text(PROJECT)
    scope = {}
    exec(PROJECT, scope)
    now = time.time_ns() // 1_000_000
    start = datetime.fromtimestamp(now / 1000, UTC).replace(microsecond=0)
    with simulate(scope["warehouse"], tmp_path / "data", start=start) as opened:
        for days, events in ((40, [{"id": "a"}, {"id": "b"}, b"{"]), (10, [{"id": "c"}])):
            opened.clock.set_ms(now - days * DAY_MS)
            opened.put("t", events)
            opened.flush()
            opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
        opened.clock.set_ms(now)
        found = asdict(opened.chores.planner.expired())
    return tmp_path, found


def check_command(dw, expected):
    """What is shown before is what goes."""
    held = expected["partitions"][0]
    assert (len(expected["partitions"]), held["files"], held["rows"], held["rejects"]) == (1, 2, 2, 1)
    for _ in range(2):
        assert json.loads(dw("expire", "--dry-run", "--output", "json").stdout) == expected
    shown = dw("expire", "--dry-run")
    assert shown.stderr == "1 partition and 0 records of runs would go\n"
    assert shown.stdout.splitlines()[2].split()[:5] == ["t", held["partition"], "2", "2", "1"]
    count = "select count(*) as c from t"
    assert json.loads(dw("query", count, "--output", "json").stdout) == [{"c": 3}]
    assert json.loads(dw("expire", "--output", "json").stdout) == expected
    assert json.loads(dw("query", count, "--output", "json").stdout) == [{"c": 1}]
    assert json.loads(dw("query", "select error_code from t_quarantine", "--output", "json").stdout) == []
    again = dw("expire")
    assert again.stderr == "0 partitions and 0 records of runs went\n"
    assert json.loads(dw("expire", "--dry-run", "--output", "json").stdout) == {"partitions": [], "runs": 0}


def test_the_command_without_an_owner(project):
    folder, expected = project
    check_command(Running(None, folder, None).dw, expected)


def test_the_command_beside_an_owner(project):
    folder, expected = project
    with running(folder, declaration=None) as warehouse:
        check_command(warehouse.dw, expected)
        assert warehouse.query("select id from t") == [{"id": "c"}]
