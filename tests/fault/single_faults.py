"""One operation of a warehouse fails once: each statement of its catalog, each operation on a file.

`Faults` counts the operations while a warehouse works, and lets one of them fail: before it does anything, after it was
done (an error that comes too late), or, for a write, after half of it.
"""

import errno
import sqlite3
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq

from datawarehouse import durable
from datawarehouse.journal.journal import Journal

SEGMENT_BYTES, DAY_MS = 500, 24 * 3_600_000
BEFORE, AFTER, HALF = "before", "after", "half"
ERRORS = {
    "catalog": lambda: sqlite_error("disk I/O error", 10),
    "catalog full": lambda: sqlite_error("database or disk is full", 13),
    "file": lambda: OSError(errno.EIO, "Input/output error"),
    "file full": lambda: OSError(errno.ENOSPC, "No space left on device"),
}


def sqlite_error(message, code):
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


class Faults:
    """The operations that were seen, by name, and the one that fails: its number, when, and with which error."""

    def __init__(self, number=None, when=BEFORE, is_full=False):
        self.seen = []
        self.number = number
        self.when = when
        self.is_full = is_full

    def at(self, name, call, half=None):
        self.seen.append(f"{name}, for {asker()}")
        if len(self.seen) - 1 != self.number:
            return call()
        if self.when == AFTER:
            call()
        if self.when == HALF and half:
            half()
        raise ERRORS[name.split(":")[0] + (" full" if self.is_full else "")]()

    @contextmanager
    def injected(self, folder):
        """Operations on files below a folder, and on its catalog, are seen. The segments of journals are short, so that
        new ones begin and old ones go."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(Journal.__init__, "__defaults__", (None, SEGMENT_BYTES, DAY_MS, None)))

            def watch(owner, name, what, path_of, half=None):
                real = getattr(owner, name)

                def watched(*arguments, **options):
                    if not str(path_of(arguments)).startswith(str(folder)):
                        return real(*arguments, **options)
                    part = half and (lambda: half(real, *arguments))
                    return self.at(f"file: {what}", lambda: real(*arguments, **options), part)

                stack.enter_context(patch.object(owner, name, watched))

            for name in ("open", "read", "size", "names", "exists", "rename", "remove", "make_folder", "sync_folder"):
                watch(durable.LocalDisk, name, name, lambda arguments: arguments[1])
            for name in ("sync", "truncate", "close"):
                watch(durable._LocalFile, name, f"{name} of a file", lambda arguments: folder)
            watch(durable._LocalFile, "write", "write", lambda arguments: folder, half_of_a_write)
            for name in ("unlink", "rmdir", "stat"):
                watch(Path, name, f"path {name}", lambda arguments: arguments[0])
            for name in ("write_table", "close"):
                watch(pq.ParquetWriter, name, f"parquet {name}", lambda arguments: folder)
            connect = sqlite3.connect
            stack.enter_context(patch.object(sqlite3, "connect", lambda *a, **o: Connection(connect(*a, **o), self)))
            yield


def asker():
    """The function of the package that an operation is for; those that only do it are passed over."""
    frame = sys._getframe(2)
    while frame:
        module = Path(frame.f_code.co_filename)
        if "datawarehouse" in module.parts and module.name not in ("durable.py", "store.py"):
            return f"{module.stem}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "the test"


def half_of_a_write(write, file, buffers):
    data = b"".join(buffers)
    write(file, [data[: len(data) // 2]])


class Connection:
    """A connection to the catalog whose statements are seen."""

    def __init__(self, real, faults):
        self.real = real
        self.faults = faults

    def execute(self, sql, parameters=()):
        return self.faults.at(f"catalog: {' '.join(sql.split())[:60]}", lambda: self.real.execute(sql, parameters))

    def executemany(self, sql, rows):
        return self.faults.at(f"catalog: {' '.join(sql.split())[:60]}", lambda: self.real.executemany(sql, list(rows)))

    def executescript(self, sql):
        return self.faults.at("catalog: script", lambda: self.real.executescript(sql))

    def __getattr__(self, name):
        return getattr(self.real, name)
