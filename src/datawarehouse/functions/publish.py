"""Makes the rows of a run visible in their table, hour by hour.

Hours as partitions
    1. Write the rows into a new folder of the run inside the folder of the hour: JSON lines directly; Parquet by
       staging JSON lines, which Athena then UNLOADs. The result of a statement is UNLOADed directly.
    2. Mark the folder as complete, with an object whose name every engine takes for hidden. If the pointers are lost,
       `point_again` finds the newest complete run of each hour by it.
    3. Point the partition to that folder. Here the run becomes visible.
    4. Delete the folders of older runs of this hour and of the hour before it, if a newer run replaced them more than
       an hour ago. (Until then a query may still read them; and the hour before may get no other run that would delete
       them.)

Tables without partitions
    JSON: PUT the hour's one object, which replaces the old one as a whole. Parquet: 1. Stage and UNLOAD into the
    results. 2. Copy the objects into the hour's folder; here the run becomes visible. 3. Delete the objects of all
    other runs there, except those of a later run: of runs at the same time the latest remains.

A run that fails before it is visible leaves the table as it was, and can be repeated. A run of Parquet without
partitions that ends in the middle of step 2 or 3 leaves rows of two runs, until the next run.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.functions.athena import Athena
from datawarehouse.functions.objects import COMPLETE, delete, listed, new_run, newest_runs, split_url
from datawarehouse.functions.tables import DescribedTable, location_of, point_to, read_table

STAGING_SUFFIX = "_staging"
_STALE = timedelta(hours=1)


@dataclass(slots=True)
class HourRows:
    """The rows of one hour as JSON lines."""

    lines: IO[bytes]
    count: int = 0


@dataclass(frozen=True, slots=True)
class Publisher:
    """results: an s3:// URL without a slash at its end. mark: the content of the mark of a run that is complete."""

    glue: Any
    s3: Any
    athena: Athena
    table: DescribedTable
    results: str
    mark: bytes = b""

    def publish(self, hours: Mapping[str, HourRows]) -> None:
        """Replace the rows of hours, by partition value."""
        if self.table.is_json and not self.table.partition_key:
            for partition, rows in hours.items():
                self._put(f"{self.table.folder(partition)}rows.json", rows)
            return
        self._show({partition: self._written(partition, rows) for partition, rows in hours.items()})

    def publish_result(self, partition: str, statement: str) -> None:
        """Replace the rows of an hour of a table of Parquet by the result of a statement, whose columns are those of
        the table."""
        target = self._new_folder(partition)
        self._unload(statement, target)
        self._show({partition: target})

    def _show(self, targets: Mapping[str, str]) -> None:
        """targets: the new folder of each partition."""
        for target in targets.values() if self.table.partition_key else ():
            bucket, key = split_url(f"{target}{COMPLETE}")
            self.s3.put_object(Bucket=bucket, Key=key, Body=self.mark)
        for partition, target in targets.items():
            if self.table.partition_key:
                before = location_of(self.glue, self.table, partition)
                point_to(self.glue, self.table, partition, target)
                self._delete_stale(partition, {target, before})
                earlier = partition_of(start_ms(partition) - HOUR_MS)
                self._delete_stale(earlier, {location_of(self.glue, self.table, earlier)})
            else:
                self._replace(partition, target)

    def _written(self, partition: str, rows: HourRows) -> str:
        """A new folder that has the rows of the run and nothing else."""
        target = self._new_folder(partition)
        if rows.count and self.table.is_json:
            self._put(f"{target}rows.json", rows)
        elif rows.count:
            staging = read_table(self.glue, self.table.database, f"{self.table.name}{STAGING_SUFFIX}")
            run = target.rstrip("/").rpartition("/")[2]
            self._put(f"{staging.location}{run}/rows.json", rows)
            names = ", ".join(f'"{column.name}"' for column in self.table.columns)
            self._unload(f'SELECT {names} FROM "{staging.name}" WHERE "{staging.partition_key}" = \'{run}\'', target)
        return target

    def _new_folder(self, partition: str) -> str:
        """A folder for a run, which does not exist yet. Its name is greater than that of an earlier run."""
        home = self.table.folder(partition) if self.table.partition_key else f"{self.results}/unload/{self.table.name}/"
        return f"{home}{new_run()}/"

    def _unload(self, statement: str, target: str) -> None:
        self.athena.run(unload(statement, target))

    def _put(self, url: str, rows: HourRows) -> None:
        bucket, key = split_url(url)
        rows.lines.seek(0)
        self.s3.put_object(Bucket=bucket, Key=key, Body=rows.lines, ContentType="application/json")

    def _delete_stale(self, partition: str, kept: Collection[str | None]) -> None:
        """kept: the URLs of folders that queries may read."""
        bucket, home = split_url(self.table.folder(partition))
        keep = {split_url(url)[1] for url in kept if url}
        found = ((each.key, each.modified) for each in listed(self.s3, self.table.folder(partition)))
        delete(self.s3, bucket, stale(found, home, keep, datetime.now(UTC) - _STALE))

    def _replace(self, partition: str, target: str) -> None:
        bucket, folder = split_url(self.table.folder(partition))
        source, _ = split_url(target)
        run = target.rstrip("/").rpartition("/")[2]
        for number, each in enumerate(listed(self.s3, target)):
            name = f"{folder}{run}-{number}.parquet"
            self.s3.copy_object(Bucket=bucket, Key=name, CopySource={"Bucket": source, "Key": each.key})
        keys = [each.key for each in listed(self.s3, self.table.folder(partition))]
        found = {key: key.removeprefix(folder).rpartition("-")[0] for key in keys}
        latest = max([run, *found.values()])
        delete(self.s3, bucket, (key for key, each in found.items() if each != latest))


def unload(statement: str, target: str) -> str:
    """The statement that writes the result of another into an empty folder."""
    return f"UNLOAD ({statement}) TO '{target}' WITH (format = 'PARQUET', compression = 'SNAPPY')"


def point_again(glue: Any, s3: Any, table: DescribedTable, since: str) -> dict[str, str]:
    """Point the partitions of a table to the newest complete run of each hour from `since` on; returns the URLs of the
    runs of those that pointed elsewhere, or nowhere, by partition. An hour without a complete run stays as it is."""
    found: dict[str, str] = {}
    for partition, run in newest_runs(s3, table.location, since).items():
        target = f"{table.folder(partition)}{run}/"
        if location_of(glue, table, partition) != target:
            point_to(glue, table, partition, target)
            found[partition] = target
    return found


def stale(objects: Iterable[tuple[str, datetime]], home: str, keep: Collection[str], before: datetime) -> list[str]:
    """The keys of the runs of an hour that a newer run replaced before an instant, except those in folders to keep.

    objects: (key, when it was written) of all objects below `home`, the hour's folder.
    """
    runs: dict[str, list[tuple[str, datetime]]] = {}
    for key, written in objects:
        run, slash, _ = key.removeprefix(home).partition("/")
        if slash:
            runs.setdefault(f"{home}{run}/", []).append((key, written))
    found: list[str] = []
    for run, follower in itertools.pairwise(sorted(runs)):
        if run not in keep and min(written for _, written in runs[follower]) < before:
            found += [key for key, _ in runs[run]]
    return found
