"""The second clock: what is known of the event times of a table's files, from the first event to a lost catalog."""

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from running import command, running

from datawarehouse import Warehouse
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.definition.event_times import SPANS_MAX
from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.definition.workgroups import Workgroup
from datawarehouse.folder import catalog_path
from datawarehouse.parquet.files import read_footer
from datawarehouse.query.engine import Engine
from datawarehouse.query.limits import QueryLimits
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.runtime.reader import read_json
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import TestClock

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
START_MS = milliseconds_of(START)
COLUMNS = {"id": "string", "at": "timestamp", "seen": "timestamp"}
AT_ONCE = {"compact_after_hours": 0}
TODAY = "select id from t where at >= timestamp '2026-03-01 00:00:00'"


def declared(event_time="at", **options):
    return Warehouse("shop").with_streaming_input_table("t", COLUMNS, event_time=event_time, **options)


def event(name, hours_ago, start=START):
    return {"id": name, "at": (start - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")}


def known(folder):
    """What the catalog and the footer of each live file say of its event times, by path; they must be the same."""
    with closing(Catalog(catalog_path(folder), writable=False)) as catalog:
        files = [file for file in catalog.ledger.live("t") if file.kind == "rows"]
        entries = catalog.store.rows("select count(*) from event_times")[0][0]
        assert entries == catalog.store.rows("select count(*) from files where kind = 'rows'")[0][0]
    for file in files:
        if file.event_times:
            assert read_footer(folder / file.path).event_times == file.event_times
    return {file.path: file.event_times for file in files}


def counts(times):
    """Rows by how many hours before START they happened; None for those without event time."""
    found = Counter({None: times.nulls} if times.nulls else {})
    for first, last, rows in times.spans:
        assert first // HOUR_MS == last // HOUR_MS
        found[START_MS // HOUR_MS - first // HOUR_MS] += rows
    return found


def test_a_merged_and_a_compacted_file_have_the_sum(tmp_path):
    with simulate(declared(), tmp_path, start=START, settings=AT_ONCE) as opened:
        for events in ([event("a", 0), event("b", 5), {"id": "c"}], [event("d", 0), event("e", 50)], [{"id": "f"}]):
            opened.put("t", events)
            opened.flush()
        before = [counts(times) for times in known(tmp_path).values()]
        assert sum(before, Counter()) == Counter({0: 2, 5: 1, 50: 1, None: 2})
        opened.advance("2h")
        [merged] = known(tmp_path).values()
        assert counts(merged) == sum(before, Counter())
        opened.advance("3h")  # the entries of retired files go with them, which `known` counts
        assert list(known(tmp_path).values()) == [merged]


def test_the_bounds_of_an_hour_are_those_of_its_rows(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.put("t", [{"id": "a", "at": f"2026-03-01 06:{minute:02d}:00.007"} for minute in (59, 12, 40)])
        opened.flush()
        [times] = known(tmp_path).values()
        assert times.spans == ((START_MS - 48 * 60_000 + 7, START_MS - 60_000 + 7, 3),)
        for bound, files in (
            ("> timestamp '2026-03-01 06:59:00.007'", 0),
            (">= timestamp '2026-03-01 06:59:00.007'", 1),
        ):
            assert opened.query(f"select id from t where at {bound}").statistics.files == files


def test_what_a_file_says_is_bounded(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        opened.put("t", [event(str(hour), hour * 7) for hour in range(1_000)])
        opened.flush()
        [times] = known(tmp_path).values()
        assert len(times.spans) == SPANS_MAX
        assert sum(rows for _, _, rows in times.spans) == 1_000
        for hour in range(0, 1_000, 37):
            at = event("", hour * 7)["at"].replace("T", " ").removesuffix("Z")
            assert list(opened.query(f"select id from t where at = timestamp '{at}'")) == [(str(hour),)]


def test_duplicates_that_go_are_counted_no_more(tmp_path):
    with simulate(declared(dedupe_key="id"), tmp_path, start=START, settings=AT_ONCE) as opened:
        opened.put("t", [event("a", 0), event("a", 9), event("b", 5), event("b", 5)])
        opened.advance("2h")
        [times] = known(tmp_path).values()
        assert counts(times) == Counter({0: 1, 5: 1})


def test_files_of_before_are_read_until_they_are_compacted(tmp_path):
    with simulate(declared(None), tmp_path, start=START) as opened:
        for hours_ago in (0, 100):
            opened.put("t", [event(f"old {hours_ago}", hours_ago)])
            opened.advance("1h")
    with simulate(declared(), tmp_path, start=START + timedelta(hours=2), settings=AT_ONCE) as opened:
        opened.put("t", [event("new", 100)])
        opened.flush()
        assert sorted(times is None for times in known(tmp_path).values()) == [False, True, True]
        found = opened.query(TODAY)
        assert (list(found), found.statistics.files) == ([("old 0",)], 2)
        reasons = {each.plan.reason for each in opened.chores.planner.all("t", "rows") if each.plan.steps}
        assert reasons == {"1 files become 1, counted by event time"}
        opened.compact("t")
        assert None not in known(tmp_path).values()
        assert not list(opened.chores.planner.due("t", "rows"))
        found = opened.query(TODAY)
        assert (list(found), found.statistics.files) == ([("old 0",)], 1)


def test_a_guarded_workgroup_counts_the_hours_of_arrival_that_remain(tmp_path):
    def guarded(opened):
        limits, two = QueryLimits.of(opened.settings), Workgroup("two", partitions_max=2)
        return Engine("shop", opened.catalog, tmp_path, limits, read_json, opened.clock, two)

    with simulate(declared(None), tmp_path, start=START) as opened:
        for _ in range(3):
            opened.put("t", [event("old", 100)])
            opened.advance("1h")
    later = START + timedelta(hours=3)
    with simulate(declared(), tmp_path, start=later, settings=AT_ONCE) as opened:
        opened.put("t", [event("new", 0, later), event("late", 60)])
        opened.flush()
        refused = guarded(opened).decide(TODAY)
        assert refused.refusals[0].endswith(
            "in 4 hours. 3 files say nothing of their event times: `dw compact` counts them."
        )
        opened.compact("t")
        allowed = guarded(opened).decide(TODAY)
        assert (allowed.refusals, allowed.estimate.partitions, allowed.estimate.files) == ((), 1, 1)
        assert guarded(opened).decide("select id from t").rewritten == (
            "select id from t where at >= timestamp '2026-03-01 09:00:00'"
        )


def test_another_column_and_none_and_the_first_again(tmp_path):
    """What was counted by one column says nothing of another, and files of a time without counts are read."""
    sql = "select id from t where {} >= timestamp '2026-03-01 00:00:00'"
    read = []
    for event_time in ("at", "at", "seen", None, "at", "at"):
        with simulate(declared(event_time), tmp_path, start=START) as opened:
            assert list(opened.query(sql.format("at"))) == []
            assert opened.query(sql.format("seen")).statistics.files == len(read)
            read.append(opened.query(sql.format("at")).statistics.files)
            opened.put("t", [{**event("a", 100), "seen": "2026-03-01T07:00:00Z"}])
            opened.flush()
            opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
    # Of six files the first two had lost their counts to another column; the third was counted by it, the fourth not.
    assert read == [0, 0, 2, 3, 4, 4]


def test_a_column_that_older_files_do_not_have(tmp_path):
    with simulate(Warehouse("shop").with_streaming_input_table("t", {"id": "string"}), tmp_path, start=START) as opened:
        opened.put("t", [{"id": "old"}])
        opened.advance("1h")
    with simulate(declared(), tmp_path, start=START + timedelta(hours=1), settings=AT_ONCE) as opened:
        assert list(opened.query(TODAY)) == []
        opened.compact("t")
        assert [counts(times) for times in known(tmp_path).values()] == [Counter({None: 1})]
        found = opened.query(TODAY)
        assert (list(found), found.statistics.files) == ([], 0)
        assert list(opened.query("select id from t where at is null")) == [("old",)]


@pytest.mark.parametrize("commits", ["with the record of commits", "without it"])
def test_a_lost_catalog_gets_them_back(tmp_path, commits):
    folder = tmp_path / "data"
    with simulate(declared(), folder, start=START, settings=AT_ONCE) as opened:
        for hour in range(4):
            opened.put("t", [event("a", 0), event("b", hour * 7), {"id": "c"}])
            opened.flush()
            opened.put("t", [event("d", hour)])
            opened.advance("1h")
    before = known(folder)
    assert len(before) == 4
    for path in folder.glob("_catalog.sqlite*"):
        path.unlink()
    if commits == "without it":
        shutil.rmtree(folder / "_commits")
    with doctor_of(folder, declared(), TestClock(START + timedelta(hours=4))) as doctor:
        doctor.repair()
    assert known(folder) == before


def test_many_shards_in_a_process_of_their_own(tmp_path):
    declaration = (
        "from datawarehouse import Warehouse\n"
        "columns = {'id': 'string', 'at': 'timestamp'}\n"
        "warehouse = Warehouse('shop').with_streaming_input_table('t', columns, 64, event_time='at')\n"
    )
    with running(tmp_path, declaration=declaration) as warehouse:
        now = datetime.now(UTC)
        events = [event(str(n), 30 * (n % 10 == 0), now) for n in range(1_000)]
        status, _ = warehouse.events("t", "".join(json.dumps(each) + "\n" for each in events).encode())
        assert status == 200
        warehouse.flush()
        at = f"{now - timedelta(hours=2):%Y-%m-%d %H:%M:%S}"
        assert warehouse.query(f"select count(*) as n from t where at < timestamp '{at}'") == [{"n": 100}]
        folder = warehouse.folder / "data"
    times = list(known(folder).values())
    assert sum(rows for each in times for _, _, rows in each.spans) == 1_000
    assert all(2 <= len(each.spans) <= 4 for each in times)


def test_an_audit_compares_them(tmp_path):
    """What the catalog has of them decides which files are read."""
    folder = tmp_path / "data"
    with simulate(declared(), folder, start=START) as opened:
        opened.put("t", [event("a", 0), event("b", 30)])
        opened.flush()
    assert command(tmp_path, "audit", "--data", folder).returncode == 0
    with closing(sqlite3.connect(catalog_path(folder), isolation_level=None)) as db:
        [(counts,)] = db.execute("select counts from event_times").fetchall()
        nulls, spans = json.loads(counts)
        db.execute("update event_times set counts = ?", (json.dumps([nulls, spans[1:]]),))
    done = command(tmp_path, "audit", "--data", folder)
    assert done.returncode == 20
    assert "its footer says other event times than the catalog has" in done.stdout


def test_how_late_events_come(tmp_path):
    folder = tmp_path / "data"
    with simulate(declared(), folder, start=START) as opened:
        opened.put("t", [event(str(n), 0) for n in range(98)] + [event("late", 70), event("ahead", -2), {"id": "none"}])
        opened.advance("1h")
        opened.put("t", [event("b", 3)])
        opened.flush()
    done = command(tmp_path, "lateness", "t", "--data", folder, "--output", "json")
    first = {"arrived": "2026/03/01/07", "events": 100, "without": 1, "unknown": 0}
    second = {"arrived": "2026/03/01/08", "events": 1, "without": 0, "unknown": 0}
    assert json.loads(done.stdout) == {
        "table": "t",
        "unit": "hours",
        "events": 101,
        "without": 1,
        "unknown": 0,
        "p50": 0,
        "p99": 4,
        "p99.9": 70,
        "maximum": 70,
        "hours": [
            {**first, "p50": 0, "p99": 0, "p99.9": 70, "maximum": 70},
            {**second, "p50": 4, "p99": 4, "p99.9": 4, "maximum": 4},
        ],
    }
    done = command(tmp_path, "lateness", "t", "--data", folder, "--limit", "1")
    assert [line.split() for line in done.stdout.splitlines()[2:]] == [
        ["all", "2", "hours", "101", "1", "0", "4", "70", "70"],
        ["2026/03/01/08", "1", "0", "4", "4", "4", "4"],
    ]


def test_how_late_events_come_is_not_known_of_every_table(tmp_path):
    folder = tmp_path / "data"
    with simulate(declared(None), folder, start=START) as opened:
        opened.put("t", [event("a", 0)])
        opened.flush()
    wrong = [
        ("t", "declares no event_time"),
        ("u", "There is no table 'u'; those that declare their event_time are none"),
    ]
    for table, says in wrong:
        done = command(tmp_path, "lateness", table, "--data", folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    with simulate(declared(), folder, start=START):
        done = command(tmp_path, "lateness", "t", "--data", folder)
    assert done.stdout.splitlines()[2].split() == ["all", "1", "hour", "0", "0", *["NULL"] * 4]
    assert "1 row in files of before are not counted" in done.stderr
