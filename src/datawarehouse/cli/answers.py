"""The answer of a query, printed as it comes: how it is waited for, and how much of it a terminal shows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from datawarehouse.cli.grid import MEASURED_ROWS, Grid, Row, rows_in
from datawarehouse.cli.output import quantity
from datawarehouse.cli.progress import progress
from datawarehouse.errors import DataWarehouseError
from datawarehouse.runtime.asking import Asked

SCREEN_ROWS_MAX = 40


@dataclass(frozen=True, slots=True)
class Shown:
    """What of an answer was printed. left_out: the columns that had no place."""

    rows: int
    left_out: Sequence[str]


def is_screen() -> bool:
    """Whether a person sees stdout."""
    return sys.stdout.isatty()


def begun(pieces: Iterator[bytes], asked: Asked, doing: str = "The query runs") -> Iterator[bytes]:
    """The same pieces, once there is one. Until then a terminal says what is done."""
    with progress(doing, lambda: _how_far(asked, doing)):
        first = next(pieces, b"")
    return chain((first,), pieces)


def drained(pieces: Iterator[bytes], asked: Asked) -> None:
    """Let an answer come to its end, of which no more is printed."""
    with progress("The rows are counted", lambda: _how_far(asked, "The rows are counted")):
        for _ in pieces:
            pass


def _how_far(asked: Asked, doing: str) -> str | None:
    try:
        progress = asked.progress()
    except DataWarehouseError:  # it is over, or not asked yet
        return None
    if progress["rows"]:
        return f"{doing}: {quantity(progress['rows'], 'row')}"
    return None if progress["share"] is None else f"{doing}: {progress['share']:.0%}"


def print_rows(pieces: Iterator[bytes], *, limit: int | None) -> Shown:
    """Print an answer that comes as CSV as a table. limit: after how many rows it ends, and that it is to fit into the
    width of the terminal."""
    blocks = rows_in(pieces)
    [names], first = _first(blocks, MEASURED_ROWS if limit is None else limit)
    room = None if limit is None else os.get_terminal_size(sys.stdout.fileno()).columns or 80
    grid = Grid([name or "" for name in names], first[:limit], room)
    sys.stdout.write(grid.head() + grid.lines(first[:limit]))
    sys.stdout.flush()
    printed = len(first[:limit])
    if limit is None:
        for rows in blocks:
            sys.stdout.write(grid.lines(rows))
            printed += len(rows)
    return Shown(printed, grid.left_out)


def _first(blocks: Iterator[list[Row]], wanted: int) -> tuple[list[Row], list[Row]]:
    """The row of the names, and so many rows or more, unless there are fewer."""
    names, *found = next(blocks)
    while len(found) < wanted and (rows := next(blocks, None)) is not None:
        found += rows
    return [names], found
