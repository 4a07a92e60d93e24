"""To a Kinesis stream with boto3, by PutRecords. What one answer refuses is sent again alone.

Limits: docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html (500 records; 5 MiB together with the keys,
which every account has) and .../API_PutRecord.html (1 MiB in one record with its key).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from datawarehouse.errors import BadRequest, DataWarehouseError, MissingExtra, Throttled, Unreachable
from datawarehouse.producer.aggregate import aggregated, overhead
from datawarehouse.producer.batch import Batch, Receipt

_RECORDS_MAX = 500
_RECORD_BYTES_MAX = 1024 * 1024
_REQUEST_BYTES_MAX = 4 * 1024 * 1024  # what is left of 5 MiB is for keys
_KEY_CHARACTERS_MAX = 256
_PACKED_BYTES = 50 * 1024  # as the Kinesis Producer Library: two of the units of 25 KiB that a put is billed by
_AGAIN_CODES = frozenset(
    (
        "ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException", "Throttling",
        "ThrottlingException", "RequestLimitExceeded", "InternalFailure", "InternalServerError", "ServiceUnavailable",
        "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException",
    )
)  # fmt: skip


@dataclass(slots=True)
class _Record:
    """A record of a request, and the events in it: those from `start` to `end`."""

    data: bytes
    key: str
    start: int
    end: int


class KinesisDestination:
    batch_bytes_max = _REQUEST_BYTES_MAX
    event_bytes_max = _RECORD_BYTES_MAX - _KEY_CHARACTERS_MAX * 4

    def __init__(self, stream: str, client: Any, *, aggregate: bool) -> None:
        """client: `boto3.client("kinesis")`, which threads may share. aggregate: pack events into fewer records."""
        try:
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise MissingExtra(
                "A producer for Kinesis needs boto3: pip install 'serverless-datawarehouse[kinesis]'"
            ) from None
        self.errors: tuple[type[Exception], type[Exception]] = (ClientError, BotoCoreError)
        self.stream = stream
        self.client = client
        self.aggregate = aggregate
        self.batch_events_max = 100_000 if aggregate else _RECORDS_MAX

    def checked(self, event: bytes, partition_key: str | None) -> bytes:
        if not event:
            raise BadRequest("The event is empty.")
        if partition_key is None:
            return event
        if self.aggregate:
            raise BadRequest(
                f"The partition key is {partition_key!r}, but events that are packed (aggregate=True) share a record "
                "and its shard, which is chosen at random. Leave the key out, or aggregate=True."
            )
        if not 1 <= len(partition_key) <= _KEY_CHARACTERS_MAX:
            raise BadRequest(f"The partition key has {len(partition_key)} characters; valid are 1 to 256.")
        return event

    def connection(self) -> KinesisConnection:
        return KinesisConnection(self)


class KinesisConnection:
    def __init__(self, to: KinesisDestination) -> None:
        self._to = to

    def send(self, batch: Batch) -> None:
        """Try once to send what has no outcome. Raises an error after which the rest can be tried again, or not."""
        if batch.plan is None:
            batch.plan = list(_packed(batch) if self._to.aggregate else _single(batch))
        records: list[_Record] = batch.plan
        again: DataWarehouseError | None = None
        left: list[_Record] = []
        for start in range(0, len(records), _RECORDS_MAX):
            group = records[start : start + _RECORDS_MAX]
            try:
                answer = self._put(group)
            except DataWarehouseError:
                batch.plan = left + records[start:]
                raise
            for record, told in zip(group, answer, strict=True):
                code = told.get("ErrorCode")
                outcome = (
                    _refusal(code, f"{code}: {told.get('ErrorMessage', '')}")
                    if code
                    else Receipt(told["ShardId"], told["SequenceNumber"])
                )
                if isinstance(outcome, DataWarehouseError) and outcome.retryable:
                    left.append(record)
                    again = outcome
                    continue
                for place in range(record.start, record.end):
                    batch.settle(place, outcome)
        batch.plan = left
        if again:
            raise again

    def _put(self, records: list[_Record]) -> list[dict[str, str]]:
        client_error, other_error = self._to.errors
        try:
            answer = self._to.client.put_records(
                StreamName=self._to.stream,
                Records=[{"Data": record.data, "PartitionKey": record.key} for record in records],
            )
        except client_error as error:
            told = error.response["Error"]  # type: ignore[attr-defined]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)  # type: ignore[attr-defined]
            raise _refusal(told.get("Code", ""), str(error), is_fault=status >= 500) from None
        except other_error as error:
            raise _unsent(error) from None
        found: list[dict[str, str]] = answer["Records"]
        return found

    def close(self) -> None:
        pass  # the client is the caller's


def _unsent(error: Exception) -> DataWarehouseError:
    from botocore import exceptions as known

    passing = (
        known.ConnectionError,  # no connection, or not in time
        known.HTTPClientError,  # a broken one, or no answer in time
        known.CredentialRetrievalError,  # the service that gives credentials does not answer
        known.MetadataRetrievalError,
    )
    if isinstance(error, passing):
        return Unreachable(f"The stream does not answer: {error}")
    return DataWarehouseError(str(error))


def _refusal(code: str, message: str, *, is_fault: bool = False) -> DataWarehouseError:
    if is_fault or code in _AGAIN_CODES:
        return Throttled(message, retry_after_s=0)
    return DataWarehouseError(message)


def _single(batch: Batch) -> Iterator[_Record]:
    for place, (event, key) in enumerate(zip(batch.events, batch.keys, strict=True)):
        yield _Record(event, key or _random_key(), place, place + 1)


def _packed(batch: Batch) -> Iterator[_Record]:
    start = size = 0
    for place, event in enumerate(batch.events):
        more = len(event) + overhead(len(event))
        if place > start and size + more > _PACKED_BYTES:
            yield _aggregated(batch, start, place)
            start, size = place, 0
        size += more
    yield _aggregated(batch, start, len(batch.events))


def _aggregated(batch: Batch, start: int, end: int) -> _Record:
    """One event alone is sent as it is: packing would only make it larger."""
    key = _random_key()
    events = batch.events[start:end]
    return _Record(events[0] if len(events) == 1 else aggregated(events, key), key, start, end)


def _random_key() -> str:
    return f"{random.getrandbits(64):016x}"
