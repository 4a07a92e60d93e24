"""What became of events that were sent: stored, rejected by cause, or still waiting.

A table's counts are read before and after; events that wait before are given a moment, so that they are not part of it.
If the counts have moved by more than was sent, somebody else has sent events to the table as well, or some did wait:
then they are in the numbers, and it is said how many they are.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import msgspec

from datawarehouse.definition.instants import timestamp_ms
from datawarehouse.definition.partition import partition_of
from datawarehouse.errors import DataWarehouseError
from datawarehouse.runtime.client import Client

QUIET_MAX_S, WAIT_MAX_S = 1.0, 10.0
_LOOK_FIRST_S, _LOOK_MAX_S = 0.1, 0.5
CAUSES_MAX = 5
_CAUSES = (
    "select error_code, column_name, expected, count(*) as records"
    ' from "{table}_quarantine" where inserted_at >= ? and arrival_timestamp >= from_iso8601_timestamp(?)'
    " group by 1, 2, 3 order by records desc, 1, 2, 3 limit {limit}"
)


class Account(msgspec.Struct, frozen=True):
    """The counts of a table at an instant, in records. unknown_keys: keys that no column has, and how often."""

    at: str
    received: int
    stored: int
    rejected: int
    pending: int
    unknown_keys: dict[str, int] = {}

    @property
    def settled(self) -> int:
        return self.stored + self.rejected


class Outcome(msgspec.Struct, frozen=True):
    """What a table did between two accounts. elsewhere: how many of these records were not sent by us.

    causes: the most frequent causes of rejects, with error_code, column_name, expected and records.
    """

    stored: int
    rejected: int
    waiting: int
    elsewhere: int
    causes: list[dict[str, Any]]
    unknown_keys: dict[str, int]


def account_before(client: Client, table: str) -> Account | None:
    """The counts of a streaming input table; None if the owner has no such table.

    Waits up to QUIET_MAX_S until no event of it is waiting.
    """
    end = time.monotonic() + QUIET_MAX_S
    while (account := _account(client, table)) and account.pending and time.monotonic() < end:
        time.sleep(_LOOK_FIRST_S)
    return account


def _account(client: Client, table: str) -> Account | None:
    status = client.call("GET", "/v1/admin/status")
    for shown in status["tables"]:
        if shown["table"] == table and "pending" in shown:
            return msgspec.convert({"at": status["clock"]["now"], **shown}, Account)
    return None


def outcome_of(client: Client | None, table: str, before: Account, accepted: int) -> Outcome | None:
    """What became of events since `before`, of which `accepted` were sent by us; waits for them up to WAIT_MAX_S.

    None if that cannot be known.
    """
    if client is None:
        return None
    end, pause_s = time.monotonic() + WAIT_MAX_S, _LOOK_FIRST_S
    while (after := _account(client, table)) is not None:
        if not after.pending or after.settled - before.settled >= before.pending + accepted:
            break
        if time.monotonic() + pause_s > end:
            break
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LOOK_MAX_S)
    if after is None or after.settled < before.settled:  # another data folder took the place of this one
        return None
    rejected = after.rejected - before.rejected
    new_keys = {
        key: count - before.unknown_keys.get(key, 0)
        for key, count in after.unknown_keys.items()
        if count > before.unknown_keys.get(key, 0)
    }
    return Outcome(
        after.stored - before.stored,
        rejected,
        after.pending,
        max(0, before.pending + after.received - before.received - accepted),
        _causes(client, table, before.at) if rejected else [],
        new_keys,
    )


def _causes(client: Client, table: str, since: str) -> list[dict[str, Any]]:
    hour = partition_of(timestamp_ms(since) or 0)
    sql = _CAUSES.format(table=table, limit=CAUSES_MAX)
    body = msgspec.json.encode({"sql": sql, "parameters": [hour, since], "format": "json"})
    with suppress(DataWarehouseError):  # the numbers are known, and `dw quarantine ls` can be asked later
        found: list[dict[str, Any]] = client.call("POST", "/v1/query", body)
        return found
    return []
