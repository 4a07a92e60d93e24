"""The bodies that routes take as JSON, as they are decoded and as `openapi` describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from datawarehouse.query.messages import CONTENT_TYPES

_YEAR_10000_MS = 253_402_300_800_000


class QueryBody(msgspec.Struct, forbid_unknown_fields=True):
    """A query. parameters: one for each `?` of the statement. workgroup: whose rules hold for it; null: those for
    people, by the size of what is stored. dry_run: say what they permit and what would be read, and read nothing.
    full_scan: ask for hours without a bound, where they permit that. id: the query's, by which it can be looked at and
    ended before its answer begins; without it the server chooses one."""

    sql: str
    parameters: list[Any] = []
    format: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(CONTENT_TYPES)})] = "ndjson"
    workgroup: str | None = ""
    dry_run: bool = False
    full_scan: bool = False
    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16,64}$")] | None = None


class RunBody(msgspec.Struct):
    """The job that is to run. at_ms: its scheduled instant, in milliseconds since 1970; without it, now."""

    job: str
    at_ms: Annotated[int, msgspec.Meta(ge=0, lt=_YEAR_10000_MS)] | None = None


class CompactBody(msgspec.Struct):
    """The streaming input table whose closed hours are to be compacted."""

    table: str


class PartitionBody(msgspec.Struct):
    """A partition of a table that its user fills. values: one for each key, in order. location: an absolute folder;
    without it, the folder of these values in the data folder."""

    table: str
    values: list[str]
    location: str | None = None


class BackupBody(msgspec.Struct, forbid_unknown_fields=True):
    """A back-up that is to be made. to: the folder of back-ups. kept: how many stay there; 0: all."""

    to: str
    kept: int


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """A key that is meant."""

    name: str


class RotatedKeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """A key that is to get a new secret. overlap_s: for how many seconds the present one stays valid."""

    name: str
    overlap_s: int


Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class JobRunBody(msgspec.Struct, forbid_unknown_fields=True):
    """A run that is wanted. at: the scheduled instant; without it, now."""

    at: Instant | None = None


class BackfillBody(msgspec.Struct, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """The runs of a period. from: the first hour; to: the one after the last, without it now. again: also those that
    have succeeded."""

    start: Instant
    end: Instant | None = None
    again: bool = False


class SavedQueryBody(msgspec.Struct, forbid_unknown_fields=True):
    """A statement that is to be kept."""

    sql: str


class SessionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who signs in. name: of a key, or its id."""

    name: str
    secret: str
