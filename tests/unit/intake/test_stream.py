"""Which shards a stream gives to records that come without a partition key."""

import pytest

from datawarehouse.durable import LOCAL_DISK
from datawarehouse.intake.intake import Stream
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.testing.clock import TestClock


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 64, 1000])
def test_records_without_a_key_take_the_shards_in_turn(tmp_path, shards):
    journal = Journal(tmp_path, "clicks", TestClock(), LOCAL_DISK)
    stream = Stream(journal, shards, TestClock(), 0)
    placed = []
    for count in (1, 1, 1, 5, 0, 1, 500, 3 * shards, 2, 1, 1):
        found = stream.shards_in_turn(count)
        assert (found is None) == (shards == 1)
        placed += [0] * count if found is None else found
        journal.append(entry_of([b"{}"] * count, found))
    assert placed == [number % shards for number in range(len(placed))]
    journal.close()
    again = Journal(tmp_path, "clicks", TestClock(), LOCAL_DISK)
    following = Stream(again, shards, TestClock(), 0).shards_in_turn(1)
    assert list(following or [0]) == [len(placed) % shards], "a new process goes on where the old one ended"
