"""A query and its answer as messages between processes."""

from __future__ import annotations

from typing import Any

import msgspec

from datawarehouse.errors import DataWarehouseError, rebuilt
from datawarehouse.sql.catalogs import Session
from datawarehouse.sql.names import NOBODY, Asker

CONTENT_TYPES = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "rows": "application/x-ndjson",
}
"""The formats of an answer, and their media types."""

TRINO = "trino"
"""The format of `trino_form`, for the door that speaks Trino's protocol: the columns, then lists of rows."""

ATHENA = "athena"
"""The format of `athena_form`, for the door that speaks Athena's API: the columns, then lines of CSV."""


class QueryOrder(msgspec.Struct, frozen=True, tag=True):
    """A query. format: one of CONTENT_TYPES, TRINO or ATHENA. workgroup: whose query it is; "" is production's.
    dry_run: the answer is the workgroup's decision, as JSON. full_scan: whether that is asked for.
    bytes_max: what it may read by its estimate; None if nobody made one. tables: the names that it may read; None:
    all. session: where a client is, if it has said so. asker: whose it is."""

    sql: str
    parameters: list[Any]
    format: str
    workgroup: str = ""
    dry_run: bool = False
    full_scan: bool = False
    bytes_max: int | None = None
    tables: list[str] | None = None
    session: Session | None = None
    asker: Asker = NOBODY


class Head(msgspec.Struct, frozen=True, tag=True):
    """The first message of an answer, before anything is computed or written: which files are read. update: Trino's
    name for what the statement changes; "" if it changes nothing."""

    files: int
    bytes: int
    partitions: int = 0
    update: str = ""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """How much of the work is done, now and then. share: from 0 to 1."""

    share: float


class Columns(msgspec.Struct, frozen=True, tag=True):
    """The columns of an answer, before its rows. names: as JSON has them; types: those of SQL."""

    names: list[str]
    types: list[str]


class Piece(msgspec.Struct, frozen=True, tag=True):
    """A part of the encoded answer. rows: how many were read so far."""

    data: bytes
    rows: int = 0


class End(msgspec.Struct, frozen=True, tag=True):
    rows: int


class Failure(msgspec.Struct, frozen=True, tag=True):
    """An error of this package, by the name of its class; an empty name means an error in the program itself.

    An error of the operating system keeps its number, so that the owner knows a full disk when it meets one.

    attributes: those of the error, such as the limit that was reached.
    """

    error: str
    message: str
    attributes: dict[str, Any] = {}

    @classmethod
    def of(cls, error: Exception) -> Failure:
        if isinstance(error, DataWarehouseError):
            return cls(type(error).__name__, str(error), vars(error))
        if isinstance(error, OSError) and error.errno:
            return cls("OSError", error.strerror or str(error), {"errno": error.errno})
        return cls("", f"{type(error).__name__}: {error}")

    def as_error(self) -> Exception:
        if self.error == "OSError":
            return OSError(self.attributes["errno"], self.message)
        return rebuilt(self.error, self.message, self.attributes) if self.error else RuntimeError(self.message)


Answered = Head | Progress | Columns | Piece | End
Message = Answered | Failure
