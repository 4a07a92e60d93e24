"""/v1/session: signing in with a key from a browser, and out again.

The browser keeps a cookie that no script can read and that goes with requests of the same site alone. Pages of other
ports of this machine are of the same site, so that a request that changes something also needs the header
`X-DW-Console`, which another page cannot send without being asked for leave, and an Origin that is this server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from datawarehouse import __version__
from datawarehouse.access.identity import NOBODY, Identity
from datawarehouse.access.keys import Key, is_secret_of
from datawarehouse.access.sessions import LIFETIME_S
from datawarehouse.access.sigv4 import SignatureError
from datawarehouse.definition.instants import written
from datawarehouse.errors import BadRequest, BodyTooLarge, DataWarehouseError, Unauthorized
from datawarehouse.server.bodies import SessionBody
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.identity import Gate, cookie_name, is_secure
from datawarehouse.server.openapi import no_route

_BODY_BYTES_MAX = 16 * 1024
_FORM = 'The body does not have the required form: {"name": ..., "secret": ...}.'
_NO_STORE = (b"cache-control", b"no-store")
_NO_KEY = "There is no valid key of this name and secret. `dw keys create` makes one."


@dataclass(slots=True)
class SignIn:
    gate: Gate
    warehouse: str

    async def route(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        """Raises BadRequest, Unauthorized, Throttled or Foreign."""
        match request.method:
            case "GET":
                return await self._state(request)
            case "POST":
                return await self._begin(request, body)
            case "DELETE":
                return await self._end(request)
            case _:
                return no_route(request)

    async def _state(self, request: Request) -> Response:
        try:
            request.identity = await self.gate.identify(request, _no_body)
        except (DataWarehouseError, SignatureError):
            request.identity = NOBODY
        return self._answer(request, request.identity)

    async def _begin(self, request: Request, body: Callable[[], Awaitable[bytes]]) -> Response:
        gate = self.gate
        gate.check_own_origin(request)
        address = gate.client_address(request)
        gate.sessions.admit(address)
        request.body_bytes_max = _BODY_BYTES_MAX  # nobody has shown a key yet
        try:
            asked = msgspec.json.decode(await body(), type=SessionBody)
        except BodyTooLarge:
            raise BodyTooLarge(f"{_FORM[:-1]}, of at most {_BODY_BYTES_MAX} bytes; nothing was done.") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # its words could have the secret
            raise BadRequest(_FORM) from None
        found = self._found(asked)
        if found is None:
            gate.sessions.note_wrong(address)
            raise Unauthorized(_NO_KEY)
        key_id, request.identity = found
        token, session = gate.sessions.begin(key_id, gate.clock.now_ms())
        return self._answer(request, request.identity, session.expires_ms, _cookie(request, token, LIFETIME_S))

    def _found(self, asked: SessionBody) -> tuple[str, Identity] | None:
        """The id of the key, and whose it is."""
        gate = self.gate
        if gate.is_owner(asked.name, asked.secret):
            return "", gate.owner
        now_ms = gate.clock.now_ms()
        for key in gate.keys.all():
            if asked.name in (key.name, key.id) and _is_usable(key, now_ms) and is_secret_of(key, asked.secret):
                return key.id, gate.keys.identity(key)
        return None

    async def _end(self, request: Request) -> Response:
        """Signing out needs no valid session: the browser forgets its cookie in any case."""
        self.gate.check_own_origin(request)
        if found := self.gate.of_session(request):
            request.identity = found
        self.gate.sessions.end(self.gate.session_token(request))
        return self._answer(request, NOBODY, cookie=_cookie(request, "", 0))

    def _answer(
        self,
        request: Request,
        identity: Identity,
        expires_ms: int | None = None,
        cookie: tuple[bytes, bytes] | None = None,
    ) -> Response:
        gate = self.gate
        session = gate.sessions.get(gate.session_token(request), gate.clock.now_ms())
        if expires_ms is None and cookie is None and session:
            expires_ms = session.expires_ms
        may = identity.rights
        told = identity is not NOBODY or not gate.keys.are_needed
        shown: dict[str, Any] = {
            "needs_key": gate.keys.are_needed,
            "signed_in": bool(identity.name),
            "name": identity.name or None,
            "expires_at": None if expires_ms is None else written(expires_ms),
            "warehouse": self.warehouse if told else None,
            "version": __version__ if told else None,
            "may": {
                "query": sorted(may.queryable or ()),
                "query_all": may.queryable is None,
                "put": any(word.partition(":")[0] == "put" for word in may.words),
                "monitor": may.may_monitor,
                "administer": may.may_administer,
            },
        }
        return json_response(200, shown, [_NO_STORE, (b"vary", b"cookie"), *([cookie] if cookie else [])])


def _is_usable(key: Key, now_ms: int) -> bool:
    return not key.origins and key.state(now_ms) == "valid"


async def _no_body(request: Request) -> bytes:
    """A signature of this route covers an empty body."""
    return b""


def _cookie(request: Request, token: str, lifetime_s: int) -> tuple[bytes, bytes]:
    secure = "; Secure" if is_secure(request) else ""
    words = f"{cookie_name(request)}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={lifetime_s}{secure}"
    return b"set-cookie", words.encode("latin-1")
