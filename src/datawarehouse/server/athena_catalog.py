"""What Athena's API tells of catalogs, databases and tables, as Glue does on AWS.

A warehouse is one database; `default`, which clients name that choose none, is it too. The others are schemas of
scratch. A key sees the tables that it may query, and what is made of them.

Source: Amazon Athena API reference, TableMetadata.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from datawarehouse.access.identity import Identity
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.query.readable import readables
from datawarehouse.server import aws_json
from datawarehouse.server.aws_json import INVALID, Arguments, ServiceError
from datawarehouse.server.http import Request
from datawarehouse.server.scratch_schemas import ScratchSchemas
from datawarehouse.sql.catalogs import Session
from datawarehouse.sql.metadata import CATALOG, INFORMATION
from datawarehouse.sql.names import SCRATCH
from datawarehouse.sql.wildcards import hive, matches

DEFAULT = "default"
_PER_PAGE = 50
_EXPRESSION_CHARACTERS_MAX = 2048
_CATALOG_NAME = "AwsDataCatalog"
_WILDCARD = re.compile(r"\.?\*")
_TABLE, _VIEW = "EXTERNAL_TABLE", "VIRTUAL_VIEW"

Metadata = dict[str, Any]
_Answer = Callable[[Identity, Arguments], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AthenaCatalog:
    """name: of the warehouse. catalog: one that nobody writes through. executor: where it and scratch are read."""

    name: str
    catalog: Catalog
    scratch: ScratchSchemas
    executor: Executor

    def operations(self) -> dict[str, aws_json.Operation]:
        return {
            "ListDataCatalogs": self._in_thread(self._list_catalogs),
            "GetDataCatalog": self._in_thread(self._get_catalog),
            "ListDatabases": self._in_thread(self._list_databases),
            "GetDatabase": self._in_thread(self._get_database),
            "ListTableMetadata": self._in_thread(self._list_tables),
            "GetTableMetadata": self._in_thread(self._get_table),
        }

    def _in_thread(self, answer: _Answer) -> aws_json.Operation:
        async def call(request: Request, given: Arguments) -> Mapping[str, Any]:
            return await asyncio.get_running_loop().run_in_executor(self.executor, answer, request.identity, given)

        return call

    async def place_of(self, identity: Identity, context: Any) -> tuple[str, Session | None]:
        """The database that a query's context names, and where names without one are looked for, if not in the
        warehouse. Raises ServiceError for a database that there is not."""
        if not isinstance(context, dict):
            raise ServiceError(INVALID, "QueryExecutionContext is an object.")
        _check_catalog(context.get("Catalog") or CATALOG)
        name = context.get("Database") or DEFAULT
        if not isinstance(name, str):
            raise ServiceError(INVALID, "The Database of a QueryExecutionContext is a text.")
        if name.lower() in (DEFAULT, self.name, INFORMATION):
            return name, None
        if name.lower() != SCRATCH:
            named = asyncio.get_running_loop().run_in_executor(self.executor, self.scratch.named, identity, name)
            if await named is None:
                raise ServiceError(
                    INVALID,
                    f"SCHEMA_NOT_FOUND: Schema {name!r} does not exist; there are {self.name} and {SCRATCH}, and "
                    "ListDatabases has them all.",
                )
        return name, Session(CATALOG, name.lower(), None, False)

    def _list_catalogs(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        return {"DataCatalogsSummary": [{"CatalogName": _CATALOG_NAME, "Type": "GLUE"}]}

    def _get_catalog(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        _check_catalog(given.get("Name"))
        return {"DataCatalog": {"Name": _CATALOG_NAME, "Type": "GLUE", "Parameters": {}}}

    def _list_databases(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        _check_catalog(given.get("CatalogName"))
        names, token = aws_json.page([self.name, *self.scratch.of(identity)], given, _PER_PAGE)
        return {"DatabaseList": [{"Name": name, "Parameters": {}} for name in names], **token}

    def _get_database(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        self._seen(identity, given)
        return {"Database": {"Name": given["DatabaseName"], "Parameters": {}}}

    def _list_tables(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        seen = self._seen(identity, given)
        if expression := str(given.get("Expression") or ""):
            if len(expression) > _EXPRESSION_CHARACTERS_MAX:
                raise ServiceError(INVALID, f"The Expression has up to {_EXPRESSION_CHARACTERS_MAX} characters.")
            wanted = [tuple(hive(_WILDCARD.sub("*", each))) for each in expression.lower().split("|")]
            seen = {name: table for name, table in seen.items() if any(matches(name, each) for each in wanted)}
        names, token = aws_json.page(list(seen), given, _PER_PAGE)
        return {"TableMetadataList": [seen[name] for name in names], **token}

    def _get_table(self, identity: Identity, given: Arguments) -> Mapping[str, Any]:
        name = str(given.get("TableName"))
        table = self._seen(identity, given).get(name.lower())
        if table is None:
            raise _entity_not_found(f"Table {name} not found.")
        return {"TableMetadata": table}

    def _seen(self, identity: Identity, given: Arguments) -> dict[str, Metadata]:
        """The tables and views of the database that a call names, by name. Raises ServiceError if there is none."""
        _check_catalog(given.get("CatalogName"))
        name = given.get("DatabaseName")
        if isinstance(name, str) and name.lower() in (DEFAULT, self.name):
            return self._of_warehouse(identity)
        made = self.scratch.named(identity, name) if isinstance(name, str) else None
        if made is None:
            raise _entity_not_found(f"Database {name} not found.")
        return {
            table.name: _metadata(table.name, table.kind == "VIEW", [*map(tuple, table.columns)], ())
            for table in made.values()
        }

    def _of_warehouse(self, identity: Identity) -> dict[str, Metadata]:
        names = identity.rights.queryable
        found = {}
        for readable in readables(self.catalog).values():
            if names is None or readable.below <= names:
                table = readable.schema
                columns, keys = (
                    [(each.name, str(each.type)) for each in part] for part in (table.columns, table.partition_keys)
                )
                found[table.name] = _metadata(table.name, table.statement is not None, columns, keys)
        return dict(sorted(found.items()))


def _check_catalog(name: Any) -> None:
    if not isinstance(name, str) or name.lower() != CATALOG:
        raise ServiceError(INVALID, f"Catalog {name!r} does not exist; there is {_CATALOG_NAME}.")


def _metadata(name: str, is_view: bool, columns: list[Any], keys: Any) -> Metadata:
    """columns, keys: names, and types as Glue writes them."""
    return {
        "Name": name,
        "TableType": _VIEW if is_view else _TABLE,
        "Columns": [{"Name": column, "Type": kind} for column, kind in columns],
        "PartitionKeys": [{"Name": column, "Type": kind} for column, kind in keys],
        "Parameters": {"presto_view": "true"} if is_view else {"EXTERNAL": "TRUE", "classification": "parquet"},
    }


def _entity_not_found(message: str) -> ServiceError:
    """PyAthena tells a missing table by the end of this text."""
    of = f"Service: AmazonDataCatalog; Status Code: 400; Error Code: EntityNotFoundException; Request ID: {uuid4()}"
    return ServiceError("MetadataException", f"{message} ({of}; Proxy: null)")
