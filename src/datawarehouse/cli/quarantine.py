"""dw quarantine"""

from __future__ import annotations

import argparse
import sys

from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, print_table
from datawarehouse.definition.tables import checked_table_name
from datawarehouse.quarantine.documents import error_documents
from datawarehouse.query.result import cell, jsonable
from datawarehouse.runtime.reader import Reader

_CAUSES = (
    "select error_code, column_name, expected, count(*) as records, max(arrival_timestamp) as latest"
    ' from "{table}_quarantine" group by 1, 2, 3 order by records desc, 1, 2'
)
_ALL = 'select * from "{table}_quarantine" order by arrival_timestamp, sequence_number'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "ls: count by cause; export: Firehose's error documents"
    parser.add_argument("action", choices=("ls", "export"), help=what)
    parser.add_argument("table", help="a streaming input table")
    add_output(parser, "table", "json")
    add_settings(parser, "data", "query_result_rows_max")


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    checked_table_name(arguments.table)
    with Reader(settings.folder, settings) as reader:
        if arguments.action == "export":
            rejects = reader.engine.query(_ALL.format(table=arguments.table)).dicts()
            documents = error_documents(reader.catalog.warehouse_name(), arguments.table, rejects)
            sys.stdout.buffer.writelines(document + b"\n" for document in documents)
            sys.stdout.flush()
            return
        causes = reader.engine.query(_CAUSES.format(table=arguments.table))
    if arguments.output == "json":
        print_json([{name: jsonable(value) for name, value in row.items()} for row in causes.dicts()])
    else:
        print_table(causes.columns, ([None if value is None else cell(value) for value in row] for row in causes))
