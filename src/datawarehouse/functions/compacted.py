"""Where the compacted rows of hours are, and what they were made of.

The rows of an hour that was compacted are in a folder of the run, <table>/compacted/YYYY/MM/DD/HH/<run>/, to which the
partition points. Firehose goes on writing into <table>/YYYY/MM/DD/HH/, where no query then looks. The mark of the
folder says which of the objects there the rows were made of, so that an object that came later is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datawarehouse.functions.objects import COMPLETE, newest_runs, split_url
from datawarehouse.functions.tables import DescribedTable

FOLDER = "compacted"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a folder of compacted rows was made of.

    sources: the names of the objects of the hour's own folder, below it. files: the keys of the folder's objects with
    rows. late: when objects were last added to the hour that came after it was compacted first; None for never.
    written: when the mark was.
    """

    sources: frozenset[str]
    files: frozenset[str]
    late: datetime | None
    written: datetime


def home_of(table: DescribedTable, partition: str = "") -> str:
    """The folder that has the compacted folders of an hour, or of all hours; ends with a slash."""
    return f"{table.location}{FOLDER}/{partition}/" if partition else f"{table.location}{FOLDER}/"


def is_compacted(table: DescribedTable, location: str) -> bool:
    """Whether the location of a partition is a folder of compacted rows."""
    return location.startswith(home_of(table))


def newest_compacted(s3: Any, table: DescribedTable, since: str) -> dict[str, str]:
    """The newest complete folder of each hour from `since` on that has one, by partition."""
    home = home_of(table)
    return {partition: f"{home}{partition}/{run}/" for partition, run in newest_runs(s3, home, since).items()}


def put_mark(s3: Any, folder: str, sources: Iterable[str], files: Iterable[str], late: datetime | None) -> None:
    """Mark a folder as complete."""
    bucket, key = split_url(f"{folder}{COMPLETE}")
    late_at = late.isoformat() if late else None
    body = {"sources": sorted(sources), "files": sorted(files), "late": late_at}
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(body).encode(), ContentType="application/json")


def read_mark(s3: Any, folder: str) -> Mark:
    """The mark of a folder to which a partition points; without one, the error of S3."""
    bucket, key = split_url(f"{folder}{COMPLETE}")
    answer = s3.get_object(Bucket=bucket, Key=key)
    found = json.loads(answer["Body"].read())
    late = datetime.fromisoformat(found["late"]) if found["late"] else None
    return Mark(frozenset(found["sources"]), frozenset(found["files"]), late, answer["LastModified"])
