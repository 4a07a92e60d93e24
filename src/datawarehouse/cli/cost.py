"""dw cost"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from datawarehouse.aws.capacity import REGION_NAME, Need, Quota, need_of, quotas_to_raise
from datawarehouse.aws.cost import (
    DAYS_PER_MONTH,
    FLUSH_INTERVAL_SECONDS_MAX,
    MODES,
    PROVISIONED,
    SECONDS_PER_DAY,
    Alternative,
    Assumptions,
    Line,
    Price,
    Prices,
    StreamLoad,
    alternatives,
    beyond_first_tier,
    bill,
    events_per_record_max,
    read_prices,
    runs_per_day,
    shards,
    total_usd,
)
from datawarehouse.aws.forms import (
    FORMS,
    PARQUET,
    PARQUET_PACKED,
    WORTH_USD_PER_DAY,
    choice,
    dollars,
    rests_on,
    side_by_side,
)
from datawarehouse.cli.options import add_output, add_warehouse, warehouse_of
from datawarehouse.cli.output import print_json, print_table
from datawarehouse.definition.tables import EVENT_BYTES_MAX, RETENTION_DAYS_MAX, BatchInputTable, StreamingInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.declaration import split

if TYPE_CHECKING:
    from datawarehouse.runtime.console import Arrived

_EVENTS_PER_DAY_MAX = 10**15
_DIGITS_MAX = 30
_LINES = ("service", "what is counted", "quantity", "unit", "$ per unit", "$ a day", "price of")
_STREAMS = ("table", "events a day", "bytes an event", "events a record", "shards")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--events-per-day", type=_number, metavar="N", help="events of one stream (default: as the tables declare)")
    option("--event-bytes", type=_number, metavar="BYTES", help="bytes of one event, together with --events-per-day")
    option("--events-per-record", type=_number, default=1, metavar="N", help="as producers pack them (default: 1)")
    option("--headroom", type=_number, default=2, metavar="RATIO", help="the peak divided by the average (default: 2)")
    option("--mode", choices=MODES, default=PROVISIONED, help=f"mode of the streams (default: {PROVISIONED})")
    what = f"from 1 to {FLUSH_INTERVAL_SECONDS_MAX} (default: as declared, or {FLUSH_INTERVAL_SECONDS_MAX})"
    option("--flush-interval-seconds", type=_number, metavar="S", help=what)
    what = "how long S3 keeps the data (default: as declared; without, storage is left out)"
    option("--retention-days", type=_number, metavar="DAYS", help=what)
    what = "bytes of events divided by bytes of Parquet (default: 5)"
    option("--parquet-ratio", type=_number, default=5, metavar="RATIO", help=what)
    what = "10^12 bytes that queries scan a day (default: 0)"
    option("--queries-tb-per-day", type=_number, default=0, metavar="TB", help=what)
    option("--job-seconds", type=_number, default=60, metavar="S", help="seconds that a job runs (default: 60)")
    option("--job-memory-gb", type=_number, default=0.5, metavar="GB", help="memory of a job in GB (default: 0.5)")
    option("--region", metavar="REGION", help="whose default quotas are compared (default: that of the prices)")
    option("--no-free-tier", action="store_true", help="count no free tiers (other work in the account uses them up)")
    add_warehouse(parser)
    add_output(parser, "table", "json")


def run(arguments: argparse.Namespace) -> None:
    assumptions = Assumptions(
        mode=arguments.mode,
        headroom=_checked(arguments, "headroom", 1, 100),
        parquet_ratio=_checked(arguments, "parquet_ratio", 1, 1000),
        queries_tb_per_day=_checked(arguments, "queries_tb_per_day", 0, 10**6),
        job_seconds=_checked(arguments, "job_seconds", 0, 900),
        job_memory_gb=_checked(arguments, "job_memory_gb", 0, 10),
        free_tier=not arguments.no_free_tier,
    )
    if arguments.region is not None and not REGION_NAME.fullmatch(arguments.region):
        raise BadRequest(f"--region is {arguments.region!r}; valid is an AWS Region, e.g. 'eu-west-1'.")
    if arguments.events_per_day is None and arguments.event_bytes is None:
        warehouse = _declared(arguments)
        streams = [_with_options(stream, arguments) for stream in _declared_streams(warehouse, assumptions.headroom)]
        assumptions = replace(assumptions, job_runs_per_day=_job_runs_per_day(warehouse))
        need = need_of(warehouse.tables())
    else:
        streams = [_with_options(_given_stream(arguments), arguments)]
        count = shards(streams[0], assumptions.headroom)
        need = Need(shards=count, delivery_streams=1, tables=1, functions=1, queries=0)
    if assumptions.mode != PROVISIONED:
        need = replace(need, shards=0, on_demand_streams=len(streams))
    prices = read_prices()
    _report(streams, assumptions, prices, quotas_to_raise(need, arguments.region or prices.region)).print(
        arguments.output
    )


def cost_of(warehouse: Warehouse, arrived: Arrived) -> dict[str, Any]:
    """What `dw cost --output json` prints, for what arrives in each stream of a declaration: events a day, and their
    bytes."""
    streams = [
        _load(table, Fraction(arrived[table.name][0]), min(arrived[table.name][1], EVENT_BYTES_MAX))
        for table in warehouse.tables()
        if isinstance(table, StreamingInputTable)
    ]
    prices, assumptions = read_prices(), Assumptions(job_runs_per_day=_job_runs_per_day(warehouse))
    quotas = quotas_to_raise(need_of(warehouse.tables()), prices.region)
    return _report(streams, assumptions, prices, quotas).values()


def _report(
    streams: Sequence[StreamLoad], assumptions: Assumptions, prices: Prices, quotas: Sequence[Quota]
) -> _Report:
    return _Report(
        streams,
        assumptions,
        prices,
        bill(streams, assumptions, prices),
        alternatives(streams, assumptions, prices),
        side_by_side(streams, assumptions, prices),
        quotas,
    )


@dataclass(frozen=True, slots=True)
class _Report:
    streams: Sequence[StreamLoad]
    assumptions: Assumptions
    prices: Prices
    lines: Sequence[Line]
    alternatives: Sequence[Alternative]
    forms: Mapping[str, Sequence[Line]]
    quotas: Sequence[Quota]

    def print(self, form: str) -> None:
        if form == "json":
            print_json(self.values())
        else:
            self.print_tables()

    @property
    def usd(self) -> Fraction:
        return total_usd(self.lines)

    @property
    def cheapest(self) -> Alternative | None:
        """The cheapest alternative that is cheaper, in whole cents."""
        first = self.alternatives[0]
        return first if _rounded(first.usd) < _rounded(self.usd) else None

    def stream_rows(self) -> list[tuple[str, Fraction, int, int, int | None]]:
        """A row for each stream; shards are None for an on-demand stream."""
        provisioned = self.assumptions.mode == PROVISIONED
        return [
            (
                stream.table,
                stream.events_per_day,
                stream.event_bytes,
                stream.events_per_record,
                shards(stream, self.assumptions.headroom) if provisioned else None,
            )
            for stream in self.streams
        ]

    def print_tables(self) -> None:
        print_table(
            _STREAMS,
            (
                (table, str(_rounded(events, 0)), str(size), str(packed), "on demand" if count is None else str(count))
                for table, events, size, packed, count in self.stream_rows()
            ),
        )
        print()
        print_table(
            _LINES,
            (
                (
                    line.price.service,
                    line.price.counted,
                    str(_rounded(line.quantity, 6 if 0 < line.quantity < 1 else 2)),
                    line.price.unit,
                    f"{line.price.usd:f}",
                    str(_rounded(line.usd)),
                    _stated(line.price),
                )
                for line in self.lines
            ),
        )
        month = _rounded(self.usd * DAYS_PER_MONTH)
        print(f"\nTotal: ${_rounded(self.usd)} a day, ${month} in {DAYS_PER_MONTH} days")
        dates = sorted(line.price.date for line in self.lines)
        print(f"List prices of {self.prices.region}, stated {dates[0]} to {dates[-1]}; compare them with today's.")
        for line in beyond_first_tier(self.lines):
            print(f"{line.price.service}, {line.price.counted}: AWS charges less for a part of it; see the reference.")
        print()
        print_table(
            ("alternative setting", "$ a day", "difference"),
            ((each.setting, str(_rounded(each.usd)), str(_rounded(each.usd - self.usd))) for each in self.alternatives),
        )
        if self.cheapest:
            less = _rounded(self.usd - self.cheapest.usd)
            print(f"\nThe cheapest: {self.cheapest.setting}, ${_rounded(self.cheapest.usd)} a day, ${less} less")
        else:
            print("\nNo alternative is cheaper.")
        self.print_forms()
        for quota in self.quotas:
            print(
                f"Raise before you deploy: {quota.service}, {quota.name}: {quota.needed} needed, "
                f"{quota.default} by default"
            )

    def print_forms(self) -> None:
        """The bill in each form of the tables, side by side, and which is recommended."""
        print()
        rows = [
            (f"{price.service}: {price.counted}", *(_cents(of.get(form)) for form in FORMS), rests_on(price))
            for price, of in dollars(self.forms, self.prices).items()
        ]
        totals = [_cents(total_usd(self.forms[form])) for form in FORMS]
        print_table(("$ a day", *FORMS, "rests on"), [*rows, ("Total", *totals, "")])
        chosen = choice(self.forms)
        if chosen.form == PARQUET:
            reason = f"nothing whose packing is documented saves ${WORTH_USD_PER_DAY} a day"
        else:
            reason = f"${_cents(chosen.less_usd)} less than {PARQUET}; never run on an account"
        print(f"\nIt would choose: {chosen.form}, ${_cents(chosen.usd)} a day: {reason}.")
        print(f"{PARQUET_PACKED} is several JSON objects in a record; nobody has published a test of that.")

    def values(self) -> dict[str, Any]:
        names = ("table", "events_per_day", "event_bytes", "events_per_record", "shards")
        cheapest = self.cheapest
        return {
            "region": self.prices.region,
            "prices_compiled": self.prices.compiled,
            "streams": [dict(zip(names, (row[0], float(row[1]), *row[2:]), strict=True)) for row in self.stream_rows()],
            "lines": [
                {
                    "service": line.price.service,
                    "counted": line.price.counted,
                    "quantity": float(_rounded(line.quantity, 6)),
                    "unit": line.price.unit,
                    "usd_per_unit": float(line.price.usd),
                    "usd_per_day": float(_rounded(line.usd, 6)),
                    "price_date": line.price.date,
                    "price_source": line.price.source,
                    "price_confirmed": line.price.confirmed,
                }
                for line in self.lines
            ],
            "usd_per_day_by_service": {
                service: float(_rounded(total_usd(line for line in self.lines if line.price.service == service), 6))
                for service in dict.fromkeys(line.price.service for line in self.lines)
            },
            "usd_per_day": float(_rounded(self.usd)),
            "usd_per_month": float(_rounded(self.usd * DAYS_PER_MONTH)),
            "alternatives": [_alternative(each) for each in self.alternatives],
            "cheapest": _alternative(cheapest) if cheapest else None,
            "forms": [
                {
                    "form": form,
                    "usd_per_day": float(_rounded(total_usd(lines))),
                    "lines": [
                        {
                            "service": line.price.service,
                            "counted": line.price.counted,
                            "usd_per_day": float(_rounded(line.usd, 6)),
                            "price_date": line.price.date,
                            "price_source": line.price.source,
                            "rests_on": rests_on(line.price),
                        }
                        for line in lines
                        if line.usd
                    ],
                }
                for form, lines in self.forms.items()
            ],
            "choice": choice(self.forms).form,
            "quotas_to_raise": [asdict(quota) for quota in self.quotas],
        }


def _stated(price: Price) -> str:
    """When a price was stated, and what is uncertain of the line."""
    unconfirmed = [] if price.confirmed else ["unconfirmed"]
    return ", ".join([price.date, *unconfirmed, *([f"quantity {price.quantity}"] if price.quantity else [])])


def _cents(usd: Fraction | None) -> str:
    return str(_rounded(usd or Fraction(0)))


def _alternative(alternative: Alternative) -> dict[str, Any]:
    return {"setting": alternative.setting, "usd_per_day": float(_rounded(alternative.usd))}


def _declared(arguments: argparse.Namespace) -> Warehouse:
    path, _ = split(arguments.warehouse)
    if not path.is_file():
        raise BadRequest(
            f"There is no declaration {path} to take the load from. Give --events-per-day and --event-bytes, e.g. "
            "--events-per-day 1e9 --event-bytes 500, or name your declaration with --warehouse FILE[:NAME]."
        )
    return warehouse_of(arguments)


def _declared_streams(warehouse: Warehouse, headroom: Fraction) -> list[StreamLoad]:
    tables = [table for table in warehouse.tables() if isinstance(table, StreamingInputTable)]
    missing = [table.name for table in tables if table.peak_events_per_second is None]
    if missing:
        raise BadRequest(
            f"The declaration does not say what load to expect for {', '.join(missing)}. Declare "
            "peak_events_per_second=... and event_bytes=... for each, or give --events-per-day and --event-bytes for "
            "one stream, which needs no declaration."
        )
    return [
        _load(table, Fraction(table.peak_events_per_second or 0) / headroom * SECONDS_PER_DAY, table.event_bytes or 0)
        for table in tables
    ]


def _load(table: StreamingInputTable, events_per_day: Fraction, event_bytes: int) -> StreamLoad:
    return StreamLoad(
        table.name,
        events_per_day,
        event_bytes,
        shard_count=table.input_stream_shard_count,
        flush_interval_seconds=table.file_flush_interval_seconds,
        partition_runs_per_day=runs_per_day(table.partition_schedule_expression),
        retention_days=table.retention_days or 0,
        table_format=table.table_format,
        is_compacted=table.compaction is not None,
        is_timed=table.event_time is not None,
    )


def _given_stream(arguments: argparse.Namespace) -> StreamLoad:
    if arguments.events_per_day is None or arguments.event_bytes is None:
        missing = "--events-per-day" if arguments.events_per_day is None else "--event-bytes"
        raise BadRequest(
            f"{missing} is missing: give both, e.g. --events-per-day 1e9 --event-bytes 500, or neither, to take "
            "the load from the declaration."
        )
    events = _checked(arguments, "events_per_day", 0, _EVENTS_PER_DAY_MAX)
    return StreamLoad("(one stream)", events, _checked_whole(arguments, "event_bytes", 1, EVENT_BYTES_MAX))


def _with_options(stream: StreamLoad, arguments: argparse.Namespace) -> StreamLoad:
    """The stream, changed as the options say."""
    packed = replace(stream, events_per_record=_checked_whole(arguments, "events_per_record", 1, EVENT_BYTES_MAX))
    if packed.record_bytes > EVENT_BYTES_MAX:
        most = events_per_record_max(stream)
        raise BadRequest(
            f"--events-per-record is {packed.events_per_record}: with events of {stream.event_bytes} bytes, records "
            f"have {packed.record_bytes} bytes; Firehose takes {EVENT_BYTES_MAX}. Valid is 1 to {most}."
        )
    if arguments.flush_interval_seconds is not None:
        seconds = _checked_whole(arguments, "flush_interval_seconds", 1, FLUSH_INTERVAL_SECONDS_MAX)
        packed = replace(packed, flush_interval_seconds=seconds)
    if arguments.retention_days is not None:
        packed = replace(packed, retention_days=_checked_whole(arguments, "retention_days", 0, RETENTION_DAYS_MAX))
    return packed


def _job_runs_per_day(warehouse: Warehouse) -> Fraction:
    jobs = [table for table in warehouse.tables() if isinstance(table, BatchInputTable)]
    return sum((runs_per_day(job.schedule_expression) for job in jobs), Fraction(0))


def _number(text: str) -> Fraction:
    """The number of an option; 1e9 is also valid."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _DIGITS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; valid are e.g. 500, 0.5 and 1e9")
    return Fraction(number)


def _checked(arguments: argparse.Namespace, name: str, low: int, high: int) -> Fraction:
    value = Fraction(getattr(arguments, name))
    if not low <= value <= high:
        raise BadRequest(f"{_flag(name)} is {_shown(value)}; valid is a number from {low} to {high}.")
    return value


def _checked_whole(arguments: argparse.Namespace, name: str, low: int, high: int) -> int:
    value = Fraction(getattr(arguments, name))
    if value.denominator != 1 or not low <= value <= high:
        raise BadRequest(f"{_flag(name)} is {_shown(value)}; valid is a whole number from {low} to {high}.")
    return int(value)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else str(float(value))


def _rounded(value: Fraction, places: int = 2) -> Decimal:
    """Rounded half up, as money is."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
