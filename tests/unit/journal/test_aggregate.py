"""Aggregates of the Kinesis Producer Library, as its published format has them, and everything that is none."""

import tracemalloc

import pytest

from aggregates import (
    DATA,
    HASH_KEY,
    HASH_KEYS,
    KEY,
    KEYS,
    MAGIC,
    RECORDS,
    TAGS,
    aggregate,
    number,
    sealed,
    text,
    user_record,
    varint,
)
from datawarehouse.journal.aggregate import NotAnAggregate, TooManyRecords, user_records

MANY = 10**9
ONE_KEY = text(KEYS, b"key")
GROUP = varint(9 << 3 | 3) + varint(9 << 3 | 4)

WHOLE = {
    "one record": (aggregate(b"{}"), [b"{}"]),
    "several, one of them empty": (aggregate(b"a", b"", b"c" * 300), [b"a", b"", b"c" * 300]),
    "an explicit hash key and tags": (
        sealed(
            ONE_KEY
            + text(HASH_KEYS, b"17")
            + user_record(b"a", more=number(HASH_KEY, 0) + text(TAGS, text(1, b"name") + text(2, b"value")))
        ),
        [b"a"],
    ),
    "tables behind the records": (sealed(user_record(b"a", key=1) + ONE_KEY * 2), [b"a"]),
    "fields in another order": (sealed(ONE_KEY + text(RECORDS, text(DATA, b"a") + number(KEY, 0))), [b"a"]),
    "data twice, of which the last one counts": (sealed(ONE_KEY + user_record(b"a", more=text(DATA, b"b"))), [b"b"]),
    "a key twice, of which the last one counts": (sealed(ONE_KEY + user_record(b"a", 7, number(KEY, 0))), [b"a"]),
    "unknown fields of each kind": (
        sealed(
            ONE_KEY
            + number(4, 2**64 - 1)
            + text(2**29 - 1, b"?")
            + user_record(b"a", more=number(9, 0) + text(8, b"?") + varint(7 << 3 | 1) + bytes(8))
            + (varint(5 << 3 | 5) + bytes(4))
        ),
        [b"a"],
    ),
    "numbers longer than they need be": (
        sealed(ONE_KEY + text(RECORDS, b"\x88\x00\x80\x00" + b"\x9a\x00\x81\x80\x00a")),
        [b"a"],
    ),
    "an aggregate in a record": (aggregate(aggregate(b"a")), [aggregate(b"a")]),
}

NONE = {
    "magic alone": (MAGIC, "ends before its MD5 digest"),
    "half a digest": (MAGIC + bytes(15), "ends before its MD5 digest"),
    "a digest that is not the content's": (aggregate(b"a")[:-1] + b"?", "MD5 digest is not that of its content"),
    "content that was changed": (aggregate(b"a").replace(b"key", b"kez"), "MD5 digest is not that of its content"),
    "cut short": (aggregate(b"a" * 100)[:-30], "MD5 digest is not that of its content"),
    "bytes behind it": (aggregate(b"a") + b"\n", "MD5 digest is not that of its content"),
    "no content": (sealed(b""), "has no user records"),
    "keys and no records": (sealed(ONE_KEY), "has no user records"),
    "JSON in place of the content": (sealed(b'{"id":"a"}'), "not what Protocol Buffers write"),
    "no partition key": (sealed(ONE_KEY + text(RECORDS, text(DATA, b"a"))), "no partition key or no data"),
    "no data": (sealed(ONE_KEY + text(RECORDS, number(KEY, 0))), "no partition key or no data"),
    "data as a number": (sealed(ONE_KEY + text(RECORDS, number(KEY, 0) + number(DATA, 0))), "no partition key or no d"),
    "an empty record": (sealed(ONE_KEY + text(RECORDS, b"")), "no partition key or no data"),
    "no table of keys": (sealed(user_record(b"a")), "key that is not in its tables"),
    "a key behind the table": (sealed(ONE_KEY + user_record(b"a", key=1)), "key that is not in its tables"),
    "a key far behind it": (sealed(ONE_KEY + user_record(b"a", key=2**64 - 1)), "key that is not in its tables"),
    "a hash key and no table of them": (
        sealed(ONE_KEY + user_record(b"a", more=number(HASH_KEY, 0))),
        "key that is not in its tables",
    ),
    "a tag without a key": (
        sealed(ONE_KEY + user_record(b"a", more=text(TAGS, text(2, b"value")))),
        "a tag in it has no key",
    ),
    "a tag that is cut short": (
        sealed(ONE_KEY + user_record(b"a", more=text(TAGS, b"\x0a\x05k"))),
        "not what Protocol Buffers write",
    ),
    "a record longer than the rest": (sealed(ONE_KEY + b"\x1a\x06\x08\x00\x1a\x01a"), "not what Protocol Buffers"),
    "data longer than their record": (sealed(ONE_KEY + b"\x1a\x05\x08\x00\x1a\x02a" + ONE_KEY), "not what Protocol"),
    "data longer than all": (sealed(ONE_KEY + b"\x1a\x07\x08\x00\x1a" + b"\xff\xff\xff\x7f"), "not what Protocol"),
    "a length that does not end": (sealed(ONE_KEY + b"\x1a\xff"), "not what Protocol Buffers write"),
    "a length that ends in the digest": (sealed(ONE_KEY + b"\x1a"), "not what Protocol Buffers write"),
    "a number that does not end": (sealed(ONE_KEY + b"\x20\x80\x80"), "not what Protocol Buffers write"),
    "a number of more than 64 bits": (
        sealed(ONE_KEY + user_record(b"a") + b"\x20" + b"\xff" * 9 + b"\x02"),
        "not what Protocol Buffers write",
    ),
    "a number of eleven bytes": (
        sealed(ONE_KEY + user_record(b"a") + b"\x20" + b"\x80" * 10 + b"\x00"),
        "not what Protocol Buffers write",
    ),
    "field 0": (sealed(ONE_KEY + user_record(b"a") + text(0, b"")), "not what Protocol Buffers write"),
    "a field beyond the last": (sealed(ONE_KEY + user_record(b"a") + text(2**29, b"")), "not what Protocol Buffers"),
    "eight bytes that are seven": (sealed(ONE_KEY + user_record(b"a") + b"\x39" + bytes(7)), "not what Protocol"),
    "a group": (sealed(ONE_KEY + user_record(b"a") + GROUP), "not what Protocol Buffers write"),
    "kind 6": (sealed(ONE_KEY + user_record(b"a") + b"\x0e"), "not what Protocol Buffers write"),
    "kind 7": (sealed(ONE_KEY + user_record(b"a") + b"\x0f"), "not what Protocol Buffers write"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_user_records_are_taken_out_in_order(name):
    record, found = WHOLE[name]
    assert user_records(record, MANY) == found
    assert user_records(record, len(found)) == found


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_aggregate_is_none_of_it(name):
    record, reason = NONE[name]
    with pytest.raises(NotAnAggregate, match=reason):
        user_records(record, MANY)


def test_one_fault_in_a_record_makes_the_whole_no_aggregate():
    good = b"".join(user_record(b"a") for _ in range(100))
    with pytest.raises(NotAnAggregate):
        user_records(sealed(ONE_KEY + good + user_record(b"b", key=1) + good), MANY)


@pytest.mark.parametrize("data", [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"])
def test_no_number_goes_on_in_the_digest(data):
    with pytest.raises(NotAnAggregate):
        user_records(sealed(ONE_KEY + user_record(data) + b"\x20"), MANY)


def test_more_records_than_wanted_are_refused_before_they_take_memory():
    record = sealed(ONE_KEY + user_record(b"") * 150_000)
    tracemalloc.start()
    try:
        with pytest.raises(TooManyRecords):
            user_records(record, 10)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_the_smallest_records_take_memory_in_proportion():
    record = sealed(ONE_KEY + user_record(b"{}") * 32_000)  # a quarter of a mebibyte
    assert len(record) < 256 * 1024
    tracemalloc.start()
    try:
        assert len(user_records(record, MANY)) == 32_000
        assert tracemalloc.get_traced_memory()[1] < 10 * len(record)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [ONE_KEY * 200_000, text(KEYS, b"") * 500_000, number(4, 0) * 500_000, text(RECORDS, text(9, b"") * 500_000)],
    ids=["keys", "empty keys", "unknown numbers", "unknown fields of a record"],
)
@pytest.mark.timeout(60)
def test_a_mebibyte_of_fields_takes_linear_time(content):
    with pytest.raises(NotAnAggregate):
        user_records(sealed(content), MANY)
