"""dw query"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from datawarehouse.cli.exits import in_a_process
from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_table, quantity, remark, size
from datawarehouse.query.limits import end_limit_of_memory, limit_memory, use_system_memory
from datawarehouse.runtime.reader import Reader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", help="one statement of Athena SQL; each ? takes the next --param")
    parser.add_argument("--param", action="append", default=[], metavar="V", help="the text for a ?; give one for each")
    add_output(parser, "table", "json", "csv", "ndjson", "parquet")
    add_settings(parser, "data", "query_time_max_s", "query_memory_bytes_max", "query_threads", "query_result_rows_max")


def run(arguments: argparse.Namespace) -> None:
    _answer(arguments, lambda: None, limited=False)


def run_apart(arguments: argparse.Namespace) -> int:
    """As `run`, in a process whose time and memory are limited hard, which Ctrl-C ends at once."""
    time_max_s = settings_of(arguments).number("query_time_max_s")
    return in_a_process("query", lambda over: _answer(arguments, over, limited=True), time_max_s)


def _answer(arguments: argparse.Namespace, over: Callable[[], None], *, limited: bool) -> None:
    if limited:
        use_system_memory()
    # Only now: what these load would also be in the process that waits.
    from datawarehouse.query.formats import write_parquet
    from datawarehouse.query.result import cell, csv_row, json_rows, tuples

    settings = settings_of(arguments)
    with Reader(settings.folder, settings) as reader:
        if limited:
            reader.engine.warm_up()
            limit_memory(settings.number("query_memory_bytes_max"))
        result = reader.engine.query(arguments.sql, arguments.param)
    over()
    end_limit_of_memory()
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
