"""The entry of Kinesis records in which a producer aggregated several into one."""

from array import array

import pytest

from aggregates import MAGIC, aggregate
from datawarehouse.errors import BodyTooLarge
from datawarehouse.intake.aggregates import has_aggregates, taken_apart
from datawarehouse.journal.block import IdempotencyKeys
from datawarehouse.journal.journal import entry_of

MANY = 10**9
DAMAGED = aggregate(b"lost")[:-1]


def test_user_records_stand_in_the_place_of_their_aggregate():
    records = [b"{}", aggregate(b"a", b"", b"c"), b"", DAMAGED, aggregate(b"d"), b"last"]
    keys = IdempotencyKeys(bytes(16), bytes(16))
    entry, places = taken_apart(entry_of(records, array("H", [7, 1, 2, 3, 63, 0]), keys), records, MANY)
    found = [b"{}", b"a", b"", b"c", b"", DAMAGED, b"d", b"last"]
    assert entry.payload == b"".join(found)
    assert list(entry.lengths) == list(map(len, found))
    assert list(entry.shards) == [7, 1, 1, 1, 2, 3, 63, 0]
    assert entry.keys == keys
    assert places == [0, 1, 4, 5, 6, 7]


def test_without_shards_there_are_none():
    records = [aggregate(b"a", b"b")]
    entry, places = taken_apart(entry_of(records), records, MANY)
    assert (entry.count, entry.shards, places) == (2, None, [0])


def test_an_entry_never_takes_more_bytes_apart_than_it_did_whole():
    records = [aggregate(*[b""] * 1000), aggregate(*[b"{}"] * 1000), aggregate(b"")]
    whole = entry_of(records, array("H", [0, 1, 2]))
    assert taken_apart(whole, records, MANY)[0].size < whole.size


@pytest.mark.parametrize(
    ("records", "has"),
    [
        ([b'{"id":"a"}'], False),
        ([b"\xf3\xa0\x81\xa7", b"a" + MAGIC], False),  # the first byte of MAGIC, in text and in other places
        ([b"\xf3\x89", b"\x9a\xc2"], False),  # MAGIC is not in one record
        ([b"", MAGIC], True),
        ([b"{}", aggregate(b"{}")], True),
    ],
)
def test_what_begins_as_an_aggregate_is_found(records, has):
    assert has_aggregates(entry_of(records), records) == has


def test_more_user_records_than_a_request_may_have_are_refused():
    records = [b"{}"] * 500 + [aggregate(b"a", b"b"), DAMAGED, aggregate(b"c")]
    assert taken_apart(entry_of(records), records, 3)[0].count == 504
    with pytest.raises(BodyTooLarge, match=r"more than 2 user records together \(request_events_max\)"):
        taken_apart(entry_of(records), records, 2)
