"""Checks of the arguments of `Warehouse`'s methods, each with the error that says what came and what is valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from datawarehouse.definition.job import checked_job
from datawarehouse.definition.sql_job import SqlJob, checked_sql_job
from datawarehouse.definition.tables import (
    EVENT_BYTES_MAX,
    MISSED_RUNS,
    PARTITION_KEY_BYTES,
    RETENTION_DAYS_MAX,
    SHARD_BYTES_PER_SECOND,
    SHARD_RECORDS_PER_SECOND,
    Column,
    shards_needed,
)
from datawarehouse.definition.types import Array, Map, Struct
from datawarehouse.errors import DeclarationError

POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/\S+")
SHARD_COUNT_MAX = 500
"""Kinesis Data Streams, "Quotas and limits": the default shard quota of the largest Regions."""


def checked_int(table: str, argument: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DeclarationError(
            f"Table {table!r}: {argument} is {value!r}; valid is a whole number from {low} to {high}."
        )
    return value


def check_hour_key(name: str, keys: Sequence[Column]) -> None:
    if len(keys) > 1 or any(str(key.type) != "string" for key in keys):
        given = ", ".join(f"{key.name} {key.type}" for key in keys)
        raise DeclarationError(
            f"Table {name!r}: the partition keys are {given}; a batch input table has none, or one of type string, "
            "which holds the hour that its job writes for."
        )


def checked_missed_runs(name: str, value: Any) -> str:
    if value not in MISSED_RUNS:
        valid = ", ".join(map(repr, MISSED_RUNS))
        raise DeclarationError(f"Table {name!r}: missed_runs is {value!r}; valid are {valid}.")
    return str(value)


def checked_work(name: str, job: Any, sql: Any) -> Callable[..., Any] | SqlJob:
    """The function or the statement that fills a batch input table."""
    if (job is None) == (sql is None):
        raise DeclarationError(f"Table {name!r} is filled by one of two: give job=... or sql=...")
    return checked_job(name, job) if sql is None else checked_sql_job(name, sql)


def checked_rerun(table: str, argument: str, value: Any, problem: str, is_hourly: bool, keys: Sequence[Column]) -> bool:
    """Whether a job is to run again for hours that changed. problem: why what it reads does not let that be seen; ""
    if it does."""
    if value is False:
        return False
    if value is not True:
        problem = f"is {value!r}; valid are True and False"
    elif not problem and not is_hourly:
        problem = "needs a run for each hour: give a schedule_expression such as 'rate(1 hour)'"
    elif not problem and not keys:
        problem = "needs hours that can be replaced: give partition_keys={'inserted_at': 'string'}"
    if problem:
        raise DeclarationError(f"Table {table!r}: {argument} {problem}.")
    return True


def checked_retention(table: str, days: Any) -> int | None:
    if days is not None:
        checked_int(table, "retention_days", days, 1, RETENTION_DAYS_MAX)
    return int(days) if days is not None else None


def check_peak(table: str, shards: int, peak: Any, event_bytes: Any) -> None:
    """Check that the declared shards are enough for the declared peak."""
    if peak is None and event_bytes is None:
        return
    if peak is None or event_bytes is None:
        raise DeclarationError(
            f"Table {table!r}: peak_events_per_second is {peak!r} and event_bytes is {event_bytes!r}; "
            "give both, or neither."
        )
    checked_int(table, "peak_events_per_second", peak, 1, SHARD_COUNT_MAX * SHARD_RECORDS_PER_SECOND)
    checked_int(table, "event_bytes", event_bytes, 1, EVENT_BYTES_MAX)
    needed = shards_needed(peak, event_bytes)
    if needed > shards:
        to_do = f"declare input_stream_shard_count={needed}, or a lower peak"
        if needed > SHARD_COUNT_MAX:
            to_do = (
                f"a table has at most {SHARD_COUNT_MAX}: declare several tables, or let producers put several events "
                "into a record and declare the records"
            )
        raise DeclarationError(
            f"Table {table!r}: input_stream_shard_count is {shards}; {peak} events a second of {event_bytes} bytes "
            f"need {needed} shards. A shard takes {SHARD_RECORDS_PER_SECOND} records and {SHARD_BYTES_PER_SECOND} "
            f"bytes a second, with {PARTITION_KEY_BYTES} bytes of partition key a record. Next: {to_do}."
        )


def check_orderable(table: str, argument: str, name: Any, columns: Iterable[Column]) -> None:
    """Check that `name` is a column whose values can be compared."""
    orderable = [column.name for column in columns if not isinstance(column.type, Array | Map | Struct)]
    if name not in orderable:
        raise DeclarationError(
            f"Table {table!r}: {argument} names {name!r}; valid are the columns that are not nested: "
            f"{listed(orderable)}."
        )


def checked_names(table: str, argument: str, names: Any) -> tuple[str, ...]:
    """A list of texts; a single text counts as a list of one."""
    given = (names,) if isinstance(names, str) else names
    found = tuple(given) if isinstance(given, Iterable) else (None,)
    if not all(isinstance(name, str) for name in found):
        raise DeclarationError(
            f"Table {table!r}: {argument} is {names!r}; valid is a list of texts. Leave it out for none."
        )
    return found


def checked_arns(table: str, arns: Any) -> tuple[str, ...]:
    found = checked_names(table, "policy_arns_to_attach", arns)
    for arn in found:
        if isinstance(arns, str) or not POLICY_ARN.fullmatch(arn):
            raise DeclarationError(
                f"Table {table!r}: policy_arns_to_attach has {arn!r}; valid is a list of IAM policy ARNs, "
                "e.g. ['arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess']."
            )
    return found


def listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
