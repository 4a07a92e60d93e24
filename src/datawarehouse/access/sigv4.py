"""AWS Signature Version 4: whether a request was signed with a secret, and says when and by whom.

Source: AWS IAM user guide, "Create a signed AWS API request" (the form of services other than Amazon S3: the path is
normalized, and encoded once more than it came).

1. `read_claim` takes the Authorization header apart: whose key, which day, Region and service, which headers.
2. `Claim.check_time` compares its time with now: 15 minutes, as on AWS.
3. `Claim.check` makes the canonical request of what came, signs it with the secret, and compares in constant time. The
   header `host` (with HTTP/2 also as `:authority`) and each `x-amz-` header that came must be among those that are
   signed, and the body is signed by its SHA-256.

Pure, and of the standard library alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_S = 15 * 60
_TERMINATOR = "aws4_request"
_BLOCK_BYTES = 64  # of SHA-256
_HEAD_CHARACTERS_MAX = 512
_PARTS = ("Credential", "Signature", "SignedHeaders")
_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SAFE_IN_PATH, _SAFE = "/-_.~", "-_.~"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


Scope = tuple[str, str, str, str]
"""The key's id, the day, the Region and the service."""


class SignatureError(Exception):
    """A request is not signed as it must be. code: AWS's name of the error, without "Exception"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Claim(NamedTuple):
    """What a request says of its signature; nothing of it is checked yet.

    time: in the form 20150830T123600Z. headers: the names of those that are signed. expires_s: how long after that time
    it may be used, if it says so.
    """

    key_id: str
    date: str
    region: str
    service: str
    time: str
    headers: tuple[str, ...]
    signature: str
    expires_s: int | None = None

    def check_time(self, now_s: float) -> None:
        """Raises SignatureError (SignatureDoesNotMatch) if it was signed more than 15 minutes before or after now."""
        signed = _instant(self.time)
        if -SKEW_S <= now_s - signed <= (SKEW_S if self.expires_s is None else self.expires_s):
            return
        if self.expires_s is not None and signed < now_s:
            raise SignatureError(
                "AccessDenied", f"Request has expired: it was for {self.expires_s} s from {self.time}."
            )
        now, limit = _written(now_s), SKEW_S // 60
        if signed < now_s:
            edge = _written(now_s - SKEW_S)
            message = f"Signature expired: {self.time} is now earlier than {edge} ({now} - {limit} min.)"
            raise SignatureError("SignatureDoesNotMatch", message)
        edge = _written(now_s + SKEW_S)
        message = f"Signature not yet current: {self.time} is still later than {edge} ({now} + {limit} min.)"
        raise SignatureError("SignatureDoesNotMatch", message)

    def check(
        self,
        secret: str,
        method: str,
        path: bytes,
        query: bytes,
        headers: Mapping[bytes, bytes],
        body_sha256: str,
        path_form: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Raises SignatureError (SignatureDoesNotMatch) unless it was made with this secret for this request.

        path, query: as they came. headers: by names in lower case. body_sha256: in hexadecimal digits. path_form: of
        the service, if it is not `canonical_path`.
        """
        names = _encoded(self.headers)
        if b":authority" in names and b"host" in headers:
            headers = {**headers, b":authority": headers[b"host"]}
        unsigned = [name for name in headers if name[:6] == b"x-amz-" and name not in names]
        if b"host" not in names and b":authority" not in names:
            unsigned.append(b"host")
        if unsigned:
            shown = ", ".join(sorted(name.decode("latin-1") for name in unsigned))
            raise SignatureError("SignatureDoesNotMatch", f"These headers must be signed, and are not: {shown}.")
        said = headers.get(b"x-amz-content-sha256")
        try:
            lines = [b"%b:%b\n" % (name, b" ".join(headers[name].split())) for name in names]
        except KeyError:
            raise SignatureError("SignatureDoesNotMatch", _MISMATCH) from None
        if said is not None and not hmac.compare_digest(said, body_sha256.encode()):
            message = "The header x-amz-content-sha256 is not the SHA-256 of the body that came."
            raise SignatureError("SignatureDoesNotMatch", message)
        form = path_form or canonical_path
        parts = (method.encode(), form(path), canonical_query(query), b"".join(lines), b";".join(names))
        digest = hashlib.sha256(b"%b\n%b\n%b\n%b\n%b\n%b" % (*parts, body_sha256.encode())).hexdigest()
        scope, inner, outer = _signing(secret, self.date, self.region, self.service)
        inner, outer = inner.copy(), outer.copy()
        inner.update(f"{ALGORITHM}\n{self.time}\n{scope}\n{digest}".encode())
        outer.update(inner.digest())
        if not hmac.compare_digest(outer.hexdigest().encode(), self.signature.encode()):
            raise SignatureError("SignatureDoesNotMatch", _MISMATCH)


def read_claim(authorization: str, headers: Mapping[bytes, bytes]) -> Claim:
    """The claim of an Authorization header.

    Raises SignatureError: IncompleteSignature for one that lacks something, SignatureDoesNotMatch for a wrong scope. No
    message repeats what came: it may be a secret in the wrong place.
    """
    head, _, signature = authorization.rpartition("Signature=")
    time = (headers.get(b"x-amz-date") or headers.get(b"date") or b"").decode("latin-1").strip()
    # The same client sends the same head again, all day.
    known = _known(head) if len(head) <= _HEAD_CHARACTERS_MAX and "," not in signature else None
    signature = signature.strip()
    if known is None or not signature or not _TIME.fullmatch(time):
        found = _parts(authorization)
        _check_form(found, time)
        known, signature = _named(found), found["Signature"]
    (key_id, date, region, service), names = known
    if date != time[:8]:
        message = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
        raise SignatureError("SignatureDoesNotMatch", message)
    return Claim(key_id, date, region, service, time, names, signature)


def _check_form(found: Mapping[str, str], time: str) -> None:
    """Raises SignatureError if a part or the time is missing, or the time has another form."""
    lacks = "".join(f"Authorization header requires '{part}' parameter. " for part in _PARTS if not found.get(part))
    if not time:
        lacks += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
    if lacks:
        raise SignatureError("IncompleteSignature", lacks.rstrip())
    if not _TIME.fullmatch(time):
        message = "Date must be in ISO-8601 'basic format', for instance 20150830T123600Z."
        raise SignatureError("IncompleteSignature", message)


def _parts(authorization: str) -> dict[str, str]:
    """The parts that there must be, of those that there are."""
    algorithm, _, rest = authorization.strip().partition(" ")
    if algorithm != ALGORITHM:
        message = f"Unsupported AWS 'algorithm' in the Authorization header; this server takes {ALGORITHM}."
        raise SignatureError("IncompleteSignature", message)
    found: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name in found:
            raise SignatureError("IncompleteSignature", f"Authorization header has {name!r} twice.")
        if name in _PARTS:
            found[name] = value.strip()
    return found


@lru_cache(1024)
def _known(head: str) -> tuple[Scope, tuple[str, ...]] | None:
    """What stands before the signature, if that is the last part and the only signature, and nothing is amiss."""
    before = head.rstrip()
    try:
        found = _parts(before[:-1]) if before.endswith(",") else {}
        is_whole = found.get("Credential") and found.get("SignedHeaders") and "Signature" not in found
        return _named(found) if is_whole else None
    except SignatureError:
        return None  # `read_claim` says it, with what else is amiss


def _named(found: Mapping[str, str]) -> tuple[Scope, tuple[str, ...]]:
    """The scope, and the names of the headers that are signed."""
    return scope_of(found["Credential"]), tuple(found["SignedHeaders"].split(";"))


@lru_cache(1024)
def _encoded(names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in names)


def scope_of(credential: str) -> Scope:
    """The key's id, the day, the Region and the service of a credential."""
    parts = credential.split("/")
    if len(parts) != 5 or not all(parts):
        message = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        raise SignatureError("IncompleteSignature", message)
    key_id, date, region, service, terminator = parts
    if terminator != _TERMINATOR:
        message = f"Credential should be scoped with a valid terminator: '{_TERMINATOR}'."
        raise SignatureError("SignatureDoesNotMatch", message)
    return key_id, date, region, service


def canonical_path(path: bytes) -> bytes:
    """The path without empty and dot segments (RFC 3986, 6.2.2.3), each byte that is not unreserved encoded."""
    if path == b"/":
        return path
    kept: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            kept[-1:] = []
        elif part not in (b"", b"."):
            kept.append(part)
    ends = b"/" if kept and path.endswith((b"/", b"/.", b"/..")) else b""
    return quote(b"/" + b"/".join(kept) + ends, _SAFE_IN_PATH).encode()


def canonical_query(query: bytes) -> bytes:
    """The parameters, encoded in one way and sorted."""
    if not query:
        return b""
    pairs = []
    for part in filter(None, query.split(b"&")):
        name, _, value = part.partition(b"=")
        pairs.append((quote(unquote_to_bytes(name), _SAFE), quote(unquote_to_bytes(value), _SAFE)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs)).encode()


@lru_cache(1024)
def _signing(secret: str, date: str, region: str, service: str) -> tuple[str, Any, Any]:
    """(the scope, the inner and the outer hash of HMAC with the key of that scope, as RFC 2104 begins them)."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, _TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))
    return f"{date}/{region}/{service}/{_TERMINATOR}", inner, outer


@lru_cache(256)
def _instant(time: str) -> float:
    try:
        return datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SignatureError("IncompleteSignature", f"The date {time!r} of the request is none.") from None


def _written(instant_s: float) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y%m%dT%H%M%SZ")
