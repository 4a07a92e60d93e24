"""When things run on AWS, to the minute."""

import pytest
from declared import COLUMNS, hourly_counts

from datawarehouse import Warehouse
from datawarehouse.aws.partitions import checked_hours_ahead
from datawarehouse.aws.schedules import flush_seconds, job_schedule, longest_gap_hours
from datawarehouse.errors import DeclarationError


def streaming(seconds=900):
    return Warehouse("w").with_streaming_input_table("clicks", COLUMNS, file_flush_interval_seconds=seconds)


def filled(schedule, **arguments):
    """A table that a job fills by a schedule, beside the stream of clicks."""
    return streaming().with_batch_input_table("sums", {"count": "int"}, hourly_counts, schedule, **arguments)


def waiting(declared, *reads):
    """The schedule of a job that waits until what it reads is complete."""
    both = Warehouse("w")
    for table in declared.tables():
        both.add(table)
    both.with_batch_input_table(
        "totals", {"count": "int"}, hourly_counts, "rate(1 hour)", reads=reads, run_when_complete=True
    )
    return job_schedule(both.get_table("totals"), both.get_table, False)


@pytest.mark.parametrize(
    ("declared", "reads", "minute"),
    [
        # Of a stream: its flush interval, in whole minutes, and five for delivery.
        (streaming(60), ["clicks"], 6),
        (streaming(61), ["clicks"], 7),
        (streaming(90), ["clicks"], 7),
        (streaming(120), ["clicks"], 7),
        # Of a job: the last of its minutes, and the fifteen that it may take.
        (filled("cron(5,40 * * * ? *)"), ["sums"], 55),
        (filled("cron(44 * * * ? *)"), ["sums"], 59),
        (filled("cron(0 3 * * ? *)"), ["sums"], 15),
        (filled("rate(1 hour)", reads=["clicks"], run_when_complete=True), ["sums"], 35),
        # Of all that it reads, the last.
        (filled("cron(0 * * * ? *)"), ["sums", "clicks"], 20),
        (filled("cron(30 * * * ? *)"), ["clicks", "sums"], 45),
    ],
)
def test_a_job_waits_for_what_it_reads(declared, reads, minute):
    assert waiting(declared, *reads) == f"cron({minute} * * * ? *)"


@pytest.mark.parametrize(("schedule", "minutes"), [("cron(5,45 * * * ? *)", 60), ("rate(1 hour)", 75)])
def test_a_job_that_would_wait_for_an_hour_is_refused(schedule, minutes):
    with pytest.raises(DeclarationError, match=f"would wait {minutes} minutes on AWS for sums"):
        waiting(filled(schedule), "sums")


@pytest.mark.parametrize(
    ("declared", "is_dev", "seconds"),
    [(10, True, 10), (60, True, 60), (61, True, 60), (900, True, 60), (10, False, 10), (900, False, 900)],
)
def test_development_flushes_each_minute_or_sooner(declared, is_dev, seconds):
    assert flush_seconds(streaming(declared).get_table("clicks"), is_dev) == seconds


@pytest.mark.parametrize(
    ("schedule", "gap", "default"),
    [
        ("rate(1 minute)", 1, 12),
        ("rate(90 minutes)", 2, 12),
        ("rate(11 hours)", 11, 12),
        ("rate(12 hours)", 12, 13),
        ("rate(1 day)", 24, 25),
        ("rate(335 hours)", 335, 336),
        ("cron(15 3,15 * * ? *)", 12, 13),
        ("cron(0,30 0,12 * * ? *)", 12, 13),
        ("cron(0,50 3 * * ? *)", 24, 25),
        ("cron(0 9 ? * MON-FRI *)", 72, 73),
    ],
)
def test_hours_are_registered_beyond_the_next_run(schedule, gap, default):
    assert longest_gap_hours(schedule) == gap
    assert checked_hours_ahead("Registrar", schedule) == default
    assert checked_hours_ahead("Registrar", schedule, gap + 1) == gap + 1
    with pytest.raises(DeclarationError, match=f"registered {gap} hours ahead, but '.*' can leave {gap} hours between"):
        checked_hours_ahead("Registrar", schedule, gap)


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [("rate(336 hours)", 336), ("cron(0 0 1 1 ? *)", 365 * 24), ("cron(0 0 1 1 ? 2199)", 366 * 24)],
)
def test_hours_that_no_run_registers_in_time_are_refused(schedule, gap):
    with pytest.raises(DeclarationError, match=f"registered 336 hours ahead, but '.*' can leave {gap} hours between"):
        checked_hours_ahead("Registrar", schedule)
