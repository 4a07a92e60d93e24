"""What does it take to convert records on their way to an Iceberg table, and what does that cost a day on Lambda?

Method: the handler of the function, in this process, with invocations of 0.2 MiB of records as Firehose makes them.
What Lambda's runtime does with an invocation belongs to it: JSON is read and written. Events of 120, 500 and 1,024
bytes (three columns, then fifteen), and of 500 bytes with 5 % that are rejected; nothing is put to S3, which takes
time and hardly any CPU. CPU time, median of 15 interleaved rounds of 20,000 records.

On Lambda a function has a share of a core in proportion to its memory, a whole one with 1,769 MB (Lambda developer
guide, "Configure Lambda function memory"). So the GB-seconds of a CPU second are the same with less memory. Its cores
are others than those here.
"""

import base64
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measuring import LARGE, SMALL, large_events, report, small_events, spread

from datawarehouse.aws.cost import CORE_MB, GB_MB, read_prices
from datawarehouse.definition.table_format import TABLE
from datawarehouse.functions import convert_events

RECORDS, ROUNDS = 20_000, int(os.environ.get("BENCH_ROUNDS", 15))
INVOCATION_BYTES = 200 * 1024
ARRIVAL_MS = 1_795_000_000_000


def sized(events: Iterator[bytes], size: int) -> list[bytes]:
    """The events with exactly so many bytes: another member, which no column has, takes what is missing."""
    found = []
    for event in events:
        shorter = json.loads(event)
        while len(text := json.dumps(shorter, separators=(",", ":"))) > size - 9:
            shorter.popitem()
        found.append((text[:-1] + ',"pad":"' + "x" * (size - len(text) - 9) + '"}').encode())
        assert len(found[-1]) == size
    return found


def spoiled(events: list[bytes], share: float) -> list[bytes]:
    chance = random.Random(3)
    return [event[: len(event) // 2] if chance.random() < share else event for event in events]


def invocations(events: list[bytes]) -> list[str]:
    """What Firehose sends, as JSON."""
    found, count = [], max(1, INVOCATION_BYTES // len(events[0]))
    for start in range(0, len(events), count):
        records = [
            {
                "recordId": f"{start + at:056d}",
                "approximateArrivalTimestamp": ARRIVAL_MS,
                "data": base64.b64encode(event).decode(),
                "kinesisRecordMetadata": {
                    "sequenceNumber": f"4954698668313554428650{start + at:034d}",
                    "subsequenceNumber": 0,
                    "partitionKey": f"{start + at:08d}",
                    "shardId": "shardId-000000000000",
                    "approximateArrivalTimestamp": ARRIVAL_MS,
                },
            }
            for at, event in enumerate(events[start : start + count])
        ]
        found.append(json.dumps({"invocationId": "0", "deliveryStreamArn": "arn", "records": records}))
    return found


class NoStore:
    """Takes the place of S3."""

    def put_object(self, **_: object) -> None:
        pass


def main() -> None:
    loads = {
        "120 B": (SMALL, sized(small_events(RECORDS), 120)),
        "500 B": (LARGE, sized(large_events(RECORDS), 500)),
        "1,024 B": (LARGE, sized(large_events(RECORDS), 1024)),
    }
    loads["500 B, 5 % rejected"] = (LARGE, spoiled(loads["500 B"][1], 0.05))
    convert_events.client = lambda service: NoStore()
    convert_events.log = lambda message, **fields: None
    os.environ |= {"DW_TABLE": "t", "DW_BUCKET": "lake", "DW_DATABASE": "bench", "AWS_LAMBDA_FUNCTION_NAME": "bench"}
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number, (columns, _) in enumerate(loads.values()):
            folder = Path(name) / str(number)
            folder.mkdir()
            table = {"hour": "inserted_at", "columns": list(columns.items())}
            (folder / TABLE).write_text(json.dumps(table))
        sent = {what: invocations(events) for what, (_, events) in loads.items()}
        for _ in range(ROUNDS):
            for number, what in enumerate(loads):
                os.environ["LAMBDA_TASK_ROOT"] = str(Path(name) / str(number))
                started = time.process_time()
                for text in sent[what]:
                    json.dumps(convert_events.handler(json.loads(text), None))
                times.setdefault(what, []).append((time.process_time() - started) / RECORDS * 1e6)
    usd = float(read_prices().of["convert_gb_seconds"].usd) * CORE_MB / GB_MB
    rows = []
    for what, of_record in times.items():
        rows.append((f"{what}: CPU ms for 1,000 records", spread(of_record, "{:.1f}")))
        rows.append(("  of Lambda for a billion a day, $", spread([each * 1e3 * usd for each in of_record], "{:.2f}")))
    report("Converting records for Iceberg", rows)


if __name__ == "__main__":
    main()
