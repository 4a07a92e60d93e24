"""Aggregates of the Kinesis Producer Library: byte by byte, and as an unmodified library writes them."""

import hashlib

MAGIC = bytes.fromhex("f3899ac2")
KEYS, HASH_KEYS, RECORDS = 1, 2, 3  # fields of an aggregate
KEY, HASH_KEY, DATA, TAGS = 1, 2, 3, 4  # fields of a user record


def varint(number):
    """A number as Protocol Buffers write it."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def user_record(data, key=0, more=b""):
    """A user record, as a field of its aggregate."""
    return text(RECORDS, number(KEY, key) + text(DATA, data) + more)


def sealed(message):
    """A message with its magic number and its digest."""
    return MAGIC + message + hashlib.md5(message).digest()


def aggregate(*data):
    """An aggregate of user records that have these data and one partition key."""
    return sealed(text(KEYS, b"key") + b"".join(map(user_record, data)))


def by_library(records):
    """The Kinesis records (data, partition key, explicit hash key or None) that aws-kinesis-agg makes of user records
    (data, partition key)."""
    from aws_kinesis_agg.aggregator import RecordAggregator

    aggregator, made = RecordAggregator(), []
    for data, key in records:
        made.append(aggregator.add_user_record(key, data))
    made.append(aggregator.clear_and_get())
    contents = [each.get_contents() for each in made if each and each.get_num_user_records()]
    return [(data, key, hash_key) for key, hash_key, data in contents]
