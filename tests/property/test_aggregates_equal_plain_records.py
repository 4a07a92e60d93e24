"""What aws-kinesis-agg aggregated gives the same rows, rejects and counts as the same records sent one by one.

An aggregate with flipped bytes is read as Protocol Buffers' own library reads it, or it is one reject: always counted,
and counted once.
"""

import asyncio
import base64
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from aggregates import MAGIC, aggregate, by_library, sealed
from datawarehouse import Warehouse
from datawarehouse.access.identity import EVERYBODY
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.journal.aggregate import NotAnAggregate, user_records
from datawarehouse.journal.sequence import COUNTER_STEP
from datawarehouse.server.http import Request
from datawarehouse.server.kinesis import Kinesis
from datawarehouse.testing import simulate

COLUMNS = {"id": "string", "n": "int", "tags": "array<string>"}
MANY = 10**9
HOSTILE = (
    b"", b"{", b"[]", b"7", b"\xff", b'{"n":"no number"}', b'{"id":1,"ID":2}', b'{"n":1}{"n":2}\n{"n":3}',
    b"\xef\xbb\xbf{}", b'{"n":1}\n{"n":', b'{"id":"\xf3\xa0\x81\xa7"}', MAGIC, MAGIC + b"\n{}", aggregate(b"{}")[:-1],
    b'{"tags":[1,null]}',
)  # fmt: skip


def record(chance):
    if chance.random() < 0.25:
        return chance.choice(HOSTILE)
    texts = ("a", "", "äß漢😀", "\U000e0067", "x" * chance.randrange(300))
    event = {"id": chance.choice(texts), "n": chance.randrange(-5, 5), "extra": chance.choice(texts)}
    return json.dumps(event, ensure_ascii=chance.random() < 0.5).encode()


class Door:
    """A simulated warehouse, and the Kinesis protocol in front of it."""

    def __init__(self, folder, shard_count, settings):
        declared = Warehouse("dw")
        for name in ("plain", "packed"):
            declared = declared.with_streaming_input_table(name, COLUMNS, input_stream_shard_count=shard_count)
        self.warehouse = simulate(declared, folder, settings=settings)

    def put(self, table, records):
        """The answers to one PutRecords of (data, partition key, explicit hash key or None)."""
        entries = [
            {"Data": base64.b64encode(data).decode(), "PartitionKey": key}
            | ({"ExplicitHashKey": str(hash_key)} if hash_key else {})
            for data, key, hash_key in records
        ]
        headers = {
            b"x-amz-target": b"Kinesis_20131202.PutRecords",
            b"content-type": b"application/x-amz-json-1.1",
            b"authorization": b"any",
        }
        body = json.dumps({"StreamName": table, "Records": entries}).encode()

        async def call():
            with ThreadPoolExecutor(1) as executor:
                intake = self.warehouse.intake
                kinesis = Kinesis(intake, GroupCommit(intake, executor), self.warehouse.clock)
                return await kinesis.handle(Request("POST", "/", "", headers, None, identity=EVERYBODY), body)

        response = asyncio.run(call())
        assert response.status == 200, response.body
        answer = json.loads(response.body)
        assert answer["FailedRecordCount"] == sum("ErrorCode" in each for each in answer["Records"])
        return answer["Records"]

    def counts(self, table):
        return next(each for each in self.warehouse.status()["tables"] if each["table"] == table)

    def rows(self, table):
        return Counter(map(repr, self.warehouse.query(f"select id, n, tags, inserted_at from {table}")))

    def rejects(self, table):
        found = self.warehouse.quarantine(table)
        return Counter((each["raw_data"], each["error_code"], each["error_message"]) for each in found)


@pytest.fixture
def opened(tmp_path):
    doors = []

    def door(shard_count, **settings):
        doors.append(Door(tmp_path / "data", shard_count, settings))
        return doors[0]

    yield door
    for each in doors:
        each.warehouse.close()


@pytest.mark.parametrize("shard_count", [1, 4, 64])
@pytest.mark.seeds(fixed=4, random=2)
def test_aggregated_or_not_records_become_the_same(opened, shard_count, seed):
    chance = random.Random(seed)
    door = opened(shard_count)
    sent, numbered = 0, {}
    for _ in range(5):
        records = [(record(chance), f"key {chance.randrange(9)}") for _ in range(chance.choice((1, 40, 200)))]
        door.put("plain", [(data, key, None) for data, key in records])
        entries, groups, left = [], [], list(records)
        while left:
            size = chance.choice((1, 2, 20, 200))
            group, left = left[:size], left[size:]
            entries += [(*group[0], None)] if size == 1 else by_library(group)
            groups.append([data for data, _ in group])
        assert len(entries) == len(groups)
        answers = door.put("packed", entries)
        for answer, group in zip(answers, groups, strict=True):
            assert "ErrorCode" not in answer
            first = int(answer["SequenceNumber"])
            numbered |= {first + COUNTER_STEP * n: (data, answer["ShardId"]) for n, data in enumerate(group)}
        sent += len(records)
        counts = door.counts("packed")
        assert counts["received"] == sent == counts["stored"] + counts["rejected"] + counts["pending"]
        if chance.random() < 0.5:
            door.warehouse.flush()
            door.warehouse.advance("40m")
    assert door.rows("packed") == door.rows("plain")
    assert door.rejects("packed") == door.rejects("plain")
    same = ("received", "stored", "rejected", "rows", "pending")
    assert {name: door.counts("packed")[name] for name in same} == {name: door.counts("plain")[name] for name in same}
    assert len(numbered) == sent, "each user record has its own number"
    for reject in door.warehouse.quarantine("packed"):
        assert numbered[int(reject["sequence_number"])] == (reject["raw_data"], reject["shard_id"])


@pytest.mark.parametrize("shard_count", [1, 4, 64])
def test_a_shard_takes_an_aggregate_as_one_record_of_its_rate(opened, shard_count):
    chance = random.Random(shard_count)
    door = opened(shard_count, shard_rate_limited=True)
    taken: Counter[str] = Counter()
    stored = 0
    for _ in range(6):
        groups = [[b'{"id":"a"}'] * chance.randrange(1, 30) for _ in range(500)]
        keys = [f"{chance.choice((1, 1, 1, 2, chance.random()))}" for _ in groups]
        entries = [(aggregate(*group), key, None) for group, key in zip(groups, keys, strict=True)]
        before = door.counts("packed")["received"]
        for group, answer in zip(groups, door.put("packed", entries), strict=True):
            if "ErrorCode" in answer:
                continue
            taken[answer["ShardId"]] += 1
            assert int(answer["SequenceNumber"]) >> 80 & (1 << 64) - 1 == before
            before += len(group)
            stored += len(group)
    assert max(taken.values()) == 1000
    assert door.counts("packed")["received"] == stored


def changed(chance, data):
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = chance.randbytes(1)
            case 1:
                data[at : at + 1] = bytes([data[at] ^ 1 << chance.randrange(8)]) if at < len(data) else b""
            case 2:
                del data[at : at + chance.randrange(1, 4)]
            case _:
                data[at:at] = chance.choice(
                    (chance.randbytes(2), b"\x80", b"\x1a\x00", b"\x08\x00", b"\x22\x00", b"\x28\x07")
                )
    return bytes(data)


def read_by_library(message):
    """The data in a message as Protocol Buffers' own library reads it; None if it does not, or a key is missing."""
    from aws_kinesis_agg.aggregator import messages_pb2
    from google.protobuf.message import DecodeError

    parsed = messages_pb2.AggregatedRecord()
    try:
        parsed.ParseFromString(message)
    except DecodeError:
        return None
    for each in parsed.records:
        if each.partition_key_index >= len(parsed.partition_key_table):
            return None
        if each.HasField("explicit_hash_key_index") and each.explicit_hash_key_index >= len(
            parsed.explicit_hash_key_table
        ):
            return None
    return [each.data for each in parsed.records] if parsed.IsInitialized() else None


@pytest.mark.seeds(fixed=40, random=10)
def test_changed_messages_are_read_as_their_own_library_reads_them_or_not_at_all(seed):
    chance = random.Random(seed)
    for _ in range(200):
        records = [(chance.randbytes(chance.choice((0, 1, 5, 200))), f"{n % 3}") for n in range(chance.randrange(1, 6))]
        [(whole, _, _)] = by_library(records)
        message = changed(chance, whole[len(MAGIC) : -16])
        try:
            found = user_records(sealed(message), MANY)
        except NotAnAggregate:
            continue  # the library reads more than this: groups, and numbers of more than 64 bits
        assert found == read_by_library(message), f"seed {seed}: {message!r}"


@pytest.mark.parametrize("shard_count", [1, 64])
@pytest.mark.seeds(fixed=3, random=1)
def test_a_changed_aggregate_is_counted_once(opened, shard_count, seed, caplog):
    chance = random.Random(seed)
    door = opened(shard_count)
    expected = 0
    for _ in range(3):
        entries = []
        for _ in range(100):
            records = [(record(chance), f"{n % 3}") for n in range(chance.randrange(1, 9))]
            [(data, key, hash_key)] = by_library(records)
            if chance.random() < 0.9:
                data = changed(chance, data) if chance.random() < 0.5 else sealed(changed(chance, data[4:-16]))
            count = 1
            if data.startswith(MAGIC):
                with suppress(NotAnAggregate):
                    count = len(user_records(data, MANY))
            expected += count
            entries.append((data, key, hash_key))
        door.put("packed", entries)
        assert door.counts("packed")["received"] == expected
        door.warehouse.flush()
    counts = door.counts("packed")
    assert counts["stored"] + counts["rejected"] == expected
    assert sum(door.rejects("packed").values()) == counts["rejected"]
    assert not caplog.records, f"seed {seed}: a record was rejected for a fault of this program"
