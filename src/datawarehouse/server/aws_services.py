"""Which service of AWS a request is for: all of them are on one port, as their clients send them to one endpoint URL.

1. A header X-Amz-Target names a service that speaks JSON, and its operation.
2. Other requests are told by the service that their signature is for: in the header Authorization, or in the URL.
3. One without a signature is for S3 if its path names a bucket, or if it has a header of AWS's SDKs and its path is
   none of ours.
4. Everything else is for no service of AWS, but for a route of ours.

Errors become answers in the form of the service.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from datawarehouse.access.sigv4 import ALGORITHM, SignatureError
from datawarehouse.errors import DataWarehouseError
from datawarehouse.server import aws_json, glue, kinesis_answers, s3_answers, sts
from datawarehouse.server.athena import Athena
from datawarehouse.server.glue import Glue
from datawarehouse.server.http import Request, Response
from datawarehouse.server.identity import S3 as S3_NAME
from datawarehouse.server.kinesis import Kinesis
from datawarehouse.server.live_files import BUCKET
from datawarehouse.server.s3 import S3

KINESIS, ATHENA, GLUE, STS = "kinesis", "athena", "glue", "sts"
_OF_TARGETS = {
    "AmazonAthena": ATHENA,
    "AWSGlue": GLUE,
}  # everything else is Kinesis's, which says what it does not know
_OF_SCOPES = (S3_NAME, STS)
"""The services that are told by their signatures, by their names in the scope of a credential."""
_BUCKETS = (f"/{BUCKET}/", f"/{BUCKET}")
_OURS = ("/v1/", "/metrics", "/health", "/ready")
_SCOPE = re.compile(r"Credential=[^,/\s]{1,200}/[^,/\s]{1,60}/[^,/\s]{1,60}/([a-z0-9-]{1,60})/aws4_request")


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
    elif _is_unsigned_s3(request):
        return S3_NAME
    else:
        return ""
    return found[1] if found and found[1] in _OF_SCOPES else ""


def _is_unsigned_s3(request: Request) -> bool:
    if request.path.startswith(_BUCKETS):
        return True
    if request.path.startswith(_OURS) or request.headers.get(b"authorization"):
        return False
    if "AWSAccessKeyId=" in request.query_string:
        return True
    return any(name.startswith((b"x-amz-", b"amz-sdk-")) for name in request.headers)


@dataclass(slots=True)
class AwsServices:
    kinesis: Kinesis
    athena: Athena
    glue: Glue
    s3: S3

    async def handle(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        """Answer a request of a service, whose identity is known. Raises DataWarehouseError for one that could not be
        done; see `failure`."""
        match request.service:
            case "athena":
                return await self.athena.handle(request, await body())
            case "glue":
                return await self.glue.handle(request, await body())
            case "sts":
                return sts.handle(request, await body())
            case "s3":
                return await self.s3.handle(request)
            case _:
                return await self.kinesis.handle(request, await body())


def failure(request: Request, error: DataWarehouseError) -> Response | None:
    """The answer of a service to a request that could not be done; None if the service has no word for the error."""
    match request.service:
        case "kinesis":
            return kinesis_answers.failure(error)
        case "s3":
            return s3_answers.failure(request, error)
        case "sts":
            return sts.failure(error)
        case "glue":
            return glue.failure(error)
        case _:
            return aws_json.failure(error)


def signature_failure(request: Request, error: SignatureError) -> Response:
    """The answer of a service to a request whose signature is not as it must be."""
    match request.service:
        case "kinesis":
            return kinesis_answers.signature_failure(error)
        case "s3":
            return s3_answers.signature_failure(request, error)
        case "sts":
            return sts.signature_failure(error)
        case _:
            return aws_json.signature_failure(error)
