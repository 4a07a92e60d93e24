"""What must survive the owner: the alerts that are on, the counts of their windows, and the messages on their way.

One small file, replaced in one step. A message is stored before it is first sent and removed after it has arrived, so
it may be sent twice after a crash, with the same id. When the disk refuses the file, everything goes on from memory,
and the next change is stored with the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from datawarehouse.alerts.messages import Message, described
from datawarehouse.alerts.watch import Stored, of_each_cause
from datawarehouse.durable import LOCAL_DISK, replace

log = logging.getLogger("datawarehouse.alerts")

QUEUE_MAX = 500
"""Messages on their way to one receiver; of more, the oldest are given up."""


class _File(msgspec.Struct):
    """watches: by their conditions. queues: by receiver, the oldest message first."""

    watches: dict[str, Stored] = {}
    queues: dict[str, list[Message]] = {}


class Store:
    """Any thread may call its methods."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._is_closed = False
        self._failed = False
        self._file = _read(path)

    def watch(self, name: str) -> Stored:
        """What is stored of a watch; nothing if it is new."""
        return self._file.watches.get(name, Stored())

    def keep(self, watches: Iterable[str], receivers: Iterable[str]) -> dict[str, Stored]:
        """Forget other watches and other receivers than these; returns the forgotten watches."""
        with self._changed:
            watches, receivers = set(watches), set(receivers)
            gone = {name: stored for name, stored in self._file.watches.items() if name not in watches}
            for name in gone:
                del self._file.watches[name]
            for name in self._file.queues.keys() - receivers:
                if self._file.queues.pop(name):
                    log.warning("alerts for %s are given up: it is no longer declared", name)
        return gone

    def put(self, watches: Mapping[str, Stored], messages: Mapping[str, Iterable[Message]]) -> None:
        """Store the state of watches, and add messages to the queues of receivers."""
        with self._changed:
            self._file.watches.update(watches)
            for receiver, added in messages.items():
                queue = self._file.queues.setdefault(receiver, [])
                queue += added
                if len(queue) > QUEUE_MAX:
                    log.error("%d alerts for %s are given up: it has not taken any", len(queue) - QUEUE_MAX, receiver)
                    del queue[:-QUEUE_MAX]
            self._save()
            self._changed.notify_all()

    def first(self, receiver: str) -> Message | None:
        """The oldest message to a receiver."""
        with self._changed:
            queue = self._file.queues.get(receiver)
            return queue[0] if queue else None

    def wait(self, receiver: str, is_over: threading.Event) -> Message | None:
        """The oldest message to a receiver, as soon as there is one; None when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: is_over.is_set() or self._file.queues.get(receiver))
        return self.first(receiver)

    def wake(self) -> None:
        """Let waiting threads look whether it is over."""
        with self._changed:
            self._changed.notify_all()

    def remove(self, receiver: str, message: str) -> None:
        """Remove a message that has arrived, or is given up."""
        with self._changed:
            queue = self._file.queues.get(receiver, [])
            self._file.queues[receiver] = [each for each in queue if each.id != message]
            self._save()

    def waiting(self, receiver: str) -> int:
        """How many messages are on their way to a receiver."""
        with self._changed:
            return len(self._file.queues.get(receiver, []))

    def close(self) -> None:
        """Write no more: the folder may get another owner, while a thread still waits for a receiver."""
        with self._changed:
            self._is_closed = True

    def _save(self) -> None:
        if self._is_closed:
            return
        try:
            replace(LOCAL_DISK, self._path, msgspec.json.encode(self._file))
        except OSError as error:
            if not self._failed:
                log.error("%s could not be written (%s); alerts go on from memory", self._path, error)
            self._failed = True
        else:
            self._failed = False


def stored_alerts(path: Path) -> list[dict[str, Any]]:
    """The alerts that were on when an owner last stored them, as `dw status` shows them."""
    return [described(on) for on in of_each_cause(on for stored in _read(path).watches.values() for on in stored.on)]


def _read(path: Path) -> _File:
    """What a file holds; nothing if there is none, or if it cannot be read, which the log then says."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return _File()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("%s cannot be read (%s); alerts that were on begin anew", path, error)
        return _File()
