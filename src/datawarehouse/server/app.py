"""The ASGI application: checks that hold for every request, then one route.

1. The Host header must name this machine, and so must a browser's Origin: a web page must not reach a warehouse on its
   reader's machine, by DNS rebinding or by a form.
2. A request with an X-Amz-Target header is a Kinesis call, whatever its path.
3. Other routes are chosen by method and path. Routes under /v1/admin need the token of the lock file.
4. Errors become answers in one place.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from datawarehouse.errors import BadRequest, DataWarehouseError, InternalFailure, Throttled
from datawarehouse.server import backups, metrics
from datawarehouse.server.events import Events
from datawarehouse.server.http import (
    AnswerCutOff,
    ClientGone,
    LargeBodies,
    Receive,
    Request,
    Response,
    Send,
    error_response,
    json_response,
)
from datawarehouse.server.kinesis import Kinesis, failure
from datawarehouse.server.query import Queries

T = TypeVar("T")

_LOCAL_HOST = re.compile(
    r"(?:(?:[a-z0-9-]+\.)*localhost\.?|127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}|\[::1\])(?::\d+)?", re.IGNORECASE
)
_LARGE_BODIES_MAX = 16  # so many of request_bytes_max
_SAID_OTHERWISE = (Throttled.__name__, "ProvisionedThroughputExceededException")
_OWNER = "owner"
_EVENTS = re.compile(r"/v1/tables/([^/]+)/events")


@dataclass(slots=True)
class Admin:
    """The operations of the owner that other commands call; `runtime` supplies them."""

    token: str
    status: Callable[[], Awaitable[dict[str, Any]]]
    flush: Callable[[], Awaitable[None]]
    behind: Callable[[], list[dict[str, Any]]]
    run: Callable[[str, int | None], Awaitable[dict[str, Any]]]
    compact: Callable[[str], Awaitable[dict[str, Any]]]
    expire: Callable[[], Awaitable[dict[str, Any]]]
    register_partition: Callable[[str, list[str], str | None], Awaitable[None]]
    backup: backups.Make
    not_ready: Callable[[], str]
    accept_clock: Callable[[], Awaitable[dict[str, Any]]]
    complete: Callable[[], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class App:
    kinesis: Kinesis
    events: Events
    queries: Queries
    admin: Admin
    request_bytes_max: int
    on_fault: Callable[[str, Exception], None]
    """Called with what failed and an unexpected error; it logs it."""
    large_bodies: LargeBodies = field(init=False)

    def __post_init__(self) -> None:
        self.large_bodies = LargeBodies(_LARGE_BODIES_MAX * self.request_bytes_max)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request.of(scope, receive)
        try:
            await self._serve(request, send)
        finally:
            self.large_bodies.bytes -= request.large_bytes

    async def _serve(self, request: Request, send: Send) -> None:
        try:
            response = await self._answer(request)
        except ClientGone:
            return
        except DataWarehouseError as error:
            response = _error_answer(request, error)
        except Exception as error:
            self.on_fault(f"{request.method} {request.path}", error)
            message = "An unexpected error occurred in the server; its log has the details. It is safe to try again."
            response = _error_answer(request, InternalFailure(message))
        if response.error and response.status != 500:
            self._note_refusal(request, *response.error)
        try:
            await response.send(send)
        except ClientGone:
            return
        except Exception as error:
            self._note_cut_off(request, error)
            raise AnswerCutOff from None

    def _note_cut_off(self, request: Request, error: Exception) -> None:
        what = f"{request.method} {request.path}"
        if not isinstance(error, DataWarehouseError):
            self.on_fault(what, error)
            return
        self.kinesis.intake.refusals.request(type(error).__name__, f"{what}: the answer was cut off: {error}")

    def _note_refusal(self, request: Request, code: str, message: str) -> None:
        """Count an error answer, and say it in the log, unless it is said otherwise: a limit is said with the records
        that it kept out, and a query's error to who asked, because it can hold what is stored."""
        what = request.header(b"x-amz-target") or f"{request.method} {request.path}"
        is_said = code not in _SAID_OTHERWISE and not request.path.startswith(("/v1/query", "/v1/queries"))
        self.kinesis.intake.refusals.request(code, f"{what}: {message or 'its body cannot be read'}", is_said=is_said)

    async def _body(self, request: Request) -> bytes:
        return await request.body(self.request_bytes_max, self.large_bodies)

    async def _answer(self, request: Request) -> Response:
        refusal = _foreign(request)
        if refusal:
            return refusal
        if _is_kinesis(request):
            return await self.kinesis.handle(request, await self._body(request))
        match request.method, request.path:
            case "GET" | "HEAD", "/health":
                return json_response(200, {"status": "ok"})
            case "GET" | "HEAD", "/ready":
                reason = self.admin.not_ready()
                return json_response(503 if reason else 200, {"ready": not reason, "reason": reason or None})
            case "GET", "/metrics":
                text = metrics.exposition(await self.admin.status(), self.kinesis.intake.refusals)
                return Response(200, text, metrics.CONTENT_TYPE)
            case "POST", "/v1/query":
                return await self.queries.handle(request, await self._body(request), _OWNER)
            case _, path if path == "/v1/queries" or path.startswith("/v1/queries/"):
                return await self.queries.route(request, lambda: self._body(request), _OWNER)
            case _, path if path.startswith("/v1/admin/"):
                return await self._administrate(request)
            case method, path if found := _EVENTS.fullmatch(path):
                if method != "POST":
                    return error_response(405, "MethodNotAllowed", "Send events with POST.", [(b"allow", b"POST")])
                return await self.events.handle(found[1], request, await self._body(request))
            case _:
                return error_response(
                    404,
                    "NotFound",
                    f"There is no {request.method} {request.path}; there are POST /v1/tables/<table>/events, "
                    "POST /v1/query, /v1/queries, GET /health, /ready and /metrics, and the Kinesis API.",
                )

    async def _administrate(self, request: Request) -> Response:
        if not hmac.compare_digest(request.header(b"authorization").encode(), f"Bearer {self.admin.token}".encode()):
            return error_response(
                401, "Unauthorized", "This needs the token of the data folder's lock file, which the dw command reads."
            )
        match request.method, request.path:
            case "GET", "/v1/admin/status":
                return json_response(200, await self.admin.status())
            case "GET", "/v1/admin/complete":
                return json_response(200, await self.admin.complete())
            case "POST", "/v1/admin/flush":
                await self.admin.flush()
                return json_response(200, {"flushed": True})
            case "GET", "/v1/admin/flush":
                return json_response(200, {"behind": self.admin.behind()})
            case "POST", "/v1/admin/run":
                wanted = _decoded(_Run, await self._body(request))
                return json_response(200, await self.admin.run(wanted.job, wanted.at_ms))
            case "POST", "/v1/admin/compact":
                chosen = _decoded(_Compact, await self._body(request))
                return json_response(200, await self.admin.compact(chosen.table))
            case "POST", "/v1/admin/expire":
                return json_response(200, await self.admin.expire())
            case "POST", "/v1/admin/accept-clock":
                return json_response(200, await self.admin.accept_clock())
            case "POST", "/v1/admin/partitions":
                asked = _decoded(_Partition, await self._body(request))
                await self.admin.register_partition(asked.table, asked.values, asked.location)
                return json_response(200, {"registered": True})
            case "POST", "/v1/admin/backup":
                return await backups.handle(self.admin.backup, request, await self._body(request))
            case _:
                return error_response(404, "NotFound", f"There is no {request.method} {request.path}.")


class _Partition(msgspec.Struct):
    table: str
    values: list[str]
    location: str | None = None


class _Compact(msgspec.Struct):
    table: str


class _Run(msgspec.Struct):
    job: str
    at_ms: int | None = None


def _decoded(kind: type[T], body: bytes) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body does not have the required form: {error}.") from None


def _is_kinesis(request: Request) -> bool:
    return b"x-amz-target" in request.headers


def _foreign(request: Request) -> Response | None:
    host = request.header(b"host")
    origin = request.header(b"origin")
    if not _LOCAL_HOST.fullmatch(host):
        return error_response(
            421, "MisdirectedRequest", f"The Host header is {host!r}; this server answers to localhost and 127.0.0.1."
        )
    scheme, _, origin_host = origin.partition("://")
    if origin and not (scheme in ("http", "https") and _LOCAL_HOST.fullmatch(origin_host)):
        return error_response(403, "ForeignOrigin", f"Requests of web pages from {origin} are refused.")
    return None


def _error_answer(request: Request, error: DataWarehouseError) -> Response:
    if _is_kinesis(request) and error.http_status >= 500:
        return failure(error)
    headers = []
    if error.retryable:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    return error_response(error.http_status, type(error).__name__, str(error), headers)
