"""Answers of the Kinesis protocol, and errors in its form."""

from __future__ import annotations

import base64
import secrets
from uuid import uuid4

from datawarehouse.access.sigv4 import SignatureError
from datawarehouse.errors import AccessDenied, DataWarehouseError, Throttled, Unauthorized
from datawarehouse.server.http import Response
from datawarehouse.server.kinesis_shapes import KinesisError

AMZ_JSON = "application/x-amz-json-1.1"
_OF_ERRORS = {
    Unauthorized: "UnrecognizedClientException",
    AccessDenied: "AccessDeniedException",
    Throttled: "ProvisionedThroughputExceededException",
}
_OF_SIGNATURES = {"SignatureDoesNotMatch": "InvalidSignatureException"}


def answer_of(status: int, body: bytes) -> Response:
    headers = [(b"x-amzn-requestid", str(uuid4()).encode()), (b"x-amz-id-2", base64.b64encode(secrets.token_bytes(72)))]
    return Response(status, body, AMZ_JSON, headers)


def error_answer(error: KinesisError) -> Response:
    response = answer_of(error.status, error.document())
    response.headers.append((b"x-amzn-errortype", error.code.encode()))
    response.error = error.code, error.message
    return response


def failure(error: DataWarehouseError) -> Response | None:
    """The answer to a call that could not be done. SDKs repeat those of 500 and more (Kinesis API reference, "Common
    Errors"). None for an error of which the protocol knows nothing."""
    if error.http_status >= 500:
        code, status = ("ServiceUnavailable", 503) if error.http_status == 503 else ("InternalFailure", 500)
        return error_answer(KinesisError(code, str(error), status))
    code = next((code for kind, code in _OF_ERRORS.items() if isinstance(error, kind)), "")
    return error_answer(KinesisError(code, str(error))) if code else None


def signature_failure(error: SignatureError) -> Response:
    """The answer to a call whose signature is not as it must be."""
    return error_answer(KinesisError(_OF_SIGNATURES.get(error.code, f"{error.code}Exception"), str(error)))
