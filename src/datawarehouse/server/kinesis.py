"""Kinesis Data Streams, JSON 1.1: what producers call, with the shapes, limits and texts of AWS.

Source: Amazon Kinesis Data Streams API reference, 2013-12-02. Where AWS documents no text, the texts are those that
kinesalite recorded from AWS. A stream is named as its table; any account and Region are accepted. Who calls was found
out before (`identity`); what a key may do is checked here, where the stream is known.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Annotated, Any

import msgspec

from datawarehouse.access.identity import Identity
from datawarehouse.clock import Clock
from datawarehouse.errors import BodyTooLarge, Throttled
from datawarehouse.intake.aggregates import has_aggregates, taken_apart
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.intake.intake import Intake, Stream, shards_for
from datawarehouse.intake.shard_rate import RATE
from datawarehouse.journal.block import Entry
from datawarehouse.journal.journal import entry_of
from datawarehouse.journal.sequence import HASH_KEYS, is_sequence_number, sequence_number, shard_id
from datawarehouse.server.http import Request, Response
from datawarehouse.server.kinesis_access import admit, check_right, check_signed, may
from datawarehouse.server.kinesis_answers import AMZ_JSON, answer_of, error_answer
from datawarehouse.server.kinesis_put_answers import RECORDS_MAX, put_records_answer, rate_exceeded
from datawarehouse.server.kinesis_shapes import OPERATIONS, KinesisError, checked, not_offered, type_checked
from datawarehouse.server.kinesis_streams import (
    ACCOUNT,
    filtered_shards,
    not_found,
    read_token,
    shards_of,
    summary,
    token_of,
)

TARGET_PREFIX = "Kinesis_20131202"
REQUEST_BYTES_MAX = 10 * 1024 * 1024
_PUTS = ("PutRecord", "PutRecords")
_KEY_CHARACTERS_MAX = 256
_COMMAS_MAX = 200_000  # 500 records whose partition keys are commas alone have 130,000
_INLINE_BYTES = 64 * 1024  # more bytes of aggregates are taken apart in a thread, so that others need not wait


class _Record(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    Data: bytes
    PartitionKey: Annotated[str, msgspec.Meta(min_length=1, max_length=_KEY_CHARACTERS_MAX)]


class _PlainPutRecords(msgspec.Struct):
    """A request that is in order and has no hash keys."""

    Records: Annotated[list[_Record], msgspec.Meta(min_length=1, max_length=RECORDS_MAX)]
    StreamName: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")] | None = None
    StreamARN: (
        Annotated[str, msgspec.Meta(max_length=2048, pattern=r"^arn:aws.*:kinesis:.*:\d{12}:stream/\S+$")] | None
    ) = None
    DryRun: bool | None = None


_PLAIN_PUT_RECORDS = msgspec.json.Decoder(_PlainPutRecords)


@dataclass(slots=True)
class _PutRecords:
    """hash_keys is None if no record has one."""

    name: str | None
    arn: str | None
    data: list[bytes]
    keys: list[str]
    hash_keys: list[str | None] | None = None
    is_dry_run: bool = False


@dataclass(slots=True)
class Kinesis:
    """The routes of the protocol."""

    intake: Intake
    commit: GroupCommit
    clock: Clock

    async def handle(self, request: Request, body: bytes) -> Response:
        """Answer one call; every fault of the caller is an error document with status 400.

        Raises DataWarehouseError if the call could not be done; see `kinesis_answers.failure`.
        """
        try:
            operation = _operation(request, body)
            check_signed(request, partial(_parsed, body))
            identity = request.identity
            if operation in _PUTS:
                admit(identity, len(body))
            answering = self._call(operation, body, identity)
            del body  # what waits to be durable is in memory once: as it is written
            answer = await answering
        except KinesisError as error:
            return error_answer(error)
        return answer_of(200, answer)

    async def _call(self, operation: str, body: bytes, identity: Identity) -> bytes:
        if operation == "PutRecords":
            putting = self._put_records(_put_records_request(body), identity)
            del body
            return await putting
        arguments = type_checked(operation, _parsed(body))
        del body
        checked(operation, arguments)
        match operation:
            case "PutRecord":
                return await self._put_record(arguments, identity)
            case "DescribeStream":
                return self._describe_stream(arguments, identity)
            case "DescribeStreamSummary":
                return self._describe_stream_summary(arguments, identity)
            case "ListShards":
                return self._list_shards(arguments, identity)
            case _:
                return self._list_streams(arguments, identity)

    # -- writing

    async def _put_records(self, put: _PutRecords, identity: Identity) -> bytes:
        stream = self._stream(put.name, put.arn, identity, "PutRecords")
        data, keys, count = put.data, put.keys, len(put.data)
        identity.take(events_per_s=count)
        self._check_sizes(stream, data, keys)
        _check_wanted(put.is_dry_run)
        shards = shards_for(keys, put.hash_keys, stream.shard_count)
        all_shards = shards or bytes(count)
        taken = self._within_rate(stream, data, keys, all_shards)
        if taken is not None:
            data = list(compress(data, taken))
            shards = shards and array("H", compress(shards, taken))
        if not data:
            return put_records_answer(stream, all_shards, None, None)
        try:
            entry, places = await self._entry(data, shards)
            del put, data, keys
            identity.take(events_per_s=entry.count - count)  # records have more, if they are aggregates
            appended, _ = await self.commit.append(stream, entry)
        except Throttled:
            return put_records_answer(stream, all_shards, None, None)
        except BodyTooLarge as error:
            raise KinesisError("InvalidArgumentException", str(error)) from None
        return put_records_answer(stream, all_shards, taken, appended, places)

    async def _put_record(self, arguments: dict[str, Any], identity: Identity) -> bytes:
        stream = self._stream(arguments.get("StreamName"), arguments.get("StreamARN"), identity, "PutRecord")
        identity.take(events_per_s=1)
        data, key = arguments["Data"], arguments["PartitionKey"]
        hash_key = arguments.get("ExplicitHashKey")
        _check_hash_keys([hash_key])
        self._check_ordering(stream, arguments.get("SequenceNumberForOrdering"))
        self._check_sizes(stream, [data], [key])
        _check_wanted(arguments.get("DryRun", False))
        shards = shards_for([key], [hash_key], stream.shard_count)
        shard = shards[0] if shards else 0
        throttled = KinesisError("ProvisionedThroughputExceededException", rate_exceeded(stream, shard))
        if self.intake.limits.shard_rate_limited and not stream.rate.take(shard, _size(data, key)):
            self.intake.refusals.records(stream.name, "shard_rate_limited", 1, RATE)
            raise throttled
        try:
            entry, _ = await self._entry([data], shards)
            identity.take(events_per_s=entry.count - 1)
            appended, _ = await self.commit.append(stream, entry)
        except Throttled:
            raise throttled from None
        except BodyTooLarge as error:
            raise KinesisError("InvalidArgumentException", str(error)) from None
        number = sequence_number(stream.journal.created_ms, shard, appended.first_record, appended.arrival_ms)
        return msgspec.json.encode({"ShardId": shard_id(shard), "SequenceNumber": str(number)})

    async def _entry(self, data: list[bytes], shards: array[int] | None) -> tuple[Entry, list[int] | None]:
        """The entry of the user records, and the place in it of the first one of each record; None if each has its own
        place. Raises BodyTooLarge."""
        entry = entry_of(data, shards)
        if not has_aggregates(entry, data):
            return entry, None
        most = self.intake.limits.request_events_max
        if len(entry.payload) <= _INLINE_BYTES:
            return taken_apart(entry, data, most)
        return await asyncio.to_thread(taken_apart, entry, data, most)

    def _check_ordering(self, stream: Stream, after: str | None) -> None:
        """Check the number of the record that the next one has to follow: whichever that is, the next one does."""
        now_ms = max(self.clock.now_ms(), stream.journal.last_arrival_ms)
        if after is not None and not is_sequence_number(int(after), now_ms):
            raise KinesisError(
                "InvalidArgumentException",
                f"ExclusiveMinimumSequenceNumber {after} used in PutRecord on stream {stream.name} under account "
                f"{ACCOUNT} is invalid.",
            )

    def _within_rate(
        self, stream: Stream, data: Sequence[bytes], keys: Sequence[str], shards: Sequence[int]
    ) -> Sequence[bool] | None:
        """Which records their shards take now; None if the rate is not limited."""
        if not self.intake.limits.shard_rate_limited:
            return None
        taken = [
            stream.rate.take(shard, _size(datum, key)) for shard, datum, key in zip(shards, data, keys, strict=True)
        ]
        if refused := taken.count(False):
            self.intake.refusals.records(stream.name, "shard_rate_limited", refused, RATE)
        return taken

    def _check_sizes(self, stream: Stream, data: Sequence[bytes], keys: Sequence[str]) -> None:
        key_bytes_max = 4 * _KEY_CHARACTERS_MAX
        limit = self.intake.limits.record_bytes_max
        largest = max(map(len, data)) + key_bytes_max
        if largest <= limit and largest * len(data) <= REQUEST_BYTES_MAX:
            return
        sizes = [_size(datum, key) for datum, key in zip(data, keys, strict=True)]
        if max(sizes) > limit:
            place = next(place for place, size in enumerate(sizes) if size > limit)
            where = f"Record {place + 1} of {len(sizes)}" if len(sizes) > 1 else "The record"
            message = (
                f"{where} has {sizes[place]} bytes with its partition key; the stream takes records of up to {limit} "
                "bytes (record_bytes_max). Nothing was written."
            )
            self.intake.refusals.records(stream.name, "record_bytes_max", len(sizes), message)
            raise KinesisError("InvalidArgumentException", message)
        if sum(sizes) > REQUEST_BYTES_MAX:
            raise KinesisError(
                "InvalidArgumentException",
                f"The records have {sum(sizes)} bytes together; a request takes up to {REQUEST_BYTES_MAX}.",
            )

    # -- describing

    def _describe_stream(self, arguments: dict[str, Any], identity: Identity) -> bytes:
        stream = self._stream(arguments.get("StreamName"), arguments.get("StreamARN"), identity, "DescribeStream")
        after = arguments.get("ExclusiveStartShardId", "")
        shards = [shard for shard in shards_of(stream) if shard["ShardId"] > after]
        limit = min(arguments.get("Limit", 100), 100)
        described = {
            **summary(stream),
            "Shards": shards[:limit],
            "HasMoreShards": len(shards) > limit,
        }
        return msgspec.json.encode({"StreamDescription": described})

    def _describe_stream_summary(self, arguments: dict[str, Any], identity: Identity) -> bytes:
        named = arguments.get("StreamName"), arguments.get("StreamARN")
        stream = self._stream(*named, identity, "DescribeStreamSummary")
        described = {
            **summary(stream),
            "OpenShardCount": stream.shard_count,
            "ConsumerCount": 0,
            "MaxRecordSizeInKiB": self.intake.limits.record_bytes_max // 1024,
        }
        return msgspec.json.encode({"StreamDescriptionSummary": described})

    def _list_shards(self, arguments: dict[str, Any], identity: Identity) -> bytes:
        named = arguments.get("StreamName"), arguments.get("StreamARN")
        token, after = arguments.get("NextToken"), arguments.get("ExclusiveStartShardId", "")
        if token and any(named):
            raise KinesisError("InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
        if not token and not any(named):
            raise KinesisError("InvalidArgumentException", "Either NextToken or StreamName should be provided.")
        if token:
            for name in ("ExclusiveStartShardId", "StreamCreationTimestamp"):
                if name in arguments:
                    raise KinesisError("InvalidArgumentException", f"NextToken and {name} cannot be provided together.")
            name, after = read_token(token)
            named = name, None
        stream = self._stream(*named, identity, "ListShards")
        created_s, wanted_s = stream.journal.created_ms / 1000, arguments.get("StreamCreationTimestamp")
        if wanted_s is not None and abs(wanted_s - created_s) >= 1:  # SDKs send whole seconds, some round them
            raise not_found(stream.name)
        shards = [shard for shard in filtered_shards(stream, arguments.get("ShardFilter")) if shard["ShardId"] > after]
        limit = min(arguments.get("MaxResults", 1000), 1000)
        answer: dict[str, Any] = {"Shards": shards[:limit]}
        if len(shards) > limit:
            answer["NextToken"] = token_of(stream.name, shards[limit - 1]["ShardId"])
        return msgspec.json.encode(answer)

    def _list_streams(self, arguments: dict[str, Any], identity: Identity) -> bytes:
        after = arguments.get("ExclusiveStartStreamName", "")
        if arguments.get("NextToken"):
            after, _ = read_token(arguments["NextToken"])
        names = [name for name in sorted(self.intake.streams) if name > after and may(identity, "ListStreams", name)]
        limit = min(arguments.get("Limit", 100), 100)
        listed = [summary(self.intake.streams[name]) for name in names[:limit]]
        keep = ("StreamName", "StreamARN", "StreamStatus", "StreamModeDetails", "StreamCreationTimestamp")
        answer: dict[str, Any] = {
            "StreamNames": names[:limit],
            "HasMoreStreams": len(names) > limit,
            "StreamSummaries": [{name: stream[name] for name in keep} for stream in listed],
        }
        if len(names) > limit:
            answer["NextToken"] = token_of(names[limit - 1], "")
        return msgspec.json.encode(answer)

    def _stream(self, name: str | None, arn: str | None, identity: Identity, operation: str) -> Stream:
        if arn:
            named = arn.rpartition(":stream/")[2]
            if name and name != named:
                raise KinesisError(
                    "InvalidArgumentException", f"StreamARN {arn} and StreamName {name} name different streams."
                )
            name = named
        if not name:
            raise KinesisError("InvalidArgumentException", "Either StreamName or StreamARN should be provided.")
        check_right(identity, operation, name)
        if name not in self.intake.streams:
            raise not_found(name)
        return self.intake.streams[name]


# -- the request


def _operation(request: Request, body: bytes) -> str:
    service, _, operation = request.header(b"x-amz-target").partition(".")
    known = service == TARGET_PREFIX and operation in OPERATIONS
    if request.content_type != AMZ_JSON:
        message = f"The content type is {request.content_type!r}; this endpoint speaks {AMZ_JSON}."
        if "cbor" in request.content_type:
            message += " Switch CBOR off in the client: AWS_CBOR_DISABLE=true, or -Daws.cborEnabled=false."
        raise KinesisError("UnknownOperationException", message, 404)
    if not body:
        raise KinesisError("SerializationException" if known else "UnknownOperationException", "")
    if not known:
        _parsed(body)
        raise KinesisError("UnknownOperationException", not_offered(service, operation))
    return operation


def _parsed(body: bytes) -> dict[str, Any]:
    if body.count(b",") > _COMMAS_MAX:  # so many values take seconds, in which nothing else is answered
        raise KinesisError("SerializationException", f"A call takes up to {RECORDS_MAX} records, and this has more.")
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise KinesisError("SerializationException", "")
    return parsed


def _put_records_request(body: bytes) -> _PutRecords:
    """The request, fast if it is in order; else by the checks that give AWS's texts."""
    try:
        put = _PLAIN_PUT_RECORDS.decode(body)
        data = [record.Data for record in put.Records]
        keys = [record.PartitionKey for record in put.Records]
        return _PutRecords(put.StreamName, put.StreamARN, data, keys, is_dry_run=bool(put.DryRun))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    arguments = type_checked("PutRecords", _parsed(body))
    checked("PutRecords", arguments)
    _check_hash_keys(entry.get("ExplicitHashKey") for entry in arguments["Records"])
    records = arguments["Records"]
    return _PutRecords(
        arguments.get("StreamName"),
        arguments.get("StreamARN"),
        [entry["Data"] for entry in records],
        [entry["PartitionKey"] for entry in records],
        [entry.get("ExplicitHashKey") for entry in records],
        arguments.get("DryRun", False),
    )


def _check_hash_keys(texts: Iterable[str | None]) -> None:
    for text in texts:
        if text is not None and int(text) >= HASH_KEYS:
            raise KinesisError(
                "InvalidArgumentException",
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                f"Specified value was {text}",
            )


def _check_wanted(is_dry_run: bool) -> None:
    if is_dry_run:
        raise KinesisError(
            "DryRunOperationException", "The request was rejected because the DryRun parameter was specified."
        )


def _size(data: bytes, key: str) -> int:
    """The size of a record as limits count it (Kinesis API reference, PutRecords)."""
    return len(data) + len(key.encode())
