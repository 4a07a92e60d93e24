"""dw query"""

from __future__ import annotations

import argparse
import sys

from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_table, quantity, remark, size
from datawarehouse.query.formats import write_parquet
from datawarehouse.query.result import cell, csv_row, json_rows, tuples
from datawarehouse.runtime.reader import Reader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", help="one statement of Athena SQL; each ? takes the next --param")
    parser.add_argument("--param", action="append", default=[], metavar="V", help="the text for a ?; give one for each")
    add_output(parser, "table", "json", "csv", "ndjson", "parquet")
    add_settings(parser, "data", "query_time_max_s", "query_memory_bytes_max", "query_threads", "query_result_rows_max")


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    with Reader(settings.folder, settings) as reader:
        result = reader.engine.query(arguments.sql, arguments.param)
    table, counted = result.arrow(), result.statistics
    match arguments.output:
        case "table":
            print_table(result.columns, ([None if v is None else cell(v) for v in row] for row in tuples(table)))
        case "csv":
            sys.stdout.write(csv_row(result.columns))
            sys.stdout.writelines(map(csv_row, result))
        case "ndjson":
            sys.stdout.buffer.writelines(row + b"\n" for row in json_rows(table))
        case "json":
            sys.stdout.buffer.write(b"[" + b",\n".join(json_rows(table)) + b"]\n")
        case _:
            write_parquet(table, sys.stdout.buffer)
    sys.stdout.flush()
    remark(
        f"{quantity(counted.rows, 'row')} in {counted.elapsed_ms / 1000:.2f} s; "
        f"read {quantity(counted.files, 'file')}, {size(counted.bytes)}"
    )
