"""Lines of the log: one for each request, if that is asked for, and one for each act of administration.

No line has a secret: of the URL they have the path alone, because a public token is in its parameters.
"""

from __future__ import annotations

import logging

from datawarehouse.server.http import Request, Response

log = logging.getLogger("datawarehouse.access")
audit_log = logging.getLogger("datawarehouse.audit")
_PATH_MAX = 200


def note(request: Request, response: Response, address: str, took_s: float) -> None:
    """Say that a request was answered. took_s: until its answer began."""
    log.info(
        "%s %s %s %s %d %s %.1f ms%s",
        _shown(address) or "-",
        request.identity.name or request.key_name or "-",
        _shown(request.method),
        _target(request),
        response.status,
        len(response.body) if isinstance(response.body, bytes) else "-",
        took_s * 1000,
        f" ({response.error[0]})" if response.error else "",
    )


def audit(request: Request, response: Response, address: str) -> None:
    """Say what somebody administrated, and what came of it; that somebody looked is said only if it was refused."""
    if request.method != "GET" or response.error:
        audit_log.info(
            "audit: %s from %s: %s %s%s: %s",
            request.identity.name or request.key_name or "-",
            _shown(address) or "-",
            _shown(request.method),
            _shown(request.path),
            "".join(f" {_shown(word)}" for word in request.audited.split()),
            response.error[0] if response.error else "done",
        )


def audit_alone(at: str, words: str, outcome: str) -> None:
    """Say what somebody administrated by a command while nothing ran that has a log. at: when."""
    shown = " ".join(_shown(word) for word in words.split())
    audit_log.info("audit: owner at %s, when no warehouse ran: %s: %s", at, shown, outcome)


def _target(request: Request) -> str:
    operation = request.header(b"x-amz-target")
    return f"{_shown(request.path)} {_shown(operation)}" if operation else _shown(request.path)


def _shown(text: str) -> str:
    """A text of a client as one word of a line."""
    return "".join(letter if letter.isprintable() and letter != " " else "?" for letter in text[:_PATH_MAX])
