"""One statement in Athena, and its result as an Arrow table; in a guarded workgroup the gateway starts it.

An interrupt (Ctrl-C) stops the statement in Athena, so that it scans and costs no more. One that comes while it is
being started is held until its id is known.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from datawarehouse.errors import BadRequest, QueryFailed
from datawarehouse.functions.athena import READERS, RESULT_ROWS_MAX, Athena, Column, Row, not_started, too_many_rows
from datawarehouse.operate.clients import Clients, refused
from datawarehouse.operate.deployment import Deployment
from datawarehouse.operate.gateway import Gateway
from datawarehouse.query.result import Result, Statistics

PEOPLE = "adhoc"
"""The workgroup of people, which a query is in that names none (docs/guides/deploy-to-aws.md, "Who may do what")."""
BILLED_BYTES_MIN = 10_000_000
"""Amazon Athena pricing: a statement that reads data is billed for at least 10 MB."""
_FOREVER_MS = sys.maxsize


@dataclass(frozen=True, slots=True)
class Answer:
    """result: its statistics are Athena's; files are not counted. billed_bytes: how many bytes it bills.

    texts: the columns of arrays, maps and the like, which have Athena's text, which does not say where a value ends.
    """

    result: Result
    billed_bytes: int
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One statement; each `?` takes the next of `parameters`, as text. workgroup: the audience that it is for.
    full_scan: whether it may read hours without a bound, if the workgroup permits it."""

    sql: str
    parameters: Sequence[str]
    workgroup: str = PEOPLE
    full_scan: bool = False


def answer(deployment: Deployment, clients: Clients, asked: Question, say: Callable[[int], None]) -> Answer:
    """The answer to one statement. say: is told how many rows there are so far.

    Raises BadRequest, SqlSyntaxError, QueryFailed, and QueryLimitExceeded for more than a million rows; in a guarded
    workgroup also what its guard answers, ScanRefused above all.
    """
    name = _workgroup(deployment, asked.workgroup)
    results = f"s3://{deployment.results_bucket}/{asked.workgroup}/"
    athena = Athena(clients("athena"), deployment.database, name, results, lambda: _FOREVER_MS)
    if asked.workgroup in deployment.gateway:
        start = Gateway(deployment, clients, asked.workgroup).start
        execution = _run(athena, lambda: start(asked.sql, asked.parameters, full_scan=asked.full_scan))
    else:
        execution = _run(athena, lambda: athena.start(asked.sql, asked.parameters))
    batches: list[pa.RecordBatch] = []
    texts: list[str] = []
    count = 0
    for columns, rows in athena.pages(execution):
        batches.append(_batch(columns, rows))
        texts = [column["Name"] for column in columns if column["Type"] not in READERS]
        count += len(rows)
        if count > RESULT_ROWS_MAX:
            raise too_many_rows()
        say(count)
    told = execution.get("Statistics", {})
    scanned = int(told.get("DataScannedInBytes", 0))
    is_free = execution.get("StatementType") != "DML"
    statistics = Statistics(told.get("TotalExecutionTimeInMillis", 0), count, 0, scanned)
    billed = 0 if is_free else max(scanned, BILLED_BYTES_MIN)
    return Answer(Result(pa.Table.from_batches(batches), statistics), billed, tuple(texts))


def _workgroup(deployment: Deployment, audience: str) -> str:
    if audience not in deployment.workgroups:
        known = ", ".join(sorted(deployment.workgroups)) or "none"
        raise BadRequest(f"The deployment has no workgroup {audience!r}; it has {known}.")
    return deployment.workgroups[audience]


def _run(athena: Athena, start: Callable[[], str]) -> Any:
    """Run a statement to its end, or stop it when something happens here. start: starts it, and returns its id."""
    with _Interrupts() as interrupts:
        try:
            id = start()
        except ClientError as error:
            raise not_started(error) or refused(error) from None
        try:
            with interrupts.let_through():
                return athena.ended(id)
        except QueryFailed:
            raise
        except BaseException:
            with suppress(ClientError, BotoCoreError):
                athena.client.stop_query_execution(QueryExecutionId=id)
            raise


class _Interrupts:
    """Holds the first SIGINT, except in `let_through`. A second one acts as usual."""

    def __enter__(self) -> _Interrupts:
        self._came = False
        self._before = signal.signal(signal.SIGINT, self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            if self._came:
                raise KeyboardInterrupt
            yield
        finally:
            signal.signal(signal.SIGINT, self._hold)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True


def _batch(columns: Sequence[Column], rows: Sequence[Row]) -> pa.RecordBatch:
    arrays = []
    for place, column in enumerate(columns):
        read = READERS.get(column["Type"], str)
        texts = (row[place].get("VarCharValue") for row in rows)
        arrays.append(pa.array([None if text is None else read(text) for text in texts], _arrow_type(column)))
    return pa.RecordBatch.from_arrays(arrays, [column["Name"] for column in columns])


def _arrow_type(column: Column) -> pa.DataType:
    if column["Type"] == "decimal":
        return pa.decimal128(column["Precision"], column["Scale"])
    return _ARROW.get(column["Type"], pa.string())


_ARROW = {
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "float": pa.float32(),
    "real": pa.float32(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us"),
    "date": pa.date32(),
    "varbinary": pa.binary(),
}
