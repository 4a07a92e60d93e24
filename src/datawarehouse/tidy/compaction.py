"""Plans what compaction does with the files of a partition, and why. Pure.

Conversion and its merges leave some files for each hour. Once an hour is closed and not one of the newest, compaction

  1. removes duplicates, if the table declares a `dedupe_key`: files that have duplicates are written again without
     them;
  2. merges neighbours up to the target size, ordering the rows if the table declares `sort_by`.

The first step changes rows and has its own count in the ledger; the second never changes rows. Each is one transaction
of the catalog. Files that are marked as arranged in the declared way are not planned again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datawarehouse.catalog.records import File


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the files of a closed hour should be; `sort_by`, `dedupe_key` and `event_time` as declared."""

    target_bytes: int
    sort_by: tuple[str, ...] = ()
    dedupe_key: str | None = None
    event_time: str | None = None

    @property
    def deduped(self) -> str:
        """The mark of files without duplicates that are not merged yet."""
        return f"{self.dedupe_key or ''}|"

    @property
    def arrangement(self) -> str:
        """The mark of files that are as they should be."""
        return self.deduped + ",".join(self.sort_by)

    @property
    def demands(self) -> bool:
        """Whether a single file may need work."""
        return bool(self.sort_by or self.dedupe_key)


@dataclass(frozen=True, slots=True)
class Hours:
    """Instants as partitions: `open` is the hour that records arrive in; hours before `compacted` are compacted."""

    open: str
    compacted: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. kind: "deduplicate" all of these files together, or "merge" them into one."""

    kind: str
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """The steps for a partition, in order, or none; and the reason. After a "deduplicate" the partition is planned
    again."""

    steps: tuple[Step, ...]
    reason: str


def plan_of(files: Sequence[File], fresh: bool, partition: str, hours: Hours, wanted: Wanted) -> CompactionPlan:
    """The plan for the live files of one kind in a partition. fresh: whether some still wait for their first merge."""
    if partition >= hours.open:
        return CompactionPlan((), "the hour is open")
    if partition >= hours.compacted:
        return CompactionPlan((), "it is one of the newest hours (compact_after_hours)")
    if fresh:
        return CompactionPlan((), "files wait for the merge at the end of the hour")
    if not files:
        return CompactionPlan((), "it has no files")
    if wanted.dedupe_key and not all((file.compacted or "").startswith(wanted.deduped) for file in files):
        return CompactionPlan(
            (Step("deduplicate", _ordered(files)),), f"duplicates in {wanted.dedupe_key!r} are not removed yet"
        )
    groups = _groups(files, wanted)
    steps = tuple(Step("merge", group) for group in groups if len(group) > 1 or not _is_arranged(group[0], wanted))
    if steps:
        order = f", ordered by {', '.join(wanted.sort_by)}" if wanted.sort_by else ""
        counts = ", counted by event time" if any(not _is_counted(file, wanted) for file in files) else ""
        return CompactionPlan(steps, f"{len(files)} files become {len(groups)}{order}{counts}")
    if len(files) == 1:
        return CompactionPlan((), "it is one file")
    return CompactionPlan(
        (), f"no two neighbours of its {len(files)} files fit into {wanted.target_bytes} bytes (compact_bytes)"
    )


def _groups(files: Sequence[File], wanted: Wanted) -> list[tuple[File, ...]]:
    """Files in the order of their records, neighbours together up to the target size."""
    groups: list[list[File]] = []
    size = 0
    for file in _ordered(files):
        if groups and size + file.bytes <= wanted.target_bytes:
            groups[-1].append(file)
            size += file.bytes
        else:
            groups.append([file])
            size = file.bytes
    return [tuple(group) for group in groups]


def _ordered(files: Sequence[File]) -> tuple[File, ...]:
    """Files in the order of their records, which is not that of their ids: a merge gives early records a late id."""
    return tuple(sorted(files, key=lambda file: (file.spans[:1], file.id)))


def _is_arranged(file: File, wanted: Wanted) -> bool:
    return _is_counted(file, wanted) and (not wanted.sort_by or file.compacted == wanted.arrangement)


def _is_counted(file: File, wanted: Wanted) -> bool:
    return not wanted.event_time or file.event_times is not None
