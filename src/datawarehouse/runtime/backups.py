"""The owner's back-ups, one at a time: those that somebody asks for, and those on the schedule (`backup_to`).

A failure of the schedule is logged once for each cause, and tried again. `dw status` and `/metrics` have the age of the
last back-up and how it ended. When one fails that somebody asked for, its command says so, and nothing else.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from datawarehouse.backup.make import Made, Progress, Source, make_backup
from datawarehouse.backup.manifest import shown
from datawarehouse.backup.store import has_backups
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.store import StoreError
from datawarehouse.clock import Clock
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.errors import BackupError, Closed, DataWarehouseError
from datawarehouse.journal.journal import Journal
from datawarehouse.runtime.closing import Closing
from datawarehouse.runtime.faults import Faults
from datawarehouse.runtime.identity import identity_of
from datawarehouse.runtime.own_thread import OwnThread
from datawarehouse.settings import Settings
from datawarehouse.tidy.orphans import FOREIGN_NOTE

log = logging.getLogger("datawarehouse")

NOTE = "backup"
_SCHEDULE_NOTE = "backup schedule"
_LOOK_EVERY_S = 1.0
_RETRY_AFTER_MS = 5 * 60_000
_RETRY_VARIED = 1.5
_NAMED_MAX = 100

OnProgress = Callable[[Progress], None]


class Backups:
    """Makes back-ups of one data folder. Methods can be called from any thread."""

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        journals: Mapping[str, Journal],
        keeping: Callable[[], AbstractContextManager[None]],
        settings: Settings,
        clock: Clock,
        closing: Closing,
        faults: Faults,
        holding: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """keeping: inside this context no journal is trimmed and no retired file is deleted. holding: inside this one
        no file of a scratch."""
        self._folder = folder
        self._catalog = catalog
        self._journals = journals
        self._keeping = keeping
        self._holding = holding
        self._settings = settings
        self._clock = clock
        self._closing = closing
        self._turn = threading.Lock()
        self._thread = OwnThread(
            "backup", "back-ups", self._step, faults, pause_s=_LOOK_EVERY_S, first_wait_s=_LOOK_EVERY_S
        )
        self._told = ""
        self._retry_ms: int | None = None

    def start(self) -> None:
        """Follow the schedule, if there is one."""
        if self._settings.text("backup_to"):
            self._thread.start()

    def stop(self) -> None:
        """Wait until a back-up that is being made has ended. Closing must have begun, which ends it."""
        self._thread.stop()
        self._thread.join()
        with self._turn:
            pass

    def make(
        self,
        to: Path,
        kept: int | None,
        on_progress: OnProgress,
        is_unwanted: Callable[[], bool],
        *,
        again: bool = False,
    ) -> Made:
        """Make a back-up in the folder `to`. kept: how many stay there; None for the setting. again: whether the folder
        must have back-ups already.

        is_unwanted is asked now and then, and ends it. Raises BackupError, or Closed.
        """

        def check_open() -> None:
            self._closing.check_open()
            if is_unwanted():
                raise Closed("The back-up was ended, because the command that had asked for it has ended.")

        if not self._turn.acquire(blocking=False):
            raise BackupError("Another back-up of this data folder is being made. Try again when it has ended.")
        try:
            check_open()
            if again and not has_backups(to):
                raise BackupError(
                    f"{to} has no back-ups any more: is its disk there? `dw backup {to}` begins anew in it if it is "
                    "empty."
                )
            stay = self._settings.number("backups_kept") if kept is None else kept
            made = make_backup(self._source(), to, stay, on_progress, check_open)
            self._note(made)
        finally:
            self._turn.release()
        return made

    def _source(self) -> Source:
        identity = identity_of(self._catalog)
        foreign = self._catalog.noted(FOREIGN_NOTE) or []
        spare = 2 * self._settings.number("disk_free_bytes_min")
        return Source(
            self._folder, self._catalog, self._journals, self._clock, self._keeping, identity, foreign, spare,
            self._holding,
        )  # fmt: skip

    # -- what is known of them

    def _note(self, made: Made) -> None:
        before = self._catalog.noted(NOTE) or {}
        value = {
            "to": made.to,
            "made_ms": made.moment_ms,
            "complete_ms": before.get("complete_ms") if made.problems else made.moment_ms,
            "files": made.files,
            "bytes": made.bytes,
            "new_files": made.new_files,
            "new_bytes": made.new_bytes,
            "missing": [problem.path for problem in made.problems[:_NAMED_MAX]],
            "failure": None,
        }
        self._catalog.note(NOTE, value)

    def _note_failure(self, error: Exception) -> None:
        before = self._catalog.noted(NOTE) or {}
        self._catalog.note(NOTE, before | {"to": str(self._to()), "failure": str(error)})

    # -- the schedule

    def _step(self) -> float | None:
        try:
            self._look()
        except Closed:
            return None
        except Exception as error:
            self._retry_ms = self._clock.now_ms() + round(_RETRY_AFTER_MS * random.uniform(1.0, _RETRY_VARIED))
            with suppress(StoreError):
                self._note_failure(error)
            if not isinstance(error, DataWarehouseError):
                raise
            self._tell(str(error))
        return _LOOK_EVERY_S

    def _look(self) -> None:
        now, to = self._clock.now_ms(), self._to()
        if self._retry_ms is not None and now < self._retry_ms <= now + _RETRY_VARIED * _RETRY_AFTER_MS:
            return
        last = self._catalog.noted(_SCHEDULE_NOTE) or {}
        known = last.get("to") == str(to)
        every_ms = self._settings.number("backup_every_hours") * HOUR_MS
        if known and 0 <= now - last["made_ms"] < every_ms:
            return
        made = self.make(to, None, lambda progress: None, lambda: False, again=known)
        self._catalog.note(_SCHEDULE_NOTE, {"to": str(to), "made_ms": made.moment_ms})
        self._retry_ms = None
        if made.problems:
            missing = ", ".join(problem.path for problem in made.problems[:3])
            self._tell(f"{len(made.problems)} files are damaged and not in it: {missing}")
        else:
            self._told = ""
        log.info(
            "back-up in %s: every event acknowledged before %s is in it; %d files, %d of them new, %d bytes",
            to, shown(made.moment_ms), made.files, made.new_files, made.new_bytes,
        )  # fmt: skip

    def _to(self) -> Path:
        return Path(self._settings.text("backup_to")).expanduser().absolute()

    def _tell(self, cause: str) -> None:
        if cause != self._told:
            log.error("back-up: %s", cause)
        self._told = cause


def backup_status(catalog: Catalog, clock: Clock) -> dict[str, Any] | None:
    """The last back-up as JSON for programs; None if none was ever tried.

    result: complete; incomplete, if files were damaged, which `missing` names; failed, and `failure` says why. at,
    age_s: of the last complete one, None if there is none.
    """
    noted = catalog.noted(NOTE)
    if noted is None:
        return None
    complete_ms = noted.get("complete_ms")
    result = "failed" if noted["failure"] else "incomplete" if noted.get("missing") else "complete"
    return {
        "result": result,
        "at": None if complete_ms is None else shown(complete_ms),
        "age_s": None if complete_ms is None else max(0, clock.now_ms() - complete_ms) / 1000,
        "to": noted["to"],
        "files": noted.get("files"),
        "bytes": noted.get("bytes"),
        "new_files": noted.get("new_files"),
        "new_bytes": noted.get("new_bytes"),
        "missing": noted.get("missing", []),
        "failure": noted["failure"],
    }
