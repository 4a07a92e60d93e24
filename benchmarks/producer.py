"""How many events a second does a program send, until they can be queried?

100,000 events of 138 bytes, as mappings, from one thread; from the first `put` until a query counts them all. Rounds
of each way follow each other in turn, each with a table of its own kind of `dw up`:

    boto3        what a program would do without a producer: PutRecords of 500, one after the other
    Kinesis      the producer with boto3, a record for each event
    packed       the same with aggregate=True
    HTTP         the producer to the events route
"""

import json
import os
import time
from collections.abc import Callable

import boto3
from botocore.config import Config
from measuring import SMALL, report, small_events, spread, warehouse

from datawarehouse.folder import Holder
from datawarehouse.producer import Producer
from datawarehouse.runtime.client import Client

EVENTS = int(os.environ.get("BENCH_EVENTS", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


def kinesis(url: str):
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(max_pool_connections=8),
    )


def loop_of_boto3(url: str, events: list[dict]) -> None:
    client = kinesis(url)
    for at in range(0, len(events), 500):
        records = [{"Data": json.dumps(event).encode(), "PartitionKey": event["id"]} for event in events[at : at + 500]]
        assert not client.put_records(StreamName="t", Records=records)["FailedRecordCount"]


def produced(make: Callable[[str], Producer]) -> Callable[[str, list[dict]], None]:
    def send(url: str, events: list[dict]) -> None:
        with make(url) as producer:
            for event in events:
                producer.put(event)

    return send


WAYS = {
    "boto3": loop_of_boto3,
    "Kinesis": produced(lambda url: Producer("t", kinesis=kinesis(url))),
    "packed": produced(lambda url: Producer("t", kinesis=kinesis(url), aggregate=True)),
    "HTTP": produced(lambda url: Producer("t", url=url)),
}


def measured(send: Callable[[str, list[dict]], None], events: list[dict]) -> tuple[float, float, float]:
    """(events/s until they can be queried, events/s until they are taken, CPU microseconds of the sender an event)"""
    with warehouse(SMALL) as (_, url, _):
        client = Client(Holder(0, url))
        began, cpu = time.monotonic(), time.process_time()
        send(url, events)
        taken, used = time.monotonic() - began, time.process_time() - cpu
        while count(client) < len(events):
            time.sleep(0.01)
        queryable = time.monotonic() - began
        assert count(client) == len(events)
        client.close()
    return len(events) / queryable, len(events) / taken, used / len(events) * 1e6


def count(client: Client) -> int:
    body = json.dumps({"sql": "select count(*) as c from t", "format": "json"}).encode()
    return client.call("POST", "/v1/query", body)[0]["c"]


def main() -> None:
    events = [json.loads(event) for event in small_events(EVENTS)]
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, send in WAYS.items():
            found[way].append(measured(send, events))
    rows = []
    for way, numbers in found.items():
        queryable, taken, cpu = ([each[at] for each in numbers] for at in range(3))
        ratio = [each / base for each, (base, _, _) in zip(queryable, found["boto3"], strict=True)]
        rows += [
            (f"{way}: events/s until they can be queried", spread(queryable)),
            ("  until they are taken", spread(taken)),
            ("  CPU of the sender, microseconds an event", spread(cpu, "{:.1f}")),
            ("  until they can be queried / boto3", spread(ratio, "{:.2f}")),
        ]
    report(f"{EVENTS:,} events from one thread", rows)


if __name__ == "__main__":
    main()
