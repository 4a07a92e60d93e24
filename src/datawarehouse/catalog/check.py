"""Whether the file of a catalog can be used. It is looked at in a copy: SQLite writes beside a file that it reads.

A copy is a moment of the catalog only while nobody writes it: the caller owns the data folder, or nobody does.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.catalog.schema import VERSION, upgrade
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, publish

BESIDE = ("", "-wal", "-journal", "-shm")
"""What the names of a catalog's files end in."""


@dataclass(frozen=True, slots=True)
class CatalogLook:
    """problem: why the catalog cannot be used; empty if it can. version: of its tables; None if it cannot be read.
    number: of its last commit. copy: the file that was looked at, which can be opened if there is no problem."""

    problem: str
    version: int | None
    number: int
    copy: Path


def look_at(path: Path, scratch: Path) -> CatalogLook:
    """Look at the catalog `path`, in a copy in the folder `scratch`."""
    copy = scratch / path.name
    if not path.exists():
        return CatalogLook("it is missing", None, 0, copy)
    if not path.is_file():
        return CatalogLook("it is not a file", None, 0, copy)
    try:
        for end in BESIDE[:3]:
            if (source := path.with_name(path.name + end)).is_file():
                shutil.copyfile(source, copy.with_name(copy.name + end))
        return _looked(copy)
    except OSError as error:
        return CatalogLook(f"it cannot be read ({error.strerror})", None, 0, copy)
    except sqlite3.Error as error:
        return CatalogLook(f"it is damaged ({error})", None, 0, copy)


def _looked(copy: Path) -> CatalogLook:
    with closing(sqlite3.connect(copy)) as db:
        tables = {name for (name,) in db.execute("select name from sqlite_schema where type = 'table'")}
        if not tables:
            return CatalogLook("it is empty", None, 0, copy)
        if not {"tables", "files", "streams", "ledger"} <= tables:
            return CatalogLook("it is not a catalog of this warehouse", None, 0, copy)
        version = max(1, int(db.execute("pragma user_version").fetchone()[0]))
        found = db.execute("pragma integrity_check(1)").fetchone()[0]
        if found != "ok":
            return CatalogLook(f"it is damaged ({' '.join(str(found).split())})", None, 0, copy)
        if version != VERSION:
            return CatalogLook(f"it is of format {version}", version, 0, copy)
        return CatalogLook("", version, int(db.execute("select number from commits").fetchone()[0]), copy)


def prepared(made: Path, target: Path) -> Path:
    """A copy of a catalog that was made elsewhere, beside `target`; `publish` lets it be that file."""
    aside = target.with_name(target.name + ASIDE_SUFFIX)
    aside.unlink(missing_ok=True)
    with closing(sqlite3.connect(made)) as source:
        source.execute("vacuum into ?", (str(aside),))
    return aside


def put_in_place(made: Path, target: Path) -> None:
    """Let a catalog that was made elsewhere be the file `target`, which does not exist."""
    publish(LOCAL_DISK, prepared(made, target), target)


def begin_at(path: Path, number: int) -> None:
    """Let the commits of a catalog be counted from `number` on."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("update commits set number = ?", (number,))


def upgraded(path: Path, version: int) -> None:
    """Bring a copy of a catalog of an earlier release up to date."""
    for each in range(version, VERSION):
        upgrade(path, each)
