"""`dw audit`: proves that what is stored is there. It only reads, beside an owner or without one.

  1. List what the catalog says of the chosen tables and hours, at one moment, and prove the ledger from it.
  2. Unless the level is `catalog`, inspect each chosen file. A file that is not right is looked up again: one that the
     owner has retired meanwhile is no finding.
  3. Of all tables and hours: look at the files of scratch too.
  4. Note files that the catalog does not know and files that were set aside: nothing is wrong with the data for them.

An audit that is interrupted reports what it has read. With a state file the same call continues: it has a line for each
file that was right. It lies where the user says, because the data folder may be read-only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from datawarehouse.catalog.accounts import Account
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import File
from datawarehouse.clock import Clock
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.errors import BadRequest, UnknownName
from datawarehouse.folder import aside_root, holder_of
from datawarehouse.scratch.checking import ScratchProblem, scratch_problems
from datawarehouse.tidy.audit import CATALOG, DATA, Finding, in_share, of_file, unproven
from datawarehouse.tidy.files import data_file
from datawarehouse.tidy.orphans import files_of

CLEAN, DAMAGED, INCOMPLETE = 0, 20, 21
"""The exit codes of an audit."""

_JUST_WRITTEN_MS = HOUR_MS  # a file may wait so long for the commit that makes the catalog know it


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to audit. tables: all, if empty. low: the first hour, high: the hour after the last one; None: no bound.
    level: one of LEVELS. share, shares: which share of the files to read, counted from 0. state: of a call that can be
    continued."""

    tables: tuple[str, ...] = ()
    low: str | None = None
    high: str | None = None
    level: str = "files"
    share: int = 0
    shares: int = 1
    state: Path | None = None

    @property
    def has_scratch(self) -> bool:
        return not (self.tables or self.low or self.high) and self.level != CATALOG


@dataclass
class Audited:
    """The outcome for a table. files, bytes: the live ones of the chosen hours; chosen: how many of them are to be
    read; read: how many were; read_bytes: in this call. unread: files that could not be looked at, and why."""

    table: str
    files: list[File]
    ledger: list[Account]
    chosen: list[File]
    read: int = 0
    read_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.findings:
            return "DAMAGED"
        return "INCOMPLETE" if self.unread or self.read < len(self.chosen) else "SOUND"


@dataclass
class Report:
    """The outcome of an audit. began_ms: of the first call, if it was continued. notes: what is no damage. scratch:
    what is wrong with what keys have made."""

    level: str
    began_ms: int
    ended_ms: int
    continued: bool
    interrupted: bool
    tables: list[Audited]
    notes: list[str]
    scratch: list[ScratchProblem] = field(default_factory=list)

    @property
    def code(self) -> int:
        states = {table.state for table in self.tables}
        if "DAMAGED" in states or self.scratch:
            return DAMAGED
        return INCOMPLETE if self.interrupted or "INCOMPLETE" in states else CLEAN


class Audit:
    """An audit of the data folder `folder`: what it is to read is known before it begins."""

    def __init__(self, catalog: Catalog, folder: Path, wanted: Wanted, clock: Clock) -> None:
        """Raises UnknownName for a table that there is none of, and BadRequest for a state file of another call."""
        self._catalog = catalog
        self._folder = folder
        self._wanted = wanted
        self._clock = clock
        self._began_ms = clock.now_ms()
        self.tables = _listed(catalog, wanted)
        self._state = _State(wanted, folder, self._began_ms)

    def run(self, on_read: Callable[[File], None] = lambda file: None) -> Report:
        """Audit. on_read is called for each file that was read, also in an earlier call. Ctrl-C ends it early, with a
        report of what was read."""
        interrupted, notes = True, []
        scratch: list[ScratchProblem] = []
        with self._state as state:
            try:
                for table in self.tables:
                    for file in table.chosen:
                        self._inspect(table, file)
                        on_read(file)
                if self._wanted.has_scratch:
                    wrong = scratch_problems(self._folder, whole=self._wanted.level == DATA)
                    scratch = [each for each in wrong if in_share(each.path, self._wanted.share, self._wanted.shares)]
                if self._wanted.level != CATALOG:
                    notes = _notes(self._catalog, self._folder, self.tables, self._clock)
                interrupted = False
            except KeyboardInterrupt:
                pass
            if not interrupted and not any(table.unread for table in self.tables):
                state.remove()
        now_ms = self._clock.now_ms()
        began_ms, is_continued = state.began_ms, state.is_continued
        return Report(self._wanted.level, began_ms, now_ms, is_continued, interrupted, self.tables, notes, scratch)

    def _inspect(self, table: Audited, file: File) -> None:
        from datawarehouse.parquet.inspection import inspect  # Arrow, which an audit of the catalog does not need

        if file.path in self._state.right:
            table.read += 1
            return
        found = inspect(self._folder, data_file(file), whole=self._wanted.level == DATA)
        table.read_bytes += found.bytes
        if (found.problem or found.unread) and not self._catalog.accounts.is_live(file.path):
            table.read += 1  # retired while the audit ran: its rows are in another file
        elif found.problem:
            table.read += 1
            table.findings.append(of_file(file, found.problem))
        elif found.unread:
            table.unread.append((file.path, found.unread))
        else:
            table.read += 1
            self._state.add(file.path)


def _listed(catalog: Catalog, wanted: Wanted) -> list[Audited]:
    with catalog.moment():
        known = catalog.accounts.tables()
        for name in wanted.tables:
            if name not in known:
                raise UnknownName(
                    f"No table {name!r} to audit; there are {', '.join(known) or 'none'}. Tables that you fill are not "
                    "audited: nothing is known of their files."
                )
        tables = []
        for name in wanted.tables or known:
            files = catalog.files_between(name, wanted.low, wanted.high)
            ledger = catalog.accounts.ledger(name, wanted.low, wanted.high)
            chosen = [] if wanted.level == CATALOG else list(_chosen(files, wanted))
            tables.append(Audited(name, files, ledger, chosen))
    for table in tables:
        table.findings += [
            of_file(file, f"it is marked as damaged: {file.damage}") for file in table.files if file.damage
        ]
        table.findings += unproven(table.table, table.files, table.ledger)
    return tables


def _chosen(files: Sequence[File], wanted: Wanted) -> Iterator[File]:
    """Those to read; files that are known to be damaged are findings without it."""
    for file in files:
        if not file.damage and in_share(file.path, wanted.share, wanted.shares):
            yield file


def _notes(catalog: Catalog, folder: Path, tables: Sequence[Audited], clock: Clock) -> list[str]:
    """What lies in the folders of the tables and is no live data."""
    owned = holder_of(folder) is not None
    newest_ns = (clock.now_ms() - _JUST_WRITTEN_MS) * 1_000_000
    there = [each for table in tables for each in files_of(folder, table.table)]
    known = catalog.paths()
    unknown = sorted(path for path, changed_ns in there if path not in known and not (owned and changed_ns > newest_ns))
    notes = [f"{path} is not in the catalog; no query reads it" for path in unknown]
    root = aside_root(folder)
    aside = sorted(str(path.relative_to(folder)) for path in root.rglob("*") if path.is_file())
    return notes + [f"{path} was set aside; no query reads it" for path in aside]


class _State:
    """Which files were right, in this call and in those that it continues."""

    def __init__(self, wanted: Wanted, folder: Path, now_ms: int) -> None:
        self._path = wanted.state
        self._file: IO[str] | None = None
        self.right: set[str] = set()
        self.began_ms = now_ms
        self.is_continued = False
        if self._path is None:
            return
        call: dict[str, Any] = {
            "folder": str(folder), "level": wanted.level, "tables": list(wanted.tables), "from": wanted.low,
            "to": wanted.high, "share": wanted.share, "shares": wanted.shares,
        }  # fmt: skip
        try:
            self._begin(self._path, call, now_ms)
        except OSError as error:
            raise BadRequest(f"The state file {self._path} cannot be used: {error.strerror}.") from None

    def _begin(self, path: Path, call: dict[str, Any], now_ms: int) -> None:
        text = path.read_bytes().decode(errors="replace") if path.exists() else ""
        if not text:
            self._file = path.open("w")
            self._file.write(json.dumps({**call, "began_ms": now_ms}) + "\n")
            return
        head, *right = text.split("\n")
        try:
            noted = json.loads(head)
            self.began_ms = int(noted.pop("began_ms"))
        except (ValueError, KeyError, TypeError, AttributeError):
            noted = None
        if noted != call:
            raise BadRequest(
                f"The state file {path} is of another audit, or something else. Continue with the same folder, tables, "
                "hours, level and subset, or name another file."
            )
        self.is_continued = True
        self.right = set(right)
        self._file = path.open("a")
        if right and right[-1]:  # the last line was cut off
            self._file.write("\n")

    def add(self, path: str) -> None:
        if self._file:
            self._file.write(path + "\n")

    def remove(self) -> None:
        """The audit is complete: the next one begins anew."""
        if self._path:
            with suppress(OSError):
                self._path.unlink()

    def __enter__(self) -> _State:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._file:
            self._file.close()
