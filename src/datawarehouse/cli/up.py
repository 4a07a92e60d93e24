"""dw up"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from datawarehouse.cli.options import add_output, add_settings, add_warehouse, settings_of, warehouse_of
from datawarehouse.cli.output import print_json
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.runtime.console import Arrived
from datawarehouse.runtime.declaration import Sources
from datawarehouse.runtime.logs import log_to_stderr
from datawarehouse.runtime.serve import serve
from datawarehouse.runtime.workers import StartChild, prepared_children
from datawarehouse.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_warehouse(parser)
    add_settings(parser)
    add_output(parser, "table", "json")


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    with prepared_children() as start_child:  # before the declaration: what that opens or starts is in no child
        _serve(arguments, settings, start_child)


def _serve(arguments: argparse.Namespace, settings: Settings, start_child: StartChild) -> None:
    warehouse = warehouse_of(arguments)
    sources = Sources(arguments.warehouse)
    log_to_stderr(settings.text("log_format"))

    def ready(url: str) -> None:
        if arguments.output == "json":
            print_json({"event": "ready", "url": url})
        else:
            print(f"{warehouse.name} takes events at {url} (AWS_ENDPOINT_URL={url}); stop with Ctrl-C")
        sys.stdout.flush()

    serve(warehouse, settings, ready, start_child, _cost, sources.changed)


def _cost(warehouse: Warehouse, arrived: Arrived) -> dict[str, Any]:
    """As `dw cost`; prices are read when somebody asks for them."""
    from datawarehouse.cli.cost import cost_of

    return cost_of(warehouse, arrived)
