"""dw init"""

from __future__ import annotations

import argparse
from pathlib import Path

from datawarehouse.cli.options import DECLARATION
from datawarehouse.errors import BadRequest

_TEMPLATE = """\
from datawarehouse import Warehouse

columns = {"id": "string", "session_id": "string", "event_time": "timestamp"}

warehouse = (
    Warehouse("analytics_dw")
    .with_streaming_input_table("impressions", columns=columns)
    .with_streaming_input_table("clicks", columns=columns)
)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="where to write it (default: here)")


def run(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.folder)
    path = folder / DECLARATION
    if path.exists():
        raise BadRequest(f"{path} is there already; nothing was written. Give another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_TEMPLATE)
    print(f"Wrote {path}. Next: `dw up`, and in another terminal")
    print("""  echo '{"id": "1", "session_id": "a", "event_time": "2026-11-23T07:00:00Z"}' | dw send clicks -""")
    print("  dw query 'select * from clicks'")
