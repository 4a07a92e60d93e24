"""dw partition"""

from __future__ import annotations

import argparse

import msgspec

from datawarehouse.cli.options import add_on, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import remark
from datawarehouse.runtime.client import client_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="a table declared with with_table and partition keys")
    parser.add_argument("values", nargs="+", help="one value for each partition key, in order")
    parser.add_argument(
        "--location", help="the folder of the files, s3://... with --on aws (default: below the table's)"
    )
    add_warehouse(parser)
    add_on(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    if arguments.on:
        _on_aws(arguments)
        return
    settings = settings_of(arguments)
    client = client_of(settings.folder)
    if client:
        asked = {"table": arguments.table, "values": arguments.values, "location": arguments.location}
        client.call("POST", "/v1/admin/partitions", msgspec.json.encode(asked))
        return
    with open_alone(warehouse_of(arguments), settings) as opened:
        opened.register_partition(arguments.table, arguments.values, arguments.location)


def _on_aws(arguments: argparse.Namespace) -> None:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.partition import point_partition

    with deployed(arguments) as (deployment, clients):
        url, before = point_partition(deployment, clients, arguments.table, arguments.values, arguments.location)
    remark(
        f"{'/'.join(arguments.values)} of table {arguments.table} is {url}" + (f", before: {before}" if before else "")
    )
