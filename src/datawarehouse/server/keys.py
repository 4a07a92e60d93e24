"""/v1/admin/keys: the keys, and making, ending and replacing them. A secret is in the answer that makes it, and in no
other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from datawarehouse.access.keys import Shown, Wanted, listed
from datawarehouse.errors import BadRequest
from datawarehouse.intake.refusals import Refusals
from datawarehouse.query.registry import QueryRegistry
from datawarehouse.server.bodies import KeyBody, RotatedKeyBody
from datawarehouse.server.http import Request, Response, json_response
from datawarehouse.server.identity import Gate

T = TypeVar("T")
Check = Callable[[Wanted], Wanted]
"""Raises BadRequest for a key that the warehouse cannot have."""
ReadBody = Callable[[Request], Awaitable[bytes]]


async def handle(
    gate: Gate, check: Check, refusals: Refusals, queries: QueryRegistry, request: Request, body: ReadBody
) -> Response | None:
    """The answer, or None for another route. queries: forgets those of a name of which no key is valid any more. Raises
    BadRequest, UnknownName or FolderError."""
    keys, now_ms = gate.keys, gate.clock.now_ms()
    match request.method, request.path:
        case "GET", "/v1/admin/keys":
            return json_response(200, listed(keys.all(), now_ms, refusals.of_keys))
        case "POST", "/v1/admin/keys":
            wanted = check(_decoded(Wanted, await body(request)))
            request.audited = f"{wanted.name} may {','.join(wanted.may)}"
            return json_response(201, shown(await asyncio.to_thread(keys.create, wanted, now_ms)))
        case "POST", "/v1/admin/keys/revoke":
            request.audited = name = _decoded(KeyBody, await body(request)).name
            revoked = await asyncio.to_thread(keys.revoke, name, now_ms)
            valid = {key.name for key in keys.all() if key.state(now_ms) == "valid"}
            for ended in {key.name for key in keys.all() if key.id in revoked} - valid:
                queries.forget_all_of(ended)
            return json_response(200, {"revoked": revoked})
        case "POST", "/v1/admin/keys/rotate":
            asked = _decoded(RotatedKeyBody, await body(request))
            request.audited = asked.name
            made = await asyncio.to_thread(keys.rotate, asked.name, asked.overlap_s, now_ms)
            return json_response(201, shown(made))
        case _:
            return None


def shown(made: Shown) -> dict[str, object]:
    """What is shown of a new key, once."""
    key = made.key
    secret = {"token": made.secret} if key.origins else {"secret": made.secret, "token": f"{key.id}.{made.secret}"}
    return {
        "name": key.name,
        "id": key.id,
        **secret,
        "may": key.may,
        "workgroup": key.workgroup,
        "origins": key.origins,
        "expires_ms": key.expires_ms,
    }


def _decoded(kind: type[T], body: bytes) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # its words could have a part of what was sent
        form = ", ".join(kind.__struct_fields__)  # type: ignore[attr-defined]
        raise BadRequest(f"The body does not have the required form: a JSON object of {form}.") from None
