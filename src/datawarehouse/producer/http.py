"""To the events route of a running warehouse. Each request has an idempotency key, so that its events count once
however often it is repeated."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import ssl
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from datawarehouse.errors import BadRequest, BodyTooLarge, DataWarehouseError
from datawarehouse.folder import Holder
from datawarehouse.producer.batch import TAKEN, Batch
from datawarehouse.runtime.client import Client

_KEY = re.compile(r"[!-~]+")


class HttpDestination:
    """`connection` gives each thread one of its own; they share the name under which requests count once."""

    batch_events_max = 5_000
    batch_bytes_max = 1024 * 1024
    event_bytes_max = 10 * 1024 * 1024  # the most that `record_bytes_max` can be; the warehouse says what it is

    def __init__(
        self, table: str, url: str, request_timeout_s: float, key: str | None, ca: str | os.PathLike[str] | None
    ) -> None:
        """key: ID.SECRET, as a Bearer token. ca: a file of certificates (PEM) to trust instead of the system's. Raises
        BadRequest."""
        address = _address(url)
        self._path = f"/v1/tables/{quote(table, safe='')}/events"
        self._holder = Holder(0, url, _checked_key(key, address))
        self._trust = _trust(address, ca)
        self._request_timeout_s = request_timeout_s
        self._name = secrets.token_hex(12)

    def checked(self, event: bytes, partition_key: str | None) -> bytes:
        if partition_key is not None:
            raise BadRequest("Events by HTTP have no partition key; the warehouse spreads them. Leave it out.")
        if b"\n" in event:  # which ends an event on the way
            try:
                event = msgspec.json.format(event, indent=-1)
            except msgspec.DecodeError as error:
                raise BadRequest(
                    f"The event has a line break and is not JSON ({error}); each line is one event. It is {event!r}."
                ) from None
        if not event.strip():
            raise BadRequest(f"The event is {event!r}; it has nothing in it.")
        return event

    def connection(self) -> HttpConnection:
        return HttpConnection(Client(self._holder, self._request_timeout_s, self._trust), self._path, self._name)


def _address(url: str) -> SplitResult:
    """Raises BadRequest."""
    try:
        address = urlsplit(url)
        is_whole = address.path in ("", "/") and not address.query and address.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        address, is_whole = SplitResult("", "", "", "", ""), False
    if "@" in address.netloc:  # what stands there may be a secret, which no message shows
        raise BadRequest("The url has a user or a password in it; leave them out, and give key=...")
    if address.scheme not in ("http", "https") or not address.hostname or not is_whole:
        raise BadRequest(
            f"The url is {url!r}; valid is the address that `dw up` shows, such as http://127.0.0.1:8080, or that of a "
            "server with TLS, https://dw.example.com."
        )
    return address


def _checked_key(key: str | None, address: SplitResult) -> str:
    """The key as it is sent; empty if there is none. Raises BadRequest, with a message that does not show it."""
    if key is None:
        return ""
    key = key.strip() if isinstance(key, str) else ""  # a file or a variable may end in a line break
    if not _KEY.fullmatch(key):
        raise BadRequest(
            "The key (which is not shown here) is none; valid is what `dw keys create` prints after `Authorization: "
            "Bearer`: ID.SECRET."
        )
    if address.scheme != "https" and not _is_here(address.hostname or ""):
        raise BadRequest(
            f"At {address.geturl()} the key and the events would travel as plain text. Give an address of https://, or "
            "one of this machine."
        )
    return key


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # other names are looked up, and may lead elsewhere


def _trust(address: SplitResult, ca: str | os.PathLike[str] | None) -> ssl.SSLContext | None:
    """Raises BadRequest if the file is not one of certificates."""
    if address.scheme != "https":
        if ca is not None:
            raise BadRequest(f"ca is for an address of https://, and the url is {address.geturl()}.")
        return None
    try:
        if ca is not None and not os.fspath(ca):  # which the next line would take for the system's
            raise ValueError("it is empty")
        return ssl.create_default_context(cafile=ca)
    except (OSError, TypeError, ValueError) as error:
        raise BadRequest(f"ca is {ca!r}, which has no certificates that can be read ({error}). It is PEM.") from None


class HttpConnection:
    def __init__(self, client: Client, path: str, name: str) -> None:
        self._client = client
        self._path = path
        self._name = name

    def send(self, batch: Batch) -> None:
        """Try once to send what has no outcome. Raises an error after which the rest can be tried again, or not."""
        if batch.plan is None:  # parts that are left: (idempotency key, first event, end)
            batch.plan = [(f"{self._name}-{batch.number}", 0, len(batch.events))]
        while batch.plan:
            key, start, end = batch.plan[-1]
            events = batch.events[start:end]
            try:
                refused = self._refused(events, key)
            except BodyTooLarge as error:
                batch.plan.pop()
                if end - start == 1:
                    batch.settle(start, error)
                else:  # the warehouse takes less at once than others do
                    middle = (start + end) // 2
                    batch.plan += [(f"{key}.1", middle, end), (f"{key}.0", start, middle)]
                continue
            batch.plan.pop()
            for place in range(start, end):
                batch.settle(place, refused.get(place - start, TAKEN))

    def _refused(self, events: list[bytes], key: str) -> dict[int, DataWarehouseError]:
        """Send; which events were too large to be taken."""
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        answer = self._client.call("POST", self._path, b"\n".join(events), headers)
        named = answer.get("refused", [])
        refused: dict[int, DataWarehouseError] = {each["event"] - 1: BodyTooLarge(each["message"]) for each in named}
        missing = len(events) - answer["accepted"]
        if missing > len(refused):  # the answer names a hundred; all those that are larger than it says are refused
            largest = sorted(range(len(events)), key=lambda place: len(events[place]), reverse=True)[:missing]
            refused = {place: BodyTooLarge(named[0]["message"]) for place in largest}
        return refused

    def close(self) -> None:
        self._client.close()
