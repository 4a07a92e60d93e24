"""The events of a file, whatever its form: lines of JSON, one JSON array, CSV or Parquet; the first three also packed
with gzip.

The first bytes tell Parquet and gzip; CSV is told by the file's name (.csv, .tsv, also .gz), because any text may be
CSV.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, RawIOBase, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from datawarehouse.errors import BadRequest
from datawarehouse.runtime.lines import Lines

_SEPARATORS = ",;\t|"
_FIELD_CHARACTERS_MAX = 64 * 1024 * 1024  # far more than an event may have; the library's limit is less
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass
class EventFile:
    """form: JSON, CSV or Parquet. lines: its events, each a line of JSON. raw: the file that they are read from."""

    form: str
    lines: Lines | Iterator[bytes]
    raw: IO[bytes]

    @property
    def unfinished_bytes(self) -> int:
        return self.lines.unfinished_bytes if isinstance(self.lines, Lines) else 0


@contextmanager
def event_file(path: Path, *, is_growing: bool = False) -> Iterator[EventFile]:
    """is_growing: see `Lines`. Raises BadRequest if there is no such file, or it cannot be read."""
    if not path.is_file():
        raise BadRequest(f"There is no file {path}.")
    try:
        raw = path.open("rb")
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}.") from None
    with raw:
        first = raw.peek(4)[:4]
        if first == b"PAR1":
            from datawarehouse.parquet.events import rows_as_json  # loads pyarrow, which a file of lines does not need

            yield EventFile("Parquet", rows_as_json(path), raw)
            return
        source: Any = gzip.GzipFile(fileobj=raw) if first[:2] == b"\x1f\x8b" else raw
        with suppress(OSError, EOFError, zlib.error):  # what cannot be unpacked is told where it is read
            first = source.peek(2)
        if first.startswith(_UTF_16):
            raise BadRequest(f"{path} is UTF-16, and events are UTF-8: iconv -f UTF-16 -t UTF-8 makes a file of that.")
        if is_csv(path):
            yield EventFile("CSV", _rows(source, path), raw)
        else:
            yield EventFile("JSON", Lines(source, is_growing=is_growing), raw)


def _event(names: list[str], row: list[str], separator: str) -> Iterator[bytes]:
    """A row as a line of JSON; none if it has no value."""
    if len(row) > len(names):  # what it is for nobody knows: no JSON, so that it is kept as a reject
        yield separator.join(row).replace("\n", " ").encode("utf-8", "surrogateescape") + b"\n"
        return
    event = {name: value for name, value in zip(names, row, strict=False) if value and name}
    if event:
        yield json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"


class _Last:
    """Lines, of which the last one that was read is known."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        return self.last


def is_csv(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1:] in ([".csv"], [".tsv"])


def _rows(source: IO[bytes], path: Path) -> Iterator[bytes]:
    """The rows of a CSV file (RFC 4180) with a header, each as an object of texts; an empty field is no member. The
    separator is that sign of `,;|` and the tabulator that the header has most often."""
    lines = TextIOWrapper(BufferedReader(cast(RawIOBase, source)), "utf-8-sig", "surrogateescape", newline="")
    try:
        header = lines.readline()
        separator = max(_SEPARATORS, key=header.count)
        raw_lines = _Last(chain([header], lines))
        csv.field_size_limit(_FIELD_CHARACTERS_MAX)
        rows = csv.reader(raw_lines, delimiter=separator)
        names = next(rows, None)
        if not names or not any(names):
            raise BadRequest(f"{path} has no header: the first line of CSV names the columns.")
        if twice := sorted(name for name, count in Counter(filter(None, names)).items() if count > 1):
            raise BadRequest(
                f"{path} has several columns of one name, {', '.join(map(repr, twice))}, of which an event could have "
                "but one value. Give each a name of its own in the first line."
            )
        unended: list[str] | None = None  # a row that its file may have ended before its quote did
        for row in rows:
            if unended is not None:
                yield from _event(names, unended, separator)
                unended = None
            if row and "\n" in row[-1] and not raw_lines.last.rstrip().endswith('"'):
                unended = row
            else:
                yield from _event(names, row, separator)
        if unended is not None:
            line = rows.line_num - unended[-1].rstrip("\n").count("\n")
            raise BadRequest(f"{path} has a quote in line {line} that is never closed. The rows before were read.")
    except (OSError, EOFError, zlib.error, csv.Error) as error:  # gzip raises the first three
        raise BadRequest(f"{path} cannot be read any further: {error}. What is before that was read.") from None
    finally:
        with suppress(ValueError):  # it is closed already, when not all rows were wanted
            lines.detach().detach()  # else the file is closed here, and its place is lost
