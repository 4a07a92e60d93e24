"""dw backup"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from datawarehouse.backup.make import Made, Progress
from datawarehouse.backup.manifest import shown
from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json, quantity, remark, size
from datawarehouse.errors import Unreachable, rebuilt
from datawarehouse.runtime.client import Client, client_of
from datawarehouse.settings import Settings

_NAMED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("to", help="a folder for back-ups of this data folder, on another disk; new or empty at first")
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_settings(parser, "data", "backups_kept")


def run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    to = Path(arguments.to).expanduser().absolute()
    client = client_of(settings.folder, timeout_s=None)
    with bar("backup") as shown_bar:

        def on_progress(now: Progress) -> None:
            advance(shown_bar, now)

        if client:
            made = _asked(client, to, settings, on_progress)
        else:
            with open_alone(warehouse_of(arguments), settings) as opened:
                made = opened.backup(to, settings.number("backups_kept"), on_progress)
    if arguments.output == "json":
        print_json(_as_json(made))
    else:
        _say(made)
    return 1 if made.problems else 0


def bar(what: str) -> tqdm[Any]:
    """A bar of bytes on stderr, if that is a terminal."""
    return tqdm(unit="B", unit_scale=True, desc=what, disable=not sys.stderr.isatty())


def advance(shown_bar: tqdm[Any], now: Progress) -> None:
    shown_bar.total = max(now.bytes_all, now.bytes)
    shown_bar.update(now.bytes - shown_bar.n)


def _asked(client: Client, to: Path, settings: Settings, on_progress: Any) -> Made:
    body = msgspec.json.encode({"to": str(to), "kept": settings.number("backups_kept")})
    for line in client.lines("POST", "/v1/admin/backup", body):
        match line:
            case {"progress": progress}:
                on_progress(msgspec.convert(progress, Progress))
            case {"made": made}:
                return msgspec.convert(made, Made)
            case {"error": error}:
                raise rebuilt(error["code"], error["message"])
    raise Unreachable("The warehouse ended while it made the back-up; the back-ups that were there before are whole.")


def _as_json(made: Made) -> dict[str, Any]:
    result = "incomplete" if made.problems else "complete"
    found: dict[str, Any] = msgspec.to_builtins(made)
    return {"at": shown(found.pop("moment_ms")), "result": result} | found


def _say(made: Made) -> None:
    print(f"Back-up {shown(made.moment_ms)} in {made.to}")
    print(f"Every event acknowledged before {shown(made.moment_ms)} is in it; later ones would be lost.")
    new = f"{made.new_files} of them new, with {size(made.new_bytes)}"
    print(f"{quantity(made.files, 'file')} with {size(made.bytes)}, {new}; it took {made.seconds:.1f} s")
    for moment in made.removed:
        remark(f"Removed the back-up {moment} (backups_kept).")
    for what in made.left_out[:_NAMED]:
        remark(f"Not in it: {what}.")
    if made.problems:
        remark(f"It is not complete. {quantity(len(made.problems), 'damaged file')} could not be backed up:")
    for problem in made.problems[:_NAMED]:
        remark(f"  {problem.path}: {problem.problem}")
    if len(made.problems) > _NAMED:
        remark(f"  and {len(made.problems) - _NAMED} more")
