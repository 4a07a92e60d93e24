"""dw query

1. A running warehouse is asked over HTTP, and this process loads neither the engine nor pyarrow.
2. When nothing runs, or with a limit of its own (`--query-...`), the data folder is read here, in a process that can be
   ended at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from datawarehouse.cli.answers import SCREEN_ROWS_MAX, Shown, begun, drained, is_screen, print_rows, screen_columns
from datawarehouse.cli.colour import FAINT
from datawarehouse.cli.exits import in_a_process
from datawarehouse.cli.options import add_on, add_output, add_settings, settings_of
from datawarehouse.cli.output import print_head, quantity, remark, size
from datawarehouse.cli.progress import progress
from datawarehouse.cli.sql_files import STDIN, sql_in
from datawarehouse.clock import WallClock
from datawarehouse.definition.workgroups import LARGE_BYTES, PRODUCTION
from datawarehouse.errors import BadRequest, QueryRefused, ScanRefused
from datawarehouse.runtime.asking import Asked, Question
from datawarehouse.runtime.client import Client, client_of
from datawarehouse.sql.names import LOCAL

if TYPE_CHECKING:
    from datawarehouse.query.result import Result
    from datawarehouse.runtime.reader import Reader

_OWN_LIMITS = ("query_time_max_s", "query_memory_bytes_max", "query_threads", "query_result_rows_max")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "one statement of Athena SQL, or - to read it from standard input; each ? takes the next --param"
    parser.add_argument("sql", nargs="?", help=what)
    parser.add_argument("-f", "--file", metavar="FILE", help="the file that has the statement, instead of SQL")
    parser.add_argument("--param", action="append", default=[], metavar="V", help="the text for a ?; give one for each")
    add_output(parser, "table", "json", "csv", "ndjson", "parquet")
    what = f"whose query it is (default: production; adhoc if the live files have {size(LARGE_BYTES)} or more)"
    parser.add_argument("--workgroup", metavar="NAME", help=what)
    what = "read hours without a bound, where the workgroup permits it (allow_full_scan)"
    parser.add_argument("--allow-full-scan", action="store_true", help=what)
    what = "say what the statement would read, and whether the workgroup permits it; run nothing"
    parser.add_argument("--dry-run", action="store_true", help=what)
    what = f"all rows and whole lines; on a terminal a table ends after {SCREEN_ROWS_MAX} rows and at its edge"
    parser.add_argument("--all", action="store_true", help=what)
    add_on(parser)
    add_settings(parser, "data", *_OWN_LIMITS)


def run(arguments: argparse.Namespace) -> int:
    arguments.sql = _statement(arguments)
    if other := _elsewhere(arguments, time.perf_counter()):
        return other()
    _answer(arguments, time.perf_counter(), lambda: None, limited=False)
    return 0


def run_apart(arguments: argparse.Namespace) -> int:
    """As `run`, in a process whose time and memory are limited hard, which Ctrl-C ends at once."""
    started = time.perf_counter()
    arguments.sql = _statement(arguments)
    if other := _elsewhere(arguments, started):
        return other()
    with _reader(arguments) as reader:
        time_max_s = reader.limits.time_max_s
    return in_a_process("query", lambda over: _answer(arguments, started, over, limited=True), time_max_s)


def _statement(arguments: argparse.Namespace) -> str:
    """The one statement, from the argument, a file or standard input. Several are refused before anything runs: each
    would have its own parameters, result and exit code."""
    if (arguments.sql is None) == (arguments.file is None):
        raise BadRequest("Give one statement: as SQL, with -f FILE, or - for standard input.")
    if arguments.file is None and arguments.sql != STDIN:
        return str(arguments.sql)
    from datawarehouse.sql.scripts import statements

    path = arguments.file or STDIN
    sql = sql_in(path)
    if (count := len(statements(sql))) > 1:
        raise QueryRefused(f"{path} has {count} statements; `dw query` answers one: give each its own file and call.")
    return sql


def _elsewhere(arguments: argparse.Namespace, started: float) -> Callable[[], int] | None:
    """What is done in the place of answering from the data folder, if anything."""
    if arguments.on:
        return lambda: _decide_on_aws(arguments) if arguments.dry_run else _answer_on_aws(arguments, started)
    has_own_limit = any(getattr(arguments, name) is not None for name in _OWN_LIMITS)
    if not has_own_limit and (client := client_of(settings_of(arguments).folder, timeout_s=None)):
        return lambda: _ask(arguments, client, started)
    return (lambda: _decide(arguments)) if arguments.dry_run else None


def _reader(arguments: argparse.Namespace) -> Reader:
    """What reads the data folder; only now, because what it loads takes longer than a small query."""
    from datawarehouse.runtime.reader import Reader

    settings = settings_of(arguments)
    return Reader(settings.folder, settings, arguments.workgroup)


def _ask(arguments: argparse.Namespace, client: Client, started: float) -> int:
    """Print the answer of a running warehouse, as it comes, or its decision."""
    is_table, is_cut = arguments.output == "table", is_screen() and not arguments.all
    form = "csv" if is_table else arguments.output
    rules = {"workgroup": arguments.workgroup, "dry_run": arguments.dry_run, "full_scan": arguments.allow_full_scan}
    with closing(Asked(client, Question(arguments.sql, arguments.param, form, **rules))) as asked:
        pieces = asked.pieces()
        with _said_why(arguments):
            coming = begun(pieces, asked, is_silent_then=is_screen() and not is_table)
        shown = None
        with closing(coming):
            if arguments.dry_run:
                return _print_decision(arguments, json.loads(b"".join(coming)))
            if is_table:
                shown = _print_rows(coming, is_cut=is_cut)
            else:
                sys.stdout.buffer.writelines(coming)
        drained(pieces, asked)
        sys.stdout.flush()
        rows = int(asked.progress()["rows"])
    if shown:
        _remark_left_out(rows - shown.rows, shown.left_out)
    _remark_end(rows, asked.files_read, asked.bytes_read, started)
    return 0


def _print_rows(pieces: Iterator[bytes], *, is_cut: bool) -> Shown:
    limit, room = (SCREEN_ROWS_MAX, screen_columns()) if is_cut else (None, None)
    return print_rows(pieces, sys.stdout, limit=limit, room=room)


def _print_decision(arguments: argparse.Namespace, decision: dict[str, Any]) -> int:
    """Print what a workgroup says to a statement."""
    text = decision.pop("text")
    print(json.dumps(decision) if arguments.output == "json" else text)
    if decision["allowed"]:
        return 0
    if why := _chosen_by_size(arguments):
        remark(why)
    return ScanRefused.exit_code


def _decide(arguments: argparse.Namespace) -> int:
    """Print what the statement would read, and whether its workgroup permits that."""
    full_scan = arguments.allow_full_scan
    with _reader(arguments) as reader, _said_why(arguments):
        decision = reader.engine.decide(arguments.sql, arguments.param, full_scan=full_scan, asker=LOCAL)
    return _print_decision(arguments, decision.values() | {"text": str(decision)})


def _decide_on_aws(arguments: argparse.Namespace) -> int:
    """The same of a guarded workgroup on AWS."""
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.gateway import Gateway
    from datawarehouse.operate.statements import PEOPLE

    with deployed(arguments) as (deployment, clients), progress("The gateway decides"):
        gateway = Gateway(deployment, clients, arguments.workgroup or PEOPLE)
        decided = gateway.decide(arguments.sql, arguments.param, full_scan=arguments.allow_full_scan)
    print(json.dumps(decided.values) if arguments.output == "json" else decided.text)
    if decided.not_counted:
        remark(f"{', '.join(decided.not_counted)}: what is stored of an Iceberg table is not in the estimate.")
    return 0 if decided.values["allowed"] else ScanRefused.exit_code


def _answer(arguments: argparse.Namespace, started: float, over: Callable[[], None], *, limited: bool) -> None:
    """Print the answer, then how long it took since `started` until its last row was written."""
    from datawarehouse.query.limits import end_limit_of_memory, limit_memory, use_system_memory

    if limited:
        use_system_memory()
    with progress("The query runs") as say, _reader(arguments) as reader:
        if limited:
            reader.engine.warm_up()
            limit_memory(reader.limits.memory_bytes_max)
        with _said_why(arguments):
            result = reader.engine.query(
                arguments.sql,
                arguments.param,
                lambda rows: say(f"The query runs: {quantity(rows, 'row')}"),
                full_scan=arguments.allow_full_scan,
                on_share=lambda share: say(f"The query runs: {share:.0%}"),
                asker=LOCAL,
            )
    over()
    end_limit_of_memory()
    _print(result, arguments)
    counted = result.statistics
    _remark_end(counted.rows, counted.files, counted.bytes, started)


def _remark_left_out(rows: int, columns: Sequence[str]) -> None:
    """Say what a table on a terminal does not show."""
    if columns:
        remark(f"Columns that have no place here: {', '.join(columns)}; --all prints all.")
    if rows:
        remark(f"{quantity(rows, 'more row')}; --all prints all.")


def _remark_end(rows: int, files: int, bytes: int, started: float) -> None:
    took_s = time.perf_counter() - started
    remark(f"{quantity(rows, 'row')} in {took_s:.2f} s; read {quantity(files, 'file')}, {size(bytes)}", FAINT)


@contextmanager
def _said_why(arguments: argparse.Namespace) -> Iterator[None]:
    """A refusal says why the query is in that workgroup, if nobody named it."""
    try:
        yield
    except ScanRefused as error:
        raise ScanRefused(f"{error}\n{_chosen_by_size(arguments)}".rstrip()) from None


def _chosen_by_size(arguments: argparse.Namespace) -> str:
    """Why a query that names no workgroup is in one that does not permit everything; empty if it names one."""
    if arguments.workgroup is not None:
        return ""
    with _reader(arguments) as reader:
        name, live_bytes = reader.workgroup.name, reader.catalog.live_bytes()
    if name == PRODUCTION:
        return ""
    return (
        f"It is in workgroup {name!r} because it names none and the live files of this data folder have "
        f"{size(live_bytes)}, which is {size(LARGE_BYTES)} or more. With --workgroup {PRODUCTION} it needs no range of "
        "hours."
    )


def _answer_on_aws(arguments: argparse.Namespace, started: float) -> int:
    from datawarehouse.aws.cost import read_prices
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.lateness import check_event_time, explained
    from datawarehouse.operate.statements import PEOPLE, Question, answer

    with deployed(arguments) as (deployment, clients), progress("The query runs in Athena") as say:
        workgroup, now_ms = arguments.workgroup or PEOPLE, WallClock().now_ms()
        is_checked = workgroup in deployment.gateway or check_event_time(
            deployment, clients, arguments.sql, arguments.param, now_ms
        )
        asked = Question(arguments.sql, arguments.param, workgroup, arguments.allow_full_scan)
        try:
            found = answer(
                deployment, clients, asked, lambda rows: say(f"The answer is fetched: {quantity(rows, 'row')}")
            )
        except ScanRefused as refused:
            raise explained(deployment, clients, asked, now_ms, refused) from None
    _print(found.result, arguments)
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
    if not is_checked:
        remark("Only Athena knows this form of statement: it was not checked whether it bounds event time alone.")
    return 0


def _print(result: Result, arguments: argparse.Namespace) -> None:
    from datawarehouse.query.formats import encoded

    table = result.arrow()
    if arguments.output != "table":
        sys.stdout.buffer.writelines(encoded(table.schema, table.to_batches(), arguments.output))
    elif is_screen():
        first = table if arguments.all else table.slice(0, SCREEN_ROWS_MAX)
        shown = _print_rows(encoded(first.schema, first.to_batches(), "csv"), is_cut=not arguments.all)
        _remark_left_out(len(table) - shown.rows, shown.left_out)
    else:
        _print_table(result)
    sys.stdout.flush()


def _print_table(result: Result) -> None:
    from datawarehouse.query.layout import Layout

    layout = Layout(result.columns, result.arrow())
    print_head(result.columns, layout.widths, layout.right)
    sys.stdout.writelines(layout.lines())
