"""The console: its page, and the routes below /v1 that stand behind it, which are for everybody.

    GET /  /console/assets/<name>   the page and what it loads; they need no key
    /v1/session                     signing in (`sign_in`)
    /v1/overview                    what is going on, and what needs attention
    /v1/tables                      what there is of each table (`tables`), its newest events (`tail`), and those that
                                    were rejected (`rejects`)
    /v1/completion /v1/queries/history /v1/saved-queries    for who writes statements (`completion`, `saved_queries`)
    /v1/jobs /v1/job-tasks /v1/cost    runs of jobs, and what all of it would cost on AWS (`job_routes`)

A key sees the tables that it may query; who may monitor or administer sees all of them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from datawarehouse.access.identity import Identity
from datawarehouse.definition.tables import QUARANTINE_SUFFIX
from datawarehouse.errors import AccessDenied
from datawarehouse.server.completion import Completion
from datawarehouse.server.console_files import ConsoleFiles
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.job_routes import PATHS as JOBS
from datawarehouse.server.job_routes import Jobs
from datawarehouse.server.openapi import methods_of, no_route
from datawarehouse.server.query import Queries
from datawarehouse.server.rejects import Rejects
from datawarehouse.server.saved_queries import PATH as SAVED
from datawarehouse.server.saved_queries import SavedQueries
from datawarehouse.server.sign_in import SignIn
from datawarehouse.server.tables import Tables, may_query, may_see_table, need_query, sees_all
from datawarehouse.server.tail import Tail

SESSION = "/v1/session"
_OVERVIEW, _TABLES = "/v1/overview", "/v1/tables"
_COMPLETION, HISTORY = "/v1/completion", "/v1/queries/history"
PATHS = (_OVERVIEW, _TABLES, _COMPLETION, SAVED, *JOBS)
_OF_TABLE = re.compile(r"/v1/tables/([^/]+)(?:/(hours|lateness|files|profile|tail|quarantine|quarantine/samples))?")

ReadBody = Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class Console:
    """overview: what is shown of all tables (`runtime.overview`)."""

    files: ConsoleFiles
    sign_in: SignIn
    overview: Callable[[], Awaitable[dict[str, Any]]]
    queries: Queries
    tables: Tables
    tail: Tail
    rejects: Rejects
    completion: Completion
    saved: SavedQueries
    jobs: Jobs

    async def route(self, request: Request, body: ReadBody) -> Response:
        """Answer a request of PATHS. Raises errors of requests."""
        identity = request.identity
        if request.method not in methods_of(request.path):
            return no_route(request)
        if not (identity.rights.may_query or sees_all(identity)):  # who may administer sees all
            raise AccessDenied(f"The key {identity.name!r} does not have the right 'query', which this needs.")
        match request.method, request.path:
            case "GET", path if path == HISTORY:
                _need_a_table(identity)
                return await self.completion.asked_before(request)
            case "GET", path if path == _COMPLETION:
                return await self.completion.names(request)
            case _, path if path.startswith(JOBS):
                return await self.jobs.route(request, body)
            case _, path if path.startswith(SAVED):
                _need_a_table(identity)
                return await self.saved.route(request, body)
            case "GET", path if path == _TABLES:
                return await self.tables.listed(identity)
            case "GET", path if found := _OF_TABLE.fullmatch(path):
                return await self._of_table(request, found[1], found[2] or "")
            case "GET", path if path == _OVERVIEW:
                return await self._overview(request.identity)
            case _:
                return no_route(request)

    async def _of_table(self, request: Request, name: str, what: str) -> Response:
        table = await self.tables.named(request.identity, name)
        rejects = name + QUARANTINE_SUFFIX
        match what:
            case "tail":
                need_query(request.identity, name)
                return await self.tail.answer(request, table, may_query(request.identity, rejects))
            case "quarantine":
                need_query(request.identity, rejects)
                return await self.rejects.causes(request, table)
            case "quarantine/samples":
                need_query(request.identity, rejects)
                return await self.rejects.samples(request, table)
            case _:
                return await self.tables.answer(request, table, what)

    async def _overview(self, identity: Identity) -> Response:
        found = await self.overview()
        if not sees_all(identity):
            found["tables"] = [each for each in found["tables"] if may_see_table(identity, each["table"])]
            found["attention"] = [
                each for each in found["attention"] if each["table"] and may_see_table(identity, each["table"])
            ]
            found |= {"disk_free_bytes": None, "backup": None}
        found["queries"] = self.queries.going_on(identity)
        return json_response(200, found)


def _need_a_table(identity: Identity) -> None:
    """Raises AccessDenied for who may query nothing."""
    if not (identity.rights.may_query or identity.rights.may_administer):
        raise AccessDenied(f"The key {identity.name!r} does not have the right 'query', which this needs.")
