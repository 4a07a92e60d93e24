"""Inputs of `aws glue create-table` and `aws glue batch-create-partition`. Pure.

Source: AWS Glue API reference, TableInput, PartitionInput and BatchCreatePartition (at most 100 a call). A location
ends with a slash (Athena user guide, "Table location in Amazon S3"); NumberOfBuckets is given because Trino reports an
error if it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from datawarehouse.definition.storage import STORAGE
from datawarehouse.definition.tables import Column
from datawarehouse.export.tables import ExportedTable

_PARQUET = STORAGE["parquet"]
PARTITIONS_MAX = 100
"""Partitions that one call takes."""


def create_table(database: str, table: ExportedTable) -> dict[str, Any]:
    """The input of `create-table`, and of `update-table` if the table exists."""
    return {
        "DatabaseName": database,
        "TableInput": {
            "Name": table.name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": dict(_PARQUET.table_parameters),
            "PartitionKeys": _columns(table.keys),
            "StorageDescriptor": _storage(table, table.folder),
        },
    }


def create_partitions(database: str, table: ExportedTable) -> Iterator[dict[str, Any]]:
    """The inputs of the calls of `batch-create-partition` that register all partitions."""
    partitions = table.partitions if table.keys else ()
    for start in range(0, len(partitions), PARTITIONS_MAX):
        yield {
            "DatabaseName": database,
            "TableName": table.name,
            "PartitionInputList": [
                {
                    "Values": list(each.values),
                    "StorageDescriptor": _storage(table, each.folder),
                    "Parameters": {},
                }
                for each in partitions[start : start + PARTITIONS_MAX]
            ],
        }


def _storage(table: ExportedTable, folder: str) -> dict[str, Any]:
    return {
        "Columns": _columns(table.columns),
        "Location": f"{folder}/",
        "InputFormat": _PARQUET.input_format,
        "OutputFormat": _PARQUET.output_format,
        "NumberOfBuckets": -1,
        "SerdeInfo": {
            "SerializationLibrary": _PARQUET.serde,
            "Parameters": dict(_PARQUET.serde_parameters),
        },
    }


def _columns(columns: Iterable[Column]) -> list[dict[str, str]]:
    return [{"Name": column.name, "Type": str(column.type)} for column in columns]
