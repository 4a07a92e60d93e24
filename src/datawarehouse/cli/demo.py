"""dw demo"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

from datawarehouse.cli.exits import INTERRUPTED
from datawarehouse.cli.init import write_first
from datawarehouse.cli.options import add_output
from datawarehouse.cli.output import print_json
from datawarehouse.errors import Unreachable
from datawarehouse.runtime.declaration import DECLARATION

_DW = [sys.executable, "-m", "datawarehouse.cli.main"]
_LOOK_EVERY_S = 0.2
_TRAFFIC = ["impressions", "clicks", "--malformed", "0.01", "--late", "0.01", "--duplicates", "0.01"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", nargs="?", default="dw-demo", help="(default: dw-demo)")
    parser.add_argument("--rate", type=float, default=20, help="events a second (default: 20)")
    parser.add_argument("--port", default="8321", help="(default: 8321; 0 for a free one)")
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    add_output(parser, "table", "json")


def run(arguments: argparse.Namespace) -> int:
    """Until Ctrl-C. The folder stays, and the next run goes on in it."""
    folder = Path(arguments.folder)
    if not (folder / DECLARATION).exists():
        write_first(folder)
    signal.signal(signal.SIGTERM, _interrupted)
    command = [*_DW, "up", "--port", arguments.port, "--output", "json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as warehouse:
        try:
            line = warehouse.stdout.readline() if warehouse.stdout else b""
            if not line:
                raise Unreachable("`dw up` ended; what it said is above.")
            url = json.loads(line)["url"]
            traffic = [*_DW, "generate", *_TRAFFIC, "--rate", f"{arguments.rate:g}", "--output", "json"]
            with subprocess.Popen(traffic, cwd=folder, stdout=subprocess.DEVNULL) as sending:
                try:
                    _tell(arguments, folder, url)
                    while warehouse.poll() is None and sending.poll() is None:
                        time.sleep(_LOOK_EVERY_S)
                finally:
                    sending.terminate()
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            warehouse.terminate()
            warehouse.wait()
    what = "generate" if sending.returncode > 0 else "up"
    raise Unreachable(f"`dw {what}` ended, and the demo with it; what it said is above.")


def _interrupted(number: int, frame: object) -> None:
    """What it has started ends with it, whether Ctrl-C or `kill` ends it."""
    raise KeyboardInterrupt


def _tell(arguments: argparse.Namespace, folder: Path, url: str) -> None:
    if arguments.output == "json":
        print_json({"event": "ready", "url": url})
    else:
        print(f"{arguments.rate:g} events a second arrive, one in a hundred malformed. See them at {url}")
        print(
            f"In another terminal: cd {folder}; dw query 'select count(*) from clicks'; dw sql; dw quarantine ls clicks"
        )
        print("Ctrl-C ends it; the folder stays.")
    sys.stdout.flush()
    if not arguments.no_open:
        webbrowser.open(url)
