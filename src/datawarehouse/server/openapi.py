"""GET /v1/openapi.json: what the routes below /v1 take and answer (OpenAPI 3.1.1, spec.openapis.org/oas/v3.1.1).

The document is made of `openapi_routes` and `openapi_shapes`, of the Structs that bodies are decoded to, and of the
classes of errors. It is the same for each warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from datawarehouse import __version__
from datawarehouse.server.http import Request, Response, error_response
from datawarehouse.server.openapi_console import CONSOLE_SHAPES
from datawarehouse.server.openapi_model import OF_ALL, WITHOUT_CLASS, Answer, Parameter, Route
from datawarehouse.server.openapi_routes import ROUTES
from datawarehouse.server.openapi_shapes import SHAPES, Shape, ref

_REF = "#/components/schemas/{name}"
_RETRY = {"Retry-After": {"description": "After how many seconds to try again.", "schema": {"type": "string"}}}
SECURITY: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "ID.SECRET of a key, or the token of the lock file."},
    "basic": {"type": "http", "scheme": "basic", "description": "The id of a key as user, its secret as password."},
    "awsSigv4": {
        "type": "apiKey", "in": "header", "name": "Authorization",
        "description": "A signature of AWS (AWS4-HMAC-SHA256) with the id and the secret of a key.",
    },
    "publicToken": {
        "type": "apiKey", "in": "query", "name": "token",
        "description": "A public token, which web pages use to send events.",
    },
}  # fmt: skip
SECURITY["session"] = {
    "type": "apiKey", "in": "cookie", "name": "dw_session",
    "description": "What POST /v1/session gives a browser; `dw_session_PORT` where the Host has a port. A request that "
    "changes something needs the header X-DW-Console too.",
}  # fmt: skip
_OF_KEYS = ("bearer", "basic", "awsSigv4", "session")


@cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The document."""
    structs = {kind for route in ROUTES for kind in route.body.values() if isinstance(kind, type)}
    bodies = msgspec.json.schema_components(sorted(structs, key=lambda kind: kind.__name__), ref_template=_REF)[1]
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "serverless-datawarehouse",
            "version": __version__,
            "description": "The routes of `dw up` below /v1. There are also GET /health, /ready and /metrics, and the "
            "API of Amazon Kinesis Data Streams (POST / with X-Amz-Target).",
        },
        "paths": paths,
        "components": {"schemas": SHAPES | CONSOLE_SHAPES | bodies, "securitySchemes": SECURITY},
    }


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """What the path of a request looks like, by the path of a route."""
    found = {}
    for route in ROUTES:
        shapes = {each.name: each.shape for each in route.parameters if each.place == "path"}
        pieces = re.split(r"{(\w+)}", route.path)
        pieces[::2] = map(re.escape, pieces[::2])
        pieces[1::2] = (shapes[name].get("pattern", "[0-9]{1,9}").strip("^$") for name in pieces[1::2])
        found[route.path] = re.compile("".join(pieces))
    return found


def methods_of(path: str) -> list[str]:
    """The methods that there are for the path of a request; none for one that is no route."""
    return [route.method for route in ROUTES if _patterns()[route.path].fullmatch(path)]


def no_route(request: Request) -> Response:
    """The answer to a request for which there is no route: what there is in its place."""
    if methods := methods_of(request.path):
        valid = ", ".join(methods)
        what = f"There is no {request.method} {request.path}; use {valid}."
        return error_response(405, "MethodNotAllowed", what, [(b"allow", valid.encode())])
    return error_response(
        404,
        "NotFound",
        f"There is no {request.method} {request.path}; there are POST /v1/tables/<table>/events, POST /v1/query, "
        "/v1/queries, GET /v1/openapi.json (all of /v1), /health, /ready and /metrics, and the Kinesis API.",
    )


def statuses_of(method: str, path: str) -> set[int]:
    """The statuses that are described for a request; none for one that is no route."""
    found = [route for route in ROUTES if route.method == method and _patterns()[route.path].fullmatch(path)]
    return {status for route in found for status in (*route.answers, *_errors_of(route))}


def _operation(route: Route) -> dict[str, Any]:
    answers = {str(status): _answer(answer) for status, answer in route.answers.items()}
    errors = {str(status): _error(route, status, codes) for status, codes in sorted(_errors_of(route).items())}
    described: dict[str, Any] = {
        "operationId": route.id,
        "summary": route.summary,
        "description": _need(route),
        "parameters": [_parameter(each) for each in route.parameters],
        "responses": answers | errors,
        "security": list(_security(route)),
    }
    if route.body:
        content = {
            media: {"schema": ref(shape.__name__) if isinstance(shape, type) else shape}
            for media, shape in route.body.items()
        }
        described["requestBody"] = {"required": True, "content": content}
    return described


def _need(route: Route) -> str:
    if route.is_open:
        return "Needs no key."
    return f"With keys, needs the right {route.right}." if route.right else "With keys, needs any of them."


def _security(route: Route) -> Iterator[dict[str, list[str]]]:
    """Any one of these. What is administrated needs one always; else nothing is needed where there are no keys."""
    if not route.path.startswith("/v1/admin/"):
        yield {}
    if route.is_open:
        return
    for name in route.security or _OF_KEYS:
        yield {name: []}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.means,
        "schema": parameter.shape,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "description": answer.means,
        "headers": {name: {"required": True, "schema": shape} for name, shape in answer.headers.items()},
        "content": {media: {"schema": shape} for media, shape in answer.content.items()},
    }


def _errors_of(route: Route) -> dict[int, list[str]]:
    """The codes of the errors of a route, by status."""
    found: dict[int, list[str]] = {}
    for kind in dict.fromkeys((*OF_ALL, *route.errors)):
        found.setdefault(kind.http_status, []).append(kind.__name__)
    for code, status in (WITHOUT_CLASS | ({"NotFound": 404} if route.has_other_404 else {})).items():
        found.setdefault(status, []).append(code)
    return found


def _error(route: Route, status: int, codes: list[str]) -> dict[str, Any]:
    shape: Shape = ref("Error")
    if status < 500:  # what went wrong inside has more names than a route can list
        of_code = {"properties": {"error": {"properties": {"code": {"enum": sorted(codes)}}}}}
        shape = {"allOf": [shape, of_code]}
    if status in route.refused:
        shape = {"anyOf": [shape, ref(route.refused[status])]}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}.",
        "headers": _RETRY if status in (429, 503) else {},
        "content": {"application/json": {"schema": shape}},
    }
