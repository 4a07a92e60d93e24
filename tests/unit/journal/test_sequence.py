"""Shards and sequence numbers, against the values that AWS gives (docs/reference/deviations.md has the source)."""

import subprocess
import sys

import pytest

from datawarehouse.journal.sequence import (
    COUNTER_STEP,
    above_shard_0,
    hash_key,
    hash_range,
    sequence_number,
    shard_id,
    shard_of,
)


def test_hash_keys_are_md5_big_endian():
    assert hash_key("a") == 16955237001963240173058271559858726497


@pytest.mark.parametrize("without", ["_md5", "_hashlib"])
def test_hash_keys_are_the_same_in_a_python_that_lacks_one_of_its_two_md5(without):
    program = (
        f"import sys; sys.modules[{without!r}] = None; from datawarehouse.journal.sequence import hash_key; "
        "print(hash_key('a'), hash_key('ä'))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "16955237001963240173058271559858726497 175591616806394784608039035363754173765\n"


@pytest.mark.parametrize(("key", "shard"), [("a", 0), ("b", 1), ("e", 2), ("f", 1)])
def test_keys_go_to_shards_by_their_hash(key, shard):
    assert shard_of(hash_key(key), 3) == shard


@pytest.mark.parametrize("count", [1, 2, 3, 7, 500])
def test_ranges_cover_all_hash_keys_once(count):
    ranges = [hash_range(shard, count) for shard in range(count)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 2**128 - 1
    for shard, (first, last) in enumerate(ranges):
        assert shard_of(first, count) == shard_of(last, count) == shard
        if shard:
            assert first == ranges[shard - 1][1] + 1


def test_sequence_numbers_look_like_those_of_aws():
    number = str(sequence_number(1_404_858_592_000, 0, 1, 1_404_858_593_000))
    assert len(number) == 56
    assert number.startswith("49")
    assert (
        hex(int(number))
        == "0x2" + f"{1404858592:09x}" + "0" + f"{1:016x}" + "00" + f"{1404858593:09x}" + f"{0:08x}" + "2"
    )


def test_sequence_numbers_increase_with_records_and_time():
    numbers = [
        sequence_number(1_000_000_000_000, shard, record, 1_000_000_000_000 + record * 7000)
        for shard in (3,)
        for record in (0, 1, 2, 1000, 2**40)
    ]
    assert numbers == sorted(set(numbers))


def test_numbers_in_a_row():
    first = sequence_number(1_000_000_000_000, 0, 10, 1_100_000_000_000) + above_shard_0(5)
    row = [first, first + COUNTER_STEP, first + 2 * COUNTER_STEP]
    assert row == [sequence_number(1_000_000_000_000, 5, record, 1_100_000_000_000) for record in (10, 11, 12)]


def test_shard_ids():
    assert shard_id(1) == "shardId-000000000001"
