"""Sends events to a running owner, one request at a time, each until it is taken.

1. The events go in parts of about a megabyte. A part that is larger than the server takes is cut in two.
2. The idempotency key of a request is made of a name, the place of its events and what they are, so that a request that
   is repeated counts once.
3. After an error that is `retryable` it waits and tries again. After Ctrl-C it asks for the answer of the request that
   is under way, for a moment, so that it can be said what was taken.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

from datawarehouse.errors import BadRequest, BodyTooLarge, DataWarehouseError, InternalFailure, Throttled, Unreachable
from datawarehouse.runtime.client import Client, Patience
from datawarehouse.runtime.sent_files import SentFile

_LAST_ANSWER_S = 5.0

T = TypeVar("T")
Connect = Callable[[], Client | None]
"""Gives a client of the present owner, whose address may have changed."""


@dataclass
class Sent:
    """The result of sending events.

    again: events that an earlier attempt had already sent. unknown: events of the last request, if its answer did not
    come; they may have been taken.
    """

    accepted: int = 0
    again: int = 0
    refused: int = 0
    first_refusal: str = ""
    unknown: int = 0


class Sender:
    """Sends events to one table. `sent` is right after every request, also when `send` is left by an exception."""

    def __init__(self, connect: Connect, table: str, patience_s: float) -> None:
        """patience_s: how long to retry without success."""
        self.sent = Sent()
        self._connect = connect
        self._table = table
        self._patience_s = patience_s
        self._client: Client | None = None

    def ask(self, call: Callable[[Client], T]) -> T:
        """What a call to the owner gives, tried again while a retry can succeed and the patience lasts."""
        patience = Patience(self._patience_s)
        while True:
            try:
                return call(self._connected())
            except DataWarehouseError as error:
                self._leave()
                patience.wait(error)

    def send(
        self,
        parts: Iterator[bytes],
        name: str,
        record: SentFile | None = None,
        on_progress: Callable[[int], object] = lambda size: None,
    ) -> None:
        """Send lines. name: what the idempotency keys begin with. record: notes what is sent, if it is a file.
        on_progress: is called with the bytes of each part.

        Raises the error of the owner that no retry can mend, or the last one when the patience is over.
        """
        at = record.sent.bytes if record else 0
        cut: list[bytes] = []
        try:
            while part := cut.pop() if cut else next(parts, b""):
                try:
                    self._send(part, f"{name} {at}", record)
                except BodyTooLarge:
                    halves = _halves(part)
                    if not halves:
                        raise
                    cut += reversed(halves)
                    continue
                at += len(part)
                on_progress(len(part))
        finally:
            self._leave()

    def _send(self, part: bytes, place: str, record: SentFile | None) -> None:
        key = blake2b(place.encode() + b" " + part, digest_size=16).hexdigest()
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Idempotency-Key": key}
        body = gzip.compress(part, 1, mtime=0)
        failures = 0

        def attempt(client: Client) -> None:
            nonlocal failures
            if record:
                record.begin(part)
            before, self.sent.unknown = self.sent.unknown, part.count(b"\n")
            try:
                answer = client.call("POST", f"/v1/tables/{self._table}/events", body, headers)
            except DataWarehouseError as error:
                failures += 1
                if isinstance(error, Throttled | BadRequest):  # it would have been found, had it been taken before
                    self.sent.unknown = 0
                elif not isinstance(error, Unreachable | InternalFailure):  # it was not taken this time
                    self.sent.unknown = before
                raise
            self._count(answer, part.count(b"\n"), is_repeated=failures > 0)
            if record:  # last: after a Ctrl-C in between, the part is under way, and would be repeated
                record.end(part)

        try:
            self.ask(attempt)
        except KeyboardInterrupt:
            if self.sent.unknown:
                self._leave()
                failures += 1
                with suppress(DataWarehouseError):
                    client = self._connected()
                    client.timeout_s = _LAST_ANSWER_S
                    attempt(client)
            raise

    def _count(self, answer: dict[str, Any], events: int, *, is_repeated: bool) -> None:
        self.sent.unknown = 0  # first: after a Ctrl-C, this request is not repeated and counted again
        if answer.get("again") and not is_repeated:  # else this run sent it, and its answer was lost
            self.sent.again += answer["accepted"]
        else:
            self.sent.accepted += answer["accepted"]
        if refused := answer.get("refused"):  # the first hundred of them
            self.sent.refused += events - answer["accepted"]
            self.sent.first_refusal = self.sent.first_refusal or refused[0]["message"]

    def _connected(self) -> Client:
        self._client = self._client or self._connect()
        if self._client is None:
            raise Unreachable("There is no running warehouse to send to. Start one with `dw up`.")
        return self._client

    def _leave(self) -> None:
        if self._client:
            self._client.close()
            self._client = None


def _halves(part: bytes) -> list[bytes]:
    """The lines of a part as two parts; none if it has only one line."""
    middle = part.find(b"\n", len(part) // 2) + 1
    if middle in (0, len(part)):
        middle = part.rfind(b"\n", 0, len(part) - 1) + 1
    return [part[:middle], part[middle:]] if middle else []
