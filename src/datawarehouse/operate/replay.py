"""Puts the records of error documents on their stream again, each once, whatever ends it and whoever else does so.

For each object of error documents there is a record in S3, `errors/<table>/replayed/...json`, which says how many of
its documents were sent. It is written under a condition (If-None-Match, If-Match: Amazon S3 user guide, "Conditional
writes"), so that of two processes one has the object. For each portion of up to 500 documents:

1. Write into the record that the portion is being sent, from when on, and to which hash key: so it goes to one shard.
   This also says that the portion before was sent.
2. Put the portion. Each document has a partition key of its own, made of its object and its number. What is refused is
   put again, after the record was renewed. If an answer is lost, read that shard from that time on: what is there was
   sent, and only the rest is put again.
3. After the last portion, write that the object is done.

A process that finds a record whose portion was being sent waits until nothing of it can be under way any more (30 s),
takes the record over, and looks into the shard in the same way. A stream keeps records for a day or more; a portion
that began before that may or may not have been sent. It is named and left alone.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from datawarehouse.errors import DataWarehouseError, Throttled
from datawarehouse.operate.clients import Clients, error_code
from datawarehouse.operate.deployment import Deployment
from datawarehouse.operate.rejects import REPLAYED, ROWS, rejects_of
from datawarehouse.operate.shard import keys_in_stream

_PORTION_RECORDS_MAX = 500
"""Kinesis API, PutRecords."""
_PORTION_BYTES_MAX = 512 * 1024
"""Half of what a shard takes in a second (Kinesis, "Quotas and limits"): the other half is for producers."""
_RECORD_BYTES_MAX = 1024 * 1024
_TRIES_MAX = 10
_CONNECT_S, _READ_S = 3, 10
_UNDER_WAY_S = 30.0
"""A put begins when its record was written, and ends 13 s later; the rest is for what is slow."""
_SETTLE_S = 5.0
_CLOCKS_DIFFER = timedelta(seconds=60)


@dataclass(slots=True)
class Outcome:
    """sent, before: how many documents were sent now, and had been sent before.
    problems: what could not be sent, and why."""

    sent: int = 0
    before: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _State:
    """The content of a record: documents before `sent` were sent; those from there to `sending` are being sent since
    `since`, to `hash_key`. documents: how many the object has; by: who wrote it."""

    sent: int
    sending: int
    documents: int
    hash_key: str
    since: str
    by: str

    @property
    def is_done(self) -> bool:
        return self.sent == self.documents


class _Taken(Exception):
    """Another process has the object."""


class Replay:
    """One replay of the documents of a table. rate: the most documents a second. say: is told how many are sent."""

    def __init__(
        self, deployment: Deployment, clients: Clients, table: str, rate: int, say: Callable[[int], None]
    ) -> None:
        self._s3 = clients("s3")
        self._kinesis = clients("kinesis")
        self._put_once = clients.once("kinesis", connect_timeout=_CONNECT_S, read_timeout=_READ_S)
        self._bucket = deployment.data_bucket
        self._stream = str(deployment.streaming(table).stream)
        self._home = f"errors/{table}/"
        self._rate, self._say = rate, say
        self._by = secrets.token_hex(8)
        self._now = datetime.now(UTC)  # of S3, once it has answered
        self._next_put = time.monotonic()
        self.outcome = Outcome()

    def send(self, keys: Sequence[str]) -> Outcome:
        """Send the documents of objects that were not sent yet.

        What cannot be sent is in the outcome; the rest is sent. Raises Throttled if the stream takes nothing any more.
        """
        todo = [key for key in keys if not key.startswith(f"{self._home}{ROWS}/")]
        if rows := len(keys) - len(todo):
            self.outcome.problems.append(
                f"{rows} objects below s3://{self._bucket}/{self._home}{ROWS}/ were left out: they have rows, which "
                "would be converted a second time. docs/reference/iceberg.md says how to store them."
            )
        while todo:
            taken = [key for key in todo if not self._sent_whole(key)]
            if taken == todo:
                time.sleep(1.0)
            todo = taken
        return self.outcome

    def _sent_whole(self, key: str) -> bool:
        """Send an object. False if another process has it now."""
        try:
            self._send(key)
        except _Taken:
            return False
        except _NotSent as error:
            self.outcome.problems.append(str(error))
        return True

    def _send(self, key: str) -> None:
        record = _Record(self, key)
        state = record.read()
        if state and state.is_done:
            self.outcome.before += state.documents
            return
        if state and state.by != self._by and record.age() < timedelta(seconds=_UNDER_WAY_S):
            raise _Taken
        answer = self.saw(self._s3.get_object(Bucket=self._bucket, Key=key))
        try:
            documents = [reject.raw for reject in rejects_of(key, answer["Body"].read())]
        except DataWarehouseError as error:
            raise _NotSent(f"{error} Nothing of it was sent.") from None
        at = 0
        if state:
            state = record.write(replace(state, by=self._by))
            left = self._not_in_stream(key, state)
            self.outcome.before += state.sending - len(left)
            self._put(key, record, state, documents, left)
            at = state.sending
        while at < len(documents):
            portion = _portion(documents, at, self._rate)
            self._pace(portion[1] - at)
            self._put(key, record, self._claim(portion, len(documents)), documents, list(range(*portion)))
            at = portion[1]
        record.write(self._claim((at, at), at))

    def _claim(self, portion: tuple[int, int], documents: int) -> _State:
        hash_key = str(random.getrandbits(128))
        return _State(*portion, documents, hash_key, self._now.isoformat(), self._by)

    def _not_in_stream(self, key: str, state: _State) -> list[int]:
        """The numbers of those documents of a portion that are not in the stream."""
        since = datetime.fromisoformat(state.since) - _CLOCKS_DIFFER
        ids = {_partition_key(key, number): number for number in range(state.sent, state.sending)}
        found = keys_in_stream(self._kinesis, self._stream, state.hash_key, since, self._now, ids.keys())
        if found is None:
            raise _NotSent(
                f"Documents {state.sent} to {state.sending - 1} of s3://{self._bucket}/{key} were being sent at "
                f"{state.since}, and the stream keeps records for less than that: they may or may not have been sent. "
                f"Look for them in the table. To send this object from its beginning, delete s3://{self._bucket}/"
                f"{self.record_key(key)} and begin again."
            )
        return [number for id, number in ids.items() if id not in found]

    def record_key(self, key: str) -> str:
        return f"{self._home}{REPLAYED}/{key.removeprefix(self._home)}.json"

    def saw(self, answer: Any) -> Any:
        """An answer of S3, whose clock is noted."""
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if date:
            self._now = parsedate_to_datetime(date)
        return answer

    # -- putting

    def _put(self, key: str, record: _Record, state: _State, documents: Sequence[bytes], left: list[int]) -> None:
        """Put documents of a portion until each was taken; before each put, the record says that they are being put."""
        sendable, unsendable = _checked(key, documents, left)
        self.outcome.problems += unsendable
        for tried in range(_TRIES_MAX):
            if not sendable:
                return
            if tried:
                self._pace(len(sendable))
            record.write(state)  # each time, whatever the clock says: a machine may have slept in the pause
            entries = [
                {
                    "Data": documents[number],
                    "PartitionKey": _partition_key(key, number),
                    "ExplicitHashKey": state.hash_key,
                }
                for number in sendable
            ]
            rest = self._left_after(entries, sendable)
            if rest is None:
                time.sleep(_SETTLE_S)
                rest = [each for each in self._not_in_stream(key, state) if each in sendable]
            self.outcome.sent += len(sendable) - len(rest)
            self._say(self.outcome.sent)
            sendable = rest
            if sendable:
                time.sleep(random.uniform(0.5, 1.0) * min(0.2 * 2**tried, 5.0))
        raise Throttled(
            f"The stream {self._stream} refused documents {_TRIES_MAX} times; {self.outcome.sent} were sent. Begin "
            "again later, or with a smaller --rate: what was sent is not sent again."
        )

    def _left_after(self, entries: list[dict[str, Any]], numbers: list[int]) -> list[int] | None:
        """The numbers of those documents that the stream did not take; None if the answer is lost."""
        try:
            answer = self._put_once.put_records(StreamName=self._stream, Records=entries)
        except ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode", 500) >= 500:
                return None
            if error_code(error) not in _REFUSED:
                raise
            return numbers
        except NoCredentialsError:
            raise
        except BotoCoreError:
            return None
        told = dict(zip(numbers, (one.get("ErrorCode") for one in answer["Records"]), strict=True))
        if any(code and code not in _REFUSED for code in told.values()):  # InternalFailure: it may be there
            return None
        return [number for number, code in told.items() if code]

    def _pace(self, count: int) -> None:
        """Wait until the rate permits a put, and note when it permits the next."""
        now = time.monotonic()
        if self._next_put > now:
            time.sleep(self._next_put - now)
        self._next_put = max(now, self._next_put) + count / self._rate


_REFUSED = {"ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException",
            "KMSThrottlingException"}  # fmt: skip


class _NotSent(DataWarehouseError):
    """An object is left alone: it is damaged, or whether a portion was sent cannot be found out any more."""


class _Record:
    """The record of one object, which is written only if nobody else has written it meanwhile."""

    def __init__(self, replay: Replay, key: str) -> None:
        self._replay = replay
        self._place = {"Bucket": replay._bucket, "Key": replay.record_key(key)}
        self._etag: str | None = None
        self._age = timedelta(0)

    def read(self) -> _State | None:
        try:
            answer = self._replay.saw(self._replay._s3.get_object(**self._place))
        except ClientError as error:
            if error_code(error) != "NoSuchKey":
                raise
            self._replay.saw(error.response)
            return None
        self._etag = answer["ETag"]
        self._age = self._replay._now - answer["LastModified"]
        return _State(**json.loads(answer["Body"].read()))

    def age(self) -> timedelta:
        """How long before it was read it was written, by the clock of S3."""
        return self._age

    def write(self, state: _State) -> _State:
        """Raises _Taken if another process has written it since."""
        condition = {"IfMatch": self._etag} if self._etag else {"IfNoneMatch": "*"}
        try:
            answer = self._replay._s3.put_object(
                **self._place, **condition, Body=json.dumps(asdict(state)).encode(), ContentType="application/json"
            )
        except ClientError as error:
            if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                raise
            raise _Taken from None
        self._replay.saw(answer)
        self._etag = answer["ETag"]
        return state


def _portion(documents: Sequence[bytes], start: int, rate: int) -> tuple[int, int]:
    """The next documents that are put together: at most those of a second."""
    end, size, most = start, 0, min(rate, _PORTION_RECORDS_MAX)
    while end < len(documents) and end - start < most:
        size += len(documents[end])
        if end > start and size > _PORTION_BYTES_MAX:
            break
        end += 1
    return start, end


def _partition_key(key: str, number: int) -> str:
    """Firehose does not read it; it tells whether a document is in the stream."""
    return f"replay-{hashlib.sha256(key.encode()).hexdigest()[:24]}-{number}"


def _checked(key: str, documents: Sequence[bytes], numbers: list[int]) -> tuple[list[int], list[str]]:
    """(numbers of documents that a stream takes, what is wrong with the others)"""
    wrong = {
        number: f"Document {number} of {key} has {len(documents[number])} bytes; a stream takes 1 to "
        f"{_RECORD_BYTES_MAX} bytes with its partition key. It was left out."
        for number in numbers
        if not 0 < len(documents[number]) <= _RECORD_BYTES_MAX - len(_partition_key(key, number))
    }
    return [number for number in numbers if number not in wrong], list(wrong.values())
