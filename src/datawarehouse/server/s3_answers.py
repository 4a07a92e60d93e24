"""Answers of the S3 protocol: documents of XML, and errors in its form.

Source: Amazon S3 API reference, "Error responses" and "ListObjectsV2".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from urllib.parse import quote
from uuid import uuid4
from xml.sax.saxutils import escape

from datawarehouse.access.sigv4 import SignatureError
from datawarehouse.definition.instants import written
from datawarehouse.errors import (
    AccessDenied,
    BadRequest,
    DataWarehouseError,
    Throttled,
    Unauthorized,
)
from datawarehouse.server.http import Request, Response

XML = "application/xml"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
REGION = "us-east-1"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OF_ERRORS: tuple[tuple[type[DataWarehouseError], str], ...] = (
    (Unauthorized, "AccessDenied"),
    (AccessDenied, "AccessDenied"),
    (BadRequest, "InvalidRequest"),
)
_OF_SIGNATURES = {
    "MissingAuthenticationToken": ("AccessDenied", 403),
    "AccessDenied": ("AccessDenied", 403),
    "UnrecognizedClient": ("InvalidAccessKeyId", 403),
    "IncompleteSignature": ("AuthorizationHeaderMalformed", 400),
    "AuthorizationQueryParametersError": ("AuthorizationQueryParametersError", 400),
    "ExpiredToken": ("ExpiredToken", 400),
}

Element = tuple[str, "str | int | bool | list[Element]"]


class S3Error(Exception):
    """An error in the form in which S3 answers it."""

    def __init__(self, status: int, code: str, message: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, list(headers)


def document(name: str, content: list[Element], namespace: str = NAMESPACE) -> bytes:
    """An XML document. Characters that XML cannot hold become U+FFFD."""
    of = f' xmlns="{namespace}"' if namespace else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}{of}>{_elements(content)}</{name}>'.encode()


def _elements(content: list[Element]) -> str:
    parts = []
    for name, value in content:
        if isinstance(value, list):
            inner = _elements(value)
        elif isinstance(value, bool):
            inner = "true" if value else "false"
        else:
            inner = escape(_NO_XML.sub("\ufffd", str(value)))
        parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def answer(body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> Response:
    return Response(200, body, XML, [*_ids(str(uuid4())), *headers])


def object_headers(size: int | None, etag: str, modified_ms: int) -> list[tuple[bytes, bytes]]:
    """What each answer about an object says of it. size: of what follows; None if that is never anything."""
    return [
        *_ids(str(uuid4())),
        *([] if size is None else [(b"content-length", b"%d" % size)]),
        (b"etag", etag.encode()),
        (b"last-modified", formatdate(modified_ms // 1000, usegmt=True).encode()),
        (b"accept-ranges", b"bytes"),
    ]


def listed_object(key: str, size: int, etag: str, modified_ms: int) -> Element:
    about: list[Element] = [("Key", key), ("LastModified", written(modified_ms)), ("ETag", etag), ("Size", size)]
    return "Contents", [*about, ("StorageClass", "STANDARD")]


def encoded(text: str, is_url: bool) -> str:
    """A key as a list has it (encoding-type)."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="/-_.~*") if is_url else text


def error_answer(request: Request, error: S3Error) -> Response:
    id = str(uuid4())
    about: list[Element] = [("Code", error.code), ("Message", error.message), ("Resource", request.path)]
    body = b"" if request.method == "HEAD" else document("Error", [*about, ("RequestId", id)], "")
    return Response(error.status, body, XML, [*_ids(id), *error.headers], (error.code, error.message))


def failure(request: Request, error: DataWarehouseError) -> Response:
    """The answer to a request that could not be done. SDKs repeat those of 500 and more."""
    status, code = error.http_status, next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), "")
    if isinstance(error, Throttled) or status == 503:
        status, code = 503, "SlowDown"
    elif status >= 500:
        code = "InternalError"
    if isinstance(error, Unauthorized):
        status = 403
    return error_answer(request, S3Error(status, code or "InvalidRequest", str(error)))


def signature_failure(request: Request, error: SignatureError) -> Response:
    """The answer to a request whose signature is not as it must be."""
    code, status = _OF_SIGNATURES.get(error.code, (error.code, 403))
    return error_answer(request, S3Error(status, code, str(error)))


def _ids(id: str) -> Iterable[tuple[bytes, bytes]]:
    return (b"x-amz-request-id", id.encode()), (b"x-amz-id-2", id.encode())


def first(parameters: Mapping[str, list[str]], name: str, default: str = "") -> str:
    """The value of a parameter of a URL."""
    return parameters.get(name, [default])[0]
