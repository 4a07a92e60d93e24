"""The same events in each form of their tables, against numbers that were worked out apart from this program: by hand
from the list prices, for $ a day of Kinesis and Firehose."""

from fractions import Fraction

import pytest

from datawarehouse.aws.cost import (
    CONVERT_US,
    ON_DEMAND,
    Assumptions,
    StreamLoad,
    alternatives,
    bill,
    convert_seconds,
    events_per_record_max,
    packed_stream,
    read_prices,
    total_usd,
)
from datawarehouse.aws.forms import FORMS, choice, dollars, rests_on, side_by_side
from datawarehouse.definition.tables import EVENT_BYTES_MAX
from datawarehouse.producer.aggregate import aggregated

PRICES = read_prices()
BILLION = Fraction(10**9)


def stream(size, events=BILLION, **settings):
    return StreamLoad("clicks", Fraction(events), size, **settings)


def delivery_usd(lines):
    return float(total_usd(line for line in lines if line.price.service in ("Kinesis Data Streams", "Data Firehose")))


def by_what(lines):
    return {line.price.counted: line for line in lines}


@pytest.mark.parametrize(("size", "parquet", "iceberg"), [(120, 246.8, 27.7), (500, 246.9, 43.6), (1024, 247.9, 66.3)])
def test_unpacked_with_twice_the_average_at_the_peak(size, parquet, iceberg):
    bills = side_by_side([stream(size)], Assumptions(), PRICES)
    assert delivery_usd(bills["Parquet"]) == pytest.approx(parquet, rel=0.01)
    assert delivery_usd(bills["Iceberg"]) == pytest.approx(iceberg, rel=0.01)


@pytest.mark.parametrize(("size", "parquet", "iceberg"), [(120, 6.2, 5.9), (500, 24.9, 23.4), (1024, 51.6, 47.8)])
def test_packed_without_headroom(size, parquet, iceberg):
    bills = side_by_side([stream(size)], Assumptions(headroom=Fraction(1)), PRICES)
    assert delivery_usd(bills["Parquet packed"]) == pytest.approx(parquet, rel=0.03)
    assert delivery_usd(bills["Iceberg packed"]) == pytest.approx(iceberg, rel=0.03)


def test_each_line_of_a_table_in_iceberg():
    found = by_what(bill([stream(500, table_format="iceberg")], Assumptions(), PRICES))
    dollars_of = {what: round(float(line.usd), 2) for what, line in found.items() if line.usd}
    assert dollars_of == {
        "provisioned shards": 8.64,
        "PUT payload units of 25 KB": 14.0,
        "delivered to Iceberg from Kinesis, not rounded": 20.95,  # 500e9 B are 465.66 GB at 0.045
        "invocations that convert records for Iceberg": 0.48,  # 500e9 B in pieces of 0.2 MiB: 2.384 million
        "time of converting them, arm64": 1.17,  # 51 us of a core, which has 1769 MB: 88,105 GB-seconds
        "Iceberg tables optimized": 2.2,  # 100 GB of Parquet, 20 GB in a DPU-hour
        "PUT requests of Iceberg commits": 0.56,  # three for each of 37,253 objects
        "requests of Iceberg commits": 0.07,  # two for each
        "PUT requests": 0.19,
    }
    assert "partitions registered" not in found, "nothing registers partitions of such a table"


def test_a_warehouse_with_both_formats_pays_for_each():
    both = [stream(500), stream(500, table_format="iceberg")]
    together = total_usd(bill(both, Assumptions(), PRICES))
    assert together == sum(total_usd(bill([one], Assumptions(), PRICES)) for one in both)


def test_packing_for_iceberg_is_the_aggregation_of_the_producer_library():
    for size in (1, 120, 500, 1024, 12_501, 20_000):
        packed = packed_stream(stream(size, table_format="iceberg"), 25_600, Fraction(2))
        real = len(aggregated([b"x" * size] * packed.events_per_record, "k" * 36))
        assert packed.record_bytes <= 25_600 or packed.events_per_record == 1
        if packed.events_per_record > 1:
            assert packed.record_bytes * 0.7 <= real <= packed.record_bytes + 2


@pytest.mark.parametrize("size", [1, 500, 16_000, 1_024_000])
@pytest.mark.parametrize("table_format", ["hive", "iceberg"])
def test_a_record_has_no_more_events_than_firehose_takes(size, table_format):
    most = events_per_record_max(stream(size, table_format=table_format))
    assert stream(size, table_format=table_format, events_per_record=most).record_bytes <= EVENT_BYTES_MAX
    assert stream(size, table_format=table_format, events_per_record=most + 1).record_bytes > EVENT_BYTES_MAX


def test_the_time_of_conversion_is_what_was_measured():
    assert [(size, float(convert_seconds(size) * 10**6)) for size, _ in CONVERT_US] == [*CONVERT_US]
    assert convert_seconds(1) == convert_seconds(120), "not less for an event that is smaller than any measured"
    assert float(convert_seconds(310) * 10**6) == 33
    assert convert_seconds(100_000) > 20 * convert_seconds(1024)


def test_what_is_chosen():
    def chosen(size, events=BILLION):
        return choice(side_by_side([stream(size, events)], Assumptions(), PRICES)).form

    assert [chosen(size) for size in (120, 500, 1024)] == ["Iceberg packed"] * 3
    assert chosen(500, 86_400) == "Parquet", "nothing to save"
    assert chosen(20_000) == "Parquet", "the rounding costs less than the conversion"
    best = choice(side_by_side([stream(500)], Assumptions(), PRICES))
    assert (round(float(best.usd), 2), round(float(best.less_usd), 2)) == (30.24, 216.7)


def test_what_nobody_has_tested_is_not_chosen_although_it_is_cheaper():
    bills = side_by_side([stream(500)], Assumptions(), PRICES)
    assert total_usd(bills["Parquet packed"]) < total_usd(bills["Iceberg packed"])
    assert choice(bills).form == "Iceberg packed"


def test_the_forms_follow_the_mode_of_the_streams():
    bills = side_by_side([stream(500)], Assumptions(mode=ON_DEMAND), PRICES)
    assert delivery_usd(bills["Iceberg"]) == pytest.approx(95.88 + 20.95, abs=0.01)


def test_a_declared_number_of_shards_stays_unless_packing_needs_fewer():
    found = {
        form: by_what(lines)["provisioned shards"].quantity
        for form, lines in side_by_side([stream(500, 10**7, shard_count=4)], Assumptions(), PRICES).items()
    }
    assert found == {"Parquet": 96, "Parquet packed": 24, "Iceberg": 96, "Iceberg packed": 24}


def test_an_idle_stream_has_a_bill_in_every_form():
    bills = side_by_side([stream(500, 0)], Assumptions(), PRICES)
    assert {form: float(total_usd(lines)) for form, lines in bills.items()} == dict.fromkeys(FORMS, 0.36)


def test_every_line_says_what_it_rests_on():
    by_price = dollars(side_by_side([stream(500)], Assumptions(), PRICES), PRICES)
    said = {price.counted: rests_on(price) for price in by_price}
    assert said["delivered to Iceberg from Kinesis, not rounded"] == "secondary source"
    assert said["converted to Parquet, in the same steps"] == "no source"
    assert said["time of converting them, arm64"] == "secondary source, quantity measured"
    assert said["Iceberg tables optimized"] == "secondary source, quantity assumed"
    assert set(by_price[PRICES.of["firehose_iceberg"]]) == {"Iceberg", "Iceberg packed"}


def test_packing_a_table_in_iceberg_is_documented():
    found = alternatives([stream(500, table_format="iceberg")], Assumptions(), PRICES)
    assert found[0].setting == "--events-per-record 50, packed by producers"
