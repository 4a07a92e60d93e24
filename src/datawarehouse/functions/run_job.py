"""The handler of a Lambda function that runs a job and stores its rows; `publish` says how rows become visible.

The job gets the same context as on the embedded host (`definition/job.py`). The rows that it returns or yields are
written for the newest hour that has ended. A row that does not fit, or an error of the job, ends the run before any row
is stored. The error is raised, so that Lambda retries the run, and keeps the event if no attempt succeeds.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Protocol

from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.job import run_function
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_of
from datawarehouse.errors import BadRequest
from datawarehouse.functions.athena import Athena
from datawarehouse.functions.clients import client
from datawarehouse.functions.instant import scheduled_ms
from datawarehouse.functions.late import PastRun, mark_of, watch
from datawarehouse.functions.logs import log
from datawarehouse.functions.publish import HourRows, Publisher, point_again
from datawarehouse.functions.rows import RowWriter
from datawarehouse.functions.run_log import logged_run
from datawarehouse.functions.tables import DescribedTable, expire_old, read_table

_BYTES_IN_MEMORY_MAX = 16 * 1024 * 1024  # of one hour; more bytes go to Lambda's /tmp


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used here."""

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, int]:
    """How many rows were written, for each partition. Raises what the job raises.

    With the event {"point_again_from": "2026/11/01/00"} the job does not run: the hours from that one on are pointed to
    their newest complete runs, and the answer has a 0 for each that pointed elsewhere.
    """
    glue = client("glue")
    table = read_table(glue, os.environ["DW_DATABASE"], os.environ["DW_TABLE"])
    if since := event.get("point_again_from"):
        return point_hours_again(glue, table, since)
    time_ms, results = scheduled_ms(event), os.environ["DW_RESULTS"]
    athena = athena_for(table, results, context)

    def run(time_ms: int) -> dict[str, int]:
        mark = mark_of(PastRun(time_ms, datetime.now(UTC)))
        partition = partition_of(time_ms - HOUR_MS)
        with logged_run(table.name, partition, time_ms) as stored, ExitStack() as files:
            job = LambdaJobContext(table, time_ms, athena, files)
            run_function(_function(os.environ["DW_JOB"]), job)
            Publisher(glue, client("s3"), athena, table, results, mark).publish(job.written)
            stored |= {partition: rows.count for partition, rows in job.written.items()}
        return stored

    before_ms = context.get_remaining_time_in_millis()
    written = run(time_ms)
    expire_old(glue, table, time_ms)
    took_ms = before_ms - context.get_remaining_time_in_millis()
    for again in watch(glue, table, time_ms, run, context.get_remaining_time_in_millis, took_ms).values():
        written = again | written
    return written


def point_hours_again(glue: Any, table: DescribedTable, since: str) -> dict[str, int]:
    """Point the hours from `since` on to their newest complete runs; a 0 for each that pointed elsewhere."""
    start_of(since)
    if not table.partition_key:
        raise BadRequest(f"Table {table.name!r} has no partition key, so it has no hours that could be pointed again.")
    pointed = point_again(glue, client("s3"), table, since)
    log("hours are pointed to their newest complete runs", table=table.name, since=since, runs=pointed)
    return dict.fromkeys(pointed, 0)


def athena_for(table: DescribedTable, results: str, context: LambdaContext) -> Athena:
    """Runs the statements of a table's job, until shortly before the function's time ends."""
    return Athena(
        client("athena"),
        table.database,
        os.environ["DW_WORKGROUP"],
        f"{results}/batch/{table.name}/",
        context.get_remaining_time_in_millis,
    )


class LambdaJobContext:
    """The job context of `definition/job.py`; keeps the written rows, by partition."""

    def __init__(self, table: DescribedTable, time_ms: int, athena: Athena, files: ExitStack) -> None:
        """files: closes the temporary files that hold rows."""
        self.time = instant_of(time_ms)
        self.partition = partition_of(time_ms - HOUR_MS)
        self.open_partition = partition_of(time_ms)
        self.written: dict[str, HourRows] = {}
        self._writer = RowWriter(table.name, table.columns)
        self._athena = athena
        self._files = files

    def query(self, sql: str, params: Sequence[Any] | None = None) -> Iterable[tuple[Any, ...]]:
        """The result of one statement of Athena SQL; each `?` in it takes the next of `params`."""
        return self._athena.query(sql, params or ())

    def write(self, rows: Iterable[Mapping[str, Any]], partition: str | None = None) -> None:
        """Write rows for a partition, by default for `self.partition`.

        A row maps column names to values; a column that it leaves out is NULL. Values are converted by the same rules
        as those of an event. Raises BadRequest, naming the row, if one does not fit.
        """
        partition = self.partition if partition is None else partition
        start_of(partition)
        if partition not in self.written:
            spool = tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY_MAX)  # noqa: SIM115 - `files` closes it
            self.written[partition] = HourRows(self._files.enter_context(spool))
        hour = self.written[partition]
        for row in rows:
            hour.lines.write(self._writer.line(hour.count, row))
            hour.count += 1


def _function(job: str) -> Callable[[LambdaJobContext], Any]:
    """The function that "module:function" names."""
    module, _, name = job.partition(":")
    function: Callable[[LambdaJobContext], Any] = getattr(importlib.import_module(module), name)
    return function
