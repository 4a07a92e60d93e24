"""dw expire"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json, print_table, quantity, remark, size
from datawarehouse.clock import WallClock
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.reader import Reader
from datawarehouse.tidy.chores import Planner, limits_of

_COLUMNS = ("table", "partition", "files", "rows", "rejects", "size")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="change nothing; show what would be deleted")
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    settings, warehouse = settings_of(arguments), warehouse_of(arguments)
    client = None if arguments.dry_run else client_of(settings.folder)
    if arguments.dry_run:
        with Reader(settings.folder, settings) as reader:
            planner = Planner(warehouse.tables(), reader.catalog, limits_of(settings.number), WallClock())
            found = asdict(planner.expired())
    elif client:
        found = client.call("POST", "/v1/admin/expire", b"")
    else:
        with open_alone(warehouse, settings) as opened:
            found = asdict(opened.expire())
    if arguments.output == "json":
        print_json(found)
        return
    shown = [{**held, "size": size(held["bytes"])} for held in found["partitions"]]
    print_table(_COLUMNS, ([str(held[name]) for name in _COLUMNS] for held in shown))
    verb = "would go" if arguments.dry_run else "went"
    remark(f"{quantity(len(shown), 'partition')} and {quantity(found['runs'], 'record')} of runs {verb}")
