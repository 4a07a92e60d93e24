"""An answer in one of the shell's modes, printed as it comes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import IO

from datawarehouse.cli.answers import Shown, first_rows, print_rows
from datawarehouse.cli.colour import FAINT, HEAD, painted
from datawarehouse.cli.grid import Row, rows_in
from datawarehouse.cli.output import remark
from datawarehouse.query.screen import padded, width

_PAGER = "less"
_LESS = "-SRFX"  # long lines are not folded, a short text ends it at once and stays on the screen


@dataclass(frozen=True, slots=True)
class Page:
    """Where an answer is printed. limit: after how many rows it ends; None: never. columns: the width of the terminal,
    None if it is none."""

    out: IO[str]
    limit: int | None
    columns: int | None


Print = Callable[[Iterator[bytes], Page], Shown]


@dataclass(frozen=True, slots=True)
class Mode:
    """form: in which format the warehouse is asked."""

    form: str
    means: str
    print: Print


def _table(pieces: Iterator[bytes], page: Page) -> Shown:
    return print_rows(pieces, page.out, limit=page.limit, room=page.columns)


def _expanded(pieces: Iterator[bytes], page: Page) -> Shown:
    """A line for each value, whole."""
    blocks = rows_in(pieces)
    names, first = first_rows(blocks, page.limit or 1)
    places = max(map(width, names), default=0)
    heads = [painted(padded(_plain(name), places, right=True), HEAD, page.out) for name in names]
    null = painted("NULL", FAINT, page.out)
    printed = 0
    for rows in chain((first,), blocks):
        for row in rows[: None if page.limit is None else page.limit - printed]:
            printed += 1
            line = f"-[ row {printed} ]" + "-" * max(0, places - len(f" row {printed} ") + 2)
            page.out.write(painted(line, FAINT, page.out) + "\n")
            page.out.writelines(
                f"{head}  {null if cell is None else _plain(cell)}\n" for head, cell in zip(heads, row, strict=True)
            )
        if page.limit is not None and printed >= page.limit:
            break
    return Shown(printed, ())


def _markdown(pieces: Iterator[bytes], page: Page) -> Shown:
    blocks = rows_in(pieces)
    names, first = first_rows(blocks, page.limit or 1)
    page.out.write(_markdown_line(names) + _markdown_line(["---"] * len(names)))
    return _each(chain((first,), blocks), page, _markdown_line)


def _csv(pieces: Iterator[bytes], page: Page) -> Shown:
    blocks = rows_in(pieces)
    names, first = first_rows(blocks, page.limit or 1)
    page.out.write(_csv_line(names))
    return _each(chain((first,), blocks), page, _csv_line)


def _each(blocks: Iterator[Sequence[Row]], page: Page, line: Callable[[Sequence[str | None]], str]) -> Shown:
    printed = 0
    for rows in blocks:
        kept = rows if page.limit is None else rows[: page.limit - printed]
        page.out.writelines(map(line, kept))
        printed += len(kept)
        if page.limit is not None and printed >= page.limit:
            break
    return Shown(printed, ())


def _ndjson(pieces: Iterator[bytes], page: Page) -> Shown:
    printed = 0
    for line in _lines(pieces, page.limit):
        page.out.write(line + "\n")
        printed += 1
    return Shown(printed, ())


def _json(pieces: Iterator[bytes], page: Page) -> Shown:
    printed, held = 0, "["
    for line in _lines(pieces, page.limit):
        if printed:
            page.out.write(f"{held},\n")
        held = line if printed else f"[{line}"
        printed += 1
    page.out.write(f"{held}]\n")
    return Shown(printed, ())


MODES = {
    "table": Mode("csv", "columns side by side, as wide as the terminal", _table),
    "expanded": Mode("csv", "a line for each value, whole (\\x)", _expanded),
    "markdown": Mode("csv", "a table of Markdown", _markdown),
    "csv": Mode("csv", "CSV", _csv),
    "json": Mode("ndjson", "an array of JSON objects", _json),
    "ndjson": Mode("ndjson", "a JSON object a line", _ndjson),
}


def _lines(pieces: Iterator[bytes], limit: int | None) -> Iterator[str]:
    rest, given = b"", 0
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if limit is not None and given >= limit:
                return
            given += 1
            yield line.decode()


def _plain(cell: str | None) -> str:
    """Printable; line ends stay, and the lines after the first are set in."""
    if cell is None:
        return "NULL"
    lines = cell.split("\n")
    return "\n    ".join(
        "".join(ch if ch.isprintable() or ch == "\t" else ch.encode("unicode_escape").decode() for ch in line)
        for line in lines
    )


def _markdown_line(cells: Sequence[str | None]) -> str:
    texts = ("NULL" if cell is None else _plain(cell.replace("\n", "<br>")).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |\n"


def _csv_line(cells: Sequence[str | None]) -> str:
    return ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"


@contextmanager
def paged(is_wanted: bool) -> Iterator[IO[str]]:
    """Where to print to: a pager, if that is wanted and there is one. Leaving it early is no error."""
    pager = _pager() if is_wanted else None
    if pager is None or pager.stdin is None:
        yield sys.stdout
        return
    try:
        with suppress(BrokenPipeError, KeyboardInterrupt):  # Ctrl-C is the pager's
            yield pager.stdin
    finally:
        with suppress(BrokenPipeError):
            pager.stdin.close()
        while pager.returncode is None:
            with suppress(KeyboardInterrupt):
                pager.wait()


def _pager() -> subprocess.Popen[str] | None:
    command = shlex.split(os.environ.get("PAGER") or _PAGER)
    environment = {"LESS": _LESS, **os.environ}
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, encoding="utf-8", env=environment)
    except OSError as error:
        remark(f"The pager {command[0]!r} cannot be started ({error.strerror}); set PAGER to another one.")
        return None
