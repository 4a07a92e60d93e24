"""Results of queries on disk, until somebody has fetched them: one file for each, which expires.

The owner alone writes here. Results do not outlive it: those of an owner that died are removed when the next one opens
the folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

_SUFFIX = ".result"


@dataclass(slots=True)
class Stored:
    """A result in a file. ends: where each of its pages ends; lines: how many line feeds there are up to there. size:
    in bytes, with what is being written."""

    path: Path
    ends: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    size: int = 0

    def append(self, page: bytes) -> None:
        """Write a page. Raises OSError."""
        with self.path.open("r+b") as file:  # which makes none, if it was removed meanwhile
            file.seek(0, os.SEEK_END)
            file.write(page)
        self.lines.append((self.lines or [0])[-1] + page.count(b"\n"))
        self.ends.append((self.ends or [0])[-1] + len(page))

    def page(self, number: int) -> bytes:
        """The bytes of a page. Raises OSError."""
        return self.octets(self.ends[number - 1] if number else 0, self.ends[number])

    def octets(self, begin: int, end: int) -> bytes:
        """The bytes from begin on, without those from end on. Raises OSError."""
        with self.path.open("rb") as file:
            file.seek(begin)
            return file.read(end - begin)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


class Results:
    """The folder of results."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clear(self) -> None:
        """Remove what an earlier owner left."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def new(self, name: str) -> Stored:
        """An empty result, which only this user can read. Raises OSError."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{name}{_SUFFIX}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return Stored(path)
