"""`connect`: a running warehouse, with the surface of `open_warehouse`."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from datawarehouse.errors import BadRequest, DataWarehouseError, Unreachable
from datawarehouse.folder import Holder, holder_of
from datawarehouse.intake.encoding import Event, in_a_line, records_of
from datawarehouse.query.names import distinct
from datawarehouse.runtime.address import checked_address, checked_key, trusted
from datawarehouse.runtime.asking import Asked, Question
from datawarehouse.runtime.client import Client, Patience
from datawarehouse.runtime.typed_rows import TypedRows

if TYPE_CHECKING:
    from datawarehouse.query.result import Result

_BATCH_BYTES_MAX, _BATCH_EVENTS_MAX = 1024 * 1024, 5_000
_RETRY_S = 30.0
_TIMEOUT_S = 60.0


def connect(
    where: str | os.PathLike[str], *, key: str | None = None, ca: str | os.PathLike[str] | None = None
) -> RemoteWarehouse:
    """A running warehouse, by its address or, on this machine, by its data folder.

        with connect("http://127.0.0.1:8080") as w:
            w.put("clicks", [{"id": "1"}])
            w.query("select * from clicks").df()

    key: for a warehouse with keys, ID.SECRET as `dw keys create` prints it; over plain HTTP on this machine alone.
    ca: a file of certificates (PEM) to trust instead of those that this system does. By its data folder a warehouse is
    asked as its owner, who may do everything. Nothing is sent yet. Raises BadRequest, or Unreachable if nothing runs in
    the data folder.
    """
    if isinstance(where, str) and where.startswith(("http:", "https:")):
        address = checked_address(where)
        return RemoteWarehouse(Client(Holder(0, where, checked_key(key, address)), _TIMEOUT_S, trusted(address, ca)))
    if key is not None or ca is not None:
        raise BadRequest(
            "key and ca are for an address, https://... or http://...; by its data folder you are its owner."
        )
    holder = holder_of(Path(where))
    if holder is None or not holder.url:
        raise Unreachable(
            f"Nothing serves the data folder {os.fspath(where)!r}. Start `dw up`, give an address such as "
            "http://127.0.0.1:8080, or open the folder in this program with open_warehouse."
        )
    return RemoteWarehouse(Client(holder, _TIMEOUT_S))


class RemoteWarehouse:
    """A warehouse that another process runs. Methods can be called from any thread; each raises the error of the same
    class as `open_warehouse` would, Unreachable if nothing answers, and Unauthorized or AccessDenied for the key."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()

    def put(self, table: str, events: Event | Iterable[Event], idempotency_key: str | None = None) -> int:
        """Store events of a streaming input table; returns how many, once they are durable.

        events, idempotency_key: as `OpenWarehouse.put`. What is sent is repeated for half a minute when the connection
        breaks or a limit is reached, and counts once. Raises UnknownName, BadRequest for an event that JSON cannot
        express or that is too large (the others are stored), Throttled, or Unreachable. Needs the right put.
        """
        records = [in_a_line(record) for record in records_of(events)]
        name, taken = idempotency_key or secrets.token_hex(12), 0
        for number, batch in enumerate(_batches(records)):
            answer = self._put(f"/v1/tables/{quote(table, safe='')}/events", batch, f"{name}-{number}")
            taken += int(answer["accepted"])
            if refused := answer.get("refused"):
                raise BadRequest(f"{refused[0]['message']} {taken} events were stored, the others of its batch too.")
        return taken

    def _put(self, path: str, batch: Sequence[bytes], key: str) -> Any:
        patience = Patience(_RETRY_S)
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        while True:
            try:
                return self._call("POST", path, b"\n".join(batch), headers)
            except DataWarehouseError as error:
                patience.wait(error)

    def flush(self) -> None:
        """Return when every event that was accepted before is visible to queries. Raises ConversionStalled. Needs the
        right administer."""
        self._call("POST", "/v1/admin/flush", b"")

    def query(self, sql: str, params: Sequence[Any] | None = None, workgroup: str = "") -> Result:
        """The result of one statement of Athena SQL; each `?` in it takes the next of `params`.

        workgroup: whose query it is; "" is the key's, or production's. Raises SqlSyntaxError, QueryRefused,
        ScanRefused, QueryFailed, QueryLimitExceeded, Throttled, or BadRequest if there is no such workgroup. Ctrl-C
        ends the query. Loads pyarrow; `rows` does not.
        """
        from datawarehouse.query.result import from_arrow

        began = time.perf_counter()
        with closing(self._asked(sql, params, workgroup, "arrow")) as asked:
            stream = b"".join(asked.pieces())
        return from_arrow(stream, (time.perf_counter() - began) * 1000, asked.files_read, asked.bytes_read)

    def rows(self, sql: str, params: Sequence[Any] | None = None, workgroup: str = "") -> Iterator[dict[str, Any]]:
        """The rows of a statement as they come, each a dict by column name, with the values of `query`; intervals are
        texts. Leaving the iterator ends the query. Loads no pyarrow."""
        with closing(self._asked(sql, params, workgroup, "rows")) as asked:
            found = TypedRows(asked.pieces())
            names = distinct(found.columns)
            for row in found:
                yield dict(zip(names, row, strict=True))

    def status(self) -> dict[str, Any]:
        """What `dw status --output json` prints. Needs the right administer."""
        found: dict[str, Any] = self._call("GET", "/v1/admin/status")
        return found

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._client.close()

    def _asked(self, sql: str, params: Sequence[Any] | None, workgroup: str, form: str) -> Asked:
        return Asked(self._client.another(), Question(sql, list(params or ()), form, workgroup))

    def _call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        with self._lock:
            return self._client.call(method, path, body, headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _batches(records: Sequence[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and (size + len(record) > _BATCH_BYTES_MAX or len(batch) == _BATCH_EVENTS_MAX):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record) + 1
    if batch:
        yield batch
