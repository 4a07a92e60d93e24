"""Shards and answers of PutRecords are those of the Kinesis API's definition, byte for byte, for any number of shards.

The rules here are written as the API reference has them: MD5 of the partition key is a number of 128 bits, or the
explicit hash key is; the record belongs to the shard whose range holds that number.
"""

import asyncio
import base64
import functools
import hashlib
import json
import random
from array import array
from concurrent.futures import ThreadPoolExecutor

import pytest

from datawarehouse.access.identity import EVERYBODY
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.intake.intake import Intake, IntakeLimits, Stream, shards_for
from datawarehouse.journal.journal import Journal
from datawarehouse.journal.opening import Start
from datawarehouse.journal.read import read_spans
from datawarehouse.journal.sequence import COUNTER_STEP, hash_range, sequence_number, shard_id, shards_of
from datawarehouse.server.http import Request
from datawarehouse.server.kinesis import Kinesis
from datawarehouse.testing.clock import TestClock

SHARD_COUNTS = (1, 2, 3, 4, 64, 1000)
HASH_KEYS = 2**128


@functools.cache
def ranges(shard_count):
    """Evenly split, as DescribeStream tells them."""
    return [hash_range(shard, shard_count) for shard in range(shard_count)]


@functools.cache
def exact_shard(number, shard_count):
    return next(shard for shard, (first, last) in enumerate(ranges(shard_count)) if first <= number <= last)


def exact_number(key, explicit=None):
    return int(hashlib.md5(key.encode("utf-8")).hexdigest(), 16) if explicit is None else int(explicit)


def exact_answer(records, taken, shard_count, created_ms, first_record, arrival_ms):
    """The answer to records, as (partition key, explicit hash key or None), of which those `taken` were appended."""
    number, failed, entries = first_record, 0, []
    for (key, explicit), take in zip(records, taken, strict=True):
        shard = exact_shard(exact_number(key, explicit), shard_count)
        if take:
            sequence = sequence_number(created_ms, shard, number, arrival_ms)
            entries.append({"SequenceNumber": str(sequence), "ShardId": f"shardId-{shard:012d}"})
            number += 1
        else:
            message = f"Rate exceeded for shard {shard_id(shard)} in stream clicks under account 000000000000."
            entries.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": message})
            failed += 1
    return json.dumps({"FailedRecordCount": failed, "Records": entries}, separators=(",", ":")).encode()


def exactly_taken(shards):
    """Which records shards at rest take at one instant: the first thousand of each (Kinesis, "Quotas and limits")."""
    seen = dict.fromkeys(shards, 0)
    taken = []
    for shard in shards:
        seen[shard] += 1
        taken.append(seen[shard] <= 1000)
    return taken


def borders(shard_count):
    """The first and the last hash key of each shard."""
    return [number for both in ranges(shard_count) for number in both]


def random_key(chance):
    letters = chance.choices("abcXYZ019-_. äß漢😀", k=chance.choice((1, 1, 8, 32, 256)))
    return "".join(letters)


class Served:
    """The protocol over a stream with a journal on disk, at an instant that the test moves."""

    def __init__(self, folder, shard_count, limited=False, first_record=0):
        self.clock = TestClock()
        self.journal = Journal(folder, "clicks", self.clock, LOCAL_DISK, Start(record=first_record))
        self.shard_count = shard_count
        self.clock.set_ms(self.clock.now_ms() + 86_401_234)
        self.stream = Stream(self.journal, shard_count, self.clock, 0)
        limits = IntakeLimits(1 << 20, 1 << 30, 1 << 30, 0, limited, 500_000)
        self.intake = Intake({"clicks": self.stream}, limits, self.clock, lambda: 1 << 40)

    def put(self, records):
        """The body of the answer to one PutRecords."""
        entries = []
        for place, (key, explicit) in enumerate(records):
            entry = {"Data": base64.b64encode(b"%d" % place).decode(), "PartitionKey": key}
            entries.append(entry if explicit is None else {**entry, "ExplicitHashKey": explicit})
        headers = {
            b"x-amz-target": b"Kinesis_20131202.PutRecords",
            b"content-type": b"application/x-amz-json-1.1",
            b"authorization": b"AWS4-HMAC-SHA256 Credential=any",
        }
        body = json.dumps({"StreamName": "clicks", "Records": entries}).encode()

        async def call():
            with ThreadPoolExecutor(1) as executor:
                kinesis = Kinesis(self.intake, GroupCommit(self.intake, executor), self.clock)
                return await kinesis.handle(Request("POST", "/", "", headers, None, identity=EVERYBODY), body)

        response = asyncio.run(call())
        assert response.status == 200
        return response.body

    def exact(self, records, taken):
        """What the next answer must be."""
        return exact_answer(
            records, taken, self.shard_count, self.journal.created_ms, self.journal.next_record, self.clock.now_ms()
        )

    def stored_shards(self):
        blocks = read_spans(self.journal.spans(0, 1 << 40), LOCAL_DISK, 0, 1 << 40)
        return [block.shard_of(place) for block in blocks for place in range(block.count)]


@pytest.fixture(params=SHARD_COUNTS, ids=lambda count: f"{count}-shards")
def shard_count(request):
    return request.param


def test_each_border_of_a_range_is_looked_up_as_it_is_calculated(shard_count):
    numbers = [near % HASH_KEYS for border in borders(shard_count) for near in (border - 1, border, border + 1)]
    numbers += [first << 120 for first in range(256)] + [(first << 120) - 1 for first in range(1, 257)]
    assert shards_of([number.to_bytes(16, "big") for number in numbers], shard_count).tolist() == [
        exact_shard(number, shard_count) for number in numbers
    ]


@pytest.mark.parametrize("count", [5, 7, 16, 100, 128, 255, 256, 257, 500, 512])
def test_other_numbers_of_shards(count):
    numbers = borders(count)
    assert shards_of([number.to_bytes(16, "big") for number in numbers], count).tolist() == [
        shard for shard in range(count) for _ in "ab"
    ]


def test_keys_go_where_the_definition_says(shard_count):
    chance = random.Random(shard_count)
    keys = [random_key(chance) for _ in range(3000)]
    found = shards_for(keys, None, shard_count)
    exact = [exact_shard(exact_number(key), shard_count) for key in keys]
    assert found == (None if shard_count == 1 else array("H", exact))
    assert shards_for(keys, [None] * len(keys), shard_count) == found


def test_answers_of_requests_that_are_taken_whole(tmp_path, shard_count):
    served = Served(tmp_path, shard_count)
    chance = random.Random(shard_count)
    stored = []
    for count in (1, 2, 500, 137, 500):
        records = [(random_key(chance), None) for _ in range(count)]
        expected = served.exact(records, [True] * count)
        assert served.put(records) == expected
        served.clock.set_ms(served.clock.now_ms() + 777)
        stored += [exact_shard(exact_number(key), shard_count) for key, _ in records]
    assert served.stored_shards() == stored


def test_answers_to_explicit_hash_keys(tmp_path, shard_count):
    served = Served(tmp_path, shard_count)
    chance = random.Random(shard_count)
    explicit = [str(number) for number in borders(shard_count)]
    explicit += [str(chance.randrange(HASH_KEYS)) for _ in range(200)] + [None] * 200
    chance.shuffle(explicit)
    for start in range(0, len(explicit), 500):
        records = [(random_key(chance), each) for each in explicit[start : start + 500]]
        expected = served.exact(records, [True] * len(records))
        assert served.put(records) == expected


@pytest.mark.parametrize("power", [28, 29, 30, 40])
def test_answers_where_many_digits_of_the_numbers_change(tmp_path, shard_count, power):
    """From 999... to 1000..., and on where the digits that change begin with zeros; for one shard after the other."""
    chance = random.Random(power)
    clock = Served(tmp_path, shard_count).clock
    for shard in {0, shard_count // 2, shard_count - 1}:
        zero = sequence_number(clock.now_ms() - 86_401_234, shard, 0, clock.now_ms())
        carried = (10**power + -zero % 10**power) // COUNTER_STEP + 1
        folder = tmp_path / str(shard)
        folder.mkdir()
        served = Served(folder, shard_count, first_record=carried - 250)
        for _ in range(2):
            records = [(random_key(chance), None) for _ in range(500)]
            expected = served.exact(records, [True] * 500)
            assert served.put(records) == expected
            assert served.journal.next_record > carried


@pytest.mark.parametrize("with_hash_keys", [False, True])
def test_answers_when_shards_take_only_their_rate(tmp_path, shard_count, with_hash_keys):
    served = Served(tmp_path, shard_count, limited=True)
    chance = random.Random(shard_count)
    last = HASH_KEYS - 1

    def record():
        if with_hash_keys:  # most go to the last shard, which fills up
            return random_key(chance), chance.choice((str(last), str(last), None, str(chance.randrange(HASH_KEYS))))
        # Two keys for most records, so that their shards fill up whatever the number of shards.
        return chance.choice(("hot", "hot", "hotter", random_key(chance))), None

    requests = [[record() for _ in range(500)] for _ in range(8)]
    everything = [each for request in requests for each in request]
    taken = exactly_taken([exact_shard(exact_number(*each), shard_count) for each in everything])
    assert True in taken
    assert False in taken
    for place, records in enumerate(requests):
        takes = taken[place * 500 : place * 500 + 500]
        expected = served.exact(records, takes)
        assert served.put(records) == expected


def test_answers_when_nothing_can_be_taken(tmp_path, shard_count):
    served = Served(tmp_path, shard_count)
    served.intake.limits = IntakeLimits(1 << 20, 1 << 30, 0, 0, False, 500_000)  # the journal takes nothing
    chance = random.Random(shard_count)
    records = [(random_key(chance), None) for _ in range(500)]
    assert served.put(records) == served.exact(records, [False] * 500)
    assert served.stored_shards() == []
