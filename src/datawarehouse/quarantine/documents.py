"""Rejects as Firehose's error documents, one JSON object for each record.

Source: Firehose developer guide, "Error handling for data format conversion"; the member names are those of real
error objects.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from datawarehouse.definition.instants import milliseconds_of

ACCOUNT, REGION = "000000000000", "us-east-1"


def error_documents(database: str, table: str, rejects: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The documents for rows of a quarantine."""
    for reject in rejects:
        arrived = _milliseconds(reject["arrival_timestamp"])
        yield msgspec.json.encode(
            {
                "attemptsMade": 1,
                "arrivalTimestamp": arrived,
                "lastErrorCode": reject["error_code"],
                "lastErrorMessage": reject["error_message"],
                "attemptEndingTimestamp": arrived,
                "rawData": base64.b64encode(reject["raw_data"]).decode(),
                "sequenceNumber": reject["sequence_number"],
                "subSequenceNumber": 0,
                "dataCatalogTable": {
                    "catalogId": ACCOUNT,
                    "databaseName": database,
                    "tableName": table,
                    "region": REGION,
                    "versionId": "LATEST",
                },
            }
        )


def _milliseconds(instant: datetime) -> int:
    return milliseconds_of(instant)
