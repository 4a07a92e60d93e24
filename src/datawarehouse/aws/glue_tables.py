"""Which Glue tables a declared table becomes, and where their files are. Pure; all arguments of Glue tables are made
here."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from datawarehouse.definition.rejects import MESSAGE
from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.storage import ERROR_DOCUMENTS, STORAGE, Storage
from datawarehouse.definition.tables import (
    ERROR_DOCUMENTS_SUFFIX,
    QUARANTINE_COLUMNS,
    QUARANTINE_SUFFIX,
    BatchInputTable,
    StreamingInputTable,
    Table,
)
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.types import of_column

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

    in_results: whether the files are in the bucket of query results, and not in that of the data. statement: of a view,
    which has no files.
    """

    name: str
    columns: Mapping[str, str]
    keys: Mapping[str, str]
    folder: str
    storage: Storage
    in_results: bool = False
    statement: str | None = None

    def view_text(self, database: str) -> str:
        """What a view is, as Athena writes it for the views that it creates (Trino, ViewReaderUtil)."""
        described = {
            "originalSql": self.statement,
            "catalog": "awsdatacatalog",
            "schema": database,
            "columns": [
                {"name": name, "type": str(of_column(parse_type(kind)))} for name, kind in self.columns.items()
            ],
        }
        return f"/* Presto View: {base64.b64encode(json.dumps(described).encode()).decode()} */"

    def view_arguments(self, text: Any) -> dict[str, Any]:
        """The arguments of the resource of a view. text: its `view_text`, or an output of that."""
        return {
            "name": self.name,
            "table_type": "VIRTUAL_VIEW",
            "parameters": {"presto_view": "true", "comment": "Presto View"},
            "storage_descriptor": {"columns": _columns(self.columns)},
            "view_original_text": text,
            "view_expanded_text": "/* Presto View */",
        }

    def arguments(self, location: Any, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The arguments of the resource of a table that has files. location: an s3:// address, as `folder` in its
        bucket, or an output of one."""
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


def error_documents_of(table: StreamingInputTable) -> GlueTable:
    """The Glue table over the error documents of a streaming input table, in the same hours."""
    return GlueTable(
        table.name + ERROR_DOCUMENTS_SUFFIX,
        ERROR_DOCUMENT,
        {table.partition_key_name: "string"},
        f"{ERRORS_FOLDER}/{table.name}/{CONVERSION_FAILED}/",
        ERROR_DOCUMENTS,
    )


def _of_message(group: int) -> str:
    pattern = MESSAGE.replace("'", "''")
    return f"regexp_extract(coalesce(lasterrormessage, errormessage), '{pattern}', {group})"


_AS_QUARANTINE = {
    "arrival_timestamp": "date_add('millisecond', arrivaltimestamp, timestamp '1970-01-01 00:00:00.000')",
    "shard_id": "cast(null as varchar)",
    "sequence_number": "sequencenumber",
    "error_code": "coalesce(lasterrorcode, errorcode)",
    "error_message": "coalesce(lasterrormessage, errormessage)",
    "column_name": f"nullif({_of_message(1)}, '')",
    "expected": _of_message(2),
    "received": _of_message(3),
    "raw_data": "from_base64(rawdata)",
}
"""The columns of a quarantine as expressions of a document's members. Documents have no shard, and Firehose's own
messages do not say in a fixed form what was expected."""


def quarantine_of(table: StreamingInputTable) -> GlueTable:
    """The view of the error documents that has the embedded host's columns: members of documents have two spellings,
    and no SerDe decodes Base64."""
    key = table.partition_key_name
    columns = {column.name: str(column.type) for column in QUARANTINE_COLUMNS}
    selected = ", ".join(f'{_AS_QUARANTINE[name]} as "{name}"' for name in columns)
    documents = error_documents_of(table)
    return GlueTable(
        table.name + QUARANTINE_SUFFIX,
        {**columns, key: "string"},
        {},
        documents.folder,
        documents.storage,
        statement=f'select {selected}, "{key}" from "{documents.name}"',
    )


def view_of(view: TableSchema) -> GlueTable:
    """The Glue table of a declared view."""
    columns = {column.name: str(column.type) for column in view.columns}
    return GlueTable(view.name, columns, {}, "", STORAGE["parquet"], statement=view.statement)


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
        found += [error_documents_of(table), quarantine_of(table)]
    elif isinstance(table, BatchInputTable) and (staging := staging_of(table)):
        found.append(staging)
    return found


def readable_of(table: Table) -> list[GlueTable]:
    """The Glue tables that queries of a declared table read: its own, its quarantine, and what that is a view of."""
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
