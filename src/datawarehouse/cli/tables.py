"""dw tables"""

from __future__ import annotations

import argparse

from datawarehouse.cli.options import add_output, add_warehouse, warehouse_of
from datawarehouse.cli.output import print_json, print_table
from datawarehouse.definition.tables import Table


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
    print_table(("table", "kind", "column", "type", "remark"), [row for table in tables for row in _rows(table)])


def _rows(table: Table) -> list[tuple[str, ...]]:
    """A row for each column; the first one has the name and the kind of the table."""
    columns = [(column, "") for column in table.columns] + [(key, "partition key") for key in table.partition_keys]
    heads = [(table.name, table.kind), *[("", "")] * len(columns)]
    return [
        (*head, column.name, str(column.type), remark) for head, (column, remark) in zip(heads, columns, strict=False)
    ]
