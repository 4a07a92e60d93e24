"""What the data files of a table say of themselves, when the catalog cannot say it. Pure.

1. A file that another file replaces is no longer live.
2. Of a job's output in a partition, that of the latest run is live.
3. Of other files that hold the same records, the one is live that was merged, then the one that was written last. The
   others are retired if all their records are in live files; else they are left to the look for orphans.
4. A batch of which not all files are there was not committed. If the journal still has its records, they are
   converted again, and its files are left to the look for orphans.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from datawarehouse.parquet.footer import DataFile, joined

Spans = list[tuple[int, int]]


@dataclass(slots=True)
class Salvaged:
    """The files of a table: those that are live, and those that live ones have replaced.

    next_record: the number after the highest record that was converted; missing: the spans of lower numbers that are in
    no file.
    """

    live: list[DataFile] = field(default_factory=list)
    retired: list[DataFile] = field(default_factory=list)
    next_record: int = 0
    missing: Spans = field(default_factory=list)


def salvage(files: Sequence[DataFile], again_from: int | None) -> Salvaged:
    """What is live among the files of one table. again_from: the number of the first record that can be converted
    again; None if there is none."""
    replaced = {path for file in files for path in file.footer.replaces}
    found = Salvaged(retired=[file for file in files if file.path in replaced])
    places: dict[tuple[str, str], list[DataFile]] = {}
    for file in files:
        if file.path not in replaced:
            places.setdefault((file.footer.kind, file.footer.partition), []).append(file)
    for place in places.values():
        live, superfluous = _of_a_job(place) if not any(file.footer.spans for file in place) else _of_a_stream(place)
        found.live += live
        found.retired += superfluous
    while unfinished := _unfinished(found.live, again_from):
        found.live = [file for file in found.live if file not in unfinished]
    held = joined(span for file in found.live for span in file.footer.spans)
    found.next_record = held[-1][1] + 1 if held else 0
    ends = [-1, *(last for _, last in held)]
    found.missing = [(end + 1, first - 1) for end, (first, _) in zip(ends, held, strict=False) if first > end + 1]
    return found


def _of_a_job(files: Sequence[DataFile]) -> tuple[list[DataFile], list[DataFile]]:
    runs = [file.footer.run[0] if file.footer.run else -1 for file in files]
    latest = max(runs)
    return (
        [file for file, run in zip(files, runs, strict=True) if run == latest],
        [file for file, run in zip(files, runs, strict=True) if run < latest],
    )


def _of_a_stream(files: Sequence[DataFile]) -> tuple[list[DataFile], list[DataFile]]:
    live: list[DataFile] = []
    rest: list[DataFile] = []
    for file in sorted(files, key=_preference, reverse=True):
        (rest if any(_overlap(file, other) for other in live) else live).append(file)
    held = joined(span for file in live for span in file.footer.spans)
    return live, [file for file in rest if _is_within(file.footer.spans, held)]


def _preference(file: DataFile) -> tuple[bool, int, int]:
    return bool(file.footer.replaces), file.modified_ns, _length(file.footer.spans)


def _overlap(one: DataFile, other: DataFile) -> bool:
    return any(a <= d and c <= b for a, b in one.footer.spans for c, d in other.footer.spans)


def _is_within(spans: Spans, held: Spans) -> bool:
    return all(any(a <= first and last <= b for a, b in held) for first, last in spans)


def _length(spans: Iterable[tuple[int, int]]) -> int:
    return sum(last - first + 1 for first, last in spans)


def _unfinished(live: Sequence[DataFile], again_from: int | None) -> list[DataFile]:
    """The files of the latest batch if some of its files are not there and its records can be converted again."""
    latest = max((file.footer.spans[-1] for file in live if file.footer.spans), default=None, key=lambda span: span[1])
    if latest is None or again_from is None or latest[0] < again_from:
        return []
    its = [file for file in live if any(a <= latest[1] and latest[0] <= b for a, b in file.footer.spans)]
    if any(file.footer.replaces or file.footer.spans != [latest] for file in its):
        return []  # what was merged had been committed
    return its if sum(file.footer.records for file in its) < _length([latest]) else []
