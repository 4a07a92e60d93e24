"""The names of data files and the contents of their footers; this module opens no file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from datawarehouse.definition.event_times import EventTimes
from datawarehouse.definition.partition import folder_of

ROWS, REJECTS = "rows", "rejects"
"""What a data file holds."""

REJECTS_FOLDER = "errors"


class Footer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a data file holds, as JSON in its Parquet metadata.

    spans: the first and last numbers of the records that were converted together, rejects included; a file of rows and
    a file of rejects with the same span share its records. records: how many of these records are in this file.
    replaces: the paths of the files whose rows are in this file. run: of a job's output, the number of its run and the
    scheduled instant (ms). deduplicated: how many duplicates were left out of the rows of these records. event_times:
    when the rows happened, of a table that declares its column of event time.
    """

    table: str
    kind: str
    partition: str
    spans: list[tuple[int, int]]
    records: int
    rows: int
    schema_version: int
    replaces: list[str] = []
    run: tuple[int, int] | None = None
    deduplicated: int = 0
    event_times: EventTimes | None = None


class DataFile(msgspec.Struct, frozen=True, tag=True):
    """A published file; `path` is relative to the root of the lake.

    digest: of all its bytes (see `digest.py`); empty for a file of a release that kept none. inode, modified_ns: what
    the file system said of it when it was published.
    """

    path: str
    bytes: int
    footer: Footer
    digest: str = ""
    inode: int = 0
    modified_ns: int = 0


class FileState(msgspec.Struct, frozen=True):
    """What a look at a data file found.

    problem: what is wrong with it, empty if nothing is. unread: why this process could not look. bytes: how many were
    read. digest, inode, modified_ns: of a file whose bytes were all read and are right; else the digest is empty.
    """

    path: str
    problem: str = ""
    unread: str = ""
    bytes: int = 0
    digest: str = ""
    inode: int = 0
    modified_ns: int = 0


def folder_for(table: str, kind: str, partition: str) -> str:
    """The folder of a partition's files, relative to the root of the lake."""
    folder = folder_of(table, partition)
    return folder if kind == ROWS else f"{REJECTS_FOLDER}/{folder}"


def is_inside(lake: Path, table: str, path: str) -> bool:
    """Whether a path that the catalog has is below a folder of its table, whatever links are on the way."""
    homes = ((lake / table).resolve(), (lake / REJECTS_FOLDER / table).resolve())
    folder = (lake / path).parent.resolve()
    return any(folder.is_relative_to(home) for home in homes)


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order; spans that follow each other without a gap become one, and equal spans are kept once."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result
