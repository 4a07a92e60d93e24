"""dw compact"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import msgspec

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json, print_table, size
from datawarehouse.clock import WallClock
from datawarehouse.definition.tables import StreamingInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest
from datawarehouse.parquet.footer import REJECTS, ROWS
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.reader import Reader
from datawarehouse.tidy.chores import Planned, Planner, limits_of

_DONE = ("table", "files_before", "files_after", "removed_rows", "bytes")
_EXPLAINED = ("table", "holds", "partition", "files", "size", "compacts", "because")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", nargs="*", help="streaming input tables (default: all)")
    parser.add_argument("--explain", action="store_true", help="change nothing; say what would be done, and why")
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    settings, warehouse = settings_of(arguments), warehouse_of(arguments)
    tables = _chosen(warehouse, arguments.table)
    if arguments.explain:
        with Reader(settings.folder, settings) as reader:
            planner = Planner(warehouse.tables(), reader.catalog, limits_of(settings.number), WallClock())
            explained = [_explained(planned) for planned in _plans(planner, reader.catalog, tables)]
        if arguments.output == "json":
            print_json(explained)
        else:
            shown = [{**each, "size": size(each["bytes"])} for each in explained]
            print_table(_EXPLAINED, ([str(each[name]) for name in _EXPLAINED] for each in shown))
        return
    client = client_of(settings.folder, timeout_s=None)
    if client:
        done = [client.call("POST", "/v1/admin/compact", msgspec.json.encode({"table": name})) for name in tables]
    else:
        with open_alone(warehouse, settings) as opened:
            done = [asdict(opened.compact(name)) for name in tables]
    results = [{"table": name} | each for name, each in zip(tables, done, strict=True)]
    if arguments.output == "json":
        print_json(results)
    else:
        print_table(_DONE, ([str(each[name]) for name in _DONE] for each in results))


def _chosen(warehouse: Warehouse, names: list[str]) -> list[str]:
    streaming = [table.name for table in warehouse.tables() if isinstance(table, StreamingInputTable)]
    for name in names:
        if name not in streaming:
            raise BadRequest(f"{name!r} is no streaming input table; there are {', '.join(streaming) or 'none'}.")
    return names or streaming


def _plans(planner: Planner, catalog: Catalog, tables: list[str]) -> list[Planned]:
    known = {table.name for table in catalog.tables()}
    return [
        planned for name in tables if name in known for kind in (ROWS, REJECTS) for planned in planner.all(name, kind)
    ]


def _explained(planned: Planned) -> dict[str, Any]:
    return {
        "table": planned.table,
        "holds": planned.kind,
        "partition": planned.partition,
        "files": len(planned.files),
        "bytes": sum(file.bytes for file in planned.files),
        "compacts": "yes" if planned.plan.steps else "no",
        "because": planned.plan.reason,
    }
