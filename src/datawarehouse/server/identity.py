"""Who sends a request: a step of its own, before any route.

1. Plain HTTP from beyond this machine is for the proxy alone that `behind_proxy` names.
2. Without keys everybody on this machine may put and query, as far as the Host and the Origin name it; with keys each
   request needs one, whatever its Host.
3. A key comes as `Authorization: Bearer ID.SECRET`, as Basic user ID and password SECRET, or as a signature of AWS
   (`access.sigv4`); a public token in the parameter `token` of the URL. The owner's token, in the lock file, is a
   Bearer token too.
4. A signature covers the body, which is therefore read here; whatever can be refused without it is refused before.
5. A browser that has signed in (`sign_in`) sends a cookie instead, below /v1 alone.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address

from datawarehouse.access import sigv4_s3
from datawarehouse.access.identity import EVERYBODY, OWNER, PUBLIC_BYTES_MAX, Identity
from datawarehouse.access.keys import Key, Keys, is_secret_of
from datawarehouse.access.sessions import Sessions
from datawarehouse.access.sigv4 import ALGORITHM, Claim, SignatureError, read_claim
from datawarehouse.clock import Clock
from datawarehouse.errors import AccessDenied, BadRequest, Unauthorized
from datawarehouse.server.http import Request

EVENTS_PATH = re.compile(r"/v1/tables/([^/]+)/events")
_LOCAL_HOST = re.compile(
    r"(?:(?:[a-z0-9-]+\.)*localhost\.?|127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}|\[::1\])(?::\d+)?", re.IGNORECASE
)
_INLINE_BYTES = 512 * 1024  # a larger body is digested in a thread, so that others need not wait
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_PORT = re.compile(r":(\d{1,5})$")
_HOW = (
    "Send a key as `Authorization: Bearer ID.SECRET`, as user and password, or as AWS credentials; `dw keys create` "
    "makes one."
)

S3 = "s3"

Network = IPv4Network | IPv6Network
ReadBody = Callable[[Request], Awaitable[bytes]]


class Foreign(Exception):
    """A request that is not for this server: a status, a code and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Gate:
    """owner_token: of the lock file. clock: that of the machine, whatever the time of the warehouse is: clients set
    theirs by the Date of answers. proxy: where plain HTTP may come from, if not from this machine."""

    keys: Keys
    owner_token: str
    clock: Clock
    proxy: Network | None = None
    sessions: Sessions = field(default_factory=Sessions)

    def check_network(self, request: Request) -> None:
        """Raises Foreign for a request that may not come from there, or names another host."""
        if self.proxy is not None and not self._is_near(request.peer):
            raise Foreign(403, "NotTheProxy", "Plain HTTP is taken from the proxy alone (behind_proxy). Ask there.")
        host = request.header(b"host")
        if not self.keys.are_needed and not _LOCAL_HOST.fullmatch(host):
            message = f"The Host header is {host!r}; this server answers to localhost and 127.0.0.1."
            raise Foreign(421, "MisdirectedRequest", message)

    def check_origin(self, request: Request, allowed: str = "") -> None:
        """Raises Foreign for a request of a web page from elsewhere. allowed: an origin that may."""
        origin = request.header(b"origin")
        scheme, _, host = origin.partition("://")
        is_here = scheme in ("http", "https") and _LOCAL_HOST.fullmatch(host)
        # An image or a link of a page elsewhere has no Origin, and would make this server work for it.
        is_from_elsewhere = not origin and request.header(b"sec-fetch-site") == "cross-site"
        if is_from_elsewhere or (origin and origin != allowed and not is_here):
            raise Foreign(403, "ForeignOrigin", f"Requests of web pages from {origin or 'elsewhere'} are refused.")

    async def identify(self, request: Request, read_body: ReadBody) -> Identity:
        """Who sends it. Raises Foreign, Unauthorized, AccessDenied, Throttled, or SignatureError."""
        authorization = request.header(b"authorization")
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self.owner_token):
            self.check_origin(request)
            return OWNER
        if not authorization and (found := self.of_session(request)):
            return found
        if not self.keys.are_needed:
            self.check_origin(request)
            return EVERYBODY
        if not authorization and request.option("token"):
            return self._of_public_token(request)
        self.check_origin(request)
        if not authorization:
            if request.service == S3:
                return self.keys.identity(self._of_url(request))
            if "X-Amz-Algorithm" in request.query_string:
                raise SignatureError("IncompleteSignature", "A signature in the URL is not taken; sign the headers.")
            raise SignatureError("MissingAuthenticationToken", "Missing Authentication Token")
        match scheme.lower():
            case "bearer":
                key = self._of_secret(request, *_cut(given.strip(), "."))
            case "basic":
                key = self._of_secret(request, *_cut(_decoded(given.strip()), ":"))
            case _:
                key = await self._of_signature(request, authorization, read_body)
        return self.keys.identity(key)

    # -- browsers that have signed in

    owner = OWNER

    def is_owner(self, name: str, token: str) -> bool:
        """Whether somebody has the token of the lock file."""
        return name == OWNER.name and _same(token, self.owner_token)

    def session_token(self, request: Request) -> str:
        """What the cookie of this server has; empty without one."""
        wanted = cookie_name(request)
        for each in request.header(b"cookie").split(";"):
            name, _, value = each.strip().partition("=")
            if name == wanted:
                return value
        return ""

    def of_session(self, request: Request) -> Identity | None:
        """Who has signed in, if a session is still valid. Raises Foreign for a request that changes something and may
        come from a page of another site."""
        token = self.session_token(request)
        if not token or not request.path.startswith("/v1/") or request.service:
            return None
        now_ms = self.clock.now_ms()
        session = self.sessions.get(token, now_ms)
        if session is None:
            return None
        key = self.keys.of_id(session.key_id) if session.key_id else None
        if session.key_id and (key is None or key.state(now_ms) != "valid"):
            self.sessions.end(token)
            return None
        self.check_own_origin(request)
        if request.method not in _SAFE_METHODS and b"x-dw-console" not in request.headers:
            message = "A request with a cookie that changes something needs the header X-DW-Console."
            raise Foreign(403, "ForeignOrigin", message)
        if key is None:
            return OWNER
        request.key_name = key.name
        return self.keys.identity(key)

    def check_own_origin(self, request: Request) -> None:
        """Raises Foreign for a request of a page that is not of this server."""
        origin = request.header(b"origin")
        site = request.header(b"sec-fetch-site")
        is_own = not origin or origin.partition("://")[2].lower() == request.header(b"host").lower()
        if not is_own or site in ("cross-site", "same-site"):
            raise Foreign(403, "ForeignOrigin", f"Requests of web pages from {origin or 'elsewhere'} are refused.")

    def client_address(self, request: Request) -> str:
        """The address of the client; behind the proxy, the one that the proxy names."""
        if self.proxy is not None and self._is_near(request.peer):
            forwarded = request.header(b"x-forwarded-for").rpartition(",")[2].strip()
            return forwarded or request.peer
        return request.peer

    def _is_near(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return address.is_loopback or (self.proxy is not None and address in self.proxy)

    def _of_public_token(self, request: Request) -> Identity:
        key = self.keys.of_token(request.option("token"))
        if key is None:
            raise Unauthorized("There is no such public token.")
        request.key_name = key.name
        self._check_state(key)
        origin = request.header(b"origin")
        if origin not in key.origins:
            raise AccessDenied(f"Pages from {origin or 'nowhere'} may not send with this token.")
        request.cors_origin = origin
        table = EVENTS_PATH.fullmatch(request.path)
        if not table or request.method != "POST" or request.service:
            raise AccessDenied("A public token is for POST /v1/tables/<table>/events alone.")
        if request.header(b"content-encoding").strip().lower() not in ("", "identity"):
            raise BadRequest("Events with a public token are sent without a Content-Encoding.")
        request.body_bytes_max = PUBLIC_BYTES_MAX
        return replace(self.keys.identity(key), address=self.client_address(request))

    def _of_secret(self, request: Request, key_id: str, secret: str) -> Key:
        key = self.keys.of_id(key_id)
        if key is None or key.origins:
            raise Unauthorized(f"There is no key of this id and secret. {_HOW}")
        request.key_name = key.name
        if key.revoked_ms is None and not is_secret_of(key, secret):
            raise Unauthorized(f"There is no key of this id and secret. {_HOW}")
        self._check_state(key)
        return key

    async def _of_signature(self, request: Request, authorization: str, read_body: ReadBody) -> Key:
        if not request.service and not authorization.startswith(ALGORITHM):
            raise Unauthorized(f"The Authorization header is of another kind. {_HOW}")
        if "X-Amz-Algorithm" in request.query_string:
            message = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
            raise SignatureError("SignatureDoesNotMatch", message)
        claim = read_claim(authorization, request.headers)
        key = self._of_claim(request, claim)
        if request.service and claim.service != request.service:
            message = f"Credential should be scoped to correct service: '{request.service}'."
            raise SignatureError("SignatureDoesNotMatch", message)
        if request.service == S3:
            self._check_for_s3(request, claim, key, request.query_string.encode("latin-1"))
            return key
        now_ms = self.clock.now_ms()
        claim.check_time(now_ms / 1000)
        body = await read_body(request)
        request.arrived = body
        digest = await asyncio.to_thread(_sha256, body) if len(body) > _INLINE_BYTES else _sha256(body)
        claim.check(
            key.secret,
            request.method,
            request.raw_path,
            request.query_string.encode("latin-1"),
            request.headers,
            digest,
        )
        self._check_unexpired(key)
        return key

    def _of_url(self, request: Request) -> Key:
        """The key of a URL that is signed, for S3."""
        if "AWSAccessKeyId=" in request.query_string:
            raise SignatureError(
                "SignatureDoesNotMatch",
                "The URL has a signature of version 2, which is not taken. Sign it with version 4: with boto3, "
                "Config(signature_version='s3v4').",
            )
        if "X-Amz-" not in request.query_string:
            raise SignatureError("MissingAuthenticationToken", f"The request has no signature. {_HOW}")
        claim, covered = sigv4_s3.read_presigned(request.query_string)
        key = self._of_claim(request, claim)
        self._check_for_s3(request, claim, key, covered)
        return key

    def _check_for_s3(self, request: Request, claim: Claim, key: Key, query: bytes) -> None:
        try:
            claim.check_time(self.clock.now_ms() / 1000)
        except SignatureError as error:
            code = "RequestTimeTooSkewed" if error.code == "SignatureDoesNotMatch" else error.code
            raise SignatureError(code, str(error)) from None
        claim.check(
            key.secret,
            request.method,
            request.raw_path,
            query,
            request.headers,
            sigv4_s3.body_of(request.headers),
            sigv4_s3.canonical_path,
        )
        self._check_unexpired(key)

    def _of_claim(self, request: Request, claim: Claim) -> Key:
        """The key that a signature names, with a secret."""
        key = self.keys.of_id(claim.key_id)
        if key is not None:
            request.key_name = key.name
        if key is None or not key.secret or b"x-amz-security-token" in request.headers:
            raise SignatureError("UnrecognizedClient", "The security token included in the request is invalid.")
        return key

    def _check_unexpired(self, key: Key) -> None:
        if key.state(self.clock.now_ms()) != "valid":
            raise SignatureError("ExpiredToken", "The security token included in the request is expired")

    def _check_state(self, key: Key) -> None:
        """Raises Unauthorized if a key has ended."""
        state = key.state(self.clock.now_ms())
        if state != "valid":
            raise Unauthorized(f"The key is {state}. {_HOW}")


def cookie_name(request: Request) -> str:
    """Of this server: cookies do not tell ports apart (RFC 6265, 8.5), and a machine may have several warehouses."""
    port = _PORT.search(request.header(b"host"))
    return f"dw_session_{port[1]}" if port else "dw_session"


def is_secure(request: Request) -> bool:
    """Whether the client came by TLS; a proxy that ends it says so."""
    return request.scheme == "https" or request.header(b"x-forwarded-proto") == "https"


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _cut(text: str, at: str) -> tuple[str, str]:
    key_id, _, secret = text.partition(at)
    return key_id, secret


def _decoded(text: str) -> str:
    """The text of a Basic header; empty if it is none (RFC 7617)."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
