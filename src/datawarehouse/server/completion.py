"""What helps who writes a statement: the names that there are, and what was asked before.

GET /v1/completion         tables with their columns and hours, functions, words, workgroups
GET /v1/queries/history    queries that are over too: one's own, or all of them for who may administer
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datawarehouse.access.identity import Identity
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.history import latest
from datawarehouse.catalog.hours import first_and_last_hour
from datawarehouse.catalog.views import stored_views
from datawarehouse.definition.instants import written
from datawarehouse.definition.tables import (
    HISTORY_COLUMNS,
    HISTORY_TABLE,
    QUARANTINE_COLUMNS,
    QUARANTINE_SUFFIX,
    RUNS_COLUMNS,
    RUNS_TABLE,
    BatchInputTable,
    Column,
    StreamingInputTable,
)
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.query import who_asks
from datawarehouse.server.tables import may_query
from datawarehouse.sql.function_names import FUNCTIONS

_WORDS = """
    all and array as asc at between by case cast cross current_date current_timestamp cube desc describe distinct else
    end escape except exists explain false fetch filter first following for from full group grouping having if in inner
    intersect interval is join last lateral left like limit map natural not null nulls offset on or order ordinality
    outer over partition partitions preceding range right rollup row rows select sets show table tables tablesample then
    time timestamp true try_cast unbounded union unnest using values when where window with within
""".split()
_LIMIT, _LIMIT_MAX = 100, 1000


@dataclass(slots=True)
class Completion:
    """catalog: one that only reads. history: the file of the history."""

    catalog: Catalog
    history: Path
    executor: Executor

    async def names(self, request: Request) -> Response:
        found = await asyncio.get_running_loop().run_in_executor(self.executor, self._names, request.identity)
        return json_response(200, found)

    def _names(self, identity: Identity) -> dict[str, Any]:
        tables: list[dict[str, Any]] = []

        def add(name: str, columns: tuple[Column, ...], hours: tuple[str | None, str | None] = (None, None)) -> None:
            if may_query(identity, name):
                described = [{"name": column.name, "type": str(column.type)} for column in columns]
                tables.append({"name": name, "columns": described, "first_hour": hours[0], "newest_hour": hours[1]})

        stored = self.catalog.tables()
        for table in stored:
            hours = first_and_last_hour(self.catalog.store, table.name)
            add(table.name, (*table.columns[table.schema_version], *table.partition_keys), hours)
            if table.kind == StreamingInputTable.kind:
                add(table.name + QUARANTINE_SUFFIX, (*QUARANTINE_COLUMNS, *table.partition_keys), hours)
        for view in stored_views(self.catalog):
            add(view.name, view.columns)
        if any(table.kind == BatchInputTable.kind for table in stored):
            add(RUNS_TABLE, RUNS_COLUMNS)
        add(HISTORY_TABLE, HISTORY_COLUMNS)
        functions = [{"name": name, "kind": kind} for kind, names in FUNCTIONS.items() for name in names]
        workgroups = [identity.workgroup] if identity.workgroup else list(self.catalog.workgroups())
        return {"tables": tables, "functions": functions, "keywords": _WORDS, "workgroups": workgroups}

    async def asked_before(self, request: Request) -> Response:
        identity = request.identity
        sees_all = not identity.name or identity.rights.may_administer
        who = None if sees_all else who_asks(identity)
        limit = request.whole("limit", _LIMIT, 1, _LIMIT_MAX)
        before = request.whole("before", 2**62, 1, 2**62)
        read = asyncio.get_running_loop().run_in_executor(self.executor, latest, self.history, who, before, limit)
        return json_response(
            200,
            {
                "queries": [
                    {
                        "number": number,
                        "id": each.id,
                        "who": each.who,
                        "workgroup": each.workgroup,
                        "sql": each.sql,
                        "asked_at": written(each.asked_ms),
                        "started_at": None if each.started_ms is None else written(each.started_ms),
                        "ended_at": None if each.ended_ms is None else written(each.ended_ms),
                        "outcome": each.outcome,
                        "files": each.files,
                        "bytes": each.bytes,
                        "rows": each.rows,
                        "error": each.error,
                    }
                    for number, each in await read
                ]
            },
        )
