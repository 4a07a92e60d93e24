"""The kinds of tables a warehouse has, as plain immutable data.

`checked_table` below is the one place where the fields of every declared table are checked; the subclasses only add
fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.types import Array, ColumnType, Map, Struct, parse_type
from datawarehouse.errors import DeclarationError

DATA_FORMATS = ("parquet", "JSON")
HIVE, ICEBERG = "hive", "iceberg"
TABLE_FORMATS = (HIVE, ICEBERG)
"""What knows the files of a streaming input table on AWS: folders of hours, or the metadata of Iceberg."""
MISSED_RUNS = ("latest", "all", "skip")
COMPACTIONS = ("hourly",)
RETENTION_DAYS_MAX = 36_500
JOB_MEMORY_MB = 512
"""What a job needs that waits for Athena and passes some thousands of rows on."""
JOB_MEMORY_MB_LIMITS = (128, 10_240)
JOB_TIMEOUT_S = 900
"""Lambda quotas. A new account may be allowed 3,008 MB only."""
QUARANTINE_SUFFIX = "_quarantine"
ERROR_DOCUMENTS_SUFFIX = "_error_docs"
"""On AWS: of the table over Firehose's error documents, of which the quarantine is a view."""
NAME_CHARACTERS_MAX = 255
EVENT_BYTES_MAX = 1_024_000
"""Amazon Data Firehose, "Quota": a record has at most 1,000 KiB."""
SHARD_RECORDS_PER_SECOND = 1000
SHARD_BYTES_PER_SECOND = 1_000_000
PARTITION_KEY_BYTES = 32

# Names that a table may not have, each with the reason.
_RESERVED = {
    "errors": "it is the name of the folder of rejected records",
    "information_schema": "SQL engines keep their own tables there",
    "job_runs": "it is the name of the table of job runs",
    "query_history": "it is the name of the table of queries",
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
ILLEGAL_IN_KEY = re.compile(r'["\\\x00-\x1f]|[\ud800-\udfff]')

Columns = Mapping[str, str | tuple[str, str]] | Iterable[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Column:
    """key: of the member of an event's JSON object that it takes, in lower case; None if that is its name."""

    name: str
    type: ColumnType
    key: str | None = None

    @property
    def json_key(self) -> str:
        return self.name if self.key is None else self.key


def to_wire(columns: Iterable[Column]) -> list[tuple[str, ...]]:
    """Columns as (name, Glue type), or (name, Glue type, JSON key) where that is another, to send them to another
    process or write them to a file."""
    return [(c.name, str(c.type)) if c.key is None else (c.name, str(c.type), c.key) for c in columns]


def as_declared(columns: Iterable[Column]) -> dict[str, str | tuple[str, str]]:
    """Columns as they are declared."""
    return {c.name: str(c.type) if c.key is None else (str(c.type), c.key) for c in columns}


def from_wire(columns: Iterable[Sequence[str]]) -> tuple[Column, ...]:
    """The columns that `to_wire` wrote."""
    return tuple(Column(name, parse_type(kind), *key) for name, kind, *key in columns)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is declared here and filled by the user."""

    kind: ClassVar[str] = "table"

    name: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]
    data_format: str


@dataclass(frozen=True, slots=True)
class StreamingInputTable(Table):
    """A table filled from its input stream, in hourly partitions by arrival time."""

    kind: ClassVar[str] = "streaming input table"

    input_stream_shard_count: int
    partition_schedule_expression: str
    file_flush_interval_seconds: int
    retention_days: int | None = None
    sort_by: tuple[str, ...] = ()
    dedupe_key: str | None = None
    peak_events_per_second: int | None = None
    event_bytes: int | None = None
    table_format: str = HIVE
    compaction: str | None = None
    event_time: str | None = None

    @property
    def partition_key_name(self) -> str:
        return self.partition_keys[0].name


def shards_needed(records_per_second: int | Fraction, record_bytes: int) -> int:
    """How many shards these records need, at least 1. record_bytes: without the partition key, for which 32 bytes are
    added.

    "Quotas and limits" of Kinesis Data Streams: a shard takes 1,000 records and 1 MB a second, partition keys
    included; both apply. A MB is taken as 10^6 bytes, the smaller reading.
    """
    bytes_per_second = records_per_second * (record_bytes + PARTITION_KEY_BYTES)
    by_records = -(-records_per_second // SHARD_RECORDS_PER_SECOND)
    by_bytes = -(-bytes_per_second // SHARD_BYTES_PER_SECOND)
    return max(1, by_records, by_bytes)


@dataclass(frozen=True, slots=True)
class BatchInputTable(Table):
    """A table filled by a job, the user's function or statement, on a schedule."""

    kind: ClassVar[str] = "batch input table"

    job: Callable[..., Any] | SqlJob
    schedule_expression: str
    policy_arns_to_attach: tuple[str, ...]
    reads: tuple[str, ...] = ()
    run_when_complete: bool = False
    rerun_when_late: bool = False
    rerun_when_event_hour_changes: bool = False
    missed_runs: str = "latest"
    retention_days: int | None = None
    memory_mb: int = JOB_MEMORY_MB
    timeout_s: int = JOB_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class InputStream:
    """The stream to which producers of a streaming input table send; it has the name of its table."""

    name: str
    shard_count: int


def checked_name(name: Any, what: str) -> str:
    """`name` if Glue and Athena accept it without quotes, else DeclarationError."""
    valid = (
        f"a {what} name starts with a lower-case letter and has lower-case letters, digits and underscores, "
        f"at most {NAME_CHARACTERS_MAX}"
    )
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > NAME_CHARACTERS_MAX:
        hint = ""
        if isinstance(name, str):
            suggestion = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:NAME_CHARACTERS_MAX]
            if _NAME.fullmatch(suggestion):
                hint = f" Try {suggestion!r}."
        raise DeclarationError(f"Illegal {what} name {name!r}: {valid}.{hint}")
    return name


def checked_table_name(name: Any) -> str:
    checked_name(name, "table")
    if name in _RESERVED:
        raise DeclarationError(f"The table name {name!r} is reserved: {_RESERVED[name]}. Choose another name.")
    if name.endswith(QUARANTINE_SUFFIX):
        raise DeclarationError(
            f"The table name {name!r} is reserved: '<table>{QUARANTINE_SUFFIX}' holds the rejected records of "
            "<table>. Choose a name with another ending."
        )
    return str(name)


def checked_columns(table: str, columns: Columns, what: str = "column") -> tuple[Column, ...]:
    """The declared columns of a table, from `{name: type}`, `{name: (type, JSON key)}` or
    `[{"name": ..., "type": ...}]`."""
    form = "a mapping {name: type} or a list of {'name': ..., 'type': ...}"
    if isinstance(columns, Mapping):
        pairs = list(columns.items())
    elif isinstance(columns, Iterable) and not isinstance(columns, str | bytes):
        pairs = []
        for item in columns:
            if not isinstance(item, Mapping) or set(item) != {"name", "type"}:
                raise DeclarationError(f"Table {table!r}: {what} {item!r} is not understood; columns are {form}.")
            pairs.append((item["name"], item["type"]))
    else:
        raise DeclarationError(f"Table {table!r}: got {columns!r}; columns are {form}.")
    found: dict[str, Column] = {}
    for name, type_text in pairs:
        try:
            column = _checked_column(name, type_text, what)
        except DeclarationError as error:
            raise DeclarationError(f"Table {table!r}, {what} {name!r}: {error}") from None
        if name in found:
            raise DeclarationError(f"Table {table!r} has two {what}s named {name!r}; each name is given once.")
        found[name] = column
    _check_keys(table, found.values())
    return tuple(found.values())


def _checked_column(name: Any, given: Any, what: str) -> Column:
    if not isinstance(given, tuple):
        return Column(checked_name(name, what), parse_type(given))
    if len(given) != 2:
        raise DeclarationError(f"got {given!r}; a type and a JSON key are (type, key).")
    type_text, key = given
    if not isinstance(key, str) or not key or ILLEGAL_IN_KEY.search(key) or len(key) > NAME_CHARACTERS_MAX:
        raise DeclarationError(
            f"the JSON key {key!r} is not valid: it is a text of 1 to {NAME_CHARACTERS_MAX} characters, without "
            "quotes, backslashes and control characters."
        )
    lowered = key.lower()  # keys match whatever their case
    return Column(checked_name(name, what), parse_type(type_text), None if lowered == name else lowered)


def _check_keys(table: str, columns: Iterable[Column]) -> None:
    """Raises DeclarationError if two columns take one key."""
    takes: dict[str, str] = {}
    for column in columns:
        if other := takes.get(column.json_key):
            raise DeclarationError(
                f"Table {table!r}: the columns {other!r} and {column.name!r} both take the JSON key "
                f"{column.json_key!r}; a key is for one column."
            )
        takes[column.json_key] = column.name


def checked_table(
    name: Any, columns: Columns, partition_keys: Columns | None, data_format: str, has_events: bool = False
) -> dict[str, Any]:
    """The fields that every kind of table has, checked. has_events: whether its rows come from JSON objects, so that
    columns may take other keys."""
    checked_table_name(name)
    if data_format not in DATA_FORMATS:
        raise DeclarationError(
            f"Table {name!r}: unknown data format {data_format!r}; valid are {' and '.join(map(repr, DATA_FORMATS))}."
        )
    checked = checked_columns(name, columns)
    if not checked:
        raise DeclarationError(f"Table {name!r} has no columns; declare at least one, e.g. {{'id': 'string'}}.")
    keys = checked_columns(name, partition_keys or (), "partition key")
    for each in (*(() if has_events else checked), *keys):
        if each.key is not None:
            raise DeclarationError(
                f"Table {name!r}: {each.name!r} has the JSON key {each.key!r}; only a column of a streaming input "
                "table takes a key of events."
            )
    for key in keys:
        if isinstance(key.type, Array | Map | Struct):
            raise DeclarationError(f"Table {name!r}: partition key {key.name!r} is {key.type}; use string.")
        if any(column.name == key.name for column in checked):
            raise DeclarationError(
                f"Table {name!r}: {key.name!r} is declared as a column and as a partition key. A partition key is "
                "queryable like a column and is not stored in the files: remove it from the columns."
            )
    return {"name": name, "columns": checked, "partition_keys": keys, "data_format": data_format}


def check_event_time(table: str, name: Any, columns: Iterable[Column]) -> None:
    """Check that `name`, if it is not None, is a column that says when an event happened."""
    if name is None:
        return
    types = {column.name: str(column.type) for column in columns}
    if not isinstance(name, str) or types.get(name) != "timestamp":
        is_other = isinstance(name, str) and name in types
        what = f"which is {types[name]}" if is_other else "which is no column of it"
        valid = ", ".join(repr(each) for each, kind in types.items() if kind == "timestamp") or "none"
        raise DeclarationError(
            f"Table {table!r}: event_time names {name!r}, {what}; valid are its columns of type timestamp: {valid}. "
            "A timestamp takes texts, and numbers of seconds or milliseconds since 1970."
        )


QUARANTINE_COLUMNS = tuple(
    Column(name, parse_type(kind))
    for name, kind in (
        ("arrival_timestamp", "timestamp"),
        ("shard_id", "string"),
        ("sequence_number", "string"),
        ("error_code", "string"),
        ("error_message", "string"),
        ("column_name", "string"),
        ("expected", "string"),
        ("received", "string"),
        ("raw_data", "binary"),
    )
)
"""The columns of a quarantine. raw_data has the bytes of the record as they were sent."""

RUNS_TABLE = "job_runs"
RUNS_COLUMNS = tuple(
    Column(name, parse_type(kind))
    for name, kind in (
        ("job", "string"),
        ("scheduled", "timestamp"),
        ("partition", "string"),
        ("attempt", "int"),
        ("cause", "string"),
        ("started", "timestamp"),
        ("ended", "timestamp"),
        ("outcome", "string"),
        ("rows", "bigint"),
        ("error", "string"),
    )
)
"""The columns of the table of runs, which a warehouse with a batch input table has."""

HISTORY_TABLE = "query_history"
HISTORY_COLUMNS = tuple(
    Column(name, parse_type(kind))
    for name, kind in (
        ("id", "string"),
        ("who", "string"),
        ("workgroup", "string"),
        ("sql", "string"),
        ("full_scan", "boolean"),
        ("asked", "timestamp"),
        ("started", "timestamp"),
        ("ended", "timestamp"),
        ("outcome", "string"),
        ("partitions", "bigint"),
        ("files", "bigint"),
        ("bytes", "bigint"),
        ("rows", "bigint"),
        ("error", "string"),
    )
)
"""The columns of the table of queries."""
