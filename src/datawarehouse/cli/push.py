"""dw push"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from datawarehouse.aws.cost import read_prices
from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json, print_table, quantity, remark, size
from datawarehouse.clock import WallClock
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.declaration import split
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import FILE_NAME, Settings

if TYPE_CHECKING:
    from datawarehouse.operate.push import Outcome, Plan

_REFUSED_SHOWN_MAX = 20
_COLUMNS = ("table", "hours", "rows", "files", "bytes", "there already", "refused")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tables", nargs="*", metavar="table", help="default: all declared tables")
    parser.add_argument("--dry-run", action="store_true", help="say what would be put, and what it costs; put nothing")
    what = "a file with the outputs of the stack (default: as [aws] in dw.toml says, or those of Pulumi)"
    parser.add_argument("--outputs", metavar="FILE", help=what)
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    from datawarehouse.operate.clients import Clients, told_in_our_words
    from datawarehouse.operate.deployment import find_deployment
    from datawarehouse.operate.push import Push
    from datawarehouse.operate.push_survey import Here

    settings = settings_of(arguments)
    declaration, _ = split(arguments.warehouse)
    deployment = find_deployment(arguments.outputs, declaration.parent / FILE_NAME)
    complete = _complete(arguments, settings)
    with Reader(settings.folder, settings) as reader, told_in_our_words(), contextlib.ExitStack() as opened:
        here = Here(reader.catalog, reader.folder, complete["identity"], complete["until_ms"])
        push = Push(here, deployment, Clients(deployment.region), reader.engine.query)
        opened.enter_context(push.alone())
        plan = push.plan(arguments.tables, WallClock().now_ms())
        _announce(plan)
        if arguments.dry_run:
            return _say(plan.outcomes(), arguments.output)
        for name in reader.catalog.undeclared():
            remark(f"Table {name} has data but is no longer declared, and is not pushed.")
        with tqdm(total=plan.bytes, unit="B", unit_scale=True, desc="push", disable=not sys.stderr.isatty()) as bar:
            try:
                done = push.run(plan, bar.update)
            except BaseException:
                remark("The push has not ended; the same call goes on with it.")
                raise
    return _say(done, arguments.output)


def _complete(arguments: argparse.Namespace, settings: Settings) -> Mapping[str, Any]:
    """What the owner says of the hours that can no longer change, once all that arrived before is converted."""
    client = client_of(settings.folder, timeout_s=None)
    if client is None:
        with open_alone(warehouse_of(arguments), settings) as alone:
            alone.flush()
            return alone.complete()
    try:
        client.call("POST", "/v1/admin/flush", b"")
        found: Mapping[str, Any] = client.call("GET", "/v1/admin/complete")
        return found
    finally:
        client.close()


def _announce(plan: Plan) -> None:
    """Say what will be put and what that costs, at the prices of `dw cost`."""
    prices = read_prices().of
    put = prices["s3_put"].usd * plan.objects / prices["s3_put"].unit_size
    counted = prices["athena_scanned"].usd * plan.scanned_bytes / prices["athena_scanned"].unit_size
    stored = prices["s3_storage"].usd * plan.bytes / prices["s3_storage"].unit_size
    remark(
        f"To put: {size(plan.bytes)} in {quantity(plan.objects, 'object')}. About ${put:.4f} for the requests and "
        f"${counted:.4f} for counting the rows, then ${stored:.4f} a month for storage (prices of `dw cost`)."
    )


def _say(outcomes: Sequence[Outcome], form: str) -> int:
    """Print what became of each table; the exit code."""
    if form == "json":
        print_json([asdict(each) for each in outcomes])
    else:
        print_table(
            _COLUMNS,
            [
                (each.table, *(str(number) for number in (each.hours, each.rows, each.files)), size(each.bytes),
                 str(each.there_already), str(len(each.refused)))
                for each in outcomes
            ],
        )  # fmt: skip
    for each in outcomes:
        for number, (hour, why) in enumerate(sorted(each.refused.items())):
            if number < _REFUSED_SHOWN_MAX:
                remark(f"Not pushed: {each.table} {hour}: {why}.")
        if len(each.refused) > _REFUSED_SHOWN_MAX:
            remark(f"Not pushed: {len(each.refused) - _REFUSED_SHOWN_MAX} more hours of {each.table}.")
        for hour in each.expired:
            remark(f"Gone: {each.table} {hour} has expired here meanwhile.")
        if each.open_hours:
            remark(f"Left for a later call: {quantity(each.open_hours, 'hour')} of {each.table} that may still change.")
    return 1 if any(each.refused for each in outcomes) else 0
