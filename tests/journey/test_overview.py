"""What the console's first page says of jobs, in a warehouse whose clock the test moves."""

from datetime import UTC, datetime

from datawarehouse import Warehouse
from datawarehouse.runtime.overview import Overview
from datawarehouse.testing import simulate

START = datetime(2026, 11, 30, 8, tzinfo=UTC)


def never(job):
    raise RuntimeError("no such luck")


def later(job):
    if job.partition.endswith("/08"):
        raise RuntimeError("not yet")
    yield {"c": 1}


def declared(job, partition_keys):
    return (
        Warehouse("shop")
        .with_batch_input_table("wrong", {"c": "bigint"}, job, "rate(1 hour)", partition_keys)
        .with_alert(failed_runs=None)
    )


def noted(opened):
    """What the overview says of failed runs."""
    found = Overview(opened, opened.catalog).values()["attention"]
    return [each for each in found if each["alert"] == "failed_runs"]


def test_a_job_that_fails_for_many_hours_is_one_line(tmp_path):
    with simulate(declared(never, {"hour": "string"}), tmp_path, start=START) as opened:
        opened.advance("90m")
        [one] = noted(opened)
        assert one["text"].startswith("Job wrong failed for the hour 2026/11/30/08 (")
        opened.advance("4h")
        [one] = noted(opened)
    assert one["text"].startswith("Job wrong failed for 5 hours, the latest 2026/11/30/12 (")
    assert one["text"].endswith("It said: RuntimeError: no such luck.")
    assert (one["severity"], one["next_step"], one["page"]) == ("warn", "dw jobs wrong", "jobs")


def test_an_hour_that_is_not_written_stays_until_it_is(tmp_path):
    """Later hours that are written are no substitute, with a partition key and without."""
    for keys in ({}, {"hour": "string"}):
        with simulate(declared(later, keys), tmp_path / str(len(keys)), start=START) as opened:
            opened.advance("4h")
            [one] = noted(opened)
            assert one["text"].startswith("Job wrong failed for the hour 2026/11/30/08 (")
