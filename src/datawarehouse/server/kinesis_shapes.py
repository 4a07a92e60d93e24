"""The valid arguments of the Kinesis operations, and the errors that AWS answers to invalid ones. Pure.

1. Types are checked first: the first value of a wrong type gives a SerializationException. 2. Then constraints are
   checked: one ValidationException lists all violations, at most ten, in the order of the shapes.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

_VIOLATIONS_MAX = 10
_ENTRIES_SHOWN_MAX = 1000
_MATCHED_MAX = 2048  # the pattern of an ARN takes time by the cube of the length; what is longer is too long anyway


class KinesisError(Exception):
    """An error in the form in which AWS answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def document(self) -> bytes:
        """The JSON document; AWS writes the message of this one code in another way, as kinesalite recorded."""
        if not self.message:
            return msgspec.json.encode({"__type": self.code})
        name = "Message" if self.code == "SerializationException" else "message"
        return msgspec.json.encode({"__type": self.code, name: self.message})


@dataclass(frozen=True)
class Shape:
    """A member's type and constraints, from the service model. members: of a structure; entry: of a list."""

    kind: str
    required: bool = False
    low: int | None = None
    high: int | None = None
    pattern: str = ""
    values: tuple[str, ...] = ()
    members: Mapping[str, Shape] = field(default_factory=dict)
    entry: Shape | None = None
    entry_name: str = ""


_STREAM_NAME = Shape("String", low=1, high=128, pattern="[a-zA-Z0-9_.-]+")
_STREAM_ARN = Shape("String", low=1, high=2048, pattern=r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+")
_SHARD_ID = Shape("String", low=1, high=128, pattern="[a-zA-Z0-9_.-]+")
_NEXT_TOKEN = Shape("String", low=1, high=1048576)
_DATA = Shape("Blob", required=True, high=10485760)
_PARTITION_KEY = Shape("String", required=True, low=1, high=256)
_HASH_KEY = Shape("String", pattern=r"0|([1-9]\d{0,38})")
_SEQUENCE = Shape("String", pattern=r"0|([1-9]\d{0,128})")
_TIMESTAMP = Shape("Timestamp")
_DRY_RUN = Shape("Boolean")
_FILTER_TYPES = (
    "AFTER_SHARD_ID",
    "AT_TRIM_HORIZON",
    "FROM_TRIM_HORIZON",
    "AT_LATEST",
    "AT_TIMESTAMP",
    "FROM_TIMESTAMP",
)

OPERATIONS: Mapping[str, Mapping[str, Shape]] = {
    "PutRecord": {
        "SequenceNumberForOrdering": _SEQUENCE,
        "PartitionKey": _PARTITION_KEY,
        "ExplicitHashKey": _HASH_KEY,
        "Data": _DATA,
        "StreamName": _STREAM_NAME,
        "StreamARN": _STREAM_ARN,
        "DryRun": _DRY_RUN,
    },
    "PutRecords": {
        "Records": Shape(
            "List",
            required=True,
            low=1,
            high=500,
            entry=Shape(
                "Structure",
                members={"PartitionKey": _PARTITION_KEY, "ExplicitHashKey": _HASH_KEY, "Data": _DATA},
            ),
            entry_name="com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310",
        ),
        "StreamName": _STREAM_NAME,
        "StreamARN": _STREAM_ARN,
        "DryRun": _DRY_RUN,
    },
    "DescribeStream": {
        "Limit": Shape("Integer", low=1, high=10000),
        "ExclusiveStartShardId": _SHARD_ID,
        "StreamName": _STREAM_NAME,
        "StreamARN": _STREAM_ARN,
    },
    "DescribeStreamSummary": {"StreamName": _STREAM_NAME, "StreamARN": _STREAM_ARN},
    "ListShards": {
        "ExclusiveStartShardId": _SHARD_ID,
        "MaxResults": Shape("Integer", low=1, high=10000),
        "NextToken": _NEXT_TOKEN,
        "StreamCreationTimestamp": _TIMESTAMP,
        "ShardFilter": Shape(
            "Structure",
            members={
                "Type": Shape("String", required=True, values=_FILTER_TYPES),
                "ShardId": _SHARD_ID,
                "Timestamp": _TIMESTAMP,
            },
        ),
        "StreamName": _STREAM_NAME,
        "StreamARN": _STREAM_ARN,
    },
    "ListStreams": {
        "Limit": Shape("Integer", low=1, high=10000),
        "ExclusiveStartStreamName": _STREAM_NAME,
        "NextToken": _NEXT_TOKEN,
    },
}


# What Kinesis offers besides (botocore 1.43), by what is done here in its place.
_READING = frozenset(
    "GetRecords GetShardIterator SubscribeToShard RegisterStreamConsumer DeregisterStreamConsumer "
    "DescribeStreamConsumer ListStreamConsumers".split()
)
_DECLARING = frozenset(
    "CreateStream DeleteStream UpdateShardCount SplitShard MergeShards UpdateStreamMode UpdateMaxRecordSize "
    "IncreaseStreamRetentionPeriod DecreaseStreamRetentionPeriod UpdateStreamRecordDistributionStrategy "
    "UpdateStreamWarmThroughput".split()
)


def not_offered(service: str, operation: str) -> str:
    """Why a call is none of ours, and what to do in its place."""
    if operation in _READING:
        return (
            f"{operation} is not offered: read with SQL (`dw query`, or POST /v1/query), which sees a record a second "
            "after it was put."
        )
    if operation in _DECLARING:
        return (
            f"{operation} is not offered: a stream is a streaming input table of the declaration (warehouse.py), with "
            "its shards. Change it there, and start `dw up` again."
        )
    return f"Unknown operation {service}.{operation}; known are {', '.join(OPERATIONS)}."


def type_checked(operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The known members of a request, with blobs decoded; nulls and unknown members are left out.

    Raises KinesisError (SerializationException).
    """
    return _structure(OPERATIONS[operation], arguments)


def _structure(members: Mapping[str, Shape], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _typed(shape, values[name]) for name, shape in members.items() if values.get(name) is not None}


_FOUND_IN_ITS_PLACE = {
    bool: "class java.lang.Boolean",
    int: "class com.amazon.coral.value.json.numbers.TruncatingBigNumber",
    float: "class com.amazon.coral.value.json.numbers.TruncatingBigNumber",
    str: "class java.lang.String",
}


def _typed(shape: Shape, value: Any) -> Any:
    match shape.kind:
        case "List":
            if not isinstance(value, list):
                raise _wrong(
                    "Start of structure or map found where not expected."
                    if isinstance(value, dict)
                    else "Expected list or null"
                )
            assert shape.entry
            return [_typed(shape.entry, entry) for entry in value]
        case "Structure":
            if not isinstance(value, dict):
                raise _wrong("Start of list found where not expected" if isinstance(value, list) else "Expected null")
            return _structure(shape.members, value)
        case _:
            if isinstance(value, list):
                raise _wrong("Start of list found where not expected")
            if isinstance(value, dict):
                raise _wrong("Start of structure or map found where not expected.")
            return _scalar(shape.kind, value)


def _scalar(kind: str, value: Any) -> Any:
    if kind == "Integer":
        if isinstance(value, int | float) and not isinstance(value, bool):
            return min(int(value), 2147483647)
        raise _wrong(f"{_FOUND_IN_ITS_PLACE[type(value)]} can not be converted to an Integer")
    if kind == "Timestamp":
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        raise _wrong(f"{_FOUND_IN_ITS_PLACE[type(value)]} can not be converted to milliseconds since epoch")
    if kind == "Boolean":
        if isinstance(value, bool):
            return value
        found = f"'{value}'" if isinstance(value, str) else _FOUND_IN_ITS_PLACE[type(value)]
        raise _wrong(f"{found} can not be converted to an Boolean")
    if not isinstance(value, str):
        article = "a" if kind == "Blob" else "an"
        raise _wrong(f"{_FOUND_IN_ITS_PLACE[type(value)]} can not be converted to {article} {kind}")
    return _blob(value) if kind == "Blob" else value


def _blob(text: str) -> bytes:
    problem = None
    if len(text) % 4:
        problem = f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(text)}"
    else:
        wrong = re.search(r"[^a-zA-Z0-9+/=]|=[^=]", text)
        if wrong:
            problem = f"Invalid Base64 character: '{wrong[0][0]}'"
    if problem is None:
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
            if binascii.b2a_base64(data, newline=False).decode() == text:
                return data
        except binascii.Error:
            pass
        problem = "Invalid last non-pad Base64 character dectected"  # spelled as AWS does
    raise _wrong(f"'{text}' can not be converted to a Blob: {problem}")


def _wrong(message: str) -> KinesisError:
    return KinesisError("SerializationException", message)


def checked(operation: str, arguments: Mapping[str, Any]) -> None:
    """Raise KinesisError (ValidationException) if the values do not satisfy the model."""
    violations: list[str] = []
    for violation in _violations(OPERATIONS[operation], arguments, ""):
        violations.append(violation)
        if len(violations) == _VIOLATIONS_MAX:
            break
    if violations:
        plural = "s" if len(violations) > 1 else ""
        raise KinesisError(
            "ValidationException",
            f"{len(violations)} validation error{plural} detected: {'; '.join(violations)}",
        )


def _violations(members: Mapping[str, Shape], values: Mapping[str, Any], parent: str) -> Iterator[str]:
    for name, shape in members.items():
        path = parent + name[0].lower() + name[1:]
        yield from _value_violations(shape, values.get(name), path)


def _value_violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if value is None:
        if shape.required:
            yield f"Value null at '{path}' failed to satisfy constraint: Member must not be null"
        return
    shown = _shown(shape, value)
    for holds, constraint in _constraints(shape):
        if not holds(value):
            yield f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"
    if shape.kind == "Structure":
        yield from _violations(shape.members, value, f"{path}.")
        return
    if shape.entry:
        for place, entry in enumerate(value, 1):
            yield from _violations(shape.entry.members, entry, f"{path}.{place}.member.")


def _constraints(shape: Shape) -> Iterator[tuple[Callable[[Any], bool], str]]:
    low, high = shape.low, shape.high
    if shape.pattern:
        pattern = re.compile(shape.pattern)
        yield (
            lambda value: (high is not None and len(value) > _MATCHED_MAX) or pattern.fullmatch(value) is not None,
            f"Member must satisfy regular expression pattern: {shape.pattern}",
        )
    if shape.values:
        yield lambda value: value in shape.values, f"Member must satisfy enum value set: [{', '.join(shape.values)}]"
    if shape.kind == "Integer":
        if low is not None:
            yield lambda value: value >= low, f"Member must have value greater than or equal to {low}"
        if high is not None:
            yield lambda value: value <= high, f"Member must have value less than or equal to {high}"
        return
    if low is not None:
        yield lambda value: len(value) >= low, f"Member must have length greater than or equal to {low}"
    if high is not None:
        yield lambda value: len(value) <= high, f"Member must have length less than or equal to {high}"


def _shown(shape: Shape, value: Any) -> str:
    if shape.kind == "Blob":
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if shape.kind == "List":
        more = ", ..." if len(value) > _ENTRIES_SHOWN_MAX else ""
        return "[" + ", ".join([shape.entry_name] * min(len(value), _ENTRIES_SHOWN_MAX)) + more + "]"
    return str(value)
