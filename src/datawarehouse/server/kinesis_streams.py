"""What Kinesis says of a stream and its shards. Pure."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from datawarehouse.intake.intake import Stream
from datawarehouse.journal.sequence import hash_range, sequence_number, shard_id
from datawarehouse.server.kinesis_shapes import KinesisError

ACCOUNT, REGION = "000000000000", "us-east-1"
_RETENTION_HOURS = 24


def summary(stream: Stream) -> dict[str, Any]:
    """What every description of a stream has."""
    return {
        "StreamName": stream.name,
        "StreamARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream.name}",
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "RetentionPeriodHours": _RETENTION_HOURS,
        "StreamCreationTimestamp": stream.journal.created_ms / 1000,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
    }


def shards_of(stream: Stream) -> list[dict[str, Any]]:
    """All shards, in the form of the API."""
    shards = []
    created = stream.journal.created_ms
    for shard in range(stream.shard_count):
        first, last = hash_range(shard, stream.shard_count)
        shards.append(
            {
                "ShardId": shard_id(shard),
                "HashKeyRange": {"StartingHashKey": str(first), "EndingHashKey": str(last)},
                "SequenceNumberRange": {"StartingSequenceNumber": str(sequence_number(created, shard, 0, created))},
            }
        )
    return shards


def filtered_shards(stream: Stream, wanted: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The shards that a ShardFilter lets through. All of them have been open since the stream was created.

    Raises KinesisError (InvalidArgumentException).
    """
    shards = shards_of(stream)
    if wanted is None:
        return shards
    kind = wanted["Type"]
    for name, kinds in (("ShardId", ("AFTER_SHARD_ID",)), ("Timestamp", ("AT_TIMESTAMP", "FROM_TIMESTAMP"))):
        if (name in wanted) != (kind in kinds):
            must = "must be given with" if kind in kinds else "cannot be given with"
            raise KinesisError("InvalidArgumentException", f"{name} {must} the ShardFilter type {kind}.")
    if kind == "AFTER_SHARD_ID":
        return [shard for shard in shards if shard["ShardId"] > wanted["ShardId"]]
    if kind == "AT_TIMESTAMP" and wanted["Timestamp"] < stream.journal.created_ms // 1000:
        return []
    return shards


def not_found(name: str) -> KinesisError:
    return KinesisError("ResourceNotFoundException", f"Stream {name} under account {ACCOUNT} not found.")


def token_of(*parts: str) -> str:
    """Where a list goes on: the name of a stream, and the last shard that was listed."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def read_token(token: str) -> tuple[str, str]:
    """The parts of a token. Raises KinesisError (ExpiredNextTokenException)."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[str, str])
    except (ValueError, msgspec.DecodeError):
        raise KinesisError("ExpiredNextTokenException", f"The NextToken {token} is not one of this endpoint.") from None
