"""What a browser asks before a page of another site may send events (fetch.spec.whatwg.org, "HTTP-CORS protocol")."""

from __future__ import annotations

from datawarehouse.access.keys import Keys
from datawarehouse.server.http import Request, Response, error_response

_MAX_AGE_S = 600
_ALLOWED = b"content-type, idempotency-key"


def is_asking(request: Request, keys: Keys) -> bool:
    """Whether a browser asks what a page may send, which needs no key."""
    return keys.are_needed and {b"origin", b"access-control-request-method"} <= request.headers.keys()


def permission(keys: Keys, request: Request, now_ms: int) -> Response:
    """What a page may send, by the public token in the URL that it asks for."""
    origin = request.header(b"origin")
    key = keys.of_token(request.option("token"))
    if key is None or key.state(now_ms) != "valid" or origin not in key.origins:
        return error_response(403, "ForeignOrigin", f"Requests of web pages from {origin} are refused.")
    allowed = [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", _ALLOWED),
        (b"access-control-max-age", b"%d" % _MAX_AGE_S),
    ]
    return Response(200, b"", headers=headers(origin) + allowed)


def headers(origin: str) -> list[tuple[bytes, bytes]]:
    """Let pages of an origin read an answer. Credentials are allowed because sendBeacon always sends with them (W3C
    Beacon, 3.2); there are none that this server would set."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"origin"),
    ]
