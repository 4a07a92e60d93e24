"""dw lateness"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.cli.options import add_on, add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, print_table, quantity, remark
from datawarehouse.clock import WallClock
from datawarehouse.definition.lateness import LATENESS_SUFFIX
from datawarehouse.errors import BadRequest, UnknownName, did_you_mean
from datawarehouse.query.lateness import QUANTILES, Lateness, lateness_by_hour
from datawarehouse.runtime.reader import Reader

_COLUMNS = ("arrived", "events", "without", *QUANTILES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="a streaming input table that declares its event_time")
    parser.add_argument("--limit", type=int, default=24, metavar="HOURS", help="how many hours to show (default: 24)")
    add_output(parser, "table", "json")
    add_on(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    by_hour = _on_aws(arguments) if arguments.on else _here(arguments)
    every = Lateness()
    for hour in by_hour.values():
        every.add(hour)
    latest = list(by_hour.items())[-arguments.limit :] if arguments.limit > 0 else []
    shown = [{"arrived": partition, **hour.values()} for partition, hour in latest]
    if arguments.output == "json":
        print_json({"table": arguments.table, "unit": "hours", **every.values(), "hours": shown})
        return
    rows = [{"arrived": f"all {quantity(len(by_hour), 'hour')}", **every.values()}, *reversed(shown)]
    print_table(_COLUMNS, ([None if row[name] is None else str(row[name]) for name in _COLUMNS] for row in rows))
    remark("In hours, from the one in which an event happened to the one in which it arrived.")
    if every.unknown:
        remark(f"{quantity(every.unknown, 'row')} in files of before are not counted: `dw compact` counts them.")
    if arguments.on and not by_hour:
        job = f"{arguments.table}{LATENESS_SUFFIX}"
        remark(
            f"No hour with events is measured. The job {job} measures each hour when it is over; `dw backfill {job} "
            "--on aws --from TIME` measures those of before."
        )


def _here(arguments: argparse.Namespace) -> Mapping[str, Lateness]:
    settings = settings_of(arguments)
    with Reader(settings.folder, settings) as reader:
        _check(reader.catalog, arguments.table)
        return lateness_by_hour(reader.catalog.by_event_time.counts(arguments.table))


def _on_aws(arguments: argparse.Namespace) -> Mapping[str, Lateness]:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.lateness import measured_by_hour

    with deployed(arguments) as (deployment, clients):
        return measured_by_hour(deployment, clients, arguments.table, WallClock().now_ms())


def _check(catalog: Catalog, name: str) -> None:
    tables = {table.name: table.event_time for table in catalog.tables()}
    having = ", ".join(repr(table) for table, event_time in tables.items() if event_time) or "none"
    if name not in tables:
        hint = did_you_mean(name, tables)
        raise UnknownName(f"There is no table {name!r}; those that declare their event_time are {having}.{hint}")
    if tables[name] is None:
        raise BadRequest(
            f"Table {name!r} declares no event_time, so that it is not known when its events happened; those that do "
            f"are {having}. Give with_streaming_input_table(..., event_time='the column that says it')."
        )
