"""What a receiver gets: one JSON document for each beginning and each end of an alert."""

from __future__ import annotations

from typing import Any

import msgspec

from datawarehouse.alerts.watch import RESOLVED, Notice, On
from datawarehouse.definition.instants import instant_of


class Message(msgspec.Struct, frozen=True):
    """A document on its way. id: the same whenever it is sent again; made_ms: when the alert began or was resolved."""

    id: str
    made_ms: int
    body: str


def message_of(warehouse: str, notice: Notice) -> Message:
    """The message of a notice, with the members that docs/reference/alerts.md lists."""
    ending = "resolved" if notice.kind == RESOLVED else "began"
    data = {"warehouse": warehouse, **described(notice.on)}
    if notice.kind == RESOLVED:
        lasted_s = (notice.at_ms - notice.on.began_ms) / 1000
        data |= {"ended": _instant(notice.at_ms), "duration_s": lasted_s}
    document = {"type": notice.kind, "timestamp": _instant(notice.at_ms), "data": data}
    return Message(f"msg_{notice.on.id}_{ending}", notice.at_ms, msgspec.json.encode(document).decode())


def described(on: On) -> dict[str, Any]:
    """An alert that is on, as `dw status` shows it; instants are in ISO 8601, UTC."""
    return {
        "id": on.id,
        "alert": on.alert,
        "table": on.table or None,
        "cause": on.text,
        "next_step": on.next_step,
        "value": on.value,
        "threshold": on.threshold,
        "unit": on.unit,
        "total": on.total,
        "began": _instant(on.began_ms),
    }


def sentence(notice: Notice) -> str:
    """A notice as a line of the log."""
    on = notice.on
    if notice.kind == RESOLVED:
        lasted = (notice.at_ms - on.began_ms) / 1000
        total = "" if on.total is None else f", {on.total:,} records in all"
        return f"alert {on.alert} is over after {lasted:,.0f} s{total}. It was: {on.text}"
    return f"alert {on.alert}: {on.text} Next: {on.next_step}"


def _instant(instant_ms: int) -> str:
    return instant_of(instant_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
