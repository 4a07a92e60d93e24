"""`dw cost` as a user runs it."""

import json
import re

import pytest
from running import command

DECLARATION = """
from datawarehouse import Warehouse

def job(context):
    return []

load = {{"peak_events_per_second": 1000, "event_bytes": 500}}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {{"id": "string"}}, input_stream_shard_count=4, retention_days=30, **load)
    .with_streaming_input_table("views", {{"id": "string"}}{more})
    .with_batch_input_table("counts", {{"n": "int"}}, job, "rate(1 hour)")
)
"""
BILLION = ("--events-per-day", "1e9", "--event-bytes", "500")


@pytest.fixture
def dw(tmp_path):
    def run(*arguments):
        return command(tmp_path, "cost", *arguments)

    run.folder = tmp_path
    return run


def values(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_table_has_a_line_for_each_price_the_total_and_the_cheapest_alternative(dw):
    done = dw(*BILLION)
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(" +", " ", done.stdout)
    assert "(one stream) 1000000000 500 1 24\n" in shown
    assert "Kinesis Data Streams provisioned shards 576.00 shard-hour 0.015 8.64 2023-09\n" in shown
    assert (
        "Data Firehose converted to Parquet, in the same steps 4768.37 GB (2^30) 0.018 85.83 2026-11, unconfirmed\n"
        in shown
    )
    assert "Total: $246.94 a day, $7408.19 in 30 days\n" in shown
    assert "List prices of us-east-1, stated 2020-10 to 2026-11;" in shown
    assert "--mode on-demand 320.18 73.24\n" in shown
    assert (
        "The cheapest: --events-per-record 50, packed by producers; not proven on AWS, $27.20 a day, $219.74 less\n"
        in shown
    )
    assert "Raise" not in shown
    assert "$ a day Parquet Parquet packed Iceberg Iceberg packed rests on\n" in shown
    assert (
        "Data Firehose: delivered to Iceberg from Kinesis, not rounded 0.00 0.00 20.95 20.95 secondary source\n"
        in shown
    )
    assert "Glue Data Catalog: Iceberg tables optimized 0.00 0.00 2.20 2.20 secondary source, quantity assumed" in shown
    assert "Total 246.94 27.20 48.27 30.24" in shown
    chosen = "It would choose: Iceberg packed, $30.24 a day: $216.70 less than Parquet; never run on an account.\n"
    assert chosen in shown
    assert "It would choose: Parquet, $0.36 a day: nothing" in dw("--events-per-day", "9", "--event-bytes", "9").stdout


def test_the_same_for_programs(dw):
    found = values(dw(*BILLION, "--events-per-record", "50", "--headroom", "1", "--output", "json"))
    by_service = found["usd_per_day_by_service"]
    assert round(by_service["Kinesis Data Streams"] + by_service["Data Firehose"], 2) == 24.85
    assert (found["region"], found["usd_per_day"], found["usd_per_month"]) == ("us-east-1", 25.04, 751.14)
    assert found["streams"] == [
        {"table": "(one stream)", "events_per_day": 1e9, "event_bytes": 500, "events_per_record": 50, "shards": 6}
    ]
    assert found["lines"][0] == {
        "service": "Kinesis Data Streams",
        "counted": "provisioned shards",
        "quantity": 144,
        "unit": "shard-hour",
        "usd_per_unit": 0.015,
        "usd_per_day": 2.16,
        "price_date": "2023-09",
        "price_source": "https://aws.amazon.com/kinesis/data-streams/pricing/",
        "price_confirmed": True,
    }
    assert (found["cheapest"], found["quotas_to_raise"]) == (None, [])
    totals = {each["form"]: each["usd_per_day"] for each in found["forms"]}
    assert totals == {"Parquet": 242.62, "Parquet packed": 25.04, "Iceberg": 43.95, "Iceberg packed": 28.08}
    assert found["choice"] == "Iceberg packed"
    [iceberg] = [line for line in found["forms"][2]["lines"] if line["counted"].startswith("delivered to Iceberg")]
    assert iceberg == {
        "service": "Data Firehose",
        "counted": "delivered to Iceberg from Kinesis, not rounded",
        "usd_per_day": 20.954758,
        "price_date": "2025-08",
        "price_source": "https://aws.amazon.com/firehose/pricing/",
        "rests_on": "secondary source",
    }


def test_the_load_of_the_declaration(dw):
    load = ", peak_events_per_second=2000, event_bytes=120, input_stream_shard_count=2, file_flush_interval_seconds=60"
    (dw.folder / "warehouse.py").write_text(DECLARATION.format(more=load))
    found = values(dw("--output", "json", "--no-free-tier"))
    # the peak over the headroom of 2, for 86,400 s; the shards as declared
    assert [tuple(each.values()) for each in found["streams"]] == [
        ("clicks", 43_200_000, 500, 1, 4),
        ("views", 86_400_000, 120, 1, 2),
    ]
    quantities = {line["counted"]: line["quantity"] for line in found["lines"]}
    assert quantities["provisioned shards"] == 144
    assert quantities["PUT payload units of 25 KB"] == 129.6
    assert quantities["Parquet stored"] == 4.32  # 21.6 GB a day, a fifth of it, for a month
    assert quantities["PUT requests"] == 4.489325  # 10 * 21.6e9 / 2^27 = 1609.325 for clicks, 2 * 1440 for views
    assert quantities["partitions registered"] == 0.000384  # eight requests a run
    assert quantities["runs of jobs and of the partition registrar"] == 0.000072
    assert quantities["time of jobs, arm64"] == 720  # 24 runs of 60 s with half a GB
    settings = [each["setting"] for each in found["alternatives"]]
    assert "fewer shards: 1 for clicks" in settings
    assert "a flush interval of 900 s" in settings
    assert found["cheapest"] == found["alternatives"][0]


def test_the_compaction_of_the_declaration_is_counted(dw):
    load = ', peak_events_per_second=2000, event_bytes=120, compaction="hourly"'
    scanned = []
    for more in (load, load.replace(', compaction="hourly"', "")):
        (dw.folder / "warehouse.py").write_text(DECLARATION.format(more=more + ", input_stream_shard_count=2"))
        [line] = [line for line in values(dw("--output", "json"))["lines"] if line["service"] == "Athena"]
        scanned.append(line["quantity"])
    assert scanned == [0.002074, 0]  # 10.368e9 bytes of events, a fifth of it


def test_the_lateness_of_the_declaration_is_counted(dw):
    load = ", peak_events_per_second=2000, event_bytes=120, input_stream_shard_count=2, event_time='at'"
    declaration = DECLARATION.format(more=load).replace('"views", {', '"views", {"at": "timestamp", ')
    (dw.folder / "warehouse.py").write_text(declaration)
    [line] = [line for line in values(dw("--output", "json"))["lines"] if line["service"] == "Athena"]
    assert line["quantity"] == 0.000691  # 86.4 million event times of 8 bytes


def test_the_bill_of_a_declared_table_in_iceberg(dw):
    load = ", peak_events_per_second=2000, event_bytes=120, input_stream_shard_count=2, table_format='iceberg'"
    (dw.folder / "warehouse.py").write_text(DECLARATION.format(more=load))
    quantities = {line["counted"]: line["quantity"] for line in values(dw("--output", "json"))["lines"]}
    # views alone: 86.4 million events of 120 B
    assert round(quantities["delivered to Iceberg from Kinesis, not rounded"] * 2**30) == pytest.approx(
        10.368e9, rel=1e-6
    )
    assert quantities["partitions registered"] == 0.000192, "clicks alone"
    shown = re.sub(" +", " ", dw().stdout)
    assert re.search(r"Iceberg tables optimized 0\.103680 DPU-hour 0\.44 0\.05 2026-10, quantity assumed\n", shown)
    done = dw("--events-per-record", "8000")
    assert "Firehose takes 1024000. Valid is 1 to 2043." in done.stderr, "the first stream that cannot"


def test_tables_without_a_load_are_named(dw):
    (dw.folder / "warehouse.py").write_text(DECLARATION.format(more=""))
    done = dw()
    assert done.returncode == 2
    assert "does not say what load to expect for views." in done.stderr
    assert "peak_events_per_second=... and event_bytes=..." in done.stderr
    assert "--events-per-day and --event-bytes" in done.stderr
    assert values(dw(*BILLION, "--output", "json"))["usd_per_day"] == 246.94


def test_quotas_to_raise_are_listed(dw):
    done = dw("--events-per-day", "1e11", "--event-bytes", "120")
    assert (
        "Raise before you deploy: Kinesis Data Streams, provisioned shards: 2316 needed, 500 by default" in done.stdout
    )
    assert "Data Firehose, ingested, records in steps of 5 KB: AWS charges less for a part of it" in done.stdout
    on_demand = values(
        dw("--events-per-day", "1e11", "--event-bytes", "120", "--mode", "on-demand", "--output", "json")
    )
    assert (on_demand["quotas_to_raise"], on_demand["streams"][0]["shards"]) == ([], None)
    elsewhere = dw("--events-per-day", "1e10", "--event-bytes", "120", "--region", "eu-central-1")
    assert "provisioned shards: 232 needed, 200 by default" in elsewhere.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (),
            "There is no declaration warehouse.py to take the load from. Give --events-per-day and --event-bytes, e.g.",
        ),
        (("--events-per-day", "5"), "--event-bytes is missing: give both"),
        (("--event-bytes", "5"), "--events-per-day is missing: give both"),
        (
            ("--events-per-day", "5", "--event-bytes", "0.5"),
            "--event-bytes is 0.5; valid is a whole number from 1 to 1024000.",
        ),
        (
            ("--events-per-day", "-5", "--event-bytes", "5"),
            "--events-per-day is -5; valid is a number from 0 to 1000000000000000.",
        ),
        (("--events-per-day", "nan", "--event-bytes", "5"), "'nan' is not a number; valid are e.g. 500, 0.5 and 1e9"),
        (("--events-per-day", "1e999999999", "--event-bytes", "5"), "'1e999999999' is not a number"),
        (
            (*BILLION, "--events-per-record", "2044"),
            "--events-per-record is 2044: with events of 500 bytes, records have 1024043 bytes; Firehose takes "
            "1024000. Valid is 1 to 2043.",
        ),
        ((*BILLION, "--region", "Frankfurt"), "--region is 'Frankfurt'; valid is an AWS Region, e.g. 'eu-west-1'."),
        ((*BILLION, "--headroom", "0.5"), "--headroom is 0.5; valid is a number from 1 to 100."),
        (
            (*BILLION, "--flush-interval-seconds", "901"),
            "--flush-interval-seconds is 901; valid is a whole number from 1 to 900.",
        ),
    ],
)
def test_wrong_use(dw, arguments, message):
    done = dw(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
