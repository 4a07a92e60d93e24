"""dw run"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import msgspec

from datawarehouse.cli.jobs import print_runs
from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json
from datawarehouse.cli.progress import progress
from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.status import described


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", help="a batch input table")
    parser.add_argument("--at", metavar="TIME", help="the scheduled instant, e.g. 2026-11-23T08:00:00Z (default: now)")
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    at = instant(arguments.at) if arguments.at else None
    client = client_of(settings.folder, timeout_s=None)
    with progress(f"The job {arguments.job} runs"):
        if client:
            asked = {"job": arguments.job, "at_ms": None if at is None else milliseconds_of(at)}
            ended = client.call("POST", "/v1/admin/run", msgspec.json.encode(asked))
        else:
            with open_alone(warehouse_of(arguments), settings) as opened:
                ended = described(opened.run(arguments.job, at))
    if arguments.output == "json":
        print_json(ended)
    else:
        print_runs([ended])
    return 0 if ended["outcome"] == "succeeded" else 1


def instant(text: str) -> datetime:
    """An instant in ISO 8601; UTC if it names no offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{text!r} is not an instant; write it as 2026-11-23T08:00:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
