"""dw queries"""

from __future__ import annotations

import argparse

from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json, print_table, remark
from datawarehouse.errors import BadRequest, Unreachable
from datawarehouse.runtime.client import client_of

_COLUMNS = ("id", "who", "workgroup", "state", "asked_at", "share", "rows", "bytes", "sql")
_TEXT_CHARACTERS_MAX = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("ls", "kill"), default="ls", help="what to do (default: ls)")
    parser.add_argument("id", nargs="?", help="the query to end")
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    if (arguments.action == "kill") != bool(arguments.id):
        raise BadRequest(
            "`dw queries kill` takes the id of a query, and no other action does; `dw queries` lists them."
        )
    folder = settings_of(arguments).folder
    client = client_of(folder)
    if client is None:
        raise Unreachable(f"Nothing runs in {folder}, so there are no queries: only those of `dw up` are listed.")
    if arguments.action == "kill":
        ended = client.call("DELETE", f"/v1/queries/{arguments.id}")
        remark(f"The query is {ended['state']}.")
        return
    queries = client.call("GET", "/v1/queries")["queries"]
    if arguments.output == "json":
        print_json(queries)
        return
    rows = [
        query | query["progress"] | {"sql": _in_short(query["sql"]), "share": _percent(query["progress"]["share"])}
        for query in queries
    ]
    print_table(_COLUMNS, ([str(row[name]) for name in _COLUMNS] for row in rows))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _in_short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= _TEXT_CHARACTERS_MAX else line[:_TEXT_CHARACTERS_MAX] + "..."
