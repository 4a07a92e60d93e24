"""dw restore"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from datawarehouse.backup.make import Progress
from datawarehouse.backup.manifest import shown
from datawarehouse.backup.restore import Restored, restore
from datawarehouse.cli.backup import advance, bar
from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, quantity, remark, size
from datawarehouse.definition.instants import TIMESTAMP_FORMS, timestamp_ms
from datawarehouse.errors import BadRequest

_NAMED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="from", help="the folder that `dw backup` wrote to")
    parser.add_argument("--at", metavar="TIME", help="the newest back-up of this instant or before (default: of all)")
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    at_ms = None if arguments.at is None else timestamp_ms(arguments.at)
    if arguments.at is not None and at_ms is None:
        raise BadRequest(f"--at is {arguments.at!r}; valid is {TIMESTAMP_FORMS}.")
    with bar("restore") as shown_bar:

        def on_progress(now: Progress) -> None:
            advance(shown_bar, now)

        done = restore(Path(arguments.source).expanduser().absolute(), settings.folder, at_ms, on_progress)
    if arguments.output == "json":
        problems = msgspec.to_builtins(done.problems)
        left_out = done.manifest.left_out
        at = shown(done.manifest.moment_ms)
        result = "incomplete" if problems else "complete"
        print_json({"at": at, "result": result, "files": done.files, "bytes": done.bytes, "problems": problems,
                    "left_out": left_out})  # fmt: skip
    else:
        _say(done, settings.folder)
    return 1 if done.problems else 0


def _say(done: Restored, folder: Path) -> None:
    at = shown(done.manifest.moment_ms)
    print(f"Restored the back-up {at} of the warehouse {done.manifest.warehouse} into {folder}")
    print(f"Every event acknowledged before {at} is in it; start it with `dw up --data {folder}`.")
    print(f"{quantity(done.files, 'file')} with {size(done.bytes)}, each compared with its digest")
    for what in done.manifest.left_out[:_NAMED]:
        remark(f"Not in the back-up: {what}.")
    if done.problems:
        remark(f"It is not complete. {quantity(len(done.problems), 'file')} could not be restored:")
    for problem in done.problems[:_NAMED]:
        remark(f"  {problem.path}: {problem.problem}")
    if len(done.problems) > _NAMED:
        remark(f"  and {len(done.problems) - _NAMED} more")
