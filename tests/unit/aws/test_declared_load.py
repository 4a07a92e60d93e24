"""The load that a streaming input table declares, and the shards that it needs."""

import subprocess
import sys
from fractions import Fraction

import pytest

from datawarehouse import Warehouse
from datawarehouse.definition.tables import shards_needed
from datawarehouse.errors import DeclarationError
from patience import patient


def declare(**arguments):
    return Warehouse("shop").with_streaming_input_table("clicks", {"id": "string"}, **arguments)


def refused(**arguments):
    warehouse = Warehouse("shop")
    with pytest.raises(DeclarationError) as raised:
        warehouse.with_streaming_input_table("clicks", {"id": "string"}, **arguments)
    assert warehouse.list_tables() == []
    return str(raised.value)


@pytest.mark.parametrize(
    ("records", "size", "shards"),
    [
        # a billion a day
        (Fraction(10**9, 86_400), 120, 12),
        (Fraction(10**9, 86_400), 500, 12),
        (Fraction(10**9, 86_400), 1024, 13),
        (0, 1, 1),
        (1000, 968, 1),  # 1000 records and 1,000,000 bytes, keys included: exactly one shard
        (1001, 1, 2),
        (1000, 969, 2),
        (1, 1_024_000, 2),
    ],
)
def test_shards_by_records_and_by_bytes(records, size, shards):
    assert shards_needed(records, size) == shards


def test_the_load_is_kept_with_the_table():
    table = declare(peak_events_per_second=2000, event_bytes=468, input_stream_shard_count=2).get_table("clicks")
    assert (table.peak_events_per_second, table.event_bytes) == (2000, 468)
    table = declare().get_table("clicks")
    assert (table.peak_events_per_second, table.event_bytes) == (None, None)


def test_too_few_shards_say_how_many():
    assert refused(peak_events_per_second=5000, event_bytes=500, input_stream_shard_count=2) == (
        "Table 'clicks': input_stream_shard_count is 2; 5000 events a second of 500 bytes need 5 shards. A shard takes "
        "1000 records and 1000000 bytes a second, with 32 bytes of partition key a record. Next: declare "
        "input_stream_shard_count=5, or a lower peak."
    )
    assert "need 5 shards" in refused(peak_events_per_second=5000, event_bytes=500, input_stream_shard_count=4)
    declare(peak_events_per_second=5000, event_bytes=500, input_stream_shard_count=5)


def test_more_shards_than_a_table_can_have():
    message = refused(peak_events_per_second=500_000, event_bytes=2000, input_stream_shard_count=500)
    assert "need 1016 shards" in message
    assert message.endswith(
        "a table has at most 500: declare several tables, or let producers put several events into a record and "
        "declare the records."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_bytes": 500}, "peak_events_per_second is None and event_bytes is 500; give both, or neither."),
        ({"peak_events_per_second": 5}, "peak_events_per_second is 5 and event_bytes is None; give both, or neither."),
        (
            {"peak_events_per_second": 0, "event_bytes": 5},
            "peak_events_per_second is 0; valid is a whole number from 1 to 500000.",
        ),
        (
            {"peak_events_per_second": 1.5, "event_bytes": 5},
            "peak_events_per_second is 1.5; valid is a whole number from 1 to 500000.",
        ),
        (
            {"peak_events_per_second": 1, "event_bytes": 0},
            "event_bytes is 0; valid is a whole number from 1 to 1024000.",
        ),
        (
            {"peak_events_per_second": 1, "event_bytes": 1_024_001},
            "event_bytes is 1024001; valid is a whole number from 1 to 1024000.",
        ),
        (
            {"peak_events_per_second": True, "event_bytes": 1},
            "peak_events_per_second is True; valid is a whole number from 1 to 500000.",
        ),
    ],
)
def test_what_is_not_a_load(arguments, message):
    assert refused(**arguments) == f"Table 'clicks': {message}"


def test_the_largest_event():
    declare(peak_events_per_second=1, event_bytes=1_024_000, input_stream_shard_count=2)


def test_the_pure_parts_need_the_standard_library_alone():
    code = (
        "import sys, datawarehouse.aws.cost, datawarehouse.aws.capacity; datawarehouse.aws.cost.read_prices(); "
        "print(*{name.partition('.')[0] for name in sys.modules} & {'pyarrow', 'duckdb', 'sqlglot', 'pulumi', 'boto3'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=patient(60))
    assert (done.stdout.strip(), done.stderr) == ("", "")
