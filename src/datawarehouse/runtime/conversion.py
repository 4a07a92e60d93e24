"""The threads that keep the tables of a warehouse converted.

Each thread has its own executor. In a round it converts a batch of each table that has records, does the merges that
are due, and deletes files that no query reads any more. Two threads never work on the same table. When there is nothing
to do, a thread waits for `convert_interval_ms`, or until `flush` is called. When the warehouse closes, it continues
until everything is converted and merged or the time is over.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

from datawarehouse.convert.converter import Converter
from datawarehouse.errors import ConversionStalled, WorkerDied
from datawarehouse.intake.intake import Intake
from datawarehouse.runtime.closing import Closing
from datawarehouse.runtime.executor import Executor
from datawarehouse.settings import Settings

log = logging.getLogger("datawarehouse")

_PAUSE_AFTER_FAULT_S = 1.0
_FAULTS_OF_A_FLUSH = 6  # finding a record that makes its process die takes three
_DEATHS_WITHOUT_PAUSE = 3


class Conversion:
    """Starts and ends the threads. Methods can be called from any thread."""

    def __init__(self, converter: Converter, intake: Intake, settings: Settings, closing: Closing) -> None:
        self._converter = converter
        self._intake = intake
        self._settings = settings
        self._closing = closing
        self._threads: list[tuple[threading.Thread, Executor]] = []
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._failed: Counter[str] = Counter()
        self._deaths = 0

    def start(self, new_executor: Callable[[], Executor]) -> None:
        """Start as many threads as `convert_processes`, each with its own executor."""
        for number in range(self._settings.number("convert_processes")):
            executor = new_executor()
            name = f"convert-{number}"
            thread = threading.Thread(target=self._keep_converted, args=(executor,), name=name, daemon=True)
            thread.start()
            self._threads.append((thread, executor))

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
                self._wake.set()
                self._progress.wait(1.0)

    def wake(self) -> None:
        """Make the threads look for work now."""
        self._wake.set()

    def stop(self) -> None:
        """Wait until the threads have ended; when the time for closing is over, end what they are running."""
        for thread, executor in self._threads:
            thread.join(self._closing.left_s + 0.5)
            if thread.is_alive():
                executor.kill()
                thread.join()

    def _keep_converted(self, executor: Executor) -> None:
        interval = self._settings.number("convert_interval_ms") / 1000
        while not self._closing.is_begun:
            try:
                busy = self._round(executor, stopping=False)
            except Exception:
                log.exception("conversion failed; trying again in %g s", _PAUSE_AFTER_FAULT_S)
                self._closing.wait(_PAUSE_AFTER_FAULT_S)
                continue
            if not busy:
                self._wake.wait(interval)
                self._wake.clear()
        while self._closing.left_s:
            try:
                if not self._round(executor, stopping=True):
                    break
            except Exception:
                log.exception("conversion failed while stopping; the remaining events are converted at the next start")
                break
        executor.stop()

    def _round(self, executor: Executor, *, stopping: bool) -> bool:
        """Convert a batch of each table that has records, and do the merges that are due. Returns whether there is more
        work now."""
        more = False
        faults = []
        died = False
        for name in self._converter.tables:
            if stopping and not self._closing.left_s:
                return False
            try:
                converted = self._converter.convert(name, executor.run)
                if converted is None:  # another thread is at this table, and goes on with it
                    continue
                if converted:
                    with self._progress:
                        self._progress.notify_all()
                more = more or (self._converter.pending(name) > 0 and (stopping or self._has_a_batch(name)))
                if not more or not stopping:
                    self._converter.merge(name, executor.run, stopping=stopping)
            except WorkerDied as error:
                log.error("%s", error)
                self._failed[name] += 1
                died = more = True
            except Exception as error:  # an error in one table must not delay the others
                self._failed[name] += 1
                faults.append(error)
        self._converter.delete_retired()
        self._deaths = self._deaths + 1 if died else 0
        if self._deaths > _DEATHS_WITHOUT_PAUSE and not stopping:
            self._closing.wait(_PAUSE_AFTER_FAULT_S)
        if faults:
            raise ExceptionGroup("conversion", faults)
        return more

    def _has_a_batch(self, name: str) -> bool:
        return self._intake.streams[name].unconverted_bytes >= self._settings.number("batch_bytes_max")
