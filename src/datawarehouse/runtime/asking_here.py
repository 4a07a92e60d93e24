"""Questions to a data folder: a running warehouse answers them, and when nothing runs a child process of this one.

The child process answers one question after the other, as those of `dw up` do. A question that is given up ends it, and
the next one starts another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from datawarehouse.errors import DataWarehouseError, QueryLimitExceeded, WorkerDied
from datawarehouse.folder import holder_of
from datawarehouse.runtime.asking import Asked, Question
from datawarehouse.runtime.client import Client
from datawarehouse.settings import Settings

if TYPE_CHECKING:
    from datawarehouse.runtime.workers import Worker

_GRACE_S = 0.5  # normally the child process ends a query in time itself


class Asking(Protocol):
    """A query that is asked. files_read, bytes_read: once its answer has begun."""

    files_read: int
    bytes_read: int

    def pieces(self) -> Iterator[bytes]:
        """The answer, in pieces. Raises the errors of queries."""

    def progress(self) -> dict[str, Any]:
        """rows: of the answer so far. share: of the work that is done, None if that is not known."""

    def close(self) -> None:
        """End it if it still runs."""


class Questions:
    """Asks whoever can answer at the moment."""

    def __init__(self, settings: Settings, workgroup: str | None) -> None:
        """workgroup: None is that of people, by the size of what is stored."""
        self.workgroup = workgroup
        self._settings = settings
        self._here: _Here | None = None

    @property
    def address(self) -> str:
        """That of the running warehouse; empty if nothing runs."""
        holder = holder_of(self._settings.folder)
        return holder.url if holder else ""

    def asked(self, question: Question) -> Asking:
        """A question of this workgroup. Raises FolderError if there is no data folder, or BadRequest if there is no
        such workgroup."""
        holder = holder_of(self._settings.folder)
        if holder and holder.url:
            return Asked(Client(holder, timeout_s=None), question)
        if self._here is None or self._here.workgroup != self.workgroup:
            self.close()
            self._here = _Here(self._settings, self.workgroup)
        return AskedHere(self._here, question)

    def close(self) -> None:
        if self._here:
            self._here.end()


class _Here:
    """The child process, and whose queries it answers."""

    def __init__(self, settings: Settings, workgroup: str | None) -> None:
        from datawarehouse.runtime.reader import Reader  # these two only here: a running warehouse needs none of it
        from datawarehouse.runtime.workers import QuerySetup

        self.workgroup = workgroup
        with Reader(settings.folder, settings, workgroup) as reader:
            self.time_max_s = reader.limits.time_max_s
            name = reader.catalog.warehouse_name()
            self._setup = QuerySetup(str(reader.folder), name, reader.limits, reader.workgroup)
        self._worker: Worker | None = None

    def worker(self) -> Worker:
        from datawarehouse.runtime.workers import Worker

        self._worker = self._worker or Worker("query", self._setup)
        return self._worker

    def end(self) -> None:
        worker, self._worker = self._worker, None
        if worker:
            worker.kill()
            worker.stop()


class AskedHere:
    """A query that the child process answers."""

    def __init__(self, here: _Here, question: Question) -> None:
        self.files_read = self.bytes_read = self._rows = 0
        self._share: float | None = None
        self._here, self._question = here, question
        self._is_late = self._has_begun = False

    def pieces(self) -> Iterator[bytes]:
        from datawarehouse.query.messages import QueryOrder

        asked, worker = self._question, self._here.worker()
        self._has_begun = True
        watch = threading.Timer(self._here.time_max_s + _GRACE_S, self._end_late)
        watch.daemon = True
        watch.start()
        try:
            worker.begin(QueryOrder(asked.sql, list(asked.parameters), asked.format, full_scan=asked.full_scan))
            yield from self._answers(worker)
            self._has_begun = False  # the next question may go to the same process
        except WorkerDied:
            raise self._why() from None
        finally:
            watch.cancel()

    def _answers(self, worker: Worker) -> Iterator[bytes]:
        from datawarehouse.query.messages import End, Failure, Head, Piece, Progress

        while True:
            match worker.next_answer():
                case Head(files=files, bytes=size):
                    self.files_read, self.bytes_read = files, size
                case Progress(share=share):
                    self._share = share
                case Piece(data=data, rows=rows):
                    self._rows = rows
                    yield data
                case End(rows=rows):
                    self._rows = rows
                    return
                case Failure() as failure:
                    error = failure.as_error()
                    self._has_begun = isinstance(error, QueryLimitExceeded)  # which may leave no memory for another
                    raise error

    def _end_late(self) -> None:
        self._is_late = True
        self._here.worker().kill()

    def _why(self) -> DataWarehouseError:
        if self._is_late:
            return QueryLimitExceeded(
                f"The query took longer than {self._here.time_max_s:g} s (query_time_max_s) and was ended. Read fewer "
                "partitions, or raise the limit.",
                "query_time_max_s",
            )
        return QueryLimitExceeded(
            "The process of the query was ended. It probably needed more memory than query_memory_bytes_max, or than "
            "there is. Read fewer partitions or columns.",
            "query_memory_bytes_max",
        )

    def progress(self) -> dict[str, Any]:
        return {"rows": self._rows, "share": self._share}

    def close(self) -> None:
        if self._has_begun:
            self._here.end()
