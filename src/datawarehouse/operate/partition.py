"""`dw partition --on aws`: points a partition of a table that its user fills to a folder of S3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from datawarehouse.definition.coercion import rule_for
from datawarehouse.definition.rejects import Reject
from datawarehouse.definition.tables import Table
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.functions.objects import split_url
from datawarehouse.operate.clients import Clients, error_code
from datawarehouse.operate.deployment import Deployment


def point_partition(
    deployment: Deployment, clients: Clients, name: str, values: Sequence[str], location: str | None
) -> tuple[str, str | None]:
    """Register a partition at a folder, or move it there; returns the URL of the folder and that of the one before,
    None if the partition is new. location: an s3:// URL (default: the folder of the values below the table's).

    Raises BadRequest if the values do not fit the keys, or the folder does not exist; nothing is changed then.
    """
    declared = deployment.table(name)
    if declared.kind != Table.kind:
        raise _refused(name, f"it is a {declared.kind}, whose partitions the warehouse makes")
    glue = clients("glue")
    table = glue.get_table(DatabaseName=deployment.database, Name=name)["Table"]
    _check_values(name, table.get("PartitionKeys", []), values)
    base = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
    url = _given_folder(name, location) if location else base + "".join(f"{value}/" for value in values)
    if location is None and any(part in ("", ".", "..") for value in values for part in value.split("/")):
        raise _refused(name, f"{list(values)!r} does not make a folder below the table's; give its location")
    _check_folder(clients("s3"), name, url)
    storage = {**table["StorageDescriptor"], "Location": url}
    place = {"DatabaseName": deployment.database, "TableName": name}
    given = {"Values": list(values), "StorageDescriptor": storage}
    try:
        glue.create_partition(**place, PartitionInput=given)
        return url, None
    except ClientError as error:
        if error_code(error) != "AlreadyExistsException":
            raise
    before = glue.get_partition(**place, PartitionValues=given["Values"])["Partition"]["StorageDescriptor"]["Location"]
    entries = [{"PartitionValueList": given["Values"], "PartitionInput": given}]
    for failure in glue.batch_update_partition(**place, Entries=entries).get("Errors", []):
        raise DataWarehouseError(f"The partition stays at {before}: {failure['ErrorDetail'].get('ErrorMessage')}.")
    return url, str(before)


def _check_values(table: str, keys: Sequence[Mapping[str, Any]], values: Sequence[str]) -> None:
    if len(values) != len(keys) or not keys:
        names = ", ".join(key["Name"] for key in keys)
        raise _refused(table, f"it has the partition keys ({names}), and {list(values)!r} was given")
    for key, value in zip(keys, values, strict=True):
        try:
            rule_for(parse_type(key["Type"]))(value)
        except Reject as error:
            raise _refused(
                table, f"its key {key['Name']} is {key['Type']}, and Athena could not read the table with {value!r}"
            ) from error


def _given_folder(table: str, location: str) -> str:
    bucket, key = split_url(location)
    if not location.startswith("s3://") or not bucket or not key.strip("/"):
        raise _refused(table, f"the location {location!r} is not a folder of S3; write it as s3://bucket/folder/")
    return f"s3://{bucket}/{key.rstrip('/')}/"


def _check_folder(s3: Any, table: str, url: str) -> None:
    bucket, prefix = split_url(url)
    try:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise
        raise _refused(table, f"there is no bucket {bucket!r}") from None
    if not found.get("Contents"):
        raise _refused(
            table, f"there is no folder {url}: put the files there first, or give their folder as --location"
        )


def _refused(table: str, why: str) -> BadRequest:
    return BadRequest(f"A partition of table {table!r} was not registered: {why}.")
