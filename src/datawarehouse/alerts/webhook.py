"""Sends a message to a URL, signed after the specification Standard Webhooks (standardwebhooks.com, version 1).

webhook-id          the same whenever a message is sent again, so that the receiver can tell
webhook-timestamp   seconds since 1970, of this attempt
webhook-signature   v1,<base64 of HMAC-SHA256 over "<id>.<timestamp>.<body>">; with two secrets, two of them
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from datawarehouse.alerts.messages import Message
from datawarehouse.clock import Clock
from datawarehouse.definition.alerts import shown_url
from datawarehouse.errors import BadRequest

TIME_MAX_S = 10.0
"""For all of an attempt: the connection, the request, and the answer."""
RETRY_AFTER_MAX_S = 3600.0
_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_ANSWER_BYTES_MAX = 200


class Undelivered(Exception):
    """An attempt that failed, with the reason; retry_after_s: how long the receiver asks to be left alone."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Webhook:
    """A receiver behind a URL. Redirects are not followed."""

    def __init__(self, url: str, secrets: list[bytes], clock: Clock) -> None:
        """secrets: each signs every message; without one, messages are not signed."""
        self.name = f"webhook {shown_url(url)}"
        self._parts = urlsplit(url)
        self._secrets = secrets
        self._clock = clock
        self._connection: HTTPConnection | None = None
        self._is_aborted = False

    def send(self, message: Message) -> None:
        """Send a message; returns when the receiver has answered 2xx. Raises Undelivered."""
        body = message.body.encode()
        connection = self._connect()
        self._connection, self._is_aborted = connection, False
        # A socket's timeout is for each read; a receiver that answers a byte now and then would never reach it.
        limit = threading.Timer(TIME_MAX_S, self.abort)
        limit.daemon = True
        limit.start()
        try:
            target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
            connection.request("POST", target, body, self._headers(message, body))
            answer = connection.getresponse()
            said = answer.read(_ANSWER_BYTES_MAX)
        except (OSError, HTTPException, ValueError) as error:
            if self._is_aborted:  # what the socket says is then that the receiver closed it
                raise self._too_late() from error
            raise Undelivered(f"{type(error).__name__}: {error}") from error
        finally:
            limit.cancel()
            self._connection = None
            connection.close()
        if self._is_aborted:  # http.client takes an answer that was cut off between its headers for a whole one
            raise self._too_late()
        if not 200 <= answer.status < 300:
            raise Undelivered(_refusal(answer, said), self._retry_after_s(answer))

    @staticmethod
    def _too_late() -> Undelivered:
        return Undelivered(f"it gave no whole answer within {TIME_MAX_S:g} s, or before the warehouse closed")

    def abort(self) -> None:
        """End the attempt that is under way, from another thread."""
        connection, self._is_aborted = self._connection, True
        if connection and connection.sock:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> HTTPConnection:
        host = self._parts.hostname or ""
        if self._parts.scheme == "http":
            return HTTPConnection(host, self._parts.port, timeout=TIME_MAX_S)
        return HTTPSConnection(host, self._parts.port, timeout=TIME_MAX_S, context=ssl.create_default_context())

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        seconds = self._clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": "serverless-datawarehouse",
            "webhook-id": message.id,
            "webhook-timestamp": str(seconds),
        }
        if self._secrets:
            signed = f"{message.id}.{seconds}.".encode() + body
            headers["webhook-signature"] = " ".join(_signature(secret, signed) for secret in self._secrets)
        return headers

    def _retry_after_s(self, answer: HTTPResponse) -> float:
        """What the answer's Retry-After asks for: seconds, or a date (RFC 9110, 10.2.3)."""
        given = answer.headers.get("retry-after", "").strip()
        if given.isdecimal() and given.isascii():
            return min(float(given[:10]), RETRY_AFTER_MAX_S)
        try:
            at = parsedate_to_datetime(given)
        except (ValueError, IndexError):
            return 0.0
        instant = at if at.tzinfo else at.replace(tzinfo=UTC)
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        return min(max(0.0, (instant - now).total_seconds()), RETRY_AFTER_MAX_S)


def _signature(secret: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _refusal(answer: HTTPResponse, said: bytes) -> str:
    moved = answer.headers.get("location") if 300 <= answer.status < 400 else None
    hint = "; redirects are not followed: declare the URL that takes messages" if moved else ""
    text = said.decode(errors="replace").strip()
    return f"it answered {answer.status} {answer.reason}{f' ({text!r})' if text else ''}{hint}"


def secrets_of(text: str) -> list[bytes]:
    """The secrets of the setting `alert_webhook_secret`: none, one, or two while one replaces the other, separated by a
    space. Raises BadRequest, which does not repeat them."""
    found = []
    for part in text.split():
        try:
            secret = base64.b64decode(part.removeprefix(_SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) not in _SECRET_BYTES:
            raise BadRequest(
                "alert_webhook_secret is not a secret of Standard Webhooks: valid is whsec_ and 24 to 64 random bytes "
                'in base64. Make one with: python3 -c "import base64, secrets; '
                "print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
            )
        found.append(secret)
    return found
