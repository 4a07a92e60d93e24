"""The audit as a daily chore: each data file is read once in `audit_days`, and files that look changed are read soon.

  1. The files are divided into as many shares as days, by a hash of their paths. A turn begins with the first share;
     each day one more is due. What was missed while nothing ran is read as soon as something runs.
  2. At the opening, and with each share, the file system is asked about all live files. Where it does not say what it
     said when the file was published, as in a copied folder, the file is read, and if its bytes are right the catalog
     gets what the file system says now, so that no query has to read it for that. So are files marked as damaged,
     which somebody may have put back.
  3. A round reads so much and no more, in small orders, so that compaction and closing do not wait for it.

How far a turn has come is a note in the catalog.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import File
from datawarehouse.clock import Clock
from datawarehouse.parquet.footer import FileState
from datawarehouse.tidy.audit import in_share
from datawarehouse.tidy.expiry import DAY_MS
from datawarehouse.tidy.files import data_file
from datawarehouse.tidy.orders import InspectedFiles, InspectOrder

log = logging.getLogger("datawarehouse.chores")

AUDIT_NOTE = "audit"
_ROUND_BYTES = 512 * 1024 * 1024
_ORDER_BYTES, _ORDER_FILES = 32 * 1024 * 1024, 64

Inspect = Callable[[InspectOrder], object]
"""Runs an order, here or in another process, and returns its answer. Raises WorkerDied."""


@dataclass
class Turn:
    """How far the present turn has come. days: how many shares it has; shares: how many were read; after: of the next
    one, the last path that was read. files, bytes, damaged, unread: of the turn so far, damaged and unread in files.
    read_ms: when the last share was read to its end, in this turn or the one before; 0 if none was.
    """

    days: int
    began_ms: int
    shares: int = 0
    after: str = ""
    files: int = 0
    bytes: int = 0
    damaged: int = 0
    unread: int = 0
    read_ms: int = 0


class DailyAudit:
    """Reads what is due. One round at a time."""

    def __init__(self, catalog: Catalog, lake: Path, clock: Clock, days: int) -> None:
        """days: in how many days all files are read; 0: only those that look changed, at the opening."""
        self._catalog = catalog
        self._lake = lake
        self._clock = clock
        self._days = days
        self._turn = self._noted()
        self._share_open = False
        self._changed: list[File] | None = None
        self._share: list[File] = []

    def _noted(self) -> Turn:
        noted: dict[str, Any] | None = self._catalog.noted(AUDIT_NOTE)
        if noted and noted["days"] == self._days:
            return Turn(**noted)
        return Turn(self._days, self._clock.now_ms(), read_ms=noted["read_ms"] if noted else 0)

    def round(self, inspect: Inspect, stopping: Callable[[], bool]) -> int:
        """Read what is due, and no more than a round may; returns how many files were read."""
        self._open_share()
        if self._changed is None:
            self._changed = self._that_look_changed(self._live())
        left, read = _ROUND_BYTES, 0
        while left > 0 and (self._changed or self._share) and not stopping():
            is_of_share = not self._changed
            waiting = self._share if is_of_share else self._changed
            files = _first_of(waiting)
            left -= sum(file.bytes for file in files)
            read += len(files)
            try:
                answer = inspect(InspectOrder([data_file(file) for file in files], str(self._lake)))
            except BaseException:
                if not stopping():  # the others are read all the same
                    del waiting[: len(files)]
                    self._turn.unread += len(files)
                raise
            assert isinstance(answer, InspectedFiles)
            self._take_in(files, answer.files, is_of_share=is_of_share)
            del waiting[: len(files)]
        self._close_share()
        return read

    def _live(self) -> list[File]:
        return [
            file for table in self._catalog.accounts.tables() for file in self._catalog.files_between(table, None, None)
        ]

    def _that_look_changed(self, live: Iterable[File]) -> list[File]:
        return [file for file in live if file.damage or not self._is_as_published(file)]

    def _is_as_published(self, file: File) -> bool:
        try:
            found = os.stat(f"{self._lake}/{file.path}")  # noqa: PTH116 - three times as fast as Path.stat
        except OSError:
            return False
        return (found.st_ino, found.st_mtime_ns, found.st_size) == (file.inode, file.modified_ns, file.bytes)

    def _open_share(self) -> None:
        turn, now = self._turn, self._clock.now_ms()
        if not self._days or self._share_open:
            return
        if turn.shares == self._days and now - turn.began_ms >= self._days * DAY_MS:
            turn = self._turn = Turn(self._days, now, read_ms=turn.read_ms)
        if turn.shares == self._days or turn.shares > (now - turn.began_ms) // DAY_MS:
            return
        live = self._live()
        self._changed = self._that_look_changed(live)
        changed = {file.path for file in self._changed}
        self._share = sorted(
            (
                file
                for file in live
                if in_share(file.path, turn.shares, self._days) and file.path > turn.after and file.path not in changed
            ),
            key=lambda file: file.path,
        )
        self._share_open = True

    def _close_share(self) -> None:
        if not self._share_open or self._share or self._changed:
            return
        self._share_open = False
        self._turn.shares += 1
        self._turn.after = ""
        self._turn.read_ms = self._clock.now_ms()
        self._catalog.note(AUDIT_NOTE, asdict(self._turn))

    def _take_in(self, files: list[File], states: Iterable[FileState], *, is_of_share: bool) -> None:
        right = []
        for file, state in zip(files, states, strict=True):
            self._turn.bytes += state.bytes
            self._turn.unread += bool(state.unread)
            if state.problem:
                self._turn.damaged += self._is_noted_as_damaged(file, state.problem)
            elif state.digest and _differs(file, state):
                right.append((file.path, state.digest, state.inode, state.modified_ns))
                if file.damage:
                    log.info("table %s: %s was damaged, and is right again", file.table, file.path)
        if right:
            self._catalog.accounts.found_right(right)
        self._turn.files += len(files)
        if is_of_share:
            self._turn.after = files[-1].path
            self._catalog.note(AUDIT_NOTE, asdict(self._turn))

    def _is_noted_as_damaged(self, file: File, problem: str) -> bool:
        """Whether a file is live and was not known to be damaged; it is now, and the log says so once."""
        if not self._catalog.damage(file.path, problem):
            return False
        log_damage(file.table, file.path, problem)
        return True


def log_damage(table: str, path: str, problem: str) -> None:
    log.error(
        "table %s: the file %s is damaged: %s; queries that need it are refused. Restore it from a back-up, or set it"
        " aside with `dw doctor --repair`",
        table, path, problem,
    )  # fmt: skip


def _differs(file: File, state: FileState) -> bool:
    known = (file.digest, file.inode, file.modified_ns)
    return file.damage is not None or (state.digest, state.inode, state.modified_ns) != known


def _first_of(waiting: list[File]) -> list[File]:
    """The files of the next order, at least one."""
    count, size = 0, 0
    while count < len(waiting) and count < _ORDER_FILES and (not count or size + waiting[count].bytes <= _ORDER_BYTES):
        size += waiting[count].bytes
        count += 1
    return waiting[:count]
