"""The handler of the Lambda function through which Firehose sends records on their way to an Iceberg table.

Firehose delivers JSON to Iceberg as it is, with exactly the names and types of the columns, and no value is converted.
So each record is converted here, by the rules of the embedded host.

1. A record becomes the JSON object of one row: every column by its name, and the hour in which the record arrived in
   the stream. Firehose writes one row for a record, so that a record with several objects is rejected.
2. A record that cannot be converted becomes an error document, like those of Firehose. The documents of an invocation
   are put into one object for each hour, before Firehose is told to drop the records. A put that fails is raised:
   Firehose then invokes the function again with the same records, which puts the same object under the same name, and
   gives up after some attempts, with an error document of its own for each record.

Sources: Firehose developer guide, "Transform source data" (records and results), "Understand supported data types"
(forms of values), "Considerations and limitations" (one JSON object per record, names and types that match exactly);
Kinesis Data Streams developer guide, "Use the KPL with Amazon Data Firehose" (aggregated records are taken apart before
this function gets them). Nowhere is said whether a column may be missing, so NULL is written, unless the answer would
be larger than Lambda allows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from datawarehouse.definition.coercion import by_name, members, rule_for
from datawarehouse.definition.documents import Object, documents, quoted
from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.rejects import MALFORMED_DATA, PARSE_ERROR, Reason, Reject
from datawarehouse.definition.table_format import TABLE
from datawarehouse.definition.tables import Column, from_wire
from datawarehouse.errors import BadRequest
from datawarehouse.functions.clients import client
from datawarehouse.functions.json_text import Form, writer
from datawarehouse.functions.logs import log
from datawarehouse.functions.metric_names import NAMESPACE, REJECTED_RECORDS

ANSWER_BYTES_MAX = 5_900_000
"""Lambda quotas: an answer has 6 MB at most. What does not fit even without its NULLs is rejected."""
FOR_ICEBERG = Form(timestamp=lambda ms: str(ms * 1000), decimal=lambda value: f'"{value:f}"', with_nulls=True)
"""Timestamps in microseconds. Decimals as text, which no reader takes for a floating number."""
_TOO_DEEP = (PARSE_ERROR, "values nested at most about 500 levels", "a deeper value")
_AGGREGATE = b"\xf3\x89\x9a\xc2"
_ENTRY_BYTES = 46  # of an answer as JSON, beside the id and the data of a record


class EventConverter:
    """Converts records to rows of a table. hour: the name of the column that gets the hour of arrival."""

    def __init__(self, columns: Sequence[Column], hour: str) -> None:
        self._names = [column.name for column in columns]
        self._keys = [column.json_key for column in columns]
        self._rules = [rule_for(column.type) for column in columns]
        self._writers = [(quoted(column.name), writer(column.type, FOR_ICEBERG)) for column in columns]
        self._hour = quoted(hour)

    def row(self, record: bytes, partition: str, with_nulls: bool = True) -> str:
        """The JSON object of a record's row. with_nulls: whether columns that are NULL are in it. Raises Reject."""
        if record.startswith(_AGGREGATE):
            raise Reject(PARSE_ERROR, "JSON", "an aggregate of the Kinesis Producer Library (KPL) that is damaged")
        rows = [self._text(document, partition, with_nulls) for document in documents(record)]
        if len(rows) > 1:
            one = "one JSON object, since Firehose writes one row for a record to an Iceberg table"
            raise Reject(MALFORMED_DATA, one, f"{len(rows)} objects")
        return rows[0]

    def _text(self, document: Object, partition: str, with_nulls: bool) -> str:
        try:
            found = members(document)
            row = by_name(self._names, self._rules, [found.get(key) for key in self._keys])
            texts = [
                f"{name}:{'null' if value is None else write(value)}"
                for (name, write), value in zip(self._writers, row, strict=True)
                if with_nulls or value is not None
            ]
        except RecursionError:
            raise Reject(*_TOO_DEEP) from None
        return "{" + ",".join([*texts, f'{self._hour}:"{partition}"']) + "}"


@dataclass(frozen=True, slots=True)
class _Rejected:
    sequence: str
    sub_sequence: int
    arrival_ms: int
    reason: Reason
    data: str


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """What Firehose does with each record. Raises what S3 answers if error documents could not be put."""
    name, converter = os.environ["DW_TABLE"], _converter(os.environ["LAMBDA_TASK_ROOT"])
    answers, rejected, fits = _answers(converter, event["records"], with_nulls=True)
    if not fits:  # many small records of a table with many columns
        answers, rejected, _ = _answers(converter, event["records"], with_nulls=False)
    if rejected:
        _put(name, rejected)
        log("rejected records", **_counted(name, len(rejected)))
    return {"records": answers}


def _answers(
    converter: EventConverter, records: Sequence[Mapping[str, Any]], *, with_nulls: bool
) -> tuple[list[dict[str, str]], list[_Rejected], bool]:
    """The answer for each record, those that are rejected, and whether an answer of Lambda had place for all rows."""
    answers: list[dict[str, str]] = []
    rejected: list[_Rejected] = []
    size = sum(len(record["recordId"]) + _ENTRY_BYTES for record in records)
    fits = True
    for record in records:
        arrival_ms, sequence, sub_sequence = _origin(record)
        reason = None
        try:
            row = converter.row(base64.b64decode(record["data"]), _partition(arrival_ms // HOUR_MS), with_nulls)
        except Reject as reject:
            reason = reject.reason
        except Exception as error:
            log("a record could not be converted and is kept as a reject", sequence=sequence, error=repr(error))
            fault = f"a value at which conversion failed ({type(error).__name__}: {error})"
            reason = Reason(MALFORMED_DATA, "a value that can be converted", fault)
        if reason is None:
            data = base64.b64encode(row.encode()).decode()
            if size + len(data) > ANSWER_BYTES_MAX:
                fits = False
                reason = Reason(MALFORMED_DATA, "rows that fit into an answer of Lambda", f"{size + len(data)} bytes")
        if reason is None:
            answers.append({"recordId": record["recordId"], "result": "Ok", "data": data})
            size += len(data)
        else:
            answers.append({"recordId": record["recordId"], "result": "Dropped"})
            rejected.append(_Rejected(sequence, sub_sequence, arrival_ms, reason, record["data"]))
    return answers, rejected, fits


@cache
def _converter(folder: str) -> EventConverter:
    found = json.loads((Path(folder) / TABLE).read_text(encoding="utf-8"))
    return EventConverter(from_wire(found["columns"]), found["hour"])


@cache
def _partition(hour: int) -> str:
    return partition_of(hour * HOUR_MS)


def _origin(record: Mapping[str, Any]) -> tuple[int, str, int]:
    """When a record arrived in the stream, in milliseconds, and its number there. Raises BadRequest.

    In an aggregate all records have one sequence number, and each has a number within it. AWS's own example has the
    time as text, and a number is what is sent (aws-powertools/powertools-lambda-python, pull request 1540).
    """
    given = record.get("kinesisRecordMetadata") or {}
    arrival, sequence = given.get("approximateArrivalTimestamp"), given.get("sequenceNumber")
    try:
        arrival_ms = milliseconds_of(datetime.fromisoformat(arrival)) if isinstance(arrival, str) else arrival
        if sequence and isinstance(arrival_ms, int):
            return arrival_ms, str(sequence), int(given.get("subsequenceNumber") or 0)
    except (TypeError, ValueError):
        pass
    raise BadRequest(
        f"The record {record.get('recordId')!r} has the metadata {given!r}; a record of a Kinesis stream has an "
        "approximateArrivalTimestamp and a sequenceNumber. Is the source of this Firehose a Kinesis stream?"
    )


def _put(table: str, rejected: Sequence[_Rejected]) -> None:
    """Put the error documents, one object for each hour, whose name comes from the records in it."""
    hours: dict[str, list[_Rejected]] = {}
    for one in rejected:
        hours.setdefault(_partition(one.arrival_ms // HOUR_MS), []).append(one)
    s3, now_ms = client("s3"), time.time_ns() // 1_000_000
    for hour, of_hour in hours.items():
        numbers = ",".join(f"{one.sequence}:{one.sub_sequence}" for one in of_hour)
        digest = hashlib.sha256(numbers.encode()).hexdigest()[:16]
        s3.put_object(
            Bucket=os.environ["DW_BUCKET"],
            Key=f"errors/{table}/format-conversion-failed/{hour}/{of_hour[0].sequence}-{len(of_hour)}-{digest}",
            Body="".join(_documents(table, of_hour, now_ms)).encode(),
        )


def _documents(table: str, rejected: Iterable[_Rejected], now_ms: int) -> Iterable[str]:
    """Members as in Firehose's own documents: "Error handling for data format conversion"."""
    for one in rejected:
        document = {
            "attemptsMade": 1,
            "arrivalTimestamp": one.arrival_ms,
            "lastErrorCode": one.reason.code,
            "lastErrorMessage": one.reason.message,
            "attemptEndingTimestamp": now_ms,
            "rawData": one.data,
            "sequenceNumber": one.sequence,
            "subSequenceNumber": one.sub_sequence,
            "dataCatalogTable": {"databaseName": os.environ["DW_DATABASE"], "tableName": table},
        }
        yield json.dumps(document, ensure_ascii=False) + "\n"


def _counted(table: str, rejects: int) -> dict[str, Any]:
    """The members of a log line that CloudWatch counts as a metric ("Embedded metric format specification")."""
    metric = {"Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": [{"Name": REJECTED_RECORDS}]}
    return {
        "_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [metric]},
        "Function": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        REJECTED_RECORDS: rejects,
        "table": table,
    }
