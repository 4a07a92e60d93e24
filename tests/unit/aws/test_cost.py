"""The bill, line by line and in total, against numbers worked out by hand from the list prices."""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from datawarehouse.aws.cost import (
    ADVANTAGE,
    MODES,
    ON_DEMAND,
    Assumptions,
    StreamLoad,
    alternatives,
    beyond_first_tier,
    bill,
    packed_stream,
    read_prices,
    rounded_up,
    runs_per_day,
    shards,
    total_usd,
)

PRICES = read_prices()
BILLION = Fraction(10**9)
FLAT = Assumptions(headroom=Fraction(1))


def cents(usd):
    return str((Decimal(usd.numerator) / Decimal(usd.denominator)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def stream(events=BILLION, size=500, **settings):
    return StreamLoad("clicks", Fraction(events), size, **settings)


def lines(streams, assumptions=Assumptions()):  # noqa: B008, it is frozen
    """{what is counted: dollars a day} of the lines that cost anything"""
    found = bill(streams, assumptions, PRICES)
    return {line.price.counted: cents(line.usd) for line in found if line.usd}


def of_service(found, *services):
    return cents(total_usd(line for line in found if line.price.service in services))


@pytest.mark.parametrize(
    ("size", "shard_count", "kinesis", "firehose", "total"),
    [
        (120, 24, "22.64", "224.11", "246.80"),
        (500, 24, "22.64", "224.11", "246.94"),
        (1024, 26, "23.36", "224.11", "247.85"),
    ],
)
def test_a_billion_events_a_day_with_one_event_in_a_record(size, shard_count, kinesis, firehose, total):
    one = stream(size=size)
    found = bill([one], Assumptions(), PRICES)
    assert shards(one, Fraction(2)) == shard_count
    assert of_service(found, "Kinesis Data Streams") == kinesis
    assert of_service(found, "Data Firehose") == firehose
    assert cents(total_usd(found)) == total


@pytest.mark.parametrize(
    ("size", "packed", "shard_count", "total", "with_puts"),
    [
        (120, 208, 2, "6.17", "6.22"),
        (500, 50, 6, "24.85", "25.04"),
        (1024, 24, 12, "51.59", "51.98"),
    ],
)
def test_a_billion_events_a_day_packed_by_producers(size, packed, shard_count, total, with_puts):
    one = stream(size=size, events_per_record=packed)
    found = bill([one], FLAT, PRICES)
    assert shards(one, Fraction(1)) == shard_count
    assert of_service(found, "Kinesis Data Streams", "Data Firehose") == total
    assert cents(total_usd(found)) == with_puts


def test_each_line_of_provisioned_shards():
    assert lines([stream()]) == {
        "provisioned shards": "8.64",  # 24 shards, 24 h, 0.015
        "PUT payload units of 25 KB": "14.00",  # 1000 million at 0.014
        "ingested, records in steps of 5 KB": "138.28",  # 5120 B each: 4768.37 GB at 0.029
        "converted to Parquet, in the same steps": "85.83",  # 4768.37 GB at 0.018
        "PUT requests": "0.19",  # 10 * 500e9 / 128 MiB = 37253 at 0.005 a thousand
    }


@pytest.mark.parametrize(
    ("size", "written", "read", "total"),
    [(120, "76.29", "4.47", "81.72"), (500, "76.29", "18.63", "95.88"), (1024, "76.29", "38.15", "115.40")],
)
def test_on_demand(size, written, read, total):
    found = bill([stream(size=size)], Assumptions(mode=ON_DEMAND), PRICES)
    assert [cents(line.usd) for line in found[:3]] == [written, read, "0.96"]
    assert of_service(found, "Kinesis Data Streams") == total


def test_on_demand_counts_the_next_kilobyte():
    assert lines([stream(size=1025)], Assumptions(mode=ON_DEMAND))[
        "on-demand, written, records in steps of 1 KB"
    ] == "152.59"  # fmt: skip


def test_on_demand_advantage_is_billed_its_commitment_once_for_all_streams():
    found = bill([stream(size=500)], Assumptions(mode=ADVANTAGE), PRICES)
    # 25 MiB/s for a day are 2109.375 GB, at 0.032 and at 0.016
    assert of_service(found, "Kinesis Data Streams") == "101.25"
    assert (
        of_service(bill([stream(10**8)] * 2, Assumptions(mode=ADVANTAGE), PRICES), "Kinesis Data Streams") == "101.25"
    )
    # 4 * 953.674 GB written at 0.032; read 1862.6 GB, which is below the commitment
    found = bill([stream(size=500)] * 4, Assumptions(mode=ADVANTAGE), PRICES)
    assert [cents(line.usd) for line in found[:2]] == ["122.07", "33.75"]


def test_storage_of_thirty_days():
    for size, month in ((120, "16.56"), (500, "69.00"), (1024, "141.31")):
        [stored] = [
            line
            for line in bill([stream(size=size, retention_days=30)], Assumptions(), PRICES)
            if line.price.counted == "Parquet stored"
        ]
        assert cents(stored.usd * 30) == month


def test_queries():
    assert lines([], Assumptions(queries_tb_per_day=Fraction("0.1"))) == {"scanned by queries": "0.50"}


def test_compaction_reads_the_parquet_of_a_table_once_and_at_least_ten_megabytes_an_hour():
    # 10^9 events of 500 bytes are 100 GB of Parquet.
    for events, scanned in ((10**9, "0.100000"), (1000, "0.000240")):
        plain = {line.price.counted: line for line in bill([stream(events, 500)], Assumptions(), PRICES)}
        compacted = replace(stream(events, 500), is_compacted=True)
        found = {line.price.counted: line for line in bill([stream(0), compacted], Assumptions(), PRICES)}
        assert f"{float(found['scanned by queries'].quantity):.6f}" == scanned
        assert plain["scanned by queries"].quantity == 0
        assert found["time of jobs, arm64"].quantity == 24 * 60 / 2


def test_the_hourly_measure_of_lateness_reads_a_column_and_at_least_ten_megabytes_an_hour():
    # 10^9 event times of 8 bytes are 8 GB; of few events 24 queries are billed, 0.12 cents.
    for events, scanned, usd in ((10**9, "0.008000", 0.04), (1000, "0.000240", 0.0012)):
        timed = replace(stream(events, 500), is_timed=True)
        found = {line.price.counted: line for line in bill([stream(0), timed], Assumptions(), PRICES)}
        assert f"{float(found['scanned by queries'].quantity):.6f}" == scanned
        assert float(found["scanned by queries"].usd) == pytest.approx(usd)
        assert found["time of jobs, arm64"].quantity == 24 * 60 / 2
        iceberg = replace(timed, table_format="iceberg")
        found = {line.price.counted: line for line in bill([iceberg], Assumptions(), PRICES)}
        assert f"{float(found['scanned by queries'].quantity):.6f}" == scanned


def test_an_hourly_job_without_the_free_tier():
    hourly = Assumptions(job_runs_per_day=Fraction(24), free_tier=False)
    assert lines([], hourly) == {"runs of jobs and of the partition registrar": "0.00", "time of jobs, arm64": "0.01"}
    [time] = [line for line in bill([], hourly, PRICES) if line.price.counted == "time of jobs, arm64"]
    assert (time.quantity, float(time.usd)) == (720, 0.009600048)
    assert lines([], replace(hourly, free_tier=True)) == {}


def test_the_free_tier_ends():
    # 60,000 GB-seconds a day; 400,000 a month are 13,333.33 a day
    busy = Assumptions(job_runs_per_day=Fraction(1000), job_seconds=Fraction(120))
    [time] = [line for line in bill([], busy, PRICES) if line.price.counted == "time of jobs, arm64"]
    assert float(time.usd) == pytest.approx(46666.6666667 * 0.0000133334)


def test_registering_partitions_of_twenty_tables_costs_nothing():
    twenty = [stream(0)] * 20
    by_name = {line.price.counted: line for line in bill(twenty, Assumptions(), PRICES)}
    assert by_name["partitions registered"].quantity * 1_000_000 == 480 * 8
    assert by_name["partitions registered"].usd == by_name["runs of jobs and of the partition registrar"].usd == 0


def test_an_idle_stream_costs_its_shard():
    assert lines([stream(0)]) == {"provisioned shards": "0.36"}
    assert lines([stream(0)], Assumptions(mode=ON_DEMAND)) == {"on-demand streams": "0.96"}
    assert lines([stream(0)] * 3) == {"provisioned shards": "1.08"}
    assert lines([stream(0)] * 3, Assumptions(mode=ON_DEMAND)) == {"on-demand streams": "2.88"}
    assert lines([stream(0, shard_count=4)]) == {"provisioned shards": "1.44"}


def test_streams_add_up():
    one, other = stream(), stream(10**8, 1024)
    both = total_usd(bill([one, other], Assumptions(), PRICES))
    assert both == sum(total_usd(bill([each], Assumptions(), PRICES)) for each in (one, other))


@pytest.mark.parametrize(
    ("size", "firehose", "put_units", "on_demand"),
    [
        (1, 5120, 1, 1024),
        (1024, 5120, 1, 1024),
        (1025, 5120, 1, 2048),
        (5120, 5120, 1, 5120),
        (5121, 10240, 1, 6144),
        (25_600, 25_600, 1, 25_600),
        (25_601, 30_720, 2, 26_624),
    ],
)
def test_records_are_rounded_up_by_each_service_in_its_own_steps(size, firehose, put_units, on_demand):
    def counted(mode, *names):
        by_name = {
            line.price: line.quantity * line.price.unit_size for line in bill([one], Assumptions(mode=mode), PRICES)
        }
        return [by_name[PRICES.of[name]] for name in names]

    one = stream(1000, size)
    assert counted("provisioned", "firehose_ingest", "firehose_conversion", "kinesis_put_units") == [
        1000 * firehose,
        1000 * firehose,
        1000 * put_units,
    ]
    assert counted(ON_DEMAND, "kinesis_on_demand_in", "kinesis_on_demand_out") == [1000 * on_demand, 1000 * size]


def test_rounding_up():
    assert [rounded_up(size, 5120) for size in (0, 1, 5119, 5120, 5121)] == [0, 5120, 5120, 5120, 10240]


def test_line_ends_count_in_a_packed_record():
    assert stream(size=500, events_per_record=1).record_bytes == 500
    assert stream(size=500, events_per_record=50).record_bytes == 25_049
    assert stream(size=500, events_per_record=52).record_bytes == 26_051  # a second payload unit


@pytest.mark.parametrize(("size", "count"), [(1, 12_800), (120, 208), (500, 50), (1024, 24), (12_501, 1), (30_000, 1)])
def test_packing_fills_one_payload_unit(size, count):
    packed = packed_stream(stream(size=size), 25_600, Fraction(2))
    assert packed.events_per_record == count
    assert packed.record_bytes <= 25_600 or count == 1


def test_packing_never_unpacks():
    assert packed_stream(stream(events_per_record=200), 25_600, Fraction(2)).events_per_record == 200


def test_objects_are_written_by_size_or_by_interval():
    def puts(one):
        [line] = [line for line in bill([one], Assumptions(), PRICES) if line.price.counted == "PUT requests"]
        return line.quantity * 1000

    assert puts(stream(86_400)) == 96  # one shard, every 900 s
    assert puts(stream(86_400, flush_interval_seconds=60)) == 1440
    assert puts(stream(86_400, shard_count=3)) == 288
    assert puts(stream(50)) == 50  # an object has at least a record
    assert puts(stream(2**27, 1000)) == 10_000  # 1000 buffers of 128 MiB, and ten times as many objects


def test_a_peak_that_one_shard_takes_needs_one_shard():
    assert shards(stream(86_400 * 500), Fraction(2)) == 1
    assert shards(stream(86_400 * 501), Fraction(2)) == 2
    assert shards(stream(86_400 * 1001), Fraction("1.4")) == 3  # 2.8
    assert shards(stream(86_400 * 1001, shard_count=1), Fraction(2)) == 1


def test_alternatives_change_one_setting_each():
    found = alternatives([stream()], Assumptions(), PRICES)
    assert [(each.setting, cents(each.usd)) for each in found] == [
        ("--events-per-record 50, packed by producers; not proven on AWS", "27.20"),
        ("--mode on-demand", "320.18"),
        ("--mode on-demand-advantage", "325.55"),
    ]


def test_alternatives_of_a_declared_table():
    declared = stream(86_400 * 500, 120, shard_count=4, flush_interval_seconds=60)
    now = total_usd(bill([declared], Assumptions(), PRICES))
    by_setting = {each.setting: each.usd for each in alternatives([declared], Assumptions(), PRICES)}
    assert cents(now - by_setting["fewer shards: 1 for clicks"]) == "1.10"  # 3 * 0.36, and 4320 objects less
    assert cents(now - by_setting["a flush interval of 900 s"]) == "0.03"  # 5760 objects become 386
    assert "--events-per-record 208, packed by producers; not proven on AWS" in by_setting


def test_tables_with_events_of_different_sizes_are_packed_into_records_of_one_size():
    found = alternatives([stream(), stream(size=120)], Assumptions(), PRICES)
    assert found[0].setting == "records of about 25000 bytes, packed by producers; not proven on AWS"


def test_beyond_the_first_tier():
    assert beyond_first_tier(bill([stream()], Assumptions(), PRICES)) == []
    # 4e9 records of 5120 B in 30 days are 614e12 B
    [line] = beyond_first_tier(bill([stream(4 * 10**9)], Assumptions(), PRICES))
    assert line.price.counted == "ingested, records in steps of 5 KB"


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ("rate(1 hour)", 24),
        ("rate(5 minutes)", 288),
        ("rate(2 days)", Fraction(1, 2)),
        ("cron(20 * * * ? *)", 24),
        ("cron(0/15 8-17 ? * MON-FRI *)", Fraction(261 * 40, 365)),  # 2027 has 261 of these days
        ("cron(0 23 L * ? *)", Fraction(12, 365)),
    ],
)
def test_runs_per_day(schedule, runs):
    assert runs_per_day(schedule) == runs


@pytest.mark.parametrize("name", PRICES.of)
def test_every_price_has_its_unit_its_date_and_its_source(name):
    price = PRICES.of[name]
    assert price.usd > 0 and price.unit_size >= 1
    assert price.unit and price.service and price.counted
    assert price.date[:4].isdigit() and "2020" <= price.date[:4] <= PRICES.compiled[:4]
    assert price.source.startswith("https://")
    assert price.confirmed == (not price.stated_by.startswith("nobody"))


def test_every_price_is_used():
    both = [stream(), stream(table_format="iceberg")]
    used = {line.price for mode in MODES for line in bill(both, Assumptions(mode=mode), PRICES)}
    assert used == set(PRICES.of.values())
    assert PRICES.region == "us-east-1"


def test_the_reference_has_every_price_and_the_example():
    text = (Path(__file__).parents[3] / "docs" / "reference" / "cost.md").read_text()
    for price in PRICES.of.values():
        said = price.date if price.confirmed else f"{price.date}, unconfirmed"
        row = f"| {price.service} | {price.counted} | {price.unit} | {price.usd:f} | {said} | "
        assert f"{row}[{price.source.split('/')[2]}]({price.source}); {price.stated_by} |" in text
    now = total_usd(bill([stream()], Assumptions(), PRICES))
    cheapest = alternatives([stream()], Assumptions(), PRICES)[0]
    assert f"Total: ${cents(now)} a day, ${cents(now * 30)} in 30 days\n" in text
    less = cents(now - cheapest.usd)
    assert f"The cheapest: {cheapest.setting}, ${cents(cheapest.usd)} a day, ${less} less\n" in text
