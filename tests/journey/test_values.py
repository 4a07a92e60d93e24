"""What a program hands over becomes what it means, or is refused by name: events, rows of jobs, instants."""

import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

import pytest

from datawarehouse import Warehouse, durable, open_warehouse
from datawarehouse.errors import BadRequest
from datawarehouse.testing import simulate

KEY = {"hour": "string"}
ROWS: list[dict] = []


def rows(job):
    yield from ROWS


DECLARED = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "x": "double"})
    .with_batch_input_table("sums", {"x": "double"}, rows, "rate(1 hour)", KEY)
)


@pytest.fixture
def warehouse(tmp_path):
    with simulate(DECLARED, tmp_path / "data") as opened:
        yield opened


@dataclass
class Measured:
    by: float


class Kind(Enum):
    UNKNOWN = float("nan")


WITHOUT_FORM = [
    (float("nan"), "x is nan"),
    (float("inf"), "x is inf"),
    (Decimal("NaN"), "x is NaN"),
    ({"y": [1.0, float("-inf")]}, r"x.y\[1\] is -inf"),
    (b"raw", "x is bytes"),
    (bytearray(b"raw"), "x is bytearray"),
    (Decimal("sNaN"), "x is sNaN"),
    (Measured(float("nan")), "x.by is nan"),
    ([Kind.UNKNOWN], r"x\[0\] is nan"),
    ("\ud800", "surrogates not allowed"),
]


@pytest.mark.parametrize(("value", "said"), WITHOUT_FORM, ids=lambda each: ascii(each)[:20])
def test_an_event_with_a_value_that_json_has_no_form_for_is_refused_by_name(warehouse, value, said):
    with pytest.raises(BadRequest, match=f"Event 2 cannot be written as JSON .*{said}"):
        warehouse.put("clicks", [{"id": "a"}, {"id": "b", "x": value}])
    assert list(warehouse.query("select count(*) from clicks")) == [(0,)]


@pytest.mark.parametrize(("value", "said"), WITHOUT_FORM, ids=lambda each: ascii(each)[:20])
def test_a_row_of_a_job_with_such_a_value_is_refused_by_name(warehouse, value, said):
    ROWS[:] = [{"x": value}]
    warehouse_runs = warehouse.catalog.runs
    with pytest.raises(Exception, match=said):
        warehouse.run("sums")
    assert warehouse_runs.latest("sums", 1)[0].outcome == "failed"


def test_a_decimal_of_any_size_has_a_form(warehouse):
    warehouse.put("clicks", [{"id": Decimal("1E+400"), "x": 1.5}])
    assert list(warehouse.query("select id, x from clicks")) == [("1E+400", 1.5)]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_of_an_event_are_one_event(warehouse, kind):
    assert warehouse.put("clicks", kind(b'{"id": "whole"}')) == 1
    assert list(warehouse.query("select id from clicks")) == [("whole",)]


def test_the_text_of_an_event_that_is_no_unicode_is_refused_by_name(warehouse):
    with pytest.raises(BadRequest, match="Event 1 cannot be written as JSON"):
        warehouse.put("clicks", '{"id": "\ud800"}')


def test_an_instant_without_a_zone_is_in_utc(warehouse, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        ROWS[:] = [{"x": 1.0}]
        run = warehouse.run("sums", datetime(2026, 11, 23, 8))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (run.scheduled_ms, run.partition) == (1795420800000, "2026/11/23/07")
    assert datetime.fromtimestamp(run.scheduled_ms / 1000, UTC).hour == 8


def test_a_put_that_ctrl_c_interrupts_can_be_repeated_with_its_key(tmp_path, monkeypatch):
    with open_warehouse(DECLARED, tmp_path / "data") as opened:
        synced = durable.os.fdatasync

        def interrupted(descriptor):
            monkeypatch.setattr(durable.os, "fdatasync", synced)
            signal.raise_signal(signal.SIGINT)
            synced(descriptor)

        monkeypatch.setattr(durable.os, "fdatasync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened.put("clicks", [{"id": "once"}], idempotency_key="k")
        assert opened.put("clicks", [{"id": "once"}], idempotency_key="k") == 1
        opened.flush()
        assert list(opened.query("select id from clicks")) == [("once",)]
        assert opened.intake.streams["clicks"].queued_bytes == 0
