"""To the events route of a running warehouse. Each request has an idempotency key, so that its events count once
however often it is repeated."""

from __future__ import annotations

import os
import secrets
from urllib.parse import quote

from datawarehouse.errors import BadRequest, BodyTooLarge, DataWarehouseError
from datawarehouse.folder import Holder
from datawarehouse.intake.encoding import in_a_line
from datawarehouse.producer.batch import TAKEN, Batch
from datawarehouse.runtime.address import checked_address, checked_key, trusted
from datawarehouse.runtime.client import Client


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
        address = checked_address(url)
        self._path = f"/v1/tables/{quote(table, safe='')}/events"
        self._holder = Holder(0, url, checked_key(key, address))
        self._trust = trusted(address, ca)
        self._request_timeout_s = request_timeout_s
        self._name = secrets.token_hex(12)

    def checked(self, event: bytes, partition_key: str | None) -> bytes:
        if partition_key is not None:
            raise BadRequest("Events by HTTP have no partition key; the warehouse spreads them. Leave it out.")
        return in_a_line(event)

    def connection(self) -> HttpConnection:
        return HttpConnection(Client(self._holder, self._request_timeout_s, self._trust), self._path, self._name)


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
