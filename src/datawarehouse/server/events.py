"""POST /v1/tables/<table>/events: events by plain HTTP.

Body: newline-delimited JSON, a JSON array, or one object; with the Content-Type of newline-delimited JSON each line is
an event, whatever it begins with. `Content-Encoding: gzip` is unpacked. A malformed event is taken and kept with its
reason; an event that is larger than a record may be is refused by itself. The answer is
{"accepted": n, "refused": [{"event": number from 1, "message": ...}]}, and "again": true if the same Idempotency-Key
was taken before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from datawarehouse.errors import BadRequest
from datawarehouse.intake.bodies import records_in, unpacked
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.intake.intake import Intake, Stream, keys_for
from datawarehouse.journal.block import Entry
from datawarehouse.journal.journal import entry_of
from datawarehouse.server.http import Request, Response, json_response

_INLINE_BYTES = 256 * 1024  # a larger body is cut into events in a thread, so that others need not wait
_REFUSALS_SHOWN_MAX = 100
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


@dataclass(slots=True)
class Events:
    intake: Intake
    commit: GroupCommit
    request_bytes_max: int
    request_events_max: int

    async def handle(self, table: str, request: Request, body: bytes) -> Response:
        """Raises BadRequest, BodyTooLarge, UnknownName or Throttled."""
        request.identity.take(bytes_per_s=len(body))
        stream = self.intake.stream(table)
        encoding = request.header(b"content-encoding").strip().lower()
        if encoding not in ("", "identity", "gzip"):
            raise BadRequest(f"The Content-Encoding is {encoding!r}; valid are gzip and none.")
        key = request.header(b"idempotency-key")
        cut = (stream, body, encoding == "gzip", key, request.content_type in _LINES)
        if len(body) > _INLINE_BYTES or encoding == "gzip":
            entry, refused, too_large = await asyncio.to_thread(self._cut, *cut)
        else:
            entry, refused, too_large = self._cut(*cut)
        request.identity.take(events_per_s=entry.count + too_large)
        del body, cut  # what waits to be durable is in memory once: as it is written
        if too_large:
            self.intake.refusals.records(table, "record_bytes_max", too_large, refused[0]["message"])
        answer: dict[str, Any] = {"accepted": entry.count}
        if entry.count:
            appended, again = await self.commit.append(stream, entry)
            answer["accepted"] = appended.count
            if again:
                answer["again"] = True
        if refused:
            answer["refused"] = refused
        return json_response(200 if entry.count else 413, answer)

    def _cut(
        self, stream: Stream, body: bytes, packed: bool, key: str, by_lines: bool
    ) -> tuple[Entry, list[dict[str, Any]], int]:
        """The entry for a body, what is said of the events that are too large for it, and their number."""
        if packed:
            body = unpacked(body, self.request_bytes_max, self.request_events_max)
        keys = keys_for(key, body) if key else None
        largest = self.intake.limits.record_bytes_max
        events = records_in(body, self.request_events_max, by_lines=by_lines)
        refused: list[dict[str, Any]] = []
        given = len(events)
        if max(map(len, events)) > largest:
            refused = [
                {
                    "event": number,
                    "message": f"The event has {len(event)} bytes; the largest record is {largest} (record_bytes_max).",
                }
                for number, event in enumerate(events, 1)
                if len(event) > largest
            ][:_REFUSALS_SHOWN_MAX]
            events = [event for event in events if len(event) <= largest]
        return entry_of(events, stream.shards_in_turn(len(events)), keys), refused, given - len(events)
