"""Data files that the catalog does not know: what a dead process had written and not committed, and what is not ours.

A look compares the files in the folders of the tables with the catalog. A file that it does not know is judged if it is
older than the time at which this owner took the folder over, or was there at the look before: no commit takes as long
as the time between two looks. Once the clock was set back to before the opening, the age of a file says nothing.

  1. A file without our name and our footer is left where it is, and named in `dw status`.
  2. A file that was never published (its name ends in `.aside`) is removed.
  3. A file of ours is removed if its rows are elsewhere: the journal or live files hold all its records, or the catalog
     knows all the files that it was merged from; and if it is the output of a run that did not succeed.
  4. Any other file of ours is moved to `_aside/`, under the path that it had, and named in the log.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import Clock
from datawarehouse.definition.tables import Table
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, remove
from datawarehouse.folder import set_aside
from datawarehouse.journal.journal import Journal
from datawarehouse.parquet.footer import REJECTS_FOLDER, DataFile, Footer, folder_for, joined
from datawarehouse.tidy.expiry import DAY_MS

log = logging.getLogger("datawarehouse.chores")

FOREIGN_NOTE = "foreign files"
_OURS = re.compile(r"\d{16}-[0-9a-f]{8}(-\d{4})?\.parquet")
_NAMED_MAX = 1000


class Orphans:
    """Looks for such files, now and then."""

    def __init__(
        self,
        tables: Sequence[Table],
        catalog: Catalog,
        journals: Mapping[str, Journal],
        lake: Path,
        clock: Clock,
        since_ns: int,
        every_ms: int,
    ) -> None:
        """since_ns: when this owner took the folder over, as the time of a file. every_ms: between two looks."""
        self._names = [table.name for table in tables if table.kind != Table.kind]
        self._catalog = catalog
        self._journals = journals
        self._lake = lake
        self._clock = clock
        self._since_ns = since_ns
        self._every_ms = every_ms
        self._unknown: set[str] = set()
        self._looked_ms: int | None = None
        self._opened_ms = clock.now_ms()

    def look(self) -> int:
        """Look, if it is time; returns how many files were removed or set aside."""
        now = self._clock.now_ms()
        if now < self._opened_ms:
            self._since_ns = 0
        if self._looked_ms is not None and 0 <= now - self._looked_ms < self._every_ms:
            return 0
        there = {path: changed_ns for name in self._names for path, changed_ns in files_of(self._lake, name)}
        unknown = there.keys() - self._catalog.paths()
        judged = [path for path in sorted(unknown) if there[path] < self._since_ns or path in self._unknown]
        gone, foreign = self._judge(judged)
        if foreign != (self._catalog.noted(FOREIGN_NOTE) or []):
            self._catalog.note(FOREIGN_NOTE, foreign)
        self._unknown, self._looked_ms = unknown - gone, now
        return len(gone)

    def _judge(self, paths: Sequence[str]) -> tuple[set[str], list[str]]:
        """What was done with files that the catalog does not know: (those that are gone, those that are not ours)."""
        superfluous, kept, foreign = [], [], []
        for path in paths:
            name = path.rpartition("/")[2]
            if name.endswith(ASIDE_SUFFIX) and _OURS.fullmatch(name.removesuffix(ASIDE_SUFFIX)):
                superfluous.append(path)
                continue
            footer = footer_of(self._lake, path) if _OURS.fullmatch(name) else None
            if footer is None:
                foreign.append(path)
            elif self._is_elsewhere(footer):
                superfluous.append(path)
            else:
                kept.append(path)
        if superfluous:
            log.info("removing %d files that were written and not committed", len(superfluous))
            remove(LOCAL_DISK, [self._lake / path for path in superfluous])
        for path in kept:
            set_aside(self._lake, path)
            log.warning("set aside %s, which the catalog does not know and whose rows are nowhere else", path)
        return {*superfluous, *kept}, foreign[:_NAMED_MAX]

    def _is_elsewhere(self, footer: Footer) -> bool:
        if footer.run is not None:
            return self._catalog.runs.is_over_without(footer.run[0])
        if footer.replaces and set(footer.replaces) <= self._catalog.paths():
            return True
        journal = self._journals.get(footer.table)
        if journal is None or not footer.spans:
            return False
        first, last = footer.spans[0][0], footer.spans[-1][1]
        if journal.first_record <= first and last < journal.next_record:
            return True
        live = self._catalog.live_files(footer.table, footer.kind, [footer.partition])
        held = joined(span for file in live for span in file.spans)
        return all(any(a <= first and last <= b for a, b in held) for first, last in footer.spans)


@dataclass(slots=True)
class OnDisk:
    """The data files in the folders of a table: those with our footer, and those named as ours without one."""

    files: list[DataFile] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def on_disk(lake: Path, table: str, known: frozenset[str] | set[str] = frozenset()) -> OnDisk:
    """The data files of a table, except those whose paths are known. Their digests are not computed."""
    found = OnDisk()
    for path, modified_ns in sorted(files_of(lake, table)):
        if path in known or not is_named_as_ours(path):
            continue
        footer = footer_of(lake, path)
        if footer is None:
            found.unreadable.append(path)
            continue
        there = (lake / path).stat()
        found.files.append(DataFile(path, there.st_size, footer, "", there.st_ino, modified_ns))
    return found


def is_named_as_ours(path: str) -> bool:
    """Whether a published data file has a name as we give them."""
    return bool(_OURS.fullmatch(path.rpartition("/")[2]))


def footer_of(lake: Path, path: str) -> Footer | None:
    """Our footer, if it says that the file belongs where it is."""
    from datawarehouse.parquet.files import read_footer  # an owner loads Arrow only if there is such a file

    try:
        footer = read_footer(lake / path)
    except Exception:  # whatever Arrow says of a file that is none of ours
        return None
    place = folder_for(footer.table, footer.kind, footer.partition) if footer else None
    return footer if path.rpartition("/")[0] == place else None


def files_of(lake: Path, table: str) -> Iterator[tuple[str, int]]:
    """(path relative to the lake, time of the last change) of the data files in the folders of a table, including those
    that are being written. Folders may disappear in the meantime."""
    root = len(str(lake)) + 1
    folders = [str(lake / table), str(lake / REJECTS_FOLDER / table)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:  # it has gone, or this user may not look into it
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.name.endswith((".parquet", ".parquet" + ASIDE_SUFFIX)):
                try:
                    yield entry.path[root:], entry.stat().st_mtime_ns
                except OSError:  # it has gone, or is a link to nothing
                    continue


def orphan_ms(number: Callable[[str], int]) -> int:
    """How far apart two looks are, from settings: longer than any commit takes."""
    return max(DAY_MS, 2000 * max(number("job_time_max_s"), number("query_time_max_s")))
