"""Folders that hold exactly the live files, as links beside the warehouse.

A partition's folder in the warehouse also holds files that a merge replaced, until no query can be reading them. An
engine that reads whole folders would count their rows twice. So the export has separate folders:

    <to>/<table>              a symbolic link to the table's newest folder of links
    <to>/_links/<table>/<n>/  the n-th: one hard link for each live file
    <to>/_lock                held while an export writes

1. Make folder n, with all links. Hard links cost no space and stay when the warehouse deletes its own files. On another
   file system hard links are impossible, and symbolic links are made instead.
2. When all tables have their new folder, point each `<to>/<table>` to it, by one rename for each table.
3. Delete the folders of links that are older than the replaced ones, and folders left by an export that was killed. The
   replaced folders stay until the next export; otherwise an engine that is listing one now would miss files without an
   error.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK
from datawarehouse.errors import FolderError

_FOLDERS = "_links"
_NO_HARD_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK)


@contextmanager
def alone_in(to: Path) -> Iterator[None]:
    """Make the folder if it is missing, and wait until no other export writes in it."""
    to.mkdir(parents=True, exist_ok=True)
    fd = os.open(to / "_lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def link_tables(to: Path, tables: Mapping[str, Mapping[str, Path]]) -> int:
    """Make `<to>/<table>` hold these links: path below it -> file. Returns how many had to be symbolic links.

    Raises FolderError, and leaves every table as it was, if another file or folder is in the place of a table or a file
    is missing.
    """
    for name in tables:
        if (to / name).exists() and not (to / name).is_symlink():
            raise FolderError(
                f"{to / name} was not made by an export, which needs this path for a link. Move it away, or give "
                "another folder with --to."
            )
    made = {name: _next_folder(to, name) for name in tables}
    symbolic = sum(_fill(made[name], links) for name, links in tables.items())
    kept = set(made.values())
    for name, folder in made.items():
        if (to / name).is_symlink():
            kept.add(to / (to / name).readlink())
        aside = to / f"{name}{ASIDE_SUFFIX}"
        aside.unlink(missing_ok=True)
        aside.symlink_to(folder.relative_to(to))
        LOCAL_DISK.rename(aside, to / name)
    for folder in made.values():
        for other in folder.parent.iterdir():
            if other not in kept:
                shutil.rmtree(other)
    return symbolic


def _next_folder(to: Path, table: str) -> Path:
    folders = to / _FOLDERS / table
    folders.mkdir(parents=True, exist_ok=True)
    folder = folders / str(max((int(other.name) for other in folders.iterdir()), default=0) + 1)
    folder.mkdir()
    return folder


def _fill(folder: Path, links: Mapping[str, Path]) -> int:
    symbolic, parents = 0, {folder}
    for name, file in links.items():
        link = folder / name
        if link.parent not in parents:
            link.parent.mkdir(parents=True)
            parents.add(link.parent)
        try:
            link.hardlink_to(file)
        except FileNotFoundError:
            raise FolderError(
                f"{file} was live when the export began and is deleted now: the export took longer than retired files "
                "are kept (a minute longer than query_time_max_s). Nothing was changed; export again."
            ) from None
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            link.symlink_to(file)
            symbolic += 1
    return symbolic
