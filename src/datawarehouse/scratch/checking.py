"""What is wrong with the scratch of keys: lists that cannot be read, and files that are not what was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from datawarehouse.clock import Clock
from datawarehouse.errors import FolderError
from datawarehouse.folder import scratch_root, set_aside
from datawarehouse.parquet.digest import digest_of
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.scratch.store import LIST, Place, Scratch, ScratchFile, folders, is_listed, read_list

_FOR_EVER = ScratchLimits(0, 0, 2**62, 2**62)


@dataclass(frozen=True, slots=True)
class ScratchProblem:
    """path: in the data folder, of a file or of a list. table: whose file it is, "" for a list. rows: how many are
    lost."""

    path: str
    problem: str
    workgroup: str
    key: str
    table: str
    rows: int


def scratch_problems(folder: Path, *, whole: bool) -> Iterator[ScratchProblem]:
    """What is wrong in a data folder. whole: read each file; otherwise those that were changed or moved since they were
    written."""
    for place in folders(scratch_root(folder)):
        shown, group = str(place.relative_to(folder)), place.parent.name
        try:
            found = read_list(place)
        except FolderError:
            is_there = (place / LIST).exists()
            problem = "it cannot be read" if is_there else "it is missing, and there are rows of tables"
            yield ScratchProblem(f"{shown}/{LIST}", problem, group, "", "", 0)
            continue
        for table in found.tables:
            for file in table.files:
                if (problem := _problem(place / file.name, file, whole=whole)) and is_listed(place / file.name):
                    yield ScratchProblem(f"{shown}/{file.name}", problem, group, found.key, table.name, file.rows)


def _problem(path: Path, file: ScratchFile, *, whole: bool) -> str:
    try:
        found = path.stat()
        if found.st_size != file.bytes:
            return f"it has {found.st_size} bytes, and {file.bytes} were written"
        is_as_it_was = (found.st_ino, found.st_mtime_ns) == (file.inode, file.modified_ns)
        if file.digest and (whole or not is_as_it_was) and digest_of(path) != file.digest:
            return "its bytes are not those that were written"
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""


def mend_scratch(folder: Path, wrong: ScratchProblem, clock: Clock) -> None:
    """Set aside what is damaged, and let no table have it. Raises OSError."""
    if not wrong.table:
        place = (folder / wrong.path).parent
        for path in sorted(place.iterdir()):
            set_aside(folder, str(path.relative_to(folder)))
        return
    name = Path(wrong.path).name
    with Scratch.of(_FOR_EVER, folder, clock).changing(Place(wrong.workgroup, wrong.key)) as draft:
        table = draft.tables[wrong.table]
        files = [file for file in table.files if file.name != name]
        draft.tables[wrong.table] = msgspec.structs.replace(table, files=files)
        if (folder / wrong.path).exists():
            set_aside(folder, wrong.path)
