"""The example's `aggregates` over 72 hours of generated traffic: each hour once, when it is over, with its counts."""

import random
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from forks import forks
from hours import QUARTER, go_on, warehouse

from datawarehouse.definition.partition import partition_of, start_ms
from datawarehouse.generator.events import GOOD, generate
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import START

HOURS, KILLS = 72, 50
START_MS = round(START.timestamp() * 1000)
QUARTER_MS = QUARTER // timedelta(milliseconds=1)


def counted(folder):
    """Write the events of each quarter; what `aggregates` must have, counted from the events themselves."""
    tables = [warehouse.get_table(name) for name in ("impressions", "clicks")]
    lines = {(quarter, table.name): [] for quarter in range(HOURS * 4) for table in tables}
    counts = Counter()
    for instant, event in generate(
        tables, seed=72, start_ms=START_MS, rate=0.1, malformed=0.02, late=0.05, duplicates=0.02
    ):
        quarter = (instant - START_MS) // QUARTER_MS
        if quarter >= HOURS * 4:
            break
        if b"\n" not in event.data:  # the events of a quarter are kept as lines
            lines[quarter, event.table].append(event.data)
            counts[event.table, partition_of(instant)] += event.kind == GOOD
    for (quarter, table), events in lines.items():
        (folder / f"{quarter}-{table}").write_bytes(b"\n".join(events))
    hours = [partition_of(START_MS + hour * 3_600_000) for hour in range(HOURS)]
    rows = [{"event_type": t, "count": counts[t, h], "time": h} for h in hours for t in ("impressions", "clicks")]
    assert sum(row["count"] for row in rows) > 20_000
    return rows


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A folder with the events, and what must become of them."""
    folder = tmp_path_factory.mktemp("events")
    return folder, counted(folder)


@pytest.fixture
def expected(tmp_path, generated):
    folder, rows = generated
    (tmp_path / "events").symlink_to(folder)
    return rows


def check_runs(simulated, went_back_ms=0):
    """Exactly one run of each hour succeeded, and not before the hour was over. went_back_ms: what the clock did."""
    succeeded = [run for run in simulated.runs("aggregates") if run.outcome == "succeeded"]
    assert [run.partition for run in succeeded] == [partition_of(START_MS + hour * 3_600_000) for hour in range(HOURS)]
    assert all(run.started_ms + went_back_ms >= start_ms(run.partition) + 3_600_000 for run in succeeded)


def test_each_hour_is_counted_once_when_it_is_over(tmp_path, expected):
    def after_each_hour(simulated, hour):
        counted = [row["time"] for row in simulated.query("select distinct time from aggregates order by 1").dicts()]
        assert counted == [partition_of(START_MS + each * 3_600_000) for each in range(hour + 1)]

    with go_on(tmp_path, HOURS, after_each_hour) as simulated:
        simulated.assert_table("aggregates", expected)
        check_runs(simulated)
        assert len(simulated.runs()) == HOURS


def reached(folder):
    """Which quarter is being done."""
    path = folder / "reached"
    return int(path.read_text()) if path.exists() else 0


def test_kills_at_any_moment_change_no_count(tmp_path, expected):
    chance = random.Random(50)
    with forks("hours", tmp_path, Path(__file__).parent) as begin:
        for _ in range(KILLS):
            goal = reached(tmp_path) + chance.randint(0, 7)
            process = begin(tmp_path, HOURS)
            if chance.random() < 0.9:
                assert process.stdout.readline() == "ready\n"
                while reached(tmp_path) < goal:
                    time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.03))  # the moment of the kill
            assert process.kill() == -signal.SIGKILL, "it was to be killed in the middle"
        assert begin(tmp_path, HOURS).wait() == 0
    with simulate(warehouse, tmp_path / "data", start=START + timedelta(hours=HOURS)) as simulated:
        simulated.assert_table("aggregates", expected)
        check_runs(simulated, went_back_ms=QUARTER_MS)  # a process that is started goes back to where it put events
        stored = {table["table"]: table["stored"] for table in simulated.status()["tables"] if "stored" in table}
        for table in ("impressions", "clicks"):
            assert stored[table] == sum(row["count"] for row in expected if row["event_type"] == table)
