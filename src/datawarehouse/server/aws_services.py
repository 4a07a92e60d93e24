"""Which service of AWS a request is for: all of them are on one port, as their clients send them to one endpoint URL.

1. A header X-Amz-Target names a service that speaks JSON, and its operation.
2. Other requests are told by the service that their signature is for: in the header Authorization, or in the URL.
3. Everything else is for no service of AWS, but for a route of ours.

Errors become answers in the form of the service.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from datawarehouse.access.sigv4 import ALGORITHM, SignatureError
from datawarehouse.errors import DataWarehouseError
from datawarehouse.server import aws_json, kinesis_answers
from datawarehouse.server.athena import Athena
from datawarehouse.server.http import Request, Response
from datawarehouse.server.kinesis import Kinesis

KINESIS, ATHENA = "kinesis", "athena"
_OF_TARGETS = {"AmazonAthena": ATHENA}  # everything else is Kinesis's, which says what it does not know
_OF_SCOPES: tuple[str, ...] = ()
"""The services that are told by their signatures, by their names in the scope of a credential."""
_SCOPE = re.compile(r"Credential=[^,/\s]+/[^,/\s]+/[^,/\s]+/([a-z0-9-]+)/aws4_request")


def service_of(request: Request) -> str:
    """The service of AWS, by its name in signatures; "" for a route of ours."""
    target = request.headers.get(b"x-amz-target")
    if target is not None:
        return _OF_TARGETS.get(target.partition(b".")[0].decode("latin-1"), KINESIS)
    authorization = request.header(b"authorization")
    if authorization.startswith(ALGORITHM):
        found = _SCOPE.search(authorization)
    elif "X-Amz-Credential" in request.query_string:
        found = _SCOPE.search(unquote(request.query_string))
    else:
        return ""
    return found[1] if found and found[1] in _OF_SCOPES else ""


@dataclass(slots=True)
class AwsServices:
    kinesis: Kinesis
    athena: Athena

    async def handle(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        """Answer a request of a service, whose identity is known. Raises DataWarehouseError for one that could not be
        done; see `failure`."""
        match request.service:
            case "athena":
                return await self.athena.handle(request, await body())
            case _:
                return await self.kinesis.handle(request, await body())


def failure(request: Request, error: DataWarehouseError) -> Response | None:
    """The answer of a service to a request that could not be done; None if the service has no word for the error."""
    match request.service:
        case "kinesis":
            return kinesis_answers.failure(error)
        case _:
            return aws_json.failure(error)


def signature_failure(request: Request, error: SignatureError) -> Response:
    """The answer of a service to a request whose signature is not as it must be."""
    match request.service:
        case "kinesis":
            return kinesis_answers.signature_failure(error)
        case _:
            return aws_json.signature_failure(error)
