"""Kill -9 of the owner and of each child at random moments, with producers at work.

After any kill every acknowledged record is there exactly once, none that was not acknowledged is there twice, every
file can be read, and the next start is ready. The same holds for the user records of aggregates, and the ledger has
exactly what is there.
"""

import base64
import http.client
import json
import os
import random
import signal
import threading
import time
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from running import COLUMNS, DECLARATION, start, until

from aggregates import aggregate
from patience import patient

SERIES = 10
KILLS_IN_A_SERIES = 10
PAUSE_S = 0.02  # between two requests of a producer, at the most; of six producers some always wait for an answer
ANSWERS_MAX = 120
"""Between two kills come so many answers, at the most: as much work on a fast machine as on a slow one."""


class Producer(threading.Thread):
    """Sends records with ids of its own, and knows which were acknowledged."""

    def __init__(self, name, seed, send):
        super().__init__(daemon=True)
        self.name = name
        self.random = random.Random(seed)
        self.send = send
        self.url = None
        self.connection = None
        self.sent = 0
        self.answers = 0
        self.acknowledged = set()
        self.stopping = False

    def run(self):
        while not self.stopping:
            ids = []
            for _ in range(self.random.choice((1, 3, 40))):
                self.sent += 1
                ids.append(f"{self.name}-{self.sent}")
            try:
                self.send(self, ids)
            except (OSError, http.client.HTTPException):
                self.disconnect()  # nobody knows whether these were taken
                time.sleep(0.01)
            else:
                self.acknowledged.update(ids)
                self.answers += 1
                time.sleep(self.random.uniform(0, PAUSE_S))
        self.disconnect()

    def disconnect(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def post(self, path, body, headers):
        if self.connection is None:
            address = urlsplit(self.url)
            self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=patient(10))
        self.connection.request("POST", path, body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise http.client.HTTPException(answer)
        return json.loads(answer)


def events(producer, ids):
    producer.post("/v1/tables/clicks/events", "\n".join(json.dumps({"id": id}) for id in ids), {})


def put_records(producer, ids):
    put(producer, "views", [(json.dumps({"id": id}).encode(), id) for id in ids])


def put_aggregates(producer, ids):
    """In aggregates and between them; some user records are no JSON, and some aggregates are damaged."""
    chance, records = producer.random, []
    while ids:
        size = chance.choice((1, 1, 2, 7, 40))
        group, ids = ids[:size], ids[size:]
        data = [b'{"id":"%s"%s' % (id.encode(), b"}" if chance.random() < 0.9 else b",") for id in group]
        whole = data[0] if size == 1 else aggregate(*data)
        damaged = size == 2 and len(group) == 1
        records.append((whole[:-1] + b"?" if damaged else whole, group[0]))
    put(producer, "packed", records)


def put(producer, table, records):
    """Send records: data and partition key."""
    records = [{"Data": base64.b64encode(data).decode(), "PartitionKey": key} for data, key in records]
    headers = {
        "X-Amz-Target": "Kinesis_20131202.PutRecords",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "any",
    }
    answer = producer.post("/", json.dumps({"StreamName": table, "Records": records}), headers)
    assert answer["FailedRecordCount"] == 0


def ids_of(warehouse, table):
    """How often each id is there, as a row or as a reject."""
    rejected = 'regexp_extract(from_utf8(raw_data), \'"id":"([^"]*)\', 1)'
    rows = warehouse.query(
        f"select id, count(*) as c from (select id from {table} union all select {rejected} from {table}_quarantine)"
        " group by id"
    )
    return {row["id"]: row["c"] for row in rows}


def check(warehouse, producers):
    """What was acknowledged is there once; what was not is there once or not at all; every file can be read."""
    warehouse.flush()
    status = json.loads(warehouse.dw("status", "--output", "json").stdout)
    counts = {table["table"]: table for table in status["tables"]}
    for table, name in (("clicks", "events"), ("views", "put"), ("packed", "packed")):
        found = ids_of(warehouse, table)
        acknowledged = set().union(*(producer.acknowledged for producer in producers if producer.name.startswith(name)))
        assert acknowledged <= found.keys(), f"lost: {sorted(acknowledged - found.keys())[:5]}"
        assert set(found.values()) <= {1}, f"doubled: {[id for id, c in found.items() if c > 1][:5]}"
        assert counts[table]["received"] == counts[table]["stored"] + counts[table]["rejected"] == len(found)
    for path in (warehouse.folder / "data").rglob("*.parquet"):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                file.read()
        except FileNotFoundError:
            continue  # retired and deleted meanwhile


def kill_once(warehouse, producers, chance):
    """Kill the owner or one of its children; the warehouse that goes on."""
    enough = sum(each.answers for each in producers) + chance.randint(0, ANSWERS_MAX)
    until(lambda: sum(each.answers for each in producers) >= enough, "events are taken", limit_s=60)
    time.sleep(chance.uniform(0, 0.05))  # so that the moment follows from no answer
    children = warehouse.children()
    victims = [warehouse.process.pid] * 3 + list(children)
    victim = chance.choice(victims)
    os.kill(victim, signal.SIGKILL)
    if victim != warehouse.process.pid:
        until(lambda: "defunct" in warehouse.children().get(victim, "defunct"), "the child is gone")
        assert warehouse.query("select 1 as one") == [{"one": 1}], "queries go on"
        return warehouse
    warehouse.process.wait()
    warehouse.process.stdout.close()
    return start(warehouse.folder, declaration=None)


@pytest.mark.parametrize("seed", range(SERIES))
def test_no_kill_loses_or_doubles_a_record(tmp_path, seed):
    chance = random.Random(seed)
    # Small batches and segments of time, so that a kill hits every step of the way.
    settings = 'convert_interval_ms = 20\nbatch_bytes_max = "64KiB"\n'
    (tmp_path / "dw.toml").write_text(settings)
    packed = (
        f'.with_streaming_input_table("packed", columns={COLUMNS}, input_stream_shard_count={(1, 4, 64)[seed % 3]})'
    )
    warehouse = start(tmp_path, declaration=f"{DECLARATION}\nwarehouse = warehouse{packed}\n")
    producers = [Producer(f"events{n}", seed * 10 + n, events) for n in range(2)]
    producers += [Producer(f"put{n}", seed * 10 + n, put_records) for n in range(2)]
    producers += [Producer(f"packed{n}", seed * 10 + n, put_aggregates) for n in range(2)]
    try:
        for producer in producers:
            producer.url = warehouse.url
            producer.start()
        for _ in range(KILLS_IN_A_SERIES):
            warehouse = kill_once(warehouse, producers, chance)
            for producer in producers:
                producer.url = warehouse.url
        for producer in producers:
            producer.stopping = True
        for producer in producers:
            producer.join(patient(20))
        check(warehouse, producers)
        assert sum(len(producer.acknowledged) for producer in producers) > 100
    except BaseException as error:
        raise AssertionError(
            f"seed {seed} replays the kills; log:\n{(tmp_path / 'errors.log').read_text()[-2000:]}"
        ) from error
    finally:
        for producer in producers:
            producer.stopping = True
        if warehouse.process.poll() is None:
            warehouse.stop()
