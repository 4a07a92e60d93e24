"""Alerts as a declaration: which conditions are watched, and where their alerts go. Plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from datawarehouse.errors import DeclarationError

GIB = 1024**3

REJECTS, REFUSED, FAILED_RUNS, LAG, DISK_FREE, DAMAGE, BACKUP_AGE, CLOCK_AHEAD = (
    "rejects",
    "refused",
    "failed_runs",
    "lag",
    "disk_free",
    "damage",
    "backup_age",
    "clock_ahead",
)
"""The names of the alerts."""
OF_A_STREAM, OF_A_JOB = (REJECTS, REFUSED, LAG, DAMAGE), (FAILED_RUNS,)
OF_THE_WAREHOUSE = (DISK_FREE, DAMAGE, BACKUP_AGE, CLOCK_AHEAD)
"""Which alerts concern a streaming input table, a batch input table, or the warehouse as a whole."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """When something is wrong; None leaves a condition out. The unit is in the name, or it is a number of things.

    rejects: more records of one cause were rejected in the window. rejects_share: more of a table's records, from 0
    to 1, were rejected for one cause in the window. refused_share: more of the records that were sent to a table, from
    0 to 1, were refused in the window because of a limit. failed_runs: so many runs of a job, or more, failed for one
    hour, and none has succeeded since. missed_runs: so many runs of a function that registers hours did not happen; on
    AWS only. lag_s: the oldest record that is not converted is older. disk_free_bytes: less is
    free. damage: stored bytes are not what was written. backup_age_hours: the latest back-up is older.
    clock_ahead_s: the wall clock is further ahead. window_minutes: rejects are counted over this time, and an alert is
    over when its condition has not held for as long.
    """

    rejects: int | None = 10_000
    rejects_share: float | None = 0.01
    refused_share: float | None = 0.01
    failed_runs: int | None = 3
    missed_runs: int | None = 3
    lag_s: int | None = 300
    disk_free_bytes: int | None = GIB
    damage: bool = True
    backup_age_hours: int | None = 36
    clock_ahead_s: int | None = 60
    window_minutes: int = 5

    @property
    def window_ms(self) -> int:
        return self.window_minutes * 60_000


@dataclass(frozen=True, slots=True)
class Alert:
    """Conditions and where their alerts go; the log has them in any case. webhook: a URL, or None. command: a program
    and its arguments, or nothing."""

    conditions: Conditions = Conditions()
    webhook: str | None = None
    command: tuple[str, ...] = ()


# The least and the greatest value of each condition that is a whole number.
_RANGES = {
    "rejects": (0, 10**15),
    "failed_runs": (1, 1000),
    "missed_runs": (1, 1000),
    "lag_s": (1, 31_536_000),
    "disk_free_bytes": (1, 2**63 - 1),
    "backup_age_hours": (1, 87_600),
    "clock_ahead_s": (1, 31_536_000),
    "window_minutes": (1, 1440),
}


def checked_alert(webhook: Any, command: Any, conditions: dict[str, Any]) -> Alert:
    """The alert of these arguments. Raises DeclarationError."""
    valid = [field.name for field in fields(Conditions)]
    for name in conditions:
        if name not in valid:
            raise DeclarationError(f"with_alert: there is no condition {name!r}; there are {', '.join(valid)}.")
    for name, (low, high) in _RANGES.items():
        value = conditions.get(name, low)
        if value is None and name != "window_minutes":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise DeclarationError(
                f"with_alert: {name} is {value!r}; valid is a whole number from {low} to {high}{_or_none(name)}."
            )
    for name in ("rejects_share", "refused_share"):
        share = conditions.get(name)
        if share is not None and (not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1):
            raise DeclarationError(
                f"with_alert: {name} is {share!r}; valid is a number from 0 to 1, e.g. 0.01 for one record in a "
                f"hundred{_or_none(name)}."
            )
    damage = conditions.get("damage", True)
    if not isinstance(damage, bool):
        raise DeclarationError(f"with_alert: damage is {damage!r}; valid are True and False.")
    return Alert(Conditions(**conditions), _checked_webhook(webhook), _checked_command(command))


def _or_none(name: str) -> str:
    return "" if name == "window_minutes" else ", or None to leave the condition out"


def _checked_webhook(url: Any) -> str | None:
    if url is None:
        return None
    problem = "it is not a text"
    if isinstance(url, str):
        problem = _problem(url)
    if problem:
        # A URL can hold a secret, so that no more of it is repeated than its scheme and host.
        raise DeclarationError(
            f"with_alert: webhook {shown_url(url)} cannot be used: {problem}. Valid is a URL such as "
            "'https://example.com/hooks/warehouse'; leave it out to write alerts to the log only."
        )
    return str(url)


def _problem(url: str) -> str:
    if not url.isascii() or not url.isprintable() or " " in url:
        return "it has a character that a URL cannot have"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https"):
        return f"its scheme is {parts.scheme!r} and must be http or https"
    if not parts.hostname:
        return "it names no host"
    if port == 0:
        return "port 0 is nobody's"
    if "@" in parts.netloc:
        return "it has a user name or a password in it, which would be sent in the clear to whoever logs requests"
    return "it has a fragment (#), which is never sent" if parts.fragment else ""


def shown_url(url: Any) -> str:
    """What may be shown of a webhook's URL: its scheme, host and port. The path of many services is a secret."""
    if not isinstance(url, str):
        return repr(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme and host else "(not a URL)"


def _checked_command(command: Any) -> tuple[str, ...]:
    if command is None:
        return ()
    given = tuple(command) if isinstance(command, Iterable) and not isinstance(command, str | bytes) else ()
    if not given or not all(isinstance(part, str) and "\0" not in part for part in given) or not given[0]:
        raise DeclarationError(
            f"with_alert: command is {command!r}; valid is a program and its arguments as a list of texts, e.g. "
            "['/usr/local/bin/page', '--urgent']. It is started without a shell."
        )
    return given
