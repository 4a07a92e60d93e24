"""Calls to a running warehouse: by its owner's commands, and by producers with a key."""

from __future__ import annotations

import hashlib
import http.client
import random
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from datawarehouse.errors import AccessDenied, BodyTooLarge, DataWarehouseError, Unauthorized, Unreachable, rebuilt
from datawarehouse.folder import Holder, holder_of

_PAUSE_FIRST_S, _PAUSE_MAX_S = 0.2, 5.0
_PIECE_BYTES = 1024 * 1024
_OF_STATUS = {
    401: Unauthorized, 403: AccessDenied, 413: BodyTooLarge, 429: Unreachable, 502: Unreachable, 503: Unreachable,
    504: Unreachable,
}  # fmt: skip
"""What the answers of proxies mean."""


class Client:
    """Calls one owner; keeps the connection open."""

    def __init__(self, holder: Holder, timeout_s: float | None = 60, trust: ssl.SSLContext | None = None) -> None:
        """trust: whom to believe where the holder names no certificate; by default whom this system does."""
        self.timeout_s = timeout_s
        self._holder, self._trust = holder, trust
        self._token = holder.token
        self._address = urlsplit(holder.url)
        self._certificate = holder.certificate
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        """The JSON answer of a call. Raises the error that the owner answered, or Unreachable."""
        with self._reached():
            response = self._sent(method, path, body, headers or {})
            answer = response.read()
        if response.status >= 400 and not (response.status == 413 and _counts(answer)):
            raise _error(answer, response)
        try:
            return msgspec.json.decode(answer)
        except msgspec.DecodeError:
            raise _error(answer, response) from None

    def lines(self, method: str, path: str, body: bytes) -> Iterator[Any]:
        """The lines of JSON of an answer, as they come. Raises the error that the owner answered, or Unreachable."""
        with self._reached():
            response = self._sent(method, path, body, {})
            if response.status >= 400:
                raise _error(response.read(), response)
            for line in response:
                yield msgspec.json.decode(line)

    def answered(self, method: str, path: str, body: bytes) -> tuple[Message, Generator[bytes]]:
        """The headers of an answer, and its body as it comes; closing that before its end closes the connection. Raises
        the error that the owner answered, or Unreachable, also in the middle of the body."""
        with self._reached():
            response = self._sent(method, path, body, {})
            if response.status >= 400:
                raise _error(response.read(), response)
        return response.headers, self._body_of(response)

    def _body_of(self, response: http.client.HTTPResponse) -> Generator[bytes]:
        try:
            with self._reached():
                while piece := response.read1(_PIECE_BYTES):
                    yield piece
        finally:
            if not response.isclosed():
                response.close()
                self.close()

    def another(self, timeout_s: float | None = None) -> Client:
        """One of the same owner, with a connection of its own."""
        return Client(self._holder, timeout_s, self._trust)

    def _sent(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        assert self._address.hostname
        if self._connection is None:
            self._connection = self._connected(self._address.hostname)
        self._connection.request(method, path, body, {"Authorization": f"Bearer {self._token}", **headers})
        return self._connection.getresponse()

    def _connected(self, host: str) -> http.client.HTTPConnection:
        if self._address.scheme != "https":
            return http.client.HTTPConnection(host, self._address.port or 80, timeout=self.timeout_s)
        context = self._trust or ssl.create_default_context()
        if self._certificate:  # the owner's, which says so in its lock file; whom it names does not matter on the way
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = self._address.port or 443
        connection = http.client.HTTPSConnection(host, port, timeout=self.timeout_s, context=context)
        connection.connect()
        shown = hashlib.sha256(connection.sock.getpeercert(binary_form=True) or b"").hexdigest()
        if self._certificate and shown != self._certificate:
            connection.close()
            raise http.client.HTTPException("it shows another certificate than the lock file says")
        return connection

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:  # trying again gives the same answer, and the key stays here
            self.close()
            raise DataWarehouseError(
                f"{self._address.geturl()} shows a certificate that is not trusted ({error.verify_message}). "
                "Nothing was sent. Give the certificate of its authority, and the name that it is for."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{self._address.geturl()} does not answer ({error}). Is `dw up` running?") from None

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


def _counts(answer: bytes) -> bool:
    """Whether an answer says how many events were taken: all were too large for a record, which is said of each."""
    try:
        return "accepted" in msgspec.json.decode(answer)
    except (msgspec.DecodeError, TypeError):
        return False


def _error(answer: bytes, response: http.client.HTTPResponse) -> DataWarehouseError:
    """The error in an answer. An answer without our error document comes from the HTTP server itself, or from a
    proxy."""
    try:
        told = msgspec.json.decode(answer)["error"]
        error = rebuilt(told["code"], told["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        kind = _OF_STATUS.get(response.status, DataWarehouseError)
        error = kind(f"The answer was {response.status} {response.reason}: {answer[:200]!r}")
    wait_s = _retry_after_s(response.headers)
    if wait_s is not None:
        error.retry_after_s = wait_s
    return error


def _retry_after_s(headers: Message) -> float | None:
    """What an answer asks for, in seconds (RFC 9110, 10.2.3); a date counts from the answer's own, since clocks
    differ."""
    given = headers.get("Retry-After", "").strip()
    if given.isdecimal():
        return float(given)
    with suppress(TypeError, ValueError):
        until, now = (parsedate_to_datetime(each) for each in (given, headers.get("Date", "")))
        return max(0.0, (until - now).total_seconds())
    return None


class Patience:
    """How long a call is retried, and how long the pauses are."""

    def __init__(self, seconds: float) -> None:
        self._give_up = time.monotonic() + seconds
        self._longest_s = _PAUSE_FIRST_S
        self.failures = 0

    def wait(self, error: DataWarehouseError) -> None:
        """Wait before the next attempt. Raises the error if a retry cannot succeed, or the time is over.

        It does not begin a pause that the server asks for and that is longer than the remaining time.
        """
        self.failures += 1
        left_s = self._give_up - time.monotonic()
        if not error.retryable or error.retry_after_s >= left_s:
            raise error
        time.sleep(min(self.pause_s(error), left_s))

    def pause_s(self, error: DataWarehouseError) -> float:
        """A random length, so that producers that were refused together do not retry together.

        It is at least what the server asked for; if the server did not ask, it doubles from one failure to the next.
        """
        if error.retry_after_s:
            return error.retry_after_s * random.uniform(1, 1.5)
        longest, self._longest_s = self._longest_s, min(self._longest_s * 2, _PAUSE_MAX_S)
        return longest * random.uniform(0.5, 1)


def client_of(folder: Path, timeout_s: float | None = 60) -> Client | None:
    """A client of the folder's owner, or None if there is no owner with a server."""
    holder = holder_of(folder)
    return Client(holder, timeout_s) if holder and holder.url else None
