"""Tables of the Glue Data Catalog: reads their descriptions, and registers their hourly partitions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.functions.clients import ClientError, error_code

PARTITIONS_A_CALL_MAX = 100
"""AWS Glue API reference, BatchCreatePartition."""
EXPIRED_A_RUN_MAX = 500
"""One an hour expires; more do when a retention is declared later, and runs have other work to do."""
ROLE_IS_NEW = ("AccessDeniedException", "UnrecognizedClientException")
"""What services answer while they do not know a role or its policy yet (AWS Glue API reference, "Common errors")."""


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """A table as Glue describes it.

    partition_key: the name of the one partition key, None if the table has none. location: ends with a slash.
    storage: the StorageDescriptor, whose copies describe partitions.
    """

    database: str
    name: str
    columns: tuple[Column, ...]
    partition_key: str | None
    location: str
    is_json: bool
    storage: Mapping[str, Any]
    created: datetime

    def folder(self, partition: str) -> str:
        """Where the hour's objects are; ends with a slash."""
        return f"{self.location}{partition}/"

    def partition_input(self, partition: str, location: str) -> dict[str, Any]:
        return {"Values": [partition], "StorageDescriptor": {**self.storage, "Location": location}}


def read_table(glue: Any, database: str, name: str) -> DescribedTable:
    found = glue.get_table(DatabaseName=database, Name=name)["Table"]
    storage = found["StorageDescriptor"]
    keys = [key["Name"] for key in found.get("PartitionKeys", [])]
    if len(keys) > 1:
        raise DataWarehouseError(
            f"Table {name!r} has the partition keys {', '.join(keys)}; the functions of the warehouse fill tables with "
            "one key, the hour, or with none."
        )
    return DescribedTable(
        database,
        name,
        tuple(Column(column["Name"], parse_type(column["Type"])) for column in storage["Columns"]),
        keys[0] if keys else None,
        storage["Location"].rstrip("/") + "/",
        found.get("Parameters", {}).get("classification") == "json",
        storage,
        found["CreateTime"],
    )


def registered(glue: Any, table: DescribedTable) -> set[str]:
    """The values of the partitions that are registered: a page for each 1,000 hours.

    All partitions are read, without an Expression, because Glue's parser of expressions refuses keys named `key` or
    `order`.
    """
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName=table.database, TableName=table.name, ExcludeColumnSchema=True
    )
    return {partition["Values"][0] for page in pages for partition in page["Partitions"]}


def register(
    glue: Any, table: DescribedTable, partitions: Sequence[str], locations: Mapping[str, str] | None = None
) -> None:
    """Register partitions at their folders, or where `locations` says; partitions that exist already stay as they are.

    If one could not be registered, raises DataWarehouseError after all were tried.
    """
    failed: list[str] = []
    for start in range(0, len(partitions), PARTITIONS_A_CALL_MAX):
        inputs = [
            table.partition_input(partition, (locations or {}).get(partition) or table.folder(partition))
            for partition in partitions[start : start + PARTITIONS_A_CALL_MAX]
        ]
        try:
            answer = glue.batch_create_partition(
                DatabaseName=table.database, TableName=table.name, PartitionInputList=inputs
            )
        except ClientError as error:
            if error_code(error) in ROLE_IS_NEW:
                raise
            failed.append(f"{inputs[0]['Values'][0]} to {inputs[-1]['Values'][0]}: {error}")
            continue
        failed += [text for text in _failures(answer, "PartitionValues") if "AlreadyExistsException" not in text]
    if failed:
        raise DataWarehouseError(
            f"Partitions of table {table.name!r} could not be registered, the others were: {'; '.join(failed)}."
        )


def retention_days() -> int | None:
    """After how many days an hour expires, from DW_RETENTION_DAYS; None for never."""
    days = os.environ.get("DW_RETENTION_DAYS")
    return int(days) if days else None


def oldest_kept(now_ms: int, days: int) -> str:
    """The first hour that has not expired: an hour does so this many days after its end, as on the embedded host."""
    return partition_of(now_ms - days * 24 * HOUR_MS)


def expire(glue: Any, table: DescribedTable, known: Iterable[str], oldest: str) -> list[str]:
    """Take hours before `oldest` out of the catalog, the oldest first, at most 500; returns them.

    S3 deletes their files by its lifecycle. known: the values of registered partitions; those that are no hours stay.
    """
    expired = sorted(value for value in known if value < oldest and is_hour(value))[:EXPIRED_A_RUN_MAX]
    for value in expired:
        try:
            glue.delete_partition(DatabaseName=table.database, TableName=table.name, PartitionValues=[value])
        except ClientError as error:
            if error_code(error) != "EntityNotFoundException":  # another run may have taken it out
                raise
    return expired


def expire_old(glue: Any, table: DescribedTable, now_ms: int) -> None:
    """Take the hours that have expired out of the catalog, if the table has hours and they expire."""
    days = retention_days()
    if table.partition_key and days is not None:
        expire(glue, table, registered(glue, table), oldest_kept(now_ms, days))


def is_hour(value: str) -> bool:
    """Whether a text is the value of an hourly partition."""
    try:
        start_ms(value)
    except BadRequest:
        return False
    return True


def refresh(glue: Any, table: DescribedTable, partitions: Sequence[str]) -> list[str]:
    """Give the table's present columns to partitions that have others; returns these. Raises DataWarehouseError if one
    could not be changed.

    Athena reads a partition by its own columns, and hours are registered before columns are added. At most 1,000.
    """
    known = registered_among(glue, table.database, table.name, partitions)
    found = [each for each in known if _columns(each["StorageDescriptor"]) != _columns(table.storage)]
    entries = [
        {
            "PartitionValueList": each["Values"],
            "PartitionInput": table.partition_input(each["Values"][0], each["StorageDescriptor"]["Location"]),
        }
        for each in found
    ]
    for start in range(0, len(entries), PARTITIONS_A_CALL_MAX):
        _update(glue, table, entries[start : start + PARTITIONS_A_CALL_MAX])
    return [each["Values"][0] for each in found]


def registered_among(glue: Any, database: str, table: str, partitions: Sequence[str]) -> list[Mapping[str, Any]]:
    """The partitions of a list that are registered, as Glue describes them. The list has at most 1,000.

    UnprocessedKeys are those that were not returned (AWS Glue API reference, BatchGetPartition): because Glue had no
    time for them, or because they do not exist. So they are requested again as long as an answer has some.
    """
    found: list[Mapping[str, Any]] = []
    wanted = [{"Values": [partition]} for partition in partitions]
    while wanted:
        answer = glue.batch_get_partition(DatabaseName=database, TableName=table, PartitionsToGet=wanted)
        found += answer["Partitions"]
        wanted = answer.get("UnprocessedKeys", []) if answer["Partitions"] else []
    return found


def location_of(glue: Any, table: DescribedTable, partition: str) -> str | None:
    """The location of a partition; None if it is not registered."""
    try:
        found = glue.get_partition(DatabaseName=table.database, TableName=table.name, PartitionValues=[partition])
    except ClientError as error:
        if error_code(error) != "EntityNotFoundException":
            raise
        return None
    return str(found["Partition"]["StorageDescriptor"]["Location"])


def point_to(glue: Any, table: DescribedTable, partition: str, location: str) -> None:
    """Register a partition at a location, or move it there."""
    given = table.partition_input(partition, location)
    try:
        glue.create_partition(DatabaseName=table.database, TableName=table.name, PartitionInput=given)
        return
    except ClientError as error:
        if error_code(error) != "AlreadyExistsException":
            raise
    _update(glue, table, [{"PartitionValueList": [partition], "PartitionInput": given}])


def _update(glue: Any, table: DescribedTable, entries: Sequence[Mapping[str, Any]]) -> None:
    answer = glue.batch_update_partition(DatabaseName=table.database, TableName=table.name, Entries=entries)
    for failure in _failures(answer, "PartitionValueList"):
        raise DataWarehouseError(f"A partition of table {table.name!r} could not be updated: {failure}.")


def _columns(storage: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(column["Name"], column["Type"]) for column in storage["Columns"]]


def _failures(answer: Mapping[str, Any], values: str) -> list[str]:
    return [
        f"{error[values][0]}: {error['ErrorDetail'].get('ErrorCode')} {error['ErrorDetail'].get('ErrorMessage', '')}"
        for error in answer.get("Errors", [])
    ]
