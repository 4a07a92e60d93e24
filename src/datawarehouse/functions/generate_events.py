"""The handler of a Lambda function that sends made-up events to an input stream, those of one minute at each
invocation.

The events are those of the minute that ended at the scheduled instant, and the minute is the seed, so a repeated
invocation sends the same bytes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from datawarehouse.definition.tables import StreamingInputTable, as_declared, from_wire
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import DataWarehouseError
from datawarehouse.functions.clients import client
from datawarehouse.functions.instant import scheduled_ms
from datawarehouse.functions.logs import log
from datawarehouse.generator.events import GeneratedEvent, generate

_MINUTE_MS = 60_000
_RECORDS_A_CALL_MAX = 500  # Kinesis API reference, PutRecords: 500 records, 5 MiB with their keys
_BYTES_A_CALL_MAX = 4_500_000
_WAITS_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # before each attempt


def handler(event: Mapping[str, Any], context: object) -> dict[str, int]:
    """How many events were sent, and how many entries had to be retried. Raises if some were never accepted."""
    given = json.loads((Path(os.environ["LAMBDA_TASK_ROOT"]) / "events.json").read_text())
    declared = Warehouse("generated")
    for table in given["tables"]:
        declared.with_streaming_input_table(table["name"], columns=as_declared(from_wire(table["columns"])))
    minute = scheduled_ms(event) // _MINUTE_MS
    events = generate(
        [table for table in declared.tables() if isinstance(table, StreamingInputTable)],
        seed=minute,
        start_ms=(minute - 1) * _MINUTE_MS,
        rate=given["rate"] / 60,
        malformed=given["malformed"],
    )
    kinesis, stream = client("kinesis"), os.environ["DW_STREAM"]
    sent = again = 0
    for entries in _calls(event for _, event in islice(events, given["rate"])):
        again += send(kinesis, stream, entries)
        sent += len(entries)
    log("sent events", stream=stream, events=sent, sent_again=again)
    return {"events": sent, "sent_again": again}


def _calls(events: Iterable[GeneratedEvent]) -> Iterator[list[dict[str, Any]]]:
    """The entries of each call, in order."""
    entries: list[dict[str, Any]] = []
    size = 0
    for event in events:
        entry_bytes = len(event.data) + len(event.partition_key)
        if entries and (len(entries) == _RECORDS_A_CALL_MAX or size + entry_bytes > _BYTES_A_CALL_MAX):
            yield entries
            entries, size = [], 0
        entries.append({"Data": event.data, "PartitionKey": event.partition_key})
        size += entry_bytes
    if entries:
        yield entries


def send(kinesis: Any, stream: str, entries: Sequence[Mapping[str, Any]]) -> int:
    """Put entries, and retry those that were not accepted; returns how many were retried. Raises if some were never
    accepted."""
    sent, waiting = 0, list(entries)
    for wait_s in _WAITS_S:
        time.sleep(wait_s)
        sent += len(waiting)
        answer = kinesis.put_records(StreamName=stream, Records=waiting)
        if not answer["FailedRecordCount"]:
            return sent - len(entries)
        failed = [
            (entry, result) for entry, result in zip(waiting, answer["Records"], strict=True) if "ErrorCode" in result
        ]
        waiting = [entry for entry, _ in failed]
    raise DataWarehouseError(
        f"{len(waiting)} of {len(entries)} events were not accepted by stream {stream!r} in {len(_WAITS_S)} attempts, "
        f"the last time with {failed[0][1]['ErrorCode']}: {failed[0][1].get('ErrorMessage', '')}."
    )
