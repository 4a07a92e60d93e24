"""dw tables"""

from __future__ import annotations

import argparse

from datawarehouse.cli.options import add_output, add_warehouse, warehouse_of
from datawarehouse.cli.output import print_json, print_table
from datawarehouse.definition.tables import Column


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_warehouse(parser)
    add_output(parser, "table", "json")


def run(arguments: argparse.Namespace) -> None:
    tables = warehouse_of(arguments).tables()
    if arguments.output == "json":
        print_json(
            [
                {
                    "table": table.name,
                    "kind": table.kind,
                    "columns": {column.name: str(column.type) for column in table.columns},
                    "partition_keys": {key.name: str(key.type) for key in table.partition_keys},
                    "data_format": table.data_format,
                }
                for table in tables
            ]
        )
        return
    rows = [(table.name, table.kind, _listed(table.columns), _listed(table.partition_keys)) for table in tables]
    print_table(("table", "kind", "columns", "partition keys"), rows)


def _listed(columns: tuple[Column, ...]) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in columns)
