"""Compaction as users meet it: queries go on, a budget spreads the work, a fault holds up one hour; `dw compact`."""

import json
import math
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from running import Running, running

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.parquet.footer import REJECTS, ROWS
from datawarehouse.testing import simulate
from datawarehouse.tidy.orders import MergeOrder
from patience import patient

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)
COLUMNS = {"id": "string", "n": "int"}
AT_ONCE = {"compact_after_hours": 0}


def hour(number):
    return f"2026/03/01/{7 + number:02d}"


def declared(**options):
    return Warehouse("shop").with_streaming_input_table("t", COLUMNS, **options)


def files_of_an_hour(opened, files=3, rows=50, table="t"):
    """Fill the hour of the clock with files of the same rows each, and go to the next hour."""
    for _ in range(files):
        opened.put(table, [{"id": f"{n:04d}", "n": n} for n in range(rows)])
        opened.flush()
        opened.catalog.mark_merged(opened.catalog.fresh_files(table))
    opened.clock.set_ms(opened.clock.now_ms() + HOUR_MS)


def live(opened, kind=ROWS, table="t"):
    """How many files each hour has."""
    hours = opened.catalog.partitions_between(table, kind, None, None)
    return [len(opened.catalog.live_files(table, kind, [each])) for each in hours]


class Clock:
    def __init__(self, at_ms):
        self.at_ms = at_ms

    def now_ms(self):
        return self.at_ms


# -- queries meanwhile


def test_every_query_sees_one_moment_while_hours_are_compacted(tmp_path):
    clock = Clock(START_MS)
    ask = "select count(*), sum(n), count(distinct id), count(distinct inserted_at), sum(n * n), max(id) from t"
    with open_warehouse(declared(sort_by=["n"]), tmp_path, {**AT_ONCE, "convert_interval_ms": 10}, clock) as opened:
        for _ in range(12):
            for part in range(5):
                opened.put("t", [{"id": f"{part}-{n}", "n": part * 1000 - n} for n in range(200)])
                opened.flush()
                opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
            clock.at_ms += HOUR_MS
        expected = list(opened.query(ask))
        assert expected[0][:4] == (12_000, 12 * sum(p * 1000 - n for p in range(5) for n in range(200)), 1000, 12)
        answers, faults, compacted, asked = [], [], threading.Event(), threading.Barrier(4)

        def keep_asking():
            try:
                opened.query(ask)
                asked.wait(patient(30))
                while not compacted.is_set():
                    answers.append(list(opened.query(ask)))
                answers.append(list(opened.query(ask)))
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in threads:
            thread.start()
        asked.wait(patient(30))
        done = opened.compact("t")
        compacted.set()
        for thread in threads:
            thread.join()
        assert (done.files_before, done.files_after, done.removed_rows) == (60, 12, 0)
    assert faults == []
    assert len(answers) > 3, "some were asked meanwhile"
    assert [answer for answer in answers if answer != expected] == []


def test_a_query_that_began_before_reads_the_files_that_were_replaced(tmp_path):
    with simulate(declared(), tmp_path, start=START, settings=AT_ONCE) as opened:
        files_of_an_hour(opened)
        before = opened.catalog.paths()
        with opened._engine_of("").answer("select n from t") as answer:
            assert opened.compact("t").files_before == 3
            opened.advance("6m")
            assert sum(batch.num_rows for batch in answer.batches) == 150
        assert before <= opened.catalog.paths(), "within the grace of the longest query (query_time_max_s and a minute)"
        opened.advance("1h")
        assert not before & opened.catalog.paths()
        assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")} == opened.catalog.paths()


# -- which hours, and when


def test_the_newest_hours_wait(tmp_path):
    with simulate(declared(), tmp_path, start=START) as opened:
        for _ in range(4):
            files_of_an_hour(opened)
        # It is the turn of the fourth hour: two closed ones are left alone (compact_after_hours), and an open one.
        assert [(each.partition, each.plan.reason) for each in opened.chores.planner.all("t", ROWS)] == [
            (hour(0), "3 files become 1"),
            (hour(1), "3 files become 1"),
            (hour(2), "it is one of the newest hours (compact_after_hours)"),
            (hour(3), "it is one of the newest hours (compact_after_hours)"),
        ]
        opened.advance(0)
        assert live(opened) == [1, 1, 3, 3]
        opened.advance("59m")
        assert live(opened) == [1, 1, 3, 3]
        opened.advance("1m")
        assert live(opened) == [1, 1, 1, 3]


def test_rejected_records_are_compacted_as_well(tmp_path):
    with simulate(declared(dedupe_key="id"), tmp_path, start=START, settings=AT_ONCE) as opened:
        for _ in range(3):
            opened.put("t", [b"{", b"{", {"id": "a", "n": 1}])
            opened.flush()
            opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
        before = opened.quarantine("t")
        opened.advance("1h")
        assert (live(opened, ROWS), live(opened, REJECTS)) == ([1], [1])
        assert opened.quarantine("t") == before
        assert len(before) == 6, "rejected records have no duplicates"
        totals = opened.catalog.totals("t")
        assert (totals.received, totals.rows, totals.rejected, totals.deduplicated) == (9, 1, 6, 2)


def test_duplicates_go_within_an_hour_and_not_across_hours(tmp_path):
    with simulate(declared(dedupe_key="id"), tmp_path, start=START, settings=AT_ONCE) as opened:
        for number in range(2):
            for n in range(3):
                opened.put("t", [{"id": "a", "n": 10 * number + n}, {"id": None, "n": n}])
            opened.advance("1h")
        assert sorted(opened.query("select id, n from t where id is not null")) == [("a", 0), ("a", 10)]
        assert sorted(opened.query("select n from t where id is null")) == [(0,), (0,), (1,), (1,), (2,), (2,)]
        status = next(each for each in opened.status()["tables"] if each["table"] == "t")
        assert (status["received"], status["rows"], status["deduplicated"], status["rejected"]) == (12, 8, 4, 0)


def test_records_that_are_converted_late_are_searched_for_duplicates_again(tmp_path):
    with simulate(declared(dedupe_key="id"), tmp_path, start=START, settings=AT_ONCE) as opened:
        opened.put("t", [{"id": "a", "n": 1}])
        opened.flush()
        opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
        opened.put("t", [{"id": "a", "n": 2}, {"id": "b", "n": 3}])  # waits in the journal past the turn of its hour
        opened.clock.set_ms(opened.clock.now_ms() + HOUR_MS)
        assert opened.compact("t").files_before == 0, "one file, without duplicates"
        opened.flush()
        assert [each.plan.reason for each in opened.chores.planner.all("t", ROWS)] == [
            "files wait for the merge at the end of the hour"
        ]
        opened.advance("1h")
        assert sorted(opened.query("select id, n from t")) == [("a", 1), ("b", 3)]
        assert (live(opened), opened.catalog.totals("t").deduplicated) == ([1], 1)


# -- the budget


def with_budget(path, hours, budget):
    """A warehouse of some hours of files of the same size, with a budget given in such hours for each minute."""
    with simulate(declared(), path, start=START, settings={"compact_after_hours": 8760}) as opened:
        for _ in range(hours):
            files_of_an_hour(opened)
        listed = opened.catalog.partitions_between("t", ROWS, None, None)
        each = [sum(file.bytes for file in opened.catalog.live_files("t", ROWS, [hour])) for hour in listed]
        size = max(each)  # a footer with longer numbers takes some bytes more
        assert size - min(each) < size / 100
        now = opened.now
    settings = AT_ONCE | {"compact_bytes_per_minute": math.ceil(size * budget)}
    return simulate(declared(), path, start=now, settings=settings)


@pytest.mark.parametrize(
    ("budget", "after_minutes"),
    [
        (10, [6]),
        (2.5, [2, 4, 6]),
        (1.2, [1, 2, 3, 4, 5, 6]),
        (0.5, [1, 1, 2, 2, 3, 3, 4]),  # a step that is larger than the budget waits until none of it is spent
        (0.25, [1, 1, 1, 1, 2, 2, 2, 2, 3]),
    ],
)
def test_the_budget_spreads_the_work_over_minutes(tmp_path, budget, after_minutes):
    with with_budget(tmp_path, 6, budget) as opened:
        found = []
        opened.chores.round(opened.tidying.compactor.run, lambda: False)
        for _ in after_minutes:
            found.append(live(opened).count(1))
            assert live(opened) == sorted(live(opened)), "the oldest first"
            assert opened.chores.has_more == (found[-1] < 6)
            opened.advance("1m")
        assert found == after_minutes


def test_without_a_budget_nothing_is_compacted_but_what_is_asked_for(tmp_path):
    with with_budget(tmp_path, 2, 0) as opened:
        opened.advance("3h")
        assert (live(opened), opened.chores.has_more) == ([3, 3], False)
        assert opened.compact("t").files_before == 6
        assert live(opened) == [1, 1]


def test_who_asks_does_not_wait_for_the_budget(tmp_path):
    with with_budget(tmp_path, 4, 0.25) as opened:
        assert opened.compact("t").files_after == 4
        assert live(opened) == [1, 1, 1, 1]


# -- faults


class Failing:
    """Runs orders, but fails those that merge files of one hour."""

    def __init__(self, run, partition):
        self.run = run
        self.partition = partition
        self.tries = 0

    def __call__(self, order):
        if isinstance(order, MergeOrder) and order.files[0].footer.partition == self.partition:
            self.tries += 1
            raise OSError("a bad sector")
        return self.run(order)


def test_a_step_that_fails_puts_off_its_hour_and_no_other(tmp_path, caplog):
    with simulate(declared(), tmp_path, start=START, settings=AT_ONCE) as opened:
        for _ in range(4):
            files_of_an_hour(opened)
        failing = Failing(opened.tidying.compactor.run, hour(1))
        opened.chores.round(failing, lambda: False)
        assert live(opened) == [1, 3, 1, 1]
        assert f"t {hour(1)} was not compacted; trying again in an hour" in caplog.text
        opened.clock.set_ms(opened.clock.now_ms() + HOUR_MS - 1)
        opened.chores.round(failing, lambda: False)
        assert failing.tries == 1
        opened.clock.set_ms(opened.clock.now_ms() + 1)
        opened.chores.round(failing, lambda: False)
        assert (failing.tries, live(opened)) == (2, [1, 3, 1, 1])
        assert opened.compact("t").files_before == 3, "who asks for it may have mended the fault"
        assert list(opened.query("select count(*), sum(n) from t")) == [(600, 12 * sum(range(50)))]


def test_an_hour_that_changed_meanwhile_is_left_as_it_is(tmp_path):
    with simulate(declared(), tmp_path, start=START, settings=AT_ONCE) as opened:
        files_of_an_hour(opened)

        def replaced_meanwhile(order):
            answer = opened.tidying.compactor.run(order)
            opened.catalog.expire("t", hour(0), opened.clock.now_ms())
            return answer

        assert opened.chores.compact("t", replaced_meanwhile, lambda: False).files_before == 0
        assert live(opened) == []
        assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")} == opened.catalog.paths()
        totals = opened.catalog.totals("t")
        assert (totals.received, totals.rows, totals.expired) == (150, 0, 150)


def test_a_round_that_is_to_stop_stops_between_two_steps(tmp_path):
    with simulate(declared(), tmp_path, start=START, settings=AT_ONCE) as opened:
        for _ in range(3):
            files_of_an_hour(opened)
        asked = iter([False, False, True])
        done = opened.chores.compact("t", opened.tidying.compactor.run, lambda: next(asked))
        assert (done.files_before, live(opened)) == (6, [1, 1, 3])
        assert opened.compact("t").files_before == 3


def test_what_is_compacted(tmp_path):
    opened = simulate(declared().with_table("own", COLUMNS), tmp_path)
    with opened, pytest.raises(BadRequest, match="'own' is a table; only streaming input tables are compacted"):
        opened.compact("own")
    with pytest.raises(DataWarehouseError, match="closed"):
        opened.compact("t")


def test_files_above_the_target_stay_apart(tmp_path):
    with simulate(declared(), tmp_path, start=START, settings=AT_ONCE) as opened:
        files_of_an_hour(opened, files=4)
        size = max(file.bytes for file in opened.catalog.live_files("t", ROWS, [hour(0)]))
        opened.chores.planner.limits = replace(opened.chores.planner.limits, compact_bytes=size)
        assert opened.compact("t").files_before == 0
        reason = f"no two neighbours of its 4 files fit into {size} bytes (compact_bytes)"
        assert [each.plan.reason for each in opened.chores.planner.all("t", ROWS)] == [reason]


# -- the command

PROJECT = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("t", {"id": "string", "n": "int"}, sort_by=["n"], dedupe_key="id")
    .with_streaming_input_table("u", {"id": "string"})
)
"""


@pytest.fixture
def project(tmp_path):
    """A project whose table `t` has two closed hours: rows 2, 1, 0 with one of them twice, then a single file."""
    scope = {}
    exec(PROJECT, scope)
    (tmp_path / "warehouse.py").write_text(PROJECT)
    with simulate(scope["warehouse"], tmp_path / "data", start=START) as opened:
        for n in (2, 1, 0, 1):
            opened.put("t", [{"id": str(n), "n": n}])
            opened.flush()
            opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
        opened.clock.set_ms(START_MS + HOUR_MS)
        opened.put("t", [{"id": "later", "n": 7}, b"no event"])
        opened.flush()
        opened.catalog.mark_merged(opened.catalog.fresh_files("t"))
    return tmp_path


def explained(dw):
    rows = json.loads(dw("compact", "--explain", "--output", "json").stdout)
    return [
        (row["table"], row["holds"], row["partition"], row["files"], row["compacts"], row["because"]) for row in rows
    ]


def check_command(dw):
    first = [
        ("t", "rows", hour(0), 4, "yes", "duplicates in 'id' are not removed yet"),
        ("t", "rows", hour(1), 1, "yes", "duplicates in 'id' are not removed yet"),
        ("t", "rejects", hour(1), 1, "no", "it is one file"),
    ]
    assert explained(dw) == first
    assert explained(dw) == first, "explaining changes nothing"
    done = json.loads(dw("compact", "--output", "json").stdout)
    sizes = [each.pop("bytes") for each in done]
    # Of four files one is written without its only row, and the four become one; the file of the other hour is ordered.
    assert done == [
        {"table": "t", "files_before": 6, "files_after": 3, "removed_rows": 1},
        {"table": "u", "files_before": 0, "files_after": 0, "removed_rows": 0},
    ]
    assert (sizes[0] > 0, sizes[1]) == (True, 0)
    assert explained(dw) == [
        ("t", "rows", hour(0), 1, "no", "it is one file"),
        ("t", "rows", hour(1), 1, "no", "it is one file"),
        ("t", "rejects", hour(1), 1, "no", "it is one file"),
    ]
    shown = dw("compact", "t").stdout.splitlines()
    assert shown[0].split() == ["table", "files_before", "files_after", "removed_rows", "bytes"]
    assert shown[2].split() == ["t", "0", "0", "0", "0"]
    assert dw("compact", "--explain").stdout.splitlines()[0].split() == [
        "table", "holds", "partition", "files", "size", "compacts", "because",
    ]  # fmt: skip
    refused = dw("compact", "nothing", check=False)
    assert refused.returncode == 2
    assert "'nothing' is no streaming input table; there are t, u." in refused.stderr
    rows = json.loads(dw("query", "select id, n from t order by inserted_at, n", "--output", "json").stdout)
    assert rows == [{"id": str(n), "n": n} for n in (0, 1, 2)] + [{"id": "later", "n": 7}]


def test_the_command_without_an_owner(project):
    check_command(Running(None, project, None).dw)
    newest = max((project / "data/t" / hour(0)).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert pq.read_table(newest)["n"].to_pylist() == [0, 1, 2], "in order"


def test_the_command_beside_an_owner(project):
    with running(project, declaration=None) as warehouse:
        check_command(warehouse.dw)
        children = [line for line in warehouse.children().values() if line.endswith(" compact")]
        assert len(children) == 1, "a process of its own did it"
        assert warehouse.query("select count(*) as c from t") == [{"c": 4}]
