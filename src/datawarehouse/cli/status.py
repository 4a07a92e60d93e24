"""dw status"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from datawarehouse.cli.colour import BAD, GOOD, HEAD, WARNING, painted
from datawarehouse.cli.jobs import remark_reruns, style_of_outcome
from datawarehouse.cli.options import add_on, add_output, add_settings, settings_of
from datawarehouse.cli.output import keys_shown, print_json, print_table, quantity, remark, size
from datawarehouse.cli.progress import progress
from datawarehouse.clock import WallClock
from datawarehouse.definition.instants import instant_of
from datawarehouse.runtime.client import client_of

_COLUMNS = ("table", "received", "stored", "rejected", "lost", "pending", "lag_s", "files", "bytes")
_COLUMNS_OF_JOBS = ("job", "scheduled", "outcome", "rows", "seconds", "error")
_COLUMNS_ON_AWS = ("table", "received", "stored", "rejected", "lag_s", "newest_hour", "registered_until", "registrar")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_output(parser, "table", "json")
    what = "every setting too, with its source"
    parser.add_argument("--settings", dest="shows_settings", action="store_true", help=what)
    add_on(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    if arguments.on:
        _on_aws(arguments)
        return
    settings = settings_of(arguments)
    client = client_of(settings.folder)
    if client:
        status = client.call("GET", "/v1/admin/status")
    else:
        from datawarehouse.runtime.reader import Reader  # only here: a running warehouse needs none of it

        with Reader(settings.folder, settings) as reader:
            status = reader.status()
    status["running"] = client is not None
    if arguments.output == "json":
        print_json(status)
        return
    _print(status, shows_settings=arguments.shows_settings)


def _print(status: dict[str, Any], *, shows_settings: bool) -> None:
    """What needs somebody first, then the tables, the jobs, and the settings if they are asked for."""
    running = _painted("running", GOOD) if status["running"] else _painted("not running", WARNING)
    print(f"{_painted(status['warehouse'], HEAD)} in {status['folder']}, {running}")
    for on in status["alerts"]:
        alert = _painted(f"alert {on['alert']} since {on['began']}:", BAD)
        print(f"\n{alert} {on['cause']}\n  next: {on['next_step']}")
    print()
    streaming = [table for table in status["tables"] if "received" in table]
    _remark_news(status, streaming)
    for table in streaming:
        table["bytes"] = size(table["bytes"])
    columns = [name for name in _COLUMNS if name != "lost" or any(table.get(name) for table in streaming)]
    print_table(columns, ([_shown(table.get(name)) for name in columns] for table in streaming), _style_of_count)
    if own := [table["table"] for table in status["tables"] if table["kind"] == "table"]:
        print(f"\ntables that you fill: {', '.join(own)}")
    if jobs := status.get("jobs"):
        print()
        rows = ([_shown(job[name]) for name in _COLUMNS_OF_JOBS] for job in jobs)
        print_table(_COLUMNS_OF_JOBS, rows, style_of_outcome)
    print(f"\naudit: {_audit(status['audit'], len(status['damaged_files']))}")
    if shows_settings:
        print()
        print_table(
            ("setting", "value", "unit", "source"),
            [(each["name"], str(each["value"]), each["unit"], each["source"]) for each in status["settings"]],
        )


def _remark_news(status: dict[str, Any], streaming: Sequence[dict[str, Any]]) -> None:
    """Say what somebody should know or do."""
    for key in status.get("keys", ()):
        if key["refused"]:
            remark(f"Requests of the key {key['name']} were refused: {_reasons(key['refused'])}")
    if without := status.get("refused_without_key"):
        remark(f"Requests without a key that there is were refused: {_reasons(without)}")
    for table in streaming:
        if table["unknown_keys"]:
            remark(
                f"Stored events of table {table['table']} had keys that no column has, which were left out: "
                f"{keys_shown(table['unknown_keys'])}"
            )
        if "held_until" in table:
            remark(
                f"The last event of table {table['table']} arrived at {table['held_until']}, which is ahead of the "
                "clock. Until then its events stand in that hour."
            )
    remark_reruns(status.get("reruns", ()))
    if changed := status.get("changed_files"):
        remark(f"{', '.join(changed)} changed after `dw up` had read it. Stop `dw up` and start it again to use it.")
    clock = status.get("clock")
    if clock and clock["is_guarding"]:
        remark(
            f"The wall clock is {clock['ahead_s']:.0f} s ahead of the time that has passed, and does not count: for "
            f"the warehouse it is {clock['now']}. If the wall clock is right, confirm it: `dw doctor --accept-clock`"
        )
    if backup := status["backup"]:
        remark(_backup(backup))
    for name in status["undeclared_tables"]:
        remark(f"Table {name} has data but is no longer declared.")
    for file in status["damaged_files"]:
        remark(f"Table {file['table']}: the file {file['path']} is damaged: {file['problem']}. See `dw doctor`.")
    if foreign := status["foreign_files"]:
        remark(f"{len(foreign)} data files are not of this warehouse and are not read; the first is {foreign[0]}.")
    if aside := status["set_aside_files"]:
        remark(f"{aside} files were set aside, in the folder _aside. See `dw doctor`.")


def _on_aws(arguments: argparse.Namespace) -> None:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.status import status_of

    with deployed(arguments) as (deployment, clients), progress("CloudWatch, Glue and S3 are asked"):
        status = status_of(deployment, clients, instant_of(WallClock().now_ms()))
    if arguments.output == "json":
        print_json(status)
        return
    print(f"{status['warehouse']} on AWS, database {status['database']} in {status['region']}, at {status['at']}\n")
    streaming = [table for table in status["tables"] if "received" in table]
    for table in streaming:
        runs = table["registrar"]
        table["registrar"] = _runs(runs) if runs else "none needed"
    print_table(_COLUMNS_ON_AWS, ([_shown(table[name]) for name in _COLUMNS_ON_AWS] for table in streaming))
    if status["jobs"]:
        print()
        columns = ("job", "schedule", "last_run", "runs_24h", "failed_24h")
        print_table(columns, ([_shown(job[name]) for name in columns] for job in status["jobs"]))
    for on in status["alerts"] or ():
        print(f"\nalert {on['alert']} since {on['began']}: {on['cause']}")
    if status["alerts"] is None:
        remark(
            "Which alarms are on is not known: the addresses have no alarm_topic. Run `pulumi up` with this release."
        )
    remark(f"\nreceived, stored and rejected are counted since {status['counted_since']}. What figures rest on:")
    for name, text in status["rests_on"].items():
        remark(f"  {name}: {text}")


def _runs(runs: dict[str, Any]) -> str:
    failed = f", {runs['failed_24h']} failed in 24 h" if runs["failed_24h"] else ""
    return f"ran {runs['last_run']}{failed}" if runs["last_run"] else "has not run for weeks"


def _reasons(refused: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items()))


def _backup(backup: dict[str, Any]) -> str:
    last = f"the last complete one is {backup['age_s'] / 3600:.1f} hours old" if backup["at"] else "there is none"
    if backup["result"] == "complete":
        return f"Back-up in {backup['to']}: {last}; every event acknowledged before {backup['at']} is in it."
    why = backup["failure"] or f"{len(backup['missing'])} files are damaged, the first is {backup['missing'][0]}"
    return f"The last back-up is {backup['result']}: {why} (complete back-ups: {last})"


def _audit(audit: dict[str, Any], damaged: int) -> str:
    result = f"{quantity(damaged, 'damaged file')} known" if damaged else "no known data errors"
    if not audit["shares"]:
        return f"off (audit_days); {result}"
    if audit["began"] is None:
        return f"nothing was read yet; {result}"
    unread = f", {quantity(audit['unread_files'], 'file')} could not be read" if audit["unread_files"] else ""
    last = f", the last at {audit['last']}" if audit["last"] else ""
    return (
        f"{audit['shares_read']} of {quantity(audit['shares'], 'daily share')} of the files read whole since "
        f"{audit['began']}{last}: {audit['files']} files, {size(audit['bytes'])}{unread}; {result}"
    )


def _painted(text: str, style: str) -> str:
    return painted(text, style, sys.stdout)


def _style_of_count(column: str, text: str) -> str:
    """Of what is lost, and of what was rejected."""
    return "" if text == "0" else {"lost": BAD, "rejected": WARNING}.get(column, "")


def _shown(value: float | str | None) -> str | None:
    return None if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
