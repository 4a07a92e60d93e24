"""A query of a running warehouse: its answer as it comes, and how far it is.

1. The query is asked under an id that is chosen here, so that it can be looked at before its answer begins.
2. The answer comes in pieces. Closing its connection ends the query.
3. If it is cut off, the warehouse is asked why.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from datawarehouse.errors import DataWarehouseError, Unreachable, rebuilt
from datawarehouse.runtime.client import Client


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """What POST /v1/query takes (docs/reference/http.md). workgroup: None is that of people."""

    sql: str
    parameters: Sequence[Any] = ()
    format: str = "ndjson"
    workgroup: str | None = ""
    dry_run: bool = False
    full_scan: bool = False


class Asked:
    """A query that is asked. files_read, bytes_read: once its answer has begun."""

    def __init__(self, client: Client, question: Question) -> None:
        self.id = secrets.token_hex(16)
        self.files_read = self.bytes_read = 0
        self._client, self._looking = client, client.another()
        self._body = msgspec.json.encode({**msgspec.to_builtins(question), "id": self.id})

    def pieces(self) -> Iterator[bytes]:
        """The answer, in pieces. Raises the errors of queries, or Unreachable. Closing the iterator ends the query."""
        head, pieces = self._client.answered("POST", "/v1/query", self._body)
        self.files_read, self.bytes_read = int(head.get("X-DW-Files", 0)), int(head.get("X-DW-Bytes", 0))
        try:
            yield from pieces
        except Unreachable as error:
            raise self._why(error) from None
        finally:
            pieces.close()

    def progress(self) -> dict[str, Any]:
        """How far it is, as GET /v1/queries/<id> says; for another thread than the one that reads the answer. Raises
        UnknownQuery, or Unreachable."""
        progress: dict[str, Any] = self._state()["progress"]
        return progress

    def _state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._looking.call("GET", f"/v1/queries/{self.id}")
        return found

    def _why(self, cut_off: Unreachable) -> DataWarehouseError:
        try:
            error = self._state()["error"]
        except DataWarehouseError:
            return cut_off
        return rebuilt(error["code"], error["message"]) if error else cut_off

    def close(self) -> None:
        """End it if it still runs."""
        self._client.close()
        self._looking.close()
