"""The declaration: which tables a warehouse has. Nothing here opens, creates or connects to anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from datawarehouse.definition.job import checked_job
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.definition.tables import (
    BatchInputTable,
    Columns,
    InputStream,
    StreamingInputTable,
    Table,
    checked_name,
    checked_table,
)
from datawarehouse.errors import DeclarationError, UnknownName

SHARD_COUNT_MAX = 500
"""Kinesis Data Streams, "Quotas and limits": the default shard quota of the largest Regions."""


class Warehouse:
    """A warehouse, named as its Glue database, and its tables.

    The `with_...` methods add a table to this warehouse and return it, so that calls can be chained or written
    one by one. Each raises DeclarationError at once when the declaration is wrong, and then adds nothing.
    """

    def __init__(self, name: str) -> None:
        self.name = checked_name(name, "warehouse")
        self._tables: dict[str, Table] = {}

    def __repr__(self) -> str:
        return f"Warehouse({self.name!r}, tables={self.list_tables()})"

    def with_table(
        self,
        name: str,
        columns: Columns,
        partition_keys: Columns | None = None,
        data_format: str = "parquet",
    ) -> Warehouse:
        """Declare a table that you fill by your own means.

        columns, partition_keys: `{name: type}` or `[{"name": ..., "type": ...}]`, types as Glue writes them.
        data_format: "parquet" or "JSON" (one object a line).
        """
        self._check_unused(name)
        return self._add(Table(**checked_table(name, columns, partition_keys, data_format)))

    def with_streaming_input_table(
        self,
        name: str,
        columns: Columns,
        input_stream_shard_count: int = 1,
        partition_key_name: str = "inserted_at",
        partition_schedule_expression: str = "rate(1 hour)",
        file_flush_interval_seconds: int = 900,
    ) -> Warehouse:
        """Declare a table filled from an input stream of the same name.

        Events land in hourly partitions by arrival time; `partition_key_name` is the name under which SQL sees
        the hour, a string YYYY/MM/DD/HH. `file_flush_interval_seconds` (1 to 900) shapes files: how often the
        small fresh files of an hour are merged into one. `partition_schedule_expression` says how often AWS
        registers partitions; the embedded host registers an hour with its first event.
        """
        self._check_unused(name)
        _checked_int(name, "input_stream_shard_count", input_stream_shard_count, 1, SHARD_COUNT_MAX)
        _checked_int(name, "file_flush_interval_seconds", file_flush_interval_seconds, 1, 900)
        parse_schedule(partition_schedule_expression)
        fields = checked_table(name, columns, {partition_key_name: "string"}, "parquet")
        return self._add(
            StreamingInputTable(
                **fields,
                input_stream_shard_count=input_stream_shard_count,
                partition_schedule_expression=partition_schedule_expression,
                file_flush_interval_seconds=file_flush_interval_seconds,
            )
        )

    def with_batch_input_table(
        self,
        name: str,
        columns: Columns,
        job: Callable[..., Any],
        schedule_expression: str,
        partition_keys: Columns | None = None,
        policy_arns_to_attach: Iterable[str] = (),
        data_format: str = "parquet",
    ) -> Warehouse:
        """Declare a table filled by `job`, a module-level function of one argument, on a schedule.

        schedule_expression: as EventBridge reads it, e.g. "rate(1 hour)" or "cron(20 * * * ? *)".
        partition_keys: none, or one string key, which holds the hour (YYYY/MM/DD/HH) that rows are written for.
        policy_arns_to_attach: IAM policies that the job's role gets on AWS; not used by the embedded host.
        """
        self._check_unused(name)
        fields = checked_table(name, columns, partition_keys, data_format)
        keys = fields["partition_keys"]
        if len(keys) > 1 or any(str(key.type) != "string" for key in keys):
            given = ", ".join(f"{key.name} {key.type}" for key in keys)
            raise DeclarationError(
                f"Table {name!r}: the partition keys are {given}; a batch input table has none, or one of type string, "
                "which holds the hour that its job writes for."
            )
        parse_schedule(schedule_expression)
        return self._add(
            BatchInputTable(
                **fields,
                job=checked_job(name, job),
                schedule_expression=schedule_expression,
                policy_arns_to_attach=_checked_arns(name, policy_arns_to_attach),
            )
        )

    def get_table(self, name: str) -> Table:
        """The declared table, or UnknownName with the names there are."""
        if name not in self._tables:
            raise UnknownName(f"Warehouse {self.name!r} has no table {name!r}; it has {_listed(self._tables)}.")
        return self._tables[name]

    def list_tables(self) -> list[str]:
        """The names of the declared tables, in the order of their declaration."""
        return list(self._tables)

    def get_input_stream(self, name: str) -> InputStream:
        """The input stream of a streaming input table, or UnknownName with the streams there are."""
        table = self._tables.get(name)
        if not isinstance(table, StreamingInputTable):
            streams = [t.name for t in self.tables() if isinstance(t, StreamingInputTable)]
            why = f"{name!r} is a {table.kind}, which has none" if table else f"there is no table {name!r}"
            raise UnknownName(
                f"Warehouse {self.name!r} has no input stream {name!r}: {why}; it has {_listed(streams)}."
            )
        return InputStream(table.name, table.input_stream_shard_count)

    def tables(self) -> list[Table]:
        """The declared tables, in the order of their declaration."""
        return list(self._tables.values())

    def _check_unused(self, name: Any) -> None:
        taken = self._tables.get(name.lower()) if isinstance(name, str) else None
        if taken:
            raise DeclarationError(
                f"Warehouse {self.name!r} already has a {taken.kind} {taken.name!r}; got {name!r}. "
                "A name is used once, in whatever case."
            )

    def _add(self, table: Table) -> Warehouse:
        self._tables[table.name] = table
        return self


def _checked_int(table: str, argument: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DeclarationError(
            f"Table {table!r}: {argument} is {value!r}; valid is a whole number from {low} to {high}."
        )


def _checked_arns(table: str, arns: Any) -> tuple[str, ...]:
    found = tuple(arns) if not isinstance(arns, str) else (arns,)
    for arn in found:
        if isinstance(arns, str) or not isinstance(arn, str) or not arn.startswith("arn:"):
            raise DeclarationError(
                f"Table {table!r}: policy_arns_to_attach has {arn!r}; valid is a list of IAM policy ARNs, "
                "e.g. ['arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess']."
            )
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
