"""GET /v1/tables/<table>/tail: the newest events of a stream as they come, good and bad.

1. A request waits until there are records that its caller has not seen, for some seconds at most, and ends with its
   client. The journal is asked for its end, which is in memory, so that a tail that waits costs nothing.
2. Then the newest of these records are read from the end of the journal, and judged by the exact rules of conversion.
   Of more than are shown, bad ones come first: it is a sample, and the answer says so.
3. With a cursor an answer takes half a second at least, and few callers at a time are served.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from datawarehouse.catalog.records import StoredTable
from datawarehouse.definition.instants import written
from datawarehouse.definition.judge import judge_of
from datawarehouse.definition.places import TEXT_CHARACTERS_MAX, Shown, shown
from datawarehouse.definition.rejects import Reason
from datawarehouse.errors import BadRequest, Throttled
from datawarehouse.intake.intake import Intake
from datawarehouse.journal.journal import Journal
from datawarehouse.journal.newest import Newest, newest
from datawarehouse.server.http import ClientGone, Request, Response, json_response
from datawarehouse.server.tables import keys_of

TAILS_MAX = 32
_SHOWN, _SHOWN_MAX = 50, 200
_JUDGED = 2
"""Times as many as are shown are looked at, so that a bad one among many is found."""
_BYTES_MAX = 256 * 1024
_RECORDS_MAX = 2**62
_WAIT_S_MAX = 60
_LOOK_EVERY_S = 0.25
_PAUSE_S = 0.5


@dataclass(slots=True)
class Tail:
    """executor: where the journal is read."""

    intake: Intake
    executor: Executor
    waiting: int = 0

    async def answer(self, request: Request, table: StoredTable, may_see_rejects: bool) -> Response:
        """may_see_rejects: whether bad events are shown, and not only counted. Raises BadRequest, Throttled or
        ClientGone."""
        if table.name not in self.intake.streams:
            raise BadRequest(f"Table {table.name!r} gets no events; there are {', '.join(self.intake.streams)}.")
        after = request.whole("after", -1, 0, _RECORDS_MAX)
        wait_s = request.whole("wait_s", 0, 0, _WAIT_S_MAX)
        limit = request.whole("limit", _SHOWN, 1, _SHOWN_MAX)
        journal = self.intake.streams[table.name].journal
        if self.waiting >= TAILS_MAX:
            raise Throttled(f"{TAILS_MAX} callers follow events already, and no more are served; try again later.")
        self.waiting += 1
        try:
            if after >= 0:
                await _until(lambda: journal.next_record > after, wait_s, request)
            read = asyncio.get_running_loop().run_in_executor(self.executor, _looked_at, journal, table, after, limit)
            events, end = await read
        finally:
            self.waiting -= 1
        return json_response(200, _sampled(events, after, end, limit, keys_of(table), may_see_rejects))


async def _until(is_so: Callable[[], bool], limit_s: float, request: Request) -> None:
    """Wait until something holds, for so long at most. Raises ClientGone when the client has gone."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    gone = asyncio.ensure_future(request.gone())
    try:
        while (waited := loop.time() - began) < _PAUSE_S or (waited < limit_s and not is_so()):
            await asyncio.wait((gone,), timeout=_LOOK_EVERY_S)
            if gone.done():
                raise ClientGone
    finally:
        gone.cancel()


def _looked_at(
    journal: Journal, table: StoredTable, after: int, limit: int
) -> tuple[list[tuple[Newest, Reason | None]], int]:
    """The newest records with what is wrong with them, and the number of the next one."""
    end = journal.next_record
    judge = judge_of(table.columns[table.schema_version])
    found = newest(journal, max(after, 0), _JUDGED * limit, _BYTES_MAX)
    # One of which only a part was read cannot be judged.
    return [
        (each, judge(each.data) if each.size == len(each.data) else None) for each in found if each.number < end
    ], end


def _sampled(
    events: list[tuple[Newest, Reason | None]],
    after: int,
    end: int,
    limit: int,
    keys: Mapping[str, str],
    may_see_rejects: bool,
) -> dict[str, Any]:
    bad = [each for each in events if each[1]]
    if not may_see_rejects:
        events = [each for each in events if not each[1]]
    chosen = sorted(events, key=lambda each: (each[1] is None, -each[0].number))[:limit]
    chosen.sort(key=lambda each: each[0].number)
    received = end - after if after >= 0 else len(chosen)
    return {
        "cursor": str(end),
        "received": max(0, received),
        "shown": len(chosen),
        "sampled": received > len(chosen),
        "rejected": len(bad),
        "events": [_event(record, reason, keys) for record, reason in chosen],
    }


def _event(record: Newest, reason: Reason | None, keys: Mapping[str, str]) -> dict[str, Any]:
    message = reason.message if reason else ""
    seen = shown(record.data, reason.column if reason else "", message, keys)
    return {
        "number": record.number,
        "arrived_at": written(record.arrival_ms),
        "ok": reason is None,
        **text_of(record.data, seen, record.size),
        "reason": reason
        and {
            "code": reason.code,
            "column": reason.column or None,
            "message": message,
            "start": seen.start,
            "end": seen.end,
        },
    }


def text_of(data: bytes, seen: Shown, size: int) -> dict[str, Any]:
    """How a record is shown: as a text, and where that is not what was sent, also in base64."""
    return {
        "text": seen.text,
        "base64": None if seen.is_exact else base64.b64encode(data[:TEXT_CHARACTERS_MAX]).decode(),
        "truncated": seen.is_cut or size > len(data),
        "before": seen.before,
        "bytes": size,
    }
