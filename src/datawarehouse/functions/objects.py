"""Objects of S3: lists, deletes and names them, and finds the newest complete folder of each hour."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from datawarehouse.errors import DataWarehouseError
from datawarehouse.functions.tables import is_hour

COMPLETE = "_complete"
"""Athena user guide, "Create tables in Athena": objects whose names begin with an underscore are hidden."""
_DELETE_A_CALL_MAX = 1000


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as S3 lists it. modified: when it was written."""

    key: str
    size: int
    tag: str
    modified: datetime


def listed(s3: Any, url: str, after: str = "") -> Iterator[Listed]:
    """The objects below a URL, in the order of their keys, those with a key greater than `after`."""
    bucket, prefix = split_url(url)
    start = {"StartAfter": after} if after else {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **start):
        for each in page.get("Contents", []):
            yield Listed(each["Key"], each.get("Size", 0), each.get("ETag", ""), each["LastModified"])


def listed_hours(s3: Any, url: str, first: str, last: str) -> Iterator[tuple[str, str, Listed]]:
    """(partition, name, object) of the objects that queries read in the folders of hours below a URL, from one hour to
    another, in the order of their keys. The folders of a day begin with digits, which are less than letters."""
    _, home = split_url(url)
    for each in listed(s3, url, f"{home}{first}"):
        place = each.key.removeprefix(home)
        partition, name = place[: len(last)], place[len(last) + 1 :]
        if partition > last:
            return
        if is_hour(partition) and is_read(name, each):
            yield partition, name, each


def is_read(name: str, each: Listed) -> bool:
    """Whether queries read an object; see COMPLETE. name: its key below the location."""
    return each.size > 0 and not any(part.startswith(("_", ".")) for part in name.split("/"))


def delete(s3: Any, bucket: str, keys: Iterable[str]) -> None:
    """Delete objects. Raises DataWarehouseError for the first that could not be deleted."""
    gone = [{"Key": key} for key in keys]
    for start in range(0, len(gone), _DELETE_A_CALL_MAX):
        given = {"Objects": gone[start : start + _DELETE_A_CALL_MAX], "Quiet": True}
        for error in s3.delete_objects(Bucket=bucket, Delete=given).get("Errors", []):
            raise DataWarehouseError(f"s3://{bucket}/{error['Key']} could not be deleted: {error['Message']}.")


def new_run() -> str:
    """The name of a run, which no other has. It is greater than that of an earlier run."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"


def newest_runs(s3: Any, url: str, since: str) -> dict[str, str]:
    """The newest complete run of each hour from `since` on, by partition, below the folder `url` that has the hours."""
    _, home = split_url(url)
    newest: dict[str, str] = {}
    for each in listed(s3, url, f"{home}{since}"):
        partition, run = run_of(each.key.removeprefix(home))
        if partition >= since and run > newest.get(partition, ""):
            newest[partition] = run
    return newest


def run_of(key: str) -> tuple[str, str]:
    """(partition, run) of the key of a complete run's mark, below the folder of its table; ("", "") of another key."""
    partition, _, name = key.rpartition("/")
    partition, _, run = partition.rpartition("/")
    return (partition, run) if name == COMPLETE else ("", "")


def split_url(url: str) -> tuple[str, str]:
    """The bucket and the key of an s3:// URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key
