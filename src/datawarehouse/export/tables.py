"""A table, its partitions and their files as plain values, from which the text for every engine is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datawarehouse.definition.tables import Column


@dataclass(frozen=True, slots=True)
class PartitionFiles:
    """The live files of a partition, or of a table without partition keys; then `values` is ().

    folder: its path or URI, without a slash at the end; it holds these files and no others.
    files: (path below the folder, schema version) of each.
    """

    values: tuple[str, ...]
    folder: str
    files: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """A table as another engine should see it; `versions[v]` are the columns of files of schema version v.

    `versions` is None for a table that the user fills, because the columns of its files are not known.
    """

    name: str
    columns: tuple[Column, ...]
    keys: tuple[Column, ...]
    versions: Mapping[int, tuple[Column, ...]] | None
    folder: str
    partitions: tuple[PartitionFiles, ...]

    @property
    def files(self) -> int:
        return sum(len(partition.files) for partition in self.partitions)
