"""dw partition"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from datawarehouse.cli.options import add_on, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import remark
from datawarehouse.definition.tables import Table
from datawarehouse.errors import BadRequest, FolderError
from datawarehouse.runtime.client import client_of
from datawarehouse.settings import Settings


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
    if arguments.location:
        arguments.location = str(Path(arguments.location).absolute())
    _check_folder(arguments, settings)
    client = client_of(settings.folder)
    if client:
        asked = {"table": arguments.table, "values": arguments.values, "location": arguments.location}
        client.call("POST", "/v1/admin/partitions", msgspec.json.encode(asked))
    else:
        with open_alone(warehouse_of(arguments), settings) as opened:
            opened.register_partition(arguments.table, arguments.values, arguments.location)
    where = arguments.location or settings.folder.joinpath(arguments.table, *arguments.values)
    remark(f"{'/'.join(arguments.values)} of table {arguments.table} is the folder {where}.")


def _check_folder(arguments: argparse.Namespace, settings: Settings) -> None:
    """Raises BadRequest if the table is one that its user fills, and the folder is not there."""
    from datawarehouse.runtime.reader import Reader

    folder = Path(arguments.location or settings.folder.joinpath(arguments.table, *arguments.values))
    if folder.is_dir():
        return
    try:
        with Reader(settings.folder, settings) as reader:
            kinds = {table.name: table.kind for table in reader.catalog.tables()}
    except FolderError:  # which is made now
        return
    if kinds.get(arguments.table) == Table.kind:
        raise BadRequest(
            f"A partition of table {arguments.table!r} was not registered: there is no folder {folder}. Write its "
            "files there first, or name their folder with --location."
        )


def _on_aws(arguments: argparse.Namespace) -> None:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.partition import point_partition

    with deployed(arguments) as (deployment, clients):
        url, before = point_partition(deployment, clients, arguments.table, arguments.values, arguments.location)
    remark(
        f"{'/'.join(arguments.values)} of table {arguments.table} is {url}" + (f", before: {before}" if before else "")
    )
