"""The digest of a file's bytes, which tells whether they are still what was written.

XXH3 with 128 bits (xxhash.com): as fast as memory can be read, so that writing and merging hardly notice it. It finds
every kind of damage; it does not protect from somebody who means to forge a file, who could write the catalog as well.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

import xxhash

from datawarehouse.errors import FileDamaged

_PIECE_BYTES = 256 * 1024  # stays in the processor's cache


def digest_of(path: Path) -> str:
    """The digest of a file, as 32 hexadecimal digits. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return digest_of_opened(file)


def digest_of_opened(file: FileIO) -> str:
    """The digest of what is left to read of a file that was opened without a buffer. Raises OSError."""
    # It is read, not mapped: a place of the disk that cannot be read would end a process that has mapped it.
    digest = xxhash.xxh3_128()
    buffer = memoryview(bytearray(min(os.fstat(file.fileno()).st_size + 1, _PIECE_BYTES)))
    while size := file.readinto(buffer):
        digest.update(buffer[:size])
    return digest.hexdigest()


def check_digest(path: Path, table: str, name: str, digest: str) -> None:
    """Raises FileDamaged if the bytes of a file are not those that were written. An empty digest is not checked."""
    try:
        found = digest_of(path)
    except FileNotFoundError:
        raise damaged(table, name, "it is missing") from None
    except OSError as error:
        raise damaged(table, name, f"it cannot be read ({error.strerror})") from None
    if digest and found != digest:
        raise damaged(table, name, "its bytes are not those that were written")


def damaged(table: str, name: str, problem: str) -> FileDamaged:
    """The error for a file of a table, which is called `name` in the data folder."""
    return FileDamaged(
        f"Table {table!r}: the file {name} is damaged: {problem}. Restore it from a back-up, or set it aside with "
        "`dw doctor --repair`, after which the rest of the table can be queried.",
        table,
        name,
        problem,
    )
