"""What failed in the threads of a warehouse: counted, and said in the log without saying it again and again.

The first failure of a kind is logged with its traceback. While the same goes on, a line a minute says how often it
happened; when the work succeeds again, one more line says so. Two failures are of the same kind if they are of one
class and number (errno), and were raised at the same place: messages may hold names that differ each time. A full disk
is one failure, whoever meets it: see `intake/free_disk.py`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass

from datawarehouse.durable import lacks_space
from datawarehouse.errors import DataWarehouseError
from datawarehouse.intake.free_disk import FreeDisk

log = logging.getLogger("datawarehouse")

_SAID_EVERY_S = 60.0
_KINDS_MAX = 1000  # of work; a name that comes from outside must not fill the memory


@dataclass(slots=True)
class _Going:
    """A failure that goes on."""

    kind: tuple[object, ...]
    count: int
    said_s: float
    said_count: int


class Faults:
    """One for a warehouse. Methods can be called from any thread."""

    def __init__(self, disk: FreeDisk) -> None:
        """disk: told of failures for lack of space, which it says once for all work."""
        self._disk = disk
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._going: dict[str, _Going] = {}

    def expect(self, thread: str) -> None:
        """Count this thread from now on, also while nothing fails in it."""
        with self._lock:
            self._counts[thread] += 0

    @property
    def counts(self) -> dict[str, int]:
        """How many failures each thread has survived, by its name."""
        with self._lock:
            return dict(self._counts)

    def met(self, thread: str, work: str, error: BaseException, then: str = "it is tried again") -> None:
        """Count and log that some work failed in a thread; then: what happens next."""
        if lacks_space(error):
            with self._lock:
                self._counts[thread] += 1
            self._disk.write_failed(work)
            return
        with self._lock:
            self._counts[thread] += 1
            now, kind = time.monotonic(), _kind(error)
            going = self._going.get(work)
            if going and going.kind == kind:
                going.count += 1
                if now - going.said_s < _SAID_EVERY_S:
                    return
                more, going.said_s, going.said_count = going.count - going.said_count, now, going.count
                log.error("%s failed %d times more in the same way (%s); %s", work, more, _one_line(error), then)
                return
            if len(self._going) >= _KINDS_MAX:
                self._going.clear()
            self._going[work] = _Going(kind, 1, now, 1)
        has_trace = not isinstance(error, DataWarehouseError)  # those say what happened by themselves
        log.error("%s failed: %s; %s", work, _one_line(error), then, exc_info=error if has_trace else None)

    def over(self, work: str) -> None:
        """Note that some work succeeded."""
        self._disk.write_succeeded(work)
        if work not in self._going:
            return
        with self._lock:
            going = self._going.pop(work, None)
        if going:
            log.info(
                "%s works again, after it had failed %s", work, "once" if going.count == 1 else f"{going.count} times"
            )


def _kind(error: BaseException) -> tuple[object, ...]:
    if isinstance(error, BaseExceptionGroup):
        return tuple(_kind(each) for each in error.exceptions)
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else None
    return type(error), getattr(error, "errno", None), place


def _one_line(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_one_line(each) for each in error.exceptions)
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(".") if lines else ""
    return text if isinstance(error, DataWarehouseError) else f"{type(error).__name__}: {text}"
