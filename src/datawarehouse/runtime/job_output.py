"""Whether the output that a run's process reports is what it may report. The process runs a user's code: it can answer
anything, and a path that is committed is read by queries and deleted when it is replaced.

1. Each file must be the one file of its partition, under the name that the run was given, and its footer must say what
   the footer of such a file says.
2. It must be a regular file there, of the size, the inode and the time that were reported.
3. Somebody who runs no user's code reads it whole: its columns, its row count and its digest must be as reported.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from datawarehouse.definition.partition import start_of
from datawarehouse.errors import DataWarehouseError
from datawarehouse.jobs.orders import JobOrder, JobOutput
from datawarehouse.parquet.footer import ROWS, DataFile, Footer, folder_for
from datawarehouse.tidy.orders import InspectedFiles, InspectOrder

_FOOTER_BYTES_MAX = 64 * 1024 * 1024
_MAGIC = b"PAR1"
_DIGEST_CHARACTERS = 32


class BadOutput(DataWarehouseError):
    """A run's process reported what it did not write, or may not write."""


def check_output(order: JobOrder, output: JobOutput, inspect: Callable[[InspectOrder], object]) -> None:
    """Raises BadOutput. inspect: does an order in a process that runs no user's code."""
    if len(set(output.partitions)) < len(output.partitions):
        raise BadOutput("a partition is reported twice")
    for partition in output.partitions:
        start_of(partition)
    left = set(output.partitions)
    for file in output.files:
        partition = file.footer.partition
        if partition not in left:
            raise BadOutput(f"{_quoted(file.path)} is not the one file of a partition that was written")
        left.remove(partition)
        _check_file(order, file, partition)
    if output.files:
        states = inspect(InspectOrder(output.files, order.lake, order.columns))
        assert isinstance(states, InspectedFiles)
        for state in states.files:
            if state.problem or state.unread:
                raise BadOutput(f"{_quoted(state.path)}: {state.problem or state.unread}")


def _check_file(order: JobOrder, file: DataFile, partition: str) -> None:
    folder = folder_for(order.table, ROWS, partition)
    if file.path != f"{folder}/{order.name}.parquet":
        raise BadOutput(f"{_quoted(file.path)} is not the file that this run may write for partition {partition}")
    rows = file.footer.rows
    footer = Footer(order.table, ROWS, partition, [], rows, rows, order.schema_version, run=(order.run, order.time_ms))
    if rows < 1 or file.footer != footer or len(file.digest) != _DIGEST_CHARACTERS:
        raise BadOutput(f"{_quoted(file.path)} is described as what a run does not write: {_quoted(str(file.footer))}")
    home, path = Path(order.lake, order.table), Path(order.lake, file.path)
    try:
        found = path.lstat()
        if path.parent.resolve() != home.resolve() / partition or not stat.S_ISREG(found.st_mode):
            raise BadOutput(f"{_quoted(file.path)} is not a regular file in the folder of its table")
        if (found.st_size, found.st_ino, found.st_mtime_ns) != (file.bytes, file.inode, file.modified_ns):
            raise BadOutput(f"{_quoted(file.path)} was changed after it was written")
        _check_tail(path, file.path)
    except OSError as error:
        raise BadOutput(f"{_quoted(file.path)} cannot be read ({error.strerror})") from None


def _check_tail(path: Path, name: str) -> None:
    """Who reads a footer reserves as much memory as it says that it takes."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        tail = file.read(8)
    if tail[4:] != _MAGIC or int.from_bytes(tail[:4], "little") > _FOOTER_BYTES_MAX:
        raise BadOutput(f"{_quoted(name)} is not a Parquet file")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}...")
