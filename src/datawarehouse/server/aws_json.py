"""Calls and answers of AWS's services that speak JSON 1.1, but for Kinesis, which has stricter texts of its own.

Source: the protocol "AWS JSON 1.1" of Smithy. An error names its code in the body and in a header, and its message in
both spellings, since clients differ in where they look.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from datawarehouse.access.sigv4 import SignatureError
from datawarehouse.errors import AccessDenied, BadRequest, DataWarehouseError, QueryError, Throttled, Unauthorized
from datawarehouse.server.http import Request, Response

CONTENT_TYPE = "application/x-amz-json-1.1"
INVALID = "InvalidRequestException"
_OF_ERRORS: tuple[tuple[type[DataWarehouseError], str], ...] = (
    (Unauthorized, "UnrecognizedClientException"),
    (AccessDenied, "AccessDeniedException"),
    (Throttled, "TooManyRequestsException"),
    (BadRequest, INVALID),
    (QueryError, INVALID),
)
_OF_SIGNATURES = {"SignatureDoesNotMatch": "InvalidSignatureException"}

Item = TypeVar("Item")
Arguments = dict[str, Any]
Operation = Callable[[Request, Arguments], Awaitable[Mapping[str, Any]]]


class ServiceError(Exception):
    """An error in the form in which AWS answers it. more: other members of the document."""

    def __init__(self, code: str, message: str, status: int = 400, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.more = code, message, status, more or {}


async def answered(
    request: Request, body: bytes, operations: Mapping[str, Operation], not_served: str = ""
) -> Response:
    """The answer of a service to one call. operations: by their names. not_served: what is said of every other one.

    Raises DataWarehouseError for a call that could not be done; see `failure`.
    """
    _, _, name = request.header(b"x-amz-target").partition(".")
    try:
        _check_signed(request)
        operation = operations.get(name)
        if operation is None:
            message = f"The operation {name!r} is not served; there are {', '.join(sorted(operations))}."
            raise ServiceError("UnknownOperationException", f"{message} {not_served}".rstrip())
        return answer(await operation(request, _arguments(body)))
    except ServiceError as error:
        return error_answer(error)


def page(items: Sequence[Item], given: Arguments, most: int) -> tuple[list[Item], dict[str, str]]:
    """A page of a list, of MaxResults or of `most`, and what the answer says of the next one. Raises ServiceError."""
    token, size = given.get("NextToken"), given.get("MaxResults")
    begin = 0
    if token is not None:
        if not isinstance(token, str) or not re.fullmatch(r"[0-9]{1,9}", token):
            raise ServiceError(INVALID, f"Invalid NextToken {token!r}")
        begin = int(token)
    if size is not None and (type(size) is not int or size < 1):
        raise ServiceError(INVALID, f"MaxResults is {size!r}; valid is a whole number from 1 to {most}.")
    end = begin + min(size or most, most)
    return list(items[begin:end]), {"NextToken": str(end)} if end < len(items) else {}


def text_of(given: Arguments, name: str) -> str:
    """A text that a call has to have. Raises ServiceError."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise ServiceError(INVALID, f"{name} is missing, or is no text.")
    return value


def answer(document: Mapping[str, Any] | msgspec.Raw) -> Response:
    return _response(200, msgspec.json.encode(document))


def error_answer(error: ServiceError) -> Response:
    document = {"__type": error.code, "message": error.message, "Message": error.message, **error.more}
    response = _response(error.status, msgspec.json.encode(document))
    response.headers.append((b"x-amzn-errortype", error.code.encode()))
    response.error = error.code, error.message
    return response


def failure(error: DataWarehouseError) -> Response:
    """The answer to a call that could not be done. SDKs repeat those of 500 and more."""
    if error.http_status >= 500:
        code, status = ("ServiceUnavailable", 503) if error.http_status == 503 else ("InternalServerException", 500)
        return error_answer(ServiceError(code, str(error), status))
    code = next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), INVALID)
    return error_answer(ServiceError(code, str(error)))


def signature_failure(error: SignatureError) -> Response:
    """The answer to a call whose signature is not as it must be."""
    return error_answer(ServiceError(_OF_SIGNATURES.get(error.code, f"{error.code}Exception"), str(error)))


def _check_signed(request: Request) -> None:
    """Raises ServiceError for a call that says nothing of a signature. Where there are no keys, that is all; else it
    was checked before."""
    if not request.header(b"authorization") and "X-Amz-Algorithm" not in request.query_string:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")


def _arguments(body: bytes) -> Arguments:
    try:
        found = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ServiceError("SerializationException", "The body is not a JSON object.")
    return found


def _response(status: int, body: bytes) -> Response:
    return Response(status, body, CONTENT_TYPE, [(b"x-amzn-requestid", str(uuid4()).encode())])
