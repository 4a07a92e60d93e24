"""A copy of a catalog: made beside its owner, asked what it lists, and fitted to a folder that was restored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from datawarehouse.errors import CatalogDamaged


class CopiedFile(NamedTuple):
    """A data file that a copy lists; `path` is relative to the root of the lake, `digest` may be empty."""

    path: str
    bytes: int
    digest: str
    is_retired: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """What a copy of a catalog lists.

    commit: the number of its last commit. files: live and retired. streams: the tables that have a stream. filled: the
    tables that their user fills. places: (table, values, location) of the partitions that were registered with a
    location.
    """

    warehouse: str
    commit: int
    files: list[CopiedFile]
    streams: list[str]
    filled: list[str]
    places: list[tuple[str, str, str]]


def copy_catalog(path: Path, target: Path) -> None:
    """Copy a catalog as it is at one moment to `target`, which does not exist. Others may read and write it meanwhile.

    Raises CatalogDamaged if the copy is not sound, and sqlite3.Error if it cannot be written.
    """
    with closing(_read_only(path)) as source:
        source.execute("pragma busy_timeout = 10000")
        source.execute("vacuum into ?", (str(target),))
    with closing(_read_only(target)) as copy:
        found = copy.execute("pragma integrity_check").fetchone()[0]
    if found != "ok":
        raise CatalogDamaged(f"The catalog {path} is damaged: {found}. `dw doctor` says what can be done.")


def listed(path: Path, filled_kind: str) -> Listed:
    """What a copy of a catalog lists. filled_kind: the kind of the tables that their user fills."""
    with closing(_read_only(path)) as db:
        [(warehouse,)] = db.execute("select name from warehouse")
        [(commit,)] = db.execute("select number from commits")
        rows = db.execute("select path, bytes, digest, retired_ms is not null from files order by id")
        files = [CopiedFile(path, size, digest, bool(is_retired)) for path, size, digest, is_retired in rows]
        streams = [name for (name,) in db.execute("select table_name from streams order by table_name")]
        filled = [name for (name,) in db.execute("select name from tables where kind = ? order by 1", (filled_kind,))]
        registered = "select table_name, key, location from partitions where location is not null order by 1, 2"
        places = [(table, ", ".join(json.loads(key)), place) for table, key, place in db.execute(registered)]
        return Listed(warehouse, commit, files, streams, filled, places)


def fit(path: Path, found: Iterable[tuple[str, int, int]], lost: Iterable[tuple[str, str]]) -> None:
    """Make a copy the catalog of the folder that it is in, before anybody opens it.

    found: (path, inode, time of the last change in ns) of data files whose bytes are what the catalog says, so that
    queries need not read them again to know it. lost: (path, what is wrong) of those that are not.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("pragma synchronous = full")
        db.execute("begin immediate")
        db.executemany("update files set inode = ?2, modified_ns = ?3 where path = ?1", found)
        db.executemany("update files set damage = ?2 where path = ?1 and retired_ms is null", lost)
        db.execute("commit")


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
