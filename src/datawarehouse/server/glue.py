"""The AWS Glue Data Catalog, read only: the database of the warehouse, its tables and their partitions.

1. A table is there for whoever may query it or read its files, and a view for whom all tables below it are.
2. A partition is there as soon as a file of it is live; its location is in the bucket of `live_files`.
3. Lists are given in pages; a token says after which name, or which partition, the next one begins. A segment has the
   partitions whose values have its remainder, so that the segments together have each partition once.

Source: AWS Glue API reference; NumberOfBuckets is given because Trino reports an error if it is missing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from datawarehouse.access.identity import Identity
from datawarehouse.catalog.by_path import next_text, partitions_from
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.views import StoredView, stored_views
from datawarehouse.definition.storage import STORAGE
from datawarehouse.definition.tables import Column, from_wire
from datawarehouse.errors import BadRequest, DataWarehouseError
from datawarehouse.scratch.store import ScratchTable
from datawarehouse.server import aws_json
from datawarehouse.server.aws_json import Arguments, ServiceError
from datawarehouse.server.http import Request, Response
from datawarehouse.server.kinesis_streams import ACCOUNT
from datawarehouse.server.live_files import BUCKET, LakeTable, lake_tables
from datawarehouse.server.partition_expressions import CHARACTERS_MAX, Choice, chosen_by
from datawarehouse.server.scratch_schemas import ScratchSchemas
from datawarehouse.sql.types import of_column
from datawarehouse.sql.wildcards import Part, matches

T = TypeVar("T", str, list[str])

_TABLES_MAX = 100
_PARTITIONS_MAX = 1000
_AT_ONCE = _PARTITIONS_MAX + 1
_SEGMENTS_MAX = 10
_INVALID = "InvalidInputException"
_NOT_FOUND = "EntityNotFoundException"
_READ_ONLY = "The catalog is read only: the declaration says which tables there are, and partitions come with events."
_PATTERN = re.compile(r"(?P<any>\.\*|\*)|(?P<one>\.)|\\(?P<plain>.)|(?P<letter>[^()\[\]{}+?|^$\\])")


@dataclass(slots=True)
class Glue:
    """database: the name of the warehouse. catalog: one that nobody writes through. executor: where it and scratch are
    read."""

    database: str
    catalog: Catalog
    scratch: ScratchSchemas
    executor: Executor

    async def handle(self, request: Request, body: bytes) -> Response:
        """Answer one call. Raises DataWarehouseError; see `failure`."""
        operations = {
            "GetDatabases": self._get_databases,
            "GetDatabase": self._get_database,
            "GetTables": self._get_tables,
            "SearchTables": self._search_tables,
            "GetTable": self._get_table,
            "GetTableVersions": self._get_table_versions,
            "GetPartitions": self._get_partitions,
            "GetPartition": self._get_partition,
            "BatchGetPartition": self._batch_get_partition,
            "GetCatalogImportStatus": lambda who, given: {"ImportStatus": {"ImportCompleted": True}},
            "GetUserDefinedFunctions": lambda who, given: {"UserDefinedFunctions": []},
            "GetColumnStatisticsForTable": lambda who, given: {"ColumnStatisticsList": [], "Errors": []},
            "GetColumnStatisticsForPartition": lambda who, given: {"ColumnStatisticsList": [], "Errors": []},
            "GetPartitionIndexes": lambda who, given: {"PartitionIndexDescriptorList": []},
        }
        return await aws_json.answered(
            request, body, {name: self._in_thread(each) for name, each in operations.items()}, _READ_ONLY
        )

    def _in_thread(self, operation: Callable[[Identity, Arguments], Mapping[str, Any]]) -> aws_json.Operation:
        async def call(request: Request, arguments: Arguments) -> Mapping[str, Any]:
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self.executor, operation, request.identity, arguments)
            except BadRequest as error:
                raise ServiceError(_INVALID, str(error)) from None

        return call

    # -- databases

    def _get_databases(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        return {"DatabaseList": [self._described(name) for name in (self.database, *self.scratch.of(who))]}

    def _get_database(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        name = _text(given, "Name").lower()
        self._seen(who, name)
        return {"Database": self._described(name)}

    def _described(self, name: str) -> dict[str, Any]:
        return {
            "Name": name,
            "LocationUri": f"s3://{BUCKET}/" if name == self.database else "",
            "Parameters": {},
            "CreateTableDefaultPermissions": [],
            "CatalogId": ACCOUNT,
        }

    # -- tables

    def _get_tables(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        database, parts = _text(given, "DatabaseName"), _pattern(_text(given, "Expression", ""))
        return self._listed(who, database, given, lambda name: parts is None or matches(name, parts))

    def _search_tables(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        text = _text(given, "SearchText", "").strip('"').lower()
        if given.get("Filters") or given.get("SortCriteria"):
            raise BadRequest("SearchTables takes a SearchText, which is looked for in names, and no filters.")
        return self._listed(who, self.database, given, lambda name: text in name)

    def _listed(
        self, who: Identity, database: str, given: Arguments, is_wanted: Callable[[str], bool]
    ) -> Mapping[str, Any]:
        after = _of_token(given, str)
        seen = self._seen(who, database)
        names = [name for name in seen if name > after and is_wanted(name)]
        most = _number(given, "MaxResults", 1, _TABLES_MAX)
        answer: dict[str, Any] = {"TableList": [self._table(seen[name], database) for name in names[:most]]}
        if len(names) > most:
            answer["NextToken"] = _token(names[most - 1])
        return answer

    def _get_table(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        return {"Table": self._table(self._named(who, given, "Name"), _text(given, "DatabaseName"))}

    def _get_table_versions(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        table = self._table(self._named(who, given, "TableName"), _text(given, "DatabaseName"))
        return {"TableVersions": [{"Table": table, "VersionId": table["VersionId"]}]}

    def _seen(self, who: Identity, database: str) -> Mapping[str, LakeTable | StoredView | ScratchTable]:
        """What is there for an identity in a database, by name: a view if all tables below it are. Raises ServiceError
        if there is no such database."""
        if database.lower() != self.database:
            made = self.scratch.named(who, database)
            if made is None:
                raise ServiceError(_NOT_FOUND, f"Database {database} not found. There is {self.database}.")
            return made
        may_know = who.rights.may_know
        found: dict[str, LakeTable | StoredView] = {
            name: table for name, table in lake_tables(self.catalog).items() if may_know(name)
        }
        found |= {view.name: view for view in stored_views(self.catalog) if all(map(may_know, view.reads))}
        return dict(sorted(found.items()))

    def _named(self, who: Identity, given: Arguments, parameter: str) -> LakeTable | StoredView | ScratchTable:
        name = _text(given, parameter).lower()
        found = self._seen(who, _text(given, "DatabaseName")).get(name)
        if found is None:
            raise ServiceError(_NOT_FOUND, f"Table {name} not found.")
        return found

    def _with_partitions(self, who: Identity, given: Arguments) -> LakeTable:
        found = self._named(who, given, "TableName")
        if not isinstance(found, LakeTable):
            what = "made in scratch" if isinstance(found, ScratchTable) else "a view"
            below = ", ".join(found.reads) or "tables"
            raise BadRequest(f"{found.name} is {what}, which has no partitions; ask for those of {below}.")
        return found

    def _table(self, table: LakeTable | StoredView | ScratchTable, database: str) -> dict[str, Any]:
        about = {
            "Name": table.name,
            "DatabaseName": database,
            "CatalogId": ACCOUNT,
            "Retention": 0,
            "IsRegisteredWithLakeFormation": False,
        }
        if isinstance(table, StoredView):
            return about | _view(table.columns, table.sql, self.database)
        if isinstance(table, ScratchTable):
            columns = from_wire(table.columns)
            if table.statement is not None:
                return about | _view(columns, table.statement, table.home or self.database)
            return about | {
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"classification": "parquet"},
                "PartitionKeys": [],
                "StorageDescriptor": {"Columns": _columns(columns), "SerdeInfo": {}, "NumberOfBuckets": -1},
                "VersionId": "1",
            }
        return about | {
            "TableType": "EXTERNAL_TABLE",
            "Parameters": dict(_storage_of(table).table_parameters),
            "PartitionKeys": _columns(table.stored.partition_keys),
            "StorageDescriptor": _stored(table, _columns(table.columns), "" if table.has_files else None),
            "VersionId": str(table.stored.schema_version),
        }

    # -- partitions

    def _get_partitions(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        table = self._with_partitions(who, given)
        choice = chosen_by(_text(given, "Expression", ""), table.stored.partition_keys)
        number, total = _segment(given)
        most = _number(given, "MaxResults", 1, _PARTITIONS_MAX)
        found: list[Sequence[str]] = []
        for values in self._partitions(table, choice, _of_token(given, list)):
            if choice.is_chosen(values) and (total == 1 or zlib.crc32("/".join(values).encode()) % total == number):
                found.append(values)
                if len(found) > most:
                    break
        columns = None if given.get("ExcludeColumnSchema") else _columns(table.columns)
        answer: dict[str, Any] = {"Partitions": self._described_partitions(table, found[:most], columns)}
        if len(found) > most:
            answer["NextToken"] = _token(list(found[most - 1]))
        return answer

    def _get_partition(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        table = self._with_partitions(who, given)
        values = _values(table, given.get("PartitionValues"))
        if not self._has(table, values):
            raise ServiceError(_NOT_FOUND, f"Partition {values} of table {table.name} not found.")
        return {"Partition": self._described_partitions(table, [values], _columns(table.columns))[0]}

    def _batch_get_partition(self, who: Identity, given: Arguments) -> Mapping[str, Any]:
        table = self._with_partitions(who, given)
        wanted = given.get("PartitionsToGet")
        if not isinstance(wanted, list) or len(wanted) > _PARTITIONS_MAX:
            raise BadRequest(f"PartitionsToGet is not a list of at most {_PARTITIONS_MAX} partitions.")
        asked = [_values(table, each.get("Values") if isinstance(each, dict) else None) for each in wanted]
        found = [values for values in asked if self._has(table, values)]
        described = self._described_partitions(table, found, _columns(table.columns))
        return {"Partitions": described, "UnprocessedKeys": []}

    def _partitions(self, table: LakeTable, choice: Choice, after: list[str]) -> Iterator[Sequence[str]]:
        """The values of the partitions after one, in their order; some that are not chosen are left out."""
        stored = table.stored
        if not stored.partition_keys:
            return
        if not table.has_files:
            registered = sorted(each.values for each in self.catalog.registered_partitions(stored.name))
            yield from (values for values in registered if list(values) > after)
            return
        low = max(choice.low or "", next_text(after[0] if after else ""))
        while True:
            names = partitions_from(self.catalog.store, stored.name, table.kind, low, choice.high, _AT_ONCE)
            yield from ((name,) for name in names)
            if len(names) < _AT_ONCE:
                return
            low = next_text(names[-1])

    def _has(self, table: LakeTable, values: Sequence[str]) -> bool:
        if not table.stored.partition_keys:
            return False
        if not table.has_files:
            return values in [list(each.values) for each in self.catalog.registered_partitions(table.stored.name)]
        return bool(self.catalog.partitions_between(table.stored.name, table.kind, values[0], values[0]))

    def _described_partitions(
        self, table: LakeTable, found: Iterable[Sequence[str]], columns: msgspec.Raw | None
    ) -> list[dict[str, Any]]:
        return [
            {
                "Values": values,
                "DatabaseName": self.database,
                "TableName": table.name,
                "CatalogId": ACCOUNT,
                "Parameters": {},
                "StorageDescriptor": _stored(table, columns, "/".join(values) + "/" if table.has_files else None),
            }
            for values in found
        ]


def failure(error: DataWarehouseError) -> Response:
    """The answer to a call that could not be done."""
    if isinstance(error, BadRequest):
        return aws_json.error_answer(ServiceError(_INVALID, str(error)))
    return aws_json.failure(error)


def _view(columns: Iterable[Column], sql: str, schema: str) -> dict[str, Any]:
    """A view as Athena writes those that it creates (Trino, ViewReaderUtil)."""
    named = [{"name": each.name, "type": str(of_column(each.type))} for each in columns]
    described = {"originalSql": sql, "catalog": "awsdatacatalog", "schema": schema, "columns": named}
    text = base64.b64encode(json.dumps(described).encode()).decode()
    return {
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "StorageDescriptor": {"Columns": _columns(columns), "SerdeInfo": {}, "NumberOfBuckets": -1},
        "ViewOriginalText": f"/* Presto View: {text} */",
        "ViewExpandedText": "/* Presto View */",
        "VersionId": "1",
    }


def _storage_of(table: LakeTable) -> Any:
    return STORAGE["parquet" if table.has_files else table.stored.data_format]


def _stored(table: LakeTable, columns: msgspec.Raw | None, below: str | None) -> dict[str, Any]:
    """The storage of a table or of a partition. below: its folder in that of the table, None for files that are not in
    the bucket."""
    storage = _storage_of(table)
    described: dict[str, Any] = {
        "InputFormat": storage.input_format,
        "OutputFormat": storage.output_format,
        "Compressed": False,
        "NumberOfBuckets": -1,
        "SerdeInfo": {
            "SerializationLibrary": storage.serde,
            "Parameters": dict(storage.serde_parameters),
        },
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": {},
        "StoredAsSubDirectories": False,
    }
    if columns is not None:
        described["Columns"] = columns
    if below is not None:
        described["Location"] = f"s3://{BUCKET}/{table.name}/{below}"
    return described


def _columns(columns: Iterable[Column]) -> msgspec.Raw:
    """Encoded once, since each partition has them again."""
    return msgspec.Raw(msgspec.json.encode([{"Name": each.name, "Type": str(each.type)} for each in columns]))


# -- what a call gives


def _text(given: Arguments, name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise BadRequest(f"{name} is not given, or is not a text.")
    return value


def _number(given: Arguments, name: str, low: int, high: int) -> int:
    value = given.get(name)
    if value is None:
        return high
    if type(value) is not int or value < low:
        raise BadRequest(f"{name} is not a whole number from {low} to {high}.")
    return min(value, high)


def _segment(given: Arguments) -> tuple[int, int]:
    """The number of a segment, and how many there are."""
    segment = given.get("Segment")
    if segment is None:
        return 0, 1
    found = (segment.get("SegmentNumber"), segment.get("TotalSegments")) if isinstance(segment, dict) else ()
    match found:
        case int() as number, int() as total if 1 <= total <= _SEGMENTS_MAX and 0 <= number < total:
            return number, total
    raise BadRequest(f"Segment has a TotalSegments from 1 to {_SEGMENTS_MAX}, and a SegmentNumber from 0 to below it.")


def _values(table: LakeTable, given: object) -> list[str]:
    keys = [key.name for key in table.stored.partition_keys]
    if not isinstance(given, list) or len(given) != len(keys) or not all(isinstance(each, str) for each in given):
        raise BadRequest(f"The values of a partition are texts, one for each of {', '.join(keys) or 'no keys'}.")
    return given


def _pattern(expression: str) -> list[Part] | None:
    """The parts of a pattern for names; None if all match. Of regular expressions it knows what is quickly matched."""
    if not expression:
        return None
    if len(expression) > CHARACTERS_MAX:
        raise BadRequest(f"The Expression has {len(expression)} characters; at most {CHARACTERS_MAX} are taken.")
    parts: list[Part] = []
    text = expression.removeprefix("^").removesuffix("$")
    at = 0
    while at < len(text):
        found = _PATTERN.match(text, at)
        if not found:
            raise BadRequest(
                f"The expression {expression!r} for names of tables has {text[at]!r}; valid are letters, '.' for one "
                "character and '.*' or '*' for any."
            )
        kind = found.lastgroup
        parts.append((True, "%") if kind == "any" else (True, "_") if kind == "one" else (False, found[str(kind)]))
        at = found.end()
    return parts


def _token(after: str | list[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(after).encode()).decode()


def _of_token(given: Arguments, kind: type[T]) -> T:
    """What a token says; empty without one."""
    token = _text(given, "NextToken", "")
    if not token:
        return kind()
    try:
        after = msgspec.json.decode(base64.urlsafe_b64decode(token))
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        after = None
    if not isinstance(after, kind) or not all(isinstance(each, str) for each in after):
        raise BadRequest("The NextToken is none that an earlier answer gave.")
    return after
