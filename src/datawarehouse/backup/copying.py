"""Copying one file, with the digest of what was copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import xxhash

from datawarehouse.durable import LOCAL_DISK

_PIECE_BYTES = 1024 * 1024
_SYNC_EVERY_BYTES = 16 * 1024 * 1024  # so that a sync of a journal on the same disk never waits for more than this


class Unreadable(Exception):
    """The file to copy cannot be read: `problem` says why, is_missing whether there is none."""

    def __init__(self, problem: str, *, is_missing: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_missing = is_missing


def copy(source: Path, target: Path, length: int | None, on_piece: Callable[[int], None]) -> tuple[str, int]:
    """Copy the first `length` bytes of a file (None: all) to a new file; (their digest, how many there were).

    The new file is not synced. on_piece is called with the bytes of each piece, and may end the copy by an exception.
    Raises Unreadable, or OSError if the target cannot be written.
    """
    digest, size, left = xxhash.xxh3_128(), 0, length
    target.unlink(missing_ok=True)
    out = LOCAL_DISK.open(target, new=True)
    try:
        with _opened(source) as file:
            while left is None or left > 0:
                piece = file.read(_PIECE_BYTES if left is None else min(_PIECE_BYTES, left))
                if not piece:
                    break
                digest.update(piece)
                out.write([piece])
                size += len(piece)
                left = None if left is None else left - len(piece)
                if size % _SYNC_EVERY_BYTES < len(piece):
                    out.sync()
                on_piece(len(piece))
    finally:
        out.close()
    return digest.hexdigest(), size


class _opened:
    """A file whose errors are those of a source, and not of the target that is written between its reads."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise Unreadable("it is missing", is_missing=True) from None
        except OSError as error:
            raise Unreadable(f"it cannot be read ({error.strerror})") from None

    def __enter__(self) -> _opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise Unreadable(f"it cannot be read ({error.strerror})") from None
