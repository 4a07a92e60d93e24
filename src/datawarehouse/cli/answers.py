"""The answer of a query, printed as it comes: how it is waited for, and how much of it a terminal shows."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from datawarehouse.cli.grid import MEASURED_ROWS, Grid, Row, rows_in
from datawarehouse.cli.output import quantity
from datawarehouse.cli.progress import progress
from datawarehouse.errors import DataWarehouseError
from datawarehouse.runtime.asking_here import Asking

SCREEN_ROWS_MAX = 40
_COLUMNS = 80  # of a terminal that does not say how wide it is


@dataclass(frozen=True, slots=True)
class Shown:
    """What of an answer was printed. left_out: the columns that had no place."""

    rows: int
    left_out: Sequence[str]


def is_screen() -> bool:
    """Whether a person sees stdout."""
    return sys.stdout.isatty()


def begun(pieces: Iterator[bytes], asked: Asking, *, is_silent_then: bool = False) -> Generator[bytes, None, None]:
    """The same pieces, once there is one. While one is waited for, a terminal says what is done; is_silent_then: only
    until the first. What is printed of them has to end with a line, since the next line may be erased."""
    coming = _waited(pieces, asked, is_silent_then=is_silent_then)
    next(coming)
    return coming


def _waited(pieces: Iterator[bytes], asked: Asking, *, is_silent_then: bool) -> Generator[bytes, None, None]:
    began_s, doing = time.monotonic(), "The query runs"

    def waiting() -> AbstractContextManager[object]:
        return progress(doing, lambda: _how_far(asked, doing), began_s)

    with waiting():
        first = next(pieces, b"")
    yield b""
    yield first
    if is_silent_then:
        yield from pieces
    elif is_screen():
        while True:
            with waiting():
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece
    else:
        with waiting():
            yield from pieces


def drained(pieces: Iterator[bytes], asked: Asking) -> None:
    """Let an answer come to its end, of which no more is printed."""
    with progress("The rows are counted", lambda: _how_far(asked, "The rows are counted")):
        for _ in pieces:
            pass


def _how_far(asked: Asking, doing: str) -> str | None:
    try:
        progress = asked.progress()
    except DataWarehouseError:  # it is over, or not asked yet
        return None
    if progress["rows"]:
        return f"{doing}: {quantity(progress['rows'], 'row')}"
    return None if progress["share"] is None else f"{doing}: {progress['share']:.0%}"


def screen_columns() -> int:
    """The width of the terminal."""
    return os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS


def print_rows(pieces: Iterator[bytes], out: IO[str], *, limit: int | None, room: int | None) -> Shown:
    """Print an answer that comes as CSV as a table. limit: after how many rows it ends. room: the width that it is to
    fit into."""
    blocks = rows_in(pieces)
    names, first = first_rows(blocks, MEASURED_ROWS if limit is None else limit)
    grid = Grid(names, first[:limit], out, room)
    out.write(grid.head() + grid.lines(first[:limit]))
    out.flush()
    printed = len(first[:limit])
    if limit is None:
        for rows in blocks:
            out.write(grid.lines(rows))
            printed += len(rows)
    return Shown(printed, grid.left_out)


def first_rows(blocks: Iterator[list[Row]], wanted: int) -> tuple[list[str], list[Row]]:
    """The names of the columns, and so many rows or more, unless there are fewer."""
    names, *found = next(blocks)
    while len(found) < wanted and (rows := next(blocks, None)) is not None:
        found += rows
    return [name or "" for name in names], found
