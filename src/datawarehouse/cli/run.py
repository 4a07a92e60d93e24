"""dw run"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

import msgspec

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
from datawarehouse.cli.output import print_json
from datawarehouse.cli.progress import progress
from datawarehouse.clock import WallClock
from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.status import described


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", help="a batch input table")
    parser.add_argument("--at", metavar="TIME", help="the scheduled instant, e.g. 2026-11-23T08:00:00Z (default: now)")
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_on(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    at = instant(arguments.at) if arguments.at else None
    ended = _on_aws(arguments, at) if arguments.on else _run(arguments, at)
    if arguments.output == "json":
        print_json(ended)
    else:
        print_runs([ended])
    return 0 if ended["outcome"] == "succeeded" else 1


def _run(arguments: argparse.Namespace, at: datetime | None) -> dict[str, Any]:
    settings = settings_of(arguments)
    client = client_of(settings.folder, timeout_s=None)
    with progress(f"The job {arguments.job} runs"):
        if client:
            asked = {"job": arguments.job, "at_ms": None if at is None else milliseconds_of(at)}
            ended: dict[str, Any] = client.call("POST", "/v1/admin/run", msgspec.json.encode(asked))
            return ended
        with open_alone(warehouse_of(arguments), settings) as opened:
            return described(opened.run(arguments.job, at))


def _on_aws(arguments: argparse.Namespace, at: datetime | None) -> dict[str, Any]:
    from datawarehouse.cli.on_aws import deployed
    from datawarehouse.operate.runs import run_job

    with deployed(arguments) as (deployment, clients), progress(f"The job {arguments.job} runs on AWS"):
        now = instant_of(WallClock().now_ms())
        return run_job(clients, deployment.batch(arguments.job), at or now).described()


def instant(text: str) -> datetime:
    """An instant in ISO 8601; UTC if it names no offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{text!r} is not an instant; write it as 2026-11-23T08:00:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
