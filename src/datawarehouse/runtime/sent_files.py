"""What was sent of each file, so that the same file sent again sends only what is new.

A file is known by the table, its path (links resolved) and the digest of the events that were sent, as the lines that
`lines.py` makes of them: how far it was sent is a number of bytes of these lines.

1. Before a request, the record says how far it will reach. Then nobody has to know whether it was taken: sent again,
   it is the same request with the same idempotency key, and counts once.
2. With the answer, the record says that this much was sent. The next request writes both to disk, in one step.
3. Another `dw send` of the same file is refused meanwhile, by a lock that ends with the process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

import msgspec

from datawarehouse.durable import LOCAL_DISK, lacks_space, make_folder, replace
from datawarehouse.errors import BadRequest, FolderError, FolderInUse, Throttled
from datawarehouse.folder import sent_root

_NAME = "sent.json"


class Place(msgspec.Struct, frozen=True):
    """A place in a file: events and bytes of lines before it, and their digest."""

    events: int
    bytes: int
    digest: str


class Record(msgspec.Struct):
    """What was sent of a file. run: distinguishes attempts to send it as new; under_way: where a request ends of which
    it is not known whether it was taken."""

    table: str
    path: str
    run: str
    sent: Place
    under_way: Place | None = None


class SentFile:
    """The record of one file, while this process sends it."""

    def __init__(self, folder: Path, record: Record, *, is_written: bool) -> None:
        """folder: of the record. is_written: whether it is there, or need not be."""
        self._folder = folder
        self._record = record
        self._digest = self._digest_under_way = blake2b(digest_size=16)
        self._is_written = is_written

    @property
    def sent(self) -> Place:
        return self._record.sent

    @property
    def name(self) -> str:
        """What the idempotency keys of the requests begin with."""
        return f"{self._record.run} {self._folder.name}"

    def rest(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Pass over what was sent; gives the request that was under way, if there was one, and then nothing more, with
        `lines` at the first event that was never sent. Raises BadRequest if the file no longer begins with it."""
        sent, under_way = self._record.sent, self._record.under_way
        found = sum(map(len, _passed(lines, self._digest, sent.bytes)))
        if self._digest.hexdigest() != sent.digest:
            raise self._changed("were sent", sent, found)
        if under_way:
            digest = self._digest.copy()
            body = b"".join(_passed(lines, digest, under_way.bytes - sent.bytes))
            if digest.hexdigest() != under_way.digest:
                raise self._changed("were sent or being sent", under_way, sent.bytes + len(body))
            yield body

    def _changed(self, what: str, known: Place, found: int) -> BadRequest:
        path, table = self._record.path, self._record.table
        now = (
            f"it now ends after {found} bytes of events, of {known.bytes}"
            if found < known.bytes
            else f"its first {known.bytes} bytes of events are others, whose digest is not {known.digest}"
        )
        return BadRequest(
            f"{path} is no longer the file of which {known.events} events {what} to {table!r}: {now}. It was "
            "rewritten, or another file took its name, so that nobody knows which of its events are new. Nothing was "
            "sent. To send all that is in it now as new events, add --new."
        )

    def begin(self, body: bytes) -> None:
        """Note that the next events are being sent. Raises Throttled if the disk is full, or FolderError."""
        self._digest_under_way = self._digest.copy()
        self._digest_under_way.update(body)
        self._record.under_way = self._after(body)
        self._write()

    def end(self, body: bytes) -> None:
        """Note that these events, which were under way, were taken."""
        self._digest = self._digest_under_way
        self._record.sent, self._record.under_way = self._after(body), None
        self._is_written = False

    def _after(self, body: bytes) -> Place:
        sent = self._record.sent
        return Place(sent.events + body.count(b"\n"), sent.bytes + len(body), self._digest_under_way.hexdigest())

    def _write(self) -> None:
        try:
            replace(LOCAL_DISK, self._folder / _NAME, msgspec.json.encode(self._record))
        except OSError as error:
            raise _unwritable(self._folder / _NAME, error) from None
        self._is_written = True

    def close(self) -> None:
        """Write the record; without it, the last request would only be sent once more, and count once."""
        if not self._is_written:
            with suppress(FolderError, Throttled):
                self._write()


def _unwritable(path: Path, error: OSError) -> FolderError | Throttled:
    if lacks_space(error):
        return Throttled("It cannot be noted how far the file is sent: the disk is full.", "disk_free_bytes_min")
    return FolderError(
        f"It cannot be noted how far the file is sent: {path} cannot be written ({error.strerror}). Nothing more was "
        "sent. Give this user the right to write there."
    )


def _passed(lines: Iterator[bytes], digest: blake2b, size: int) -> Iterator[bytes]:
    """Take lines until they have `size` bytes together, or more if no line ends there."""
    while size > 0 and (line := next(lines, b"")):
        size -= len(line)
        digest.update(line)
        yield line


@contextmanager
def sent_file(data_folder: Path, table: str, path: Path, new_run: str) -> Iterator[SentFile]:
    """The record of a file. new_run: if it is not empty, all of the file counts as new, under this name.

    Raises FolderInUse if another process sends the file.
    """
    known_as = os.path.realpath(path)
    name = blake2b(f"{table}\n{known_as}".encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    folder = sent_root(data_folder) / name
    try:
        make_folder(LOCAL_DISK, data_folder, folder)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(
                f"Another `dw send` is sending {path} to {table!r}. When it has ended, the same command sends what is "
                "in the file by then and was not sent."
            ) from None
        shown = os.fsencode(known_as).decode("utf-8", "backslashreplace")
        start = Record(table, shown, new_run, Place(0, 0, blake2b(digest_size=16).hexdigest()))
        record = start if new_run else _read(folder / _NAME) or start
        sent = SentFile(folder, record, is_written=not new_run)  # what was known ends, also if nothing is sent
        try:
            yield sent
        finally:
            sent.close()
    finally:
        os.close(lock)


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise FolderError(
            f"{path}, which says what was sent of the file, cannot be read: {error}. Nothing was sent. With --new, all "
            "of the file is sent as new events."
        ) from None
