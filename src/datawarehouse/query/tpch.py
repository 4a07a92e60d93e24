"""The tables of TPC-H as files, each made by the program `tpchgen-cli` when it is asked for the first time.

The program writes to a pipe, so that it ends with the process that reads it. A file is complete, or has another name;
two processes that make the same one write two files, of which the last stays.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, make_folder, publish
from datawarehouse.errors import MissingExtra, QueryFailed
from datawarehouse.folder import tpch_root
from datawarehouse.sql.catalogs import SCALES, TPCH

_PROGRAM = "tpchgen-cli"
_CHUNK_BYTES = 1024 * 1024
_PREFIXES = {"partsupp": "ps"}


def is_there() -> bool:
    """Whether the program is installed that makes the tables."""
    return _program() is not None


def stored_name(table: str, column: str) -> str:
    """The name of a column in the file of a table: in TPC-H it begins with letters of the table's name."""
    name = table.rpartition(".")[2]
    return f"{_PREFIXES.get(name, name[0])}_{column}"


def file_of(table: str, folder: Path, deadline: float) -> Path:
    """The file of a table of `sql.catalogs.TPCH_TABLES`, which is made if it is missing. folder: the data folder.

    Raises MissingExtra, QueryFailed if the program failed, and TimeoutError if it takes until `deadline` (of
    time.monotonic).
    """
    _, schema, name = table.split(".")
    found = tpch_root(folder) / schema / f"{name}.parquet"
    if not found.exists():
        _make(name, SCALES[schema], folder, found, deadline)
    return found


def _make(name: str, scale: str, folder: Path, target: Path, deadline: float) -> None:
    program = _program()
    if program is None:
        raise MissingExtra(
            f"The catalog {TPCH!r} needs the program {_PROGRAM}, which is not installed: "
            "pip install 'serverless-datawarehouse[tpch]'."
        )
    make_folder(LOCAL_DISK, folder, target.parent)
    aside = target.with_name(f"{target.name}.{os.getpid()}{ASIDE_SUFFIX}")
    command = [program, "parquet", "-s", scale, "-T", name, "--stdout", "-q", "-n", "1"]
    try:
        with (
            aside.open("wb") as file,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running,
        ):
            assert running.stdout and running.stderr
            while chunk := running.stdout.read(_CHUNK_BYTES):
                if time.monotonic() > deadline:
                    running.kill()
                    raise TimeoutError
                file.write(chunk)
            said = running.stderr.read().decode("utf-8", "replace")
        if running.returncode:
            raise QueryFailed(f"{_PROGRAM} could not make the table {name!r} of TPC-H: {said.strip()[-500:]}")
        publish(LOCAL_DISK, aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _program() -> str | None:
    """In the environment of this Python, or on the path."""
    beside = Path(sysconfig.get_path("scripts"), _PROGRAM)
    return (
        str(beside)
        if beside.exists()
        else shutil.which(_PROGRAM, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    )
