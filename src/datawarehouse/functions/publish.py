"""Puts the rows of a run where their table's readers find them, hour by hour.

    JSON table           1. PUT the hour's one object, whole.       2. Register the hour if it is not there.
    Parquet, hours as    1. Stage the rows as JSON lines.           2. UNLOAD them as Parquet into a folder of the run's
    partitions              own inside the hour's.                  3. Point the partition there.
                         4. Delete what older runs left, an hour after it was written: a query may still read it.
    Parquet, without     1. and 2. as above, into the results.      3. Copy the objects into the hour's folder.
    partitions           4. Delete all others in it.

Step 3 is where a run becomes visible. What fails before it leaves the table as it was; the run can be repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from datawarehouse.errors import DataWarehouseError
from datawarehouse.functions.athena import Athena
from datawarehouse.functions.tables import GlueTable, create, point_to, read_table

STAGING_SUFFIX = "_staging"
_STALE = timedelta(hours=1)
_DELETE_A_CALL_MAX = 1000


@dataclass(slots=True)
class HourRows:
    """The rows of one hour as JSON lines."""

    lines: IO[bytes]
    count: int = 0


@dataclass(frozen=True, slots=True)
class Publisher:
    """results: an s3:// URL without a slash at its end."""

    glue: Any
    s3: Any
    athena: Athena
    table: GlueTable
    results: str

    def publish(self, hours: Mapping[str, HourRows]) -> None:
        """Replace the rows of hours, by partition value."""
        if self.table.is_json:
            for partition, rows in hours.items():
                folder = self.table.folder(partition)
                self._put(f"{folder}rows.json", rows)
                if self.table.partition_key:
                    create(self.glue, self.table, partition, folder)
            return
        staging = read_table(self.glue, self.table.database, f"{self.table.name}{STAGING_SUFFIX}")
        targets = {partition: self._unloaded(staging, partition, rows) for partition, rows in hours.items()}
        for partition, target in targets.items():
            if self.table.partition_key:
                point_to(self.glue, self.table, partition, target)
                self._delete_stale(partition, target)
            else:
                self._replace(partition, target)

    def _unloaded(self, staging: GlueTable, partition: str, rows: HourRows) -> str:
        """The folder that has the rows as Parquet, and nothing else."""
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        home = self.table.folder(partition) if self.table.partition_key else f"{self.results}/unload/{self.table.name}/"
        target = f"{home}{run}/"
        if rows.count:
            self._put(f"{staging.location}{run}/rows.json", rows)
            names = ", ".join(f'"{column.name}"' for column in self.table.columns)
            self.athena.run(
                f'UNLOAD (SELECT {names} FROM "{staging.name}" WHERE "{staging.partition_key}" = \'{run}\') '
                f"TO '{target}' WITH (format = 'PARQUET', compression = 'SNAPPY')"
            )
        return target

    def _put(self, url: str, rows: HourRows) -> None:
        bucket, key = split_url(url)
        rows.lines.seek(0)
        self.s3.put_object(Bucket=bucket, Key=key, Body=rows.lines, ContentType="application/json")

    def _delete_stale(self, partition: str, target: str) -> None:
        before = datetime.now(UTC) - _STALE
        _, keep = split_url(target)
        found = self._objects(self.table.folder(partition))
        self._delete(key for key, modified in found if modified < before and not key.startswith(keep))

    def _replace(self, partition: str, target: str) -> None:
        bucket, folder = split_url(self.table.folder(partition))
        source, _ = split_url(target)
        run = target.rstrip("/").rpartition("/")[2]
        made = set()
        for number, (key, _) in enumerate(self._objects(target)):
            name = f"{folder}{run}-{number}.parquet"
            self.s3.copy_object(Bucket=bucket, Key=name, CopySource={"Bucket": source, "Key": key})
            made.add(name)
        self._delete(key for key, _ in self._objects(self.table.folder(partition)) if key not in made)

    def _objects(self, url: str) -> Iterator[tuple[str, datetime]]:
        """The keys below a URL, each with when it was written."""
        bucket, prefix = split_url(url)
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                yield each["Key"], each["LastModified"]

    def _delete(self, keys: Iterable[str]) -> None:
        """Delete objects of the table's bucket."""
        bucket, _ = split_url(self.table.location)
        gone = [{"Key": key} for key in keys]
        for start in range(0, len(gone), _DELETE_A_CALL_MAX):
            given = {"Objects": gone[start : start + _DELETE_A_CALL_MAX], "Quiet": True}
            for error in self.s3.delete_objects(Bucket=bucket, Delete=given).get("Errors", []):
                raise DataWarehouseError(f"s3://{bucket}/{error['Key']} could not be deleted: {error['Message']}.")


def split_url(url: str) -> tuple[str, str]:
    """The bucket and the key of an s3:// URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key
