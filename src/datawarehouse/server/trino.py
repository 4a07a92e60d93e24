"""The client protocol of Trino, over the registry of queries.

    POST   /v1/statement                    a statement, as text
    GET    /v1/statement/<id>/<number>      a page of its result, from 1 on; waits a second for it
    DELETE /v1/statement/<id>/<number>      ends it
    GET    /v1/info                         what clients ask first

An answer names the address of the next one until there is none. A page can be asked for again, as long as the result
is kept. What a client says of its session comes with each request; `trino_session` knows the statements that change it.

Source: Trino documentation, "Trino client REST API".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from datawarehouse.access.identity import Identity
from datawarehouse.clock import Clock
from datawarehouse.errors import DataWarehouseError, QueryFailed
from datawarehouse.query.messages import TRINO
from datawarehouse.query.registry import FAILED, RUNNING, WAITING, Query, QueryRegistry, unknown
from datawarehouse.server.bodies import QueryBody
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.openapi import no_route
from datawarehouse.server.query import may_see, order_of, who_asks
from datawarehouse.server.trino_errors import error_of
from datawarehouse.server.trino_session import (
    Describe,
    Done,
    Kill,
    Session,
    prepared_statements,
    properties,
    understood,
)
from datawarehouse.sql.catalogs import Session as Chosen
from datawarehouse.sql.changes import is_change
from datawarehouse.sql.metadata import TRINO_VERSION
from datawarehouse.sql.names import MEMORY

PATHS = ("/v1/statement", "/v1/info")
_PAGE = re.compile(r"/v1/statement/([^/]+)/([0-9]{1,9})")
_WAIT_S = 1.0
_USER_CHARACTERS_MAX = 100
_NO_RESULT = {
    "columns": [{"name": "result", "type": "boolean", "typeSignature": {"rawType": "boolean", "arguments": []}}],
    "data": [[True]],
}
"""What Trino gives for a statement without a result, because its clients require one."""
_COUNTED = ("INSERT", "CREATE TABLE", "DELETE")
"""Changes whose result is the number of their rows."""
_WORKGROUP = "workgroup"
"""The property of a session that names the workgroup of its queries."""


@dataclass(slots=True)
class Trino:
    """database: the schema that a client has if it chooses none."""

    registry: QueryRegistry
    database: str
    clock: Clock

    async def route(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        """Answer a request of PATHS. Raises errors of requests; those of a statement are in the answer."""
        match request.method, request.path:
            case "GET", "/v1/info":
                version = {"version": TRINO_VERSION}
                about = {"nodeVersion": version, "environment": self.database, "coordinator": True, "starting": False}
                return json_response(200, about)
            case "POST", "/v1/statement":
                return self._submit(request, (await body()).decode("utf-8", "replace"))
        found = _PAGE.fullmatch(request.path)
        if not found:
            return no_route(request)
        query = self.registry.get(found[1])
        if not may_see(request.identity, query):
            raise unknown(query.id)
        match request.method:
            case "GET":
                return await self._page(request, query, int(found[2]))
            case "DELETE":
                self.registry.end_or_forget(query, f"{who_asks(request.identity)} asked for that")
                return Response(204, b"")
            case _:
                return no_route(request)

    def _submit(self, request: Request, sql: str) -> Response:
        identity = request.identity
        given = properties(request.header(b"x-trino-session"))
        prepared = prepared_statements(request.header(b"x-trino-prepared-statement"))
        chosen = Chosen(_chosen(request, b"x-trino-catalog"), _chosen(request, b"x-trino-schema"))
        try:
            meant = understood(sql, Session(chosen, self.database, prepared, given))
            if isinstance(meant, Kill):
                self._kill(identity, meant)
                meant = Done("CALL")
        except DataWarehouseError as error:
            return self._answer(request, None, {"error": error_of(error)}, state=FAILED)
        if isinstance(meant, Done):
            return self._answer(request, None, {**_NO_RESULT, "updateType": meant.kind}, headers=meant.headers)
        transaction = request.header(b"x-trino-transaction-id")
        if transaction not in ("", "NONE") and isinstance(meant, str) and is_change(meant):
            told = QueryFailed(
                f"AUTOCOMMIT_WRITE_CONFLICT: Catalog only supports writes using autocommit: {chosen.catalog or MEMORY}."
            )
            return self._answer(request, None, {"error": error_of(told)}, state=FAILED)
        if isinstance(meant, Describe):
            chosen, meant = chosen._replace(describes=meant.what), meant.text
        asked, who = QueryBody(meant, format=TRINO, workgroup=given.get(_WORKGROUP, "")), _who(identity, request)
        query = self.registry.submit(order_of(asked, identity, chosen, who), who)
        return self._answer(request, query, {"nextUri": _address(request, f"statement/{query.id}/1")})

    def _kill(self, identity: Identity, meant: Kill) -> None:
        """Raises QueryFailed if there is no such query, or it is over."""
        found = [query for query in self.registry.all() if query.id == meant.id and may_see(identity, query)]
        if not found:
            raise QueryFailed(f"NOT_FOUND: Target query not found: {meant.id}.")
        if found[0].is_over:
            raise QueryFailed(f"NOT_SUPPORTED: Target query is not running: {meant.id}.")
        self.registry.end(found[0], meant.because or f"{who_asks(identity)} asked for that by kill_query")

    async def _page(self, request: Request, query: Query, number: int) -> Response:
        def has_it() -> bool:
            return query.is_over or query.result is None or len(query.result.ends) > number

        await query.wait(has_it, _WAIT_S)
        if query.error:
            return self._answer(request, query, {"error": error_of(query.error)})
        values: dict[str, Any] = {"updateType": query.update} if query.update else {}
        # Both at one moment: a query that ends while a page is read has more pages than these.
        is_over, pages = query.is_over, len(query.result.ends) if query.result else 0
        if query.update in _COUNTED and pages > 1:
            [[count]] = msgspec.json.decode(await self.registry.page(query, 1))
            values |= {"updateCount": count} if count is not True else {}
        if pages:
            values["columns"] = msgspec.Raw(await self.registry.page(query, 0))
        if 0 < number < pages:
            values["data"] = msgspec.Raw(await self.registry.page(query, number))
        if not is_over or number + 1 < pages:
            following = number + 1 if "data" in values else number
            values["nextUri"] = _address(request, f"statement/{query.id}/{following}")
        return self._answer(request, query, values)

    def _answer(
        self,
        request: Request,
        query: Query | None,
        values: dict[str, Any],
        *,
        state: str = "",
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> Response:
        id = query.id if query else "session"
        answer = {
            "id": id,
            "infoUri": _address(request, f"queries/{id}"),
            **values,
            "stats": self._stats(query, state),
            "warnings": [],
        }
        return json_response(200, answer, headers)

    def _stats(self, query: Query | None, state: str) -> dict[str, Any]:
        elapsed_ms = files = rows = read = waited_ms = 0
        share = None
        shown = "FAILED" if state == FAILED else "FINISHED"
        if query:
            now_ms = query.ended_ms or self.clock.now_ms()
            elapsed_ms = max(0, now_ms - query.asked_ms)
            waited_ms = max(0, (query.started_ms or now_ms) - query.asked_ms)
            files, rows, read, share = query.files, query.rows, query.bytes, query.share
            shown = _STATES.get(query.state, "FAILED")
        done = files if shown == "FINISHED" else int(files * (share or 0.0))
        return {
            "state": shown,
            "queued": shown == "QUEUED",
            "scheduled": shown != "QUEUED",
            "nodes": 1,
            "totalSplits": files,
            "queuedSplits": 0,
            "runningSplits": files - done if shown == "RUNNING" else 0,
            "completedSplits": done,
            "cpuTimeMillis": elapsed_ms - waited_ms,
            "wallTimeMillis": elapsed_ms - waited_ms,
            "queuedTimeMillis": waited_ms,
            "elapsedTimeMillis": elapsed_ms,
            "processedRows": rows,
            "processedBytes": read,
            "physicalInputBytes": read,
            "physicalWrittenBytes": 0,
            "peakMemoryBytes": 0,
            "spilledBytes": 0,
            **({} if share is None else {"progressPercentage": round(100 * share, 1)}),
        }


_STATES = {WAITING: "QUEUED", RUNNING: "RUNNING", "succeeded": "FINISHED"}


def _who(identity: Identity, request: Request) -> str:
    """Whose query it is. Where there are no keys, whoever the client says, which nobody checks."""
    return identity.name or request.header(b"x-trino-user")[:_USER_CHARACTERS_MAX] or who_asks(identity)


def _chosen(request: Request, name: bytes) -> str | None:
    return request.header(name).lower() or None


def _address(request: Request, path: str) -> str:
    """Where the client came to; a proxy that ends TLS says so, and whoever else does harms but itself."""
    forwarded = request.header(b"x-forwarded-proto")
    scheme = forwarded if forwarded in ("http", "https") else request.scheme
    return f"{scheme}://{request.header(b'host')}/v1/{path}"
