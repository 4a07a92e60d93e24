"""rerun_when_event_hour_changes: a run for each hour of event time, and one more for each recorded change of it."""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from running import command, running

from datawarehouse import Warehouse
from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_of
from datawarehouse.testing import simulate
from datawarehouse.testing.simulated import JobFailed

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = {"hour": "string"}
HOURLY = "rate(1 hour)"
meanwhile = []
"""What happens while a run of `counts` runs, after its query."""


def counts(job):
    start = start_of(job.partition)
    [(n,)] = job.query("select count(*) from clicks where at >= ? and at < ?", [start, start + timedelta(hours=1)])
    while meanwhile:
        meanwhile.pop()()
    yield {"n": n}


def totals(job):
    [(n,)] = job.query("select coalesce(sum(n), 0) from counted where hour = ?", [job.partition])
    yield {"n": n}


def declared(shards=1, schedule=HOURLY, retention_days=None, job=True, asks=True, sql=None, **options):
    warehouse = Warehouse("shop").with_streaming_input_table(
        "clicks", {"id": "string", "at": "timestamp"}, shards, event_time="at", retention_days=retention_days
    )
    if job:
        options.setdefault("run_when_complete", schedule == HOURLY)
        warehouse.with_batch_input_table(
            "counted", {"n": "bigint"}, None if sql else counts, schedule, KEY, sql=sql,
            reads=["clicks"], rerun_when_event_hour_changes=asks, **options,
        )  # fmt: skip
    return warehouse


@pytest.fixture
def opened(tmp_path):
    return lambda start=NINE, **options: simulate(declared(**options), tmp_path / "data", start=start)


def event(at, name="e"):
    return {"id": name, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}


def late(warehouse, hour, count=1):
    """Events of an hour of the first day arrive now."""
    warehouse.put("clicks", [event(NINE.replace(hour=hour, minute=30))] * count)


def runs(warehouse, job="counted", *, of=None):
    """(instant of the start, hour, cause, outcome) of each run, the oldest first."""
    return [
        (instant_of(run.started_ms).strftime("%d %H:%M"), run.partition[-2:], run.cause, run.outcome)
        for run in warehouse.runs(job)
        if of is None or run.partition.endswith(f"02/{of:02d}")
    ]


def again(warehouse, of=9):
    """When the job began to run again for an hour of the first day."""
    return [at for at, _, cause, _ in runs(warehouse, of=of) if cause == "event hour changed"]


def rows(warehouse):
    return dict(warehouse.query("select hour, n from counted order by hour"))


def uncounted(warehouse):
    [found] = warehouse.status()["reruns"]
    return {name: value for name, value in found.items() if value and name not in ("job", "reruns")}


def test_once_more_when_the_hour_of_arrival_is_complete(opened):
    with opened() as warehouse:
        late(warehouse, 9, 2)
        warehouse.advance("1h")
        assert rows(warehouse) == {"2026/03/02/09": 2}
        assert uncounted(warehouse) == {}
        warehouse.advance("10m")
        late(warehouse, 9, 3)
        warehouse.advance("49m 59s")
        assert (again(warehouse), rows(warehouse)) == ([], {"2026/03/02/09": 2})
        assert uncounted(warehouse) == {"waiting_hours": 1, "waiting_events": 3}
        warehouse.advance("1s")
        assert runs(warehouse) == [
            ("02 10:00", "09", "complete", "succeeded"),
            ("02 11:00", "10", "complete", "succeeded"),
            ("02 11:00", "09", "event hour changed", "succeeded"),
        ]
        assert warehouse.runs()[2].scheduled_ms == warehouse.runs()[0].scheduled_ms
        assert rows(warehouse) == {"2026/03/02/09": 5, "2026/03/02/10": 0}
        warehouse.advance("10h")
        assert again(warehouse) == ["02 11:00"]
        [shown] = warehouse.status()["reruns"]
        assert (shown["job"], shown["reruns"], uncounted(warehouse)) == ("counted", 1, {})


def test_a_statement_runs_again_too(opened):
    sql = "select count(*) as n from clicks where at >= :time - interval '1' hour and at < :time"
    with opened(sql=sql) as warehouse:
        warehouse.advance("1h")
        late(warehouse, 9)
        warehouse.advance("1h")
        assert (again(warehouse), rows(warehouse)["2026/03/02/09"]) == (["02 11:00"], 1)


def test_what_comes_while_a_rerun_waits_is_joined_to_it(opened):
    """Reruns begin 1, 2, 4, 8, ... hours after the end of the hour at the earliest."""
    with opened() as warehouse:
        warehouse.advance("1h 30m")
        for _ in range(12):
            late(warehouse, 9)
            warehouse.advance("1h")
        assert again(warehouse) == ["02 11:00", "02 12:00", "02 14:00", "02 18:00"]
        assert rows(warehouse)["2026/03/02/09"] == 8
        assert uncounted(warehouse) == {"waiting_hours": 1, "waiting_events": 4}
        warehouse.advance("4h")
        assert again(warehouse)[4:] == ["03 02:00"]
        assert (rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (12, {})


def test_late_events_are_counted_for_a_week_and_later_ones_are_left_out_until_somebody_runs_the_job(opened):
    with opened() as warehouse:
        warehouse.advance("1h 30m")
        for hours in (1, 1, 2, 4, 8, 16, 32, 64, 39):
            late(warehouse, 9)
            warehouse.advance(f"{hours}h")
        assert uncounted(warehouse) == {"waiting_hours": 1, "waiting_events": 1}
        late(warehouse, 9)  # 168 hours after the hour of the events
        warehouse.advance("1h")
        assert again(warehouse)[-1] == "09 10:00"
        assert (len(again(warehouse)), rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (9, 10, {})
        late(warehouse, 9, 2)
        warehouse.advance("3h")
        late(warehouse, 9, 5)
        warehouse.advance("3h")
        first = "2026/03/02/09"
        left_out = {
            "left_out_hours": 1, "left_out_events": 7, "left_out_from": first, "left_out_to": first
        }  # fmt: skip
        assert (len(again(warehouse)), uncounted(warehouse)) == (9, left_out)
        warehouse.run("counted", NINE + timedelta(hours=1))
        assert (rows(warehouse)[first], uncounted(warehouse)) == (17, {})
        warehouse.advance("2h")
        assert len(again(warehouse)) == 9


def test_events_that_change_no_hour_that_was_counted_change_nothing(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        warehouse.put("clicks", [
            {"id": "without"},
            event(NINE + timedelta(hours=1, minutes=5)),  # of the hour that is open
            event(NINE + timedelta(hours=5)),  # of hours to come
            event(NINE + timedelta(days=400)),
            event(NINE - timedelta(hours=1)),  # of hours for which the job never ran
            {"id": "old", "at": "0001-01-01T00:00:00Z"},
            {"id": "far", "at": "9999-12-31T23:59:59Z"},
            {"id": "rejected", "at": "half past nine"},
            b"no event",
        ])  # fmt: skip
        warehouse.advance("8h")
        assert {cause for _, _, cause, _ in runs(warehouse)} == {"complete"}
        assert (rows(warehouse)["2026/03/02/14"], uncounted(warehouse)) == (1, {})


def test_hours_of_a_file_whose_event_times_are_joined_are_counted_again_with_those_between(opened):
    """A file says no more than 128 spans; the nearest are joined."""
    with opened() as warehouse:
        warehouse.advance("5h 10m")
        old = [event(NINE - timedelta(hours=1000 + 10 * n)) for n in range(200)]
        warehouse.put("clicks", [*old, *(event(NINE + timedelta(hours=hours)) for hours in (0, 2, 2))])
        warehouse.advance("1h")
        assert [of for of in range(9, 14) if again(warehouse, of)] == [9, 10, 11]
        found = rows(warehouse)
        assert [found[f"2026/03/02/{of:02d}"] for of in range(9, 14)] == [1, 0, 2, 0, 0]
        assert uncounted(warehouse) == {}


def test_what_a_run_that_had_begun_may_not_have_seen_is_counted_again(opened):
    """A job by the clock does not wait until all events of the hour are converted."""
    with opened(schedule="cron(0 * * * ? *)") as warehouse:
        warehouse.advance("59m")
        warehouse.put("clicks", event(NINE))
        warehouse.flush()
        warehouse.put("clicks", event(NINE, "not converted yet"))
        warehouse.clock.set_ms(milliseconds_of(NINE) + HOUR_MS)
        convert, warehouse.flush = warehouse.flush, lambda: None
        assert warehouse.schedule.run_due()
        warehouse.flush = convert
        assert rows(warehouse) == {"2026/03/02/09": 1}
        warehouse.advance("1h")
        assert (again(warehouse), rows(warehouse)["2026/03/02/09"]) == (["02 11:00"], 2)


def test_events_that_come_while_a_run_counts_their_hour_are_not_taken_for_counted(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.flush()
        warehouse.advance("30m")
        assert (again(warehouse), rows(warehouse)["2026/03/02/09"]) == (["02 11:00"], 1)
        late(warehouse, 9)

        def come():
            late(warehouse, 9, 2)
            warehouse.flush()

        meanwhile.append(come)
        warehouse.run("counted", NINE + timedelta(hours=1))
        assert (rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (
            2,
            {"waiting_hours": 1, "waiting_events": 2},
        )
        warehouse.advance("1h")
        assert (again(warehouse)[1:], rows(warehouse)["2026/03/02/09"]) == (["02 12:00"], 4)
        assert uncounted(warehouse) == {}


def test_a_rerun_waits_until_all_that_arrived_in_the_hour_is_converted(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.flush()
        late(warehouse, 9)
        warehouse.clock.set_ms(milliseconds_of(NINE) + 2 * HOUR_MS)
        for _ in range(2):
            assert warehouse.schedule._due("counted", warehouse.clock.now_ms()) is None
            warehouse.schedule._without_rerun.clear()
        warehouse.advance(0)
        assert (again(warehouse), rows(warehouse)["2026/03/02/09"]) == (["02 11:00"], 2)


@pytest.mark.parametrize(
    ("schedule", "shards"), [(HOURLY, 4), (HOURLY, 64), ("cron(20 * * * ? *)", 1), ("rate(20 minutes)", 4)]
)
def test_every_hour_has_in_the_end_all_events_that_came_within_a_week(opened, schedule, shards):
    chance = random.Random(f"{schedule} {shards}")
    with opened(schedule=schedule, shards=shards) as warehouse:
        came, arrivals = Counter(), {}
        for hour in range(24):
            for _ in range(chance.randint(0, 6)):
                ago = chance.choice((0, 0, 0, 1, 2, chance.randint(0, 26), -2))
                at = warehouse.now - timedelta(hours=ago, minutes=chance.randint(-9, 9))
                warehouse.put("clicks", [event(at), {"id": "without"}])
                came[f"{at:%Y/%m/%d/%H}"] += 1
                arrivals.setdefault(f"{at:%Y/%m/%d/%H}", set()).add(f"{warehouse.now:%Y/%m/%d/%H}")
                warehouse.advance(f"{chance.randint(1, 9)}m")
            warehouse.advance(NINE + timedelta(hours=hour + 1) - warehouse.now)
        warehouse.advance("40h")
        found = rows(warehouse)
        first = min(found)
        assert first == ("2026/03/02/09" if schedule == HOURLY else "2026/03/02/08")
        assert {hour: n for hour, n in found.items() if n} == {h: n for h, n in came.items() if h >= first}
        assert uncounted(warehouse) == {}
        began = Counter(run.partition for run in warehouse.runs("counted") if run.cause == "event hour changed")
        assert sum(began.values()) > 10
        for hour, times in began.items():
            assert times <= len(arrivals[hour] - {hour if schedule == HOURLY else ""})


def test_a_rerun_that_fails_is_retried_holds_nothing_up_and_is_taken_up_by_the_next_change(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.advance("29m 59s")
        warehouse.fail_job("counted", times=4)
        warehouse.advance("10m")
        assert [each[1:] for each in runs(warehouse)[1:]] == [
            ("10", "complete", "failed"), ("09", "event hour changed", "failed"),
            ("09", "event hour changed", "failed"), ("10", "retry", "failed"),
            ("09", "event hour changed", "succeeded"), ("10", "retry", "succeeded"),
        ]  # fmt: skip
        assert [run.attempt for run in warehouse.runs() if run.cause == "event hour changed"] == [1, 2, 3]
        assert (rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (1, {})
        warehouse.advance("20m")
        late(warehouse, 9, 2)
        warehouse.advance("30m 30s")  # 12:00:29, after the run for 11
        assert rows(warehouse)["2026/03/02/09"] == 3


def test_a_change_that_no_attempt_could_count_stays_and_the_hours_after_it_go_on(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.advance("29m 59s")
        warehouse.clock.set_ms(milliseconds_of(NINE) + 2 * HOUR_MS)
        assert warehouse.runs()[-1].partition.endswith("09")
        warehouse.flush()
        due = warehouse.schedule._due("counted", warehouse.clock.now_ms())
        assert due.cause == "complete"
        warehouse.schedule._run("counted", due)
        warehouse.fail_job("counted", times=3)
        warehouse.advance("5m")
        assert [each[3] for each in runs(warehouse, of=9)] == ["succeeded", *["failed"] * 3]
        assert warehouse.complete_until("counted") == NINE + timedelta(hours=2)  # nothing that reads it is held up
        assert uncounted(warehouse) == {"waiting_hours": 1, "waiting_events": 1}
        warehouse.advance("3h")
        assert len(runs(warehouse, of=9)) == 4
        late(warehouse, 9)
        warehouse.flush()
        [change] = warehouse.catalog.event_hour_changes.of_job("counted")
        assert (change.arrival, change.events, change.is_taken) == ("2026/03/02/14", 2, False)
        warehouse.advance("1h")
        assert runs(warehouse, of=9)[-1] == ("02 15:00", "09", "event hour changed", "succeeded")
        assert (rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (2, {})


def test_a_run_that_somebody_asked_for_counts_a_change_unless_it_fails(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.flush()
        warehouse.fail_job("counted")
        with pytest.raises(JobFailed):
            warehouse.run("counted", NINE + timedelta(hours=1))
        assert uncounted(warehouse) == {"waiting_hours": 1, "waiting_events": 1}
        late(warehouse, 10)
        warehouse.advance("30m")
        assert (again(warehouse), rows(warehouse)["2026/03/02/09"]) == (["02 11:00"], 1)
        late(warehouse, 9)
        warehouse.run("counted", NINE + timedelta(hours=1))
        assert (rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (2, {})
        warehouse.advance("5h")
        assert again(warehouse) == ["02 11:00"]
        late(warehouse, 9)
        warehouse.advance("59m 59s")
        warehouse.fail_job("counted", times=2)
        warehouse.advance("11s")
        failed = [run for run in warehouse.runs() if run.outcome == "failed"][1:]
        assert [run.cause for run in failed] == ["complete", "event hour changed"]
        warehouse.run("counted", NINE + timedelta(hours=1))
        warehouse.advance("5h")  # no retry counts again what was counted
        assert len(again(warehouse)) == 2
        assert (rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (3, {})


def test_a_run_that_somebody_asked_for_and_that_was_killed_leaves_the_change(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.flush()
        catalog, now = warehouse.catalog, warehouse.clock.now_ms()
        catalog.runs.start("counted", now, "2026/03/02/09", attempt=1, cause="asked for", now_ms=now)
    with opened(NINE + timedelta(minutes=100)) as warehouse:
        warehouse.advance("20m")
        assert (again(warehouse), rows(warehouse)["2026/03/02/09"]) == (["02 11:00"], 1)


def test_a_restart_loses_no_change_and_a_job_that_is_not_declared_is_left_alone(opened):
    with opened() as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.flush()
    with opened(NINE + timedelta(hours=3), job=False) as warehouse:
        late(warehouse, 9)
        warehouse.advance("1h")
        assert warehouse.status()["reruns"] == []
    with opened(NINE + timedelta(hours=4), asks=False) as warehouse:
        late(warehouse, 9)
        warehouse.advance("1h")
        assert again(warehouse) == []
    with opened(NINE + timedelta(hours=5)) as warehouse:
        assert uncounted(warehouse) == {"waiting_hours": 1, "waiting_events": 1}  # what came while the job asked
        warehouse.advance(0)
        assert (again(warehouse), rows(warehouse)["2026/03/02/09"], uncounted(warehouse)) == (["02 14:00"], 3, {})


def test_an_hour_whose_rows_expire_is_not_counted_again(opened):
    """It would be replaced by what is left of it."""
    with opened(retention_days=1) as warehouse:
        late(warehouse, 9, 50)
        warehouse.advance("19h 30m")
        late(warehouse, 9, 2)
        warehouse.advance("2h 30m")
        assert (len(again(warehouse)), rows(warehouse)["2026/03/02/09"]) == (1, 52)
        warehouse.advance("15m")
        late(warehouse, 9, 3)
        warehouse.advance("9h")
        assert (len(again(warehouse)), rows(warehouse)["2026/03/02/09"]) == (1, 52)
        assert uncounted(warehouse)["left_out_events"] == 3


def test_a_job_that_reads_the_rows_of_another_counts_after_it(tmp_path):
    both = declared().with_batch_input_table(
        "totals", {"n": "bigint"}, totals, HOURLY, KEY, reads=["clicks", "counted"],
        run_when_complete=True, rerun_when_event_hour_changes=True,
    )  # fmt: skip
    with simulate(both, tmp_path, start=NINE) as warehouse:
        warehouse.advance("90m")
        late(warehouse, 9)
        warehouse.flush()
        warehouse.clock.set_ms(milliseconds_of(NINE) + 2 * HOUR_MS)
        now, schedule = warehouse.clock.now_ms(), warehouse.schedule
        for name in ("counted", "totals"):
            schedule._run(name, schedule._due(name, now))
        assert schedule._due("totals", now) is None
        assert schedule.run_due()
        assert list(warehouse.query("select n from totals where hour = '2026/03/02/09'")) == [(1,)]
        assert [run.job for run in warehouse.runs() if run.cause == "event hour changed"] == ["counted", "totals"]


MODULE = """
from datawarehouse import Warehouse

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "at": "timestamp"}, event_time="at")
    .with_batch_input_table(
        "counted", {"n": "bigint"}, schedule_expression="rate(1 hour)", partition_keys={"hour": "string"},
        reads=["clicks"], rerun_when_event_hour_changes=True,
        sql="select count(*) as n from clicks where date_format(at, '%Y/%m/%d/%H') = :partition",
    )
)
"""


def test_a_backfill_runs_exactly_the_hours_that_changed(tmp_path):
    def gauge(name):
        page = warehouse.request("GET", "/metrics")[2].decode()
        [line] = [line for line in page.splitlines() if line.startswith(f'{name}{{job="counted"}}')]
        return float(line.split()[-1])

    with running(tmp_path, declaration=MODULE) as warehouse:
        first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=200)
        second, end = first + timedelta(hours=1), first + timedelta(hours=2)
        times = ("--from", f"{first:%Y-%m-%dT%H:%M}", "--to", f"{end:%Y-%m-%dT%H:%M}")
        warehouse.dw("backfill", "counted", *times)
        assert "late" not in warehouse.dw("jobs").stderr
        warehouse.events("clicks", json.dumps(event(second)) + "\n" + json.dumps(event(second)))
        warehouse.flush()
        told = "Job counted: 2 events of 1 event hour came too late for a rerun and are not counted."
        for shown in (warehouse.dw("jobs", "counted"), warehouse.dw("status")):
            assert told in shown.stderr
        assert (gauge("dw_job_event_hours_changed"), gauge("dw_job_events_left_out")) == (0, 2)
        ran = json.loads(warehouse.dw("backfill", "counted", *times, "--output", "json").stdout)
        assert [run["partition"] for run in ran] == [f"{second:%Y/%m/%d/%H}"]
        assert warehouse.query("select n from counted where n > 0") == [{"n": 2}]
        assert (gauge("dw_job_events_left_out"), gauge("dw_job_reruns")) == (0, 0)
        assert told not in warehouse.dw("jobs").stderr


def test_what_is_not_counted_is_told_with_what_counts_it(tmp_path):
    with simulate(declared(), tmp_path / "data", start=NINE - timedelta(hours=200)) as warehouse:
        warehouse.advance("1h")
        warehouse.run("counted", NINE)
        warehouse.clock.set_ms(milliseconds_of(NINE))
        warehouse.put("clicks", [event(NINE - timedelta(hours=200))] * 2 + [event(NINE - timedelta(hours=1))])
        warehouse.flush()
        assert uncounted(warehouse)["left_out_from"] == partition_of(milliseconds_of(NINE) - 200 * HOUR_MS)
    shown = command(tmp_path, "jobs").stderr
    assert (
        "Job counted: 1 event hour changed after it was counted, by 1 event; the job runs again for it when a rerun is "
        "due.\nJob counted: 2 events of 1 event hour came too late for a rerun and are not counted. Next: "
        "dw backfill counted --from 2026-02-22T01:00:00Z --to 2026-02-22T03:00:00Z\n"
    ) in shown
    assert "Job" not in command(tmp_path, "jobs", "another").stderr
