"""dw quarantine"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from datawarehouse.cli.options import add_on, add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, print_table, quantity, remark
from datawarehouse.cli.progress import progress
from datawarehouse.cli.run import instant
from datawarehouse.definition.tables import StreamingInputTable, checked_table_name
from datawarehouse.errors import BadRequest, UnknownName, did_you_mean

if TYPE_CHECKING:
    from datawarehouse.runtime.reader import Reader

_CAUSES = (
    "select error_code, column_name, expected, count(*) as records, max(arrival_timestamp) as latest"
    ' from "{table}_quarantine" group by 1, 2, 3 order by records desc, 1, 2'
)
_ALL = 'select * from "{table}_quarantine" order by arrival_timestamp, sequence_number'


_RATE = 250
_RATE_MAX = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "ls: count by cause; export: Firehose's error documents; replay: put them on the stream again (--on aws)"
    parser.add_argument("action", choices=("ls", "export", "replay"), help=what)
    parser.add_argument("table", help="a streaming input table")
    parser.add_argument("--from", dest="start", metavar="TIME", help="with --on aws: the first hour (default: all)")
    parser.add_argument("--to", dest="end", metavar="TIME", help="with --on aws: the hour after the last one")
    parser.add_argument("--rate", type=int, metavar="N", help=f"replay: at most N records a second (default: {_RATE})")
    add_output(parser, "table", "json")
    add_on(parser)
    add_settings(parser, "data", "query_result_rows_max")


def run(arguments: argparse.Namespace) -> int:
    if arguments.rate is not None and (arguments.action != "replay" or not 1 <= arguments.rate <= _RATE_MAX):
        raise BadRequest(f"--rate is for replay, and from 1 to {_RATE_MAX} records a second.")
    if arguments.on:
        return _replay(arguments) if arguments.action == "replay" else _list_on_aws(arguments)
    if arguments.action == "replay" or arguments.start or arguments.end:
        raise BadRequest("replay, --from and --to are for the deployed warehouse: add --on aws.")
    _list_or_export(arguments)
    return 0


def _list_on_aws(arguments: argparse.Namespace) -> int:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.rejects import causes

    if arguments.action == "export":
        raise BadRequest("On AWS the error documents are objects of the data bucket, below errors/<table>/; copy them.")
    with deployed(arguments) as (deployment, clients), progress("The error documents are read") as say:
        table = deployment.streaming(arguments.table).name
        start, end = (instant(text) if text else None for text in (arguments.start, arguments.end))
        found = causes(deployment, clients, table, start, end, lambda count: say(f"{quantity(count, 'object')} read"))
    if arguments.output == "json":
        print_json(found)
    else:
        columns = ("error_code", "error_message", "records", "latest")
        print_table(columns, ([None if row[name] is None else str(row[name]) for name in columns] for row in found))
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.rejects import error_objects
    from datawarehouse.operate.replay import Replay

    with deployed(arguments) as (deployment, clients), progress("The rejected records are put again") as say:
        table = deployment.streaming(arguments.table).name
        start, end = (instant(text) if text else None for text in (arguments.start, arguments.end))
        keys = error_objects(deployment, clients, table, start, end)
        done = Replay(
            deployment, clients, table, arguments.rate or _RATE, lambda sent: say(f"{quantity(sent, 'record')} put")
        ).send(keys)
    if arguments.output == "json":
        told = {"objects": len(keys), "sent": done.sent, "sent_before": done.before, "problems": done.problems}
        print_json(told)
    for problem in done.problems:
        remark(problem)
    before = f"; {done.before} had been put before" if done.before else ""
    remark(f"{quantity(done.sent, 'record')} of {quantity(len(keys), 'object')} put on the stream again{before}")
    return 1 if done.problems else 0


def _check_table(name: str, reader: Reader) -> None:
    """Raises UnknownName."""
    known = [table.name for table in reader.catalog.tables() if table.kind == StreamingInputTable.kind]
    if name not in known:
        there_are, hint = ", ".join(map(repr, known)) or "none", did_you_mean(name, known)
        raise UnknownName(f"There is no streaming input table {name!r}; there are {there_are}.{hint}")


def _list_or_export(arguments: argparse.Namespace) -> None:
    from datawarehouse.quarantine.documents import error_documents
    from datawarehouse.query.result import cell, jsonable
    from datawarehouse.runtime.reader import Reader

    settings = settings_of(arguments)
    checked_table_name(arguments.table)
    with Reader(settings.folder, settings) as reader:
        _check_table(arguments.table, reader)
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
