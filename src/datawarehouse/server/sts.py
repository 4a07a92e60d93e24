"""GetCallerIdentity of AWS STS: some clients ask who they are before anything else.

Source: AWS STS API reference, 2011-06-15. The account is made up, the same for each warehouse.
"""

from __future__ import annotations

from urllib.parse import parse_qs
from uuid import uuid4

from datawarehouse.access.sigv4 import SignatureError
from datawarehouse.errors import DataWarehouseError
from datawarehouse.server.http import Request, Response
from datawarehouse.server.kinesis_streams import ACCOUNT
from datawarehouse.server.query import who_asks
from datawarehouse.server.s3_answers import Element, document

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_XML = "text/xml"
_OF_SIGNATURES = {
    "UnrecognizedClient": "InvalidClientTokenId",
    "MissingAuthenticationToken": "MissingAuthenticationToken",
}


def handle(request: Request, body: bytes) -> Response:
    """Answer a call, in the body of a form or in the URL."""
    sent = parse_qs(body[:10_000].decode("latin-1")) | parse_qs(request.query_string)
    action = sent.get("Action", [""])[0]
    if action != "GetCallerIdentity":
        return _error(400, "InvalidAction", f"The action {action[:100]!r} is not served; there is GetCallerIdentity.")
    name = who_asks(request.identity)
    found: Element = (
        "GetCallerIdentityResult",
        [("Arn", f"arn:aws:iam::{ACCOUNT}:user/{name}"), ("UserId", name), ("Account", ACCOUNT)],
    )
    return Response(200, document("GetCallerIdentityResponse", [found, _about(str(uuid4()))], _NAMESPACE), _XML)


def failure(error: DataWarehouseError) -> Response:
    if error.http_status >= 500:
        return _error(error.http_status, "ServiceUnavailable", str(error))
    return _error(403 if error.http_status == 401 else error.http_status, type(error).__name__, str(error))


def signature_failure(error: SignatureError) -> Response:
    status = 400 if error.code == "IncompleteSignature" else 403
    return _error(status, _OF_SIGNATURES.get(error.code, error.code), str(error))


def _error(status: int, code: str, message: str) -> Response:
    error: Element = ("Error", [("Type", "Sender"), ("Code", code), ("Message", message)])
    body = document("ErrorResponse", [error, ("RequestId", str(uuid4()))], _NAMESPACE)
    return Response(status, body, _XML, error=(code, message))


def _about(id: str) -> Element:
    return "ResponseMetadata", [("RequestId", id)]
