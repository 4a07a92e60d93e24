"""Runs the statements of a job in Athena: values replace `?`, and the rows have Python values.

Sources: Athena API reference, StartQueryExecution, GetQueryExecution, GetQueryResults; Amazon Athena user guide, "Use
parameterized queries" (a parameter's text is read as an SQL expression) and "Data types in Amazon Athena".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from datawarehouse.errors import (
    BadRequest,
    QueryError,
    QueryFailed,
    QueryLimitExceeded,
    QueryRefused,
    SqlSyntaxError,
)
from datawarehouse.functions.clients import ClientError, error_code

STOP_BEFORE_END_MS = 10_000
"""A query that is still running this long before the end of the function's time is stopped."""

RESULT_ROWS_MAX = 1_000_000
_PARAMETER_CHARACTERS_MAX = 1024
Column = Mapping[str, Any]
"""A member of ColumnInfo."""
Row = Sequence[Mapping[str, str]]
"""The data of a row; NULL has no VarCharValue."""
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Athena:
    """Runs statements in one workgroup.

    results: where Athena writes results, an s3:// URL. remaining_ms: how much of the function's time is left.
    """

    client: Any
    database: str
    workgroup: str
    results: str
    remaining_ms: Callable[[], int]

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement; each `?` in it takes the next of `parameters`.

        Raises BadRequest, QueryFailed, QueryLimitExceeded, QueryRefused for a result column of a nested type.
        """
        rows: list[tuple[Any, ...]] = []
        readers: list[Callable[[str], Any]] = []
        for columns, found in self.pages(self.run(sql, parameters)):
            readers = readers or [_reader(column) for column in columns]
            rows += [_values(readers, row) for row in found]
            if len(rows) > RESULT_ROWS_MAX:
                raise too_many_rows()
        return rows

    def pages(self, execution: Mapping[str, Any]) -> Iterator[tuple[list[Column], list[Row]]]:
        """The result of a statement that has ended, 1,000 rows at a time: its columns as Athena describes them, and the
        rows, each a list of data. There is at least one page."""
        is_headed = execution.get("StatementType") == "DML"  # results of DDL and SHOW have no row of names
        pages = self.client.get_paginator("get_query_results").paginate(
            QueryExecutionId=execution["QueryExecutionId"], PaginationConfig={"PageSize": 1000}
        )
        for page in pages:
            result = page["ResultSet"]
            found = result["Rows"]
            if is_headed:
                found, is_headed = found[1:], False
            yield result["ResultSetMetadata"]["ColumnInfo"], [row["Data"] for row in found]

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> Mapping[str, Any]:
        """Run a statement to its end; returns the answer of GetQueryExecution. Raises the same errors as `query`."""
        return self.ended(self.start(sql, parameters))

    def start(self, sql: str, parameters: Sequence[Any] = (), token: str = "") -> str:
        """Start a statement; returns its id. token: 32 to 128 characters; a second call with the same one, within
        hours, starts nothing and returns the id of the first (default: one that no other call has)."""
        given: dict[str, Any] = {"ClientRequestToken": token} if token else {}
        if parameters:
            given["ExecutionParameters"] = [as_sql(value) for value in parameters]
        started = self.client.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.database},
            WorkGroup=self.workgroup,
            ResultConfiguration={"OutputLocation": self.results},
            **given,
        )
        return str(started["QueryExecutionId"])

    def ended(self, id: str) -> Mapping[str, Any]:
        """Wait until a statement has ended; returns the answer of GetQueryExecution."""
        wait_s = _FIRST_WAIT_S
        while True:
            execution: Mapping[str, Any] = self.client.get_query_execution(QueryExecutionId=id)["QueryExecution"]
            status = execution["Status"]
            if status["State"] == "SUCCEEDED":
                return execution
            if status["State"] in ("FAILED", "CANCELLED"):
                reason = status.get("StateChangeReason", "no reason was given")
                raise QueryFailed(f"Athena query {id} {status['State'].lower()}: {reason}")
            if self.remaining_ms() < STOP_BEFORE_END_MS:
                self.client.stop_query_execution(QueryExecutionId=id)
                raise QueryLimitExceeded(
                    f"Athena query {id} was stopped: it was still {status['State'].lower()} "
                    f"{STOP_BEFORE_END_MS / 1000:g} s before the end of the function's time. Read fewer partitions, or "
                    "give the job more time.",
                    "timeout",
                )
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def not_started(error: ClientError) -> QueryError | None:
    """What a refusal of StartQueryExecution says of the statement; None if it was refused for something else."""
    if error_code(error) != "InvalidRequestException":
        return None
    told = error.response.get("AthenaErrorCode", "")
    message = f"Athena refused the statement: {error.response['Error'].get('Message') or error}"
    return SqlSyntaxError(message) if told == "MALFORMED_QUERY" else QueryFailed(message)


def too_many_rows() -> QueryLimitExceeded:
    return QueryLimitExceeded(
        f"The result has more than {RESULT_ROWS_MAX} rows. Aggregate, or add LIMIT.", "result_rows_max"
    )


def as_sql(value: Any) -> str:
    """A value as an SQL expression for Athena. Raises BadRequest if there is none."""
    text = _literal(value)
    if text is None:
        raise BadRequest(
            f"A parameter is {value!r}; valid are str, int, float, bool, Decimal, datetime, date, bytes and None."
        )
    if len(text) > _PARAMETER_CHARACTERS_MAX:
        raise BadRequest(
            f"A parameter has {len(text)} characters as SQL; Athena takes at most {_PARAMETER_CHARACTERS_MAX}. Write "
            "the value into the statement."
        )
    return text


def _literal(value: Any) -> str | None:
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return "'" + value.replace("'", "''") + "'"
        case float():
            return _double(value)
        case Decimal() if value.is_finite():
            return f"DECIMAL '{value:f}'"
        case datetime():
            instant = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            digits = "microseconds" if instant.microsecond % 1000 else "milliseconds"
            return f"TIMESTAMP '{instant.isoformat(' ', digits)}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case bytes():
            return f"X'{value.hex()}'"
        case _:
            return None


def _double(value: float) -> str:
    """An expression of type double: a number with an exponent, since one without may be a decimal."""
    if not math.isfinite(value):
        return "nan()" if math.isnan(value) else "infinity()" if value > 0 else "-infinity()"
    digits, _, exponent = repr(value).partition("e")
    return f"{digits}E{int(exponent or 0)}"


def _reader(column: Column) -> Callable[[str], Any]:
    kind = column["Type"]
    if kind not in READERS:
        advice = (
            f"json_format(CAST({column['Name']} AS JSON))"
            if kind in ("array", "map", "row")
            else f"CAST({column['Name']} AS varchar)"
        )
        raise QueryRefused(
            f"The result column {column['Name']!r} is of type {kind}, which has no exact text; write {advice}."
        )
    return READERS[kind]


def _values(readers: Sequence[Callable[[str], Any]], data: Row) -> tuple[Any, ...]:
    return tuple(
        read(datum["VarCharValue"]) if "VarCharValue" in datum else None
        for read, datum in zip(readers, data, strict=True)
    )


def _instant(text: str) -> datetime:
    """A time in UTC, without a zone. Raises QueryRefused for another zone."""
    instant, _, zone = text.partition(" UTC")
    try:
        return datetime.fromisoformat(instant + zone)
    except ValueError:
        raise QueryRefused(
            f"A result has the time {text!r}, in another zone than UTC; write date_format(...) around it."
        ) from None


READERS: dict[str, Callable[[str], Any]] = {
    "varchar": str,
    "char": str,
    "string": str,
    "json": str,
    "unknown": str,  # the type of a NULL without a cast
    "tinyint": int,
    "smallint": int,
    "integer": int,
    "int": int,
    "bigint": int,
    "double": float,
    "float": float,
    "real": float,
    "decimal": Decimal,
    "boolean": "true".__eq__,
    "timestamp": datetime.fromisoformat,
    "timestamp with time zone": _instant,
    "date": date.fromisoformat,
    "varbinary": bytes.fromhex,
}
"""From the text of a value, by its type; a type that is not here has no exact text."""
