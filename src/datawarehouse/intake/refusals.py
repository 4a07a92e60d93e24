"""What was refused, and why: counted by reason, and said in the log without saying it again and again.

The first refusal for a reason is a line of its own. While more come, a line a minute says how many, with the words of
the last one. What is left then is said by `say`, which somebody has to call now and then, and at the end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

log = logging.getLogger("datawarehouse")

LIMITS = ("journal_bytes_max", "queue_bytes_max", "disk_free_bytes_min", "record_bytes_max", "shard_rate_limited")
OF_THE_RECORD = frozenset({"record_bytes_max"})
"""Those that a record itself breaks, so that it can never be taken."""
_SAID_BY_FREE_DISK = "disk_free_bytes_min"
_SAID_EVERY_S = 60.0
_WORDS_MAX = 300


@dataclass(slots=True)
class _Going:
    """Refusals for one reason: when they were last said, and those since."""

    said_s: float
    more: int = 0
    words: str = ""


class Refusals:
    """One for a warehouse. Methods can be called from any thread."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._records = Counter({(table, limit): 0 for table in tables for limit in LIMITS})
        self._requests: Counter[str] = Counter()
        self._keys: Counter[tuple[str, str]] = Counter()
        self._going: dict[tuple[str, str], _Going] = {}

    @property
    def of_records(self) -> dict[tuple[str, str], int]:
        """How many records each table was not given because of each limit."""
        with self._lock:
            return dict(self._records)

    @property
    def of_requests(self) -> dict[str, int]:
        """How many requests were refused, by the code of the error that they were answered with."""
        with self._lock:
            return dict(self._requests)

    @property
    def of_keys(self) -> dict[tuple[str, str], int]:
        """The same, by the name of the key and the code; the name is empty for requests without a known key."""
        with self._lock:
            return dict(self._keys)

    def of_key(self, name: str, code: str) -> None:
        """Note whose request was refused. name: of a key that there is, or empty."""
        with self._lock:
            self._keys[name, code] += 1

    def records(self, table: str, limit: str, count: int, why: str) -> None:
        """Note that records were refused because of a limit, one of LIMITS."""
        with self._lock:
            self._records[table, limit] += count
            said = None if limit == _SAID_BY_FREE_DISK else self._met((table, limit), count, why)
        _say(said)

    def request(self, code: str, what: str, *, is_said: bool = True) -> None:
        """Note that a request was refused. code: of a fixed set. what: the request and why, in whatever words."""
        with self._lock:
            self._requests[code] += 1
            said = self._met(("", code), 1, what) if is_said else None
        _say(said)

    def say(self, *, all_of_them: bool = False) -> None:
        """Write the lines that are due, or all that are left."""
        now = time.monotonic()
        with self._lock:
            lines = []
            for kind, going in list(self._going.items()):
                if all_of_them or now - going.said_s >= _SAID_EVERY_S:
                    lines.append(_line(kind, going.more, going.words))
                    del self._going[kind]
        for line in lines:
            _say(line)

    def _met(self, kind: tuple[str, str], count: int, words: str) -> str | None:
        """The line that is to be written now, if any."""
        now, going = time.monotonic(), self._going.get(kind)
        if going and now - going.said_s < _SAID_EVERY_S:
            going.more += count
            going.words = words
            return None
        more = going.more if going else 0
        self._going[kind] = _Going(now)
        return _line(kind, more + count, words)


def _line(kind: tuple[str, str], count: int, words: str) -> str | None:
    if not count:
        return None
    table, reason = kind
    what = f"record{'s' * (count > 1)} of table {table!r}" if table else f"request{'s' * (count > 1)}"
    shown = "".join(letter if letter.isprintable() else "?" for letter in words[:_WORDS_MAX])
    return f"{count} {what} refused ({reason}): {shown}"


def _say(line: str | None) -> None:
    if line:
        log.warning("%s", line)
