"""What Athena's API tells of catalogs, databases and tables: the declaration, as Glue has it on AWS.

A warehouse is one database; `default`, which clients name that choose none, is it too. A key sees the tables that it
may query.

Source: Amazon Athena API reference, TableMetadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from datawarehouse.access.identity import Identity
from datawarehouse.definition.tables import (
    HISTORY_COLUMNS,
    HISTORY_TABLE,
    RUNS_COLUMNS,
    RUNS_TABLE,
    BatchInputTable,
    Column,
)
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.server import aws_json
from datawarehouse.server.aws_json import INVALID, Arguments, ServiceError
from datawarehouse.server.http import Request
from datawarehouse.sql.metadata import CATALOG
from datawarehouse.sql.schema import TableSchema, schemas_of
from datawarehouse.sql.wildcards import hive, matches

DEFAULT = "default"
_PER_PAGE = 50
_CATALOG_NAME = "AwsDataCatalog"
_WILDCARD = re.compile(r"\.?\*")


class AthenaCatalog:
    def __init__(self, warehouse: Warehouse) -> None:
        self._name = warehouse.name
        tables = schemas_of(warehouse.tables())
        if any(isinstance(table, BatchInputTable) for table in warehouse.tables()):
            tables[RUNS_TABLE] = TableSchema(RUNS_TABLE, RUNS_COLUMNS, ())
        tables[HISTORY_TABLE] = TableSchema(HISTORY_TABLE, HISTORY_COLUMNS, ())
        self._tables = dict(sorted(tables.items()))

    def operations(self) -> dict[str, aws_json.Operation]:
        return {
            "ListDataCatalogs": self._list_catalogs,
            "GetDataCatalog": self._get_catalog,
            "ListDatabases": self._list_databases,
            "GetDatabase": self._get_database,
            "ListTableMetadata": self._list_tables,
            "GetTableMetadata": self._get_table,
        }

    def database_of(self, context: Any) -> str:
        """The database that a query's context names. Raises ServiceError for one that there is not."""
        if not isinstance(context, dict):
            raise ServiceError(INVALID, "QueryExecutionContext is an object.")
        self._check_catalog(context.get("Catalog") or CATALOG)
        return self._database(context.get("Database") or DEFAULT)

    def _check_catalog(self, name: Any) -> None:
        if not isinstance(name, str) or name.lower() != CATALOG:
            raise ServiceError(INVALID, f"Catalog {name!r} does not exist; there is {_CATALOG_NAME}.")

    def _database(self, name: Any) -> str:
        if not isinstance(name, str) or name.lower() not in (DEFAULT, self._name, "information_schema"):
            raise ServiceError(INVALID, f"SCHEMA_NOT_FOUND: Schema {name!r} does not exist; there is {self._name}.")
        return name

    async def _list_catalogs(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        return {"DataCatalogsSummary": [{"CatalogName": _CATALOG_NAME, "Type": "GLUE"}]}

    async def _get_catalog(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        self._check_catalog(given.get("Name"))
        return {"DataCatalog": {"Name": _CATALOG_NAME, "Type": "GLUE", "Parameters": {}}}

    async def _list_databases(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        self._check_catalog(given.get("CatalogName"))
        return {"DatabaseList": [{"Name": self._name, "Parameters": {}}]}

    async def _get_database(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        self._check_catalog(given.get("CatalogName"))
        name = given.get("DatabaseName")
        self._check_database(name)
        return {"Database": {"Name": name, "Parameters": {}}}

    async def _list_tables(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        self._check_catalog(given.get("CatalogName"))
        self._check_database(given.get("DatabaseName"))
        seen = self._seen_by(request.identity)
        if expression := given.get("Expression"):
            wanted = [tuple(hive(_WILDCARD.sub("*", each))) for each in str(expression).lower().split("|")]
            seen = {name: table for name, table in seen.items() if any(matches(name, each) for each in wanted)}
        names, token = aws_json.page(list(seen), given, _PER_PAGE)
        return {"TableMetadataList": [_metadata(seen[name]) for name in names], **token}

    async def _get_table(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        self._check_catalog(given.get("CatalogName"))
        self._check_database(given.get("DatabaseName"))
        name = str(given.get("TableName"))
        table = self._seen_by(request.identity).get(name.lower())
        if table is None:
            raise _entity_not_found(f"Table {name} not found.")
        return {"TableMetadata": _metadata(table)}

    def _check_database(self, name: Any) -> None:
        if not isinstance(name, str) or name.lower() not in (DEFAULT, self._name):
            raise _entity_not_found(f"Database {name} not found.")

    def _seen_by(self, identity: Identity) -> dict[str, TableSchema]:
        names = identity.rights.queryable
        return {name: table for name, table in self._tables.items() if names is None or name in names}


def _metadata(table: TableSchema) -> dict[str, Any]:
    return {
        "Name": table.name,
        "TableType": "EXTERNAL_TABLE",
        "Columns": [_column(each) for each in table.columns],
        "PartitionKeys": [_column(each) for each in table.partition_keys],
        "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
    }


def _column(column: Column) -> dict[str, str]:
    return {"Name": column.name, "Type": str(column.type)}


def _entity_not_found(message: str) -> ServiceError:
    """PyAthena tells a missing table by the end of this text."""
    of = f"Service: AmazonDataCatalog; Status Code: 400; Error Code: EntityNotFoundException; Request ID: {uuid4()}"
    return ServiceError("MetadataException", f"{message} ({of}; Proxy: null)")
