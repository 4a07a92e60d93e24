"""What streams and jobs cost on AWS in a day. Pure, except that it reads the price file of this folder.

1. `amounts`: what AWS counts in a day, for each price: shard-hours, bytes rounded up by the record, requests.
2. `bill`: amounts times prices, less the free tiers.
3. `alternatives`: the bills with one setting changed, the cheapest first. `forms`, beside this, compares the formats of
   tables.

Money and quantities are exact fractions; they are rounded where they are printed. The formulas, and the costs that are
not counted, are in docs/reference/cost.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from math import ceil

from datawarehouse.definition.schedule import Rate, parse_schedule
from datawarehouse.definition.tables import EVENT_BYTES_MAX, HIVE, ICEBERG, shards_needed

SECONDS_PER_DAY = 86_400
HOURS_PER_DAY = 24
DAYS_PER_MONTH = 30
BUFFER_BYTES = 128 * 1024 * 1024
"""Firehose with format conversion writes an object at the latest when its buffer has 128 MiB."""
PARALLEL_BUFFERS = 10
"""Firehose scales out into parallel buffers, each with its own objects: ten times the number of full buffers."""
FLUSH_INTERVAL_SECONDS_MAX = 900
REGISTRAR_CALLS = 8
"""GetTable, GetPartitions, BatchCreatePartition and BatchGetPartition, for a table and its quarantine."""
QUERY_BYTES_MIN = 10_000_000
"""Athena bills each query as if it scanned 10 MB or more."""
EVENT_TIME_BYTES = 8
"""Of a timestamp in Parquet, as if none were compressed."""
PACKED_BYTES = 25_000
"""How many bytes of events producers pack into a record: a payload unit of 25 KB, less room for line ends and larger
events."""
AGGREGATE_BYTES, AGGREGATE_EVENT_BYTES = 60, 8
"""What the aggregation format of the Kinesis Producer Library adds to a record, and to each event in it
(`producer/aggregate.py`; two bytes more for an event of 16 KB or more)."""

COMMIT_PUTS = 3
"""Manifest, manifest list and table metadata, beside the data file (Iceberg table specification). Each object of
Firehose is taken for a commit of its own, which is the most that it can be."""
COMMIT_CALLS = 2
"""GetTable and UpdateTable."""
CONVERT_BYTES = 209_715
"""How many bytes of records Firehose sends to the converting function at once, 0.2 MiB."""
CONVERT_US = ((120, 15), (500, 51), (1024, 54))
"""Bytes of an event, and the CPU time of its conversion in microseconds: benchmarks/convert_events.py."""
CORE_MB, GB_MB = 1769, 1024
"""The memory with which a function of Lambda has one core (Lambda developer guide, "Configure Lambda function memory"),
and the megabytes of the GB that is billed."""
OPTIMIZER_BYTES_PER_DPU_HOUR = 20 * 10**9
"""Of Parquet. Assumed: nobody has published what the optimizers of Glue take for a table that Firehose writes."""

PROVISIONED = "provisioned"
ON_DEMAND = "on-demand"
ADVANTAGE = "on-demand-advantage"
MODES = {
    PROVISIONED: ("kinesis_shard_hours", "kinesis_put_units"),
    ON_DEMAND: ("kinesis_on_demand_in", "kinesis_on_demand_out", "kinesis_on_demand_hours"),
    ADVANTAGE: ("kinesis_advantage_in", "kinesis_advantage_out"),
}
"""The modes of a stream, and the prices of each."""
FOR_HIVE = {"firehose_ingest", "firehose_conversion", "glue_requests"}
FOR_ICEBERG = {
    *("firehose_iceberg", "convert_requests", "convert_gb_seconds"),
    *("optimizer_dpu_hours", "commit_puts", "commit_calls"),
}
"""The prices that only tables of one format have."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for `unit_size` of what is counted; the fields are those of prices.toml."""

    service: str
    counted: str
    unit: str
    unit_size: int
    usd: Decimal
    date: str
    source: str
    stated_by: str
    confirmed: bool
    record_rounding_bytes: int = 1
    free_per_month: int = 0
    tier_per_month: int | None = None
    commitment_per_second: int = 0
    quantity: str = ""


@dataclass(frozen=True, slots=True)
class Prices:
    """The price file. region: the AWS Region of the prices; compiled: the month, YYYY-MM."""

    region: str
    compiled: str
    of: Mapping[str, Price]


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """The input stream of a table, its load on an average day, and its settings.

    table_format: as the table declares it. events_per_record: with a line end between each two; for Iceberg, of which
    Firehose wants one object in a record, in the aggregation format of the Kinesis Producer Library.

    shard_count: None for as many as the load needs. partition_runs_per_day: how often the partition registrar runs.
    retention_days: how long S3 keeps the data; 0 leaves storage out. is_compacted: whether Athena compacts its hours.
    is_timed: whether it has event time, so that Athena reads this column of each hour.
    """

    table: str
    events_per_day: Fraction
    event_bytes: int
    shard_count: int | None = None
    flush_interval_seconds: int = FLUSH_INTERVAL_SECONDS_MAX
    partition_runs_per_day: Fraction = Fraction(24)
    retention_days: int = 0
    events_per_record: int = 1
    table_format: str = HIVE
    is_compacted: bool = False
    is_timed: bool = False

    @property
    def records_per_day(self) -> Fraction:
        return self.events_per_day / self.events_per_record

    @property
    def record_bytes(self) -> int:
        """The bytes of a record's data: its events, and what is between and around them."""
        if self.table_format == ICEBERG and self.events_per_record > 1:
            return AGGREGATE_BYTES + self.events_per_record * aggregated_bytes(self.event_bytes)
        return self.events_per_record * (self.event_bytes + 1) - 1

    @property
    def bytes_per_day(self) -> Fraction:
        """The bytes of events alone."""
        return self.events_per_day * self.event_bytes


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What holds for all streams and jobs.

    headroom: the peak divided by the average. parquet_ratio: bytes of events divided by bytes of Parquet. free_tier:
    whether the free tiers of the account are still unused.
    """

    mode: str = PROVISIONED
    headroom: Fraction = Fraction(2)
    parquet_ratio: Fraction = Fraction(5)
    queries_tb_per_day: Fraction = Fraction(0)
    job_runs_per_day: Fraction = Fraction(0)
    job_seconds: Fraction = Fraction(60)
    job_memory_gb: Fraction = Fraction(1, 2)
    free_tier: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a bill: quantity in units of the price, US dollars for a day."""

    price: Price
    quantity: Fraction
    usd: Fraction


@dataclass(frozen=True, slots=True)
class Alternative:
    """The bill of a day with one setting changed, in US dollars."""

    setting: str
    usd: Fraction


def read_prices() -> Prices:
    """The prices that came with this release."""
    text = (files("datawarehouse.aws") / "prices.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text, parse_float=Decimal)
    region, compiled = found.pop("region"), found.pop("compiled")
    return Prices(region, compiled, {name: Price(**fields) for name, fields in found.items()})


def events_per_record_max(stream: StreamLoad) -> int:
    """How many events a record can have that Firehose takes."""
    if stream.table_format == ICEBERG:
        return max(1, (EVENT_BYTES_MAX - AGGREGATE_BYTES) // aggregated_bytes(stream.event_bytes))
    return (EVENT_BYTES_MAX + 1) // (stream.event_bytes + 1)


def aggregated_bytes(event_bytes: int) -> int:
    """The bytes that an event takes in an aggregate."""
    return event_bytes + AGGREGATE_EVENT_BYTES + (2 if event_bytes >= 16_000 else 0)


def convert_seconds(event_bytes: int) -> Fraction:
    """The CPU time that converting an event takes: as measured between two sizes, and beyond the last in proportion to
    the bytes."""
    last, last_us = CONVERT_US[-1]
    if event_bytes > last:
        return Fraction(last_us * event_bytes, last * 10**6)
    (low, low_us), (high, high_us) = CONVERT_US[:2] if event_bytes < CONVERT_US[1][0] else CONVERT_US[1:]
    return (low_us + max(event_bytes - low, 0) * Fraction(high_us - low_us, high - low)) / 10**6


def rounded_up(size: int, step: int) -> int:
    """The next multiple of `step` that is not less than `size`."""
    return -(-size // step) * step


def shards(stream: StreamLoad, headroom: Fraction) -> int:
    """How many shards the stream has: the declared number, or the number for the average load times the headroom.

    One shard, if one is enough for the peak.
    """
    if stream.shard_count is not None:
        return stream.shard_count
    per_second = stream.records_per_day / SECONDS_PER_DAY
    if shards_needed(per_second * headroom, stream.record_bytes) == 1:
        return 1
    return ceil(headroom * shards_needed(per_second, stream.record_bytes))


def objects_per_day(stream: StreamLoad, shard_count: int) -> Fraction:
    """The number of objects that Firehose writes: the larger of the numbers by full buffers and by the interval.

    At each interval the buffer of every shard becomes an object, unless it has no record.
    """
    by_size = PARALLEL_BUFFERS * stream.records_per_day * stream.record_bytes / BUFFER_BYTES
    by_interval = Fraction(shard_count * SECONDS_PER_DAY, stream.flush_interval_seconds)
    return min(max(by_size, by_interval), stream.records_per_day)


def amounts(streams: Sequence[StreamLoad], assumptions: Assumptions, prices: Prices) -> dict[str, Fraction]:
    """What AWS counts in a day, by the name of its price, in the order of a bill; each a number or a number of
    bytes."""

    hive = [stream for stream in streams if stream.table_format == HIVE]
    iceberg = [stream for stream in streams if stream.table_format == ICEBERG]

    def total(of: Callable[[StreamLoad], Fraction | int], among: Sequence[StreamLoad] = streams) -> Fraction:
        return Fraction(sum(of(stream) for stream in among))

    def rounded_bytes(name: str, among: Sequence[StreamLoad] = streams) -> Fraction:
        step = prices.of[name].record_rounding_bytes
        return total(lambda stream: stream.records_per_day * rounded_up(stream.record_bytes, step), among)

    def shard_count(stream: StreamLoad) -> int:
        return shards(stream, assumptions.headroom)

    def objects(among: Sequence[StreamLoad]) -> Fraction:
        return total(lambda stream: objects_per_day(stream, shard_count(stream)), among)

    registrations = total(lambda stream: stream.partition_runs_per_day, hive)
    seconds = total(lambda stream: stream.events_per_day * convert_seconds(stream.event_bytes), iceberg)
    iceberg_bytes = total(lambda stream: stream.bytes_per_day, iceberg)

    def compacted_bytes(stream: StreamLoad) -> Fraction:
        hour = stream.events_per_day * stream.event_bytes / assumptions.parquet_ratio / HOURS_PER_DAY
        return HOURS_PER_DAY * max(hour, Fraction(QUERY_BYTES_MIN))

    def timed_bytes(stream: StreamLoad) -> Fraction:
        hour = stream.events_per_day * EVENT_TIME_BYTES / HOURS_PER_DAY
        return HOURS_PER_DAY * max(hour, Fraction(QUERY_BYTES_MIN))

    compacted = [stream for stream in hive if stream.is_compacted]
    timed = [stream for stream in streams if stream.is_timed]
    function_runs = assumptions.job_runs_per_day + HOURS_PER_DAY * (len(compacted) + len(timed))
    counted = {
        "kinesis_shard_hours": total(lambda stream: 24 * shard_count(stream)),
        "kinesis_put_units": rounded_bytes("kinesis_put_units") / prices.of["kinesis_put_units"].record_rounding_bytes,
        "kinesis_on_demand_in": rounded_bytes("kinesis_on_demand_in"),
        "kinesis_on_demand_out": rounded_bytes("kinesis_on_demand_out"),
        "kinesis_on_demand_hours": Fraction(24 * len(streams)),
        "kinesis_advantage_in": rounded_bytes("kinesis_advantage_in"),
        "kinesis_advantage_out": rounded_bytes("kinesis_advantage_out"),
        "firehose_ingest": rounded_bytes("firehose_ingest", hive),
        "firehose_conversion": rounded_bytes("firehose_conversion", hive),
        "firehose_iceberg": iceberg_bytes,
        "convert_requests": iceberg_bytes / CONVERT_BYTES,
        "convert_gb_seconds": seconds * Fraction(CORE_MB, GB_MB),
        "optimizer_dpu_hours": iceberg_bytes / assumptions.parquet_ratio / OPTIMIZER_BYTES_PER_DPU_HOUR,
        "commit_puts": objects(iceberg) * COMMIT_PUTS,
        "commit_calls": objects(iceberg) * COMMIT_CALLS,
        "s3_put": objects(streams),
        "s3_storage": total(lambda stream: stream.bytes_per_day * stream.retention_days)
        / assumptions.parquet_ratio
        / DAYS_PER_MONTH,
        "glue_requests": registrations * REGISTRAR_CALLS,
        "lambda_requests": registrations + function_runs,
        "lambda_gb_seconds": function_runs * assumptions.job_seconds * assumptions.job_memory_gb,
        "athena_scanned": assumptions.queries_tb_per_day * prices.of["athena_scanned"].unit_size
        + total(compacted_bytes, compacted)
        + total(timed_bytes, timed),
    }
    others = {name for mode, names in MODES.items() if mode != assumptions.mode for name in names}
    others |= FOR_HIVE if not hive and iceberg else set()
    others |= set() if iceberg else FOR_ICEBERG
    return {name: amount for name, amount in counted.items() if name not in others}


def bill(streams: Sequence[StreamLoad], assumptions: Assumptions, prices: Prices) -> list[Line]:
    """The lines of a day's bill."""
    return [
        _line(prices.of[name], amount, assumptions.free_tier)
        for name, amount in amounts(streams, assumptions, prices).items()
    ]


def total_usd(lines: Iterable[Line]) -> Fraction:
    return sum((line.usd for line in lines), Fraction(0))


def beyond_first_tier(lines: Iterable[Line]) -> list[Line]:
    """The lines whose quantity in a month is larger than the first price tier; AWS charges less for the rest."""
    return [
        line
        for line in lines
        if line.price.tier_per_month is not None
        and line.quantity * line.price.unit_size * DAYS_PER_MONTH > line.price.tier_per_month
    ]


def alternatives(streams: Sequence[StreamLoad], assumptions: Assumptions, prices: Prices) -> list[Alternative]:
    """The bills with one setting changed for all streams, the cheapest first."""

    def changed(setting: str, to: Sequence[StreamLoad], under: Assumptions = assumptions) -> Alternative:
        return Alternative(setting, total_usd(bill(to, under, prices)))

    found = [
        changed(f"--mode {mode}", streams, replace(assumptions, mode=mode))
        for mode in MODES
        if mode != assumptions.mode
    ]
    unit_bytes = prices.of["kinesis_put_units"].record_rounding_bytes
    packed = [packed_stream(stream, unit_bytes, assumptions.headroom) for stream in streams]
    counts = sorted({stream.events_per_record for stream in packed})
    if any(after.events_per_record > before.events_per_record for before, after in zip(streams, packed, strict=True)):
        how = f"--events-per-record {counts[0]}" if len(counts) == 1 else f"records of about {PACKED_BYTES} bytes"
        is_proven = all(stream.table_format == ICEBERG for stream in streams)
        found.append(changed(f"{how}, packed by producers{'' if is_proven else '; not proven on AWS'}", packed))
    fitted = [_with_shards_at_most_needed(stream, assumptions.headroom) for stream in streams]
    if fitted != list(streams) and assumptions.mode == PROVISIONED:
        fewer = ", ".join(f"{stream.shard_count} for {stream.table}" for stream in fitted if stream not in streams)
        found.append(changed(f"fewer shards: {fewer}", fitted))
    calm = [replace(stream, flush_interval_seconds=FLUSH_INTERVAL_SECONDS_MAX) for stream in streams]
    if calm != list(streams):
        found.append(changed(f"a flush interval of {FLUSH_INTERVAL_SECONDS_MAX} s", calm))
    return sorted(found, key=lambda alternative: alternative.usd)


def packed_stream(stream: StreamLoad, unit_bytes: int, headroom: Fraction) -> StreamLoad:
    """The stream with as many events in a record as fit into one payload unit, and with no more shards than it then
    needs."""
    if stream.table_format == ICEBERG:
        fitting = (unit_bytes - AGGREGATE_BYTES) // aggregated_bytes(stream.event_bytes)
    else:
        fitting = (unit_bytes + 1) // (stream.event_bytes + 1)
    fitting = min(PACKED_BYTES // stream.event_bytes, fitting)
    packed = replace(stream, events_per_record=max(stream.events_per_record, fitting))
    return _with_shards_at_most_needed(packed, headroom)


def runs_per_day(schedule_expression: str) -> Fraction:
    """How often a schedule is due, on the average day of a year of 365 days; the years of a cron expression are
    ignored."""
    schedule = parse_schedule(schedule_expression)
    if isinstance(schedule, Rate):
        return Fraction(SECONDS_PER_DAY, int(schedule.interval.total_seconds()))
    days = sum(len(schedule.days(_YEAR, month)) for month in schedule.months)
    return Fraction(days * len(schedule.hours) * len(schedule.minutes), 365)


_YEAR = 2027  # any year that is not a leap year


def _line(price: Price, amount: Fraction, free_tier: bool) -> Line:
    amount = max(amount, Fraction(price.commitment_per_second * SECONDS_PER_DAY))
    free = Fraction(price.free_per_month, DAYS_PER_MONTH) if free_tier else Fraction(0)
    billed = max(amount - free, Fraction(0))
    return Line(price, amount / price.unit_size, billed / price.unit_size * Fraction(price.usd))


def _with_shards_at_most_needed(stream: StreamLoad, headroom: Fraction) -> StreamLoad:
    if stream.shard_count is None:
        return stream
    return replace(stream, shard_count=min(stream.shard_count, shards(replace(stream, shard_count=None), headroom)))
