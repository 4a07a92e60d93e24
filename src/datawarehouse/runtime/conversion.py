"""The threads that keep the tables of a warehouse converted.

Each thread has its own executor. In a round it converts a batch of each table that has records, does the merges that
are due, and deletes files that no query reads any more. Two threads never work on the same table. When there is nothing
to do, a thread waits for `convert_interval_ms`, or until `flush` is called. When the warehouse closes, it continues
until everything is converted and merged or the time is over.

A table that fails is tried again after a pause, and does not keep the others waiting.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from datawarehouse.convert.converter import Converter
from datawarehouse.convert.orders import BatchOrder, ConvertAnswer, ConvertOrder
from datawarehouse.errors import ConversionStalled, WorkerDied
from datawarehouse.intake.intake import Intake
from datawarehouse.runtime.closing import Closing
from datawarehouse.runtime.executor import Executor
from datawarehouse.runtime.faults import Faults
from datawarehouse.runtime.own_thread import PAUSE_AFTER_FAULT_S, OwnThread
from datawarehouse.settings import Settings

_FAULTS_OF_A_FLUSH = 6  # finding a record that makes its process die takes three
_DEATHS_WITHOUT_PAUSE = 3
_KILL_EVERY_S = 0.5
_AGAIN = "it is tried again"
_AT_THE_NEXT_START = "what is left is converted at the next start"


class Conversion:
    """Starts and ends the threads. Methods can be called from any thread."""

    def __init__(
        self, converter: Converter, intake: Intake, settings: Settings, closing: Closing, faults: Faults
    ) -> None:
        self._converter = converter
        self._intake = intake
        self._settings = settings
        self._closing = closing
        self._faults = faults
        self._threads: list[tuple[OwnThread, Executor]] = []
        self._progress = threading.Condition()
        self._failed: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()  # in a row
        self._doing: dict[str, tuple[str, float]] = {}  # by table: what its present order is, and since when
        self._deaths = 0

    def start(self, new_executor: Callable[[], Executor]) -> None:
        """Start as many threads as `convert_processes`, each with its own executor."""
        for number in range(self._settings.number("convert_processes")):
            executor, name = new_executor(), f"convert-{number}"
            step, last = partial(self._step, name, executor), partial(self._finish, name, executor)
            thread = OwnThread(name, "conversion", step, self._faults, last=last)
            self._threads.append((thread, executor))
            thread.start()

    def flush(self) -> None:
        """Return when every event that was accepted before is visible to queries.

        Raises ConversionStalled if the conversion of a table fails repeatedly, and Closed if the warehouse is closed
        before it has finished.
        """
        self._closing.check_open()
        targets = {name: table.journal.next_record for name, table in self._converter.tables.items()}
        failed = dict(self._failed)
        with self._progress:
            while behind := [name for name, record in targets.items() if self._converter.converted(name) < record]:
                self._closing.check_open()
                for name in behind:
                    if self._failed[name] - failed.get(name, 0) >= _FAULTS_OF_A_FLUSH:
                        raise ConversionStalled(
                            f"Table {name!r} cannot be converted at the moment; the log says why. Its events are kept "
                            "in the journal, and conversion is tried again every second."
                        )
                self._wake()
                self._progress.wait(1.0)

    def behind(self) -> list[dict[str, Any]]:
        """See `Owner.behind`. It neither waits nor reads the disk."""
        found = []
        for name in self._converter.tables:
            records = self._converter.pending(name)
            if records > 0:
                doing, since = self._doing.get(name, ("waiting", 0.0))
                seconds = round(time.monotonic() - since, 1) if since else 0.0
                found.append(
                    {"table": name, "records": records, "doing": doing, "seconds": seconds,
                     "failures": self._failures[name]}
                )  # fmt: skip
        return found

    def begin_stopping(self) -> None:
        """Let the threads convert what is left and end. Closing must have begun."""
        for thread, _ in self._threads:
            thread.stop()

    def stop(self) -> None:
        """Wait until the threads have ended; when the time for closing is over, end what they are running."""
        for thread, executor in self._threads:
            ended = thread.join(self._closing.left_s + _KILL_EVERY_S)
            while not ended:
                executor.kill()
                ended = thread.join(_KILL_EVERY_S)

    def _wake(self) -> None:
        for thread, _ in self._threads:
            thread.wake()

    def _step(self, thread: str, executor: Executor) -> float:
        more = self._round(thread, executor, stopping=False)
        return 0.0 if more else self._settings.number("convert_interval_ms") / 1000

    def _finish(self, thread: str, executor: Executor) -> None:
        try:
            while self._closing.left_s and self._round(thread, executor, stopping=True):
                continue
        finally:
            executor.stop()

    def _round(self, thread: str, executor: Executor, *, stopping: bool) -> bool:
        """Convert a batch of each table that has records, and do the merges that are due. Returns whether there is more
        work now."""
        more = failed = died = False
        for name in self._converter.tables:
            if self._closing.is_begun and not self._closing.left_s:
                return False
            work = f"conversion of table {name}"
            execute = partial(self._noted, name, executor)
            try:
                converted = self._converter.convert(name, execute)
                if converted is None:  # another thread is at this table, and goes on with it
                    continue
                if converted:
                    with self._progress:
                        self._progress.notify_all()
                more = more or (self._converter.pending(name) > 0 and (stopping or self._has_a_batch(name)))
                if not more or not stopping:
                    self._converter.merge(name, execute, stopping=stopping)
                self._faults.over(work)
                self._failures[name] = 0
            except Exception as error:  # an error in one table must not delay the others
                self._failed[name] += 1
                self._failures[name] += 1
                died, failed = died or isinstance(error, WorkerDied), failed or not isinstance(error, WorkerDied)
                self._faults.met(thread, work, error, _AT_THE_NEXT_START if stopping else _AGAIN)
        self._converter.delete_retired()
        self._deaths = self._deaths + 1 if died else 0
        if (failed or self._deaths > _DEATHS_WITHOUT_PAUSE) and not stopping:
            self._closing.wait(PAUSE_AFTER_FAULT_S)
        return died or (not stopping if failed else more)

    def _noted(self, table: str, executor: Executor, order: ConvertOrder) -> ConvertAnswer:
        """Run an order; meanwhile `behind` says so."""
        self._doing[table] = ("converting" if isinstance(order, BatchOrder) else "merging", time.monotonic())
        try:
            return executor.run(order)
        finally:
            del self._doing[table]

    def _has_a_batch(self, name: str) -> bool:
        return self._intake.streams[name].unconverted_bytes >= self._settings.number("batch_bytes_max")
