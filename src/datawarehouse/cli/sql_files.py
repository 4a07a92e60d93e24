"""SQL from files and from standard input, and the tables that it is checked against."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from datawarehouse.errors import BadRequest
from datawarehouse.runtime.declaration import DECLARATION, load

if TYPE_CHECKING:
    from datawarehouse.sql.schema import Declared

STDIN = "-"


def add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file of statements, or - for standard input")
    what = f"the declaration to check against (default: {DECLARATION}:warehouse if it is there, else none)"
    parser.add_argument("--warehouse", metavar="FILE[:NAME]", help=what)


def sql_in(path: str) -> str:
    """The text of a file; of standard input if it is -. Raises BadRequest if it cannot be read."""
    try:
        if path == STDIN:
            if sys.stdin is None:  # it is closed: `dw query - <&-`
                raise BadRequest("Standard input is closed. Give a file of SQL, or - with something to read.")
            return sys.stdin.buffer.read().decode("utf-8-sig")
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadRequest(
            f"{path} cannot be read: {error.strerror}. Give a file of SQL, or - for standard input."
        ) from None
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is not UTF-8 at byte {error.start}; convert it, e.g. with iconv.") from None


def declared_by(arguments: argparse.Namespace) -> Declared | None:
    """The declared tables, None if no declaration is named and there is none in the folder."""
    from datawarehouse.sql.schema import Declared
    from datawarehouse.sql.views import schemas_of_warehouse

    if arguments.warehouse is None and not Path(DECLARATION).is_file():
        return None
    warehouse = load(arguments.warehouse or DECLARATION)
    return Declared(schemas_of_warehouse(warehouse), warehouse.name)
