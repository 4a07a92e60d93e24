"""dw query"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from datawarehouse.cli.exits import in_a_process
from datawarehouse.cli.options import add_on, add_output, add_settings, settings_of
from datawarehouse.cli.output import print_head, quantity, remark, size
from datawarehouse.cli.progress import progress
from datawarehouse.query.limits import end_limit_of_memory, limit_memory, use_system_memory
from datawarehouse.runtime.reader import Reader

if TYPE_CHECKING:
    from datawarehouse.query.result import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", help="one statement of Athena SQL; each ? takes the next --param")
    parser.add_argument("--param", action="append", default=[], metavar="V", help="the text for a ?; give one for each")
    add_output(parser, "table", "json", "csv", "ndjson", "parquet")
    add_on(parser)
    add_settings(parser, "data", "query_time_max_s", "query_memory_bytes_max", "query_threads", "query_result_rows_max")


def run(arguments: argparse.Namespace) -> None:
    if arguments.on:
        _answer_on_aws(arguments, time.perf_counter())
        return
    _answer(arguments, time.perf_counter(), lambda: None, limited=False)


def run_apart(arguments: argparse.Namespace) -> int:
    """As `run`, in a process whose time and memory are limited hard, which Ctrl-C ends at once."""
    started = time.perf_counter()
    if arguments.on:
        _answer_on_aws(arguments, started)
        return 0
    time_max_s = settings_of(arguments).number("query_time_max_s")
    return in_a_process("query", lambda over: _answer(arguments, started, over, limited=True), time_max_s)


def _answer(arguments: argparse.Namespace, started: float, over: Callable[[], None], *, limited: bool) -> None:
    """Print the answer, then how long it took since `started` until its last row was written."""
    if limited:
        use_system_memory()
    settings = settings_of(arguments)
    with progress("The query runs") as say, Reader(settings.folder, settings) as reader:
        if limited:
            reader.engine.warm_up()
            limit_memory(settings.number("query_memory_bytes_max"))
        result = reader.engine.query(
            arguments.sql, arguments.param, lambda rows: say(f"The query runs: {quantity(rows, 'row')}")
        )
    over()
    end_limit_of_memory()
    counted = result.statistics
    _print(result, arguments.output)
    remark(
        f"{quantity(counted.rows, 'row')} in {time.perf_counter() - started:.2f} s; "
        f"read {quantity(counted.files, 'file')}, {size(counted.bytes)}"
    )


def _answer_on_aws(arguments: argparse.Namespace, started: float) -> None:
    from datawarehouse.aws.cost import read_prices
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.statements import answer

    with deployed(arguments) as (deployment, clients), progress("The query runs in Athena") as say:
        found = answer(
            deployment,
            clients,
            arguments.sql,
            arguments.param,
            lambda rows: say(f"The answer is fetched: {quantity(rows, 'row')}"),
        )
    _print(found.result, arguments.output)
    counted = found.result.statistics
    price = read_prices().of["athena_scanned"]
    dollars = found.billed_bytes * float(price.usd) / price.unit_size
    remark(
        f"{quantity(len(found.result), 'row')} in {time.perf_counter() - started:.2f} s; Athena took "
        f"{counted.elapsed_ms / 1000:.2f} s and scanned {size(counted.bytes)}: ${dollars:.6f} (at ${price.usd} per TB)"
    )
    if found.texts:
        remark(
            f"{', '.join(found.texts)}: Athena's text of arrays, maps and the like does not say where a value ends; "
            "json_format(CAST(... AS JSON)) does."
        )


def _print(result: Result, form: str) -> None:
    from datawarehouse.query.formats import encoded, write_parquet

    table = result.arrow()
    match form:
        case "table":
            _print_table(result)
        case "parquet":
            write_parquet(table, sys.stdout.buffer)
        case _:
            sys.stdout.buffer.writelines(encoded(table.schema, table.to_batches(), form))
    sys.stdout.flush()


def _print_table(result: Result) -> None:
    from datawarehouse.query.layout import Layout

    layout = Layout(result.columns, result.arrow())
    print_head(result.columns, layout.widths, layout.right)
    sys.stdout.writelines(layout.lines())
