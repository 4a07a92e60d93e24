"""Somebody sets the machine's clock while a warehouse runs: no event goes astray, no hour closes that has not ended."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from running import command, running

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.clock import GuardedClock
from datawarehouse.intake.refusals import Refusals
from datawarehouse.jobs.execute import execute_here
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.opening import Means
from datawarehouse.runtime.reader import Reader
from datawarehouse.server.metrics import exposition
from datawarehouse.settings import resolve
from datawarehouse.testing.clock import TestClock

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
MONTH = timedelta(days=40)


def hourly(job):
    yield {"hour_of": job.partition}


DECLARED = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string"}, retention_days=1)
    .with_batch_input_table(
        "counts", {"hour_of": "string"}, hourly, "rate(1 hour)", reads=["clicks"], run_when_complete=True
    )
)


class Machine:
    """Two clocks that the test sets, and a warehouse on them."""

    def __init__(self, folder):
        self.folder = folder / "data"
        self.wall, self.steady = TestClock(NINE), TestClock(NINE)

    def open(self):
        means = Means(execute_job=lambda order, function: execute_here(order, self.warehouse.query, lambda: function))
        clock = GuardedClock(self.wall, self.steady, 60_000)
        self.warehouse = OpenWarehouse(DECLARED, self.folder, resolve({}), clock, means)
        self.warehouse.start(LocalExecutor, only_convert=True)
        return self.warehouse

    def jump(self, by):
        self.wall.set_ms(self.wall.now_ms() + round(by.total_seconds() * 1000))

    def wait(self, duration):
        for clock in (self.wall, self.steady):
            clock.set_ms(clock.now_ms() + round(duration.total_seconds() * 1000))

    def put(self, name):
        self.warehouse.put("clicks", {"id": name})
        self.warehouse.flush()
        self.warehouse.schedule.run_due()
        self.warehouse.expire()

    def hours(self):
        return dict(self.warehouse.query("select id, substr(inserted_at, 6) from clicks"))

    def jobs(self):
        return sorted(run.partition[5:] for run in self.warehouse.catalog.runs.latest("counts"))


@pytest.fixture
def machine(tmp_path, caplog):
    caplog.set_level(logging.INFO, "datawarehouse")
    machine = Machine(tmp_path)
    yield machine
    machine.warehouse.close()


def test_somebody_is_told_of_a_clock_that_is_ahead(machine):
    warehouse = machine.open()
    assert warehouse.alerting.evaluate() == []
    machine.jump(timedelta(hours=2))
    [began] = warehouse.alerting.evaluate()
    assert (began["data"]["alert"], began["data"]["value"]) == ("clock_ahead", 7200.0)
    machine.jump(-timedelta(hours=2))
    machine.wait(timedelta(minutes=6))
    assert [each["type"] for each in warehouse.alerting.evaluate()] == ["alert.resolved"]


def test_a_month_ahead_closes_no_month(machine):
    machine.open()
    machine.put("before")
    machine.jump(MONTH)
    machine.put("while it is ahead")
    machine.wait(timedelta(hours=1))
    machine.put("an hour later")
    machine.jump(-MONTH)
    machine.put("after")
    assert machine.hours() == {
        "before": "01/05/09", "while it is ahead": "01/05/09", "an hour later": "01/05/10", "after": "01/05/10",
    }  # fmt: skip
    assert machine.jobs() == ["01/05/09"], "the only hour that has ended"
    assert machine.warehouse.complete_until("clicks") == NINE + timedelta(hours=1)


def test_a_clock_that_does_not_count_is_said(machine, caplog):
    machine.open()
    machine.jump(timedelta(hours=2))
    machine.put("while it is ahead")
    status = machine.warehouse.status()
    assert status["clock"] == {"now": "2026-01-05T09:00:00.000Z", "ahead_s": 7200.0, "is_guarding": True}
    assert b"\ndw_clock_ahead_seconds 7200.0\n" in exposition(status, Refusals(()))
    assert "2:00:00 ahead of the time that has passed" in caplog.text
    assert machine.warehouse.accept_clock() == {"moved_s": 7200.0, "set_back": []}
    machine.put("after it was confirmed")
    assert machine.hours() == {"while it is ahead": "01/05/09", "after it was confirmed": "01/05/11"}
    assert machine.warehouse.status()["clock"]["is_guarding"] is False


def test_a_clock_that_jumps_back_holds_the_hour_and_is_said(machine, caplog):
    machine.open()
    machine.put("before")
    machine.jump(timedelta(hours=-2))
    machine.put("after")
    assert set(machine.hours().values()) == {"01/05/09"}
    [table] = [table for table in machine.warehouse.status()["tables"] if table["table"] == "clicks"]
    assert table["held_until"] == "2026-01-05T09:00:00.000Z"
    assert "2:00:00 behind the time that has passed" in caplog.text


def test_sleep_is_no_jump(machine, caplog):
    machine.open()
    machine.put("before")
    machine.wait(timedelta(hours=9))
    machine.put("after")
    assert machine.hours() == {"before": "01/05/09", "after": "01/05/18"}
    assert len(machine.jobs()) == 9
    assert not [record for record in caplog.records if "clock" in record.getMessage()]


def test_the_wall_clock_is_believed_at_opening_and_what_may_be_wrong_is_said(machine, caplog):
    machine.open()
    machine.put("before")
    machine.warehouse.close()
    machine.jump(MONTH)
    machine.open()
    assert "the clock says 2026-02-14T09:00:00Z, 40 days, 0:00:00 after the last event arrived" in caplog.text
    machine.put("in the future")
    machine.warehouse.close()
    machine.jump(-MONTH)
    caplog.clear()
    machine.open()
    assert "until then its events stand in the hour 2026/02/14/09" in caplog.text
    machine.put("held")
    assert machine.hours()["held"] == "02/14/09"


@pytest.mark.parametrize("is_reopened", [False, True])
def test_hours_that_are_held_are_given_back_when_somebody_asks(machine, is_reopened):
    machine.wall.set_ms(machine.wall.now_ms() + 40 * 24 * 3_600_000)
    machine.open()
    machine.put("in the future")
    machine.wait(timedelta(hours=2))
    machine.put("two hours later")
    assert machine.jobs() == ["02/14/09", "02/14/10"]
    machine.jump(-MONTH)
    machine.put("held")
    assert machine.warehouse.accept_clock()["set_back"] == ["clicks"]
    if is_reopened:
        machine.warehouse.close()
        machine.open()
    machine.put("by the clock")
    assert "held_until" not in json.dumps(machine.warehouse.status())
    machine.wait(timedelta(hours=1))
    machine.put("an hour later")
    assert machine.hours() == {
        "in the future": "02/14/09", "two hours later": "02/14/11", "held": "02/14/11",
        "by the clock": "01/05/11", "an hour later": "01/05/12",
    }  # fmt: skip
    assert machine.jobs() == ["01/05/11", "02/14/09", "02/14/10"], "an hour that has ended is complete again"
    assert machine.warehouse.accept_clock()["set_back"] == []


def test_the_running_warehouse_shows_its_clock_and_takes_the_confirmation(tmp_path):
    with running(tmp_path) as warehouse:
        metrics = warehouse.request("GET", "/metrics")[2].decode()
        assert abs(float(metrics.split("\ndw_clock_ahead_seconds ")[1].split("\n")[0])) < 60
        client = client_of(tmp_path / "data")
        assert abs(client.call("POST", "/v1/admin/accept-clock", b"")["moved_s"]) < 60
        client.close()
        done = warehouse.dw("doctor", "--accept-clock", "--output", "json")
        assert json.loads(done.stdout)["set_back"] == []


def test_the_doctor_gives_held_hours_back_without_an_owner(tmp_path):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"})
    (tmp_path / "warehouse.py").write_text(
        "from datawarehouse import Warehouse\n"
        "warehouse = Warehouse('shop').with_streaming_input_table('clicks', {'id': 'string'})\n"
    )
    ahead = TestClock(datetime.now(UTC) + timedelta(days=40))
    with open_warehouse(declared, tmp_path / "data", clock=ahead) as opened:
        opened.put("clicks", {"id": "in the future"})
        opened.flush()
    done = command(tmp_path, "doctor", "--accept-clock")
    assert "Events of table clicks arrive by the clock again" in done.stdout
    with open_warehouse(declared, tmp_path / "data") as opened:
        opened.put("clicks", {"id": "now"})
        opened.flush()
        hours = dict(opened.query("select id, inserted_at from clicks"))
    assert hours["now"] < hours["in the future"]


def test_dw_status_says_until_when_an_hour_is_held(machine):
    machine.wall.set_ms(4_000_000_000_000)  # in 2096
    machine.open()
    machine.put("far ahead")
    machine.warehouse.close()
    with Reader(machine.folder, resolve({})) as reader:
        [table] = [table for table in reader.status()["tables"] if table["table"] == "clicks"]
    assert table["held_until"] == "2096-10-02T07:06:40.000Z"
    shown = command(machine.folder.parent, "status")
    assert "The last event of table clicks arrived at 2096-10-02T07:06:40.000Z" in shown.stderr
    assert "held_until" in json.dumps(json.loads(command(machine.folder.parent, "status", "--output", "json").stdout))
