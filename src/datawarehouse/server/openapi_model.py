"""How a route below /v1 is described: what it takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datawarehouse.errors import (
    AccessDenied,
    BadLine,
    BadRequest,
    BodyTooLarge,
    Closed,
    DataWarehouseError,
    FileDamaged,
    InternalFailure,
    QueryEnded,
    QueryFailed,
    QueryLimitExceeded,
    QueryRefused,
    ScanRefused,
    SqlSyntaxError,
    Throttled,
    Unauthorized,
    Unreachable,
    WorkerDied,
)
from datawarehouse.server.openapi_shapes import Shape, ref

Errors = tuple[type[DataWarehouseError], ...]

OF_ALL: Errors = (BadRequest, Unauthorized, AccessDenied, BodyTooLarge, InternalFailure, Closed, Unreachable)
"""What any route may answer; `BodyTooLarge` because a signature covers the body."""
WITHOUT_CLASS = {
    "InvalidHttp": 400,
    "IncompleteSignature": 400,
    "UnrecognizedClient": 401,
    "ExpiredToken": 401,
    "SignatureDoesNotMatch": 403,
    "NotTheProxy": 403,
    "ForeignOrigin": 403,
    "RequestTimeout": 408,
    "MisdirectedRequest": 421,
    "HeadersTooLarge": 431,
}
"""Codes of errors that are found before a route is, with their statuses."""


OF_QUERIES: Errors = (
    SqlSyntaxError, QueryRefused, ScanRefused, QueryFailed, QueryLimitExceeded, QueryEnded, BadLine, Throttled,
    FileDamaged, WorkerDied,
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """An answer that is no error. content: media type -> shape."""

    means: str
    content: Mapping[str, Shape]
    headers: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str
    means: str
    shape: Shape


@dataclass(frozen=True)
class Route:
    """body: media type -> a shape, or the Struct that it is decoded to. refused: the shape of answers that have the
    status of an error and another form, by status. security: names of `openapi.SECURITY`; none: any of those of a
    request, or nothing where there are no keys."""

    method: str
    path: str
    id: str
    summary: str
    answers: Mapping[int, Answer]
    errors: Errors = ()
    right: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    security: tuple[str, ...] = ()
    has_other_404: bool = False
    """Whether a path of this form may be no route at all."""
    is_open: bool = False
    """Whether it needs no key."""


def json_answer(means: str, name: str) -> Answer:
    return Answer(means, {"application/json": ref(name)})


def body_of(kind: type) -> dict[str, Any]:
    return {"application/json": kind}


TABLE = Parameter("table", "path", "A streaming input table.", {"type": "string", "pattern": "^[^/]+$"})
ID = Parameter("id", "path", "The id of a query.", {"type": "string", "pattern": "^[0-9a-f-]+$"})
WAIT = Parameter(
    "wait_s",
    "query",
    "For how many seconds to wait at most.",
    {"type": "integer", "minimum": 0, "maximum": 60, "default": 0},
)
