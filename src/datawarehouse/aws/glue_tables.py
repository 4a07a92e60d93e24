"""Which Glue tables a declared table becomes, and where their files are. Pure; all arguments of Glue tables are made
here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.storage import ERROR_DOCUMENTS, STORAGE, Storage
from datawarehouse.definition.tables import QUARANTINE_SUFFIX, BatchInputTable, StreamingInputTable, Table

ERRORS_FOLDER = "errors"
CONVERSION_FAILED = "format-conversion-failed"
STAGING_SUFFIX = "_staging"
STAGING_FOLDER = "staging"
RUN_KEY = "staging_run"

ERROR_DOCUMENT = {
    "attemptsmade": "int",
    "arrivaltimestamp": "bigint",
    "lasterrorcode": "string",
    "lasterrormessage": "string",
    "errorcode": "string",
    "errormessage": "string",
    "attemptendingtimestamp": "bigint",
    "rawdata": "string",
    "sequencenumber": "string",
    "subsequencenumber": "bigint",
}
"""Members of Firehose's error documents, in lower case: "Error handling for data format conversion".

The page calls two of them errorCode and errorMessage, real documents lastErrorCode and lastErrorMessage: both are read.
"""


@dataclass(frozen=True, slots=True)
class GlueTable:
    """A table of the Glue catalog. columns, keys: type by name. folder: the folder of its files, with a slash at the
    end.

    in_results: whether the files are in the bucket of query results, and not in that of the data.
    """

    name: str
    columns: Mapping[str, str]
    keys: Mapping[str, str]
    folder: str
    storage: Storage
    in_results: bool = False

    def arguments(self, location: Any, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The arguments of the resource. location: an s3:// address, as `folder` in its bucket, or an output of one."""
        storage = self.storage
        return {
            "name": self.name,
            "table_type": "EXTERNAL_TABLE",
            "parameters": {**storage.table_parameters, **(parameters or {})},
            "partition_keys": _columns(self.keys),
            "storage_descriptor": {
                "columns": _columns(self.columns),
                "location": location,
                "input_format": storage.input_format,
                "output_format": storage.output_format,
                "ser_de_info": {
                    "serialization_library": storage.serde,
                    "parameters": dict(storage.serde_parameters),
                },
            },
        }


def table_of(table: Table) -> GlueTable:
    """The Glue table of a declared table."""
    return GlueTable(
        table.name,
        {column.name: str(column.type) for column in table.columns},
        {key.name: str(key.type) for key in table.partition_keys},
        f"{table.name}/",
        STORAGE[table.data_format],
    )


def quarantine_of(table: StreamingInputTable) -> GlueTable:
    """The Glue table over the error documents of a streaming input table, in the same hours."""
    return GlueTable(
        table.name + QUARANTINE_SUFFIX,
        ERROR_DOCUMENT,
        {table.partition_key_name: "string"},
        f"{ERRORS_FOLDER}/{table.name}/{CONVERSION_FAILED}/",
        ERROR_DOCUMENTS,
    )


def staging_of(table: BatchInputTable) -> GlueTable | None:
    """The Glue table through which Athena turns a run's rows into Parquet; None for a table of JSON, and for one that a
    statement fills, whose result is Parquet."""
    if table.data_format != "parquet" or isinstance(table.job, SqlJob):
        return None
    return replace(
        table_of(table),
        name=table.name + STAGING_SUFFIX,
        keys={RUN_KEY: "string"},
        folder=f"{STAGING_FOLDER}/{table.name}/",
        storage=STORAGE["JSON"],
        in_results=True,
    )


def staging_parameters(location: str) -> dict[str, str]:
    """Each run is a folder that the query names ("Dynamic ID partitioning"), so that no partition is ever
    registered."""
    return {
        "projection.enabled": "true",
        f"projection.{RUN_KEY}.type": "injected",
        "storage.location.template": f"{location}${{{RUN_KEY}}}/",
    }


def glue_tables_of(table: Table) -> list[GlueTable]:
    """All Glue tables of a declared table; the first has its rows."""
    found = [table_of(table)]
    if isinstance(table, StreamingInputTable):
        found.append(quarantine_of(table))
    elif isinstance(table, BatchInputTable) and (staging := staging_of(table)):
        found.append(staging)
    return found


def readable_of(table: Table) -> list[GlueTable]:
    """The Glue tables that queries of a declared table read: its own and its quarantine."""
    return [each for each in glue_tables_of(table) if not each.in_results]


def expiring(table: Table) -> dict[str, int]:
    """After how many days the files of a table are deleted, by folder."""
    days = getattr(table, "retention_days", None)
    if days is None:
        return {}
    errors = {f"errors/{table.name}/": days} if isinstance(table, StreamingInputTable) else {}
    return {f"{table.name}/": days, **errors}


def _columns(types: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in types.items()]
