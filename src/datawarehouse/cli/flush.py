"""dw flush"""

from __future__ import annotations

import argparse

from datawarehouse.cli.options import add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.runtime.client import client_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_warehouse(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    client = client_of(settings.folder)
    if client:
        client.call("POST", "/v1/admin/flush", b"")
        return
    with open_alone(warehouse_of(arguments), settings) as opened:
        opened.flush()
