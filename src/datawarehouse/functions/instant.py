"""The instant that a function was invoked for.

Source: Amazon EventBridge user guide, "Creating a rule that runs on a schedule": the event's `time` is the UTC instant
of the schedule, in whole seconds; it is the same when the invocation is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.errors import BadRequest


def scheduled_ms(event: Mapping[str, Any]) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z. Raises BadRequest if the event has no instant."""
    text = event.get("time")
    try:
        instant = datetime.fromisoformat(text or "")
        if instant.tzinfo:
            return milliseconds_of(instant)
    except (TypeError, ValueError):
        pass
    raise BadRequest(
        f"The event's time is {text!r}; valid is an instant with its zone, e.g. {{'time': '2026-11-23T07:00:00Z'}}."
    )
