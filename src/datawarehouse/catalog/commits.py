"""A second record of what the catalog holds, outside SQLite: a snapshot, and a log of every commit after it.

It answers two questions that the catalog alone cannot: whether commits are missing in it (somebody put back an older
file, or its write-ahead log was lost), and what they were.

1. Each commit has a number, which the catalog holds. After a commit its statements are appended to the log under this
   number. The log is not synced: the catalog is durable by itself, and only a lost or damaged catalog needs the log.
2. A log that has grown LARGE, or has a gap (the process died between a commit and its append), is followed by a
   snapshot: a copy of the catalog. Older snapshots and logs are then removed.
3. `rebuild` makes a catalog of the newest snapshot that can be read and of the logs after it.

A log is a file of lines, `<crc32> <JSON>`: first the version of the catalog's tables, then [number, statements].
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from datawarehouse.catalog.schema import SCHEMA, VERSION
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, publish, remove

LARGE_BYTES = 16 * 1024 * 1024
_LOG, _SNAPSHOT = ".log", ".sqlite"
_TAIL_BYTES = 64 * 1024

Statement = tuple[str, bool, Any]
"""(SQL, whether it is for many rows, its parameters or the rows of them)."""


class CommitLog:
    """The log that the owner appends to. Not for several threads at once: the store's lock guards it."""

    def __init__(self, folder: Path, number: int) -> None:
        """Continue the log at commit `number`, which is the last one that the catalog has."""
        self._folder = folder
        self._file: int | None = None
        self._last = number
        self.size = 0
        base = max([at for at, _ in _numbered(folder, _SNAPSHOT)], default=0)
        logs = _after(base, _numbered(folder, _LOG))
        self.is_whole = _last_without_gap(base, logs) == number
        if self.is_whole:
            self._file = os.open(logs[-1][1], os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self.size = sum(path.stat().st_size for _, path in logs)
        else:
            self.begin(number)
            self.is_whole = number == 0

    def begin(self, number: int) -> None:
        """Begin another file, for the commits after `number`."""
        self.close()
        path = self._folder / f"{number:016d}{_LOG}"
        path.unlink(missing_ok=True)  # it holds nothing that the catalog has
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._write([VERSION])
        self._last = number
        self.size = 0

    def append(self, number: int, statements: Sequence[Statement]) -> None:
        """Note a commit. If the file cannot take it, or the commit before was not noted, the log has a gap until the
        next snapshot."""
        try:
            if number != self._last + 1:  # a commit that was made, and reported as failed
                self.is_whole = False
                self.begin(number - 1)  # so that also the next owner sees the gap, which is between two files
            self._last = number
            self._write([number, statements])
        except OSError:
            self._last = number
            self.is_whole = False
            self.close()

    @property
    def needs_snapshot(self) -> bool:
        return not self.is_whole or self.size > LARGE_BYTES

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, value: Any) -> None:
        if self._file is None:
            return
        text = msgspec.json.encode(value)
        line = b"%08x %s\n" % (crc32(text), text)
        if os.write(self._file, line) < len(line):
            raise OSError("the disk is full")
        self.size += len(line)


def snapshot(catalog: Path, folder: Path) -> int:
    """Copy the catalog as it is now, and remove what the copy makes superfluous; returns the number of its last
    commit."""
    aside = folder / f"snapshot{ASIDE_SUFFIX}"
    aside.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"{catalog.resolve().as_uri()}?mode=ro", uri=True)) as source:
        source.execute("vacuum into ?", (str(aside),))
    number = _commits_of(aside)
    publish(LOCAL_DISK, aside, folder / f"{number:016d}{_SNAPSHOT}")
    # Commits between the beginning of the log and the snapshot are in the log as well, and are passed over.
    logs = _numbered(folder, _LOG)
    needed = _after(number, logs)
    remove(LOCAL_DISK, [path for at, path in logs if (at, path) not in needed])
    remove(LOCAL_DISK, [path for at, path in _numbered(folder, _SNAPSHOT) if at < number])
    return number


def last_commit(folder: Path) -> int | None:
    """The number of the last commit that was noted; None if none is known."""
    known = [at for at, _ in _numbered(folder, _SNAPSHOT)]
    for at, path in _numbered(folder, _LOG)[-1:]:
        known.append(max(at, _last_in(path)))
    return max(known, default=None)


def rebuild(folder: Path, target: Path) -> int | None:
    """Make a catalog at `target`, which does not exist; returns the number of its last commit.

    None, and no file, if there is no snapshot that can be read and no log from the first commit on.
    """
    for number, source in [*reversed(_numbered(folder, _SNAPSHOT)), (0, None)]:
        if source is None:
            logs = _numbered(folder, _LOG)
            if not logs or logs[0][0] != 0 or next(iter(_lines(logs[0][1])), None) != [VERSION]:
                return None
        elif not _is_sound(source):
            continue
        with closing(sqlite3.connect(target, isolation_level=None)) as db:
            if source is None:
                db.executescript(f"begin immediate; {SCHEMA} commit;")
            else:
                with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as copy:
                    copy.backup(db)
            return _replay(db, folder, number)
    return None


def _replay(db: sqlite3.Connection, folder: Path, number: int) -> int:
    """Repeat the commits after `number`, as far as they are without a gap; returns the number of the last one."""
    for _, path in _numbered(folder, _LOG):
        for line in _lines(path):
            if len(line) < 2 or line[0] <= number:
                continue
            if line[0] != number + 1:
                return number
            db.execute("begin immediate")
            for sql, is_many, values in line[1]:
                (db.executemany if is_many else db.execute)(sql, values)
            number = line[0]
            db.execute("update commits set number = ?", (number,))
            db.execute("commit")
    return number


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            version = db.execute("pragma user_version").fetchone()[0]
            return bool(version == VERSION and db.execute("pragma integrity_check").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False


def _commits_of(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute("select number from commits").fetchone()[0])


def _numbered(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """The files of a kind, by their number."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if path.name.endswith(suffix) and path.name[:16].isdigit()]
    return sorted((int(path.name[:16]), path) for path in paths)


def _after(base: int, logs: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """Of the logs, those with the commits after `base`."""
    first = max([at for at, _ in logs if at <= base], default=0)
    return [(at, path) for at, path in logs if at >= first]


def _last_without_gap(base: int, logs: list[tuple[int, Path]]) -> int | None:
    """The number of the last commit that a copy of the catalog at commit `base` and these logs give; None if there is a
    gap between two of them, or no log."""
    number = base
    for at, path in logs:
        if at > number or next(_lines(path), None) != [VERSION]:
            return None
        number = max(number, _last_in(path))
    return number if logs else None


def _lines(path: Path) -> Iterator[list[Any]]:
    """The lines of a log, up to the first one that is not what was written."""
    with path.open("rb") as file:
        for line in file:
            value = _value(line)
            if value is None:
                return
            yield value


def _value(line: bytes) -> list[Any] | None:
    try:
        check, text = int(line[:8], 16), line[9:-1]
        return msgspec.json.decode(text, type=list) if line.endswith(b"\n") and crc32(text) == check else None
    except (ValueError, msgspec.DecodeError):
        return None


def _last_in(path: Path) -> int:
    """The number in the last line of a log that is whole; 0 if there is none."""
    size = path.stat().st_size
    length = _TAIL_BYTES
    with path.open("rb") as file:
        while True:
            file.seek(max(0, size - length))
            lines = file.read().splitlines(keepends=True)
            # The first of them is cut off, unless the file begins with it.
            for line in reversed(lines if length >= size else lines[1:]):
                value = _value(line)
                if value is not None and len(value) == 2:
                    return int(value[0])
            if length >= size:
                return 0
            length *= 4
