"""The quarantine of a table: why events were rejected, when, and some of them with the part at fault.

    GET /v1/tables/<table>/quarantine            causes and trend; CSV too
    GET /v1/tables/<table>/quarantine/samples    some rejected events

Both are queries of the table `<table>_quarantine`, in the workgroup of who asks; the trend is from the catalog.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.hours import hours_between
from datawarehouse.catalog.records import StoredTable
from datawarehouse.clock import Clock
from datawarehouse.definition.places import shown
from datawarehouse.definition.tables import QUARANTINE_SUFFIX
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.query import Queries
from datawarehouse.server.tables import csv_response, keys_of, period
from datawarehouse.server.tail import text_of

_KEY = "inserted_at"
_CAUSES = (
    "select error_code, coalesce(column_name, '') as column_name, expected, count(*) as records,"
    ' min(arrival_timestamp) as first, max(arrival_timestamp) as latest from "{table}"'
    f" where {_KEY} >= ? and {_KEY} < ? group by 1, 2, 3 order by records desc, 1, 2, 3 limit 200"
)
_SAMPLES = (
    "select arrival_timestamp, sequence_number, error_code, error_message, coalesce(column_name, '') as column_name,"
    " expected, received, substr(raw_data, 1, {bytes}) as raw_data, length(raw_data) as size"
    ' from "{table}"'
    f" where {_KEY} >= ? and {_KEY} < ?{{filters}}"
    " order by arrival_timestamp desc, sequence_number desc limit {limit}"
)
_RECORD_BYTES_MAX = 64 * 1024
_SAMPLES_SHOWN, _SAMPLES_MAX = 20, 100


@dataclass(slots=True)
class Rejects:
    """catalog: one that only reads. executor: where it is read."""

    catalog: Catalog
    executor: Executor
    clock: Clock
    queries: Queries

    async def causes(self, request: Request, table: StoredTable) -> Response:
        """Raises BadRequest, and the errors of queries."""
        form = request.one_of("format", ("json", "csv"))
        low, high = period(request, self.clock.now_ms())
        sql = _CAUSES.format(table=table.name + QUARANTINE_SUFFIX)
        causes = await self.queries.rows(request, sql, (low, high))
        if form == "csv":
            names = ["error_code", "column_name", "expected", "records", "first", "latest"]
            rows = ([cause[name] for name in names] for cause in causes)
            return csv_response(f"{table.name}_quarantine", names, rows)
        hours = await asyncio.get_running_loop().run_in_executor(
            self.executor, hours_between, self.catalog.store, table.name, low, high, ""
        )
        with_rejects = [place for place, rejected in enumerate(hours.rejected) if rejected]
        return json_response(
            200,
            {
                "table": table.name,
                "from": low,
                "to": high,
                "rejected": sum(hours.rejected),
                "trend": {
                    "hour": [hours.hour[place] for place in with_rejects],
                    "rejected": [hours.rejected[place] for place in with_rejects],
                    "received": [hours.received[place] for place in with_rejects],
                },
                "causes": causes,
            },
        )

    async def samples(self, request: Request, table: StoredTable) -> Response:
        """Raises BadRequest, and the errors of queries."""
        low, high = period(request, self.clock.now_ms())
        filters, parameters = "", [low, high]
        for name, column in (("error_code", "error_code"), ("column_name", "coalesce(column_name, '')")):
            if name in request.options():
                filters += f" and {column} = ?"
                parameters.append(request.option(name))
        sql = _SAMPLES.format(
            table=table.name + QUARANTINE_SUFFIX,
            bytes=_RECORD_BYTES_MAX,
            filters=filters,
            limit=request.whole("limit", _SAMPLES_SHOWN, 1, _SAMPLES_MAX),
        )
        rows = await self.queries.rows(request, sql, parameters)
        return json_response(200, {"table": table.name, "samples": [_sample(row, keys_of(table)) for row in rows]})


def _sample(row: dict[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    data = base64.b64decode(row["raw_data"] or "")
    seen = shown(data, row["column_name"], row["error_message"], keys)
    names = ("sequence_number", "error_code", "error_message", "column_name", "expected", "received")
    return {
        "arrived_at": row["arrival_timestamp"],
        **{name: row[name] for name in names},
        **text_of(data, seen, row["size"] or 0),
        "start": seen.start,
        "end": seen.end,
    }
