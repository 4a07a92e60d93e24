"""dw jobs"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from datawarehouse.cli.colour import BAD, GOOD, WARNING
from datawarehouse.cli.options import add_on, add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, print_table, quantity, remark
from datawarehouse.cli.progress import progress
from datawarehouse.clock import WallClock
from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.partition import HOUR_MS, start_ms
from datawarehouse.errors import BadRequest, UnknownName, did_you_mean

_COLUMNS = ("job", "scheduled", "partition", "started", "attempt", "cause", "outcome", "rows", "seconds", "error")
_OUTCOMES = {"succeeded": GOOD, "failed": BAD, "interrupted": WARNING}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", nargs="?", help="a batch input table (default: all)")
    parser.add_argument("--limit", type=int, default=20, metavar="RUNS", help="how many runs to show (default: 20)")
    add_output(parser, "table", "json")
    add_on(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    runs = _on_aws(arguments) if arguments.on else _here(arguments)
    if arguments.output == "json":
        print_json(runs)
    else:
        print_runs(runs)


def remark_reruns(reruns: Sequence[dict[str, Any]]) -> None:
    """Say of each job which event hours changed after it had counted them. reruns: as the status of a warehouse has
    them."""
    for each in reruns:
        if each["waiting_hours"]:
            remark(
                f"Job {each['job']}: {quantity(each['waiting_hours'], 'event hour')} changed after it was counted, by "
                f"{quantity(each['waiting_events'], 'event')}; the job runs again for it when a rerun is due."
            )
        if each["left_out_hours"]:
            start, end = start_ms(each["left_out_from"]), start_ms(each["left_out_to"]) + 2 * HOUR_MS
            remark(
                f"Job {each['job']}: {quantity(each['left_out_events'], 'event')} of "
                f"{quantity(each['left_out_hours'], 'event hour')} came too late for a rerun and are not counted. "
                f"Next: dw backfill {each['job']} --from {_short(start)} --to {_short(end)}"
            )


def _short(instant_ms: int) -> str:
    return f"{instant_of(instant_ms):%Y-%m-%dT%H:%M:%SZ}"


def _here(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from datawarehouse.definition.tables import BatchInputTable
    from datawarehouse.runtime.reader import Reader
    from datawarehouse.runtime.status import described, reruns_of

    settings = settings_of(arguments)
    with Reader(settings.folder, settings) as reader:
        if arguments.job is not None:
            _check(
                arguments.job, [table.name for table in reader.catalog.tables() if table.kind == BatchInputTable.kind]
            )
        reruns = reruns_of(reader.catalog, WallClock())
        remark_reruns([each for each in reruns if arguments.job in (None, each["job"])])
        return [described(run) for run in reader.catalog.runs.latest(arguments.job, arguments.limit)]


def _check(job: str, known: Sequence[str]) -> None:
    """Raises UnknownName."""
    if job not in known:
        there_are = ", ".join(map(repr, known)) or "none"
        raise UnknownName(f"There is no batch input table {job!r}; there are {there_are}.{did_you_mean(job, known)}")


def _on_aws(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The latest hours; on AWS there is no list of all runs."""
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.jobs import LIMIT_MAX, latest_hours

    if not 1 <= arguments.limit <= LIMIT_MAX:
        raise BadRequest(f"--limit is {arguments.limit}; with --on aws, valid is 1 to {LIMIT_MAX} hours.")
    with deployed(arguments) as (deployment, clients), progress("The hours of jobs are looked up"):
        names = [arguments.job] if arguments.job else []
        now = instant_of(WallClock().now_ms())
        hours, remarks = latest_hours(deployment, clients, names, arguments.limit, now)
    for text in remarks:
        remark(text)
    return hours


def print_runs(runs: Sequence[dict[str, Any]]) -> None:
    """Print a line for each run, with the first line of its error, and below where the code of the latest failed."""
    shown = [run | {"error": run["error"].splitlines()[0] if run["error"] else None} for run in runs]
    columns = [name for name in _COLUMNS if name != "started" or any(run.get(name) for run in runs)]
    rows = ([None if run[name] is None else str(run[name]) for name in columns] for run in shown)
    print_table(columns, rows, style_of_outcome)
    failed = next((run for run in runs if run["error"]), None)
    if failed and (place := _place_of(failed["error"])):
        remark(
            f"The error of {failed['job']} for {failed['partition']} came from {place}; --output json has all of it."
        )


def style_of_outcome(column: str, text: str) -> str:
    """That of an outcome of a run, and of its error."""
    if column == "error":
        return BAD
    return _OUTCOMES.get(text, "") if column == "outcome" else ""


def _place_of(error: str) -> str:
    """The last line of code of a traceback, as `file, line N, in name: code`; empty if there is none."""
    lines = error.splitlines()
    places = [at for at, line in enumerate(lines) if line.lstrip().startswith("File ")]
    if not places:
        return ""
    code = lines[places[-1] + 1].strip() if places[-1] + 1 < len(lines) else ""
    place = lines[places[-1]].strip().removeprefix("File ").replace('"', "")
    return f"{place}: {code}" if code else place
