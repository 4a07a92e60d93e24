"""What Amazon S3 does otherwise with Signature Version 4: the form of the path, a body that need not be signed, and
URLs that are signed beforehand.

Source: Amazon S3 API reference, "Authenticating Requests (AWS Signature Version 4)": "Signature Calculations for the
Authorization Header" and "Authenticating Requests: Using Query Parameters".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from datawarehouse.access.sigv4 import ALGORITHM, Claim, SignatureError, scope_of

EXPIRES_MAX_S = 7 * 86_400
UNSIGNED = "UNSIGNED-PAYLOAD"
_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
_SIGNATURE = "X-Amz-Signature"


def canonical_path(path: bytes) -> bytes:
    """The path as it is, each byte that is not unreserved encoded once."""
    return quote(unquote_to_bytes(path), safe="/-_.~").encode()


def body_of(headers: Mapping[bytes, bytes]) -> str:
    """What a request says of its body, in the place of the digest: nothing here reads one."""
    return headers.get(b"x-amz-content-sha256", UNSIGNED.encode()).decode("latin-1")


def read_presigned(query: str) -> tuple[Claim, bytes]:
    """The claim of a URL, and the parameters that it covers.

    Raises SignatureError: AuthorizationQueryParametersError for what lacks something. No message repeats what came.
    """
    given = parse_qsl(query, keep_blank_values=True)
    found = {name: value for name, value in given if name in _PARAMETERS}
    if len(found) < len(_PARAMETERS) or sum(name in _PARAMETERS for name, _ in given) > len(_PARAMETERS):
        raise _wrong(f"A signed URL has each of these parameters once: {', '.join(_PARAMETERS)}.")
    algorithm, credential, time, expires, signed, signature = map(found.__getitem__, _PARAMETERS)
    if algorithm != ALGORITHM:
        raise _wrong(f"X-Amz-Algorithm is not {ALGORITHM}.")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 9 and 1 <= int(expires) <= EXPIRES_MAX_S):
        raise _wrong(f"X-Amz-Expires is not a whole number of seconds from 1 to {EXPIRES_MAX_S}.")
    key_id, date, region, service = scope_of(credential)
    if date != time[:8]:
        raise _wrong("X-Amz-Credential and X-Amz-Date have different days.")
    covered = "&".join(part for part in query.split("&") if part.partition("=")[0] != _SIGNATURE)
    names = tuple(signed.split(";"))
    return Claim(key_id, date, region, service, time, names, signature, int(expires)), covered.encode("latin-1")


def _wrong(message: str) -> SignatureError:
    return SignatureError("AuthorizationQueryParametersError", message)
