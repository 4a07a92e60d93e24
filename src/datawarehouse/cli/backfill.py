"""dw backfill"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from tqdm import tqdm

from datawarehouse.cli.jobs import print_runs
from datawarehouse.cli.options import (
    add_on,
    add_output,
    add_settings,
    add_warehouse,
    open_alone,
    settings_of,
    warehouse_of,
)
from datawarehouse.cli.output import print_json, quantity, remark
from datawarehouse.cli.run import instant
from datawarehouse.clock import WallClock
from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.definition.tables import BatchInputTable
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import BadRequest, UnknownName, did_you_mean
from datawarehouse.jobs.due import backfill_instants
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.job_tasks import left_to_run
from datawarehouse.runtime.reader import Reader
from datawarehouse.runtime.status import described
from datawarehouse.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", help="a batch input table")
    parser.add_argument("--from", dest="start", required=True, metavar="TIME", help="the first hour, e.g. 2026-11-01")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the hour after the last one (default: now)")
    parser.add_argument("--again", action="store_true", help="also run instants for which a run has succeeded")
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_on(parser)
    add_settings(parser, "data")


@dataclass(frozen=True, slots=True)
class _Job:
    """A job that can be run. instants: those of a period. left: of instants, those for which no run has succeeded.
    run_all: gives the runs of instants as they end."""

    instants: Callable[[datetime, datetime], list[datetime]]
    left: Callable[[list[datetime]], list[datetime]]
    run_all: Callable[[list[datetime]], Iterable[dict[str, Any]]]


def run(arguments: argparse.Namespace) -> int:
    period = _period(arguments)
    with _on_aws(arguments) if arguments.on else _here(arguments) as job:
        instants = job.instants(*period)
        todo = instants if arguments.again else job.left(instants)
        if len(todo) < len(instants):
            done_before = quantity(len(instants) - len(todo), "run")
            remark(f"{done_before} of these succeeded before and are left out (--again repeats them)")
        shown: Any = {"unit": "run", "desc": arguments.job, "disable": not sys.stderr.isatty()}
        ended = tqdm(job.run_all(todo), total=len(todo), **shown)
        runs = sorted(ended, key=lambda one: str(one["scheduled"]))  # several at a time do not end in their order
    failed = [one for one in runs if one["outcome"] != "succeeded"]
    if arguments.output == "json":
        print_json(runs)
    else:
        if failed:
            print_runs(failed)
        remark(f"{len(runs) - len(failed)} of {quantity(len(runs), 'run')} succeeded; begin again to repeat the others"
               if failed else f"{quantity(len(runs), 'run')} succeeded")  # fmt: skip
    return 1 if failed else 0


def _period(arguments: argparse.Namespace) -> tuple[datetime, datetime]:
    now = instant_of(WallClock().now_ms())
    start, end = instant(arguments.start), instant(arguments.end) if arguments.end else now
    if not start < end <= now:
        raise BadRequest(f"Runs from {start:%Y-%m-%dT%H:%M} to {end:%Y-%m-%dT%H:%M} were requested; "
                         "give a period in the past, with its beginning as --from.")  # fmt: skip
    return start, end


@contextmanager
def _here(arguments: argparse.Namespace) -> Iterator[_Job]:
    """In the running warehouse or in one that is opened for it."""
    settings, warehouse = settings_of(arguments), warehouse_of(arguments)
    table = _batch_table(warehouse, arguments.job)

    schedule = parse_schedule(table.schedule_expression)
    with ExitStack() as stack:
        run_at = _runner(stack, settings, warehouse, table.name)
        yield _Job(
            lambda start, end: backfill_instants(schedule, start, end),
            lambda instants: _left(settings, table.name, instants),
            lambda instants: (run_at(at) for at in instants),
        )


def _batch_table(warehouse: Warehouse, name: str) -> BatchInputTable:
    tables = {table.name: table for table in warehouse.tables() if isinstance(table, BatchInputTable)}
    if name not in tables:
        known = ", ".join(tables) or "none"
        raise UnknownName(f"There is no batch input table {name!r}; there are {known}.{did_you_mean(name, tables)}")
    return tables[name]


def _left(settings: Settings, job: str, instants: list[datetime]) -> list[datetime]:
    with Reader(settings.folder, settings) as reader:
        return left_to_run(reader.catalog, job, instants)


def _runner(
    stack: ExitStack, settings: Settings, warehouse: Warehouse, job: str
) -> Callable[[datetime], dict[str, Any]]:
    """Runs the job for an instant, in the running warehouse or in one that is opened for it."""
    client = client_of(settings.folder, timeout_s=None)
    if client is None:
        opened = stack.enter_context(open_alone(warehouse, settings))
        return lambda at: described(opened.run(job, at))
    return lambda at: client.call(
        "POST", "/v1/admin/run", msgspec.json.encode({"job": job, "at_ms": milliseconds_of(at)})
    )


@contextmanager
def _on_aws(arguments: argparse.Namespace) -> Iterator[_Job]:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.runs import left_to_run, period_instants, run_all

    with deployed(arguments) as (deployment, clients):
        job = deployment.batch(arguments.job)
        yield _Job(
            lambda start, end: period_instants(job, start, end),
            lambda instants: left_to_run(deployment, clients, job, instants),
            lambda instants: (ended.described() for ended in run_all(clients, job, instants)),
        )
