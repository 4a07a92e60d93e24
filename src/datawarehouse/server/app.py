"""The ASGI application: checks that hold for every request, then one route.

1. Without keys the Host header must name this machine, and so must a browser's Origin always: a web page must not reach
   a warehouse on its reader's machine, by DNS rebinding or by a form.
2. Who sends it (`identity`). /health, /ready, the console's files, signing in and what a browser asks before a request
   (`browsers`) need no key.
3. A request for a service of AWS (`aws_services`) is answered by it, whatever its path.
4. Other routes are chosen by method and path; each looks at the rights of the identity first.
5. Errors become answers in one place.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from datawarehouse.access.sigv4 import SignatureError
from datawarehouse.errors import (
    AccessDenied,
    BadRequest,
    DataWarehouseError,
    InternalFailure,
    Throttled,
    Unauthorized,
    place_in,
    without_frames,
)
from datawarehouse.server import backups, browsers, console_files, keys, metrics, openapi
from datawarehouse.server.access_log import audit, note
from datawarehouse.server.aws_services import ATHENA, AwsServices, failure, service_of, signature_failure
from datawarehouse.server.bodies import CompactBody, PartitionBody, RunBody
from datawarehouse.server.console import HISTORY, SESSION, Console
from datawarehouse.server.console import PATHS as CONSOLE_PATHS
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
from datawarehouse.server.identity import EVENTS_PATH, Foreign, Gate
from datawarehouse.server.query import Queries
from datawarehouse.server.trino import PATHS as TRINO_PATHS
from datawarehouse.server.trino import Trino

T = TypeVar("T")

_LARGE_BODIES_MAX = 16  # so many of request_bytes_max
_SAID_OTHERWISE = (Throttled.__name__, "ProvisionedThroughputExceededException")
_AUDITED = ("/v1/admin/", "/v1/jobs/", "/v1/job-tasks/")
_CHALLENGE = (b"www-authenticate", b'Bearer realm="datawarehouse"')
_OF_SIGNATURES = {"IncompleteSignature": 400, "SignatureDoesNotMatch": 403}


@dataclass(slots=True)
class Admin:
    """The operations of the owner that other commands call; `runtime` supplies them."""

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
    aws: AwsServices
    events: Events
    queries: Queries
    trino: Trino
    console: Console
    admin: Admin
    gate: Gate
    check_key: keys.Check
    request_bytes_max: int
    on_fault: Callable[[str, Exception], None]
    """Called with what failed and an unexpected error; it logs it."""
    has_access_log: bool = False
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
        began = time.monotonic()
        try:
            response = await self._answer(request)
        except ClientGone:
            return
        except Foreign as error:
            response = error_response(error.status, error.code, str(error))
        except SignatureError as error:
            response = _signature_answer(request, error)
        except DataWarehouseError as error:
            response = _error_answer(request, error)
            without_frames(error)  # the registry keeps those of queries
        except Exception as error:
            self.on_fault(f"{request.method} {request.path}", error)
            without_frames(error)
            message = "An unexpected error occurred in the server; its log has the details. It is safe to try again."
            response = _error_answer(request, InternalFailure(message))
        if response.error and response.status != 500:
            self._note_refusal(request, *response.error)
        if request.cors_origin:
            response.headers += browsers.headers(request.cors_origin)
        if request.path == SESSION or (request.path.startswith(_AUDITED) and request.identity.name):
            audit(request, response, self.gate.client_address(request))
        if self.has_access_log:
            note(request, response, self.gate.client_address(request), time.monotonic() - began)
        try:
            await response.send(send)
        except ClientGone:
            return
        except Exception as error:
            self._note_cut_off(request, error)
            without_frames(error)
            raise AnswerCutOff from None

    def _note_cut_off(self, request: Request, error: Exception) -> None:
        what = f"{request.method} {request.path}"
        if not isinstance(error, DataWarehouseError):
            self.on_fault(what, error)
            return
        self.aws.kinesis.intake.refusals.request(type(error).__name__, f"{what}: the answer was cut off: {error}")

    def _note_refusal(self, request: Request, code: str, message: str) -> None:
        """Count an error answer, and say it in the log, unless it is said otherwise: a limit is said with the records
        that it kept out, and a query's error to who asked, because it can hold what is stored."""
        what = request.header(b"x-amz-target") or f"{request.method} {request.path}"
        is_of_query = request.path.startswith(("/v1/query", "/v1/queries")) or request.service == ATHENA
        is_said = code not in _SAID_OTHERWISE and not is_of_query
        refusals = self.aws.kinesis.intake.refusals
        refusals.request(code, f"{what}: {message or 'its body cannot be read'}", is_said=is_said)
        if self.gate.keys.are_needed:
            refusals.of_key(request.identity.name or request.key_name, code)

    async def _body(self, request: Request) -> bytes:
        return await request.body(self.request_bytes_max, self.large_bodies)

    async def _answer(self, request: Request) -> Response:
        gate = self.gate
        request.service = service_of(request)
        gate.check_network(request)
        match request.method, request.path:
            case "GET" | "HEAD", "/health":
                gate.check_origin(request)
                return json_response(200, {"status": "ok"})
            case "GET" | "HEAD", "/ready":
                gate.check_origin(request)
                reason = self.admin.not_ready()
                return json_response(503 if reason else 200, {"ready": not reason, "reason": reason or None})
            case "OPTIONS", _ if browsers.is_asking(request, gate.keys):
                return browsers.permission(gate.keys, request, gate.clock.now_ms())
            case _, path if path == SESSION:
                return await self.console.sign_in.route(request, lambda: self._body(request))
        if console_files.is_asked(request) and (found := await self.console.files.answer(request)):
            return found
        request.identity = await gate.identify(request, self._body)
        if request.service:
            return await self.aws.handle(request, lambda: self._body(request))
        return await self._route(request)

    async def _route(self, request: Request) -> Response:
        rights = request.identity.rights
        match request.method, request.path:
            case "GET", "/metrics":
                _need(request, rights.may_monitor, "monitor")
                text = metrics.exposition(await self.admin.status(), self.aws.kinesis.intake.refusals)
                return Response(200, text, metrics.CONTENT_TYPE)
            case "GET", "/v1/openapi.json":
                return Response(200, openapi.encoded())
            case "POST", "/v1/query":
                _need(request, rights.may_query, "query")
                return await self.queries.handle(request, await self._body(request))
            case "GET", "/v1/query":
                _need(request, rights.may_query, "query")
                return await self.queries.download(request)
            case _, path if path == HISTORY:
                return await self.console.route(request, lambda: self._body(request))
            case _, path if path == "/v1/queries" or path.startswith("/v1/queries/"):
                _need(request, rights.may_query or rights.may_administer, "query")
                return await self.queries.route(request, lambda: self._body(request))
            case _, path if path.startswith(TRINO_PATHS):
                _need(request, rights.may_query, "query")
                return await self.trino.route(request, lambda: self._body(request))
            case _, path if path.startswith("/v1/admin/"):
                return await self._administrate(request)
            case "POST", path if found := EVENTS_PATH.fullmatch(path):
                _need(request, rights.may_put(found[1]), f"put:{found[1]}")
                request.identity.admit("events_per_s", "bytes_per_s")
                return await self.events.handle(found[1], request, await self._body(request))
            case _, path if path.startswith(CONSOLE_PATHS):
                return await self.console.route(request, lambda: self._body(request))
            case _:
                return openapi.no_route(request)

    async def _administrate(self, request: Request) -> Response:
        if not request.identity.rights.may_administer:
            if request.identity.name:
                _need(request, False, "administer")
            raise Unauthorized(
                "This needs the token of the data folder's lock file, which the dw command reads, or a key that may "
                "administer."
            )
        refusals = self.aws.kinesis.intake.refusals
        queries = self.queries.registry
        if found := await keys.handle(self.gate, self.check_key, refusals, queries, request, self._body):
            return found
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
                wanted = _decoded(RunBody, await self._body(request))
                return json_response(200, await self.admin.run(wanted.job, wanted.at_ms))
            case "POST", "/v1/admin/compact":
                chosen = _decoded(CompactBody, await self._body(request))
                return json_response(200, await self.admin.compact(chosen.table))
            case "POST", "/v1/admin/expire":
                return json_response(200, await self.admin.expire())
            case "POST", "/v1/admin/accept-clock":
                return json_response(200, await self.admin.accept_clock())
            case "POST", "/v1/admin/partitions":
                asked = _decoded(PartitionBody, await self._body(request))
                await self.admin.register_partition(asked.table, asked.values, asked.location)
                return json_response(200, {"registered": True})
            case "POST", "/v1/admin/backup":
                return await backups.handle(self.admin.backup, request, await self._body(request))
            case _:
                return openapi.no_route(request)


def _decoded(kind: type[T], body: bytes) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body does not have the required form: {error}.") from None


def _need(request: Request, is_granted: bool, right: str) -> None:
    """Raises AccessDenied."""
    if not is_granted:
        raise AccessDenied(f"The key {request.identity.name!r} does not have the right {right!r}, which this needs.")


def _signature_answer(request: Request, error: SignatureError) -> Response:
    if request.service:
        return signature_failure(request, error)
    code = "Unauthorized" if error.code == "MissingAuthenticationToken" else error.code
    return error_response(_OF_SIGNATURES.get(error.code, 401), code, str(error), [_CHALLENGE])


def _error_answer(request: Request, error: DataWarehouseError) -> Response:
    if request.service and (found := failure(request, error)):
        return found
    headers = [_CHALLENGE] if isinstance(error, Unauthorized) else []
    if error.retryable:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    return error_response(error.http_status, type(error).__name__, str(error), headers, place_in(str(error)))
