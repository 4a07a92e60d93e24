"""Jobs and what they cost.

    GET    /v1/jobs                       each job, with the last run of each hour
    GET    /v1/jobs/<job>/runs            runs with their errors
    POST   /v1/jobs/<job>/runs            run it again; nobody waits for it
    POST   /v1/jobs/<job>/backfills       run it for a period
    GET    /v1/job-tasks                  how far that has come
    DELETE /v1/job-tasks/<id>             start no further run
    GET    /v1/cost                       what what arrived would cost on AWS

All but the first and the last need the right to administer: an error can hold what is stored.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from datawarehouse.clock import Clock
from datawarehouse.definition.partition import start_of
from datawarehouse.errors import AccessDenied, BadRequest, Unauthorized
from datawarehouse.server.bodies import BackfillBody, JobRunBody
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.openapi import no_route
from datawarehouse.server.query import who_asks
from datawarehouse.server.tables import may_see_table, period, sees_all

PATHS = ("/v1/jobs", "/v1/job-tasks", "/v1/cost")
_OF_JOB = re.compile(r"/v1/jobs/([^/]+)/(runs|backfills)")
_TASK = re.compile(r"/v1/job-tasks/([0-9a-f-]+)")
_HOURS = 48
_RUNS, _RUNS_MAX = 20, 500
_DAYS, _DAYS_MAX = 7, 90

T = TypeVar("T")


class Work(Protocol):
    """`runtime.job_tasks`."""

    def jobs(self, low: str, high: str) -> list[dict[str, Any]]: ...
    def runs(self, job: str, hour: str | None, limit: int) -> list[dict[str, Any]]: ...
    def tasks(self) -> list[dict[str, Any]]: ...
    def run(self, job: str, at: datetime | None, who: str) -> dict[str, Any]: ...
    def backfill(self, job: str, start: datetime, end: datetime | None, again: bool, who: str) -> dict[str, Any]: ...
    def end(self, id: str) -> dict[str, Any]: ...


@dataclass(slots=True)
class Jobs:
    """executor: where `work` is asked. cost: of what arrived in so many days; None where nobody knows prices."""

    work: Work
    executor: Executor
    clock: Clock
    cost: Callable[[int], dict[str, Any]] | None

    async def route(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        """Raises UnknownName, BadRequest, AccessDenied, Unauthorized, Throttled or Closed."""
        method, path = request.method, request.path
        if method == "GET" and path == "/v1/jobs":
            return await self._listed(request)
        if method == "GET" and path == "/v1/cost":
            return await self._cost(request)
        _need_administer(request)
        if method == "GET" and path == "/v1/job-tasks":
            return json_response(200, {"tasks": await self._asked(self.work.tasks)})
        if found := _OF_JOB.fullmatch(path):
            return await self._of_job(request, found[1], found[2], body)
        if method == "DELETE" and (found := _TASK.fullmatch(path)):
            request.audited = found[1]
            return json_response(200, {"task": await self._asked(self.work.end, found[1])})
        return no_route(request)

    async def _asked(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, function, *arguments)

    async def _listed(self, request: Request) -> Response:
        now_ms = self.clock.now_ms()
        low, high = period(request, now_ms, _HOURS)
        jobs = await self._asked(self.work.jobs, low, high)
        seen = [job for job in jobs if may_see_table(request.identity, job["job"])]
        may_run = request.identity.rights.may_administer
        return json_response(200, {"from": low, "to": high, "jobs": seen, "may_run": may_run})

    async def _of_job(self, request: Request, job: str, what: str, body: Callable[[], Awaitable[bytes]]) -> Response:
        who = who_asks(request.identity)
        if request.method == "GET" and what == "runs":
            hour = request.option("hour") or None
            if hour is not None:
                start_of(hour)
            limit = request.whole("limit", _RUNS, 1, _RUNS_MAX)
            return json_response(200, {"runs": await self._asked(self.work.runs, job, hour, limit)})
        if what == "runs":
            wanted = _decoded(JobRunBody, await body())
            request.audited = f"at {wanted.at or 'now'}"
            return json_response(202, {"task": await self._asked(self.work.run, job, wanted.at, who)})
        asked = _decoded(BackfillBody, await body())
        request.audited = f"from {asked.start} to {asked.end or 'now'}"
        task = await self._asked(self.work.backfill, job, asked.start, asked.end, asked.again, who)
        return json_response(202, {"task": task})

    async def _cost(self, request: Request) -> Response:
        if not sees_all(request.identity):
            raise AccessDenied(f"The key {request.identity.name!r} has not the right 'monitor', which this needs.")
        if self.cost is None:
            raise BadRequest("This server knows no prices; `dw up` does.")
        return json_response(200, await self._asked(self.cost, request.whole("days", _DAYS, 1, _DAYS_MAX)))


def _need_administer(request: Request) -> None:
    """Raises AccessDenied, or Unauthorized where nobody has signed in."""
    identity = request.identity
    if identity.rights.may_administer:
        return
    if identity.name:
        raise AccessDenied(f"The key {identity.name!r} does not have the right 'administer', which this needs.")
    raise Unauthorized(
        "This needs a key that may administer, or the token of the data folder's lock file: sign in as 'owner' with it."
    )


def _decoded(kind: type[T], body: bytes) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body does not have the required form: {error}.") from None
