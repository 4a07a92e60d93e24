"""The error documents of a deployed streaming input table: JSON objects in files of S3, below `errors/<table>/`.

Firehose writes one document for each record that it could not convert, one after the other and without anything
between them. Two members have two names: the documentation of conversion says errorCode and errorMessage, documents
have lastErrorCode and lastErrorMessage ("Error handling for data format conversion"). Both are read, in any case.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datawarehouse.definition.instants import instant_of, milliseconds_of
from datawarehouse.definition.partition import partition_of
from datawarehouse.errors import DataWarehouseError
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import Deployment

ROWS = "iceberg-failed"
"""The folder of what Firehose could not write to an Iceberg table: rows, which were records before a function converted
them."""
REPLAYED = "replayed"
"""The folder of the records of what was replayed, beside those of the documents, named after kinds of errors."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be converted. raw: its bytes as they were sent. arrived: None if the document does not
    tell."""

    code: str
    message: str
    raw: bytes
    arrived: datetime | None


def error_objects(
    deployment: Deployment, clients: Clients, table: str, start: datetime | None, end: datetime | None
) -> list[str]:
    """The keys of the objects with error documents, of the hours from `start` to before `end`; the oldest hours first.

    An hour is that in which the records arrived.
    """
    first = partition_of(milliseconds_of(start)) if start else ""
    before = partition_of(milliseconds_of(end)) if end else "~"
    home = f"errors/{table}/"
    pages = clients("s3").get_paginator("list_objects_v2").paginate(Bucket=deployment.data_bucket, Prefix=home)
    found = []
    for key in (each["Key"] for page in pages for each in page.get("Contents", [])):
        kind, _, rest = key.removeprefix(home).partition("/")
        hour = "/".join(rest.split("/")[:4])
        if kind != REPLAYED and first <= hour < before:
            found.append((hour, key))
    return [key for _, key in sorted(found)]


def rejects_of(key: str, text: bytes) -> Iterator[Reject]:
    """The rejects of an object, in its order. Raises DataWarehouseError if something in it is no error document."""
    decoder = json.JSONDecoder()
    try:
        documents = text.decode("utf-8")
        at = _after_space(documents, 0)
        while at < len(documents):
            document, at = decoder.raw_decode(documents, at)
            yield _reject({name.lower(): value for name, value in document.items()})
            at = _after_space(documents, at)
    except (ValueError, AttributeError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataWarehouseError(
            f"The object {key} does not consist of error documents of Firehose: {type(error).__name__}: {error}."
        ) from None


def _reject(document: Mapping[str, Any]) -> Reject:
    arrived = document.get("arrivaltimestamp")
    return Reject(
        str(document.get("lasterrorcode") or document.get("errorcode") or "unknown"),
        str(document.get("lasterrormessage") or document.get("errormessage") or ""),
        base64.b64decode(document["rawdata"], validate=True),
        None if arrived is None else instant_of(int(arrived)),
    )


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def causes(
    deployment: Deployment,
    clients: Clients,
    table: str,
    start: datetime | None,
    end: datetime | None,
    say: Callable[[int], None],
) -> list[dict[str, Any]]:
    """The rejects of a table from an instant to another, counted by cause; the most frequent cause first. say: is told
    how many objects were read."""
    counts: dict[tuple[str, str], tuple[int, datetime | None]] = {}
    for number, key in enumerate(error_objects(deployment, clients, table, start, end), 1):
        text = clients("s3").get_object(Bucket=deployment.data_bucket, Key=key)["Body"].read()
        for reject in rejects_of(key, text):
            count, latest = counts.get((reject.code, reject.message), (0, None))
            times = [each for each in (latest, reject.arrived) if each]
            counts[reject.code, reject.message] = (count + 1, max(times, default=None))
        say(number)
    ordered = sorted(counts.items(), key=lambda each: (-each[1][0], each[0]))
    return [
        {"error_code": code, "error_message": message, "records": count, "latest": latest and _written(latest)}
        for (code, message), (count, latest) in ordered
    ]


def _written(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
