"""A stream whose journal does not fit the catalog: what is lost, and converting what is there.

The journal is opened leniently, and all of it is converted; conversion counts each lost record whose number is known as
a reject. After that the stream goes on in a new segment, so that the next opening finds nothing to pass over.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted
from datawarehouse.clock import Clock
from datawarehouse.convert.converter import ConvertedTable, Converter
from datawarehouse.durable import LOCAL_DISK, make_folder
from datawarehouse.folder import aside_root, journal_root
from datawarehouse.journal.journal import Journal
from datawarehouse.journal.opening import HOW_MANY, examine, spans_between
from datawarehouse.journal.read import Damage, read_spans
from datawarehouse.runtime.opening import start_of
from datawarehouse.settings import resolve

_ALL = 2**62


@dataclass(frozen=True, slots=True)
class StreamLook:
    """problems: why an opening refuses the stream; none if it does not. loss: in words."""

    stream: str
    problems: tuple[str, ...]
    loss: str


def look_at_stream(folder: Path, catalog: Catalog, stream: str) -> StreamLook:
    """What is wrong with the journal of a stream; nothing is changed."""
    start = start_of(catalog, stream)
    found = examine(LOCAL_DISK, journal_root(folder) / stream, start, lenient=True)
    if not found.problems:
        return StreamLook(stream, (), "")
    lost = size = 0
    if found.segments and found.state:
        end = found.segments[-1].start + found.end
        spans = spans_between(found.segments, start.position, end, found.state.next_record)
        for each in read_spans(spans, LOCAL_DISK, start.record, _ALL):
            if isinstance(each, Damage):
                lost += each.count
                size += each.end - each.start if not each.count else 0
    said = [f"{lost} records"] if lost else []
    said += [f"{size} bytes, of which it is not known whether they held records"] if size else []
    if any(HOW_MANY in problem for problem in found.problems):
        said.append(f"records at its end, of which {HOW_MANY} they were")
    return StreamLook(stream, tuple(found.problems), " and ".join(said) or "nothing")


def convert_what_is_there(folder: Path, catalog: Catalog, stream: str, clock: Clock) -> None:
    """Convert a stream as far as its journal can be read; a copy of the journal goes to `_aside/`."""
    from datawarehouse.convert.batch import BatchConverter  # it loads Arrow, which a look needs not

    home = journal_root(folder) / stream
    _keep(folder, home)
    start = start_of(catalog, stream)
    examined = examine(LOCAL_DISK, home, start, lenient=True)
    stored = next(each for each in catalog.tables(undeclared=True) if each.name == stream)
    with closing(Journal(journal_root(folder), stream, clock, LOCAL_DISK, start, examined=examined)) as journal:
        table = ConvertedTable(
            stream, stored.columns[stored.schema_version], stored.schema_version, 0, journal, lambda _: None,
            event_time=stored.event_time,
        )  # fmt: skip
        converter = Converter({stream: table}, catalog, folder, clock, resolve({}), grace_ms=0)
        batches = BatchConverter()
        while converter.convert(stream, batches.run):
            continue
        done = catalog.converted(stream)
        if done.position < journal.synced:  # what is left holds no record
            reached = Converted(journal.synced, journal.next_record, done.arrival_ms)
            catalog.commit_batch(stream, [], [], reached, clock.now_ms())
            journal.trim(journal.synced)


def _keep(folder: Path, home: Path) -> None:
    """Keep the files of a stream in `_aside/`: the last one as a copy, since it may be cut; the others as links."""
    if not home.is_dir():
        return
    files = sorted(path for path in home.iterdir() if path.is_file())
    target = aside_root(folder) / home.relative_to(folder)
    number = 0
    while target.exists():
        number += 1
        target = target.with_name(f"{home.name}.{number}")
    make_folder(LOCAL_DISK, folder, target)
    for path in files:
        if path == files[-1]:
            shutil.copy2(path, target / path.name)
        else:
            os.link(path, target / path.name)
    LOCAL_DISK.sync_folder(target)
