"""dw send"""

from __future__ import annotations

import argparse
import gzip
import secrets
import sys
from pathlib import Path
from typing import IO

from tqdm import tqdm

from datawarehouse.cli.options import add_output, add_settings, settings_of
from datawarehouse.cli.output import print_json
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.client import client_of, send


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="a streaming input table")
    parser.add_argument(
        "file", nargs="?", default="-", help="newline-delimited JSON or one array, also .gz; - is stdin"
    )
    parser.add_argument("--new", action="store_true", help="count events again that were sent from this file before")
    parser.add_argument("--patience-s", type=float, default=60, help="how long to retry without success (default: 60)")
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    folder = settings_of(arguments).folder
    # A file sent again counts once; standard input cannot be sent again.
    run_name = secrets.token_hex(8) if arguments.new or arguments.file == "-" else "file"
    with (
        _opened(arguments.file) as source,
        tqdm(unit="B", unit_scale=True, desc=arguments.table, disable=not sys.stderr.isatty()) as bar,
    ):
        sent = send(lambda: client_of(folder), arguments.table, source, run_name, arguments.patience_s, bar.update)
    if arguments.output == "json":
        print_json(vars(sent))
    else:
        print(f"{sent.accepted} events accepted")
        if sent.again:
            print(f"{sent.again} events of this file were sent before and count once (--new sends them as new ones)")
        if sent.refused:
            print(f"{sent.refused} events refused, the first because: {sent.first_refusal}", file=sys.stderr)
    return 1 if sent.refused else 0


def _opened(name: str) -> IO[bytes]:
    if name == "-":
        return sys.stdin.buffer
    path = Path(name)
    if not path.is_file():
        raise BadRequest(f"There is no file {path}.")
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]
