"""Whether a data file is the one that was published: there, of its size, with its footer, with its bytes.

1. Its size is compared, and its footer, which says what it holds.
2. If all of it is to be read, or the file system says of it what it did not say when it was published, its bytes are
   compared with its digest. A file of a release that kept no digest has its pages decoded instead.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from datawarehouse.parquet.digest import digest_of
from datawarehouse.parquet.files import FOOTER_KEY, ROW_GROUP_ROWS
from datawarehouse.parquet.footer import DataFile, FileState, Footer

_OF_THE_FILE = (errno.EIO, errno.EISDIR)
"""Errors that say something of the file, and not of the process that reads it."""
_COMPARED = ("table", "kind", "partition", "spans", "records", "rows", "schema_version")


def inspect(lake: Path, file: DataFile, *, whole: bool, schema: pa.Schema | None = None) -> FileState:
    """Compare a file with what was published. whole: read all of its bytes. schema: that it must have."""
    path = lake / file.path
    try:
        return _inspected(path, file, whole, schema)
    except (FileNotFoundError, NotADirectoryError):
        return FileState(file.path, "it is missing")
    except OSError as error:
        what = f"it cannot be read ({error.strerror})"
        return FileState(file.path, what) if error.errno in _OF_THE_FILE else FileState(file.path, unread=what)


def _inspected(path: Path, file: DataFile, whole: bool, schema: pa.Schema | None) -> FileState:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for somebody who writes it
        return FileState(file.path, "it is not a file")
    if found.st_size != file.bytes:
        return FileState(file.path, f"it has {found.st_size} bytes, and {file.bytes} were written")
    problem, size = _footer_problem(path, file.footer, schema)
    is_suspect = file.digest and (found.st_ino, found.st_mtime_ns) != (file.inode, file.modified_ns)
    if problem or not (is_suspect or whole):
        return FileState(file.path, problem, bytes=size)
    digest = digest_of(path)
    if file.digest and digest != file.digest:
        return FileState(file.path, "its bytes are not those that were written", bytes=found.st_size)
    if not file.digest and (problem := _pages_problem(path, file.footer)):
        return FileState(file.path, problem, bytes=found.st_size)
    now = path.stat()
    if (now.st_ino, now.st_mtime_ns, now.st_size) != (found.st_ino, found.st_mtime_ns, found.st_size):
        return FileState(file.path, unread="it was changed while it was read")
    return FileState(file.path, "", "", found.st_size, digest, found.st_ino, found.st_mtime_ns)


def _footer_problem(path: Path, expected: Footer, schema: pa.Schema | None) -> tuple[str, int]:
    """What is wrong with a footer, or nothing; and its size. Raises OSError."""
    try:
        with pa.OSFile(str(path)) as opened:
            metadata = pq.read_metadata(opened)
        text = (metadata.metadata or {}).get(FOOTER_KEY)
        footer = msgspec.json.decode(text, type=Footer) if text else None
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:  # of the system; Arrow's own have no number
            raise
        return f"its footer cannot be read ({_first_line(error)})", 0
    size = metadata.serialized_size
    if footer is None:
        return "it is a Parquet file that this warehouse did not write", size
    for name in _COMPARED:
        said, written = getattr(footer, name), getattr(expected, name)
        if said != written:
            return f"its footer says {name.replace('_', ' ')} {_short(said)}, and not {_short(written)}", size
    if expected.event_times is not None and footer.event_times != expected.event_times:
        return "its footer says other event times than the catalog has", size
    if metadata.num_rows != expected.rows:
        return f"it has {metadata.num_rows} rows, and {expected.rows} were written", size
    if schema is not None and not metadata.schema.equals(_parquet_schema(schema)):
        return "its columns are not those of its table", size
    return "", size


def _parquet_schema(schema: pa.Schema) -> pq.ParquetSchema:
    """The columns as a file has them; what Arrow adds to a file about its own types says nothing of what is there."""
    empty = pa.BufferOutputStream()
    with pq.ParquetWriter(empty, schema):
        pass
    return pq.read_metadata(pa.BufferReader(empty.getvalue())).schema


def _pages_problem(path: Path, footer: Footer) -> str:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as source:
            rows = sum(batch.num_rows for batch in source.iter_batches(batch_size=ROW_GROUP_ROWS))
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"its pages cannot be read ({_first_line(error)})"
    return "" if rows == footer.rows else f"its pages have {rows} rows, and {footer.rows} were written"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
