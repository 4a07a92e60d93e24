"""dw jobs"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, print_table
from datawarehouse.runtime.reader import Reader
from datawarehouse.runtime.status import described

_COLUMNS = ("job", "scheduled", "partition", "attempt", "cause", "outcome", "rows", "seconds", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", nargs="?", help="a batch input table (default: all)")
    parser.add_argument("--limit", type=int, default=20, metavar="RUNS", help="how many runs to show (default: 20)")
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    with Reader(settings.folder, settings) as reader:
        runs = [described(run) for run in reader.catalog.runs.latest(arguments.job, arguments.limit)]
    if arguments.output == "json":
        print_json(runs)
    else:
        print_runs(runs)


def print_runs(runs: Sequence[dict[str, Any]]) -> None:
    """Print a line for each run, with the first line of its error."""
    shown = [run | {"error": run["error"].splitlines()[0] if run["error"] else None} for run in runs]
    print_table(_COLUMNS, ([None if run[name] is None else str(run[name]) for name in _COLUMNS] for run in shown))
