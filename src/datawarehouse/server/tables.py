"""What there is of each table: its columns, hours, files, lateness, and a profile of some rows.

    GET /v1/tables                     the tables
    GET /v1/tables/<table>             one of them: columns, counts
    GET /v1/tables/<table>/hours       what each hour has; CSV too
    GET /v1/tables/<table>/lateness    how late its events came, by the hour; CSV too
    GET /v1/tables/<table>/files       its live files
    GET /v1/tables/<table>/profile     of a bounded sample: NULLs, extremes, frequent values

All but the profile is read from the catalog.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from datawarehouse.access.identity import Identity
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.hours import STATES, KeptHours, files_of, first_and_last_hour, newest_rows
from datawarehouse.catalog.records import StoredTable
from datawarehouse.clock import Clock
from datawarehouse.definition.instants import written
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_of
from datawarehouse.definition.tables import Table
from datawarehouse.definition.unknown_keys import still_unknown
from datawarehouse.errors import AccessDenied, BadRequest, UnknownName
from datawarehouse.query.lateness import Lateness, lateness_by_hour
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.profile import profiled
from datawarehouse.server.query import Queries

T = TypeVar("T")

_HOURS = 7 * 24
_FILES_MAX = 1000
_PROFILE_ROWS, _PROFILE_ROWS_MAX, _PROFILE_HOURS_MAX = 2000, 10_000, 24
_FORMS = ("json", "csv")
CSV = "text/csv; charset=utf-8"


@dataclass(slots=True)
class Tables:
    """catalog: one that only reads. executor: where it is read. until_ms: up to when a table can no longer change; None
    for one that its user fills."""

    catalog: Catalog
    executor: Executor
    clock: Clock
    until_ms: Callable[[str], int | None]
    queries: Queries
    kept: KeptHours = field(default_factory=KeptHours)

    async def listed(self, identity: Identity) -> Response:
        tables = await self._read(self.catalog.tables)
        return json_response(
            200,
            {
                "tables": [
                    {
                        "table": table.name,
                        "kind": table.kind,
                        "event_time": table.event_time,
                        "partition_keys": [key.name for key in table.partition_keys],
                        "may_query": may_query(identity, table.name),
                    }
                    for table in tables
                    if may_see_table(identity, table.name)
                ]
            },
        )

    async def named(self, identity: Identity, name: str) -> StoredTable:
        """Raises UnknownName for a table that there is not, or that the key may not know of."""
        seen = {
            table.name: table for table in await self._read(self.catalog.tables) if may_see_table(identity, table.name)
        }
        if name not in seen:
            raise UnknownName(f"There is no table {name!r}; there are {', '.join(seen) or 'none'}.")
        return seen[name]

    async def answer(self, request: Request, table: StoredTable, what: str) -> Response:
        """what: the part of the path after the table. Raises BadRequest, AccessDenied, and the errors of queries."""
        match what:
            case "":
                return json_response(200, await self._read(self._described, table))
            case "hours":
                return await self._read(self._hours, request, table)
            case "lateness":
                return await self._read(self._lateness, request, table)
            case "files":
                return await self._read(self._files, request, table)
            case _:
                return await self._profile(request, table)

    async def _read(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, function, *arguments)

    def _until(self, table: str) -> str | None:
        until = self.until_ms(table)
        return None if until is None else partition_of(until)

    def _described(self, table: StoredTable) -> dict[str, Any]:
        totals = self.catalog.totals(table.name)
        columns = table.columns[table.schema_version]
        first, last = first_and_last_hour(self.catalog.store, table.name)
        until = self.until_ms(table.name)
        unknown = self.catalog.unknown_keys(table.name)
        return {
            "table": table.name,
            "kind": table.kind,
            "event_time": table.event_time,
            "data_format": table.data_format,
            "columns": [
                {"name": column.name, "type": str(column.type), "json_key": column.json_key} for column in columns
            ],
            "partition_keys": [{"name": key.name, "type": str(key.type)} for key in table.partition_keys],
            "first_hour": first,
            "newest_hour": last,
            "received": totals.received,
            "stored": totals.stored,
            "rejected": totals.rejected,
            "rows": totals.rows,
            "files": totals.files,
            "bytes": totals.bytes,
            "unknown_keys": still_unknown([(each.json_key, each.type) for each in columns], unknown) if unknown else {},
            "complete_until": None if until is None else written(until),
        }

    def _hours(self, request: Request, table: StoredTable) -> Response:
        form = request.one_of("format", _FORMS)
        low, high = period(request, self.clock.now_ms())
        until = self._until(table.name)
        hours = self.kept.between(self.catalog.store, table.name, low, high, until or "")
        columns = {name: getattr(hours, name) for name in hours.__slots__}
        if form == "csv":
            columns["state"] = [STATES[letter] for letter in hours.state]
            return csv_response(f"{table.name}_hours", list(columns), zip(*columns.values(), strict=True))
        return json_response(200, {"table": table.name, "from": low, "to": high, "complete_until": until, **columns})

    def _lateness(self, request: Request, table: StoredTable) -> Response:
        form = request.one_of("format", _FORMS)
        low, high = period(request, self.clock.now_ms())
        if table.event_time is None:
            raise BadRequest(
                f"Table {table.name!r} declares no event_time, so that it is not known when its events happened. Give "
                "with_streaming_input_table(..., event_time='the column that says it')."
            )
        by_hour = lateness_by_hour(self.catalog.by_event_time.counts(table.name, low, high))
        every = Lateness()
        for hour in by_hour.values():
            every.add(hour)
        rows = [{"hour": hour, **lateness.values()} for hour, lateness in by_hour.items()]
        if form == "csv":
            names = ["hour", *every.values()]
            return csv_response(f"{table.name}_lateness", names, ([row[name] for name in names] for row in rows))
        shown = {"table": table.name, "event_time": table.event_time, "unit": "hours", "from": low, "to": high}
        return json_response(200, {**shown, "all": every.values(), "hours": rows})

    def _files(self, request: Request, table: StoredTable) -> Response:
        hour = request.option("hour") or None
        files, more = files_of(self.catalog.store, table.name, hour, request.whole("limit", 200, 1, _FILES_MAX))
        shown = [
            {
                "path": file.path,
                "hour": file.partition,
                "kind": file.kind,
                "rows": file.rows,
                "bytes": file.bytes,
                "compacted": file.compacted is not None,
                "damage": file.damage,
                "created_at": written(file.created_ms),
            }
            for file in files
        ]
        return json_response(200, {"table": table.name, "files": shown, "more": more})

    async def _profile(self, request: Request, table: StoredTable) -> Response:
        need_query(request.identity, table.name)
        wanted = request.whole("rows", _PROFILE_ROWS, 1, _PROFILE_ROWS_MAX)
        hours = await self._read(newest_rows, self.catalog.store, table.name, wanted, _PROFILE_HOURS_MAX)
        columns = [*table.columns[table.schema_version], *table.partition_keys]
        where, rows = "", []
        if hours and table.partition_keys:
            where = f' where "{table.partition_keys[0].name}" in ({", ".join("?" * len(hours))})'
        if hours or table.kind == Table.kind:  # what the user fills has no hours in the catalog
            sql = f'select * from "{table.name}"{where} limit {wanted}'
            rows = await self.queries.rows(request, sql, hours if where else [])
        shown = await self._read(profiled, [(each.name, str(each.type)) for each in columns], rows)
        return json_response(200, {"table": table.name, "hours": hours, "rows": len(rows), **shown})


def period(request: Request, now_ms: int, hours: int = _HOURS) -> tuple[str, str]:
    """The hours from ?from= to the one before ?to=; by default the last ones. Raises BadRequest."""
    low = request.option("from") or partition_of(now_ms - hours * HOUR_MS)
    high = request.option("to") or partition_of(now_ms + HOUR_MS)
    if start_of(low) >= start_of(high):
        raise BadRequest(f"The hours from {low} to {high} are none; `to` is the hour after the last one.")
    return low, high


def csv_response(name: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A file for a browser to save. A text is quoted."""
    lines = [",".join(names), *(",".join(map(_cell, row)) for row in rows)]
    disposition = (b"content-disposition", f'attachment; filename="{name}.csv"'.encode())
    return Response(200, "".join(f"{line}\r\n" for line in lines).encode(), CSV, [disposition])


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "" if value is None else str(value)


def keys_of(table: StoredTable) -> dict[str, str]:
    """The keys of events that the columns of a table take, by their names."""
    return {column.name: column.json_key for column in table.columns[table.schema_version]}


def sees_all(identity: Identity) -> bool:
    """Whether somebody sees what there is, although perhaps not what is in it."""
    return identity.rights.may_monitor or identity.rights.queryable is None


def may_query(identity: Identity, name: str) -> bool:
    queryable = identity.rights.queryable
    return queryable is None or name in queryable


def need_query(identity: Identity, name: str) -> None:
    """Raises AccessDenied."""
    if not may_query(identity, name):
        raise AccessDenied(f"The key {identity.name!r} does not have the right 'query:{name}', which this needs.")


def may_see_table(identity: Identity, name: str) -> bool:
    return sees_all(identity) or may_query(identity, name)
