"""What the identity of a Kinesis call may do; the texts are those of AWS."""

from __future__ import annotations

from collections.abc import Callable

from datawarehouse.access.identity import Identity
from datawarehouse.server.http import Request
from datawarehouse.server.kinesis_shapes import KinesisError
from datawarehouse.server.kinesis_streams import ACCOUNT, REGION


def check_signed(request: Request, parse: Callable[[], object]) -> None:
    """Raises KinesisError for a call that says nothing of a signature, or says it twice. Where there are no keys, that
    is all; else it was checked before."""
    in_query = "X-Amz-Algorithm" in request.query_string
    authorization = request.header(b"authorization")
    if authorization and in_query:
        raise KinesisError(
            "InvalidSignatureException",
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
        )
    if not authorization and not in_query:
        parse()  # AWS looks at the form of the body first
        raise KinesisError("MissingAuthenticationTokenException", "Missing Authentication Token")


def may(identity: Identity, operation: str, stream: str) -> bool:
    """Whether an identity may call an operation for a stream: whoever puts or queries may also see what it is."""
    if identity.rights.may_put(stream):
        return True
    queryable = identity.rights.queryable
    return not operation.startswith("Put") and (queryable is None or stream in queryable)


def check_right(identity: Identity, operation: str, stream: str) -> None:
    """Raises KinesisError (AccessDeniedException), also for a stream that there is not."""
    if not may(identity, operation, stream):
        action = f"kinesis:{operation}"
        raise KinesisError(
            "AccessDeniedException",
            f"User: {identity.name} is not authorized to perform: {action} on resource: "
            f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream} because no identity-based policy allows the {action} "
            "action",
        )


def admit(identity: Identity, size: int) -> None:
    """Raises Throttled while a rate of the identity is used up; else counts the bytes."""
    identity.admit("events_per_s", "bytes_per_s")
    identity.take(bytes_per_s=size)
